//! Scores along a line: even around good parts, logarithmic far from them, since scores differ by powers of ten.
//!
//! ```text
//! f(s)      = asinh((s − m) / u)      m the middle score of good images in training,  u from there to where OK ends
//! share(s)  = (f(s) − f(low)) / (f(high) − f(low))                                    0 at the left end, 1 at the right
//! ```

use bgad::model::Header;

/// The narrowest unit, nats: all good images of a model may score the same.
const LEAST_UNIT: f64 = 0.1;
/// Left free at both ends, as a share of the line.
const MARGIN: f64 = 0.03;
/// Ticks stand at least so far apart, as a share of the line.
const APART: f64 = 0.1;

/// Scores along a line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ScoreAxis {
    middle: f64,
    unit: f64,
    /// `f` at the ends.
    ends: [f64; 2],
}

impl ScoreAxis {
    /// For the scores of a model: its thresholds and all `scores` that are numbers lie on it.
    pub(crate) fn of(header: &Header, scores: impl IntoIterator<Item = f32>) -> ScoreAxis {
        let [ok, ng] = [header.thresholds.ok, header.thresholds.ng];
        let normal = &header.training.normal_scores;
        let middle = f64::from(normal.get(normal.len() / 2).copied().unwrap_or(0.0));
        let unit = (f64::from(ok) - middle).max(LEAST_UNIT);
        let mut axis = ScoreAxis { middle, unit, ends: [0.0, 1.0] };
        let places = scores.into_iter().chain([ok, ng]).filter(|score| score.is_finite());
        let places = places.map(|score| axis.place(f64::from(score)));
        let [low, high] = places.fold([f64::MAX, f64::MIN], |[low, high], at| [low.min(at), high.max(at)]);
        let margin = MARGIN * (high - low).max(LEAST_UNIT);
        axis.ends = [low - margin, high + margin];
        axis
    }

    fn place(&self, score: f64) -> f64 {
        ((score - self.middle) / self.unit).asinh()
    }

    /// Where a score lies, from 0 to 1; what is no number lies at the left end.
    pub(crate) fn share(&self, score: f32) -> f64 {
        let [low, high] = self.ends;
        let share = (self.place(f64::from(score)) - low) / (high - low);
        if share.is_nan() { 0.0 } else { share.clamp(0.0, 1.0) }
    }

    /// The score that lies at a share.
    pub(crate) fn nats(&self, share: f64) -> f64 {
        let [low, high] = self.ends;
        self.middle + self.unit * (low + share * (high - low)).sinh()
    }

    /// Round numbers that do not crowd, and where they lie.
    pub(crate) fn ticks(&self) -> Vec<(f64, String)> {
        let (low, high) = (self.nats(0.0), self.nats(1.0));
        let mut ticks: Vec<(f64, String)> = Vec::new();
        let round = (-1..9).flat_map(|power| [1.0, 2.0, 3.0, 5.0, 7.0].map(|n| n * 10f64.powi(power)));
        for nats in std::iter::once(0.0).chain(round).filter(|n| (low..=high).contains(n)) {
            let x = self.share(nats as f32);
            if ticks.last().is_none_or(|(last, _)| x - last > APART) && x < 1.0 - MARGIN / 2.0 {
                ticks.push((x, format!("{nats}")));
            }
        }
        ticks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(scores: [f64; 2]) -> ScoreAxis {
        let axis = ScoreAxis { middle: 0.7, unit: 2.7, ends: [0.0, 1.0] };
        ScoreAxis { ends: scores.map(|score| axis.place(score)), ..axis }
    }

    #[test]
    fn the_axis_goes_both_ways() {
        let axis = axis([-0.5, 40_000.0]);
        for share in [0.0, 0.1, 0.5, 1.0] {
            assert!((axis.share(axis.nats(share) as f32) - share).abs() < 1e-5);
        }
        assert_eq!((axis.share(-9.0), axis.share(f32::INFINITY), axis.share(f32::NAN)), (0.0, 1.0, 0.0));
        let ticks = axis.ticks();
        assert!(ticks.len() > 4 && ticks.windows(2).all(|pair| pair[1].0 - pair[0].0 > 0.05), "{ticks:?}");
    }

    #[test]
    fn one_extreme_score_leaves_room_for_the_thresholds() {
        let axis = axis([-0.5, 46_000.0]);
        let [ok, ng] = [3.4, 8.0].map(|score| axis.share(score));
        assert!(ok > 0.08 && ng - ok > 0.05, "{ok} and {ng}");
    }
}
