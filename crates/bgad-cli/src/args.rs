//! What can be typed. The text here is the help.

mod anomalies;
mod archive;
mod benchmark;
mod calibrate;
mod compare;
mod inspect;
mod learn;
mod parse;
mod recipe;
#[cfg(feature = "server")]
mod serve;
#[cfg(feature = "server")]
mod studio;

use std::path::PathBuf;

use bgad::evaluation::Scoring;
use bgad::image::InputSize;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Parser, Subcommand};

use crate::demo::DemoArgs;

pub(crate) use anomalies::{
    AnomalyArgs, AugmentArgs, ChoiceArgs, ForegroundArgs, MaterialArgs, choice, foreground_source,
};
pub(crate) use archive::ArchiveArgs;
pub(crate) use benchmark::{BenchmarkArgs, Method, SettingKind};
pub(crate) use calibrate::CalibrateArgs;
pub(crate) use compare::CompareArgs;
pub(crate) use inspect::{Format, InspectArgs};
pub(crate) use learn::LearnArgs;
use parse::{bytes, threads};
pub(crate) use recipe::{MethodArgs, RecipeArgs};
#[cfg(feature = "server")]
pub(crate) use serve::{LogArgs, LogForm, SafetyArgs, ServeArgs};
#[cfg(feature = "server")]
pub(crate) use studio::StudioArgs;

/// Find defects: learn from good images and a few bad ones.
///
/// bgad learns what good parts look like from a folder of pictures, sharpens the border with a few known defects, and
/// then gives every new picture a score, a verdict (OK, REVIEW or NG) and a heat map. It needs no graphics card and no
/// download.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, max_term_width = 110, after_help = EXAMPLES, after_long_help = EXAMPLES_AND_CODES)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXAMPLES: &str = "\
Examples:
  bgad demo                                see the whole job done on drawn parts
  bgad doctor parts/                       what is wrong with the pictures
  bgad train parts/ -o part.bgad           learn from parts/good, parts/bad and parts/masks
  bgad evaluate part.bgad parts/           how good is it, on images it has not seen
  bgad inspect part.bgad new/ --out maps   verdict and heat map for each picture in new/
  bgad studio parts/                       all of it in a browser
  bgad augment parts/ --out seen           what training would show as defects";

const EXAMPLES_AND_CODES: &str = "\
Examples:
  bgad demo                                see the whole job done on drawn parts
  bgad doctor parts/                       what is wrong with the pictures
  bgad train parts/ -o part.bgad           learn from parts/good, parts/bad and parts/masks
  bgad evaluate part.bgad parts/           how good is it, on images it has not seen
  bgad inspect part.bgad new/ --out maps   verdict and heat map for each picture in new/
  bgad studio parts/                       all of it in a browser
  bgad augment parts/ --out seen           what training would show as defects

Exit codes:
  0  fine
  1  inspect: at least one image is not OK; doctor: there are errors or warnings
  2  something could not be done, or a file was skipped; stderr says which and why

Environment:
  BGAD_ISA  avx512, avx2, neon or portable: use this instruction set instead of the fastest one";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    // The help of each is the text above its arguments.
    Train(Box<TrainArgs>),
    Evaluate(EvaluateArgs),
    Inspect(InspectArgs),
    Calibrate(CalibrateArgs),
    Compare(CompareArgs),
    Learn(LearnArgs),
    Restore(RestoreArgs),
    Doctor(DoctorArgs),
    Benchmark(Box<BenchmarkArgs>),
    Augment(Box<AugmentArgs>),
    Foreground(ForegroundArgs),
    #[cfg(feature = "server")]
    Studio(StudioArgs),
    Demo(DemoArgs),
    #[cfg(feature = "server")]
    Serve(Box<ServeArgs>),
}

/// Learn a model from a folder of images
///
/// DATA is laid out in one of two ways:
///
///   good/  bad/ or bad/TYPE/  masks/ or masks/TYPE/
///   train/good/  test/good/  test/TYPE/  ground_truth/TYPE/   (as MVTec AD)
///
/// A mask has its image's name, with or without `_mask`, and is not zero where
/// the defect is. Images are PNG, JPEG, BMP or TIFF, grey or colour, 8 or
/// 16 bit, of any size. Known defects are taken out of the test images at
/// random; which image was used for what is written beside the model as a
/// split file.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  bgad train parts/ -o part.bgad                      ten known defects, the fast schedule
  bgad train parts/ -o part.bgad --anomalies 0        good images alone
  bgad train parts/ -o part.bgad --preset reference   the schedule of the paper
  bgad train parts/ -o part.bgad --resume             go on after an interruption
  bgad train parts/ -o part.bgad --split split.json   an agreed choice of images

All options of the method are in `bgad train --help`."
)]
pub(crate) struct TrainArgs {
    /// Folder of images.
    #[arg(value_name = "DATA")]
    pub(crate) data: PathBuf,

    /// Model file to write.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,

    #[command(flatten)]
    pub(crate) choice: ChoiceArgs,

    /// Threads to use [default: one per core]. The model does not depend on it.
    #[arg(long, value_name = "N", value_parser = threads)]
    pub(crate) threads: Option<usize>,

    /// Memory for the features of all images, for instance 500MB or 8GB [default: 2GB].
    ///
    /// What does not fit goes to a file without a name beside OUTPUT, gone when training ends. The model does not
    /// depend on it.
    #[arg(long, value_name = "SIZE", value_parser = bytes)]
    pub(crate) cache_limit: Option<u64>,

    /// Replace the file at OUTPUT even if it is not a bgad model. A model that is replaced stays beside the new one as
    /// NAME.previous; `bgad restore` brings it back.
    #[arg(long)]
    pub(crate) force: bool,

    /// Go on from the checkpoint of an interrupted run; give the same options as then.
    #[arg(long)]
    pub(crate) resume: bool,

    #[command(flatten)]
    pub(crate) material: MaterialArgs,

    #[command(flatten)]
    pub(crate) recipe: RecipeArgs,
}

/// Measure a model on images with known answers.
///
/// Without --split the test images of DATA are used; images that the model was trained on are recognised by their
/// content and left out.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  bgad evaluate part.bgad parts/
  bgad evaluate part.bgad parts/ --report report.html
  bgad evaluate part.bgad parts/ --split part.bgad --json figures.json")]
pub(crate) struct EvaluateArgs {
    /// Model file written by `bgad train`.
    #[arg(value_name = "MODEL")]
    pub(crate) model: PathBuf,

    /// Folder of images, laid out as for `bgad train`.
    #[arg(value_name = "DATA")]
    pub(crate) data: PathBuf,

    /// Test on the test images of this split file, or of the split that this model carries.
    #[arg(long, value_name = "FILE")]
    pub(crate) split: Option<PathBuf>,

    /// Write the figures to this file too, as shares between 0 and 1.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,

    /// Write a page about the result: one HTML file with charts and the worst images, which loads nothing.
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,

    /// Score constants: the model's own (frozen), or from the test images as in the authors' code.
    #[arg(long, default_value = "frozen", value_parser = PossibleValuesParser::new(["frozen", "authors"]).map(scoring))]
    pub(crate) scoring: Scoring,

    /// Threads to use [default: one per core].
    #[arg(long, value_name = "N", value_parser = threads)]
    pub(crate) threads: Option<usize>,
}

/// Bring back the model as it was before it was last trained, calibrated or taught.
///
/// Whatever replaces a model keeps the one before beside it, as MODEL.previous. This command exchanges the two; the same
/// command again brings the newer one back.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  bgad calibrate part.bgad --ok 1 --ng 2     the model as it was becomes part.bgad.previous
  bgad restore part.bgad                     and is back")]
pub(crate) struct RestoreArgs {
    /// Model file with its previous generation beside it.
    #[arg(value_name = "MODEL")]
    pub(crate) model: PathBuf,
}

/// Examine a data folder: what is wrong with its images and masks.
///
/// Finds files that cannot be read, odd sizes, depths and rotations, masks that are missing, empty, soft or beside
/// their defect, copies across splits, odd exposure and focus, and good images that look bad. Every finding names the
/// file and what to do. Exit code 1 if there are errors or warnings, 2 if the folder could not be examined.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  bgad doctor parts/
  bgad doctor parts/ --quick
  bgad doctor parts/ --json > findings.json")]
pub(crate) struct DoctorArgs {
    /// Folder of images, laid out as for `bgad train`.
    #[arg(value_name = "DATA")]
    pub(crate) data: PathBuf,

    /// Write the findings as JSON.
    #[arg(long)]
    pub(crate) json: bool,

    /// Leave out what needs the network: good images that look bad, masks beside their defect.
    #[arg(long)]
    pub(crate) quick: bool,

    /// Size at which images are compared, for instance 256 or 384x768 (height x width).
    #[arg(long, value_name = "SIDE|HxW", default_value = "256")]
    pub(crate) input: InputSize,

    /// Threads to use [default: one per core]. The findings do not depend on it.
    #[arg(long, value_name = "N", value_parser = threads)]
    pub(crate) threads: Option<usize>,
}

// The parser lets nothing else through than the names it lists.
fn scoring(name: String) -> Scoring {
    if name == "authors" { Scoring::Authors } else { Scoring::Frozen }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_definitions_are_consistent() {
        Args::command().debug_assert();
    }
}
