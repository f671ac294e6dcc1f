//! The model file: one safetensors file with everything a verdict needs.
//!
//! ```text
//! tensors    levelI.parameters [K, block]   levelI.rotations [K, C, C]
//!            levelI.whitening.mean [C]      levelI.whitening.matrix [C, C]         if features are whitened
//!            companion.parameters, companion.rotations   as of the coarsest level   if a companion is scored
//!            cells.mean [n, C]              cells.matrix [n, C, C]                 if cells are scored, n of them; C: of the coarsest level
//!            whole.mean [4 C]               whole.matrix [4 C, 4 C]                if whole images are scored
//!            headI.weights [C]              headI.bias [1]                         of each level I that has a linear head
//!            backbone.weights [bytes]                                              if they are not built in
//! metadata   "bgad": JSON, see [`Header`] and the parts of the score with their scales
//! ```
//!
//! A file is checked whole before anything is built from it: format version, every name, shape and number. Nothing in
//! it is ever executed. Files of format 1 are read too and score as they did ([`Rule::Sum`]).

mod error;
mod file;
mod read;
mod test_vector;

use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::backbone::layers::Layers;
use crate::backbone::{Backbone, LevelShape};
use crate::boundary::Boundary;
use crate::calibrate::Calibration;
use crate::dataset::SplitRecord;
use crate::durable;
use crate::flow::Flow;
use crate::image::{Appearance, InputSize};
use crate::options::TrainOptions;
use crate::outside;
#[cfg(doc)]
use crate::score::Rule;
use crate::score::{ScoreConstants, Scorer, ScoringArea, quantile};
use crate::verdict::Thresholds;
use crate::weights::Weights;

pub use error::ModelError;
pub(crate) use file::{CHECKPOINT_KEY, Tensors};
pub(crate) use read::{read_finite, read_flow};
pub(crate) use test_vector::SEEDS;
pub use test_vector::{TestVector, TestVectorError};

/// Version of the layout in this module's header.
pub const FORMAT_VERSION: u32 = 2;

/// A trained model.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// What the model says about itself.
    pub header: Header,
    /// What a score is made of.
    pub(crate) scorer: Scorer,
    /// The backbone's weights as a safetensors file, where they are not built in.
    pub(crate) backbone_weights: Option<Vec<u8>>,
}

/// What a model file says about itself, in JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// Format version of the file it came from; [`FORMAT_VERSION`] of a new model.
    pub format_version: u32,
    /// The backbone's name.
    pub backbone: String,
    /// SHA-256 of its weights.
    pub backbone_sha256: String,
    /// The choices it was trained with; the input size among them.
    pub options: TrainOptions,
    /// Per level: sizes and boundary.
    pub levels: Vec<LevelHeader>,
    /// `M` of each level, nats per channel, from normal training images.
    pub constants: ScoreConstants,
    /// Where OK ends and NG begins, in nats of the image score.
    pub thresholds: Thresholds,
    /// What the thresholds promise and rest on; `None` for the default of a training.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
    /// Which pixels are scored.
    #[serde(default)]
    pub area: ScoringArea,
    /// Synthetic images with their scores, by which another machine sees that it computes the same; none in files of before they were
    /// stored.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub test_vectors: Vec<TestVector>,
    /// How the model came about.
    pub training: TrainingSummary,
}

/// One level in the [`Header`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LevelHeader {
    /// Pixels from one position to the next. Files of before this was recorded have 4, 8 and 16 from the finest level of the network on.
    #[serde(default)]
    pub stride: usize,
    /// Channels of the feature map.
    pub channels: usize,
    /// Rows of the feature map.
    pub height: usize,
    /// Columns of the feature map.
    pub width: usize,
    /// The boundary over all normal training positions, in units of `l / ν`.
    pub boundary_normalized: Boundary,
    /// The same in nats per channel.
    pub boundary_nats_per_channel: Boundary,
}

/// How a model came about.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TrainingSummary {
    /// Version of bgad.
    pub bgad_version: String,
    /// When the training, or the last learning, was done, RFC 3339, as SOURCE_DATE_EPOCH gave it; `None` if it gave nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trained_at: Option<String>,
    /// Normal images trained on.
    pub normal_images: usize,
    /// Anomalous images trained on.
    pub anomalous_images: usize,
    /// Good images that were kept from the flows: scales and thresholds rest on them.
    #[serde(default)]
    pub kept_images: usize,
    /// They were chosen among so many good images, the first ones of the split; 0 where none was kept.
    #[serde(default)]
    pub kept_among: usize,
    /// Passes over the images.
    pub passes: usize,
    /// Per pass and level, the mean loss of a step.
    pub losses: Vec<Vec<f32>>,
    /// Scores of good images that the flows did not learn from, sorted; nats. Of format 1, of the training images.
    pub normal_scores: Vec<f32>,
    /// How the images looked that `normal_scores` are of; `None` in files of before it was recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub appearance: Option<NormalAppearance>,
    /// SHA-256 of every image file trained on, sorted: evaluation leaves them out.
    pub trained_on: Vec<String>,
    /// Which image was used for what; `None` in models of a time when they did not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<SplitRecord>,
}

/// How bright and how sharp good images are: what to compare with when a lamp or a lens is in doubt.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct NormalAppearance {
    /// [`Appearance::brightness`] below which these shares of the images lie: [`NormalAppearance::SHARES`].
    pub brightness: [f32; 5],
    /// The same of [`Appearance::sharpness`].
    pub sharpness: [f32; 5],
}

impl NormalAppearance {
    /// The shares.
    pub const SHARES: [f64; 5] = [0.05, 0.25, 0.5, 0.75, 0.95];

    /// Of these images; `None` of none.
    pub(crate) fn of(images: &[Appearance]) -> Option<NormalAppearance> {
        let shares = |value: fn(&Appearance) -> f64| {
            let mut sorted: Vec<f32> = images.iter().map(|image| value(image) as f32).collect();
            sorted.sort_by(f32::total_cmp);
            let values = NormalAppearance::SHARES.map(|share| quantile(&sorted, share));
            values.iter().all(Option::is_some).then(|| values.map(|value| value.unwrap_or_default() as f32))
        };
        Some(NormalAppearance {
            brightness: shares(|image| image.brightness)?,
            sharpness: shares(|image| image.sharpness)?,
        })
    }
}

impl Model {
    /// Writes the model. Whoever reads the file while this runs, or after it was interrupted, finds the old one or the
    /// new one, whole; the old one stays beside it as its [previous generation](durable::previous).
    ///
    /// # Errors
    ///
    /// [`ModelError::Write`] if the system does not take it; the old file is then untouched.
    pub fn save(&self, path: &Path) -> Result<(), ModelError> {
        let bytes = self.to_bytes();
        durable::replace_keeping_previous(path, &bytes)
            .map_err(|source| ModelError::Write { path: path.to_owned(), source })
    }

    /// All flows: a level's each, the finest first, and the companion of the coarsest if there is one.
    #[doc(hidden)]
    pub fn flows(&self) -> impl Iterator<Item = &Flow> {
        self.scorer.levels.iter().map(|level| &level.flow).chain(&self.scorer.companion)
    }

    /// What a score of this model is made of.
    pub fn scorer(&self) -> &Scorer {
        &self.scorer
    }

    /// The layers of its backbone as plain numbers.
    ///
    /// # Errors
    ///
    /// As [`Model::backbone`].
    pub fn layers(&self) -> Result<Layers, ModelError> {
        // Whether these are the weights it was trained with is said in one place.
        self.backbone()?;
        let carried = self.backbone_weights.clone().map(Weights::from_bytes).transpose();
        let carried = carried.map_err(ModelError::Weights)?;
        Backbone::layers(&self.header.backbone, carried.as_ref()).map_err(ModelError::Backbone)
    }

    /// Reads a model.
    ///
    /// # Errors
    ///
    /// A [`ModelError`] that says what is wrong with the file; none is ever half accepted.
    pub fn open(path: &Path) -> Result<Model, ModelError> {
        Ok(Model::open_with_bytes(path)?.0)
    }

    /// Reads a model and keeps the bytes that it was read from: what is said of the file, its hash for instance, is then said of
    /// this model, whatever has become of the file since.
    ///
    /// # Errors
    ///
    /// As [`Model::open`].
    pub fn open_with_bytes(path: &Path) -> Result<(Model, Vec<u8>), ModelError> {
        let in_file = |source| ModelError::InFile { path: path.to_owned(), source: Box::new(source) };
        let weights = Weights::open(path).map_err(|e| in_file(e.into()))?;
        let model = Model::from_weights(&weights).map_err(in_file)?;
        Ok((model, weights.into_bytes()))
    }

    /// Reads a model that is in memory already.
    ///
    /// # Errors
    ///
    /// As [`Model::open`].
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Model, ModelError> {
        Model::from_weights(&Weights::from_bytes(bytes).map_err(ModelError::Weights)?)
    }

    /// Builds the backbone this model was trained with.
    ///
    /// # Errors
    ///
    /// [`ModelError::Backbone`] if it cannot be built, [`ModelError::OtherBackbone`] if its weights are not those the
    /// model was trained with.
    pub fn backbone(&self) -> Result<Backbone, ModelError> {
        let backbone = match &self.backbone_weights {
            None => Backbone::embedded(&self.header.backbone),
            Some(bytes) => {
                let weights = Weights::from_bytes(bytes.clone()).map_err(ModelError::Weights)?;
                Backbone::load(&self.header.backbone, &weights)
            }
        };
        self.fitting(backbone.map_err(ModelError::Backbone)?)
    }

    /// `backbone` with the levels of this model.
    ///
    /// # Errors
    ///
    /// As [`Model::backbone`] if it is not the one that the model was trained with.
    pub(crate) fn fitting(&self, backbone: Backbone) -> Result<Backbone, ModelError> {
        let backbone = backbone.with_levels(self.header.options.levels).map_err(ModelError::Backbone)?;
        if backbone.weights_sha256() != self.header.backbone_sha256 {
            return Err(ModelError::OtherBackbone {
                name: self.header.backbone.clone(),
                expected: self.header.backbone_sha256.clone(),
                found: backbone.weights_sha256().to_owned(),
            });
        }
        let grid = backbone.grid((self.header.options.input.height, self.header.options.input.width));
        let shapes = backbone.shapes();
        for (i, level) in self.header.levels.iter().enumerate() {
            let shape = LevelShape { stride: level.stride, channels: level.channels };
            if (shape, (level.height, level.width)) != (shapes[i], grid[i]) {
                return Err(ModelError::Inconsistent {
                    what: format!("level {i} does not fit {}", backbone.name()),
                });
            }
        }
        Ok(backbone)
    }
}

/// Where a model comes from, as far as its file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The data folder or list that it was trained from.
    pub data: Option<PathBuf>,
    /// When it was trained, RFC 3339.
    pub trained_at: Option<String>,
}

impl Origin {
    /// Looks into the header of a model file. Nothing else is read, and nothing is checked: [`Model::open`] says what is wrong
    /// with a file. `None` if it is no model file.
    pub fn of_file(path: &Path) -> Option<Origin> {
        /// Longer headers are none of ours.
        const MOST: u64 = 256 << 20;
        let (mut file, len) = outside::open(path).ok()?;
        let mut length = [0; 8];
        file.read_exact(&mut length).ok()?;
        let length = u64::from_le_bytes(length);
        if length > MOST.min(len) {
            return None;
        }
        let mut json = vec![0; length as usize];
        file.read_exact(&mut json).ok()?;
        let tensors: serde_json::Value = serde_json::from_slice(&json).ok()?;
        let header: serde_json::Value =
            serde_json::from_str(tensors["__metadata__"][file::KEY].as_str()?).ok()?;
        let training = &header["training"];
        let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
        Some(Origin {
            data: text(&training["split"]["data"]).map(Into::into),
            trained_at: text(&training["trained_at"]),
        })
    }
}

impl Header {
    /// Numbers that JSON lets through but no model has.
    fn check(&self) -> Result<(), ModelError> {
        let wrong = |what: &str| Err(ModelError::Inconsistent { what: what.to_owned() });
        if let Err(e) = self.options.clone().check() {
            return wrong(&e.to_string());
        }
        let levels = [self.options.levels.chosen().count(), self.constants.max_logp_per_level().len()];
        if levels != [self.levels.len(); 2] {
            return wrong("a model has the levels of its options and a score constant for each");
        }
        if self.levels.iter().any(|l| !(2..=4096).contains(&l.channels)) {
            return wrong("a level has 2 to 4096 channels");
        }
        let InputSize { height, width, .. } = self.options.input;
        let fits = |l: &LevelHeader| {
            l.stride > 0 && [height, width].map(|side| side.div_ceil(l.stride)) == [l.height, l.width]
        };
        if !self.levels.iter().all(fits) {
            return wrong("a level has a position for every stride of the input size");
        }
        let size = self.options.tile_overlap.is_none().then_some((height, width));
        if !self.area.fits(size) {
            return wrong("the scoring area covers an image");
        }
        let Thresholds { ok, ng } = self.thresholds;
        if !(ok.is_finite() && ng.is_finite() && ng >= ok) {
            return wrong("the thresholds are finite, and OK is not above NG");
        }
        let boundaries =
            self.levels.iter().flat_map(|l| [l.boundary_normalized, l.boundary_nats_per_channel]);
        if !boundaries.into_iter().all(|b| b.normal.is_finite() && b.anomalous.is_finite()) {
            return wrong("the boundaries of a level are finite");
        }
        let looks = self.training.appearance.iter().flat_map(|looks| [looks.brightness, looks.sharpness]);
        let tests = self.test_vectors.iter().map(|vector| vector.score);
        if !looks.flatten().chain(tests).all(f32::is_finite) {
            return wrong("the appearance of good images and the scores of test images are finite");
        }
        if let Some(calibration) = &self.calibration {
            let pixel = calibration.pixel_threshold.is_none_or(f32::is_finite);
            if calibration.thresholds != self.thresholds || !calibration.threshold.is_finite() || !pixel {
                return wrong("the thresholds are not those it was calibrated to");
            }
        }
        Ok(())
    }

    /// Where regions are cut out of the map, nats: the pixel threshold, but never above the OK threshold.
    pub fn region_threshold(&self) -> f32 {
        let pixel = self.calibration.as_ref().and_then(|calibration| calibration.pixel_threshold);
        pixel.map_or(self.thresholds.ok, |pixel| pixel.min(self.thresholds.ok))
    }

    /// The one threshold of the operating point, nats: the calibrated one, or where OK ends.
    pub fn operating_threshold(&self) -> f32 {
        self.calibration.as_ref().map_or(self.thresholds.ok, |calibration| calibration.threshold)
    }

    /// Whether the model was trained on or calibrated with an image file of this hash.
    pub fn knows(&self, sha256: &str) -> bool {
        self.trained_on(sha256)
            || self.calibration.as_ref().is_some_and(|calibration| is_in(&calibration.images_sha256, sha256))
    }

    /// Whether the model was trained on an image file of this hash.
    pub fn trained_on(&self, sha256: &str) -> bool {
        is_in(&self.training.trained_on, sha256)
    }
}

/// Lists of hashes are written sorted, but a file from outside need not be.
fn is_in(hashes: &[String], sha256: &str) -> bool {
    hashes.iter().any(|hash| hash == sha256)
}
