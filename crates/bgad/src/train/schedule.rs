//! The learning rate.
//!
//! ```text
//! cosine(e)  = end + (lr − end)(1 + cos(π e / E)) / 2,  end = lr · 1e-3,  e = meta-epoch of E, from 0
//! warm-up    over the first 2 meta-epochs, pass by pass: linear from lr/10 to cosine(2), never falling
//! ```
//!
//! The authors' warm-up takes its end from the length of a two-element list; this one ends where the cosine is at
//! that moment, so the two meet.

use crate::options::Schedule;

/// Meta-epochs of warm-up.
const WARM_UP: usize = 2;

/// Learning rate of the last meta-epoch, as a share of the peak.
const END: f64 = 1e-3;

/// Learning rate of pass `pass` of `schedule`, counting from 0.
pub(super) fn learning_rate(schedule: Schedule, peak: f32, pass: usize) -> f32 {
    let total = schedule.meta_epochs as f64;
    let peak = f64::from(peak);
    let cosine = |meta: f64| {
        let end = peak * END;
        end + (peak - end) * (1.0 + (std::f64::consts::PI * meta / total).cos()) / 2.0
    };
    // Schedules too short for two meta-epochs of warm-up spend at most two fifths of themselves on it.
    let warm_passes = (WARM_UP * schedule.sub_epochs).min(schedule.passes() * 2 / 5);
    let rate = if pass < warm_passes {
        let top = cosine(warm_passes as f64 / schedule.sub_epochs as f64);
        let start = (peak / 10.0).min(top);
        start + (top - start) * pass as f64 / warm_passes as f64
    } else {
        cosine((pass / schedule.sub_epochs) as f64)
    };
    rate as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(meta_epochs: usize, sub_epochs: usize) -> Vec<f32> {
        let schedule = Schedule { meta_epochs, sub_epochs };
        (0..schedule.passes()).map(|pass| learning_rate(schedule, 2e-4, pass)).collect()
    }

    #[test]
    fn warms_up_monotonically_then_follows_the_cosine() {
        let rates = rates(25, 8);
        assert!((rates[0] - 2e-5).abs() < 1e-9, "starts at a tenth: {}", rates[0]);
        assert!(rates[..17].windows(2).all(|w| w[0] < w[1]), "rises: {:?}", &rates[..17]);
        assert!(rates[16..].windows(2).all(|w| w[0] >= w[1]), "falls");
        let at_two = 2e-7 + (2e-4 - 2e-7) * (1.0 + (std::f64::consts::PI * 2.0 / 25.0).cos()) / 2.0;
        assert!((f64::from(rates[16]) - at_two).abs() < 1e-9, "meets the cosine");
        assert!(rates[199] < 2e-6 && rates[199] > 2e-7);
    }

    #[test]
    fn short_schedules_have_positive_finite_rates() {
        for (meta, sub) in [(1, 1), (1, 10), (2, 1), (3, 1), (5, 2)] {
            let rates = rates(meta, sub);
            assert!(rates.iter().all(|r| r.is_finite() && *r > 0.0 && *r <= 2e-4), "{meta}x{sub}: {rates:?}");
        }
    }
}
