//! One step of Adam (Kingma & Ba 2015) as PyTorch takes it, without weight decay.
//!
//! ```text
//! m ← m + (1 − β1)(g − m)      v ← β2 v + (1 − β2) g²
//! p ← p − lr/(1 − β1^t) · m / (sqrt(v) / sqrt(1 − β2^t) + ε)
//! ```

use crate::isa::{Isa, Kernel};
use crate::simd::Simd;

/// First and second moment decay, and the guard of the division: PyTorch's defaults.
const BETA1: f32 = 0.9;
const BETA2: f32 = 0.999;
const EPSILON: f32 = 1e-8;

/// Moves `params` against `gradients`. `m` and `v` are the moments, zero before the first step; `step` counts
/// from 1. All slices have the same length.
///
/// # Panics
///
/// If lengths differ or `step` is 0.
pub fn adam(
    isa: Isa,
    params: &mut [f32],
    gradients: &[f32],
    m: &mut [f32],
    v: &mut [f32],
    learning_rate: f32,
    step: u64,
) {
    let n = params.len();
    assert!(gradients.len() == n && m.len() == n && v.len() == n, "one gradient and two moments a parameter");
    assert!(step > 0, "steps count from 1");
    let t = step.min(i32::MAX as u64) as i32;
    let rate = (f64::from(learning_rate) / (1.0 - f64::from(BETA1).powi(t))) as f32;
    let inverse_root = (1.0 / (1.0 - f64::from(BETA2).powi(t)).sqrt()) as f32;
    isa.run(Adam { params, gradients, m, v, rate, inverse_root });
}

struct Adam<'a> {
    params: &'a mut [f32],
    gradients: &'a [f32],
    m: &'a mut [f32],
    v: &'a mut [f32],
    rate: f32,
    inverse_root: f32,
}

impl Kernel for Adam<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let total = self.params.len();
        let mut i = 0;
        while i < total {
            let n = total - i;
            // SAFETY: all four slices have `total` values; loads and stores stop there.
            unsafe {
                let (p_at, m_at, v_at) =
                    (self.params.as_mut_ptr().add(i), self.m.as_mut_ptr().add(i), self.v.as_mut_ptr().add(i));
                let g = S::load_up_to(self.gradients.as_ptr().add(i), n);
                let m = S::load_up_to(m_at, n);
                let m = S::mul_add(S::splat(1.0 - BETA1), S::sub(g, m), m);
                let v = S::mul(S::splat(BETA2), S::load_up_to(v_at, n));
                let v = S::mul_add(S::splat(1.0 - BETA2), S::mul(g, g), v);
                let root = S::mul_add(S::sqrt(v), S::splat(self.inverse_root), S::splat(EPSILON));
                let step = S::div(S::mul(S::splat(self.rate), m), root);
                S::store_up_to(p_at, n, S::sub(S::load_up_to(p_at, n), step));
                S::store_up_to(m_at, n, m);
                S::store_up_to(v_at, n, v);
            }
            i += S::LANES;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_formula_at_all_lengths() {
        for isa in Isa::available() {
            for n in 0..=40 {
                let mut p: Vec<f32> = (0..n).map(|i| i as f32 * 0.1).collect();
                let mut want: Vec<f64> = p.iter().map(|&p| f64::from(p)).collect();
                let (mut m, mut v) = (vec![0.0; n], vec![0.0; n]);
                let (mut wm, mut wv) = (vec![0f64; n], vec![0f64; n]);
                for t in 1..=3 {
                    let g: Vec<f32> = (0..n).map(|i| ((i * t) as f32 * 0.37).sin()).collect();
                    adam(isa, &mut p, &g, &mut m, &mut v, 1e-2, t as u64);
                    for i in 0..n {
                        let g = f64::from(g[i]);
                        wm[i] = 0.9 * wm[i] + 0.1 * g;
                        wv[i] = 0.999 * wv[i] + 0.001 * g * g;
                        let (mh, vh) =
                            (wm[i] / (1.0 - 0.9f64.powi(t as i32)), wv[i] / (1.0 - 0.999f64.powi(t as i32)));
                        want[i] -= 1e-2 * mh / (vh.sqrt() + 1e-8);
                    }
                }
                for i in 0..n {
                    // β as f32 differs from 0.999 by 1e-8, which 1 − β2 magnifies a thousandfold.
                    assert!((f64::from(p[i]) - want[i]).abs() < 1e-5, "{} length {n} [{i}]", isa.name());
                }
            }
        }
    }
}
