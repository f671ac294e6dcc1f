//! The two asymmetric focal weights.
//!
//! ```text
//! hat l = l / ν
//! w_n = 1 if hat l > −0.2 else 11.7 (1 − e^(hat l))^½ |hat l|    hard normals count more
//! w_a = 1 if hat l ≤ −1   else 0.53 (1 + e^(hat l))² / |hat l|   hard anomalies count more; |hat l| at least 1e-3
//! ```
//!
//! Both are constants to the gradient. The second is unbounded as hat l → 0; the cap keeps it finite.

/// Smallest |hat l| in the weight of an anomaly.
const SMALLEST: f32 = 1e-3;

/// `w_n` of a normal position with normalised likelihood `hat_l`.
pub fn normal_weight(hat_l: f32) -> f32 {
    if hat_l > -0.2 { 1.0 } else { 11.7 * (1.0 - hat_l.exp()).sqrt() * hat_l.abs() }
}

/// `w_a` of an anomalous position with normalised likelihood `hat_l`.
pub fn anomaly_weight(hat_l: f32) -> f32 {
    if hat_l <= -1.0 { 1.0 } else { 0.53 * (1.0 + hat_l.exp()).powi(2) / hat_l.abs().max(SMALLEST) }
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
            let hat_l = l / 10.0;
            // Near 0 the recorded weight divides by a rounded hat l: a few units of the last place.
            let close = |got: f32, want: f32| (got - want).abs() <= 2e-6 * want;
            assert!(close(normal_weight(hat_l), normal[i]), "w_n({hat_l}) is not {}", normal[i]);
            assert!(close(anomaly_weight(hat_l), anomalous[i]), "w_a({hat_l}) is not {}", anomalous[i]);
        }
    }

    #[test]
    fn stays_finite_at_the_extremes() {
        for hat_l in [-1e30, -100.0, -1.0, -0.2, -1e-20, 0.0, 1e-20, 1.0, 20.0] {
            assert!(normal_weight(hat_l).is_finite() && normal_weight(hat_l) >= 0.0, "w_n({hat_l})");
            assert!(anomaly_weight(hat_l).is_finite() && anomaly_weight(hat_l) >= 0.0, "w_a({hat_l})");
        }
        assert_eq!(anomaly_weight(0.0), anomaly_weight(0.0f32.next_up()));
    }
}
