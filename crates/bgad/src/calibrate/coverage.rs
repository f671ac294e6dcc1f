//! Does the promise hold? Calibrate on many random parts of the good images, count on the others.
//!
//! ```text
//! n of the N good images, drawn without replacement, give t;  rate(t) = #{x > t} / N over all of them
//! share of draws with rate ≤ α     the promise: at least 1 − δ
//! rest                             the same counted on the N − n others only: a finite sample of its own, so it scatters more
//! ```

use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

use super::{CalibrationError, below_share};

/// What came of the draws.
#[derive(Clone, Debug, PartialEq)]
pub struct Coverage {
    /// Draws made.
    pub draws: usize,
    /// Images calibrated with in each.
    pub calibrated_with: usize,
    /// All good images.
    pub images: usize,
    /// Draws whose false-alarm rate over all images is at most what was promised.
    pub kept: usize,
    /// Draws whose false-alarm rate over the images not calibrated with is.
    pub kept_on_rest: usize,
    /// Mean false-alarm rate over all images.
    pub mean_rate: f64,
    /// Largest false-alarm rate of a draw over all images.
    pub worst_rate: f64,
}

/// Repeats the calibration of a false-alarm rate on `draws` random choices of `calibrate_with` good images.
///
/// # Errors
///
/// [`CalibrationError::NotEnough`] if so many cannot prove it, or if there are not so many.
pub fn coverage(
    good: &[f32],
    calibrate_with: usize,
    rate: f64,
    confidence: f64,
    draws: usize,
    seed: u64,
) -> Result<Coverage, CalibrationError> {
    if good.len() < calibrate_with {
        return Err(CalibrationError::NotEnough { what: "good", found: good.len(), needed: calibrate_with });
    }
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut scores = good.to_vec();
    let mut found = Coverage {
        draws,
        calibrated_with: calibrate_with,
        images: good.len(),
        kept: 0,
        kept_on_rest: 0,
        mean_rate: 0.0,
        worst_rate: 0.0,
    };
    for _ in 0..draws {
        scores.shuffle(&mut rng);
        let (drawn, rest) = scores.split_at_mut(calibrate_with);
        drawn.sort_by(f32::total_cmp);
        let threshold = below_share(drawn, rate, 1.0 - confidence)?;
        let above = |scores: &[f32]| scores.iter().filter(|&&score| score > threshold).count();
        let (of_drawn, of_rest) = (above(drawn), above(rest));
        let realised = (of_drawn + of_rest) as f64 / good.len() as f64;
        found.kept += usize::from(realised <= rate);
        found.kept_on_rest += usize::from(of_rest as f64 <= rate * rest.len() as f64);
        found.mean_rate += realised / draws as f64;
        found.worst_rate = found.worst_rate.max(realised);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_promise_holds_about_as_often_as_promised() {
        let scores: Vec<f32> = (0..20_000).map(|i| (i as f32 * 0.618_034).fract()).collect();
        let found = coverage(&scores, 100, 0.1, 0.9, 1000, 7).expect("100 images prove 10 %");
        // P(Bin(100, 0.1) <= 5) = 0.058, the largest below 0.1; so 94 % of the draws keep it, give or take 0.7.
        assert!((915..=965).contains(&found.kept), "{found:?}");
        assert!(found.worst_rate > 0.1 && found.mean_rate < 0.1, "{found:?}");
        assert_eq!(found, coverage(&scores, 100, 0.1, 0.9, 1000, 7).expect("the same"));
        assert!(coverage(&scores, 10, 0.1, 0.9, 1, 7).is_err() && coverage(&[], 1, 0.1, 0.9, 1, 7).is_err());
    }
}
