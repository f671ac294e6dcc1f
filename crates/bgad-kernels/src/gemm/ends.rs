//! What a product's tile starts from and what happens to it before it is stored.

use super::tables::{CheckedTables, CheckedTablesMut, RawTables};
use crate::activation;
use crate::matrix::{MatMut, MatRef};
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
    /// NaN stays NaN, whichever it is.
    #[inline(always)]
    pub(crate) fn apply<S: Simd>(self, simd: S, v: S::V) -> S::V {
        match self {
            Activation::None => v,
            Activation::Relu => simd.relu(v),
            Activation::Relu6 => simd.clamp(v, 0.0, 6.0),
            Activation::Silu => activation::silu_v(simd, v),
        }
    }
}

/// Beginning and end of a product's tiles, in checked views.
pub(super) trait Ends {
    /// The addresses behind the views: what stays in registers while tiles run.
    type Raw: RawEnds;

    /// Whether all rows below `rows` can be started and finished in `vectors` vectors from `column` on: the condition of
    /// [`RawEnds`]. A panel asks once.
    fn holds<S: Simd>(&self, rows: usize, column: usize, vectors: usize) -> bool;

    fn raw(&mut self) -> Self::Raw;
}

/// The work of [`Ends`]. Valid as long as the views it was made of are borrowed.
pub(super) trait RawEnds: Copy {
    /// The tile before the product. `rows` are row numbers of the product (the last ones may repeat), `column` is the
    /// tile's first column.
    ///
    /// # Safety
    ///
    /// The views must still be borrowed, and [`Ends::holds`] true of these rows and of `V` vectors from `column` on.
    unsafe fn start<S: Simd, const R: usize, const V: usize>(
        self,
        simd: S,
        rows: &[usize; R],
        column: usize,
    ) -> [[S::V; V]; R];

    /// What happens to neighbouring vectors of the product, from `row` and `column` on.
    ///
    /// # Safety
    ///
    /// The views must still be borrowed, and [`Ends::holds`] true of this row and of `V` vectors from `column` on.
    unsafe fn finish<S: Simd, const V: usize>(self, simd: S, acc: &[S::V; V], row: usize, column: usize);
}

/// Whether each of the vectors begins before the last of `cols` columns ends.
#[inline(always)]
fn begins_inside<S: Simd>(column: usize, vectors: usize, cols: usize) -> bool {
    vectors > 0 && column + (vectors - 1) * S::LANES < cols
}

/// Whether each of the vectors lies in `cols` columns as a whole.
#[inline(always)]
fn lies_inside<S: Simd>(column: usize, vectors: usize, cols: usize) -> bool {
    column + vectors * S::LANES <= cols
}

/// `C = activation(A · B + bias + residual)`.
pub(super) struct Affine<'a> {
    pub(super) bias: Option<&'a [f32]>,
    pub(super) activation: Activation,
    pub(super) residual: Option<MatRef<'a>>,
    pub(super) c: MatMut<'a>,
}

#[derive(Clone, Copy)]
pub(super) struct RawAffine {
    bias: Option<*const f32>,
    activation: Activation,
    residual: Option<(*const f32, usize)>,
    c: *mut f32,
    stride: usize,
    n: usize,
}

impl Ends for Affine<'_> {
    type Raw = RawAffine;

    #[inline(always)]
    fn holds<S: Simd>(&self, rows: usize, column: usize, vectors: usize) -> bool {
        let (m, n) = (self.c.rows(), self.c.cols());
        rows <= m
            && begins_inside::<S>(column, vectors, n)
            && self.bias.is_none_or(|bias| bias.len() == n)
            && self.residual.is_none_or(|residual| (residual.rows(), residual.cols()) == (m, n))
    }

    #[inline(always)]
    fn raw(&mut self) -> RawAffine {
        RawAffine {
            bias: self.bias.map(<[f32]>::as_ptr),
            activation: self.activation,
            residual: self.residual.map(|residual| (residual.as_ptr(), residual.stride())),
            stride: self.c.stride(),
            n: self.c.cols(),
            c: self.c.as_mut_ptr(),
        }
    }
}

impl RawEnds for RawAffine {
    #[inline(always)]
    unsafe fn start<S: Simd, const R: usize, const V: usize>(
        self,
        simd: S,
        _rows: &[usize; R],
        column: usize,
    ) -> [[S::V; V]; R] {
        let first: [S::V; V] = match self.bias {
            None => [simd.splat(0.0); V],
            Some(bias) => std::array::from_fn(|j| {
                let at = column + j * S::LANES;
                // SAFETY: every vector begins below column `n`, the bias has `n` values, and the load stops there.
                unsafe { simd.load_up_to(bias.add(at), self.n - at) }
            }),
        };
        [first; R]
    }

    #[inline(always)]
    unsafe fn finish<S: Simd, const V: usize>(self, simd: S, acc: &[S::V; V], row: usize, column: usize) {
        for (j, &v) in acc.iter().enumerate() {
            let column = column + j * S::LANES;
            let left = self.n - column;
            let mut v = v;
            // SAFETY: the row and the first column are inside result and residual; loads and stores stop at column `n`.
            unsafe {
                if let Some((residual, stride)) = self.residual {
                    v = simd.add(v, simd.load_up_to(residual.add(row * stride + column), left));
                }
                let v = self.activation.apply(simd, v);
                simd.store_up_to(self.c.add(row * self.stride + column), left, v);
            }
        }
    }
}

/// `C += A · B`.
pub(super) struct Sum<'a> {
    pub(super) c: MatMut<'a>,
}

#[derive(Clone, Copy)]
pub(super) struct RawSum {
    c: *mut f32,
    stride: usize,
    n: usize,
}

impl Ends for Sum<'_> {
    type Raw = RawSum;

    #[inline(always)]
    fn holds<S: Simd>(&self, rows: usize, column: usize, vectors: usize) -> bool {
        rows <= self.c.rows() && begins_inside::<S>(column, vectors, self.c.cols())
    }

    #[inline(always)]
    fn raw(&mut self) -> RawSum {
        RawSum { stride: self.c.stride(), n: self.c.cols(), c: self.c.as_mut_ptr() }
    }
}

impl RawEnds for RawSum {
    #[inline(always)]
    unsafe fn start<S: Simd, const R: usize, const V: usize>(
        self,
        simd: S,
        rows: &[usize; R],
        column: usize,
    ) -> [[S::V; V]; R] {
        std::array::from_fn(|i| {
            std::array::from_fn(|j| {
                let at = column + j * S::LANES;
                // SAFETY: the row and the first column are inside, the load stops at column `n`.
                unsafe { simd.load_up_to(self.c.add(rows[i] * self.stride + at), self.n - at) }
            })
        })
    }

    #[inline(always)]
    unsafe fn finish<S: Simd, const V: usize>(self, simd: S, acc: &[S::V; V], row: usize, column: usize) {
        for (j, &v) in acc.iter().enumerate() {
            let column = column + j * S::LANES;
            // SAFETY: the row and the first column are inside, the store stops at column `n`.
            unsafe { simd.store_up_to(self.c.add(row * self.stride + column), self.n - column, v) }
        }
    }
}

/// `C = relu(A · B + table_x[column of the row] + table_y[row of the row])`.
pub(super) struct FromTables<'a> {
    pub(super) tables: CheckedTables<'a>,
    pub(super) c: MatMut<'a>,
}

#[derive(Clone, Copy)]
pub(super) struct RawFromTables {
    tables: RawTables<*const f32>,
    c: *mut f32,
    stride: usize,
}

impl Ends for FromTables<'_> {
    type Raw = RawFromTables;

    #[inline(always)]
    fn holds<S: Simd>(&self, rows: usize, column: usize, vectors: usize) -> bool {
        let cols = self.c.cols().min(self.tables.cols());
        rows <= self.c.rows().min(self.tables.rows()) && lies_inside::<S>(column, vectors, cols)
    }

    #[inline(always)]
    fn raw(&mut self) -> RawFromTables {
        RawFromTables { tables: self.tables.raw(), stride: self.c.stride(), c: self.c.as_mut_ptr() }
    }
}

impl RawEnds for RawFromTables {
    #[inline(always)]
    unsafe fn start<S: Simd, const R: usize, const V: usize>(
        self,
        simd: S,
        rows: &[usize; R],
        column: usize,
    ) -> [[S::V; V]; R] {
        std::array::from_fn(|i| {
            // SAFETY: the row has table rows, and these have all `V` vectors.
            unsafe {
                let (x, y) = self.tables.offsets(rows[i], column);
                let (x, y) = (self.tables.x.add(x), self.tables.y.add(y));
                std::array::from_fn(|j| {
                    simd.add(simd.load(x.add(j * S::LANES)), simd.load(y.add(j * S::LANES)))
                })
            }
        })
    }

    #[inline(always)]
    unsafe fn finish<S: Simd, const V: usize>(self, simd: S, acc: &[S::V; V], row: usize, column: usize) {
        // SAFETY: the row and all `V` vectors are inside.
        unsafe {
            let c = self.c.add(row * self.stride + column);
            for (j, &v) in acc.iter().enumerate() {
                simd.store(c.add(j * S::LANES), simd.relu(v));
            }
        }
    }
}

/// `C = (A · B) where gate > 0, else 0`, and each row of C is added to its two table rows.
pub(super) struct Gated<'a> {
    pub(super) gate: MatRef<'a>,
    pub(super) tables: CheckedTablesMut<'a>,
    pub(super) c: MatMut<'a>,
}

#[derive(Clone, Copy)]
pub(super) struct RawGated {
    gate: *const f32,
    gate_stride: usize,
    tables: RawTables<*mut f32>,
    c: *mut f32,
    stride: usize,
}

impl Ends for Gated<'_> {
    type Raw = RawGated;

    #[inline(always)]
    fn holds<S: Simd>(&self, rows: usize, column: usize, vectors: usize) -> bool {
        let cols = self.c.cols().min(self.gate.cols()).min(self.tables.cols());
        let m = self.c.rows().min(self.gate.rows()).min(self.tables.rows());
        rows <= m && lies_inside::<S>(column, vectors, cols)
    }

    #[inline(always)]
    fn raw(&mut self) -> RawGated {
        RawGated {
            gate: self.gate.as_ptr(),
            gate_stride: self.gate.stride(),
            tables: self.tables.raw(),
            stride: self.c.stride(),
            c: self.c.as_mut_ptr(),
        }
    }
}

impl RawEnds for RawGated {
    #[inline(always)]
    unsafe fn start<S: Simd, const R: usize, const V: usize>(
        self,
        simd: S,
        _rows: &[usize; R],
        _column: usize,
    ) -> [[S::V; V]; R] {
        [[simd.splat(0.0); V]; R]
    }

    #[inline(always)]
    unsafe fn finish<S: Simd, const V: usize>(self, simd: S, acc: &[S::V; V], row: usize, column: usize) {
        // SAFETY: the row and all `V` vectors are inside gate and result; the row has table rows that have them too.
        unsafe {
            let gate = self.gate.add(row * self.gate_stride + column);
            let c = self.c.add(row * self.stride + column);
            let (x, y) = self.tables.offsets(row, column);
            let (x, y) = (self.tables.x.add(x), self.tables.y.add(y));
            // All loads before the first store: the compiler cannot know that they do not overlap.
            let v: [S::V; V] = std::array::from_fn(|j| simd.gated(simd.load(gate.add(j * S::LANES)), acc[j]));
            let sum_x: [S::V; V] = std::array::from_fn(|j| simd.add(simd.load(x.add(j * S::LANES)), v[j]));
            let sum_y: [S::V; V] = std::array::from_fn(|j| simd.add(simd.load(y.add(j * S::LANES)), v[j]));
            for j in 0..V {
                simd.store(c.add(j * S::LANES), v[j]);
                simd.store(x.add(j * S::LANES), sum_x[j]);
                simd.store(y.add(j * S::LANES), sum_y[j]);
            }
        }
    }
}
