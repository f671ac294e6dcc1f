//! Area under the ROC curve.
//!
//! ```text
//! AUROC = P(a > n) + ½ P(a = n)      a, n: a random anomalous and a random normal score
//!       = Σ over anomalies of (normals below + ½ normals tied) / (P·N)
//! ```
//!
//! The sum is kept as an integer, so the only rounding is the final division.

use super::ranking::Ranking;

/// Chance that an anomaly scores above a normal, a tie counting one half.
///
/// `None` unless both classes are present.
///
/// # Panics
///
/// If the slices differ in length or a score is NaN; [`Ranking::of`] reports the latter as an error.
pub fn auroc(scores: &[f32], is_anomaly: &[bool]) -> Option<f64> {
    Ranking::of(scores, is_anomaly).expect("scores must be numbers").auroc()
}

impl Ranking {
    /// Area under the ROC curve; `None` unless both classes are present.
    pub fn auroc(&self) -> Option<f64> {
        let (p, n) = (self.anomalies() as u64, self.normals() as u64);
        if p == 0 || n == 0 {
            return None;
        }
        let mut half_wins: u128 = 0;
        for step in self.steps() {
            let normals_below = n - step.normals_above - step.normals_tied;
            half_wins += u128::from(step.anomalies_tied) * u128::from(2 * normals_below + step.normals_tied);
        }
        Some(half_wins as f64 / (2 * u128::from(p) * u128::from(n)) as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `labels` is drawn: `x` an anomaly, `.` a normal.
    #[track_caller]
    fn check(labels: &str, scores: &[f32], want: Option<f64>) {
        let is_anomaly: Vec<bool> = labels.chars().map(|c| c == 'x').collect();
        assert_eq!(auroc(scores, &is_anomaly), want, "{labels} {scores:?}");
    }

    #[test]
    fn perfect_inverted_and_blind_detectors() {
        check("..xx", &[0.1, 0.2, 0.8, 0.9], Some(1.0));
        check("xx..", &[0.1, 0.2, 0.8, 0.9], Some(0.0));
        check("x.x.", &[0.5, 0.5, 0.5, 0.5], Some(0.5));
    }

    #[test]
    fn ties_count_half_wherever_they_stand() {
        check("..x", &[0.5, 0.1, 0.5], Some(0.75));
        check("x..x.x", &[0.3, 0.1, 0.3, 0.3, 0.2, 0.9], Some(8.0 / 9.0));
        check(".x", &[-0.0, 0.0], Some(0.5));
    }

    #[test]
    fn infinite_scores_have_a_rank() {
        check(".x.x", &[f32::NEG_INFINITY, 0.0, 1.0, f32::INFINITY], Some(0.75));
    }

    #[test]
    fn one_class_has_no_area() {
        check("...", &[0.1, 0.2, 0.3], None);
        check("x", &[0.1], None);
        check("", &[], None);
    }

    #[test]
    #[should_panic(expected = "NotANumber { index: 1 }")]
    fn nan_is_refused() {
        auroc(&[0.0, f32::NAN], &[true, false]);
    }
}
