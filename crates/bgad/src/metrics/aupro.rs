//! Area under the per-region overlap curve.
//!
//! ```text
//! PRO(t) = mean over the R regions of |region ∩ {score ≥ t}| / |region|
//! FPR(t) = |normal ∩ {score ≥ t}| / |normal|
//! AUPRO(L) = 1/L ∫_0^L PRO d FPR
//! ```
//!
//! Over all thresholds this is a ROC curve in which an anomalous pixel weighs `1 / (R · area of its
//! region)`: a small defect counts as much as a large one. Points of the curve are joined by straight
//! lines, also across a tie and at the limit, as the ROC area does; with L = 1 and all regions of one size
//! AUPRO is the pixel AUROC.

use super::ranking::Ranking;

impl Ranking {
    /// Area under the per-region overlap curve up to the false-positive rate `fpr_limit`, divided by it: in
    /// [0, 1].
    ///
    /// `None` without an anomalous region or without normal pixels. Exact up to the rounding of one f64 sum
    /// over the anomalous pixels, whose order depends on the scores only.
    ///
    /// # Panics
    ///
    /// Unless `0 < fpr_limit <= 1`.
    pub fn aupro(&self, fpr_limit: f64) -> Option<f64> {
        assert!(fpr_limit > 0.0 && fpr_limit <= 1.0, "FPR limit must be in (0, 1], got {fpr_limit}");
        if self.anomalies() == 0 || self.normals() == 0 {
            return None;
        }
        let n = self.normals() as f64;
        let limit = fpr_limit * n; // false positives allowed, not a whole number in general
        let (mut x, mut y) = (0.0, 0.0); // false positives and overlap so far
        let mut area = 0.0;
        for step in self.steps() {
            // Level up to this score, then a straight line across its tie.
            let level_end = step.normals_above as f64;
            if level_end >= limit {
                break;
            }
            area += y * (level_end - x);
            let tied = step.normals_tied as f64;
            let kept = tied.min(limit - level_end);
            let rise = if tied > 0.0 { step.overlap_tied * (kept / tied) } else { step.overlap_tied };
            area += kept * (y + 0.5 * rise);
            x = level_end + kept;
            y += rise;
            if kept < tied {
                break;
            }
        }
        area += y * (limit - x);
        // Rounding of the running overlap must not show as an area above 1.
        Some((area / limit).min(1.0))
    }
}

#[cfg(test)]
mod tests {
    use crate::metrics::{PixelScores, auroc};

    /// Scores of one image in one row, `mask` drawn: `x` anomalous, `.` normal.
    #[track_caller]
    fn check(mask: &str, map: &[f32], fpr_limit: f64, want: Option<f64>) {
        let mask: Vec<u8> = mask.chars().map(|c| u8::from(c == 'x')).collect();
        let mut pixels = PixelScores::new();
        pixels.push(map, Some(&mask), 1, map.len()).unwrap();
        let got = pixels.rank().aupro(fpr_limit);
        match (got, want) {
            // A handful of f64 terms.
            (Some(got), Some(want)) => {
                assert!((got - want).abs() < 1e-14, "{mask:?} {map:?}: {got}, want {want}")
            }
            _ => assert_eq!(got, want, "{mask:?} {map:?}"),
        }
    }

    #[test]
    fn perfect_inverted_and_blind() {
        check("xx..", &[4.0, 3.0, 2.0, 1.0], 0.3, Some(1.0));
        check("..xx", &[4.0, 3.0, 2.0, 1.0], 0.3, Some(0.0));
        // All tied: the diagonal, whose area up to L is L²/2.
        check("x.x.", &[5.0; 4], 0.3, Some(0.15));
        check("x.x.", &[5.0; 4], 1.0, Some(0.5));
    }

    #[test]
    fn regions_weigh_the_same_whatever_their_size() {
        // The single pixel is found before any normal, the region of three after all.
        check("x.xxx.", &[9.0, 5.0, 1.0, 1.0, 1.0, 4.0], 1.0, Some(0.5));
        check("x.xxx.", &[9.0, 5.0, 1.0, 1.0, 1.0, 4.0], 0.05, Some(0.5));
    }

    #[test]
    fn the_limit_cuts_inside_a_level_and_inside_a_tie() {
        // PRO is 0 up to FPR 1/4, then 1.
        check("x....", &[3.0, 4.0, 2.0, 1.0, 0.0], 0.3, Some((0.3 - 0.25) / 0.3));
        check("x....", &[3.0, 4.0, 2.0, 1.0, 0.0], 0.25, Some(0.0));
        // A tie of the region with two of four normals: PRO = 2 FPR up to FPR 1/2.
        check("x....", &[3.0, 3.0, 3.0, 1.0, 0.0], 0.3, Some(0.3));
        check("x....", &[3.0, 3.0, 3.0, 1.0, 0.0], 1.0, Some(0.75));
    }

    #[test]
    fn with_one_region_and_no_limit_it_is_the_auroc() {
        let map: Vec<f32> = (0..60).map(|i| ((i * 37) % 11) as f32).collect();
        let mask: Vec<bool> = (0..60).map(|i| (20..45).contains(&i)).collect();
        let drawn: String = mask.iter().map(|&m| if m { 'x' } else { '.' }).collect();
        check(&drawn, &map, 1.0, auroc(&map, &mask));
    }

    #[test]
    fn one_class_has_no_area() {
        check("...", &[1.0, 2.0, 3.0], 0.3, None);
        check("xx", &[1.0, 2.0], 0.3, None);
        check("", &[], 0.3, None);
    }

    #[test]
    #[should_panic(expected = "got 30")]
    fn a_limit_in_percent_is_a_mistake() {
        check("x.", &[1.0, 0.0], 30.0, None);
    }
}
