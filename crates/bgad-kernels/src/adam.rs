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

/// What one step of [`adam`] reads and changes. All slices have the same length.
#[derive(Debug)]
pub struct Step<'a> {
    /// Moved against the gradients.
    pub params: &'a mut [f32],
    /// The gradient of each parameter.
    pub gradients: &'a [f32],
    /// First moments, zero before the first step.
    pub m: &'a mut [f32],
    /// Second moments, zero before the first step.
    pub v: &'a mut [f32],
    /// Size of the step.
    pub learning_rate: f32,
    /// Counts from 1.
    pub number: u64,
}

/// Takes one step.
///
/// # Panics
///
/// If lengths differ or the step's number is 0.
pub fn adam(isa: Isa, step: Step<'_>) {
    let n = step.params.len();
    assert!(
        step.gradients.len() == n && step.m.len() == n && step.v.len() == n,
        "{n} parameters need as many gradients and moments, found {}, {} and {}",
        step.gradients.len(),
        step.m.len(),
        step.v.len()
    );
    assert!(step.number > 0, "steps count from 1");
    let t = step.number.min(i32::MAX as u64) as i32;
    let rate = (f64::from(step.learning_rate) / (1.0 - f64::from(BETA1).powi(t))) as f32;
    let inverse_root = (1.0 / (1.0 - f64::from(BETA2).powi(t)).sqrt()) as f32;
    isa.run(Adam { step, rate, inverse_root });
}

struct Adam<'a> {
    step: Step<'a>,
    rate: f32,
    inverse_root: f32,
}

impl Kernel for Adam<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Step { params, gradients, m, v, .. } = self.step;
        let total = params.len();
        // With equal lengths in sight, the compiler drops the checks in the loop.
        let (gradients, ms, vs) = (&gradients[..total], &mut m[..total], &mut v[..total]);
        let mut i = 0;
        while i < total {
            let g = simd.read(&gradients[i..]);
            let m = simd.read(&ms[i..]);
            let m = simd.mul_add(simd.splat(1.0 - BETA1), simd.sub(g, m), m);
            let v = simd.mul(simd.splat(BETA2), simd.read(&vs[i..]));
            let v = simd.mul_add(simd.splat(1.0 - BETA2), simd.mul(g, g), v);
            let root = simd.mul_add(simd.sqrt(v), simd.splat(self.inverse_root), simd.splat(EPSILON));
            let step = simd.div(simd.mul(simd.splat(self.rate), m), root);
            let p = simd.sub(simd.read(&params[i..]), step);
            simd.write(&mut params[i..], p);
            simd.write(&mut ms[i..], m);
            simd.write(&mut vs[i..], v);
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
                    let (params, gradients, m, v) = (&mut p[..], &g[..], &mut m[..], &mut v[..]);
                    adam(isa, Step { params, gradients, m, v, learning_rate: 1e-2, number: t as u64 });
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
