//! What a product's tile starts from and what happens to it before it is stored.

use crate::activation;
use crate::simd::Simd;

/// What follows the sum of a linear layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Activation {
    /// The value itself.
    #[default]
    None,
    /// `max(x, 0)`.
    Relu,
    /// `min(max(x, 0), 6)`.
    Relu6,
    /// `x · sigmoid(x)`.
    Silu,
}

impl Activation {
    #[inline(always)]
    pub(crate) unsafe fn apply<S: Simd>(self, v: S::V) -> S::V {
        // SAFETY: register arithmetic on the instruction set the caller runs.
        unsafe {
            match self {
                Activation::None => v,
                Activation::Relu => S::max(v, S::splat(0.0)),
                Activation::Relu6 => S::min(S::max(v, S::splat(0.0)), S::splat(6.0)),
                Activation::Silu => activation::silu_v::<S>(v),
            }
        }
    }
}

/// Two tables and, for each row of a product, the row of each that belongs to it.
#[derive(Clone, Copy, Debug)]
pub struct Tables<'a> {
    /// `[columns, ld]`.
    pub x: &'a [f32],
    /// `[rows, ld]`.
    pub y: &'a [f32],
    /// Row length of both tables, at least the padded width of the product.
    pub ld: usize,
    /// For each row of the product its row in `x`.
    pub column: &'a [u32],
    /// For each row of the product its row in `y`.
    pub row: &'a [u32],
}

/// [`Tables`] that are added to.
#[derive(Debug)]
pub struct TablesMut<'a> {
    /// `[columns, ld]`.
    pub x: &'a mut [f32],
    /// `[rows, ld]`.
    pub y: &'a mut [f32],
    /// Row length of both tables, at least the padded width of the product.
    pub ld: usize,
    /// For each row of the product its row in `x`.
    pub column: &'a [u32],
    /// For each row of the product its row in `y`.
    pub row: &'a [u32],
}

/// Pointers of [`Tables`] or [`TablesMut`], checked.
#[derive(Clone, Copy)]
pub(super) struct RawTables {
    x: *mut f32,
    y: *mut f32,
    ld: usize,
    column: *const u32,
    row: *const u32,
}

fn check_tables(lens: [usize; 2], ld: usize, width: usize, indices: [&[u32]; 2], m: usize) {
    assert!(ld >= width, "table rows of {ld} values, {width} needed");
    for (len, index) in lens.into_iter().zip(indices) {
        assert!(index.len() >= m, "{} table indices for {m} rows", index.len());
        let last = index[..m].iter().max().map_or(0, |&i| i as usize + 1);
        assert!(last * ld <= len, "table of {len} values has no row {last}");
    }
}

impl Tables<'_> {
    pub(super) fn check(&self, width: usize, m: usize) {
        check_tables([self.x.len(), self.y.len()], self.ld, width, [self.column, self.row], m);
    }

    pub(super) fn raw(&self) -> RawTables {
        // The pointers are only read through.
        RawTables {
            x: self.x.as_ptr().cast_mut(),
            y: self.y.as_ptr().cast_mut(),
            ld: self.ld,
            column: self.column.as_ptr(),
            row: self.row.as_ptr(),
        }
    }
}

impl TablesMut<'_> {
    pub(super) fn check(&self, width: usize, m: usize) {
        check_tables([self.x.len(), self.y.len()], self.ld, width, [self.column, self.row], m);
    }

    pub(super) fn raw(self) -> RawTables {
        RawTables {
            x: self.x.as_mut_ptr(),
            y: self.y.as_mut_ptr(),
            ld: self.ld,
            column: self.column.as_ptr(),
            row: self.row.as_ptr(),
        }
    }
}

/// Beginning and end of a tile. `rows` are row numbers of the product (the last ones may repeat), `column` is
/// the tile's first column.
///
/// # Safety
///
/// Implementations touch rows below the product's `m` and, but for padded buffers, columns below its `n`.
pub(super) trait Ends: Copy {
    unsafe fn start<S: Simd, const R: usize, const V: usize>(
        &self,
        rows: &[usize; R],
        column: usize,
    ) -> [[S::V; V]; R];

    /// What happens to neighbouring vectors of the product, from `row` and `column` on.
    unsafe fn finish<S: Simd, const V: usize>(&self, acc: &[S::V; V], row: usize, column: usize);
}

#[derive(Clone, Copy)]
pub(super) struct Affine {
    pub bias: Option<*const f32>,
    pub activation: Activation,
    pub residual: Option<*const f32>,
    pub c: *mut f32,
    pub ldc: usize,
    pub n: usize,
}

impl Ends for Affine {
    #[inline(always)]
    unsafe fn start<S: Simd, const R: usize, const V: usize>(
        &self,
        _rows: &[usize; R],
        column: usize,
    ) -> [[S::V; V]; R] {
        // SAFETY: loads stop at column `n`.
        unsafe {
            let first: [S::V; V] = match self.bias {
                None => [S::splat(0.0); V],
                Some(bias) => std::array::from_fn(|j| {
                    let at = column + j * S::LANES;
                    S::load_up_to(bias.add(at), self.n - at)
                }),
            };
            [first; R]
        }
    }

    #[inline(always)]
    unsafe fn finish<S: Simd, const V: usize>(&self, acc: &[S::V; V], row: usize, column: usize) {
        // SAFETY: the row is below `m`; loads and stores stop at column `n`.
        unsafe {
            for (j, &v) in acc.iter().enumerate() {
                let column = column + j * S::LANES;
                let (offset, left) = (row * self.ldc + column, self.n - column);
                let mut v = self.activation.apply::<S>(v);
                if let Some(residual) = self.residual {
                    v = S::add(v, S::load_up_to(residual.add(offset), left));
                }
                S::store_up_to(self.c.add(offset), left, v);
            }
        }
    }
}

#[derive(Clone, Copy)]
pub(super) struct Sum {
    pub c: *mut f32,
    pub ldc: usize,
    pub n: usize,
}

impl Ends for Sum {
    #[inline(always)]
    unsafe fn start<S: Simd, const R: usize, const V: usize>(
        &self,
        rows: &[usize; R],
        column: usize,
    ) -> [[S::V; V]; R] {
        // SAFETY: rows are below `m`, loads stop at column `n`.
        unsafe {
            std::array::from_fn(|i| {
                std::array::from_fn(|j| {
                    let at = column + j * S::LANES;
                    S::load_up_to(self.c.add(rows[i] * self.ldc + at), self.n - at)
                })
            })
        }
    }

    #[inline(always)]
    unsafe fn finish<S: Simd, const V: usize>(&self, acc: &[S::V; V], row: usize, column: usize) {
        // SAFETY: the row is below `m`; the store stops at column `n`.
        unsafe {
            for (j, &v) in acc.iter().enumerate() {
                let column = column + j * S::LANES;
                S::store_up_to(self.c.add(row * self.ldc + column), self.n - column, v);
            }
        }
    }
}

#[derive(Clone, Copy)]
pub(super) struct FromTables {
    pub tables: RawTables,
    pub c: *mut f32,
    pub ldc: usize,
}

impl Ends for FromTables {
    #[inline(always)]
    unsafe fn start<S: Simd, const R: usize, const V: usize>(
        &self,
        rows: &[usize; R],
        column: usize,
    ) -> [[S::V; V]; R] {
        let t = &self.tables;
        // SAFETY: indices and padded width were checked against the tables.
        unsafe {
            std::array::from_fn(|i| {
                let x = t.x.add(*t.column.add(rows[i]) as usize * t.ld + column);
                let y = t.y.add(*t.row.add(rows[i]) as usize * t.ld + column);
                std::array::from_fn(|j| S::add(S::load(x.add(j * S::LANES)), S::load(y.add(j * S::LANES))))
            })
        }
    }

    #[inline(always)]
    unsafe fn finish<S: Simd, const V: usize>(&self, acc: &[S::V; V], row: usize, column: usize) {
        // SAFETY: the row is below `m`; rows of `c` hold the padded width.
        unsafe {
            let c = self.c.add(row * self.ldc + column);
            for (j, &v) in acc.iter().enumerate() {
                S::store(c.add(j * S::LANES), S::max(v, S::splat(0.0)));
            }
        }
    }
}

#[derive(Clone, Copy)]
pub(super) struct Gated {
    pub gate: *const f32,
    pub tables: RawTables,
    pub c: *mut f32,
    pub ldc: usize,
}

impl Ends for Gated {
    #[inline(always)]
    unsafe fn start<S: Simd, const R: usize, const V: usize>(
        &self,
        _rows: &[usize; R],
        _column: usize,
    ) -> [[S::V; V]; R] {
        // SAFETY: register only.
        unsafe { [[S::splat(0.0); V]; R] }
    }

    #[inline(always)]
    unsafe fn finish<S: Simd, const V: usize>(&self, acc: &[S::V; V], row: usize, column: usize) {
        let (t, offset) = (&self.tables, row * self.ldc + column);
        // SAFETY: the row is below `m`; gate, result and table rows hold the padded width.
        unsafe {
            let x = t.x.add(*t.column.add(row) as usize * t.ld + column);
            let y = t.y.add(*t.row.add(row) as usize * t.ld + column);
            let (gate, c) = (self.gate.add(offset), self.c.add(offset));
            // All loads before the first store: the compiler cannot know that they do not overlap.
            let v: [S::V; V] =
                std::array::from_fn(|j| S::where_positive(S::load(gate.add(j * S::LANES)), acc[j]));
            let sum_x: [S::V; V] = std::array::from_fn(|j| S::add(S::load(x.add(j * S::LANES)), v[j]));
            let sum_y: [S::V; V] = std::array::from_fn(|j| S::add(S::load(y.add(j * S::LANES)), v[j]));
            for j in 0..V {
                S::store(c.add(j * S::LANES), v[j]);
                S::store(x.add(j * S::LANES), sum_x[j]);
                S::store(y.add(j * S::LANES), sum_y[j]);
            }
        }
    }
}
