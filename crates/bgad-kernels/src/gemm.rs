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

use crate::isa::Kernel;
use crate::matrix::{MatMut, MatRef, assert_shape};
use crate::simd::{Simd, Tile};

mod ends;
mod packed;
mod tables;
mod transposed;

pub use ends::Activation;
pub use packed::Packed;
pub use tables::{Tables, TablesMut};
pub use transposed::accumulate_transposed;

pub(crate) use packed::panels;

use ends::{Affine, Ends, FromTables, Gated, RawEnds, Sum};

/// What [`affine`] adds to a product and applies to it.
#[derive(Clone, Copy, Debug, Default)]
pub struct AffineOptions<'a> {
    /// Added to each row; `n` values.
    pub bias: Option<&'a [f32]>,
    /// Added before the activation, `[m, n]`.
    pub residual: Option<MatRef<'a>>,
    /// Applied to each value.
    pub activation: Activation,
}

/// `C = activation(A · B + bias + residual)`, with `a` `[m, k]` and `c` `[m, n]`; see [`AffineOptions`].
///
/// # Panics
///
/// If shapes disagree.
pub fn affine(a: MatRef<'_>, b: &Packed, options: AffineOptions<'_>, c: MatMut<'_>) {
    let shape = (a.rows(), b.n());
    assert_shape("result", (c.rows(), c.cols()), shape);
    if let Some(bias) = options.bias {
        assert!(bias.len() == b.n(), "bias: expected {} values, found {}", b.n(), bias.len());
    }
    if let Some(residual) = options.residual {
        assert_shape("residual", (residual.rows(), residual.cols()), shape);
    }
    let AffineOptions { bias, activation, residual } = options;
    product(a, b, Affine { bias, activation, residual, c });
}

/// `C += A · B`, shapes as in [`affine`].
///
/// # Panics
///
/// If shapes disagree.
pub fn accumulate(a: MatRef<'_>, b: &Packed, c: MatMut<'_>) {
    assert_shape("result", (c.rows(), c.cols()), (a.rows(), b.n()));
    product(a, b, Sum { c });
}

/// `C = relu(A · B + table_x[column of the row] + table_y[row of the row])`.
///
/// `c` and the tables have at least `padded(n)` columns; the padding is written with the sum of the tables' own.
///
/// # Panics
///
/// If shapes disagree or a table has no row for an index.
pub fn relu_from_tables(a: MatRef<'_>, b: &Packed, tables: Tables<'_>, c: MatMut<'_>) {
    let ends = FromTables { tables: tables.checked(), c };
    assert_padded("result", ends.c.cols(), b);
    assert_padded("tables", ends.tables.cols(), b);
    assert_rows([("result", ends.c.rows()), ("table indices", ends.tables.rows())], a.rows());
    product(a, b, ends);
}

/// `C = (A · B) where gate > 0, else 0`, and each row of C is added to its two table rows. Where the gate is NaN, the
/// product passes.
///
/// `gate`, `c` and the tables have at least `padded(n)` columns.
///
/// # Panics
///
/// If shapes disagree or a table has no row for an index.
pub fn gated_into_tables(a: MatRef<'_>, b: &Packed, gate: MatRef<'_>, tables: TablesMut<'_>, c: MatMut<'_>) {
    let ends = Gated { gate, tables: tables.checked(), c };
    assert_padded("result", ends.c.cols(), b);
    assert_padded("gate", gate.cols(), b);
    assert_padded("tables", ends.tables.cols(), b);
    let rows = [("result", ends.c.rows()), ("gate", gate.rows()), ("table indices", ends.tables.rows())];
    assert_rows(rows, a.rows());
    product(a, b, ends);
}

#[track_caller]
fn assert_padded(what: &str, cols: usize, b: &Packed) {
    let wanted = b.isa().padded(b.n());
    assert!(cols >= wanted, "{what}: expected rows of at least {wanted} values, found {cols}");
}

#[track_caller]
fn assert_rows<const N: usize>(found: [(&str, usize); N], wanted: usize) {
    for (what, found) in found {
        assert!(found == wanted, "{what}: expected {wanted} rows, found {found}");
    }
}

#[track_caller]
fn product<E: Ends>(a: MatRef<'_>, b: &Packed, ends: E) {
    assert!(a.cols() == b.k(), "left factor: expected rows of {} values, found {}", b.k(), a.cols());
    if a.rows() == 0 || b.n() == 0 {
        return;
    }
    b.isa().run(Product { a, b, ends });
}

struct Product<'a, E> {
    a: MatRef<'a>,
    b: &'a Packed,
    ends: E,
}

/// A block of rows of A is reused by all panels before the next one comes: 128 KiB stay in L2.
const A_BLOCK_VALUES: usize = 32 * 1024;

impl<E: Ends> Kernel for Product<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Product { a, b, mut ends } = self;
        let m = a.rows();
        let block = (A_BLOCK_VALUES / b.k().max(1)).clamp(48, 4096).next_multiple_of(48);
        for first_row in (0..m).step_by(block) {
            let rows = first_row..(first_row + block).min(m);
            for (column, vectors, panel) in b.panels() {
                simd.tile(vectors, PanelRows { a, rows: rows.clone(), panel, column, ends: &mut ends });
            }
        }
    }
}

/// All row tiles of one panel.
struct PanelRows<'a, E> {
    a: MatRef<'a>,
    rows: std::ops::Range<usize>,
    /// As many rows of whole vectors as A has columns.
    panel: &'a [f32],
    column: usize,
    ends: &'a mut E,
}

impl<E: Ends> Tile for PanelRows<'_, E> {
    #[inline(always)]
    fn run<S: Simd, const ROWS: usize, const VECTORS: usize>(self, simd: S) {
        let PanelRows { a, rows, panel, column, ends } = self;
        let (m, k, lda) = (a.rows(), a.cols(), a.stride());
        // Once a panel; all that is unsafe below follows from it.
        assert!(rows.end <= m && panel.len() == k * VECTORS * S::LANES);
        assert!(ends.holds::<S>(m, column, VECTORS));
        let ends = ends.raw();
        let mut row = rows.start;
        while row < rows.end {
            let count = ROWS.min(rows.end - row);
            let these: [usize; ROWS] = std::array::from_fn(|i| (row + i).min(m - 1));
            // SAFETY: `row < m`, and rows past the last repeat it, so every row is below `m` and its `k` values are inside
            // A; the panel has `k` rows of `VECTORS` vectors; the ends hold `m` rows and these vectors.
            unsafe {
                let mut acc = ends.start::<S, ROWS, VECTORS>(simd, &these, column);
                let base = a.as_ptr().add(row * lda);
                let at: [usize; ROWS] = std::array::from_fn(|i| (these[i] - row) * lda);
                let mut b = panel.as_ptr();
                for p in 0..k {
                    let b_row: [S::V; VECTORS] = std::array::from_fn(|j| simd.load(b.add(j * S::LANES)));
                    b = b.add(VECTORS * S::LANES);
                    for i in 0..ROWS {
                        let x = simd.splat(*base.add(at[i] + p));
                        for j in 0..VECTORS {
                            acc[i][j] = simd.mul_add(x, b_row[j], acc[i][j]);
                        }
                    }
                }
                for (i, acc) in acc.iter().enumerate() {
                    if i == count {
                        break;
                    }
                    ends.finish::<S, VECTORS>(simd, acc, row + i, column);
                }
            }
            row += ROWS;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Isa;

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
                let packed = Packed::transposed(isa, MatRef::dense(&b, n, k));
                for activation in [Activation::None, Activation::Relu, Activation::Relu6, Activation::Silu] {
                    let mut c = vec![9.0; m * ldc];
                    let residual_view = MatRef::strided(&residual, m, n, ldc);
                    let options =
                        AffineOptions { bias: Some(&bias), activation, residual: Some(residual_view) };
                    let to = MatMut::strided(&mut c, m, n, ldc);
                    affine(MatRef::strided(&a, m, k, lda), &packed, options, to);
                    for (i, row) in c.chunks(ldc).enumerate() {
                        for j in 0..n {
                            let x = want[i * n + j] + f64::from(bias[j]) + f64::from(residual[i * ldc + j]);
                            let y = match activation {
                                Activation::None => x,
                                Activation::Relu => x.max(0.0),
                                Activation::Relu6 => x.clamp(0.0, 6.0),
                                Activation::Silu => x / (1.0 + (-x).exp()),
                            };
                            let what = format!("{} {m}x{k}x{n} {activation:?} [{i},{j}]", isa.name());
                            assert_close(row[j], y, k, &what);
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
                let packed = Packed::new(isa, MatRef::dense(&b, k, n));
                accumulate(MatRef::dense(&a, m, k), &packed, MatMut::dense(&mut c, m, n));
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
                let (left, right) = (MatRef::strided(&a, rows, m, lda), MatRef::strided(&b, rows, n, ldb));
                accumulate_transposed(isa, left, right, MatMut::strided(&mut c, m, n, ldc));
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
                let packed = Packed::new(isa, MatRef::dense(&b, k, n));
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
                let (tx, ty) = (MatRef::dense(&x, 3, ld), MatRef::dense(&y, 4, ld));
                let tables = Tables { x: tx, y: ty, column: &column, row: &row };
                let left = MatRef::dense(&a, m, k);
                relu_from_tables(left, &packed, tables, MatMut::dense(&mut c, m, ld));
                let want = reference(&a, k, m, k, n, |p, j| b[p * n + j]);
                let (mut dx, mut dy) = (vec![0.0; x.len()], vec![0.0; y.len()]);
                let mut d = vec![9.0; m * ld];
                let (sum_x, sum_y) = (MatMut::dense(&mut dx, 3, ld), MatMut::dense(&mut dy, 4, ld));
                let sums = TablesMut { x: sum_x, y: sum_y, column: &column, row: &row };
                let gate = MatRef::dense(&c, m, ld);
                gated_into_tables(left, &packed, gate, sums, MatMut::dense(&mut d, m, ld));
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
    #[should_panic(expected = "the table of columns has 3 rows, an index asks for row 3")]
    fn table_index_out_of_range_is_refused() {
        let isa = Isa::best();
        let one = MatRef::dense(&[1.0], 1, 1);
        let table = MatRef::dense(&[0.0; 3 * 16], 3, 16);
        let tables = Tables { x: table, y: table, column: &[3], row: &[0] };
        relu_from_tables(one, &Packed::new(isa, one), tables, MatMut::dense(&mut [0.0; 16], 1, 16));
    }
}
