//! What can be typed. The text here is the help.

mod anomalies;
mod archive;
mod benchmark;
mod calibrate;
mod compare;
mod export;
mod info;
mod inspect;
mod learn;
mod parse;
mod recipe;
mod settings;
#[cfg(feature = "server")]
mod serve;
#[cfg(feature = "server")]
mod watch;
#[cfg(feature = "server")]
mod studio;

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

use bgad::evaluation::Scoring;
use bgad::image::InputSize;
use bgad::options::SettingsError;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::demo::DemoArgs;
use crate::failure::Failure;

pub(crate) use anomalies::{
    AnomalyArgs, AugmentArgs, ChoiceArgs, ForegroundArgs, MaterialArgs, choice, foreground_source,
};
pub(crate) use archive::ArchiveArgs;
pub(crate) use benchmark::{BenchmarkArgs, Method, SettingKind};
pub(crate) use calibrate::CalibrateArgs;
pub(crate) use compare::CompareArgs;
pub(crate) use export::{ExportArgs, VerifyExportArgs};
pub(crate) use info::{CompletionsArgs, InfoArgs, ManArgs};
pub(crate) use inspect::{Format, InspectArgs, MapFormat, PictureArgs, StyleArg, ThresholdArgs};
pub(crate) use learn::LearnArgs;
use parse::{bytes, threads};
pub(crate) use recipe::{InputChoice, MethodArgs, RecipeArgs};
#[cfg(feature = "server")]
pub(crate) use serve::{LogArgs, LogForm, SafetyArgs, ServeArgs};
#[cfg(feature = "server")]
pub(crate) use studio::StudioArgs;
#[cfg(feature = "server")]
pub(crate) use watch::WatchArgs;

/// Find defects: learn from good images and a few bad ones
///
/// bgad learns what good parts look like from a folder of pictures, sharpens the border with a few known defects, and
/// then gives every new picture a score, a verdict (OK, REVIEW or NG) and a heat map. It needs no graphics card and no
/// download.
#[derive(Debug, Parser)]
#[command(name = "bgad", version, max_term_width = 100, after_help = EXAMPLES, after_long_help = EXAMPLES_AND_CODES)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,

    /// Say more: training shows losses and boundaries.
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,

    /// Take no choices from bgad.toml beside the data.
    #[arg(long, global = true)]
    pub(crate) no_settings: bool,
}

/// Prints the help with the options that most people never need.
const HELP_ALL: &str = "--help-all";
/// Headings of such options.
const RARE: [&str; 2] = [METHOD, ANOMALIES];
/// Heading of the choices of the method.
pub(crate) const METHOD: &str = "Method (each replaces the preset's choice)";
/// Heading of the choices about the anomalies that are shown.
pub(crate) const ANOMALIES: &str = "Anomalies that are shown (each replaces the preset's choice)";

impl Args {
    /// What was typed, with the choices of `bgad.toml` that were not.
    pub(crate) fn typed() -> Result<Args, Rejected> {
        let mut words: Vec<OsString> = env::args_os().collect();
        let asked = words.iter().take_while(|word| *word != "--").position(|word| word == HELP_ALL);
        if let Some(word) = asked.and_then(|at| words.get_mut(at)) {
            *word = "--help".into();
        }
        let matches: ArgMatches = command(asked.is_some()).try_get_matches_from(&words)?;
        match settings::complete(&words, &matches)? {
            None => Ok(Args::from_arg_matches(&matches)?),
            Some(completed) => completed.parsed(),
        }
    }
}

/// Why there are no arguments.
#[derive(Debug)]
pub(crate) enum Rejected {
    /// Help, version, or a mistake in what was typed.
    Typed(clap::Error),
    /// A mistake in `bgad.toml`.
    Settings(Failure),
}

impl From<clap::Error> for Rejected {
    fn from(error: clap::Error) -> Rejected {
        Rejected::Typed(error)
    }
}

impl From<SettingsError> for Rejected {
    fn from(error: SettingsError) -> Rejected {
        Rejected::Settings(error.into())
    }
}

/// The definitions, with names as people type them; `all` shows the rare options in the help too.
pub(crate) fn command(all: bool) -> clap::Command {
    let is_rare = |arg: &clap::Arg| arg.get_help_heading().is_some_and(|heading| RARE.contains(&heading));
    Args::command().mut_subcommands(|command| {
        let name = format!("bgad {}", command.get_name());
        let has_rare = command.get_arguments().any(is_rare);
        let command = command.version(env!("CARGO_PKG_VERSION")).display_name(name.clone());
        let command = command.mut_args(|arg| match is_rare(&arg) {
            true => arg.hide_short_help(!all).hide_long_help(!all),
            false => arg,
        });
        match has_rare && !all {
            true => {
                let examples = command.get_after_help().map(ToString::to_string).unwrap_or_default();
                command.after_help(format!("{examples}\n\nOptions of the method: {name} {HELP_ALL}"))
            }
            false => command,
        }
    })
}

/// What both helps end with. A macro, since constants cannot be joined otherwise.
macro_rules! examples {
    () => {
        "\
Examples:
  bgad demo                                    see the whole job done on drawn parts
  bgad doctor parts/                           what is wrong with the pictures
  bgad train parts/ -o part.bgad               learn from parts/good, parts/bad and parts/masks
  bgad evaluate part.bgad parts/               how good is it, on images it has not seen
  bgad inspect part.bgad new/ --out pictures   verdict and heat map for each picture in new/
  bgad info part.bgad                          what the model is and what it promises"
    };
}

const EXAMPLES: &str = examples!();

const EXAMPLES_AND_CODES: &str = concat!(
    examples!(),
    "

Exit codes:
  0  everything was done, and every part that was judged is OK
  1  inspect: at least one image is not OK; doctor: there are errors or warnings;
     verify-export: the file does not find what its certificate says
  2  something could not be done, or a file was skipped; stderr says which and why

Environment:
  BGAD_ISA  avx512, avx2, neon or portable: use this instruction set instead of the fastest one
  NO_COLOR  if set: no colours in tables"
);

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    // The help of each is the text above its arguments.
    Train(Box<TrainArgs>),
    Evaluate(EvaluateArgs),
    Inspect(InspectArgs),
    Info(InfoArgs),
    Calibrate(CalibrateArgs),
    Compare(CompareArgs),
    Learn(LearnArgs),
    Restore(RestoreArgs),
    Export(ExportArgs),
    VerifyExport(VerifyExportArgs),
    Doctor(DoctorArgs),
    Benchmark(Box<BenchmarkArgs>),
    Augment(Box<AugmentArgs>),
    Foreground(ForegroundArgs),
    #[cfg(feature = "server")]
    Studio(StudioArgs),
    Demo(DemoArgs),
    Completions(CompletionsArgs),
    Man(ManArgs),
    #[cfg(feature = "server")]
    Serve(Box<ServeArgs>),
    #[cfg(feature = "server")]
    Watch(Box<WatchArgs>),
}

/// Learn a model from a folder of images
///
/// DATA is laid out in one of two ways:
///
///   good/  bad/ or bad/TYPE/  masks/ or masks/TYPE/
///   train/good/  test/good/  test/TYPE/  ground_truth/TYPE/   (as MVTec AD)
///
/// A mask has the name of its image, with or without `_mask`, and is not zero
/// where the defect is. Images are PNG, JPEG, BMP or TIFF, grey or colour, 8 or
/// 16 bit, of any size. Known defects are drawn from the test images at random.
/// A split file beside the model lists which image was used for what.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  bgad train parts/ -o part.bgad                      ten known defects, the fast schedule
  bgad train parts/ -o part.bgad --anomalies 0        good images only
  bgad train parts/ -o part.bgad --preset reference   the schedule of the paper
  bgad train parts/ -o part.bgad --resume             continue after an interruption
  bgad train parts/ -o part.bgad --split split.json   an agreed choice of images"
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
    /// What does not fit goes to an unnamed temporary file beside OUTPUT. The model does not depend on it.
    #[arg(long, value_name = "SIZE", value_parser = bytes)]
    pub(crate) cache_limit: Option<u64>,

    /// Replace the file at OUTPUT even if it is not a bgad model. A model that is replaced stays beside the new one as
    /// NAME.previous; `bgad restore` brings it back.
    #[arg(long)]
    pub(crate) force: bool,

    /// Continue an interrupted run from its checkpoint; give the same options as then.
    #[arg(long)]
    pub(crate) resume: bool,

    #[command(flatten)]
    pub(crate) material: MaterialArgs,

    #[command(flatten)]
    pub(crate) recipe: RecipeArgs,
}

/// Measure a model on images with known answers
///
/// Without --split, the test images of DATA are used. Images that the model was trained on are recognised by their
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

    /// Write the figures to this file as JSON, as shares between 0 and 1.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,

    /// Write a report: one self-contained HTML file with charts and the worst images.
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,

    /// Constants of the score: the model's own (frozen), or from the test images as in the authors' code.
    #[arg(long, default_value = "frozen", value_parser = PossibleValuesParser::new(["frozen", "authors"]).map(scoring))]
    pub(crate) scoring: Scoring,

    /// Threads to use [default: one per core].
    #[arg(long, value_name = "N", value_parser = threads)]
    pub(crate) threads: Option<usize>,
}

/// Bring back the model as it was before it was last trained, calibrated or taught
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

/// Examine a data folder: what is wrong with its images and masks
///
/// Finds unreadable files, unusual sizes, bit depths and rotations, masks that are missing, empty, soft or misplaced,
/// copies across splits, unusual exposure and focus, and good images that look bad. Every finding names the file and says
/// what to do. Exit code 1 if there are errors or warnings, 2 if the folder could not be examined.
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

    /// Skip the checks that need the neural network: good images that look bad, misplaced masks.
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

    #[test]
    fn the_definitions_are_consistent() {
        command(false).debug_assert();
        command(true).debug_assert();
    }

    /// The long or the short help of a command.
    fn help(name: &str, all: bool, long: bool) -> String {
        let mut program = command(all).term_width(100);
        program.build();
        let command = program.find_subcommand_mut(name).expect("a command");
        let help = if long { command.render_long_help() } else { command.render_help() };
        help.to_string()
    }

    #[test]
    fn helps_are_short_and_nothing_is_lost() {
        for (name, short, long) in [("train", 80, 150), ("inspect", 60, 130), ("calibrate", 60, 90)] {
            let lines = |long| help(name, false, long).lines().count();
            assert!(
                lines(false) <= short && lines(true) <= long,
                "{name}: {} and {}",
                lines(false),
                lines(true)
            );
        }
        let rare = "--learning-rate";
        assert!(!help("train", false, true).contains(rare) && help("train", true, true).contains(rare));
        assert!(help("train", false, false).contains("bgad train --help-all"));
        for heading in ["Which images:", "Where to look:", "How it is learned:"] {
            assert!(help("train", false, false).contains(heading), "{heading}");
        }
    }

    #[test]
    fn versions_have_the_names_that_people_type() {
        let version = |words: &[&str]| {
            let error = command(false).try_get_matches_from(words).expect_err("a version");
            error.to_string()
        };
        let number = env!("CARGO_PKG_VERSION");
        assert_eq!(version(&["bgad", "--version"]), format!("bgad {number}\n"));
        assert_eq!(version(&["bgad", "inspect", "--version"]), format!("bgad inspect {number}\n"));
    }

    #[test]
    fn what_was_probably_meant_is_said() {
        let said =
            |words: &[&str]| command(false).try_get_matches_from(words).expect_err("a mistake").to_string();
        let said = said(&["bgad", "inspect", "m.bgad", "x.png", "--threshold", "2"]);
        assert!(said.contains("--ok") && said.contains("--ng") && !said.contains("--threads"), "{said}");
    }
}
