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
use crate::simd::Simd;

/// The active halves of some rows: `d` values at `offset` in each row of `ld`.
#[derive(Clone, Copy, Debug)]
pub struct Active {
    /// How many rows.
    pub rows: usize,
    /// Active values in a row.
    pub d: usize,
    /// Where the active values of a row begin.
    pub offset: usize,
    /// Distance between rows.
    pub ld: usize,
}

impl Active {
    fn check(&self, v: usize, a: usize, saved: usize, row: usize) {
        let Active { rows, d, offset, ld } = *self;
        assert!(offset + d <= ld && v >= rows * ld, "{rows} rows of {ld} values, {v} given");
        assert!(a >= rows * 2 * d, "{rows} rows of {} parameters, {a} given", 2 * d);
        assert!(saved >= rows * d, "{rows} rows of {d} saved values, {saved} given");
        assert!(row >= rows, "{rows} log-determinants, {row} given");
    }
}

/// Transforms the active half of `v` in place and keeps what the backward pass needs.
///
/// `a`: `[rows, 2 d]`; `x` and `tanh`: `[rows, d]`, written; `log_det`: `[rows]`, added to.
///
/// # Panics
///
/// If a slice is shorter than its shape says.
#[allow(clippy::too_many_arguments)] // one layer's inputs and outputs
pub fn forward(
    isa: Isa,
    active: Active,
    alpha: f32,
    v: &mut [f32],
    a: &[f32],
    x: &mut [f32],
    tanh: &mut [f32],
    log_det: &mut [f32],
) {
    active.check(v.len(), a.len(), x.len().min(tanh.len()), log_det.len());
    isa.run(Forward { active, alpha, v, a, x, tanh, log_det });
}

struct Forward<'a> {
    active: Active,
    alpha: f32,
    v: &'a mut [f32],
    a: &'a [f32],
    x: &'a mut [f32],
    tanh: &'a mut [f32],
    log_det: &'a mut [f32],
}

impl Kernel for Forward<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Active { rows, d, offset, ld } = self.active;
        for r in 0..rows {
            // SAFETY: the slices were checked against `active`; loads and stores stop at `d`.
            unsafe {
                let v = self.v.as_mut_ptr().add(r * ld + offset);
                let a = self.a.as_ptr().add(r * 2 * d);
                let (keep_x, keep_tanh) = (self.x.as_mut_ptr().add(r * d), self.tanh.as_mut_ptr().add(r * d));
                let mut sum = S::splat(0.0);
                let mut j = 0;
                while j < d {
                    let n = d - j;
                    let x = S::load_up_to(v.add(j), n);
                    let th = tanh_v::<S>(S::load_up_to(a.add(j), n));
                    let e = exp_v::<S>(S::mul(S::splat(self.alpha), th));
                    S::store_up_to(v.add(j), n, S::mul_add(x, e, S::load_up_to(a.add(d + j), n)));
                    S::store_up_to(keep_x.add(j), n, x);
                    S::store_up_to(keep_tanh.add(j), n, th);
                    // Lanes past `d` hold tanh 0 = 0.
                    sum = S::add(sum, th);
                    j += S::LANES;
                }
                *self.log_det.get_unchecked_mut(r) += self.alpha * S::sum(sum);
            }
        }
    }
}

/// Undoes [`forward`]: the active half of `v` becomes `(v - t) exp(-s)`, `log_det` loses `sum(s)`.
///
/// # Panics
///
/// If a slice is shorter than its shape says.
pub fn inverse(active: Active, alpha: f32, v: &mut [f32], a: &[f32], log_det: &mut [f32]) {
    let Active { rows, d, offset, ld } = active;
    active.check(v.len(), a.len(), rows * d, log_det.len());
    for r in 0..rows {
        let v = &mut v[r * ld + offset..][..d];
        let (a_s, t) = a[r * 2 * d..][..2 * d].split_at(d);
        for ((v, a_s), t) in v.iter_mut().zip(a_s).zip(t) {
            let s = alpha * a_s.tanh();
            *v = (*v - t) * (-s).exp();
            log_det[r] -= s;
        }
    }
}

/// Adjoint of [`forward`]: the active half of `dv` turns from `dy` into `dx`.
///
/// `x` and `tanh`: what forward kept; `dlog_det`: `[rows]`; `da`: `[rows, 2 d]`, written; `da_sum`: `[2 d]`, the
/// column sums of `da` are added to it.
///
/// # Panics
///
/// If a slice is shorter than its shape says.
#[allow(clippy::too_many_arguments)] // one layer's inputs and outputs
pub fn backward(
    isa: Isa,
    active: Active,
    alpha: f32,
    dv: &mut [f32],
    x: &[f32],
    tanh: &[f32],
    dlog_det: &[f32],
    da: &mut [f32],
    da_sum: &mut [f32],
) {
    active.check(dv.len(), da.len(), x.len().min(tanh.len()), dlog_det.len());
    assert_eq!(da_sum.len(), 2 * active.d, "one sum a column");
    isa.run(Backward { active, alpha, dv, x, tanh, dlog_det, da, da_sum });
}

struct Backward<'a> {
    active: Active,
    alpha: f32,
    dv: &'a mut [f32],
    x: &'a [f32],
    tanh: &'a [f32],
    dlog_det: &'a [f32],
    da: &'a mut [f32],
    da_sum: &'a mut [f32],
}

impl Kernel for Backward<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Active { rows, d, offset, ld } = self.active;
        // SAFETY: the slices were checked against `active`; loads and stores stop at `d`.
        unsafe {
            let (alpha, one) = (S::splat(self.alpha), S::splat(1.0));
            let sums = self.da_sum.as_mut_ptr();
            for r in 0..rows {
                let dv = self.dv.as_mut_ptr().add(r * ld + offset);
                let da = self.da.as_mut_ptr().add(r * 2 * d);
                let (x, tanh) = (self.x.as_ptr().add(r * d), self.tanh.as_ptr().add(r * d));
                let dlog_det = S::splat(*self.dlog_det.get_unchecked(r));
                let mut j = 0;
                while j < d {
                    let n = d - j;
                    let dy = S::load_up_to(dv.add(j), n);
                    let th = S::load_up_to(tanh.add(j), n);
                    let dx = S::mul(dy, exp_v::<S>(S::mul(alpha, th)));
                    let ds = S::mul_add(dx, S::load_up_to(x.add(j), n), dlog_det);
                    let slope = S::mul(alpha, S::sub(one, S::mul(th, th)));
                    let da_s = S::mul(ds, slope);
                    S::store_up_to(dv.add(j), n, dx);
                    S::store_up_to(da.add(j), n, da_s);
                    S::store_up_to(da.add(d + j), n, dy);
                    S::store_up_to(sums.add(j), n, S::add(S::load_up_to(sums.add(j), n), da_s));
                    S::store_up_to(sums.add(d + j), n, S::add(S::load_up_to(sums.add(d + j), n), dy));
                    j += S::LANES;
                }
            }
        }
    }
}

/// Sum of squares of each row after a column-wise affine map: `energy[r] = sum_j (v[r, j] g[j] + o[j])^2`.
///
/// `v` is `[rows, c]` contiguous, `g` and `o` have `c` values, `energy` one a row.
///
/// # Panics
///
/// If a slice is shorter than its shape says.
pub fn scaled_energy(isa: Isa, v: &[f32], g: &[f32], o: &[f32], energy: &mut [f32]) {
    assert!(g.len() == o.len() && v.len() >= energy.len() * g.len(), "rows of {} values", g.len());
    isa.run(Energy { v, g, o, energy });
}

struct Energy<'a> {
    v: &'a [f32],
    g: &'a [f32],
    o: &'a [f32],
    energy: &'a mut [f32],
}

impl Kernel for Energy<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let c = self.g.len();
        for (r, energy) in self.energy.iter_mut().enumerate() {
            // SAFETY: loads stop at column `c` of row `r`, checked by the caller.
            unsafe {
                let v = self.v.as_ptr().add(r * c);
                let mut sum = S::splat(0.0);
                let mut j = 0;
                while j < c {
                    let n = c - j;
                    let (g, o) =
                        (S::load_up_to(self.g.as_ptr().add(j), n), S::load_up_to(self.o.as_ptr().add(j), n));
                    let u = S::mul_add(S::load_up_to(v.add(j), n), g, o);
                    sum = S::mul_add(u, u, sum);
                    j += S::LANES;
                }
                *energy = S::sum(sum);
            }
        }
    }
}

/// Adjoint of [`scaled_energy`] with a weight a row: `dv[r, j] = weight[r] (v g + o) g`.
///
/// # Panics
///
/// If a slice is shorter than its shape says.
pub fn scaled_energy_backward(isa: Isa, v: &[f32], g: &[f32], o: &[f32], weight: &[f32], dv: &mut [f32]) {
    let needed = weight.len() * g.len();
    assert!(g.len() == o.len() && v.len() >= needed && dv.len() >= needed, "rows of {} values", g.len());
    isa.run(EnergyBackward { v, g, o, weight, dv });
}

struct EnergyBackward<'a> {
    v: &'a [f32],
    g: &'a [f32],
    o: &'a [f32],
    weight: &'a [f32],
    dv: &'a mut [f32],
}

impl Kernel for EnergyBackward<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let c = self.g.len();
        for (r, &weight) in self.weight.iter().enumerate() {
            // SAFETY: loads and stores stop at column `c` of row `r`, checked by the caller.
            unsafe {
                let (v, dv) = (self.v.as_ptr().add(r * c), self.dv.as_mut_ptr().add(r * c));
                let weight = S::splat(weight);
                let mut j = 0;
                while j < c {
                    let n = c - j;
                    let (g, o) =
                        (S::load_up_to(self.g.as_ptr().add(j), n), S::load_up_to(self.o.as_ptr().add(j), n));
                    let u = S::mul_add(S::load_up_to(v.add(j), n), g, o);
                    S::store_up_to(dv.add(j), n, S::mul(S::mul(weight, u), g));
                    j += S::LANES;
                }
            }
        }
    }
}

/// Column sums over rows: `sum[j] += d[r, j]` and `product[j] += d[r, j] v[r, j]`.
///
/// `d` and `v` are `[rows, c]` contiguous with `c = sum.len()`.
///
/// # Panics
///
/// If the slices disagree in length.
pub fn column_moments(isa: Isa, rows: usize, d: &[f32], v: &[f32], sum: &mut [f32], product: &mut [f32]) {
    let c = sum.len();
    assert!(product.len() == c && d.len() >= rows * c && v.len() >= rows * c, "{rows} rows of {c} values");
    isa.run(Moments { rows, d, v, sum, product });
}

struct Moments<'a> {
    rows: usize,
    d: &'a [f32],
    v: &'a [f32],
    sum: &'a mut [f32],
    product: &'a mut [f32],
}

impl Kernel for Moments<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let c = self.sum.len();
        let mut j = 0;
        while j < c {
            // SAFETY: loads and stores stop at column `c`, checked by the caller.
            unsafe {
                let n = c - j;
                let mut sum = S::load_up_to(self.sum.as_ptr().add(j), n);
                let mut product = S::load_up_to(self.product.as_ptr().add(j), n);
                for r in 0..self.rows {
                    let d = S::load_up_to(self.d.as_ptr().add(r * c + j), n);
                    let v = S::load_up_to(self.v.as_ptr().add(r * c + j), n);
                    sum = S::add(sum, d);
                    product = S::mul_add(d, v, product);
                }
                S::store_up_to(self.sum.as_mut_ptr().add(j), n, sum);
                S::store_up_to(self.product.as_mut_ptr().add(j), n, product);
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
                let active = Active { rows, d, offset, ld };
                let v0 = wave(rows * ld, 0.1);
                let a = wave(rows * 2 * d, 0.5);
                let (mut v, mut x, mut th) = (v0.clone(), vec![0.0; rows * d], vec![0.0; rows * d]);
                let mut log_det = vec![1.0; rows];
                forward(isa, active, alpha, &mut v, &a, &mut x, &mut th, &mut log_det);
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
                backward(isa, active, alpha, &mut dv, &x, &th, &dlog_det, &mut da, &mut sums);
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

                inverse(active, alpha, &mut v, &a, &mut log_det);
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
                scaled_energy(isa, &v, &g, &o, &mut energy);
                scaled_energy_backward(isa, &v, &g, &o, &w, &mut dv);
                let (mut sum, mut product) = (vec![1.0; c], vec![2.0; c]);
                column_moments(isa, rows, &dv, &v, &mut sum, &mut product);
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
