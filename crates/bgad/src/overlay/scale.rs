//! From nats to colours, fixed when a model is trained.
//!
//! ```text
//! m = median, s = q95 − m   of the scores of good images
//! z = (x − m) / s           t = ln(1 + z) / ln(1 + Z), from 0 at m to 1 at m + Z s        Z = 63
//! ```
//!
//! The logarithm gives a good half of the scale to what lies near the thresholds, and still tells a strong defect from a
//! glaring one. Lightness falls along the scale, so that it can be read without telling red from green.

use super::{Rgb, mixed};
use crate::score::quantile;

/// `Z`.
const REACH: f32 = 63.0;
/// Share of the good images above the upper end of their spread.
const UPPER: f64 = 0.05;

/// Shades of grey reach so many spreads below the scale.
const DEPTH: f32 = 4.0;

/// Colours at equal steps of `t`.
const STOPS: [Rgb; 6] = [
    [255.0, 236.0, 139.0],
    [254.0, 204.0, 64.0],
    [250.0, 150.0, 36.0],
    [232.0, 84.0, 28.0],
    [194.0, 20.0, 40.0],
    [110.0, 0.0, 56.0],
];
/// Colour of what is calm, from the most usual to the median of the good images.
const CALM: [Rgb; 2] = [[246.0, 247.0, 246.0], [226.0, 226.0, 206.0]];

/// The colour scale of a model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ColourScale {
    /// Nats where colours begin: the median score of good training images.
    pub low: f32,
    /// `s`: the spread of good training images above their median, nats.
    pub spread: f32,
}

/// A value on the scale with its label.
#[derive(Clone, Debug, PartialEq)]
pub struct Tick {
    /// Where it stands, from 0 to 1.
    pub position: f32,
    /// The value, as text.
    pub label: String,
}

impl ColourScale {
    /// The scale of a model whose good training images have these scores.
    pub fn of(normal_scores: &[f32]) -> ColourScale {
        let mut sorted: Vec<f32> = normal_scores.iter().copied().filter(|score| score.is_finite()).collect();
        sorted.sort_by(f32::total_cmp);
        let at = |share: f64| quantile(&sorted, share).unwrap_or(0.0) as f32;
        let (low, spread) = (at(0.5), at(1.0 - UPPER) - at(0.5));
        // Scores that fall together would make a scale of no width.
        ColourScale { low, spread: spread.max(0.02 * low.abs()).max(0.02) }
    }

    /// Nats at the upper end; higher values have the same colour.
    pub fn high(self) -> f32 {
        self.low + REACH * self.spread
    }

    /// `t`: where a value stands on the scale, from 0 to 1. What is not a number stands at its end.
    pub fn position(self, nats: f32) -> f32 {
        if nats.is_nan() {
            return 1.0;
        }
        let z = ((nats - self.low) / self.spread).clamp(0.0, REACH);
        z.ln_1p() / REACH.ln_1p()
    }

    /// The value that stands at `t`, nats.
    pub fn nats_at(self, position: f32) -> f32 {
        self.low + self.spread * (position.clamp(0.0, 1.0) * REACH.ln_1p()).exp_m1()
    }

    /// Colour of a value that is flagged.
    pub(super) fn colour(self, nats: f32) -> Rgb {
        let at = self.position(nats) * (STOPS.len() - 1) as f32;
        let i = (at as usize).min(STOPS.len() - 2);
        mixed(STOPS[i], STOPS[i + 1], at - i as f32)
    }

    /// Colour of any value: shades of grey below the scale, so that the map of a good part is calm and not blank.
    pub(super) fn ramp(self, nats: f32) -> Rgb {
        if nats > self.low || nats.is_nan() {
            return self.colour(nats);
        }
        let share = 1.0 - (self.low - nats) / (DEPTH * self.spread);
        mixed(CALM[0], CALM[1], share.clamp(0.0, 1.0))
    }

    /// At most `count` values from end to end, evenly spread and rounded as far as that moves nothing visibly.
    pub fn ticks(self, count: usize) -> Vec<Tick> {
        let steps = count.max(2) - 1;
        let at = |i: usize| {
            let wanted = i as f32 / steps as f32;
            let nats = self.nats_at(wanted);
            // Rounding moves a tick by less than anyone sees, and never to a value that stands elsewhere.
            let most = 0.06 * (self.spread + nats - self.low);
            let fits = |decimals: &i32| {
                let unit = 10f32.powi(-decimals);
                ((nats / unit).round() * unit - nats).abs() < most
            };
            let decimals = (-3..6).find(fits).unwrap_or(6);
            let unit = 10f32.powi(-decimals);
            let rounded = (nats / unit).round() * unit;
            let number = format!("{rounded:.*}", decimals.max(0) as usize);
            let label = if i == steps { format!("{number}+") } else { number };
            Tick { position: self.position(rounded), label }
        };
        (0..=steps).map(at).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scale() -> ColourScale {
        ColourScale::of(&(0..=100).map(|i| 1.0 + i as f32 / 100.0).collect::<Vec<_>>())
    }

    fn luminance(colour: Rgb) -> f32 {
        0.2126 * colour[0].powf(2.2) + 0.7152 * colour[1].powf(2.2) + 0.0722 * colour[2].powf(2.2)
    }

    #[test]
    fn the_scale_begins_at_the_median_and_reaches_far() {
        let scale = scale();
        assert_eq!(scale.low, 1.5);
        assert!((scale.spread - 0.45).abs() < 1e-5, "{scale:?}");
        for (nats, want) in [(f32::NEG_INFINITY, 0.0), (1.5, 0.0), (f32::INFINITY, 1.0), (f32::NAN, 1.0)] {
            assert_eq!(scale.position(nats), want, "{nats}");
        }
        for t in [0.0, 0.25, 0.5, 1.0] {
            assert!((scale.position(scale.nats_at(t)) - t).abs() < 1e-5, "{t}");
        }
    }

    #[test]
    fn it_darkens_all_the_way() {
        let scale = scale();
        let lightness = |i: i32| luminance(scale.ramp(scale.nats_at(i as f32 / 100.0)));
        assert!(lightness(100) < lightness(50) && lightness(50) < lightness(0));
        let calm = |nats| luminance(scale.ramp(nats));
        assert!(calm(0.0) > calm(0.7) && calm(0.7) > calm(1.4));
    }

    #[test]
    fn scores_that_fall_together_still_have_a_scale() {
        for scores in [&[][..], &[2.0], &[2.0, 2.0], &[f32::NAN]] {
            let scale = ColourScale::of(scores);
            assert!(scale.spread > 0.0 && scale.high().is_finite(), "{scale:?}");
        }
    }

    #[test]
    fn ticks_are_short_numbers_in_order() {
        for scale in
            [scale(), ColourScale { low: 150.0, spread: 2.0 }, ColourScale { low: 0.031, spread: 0.02 }]
        {
            let ticks = scale.ticks(6);
            assert_eq!(ticks.len(), 6);
            assert!(ticks.is_sorted_by(|a, b| a.position < b.position), "{ticks:?}");
            assert!(ticks.iter().all(|tick| tick.label.len() <= 6), "{ticks:?}");
        }
        let labels: Vec<String> = scale().ticks(4).into_iter().map(|tick| tick.label).collect();
        assert_eq!((labels[0].as_str(), labels[2].as_str(), labels[3].as_str()), ("1.5", "8", "30+"));
    }
}
