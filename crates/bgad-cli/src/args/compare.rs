//! What `bgad compare` is told.

use std::path::PathBuf;

use super::parse::{share, threads};

/// Compare two models on images with known answers
///
/// Lists the images whose verdict changed, and says whether the difference in image AUROC is more than chance (a paired
/// bootstrap over the images gives the interval). Images that either model was trained on or calibrated with are left out.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  bgad compare old.bgad new.bgad parts/
  bgad compare old.bgad new.bgad parts/ --split new.bgad --json changes.json")]
pub(crate) struct CompareArgs {
    /// Model file written by `bgad train`.
    #[arg(value_name = "FIRST")]
    pub(crate) first: PathBuf,

    /// The model to compare it with.
    #[arg(value_name = "SECOND")]
    pub(crate) second: PathBuf,

    /// Folder of images, laid out as for `bgad train`.
    #[arg(value_name = "DATA")]
    pub(crate) data: PathBuf,

    /// Compare on the test images of this split file, or of the split that this model carries.
    #[arg(long, value_name = "FILE")]
    pub(crate) split: Option<PathBuf>,

    /// Confidence of the interval.
    #[arg(long, value_name = "SHARE", value_parser = share, default_value = "95%")]
    pub(crate) confidence: f64,

    /// Number of bootstrap draws.
    #[arg(long, value_name = "N", default_value_t = 2000, value_parser = clap::value_parser!(u32).range(100..=1_000_000))]
    pub(crate) draws: u32,

    /// Seed of the draws.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,

    /// Write the result to this file too.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,

    /// Threads to use [default: one per core].
    #[arg(long, value_name = "N", value_parser = threads)]
    pub(crate) threads: Option<usize>,
}
