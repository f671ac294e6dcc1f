//! Average precision.
//!
//! ```text
//! AP = Σ over distinct scores, descending, of (R_k − R_{k−1}) · P_k
//! R_k = TP_k / P,   P_k = TP_k / (TP_k + FP_k)      called anomalous: score ≥ the k-th
//! ```
//!
//! The step-wise sum of scikit-learn's `average_precision_score`: no interpolation between thresholds,
//! which would be too optimistic.

use super::ranking::Ranking;

/// Precision averaged over the recall that each threshold adds; equal scores are one threshold.
///
/// `None` without anomalies; 1 without normals.
///
/// # Panics
///
/// If the slices differ in length or a score is NaN; [`Ranking::of`] reports the latter as an error.
pub fn average_precision(scores: &[f32], is_anomaly: &[bool]) -> Option<f64> {
    Ranking::of(scores, is_anomaly).expect("scores must be numbers").average_precision()
}

impl Ranking {
    /// Average precision; `None` without anomalies.
    pub fn average_precision(&self) -> Option<f64> {
        if self.anomalies() == 0 {
            return None;
        }
        let mut true_positives = 0;
        let mut sum = 0.0;
        for step in self.steps() {
            true_positives += step.anomalies_tied;
            let called = true_positives + step.normals_above + step.normals_tied;
            sum += step.anomalies_tied as f64 * (true_positives as f64 / called as f64);
        }
        Some(sum / self.anomalies() as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(labels: &str, scores: &[f32], want: Option<f64>) {
        let is_anomaly: Vec<bool> = labels.chars().map(|c| c == 'x').collect();
        let got = average_precision(scores, &is_anomaly);
        match (got, want) {
            // A handful of f64 terms: a few units in the last place.
            (Some(got), Some(want)) => {
                assert!((got - want).abs() < 1e-15, "{labels} {scores:?}: {got}, want {want}")
            }
            _ => assert_eq!(got, want, "{labels} {scores:?}"),
        }
    }

    #[test]
    fn worked_examples() {
        check("..xx", &[0.1, 0.2, 0.8, 0.9], Some(1.0));
        // The example in scikit-learn's documentation.
        check("..xx", &[0.1, 0.4, 0.35, 0.8], Some(0.5 + 0.5 * 2.0 / 3.0));
        check("xx..", &[0.1, 0.2, 0.8, 0.9], Some(0.5 / 3.0 + 0.5 * 2.0 / 4.0));
    }

    #[test]
    fn equal_scores_are_one_threshold() {
        check("x.x.", &[0.5, 0.5, 0.5, 0.5], Some(0.5));
        check("x.x.", &[0.9, 0.5, 0.5, 0.1], Some(0.5 + 0.5 * 2.0 / 3.0));
    }

    #[test]
    fn one_class() {
        check("...", &[0.1, 0.2, 0.3], None);
        check("", &[], None);
        check("xx", &[0.3, 0.1], Some(1.0));
    }

    #[test]
    #[should_panic(expected = "NotANumber { index: 0 }")]
    fn nan_is_refused() {
        average_precision(&[f32::NAN], &[true]);
    }
}
