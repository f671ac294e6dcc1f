//! `C[m, n] += A[rows, m]ᵀ · B[rows, n]`: the weight gradients, tall and thin.

use super::check_matrix;
use crate::isa::{Isa, Kernel};
use crate::simd::{Simd, Tile};

/// Adds `Aᵀ · B` to `c`, `[m, n]` with rows `ldc` apart.
///
/// `a` is `[rows, m]` with rows `lda` apart, `b` is `[rows, n]` with rows `ldb` apart. Sums run over the rows in
/// order, so equal inputs give equal bits.
///
/// # Panics
///
/// If a slice is shorter than its shape says.
#[allow(clippy::too_many_arguments)] // three matrices with their shapes
pub fn accumulate_transposed(
    isa: Isa,
    rows: usize,
    (m, n): (usize, usize),
    a: &[f32],
    lda: usize,
    b: &[f32],
    ldb: usize,
    c: &mut [f32],
    ldc: usize,
) {
    check_matrix(a.len(), rows, m, lda, "left factor");
    check_matrix(b.len(), rows, n, ldb, "right factor");
    check_matrix(c.len(), m, n, ldc, "result");
    if rows == 0 || m == 0 || n == 0 {
        return;
    }
    isa.run(Transposed { rows, m, n, a: a.as_ptr(), lda, b: b.as_ptr(), ldb, c: c.as_mut_ptr(), ldc });
}

#[derive(Clone, Copy)]
struct Transposed {
    rows: usize,
    m: usize,
    n: usize,
    a: *const f32,
    lda: usize,
    b: *const f32,
    ldb: usize,
    c: *mut f32,
    ldc: usize,
}

impl Kernel for Transposed {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let vectors = self.n.div_ceil(S::LANES);
        let count = vectors.div_ceil(S::MAX_VECTORS);
        for i in 0..count {
            let (from, to) = (i * vectors / count, (i + 1) * vectors / count);
            let columns = Columns { t: self, first: from * S::LANES };
            // SAFETY: the tile covers columns `from..to` in vectors, the last one cut at `n`.
            unsafe { S::tile(to - from, columns) }
        }
    }
}

/// All rows of C for one group of columns.
struct Columns {
    t: Transposed,
    first: usize,
}

impl Tile for Columns {
    #[inline(always)]
    unsafe fn run<S: Simd, const ROWS: usize, const VECTORS: usize>(self) {
        let Columns { t, first } = self;
        let whole = first + VECTORS * S::LANES <= t.n;
        let mut i0 = 0;
        while i0 < t.m {
            let count = ROWS.min(t.m - i0);
            // SAFETY: rows of C past `m` repeat the last one and are not stored; B is cut at column `n`.
            unsafe {
                let at: [usize; ROWS] = std::array::from_fn(|i| i.min(count - 1));
                let mut acc: [[S::V; VECTORS]; ROWS] = [[S::splat(0.0); VECTORS]; ROWS];
                let mut a = t.a.add(i0);
                let mut b = t.b.add(first);
                for _ in 0..t.rows {
                    let b_row: [S::V; VECTORS] = if whole {
                        std::array::from_fn(|j| S::load(b.add(j * S::LANES)))
                    } else {
                        std::array::from_fn(|j| {
                            S::load_up_to(b.add(j * S::LANES), t.n - first - j * S::LANES)
                        })
                    };
                    for i in 0..ROWS {
                        let x = S::splat(*a.add(at[i]));
                        for j in 0..VECTORS {
                            acc[i][j] = S::mul_add(x, b_row[j], acc[i][j]);
                        }
                    }
                    a = a.wrapping_add(t.lda);
                    b = b.wrapping_add(t.ldb);
                }
                for (i, acc) in acc.iter().enumerate() {
                    if i == count {
                        break;
                    }
                    let c = t.c.add((i0 + i) * t.ldc + first);
                    for (j, &v) in acc.iter().enumerate() {
                        let (at, n) = (j * S::LANES, t.n - first - j * S::LANES);
                        S::store_up_to(c.add(at), n, S::add(S::load_up_to(c.add(at), n), v));
                    }
                }
            }
            i0 += ROWS;
        }
    }
}
