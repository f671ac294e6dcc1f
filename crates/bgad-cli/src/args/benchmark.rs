//! What `bgad benchmark` is told.

use std::path::PathBuf;

use super::parse::threads;
use super::{MaterialArgs, RecipeArgs};

/// Compare methods on data with known answers: train and evaluate a grid, tabulate mean and deviation
///
/// Every cell of the grid is trained with its own seed and judged at its last epoch, never at its best one. All numbers
/// of known defects are tested on the same images: the largest number is kept out of every test. Each result is a file in
/// the output folder; repeating the command computes only what is missing.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  bgad benchmark parts/ --out results
  bgad benchmark tiles/ screws/ --methods nfad,bgad --anomalies 0,1,5,10 --seeds 3 --out results
  bgad benchmark tiles/ --settings general,hard --out results     also: one type known, all others unseen")]
pub(crate) struct BenchmarkArgs {
    /// Folders of images, each laid out as for `bgad train`.
    #[arg(value_name = "DATA", required = true)]
    pub(crate) data: Vec<PathBuf>,

    /// Folder for the results: table.md, table.html, table.csv, table.json and one file a cell.
    #[arg(short, long, value_name = "DIR")]
    pub(crate) out: PathBuf,

    /// nfad: the flow on good images alone; bgad: with known defects and boundary.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Method::Nfad, Method::Bgad])]
    pub(crate) methods: Vec<Method>,

    /// Numbers of known defects to learn from.
    #[arg(long, value_name = "N,..", value_delimiter = ',', default_values_t = [0, 10])]
    pub(crate) anomalies: Vec<usize>,

    /// general: known defects of all types; hard: of each type in turn, tested on the others.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [SettingKind::General])]
    pub(crate) settings: Vec<SettingKind>,

    /// Repetitions, with seeds 0, 1, ..: each draws its own images and trains anew.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub(crate) seeds: u64,

    /// Learn from so many good images at most [default: all].
    #[arg(long, value_name = "N")]
    pub(crate) limit_normal: Option<usize>,

    /// Threads to use [default: one per core].
    #[arg(long, value_name = "N", value_parser = threads)]
    pub(crate) threads: Option<usize>,

    #[command(flatten)]
    pub(crate) material: MaterialArgs,

    #[command(flatten)]
    pub(crate) recipe: RecipeArgs,
}

/// What `bgad benchmark` compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum Method {
    /// The normalizing flow on good images alone: the baseline of the paper.
    Nfad,
    /// Boundary-guided: with known defects.
    Bgad,
}

/// Where `bgad benchmark` takes known defects from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum SettingKind {
    /// All types.
    General,
    /// One type after the other.
    Hard,
}
