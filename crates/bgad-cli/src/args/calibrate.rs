//! What `bgad calibrate` is told.

use std::path::PathBuf;

use bgad::calibrate::Objective;

use super::parse::{positive, share, threads};

/// Choose the thresholds by what they promise, from images that were not trained on
///
/// The promise holds with the confidence you ask for, whatever the distribution of the scores, as long as future parts
/// are like these images. If the images are too few to prove what you ask, nothing is written and bgad says how many more
/// are needed. `bgad evaluate` leaves these images out from then on.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  bgad calibrate part.bgad --max-false-alarms 5%         after bgad train --hold-out 20%
  bgad calibrate part.bgad --good held-out/ --max-false-alarms 1%
  bgad calibrate part.bgad --good held-out/ --bad defects/ --min-recall 95%
  bgad calibrate part.bgad --good held-out/ --bad defects/ --cost-escape 100 --cost-overkill 1 --defect-rate 2%
  bgad calibrate part.bgad --ok 1.5 --ng 2.5")]
pub(crate) struct CalibrateArgs {
    /// Model file written by `bgad train`.
    #[arg(value_name = "MODEL")]
    pub(crate) model: PathBuf,

    /// Folder of good images that the model was not trained on [default: those that `bgad train --hold-out` held out].
    #[arg(long, value_name = "DIR")]
    pub(crate) good: Option<PathBuf>,

    /// Where the data folder of the training is now, if it was moved.
    #[arg(long, value_name = "DATA")]
    pub(crate) data: Option<PathBuf>,

    /// Folder of defective images that the model was not trained on [default, where they are needed: those that training
    /// kept for the test].
    #[arg(long, value_name = "DIR")]
    pub(crate) bad: Option<PathBuf>,

    /// Call at most this share of good parts NG, for instance 0.5% or 0.005.
    #[arg(long, value_name = "SHARE", value_parser = share, conflicts_with_all = ["min_recall", "cost_escape", "ok"])]
    pub(crate) max_false_alarms: Option<f64>,

    /// Call at least this share of defective parts NG or REVIEW.
    #[arg(long, value_name = "SHARE", value_parser = share, conflicts_with_all = ["cost_escape", "ok"])]
    pub(crate) min_recall: Option<f64>,

    /// Cost of a defective part that passes; the threshold is then the cheapest on these images.
    #[arg(long, value_name = "COST", value_parser = positive, requires = "cost_overkill", conflicts_with = "ok")]
    pub(crate) cost_escape: Option<f64>,

    /// Cost of a good part that is thrown away.
    #[arg(long, value_name = "COST", value_parser = positive, requires = "cost_escape")]
    pub(crate) cost_overkill: Option<f64>,

    /// Share of parts that are defective, for the costs.
    #[arg(long, value_name = "SHARE", value_parser = share, default_value = "1%")]
    pub(crate) defect_rate: f64,

    /// Set the thresholds by hand: scores up to this are OK, in nats.
    #[arg(long, value_name = "NATS", requires = "ng")]
    pub(crate) ok: Option<f32>,

    /// Scores above this are NG, in nats.
    #[arg(long, value_name = "NATS", requires = "ok")]
    pub(crate) ng: Option<f32>,

    /// Confidence with which the promise holds.
    #[arg(long, value_name = "SHARE", value_parser = share, default_value = "95%")]
    pub(crate) confidence: f64,

    /// Check the promise instead: repeat the calibration on this many random halves of the good images, and count how
    /// often the rate over all of them is what was promised. Nothing is written.
    #[arg(long, value_name = "DRAWS", value_parser = clap::value_parser!(u32).range(1..=100_000), requires = "max_false_alarms")]
    pub(crate) coverage: Option<u32>,

    /// Write the model here instead of over the one that was read.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,

    /// Threads to use [default: one per core].
    #[arg(long, value_name = "N", value_parser = threads)]
    pub(crate) threads: Option<usize>,
}

impl CalibrateArgs {
    /// What is asked for.
    pub(crate) fn objective(&self) -> Result<Objective, &'static str> {
        match (self.max_false_alarms, self.min_recall, self.cost_escape, self.cost_overkill) {
            (Some(rate), ..) => Ok(Objective::MaxFalseAlarms(rate)),
            (_, Some(recall), ..) => Ok(Objective::MinRecall(recall)),
            (_, _, Some(escape), Some(overkill)) => {
                Ok(Objective::Cost { escape, overkill, defect_rate: self.defect_rate })
            }
            _ => Err(
                "say what is wanted: --max-false-alarms, --min-recall, --cost-escape with --cost-overkill, or \
                      --ok with --ng",
            ),
        }
    }

    /// Thresholds set by hand.
    pub(crate) fn by_hand(&self) -> Option<(f32, f32)> {
        self.ok.zip(self.ng)
    }
}
