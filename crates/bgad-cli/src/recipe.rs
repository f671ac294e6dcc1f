//! From what was typed to the options and the backbone of a training.

use bgad::Error;
use bgad::backbone::Backbone;
use bgad::image::BitDepthChoice;
use bgad::options::{Checked, OptionError, Recipe, TrainOptions};

use crate::args::{InputChoice, MethodArgs, RecipeArgs, choice};
use crate::failure::Failure;

/// The options, or what is wrong with them.
pub(crate) fn checked(options: TrainOptions) -> Result<Checked, Failure> {
    options.check().map_err(|error| as_typed(&error))
}

/// An error of the library, with options by the names that can be typed.
pub(crate) fn in_typed_names(error: Error) -> Failure {
    match error {
        Error::Options(error) => as_typed(&error),
        error => error.into(),
    }
}

/// What is wrong with an option, by the name that can be typed.
fn as_typed(error: &OptionError) -> Failure {
    let OptionError { option, found, allowed } = error;
    let option = if *option == "tile_overlap" { "tiles".to_owned() } else { option.replace('_', "-") };
    format!("--{option} is {found}, must be {allowed}").into()
}

impl RecipeArgs {
    pub(crate) fn recipe(&self) -> Recipe {
        let MethodArgs { learning_rate, beta, tau, normalizer, lambda, blocks, .. } = self.method;
        let MethodArgs { stepping, step_positions, score_pixels, score_parts, .. } = self.method;
        let &MethodArgs { focal, no_focal, whiten, no_whiten, batch_images, .. } = &self.method;
        let recipe = Recipe {
            preset: self.preset(),
            input: self.input.and_then(|InputChoice(size)| size),
            bit_depth: match self.bit_depth {
                Some(BitDepthChoice::Fixed(depth)) => Some(depth),
                Some(BitDepthChoice::Auto) | None => None,
            },
            keep_aspect: self.keep_aspect,
            tiles: self.tiles,
            levels: self.levels,
            schedule: self.schedule,
            backbone: self.backbone.clone(),
            backbone_weights: self.backbone_weights.clone(),
            learning_rate,
            beta,
            tau,
            normalizer,
            lambda,
            focal: choice(focal, no_focal),
            whiten: choice(whiten, no_whiten),
            blocks,
            stepping,
            step_positions,
            batch_images,
            score_pixels,
            score_parts,
            ..Recipe::default()
        };
        self.anomaly.in_recipe(recipe)
    }

    /// Refuses what cannot work, before any image is read.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        self.recipe().check().map_err(|error| as_typed(&error))
    }

    pub(crate) fn backbone(&self) -> Result<Backbone, Failure> {
        Ok(self.recipe().backbone()?)
    }
}
