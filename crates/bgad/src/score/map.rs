//! From the log-likelihoods of the levels to one anomaly map.
//!
//! ```text
//! p_l      = e^(l − M_l)                          on the grid of level l;  l: log p / C,  M_l: frozen
//! S(y, x)  = Σ over the L levels of up(p_l)       up: bilinear to [H, W], corners aligned
//! map      = −ln(S / L)                           nats: 0 is as normal as training data gets
//! ```
//!
//! The score of an image is made of its map and more in [`score`](crate::score).
//!
//! The authors' map is `max(S) − S`: the same order, but in f32 it ties wherever S is near 0, and with the
//! maxima of l and S taken over the test set an image's score depends on its neighbours. Here M is frozen
//! with the model, and S is kept in f64; where even that would underflow, `ln S` is formed from the corners
//! with their largest factored out.

use std::{error, fmt};

use serde::{Deserialize, Serialize};

/// Log-likelihoods of one image on the grid of one level.
#[derive(Clone, Copy, Debug)]
pub struct LevelLogp<'a> {
    /// `log p / C` in nats, `[h, w]`, row-major.
    pub logp_per_channel: &'a [f32],
    /// Rows of the grid.
    pub h: usize,
    /// Columns of the grid.
    pub w: usize,
}

/// Anomaly per pixel, in nats.
#[derive(Clone, Debug, PartialEq)]
pub struct AnomalyMap {
    /// `−ln(S / L)`, `[h, w]`, row-major. 0 where every level is as likely as the likeliest training
    /// position; negative where even likelier. `+∞` only if every level has likelihood zero, NaN only if a
    /// likelihood is NaN.
    pub nats: Vec<f32>,
    /// Rows.
    pub h: usize,
    /// Columns.
    pub w: usize,
}

/// The constants `M_l` that turn log-likelihoods into comparable probabilities; part of a trained model.
///
/// Serialised as a list with one finite number a level; anything else is refused when read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<f32>", into = "Vec<f32>")]
pub struct ScoreConstants {
    max_logp_per_level: Vec<f32>,
}

impl ScoreConstants {
    /// Checks one constant per level, nats per channel.
    ///
    /// # Errors
    ///
    /// [`ScoreConstantsError`] if there is no level, or if a constant is not finite.
    pub fn new(max_logp_per_level: Vec<f32>) -> Result<ScoreConstants, ScoreConstantsError> {
        if max_logp_per_level.is_empty() {
            return Err(ScoreConstantsError::NoLevel);
        }
        match max_logp_per_level.iter().position(|m| !m.is_finite()) {
            Some(level) => Err(ScoreConstantsError::NotFinite { level, found: max_logp_per_level[level] }),
            None => Ok(ScoreConstants { max_logp_per_level }),
        }
    }

    /// `M_l` of each level, nats per channel; finite.
    pub fn max_logp_per_level(&self) -> &[f32] {
        &self.max_logp_per_level
    }
}

impl TryFrom<Vec<f32>> for ScoreConstants {
    type Error = ScoreConstantsError;

    fn try_from(max_logp_per_level: Vec<f32>) -> Result<ScoreConstants, ScoreConstantsError> {
        ScoreConstants::new(max_logp_per_level)
    }
}

impl From<ScoreConstants> for Vec<f32> {
    fn from(constants: ScoreConstants) -> Vec<f32> {
        constants.max_logp_per_level
    }
}

/// Why score constants were refused.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum ScoreConstantsError {
    /// There is no level.
    NoLevel,
    /// The constant of a level is infinite or NaN: it saw no likelihood, or the flow diverged.
    NotFinite {
        /// The level, from 0.
        level: usize,
        /// Its constant.
        found: f32,
    },
}

impl fmt::Display for ScoreConstantsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoLevel => write!(f, "score constants need at least one level, found none"),
            Self::NotFinite { level, found } => {
                write!(f, "the score constant of level {level} must be finite, found {found}")
            }
        }
    }
}

impl error::Error for ScoreConstantsError {}

/// Running maximum of the log-likelihoods of each level, from which [`ScoreConstants`] are made.
///
/// Fed with normal training images it gives the frozen constants of a model; fed with the whole test set it
/// gives the constants of the authors' rule. The order of feeding does not matter.
#[derive(Clone, Debug)]
pub struct MaxLogp {
    per_level: Vec<f32>,
}

impl MaxLogp {
    /// Starts with nothing seen.
    pub fn new(levels: usize) -> MaxLogp {
        MaxLogp { per_level: vec![f32::NEG_INFINITY; levels] }
    }

    /// Takes more log-likelihoods of one level into account, nats per channel, of any number of positions.
    ///
    /// # Panics
    ///
    /// If there is no such level.
    pub fn observe(&mut self, level: usize, logp_per_channel: &[f32]) {
        let max = &mut self.per_level[level];
        *max = logp_per_channel.iter().fold(*max, |max, &l| max_or_nan(max, l));
    }

    /// The constants so far.
    ///
    /// # Errors
    ///
    /// [`ScoreConstantsError`] if there is no level, or if a level saw nothing finite or a NaN.
    pub fn constants(self) -> Result<ScoreConstants, ScoreConstantsError> {
        ScoreConstants::new(self.per_level)
    }
}

/// The larger number; NaN, once met, stays: a broken likelihood must not pass as a small one.
pub(crate) fn max_or_nan(max: f32, value: f32) -> f32 {
    if value > max || value.is_nan() { value } else { max }
}

/// S outside this range is formed again from its logarithms: f64 ends at 1e±308, and a corner that has
/// underflowed may be missing from a smaller S.
const TRUSTED_SUM: std::ops::RangeInclusive<f64> = 1e-290..=1e290;

/// Computes the anomaly map `[h, w]` of one image; it depends on nothing but the image and the constants.
///
/// Log-likelihoods may be as low as f32 goes: the map stays finite and in order.
///
/// # Panics
///
/// If the number of levels differs from that of the constants, or a level is empty or not `h·w` long.
pub fn anomaly_map(levels: &[LevelLogp], constants: &ScoreConstants, h: usize, w: usize) -> AnomalyMap {
    assert_eq!(levels.len(), constants.max_logp_per_level.len(), "one score constant per level");
    let grids: Vec<Grid> = levels
        .iter()
        .zip(&constants.max_logp_per_level)
        .map(|(level, &max)| Grid::new(level, max, h, w))
        .collect();
    let ln_levels = (levels.len() as f64).ln();

    let mut nats = Vec::with_capacity(h * w);
    let mut sum = vec![0.0; w]; // S along one row
    let mut row = Vec::new(); // p of one level along one output row, still w_l wide
    for y in 0..h {
        sum.fill(0.0);
        for grid in &grids {
            grid.upsample_row(y, &mut row, &mut sum);
        }
        for (x, &s) in sum.iter().enumerate() {
            let ln_s = if TRUSTED_SUM.contains(&s) { s.ln() } else { ln_sum(&grids, y, x) };
            nats.push((ln_levels - ln_s) as f32);
        }
    }
    AnomalyMap { nats, h, w }
}

/// Turns the maps of a whole test set, in place, into the authors' `max(S) − S`, the maximum taken over all
/// of them.
///
/// Only for comparison with published figures: with constants from the test set as well it reproduces the
/// authors' rule, its f32 ties included. Afterwards the values are differences of probabilities, not nats.
/// `levels` is the number of levels the maps were made of.
pub fn authors_form(maps: &mut [AnomalyMap], levels: usize) {
    let sum = |nats: f32| levels as f64 * (-f64::from(nats)).exp();
    let most_normal = maps.iter().flat_map(|map| &map.nats).copied().fold(f32::INFINITY, f32::min);
    let max_sum = sum(most_normal);
    for nats in maps.iter_mut().flat_map(|map| &mut map.nats) {
        *nats = (max_sum - sum(*nats)) as f32;
    }
}

/// `ln S` at one pixel without leaving logarithms: the largest of all corners is factored out.
fn ln_sum(grids: &[Grid], y: usize, x: usize) -> f64 {
    let corners = || grids.iter().flat_map(|grid| grid.corners(y, x)).filter(|&(weight, _)| weight > 0.0);
    let max = corners().fold(f64::NEG_INFINITY, |max, (_, a)| if a > max || a.is_nan() { a } else { max });
    if max == f64::NEG_INFINITY {
        return max; // likelihood zero everywhere: −∞ − −∞ must not make a NaN of it
    }
    max + corners().map(|(weight, a)| weight * (a - max).exp()).sum::<f64>().ln()
}

/// One level, ready to be upsampled.
struct Grid {
    w: usize,
    /// `l − M`, `[h, w]`.
    shifted: Vec<f64>,
    /// `e^(l − M)`, `[h, w]`.
    p: Vec<f64>,
    /// For each output row and column, where it falls between those of the grid.
    rows: Vec<Between>,
    columns: Vec<Between>,
}

/// An output coordinate between two neighbours on a grid axis: `(1 − t) · first + t · second`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Between {
    /// The neighbour before it.
    pub first: usize,
    /// The neighbour after it; the same at the end of the axis.
    pub second: usize,
    /// How far it is on the way, from 0 to 1.
    pub t: f64,
}

/// Coordinates of `out` samples on an axis of `size`, the ends aligned; a single sample takes the first.
///
/// # Panics
///
/// If `size` is 0.
pub fn aligned(size: usize, out: usize) -> Vec<Between> {
    let steps = out.saturating_sub(1).max(1);
    (0..out)
        .map(|i| {
            // In whole numbers, so that t is exactly 0 on a grid point.
            let (first, rest) = (i * (size - 1) / steps, i * (size - 1) % steps);
            Between { first, second: (first + 1).min(size - 1), t: rest as f64 / steps as f64 }
        })
        .collect()
}

/// Brings values on a grid of `(h, w)` to `(rows, columns)`: bilinear, corners aligned.
///
/// # Panics
///
/// If the grid is empty or has another number of values.
pub(crate) fn upsample(values: &[f32], (h, w): (usize, usize), (rows, columns): (usize, usize)) -> Vec<f32> {
    assert!(h * w > 0 && values.len() == h * w, "a grid of {h}x{w}");
    let (down, across) = (aligned(h, rows), aligned(w, columns));
    let mut out = Vec::with_capacity(rows * columns);
    for Between { first, second, t } in down {
        let (first, second) = (&values[first * w..][..w], &values[second * w..][..w]);
        let row: Vec<f32> = first.iter().zip(second).map(|(a, b)| between(*a, *b, t)).collect();
        out.extend(across.iter().map(|at| between(row[at.first], row[at.second], at.t)));
    }
    out
}

/// `a + t (b − a)`; exactly `a` where `t` is 0, whatever `b` is.
fn between(a: f32, b: f32, t: f64) -> f32 {
    if t == 0.0 { a } else { (f64::from(a) + t * (f64::from(b) - f64::from(a))) as f32 }
}

impl Grid {
    fn new(level: &LevelLogp, max: f32, h: usize, w: usize) -> Grid {
        let expected = level.h * level.w;
        assert_eq!(level.logp_per_channel.len(), expected, "a level of {}x{}", level.h, level.w);
        assert!(expected > 0, "a level needs at least one position, got {}x{}", level.h, level.w);
        let shifted: Vec<f64> =
            level.logp_per_channel.iter().map(|&l| f64::from(l) - f64::from(max)).collect();
        let p = shifted.iter().map(|a| a.exp()).collect();
        Grid { w: level.w, shifted, p, rows: aligned(level.h, h), columns: aligned(level.w, w) }
    }

    /// Adds row `y` of the upsampled probabilities to `sum`; `row` is scratch.
    fn upsample_row(&self, y: usize, row: &mut Vec<f64>, sum: &mut [f64]) {
        let Between { first, second, t } = self.rows[y];
        let (first, second) = (&self.p[first * self.w..][..self.w], &self.p[second * self.w..][..self.w]);
        row.clear();
        // a + t (b − a), unlike (1 − t) a + t b, leaves a constant level exactly constant.
        row.extend(first.iter().zip(second).map(|(a, b)| a + t * (b - a)));
        for (sum, at) in sum.iter_mut().zip(&self.columns) {
            let (a, b) = (row[at.first], row[at.second]);
            *sum += a + at.t * (b - a);
        }
    }

    /// Weights and `l − M` of the four corners around one output pixel.
    fn corners(&self, y: usize, x: usize) -> [(f64, f64); 4] {
        let (row, column) = (self.rows[y], self.columns[x]);
        let corner = |weight, y: usize, x: usize| (weight, self.shifted[y * self.w + x]);
        [
            corner((1.0 - row.t) * (1.0 - column.t), row.first, column.first),
            corner((1.0 - row.t) * column.t, row.first, column.second),
            corner(row.t * (1.0 - column.t), row.second, column.first),
            corner(row.t * column.t, row.second, column.second),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::recorded_score::RecordedScore;
    use crate::metrics::{PixelScores, auroc, average_precision, f1_max};

    fn level(logp_per_channel: &[f32], h: usize, w: usize) -> LevelLogp<'_> {
        LevelLogp { logp_per_channel, h, w }
    }

    fn constants(max: &[f32]) -> ScoreConstants {
        ScoreConstants::new(max.to_vec()).unwrap()
    }

    /// Maps of all recorded images under the authors' constants, the maxima over the test set.
    fn recorded_maps(recorded: &RecordedScore) -> (ScoreConstants, Vec<AnomalyMap>) {
        let mut max = MaxLogp::new(recorded.levels.len());
        for (l, (logp, ..)) in recorded.levels.iter().enumerate() {
            max.observe(l, logp);
        }
        let constants = max.constants().unwrap();
        let maps = (0..recorded.images)
            .map(|i| {
                let levels: Vec<LevelLogp> =
                    recorded.levels.iter().map(|(v, h, w)| level(&v[i * h * w..][..h * w], *h, *w)).collect();
                anomaly_map(&levels, &constants, recorded.h, recorded.w)
            })
            .collect();
        (constants, maps)
    }

    #[test]
    fn is_the_authors_map_under_a_monotone_scale() {
        let recorded = RecordedScore::read();
        let (_, maps) = recorded_maps(&recorded);
        let nats: Vec<f32> = maps.iter().flat_map(|m| m.nats.iter().copied()).collect();
        let sum: Vec<f64> = nats.iter().map(|&a| 3.0 * (-f64::from(a)).exp()).collect();
        let max_sum = sum.iter().copied().fold(0.0, f64::max);
        for (i, (s, &authors)) in sum.iter().zip(&recorded.maps).enumerate() {
            // The recording sums three f32 exponentials of f32 interpolations: some 1e-7 each.
            assert!((max_sum - s - f64::from(authors)).abs() < 2e-6, "{i}: {} for {authors}", max_sum - s);
        }
        // Sorted by our map, the authors' never falls by more than its own rounding.
        let mut order: Vec<usize> = (0..nats.len()).collect();
        order.sort_unstable_by(|&i, &j| nats[i].total_cmp(&nats[j]));
        let mut highest = f32::NEG_INFINITY;
        for &i in &order {
            assert!(recorded.maps[i] > highest - 2e-6, "{} after {highest}", recorded.maps[i]);
            highest = highest.max(recorded.maps[i]);
        }
    }

    #[track_caller]
    fn check_metrics(recorded: &RecordedScore, maps: &[AnomalyMap], pixel_ap_tolerance: f64) {
        let scores: Vec<f32> = maps.iter().map(|map| map.peak(1)).collect();
        let labels = recorded.image_labels();
        let mut pixels = PixelScores::new();
        for (i, map) in maps.iter().enumerate() {
            pixels.push(&map.nats, Some(recorded.mask(i)), map.h, map.w).unwrap();
        }
        let ranking = pixels.rank();
        for (name, got, tolerance) in [
            ("image_auroc", auroc(&scores, &labels).unwrap(), 1e-12),
            ("image_ap", average_precision(&scores, &labels).unwrap(), 1e-12),
            ("pixel_auroc", ranking.auroc().unwrap(), 1e-6),
            ("pixel_ap", ranking.average_precision().unwrap(), pixel_ap_tolerance),
        ] {
            let want = recorded.number(name);
            assert!((got - want).abs() < tolerance, "{name}: {got}, authors {want}");
        }
        // The threshold may be in other units, but cuts the images at the same place.
        let cut = |scores: &[f32]| {
            let best = f1_max(scores, &labels).unwrap();
            (best.f1, scores.iter().map(|&s| s >= best.threshold).collect::<Vec<_>>())
        };
        assert_eq!(cut(&scores), cut(&recorded.image_scores));
    }

    #[test]
    fn metrics_with_the_authors_constants_are_the_authors() {
        let recorded = RecordedScore::read();
        let (_, mut maps) = recorded_maps(&recorded);
        // In f32, max(S) − S ties four pixels in ten (469k distinct values, ours 733k); untied, the AP
        // moves by 3e-6.
        check_metrics(&recorded, &maps, 5e-6);
        authors_form(&mut maps, recorded.levels.len());
        check_metrics(&recorded, &maps, 1e-6);
        for (map, authors) in maps.iter().zip(&recorded.image_scores) {
            assert!((map.peak(1) - authors).abs() < 2e-6, "{} for {authors}", map.peak(1));
        }
    }

    #[test]
    fn as_normal_as_training_gets_is_zero() {
        for (h, w) in [(1, 1), (1, 9), (7, 1), (11, 6), (256, 200)] {
            let map = anomaly_map(
                &[level(&[-1.5; 15], 3, 5), level(&[2.0; 2], 2, 1)],
                &constants(&[-1.5, 2.0]),
                h,
                w,
            );
            // −ln(2/2) from ln 2 − ln 2: exact.
            assert_eq!(map, AnomalyMap { nats: vec![0.0; h * w], h, w });
        }
    }

    #[test]
    fn one_constant_level_is_the_distance_to_its_constant() {
        for below in [0.25, 3.0, 300.0, 680.0, 1e4, 1e30] {
            let map = anomaly_map(&[level(&[-below; 6], 2, 3)], &constants(&[0.0]), 5, 8);
            assert_eq!(map.nats, [below; 40], "{below} below");
        }
        // Likelier than anything in training: below zero, not clamped.
        assert_eq!(anomaly_map(&[level(&[3.0], 1, 1)], &constants(&[1.0]), 1, 1).peak(1), -2.0);
        assert_eq!(anomaly_map(&[level(&[1e4], 1, 1)], &constants(&[0.0]), 1, 1).peak(1), -1e4);
    }

    #[test]
    fn corners_are_aligned_and_between_them_probabilities_are_linear() {
        for offset in [0.0, -1e4] {
            let logp = [-1.0, -2.0, -3.0, -4.0, -5.0, -6.0].map(|l: f32| l + offset);
            let map = anomaly_map(&[level(&logp, 2, 3)], &constants(&[0.0]), 7, 9); // 6 and 4 steps a cell
            let at = |y: usize, x: usize| map.nats[y * 9 + x];
            let corners = [at(0, 0), at(0, 4), at(0, 8), at(6, 0), at(6, 4), at(6, 8)];
            assert_eq!(corners, logp.map(|l| -l), "grid points are met exactly");
            let weigh = |wa: f64, a: f64, wb: f64, b: f64| {
                -(wa * (-a).exp() + wb * (-b).exp()).ln() - f64::from(offset)
            };
            // f32 rounding of the result: 1e-3 at 1e4.
            let tolerance = 1e-6f64.max(f64::from(offset).abs() * 1e-7);
            for (got, want) in
                [(at(0, 1), weigh(0.75, 1.0, 0.25, 2.0)), (at(2, 8), weigh(4.0 / 6.0, 3.0, 2.0 / 6.0, 6.0))]
            {
                assert!((f64::from(got) - want).abs() < tolerance, "{got}, want {want}");
            }
        }
    }

    #[test]
    fn lower_likelihood_never_lowers_the_map() {
        for offset in [0.0f32, -285.0, -290.0, -670.0, -800.0, -1e4] {
            let mut logp: Vec<f32> = (0..20).map(|i| offset - ((i * 13) % 7) as f32).collect();
            let other = [offset - 1.0, offset - 9.0];
            let map = |logp: &[f32]| {
                anomaly_map(&[level(logp, 4, 5), level(&other, 1, 2)], &constants(&[0.5, -0.5]), 13, 10).nats
            };
            let before = map(&logp);
            logp[7] -= 4.0;
            let after = map(&logp);
            assert!(before.iter().zip(&after).all(|(b, a)| a >= b), "offset {offset}");
            assert!(before.iter().zip(&after).any(|(b, a)| a > b), "offset {offset}");
        }
    }

    #[test]
    fn far_below_everything_scores_are_finite_distinct_and_ordered() {
        // Authors: S = 0 for every one of these, so all tie.
        let scores: Vec<f32> = [-110.0, -300.0, -660.0, -668.0, -700.0, -745.0, -800.0, -1e4, -1.1e4, -3e38]
            .iter()
            .map(|&l| {
                anomaly_map(
                    &[level(&[l], 1, 1), level(&[2.0 * l + 1.0; 4], 2, 2)],
                    &constants(&[1.0, 0.0]),
                    6,
                    4,
                )
            })
            .map(|map| map.peak(1))
            .collect();
        assert!(scores.iter().all(|s| s.is_finite()), "{scores:?}");
        assert!(scores.windows(2).all(|s| s[0] < s[1]), "{scores:?}");
    }

    #[test]
    fn both_ways_to_a_sum_agree() {
        // Around e^-668 = 1e-290 pixels of one map go either way; the same map 600 nats up goes the plain
        // way.
        let logp: Vec<f32> = (0..48).map(|i| -660.0 - ((i * 11) % 23) as f32).collect();
        let up: Vec<f32> = logp.iter().map(|l| l + 600.0).collect();
        let map = |logp: &[f32]| {
            anomaly_map(&[level(logp, 6, 8), level(&logp[..6], 3, 2)], &constants(&[0.0; 2]), 31, 45)
        };
        for (low, high) in map(&logp).nats.iter().zip(&map(&up).nats) {
            // Half a unit in the last place of an f32 near 668.
            assert!((low - 600.0 - high).abs() <= 4e-5, "{low} against {high}");
        }
    }

    #[test]
    fn zero_likelihood_is_infinite_and_nan_is_not_hidden() {
        let map = |a: f32, b: f32| {
            anomaly_map(&[level(&[a], 1, 1), level(&[b], 1, 1)], &constants(&[0.0; 2]), 2, 2)
        };
        assert_eq!(map(f32::NEG_INFINITY, f32::NEG_INFINITY).peak(1), f32::INFINITY);
        assert_eq!(map(f32::NEG_INFINITY, 0.0).peak(1), std::f32::consts::LN_2);
        assert!(map(f32::NAN, 0.0).peak(1).is_nan());
        let one_nan = AnomalyMap { nats: vec![1.0, f32::NAN, 9.0], h: 1, w: 3 };
        assert!(one_nan.peak(1).is_nan());
    }

    #[test]
    fn constants_are_checked_when_made_and_when_read() {
        let mut max = MaxLogp::new(2);
        max.observe(0, &[-3.0, -1.0, -2.0]);
        max.observe(0, &[-1.5]);
        let refused = max.clone().constants().unwrap_err();
        assert_eq!(refused, ScoreConstantsError::NotFinite { level: 1, found: f32::NEG_INFINITY });
        assert_eq!(refused.to_string(), "the score constant of level 1 must be finite, found -inf");
        max.observe(1, &[4.0]);
        let made = max.clone().constants().unwrap();
        assert_eq!(made.max_logp_per_level(), [-1.0, 4.0]);
        max.observe(1, &[f32::NAN]);
        max.observe(1, &[7.0]);
        assert!(max.constants().is_err(), "NaN once met stays");

        let json = serde_json::to_string(&made).unwrap();
        assert_eq!(json, "[-1.0,4.0]");
        assert_eq!(serde_json::from_str::<ScoreConstants>(&json).unwrap(), made);
        for bad in ["[]", "[1e39]", "[null]", "[0.5,\"x\"]", "{}"] {
            assert!(serde_json::from_str::<ScoreConstants>(bad).is_err(), "{bad}");
        }
        assert_eq!(ScoreConstants::new(vec![]), Err(ScoreConstantsError::NoLevel));
    }

    #[test]
    #[should_panic(expected = "one score constant per level")]
    fn a_missing_level_is_a_mistake() {
        anomaly_map(&[level(&[0.0], 1, 1)], &constants(&[0.0, 0.0]), 2, 2);
    }

    #[test]
    fn the_score_is_the_mean_of_the_highest_values() {
        let map = |nats: Vec<f32>| AnomalyMap { h: 1, w: nats.len(), nats };
        // Every order of arrival: rising, falling, mixed.
        let rising: Vec<f32> = (0..1000).map(|i| i as f32).collect();
        let mixed: Vec<f32> = (0..1000).map(|i| (i * 617 % 1000) as f32).collect();
        let falling: Vec<f32> = rising.iter().rev().copied().collect();
        for nats in [rising, falling, mixed] {
            for (pixels, want) in [(1, 999.0), (2, 998.5), (100, 949.5), (999, 500.0), (5000, 499.5)] {
                assert_eq!(map(nats.clone()).peak(pixels), want, "{pixels} pixels");
            }
        }
        assert_eq!(map(vec![]).peak(3), f32::NEG_INFINITY);
        assert_eq!(map(vec![2.0, f32::INFINITY, 1.0]).peak(2), f32::INFINITY);
        assert!(map(vec![f32::NEG_INFINITY, 1.0, f32::NAN, 0.0]).peak(2).is_nan());
    }
}
