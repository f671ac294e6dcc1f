//! What an evaluation comes to: how many defects would pass and how many good parts would be stopped, now and at other
//! thresholds.

use std::fmt;

use serde::Serialize;

use super::{Evaluation, ScoredImage};
use crate::verdict::{Thresholds, Verdict};

/// Shares of false alarms that are worth a row of the table.
const SHARES: [f64; 4] = [0.01, 0.02, 0.05, 0.1];
/// A lower end of OK is not proposed if a person would look at a larger share of good parts.
const LOOKED_AT_AT_MOST: f64 = 0.1;
/// Nine images in ten beyond all experience are not parts of this product.
const FOREIGN_SHARE: f64 = 0.9;
/// With fewer images nothing is said of the product.
const FOREIGN_IMAGES: usize = 5;
/// An image is beyond all experience if it is so many times as far from the middle of the training scores as the end of OK is.
const FOREIGN_DISTANCE: f32 = 5.0;

/// What verdicts do to the images evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Conclusion {
    /// Defective images.
    pub defective: usize,
    /// Of these, how many would pass as OK.
    pub escapes: usize,
    /// Good images.
    pub good: usize,
    /// Of these, how many would be stopped as NG.
    pub stopped: usize,
    /// Of these, at how many a person would look (REVIEW).
    pub looked_at: usize,
    /// Images, good or defective, at which a person would look.
    pub review: usize,
    /// Whether nearly all images lie far beyond what the model was trained on: another product, camera or light.
    pub is_foreign: bool,
}

/// What one threshold, above which everything is stopped, would do.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ThresholdRow {
    /// Nats of the image score.
    pub threshold: f32,
    /// Defective images up to it: they would pass.
    pub escapes: usize,
    /// Good images above it: they would be stopped.
    pub false_alarms: usize,
    /// Which threshold of the model it is.
    pub role: Option<ThresholdRole>,
}

/// A threshold that the model has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ThresholdRole {
    /// OK ends here, and NG begins.
    Both,
    /// OK ends here.
    Ok,
    /// NG begins here.
    Ng,
}

impl Conclusion {
    /// What comes of the verdicts of an evaluation. `trained` are the scores of the normal training images, sorted.
    pub fn of(evaluation: &Evaluation, thresholds: Thresholds, trained: &[f32]) -> Conclusion {
        let c = &evaluation.counts;
        let looked_at = c.good - c.good_ok - c.good_ng;
        Conclusion {
            defective: c.defective,
            escapes: c.defective_ok,
            good: c.good,
            stopped: c.good_ng,
            looked_at,
            review: looked_at + (c.defective - c.defective_ok - c.defective_ng),
            is_foreign: is_foreign(&evaluation.images, thresholds, trained),
        }
    }
}

impl fmt::Display for Conclusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if self.defective > 0 {
            let defects = if self.defective == 1 { "defect" } else { "defects" };
            parts.push(format!("{} of {} {defects} would pass as OK", self.escapes, self.defective));
        }
        if self.good > 0 {
            let good = if self.good == 1 { "good part" } else { "good parts" };
            let looked_at =
                if self.looked_at > 0 { format!(" and {} looked at", self.looked_at) } else { String::new() };
            parts.push(format!("of {} {good} {} would be stopped{looked_at}", self.good, self.stopped));
        }
        f.write_str(&parts.join("; "))
    }
}

fn is_foreign(images: &[ScoredImage], thresholds: Thresholds, trained: &[f32]) -> bool {
    let (Some(&middle), true) = (trained.get(trained.len() / 2), images.len() >= FOREIGN_IMAGES) else {
        return false;
    };
    let far = middle + FOREIGN_DISTANCE * (thresholds.ok - middle).max(0.0);
    let beyond = images.iter().filter(|image| image.score > far && image.verdict == Verdict::Ng).count();
    // A set of defects alone may lie as far out: what is known to be good must, too.
    let is_good = |image: &&ScoredImage| image.sample.kind.defect().is_none();
    let good = images.iter().filter(is_good).count();
    let good_beyond = images.iter().filter(is_good).filter(|image| image.score > far).count();
    good > 0
        && beyond as f64 >= FOREIGN_SHARE * images.len() as f64
        && good_beyond as f64 >= FOREIGN_SHARE * good as f64
}

/// The thresholds of the model and others worth knowing, the lowest first: where no defect passes, where no good part is
/// stopped, and where one in a hundred to one in ten is.
pub fn threshold_table(evaluation: &Evaluation, thresholds: Thresholds) -> Vec<ThresholdRow> {
    let scores = |defective: bool| -> Vec<f32> {
        let of_class = evaluation.images.iter().filter(|i| i.sample.kind.defect().is_some() == defective);
        let mut scores: Vec<f32> = of_class.map(|image| image.score).collect();
        scores.sort_by(f32::total_cmp);
        scores
    };
    let (good, bad) = (scores(false), scores(true));
    let row = |threshold: f32, role: Option<ThresholdRole>| ThresholdRow {
        threshold,
        escapes: bad.partition_point(|&score| score <= threshold),
        false_alarms: good.len() - good.partition_point(|&score| score <= threshold),
        role,
    };
    let now = thresholds;
    let mut rows = match now.ok == now.ng {
        true => vec![row(now.ok, Some(ThresholdRole::Both))],
        false => vec![row(now.ok, Some(ThresholdRole::Ok)), row(now.ng, Some(ThresholdRole::Ng))],
    };
    let above = |share: f64| good.len().checked_sub(1 + (share * good.len() as f64) as usize);
    let lowest_defect = bad.first().map(|score| score.next_down());
    let of_good = [0.0].into_iter().chain(SHARES).filter_map(above).map(|rank| good[rank]);
    for threshold in lowest_defect.into_iter().chain(of_good) {
        let new = row(threshold, None);
        let is_there =
            |old: &ThresholdRow| (old.escapes, old.false_alarms) == (new.escapes, new.false_alarms);
        if threshold.is_finite() && !rows.iter().any(is_there) {
            rows.push(new);
        }
    }
    rows.sort_by(|a, b| a.threshold.total_cmp(&b.threshold));
    rows
}

/// The end of OK that catches most of the defects that pass now, while at most one good part in ten is looked at; `None` if none does better
/// than the one there is. `rows` are those of [`threshold_table`], `good` how many good images they are of.
pub fn lower_end_of_ok(rows: &[ThresholdRow], good: usize) -> Option<f32> {
    let is_end_of_ok =
        |row: &&ThresholdRow| matches!(row.role, Some(ThresholdRole::Ok | ThresholdRole::Both));
    let now = rows.iter().find(is_end_of_ok)?;
    let is_bearable = |row: &&ThresholdRow| row.false_alarms as f64 <= LOOKED_AT_AT_MOST * good as f64;
    rows.iter()
        .filter(|row| row.threshold < now.threshold && row.escapes < now.escapes)
        .find(is_bearable)
        .map(|row| row.threshold)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::dataset::{Kind, Sample};
    use crate::evaluation::{Counts, Scoring};

    const THRESHOLDS: Thresholds = Thresholds { ok: 2.0, ng: 3.0 };
    const TRAINED: [f32; 3] = [0.8, 1.0, 1.2];

    fn evaluation(good: &[f32], bad: &[f32]) -> Evaluation {
        let thresholds = THRESHOLDS;
        let scored = |kind: &Kind, score: f32| ScoredImage {
            sample: Sample { path: format!("{score}.png").into(), mask: None, kind: kind.clone() },
            score,
            verdict: thresholds.verdict(score),
        };
        let count =
            |scores: &[f32], verdict| scores.iter().filter(|s| thresholds.verdict(**s) == verdict).count();
        let of_good = good.iter().map(|&score| scored(&Kind::Good, score));
        let of_bad = bad.iter().map(|&score| scored(&Kind::Defect("dent".to_owned()), score));
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
            counts: Counts {
                good: good.len(),
                defective: bad.len(),
                good_ok: count(good, Verdict::Ok),
                good_ng: count(good, Verdict::Ng),
                defective_ok: count(bad, Verdict::Ok),
                defective_ng: count(bad, Verdict::Ng),
                ..Counts::default()
            },
            secs_per_image: 0.0,
            scoring: Scoring::Frozen,
            images: of_good.chain(of_bad).collect(),
        }
    }

    #[test]
    fn the_sentence_counts_what_matters() {
        let of = |good: &[f32], bad: &[f32]| {
            Conclusion::of(&evaluation(good, bad), THRESHOLDS, &TRAINED).to_string()
        };
        assert_eq!(
            of(&[1.0, 2.5, 4.0], &[1.5, 2.9, 9.0, 8.0]),
            "1 of 4 defects would pass as OK; of 3 good parts 1 would be stopped and 1 looked at"
        );
        assert_eq!(of(&[1.0], &[]), "of 1 good part 0 would be stopped");
        assert_eq!(of(&[], &[1.0]), "1 of 1 defect would pass as OK");
    }

    #[test]
    fn another_product_is_told_from_a_bad_model() {
        let is_foreign = |good: &[f32], bad: &[f32]| {
            Conclusion::of(&evaluation(good, bad), THRESHOLDS, &TRAINED).is_foreign
        };
        assert!(is_foreign(&[20.0, 21.0, 19.0, 22.0], &[18.0, 25.0]));
        assert!(!is_foreign(&[1.0, 2.5, 4.0], &[18.0, 25.0, 22.0]), "good parts are as they should be");
        assert!(!is_foreign(&[], &[18.0, 25.0, 22.0, 21.0, 23.0]), "defects may lie that far out");
        assert!(!is_foreign(&[4.0, 4.5, 5.0], &[3.5, 4.6, 5.5]), "stopped, but not beyond all experience");
    }

    #[test]
    fn the_table_has_the_models_thresholds_and_both_ends() {
        let good: Vec<f32> = (0..20).map(|i| i as f32 / 10.0).collect();
        let found = threshold_table(&evaluation(&good, &[1.5, 2.5, 9.0]), THRESHOLDS);
        let rows: Vec<_> = found.iter().map(|row| (row.escapes, row.false_alarms, row.role)).collect();
        let want = [
            (0, 5, None),
            (1, 2, None),
            (1, 1, None),
            (1, 0, Some(ThresholdRole::Ok)),
            (2, 0, Some(ThresholdRole::Ng)),
        ];
        assert_eq!(rows, want);
        assert!(found.is_sorted_by(|a, b| a.threshold <= b.threshold));
        assert_eq!(threshold_table(&evaluation(&[], &[]), THRESHOLDS).len(), 2);
    }

    #[test]
    fn a_lower_end_of_ok_is_proposed_only_where_it_is_bearable() {
        let lower = |good: &[f32], bad: &[f32]| {
            let rows = threshold_table(&evaluation(good, bad), THRESHOLDS);
            lower_end_of_ok(&rows, good.len())
        };
        let good: Vec<f32> = (0..20).map(|i| i as f32 / 10.0).collect();
        // Two of twenty good parts are above 1.7, the defect of 1.75 too; that of 0.5 has a price.
        assert_eq!(lower(&good, &[0.5, 1.75, 9.0]), Some(1.7));
        assert_eq!(lower(&good, &[0.5, 9.0]), None, "nothing bearable catches more");
        assert_eq!(lower(&good, &[2.5, 9.0]), None, "nothing passes");
    }
}
