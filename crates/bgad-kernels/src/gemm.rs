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
        let mut packed = Packed::zeros(isa, k, n);
        packed.set(b);
        packed
    }

    /// A matrix of zeros.
    pub fn zeros(isa: Isa, k: usize, n: usize) -> Packed {
        Packed { isa, k, n, panels: vec![0.0; k * isa.padded(n)] }
    }

    /// Packs another `b`, `[k, n]` row-major, into the same memory.
    ///
    /// # Panics
    ///
    /// If `b.len() != k * n`.
    pub fn set(&mut self, b: &[f32]) {
        let n = self.n;
        self.refill(b, |p, j| p * n + j);
    }

    /// Packs the transpose of another `b`, `[n, k]` row-major, into the same memory.
    ///
    /// # Panics
    ///
    /// If `b.len() != k * n`.
    pub fn set_transposed(&mut self, b: &[f32]) {
        let k = self.k;
        self.refill(b, |p, j| j * k + p);
    }

    /// Packs the transpose of `b`, `[n, k]` row-major: the layout of linear layers and pointwise convolutions.
    ///
    /// # Panics
    ///
    /// If `b.len() != k * n`.
    pub fn transposed(isa: Isa, k: usize, n: usize, b: &[f32]) -> Packed {
        let mut packed = Packed::zeros(isa, k, n);
        packed.set_transposed(b);
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
#[allow(clippy::too_many_arguments)] // three matrices, two of them with their row distance
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
                for (i, acc) in acc.iter().enumerate() {
                    if i == count {
                        break;
                    }
                    self.ends.finish::<S, VECTORS>(acc, row + i, self.column);
                }
            }
            row += ROWS;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values in [-1, 1) that differ everywhere.
    fn values(n: usize, seed: u32) -> Vec<f32> {
        let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
        (0..n)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 8) as f32 / 8_388_608.0 - 1.0
            })
            .collect()
    }

    /// What a product is.
    fn reference(
        a: &[f32],
        lda: usize,
        m: usize,
        k: usize,
        n: usize,
        b: impl Fn(usize, usize) -> f32,
    ) -> Vec<f64> {
        let mut c = vec![0.0; m * n];
        for i in 0..m {
            for j in 0..n {
                c[i * n + j] = (0..k).map(|p| f64::from(a[i * lda + p]) * f64::from(b(p, j))).sum();
            }
        }
        c
    }

    #[track_caller]
    fn assert_close(got: f32, want: f64, terms: usize, what: &str) {
        // Terms of size one, a rounding each: half an epsilon a term, and the result's own rounding.
        let allowed = f64::from(f32::EPSILON) * (terms as f64 + 2.0) * want.abs().max(1.0);
        assert!((f64::from(got) - want).abs() <= allowed, "{what}: {got} is not {want}");
    }

    #[test]
    fn affine_agrees_with_the_reference_at_all_tails() {
        for isa in Isa::available() {
            for (m, k, n) in (1..=50).map(|n| (n % 27 + 1, 51 - n, n)).chain([
                (1, 1, 1),
                (17, 0, 5),
                (49, 7, 97),
                (130, 33, 120),
                (100, 700, 24),
            ]) {
                let (lda, ldc) = (k + 3, n + 2);
                let a = values(m * lda, 1);
                let b = values(k * n, 2);
                let (bias, residual) = (values(n, 3), values(m * ldc, 4));
                let want = reference(&a, lda, m, k, n, |p, j| b[j * k + p]);
                let packed = Packed::transposed(isa, k, n, &b);
                for activation in [Activation::None, Activation::Relu, Activation::Relu6, Activation::Silu] {
                    let mut c = vec![9.0; m * ldc];
                    let options = AffineOptions { bias: Some(&bias), activation, residual: Some(&residual) };
                    affine(&a, lda, m, &packed, options, &mut c, ldc);
                    for (i, row) in c.chunks(ldc).enumerate() {
                        for j in 0..n {
                            let x = want[i * n + j] + f64::from(bias[j]);
                            let y = match activation {
                                Activation::None => x,
                                Activation::Relu => x.max(0.0),
                                Activation::Relu6 => x.clamp(0.0, 6.0),
                                Activation::Silu => x / (1.0 + (-x).exp()),
                            };
                            let what = format!("{} {m}x{k}x{n} {activation:?} [{i},{j}]", isa.name());
                            assert_close(row[j], y + f64::from(residual[i * ldc + j]), k, &what);
                        }
                        assert_eq!(row[n..], [9.0; 2], "nothing is written between the rows");
                    }
                }
            }
        }
    }

    #[test]
    fn accumulate_adds_to_what_is_there() {
        for isa in Isa::available() {
            for (m, k, n) in [(1, 1, 1), (5, 9, 3), (33, 12, 47), (97, 30, 24)] {
                let (a, b, c0) = (values(m * k, 5), values(k * n, 6), values(m * n, 7));
                let mut c = c0.clone();
                accumulate(&a, k, m, &Packed::new(isa, k, n, &b), &mut c, n);
                let want = reference(&a, k, m, k, n, |p, j| b[p * n + j]);
                for i in 0..m * n {
                    assert_close(c[i], want[i] + f64::from(c0[i]), k + 1, isa.name());
                }
            }
        }
    }

    #[test]
    fn transposed_product_agrees_with_the_reference_at_all_tails() {
        for isa in Isa::available() {
            for (m, n) in (1..=52).map(|n| (53 - n, n)).chain([(12, 280), (376, 120)]) {
                let rows = (m + n) % 40;
                let (lda, ldb, ldc) = (m + 1, n + 5, n + 1);
                let (a, b) = (values(rows * lda, 8), values(rows * ldb, 9));
                let c0 = values(m * ldc, 10);
                let mut c = c0.clone();
                accumulate_transposed(isa, rows, (m, n), &a, lda, &b, ldb, &mut c, ldc);
                for i in 0..m {
                    for j in 0..n {
                        let sum: f64 =
                            (0..rows).map(|r| f64::from(a[r * lda + i]) * f64::from(b[r * ldb + j])).sum();
                        assert_close(c[i * ldc + j], sum + f64::from(c0[i * ldc + j]), rows + 1, isa.name());
                    }
                    assert_eq!(c[i * ldc + n], c0[i * ldc + n], "nothing is written between the rows");
                }
            }
        }
    }

    #[test]
    fn tables_start_and_end_a_product() {
        for isa in Isa::available() {
            for (m, k, n) in [(1, 1, 1), (30, 5, 7), (65, 12, 280)] {
                let ld = isa.padded(n);
                let (a, b) = (values(m * k, 11), values(k * n, 12));
                let packed = Packed::new(isa, k, n, &b);
                // Table rows are zero past column n, as the owner keeps them.
                let table = |rows: usize, seed| {
                    let mut t = values(rows * ld, seed);
                    t.chunks_mut(ld).for_each(|row| row[n..].fill(0.0));
                    t
                };
                let (x, y) = (table(3, 13), table(4, 14));
                let column: Vec<u32> = (0..m as u32).map(|i| i % 3).collect();
                let row: Vec<u32> = (0..m as u32).map(|i| i * 7 % 4).collect();
                let mut c = vec![9.0; m * ld];
                let tables = Tables { x: &x, y: &y, ld, column: &column, row: &row };
                relu_from_tables(&a, k, m, &packed, tables, &mut c, ld);
                let want = reference(&a, k, m, k, n, |p, j| b[p * n + j]);
                let (mut dx, mut dy) = (vec![0.0; x.len()], vec![0.0; y.len()]);
                let mut d = vec![9.0; m * ld];
                let sums = TablesMut { x: &mut dx, y: &mut dy, ld, column: &column, row: &row };
                gated_into_tables(&a, k, m, &packed, &c, sums, &mut d, ld);
                let mut want_dx = vec![0.0; x.len()];
                for i in 0..m {
                    for j in 0..n {
                        let (tx, ty) = (x[column[i] as usize * ld + j], y[row[i] as usize * ld + j]);
                        let h = (want[i * n + j] + f64::from(tx) + f64::from(ty)).max(0.0);
                        assert_close(c[i * ld + j], h, k + 2, "from tables");
                        let g = if c[i * ld + j] > 0.0 { want[i * n + j] } else { 0.0 };
                        assert_close(d[i * ld + j], g, k, "gated");
                        want_dx[column[i] as usize * ld + j] += g;
                    }
                    assert!(c[i * ld + n..(i + 1) * ld].iter().all(|&h| h == 0.0), "padding is zero");
                }
                for (got, want) in dx.iter().zip(&want_dx) {
                    assert_close(*got, *want, m + k, "sum into the column table");
                }
                let total = |t: &[f32]| t.iter().map(|&v| f64::from(v)).sum::<f64>();
                assert!(
                    (total(&dx) - total(&dy)).abs() < 1e-3 * (m * n) as f64,
                    "both tables get everything"
                );
            }
        }
    }

    #[test]
    #[should_panic(expected = "no row 4")]
    fn table_index_out_of_range_is_refused() {
        let isa = Isa::best();
        let packed = Packed::new(isa, 1, 1, &[1.0]);
        let (x, y, ld) = (vec![0.0; 3 * 16], vec![0.0; 3 * 16], 16);
        let tables = Tables { x: &x, y: &y, ld, column: &[3], row: &[0] };
        relu_from_tables(&[1.0], 1, 1, &packed, tables, &mut [0.0; 16], ld);
    }
}
