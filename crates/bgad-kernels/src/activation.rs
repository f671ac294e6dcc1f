//! Exponential and its relatives on slices.
//!
//! ```text
//! exp x     = 2^n · e^r,  n = round(x / ln 2),  r = x − n ln 2 in two parts,  e^r by a polynomial of degree 7
//! tanh x    = x + x³ P(x²)  below |x| = 0.625,   1 − 2 / (e^{2|x|} + 1) with the sign of x above
//! sigmoid x = 1 / (1 + e^{−x})
//! silu x    = x / (1 + 2^t),  t = −x / ln 2,  2^t = 2^n · 2^r with r = t − n in one part,  2^r of degree 5 (minimax)
//! ```
//!
//! tanh through exp alone loses its relative accuracy at small arguments, and the coupling's arguments are small.
//! Measured against `f64` over all lengths and ranges in the tests: exp within 2 ULP, tanh and sigmoid within 4, silu
//! within 4 + |x| (the rounding of t grows with it; a third fewer operations than through sigmoid). NaN gives NaN.

use crate::isa::{Isa, Kernel};
use crate::simd::Simd;

/// `e^x`; arguments are clamped to [-87.3, 88.3], where the result is a normal number.
#[inline(always)]
pub(crate) fn exp_v<S: Simd>(simd: S, x: S::V) -> S::V {
    let x = simd.clamp(x, -87.3, 88.3);
    let n = simd.round(simd.mul(x, simd.splat(std::f32::consts::LOG2_E)));
    // ln 2 in two parts: the first has few enough bits that n times it is exact.
    let r = simd.mul_add(n, simd.splat(-0.693_359_4), x);
    let r = simd.mul_add(n, simd.splat(2.121_944_4e-4), r);
    // 1/7!, 1/6!, ... 1/2!
    let mut p = simd.splat(1.984_127e-4);
    for c in [1.388_888_9e-3, 8.333_334e-3, 4.166_666_6e-2, 1.666_666_7e-1, 0.5] {
        p = simd.mul_add(p, r, simd.splat(c));
    }
    let p = simd.add(simd.mul_add(simd.mul(r, r), p, r), simd.splat(1.0));
    simd.scale_pow2(p, n)
}

/// `1 / (1 + e^{−x})`.
#[inline(always)]
pub(crate) fn sigmoid_v<S: Simd>(simd: S, x: S::V) -> S::V {
    let e = exp_v(simd, simd.sub(simd.splat(0.0), x));
    simd.reciprocal(simd.add(simd.splat(1.0), e))
}

/// `x · sigmoid(x)`.
#[inline(always)]
pub(crate) fn silu_v<S: Simd>(simd: S, x: S::V) -> S::V {
    let t = simd.mul(x, simd.splat(-std::f32::consts::LOG2_E));
    let t = simd.clamp(t, -126.0, 125.0);
    let n = simd.round(t);
    let r = simd.sub(t, n);
    let mut p = simd.splat(1.327_647_2e-3);
    for c in [9.675_541e-3, 5.550_713e-2, 2.402_212e-1, 6.931_469_4e-1, 1.0] {
        p = simd.mul_add(p, r, simd.splat(c));
    }
    let e = simd.scale_pow2(p, n);
    simd.mul(x, simd.reciprocal(simd.add(simd.splat(1.0), e)))
}

/// `tanh x`.
#[inline(always)]
pub(crate) fn tanh_v<S: Simd>(simd: S, x: S::V) -> S::V {
    let (one, size) = (simd.splat(1.0), simd.abs(x));
    // Taylor-like coefficients of (tanh x − x) / x³ in x², fitted on |x| ≤ 0.625 (Cephes, S. Moshier).
    let z = simd.mul(x, x);
    let mut p = simd.splat(-5.704_988_7e-3);
    for c in [2.063_909e-2, -5.373_971_6e-2, 1.333_144_2e-1, -0.333_332_8] {
        p = simd.mul_add(p, z, simd.splat(c));
    }
    let small = simd.mul_add(simd.mul(p, z), x, x);
    let e = exp_v(simd, simd.add(size, size));
    let large = simd.copysign(simd.sub(one, simd.div(simd.splat(2.0), simd.add(e, one))), x);
    // NaN is not below 0.625; the branch above keeps it.
    simd.where_less(size, simd.splat(0.625), small, large)
}

macro_rules! in_place {
    ($(#[$doc:meta])* $name:ident, $kernel:ident, $vector:ident) => {
        $(#[$doc])*
        pub fn $name(isa: Isa, x: &mut [f32]) {
            isa.run($kernel(x));
        }

        struct $kernel<'a>(&'a mut [f32]);

        impl Kernel for $kernel<'_> {
            type Output = ();

            #[inline(always)]
            fn run<S: Simd>(self, simd: S) {
                for chunk in self.0.chunks_mut(S::LANES) {
                    let v = $vector(simd, simd.read(chunk));
                    simd.write(chunk, v);
                }
            }
        }
    };
}

in_place!(
    /// `x ← e^x`, arguments clamped to [-87.3, 88.3].
    exp_mut, Exp, exp_v
);
in_place!(
    /// `x ← tanh x`.
    tanh_mut, Tanh, tanh_v
);
in_place!(
    /// `x ← 1 / (1 + e^{−x})`.
    sigmoid_mut, Sigmoid, sigmoid_v
);
in_place!(
    /// `x ← x / (1 + e^{−x})`.
    silu_mut, Silu, silu_v
);

#[cfg(test)]
mod tests {
    use super::*;

    fn worst_ulp(
        isa: Isa,
        f: fn(Isa, &mut [f32]),
        exact: fn(f64) -> f64,
        range: std::ops::Range<f32>,
    ) -> f64 {
        let count = 100_003;
        let step = (range.end - range.start) / count as f32;
        let x: Vec<f32> = (0..count).map(|i| range.start + i as f32 * step).collect();
        let mut y = x.clone();
        f(isa, &mut y);
        x.iter()
            .zip(&y)
            .map(|(&x, &y)| {
                let want = exact(f64::from(x));
                let ulp = f64::from((want as f32).abs().max(f32::MIN_POSITIVE)) * f64::from(f32::EPSILON);
                (f64::from(y) - want).abs() / ulp
            })
            .fold(0.0, f64::max)
    }

    #[test]
    fn errors_stay_within_the_stated_ulps() {
        for isa in Isa::available() {
            for (name, f, exact, range, allowed) in [
                ("exp", exp_mut as fn(Isa, &mut [f32]), f64::exp as fn(f64) -> f64, -87.0..88.0, 2.0),
                ("exp", exp_mut, f64::exp, -0.01..0.01, 2.0),
                ("tanh", tanh_mut, f64::tanh, -12.0..12.0, 4.0),
                ("tanh", tanh_mut, f64::tanh, -1e-3..1e-3, 4.0),
                ("sigmoid", sigmoid_mut, |x| 1.0 / (1.0 + (-x).exp()), -80.0..80.0, 4.0),
            ] {
                let worst = worst_ulp(isa, f, exact, range.clone());
                assert!(worst <= allowed, "{name} on {} over {range:?}: {worst} ULP", isa.name());
            }
        }
    }

    #[test]
    fn silu_errs_by_no_more_than_its_argument_and_four_ulps() {
        for isa in Isa::available() {
            let x: Vec<f32> = (-80_000..=80_000).map(|i| i as f32 * 1e-3).collect();
            let mut y = x.clone();
            silu_mut(isa, &mut y);
            for (&x, &y) in x.iter().zip(&y) {
                let want = f64::from(x) / (1.0 + f64::from(-x).exp());
                let allowed = (4.0 + f64::from(x.abs())) * want.abs() * f64::from(f32::EPSILON);
                assert!((f64::from(y) - want).abs() <= allowed, "silu {x} on {}: {y}, {want}", isa.name());
            }
            let mut x = [-1e30, -1000.0, 0.0, 1000.0, 1e30];
            silu_mut(isa, &mut x);
            assert!(x[0].abs() < 1e-7 && x[1].abs() < 1e-30 && x[2..] == [0.0, 1000.0, 1e30], "{x:?}");
        }
    }

    #[test]
    fn nan_stays_nan_and_leaves_its_neighbours_alone() {
        for isa in Isa::available() {
            for f in [exp_mut as fn(Isa, &mut [f32]), tanh_mut, sigmoid_mut, silu_mut] {
                for at in 0..19 {
                    let mut x = [0.25; 19];
                    x[at] = f32::NAN;
                    f(isa, &mut x);
                    for (i, y) in x.iter().enumerate() {
                        assert_eq!(y.is_nan(), i == at, "{}: {i} of {x:?}", isa.name());
                    }
                }
            }
        }
    }

    #[test]
    fn every_length_and_the_extremes() {
        for isa in Isa::available() {
            for len in 0..=40 {
                let mut x: Vec<f32> = (0..len).map(|i| i as f32 - 20.0).collect();
                tanh_mut(isa, &mut x);
                for (i, y) in x.iter().enumerate() {
                    assert!((y - (i as f32 - 20.0).tanh()).abs() <= 3e-7, "length {len}, {i}");
                }
            }
            let mut x = [-1e30, -200.0, 0.0, 200.0, 1e30];
            tanh_mut(isa, &mut x);
            assert_eq!(x, [-1.0, -1.0, 0.0, 1.0, 1.0]);
            let mut x = [-1e30, -1000.0, 0.0];
            exp_mut(isa, &mut x);
            assert!(x[0] >= 0.0 && x[0] < 2e-38 && x[1] == x[0] && x[2] == 1.0, "{x:?}");
        }
    }
}
