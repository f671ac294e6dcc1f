//! Matrix products of row-major `f32` matrices, with what comes before and after fused into the tile.
//!
//! ```text
//! C[m, n] = finish( start + A[m, k] · B[k, n] )         B packed once into column panels
//! C[m, n] += Aᵀ[m, rows] · B[rows, n]                   both operands as they lie in memory
//! ```
//!
//! A tile of C stays in registers over the whole of k. `start` is zero, a bias, the old C or a sum of two table
//! rows; `finish` is an activation, a residual or a gate. Rows of A past `m` are never touched: the last tile
//! repeats row `m - 1` and does not store it.

use crate::isa::{Isa, Kernel};
use crate::simd::{Simd, Tile};

mod ends;
mod transposed;

pub use ends::{Activation, Tables, TablesMut};
pub use transposed::accumulate_transposed;

use ends::{Affine, Ends, FromTables, Gated, Sum};

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
    /// Packs `b`, `[k, n]` row-major.
    ///
    /// # Panics
    ///
    /// If `b.len() != k * n`.
    pub fn new(isa: Isa, k: usize, n: usize, b: &[f32]) -> Packed {
        let mut packed = Packed { isa, k, n, panels: vec![0.0; k * isa.padded(n)] };
        packed.refill(b, |p, j| p * n + j);
        packed
    }

    /// Packs the transpose of `b`, `[n, k]` row-major: the layout of linear layers and pointwise convolutions.
    ///
    /// # Panics
    ///
    /// If `b.len() != k * n`.
    pub fn transposed(isa: Isa, k: usize, n: usize, b: &[f32]) -> Packed {
        let mut packed = Packed { isa, k, n, panels: vec![0.0; k * isa.padded(n)] };
        packed.refill(b, |p, j| j * k + p);
        packed
    }

    fn refill(&mut self, b: &[f32], index: impl Fn(usize, usize) -> usize) {
        let (k, n) = (self.k, self.n);
        assert_eq!(b.len(), k * n, "a {k} by {n} matrix");
        for (first, vectors, offset) in panels(self.isa, k, n) {
            let width = vectors * self.isa.lanes();
            for p in 0..k {
                for j in first..(first + width).min(n) {
                    self.panels[offset + p * width + j - first] = b[index(p, j)];
                }
            }
        }
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

/// `C = activation(A · B + bias) + residual`.
///
/// `a` is `[m, k]` with rows `lda` apart, `bias` has `n` values (or none), `residual` has the layout of `c`,
/// `[m, n]` with rows `ldc` apart.
///
/// # Panics
///
/// If a slice is shorter than its shape.
#[derive(Clone, Copy, Debug, Default)]
pub struct AffineOptions<'a> {
    /// Added to each row before the activation; `n` values.
    pub bias: Option<&'a [f32]>,
    /// Applied to each value.
    pub activation: Activation,
    /// Added after the activation; same shape and row distance as the result.
    pub residual: Option<&'a [f32]>,
}

/// `C = activation(A · B + bias) + residual`; see [`AffineOptions`].
///
/// # Panics
///
/// If a slice is shorter than its shape says.
pub fn affine(
    a: &[f32],
    lda: usize,
    m: usize,
    b: &Packed,
    options: AffineOptions<'_>,
    c: &mut [f32],
    ldc: usize,
) {
    check_matrix(c.len(), m, b.n, ldc, "result");
    if let Some(bias) = options.bias {
        assert_eq!(bias.len(), b.n, "one bias a column");
    }
    if let Some(residual) = options.residual {
        check_matrix(residual.len(), m, b.n, ldc, "residual");
    }
    let ends = Affine {
        bias: options.bias.map(<[f32]>::as_ptr),
        activation: options.activation,
        residual: options.residual.map(<[f32]>::as_ptr),
        c: c.as_mut_ptr(),
        ldc,
        n: b.n,
    };
    product(a, lda, m, b, ends);
}

/// `C += A · B`, shapes as in [`affine`].
///
/// # Panics
///
/// If a slice is shorter than its shape says.
pub fn accumulate(a: &[f32], lda: usize, m: usize, b: &Packed, c: &mut [f32], ldc: usize) {
    check_matrix(c.len(), m, b.n, ldc, "result");
    product(a, lda, m, b, Sum { c: c.as_mut_ptr(), ldc, n: b.n });
}

/// `C = relu(A · B + table_x[column of the row] + table_y[row of the row])`.
///
/// `c` has rows of `ldc >= padded(n)` values, and the padding is written with zeros.
///
/// # Panics
///
/// If a slice is shorter than its shape says or a table index is out of range.
pub fn relu_from_tables(
    a: &[f32],
    lda: usize,
    m: usize,
    b: &Packed,
    tables: Tables<'_>,
    c: &mut [f32],
    ldc: usize,
) {
    check_matrix(c.len(), m, b.isa.padded(b.n), ldc, "result");
    tables.check(b.isa.padded(b.n), m);
    let ends = FromTables { tables: tables.raw(), c: c.as_mut_ptr(), ldc };
    product(a, lda, m, b, ends);
}

/// `C = (A · B) where gate > 0, else 0`, and each row of C is added to its two table rows.
///
/// `gate` and `c` have rows of `ldc >= padded(n)` values.
///
/// # Panics
///
/// If a slice is shorter than its shape says or a table index is out of range.
pub fn gated_into_tables(
    a: &[f32],
    lda: usize,
    m: usize,
    b: &Packed,
    gate: &[f32],
    tables: TablesMut<'_>,
    c: &mut [f32],
    ldc: usize,
) {
    let width = b.isa.padded(b.n);
    check_matrix(c.len(), m, width, ldc, "result");
    check_matrix(gate.len(), m, width, ldc, "gate");
    tables.check(width, m);
    let ends = Gated { gate: gate.as_ptr(), tables: tables.raw(), c: c.as_mut_ptr(), ldc };
    product(a, lda, m, b, ends);
}

fn check_matrix(len: usize, m: usize, n: usize, ld: usize, what: &str) {
    assert!(ld >= n, "rows of the {what} are {ld} apart, fewer than {n} columns");
    assert!(m == 0 || len >= (m - 1) * ld + n, "the {what} has {len} values, {m} rows of {n} need more");
}

fn product<E: Ends>(a: &[f32], lda: usize, m: usize, b: &Packed, ends: E) {
    check_matrix(a.len(), m, b.k, lda, "left factor");
    if m == 0 || b.n == 0 {
        return;
    }
    b.isa.run(Product { a: a.as_ptr(), lda, m, b, ends });
}

struct Product<'a, E> {
    a: *const f32,
    lda: usize,
    m: usize,
    b: &'a Packed,
    ends: E,
}

/// A block of rows of A is reused by all panels before the next one comes: 128 KiB stay in L2.
const A_BLOCK_VALUES: usize = 32 * 1024;

impl<E: Ends> Kernel for Product<'_, E> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Product { a, lda, m, b, ends } = self;
        let block = (A_BLOCK_VALUES / b.k.max(1)).clamp(48, 4096).next_multiple_of(48);
        for first_row in (0..m).step_by(block) {
            let rows = first_row..(first_row + block).min(m);
            for (column, vectors, offset) in panels(b.isa, b.k, b.n) {
                // SAFETY: `offset` is inside the packed data; the ends were checked against `m` and `n`.
                unsafe {
                    let panel = b.panels.as_ptr().add(offset);
                    S::tile(
                        vectors,
                        PanelRows { a, lda, rows: rows.clone(), m, k: b.k, panel, column, ends },
                    );
                }
            }
        }
    }
}

/// All row tiles of one panel.
struct PanelRows<E> {
    a: *const f32,
    lda: usize,
    rows: std::ops::Range<usize>,
    m: usize,
    k: usize,
    panel: *const f32,
    column: usize,
    ends: E,
}

impl<E: Ends> Tile for PanelRows<E> {
    #[inline(always)]
    unsafe fn run<S: Simd, const ROWS: usize, const VECTORS: usize>(self) {
        let mut row = self.rows.start;
        while row < self.rows.end {
            let count = ROWS.min(self.rows.end - row);
            // SAFETY: rows past the last repeat it, so every pointer is inside A; the panel has `k` rows of
            // `VECTORS` vectors.
            unsafe {
                let rows: [usize; ROWS] = std::array::from_fn(|i| (row + i).min(self.m - 1));
                let mut acc = self.ends.start::<S, ROWS, VECTORS>(&rows, self.column);
                let base = self.a.add(row * self.lda);
                let at: [usize; ROWS] = std::array::from_fn(|i| (rows[i] - row) * self.lda);
                let mut b = self.panel;
                for p in 0..self.k {
                    let b_row: [S::V; VECTORS] = std::array::from_fn(|j| S::load(b.add(j * S::LANES)));
                    b = b.add(VECTORS * S::LANES);
                    for i in 0..ROWS {
                        let x = S::splat(*base.add(at[i] + p));
                        for j in 0..VECTORS {
                            acc[i][j] = S::mul_add(x, b_row[j], acc[i][j]);
                        }
                    }
                }
                self.ends.finish::<S, ROWS, VECTORS>(acc, row, count, self.column);
            }
            row += ROWS;
        }
    }
}
