//! The library as the studio uses it, all in one place.
//!
//! ```text
//! training     estimate, train, go on after an interruption       judge       score, inspect, propose a mask
//! thresholds   by hand, by a promise; bounds                      lesson      learn from what was judged wrongly
//! intake       survey a folder, examine a project, read a mask
//! ```
//!
//! Nothing here knows of HTTP, and nothing outside of here calls the library's training or scoring.

mod intake;
mod judge;
mod lesson;
mod thresholds;
mod training;

use std::error::Error;
use std::path::{Path, PathBuf};

pub(super) use bgad::printable::chain;
use serde::{Deserialize, Serialize};

pub(super) use intake::{Import, examine, read_mask, survey};
pub(super) use judge::{Scored, SharedJudge, open};
pub(super) use lesson::learn;
pub(super) use thresholds::{CONFIDENCE, Recalibrated, Wanted, bounds, set_thresholds};
pub(super) use training::{Estimate, TrainRequest, estimate, forget, train};

/// Why the library did not do it; its message is for people.
pub(super) type Failure = Box<dyn Error + Send + Sync>;

/// How far a piece of work has come.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Progress {
    /// `encoding`, `training`, `finishing`, `scoring` or `reading`.
    pub stage: String,
    pub done: usize,
    pub total: usize,
    /// Seconds still to go, if that can be told.
    pub secs_left: Option<f64>,
    /// Mean loss of each pass so far.
    pub losses: Vec<f64>,
}

/// What work is told from outside, and tells.
pub(super) trait Control: Sync {
    /// Asked often; blocks while the work is paused. Whether to stop.
    fn stop(&self) -> bool;
    /// Takes a report.
    fn report(&self, progress: Progress);
    /// Takes a word about a file that could not be used.
    fn skipped(&self, message: String);
}

fn model_path(root: &Path, name: &str) -> PathBuf {
    root.join("models").join(format!("{name}.bgad"))
}
