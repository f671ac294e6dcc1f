//! What a user may choose about training: every default and every limit, once.

mod pseudo_kinds;
mod recipe;
mod schedule;
mod score_parts;
mod settings;

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

use crate::augment::Blend;
use crate::image::{BitDepth, InputSize};
use crate::pyramid::Levels;
pub use pseudo_kinds::PseudoKinds;
pub use recipe::{Recipe, RecipeError};
use schedule::SCHEDULE_ALLOWED;
pub use schedule::Schedule;
pub use score_parts::ScoreParts;
pub use settings::{SETTINGS_FILE, Setting, Settings, SettingsError};

/// Architecture used when none is named; its weights are part of the library.
pub const DEFAULT_BACKBONE: &str = "tf_efficientnet_lite2";

/// Anomalies taken out of the test set when no number is given.
pub const DEFAULT_ANOMALIES: usize = 10;

/// Normal images that a meta-epoch of the fast preset shows, as far as [`FAST_SUB_EPOCHS`] allow.
const FAST_META_EPOCH_IMAGES: usize = 600;

/// Passes of a meta-epoch of the fast preset: with many images, and with few.
const FAST_SUB_EPOCHS: (usize, usize) = (3, 5);

/// Normal images that a meta-epoch of the quick preset shows, as far as [`QUICK_SUB_EPOCHS`] allow.
const QUICK_META_EPOCH_IMAGES: usize = 200;

/// Passes of a meta-epoch of the quick preset: with many images, and with few.
const QUICK_SUB_EPOCHS: (usize, usize) = (1, 6);

/// Bytes of features that training keeps in memory when no limit is given: 2800 images of 256x256 with the default
/// backbone.
pub const DEFAULT_CACHE_LIMIT: u64 = 2_000_000_000;

/// How the positions of a batch of images are cut into optimizer steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stepping {
    /// The same number of positions at every level: coarse levels take few steps. The authors' way.
    SamePositions,
    /// Positions in proportion to the size of the level's map: every level takes the same number of steps.
    SameSteps,
}

/// A named set of training choices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// The authors' schedule: 25 meta-epochs of 8 passes.
    Reference,
    /// Fifteen to twenty-five passes over whitened features at a higher rate, with equal steps at every level.
    #[default]
    Fast,
    /// A first look in well under a minute: `fast` with a quarter of each image a pass, fewer passes and no pasted defects.
    Quick,
}

/// Choices of one training run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainOptions {
    /// Size that images are brought to. Each side 32 to 4096.
    pub input: InputSize,
    /// The bits of a 16-bit sample that images use.
    #[serde(default)]
    pub bit_depth: BitDepth,
    /// Levels of the pyramid, each with a flow of its own.
    #[serde(default = "all_levels")]
    pub levels: Levels,
    /// Decides every random choice.
    pub seed: u64,
    /// `K`: coupling blocks per level. 1 to 64.
    pub blocks: usize,
    /// How long to train.
    pub schedule: Schedule,
    /// Peak learning rate of Adam. Positive, at most 0.1.
    pub learning_rate: f32,
    /// Images of a batch. 1 to 1024.
    pub batch_images: usize,
    /// `N`: positions of a step at the finest level. 16 to 65536.
    pub step_positions: usize,
    /// Positions of a step at the other levels.
    pub stepping: Stepping,
    /// Positions of the finest level that a pass takes of each image at most, a random choice each time; of other levels in proportion. `None` for
    /// all. At least 16.
    #[serde(default)]
    pub image_positions: Option<usize>,
    /// Whether features are whitened with the mean and covariance of the normal ones before the flow.
    pub whiten: bool,
    /// `β`: share of normal positions allowed below the boundary. In `[0, 0.5]`.
    pub beta: f32,
    /// `τ`: gap between the two boundaries, in units of `l / ν`. Positive.
    pub tau: f32,
    /// `ν`: log-likelihoods are divided by it before the boundary. Positive.
    #[serde(deserialize_with = "normalizer")]
    pub normalizer: f32,
    /// `λ`: weight of the push-pull term. Not negative.
    pub lambda: f32,
    /// Whether hard positions count more.
    pub focal: bool,
    /// How often a pass shows each real anomaly. At least 1.
    pub repeats: usize,
    /// Strategy 0: whether real anomalies are shown as they are.
    #[serde(default = "yes")]
    pub repeat: bool,
    /// Strategy 1: whether as many pasted anomalies are shown again.
    pub cutpaste: bool,
    /// Strategy 2: which anomalies are made without any real one.
    #[serde(default)]
    pub pseudo: PseudoKinds,
    /// How many of these a pass shows, for each normal image. Above 0, at most 10.
    #[serde(default = "pseudo_share")]
    pub pseudo_share: f32,
    /// Pixels that neighbouring tiles have in common; `None` if images are brought to the input size as a whole.
    #[serde(default)]
    pub tile_overlap: Option<usize>,
    /// How pasted defects are joined to their hosts.
    #[serde(default)]
    pub blend: Blend,
    /// Whether every batch holds as many anomalous images as normal ones, which are then repeated as needed.
    #[serde(default)]
    pub balance: bool,
    /// Whether the score looks at the part only.
    #[serde(default)]
    pub foreground_score: bool,
    /// Pixels of the map, the highest ones, whose mean goes into the score of an image. 1 to 65536; 1 is the authors' maximum.
    #[serde(default = "one_pixel")]
    pub score_pixels: usize,
    /// What else goes into the score of an image. With tiles the map alone; neither cells nor the whole image
    /// if the score looks at the part only.
    #[serde(default)]
    pub score_parts: ScoreParts,
}

/// For models of a time when this was no choice.
fn yes() -> bool {
    true
}

fn one_pixel() -> usize {
    1
}

fn all_levels() -> Levels {
    Levels::ALL
}

/// The authors' `ν`.
const NORMALIZER: f32 = 10.0;

/// A number; models of 0.1 may say `auto`, an estimate that is no more: what is learned on top of them takes the usual one.
fn normalizer<'de, D: Deserializer<'de>>(from: D) -> Result<f32, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Number(f32),
        Auto(Auto),
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Auto {
        Auto,
    }
    Ok(match Written::deserialize(from)? {
        Written::Number(number) => number,
        Written::Auto(Auto::Auto) => NORMALIZER,
    })
}

fn pseudo_share() -> f32 {
    0.25
}

impl TrainOptions {
    /// The choices of a preset for two hundred normal images and more.
    pub fn preset(preset: Preset) -> TrainOptions {
        TrainOptions::preset_for(preset, usize::MAX, 0)
    }

    /// The choices of a preset for so many normal images and images of known defects.
    ///
    /// `fast` makes 15 passes, and up to 25 over fewer than 200 images, for which fifteen are too few optimizer steps; at a higher rate
    /// too where no defect is known. Still more passes made AUPRO fall again on sets of thirty images, and the higher rate cost image
    /// AUROC on one of two hundred, and AUPRO where the anomalies bring steps of their own: docs/archive/experiments-0.1.md. The companion of the
    /// coarsest level is part of the score from 200 on: docs/decisions/companion.md.
    pub fn preset_for(preset: Preset, normal_images: usize, anomalous_images: usize) -> TrainOptions {
        let reference = TrainOptions {
            input: InputSize::square(256),
            bit_depth: BitDepth::FULL,
            levels: Levels::ALL,
            seed: 0,
            blocks: 8,
            schedule: Schedule { meta_epochs: 25, sub_epochs: 8 },
            learning_rate: 2e-4,
            batch_images: 32,
            step_positions: 4096,
            stepping: Stepping::SamePositions,
            image_positions: None,
            whiten: false,
            beta: 0.05,
            tau: 0.1,
            normalizer: NORMALIZER,
            lambda: 1.0,
            focal: false,
            repeats: 5,
            repeat: true,
            cutpaste: true,
            pseudo: PseudoKinds::default(),
            pseudo_share: pseudo_share(),
            tile_overlap: None,
            blend: Blend::Hard,
            balance: false,
            foreground_score: false,
            score_pixels: one_pixel(),
            score_parts: ScoreParts::MAP,
        };
        match preset {
            Preset::Reference => reference,
            Preset::Quick => {
                let (many, few) = QUICK_SUB_EPOCHS;
                let sub_epochs = QUICK_META_EPOCH_IMAGES.div_ceil(normal_images.max(1)).clamp(many, few);
                let fast = TrainOptions::preset_for(Preset::Fast, normal_images, anomalous_images);
                TrainOptions {
                    schedule: Schedule { meta_epochs: 4, sub_epochs },
                    learning_rate: 3e-3,
                    step_positions: 1024,
                    image_positions: Some(1024),
                    cutpaste: false,
                    score_parts: ScoreParts { companion: false, ..fast.score_parts },
                    ..fast
                }
            }
            Preset::Fast => {
                let (many, few) = FAST_SUB_EPOCHS;
                let sub_epochs = FAST_META_EPOCH_IMAGES.div_ceil(normal_images.max(1)).clamp(many, few);
                let are_few = sub_epochs > many;
                TrainOptions {
                    schedule: Schedule { meta_epochs: 5, sub_epochs },
                    learning_rate: if are_few && anomalous_images == 0 { 4.5e-3 } else { 3e-3 },
                    step_positions: 2048,
                    stepping: Stepping::SameSteps,
                    // Those of an image of 256 x 256: a larger input takes no more steps.
                    image_positions: Some(4096),
                    whiten: true,
                    // One position of the coarsest level, 16 x 16: docs/decisions/score.md.
                    score_pixels: 256,
                    // A second flow is worth its time where there are images enough to train it.
                    score_parts: ScoreParts { companion: !are_few, ..ScoreParts::ALL },
                    ..reference
                }
            }
        }
    }

    /// The options that have other values in `other`: name, value here, value there.
    pub fn different(&self, other: &TrainOptions) -> Vec<(String, String, String)> {
        // By way of text, which has the digits of an f32 and not those of its f64.
        let fields = |options: &TrainOptions| -> serde_json::Map<String, serde_json::Value> {
            let text = serde_json::to_string(options);
            text.and_then(|text| serde_json::from_str(&text)).unwrap_or_default()
        };
        let shown = |value: Option<&serde_json::Value>| match value {
            Some(serde_json::Value::String(text)) => text.clone(),
            None | Some(serde_json::Value::Null) => "none".to_owned(),
            Some(value) => value.to_string(),
        };
        let (here, there) = (fields(self), fields(other));
        let differing = here.iter().filter(|(name, value)| there.get(*name) != Some(value));
        differing.map(|(name, value)| (name.clone(), shown(Some(value)), shown(there.get(name)))).collect()
    }

    /// Accepts the options or names the first one that cannot work.
    ///
    /// # Errors
    ///
    /// An [`OptionError`] with what was found and what is allowed.
    pub fn check(self) -> Result<Checked, OptionError> {
        let in_unit = |v: f32, low: f32, high: f32| v.is_finite() && (low..=high).contains(&v);
        let o = &self;
        let rules: [(&'static str, bool, String, &'static str); 16] = [
            (
                "input",
                [o.input.height, o.input.width].iter().all(|n| (32..=4096).contains(n)),
                o.input.to_string(),
                "sides of 32 to 4096 pixels",
            ),
            ("blocks", (1..=64).contains(&o.blocks), o.blocks.to_string(), "1 to 64"),
            (
                "learning_rate",
                o.learning_rate > 0.0 && o.learning_rate <= 0.1,
                o.learning_rate.to_string(),
                "above 0, at most 0.1",
            ),
            ("batch_images", (1..=1024).contains(&o.batch_images), o.batch_images.to_string(), "1 to 1024"),
            (
                "step_positions",
                (16..=65_536).contains(&o.step_positions),
                o.step_positions.to_string(),
                "16 to 65536",
            ),
            (
                "image_positions",
                o.image_positions.is_none_or(|most| most >= 16),
                o.image_positions.unwrap_or_default().to_string(),
                "16 or more",
            ),
            ("beta", in_unit(o.beta, 0.0, 0.5), o.beta.to_string(), "0 to 0.5"),
            ("tau", o.tau > 0.0 && o.tau.is_finite(), o.tau.to_string(), "a positive number"),
            (
                "normalizer",
                o.normalizer > 0.0 && o.normalizer.is_finite(),
                o.normalizer.to_string(),
                "a positive number",
            ),
            ("lambda", in_unit(o.lambda, 0.0, 1e3), o.lambda.to_string(), "0 to 1000"),
            (
                "tile_overlap",
                o.tile_overlap.is_none_or(|overlap| {
                    overlap < o.input.height.min(o.input.width) && !o.foreground_score && !o.input.keep_aspect
                }),
                "given".to_owned(),
                "without a score of the part alone and without kept proportions",
            ),
            (
                "pseudo_share",
                o.pseudo_share > 0.0 && o.pseudo_share <= 10.0,
                o.pseudo_share.to_string(),
                "above 0, at most 10",
            ),
            (
                "score_pixels",
                (1..=65_536).contains(&o.score_pixels),
                o.score_pixels.to_string(),
                "1 to 65536",
            ),
            (
                "score_parts",
                (o.tile_overlap.is_none() || o.score_parts == ScoreParts::MAP)
                    && !(o.foreground_score && (o.score_parts.cells || o.score_parts.whole))
                    && (o.score_parts.coarsest || !o.score_parts.companion)
                    && (o.whiten || !o.score_parts.head),
                o.score_parts.to_string(),
                "map with tiles, without cells and whole where the part alone is scored, with coarsest where there is companion, without head where features are not whitened",
            ),
            ("repeats", (1..=1000).contains(&o.repeats), o.repeats.to_string(), "1 to 1000"),
            ("schedule", o.schedule.is_allowed(), o.schedule.to_string(), SCHEDULE_ALLOWED),
        ];
        match rules.into_iter().find(|(_, fine, _, _)| !fine) {
            Some((option, _, found, allowed)) => Err(OptionError { option, found, allowed }),
            None => Ok(Checked(self)),
        }
    }
}

/// Choices that have passed [`TrainOptions::check`]: the only kind training accepts.
#[derive(Clone, Debug, PartialEq)]
pub struct Checked(TrainOptions);

impl std::ops::Deref for Checked {
    type Target = TrainOptions;

    fn deref(&self) -> &TrainOptions {
        &self.0
    }
}

/// An option outside its limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionError {
    /// Its name: that of the field of [`TrainOptions`].
    pub option: &'static str,
    /// What was asked for.
    pub found: String,
    /// What is possible.
    pub allowed: &'static str,
}

impl fmt::Display for OptionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is {}, must be {}", self.option, self.found, self.allowed)
    }
}

impl std::error::Error for OptionError {}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn presets_pass_their_own_check() {
        for preset in [Preset::Reference, Preset::Fast, Preset::Quick] {
            assert!(TrainOptions::preset(preset).check().is_ok(), "{preset:?}");
        }
    }

    #[test]
    fn differences_are_named_with_both_values() {
        let fast = TrainOptions::preset(Preset::Fast);
        assert_eq!(fast.different(&fast), []);
        let other = TrainOptions { beta: 0.25, tile_overlap: Some(8), ..fast.clone() };
        let text = |name: &str, was: &str, is: &str| (name.to_owned(), was.to_owned(), is.to_owned());
        assert_eq!(fast.different(&other), [text("beta", "0.05", "0.25"), text("tile_overlap", "none", "8")]);
    }

    #[test]
    fn a_fault_is_named_with_what_was_found() {
        let with = |change: fn(&mut TrainOptions)| {
            let mut options = TrainOptions::preset(Preset::Fast);
            change(&mut options);
            options.check().map(|_| ()).map_err(|e| e.option)
        };
        assert_eq!(with(|o| o.beta = f32::NAN), Err("beta"));
        assert_eq!(with(|o| o.beta = 0.6), Err("beta"));
        assert_eq!(with(|o| o.tau = 0.0), Err("tau"));
        for wrong in [0.0, -1.0, f32::NAN, f32::INFINITY] {
            let options = TrainOptions { normalizer: wrong, ..TrainOptions::preset(Preset::Fast) };
            assert_eq!(options.check().map(|_| ()).map_err(|e| e.option), Err("normalizer"), "{wrong}");
        }
        assert_eq!(with(|o| o.blocks = 0), Err("blocks"));
        assert_eq!(with(|o| o.input = InputSize::square(16)), Err("input"));
        assert_eq!(with(|o| o.learning_rate = -1.0), Err("learning_rate"));
        assert_eq!(with(|_| ()), Ok(()));
    }

    #[test]
    fn fast_makes_more_passes_over_fewer_images() {
        let cases = [
            (0, 0, 25, 4.5e-3),
            (80, 0, 25, 4.5e-3),
            (80, 1, 25, 3e-3),
            (120, 0, 25, 4.5e-3),
            (199, 0, 20, 4.5e-3),
            (199, 10, 20, 3e-3),
            (200, 0, 15, 3e-3),
            (5000, 10, 15, 3e-3),
        ];
        for (images, anomalies, passes, rate) in cases {
            let options = TrainOptions::preset_for(Preset::Fast, images, anomalies);
            assert_eq!(
                (options.schedule.passes(), options.learning_rate),
                (passes, rate),
                "{images} and {anomalies} images"
            );
            assert_eq!(
                options.score_parts,
                ScoreParts { companion: images >= 200, ..ScoreParts::ALL },
                "{images} images"
            );
        }
        let reference = TrainOptions::preset(Preset::Reference);
        assert_eq!(TrainOptions::preset_for(Preset::Reference, 1, 0), reference);
        assert_eq!(reference.schedule.passes(), 200);
    }

    #[test]
    fn quick_shows_far_fewer_positions_than_fast() {
        for images in [1, 25, 60, 160, 200, 5000] {
            let shown = |preset| {
                let options = TrainOptions::preset_for(preset, images, 10);
                options.schedule.passes() * options.image_positions.expect("a limit") * images
            };
            assert!(4 * shown(Preset::Quick) <= shown(Preset::Fast), "{images} images");
        }
        assert!(!TrainOptions::preset(Preset::Quick).score_parts.companion);
    }

    #[test]
    fn options_of_older_models_are_read() {
        let fast = TrainOptions::preset(Preset::Fast);
        let now = TrainOptions { score_pixels: 1, score_parts: ScoreParts::MAP, ..fast };
        let mut json = serde_json::to_value(&now).expect("plain values");
        let new = [
            "score_pixels",
            "score_parts",
            "levels",
            "repeat",
            "pseudo",
            "pseudo_share",
            "blend",
            "balance",
            "foreground_score",
        ];
        for name in new {
            json.as_object_mut().expect("an object").remove(name).expect(name);
        }
        let read = |json: &Value| serde_json::from_value::<TrainOptions>(json.clone());
        assert_eq!(read(&json).expect("older options"), now);
        // Choices that are no more.
        let older = json.as_object_mut().expect("an object");
        older.insert("augment_strength".to_owned(), 2.into());
        older.insert("boundary".to_owned(), "running".into());
        older.insert("normalizer".to_owned(), "auto".into());
        assert_eq!(read(&json).expect("older options"), now);
        json["normalizer"] = "median".into();
        assert!(read(&json).is_err());
    }
}
