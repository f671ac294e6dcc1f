//! Scores in order: the one sort that all metrics share.
//!
//! ```text
//! key(s)    u32 with key(a) < key(b) exactly when a < b, and key(−0) = key(0)
//! normal    [n]  key                    4 bytes a score
//! anomalous [p]  key · 2³² + area       8 bytes a score; area: pixels of its region
//! ```
//!
//! Between two neighbouring anomalous scores only false positives are added, so every metric needs to look
//! at the distinct anomalous scores only: the steps.

use std::{error, fmt};

/// A score is not a number, so it has no place in an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotANumber {
    /// Index of the first such score in the slice that was given.
    pub index: usize,
}

impl fmt::Display for NotANumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected a number for each score, found NaN at index {}", self.index)
    }
}

impl error::Error for NotANumber {}

/// Labelled scores in order, from which [`auroc`](Ranking::auroc),
/// [`average_precision`](Ranking::average_precision), [`f1_max`](Ranking::f1_max) and
/// [`aupro`](Ranking::aupro) are read, each in one pass.
#[derive(Clone, Debug)]
pub struct Ranking {
    /// Keys of the normal scores, ascending.
    normal: Vec<u32>,
    /// Keys of the anomalous scores (upper half) with the area of their region (lower half), ascending.
    anomalous: Vec<u64>,
    /// Number of regions that the anomalous scores belong to.
    regions: usize,
}

/// One distinct anomalous score and what lies at or above it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    /// The score itself.
    pub(super) score: f32,
    /// Normals with a higher score.
    pub(super) normals_above: u64,
    /// Normals with exactly this score.
    pub(super) normals_tied: u64,
    /// Anomalies with exactly this score; at least one.
    pub(super) anomalies_tied: u64,
    /// Mean over all regions of the part of the region that has exactly this score.
    pub(super) overlap_tied: f64,
}

impl Ranking {
    /// Ranks one score per sample, `is_anomaly` beside it. Each anomaly counts as a region of its own.
    ///
    /// # Errors
    ///
    /// [`NotANumber`] if a score is NaN. Infinite scores are fine.
    ///
    /// # Panics
    ///
    /// If the slices differ in length.
    pub fn of(scores: &[f32], is_anomaly: &[bool]) -> Result<Ranking, NotANumber> {
        assert_eq!(scores.len(), is_anomaly.len(), "one label per score");
        refuse_nan(scores)?;
        let of_class =
            |class| scores.iter().zip(is_anomaly).filter(move |&(_, &a)| a == class).map(|(&s, _)| s);
        let normal = of_class(false).map(key).collect();
        let anomalous: Vec<u64> = of_class(true).map(|s| key_with_area(s, 1)).collect();
        let regions = anomalous.len();
        Ok(Ranking::sort(normal, anomalous, regions))
    }

    /// Sorts the keys in place.
    pub(super) fn sort(mut normal: Vec<u32>, mut anomalous: Vec<u64>, regions: usize) -> Ranking {
        normal.sort_unstable();
        // The area breaks ties, so that sums of weights are formed in one order whatever the order of
        // arrival.
        anomalous.sort_unstable();
        Ranking { normal, anomalous, regions }
    }

    /// Number of normal scores.
    pub fn normals(&self) -> usize {
        self.normal.len()
    }

    /// Number of anomalous scores.
    pub fn anomalies(&self) -> usize {
        self.anomalous.len()
    }

    /// Number of connected anomalous regions (of anomalies, where each stands for itself).
    pub fn regions(&self) -> usize {
        self.regions
    }

    /// The distinct anomalous scores, from the highest down.
    pub(super) fn steps(&self) -> impl Iterator<Item = Step> {
        let n = self.normal.len();
        let mut rest = n; // normals[..rest] are not yet passed
        let regions = self.regions as f64;
        self.anomalous.chunk_by(|a, b| a >> 32 == b >> 32).rev().map(move |tied| {
            let key = (tied[0] >> 32) as u32;
            while rest > 0 && self.normal[rest - 1] > key {
                rest -= 1;
            }
            let normals_above = (n - rest) as u64;
            while rest > 0 && self.normal[rest - 1] == key {
                rest -= 1;
            }
            let overlap: f64 = tied.iter().map(|&entry| 1.0 / f64::from(entry as u32)).sum();
            Step {
                score: score(key),
                normals_above,
                normals_tied: (n - rest) as u64 - normals_above,
                anomalies_tied: tied.len() as u64,
                overlap_tied: overlap / regions,
            }
        })
    }
}

/// Refuses scores among which one is not a number.
pub(super) fn refuse_nan(scores: &[f32]) -> Result<(), NotANumber> {
    match scores.iter().position(|s| s.is_nan()) {
        Some(index) => Err(NotANumber { index }),
        None => Ok(()),
    }
}

/// The order-preserving key of a score that is not NaN.
pub(super) fn key(score: f32) -> u32 {
    let bits = (score + 0.0).to_bits(); // −0 + 0 = +0: equal scores get equal keys
    // Positive floats order as their bits do; negative ones the other way round and below them.
    if bits >> 31 == 0 { bits | 1 << 31 } else { !bits }
}

/// The score of a key.
fn score(key: u32) -> f32 {
    f32::from_bits(if key >> 31 == 1 { key & !(1 << 31) } else { !key })
}

/// Key of an anomalous score in the upper half, area of its region in the lower one.
pub(super) fn key_with_area(score: f32, area: u32) -> u64 {
    u64::from(key(score)) << 32 | u64::from(area)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_keep_the_order_and_the_value() {
        let ascending = [
            f32::NEG_INFINITY,
            -1e30,
            -1.0,
            -1e-40,
            0.0,
            1e-40,
            0.5,
            1.0,
            1.0000001,
            f32::MAX,
            f32::INFINITY,
        ];
        for pair in ascending.windows(2) {
            assert!(key(pair[0]) < key(pair[1]), "{pair:?}");
        }
        for s in ascending {
            assert_eq!(score(key(s)), s);
        }
        assert_eq!(key(-0.0), key(0.0));
    }

    #[test]
    fn nan_is_refused_by_its_index() {
        let found = Ranking::of(&[0.0, f32::NAN, 1.0], &[false, false, true]).unwrap_err();
        assert_eq!(found, NotANumber { index: 1 });
        assert_eq!(found.to_string(), "expected a number for each score, found NaN at index 1");
    }

    #[test]
    fn steps_hold_ties_together() {
        let ranking = Ranking::of(
            &[3.0, 2.0, 2.0, 2.0, 1.0, 0.5, -0.0, 0.0],
            &[false, true, false, true, false, true, false, true],
        )
        .unwrap();
        let steps: Vec<_> =
            ranking.steps().map(|s| (s.score, s.normals_above, s.normals_tied, s.anomalies_tied)).collect();
        assert_eq!(steps, [(2.0, 1, 1, 2), (0.5, 3, 0, 1), (0.0, 3, 1, 1)]);
        assert_eq!((ranking.normals(), ranking.anomalies(), ranking.regions()), (4, 4, 4));
    }
}
