//! The regularised incomplete beta function.
//!
//! ```text
//! I_x(a, b) = x^a (1 − x)^b / (a B(a, b)) · 1/(1 + d1/(1 + d2/(1 + …)))
//! d_{2m+1}  = −(a + m)(a + b + m) x / ((a + 2m)(a + 2m + 1))        d_{2m} = m (b − m) x / ((a + 2m − 1)(a + 2m))
//! ln Γ(z)   = (z − ½) ln z − z + ½ ln 2π + Σ B_{2k} / (2k (2k − 1) z^{2k−1})      after z has been raised to 10 or more
//! ```
//!
//! The fraction converges fast for `x < (a + 1)/(a + b + 2)`; beyond, `I_x(a, b) = 1 − I_{1−x}(b, a)`. (DLMF 8.17.22, 5.11.1.)

/// Terms of the continued fraction; `O(√max(a, b))` are needed, so this is enough for some million images.
const TERMS: usize = 10_000;

/// `I_x(a, b)` for `a, b > 0` and `x` in `[0, 1]`.
pub(super) fn regularised(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - regularised(1.0 - x, b, a);
    }
    let ln_front = ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * (-x).ln_1p() - a.ln();
    ln_front.exp() * fraction(x, a, b)
}

/// The continued fraction, from the front, by Lentz's method.
fn fraction(x: f64, a: f64, b: f64) -> f64 {
    let away_from_zero = |v: f64| if v.abs() < 1e-300 { 1e-300 } else { v };
    let (mut value, mut c, mut d) = (1.0, 1.0, 0.0);
    for n in 0..TERMS {
        let m = (n / 2) as f64;
        let term = match n {
            0 => 1.0,
            n if n % 2 == 1 => -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0)),
            _ => m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m)),
        };
        d = 1.0 / away_from_zero(1.0 + term * d);
        c = away_from_zero(1.0 + term / c);
        let step = c * d;
        value *= step;
        // The first step is 2 whatever x is.
        if n > 0 && (step - 1.0).abs() < 1e-15 {
            break;
        }
    }
    // `c` began at 1, as if the fraction were 1 + 1/(1 + …).
    value - 1.0
}

/// `ln Γ(z)` for `z > 0`.
fn ln_gamma(z: f64) -> f64 {
    let (mut z, mut product) = (z, 1.0);
    while z < 10.0 {
        product *= z;
        z += 1.0;
    }
    let inverse_square = 1.0 / (z * z);
    // B_{2k} / (2k (2k − 1)) for k = 1 to 6.
    const SERIES: [f64; 6] =
        [1.0 / 12.0, -1.0 / 360.0, 1.0 / 1260.0, -1.0 / 1680.0, 1.0 / 1188.0, -691.0 / 360_360.0];
    let series = SERIES.iter().rev().fold(0.0, |sum, term| sum * inverse_square + term) / z;
    (z - 0.5) * z.ln() - z + 0.5 * (2.0 * std::f64::consts::PI).ln() + series - product.ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ln_gamma_is_that_of_factorials_and_of_one_half() {
        let mut factorial = 1.0_f64;
        for n in 1..=20 {
            assert!((ln_gamma(f64::from(n)) - factorial.ln()).abs() < 1e-12, "{n}");
            factorial *= f64::from(n);
        }
        assert!((ln_gamma(0.5) - std::f64::consts::PI.ln() / 2.0).abs() < 1e-13);
    }

    #[test]
    fn agrees_with_closed_forms_and_with_its_mirror() {
        for x in [0.0_f64, 1e-9, 0.01, 0.3, 0.5, 0.77, 0.999, 1.0] {
            for (a, want) in [(1.0, x), (3.0, x.powi(3)), (0.5, x.sqrt())] {
                assert!((regularised(x, a, 1.0) - want).abs() < 1e-13, "I_{x}({a}, 1)");
            }
            assert!((regularised(x, 1.0, 5.0) - (1.0 - (1.0 - x).powi(5))).abs() < 1e-13, "I_{x}(1, 5)");
            // I_x(2, 3) = 6x² − 8x³ + 3x⁴
            let want = 6.0 * x * x - 8.0 * x.powi(3) + 3.0 * x.powi(4);
            assert!((regularised(x, 2.0, 3.0) - want).abs() < 1e-13, "I_{x}(2, 3)");
            for (a, b) in [(2.5, 7.0), (40.0, 3.0), (1e4, 2e4)] {
                assert!((regularised(x, a, b) + regularised(1.0 - x, b, a) - 1.0).abs() < 1e-12);
            }
        }
    }
}
