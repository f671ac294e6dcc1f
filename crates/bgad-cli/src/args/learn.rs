//! What `bgad learn` is told.

use std::path::PathBuf;

use bgad::options::Schedule;

use super::parse::threads;

/// Teach a model what the line has found since: missed defects, and good parts that were stopped
///
/// Training continues for a few passes over all earlier images and the new ones; the model itself knows which
/// these are. The test images and the held-out images, which are never learned from, give the figures before and
/// after. The new model is written only if no more defects escape than before. Thresholds that were calibrated to a share
/// of false alarms are calibrated again on the held-out images.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  bgad learn part.bgad --defect missed.png --mask missed_mask.png
  bgad learn part.bgad --defect missed.png --mask missed_mask.png --quick
  bgad learn part.bgad --good stopped/ -o better.bgad
  bgad learn part.bgad --defect a.png --mask a.json --defect b.png --mask b.json
  bgad learn part.bgad --from-feedback line1/ -o better.bgad")]
pub(crate) struct LearnArgs {
    /// Model file written by `bgad train`.
    #[arg(value_name = "MODEL")]
    pub(crate) model: PathBuf,

    /// Image of a defect, followed by its --mask.
    #[arg(long, value_name = "IMAGE")]
    pub(crate) defect: Vec<PathBuf>,

    /// Where the defect is: an image of its size that is not zero there, or a LabelMe JSON file; one for each --defect.
    #[arg(long, value_name = "MASK")]
    pub(crate) mask: Vec<PathBuf>,

    /// Image of a good part, or a folder of them.
    #[arg(long, value_name = "IMAGE|FOLDER")]
    pub(crate) good: Vec<PathBuf>,

    /// Folder that `bgad watch` writes to: pictures of parts that operators called good, and of those that they called a defect, if
    /// where it is stands beside the picture as ID_mask.png. May be given more than once.
    #[arg(long, value_name = "DIR")]
    pub(crate) from_feedback: Vec<PathBuf>,

    /// Where the data folder of the training is now, if it was moved.
    #[arg(long, value_name = "DATA")]
    pub(crate) data: Option<PathBuf>,

    /// Write the model here instead of over the one that was read.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,

    /// Write the model even if more defects escape than before.
    #[arg(long)]
    pub(crate) force: bool,

    /// Learn in seconds: the flows stay as they are, the linear head and the scales of the score are fitted anew.
    #[arg(long, conflicts_with_all = ["schedule", "learning_rate"])]
    pub(crate) quick: bool,

    /// Meta-epochs x passes over the images.
    #[arg(long, value_name = "AxB", default_value = "3x1")]
    pub(crate) schedule: Schedule,

    /// Peak learning rate of Adam.
    #[arg(long, value_name = "RATE", default_value_t = 3e-4)]
    pub(crate) learning_rate: f32,

    /// Threads to use [default: one per core]. The model does not depend on it.
    #[arg(long, value_name = "N", value_parser = threads)]
    pub(crate) threads: Option<usize>,
}
