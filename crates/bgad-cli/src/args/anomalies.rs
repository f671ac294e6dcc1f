//! What can be typed about anomalies, real and made: which images, which strategies, and where the part is.

use std::path::PathBuf;

use bgad::augment::Blend;
use bgad::dataset::{Choice, ForegroundSource, Setting};
use bgad::image::InputSize;
use bgad::options::{PseudoKinds, Recipe, TrainOptions};
use bgad::train::Material;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use super::parse::{share, threads};

/// Which images of a data folder are used for what.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Which images")]
pub(crate) struct ChoiceArgs {
    /// Known defects to learn from [default: 10, or fewer if there are not as many].
    #[arg(long, value_name = "N")]
    pub(crate) anomalies: Option<usize>,

    /// Draw known defects from all types (general), or from one (hard:TYPE), which is then not tested on.
    #[arg(long, value_name = "general|hard:TYPE", default_value = "general")]
    pub(crate) setting: Setting,

    /// Also learn from defective images without a mask: the model locates their defects as it learns.
    #[arg(long)]
    pub(crate) weak: bool,

    /// Seed of every random choice: the same seed gives the same model, bit for bit.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,

    /// Learn from at most this many good images [default: all].
    #[arg(long, value_name = "N")]
    pub(crate) limit_normal: Option<usize>,

    /// Hold this share of the good images out of training, for `bgad calibrate`.
    #[arg(long, value_name = "SHARE", value_parser = share, conflicts_with = "split")]
    pub(crate) hold_out: Option<f64>,

    /// File that says which images to use for what.
    ///
    /// {"train": [..], "anomalies": [..], "test_good": [..], "test_bad": [..]} with paths that are absolute or
    /// relative to DATA.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["anomalies", "setting", "limit_normal"])]
    pub(crate) split: Option<PathBuf>,
}

impl ChoiceArgs {
    pub(crate) fn choice(&self) -> Choice {
        let &ChoiceArgs { anomalies, weak, seed, limit_normal, hold_out, .. } = self;
        let (setting, split) = (self.setting.clone(), self.split.clone());
        Choice { anomalies, setting, weak, seed, limit_normal, hold_out, split }
    }
}

/// What anomalies are made with.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Where to look")]
pub(crate) struct MaterialArgs {
    /// Where the part is in the good images: estimate, everything, or your own masks.
    ///
    /// Artificial defects are placed on the part. A file is a mask for all images; a folder has a mask for each image, with
    /// the name of the image (`bgad foreground` writes such a folder). Masks are not zero on the part.
    #[arg(long, value_name = "estimate|everything|FILE|DIR", default_value = "estimate")]
    pub(crate) foreground: String,

    /// Folder of pictures that provide textures for --pseudo perlin.
    #[arg(long, value_name = "DIR")]
    pub(crate) textures: Option<PathBuf>,

    /// Learn and judge only here: a mask for all images that is not zero here, or a LabelMe JSON file with polygons.
    #[arg(long, value_name = "FILE")]
    pub(crate) roi: Option<PathBuf>,

    /// Learn and judge everywhere but here: a mask for all images, or a LabelMe JSON file.
    #[arg(long, value_name = "FILE")]
    pub(crate) ignore: Option<PathBuf>,
}

impl MaterialArgs {
    pub(crate) fn foreground(&self) -> ForegroundSource {
        foreground_source(&self.foreground)
    }

    pub(crate) fn material(&self) -> Material {
        Material {
            foreground: self.foreground(),
            textures: self.textures.clone(),
            roi: self.roi.clone(),
            ignore: self.ignore.clone(),
        }
    }
}

/// What `--foreground` says.
pub(crate) fn foreground_source(text: &str) -> ForegroundSource {
    match text {
        "estimate" => ForegroundSource::Estimate,
        "everything" => ForegroundSource::Everything,
        path => ForegroundSource::Masks(path.into()),
    }
}

/// A way to show anomalies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Strategy {
    /// Known defects as they are.
    #[value(alias = "0")]
    Repeat,
    /// Known defects, varied and pasted into good images.
    #[value(alias = "1")]
    Cutpaste,
    /// Defects made without a known one.
    #[value(alias = "2")]
    Pseudo,
}

/// Which anomalies are shown, and how they are made.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = super::ANOMALIES)]
pub(crate) struct AnomalyArgs {
    /// Ways to show anomalies, for instance repeat,cutpaste or 0,1,2.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "LIST",
        conflicts_with_all = ["cutpaste", "no_cutpaste"])]
    pub(crate) strategies: Option<Vec<Strategy>>,

    /// Paste known defects into good images as further examples.
    #[arg(long, overrides_with = "no_cutpaste")]
    pub(crate) cutpaste: bool,

    /// Show known defects only as they are.
    #[arg(long, overrides_with = "cutpaste")]
    pub(crate) no_cutpaste: bool,

    /// How often a pass shows each known defect.
    #[arg(long, value_name = "N")]
    pub(crate) repeats: Option<usize>,

    /// Defects made without a known one: nsa (patches of good images), perlin (textures), both, or none.
    #[arg(long, value_name = "LIST")]
    pub(crate) pseudo: Option<PseudoKinds>,

    /// How many of them a pass shows for each good image.
    #[arg(long, value_name = "SHARE")]
    pub(crate) pseudo_share: Option<f32>,

    /// How pasted defects are joined to good images: hard (with an edge), feather (fading in) or poisson (as bright as what is around
    /// them; those that would vanish keep their edge).
    #[arg(long, value_parser = PossibleValuesParser::new(["hard", "feather", "poisson"]).try_map(|name| name.parse::<Blend>()))]
    pub(crate) blend: Option<Blend>,

    /// Show as many anomalous images as good ones in every batch.
    #[arg(long)]
    pub(crate) balance: bool,

    /// Score the part only, not the background: with one foreground mask for all images, or the estimate.
    #[arg(long)]
    pub(crate) foreground_score: bool,
}

impl AnomalyArgs {
    /// The recipe with what was typed in place of its choices.
    pub(crate) fn in_recipe(&self, recipe: Recipe) -> Recipe {
        let has = |strategy| self.strategies.as_ref().map(|asked| asked.contains(&strategy));
        // Strategy 2 without a word on which kinds: the preset's, or both.
        let kinds = self.pseudo.unwrap_or(TrainOptions::preset(recipe.preset).pseudo);
        let pseudo = match has(Strategy::Pseudo) {
            Some(true) if !kinds.any() => Some(PseudoKinds::ALL),
            Some(false) if self.pseudo.is_none() => Some(PseudoKinds::default()),
            _ => self.pseudo,
        };
        Recipe {
            repeat: has(Strategy::Repeat),
            cutpaste: has(Strategy::Cutpaste).or(choice(self.cutpaste, self.no_cutpaste)),
            repeats: self.repeats,
            pseudo,
            pseudo_share: self.pseudo_share,
            blend: self.blend,
            balance: self.balance,
            foreground_score: self.foreground_score,
            ..recipe
        }
    }
}

/// What a pair of opposite flags says.
pub(crate) fn choice(on: bool, off: bool) -> Option<bool> {
    (on || off).then_some(on)
}

/// Show the anomalies that training would use, on a contact sheet
///
/// Each cell shows the known defect (or the good image, if none is needed), the image that the model would see, and the
/// same image with its anomalous area outlined. Give the options that you would give to `bgad train`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  bgad augment parts/ --out seen
  bgad augment parts/ --out seen --blend poisson
  bgad augment parts/ --out seen --anomalies 0 --pseudo nsa,perlin")]
pub(crate) struct AugmentArgs {
    /// Folder of images, laid out as for `bgad train`.
    #[arg(value_name = "DATA")]
    pub(crate) data: PathBuf,

    /// Folder to write to: sheet.png, and list.csv that says how each was made.
    #[arg(short, long, value_name = "DIR")]
    pub(crate) out: PathBuf,

    /// Number of anomalies.
    #[arg(short, long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) number: u32,

    /// Size that images are brought to.
    #[arg(long, value_name = "SIDE|HxW", default_value = "256")]
    pub(crate) input: InputSize,

    /// Threads to use [default: one per core].
    #[arg(long, value_name = "N", value_parser = threads)]
    pub(crate) threads: Option<usize>,

    #[command(flatten)]
    pub(crate) choice: ChoiceArgs,

    #[command(flatten)]
    pub(crate) material: MaterialArgs,

    #[command(flatten)]
    pub(crate) anomaly: AnomalyArgs,
}

/// Show where bgad locates the part in the good images
///
/// Writes a contact sheet and a mask for each image. Correct the masks that are wrong and give the folder to
/// `bgad train --foreground`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  bgad foreground parts/ --out part
  bgad train parts/ -o part.bgad --foreground part/masks")]
pub(crate) struct ForegroundArgs {
    /// Folder of images, laid out as for `bgad train`.
    #[arg(value_name = "DATA")]
    pub(crate) data: PathBuf,

    /// Folder to write to: sheet.png and masks/.
    #[arg(short, long, value_name = "DIR")]
    pub(crate) out: PathBuf,

    /// Number of images on the sheet; masks are written for all images.
    #[arg(short, long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) number: u32,

    /// Size that images are brought to.
    #[arg(long, value_name = "SIDE|HxW", default_value = "256")]
    pub(crate) input: InputSize,

    /// Where the part is: estimate, everything, or your own masks, to see how they are paired.
    #[arg(long, value_name = "estimate|everything|FILE|DIR", default_value = "estimate")]
    pub(crate) foreground: String,

    /// Threads to use [default: one per core].
    #[arg(long, value_name = "N", value_parser = threads)]
    pub(crate) threads: Option<usize>,
}
