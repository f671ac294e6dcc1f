//! Whether what is seen is still what was seen: a window of scores against a reference.
//!
//! ```text
//! reference   the first n scores of this version that are not NG        F_n
//! window      each m scores after them that are not NG                  G_m
//! D = sup |F_n − G_m|         alarm if D > sqrt(ln(2/a) / 2m) + sqrt(ln(2/d) / 2n)
//! ```
//!
//! By the inequality of Dvoretzky, Kiefer and Wolfowitz with Massart's constant, each empirical distribution is further
//! from the true one than its term with probability `a` and `d`: whatever the distribution of scores is, a window of
//! unchanged parts alarms with probability `a` at most, unless the reference itself is one of the share `d` that is
//! unusual. NG parts are left out on both sides: a bad batch is for the verdict, not for drift.
//!
//! The scores in the model file are those of images that its scales and thresholds rest on, and were taken before the
//! model came to this line: they are not drawn as new ones are, so they cannot be the reference of a stated rate.

use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use bgad::model::Header;
use bgad::record::rfc3339;
use bgad::verdict::{Thresholds, Verdict};
use serde::Serialize;

/// `n`: parts in the reference.
pub(crate) const REFERENCE: usize = 300;
/// `m`: parts in a window.
pub(crate) const WINDOW: usize = 100;
/// `a`: probability that a window of unchanged parts alarms.
pub(crate) const FALSE_ALARMS: f64 = 1e-3;
/// `d`: probability that the reference is unusual.
pub(crate) const UNUSUAL_REFERENCE: f64 = 1e-2;

/// `D` above which a window alarms.
pub(crate) fn threshold() -> f64 {
    let term = |p: f64, n: usize| ((2.0 / p).ln() / (2 * n) as f64).sqrt();
    term(FALSE_ALARMS, WINDOW) + term(UNUSUAL_REFERENCE, REFERENCE)
}

/// Watches the scores of one model version.
#[derive(Debug)]
pub(crate) struct Drift {
    thresholds: Thresholds,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    /// Sorted once it is whole.
    reference: Vec<f32>,
    window: Vec<f32>,
    statistics: Vec<f64>,
    alarms: u64,
    last_alarm: Option<SystemTime>,
}

/// What is known about drift now.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct DriftState {
    /// What is watched.
    pub(crate) signal: &'static str,
    /// Parts in the reference so far, of `reference_size`.
    pub(crate) reference: usize,
    pub(crate) reference_size: usize,
    /// Parts of a window.
    pub(crate) window: usize,
    pub(crate) threshold: f64,
    /// Largest probability that a window of unchanged parts alarms.
    pub(crate) false_alarms_per_window: f64,
    /// `D` of the windows so far, the newest last.
    pub(crate) statistics: Vec<f64>,
    pub(crate) alarms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_alarm: Option<String>,
}

/// Windows that are remembered.
const KEPT: usize = 200;

impl Drift {
    /// For a model with this header.
    pub(crate) fn of(header: &Header) -> Drift {
        Drift { thresholds: header.thresholds, seen: Mutex::default() }
    }

    /// Takes the score of a part; the statistic if it ended a window.
    pub(crate) fn add(&self, score: f32) -> Option<f64> {
        if self.thresholds.verdict(score) == Verdict::Ng {
            return None;
        }
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.reference.len() < REFERENCE {
            seen.reference.push(score);
            if seen.reference.len() == REFERENCE {
                seen.reference.sort_by(f32::total_cmp);
            }
            return None;
        }
        seen.window.push(score);
        if seen.window.len() < WINDOW {
            return None;
        }
        let mut window = std::mem::take(&mut seen.window);
        window.sort_by(f32::total_cmp);
        let statistic = distance(&seen.reference, &window);
        if statistic > threshold() {
            seen.alarms += 1;
            seen.last_alarm = Some(SystemTime::now());
        }
        if seen.statistics.len() == KEPT {
            seen.statistics.remove(0);
        }
        seen.statistics.push(statistic);
        Some(statistic)
    }

    pub(crate) fn state(&self) -> DriftState {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        DriftState {
            signal: "score",
            reference: seen.reference.len(),
            reference_size: REFERENCE,
            window: WINDOW,
            threshold: threshold(),
            false_alarms_per_window: FALSE_ALARMS,
            statistics: seen.statistics.clone(),
            alarms: seen.alarms,
            last_alarm: seen.last_alarm.map(rfc3339),
        }
    }
}

/// Largest difference of the empirical distributions of two sorted samples.
fn distance(a: &[f32], b: &[f32]) -> f64 {
    let share = |sample: &[f32], x: f32| sample.partition_point(|&v| v <= x) as f64 / sample.len() as f64;
    a.iter().chain(b).map(|&x| (share(a, x) - share(b, x)).abs()).fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drift() -> Drift {
        Drift { thresholds: Thresholds { ok: 2.0, ng: 4.0 }, seen: Mutex::default() }
    }

    /// Uniform in `[0, 1)`, by a linear congruential generator.
    fn uniform(state: &mut u64) -> f32 {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*state >> 40) as f32 / (1u64 << 24) as f32
    }

    #[test]
    fn unchanged_parts_alarm_at_most_at_the_stated_rate_and_changed_ones_do() {
        let (mut state, mut windows) = (7, 0);
        let mut alarms = 0;
        for _ in 0..5 {
            let drift = drift();
            for _ in 0..REFERENCE + 200 * WINDOW {
                windows += u64::from(drift.add(uniform(&mut state)).is_some());
            }
            alarms += drift.state().alarms;
            // A third of the spread higher: told within one window.
            for _ in 0..WINDOW {
                drift.add(uniform(&mut state) + 0.4);
            }
            assert_eq!(drift.state().alarms, 1, "the first window after the change");
        }
        assert_eq!((windows, alarms), (1000, 0), "1 alarm in 1000 windows is the most expected");
    }

    #[test]
    fn ng_parts_are_no_drift() {
        let drift = drift();
        let mut state = 3;
        for i in 0..2 * (REFERENCE + 10 * WINDOW) {
            drift.add(if i % 2 == 0 { 50.0 } else { uniform(&mut state) });
        }
        let state = drift.state();
        assert_eq!((state.statistics.len(), state.alarms), (10, 0));
    }

    #[test]
    fn distances_of_samples() {
        assert_eq!(distance(&[1.0, 2.0], &[1.0, 2.0]), 0.0);
        assert_eq!(distance(&[1.0, 2.0], &[3.0]), 1.0);
        assert_eq!(distance(&[1.0, 2.0, 3.0, 4.0], &[3.0, 4.0]), 0.5);
    }
}
