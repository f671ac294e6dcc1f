//! `--preset` and what replaces its choices.

use std::path::PathBuf;

use bgad::image::{BitDepthChoice, InputSize};
use bgad::options::{Preset, Schedule, ScoreParts, Stepping};
use bgad::pyramid::Levels;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use super::AnomalyArgs;
use super::parse::input;

/// What was typed for the input size; `None` for auto.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InputChoice(pub(crate) Option<InputSize>);

/// How a model is made, whatever it is made from.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "How it is learned")]
pub(crate) struct RecipeArgs {
    /// Set of options to start from: fast, quick for a first look in well under a minute, or reference for those of the paper.
    #[arg(long, default_value = "fast", hide_possible_values = true, value_parser = PossibleValuesParser::new(["fast", "quick", "reference"]).map(preset))]
    preset: Preset,

    /// A first look: the same as --preset quick.
    #[arg(long, conflicts_with = "preset")]
    quick: bool,

    /// Meta-epochs x passes over the images, for instance 25x8 [default: the preset's; fast
    /// makes more passes over fewer than 200 good images].
    #[arg(long, value_name = "AxB")]
    pub(crate) schedule: Option<Schedule>,

    /// Size that images are brought to, for instance 256 or 384x768 (height x width); auto: from the shape of the images and the size of
    /// the known defects [default: auto; 256 with --preset reference, --tiles or --keep-aspect].
    #[arg(long, value_name = "auto|SIDE|HxW", value_parser = input)]
    pub(crate) input: Option<InputChoice>,

    /// Bits of a 16-bit sample that images use, 8 to 16; auto: the fewest that hold the good images [default: auto].
    #[arg(long, value_name = "auto|BITS")]
    pub(crate) bit_depth: Option<BitDepthChoice>,

    /// Keep the proportions of images: the padding beside them is neither learned from nor scored.
    #[arg(long)]
    pub(crate) keep_aspect: bool,

    /// Cut images into overlapping tiles of the input size instead of shrinking them: for small defects in large images.
    #[arg(long, conflicts_with = "keep_aspect")]
    pub(crate) tiles: bool,

    /// Levels of features to use, from 1 (finest, stride 4) to 3 (coarsest, stride 16) [default: 1,2,3]
    #[arg(long, value_name = "LIST", help_heading = super::METHOD)]
    pub(crate) levels: Option<Levels>,

    /// Feature network, by its name in timm [default: tf_efficientnet_lite2].
    ///
    /// tf_efficientnet_lite2 and tf_efficientnet_lite0 are built in. Others need --backbone-weights: tf_efficientnet_b0 to b7 and lite1 to lite4, resnet18,
    /// resnet34, resnet50 and wide_resnet50_2 (docs/weights.md).
    #[arg(long, value_name = "NAME")]
    pub(crate) backbone: Option<String>,

    /// Weights of the feature network: a safetensors file with timm's or torchvision's names; the model carries them.
    #[arg(long, value_name = "FILE", requires = "backbone")]
    pub(crate) backbone_weights: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) anomaly: AnomalyArgs,

    #[command(flatten)]
    pub(crate) method: MethodArgs,
}

/// Choices of the method; each that is given replaces the preset's.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = super::METHOD)]
pub(crate) struct MethodArgs {
    /// Peak learning rate of Adam.
    #[arg(long, value_name = "RATE")]
    pub(crate) learning_rate: Option<f32>,

    /// Share of normal positions allowed below the boundary, 0 to 0.5.
    #[arg(long, value_name = "SHARE")]
    pub(crate) beta: Option<f32>,

    /// Gap between the two boundaries, in normalised log-likelihood.
    #[arg(long, value_name = "GAP")]
    pub(crate) tau: Option<f32>,

    /// What log-likelihoods are divided by before the boundary.
    #[arg(long, value_name = "NUMBER")]
    pub(crate) normalizer: Option<f32>,

    /// Weight of the push-pull term.
    #[arg(long, value_name = "WEIGHT")]
    pub(crate) lambda: Option<f32>,

    /// Give hard positions a larger weight.
    #[arg(long, overrides_with = "no_focal")]
    pub(crate) focal: bool,

    /// Give all positions the same weight.
    #[arg(long, overrides_with = "focal")]
    pub(crate) no_focal: bool,

    /// Whiten features with the statistics of the good images.
    #[arg(long, overrides_with = "no_whiten")]
    pub(crate) whiten: bool,

    /// Use features as the network gives them.
    #[arg(long, overrides_with = "whiten")]
    pub(crate) no_whiten: bool,

    /// Coupling blocks per level.
    #[arg(long, value_name = "N")]
    pub(crate) blocks: Option<usize>,

    /// Steps of coarse levels: as many positions as the finest level, or as many steps.
    #[arg(long, value_parser = PossibleValuesParser::new(["same-positions", "same-steps"]).map(stepping))]
    pub(crate) stepping: Option<Stepping>,

    /// Positions of an optimizer step at the finest level.
    #[arg(long, value_name = "N")]
    pub(crate) step_positions: Option<usize>,

    /// Pixels of the map, the highest ones, whose mean goes into the score of an image; 1 for the authors' maximum.
    #[arg(long, value_name = "N")]
    pub(crate) score_pixels: Option<usize>,

    /// What the score of an image is made of: map, with any of coarsest, companion, cells and whole after it.
    ///
    /// map: the highest values of the map. coarsest: the least likely position of the coarsest level. companion: a second
    /// flow of that level, trained on good images alone; the higher of the two values counts. cells: how unusual the most
    /// unusual cell of the image is for its position. whole: how unusual the image is as a whole. The preset fast uses all
    /// of them, but the coarsest level only from 200 good images on. With --tiles it uses the map alone, with
    /// --foreground-score neither cells nor whole.
    #[arg(long, value_name = "LIST")]
    pub(crate) score_parts: Option<ScoreParts>,

    /// Images of a batch.
    #[arg(long, value_name = "N")]
    pub(crate) batch_images: Option<usize>,
}

// The parsers let nothing else through than the names they list.

fn preset(name: String) -> Preset {
    match name.as_str() {
        "reference" => Preset::Reference,
        "quick" => Preset::Quick,
        _ => Preset::Fast,
    }
}

impl RecipeArgs {
    /// The set of options to start from.
    pub(crate) fn preset(&self) -> Preset {
        if self.quick { Preset::Quick } else { self.preset }
    }
}

fn stepping(name: String) -> Stepping {
    if name == "same-steps" { Stepping::SameSteps } else { Stepping::SamePositions }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use crate::args::{Args, Command};

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
