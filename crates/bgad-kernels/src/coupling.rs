//! Affine coupling on rows of values, forward and backward, and the per-column affine map that follows it.
//!
//! ```text
//! forward     th = tanh(a_s)    s = alpha th    y = x exp(s) + t    log_det += sum(s)
//! backward    dx = dy exp(s)    dt = dy         da_s = (dy x exp(s) + dlog_det) alpha (1 - th^2)
//! scale       u = v g + o       energy = sum(u^2)
//! ```
//!
//! Rows of `a` and `da` are `[a_s | t]`, `2 d` values. Row and column sums run in a fixed order.

use crate::activation::{exp_v, tanh_v};
use crate::isa::{Isa, Kernel};
use crate::matrix::{MatMut, MatRef, assert_shape};
use crate::simd::Simd;

/// What [`forward`] reads and writes, for `n` rows of `d` active values.
#[derive(Debug)]
pub struct Forward<'a> {
    /// `[n, d]`: the active columns, transformed in place.
    pub v: MatMut<'a>,
    /// `[n, 2 d]`: `[a_s | t]`.
    pub a: MatRef<'a>,
    /// `[n, d]`: the active columns as they were; written.
    pub x: MatMut<'a>,
    /// `[n, d]`: `tanh(a_s)`; written.
    pub tanh: MatMut<'a>,
    /// `[n]`: added to.
    pub log_det: &'a mut [f32],
}

/// Panics unless `a` has two values for each of `n` rows of `d`.
#[track_caller]
fn assert_parameters(what: &str, a: (usize, usize), (n, d): (usize, usize)) {
    let is_even = a.1.is_multiple_of(2);
    assert!(is_even, "{what}: expected an even number of columns, found {}", a.1);
    assert_shape(what, (a.0, a.1 / 2), (n, d));
}

/// Panics unless there is one value a row.
#[track_caller]
fn assert_len(what: &str, found: usize, wanted: usize) {
    assert!(found == wanted, "{what}: expected {wanted} values, found {found}");
}

/// Transforms the active columns in place and keeps what the backward pass needs.
///
/// # Panics
///
/// If shapes disagree.
pub fn forward(isa: Isa, alpha: f32, rows: Forward<'_>) {
    let Forward { v, a, x, tanh, log_det } = &rows;
    let shape = (v.rows(), v.cols());
    assert_parameters("half of the coupling's parameters", (a.rows(), a.cols()), shape);
    assert_shape("kept inputs", (x.rows(), x.cols()), shape);
    assert_shape("kept tanh", (tanh.rows(), tanh.cols()), shape);
    assert_len("log-determinants", log_det.len(), shape.0);
    isa.run(ForwardKernel { alpha, rows });
}

struct ForwardKernel<'a> {
    alpha: f32,
    rows: Forward<'a>,
}

impl Kernel for ForwardKernel<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Forward { mut v, a, mut x, mut tanh, log_det } = self.rows;
        let d = v.cols();
        let [v_stride, a_stride] = [v.stride(), a.stride()];
        let [x_stride, tanh_stride] = [x.stride(), tanh.stride()];
        let (v, a, x, tanh) = (v.as_mut_ptr(), a.as_ptr(), x.as_mut_ptr(), tanh.as_mut_ptr());
        for (r, log_det) in log_det.iter_mut().enumerate() {
            // SAFETY: all matrices have as many rows as there are log-determinants.
            let (v, a, keep_x, keep_tanh) = unsafe {
                (v.add(r * v_stride), a.add(r * a_stride), x.add(r * x_stride), tanh.add(r * tanh_stride))
            };
            let mut sum = simd.splat(0.0);
            let mut j = 0;
            while j < d {
                let n = d - j;
                // SAFETY: the rows have `d` values, those of `a` twice as many, as `forward` checked; loads and stores stop
                // there.
                unsafe {
                    let x = simd.load_up_to(v.add(j), n);
                    let th = tanh_v(simd, simd.load_up_to(a.add(j), n));
                    let e = exp_v(simd, simd.mul(simd.splat(self.alpha), th));
                    simd.store_up_to(v.add(j), n, simd.mul_add(x, e, simd.load_up_to(a.add(d + j), n)));
                    simd.store_up_to(keep_x.add(j), n, x);
                    simd.store_up_to(keep_tanh.add(j), n, th);
                    // Lanes past `d` hold tanh 0 = 0.
                    sum = simd.add(sum, th);
                }
                j += S::LANES;
            }
            *log_det += self.alpha * simd.sum(sum);
        }
    }
}

/// Undoes [`forward`]: the active columns `v`, `[n, d]`, become `(v - t) exp(-s)`, `log_det`, `[n]`, loses `sum(s)`;
/// `a` is `[n, 2 d]`.
///
/// # Panics
///
/// If shapes disagree.
pub fn inverse(alpha: f32, mut v: MatMut<'_>, a: MatRef<'_>, log_det: &mut [f32]) {
    let (n, d) = (v.rows(), v.cols());
    assert_parameters("half of the coupling's parameters", (a.rows(), a.cols()), (n, d));
    assert_len("log-determinants", log_det.len(), n);
    for (r, log_det) in log_det.iter_mut().enumerate() {
        let (a_s, t) = a.row(r).split_at(d);
        for ((v, a_s), t) in v.row_mut(r).iter_mut().zip(a_s).zip(t) {
            let s = alpha * a_s.tanh();
            *v = (*v - t) * (-s).exp();
            *log_det -= s;
        }
    }
}

/// What [`backward`] reads and writes, for `n` rows of `d` active values.
#[derive(Debug)]
pub struct Backward<'a> {
    /// `[n, d]`: the active columns, which turn from `dy` into `dx`.
    pub dv: MatMut<'a>,
    /// `[n, d]`: what [`forward`] kept.
    pub x: MatRef<'a>,
    /// `[n, d]`: what [`forward`] kept.
    pub tanh: MatRef<'a>,
    /// `[n]`: gradients of the log-determinants.
    pub dlog_det: &'a [f32],
    /// `[n, 2 d]`: written.
    pub da: MatMut<'a>,
    /// `[2 d]`: the column sums of `da` are added to it.
    pub da_sum: &'a mut [f32],
}

/// Adjoint of [`forward`].
///
/// # Panics
///
/// If shapes disagree.
pub fn backward(isa: Isa, alpha: f32, rows: Backward<'_>) {
    let Backward { dv, x, tanh, dlog_det, da, da_sum } = &rows;
    let shape = (dv.rows(), dv.cols());
    assert_parameters("half of the parameters' gradient", (da.rows(), da.cols()), shape);
    assert_shape("kept inputs", (x.rows(), x.cols()), shape);
    assert_shape("kept tanh", (tanh.rows(), tanh.cols()), shape);
    assert_len("gradients of the log-determinants", dlog_det.len(), shape.0);
    assert_len("column sums", da_sum.len(), da.cols());
    isa.run(BackwardKernel { alpha, rows });
}

struct BackwardKernel<'a> {
    alpha: f32,
    rows: Backward<'a>,
}

impl Kernel for BackwardKernel<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Backward { mut dv, x, tanh, dlog_det, mut da, da_sum } = self.rows;
        let (alpha, one) = (simd.splat(self.alpha), simd.splat(1.0));
        let d = dv.cols();
        let sums = da_sum.as_mut_ptr();
        let [dv_stride, da_stride] = [dv.stride(), da.stride()];
        let [x_stride, tanh_stride] = [x.stride(), tanh.stride()];
        let (dv, da, x, tanh) = (dv.as_mut_ptr(), da.as_mut_ptr(), x.as_ptr(), tanh.as_ptr());
        for (r, &dlog_det) in dlog_det.iter().enumerate() {
            // SAFETY: all matrices have as many rows as there are gradients of log-determinants.
            let (dv, da, x, tanh) = unsafe {
                (dv.add(r * dv_stride), da.add(r * da_stride), x.add(r * x_stride), tanh.add(r * tanh_stride))
            };
            let dlog_det = simd.splat(dlog_det);
            let mut j = 0;
            while j < d {
                let n = d - j;
                // SAFETY: the rows have `d` values, `da` and the sums twice as many, as `backward` checked; loads and stores
                // stop there.
                unsafe {
                    let dy = simd.load_up_to(dv.add(j), n);
                    let th = simd.load_up_to(tanh.add(j), n);
                    let dx = simd.mul(dy, exp_v(simd, simd.mul(alpha, th)));
                    let ds = simd.mul_add(dx, simd.load_up_to(x.add(j), n), dlog_det);
                    let slope = simd.mul(alpha, simd.sub(one, simd.mul(th, th)));
                    let da_s = simd.mul(ds, slope);
                    simd.store_up_to(dv.add(j), n, dx);
                    simd.store_up_to(da.add(j), n, da_s);
                    simd.store_up_to(da.add(d + j), n, dy);
                    let (sum_s, sum_t) = (sums.add(j), sums.add(d + j));
                    simd.store_up_to(sum_s, n, simd.add(simd.load_up_to(sum_s, n), da_s));
                    simd.store_up_to(sum_t, n, simd.add(simd.load_up_to(sum_t, n), dy));
                }
                j += S::LANES;
            }
        }
    }
}

/// A factor and an addend for each column: `u = v g + o`.
#[derive(Clone, Copy, Debug)]
pub struct ColumnMap<'a> {
    /// One factor a column.
    pub g: &'a [f32],
    /// One addend a column.
    pub o: &'a [f32],
}

impl ColumnMap<'_> {
    #[track_caller]
    fn check(&self, cols: usize) {
        assert_len("factors", self.g.len(), cols);
        assert_len("addends", self.o.len(), cols);
    }
}

/// Sum of squares of each row after a column-wise affine map: `energy[r] = sum_j (v[r, j] g[j] + o[j])^2`.
///
/// `energy` has one value for each row of `v`.
///
/// # Panics
///
/// If shapes disagree.
pub fn scaled_energy(isa: Isa, v: MatRef<'_>, map: ColumnMap<'_>, energy: &mut [f32]) {
    map.check(v.cols());
    assert_len("energies", energy.len(), v.rows());
    isa.run(Energy { v, map, energy });
}

struct Energy<'a> {
    v: MatRef<'a>,
    map: ColumnMap<'a>,
    energy: &'a mut [f32],
}

impl Kernel for Energy<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Energy { v, map, energy } = self;
        let (c, stride) = (v.cols(), v.stride());
        let (v, g, o) = (v.as_ptr(), map.g.as_ptr(), map.o.as_ptr());
        for (r, energy) in energy.iter_mut().enumerate() {
            // SAFETY: the matrix has a row for each energy.
            let v = unsafe { v.add(r * stride) };
            let mut sum = simd.splat(0.0);
            let mut j = 0;
            while j < c {
                let n = c - j;
                // SAFETY: all three have `c` values, as `scaled_energy` checked; loads stop there.
                let u = unsafe {
                    let (g, o) = (simd.load_up_to(g.add(j), n), simd.load_up_to(o.add(j), n));
                    simd.mul_add(simd.load_up_to(v.add(j), n), g, o)
                };
                sum = simd.mul_add(u, u, sum);
                j += S::LANES;
            }
            *energy = simd.sum(sum);
        }
    }
}

/// Adjoint of [`scaled_energy`] with a weight a row: `dv[r, j] = weight[r] (v g + o) g`.
///
/// # Panics
///
/// If shapes disagree.
pub fn scaled_energy_backward(isa: Isa, v: MatRef<'_>, map: ColumnMap<'_>, weight: &[f32], dv: MatMut<'_>) {
    map.check(v.cols());
    assert_len("weights", weight.len(), v.rows());
    assert_shape("gradient", (dv.rows(), dv.cols()), (v.rows(), v.cols()));
    isa.run(EnergyBackward { v, map, weight, dv });
}

struct EnergyBackward<'a> {
    v: MatRef<'a>,
    map: ColumnMap<'a>,
    weight: &'a [f32],
    dv: MatMut<'a>,
}

impl Kernel for EnergyBackward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let EnergyBackward { v, map, weight, mut dv } = self;
        let (c, v_stride, dv_stride) = (v.cols(), v.stride(), dv.stride());
        let (v, g, o, dv) = (v.as_ptr(), map.g.as_ptr(), map.o.as_ptr(), dv.as_mut_ptr());
        for (r, &weight) in weight.iter().enumerate() {
            // SAFETY: both matrices have a row for each weight.
            let (v, dv) = unsafe { (v.add(r * v_stride), dv.add(r * dv_stride)) };
            let weight = simd.splat(weight);
            let mut j = 0;
            while j < c {
                let n = c - j;
                // SAFETY: all four have `c` values, as `scaled_energy_backward` checked; loads and stores stop there.
                unsafe {
                    let g = simd.load_up_to(g.add(j), n);
                    let u = simd.mul_add(simd.load_up_to(v.add(j), n), g, simd.load_up_to(o.add(j), n));
                    simd.store_up_to(dv.add(j), n, simd.mul(simd.mul(weight, u), g));
                }
                j += S::LANES;
            }
        }
    }
}

/// Column sums over rows: `sum[j] += d[r, j]` and `product[j] += d[r, j] v[r, j]`.
///
/// # Panics
///
/// If shapes disagree.
pub fn column_moments(isa: Isa, d: MatRef<'_>, v: MatRef<'_>, sum: &mut [f32], product: &mut [f32]) {
    assert_shape("second factor", (v.rows(), v.cols()), (d.rows(), d.cols()));
    assert_len("sums", sum.len(), d.cols());
    assert_len("sums of products", product.len(), d.cols());
    isa.run(Moments { d, v, sum, product });
}

struct Moments<'a> {
    d: MatRef<'a>,
    v: MatRef<'a>,
    sum: &'a mut [f32],
    product: &'a mut [f32],
}

impl Kernel for Moments<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Moments { d, v, sum, product } = self;
        let (rows, c, d_stride, v_stride) = (d.rows(), d.cols(), d.stride(), v.stride());
        let (d, v, sums, products) = (d.as_ptr(), v.as_ptr(), sum.as_mut_ptr(), product.as_mut_ptr());
        let mut j = 0;
        while j < c {
            let n = c - j;
            // SAFETY: both matrices have `rows` rows of `c` values, and there are `c` sums of each kind, as
            // `column_moments` checked; loads and stores stop there.
            unsafe {
                let mut sum = simd.load_up_to(sums.add(j), n);
                let mut product = simd.load_up_to(products.add(j), n);
                for r in 0..rows {
                    let d = simd.load_up_to(d.add(r * d_stride + j), n);
                    let v = simd.load_up_to(v.add(r * v_stride + j), n);
                    sum = simd.add(sum, d);
                    product = simd.mul_add(d, v, product);
                }
                simd.store_up_to(sums.add(j), n, sum);
                simd.store_up_to(products.add(j), n, product);
            }
            j += S::LANES;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wave(n: usize, seed: f32) -> Vec<f32> {
        (0..n).map(|i| (i as f32 * 0.73 + seed).sin() * 1.3).collect()
    }

    #[track_caller]
    fn assert_close(got: &[f32], want: &[f32], tolerance: f32) {
        for (i, (g, w)) in got.iter().zip(want).enumerate() {
            assert!((g - w).abs() <= tolerance * w.abs().max(1.0), "[{i}]: {g} is not {w}");
        }
    }

    #[test]
    fn forward_and_backward_agree_with_scalars_and_inverse_undoes_at_all_widths() {
        let alpha = 1.9;
        for isa in Isa::available() {
            for d in 1..=40 {
                let (rows, offset, ld) = (3, d % 5, d + d % 5 + d % 3);
                fn active(v: &mut [f32], [rows, offset, d, ld]: [usize; 4]) -> MatMut<'_> {
                    MatMut::strided(v, rows, ld, ld).columns(offset..offset + d)
                }
                let at = [rows, offset, d, ld];
                let v0 = wave(rows * ld, 0.1);
                let a = wave(rows * 2 * d, 0.5);
                let (mut v, mut x, mut th) = (v0.clone(), vec![0.0; rows * d], vec![0.0; rows * d]);
                let mut log_det = vec![1.0; rows];
                let both = MatRef::dense(&a, rows, 2 * d);
                let io = Forward {
                    v: active(&mut v, at),
                    a: both,
                    x: MatMut::dense(&mut x, rows, d),
                    tanh: MatMut::dense(&mut th, rows, d),
                    log_det: &mut log_det,
                };
                forward(isa, alpha, io);
                let mut want = v0.clone();
                let mut want_log_det = vec![1.0; rows];
                for r in 0..rows {
                    for j in 0..d {
                        let s = alpha * a[r * 2 * d + j].tanh();
                        let x = &mut want[r * ld + offset + j];
                        *x = *x * s.exp() + a[r * 2 * d + d + j];
                        want_log_det[r] += s;
                    }
                }
                assert_close(&v, &want, 1e-6);
                assert_close(&log_det, &want_log_det, 1e-5);

                let (dy, dlog_det) = (wave(rows * ld, 0.9), wave(rows, 0.3));
                let (mut dv, mut da, mut sums) = (dy.clone(), vec![0.0; a.len()], vec![0.5; 2 * d]);
                let io = Backward {
                    dv: active(&mut dv, at),
                    x: MatRef::dense(&x, rows, d),
                    tanh: MatRef::dense(&th, rows, d),
                    dlog_det: &dlog_det,
                    da: MatMut::dense(&mut da, rows, 2 * d),
                    da_sum: &mut sums,
                };
                backward(isa, alpha, io);
                let mut want_sums = vec![0.5; 2 * d];
                for r in 0..rows {
                    for j in 0..d {
                        let (th, dy) = (a[r * 2 * d + j].tanh(), dy[r * ld + offset + j]);
                        let e = (alpha * th).exp();
                        let da_s = (dy * v0[r * ld + offset + j] * e + dlog_det[r]) * alpha * (1.0 - th * th);
                        assert_close(&[dv[r * ld + offset + j]], &[dy * e], 1e-6);
                        assert_close(&da[r * 2 * d + j..][..1], &[da_s], 2e-6);
                        assert_close(&da[r * 2 * d + d + j..][..1], &[dy], 0.0);
                        want_sums[j] += da_s;
                        want_sums[d + j] += dy;
                    }
                }
                assert_close(&sums, &want_sums, 1e-5);

                inverse(alpha, active(&mut v, at), both, &mut log_det);
                assert_close(&v, &v0, 1e-5);
                assert_close(&log_det, &[1.0; 3], 1e-5);
            }
        }
    }

    #[test]
    fn energy_and_moments_agree_with_scalars_at_all_widths() {
        for isa in Isa::available() {
            for c in 1..=40 {
                let rows = 4;
                let (v, g, o, w) = (wave(rows * c, 0.2), wave(c, 0.6), wave(c, 0.8), wave(rows, 0.4));
                let (mut energy, mut dv) = (vec![0.0; rows], vec![0.0; rows * c]);
                let (map, rows_of_v) = (ColumnMap { g: &g, o: &o }, MatRef::dense(&v, rows, c));
                scaled_energy(isa, rows_of_v, map, &mut energy);
                scaled_energy_backward(isa, rows_of_v, map, &w, MatMut::dense(&mut dv, rows, c));
                let (mut sum, mut product) = (vec![1.0; c], vec![2.0; c]);
                column_moments(isa, MatRef::dense(&dv, rows, c), rows_of_v, &mut sum, &mut product);
                let (mut want_sum, mut want_product) = (vec![1.0; c], vec![2.0; c]);
                for r in 0..rows {
                    let u: Vec<f32> = (0..c).map(|j| v[r * c + j] * g[j] + o[j]).collect();
                    assert_close(&energy[r..=r], &[u.iter().map(|u| u * u).sum()], 1e-5);
                    for j in 0..c {
                        assert_close(&dv[r * c + j..][..1], &[w[r] * u[j] * g[j]], 1e-6);
                        want_sum[j] += dv[r * c + j];
                        want_product[j] += dv[r * c + j] * v[r * c + j];
                    }
                }
                assert_close(&sum, &want_sum, 1e-5);
                assert_close(&product, &want_product, 1e-5);
            }
        }
    }
}
