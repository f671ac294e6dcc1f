//! What can be typed. The text here is the help.

mod anomalies;
mod calibrate;
mod compare;
mod learn;

use std::path::PathBuf;

use bgad::evaluation::Scoring;
use bgad::image::InputSize;
use bgad::options::{BoundaryRule, Normalizer, Preset, Schedule, ScoreParts, Stepping};
use bgad::pyramid::Levels;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Parser, Subcommand};

use crate::demo::DemoArgs;

pub(crate) use anomalies::{
    AnomalyArgs, AugmentArgs, ChoiceArgs, ForegroundArgs, MaterialArgs, foreground_source,
};
pub(crate) use calibrate::CalibrateArgs;
pub(crate) use compare::CompareArgs;
pub(crate) use learn::LearnArgs;

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
  bgad augment parts/ --out seen           what training would show as defects";

const EXAMPLES_AND_CODES: &str = "\
Examples:
  bgad demo                                see the whole job done on drawn parts
  bgad doctor parts/                       what is wrong with the pictures
  bgad train parts/ -o part.bgad           learn from parts/good, parts/bad and parts/masks
  bgad evaluate part.bgad parts/           how good is it, on images it has not seen
  bgad inspect part.bgad new/ --out maps   verdict and heat map for each picture in new/
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
    Doctor(DoctorArgs),
    Benchmark(Box<BenchmarkArgs>),
    Augment(Box<AugmentArgs>),
    Foreground(ForegroundArgs),
    Demo(DemoArgs),
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

    /// Go on from the checkpoint of an interrupted run; give the same options as then.
    #[arg(long)]
    pub(crate) resume: bool,

    #[command(flatten)]
    pub(crate) material: MaterialArgs,

    #[command(flatten)]
    pub(crate) recipe: RecipeArgs,
}

/// How a model is made, whatever it is made from.
#[derive(Debug, clap::Args)]
pub(crate) struct RecipeArgs {
    /// Set of choices to start from: fast, or reference for the authors' own.
    #[arg(long, default_value = "fast", value_parser = PossibleValuesParser::new(["fast", "reference"]).map(preset))]
    pub(crate) preset: Preset,

    /// Meta-epochs x passes over the images, for instance 25x8 [default: the preset's; fast
    /// makes more passes over fewer than 200 good images].
    #[arg(long, value_name = "AxB")]
    pub(crate) schedule: Option<Schedule>,

    /// Size that images are brought to, for instance 256 or 384x768 (height x width) [default: the preset's].
    #[arg(long, value_name = "SIDE|HxW")]
    pub(crate) input: Option<InputSize>,

    /// Keep the proportions of images: what is beside them in the input is neither learned from nor scored.
    #[arg(long)]
    pub(crate) keep_aspect: bool,

    /// Cut images into overlapping tiles of the input size instead of shrinking them: for small defects in large
    /// images, wherever they are.
    #[arg(long, conflicts_with = "keep_aspect")]
    pub(crate) tiles: bool,

    /// Levels of features to use, from 1 (finest, stride 4) to 3 (coarsest, stride 16) [default: 1,2,3]
    #[arg(long, value_name = "LIST", hide_short_help = true)]
    pub(crate) levels: Option<Levels>,

    /// Feature network, by its name in timm [default: tf_efficientnet_lite2].
    ///
    /// tf_efficientnet_lite2 and tf_efficientnet_lite0 are built in; others need --backbone-weights.
    #[arg(long, value_name = "NAME")]
    pub(crate) backbone: Option<String>,

    /// Weights of the feature network: a safetensors file with timm's names.
    #[arg(long, value_name = "FILE", requires = "backbone")]
    pub(crate) backbone_weights: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) anomaly: AnomalyArgs,

    #[command(flatten)]
    pub(crate) method: MethodArgs,
}

/// Choices of the method; each that is given replaces the preset's.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Method (each replaces the preset's choice)")]
pub(crate) struct MethodArgs {
    /// Peak learning rate of Adam.
    #[arg(long, value_name = "RATE", hide_short_help = true)]
    pub(crate) learning_rate: Option<f32>,

    /// Share of normal positions allowed below the boundary, 0 to 0.5.
    #[arg(long, value_name = "SHARE", hide_short_help = true)]
    pub(crate) beta: Option<f32>,

    /// Gap between the two boundaries, in normalised log-likelihood.
    #[arg(long, value_name = "GAP", hide_short_help = true)]
    pub(crate) tau: Option<f32>,

    /// What log-likelihoods are divided by before the boundary: a number, or auto for the median of good positions.
    #[arg(long, value_name = "NUMBER|auto", hide_short_help = true)]
    pub(crate) normalizer: Option<Normalizer>,

    /// Weight of the push-pull term.
    #[arg(long, value_name = "WEIGHT", hide_short_help = true)]
    pub(crate) lambda: Option<f32>,

    /// Let hard positions count more.
    #[arg(long, overrides_with = "no_focal", hide_short_help = true)]
    pub(crate) focal: bool,

    /// Let all positions count the same.
    #[arg(long, overrides_with = "focal", hide_short_help = true)]
    pub(crate) no_focal: bool,

    /// Whiten features with the statistics of the good images.
    #[arg(long, overrides_with = "no_whiten", hide_short_help = true)]
    pub(crate) whiten: bool,

    /// Leave features as the network gives them.
    #[arg(long, overrides_with = "whiten", hide_short_help = true)]
    pub(crate) no_whiten: bool,

    /// Coupling blocks per level.
    #[arg(long, value_name = "N", hide_short_help = true)]
    pub(crate) blocks: Option<usize>,

    /// Boundary of a step: of its own positions (batch), or an average over steps (running).
    #[arg(long, hide_short_help = true, value_parser = PossibleValuesParser::new(["batch", "running"]).map(boundary))]
    pub(crate) boundary: Option<BoundaryRule>,

    /// Steps of coarse levels: as many positions as the finest level, or as many steps.
    #[arg(long, hide_short_help = true, value_parser = PossibleValuesParser::new(["same-positions", "same-steps"]).map(stepping))]
    pub(crate) stepping: Option<Stepping>,

    /// Positions of an optimizer step at the finest level.
    #[arg(long, value_name = "N", hide_short_help = true)]
    pub(crate) step_positions: Option<usize>,

    /// Pixels of the map, the highest ones, whose mean goes into the score of an image; 1 for the authors' maximum.
    #[arg(long, value_name = "N", hide_short_help = true)]
    pub(crate) score_pixels: Option<usize>,

    /// What the score of an image is made of: map, with coarsest, whole or both after it.
    ///
    /// map: the highest values of the map. coarsest: the least likely place of the coarsest level by itself. whole: how unusual the
    /// image is as a whole. The preset fast takes all three, but the coarsest level only from 200 good images on; with --tiles it
    /// takes the map alone, with --foreground-score not the whole.
    #[arg(long, value_name = "LIST", hide_short_help = true)]
    pub(crate) score_parts: Option<ScoreParts>,

    /// Images of a batch.
    #[arg(long, value_name = "N", hide_short_help = true)]
    pub(crate) batch_images: Option<usize>,
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
  bgad evaluate part.bgad parts/ --split part.split.json --json figures.json")]
pub(crate) struct EvaluateArgs {
    /// Model file written by `bgad train`.
    #[arg(value_name = "MODEL")]
    pub(crate) model: PathBuf,

    /// Folder of images, laid out as for `bgad train`.
    #[arg(value_name = "DATA")]
    pub(crate) data: PathBuf,

    /// Test on the test_good and test_bad of this file.
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

/// Compare methods on data with known answers: train and evaluate a grid, tabulate mean and standard deviation.
///
/// Every cell is trained with its own seed and judged at its last epoch, never at the best one. The test images of a
/// cell do not depend on how many known defects it learns from: as many as the largest number are kept out of all of
/// them. Each result is a file of its own in the output folder; the same command again does only what is missing.
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
    #[arg(long, value_name = "DIR")]
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

/// Judge images: score, verdict and where the defects are.
///
/// Folders are searched with all folders inside. The score is in nats: 0 is as normal as training images get. Exit
/// code 1 if an image is not OK, 2 if one could not be read; the others are judged all the same.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  bgad inspect part.bgad photo.png
  bgad inspect part.bgad new/ --out maps
  bgad inspect part.bgad new/ --format jsonl > results.jsonl")]
pub(crate) struct InspectArgs {
    /// Model file written by `bgad train`.
    #[arg(value_name = "MODEL")]
    pub(crate) model: PathBuf,

    /// Images, or folders of images.
    #[arg(value_name = "IMAGE|FOLDER", required = true)]
    pub(crate) inputs: Vec<PathBuf>,

    /// Write a picture with the heat map for each image into this folder, as NAME.overlay.png.
    ///
    /// Colours are fixed by the model's thresholds: the same colour means the same number of nats in all pictures.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,

    /// Side of a pixel of the images as they come, in mm: regions are then measured in mm2 too.
    #[arg(long, value_name = "MM", value_parser = positive)]
    pub(crate) pixel_size: Option<f64>,

    /// Leave out regions of a smaller area, in mm2 with --pixel-size and in pixels without; verdicts stay as they are.
    #[arg(long, value_name = "AREA", default_value = "0", value_parser = not_negative)]
    pub(crate) min_area: f64,

    /// How results are written to stdout.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(crate) format: Format,

    /// Threads to use [default: one per core].
    #[arg(long, value_name = "N", value_parser = threads)]
    pub(crate) threads: Option<usize>,
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

/// Form of the results of `bgad inspect`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Table,
    /// One JSON object a line, with all regions.
    Jsonl,
    /// Comma-separated, with the region of the highest peak.
    Csv,
}

fn threads(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(threads @ 1..=1024) => Ok(threads),
        _ => Err("expected 1 to 1024".to_owned()),
    }
}

fn positive(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|n: &f64| *n > 0.0 && n.is_finite())
        .ok_or("expected a number above 0".to_owned())
}

fn not_negative(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|n: &f64| *n >= 0.0 && n.is_finite())
        .ok_or("expected a number from 0 up".to_owned())
}

/// `0.5%` or `0.005`.
fn share(text: &str) -> Result<f64, String> {
    let (number, unit) = match text.trim().strip_suffix('%') {
        Some(number) => (number.trim(), 100.0),
        None => (text.trim(), 1.0),
    };
    let share = number.parse::<f64>().ok().map(|number| number / unit);
    share
        .filter(|share| *share > 0.0 && *share < 1.0)
        .ok_or("expected a share between 0 and 1 such as 0.005, or a percentage such as 0.5%".to_owned())
}

fn bytes(text: &str) -> Result<u64, String> {
    let upper = text.to_ascii_uppercase();
    let units = [("GB", 1_000_000_000), ("MB", 1_000_000)];
    let found = units.into_iter().find_map(|(unit, factor)| {
        let number: f64 = upper.strip_suffix(unit)?.trim().parse().ok()?;
        (0.0..=1e6).contains(&number).then_some((number * f64::from(factor)) as u64)
    });
    found.ok_or_else(|| "expected a size such as 500MB or 2GB".to_owned())
}

// The parsers let nothing else through than the names they list.

fn preset(name: String) -> Preset {
    if name == "reference" { Preset::Reference } else { Preset::Fast }
}

fn boundary(name: String) -> BoundaryRule {
    if name == "running" { BoundaryRule::Running } else { BoundaryRule::Batch }
}

fn stepping(name: String) -> Stepping {
    if name == "same-steps" { Stepping::SameSteps } else { Stepping::SamePositions }
}

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

    #[test]
    fn shares_are_fractions_or_percentages() {
        assert_eq!(share("0.5%"), Ok(0.005));
        assert_eq!(share(" 99 % "), Ok(0.99));
        assert_eq!(share("0.25"), Ok(0.25));
        for text in ["0", "0%", "1", "100%", "5", "-1%", "NaN", "%", ""] {
            assert!(share(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_have_a_unit() {
        for (text, want) in [("2GB", Some(2_000_000_000)), ("0mb", Some(0)), ("1.5 GB", Some(1_500_000_000))]
        {
            assert_eq!(bytes(text).ok(), want, "{text}");
        }
        for text in ["", "2", "GB", "-1GB", "nanGB", "1e30GB", "2TB"] {
            assert!(bytes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_later_of_two_opposite_flags_counts() {
        let parse = |flags: &[&str]| {
            let words = ["bgad", "train", "data", "-o", "m.bgad"].iter().chain(flags);
            match Args::try_parse_from(words).expect("flags").command {
                Command::Train(args) => (args.recipe.method.focal, args.recipe.method.no_focal),
                _ => unreachable!("train was typed"),
            }
        };
        assert_eq!(parse(&[]), (false, false));
        assert_eq!(parse(&["--focal"]), (true, false));
        assert_eq!(parse(&["--focal", "--no-focal"]), (false, true));
    }
}
