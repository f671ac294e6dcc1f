//! `C[m, n] += A[rows, m]ᵀ · B[rows, n]`: the weight gradients, tall and thin.

use crate::isa::{Isa, Kernel};
use crate::matrix::{MatMut, MatRef, assert_shape};
use crate::simd::{Simd, Tile};

/// Adds `Aᵀ · B` to `c`, `[m, n]`, with `a` `[rows, m]` and `b` `[rows, n]`.
///
/// Sums run over the rows in order, so equal inputs give equal bits.
///
/// # Panics
///
/// If shapes disagree.
pub fn accumulate_transposed(isa: Isa, a: MatRef<'_>, b: MatRef<'_>, c: MatMut<'_>) {
    assert!(a.rows() == b.rows(), "right factor: expected {} rows, found {}", a.rows(), b.rows());
    assert_shape("result", (c.rows(), c.cols()), (a.cols(), b.cols()));
    if a.rows() == 0 || a.cols() == 0 || b.cols() == 0 {
        return;
    }
    isa.run(Transposed { a, b, c });
}

struct Transposed<'a> {
    a: MatRef<'a>,
    b: MatRef<'a>,
    c: MatMut<'a>,
}

impl Kernel for Transposed<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        let vectors = self.b.cols().div_ceil(S::LANES);
        let count = vectors.div_ceil(S::MAX_VECTORS);
        for i in 0..count {
            let (from, to) = (i * vectors / count, (i + 1) * vectors / count);
            simd.tile(to - from, Columns { t: &mut self, first: from * S::LANES });
        }
    }
}

/// All rows of C for one group of columns, the last one cut at `n`.
struct Columns<'t, 'a> {
    t: &'t mut Transposed<'a>,
    first: usize,
}

impl Tile for Columns<'_, '_> {
    #[inline(always)]
    fn run<S: Simd, const ROWS: usize, const VECTORS: usize>(self, simd: S) {
        let first = self.first;
        let Transposed { a: left, b: right, c } = self.t;
        let (m, n, rows) = (c.rows(), c.cols(), right.rows());
        // Once a group; all that is unsafe below follows from it.
        assert!((left.rows(), left.cols(), right.cols()) == (rows, m, n));
        assert!(first + (VECTORS - 1) * S::LANES < n);
        let (lda, ldb, ldc) = (left.stride(), right.stride(), c.stride());
        let whole = first + VECTORS * S::LANES <= n;
        let mut i0 = 0;
        while i0 < m {
            let count = ROWS.min(m - i0);
            // SAFETY: rows of C past `m` repeat the last one and are not stored, so every column of A is below `m` and every
            // row of C too; every vector begins below column `n`, and loads and stores stop there. The pointers into A and
            // B step one row too far after the last, where they are not read: `wrapping_add`.
            unsafe {
                let at: [usize; ROWS] = std::array::from_fn(|i| i.min(count - 1));
                let mut acc: [[S::V; VECTORS]; ROWS] = [[simd.splat(0.0); VECTORS]; ROWS];
                let mut a = left.as_ptr().add(i0);
                let mut b = right.as_ptr().add(first);
                for _ in 0..rows {
                    let b_row: [S::V; VECTORS] = if whole {
                        std::array::from_fn(|j| simd.load(b.add(j * S::LANES)))
                    } else {
                        std::array::from_fn(|j| {
                            simd.load_up_to(b.add(j * S::LANES), n - first - j * S::LANES)
                        })
                    };
                    for i in 0..ROWS {
                        let x = simd.splat(*a.add(at[i]));
                        for j in 0..VECTORS {
                            acc[i][j] = simd.mul_add(x, b_row[j], acc[i][j]);
                        }
                    }
                    a = a.wrapping_add(lda);
                    b = b.wrapping_add(ldb);
                }
                for (i, acc) in acc.iter().enumerate() {
                    if i == count {
                        break;
                    }
                    let c = c.as_mut_ptr().add((i0 + i) * ldc + first);
                    for (j, &v) in acc.iter().enumerate() {
                        let (at, left) = (j * S::LANES, n - first - j * S::LANES);
                        let sum = simd.add(simd.load_up_to(c.add(at), left), v);
                        simd.store_up_to(c.add(at), left, sum);
                    }
                }
            }
            i0 += ROWS;
        }
    }
}
