//! Is one model better than another? Both judge the same images.
//!
//! ```text
//! d        = AUROC_b − AUROC_a                                                     image AUROC of each
//! interval   percentiles (1 − c)/2 and (1 + c)/2 of d over draws of the images      paired bootstrap
//! ```
//!
//! A draw takes as many good and as many defective images as there are, with replacement, the same ones for both models:
//! what is hard for both cancels. Percentile intervals after Efron and Tibshirani, An Introduction to the Bootstrap, 13.

use rand::{RngExt as _, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use crate::evaluation::{Evaluation, ScoredImage};
use crate::metrics;

/// Two models on the same images.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// Image AUROC of each, 0 to 1; `None` if good or defective images are missing.
    pub auroc: Option<[f64; 2]>,
    /// The second's AUROC less the first's, with its interval.
    pub difference: Option<Difference>,
    /// Images that both have judged.
    pub images: usize,
    /// Images whose verdict differs, in the order of the evaluations.
    #[serde(skip)]
    pub changed: Vec<Changed>,
}

/// A difference and how far chance alone may move it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// On the images as they are.
    pub value: f64,
    /// Lower end of the interval.
    pub at_least: f64,
    /// Upper end of the interval.
    pub at_most: f64,
    /// Share of draws inside the interval.
    pub confidence: f64,
    /// Draws of the images.
    pub draws: usize,
}

/// An image on which the models do not agree.
#[derive(Clone, Debug)]
pub struct Changed {
    /// As the first model sees it.
    pub before: ScoredImage,
    /// As the second does.
    pub after: ScoredImage,
}

/// Compares the evaluations of two models on the same images; those that only one of them has are left out.
pub fn compare(a: &Evaluation, b: &Evaluation, confidence: f64, draws: usize, seed: u64) -> Comparison {
    let mut others = b.images.iter();
    // Both are in the order of one list, so what `b` lacks is never searched for twice.
    let pairs: Vec<(&ScoredImage, &ScoredImage)> = a
        .images
        .iter()
        .filter_map(|image| {
            let mut ahead = others.clone();
            let other = ahead.find(|other| other.sample == image.sample)?;
            others = ahead;
            Some((image, other))
        })
        .collect();
    let scores: Vec<[f32; 2]> = pairs.iter().map(|(a, b)| [a.score, b.score]).collect();
    let defective: Vec<bool> = pairs.iter().map(|(a, _)| a.sample.kind.defect().is_some()).collect();
    let auroc = aurocs(&scores, &defective);
    let difference = auroc.map(|[a, b]| {
        let (at_least, at_most) = interval(&scores, &defective, confidence, draws, seed);
        Difference { value: b - a, at_least, at_most, confidence, draws }
    });
    let changed = pairs
        .iter()
        .filter(|(a, b)| a.verdict != b.verdict)
        .map(|(a, b)| Changed { before: (*a).clone(), after: (*b).clone() })
        .collect();
    Comparison { auroc, difference, images: pairs.len(), changed }
}

fn aurocs(scores: &[[f32; 2]], defective: &[bool]) -> Option<[f64; 2]> {
    let of = |model: usize| {
        let scores: Vec<f32> = scores.iter().map(|pair| pair[model]).collect();
        metrics::auroc(&scores, defective)
    };
    Some([of(0)?, of(1)?])
}

fn interval(scores: &[[f32; 2]], defective: &[bool], confidence: f64, draws: usize, seed: u64) -> (f64, f64) {
    let of_class = |class: bool| -> Vec<[f32; 2]> {
        let pairs = scores.iter().zip(defective);
        pairs.filter(|(_, defective)| **defective == class).map(|(pair, _)| *pair).collect()
    };
    let (good, bad) = (of_class(false), of_class(true));
    let labels: Vec<bool> = (0..scores.len()).map(|i| i >= good.len()).collect();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut differences: Vec<f64> = (0..draws)
        .filter_map(|_| {
            let mut drawn = Vec::with_capacity(labels.len());
            for class in [&good, &bad] {
                drawn.extend(class.iter().map(|_| class[rng.random_range(0..class.len() as u32) as usize]));
            }
            aurocs(&drawn, &labels).map(|[a, b]| b - a)
        })
        .collect();
    differences.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let index = (share * (differences.len() - 1) as f64).round() as usize;
        differences[index]
    };
    (at((1.0 - confidence) / 2.0), at((1.0 + confidence) / 2.0))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::PathBuf;

    use super::*;
    use crate::dataset::{Kind, Sample};
    use crate::evaluation::{Counts, Scoring};
    use crate::verdict::Thresholds;

    fn evaluation(scores: &[(u32, bool, f32)]) -> Evaluation {
        let thresholds = Thresholds { ok: 1.0, ng: 2.0 };
        let images = scores
            .iter()
            .map(|&(name, defective, score)| {
                let kind = if defective { Kind::Defect("spot".to_owned()) } else { Kind::Good };
                let sample = Sample { path: PathBuf::from(name.to_string()), mask: None, kind };
                ScoredImage { sample, score, verdict: thresholds.verdict(score) }
            })
            .collect();
        Evaluation {
            image_auroc: None,
            pixel_auroc: None,
            aupro: None,
            aupro_05: None,
            image_ap: None,
            pixel_ap: None,
            image_f1_max: None,
            pixel_f1_max: None,
            by_type: BTreeMap::new(),
            counts: Counts::default(),
            secs_per_image: 0.0,
            scoring: Scoring::Frozen,
            images,
        }
    }

    #[test]
    fn a_model_does_not_differ_from_itself() {
        let a = evaluation(&[(0, false, 0.1), (1, false, 1.5), (2, true, 1.2), (3, true, 3.0)]);
        let found = compare(&a, &a, 0.95, 200, 0);
        let difference = found.difference.expect("both classes are there");
        assert_eq!((difference.value, difference.at_least, difference.at_most), (0.0, 0.0, 0.0));
        assert_eq!((found.images, found.changed.len()), (4, 0));
    }

    #[test]
    fn a_clear_gain_is_told_from_chance_and_changes_are_named() {
        let good = (0..20).map(|i| (i, false, i as f32 / 20.0));
        let blind: Vec<_> = good.clone().chain((20..40).map(|i| (i, true, (i - 20) as f32 / 20.0))).collect();
        let sharp: Vec<_> = good.chain((20..40).map(|i| (i, true, 3.0))).collect();
        let found = compare(&evaluation(&blind), &evaluation(&sharp), 0.95, 500, 0);
        let difference = found.difference.expect("both classes are there");
        assert_eq!(found.auroc, Some([0.5, 1.0]));
        assert!(0.2 < difference.at_least && difference.at_least < 0.5, "{difference:?}");
        assert!(0.5 < difference.at_most && difference.at_most < 0.8, "{difference:?}");
        assert_eq!(found.changed.len(), 20);
        assert!(found.changed.iter().all(|changed| changed.before.sample.kind.defect().is_some()));
    }

    #[test]
    fn what_only_one_has_seen_is_left_out() {
        let a = evaluation(&[(0, false, 0.1), (1, false, 0.2), (3, true, 3.0)]);
        let b = evaluation(&[(0, false, 0.1), (2, false, 0.2), (3, true, 0.0)]);
        let found = compare(&a, &b, 0.95, 100, 0);
        assert_eq!((found.images, found.changed.len()), (2, 1));
        let b = evaluation(&[(0, false, 0.1)]);
        let found = compare(&a, &b, 0.95, 100, 0);
        assert!(
            (found.images, found.auroc, found.difference) == (1, None, None),
            "no defective image is left"
        );
    }
}
