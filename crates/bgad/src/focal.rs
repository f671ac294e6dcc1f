//! The two asymmetric focal weights.
//!
//! ```text
//! q = l / ν
//! w_n = 1 if q > −0.2 else 11.7 (1 − e^q)^½ |q|         hard normals count more
//! w_a = 1 if q ≤ −1   else 0.53 (1 + e^q)² / |q|        hard anomalies count more; |q| at least 1e-3
//! ```
//!
//! Both are constants to the gradient. The second is unbounded as q → 0; the cap keeps it finite.

/// Smallest |q| in the weight of an anomaly.
const SMALLEST_Q: f32 = 1e-3;

/// `w_n` of a normal position with normalised likelihood `q`.
pub fn normal_weight(q: f32) -> f32 {
    if q > -0.2 { 1.0 } else { 11.7 * (1.0 - q.exp()).sqrt() * q.abs() }
}

/// `w_a` of an anomalous position with normalised likelihood `q`.
pub fn anomaly_weight(q: f32) -> f32 {
    if q <= -1.0 { 1.0 } else { 0.53 * (1.0 + q.exp()).powi(2) / q.abs().max(SMALLEST_Q) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::Golden;

    #[test]
    fn agrees_with_the_recorded_weights() {
        let golden = Golden::open("loss");
        let (normal, anomalous) = (golden.f32("weights.normal"), golden.f32("weights.abnormal"));
        for (i, l) in golden.f32("weights.logp").into_iter().enumerate() {
            let q = l / 10.0;
            // Near q = 0 the recorded weight divides by a rounded q: a few units of the last place.
            let close = |got: f32, want: f32| (got - want).abs() <= 2e-6 * want;
            assert!(close(normal_weight(q), normal[i]), "w_n({q}) is not {}", normal[i]);
            assert!(close(anomaly_weight(q), anomalous[i]), "w_a({q}) is not {}", anomalous[i]);
        }
    }

    #[test]
    fn stays_finite_at_the_extremes() {
        for q in [-1e30, -100.0, -1.0, -0.2, -1e-20, 0.0, 1e-20, 1.0, 20.0] {
            assert!(normal_weight(q).is_finite() && normal_weight(q) >= 0.0, "w_n({q})");
            assert!(anomaly_weight(q).is_finite() && anomaly_weight(q) >= 0.0, "w_a({q})");
        }
        assert_eq!(anomaly_weight(0.0), anomaly_weight(0.0f32.next_up()));
    }
}
