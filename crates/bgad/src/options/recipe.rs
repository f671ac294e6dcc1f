//! From what somebody asked for to the options of a training: what is not said is the preset's, and choices that depend on
//! each other are brought into line.

use super::{BoundaryRule, Normalizer, Preset, PseudoKinds, Schedule, ScoreParts, Stepping, TrainOptions};
use crate::augment::Blend;
use crate::image::InputSize;
use crate::pyramid::Levels;

/// A way to show anomalies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// Known defects as they are.
    Repeat,
    /// Known defects, varied and pasted into good images.
    Cutpaste,
    /// Defects made without a known one.
    Pseudo,
}

/// Choices in place of a preset's. `None`, or `false` of a flag, leaves the preset's. Each is the field of its name in
/// [`TrainOptions`], which says what it means and what it may be.
#[derive(Clone, Debug, Default)]
pub struct Recipe {
    /// What to start from; `None` for [`Preset::Fast`].
    pub preset: Option<Preset>,
    /// How long to train.
    pub schedule: Option<Schedule>,
    /// Size that images are brought to.
    pub input: Option<InputSize>,
    /// Whether images keep their proportions.
    pub keep_aspect: bool,
    /// Whether images are cut into tiles of the input size; neighbours then have a quarter of a tile in common.
    pub tiles: bool,
    /// Levels of the pyramid.
    pub levels: Option<Levels>,
    /// Peak learning rate of Adam.
    pub learning_rate: Option<f32>,
    /// `β`.
    pub beta: Option<f32>,
    /// `τ`.
    pub tau: Option<f32>,
    /// `ν`.
    pub normalizer: Option<Normalizer>,
    /// `λ`.
    pub lambda: Option<f32>,
    /// Whether hard positions count more.
    pub focal: Option<bool>,
    /// Whether features are whitened.
    pub whiten: Option<bool>,
    /// `K`.
    pub blocks: Option<usize>,
    /// Which boundary a step uses.
    pub boundary: Option<BoundaryRule>,
    /// Positions of a step at the other levels.
    pub stepping: Option<Stepping>,
    /// `N`.
    pub step_positions: Option<usize>,
    /// Images of a batch.
    pub batch_images: Option<usize>,
    /// Pixels of the map whose mean goes into the score.
    pub score_pixels: Option<usize>,
    /// What else goes into the score; without it the preset's parts, as far as the other choices allow them.
    pub score_parts: Option<ScoreParts>,
    /// Which anomalies are shown, and how they are made.
    pub anomalies: AnomalyRecipe,
}

/// Choices about anomalies in place of a preset's, as in [`Recipe`].
#[derive(Clone, Debug, Default)]
pub struct AnomalyRecipe {
    /// Ways to show anomalies. [`Strategy::Pseudo`] without `pseudo` makes all kinds, if the preset makes none.
    pub strategies: Option<Vec<Strategy>>,
    /// Whether known defects are pasted into good images; `strategies` goes first.
    pub cutpaste: Option<bool>,
    /// How often a pass shows each known defect.
    pub repeats: Option<usize>,
    /// How far pasted defects are varied.
    pub augment_strength: Option<f32>,
    /// Which defects are made without a known one.
    pub pseudo: Option<PseudoKinds>,
    /// How many of them a pass shows for each good image.
    pub pseudo_share: Option<f32>,
    /// How pasted defects are joined to good images.
    pub blend: Option<Blend>,
    /// Whether every batch holds as many anomalous images as good ones.
    pub balance: bool,
    /// Whether the score looks at the part only.
    pub foreground_score: bool,
}

impl Recipe {
    /// The options for so many normal images and images of known defects. They have yet to be
    /// [checked](TrainOptions::check).
    pub fn resolve(&self, seed: u64, normal_images: usize, anomalous_images: usize) -> TrainOptions {
        let preset = self.preset.unwrap_or(Preset::Fast);
        let preset = self.anomalies.apply(TrainOptions::preset_for(preset, normal_images, anomalous_images));
        let input = self.input.unwrap_or(preset.input);
        let input = InputSize { keep_aspect: self.keep_aspect || input.keep_aspect, ..input };
        TrainOptions {
            seed,
            input,
            tile_overlap: self.tiles.then(|| input.height.min(input.width) / 4),
            score_parts: self.score_parts.unwrap_or_else(|| self.fitting_parts(&preset)),
            score_pixels: self.score_pixels.unwrap_or(preset.score_pixels),
            levels: self.levels.unwrap_or(preset.levels),
            schedule: self.schedule.unwrap_or(preset.schedule),
            learning_rate: self.learning_rate.unwrap_or(preset.learning_rate),
            beta: self.beta.unwrap_or(preset.beta),
            tau: self.tau.unwrap_or(preset.tau),
            normalizer: self.normalizer.unwrap_or(preset.normalizer),
            lambda: self.lambda.unwrap_or(preset.lambda),
            focal: self.focal.unwrap_or(preset.focal),
            whiten: self.whiten.unwrap_or(preset.whiten),
            blocks: self.blocks.unwrap_or(preset.blocks),
            boundary: self.boundary.unwrap_or(preset.boundary),
            stepping: self.stepping.unwrap_or(preset.stepping),
            step_positions: self.step_positions.unwrap_or(preset.step_positions),
            batch_images: self.batch_images.unwrap_or(preset.batch_images),
            ..preset
        }
    }

    /// Those of the preset that make sense with tiles, where the part alone is scored, and without whitening.
    fn fitting_parts(&self, preset: &TrainOptions) -> ScoreParts {
        let parts = preset.score_parts;
        match self.tiles {
            true => ScoreParts::MAP,
            false => ScoreParts {
                cells: parts.cells && !preset.foreground_score,
                whole: parts.whole && !preset.foreground_score,
                head: parts.head && self.whiten.unwrap_or(preset.whiten),
                ..parts
            },
        }
    }
}

impl AnomalyRecipe {
    /// The options of `preset` with these choices in their place.
    pub fn apply(&self, preset: TrainOptions) -> TrainOptions {
        let has = |strategy| self.strategies.as_ref().map(|asked| asked.contains(&strategy));
        // Strategy 2 without a word on which kinds: the preset's, or both.
        let kinds = self.pseudo.unwrap_or(preset.pseudo);
        let pseudo = match has(Strategy::Pseudo) {
            Some(true) if !kinds.any() => PseudoKinds::ALL,
            Some(false) if self.pseudo.is_none() => PseudoKinds::default(),
            _ => kinds,
        };
        TrainOptions {
            repeat: has(Strategy::Repeat).unwrap_or(preset.repeat),
            cutpaste: has(Strategy::Cutpaste).or(self.cutpaste).unwrap_or(preset.cutpaste),
            repeats: self.repeats.unwrap_or(preset.repeats),
            augment_strength: self.augment_strength.unwrap_or(preset.augment_strength),
            pseudo,
            pseudo_share: self.pseudo_share.unwrap_or(preset.pseudo_share),
            blend: self.blend.unwrap_or(preset.blend),
            balance: self.balance || preset.balance,
            foreground_score: self.foreground_score || preset.foreground_score,
            ..preset
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_asked_is_the_preset() {
        for (normal, anomalous) in [(40, 0), (40, 10), (500, 10)] {
            let want = TrainOptions { seed: 3, ..TrainOptions::preset_for(Preset::Fast, normal, anomalous) };
            assert_eq!(Recipe::default().resolve(3, normal, anomalous), want);
        }
    }

    #[test]
    fn choices_that_depend_on_each_other_fit() {
        let resolved = |recipe: Recipe| recipe.resolve(0, 500, 10).check().map(|checked| (*checked).clone());
        let tiles = resolved(Recipe { tiles: true, ..Recipe::default() }).expect("tiles");
        assert_eq!((tiles.tile_overlap, tiles.score_parts), (Some(64), ScoreParts::MAP));
        let part = AnomalyRecipe { foreground_score: true, ..AnomalyRecipe::default() };
        let part = resolved(Recipe { anomalies: part, ..Recipe::default() }).expect("the part");
        assert!(!part.score_parts.cells && !part.score_parts.whole && part.score_parts.coarsest);
        // What is asked for is not brought into line but refused.
        let both = Recipe { tiles: true, score_parts: Some(ScoreParts::ALL), ..Recipe::default() };
        assert_eq!(resolved(both).expect_err("parts with tiles").option, "score_parts");
    }

    #[test]
    fn strategies_decide_what_is_made() {
        let of = |strategies: &[Strategy], pseudo| {
            let recipe =
                AnomalyRecipe { strategies: Some(strategies.to_vec()), pseudo, ..AnomalyRecipe::default() };
            let options = recipe.apply(TrainOptions::preset(Preset::Fast));
            (options.repeat, options.cutpaste, options.pseudo)
        };
        let none = PseudoKinds::default();
        assert_eq!(of(&[Strategy::Pseudo], None), (false, false, PseudoKinds::ALL));
        assert_eq!(of(&[Strategy::Repeat, Strategy::Cutpaste], None), (true, true, none));
        assert_eq!(of(&[Strategy::Repeat], Some(PseudoKinds::ALL)), (true, false, PseudoKinds::ALL));
    }
}
