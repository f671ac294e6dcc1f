//! What `bgad calibrate` is told.

use std::path::PathBuf;

use bgad::calibrate::Objective;

use super::parse::{positive, share, threads};

/// Choose the thresholds by what they promise, from images that were not trained on.
///
/// The threshold is an order statistic of the held-out scores, so that the promise holds for any distribution of scores, with the confidence asked
/// for, as long as the parts to come are like these. Where the images cannot prove what is asked, nothing is written, and the answer
/// says how many more it takes. `bgad evaluate` leaves the images out from then on.
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

    /// Of good parts at most this share shall be called NG, as 0.5% or 0.005.
    #[arg(long, value_name = "SHARE", value_parser = share, conflicts_with_all = ["min_recall", "cost_escape", "ok"])]
    pub(crate) max_false_alarms: Option<f64>,

    /// Of defective parts at least this share shall not be called OK.
    #[arg(long, value_name = "SHARE", value_parser = share, conflicts_with_all = ["cost_escape", "ok"])]
    pub(crate) min_recall: Option<f64>,

    /// What a defective part that passes costs; the threshold is then the cheapest on these images.
    #[arg(long, value_name = "COST", value_parser = positive, requires = "cost_overkill", conflicts_with = "ok")]
    pub(crate) cost_escape: Option<f64>,

    /// What a good part that is thrown away costs.
    #[arg(long, value_name = "COST", value_parser = positive, requires = "cost_escape")]
    pub(crate) cost_overkill: Option<f64>,

    /// Share of the parts that is defective, for the costs.
    #[arg(long, value_name = "SHARE", value_parser = share, default_value = "1%")]
    pub(crate) defect_rate: f64,

    /// OK up to this score, in nats: both thresholds are set by hand.
    #[arg(long, value_name = "NATS", requires = "ng")]
    pub(crate) ok: Option<f32>,

    /// NG above this score, in nats.
    #[arg(long, value_name = "NATS", requires = "ok")]
    pub(crate) ng: Option<f32>,

    /// How sure the promise is to hold.
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
