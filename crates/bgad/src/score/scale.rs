//! What a value is worth: how rare it is among good images.
//!
//! ```text
//! m   = median of the values of good images
//! e   = mean of (x_q − m) / ln(½ / q),  q = 0.25, 0.15, 0.1, 0.05        x_q: the value that a share q of them exceeds
//! s   = (x − m) / e                                                      P(s > t) = ½ e^−t under an exponential tail
//! ```
//!
//! `s` is the surprise of a value in nats: 0 is the middle good image, and each nat more is rarer by a factor of e. Four quantiles bound what a single odd
//! image can do to `e`, which the mean excess over the median would not.

use serde::{Deserialize, Serialize};

/// Upper shares at which the tail is measured.
const SHARES: [f64; 4] = [0.25, 0.15, 0.1, 0.05];

/// Brings the values of a part to nats of surprise: `gain (x − usual)`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scale {
    /// The value that is worth 0.
    pub usual: f32,
    /// Nats for each unit of the value; positive.
    #[serde(alias = "nats")]
    pub gain: f32,
}

impl Scale {
    /// Values as they are.
    pub const IDENTITY: Scale = Scale { usual: 0.0, gain: 1.0 };

    /// From the values of good images; `None` if there is none, if they do not differ, or if one is not a number.
    pub fn of_good(values: &[f32]) -> Option<Scale> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f32::total_cmp);
        let usual = quantile(&sorted, 0.5)?;
        let steps = SHARES
            .map(|share| (quantile(&sorted, 1.0 - share).unwrap_or(usual) - usual) / (0.5 / share).ln());
        let excess = steps.iter().sum::<f64>() / steps.len() as f64;
        let scale = Scale { usual: usual as f32, gain: (1.0 / excess) as f32 };
        (excess > 0.0 && scale.is_sound()).then_some(scale)
    }

    /// The surprise of a value, nats; NaN of NaN.
    pub fn nats_of(self, value: f32) -> f32 {
        self.gain * (value - self.usual)
    }

    /// Whether both numbers are finite.
    pub(crate) fn is_sound(self) -> bool {
        self.usual.is_finite() && self.gain.is_finite()
    }
}

/// The value below which a share of the sorted ones lies, between two of them in proportion; `None` of nothing.
pub(crate) fn quantile(sorted: &[f32], share: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let at = share.clamp(0.0, 1.0) * last as f64;
    let (low, high) = (f64::from(sorted[at.floor() as usize]), f64::from(sorted[at.ceil() as usize]));
    Some(low + (high - low) * at.fract())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exponential_tail_has_its_own_surprise() {
        // Quantiles of 3 + 2 Exp(1) above their median: x_q = 3 + 2 ln(1/q).
        let values: Vec<f32> = (1..4000).map(|i| 3.0 - 2.0 * (i as f32 / 4000.0).ln()).collect();
        let scale = Scale::of_good(&values).expect("values that differ");
        for share in [0.1f32, 0.01, 0.001] {
            let surprise = scale.nats_of(3.0 - 2.0 * share.ln());
            assert!((surprise - (0.5 / share).ln()).abs() < 0.02, "{share}: {surprise}");
        }
    }

    #[test]
    fn one_odd_image_hardly_moves_it() {
        let mut values: Vec<f32> = (0..40).map(|i| i as f32).collect();
        let before = Scale::of_good(&values).expect("values that differ").gain;
        values[39] = 1e6;
        let after = Scale::of_good(&values).expect("values that differ").gain;
        assert!((after / before - 1.0).abs() < 0.1, "{before}, {after}");
    }

    #[test]
    fn what_tells_nothing_has_no_scale() {
        for values in [&[][..], &[1.0], &[2.0; 30], &[1.0, f32::NAN], &[0.0, f32::INFINITY, f32::INFINITY]] {
            assert_eq!(Scale::of_good(values), None, "{values:?}");
        }
        assert!(Scale::IDENTITY.nats_of(f32::NAN).is_nan());
    }
}
