//! What the likelihoods of an image are measured from: how likely it is where nothing is wrong with it.
//!
//! ```text
//! b    = the value that half of the positions looked at reach        likelihood of a level of an image, nats per channel
//! B    = median of b over good images that were not learned from
//! σ    = 1.4826 · median of |b − B| over them
//! l'   = l − min(max(b − B, −σ), σ)
//! ```
//!
//! Light, soil and focus move the likelihood of all positions of an image together, and good images differ by that more than by anything at one
//! place. So each level is measured from the image's own middle. By no more than good images differ: a defect that covers half of an image moves
//! the middle further, and must still be seen. See docs/decisions/score.md.

use serde::{Deserialize, Serialize};

use super::scale::quantile;

/// From the median distance to the standard deviation of a normal distribution.
const OF_MEDIAN_DISTANCE: f64 = 1.4826;

/// The baseline of a level in good images.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// `B`, nats per channel.
    pub usual: f32,
    /// `σ`: by so much an image is followed at most, nats per channel; 0 or more.
    pub reach: f32,
}

impl Baseline {
    /// From `b` of good images; `None` of none.
    pub(super) fn of_good(mut middles: Vec<f32>) -> Option<Baseline> {
        middles.sort_by(f32::total_cmp);
        let usual = quantile(&middles, 0.5)?;
        let mut distances: Vec<f32> = middles.iter().map(|b| (f64::from(*b) - usual).abs() as f32).collect();
        distances.sort_by(f32::total_cmp);
        let spread = OF_MEDIAN_DISTANCE * quantile(&distances, 0.5)?;
        let baseline = Baseline { usual: usual as f32, reach: spread as f32 };
        baseline.is_sound().then_some(baseline)
    }

    /// Brings the likelihoods of an image to the baseline of good images. One with nothing to look at, or with a value that is not a number,
    /// stays as it is.
    pub(super) fn level(self, l: &mut [f32], seen: Option<&[bool]>) {
        let Some(b) = middle(l, seen) else { return };
        let shift = (b - self.usual).clamp(-self.reach, self.reach);
        l.iter_mut().for_each(|l| *l -= shift);
    }

    /// How many of so many positions reach `b`.
    pub fn reaching(positions: usize) -> usize {
        positions.div_ceil(2)
    }

    /// Whether both numbers are finite, and the reach is no less than 0.
    pub(crate) fn is_sound(self) -> bool {
        self.usual.is_finite() && self.reach.is_finite() && self.reach >= 0.0
    }
}

/// `b` of likelihoods, of the positions that are looked at (`None` for all); `None` if there is none or a value is not a number.
pub(super) fn middle(l: &[f32], seen: Option<&[bool]>) -> Option<f32> {
    let mut values: Vec<f32> = match seen {
        None => l.to_vec(),
        Some(seen) => l.iter().zip(seen).filter(|(_, seen)| **seen).map(|(l, _)| *l).collect(),
    };
    if values.is_empty() || values.iter().any(|l| l.is_nan()) {
        return None;
    }
    let reaching = Baseline::reaching(values.len());
    let (_, &mut b, _) = values.select_nth_unstable_by(reaching - 1, |a, b| b.total_cmp(a));
    Some(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_good(images: &[Vec<f32>]) -> Baseline {
        Baseline::of_good(images.iter().filter_map(|l| middle(l, None)).collect()).expect("images")
    }

    #[test]
    fn an_image_that_is_darker_everywhere_is_brought_to_the_others() {
        let image = |shift: f32| -> Vec<f32> { (0..9).map(|i| shift - i as f32 / 10.0).collect() };
        let good: Vec<_> = [-0.2, -0.1, 0.0, 0.1, 0.2].map(image).into();
        let baseline = of_good(&good);
        assert!((baseline.usual + 0.4).abs() < 1e-6 && (baseline.reach - 0.14826).abs() < 1e-5);
        let mut new = image(0.1);
        baseline.level(&mut new, None);
        new.iter().zip(image(0.0)).for_each(|(a, b)| assert!((a - b).abs() < 1e-6, "{a} for {b}"));
    }

    #[test]
    fn a_defect_over_most_of_an_image_is_still_seen() {
        let good: Vec<_> = (0..20).map(|i| vec![0.01 * (i % 5) as f32; 16]).collect();
        let baseline = of_good(&good);
        let mut defective = vec![-30.0; 12];
        defective.extend([0.0; 4]);
        baseline.level(&mut defective, None);
        assert!(defective[0] < -29.9, "{defective:?}");
    }

    #[test]
    fn the_middle_is_that_of_the_positions_that_are_looked_at() {
        assert_eq!(middle(&[5.0, 1.0, 4.0, 2.0, 3.0], None), Some(3.0));
        assert_eq!(middle(&[4.0, 1.0, 3.0, 2.0], None), Some(3.0));
        assert_eq!(middle(&[9.0, 1.0, 8.0, 2.0], Some(&[false, true, false, true])), Some(2.0));
        assert_eq!(middle(&[9.0], Some(&[false])), None);
        assert_eq!(middle(&[1.0, f32::NAN], None), None);
        let mut broken = [1.0, f32::NAN];
        Baseline { usual: 0.0, reach: 1.0 }.level(&mut broken, None);
        assert!(broken[0] == 1.0 && broken[1].is_nan());
    }

    #[test]
    fn images_that_do_not_differ_move_nothing() {
        let baseline = of_good(&vec![vec![1.0, 2.0]; 5]);
        assert_eq!(baseline.reach, 0.0);
        let mut l = [7.0, 8.0];
        baseline.level(&mut l, None);
        assert_eq!(l, [7.0, 8.0]);
        assert_eq!(Baseline::of_good(Vec::new()), None);
    }
}
