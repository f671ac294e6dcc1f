//! What was chosen about a training, and what follows from it for everything that was not.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{
    DEFAULT_BACKBONE, OptionError, Preset, PseudoKinds, Schedule, ScoreParts, Stepping, TrainOptions,
};
use crate::augment::Blend;
use crate::backbone::{Backbone, BackboneError};
use crate::image::{BitDepth, InputSize};
use crate::pyramid::Levels;
use crate::weights::{Weights, WeightsError};

/// A preset and the choices that replace its own. `None` and `false` leave a choice to the preset.
///
/// The fields are named as in [`TrainOptions`], where their limits stand.
///
/// ```
/// use bgad::options::Recipe;
///
/// let recipe: Recipe = serde_json::from_str(r#"{"input": "64", "schedule": "4x1"}"#)?;
/// let options = recipe.options(7, 200, 10).check()?;
/// assert_eq!((options.input.height, options.schedule.passes(), options.seed), (64, 4, 7));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Recipe {
    pub preset: Preset,
    /// Size that images are brought to; `None` to choose it from the images.
    pub input: Option<InputSize>,
    /// The bits of a 16-bit sample that images use; `None` to find out from the images.
    pub bit_depth: Option<BitDepth>,
    /// Whether images keep their proportions.
    pub keep_aspect: bool,
    /// Whether images are cut into tiles of the input size, which overlap by a quarter.
    pub tiles: bool,
    pub levels: Option<Levels>,
    pub schedule: Option<Schedule>,
    /// Name of the feature network; [`DEFAULT_BACKBONE`] where none is given.
    pub backbone: Option<String>,
    /// Its weights, where they are not built in: a safetensors file with timm's names.
    pub backbone_weights: Option<PathBuf>,
    pub learning_rate: Option<f32>,
    pub beta: Option<f32>,
    pub tau: Option<f32>,
    pub normalizer: Option<f32>,
    pub lambda: Option<f32>,
    pub focal: Option<bool>,
    pub whiten: Option<bool>,
    pub blocks: Option<usize>,
    pub stepping: Option<Stepping>,
    pub step_positions: Option<usize>,
    pub batch_images: Option<usize>,
    pub score_pixels: Option<usize>,
    pub score_parts: Option<ScoreParts>,
    pub repeat: Option<bool>,
    pub cutpaste: Option<bool>,
    pub repeats: Option<usize>,
    pub pseudo: Option<PseudoKinds>,
    pub pseudo_share: Option<f32>,
    pub blend: Option<Blend>,
    pub balance: bool,
    pub foreground_score: bool,
}

impl Recipe {
    /// The preset's choices for so many good images and images of known defects, with those of the recipe in their place.
    pub fn options(&self, seed: u64, normal_images: usize, anomalous_images: usize) -> TrainOptions {
        let preset = self.anomalies(TrainOptions::preset_for(self.preset, normal_images, anomalous_images));
        TrainOptions {
            seed,
            input: self.input(preset.input),
            bit_depth: self.bit_depth.unwrap_or(preset.bit_depth),
            score_pixels: self.score_pixels.unwrap_or(preset.score_pixels),
            score_parts: self.score_parts(&preset),
            levels: self.levels.unwrap_or(preset.levels),
            tile_overlap: self.tiles.then(|| self.tile_overlap(preset.input)),
            schedule: self.schedule.unwrap_or(preset.schedule),
            learning_rate: self.learning_rate.unwrap_or(preset.learning_rate),
            beta: self.beta.unwrap_or(preset.beta),
            tau: self.tau.unwrap_or(preset.tau),
            normalizer: self.normalizer.unwrap_or(preset.normalizer),
            lambda: self.lambda.unwrap_or(preset.lambda),
            focal: self.focal.unwrap_or(preset.focal),
            whiten: self.whiten.unwrap_or(preset.whiten),
            blocks: self.blocks.unwrap_or(preset.blocks),
            stepping: self.stepping.unwrap_or(preset.stepping),
            step_positions: self.step_positions.unwrap_or(preset.step_positions),
            batch_images: self.batch_images.unwrap_or(preset.batch_images),
            ..preset
        }
    }

    /// The options with the recipe's choices about anomalies in their place.
    pub fn anomalies(&self, preset: TrainOptions) -> TrainOptions {
        TrainOptions {
            repeat: self.repeat.unwrap_or(preset.repeat),
            cutpaste: self.cutpaste.unwrap_or(preset.cutpaste),
            repeats: self.repeats.unwrap_or(preset.repeats),
            pseudo: self.pseudo.unwrap_or(preset.pseudo),
            pseudo_share: self.pseudo_share.unwrap_or(preset.pseudo_share),
            blend: self.blend.unwrap_or(preset.blend),
            balance: self.balance || preset.balance,
            foreground_score: self.foreground_score || preset.foreground_score,
            ..preset
        }
    }

    /// Those that were asked for, or those of the preset that make sense.
    fn score_parts(&self, preset: &TrainOptions) -> ScoreParts {
        let of_preset = match self.tiles {
            true => ScoreParts::MAP,
            false => ScoreParts {
                cells: preset.score_parts.cells && !preset.foreground_score,
                whole: preset.score_parts.whole && !preset.foreground_score,
                head: preset.score_parts.head && self.whiten.unwrap_or(preset.whiten),
                ..preset.score_parts
            },
        };
        self.score_parts.unwrap_or(of_preset)
    }

    /// A quarter of a tile.
    fn tile_overlap(&self, preset: InputSize) -> usize {
        let InputSize { height, width, .. } = self.input(preset);
        height.min(width) / 4
    }

    fn input(&self, preset: InputSize) -> InputSize {
        let input = self.input.unwrap_or(preset);
        InputSize { keep_aspect: self.keep_aspect || input.keep_aspect, ..input }
    }

    /// Whether the input size is to be chosen from the images: not the schedule of the paper, whole images, and no size named.
    pub fn leaves_input_open(&self) -> bool {
        self.preset != Preset::Reference && self.input.is_none() && !self.tiles && !self.keep_aspect
    }

    /// Refuses what cannot work, before any image is read.
    ///
    /// # Errors
    ///
    /// An [`OptionError`] that names the first choice out of its limits.
    pub fn check(&self) -> Result<(), OptionError> {
        self.options(0, 1, 0).check().map(|_| ())
    }

    /// The feature network that the recipe names, with its levels.
    ///
    /// # Errors
    ///
    /// A [`RecipeError`] if there is no such network, or its weights cannot be read or do not fit.
    pub fn backbone(&self) -> Result<Backbone, RecipeError> {
        let name = self.backbone.as_deref().unwrap_or(DEFAULT_BACKBONE);
        let built = match &self.backbone_weights {
            None if Backbone::names().contains(&name) && !Backbone::embedded_names().contains(&name) => {
                return Err(RecipeError::WeightsNotGiven { backbone: name.to_owned() });
            }
            None => Backbone::embedded(name),
            Some(path) => {
                let weights = Weights::open(path)
                    .map_err(|source| RecipeError::Weights { path: path.to_owned(), source })?;
                Backbone::load(name, &weights)
            }
        };
        Ok(built?.with_levels(self.levels.unwrap_or(Levels::ALL))?)
    }
}

/// Why the feature network of a [`Recipe`] cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecipeError {
    /// The network is known, its weights are not part of the library, and no file was named.
    #[error("the weights of {backbone} are not built in: give them with --backbone-weights FILE")]
    WeightsNotGiven {
        /// The network.
        backbone: String,
    },
    /// The file of weights cannot be read.
    #[error("{}", path.display())]
    Weights {
        /// The file.
        path: PathBuf,
        /// Why.
        source: WeightsError,
    },
    /// There is no such network, or the weights do not fit it.
    #[error(transparent)]
    Backbone(#[from] BackboneError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recipe_replaces_what_it_names_and_nothing_else() {
        let preset = TrainOptions::preset_for(Preset::Fast, 40, 0);
        assert_eq!(Recipe::default().options(0, 40, 0), preset);
        let recipe = Recipe { beta: Some(0.1), cutpaste: Some(false), balance: true, ..Recipe::default() };
        let want = TrainOptions { beta: 0.1, cutpaste: false, balance: true, seed: 3, ..preset };
        assert_eq!(recipe.options(3, 40, 0), want);
    }

    #[test]
    fn tiles_overlap_by_a_quarter_and_are_scored_by_their_map() {
        let recipe = Recipe { tiles: true, input: Some(InputSize::square(128)), ..Recipe::default() };
        let options = recipe.options(0, 300, 0);
        assert_eq!((options.tile_overlap, options.score_parts), (Some(32), ScoreParts::MAP));
    }

    #[test]
    fn an_unknown_choice_is_refused_by_name() {
        let refused = serde_json::from_str::<Recipe>(r#"{"blokcs": 4}"#).expect_err("misspelt").to_string();
        assert!(refused.contains("unknown field `blokcs`"), "{refused}");
    }

    #[test]
    fn a_network_without_weights_is_named() {
        let outside = Backbone::names().into_iter().find(|name| !Backbone::embedded_names().contains(name));
        let backbone = outside.expect("one network is not built in").to_owned();
        let recipe = Recipe { backbone: Some(backbone.clone()), ..Recipe::default() };
        let refused = recipe.backbone().expect_err("no weights").to_string();
        assert!(refused.contains(&backbone) && refused.contains("--backbone-weights"), "{refused}");
    }
}
