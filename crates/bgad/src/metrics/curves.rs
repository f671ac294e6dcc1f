//! The curves behind the numbers: ROC and precision over recall.
//!
//! ```text
//! at a threshold t, "score ≥ t is an alarm":
//! false-positive rate  FPR = normals ≥ t / N        recall (TPR) = anomalies ≥ t / P
//! precision            = anomalies ≥ t / (anomalies ≥ t + normals ≥ t)
//! ```
//!
//! A point for every distinct anomalous score, from the highest down: between two of them only false positives are
//! added.

use super::ranking::Ranking;

/// What a threshold at one score gives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OperatingPoint {
    /// Scores from here on are alarms.
    pub threshold: f32,
    /// Share of normals that raise an alarm; `NaN` without normals.
    pub false_positive_rate: f64,
    /// Share of anomalies that raise one.
    pub recall: f64,
    /// Share of alarms that are anomalies.
    pub precision: f64,
}

impl Ranking {
    /// Both curves at once, by falling threshold; recall rises from point to point and ends at 1. Empty without
    /// anomalies.
    pub fn curve(&self) -> Vec<OperatingPoint> {
        let (normals, anomalies) = (self.normals() as f64, self.anomalies() as f64);
        let mut found = 0;
        self.steps()
            .map(|step| {
                found += step.anomalies_tied;
                let false_alarms = step.normals_above + step.normals_tied;
                OperatingPoint {
                    threshold: step.score,
                    false_positive_rate: false_alarms as f64 / normals,
                    recall: found as f64 / anomalies,
                    precision: found as f64 / (found + false_alarms) as f64,
                }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(scores: &[f32], labels: &str) -> Vec<[f64; 4]> {
        let is_anomaly: Vec<bool> = labels.chars().map(|c| c == 'x').collect();
        let curve = Ranking::of(scores, &is_anomaly).unwrap().curve();
        curve.iter().map(|p| [f64::from(p.threshold), p.false_positive_rate, p.recall, p.precision]).collect()
    }

    #[test]
    fn small_cases_by_hand() {
        // By hand: 3 x, 2 tied with a normal, 1 below another normal.
        let got = points(&[3.0, 2.0, 2.0, 1.0, 0.5], "x.x.x");
        assert_eq!(got, [[3.0, 0.0, 1.0 / 3.0, 1.0], [2.0, 0.5, 2.0 / 3.0, 2.0 / 3.0], [0.5, 1.0, 1.0, 0.6]]);
        assert!(points(&[], "").is_empty());
        assert!(points(&[1.0], ".").is_empty());
        let alone = points(&[1.0, 1.0], "xx");
        assert!(alone.len() == 1 && alone[0][1].is_nan() && alone[0][2..] == [1.0, 1.0], "{alone:?}");
    }

    /// The trapezia under the ROC points, ties drawn as slopes, are the AUROC; the steps under precision are the
    /// average precision.
    #[test]
    fn the_areas_are_the_metrics() {
        let scores: Vec<f32> = (0..200).map(|i| ((i * 7919) % 23) as f32).collect();
        let labels: Vec<bool> = (0..200).map(|i| (i * 31) % 7 < 3).collect();
        let ranking = Ranking::of(&scores, &labels).unwrap();
        let (mut auroc, mut ap) = (0.0, 0.0);
        let mut last = (0.0, 0.0);
        for point in ranking.curve() {
            // Normals above this score and below the last: a level stretch before the slope of the tie.
            let normals = scores.iter().zip(&labels).filter(|(_, a)| !**a);
            let above = normals.filter(|(s, _)| **s > point.threshold).count() as f64;
            let above = above / labels.iter().filter(|a| !**a).count() as f64;
            auroc += (above - last.0) * last.1;
            auroc += (point.false_positive_rate - above) * 0.5 * (last.1 + point.recall);
            ap += (point.recall - last.1) * point.precision;
            last = (point.false_positive_rate, point.recall);
        }
        auroc += (1.0 - last.0) * last.1;
        assert!((auroc - ranking.auroc().unwrap()).abs() < 1e-12);
        assert!((ap - ranking.average_precision().unwrap()).abs() < 1e-12);
    }
}
