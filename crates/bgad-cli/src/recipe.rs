//! From what was typed to the options and the backbone of a training.

use bgad::backbone::Backbone;
use bgad::options::{Checked, DEFAULT_BACKBONE, OptionError, Recipe, TrainOptions};
use bgad::pyramid::Levels;
use bgad::weights::Weights;
use bgad_kernels::Isa;

use crate::args::RecipeArgs;
use crate::failure::{Failure, context};

/// The options, or what is wrong with them by the names that can be typed.
pub(crate) fn checked(options: TrainOptions) -> Result<Checked, Failure> {
    options.check().map_err(|OptionError { option, found, allowed }| {
        let option = if option == "tile_overlap" { "tiles".to_owned() } else { option.replace('_', "-") };
        format!("--{option} is {found}, must be {allowed}").into()
    })
}

impl RecipeArgs {
    /// The preset's choices for so many good images and images of known defects, with what was typed in their place.
    pub(crate) fn options(
        &self,
        seed: u64,
        normal_images: usize,
        anomalous_images: usize,
    ) -> Result<Checked, Failure> {
        checked(self.recipe().resolve(seed, normal_images, anomalous_images))
    }

    /// What was typed, in the library's words.
    fn recipe(&self) -> Recipe {
        let m = &self.method;
        let flag = |on: bool, off: bool| (on || off).then_some(on);
        Recipe {
            preset: Some(self.preset),
            schedule: self.schedule,
            input: self.input,
            keep_aspect: self.keep_aspect,
            tiles: self.tiles,
            levels: self.levels,
            learning_rate: m.learning_rate,
            beta: m.beta,
            tau: m.tau,
            normalizer: m.normalizer,
            lambda: m.lambda,
            focal: flag(m.focal, m.no_focal),
            whiten: flag(m.whiten, m.no_whiten),
            blocks: m.blocks,
            boundary: m.boundary,
            stepping: m.stepping,
            step_positions: m.step_positions,
            batch_images: m.batch_images,
            score_pixels: m.score_pixels,
            score_parts: m.score_parts,
            anomalies: self.anomaly.recipe(),
        }
    }

    /// Refuses what cannot work, before any image is read.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        self.options(0, 1, 0).map(|_| ())
    }

    pub(crate) fn backbone(&self, isa: Isa) -> Result<Backbone, Failure> {
        let name = self.backbone.as_deref().unwrap_or(DEFAULT_BACKBONE);
        let built = match &self.backbone_weights {
            None if Backbone::names().contains(&name) && !Backbone::embedded_names().contains(&name) => {
                return Err(format!(
                    "the weights of {name} are not built in: give them with --backbone-weights FILE"
                )
                .into());
            }
            None => Backbone::embedded(name, isa),
            Some(path) => {
                let weights = Weights::open(path).map_err(|e| context(path.display().to_string(), e))?;
                Backbone::load(name, &weights, isa)
            }
        };
        Ok(built?.with_levels(self.levels.unwrap_or(Levels::ALL)))
    }
}
