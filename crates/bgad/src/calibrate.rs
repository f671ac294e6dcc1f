//! Thresholds with a promise, from held-out images.
//!
//! ```text
//! x_(1) ≤ … ≤ x_(n)   scores of n good images that were not trained on        y_(1) ≤ … ≤ y_(m)   of m defective ones
//! false alarms ≤ α    t = x_(n − k)            k = the largest with P(Bin(n, α) ≤ k) ≤ δ
//! recall ≥ r          t just below y_(k + 1)   k = the largest with P(Bin(m, 1 − r) ≤ k) ≤ δ
//! costs               t with the least c_e π #{y ≤ t} / m + c_o (1 − π) #{x > t} / n
//! band                t_q = x_(⌈(1 − β)(n + 1)⌉)     t_ok = min(t, t_q)     t_ng = max(t, t_q)
//! ```
//!
//! The first two hold with confidence `1 − δ` over the draw of the images, for any distribution of scores, as long as the
//! parts to come are like those held out: the share of the parts beyond the k-th order statistic is Beta distributed
//! (Wilks 1941), and ties only help. There are two answers to where
//! normal ends: `t`, which is asked for, and `t_q`, which carries the explicit boundary to the image: as `b_n` has a share β of the
//! normal positions beyond it, `t_q` has a share β of the good images. Where they disagree a person should look. See docs/calibration.md.

mod beta;
mod binomial;
pub mod coverage;
pub mod session;

use std::{error, fmt};

use serde::{Deserialize, Serialize};

use crate::score::AnomalyMap;
use crate::verdict::{Thresholds, Verdict};
pub use binomial::{Rate, allowed, at_most_k, needed};

/// Share of the pixels of an image that may lie above the pixel threshold unnoticed.
pub const PIXEL_SHARE: f64 = 0.001;

/// What is asked of the threshold.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Objective {
    /// Of good parts at most this share is NG.
    MaxFalseAlarms(f64),
    /// Of defective parts at least this share is not OK.
    MinRecall(f64),
    /// The least cost for each part; nothing is promised.
    Cost {
        /// Cost of a defective part that passes.
        escape: f64,
        /// Cost of a good part that is thrown away.
        overkill: f64,
        /// Share of the parts that is defective.
        defect_rate: f64,
    },
    /// Both thresholds were given by hand; nothing is promised.
    ByHand,
}

impl Objective {
    /// Whether the numbers make sense.
    fn check(self) -> Result<(), CalibrationError> {
        let open = |what, share: f64| match share > 0.0 && share < 1.0 {
            true => Ok(()),
            false => Err(CalibrationError::NotAShare { what, found: share }),
        };
        match self {
            Objective::MaxFalseAlarms(share) => open("the share of false alarms", share),
            Objective::MinRecall(share) => open("the recall", share),
            Objective::Cost { escape, overkill, defect_rate } => {
                for (what, cost) in [("the cost of an escape", escape), ("the cost of overkill", overkill)] {
                    if !(cost > 0.0 && cost.is_finite()) {
                        return Err(CalibrationError::NotACost { what, found: cost });
                    }
                }
                open("the defect rate", defect_rate)
            }
            Objective::ByHand => Ok(()),
        }
    }
}

/// What a calibration works with, besides the images.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Request {
    /// What is asked of the threshold.
    pub objective: Objective,
    /// `1 − δ`: how sure the promise is to hold.
    pub confidence: f64,
    /// `β` of the model.
    pub beta: f32,
}

/// What calibration needs to know of an image, in nats.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ImageScores {
    /// Score of the image.
    pub image: f32,
    /// The value that [`PIXEL_SHARE`] of the pixels exceed.
    pub pixel: f32,
}

impl ImageScores {
    /// Of a map with the score `image`.
    pub fn of(map: &AnomalyMap, image: f32) -> ImageScores {
        let mut nats = map.nats.clone();
        let above = ((nats.len() as f64 * PIXEL_SHARE) as usize).min(nats.len().saturating_sub(1));
        let pixel = match nats.is_empty() {
            true => f32::NEG_INFINITY,
            false => *nats.select_nth_unstable_by(above, |a, b| b.total_cmp(a)).1,
        };
        ImageScores { image, pixel }
    }
}

/// An operating point and what it rests on; part of a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// What was asked.
    pub objective: Objective,
    /// How sure the promise is to hold; also that of each bound below.
    pub confidence: f64,
    /// `t`: the threshold the promise is about, nats. It lies within the band.
    pub threshold: f32,
    /// Where OK ends and NG begins, the same as the model's.
    pub thresholds: Thresholds,
    /// Regions are cut out at this value of the map, nats; with the confidence above at most the share promised of good
    /// images (without such a promise: β) has more than [`PIXEL_SHARE`] of its pixels above it. `None` if too few good images were given.
    pub pixel_threshold: Option<f32>,
    /// Good images that the threshold `t` alone would call NG.
    pub false_alarms: Rate,
    /// Defective images that the threshold `t` alone would call OK.
    pub escapes: Rate,
    /// Verdicts on the good images: OK, REVIEW, NG.
    pub good: [usize; 3],
    /// Verdicts on the defective images: OK, REVIEW, NG.
    pub defective: [usize; 3],
    /// SHA-256 of every image file calibrated with, sorted: evaluation leaves them out.
    pub images_sha256: Vec<String>,
}

/// Finds the operating point.
///
/// # Errors
///
/// A [`CalibrationError`]: [`CalibrationError::NotEnough`] says how many images it takes.
pub fn calibrate(
    good: &[ImageScores],
    defective: &[ImageScores],
    request: Request,
) -> Result<Calibration, CalibrationError> {
    request.objective.check()?;
    let delta = 1.0 - request.confidence;
    if !(request.confidence > 0.0 && request.confidence < 1.0) {
        return Err(CalibrationError::NotAShare { what: "the confidence", found: request.confidence });
    }
    let good_scores = sorted(good, |s| s.image)?;
    let bad_scores = sorted(defective, |s| s.image)?;
    let threshold = match request.objective {
        Objective::MaxFalseAlarms(rate) => below_share(&good_scores, rate, delta)?,
        Objective::MinRecall(recall) => above_share(&bad_scores, 1.0 - recall, delta)?,
        Objective::Cost { escape, overkill, defect_rate } => {
            let weights = [escape * defect_rate, overkill * (1.0 - defect_rate)];
            cheapest(&good_scores, &bad_scores, weights)?
        }
        Objective::ByHand => return Err(CalibrationError::NothingAsked),
    };
    let thresholds = band(&good_scores, threshold, request.beta);
    let pixel_share = match request.objective {
        Objective::MaxFalseAlarms(rate) => rate,
        _ => f64::from(request.beta).clamp(1e-3, 0.5),
    };
    let pixels = sorted(good, |s| s.pixel)?;
    let pixel_threshold = below_share(&pixels, pixel_share, delta).ok();
    Ok(Calibration { pixel_threshold, ..point(&good_scores, &bad_scores, request, threshold, thresholds) })
}

/// Thresholds given by hand, with the rates they have on these images; there need be none.
///
/// # Errors
///
/// [`CalibrationError::Disordered`] if they are not in order, [`CalibrationError::NotANumber`] as for [`calibrate`].
pub fn by_hand(
    good: &[ImageScores],
    defective: &[ImageScores],
    thresholds: Thresholds,
    confidence: f64,
) -> Result<Calibration, CalibrationError> {
    if !(thresholds.ok.is_finite() && thresholds.ng.is_finite() && thresholds.ok <= thresholds.ng) {
        return Err(CalibrationError::Disordered { found: thresholds });
    }
    let request = Request { objective: Objective::ByHand, confidence, beta: 0.0 };
    let (good, bad) = (sorted(good, |s| s.image)?, sorted(defective, |s| s.image)?);
    Ok(point(&good, &bad, request, thresholds.ng, thresholds))
}

fn point(good: &[f32], bad: &[f32], request: Request, threshold: f32, thresholds: Thresholds) -> Calibration {
    let verdicts = |scores: &[f32]| {
        let mut counts = [0; 3];
        scores.iter().for_each(|&score| counts[thresholds.verdict(score) as usize] += 1);
        counts
    };
    let above = |scores: &[f32]| scores.iter().filter(|&&score| score > threshold).count();
    let delta = 1.0 - request.confidence;
    Calibration {
        objective: request.objective,
        confidence: request.confidence,
        threshold,
        thresholds,
        pixel_threshold: None,
        false_alarms: Rate::new(above(good), good.len(), delta),
        escapes: Rate::new(bad.len() - above(bad), bad.len(), delta),
        good: verdicts(good),
        defective: verdicts(bad),
        images_sha256: Vec::new(),
    }
}

/// Ascending.
fn sorted(images: &[ImageScores], score: impl Fn(&ImageScores) -> f32) -> Result<Vec<f32>, CalibrationError> {
    let mut scores: Vec<f32> = images.iter().map(score).collect();
    if scores.iter().any(|score| !score.is_finite()) {
        return Err(CalibrationError::NotANumber);
    }
    scores.sort_by(f32::total_cmp);
    Ok(scores)
}

/// The threshold that a share of at most `rate` exceeds.
pub(crate) fn below_share(good: &[f32], rate: f64, delta: f64) -> Result<f32, CalibrationError> {
    match allowed(good.len(), rate, delta) {
        Some(above) => Ok(good[good.len() - 1 - above]),
        None => {
            Err(CalibrationError::NotEnough { what: "good", found: good.len(), needed: needed(rate, delta) })
        }
    }
}

/// The threshold that a share of at most `rate` does not exceed.
fn above_share(bad: &[f32], rate: f64, delta: f64) -> Result<f32, CalibrationError> {
    match allowed(bad.len(), rate, delta) {
        Some(below) => Ok(bad[below].next_down()),
        None => Err(CalibrationError::NotEnough {
            what: "defective",
            found: bad.len(),
            needed: needed(rate, delta),
        }),
    }
}

/// The threshold of least cost; the middle between two scores, of the widest gap if several cost the same.
fn cheapest(good: &[f32], bad: &[f32], [escape, overkill]: [f64; 2]) -> Result<f32, CalibrationError> {
    for (what, scores) in [("good", good), ("defective", bad)] {
        if scores.is_empty() {
            return Err(CalibrationError::NotEnough { what, found: 0, needed: 1 });
        }
    }
    let mut scores = [good, bad].concat();
    scores.sort_by(f32::total_cmp);
    scores.dedup();
    let cost = |t: f32| {
        let escapes = bad.partition_point(|&s| s <= t) as f64 / bad.len() as f64;
        let false_alarms = (good.len() - good.partition_point(|&s| s <= t)) as f64 / good.len() as f64;
        escape * escapes + overkill * false_alarms
    };
    // Below all scores, between each two, above all.
    let mut candidates = vec![(scores[0].next_down(), 0.0)];
    candidates.extend(scores.windows(2).map(|pair| {
        let middle = pair[0] + 0.5 * (pair[1] - pair[0]);
        (if middle < pair[1] { middle } else { pair[0] }, pair[1] - pair[0])
    }));
    candidates.push((scores[scores.len() - 1], 0.0));
    let best = candidates
        .into_iter()
        .map(|(t, gap)| (cost(t), gap, t))
        .min_by(|a, b| a.0.total_cmp(&b.0).then(b.1.total_cmp(&a.1)));
    Ok(best.expect("two candidates at least").2)
}

/// OK and NG on the two sides of `t` and `t_q`.
fn band(good: &[f32], t: f32, beta: f32) -> Thresholds {
    let rank = ((1.0 - f64::from(beta)) * (good.len() + 1) as f64).ceil() as usize;
    // Too few images to tell: `t` itself.
    let t_q = if rank <= good.len() { good[rank.max(1) - 1] } else { t };
    Thresholds { ok: t.min(t_q), ng: t.max(t_q) }
}

/// Why there is no operating point.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum CalibrationError {
    /// There are too few images to prove what was asked.
    NotEnough {
        /// Of which kind: good or defective.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many it takes if every one of them complies.
        needed: usize,
    },
    /// A number that must lie between 0 and 1 does not.
    NotAShare {
        /// Which.
        what: &'static str,
        /// What it is.
        found: f64,
    },
    /// A cost is not a positive number.
    NotACost {
        /// Which.
        what: &'static str,
        /// What it is.
        found: f64,
    },
    /// Thresholds are not finite or in the wrong order.
    Disordered {
        /// What they are.
        found: Thresholds,
    },
    /// The model gives an image a score that is not finite.
    NotANumber,
    /// [`Objective::ByHand`] has nothing to be found; [`by_hand`] takes the thresholds.
    NothingAsked,
}

impl fmt::Display for CalibrationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotEnough { what, found, needed } => write!(
                f,
                "{found} {what} images cannot prove that: it takes {needed}, {} more, or a weaker promise",
                needed.saturating_sub(*found)
            ),
            Self::NotAShare { what, found } => {
                write!(f, "{what} is {found}, expected more than 0 and less than 1 (0 % and 100 %)")
            }
            Self::NotACost { what, found } => write!(f, "{what} is {found}, expected a positive number"),
            Self::Disordered { found } => write!(
                f,
                "thresholds are {} and {}, expected two finite numbers, OK not above NG",
                found.ok, found.ng
            ),
            Self::NotANumber => write!(f, "the model's score of an image is not finite"),
            Self::NothingAsked => write!(f, "thresholds given by hand are not calibrated"),
        }
    }
}

impl error::Error for CalibrationError {}

impl Calibration {
    /// The share of `verdict` among the good images calibrated with; `None` of no image.
    pub fn good_share(&self, verdict: Verdict) -> Option<f64> {
        let all: usize = self.good.iter().sum();
        (all > 0).then(|| self.good[verdict as usize] as f64 / all as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn images(scores: impl IntoIterator<Item = f32>) -> Vec<ImageScores> {
        scores.into_iter().map(|image| ImageScores { image, pixel: image - 0.5 }).collect()
    }

    fn asked(objective: Objective) -> Request {
        Request { objective, confidence: 0.95, beta: 0.05 }
    }

    #[test]
    fn false_alarms_are_bounded_by_the_order_statistic() {
        // 93 images prove 5 % with one exceedance: the second largest.
        let found = calibrate(
            &images((1..=93).map(|i| i as f32 / 10.0)),
            &images([9.0, 11.0]),
            asked(Objective::MaxFalseAlarms(0.05)),
        );
        let found = found.expect("93 images are enough");
        assert_eq!(found.threshold, 9.2);
        assert_eq!((found.false_alarms.count, found.false_alarms.images), (1, 93));
        assert!(found.false_alarms.at_most <= 0.05);
        assert_eq!((found.escapes.count, found.escapes.images), (1, 2));
        // ⌈0.95 · 94⌉ = 90.
        assert_eq!(found.thresholds, Thresholds { ok: 9.0, ng: 9.2 });
        assert_eq!((found.good, found.defective), ([90, 2, 1], [1, 0, 1]));
        assert_eq!(found.pixel_threshold, Some(8.7));
    }

    #[test]
    fn too_few_images_are_told_how_many_more() {
        let error =
            calibrate(&images((0..100).map(|i| i as f32)), &[], asked(Objective::MaxFalseAlarms(0.005)));
        let error = error.expect_err("too few");
        assert_eq!(error, CalibrationError::NotEnough { what: "good", found: 100, needed: 598 });
        assert!(error.to_string().contains("it takes 598, 498 more"), "{error}");
        let error = calibrate(&images([1.0]), &images([2.0]), asked(Objective::MinRecall(0.99)));
        assert_eq!(error, Err(CalibrationError::NotEnough { what: "defective", found: 1, needed: 299 }));
    }

    #[test]
    fn recall_is_bounded_from_the_other_side() {
        let bad = images((0..93).map(|i| 5.0 + i as f32));
        let found = calibrate(&images([1.0, 2.0]), &bad, asked(Objective::MinRecall(0.95))).expect("enough");
        assert_eq!(found.threshold, 6.0_f32.next_down());
        assert_eq!((found.escapes.count, found.false_alarms.count), (1, 0));
        assert!(found.escapes.at_most <= 0.05);
    }

    #[test]
    fn costs_weigh_escapes_against_overkill() {
        let (good, bad) = (images([1.0, 2.0, 3.0, 6.0]), images([5.0, 7.0, 8.0]));
        let cost = |escape| Objective::Cost { escape, overkill: 1.0, defect_rate: 0.5 };
        let threshold = |objective| calibrate(&good, &bad, asked(objective)).expect("both kinds").threshold;
        assert_eq!([threshold(cost(100.0)), threshold(cost(0.1))], [4.0, 6.5]);
        // Equal shares of cost: one escape of three costs more than one false alarm of four.
        assert_eq!(threshold(cost(1.0)), 4.0);
        assert!(calibrate(&good, &[], asked(cost(1.0))).is_err());
    }

    #[test]
    fn degenerate_scores_keep_the_promise_or_are_refused() {
        // All the same: nothing exceeds the threshold.
        let same = calibrate(&images([2.0; 59]), &[], asked(Objective::MaxFalseAlarms(0.05))).expect("59");
        assert_eq!((same.threshold, same.false_alarms.count, same.escapes.share()), (2.0, 0, None));
        for scores in [vec![f32::NAN; 59], vec![f32::INFINITY; 59]] {
            let refused = calibrate(&images(scores), &[], asked(Objective::MaxFalseAlarms(0.05)));
            assert_eq!(refused, Err(CalibrationError::NotANumber));
        }
        for share in [0.0, 1.0, -0.1, f64::NAN] {
            let refused = calibrate(&images([1.0; 99]), &[], asked(Objective::MaxFalseAlarms(share)));
            assert!(matches!(refused, Err(CalibrationError::NotAShare { .. })), "{share}");
        }
    }

    #[test]
    fn thresholds_by_hand_are_taken_as_they_are() {
        let hand = |ok, ng| by_hand(&images([1.0, 2.0, 3.0]), &[], Thresholds { ok, ng }, 0.95);
        assert_eq!(hand(1.0, 2.0).map(|c| c.good), Ok([1, 1, 1]));
        assert!(hand(2.0, 1.0).is_err() && hand(f32::NAN, 1.0).is_err() && hand(0.0, f32::INFINITY).is_err());
    }

    #[test]
    fn the_pixel_score_leaves_a_share_of_the_pixels_above() {
        let map = AnomalyMap { nats: (0..2000).map(|i| i as f32).collect(), h: 40, w: 50 };
        assert_eq!(ImageScores::of(&map, 1999.0), ImageScores { image: 1999.0, pixel: 1997.0 });
        let one = AnomalyMap { nats: vec![3.0], h: 1, w: 1 };
        assert_eq!(ImageScores::of(&one, 3.0), ImageScores { image: 3.0, pixel: 3.0 });
    }
}
