//! From what was typed to the options and the backbone of a training.

use bgad::backbone::Backbone;
use bgad::image::InputSize;
use bgad::options::{DEFAULT_BACKBONE, OptionError, ScoreParts, TrainOptions};
use bgad::pyramid::Levels;
use bgad::weights::Weights;
use bgad_kernels::Isa;

use crate::args::{MethodArgs, RecipeArgs};
use crate::failure::{Failure, context};

impl RecipeArgs {
    /// The preset's choices for so many good images and images of known defects, with what was typed in their place.
    pub(crate) fn options(&self, seed: u64, normal_images: usize, anomalous_images: usize) -> TrainOptions {
        let preset = TrainOptions::preset_for(self.preset, normal_images, anomalous_images);
        let preset = self.anomaly.apply(preset);
        let MethodArgs { learning_rate, beta, tau, normalizer, lambda, .. } = self.method;
        let MethodArgs { blocks, boundary, stepping, step_positions, batch_images, .. } = self.method;
        let flag = |on: bool, off: bool, otherwise: bool| if on || off { on } else { otherwise };
        let m = &self.method;
        TrainOptions {
            seed,
            input: self.input(preset.input),
            score_pixels: self.method.score_pixels.unwrap_or(preset.score_pixels),
            score_parts: self.score_parts(&preset),
            levels: self.levels.unwrap_or(preset.levels),
            tile_overlap: self.tiles.then(|| self.tile_overlap(preset.input)),
            schedule: self.schedule.unwrap_or(preset.schedule),
            learning_rate: learning_rate.unwrap_or(preset.learning_rate),
            beta: beta.unwrap_or(preset.beta),
            tau: tau.unwrap_or(preset.tau),
            normalizer: normalizer.unwrap_or(preset.normalizer),
            lambda: lambda.unwrap_or(preset.lambda),
            focal: flag(m.focal, m.no_focal, preset.focal),
            whiten: flag(m.whiten, m.no_whiten, preset.whiten),
            blocks: blocks.unwrap_or(preset.blocks),
            boundary: boundary.unwrap_or(preset.boundary),
            stepping: stepping.unwrap_or(preset.stepping),
            step_positions: step_positions.unwrap_or(preset.step_positions),
            batch_images: batch_images.unwrap_or(preset.batch_images),
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
                head: preset.score_parts.head && !self.method.no_whiten,
                ..preset.score_parts
            },
        };
        self.method.score_parts.unwrap_or(of_preset)
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

    /// Refuses what cannot work, before any image is read.
    pub(crate) fn check(&self) -> Result<(), OptionError> {
        self.options(0, 1, 0).check().map(|_| ())
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
