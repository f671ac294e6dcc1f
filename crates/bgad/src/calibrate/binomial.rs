//! What a count among n images says about the rate behind it.
//!
//! ```text
//! P(Bin(n, p) ≤ k) = I_{1−p}(n − k, k + 1)
//! upper bound (Clopper-Pearson)   the p with P(Bin(n, p) ≤ k) = δ        1 if k = n
//! lower bound                     the p with P(Bin(n, p) ≥ k) = δ        0 if k = 0
//! allowed(n, p, δ)                the largest k with P(Bin(n, p) ≤ k) ≤ δ
//! needed(p, δ)                    the smallest n with (1 − p)^n ≤ δ
//! ```

use serde::{Deserialize, Serialize};

use super::beta;

/// Halvings of `[0, 1]`, down to the last bit of an f64 near 1e-3.
const HALVINGS: usize = 60;

/// A rate as it was counted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rate {
    /// How many of the images it happened to.
    pub count: usize,
    /// How many images there were.
    pub images: usize,
    /// The rate is at least this, with the confidence asked for (Clopper-Pearson).
    pub at_least: f64,
    /// The rate is at most this, with the confidence asked for.
    pub at_most: f64,
}

impl Rate {
    /// `count` of `images`, each bound with the confidence `1 − delta`.
    pub fn new(count: usize, images: usize, delta: f64) -> Rate {
        Rate {
            count,
            images,
            at_least: at_least(count, images, delta),
            at_most: at_most(count, images, delta),
        }
    }

    /// The share counted; `None` of no image.
    pub fn share(&self) -> Option<f64> {
        (self.images > 0).then(|| self.count as f64 / self.images as f64)
    }
}

/// `P(Bin(n, p) ≤ k)`.
pub fn at_most_k(k: usize, n: usize, p: f64) -> f64 {
    if k >= n { 1.0 } else { beta::regularised(1.0 - p, (n - k) as f64, k as f64 + 1.0) }
}

/// One-sided upper bound of Clopper and Pearson.
fn at_most(k: usize, n: usize, delta: f64) -> f64 {
    if k >= n { 1.0 } else { root(|p| at_most_k(k, n, p) > delta) }
}

/// One-sided lower bound.
fn at_least(k: usize, n: usize, delta: f64) -> f64 {
    if k == 0 { 0.0 } else { root(|p| 1.0 - at_most_k(k - 1, n, p) < delta) }
}

/// Where a condition that holds at 0 and not at 1 ceases to.
fn root(holds: impl Fn(f64) -> bool) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..HALVINGS {
        let middle = 0.5 * (low + high);
        if holds(middle) { low = middle } else { high = middle }
    }
    high
}

/// How many of `n` may exceed a threshold that a rate of at most `p` can be promised for with confidence `1 − delta`;
/// `None` if not even none of them is proof enough.
pub fn allowed(n: usize, p: f64, delta: f64) -> Option<usize> {
    if at_most_k(0, n, p) > delta {
        return None;
    }
    // Largest k that holds; the tail grows with k.
    let (mut low, mut high) = (0, n);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if at_most_k(middle, n, p) <= delta { low = middle } else { high = middle }
    }
    Some(low)
}

/// The fewest images that can prove a rate of at most `p` with confidence `1 − delta`: all of them must comply.
pub fn needed(p: f64, delta: f64) -> usize {
    let mut n = (delta.ln() / (-p).ln_1p()).ceil().max(1.0) as usize;
    // The quotient may be a rounding error off; `allowed` is what decides.
    while n > 1 && allowed(n - 1, p, delta).is_some() {
        n -= 1;
    }
    while allowed(n, p, delta).is_none() {
        n += 1;
    }
    n
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tail summed term by term.
    fn summed(k: usize, n: usize, p: f64) -> f64 {
        let (mut term, mut sum) = ((1.0 - p).powi(n as i32), 0.0);
        for i in 0..=k {
            sum += term;
            term *= (n - i) as f64 / (i + 1) as f64 * p / (1.0 - p);
        }
        sum
    }

    #[test]
    fn the_tail_is_the_sum_of_its_terms() {
        for n in [1, 2, 7, 59, 200] {
            for p in [0.001, 0.05, 0.5, 0.9] {
                for k in [0, 1, 2, n / 2, n - 1].into_iter().filter(|k| *k < n) {
                    assert!((at_most_k(k, n, p) - summed(k, n, p)).abs() < 1e-11, "P(Bin({n}, {p}) <= {k})");
                }
                assert_eq!(at_most_k(n, n, p), 1.0);
            }
        }
    }

    #[test]
    fn bounds_are_those_of_the_tables() {
        // Two-sided 95 % limits of Clopper and Pearson, so delta 0.025 (and 0.05 where noted).
        let cases = [
            (0, 10, 0.025, 0.0, 0.308_497_1),
            (1, 10, 0.025, 0.002_528_579, 0.445_016_1),
            (5, 10, 0.025, 0.187_086, 0.812_914),
            (10, 10, 0.025, 0.691_502_9, 1.0),
            (0, 59, 0.05, 0.0, 0.049_507_3),
            (0, 0, 0.05, 0.0, 1.0),
        ];
        for (count, images, delta, low, high) in cases {
            let rate = Rate::new(count, images, delta);
            assert!((rate.at_least - low).abs() < 1e-6, "{rate:?}");
            assert!((rate.at_most - high).abs() < 1e-6, "{rate:?}");
        }
    }

    #[test]
    fn what_is_allowed_is_proved_and_one_more_is_not() {
        // The classical sizes of tolerance limits at 95 %: 59 for 5 %, 93 for one exceedance, 299 for 1 %, 598 for 0.5 %.
        let cases = [
            (58, 0.05, None),
            (59, 0.05, Some(0)),
            (92, 0.05, Some(0)),
            (93, 0.05, Some(1)),
            (298, 0.01, None),
        ];
        for (n, p, want) in cases {
            assert_eq!(allowed(n, p, 0.05), want, "{n} images, {p}");
        }
        assert_eq!([0.05, 0.01, 0.005].map(|p| needed(p, 0.05)), [59, 299, 598]);
        assert_eq!(needed(0.5, 0.5), 1);
        for n in [60, 300, 2000] {
            let k = allowed(n, 0.06, 0.1).expect("enough images");
            assert!(Rate::new(k, n, 0.1).at_most <= 0.06 && Rate::new(k + 1, n, 0.1).at_most > 0.06, "{n}");
        }
    }
}
