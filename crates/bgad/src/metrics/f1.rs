//! The best F1 and the threshold that reaches it.
//!
//! ```text
//! F1(t) = 2 TP / (2 TP + FP + FN) = 2 TP / (P + TP + FP)      called anomalous: score ≥ t
//! F1max = max over t in the distinct scores
//! ```

use super::ranking::Ranking;

/// The largest F1 over all thresholds, and where it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct F1Max {
    /// The F1 itself, in (0, 1].
    pub f1: f64,
    /// The score at and above which a sample is called anomalous; in the units of the scores.
    pub threshold: f32,
}

/// Searches all distinct scores for the best F1.
///
/// Of equally good thresholds the lowest is returned: it finds the most anomalies, and it is the first that
/// the authors' search from below meets. `None` without anomalies, for which F1 has no meaning.
///
/// # Panics
///
/// If the slices differ in length or a score is NaN; [`Ranking::of`] reports the latter as an error.
pub fn f1_max(scores: &[f32], is_anomaly: &[bool]) -> Option<F1Max> {
    Ranking::of(scores, is_anomaly).expect("scores must be numbers").f1_max()
}

impl Ranking {
    /// The best F1 over all thresholds, the lowest of equally good ones; `None` without anomalies.
    pub fn f1_max(&self) -> Option<F1Max> {
        let p = self.anomalies() as u64;
        let mut true_positives = 0;
        let mut best: Option<F1Max> = None;
        // A threshold at a normal score only adds false positives to the step above it, so it is never
        // best.
        for step in self.steps() {
            true_positives += step.anomalies_tied;
            let called = true_positives + step.normals_above + step.normals_tied;
            let f1 = (2 * true_positives) as f64 / (p + called) as f64;
            if best.is_none_or(|best| f1 >= best.f1) {
                best = Some(F1Max { f1, threshold: step.score });
            }
        }
        best
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(labels: &str, scores: &[f32], want: Option<(f64, f32)>) {
        let is_anomaly: Vec<bool> = labels.chars().map(|c| c == 'x').collect();
        let want = want.map(|(f1, threshold)| F1Max { f1, threshold });
        assert_eq!(f1_max(scores, &is_anomaly), want, "{labels} {scores:?}");
    }

    #[test]
    fn worked_examples() {
        check("..xx", &[0.1, 0.2, 0.8, 0.9], Some((1.0, 0.8)));
        check("..xx", &[0.1, 0.4, 0.35, 0.8], Some((0.8, 0.35)));
        check("xx..", &[0.1, 0.2, 0.8, 0.9], Some((4.0 / 6.0, 0.1)));
        check("x..", &[0.5, 0.5, 0.5], Some((0.5, 0.5)));
    }

    #[test]
    fn of_equal_f1_the_lowest_threshold() {
        // At 0.9: TP 1, FP 0, 2/3. At 0.1: TP 2, FP 2, 4/6.
        check("x..x", &[0.9, 0.5, 0.4, 0.1], Some((2.0 / 3.0, 0.1)));
    }

    #[test]
    fn one_class() {
        check("..", &[0.1, 0.2], None);
        check("", &[], None);
        check("xx", &[-3.0, f32::INFINITY], Some((1.0, -3.0)));
    }

    #[test]
    #[should_panic(expected = "NotANumber { index: 0 }")]
    fn nan_is_refused() {
        f1_max(&[f32::NAN], &[true]);
    }
}
