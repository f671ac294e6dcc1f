//! The right factor of a product, laid out for one instruction set.

use crate::isa::Isa;
use crate::matrix::{MatRef, area, assert_shape};

/// A `k × n` matrix, packed for one instruction set into panels of a few vectors' width.
#[derive(Clone, Debug)]
pub struct Packed {
    isa: Isa,
    k: usize,
    n: usize,
    /// Panel after panel; a panel of `v` vectors holds `k` rows of `v · lanes` values, zero past column `n`.
    panels: Vec<f32>,
}

impl Packed {
    /// Packs `b`, `[k, n]`.
    pub fn new(isa: Isa, b: MatRef<'_>) -> Packed {
        let mut packed = Packed::zeros(isa, b.rows(), b.cols());
        packed.set(b);
        packed
    }

    /// Packs the transpose of `b`, `[n, k]`: the layout of linear layers and pointwise convolutions.
    pub fn transposed(isa: Isa, b: MatRef<'_>) -> Packed {
        let mut packed = Packed::zeros(isa, b.cols(), b.rows());
        packed.set_transposed(b);
        packed
    }

    /// A matrix of zeros.
    ///
    /// # Panics
    ///
    /// If memory cannot hold that many.
    pub fn zeros(isa: Isa, k: usize, n: usize) -> Packed {
        Packed { isa, k, n, panels: vec![0.0; area(k, isa.padded(n))] }
    }

    /// Packs another `b`, `[k, n]`, into the same memory.
    ///
    /// # Panics
    ///
    /// If it has another shape.
    pub fn set(&mut self, b: MatRef<'_>) {
        assert_shape("packed matrix", (b.rows(), b.cols()), (self.k, self.n));
        let Packed { isa, k, n, panels: packed } = self;
        if *k == 0 {
            return;
        }
        for (first, vectors, offset) in panels(*isa, *k, *n) {
            let width = vectors * isa.lanes();
            let end = (first + width).min(*n);
            for (p, to) in packed[offset..offset + *k * width].chunks_exact_mut(width).enumerate() {
                to[..end - first].copy_from_slice(&b.row(p)[first..end]);
            }
        }
    }

    /// Packs the transpose of another `b`, `[n, k]`, into the same memory.
    ///
    /// # Panics
    ///
    /// If it has another shape.
    pub fn set_transposed(&mut self, b: MatRef<'_>) {
        assert_shape("packed matrix, transposed", (b.rows(), b.cols()), (self.n, self.k));
        let Packed { isa, k, n, panels: packed } = self;
        if *k == 0 {
            return;
        }
        for (first, vectors, offset) in panels(*isa, *k, *n) {
            let width = vectors * isa.lanes();
            let end = (first + width).min(*n);
            for (p, to) in packed[offset..offset + *k * width].chunks_exact_mut(width).enumerate() {
                to[..end - first].iter_mut().zip(b.column(p, first)).for_each(|(to, b)| *to = b);
            }
        }
    }

    /// Multiplies every value.
    pub fn scale(&mut self, factor: f32) {
        self.panels.iter_mut().for_each(|v| *v *= factor);
    }

    /// Writes `diag(scale) · self` into `into`, whose memory is reused.
    ///
    /// A gate on the columns of A costs one pass over B this way, and none over A.
    ///
    /// # Panics
    ///
    /// If `scale` has fewer than `k` values.
    pub fn scale_rows_into(&self, scale: &[f32], into: &mut Packed) {
        assert!(scale.len() >= self.k, "{} factors for {} rows", scale.len(), self.k);
        (into.isa, into.k, into.n) = (self.isa, self.k, self.n);
        into.panels.clear();
        if self.k == 0 {
            return;
        }
        for (_, vectors, offset) in panels(self.isa, self.k, self.n) {
            let width = vectors * self.isa.lanes();
            for (row, &factor) in self.panels[offset..offset + self.k * width].chunks_exact(width).zip(scale)
            {
                into.panels.extend(row.iter().map(|&b| b * factor));
            }
        }
    }

    /// Rows of the packed matrix: the length of the product's inner sum.
    pub fn k(&self) -> usize {
        self.k
    }

    /// Columns of the packed matrix.
    pub fn n(&self) -> usize {
        self.n
    }

    /// The instruction set the panels were laid out for.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// `(first column, vectors, values)` of each panel.
    pub(super) fn panels(&self) -> impl Iterator<Item = (usize, usize, &[f32])> {
        let lanes = self.isa.lanes();
        panels(self.isa, self.k, self.n).map(move |(first, vectors, offset)| {
            (first, vectors, &self.panels[offset..offset + self.k * vectors * lanes])
        })
    }
}

/// `(first column, vectors, offset into the packed data)` of each panel, widths as even as they get.
pub(crate) fn panels(isa: Isa, k: usize, n: usize) -> impl Iterator<Item = (usize, usize, usize)> {
    let lanes = isa.lanes();
    let vectors = n.div_ceil(lanes);
    let count = vectors.div_ceil(isa.max_vectors());
    (0..count).map(move |i| {
        let (from, to) = (i * vectors / count, (i + 1) * vectors / count);
        (from * lanes, to - from, from * lanes * k)
    })
}
