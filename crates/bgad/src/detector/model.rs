//! The model file: one safetensors file with everything a verdict needs.
//!
//! ```text
//! tensors    levelI.parameters [K, block]   levelI.rotations [K, C, C]
//!            levelI.whitening.mean [C]      levelI.whitening.matrix [C, C]         if features are whitened
//!            companion.parameters, companion.rotations   as of the coarsest level   if a companion is scored
//!            cells.mean [n, C]              cells.matrix [n, C, C]                 if cells are scored, n of them; C: of the coarsest level
//!            whole.mean [4 C]               whole.matrix [4 C, 4 C]                if whole images are scored
//!            backbone.weights [bytes]                                              if they are not built in
//! metadata   "bgad": JSON, see [`Header`]
//! ```
//!
//! A file is checked whole before anything is built from it: format version, every name, shape and number. Nothing in
//! it is ever executed.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::{error, fmt, io};

use bgad_kernels::Isa;
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde::{Deserialize, Serialize};

use crate::anomaly_map::ScoreConstants;
use crate::backbone::{Backbone, BackboneError};
use crate::boundary::Boundary;
use crate::calibrate::Calibration;
use crate::cells;
use crate::dataset::SplitRecord;
use crate::durable;
use crate::flow::{Flow, FlowShape, Whitening};
use crate::image::InputSize;
use crate::image_score::PartScale;
use crate::options::TrainOptions;
use crate::verdict::Thresholds;
use crate::weights::{Weights, WeightsError};

use super::ScoringArea;

/// Version of the layout in this module's header.
pub const FORMAT_VERSION: u32 = 1;

/// Key of the JSON text in the file's metadata.
const KEY: &str = "bgad";

/// A trained model.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// Everything but the numbers of the flows.
    pub header: Header,
    /// The flows, finest level first.
    pub levels: Vec<LevelModel>,
    /// A second flow of the coarsest level, shown normal images alone, with [`Header::companion_max`].
    pub companion: Option<Flow>,
    /// How usual each cell is: the Gaussians of [`cells`], row by row, with [`Header::cells`].
    pub cells: Option<Vec<Whitening>>,
    /// How usual whole images are: the Gaussian of [`whole_image`](crate::whole_image), with [`Header::whole`].
    pub whole: Option<Whitening>,
    /// The backbone's weights as a safetensors file, where they are not built in.
    pub backbone_weights: Option<Vec<u8>>,
}

/// One level of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct LevelModel {
    /// The trained flow.
    pub flow: Flow,
    /// What happens to features before it.
    pub whitening: Option<Whitening>,
}

/// What a model file says about itself, in JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// [`FORMAT_VERSION`] of the writer.
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
    /// `M` of the companion, nats per channel; `None` if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub companion_max: Option<f32>,
    /// What cells are worth in the score; `None` if they are not looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cells: Option<PartScale>,
    /// What whole images are worth in the score; `None` if they are not looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whole: Option<PartScale>,
    /// How the model came about.
    pub training: TrainingSummary,
}

/// One level in the [`Header`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LevelHeader {
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
    /// Normal images trained on.
    pub normal_images: usize,
    /// Anomalous images trained on.
    pub anomalous_images: usize,
    /// Passes over the images.
    pub passes: usize,
    /// Per pass and level, the mean loss of a step.
    pub losses: Vec<Vec<f32>>,
    /// Scores of the normal training images, sorted; nats.
    pub normal_scores: Vec<f32>,
    /// SHA-256 of every image file trained on, sorted: evaluation leaves them out.
    pub trained_on: Vec<String>,
    /// Which image was used for what; `None` in models of a time when they did not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<SplitRecord>,
    /// Only in a checkpoint: how far the run has come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<String>,
}

impl Model {
    /// Writes the model. Whoever reads the file while this runs, or after it was interrupted, finds the old one or the
    /// new one, whole; the old one stays beside it as its [previous generation](durable::previous).
    ///
    /// # Errors
    ///
    /// [`ModelError::Write`] if the system does not take it; the old file is then untouched.
    pub fn save(&self, path: &Path) -> Result<(), ModelError> {
        let bytes = self.to_bytes(&[]);
        durable::replace_keeping_previous(path, &bytes)
            .map_err(|source| ModelError::Write { path: path.to_owned(), source })
    }

    /// Reads a model.
    ///
    /// # Errors
    ///
    /// A [`ModelError`] that says what is wrong with the file; none is ever half accepted.
    pub fn open(path: &Path) -> Result<Model, ModelError> {
        let in_file = |source| ModelError::InFile { path: path.to_owned(), source: Box::new(source) };
        let weights = Weights::open(path).map_err(|e| in_file(ModelError::Weights(e)))?;
        Model::from_weights(&weights).map_err(in_file)
    }

    /// Reads a model that is in memory already.
    ///
    /// # Errors
    ///
    /// As [`Model::open`].
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Model, ModelError> {
        Model::from_weights(&Weights::from_bytes(bytes).map_err(ModelError::Weights)?)
    }

    /// The file's bytes, with further tensors of `f32`.
    pub(crate) fn to_bytes(&self, more: &[(String, &[f32])]) -> Vec<u8> {
        let mut tensors: Vec<(String, Vec<usize>, Vec<u8>, Dtype)> = Vec::new();
        let mut put = |name: String, shape: Vec<usize>, values: &[f32]| {
            let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
            tensors.push((name, shape, bytes, Dtype::F32));
        };
        for (i, level) in self.levels.iter().enumerate() {
            put_flow(&mut put, &format!("level{i}"), &level.flow);
            if let Some(whitening) = &level.whitening {
                let channels = whitening.mean.len();
                put(format!("level{i}.whitening.mean"), vec![channels], &whitening.mean);
                put(format!("level{i}.whitening.matrix"), vec![channels, channels], &whitening.matrix);
            }
        }
        if let Some(flow) = &self.companion {
            put_flow(&mut put, "companion", flow);
        }
        if let Some(gaussians) = &self.cells {
            let (n, c) = (gaussians.len(), gaussians[0].mean.len());
            let all = |of: fn(&Whitening) -> &Vec<f32>| {
                gaussians.iter().flat_map(of).copied().collect::<Vec<f32>>()
            };
            put("cells.mean".to_owned(), vec![n, c], &all(|gaussian| &gaussian.mean));
            put("cells.matrix".to_owned(), vec![n, c, c], &all(|gaussian| &gaussian.matrix));
        }
        if let Some(gaussian) = &self.whole {
            let d = gaussian.mean.len();
            put("whole.mean".to_owned(), vec![d], &gaussian.mean);
            put("whole.matrix".to_owned(), vec![d, d], &gaussian.matrix);
        }
        for (name, values) in more {
            put(name.clone(), vec![values.len()], values);
        }
        if let Some(bytes) = &self.backbone_weights {
            tensors.push(("backbone.weights".into(), vec![bytes.len()], bytes.clone(), Dtype::U8));
        }
        let header = serde_json::to_string(&self.header).expect("a header of numbers and texts");
        let views = tensors.iter().map(|(name, shape, bytes, dtype)| {
            let view = TensorView::new(*dtype, shape.clone(), bytes);
            (name.as_str(), view.expect("bytes made for this shape"))
        });
        safetensors::serialize(views, Some(HashMap::from([(KEY.to_owned(), header)])))
            .expect("tensors with distinct names")
    }

    pub(crate) fn from_weights(weights: &Weights) -> Result<Model, ModelError> {
        let text = weights.metadata(KEY).ok_or(ModelError::NotAModel)?;
        // The version is looked at first: another version's header need not have our fields.
        #[derive(Deserialize)]
        struct Version {
            format_version: u32,
        }
        let version: Version = serde_json::from_str(text).map_err(ModelError::Header)?;
        if version.format_version != FORMAT_VERSION {
            return Err(ModelError::Version { found: version.format_version });
        }
        let header: Header = serde_json::from_str(text).map_err(ModelError::Header)?;
        header.check()?;
        let blocks = header.options.blocks;
        let mut levels = Vec::with_capacity(header.levels.len());
        for (i, level) in header.levels.iter().enumerate() {
            let c = level.channels;
            let read = |what: &str, shape: &[usize]| read_finite(weights, format!("level{i}.{what}"), shape);
            let flow = read_flow(weights, &format!("level{i}"), FlowShape { channels: c, blocks })?;
            let whitening = if header.options.whiten {
                Some(Whitening {
                    mean: read("whitening.mean", &[c])?,
                    matrix: read("whitening.matrix", &[c, c])?,
                })
            } else {
                None
            };
            levels.push(LevelModel { flow, whitening });
        }
        let coarsest = header.levels.last().expect("checked");
        let shape = FlowShape { channels: coarsest.channels, blocks };
        let companion = header.companion_max.map(|_| read_flow(weights, "companion", shape)).transpose()?;
        let cells = match header.cells {
            None => None,
            Some(_) => {
                let (rows, columns) = cells::grid((coarsest.height, coarsest.width));
                let (n, c) = (rows * columns, coarsest.channels);
                let mean = read_finite(weights, "cells.mean".to_owned(), &[n, c])?;
                let matrix = read_finite(weights, "cells.matrix".to_owned(), &[n, c, c])?;
                let gaussians = mean.chunks(c).zip(matrix.chunks(c * c));
                Some(gaussians.map(|(m, w)| Whitening { mean: m.to_vec(), matrix: w.to_vec() }).collect())
            }
        };
        let whole = match header.whole {
            None => None,
            Some(_) => {
                let d = 4 * coarsest.channels;
                let mean = read_finite(weights, "whole.mean".to_owned(), &[d])?;
                let matrix = read_finite(weights, "whole.matrix".to_owned(), &[d, d])?;
                Some(Whitening { mean, matrix })
            }
        };
        let backbone_weights = match weights.shape("backbone.weights") {
            Some(_) => Some(weights.tensor_u8("backbone.weights").map_err(ModelError::Weights)?),
            None => None,
        };
        Ok(Model { header, levels, companion, cells, whole, backbone_weights })
    }

    /// Builds the backbone this model was trained with.
    ///
    /// # Errors
    ///
    /// [`ModelError::Backbone`] if it cannot be built, [`ModelError::OtherBackbone`] if its weights are not those the
    /// model was trained with.
    pub fn backbone(&self, isa: Isa) -> Result<Backbone, ModelError> {
        let backbone = match &self.backbone_weights {
            None => Backbone::embedded(&self.header.backbone, isa),
            Some(bytes) => {
                let weights = Weights::from_bytes(bytes.clone()).map_err(ModelError::Weights)?;
                Backbone::load(&self.header.backbone, &weights, isa)
            }
        }
        .map_err(ModelError::Backbone)?
        .with_levels(self.header.options.levels);
        if backbone.weights_sha256() != self.header.backbone_sha256 {
            return Err(ModelError::OtherBackbone {
                name: self.header.backbone.clone(),
                expected: self.header.backbone_sha256.clone(),
                found: backbone.weights_sha256().to_owned(),
            });
        }
        let grid = backbone.grid((self.header.options.input.height, self.header.options.input.width));
        let channels = backbone.channels();
        for (i, level) in self.header.levels.iter().enumerate() {
            if (level.channels, (level.height, level.width)) != (channels[i], grid[i]) {
                return Err(ModelError::Inconsistent {
                    what: format!("level {i} does not fit {}", backbone.name()),
                });
            }
        }
        Ok(backbone)
    }
}

/// Gives `put` the tensors of a flow: name, shape, values.
fn put_flow(put: &mut impl FnMut(String, Vec<usize>, &[f32]), name: &str, flow: &Flow) {
    let FlowShape { channels, blocks } = flow.shape;
    put(format!("{name}.parameters"), vec![blocks, flow.shape.block_len()], &flow.parameters);
    put(format!("{name}.rotations"), vec![blocks, channels, channels], &flow.rotations);
}

fn read_flow(weights: &Weights, name: &str, shape: FlowShape) -> Result<Flow, ModelError> {
    let FlowShape { channels, blocks } = shape;
    let read = |what: &str, shape: &[usize]| read_finite(weights, format!("{name}.{what}"), shape);
    Ok(Flow {
        shape,
        parameters: read("parameters", &[blocks, shape.block_len()])?,
        rotations: read("rotations", &[blocks, channels, channels])?,
    })
}

/// A tensor of this shape, all of it numbers.
fn read_finite(weights: &Weights, tensor: String, shape: &[usize]) -> Result<Vec<f32>, ModelError> {
    let values = weights.tensor_f32(&tensor, shape).map_err(ModelError::Weights)?;
    match values.iter().all(|v| v.is_finite()) {
        true => Ok(values),
        false => Err(ModelError::NotFinite { tensor }),
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
        if self.companion_max.is_some_and(|max| !max.is_finite()) {
            return wrong("the score constant of a companion is finite");
        }
        let parts = [self.cells, self.whole].into_iter().flatten();
        if parts.into_iter().any(|scale| !(scale.usual.is_finite() && scale.nats.is_finite())) {
            return wrong("what cells and whole images are worth is finite");
        }
        let InputSize { height, width, .. } = self.options.input;
        let size = self.options.tile_overlap.is_none().then_some((height, width));
        if !self.area.fits(size) {
            return wrong("the scoring area covers an image");
        }
        if !(self.thresholds.ok.is_finite() && self.thresholds.ng >= self.thresholds.ok) {
            return wrong("the OK threshold is finite and not above the NG threshold");
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

/// Why a model file was refused or not written.
#[derive(Debug)]
#[non_exhaustive]
pub enum ModelError {
    /// Something is wrong with this file.
    InFile {
        /// The file.
        path: PathBuf,
        /// What it is.
        source: Box<ModelError>,
    },
    /// The file could not be written.
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is no safetensors file, or a tensor is missing or misshapen.
    Weights(WeightsError),
    /// A safetensors file, but not one of bgad's models.
    NotAModel,
    /// The file was written by another version of bgad.
    Version {
        /// The version in the file.
        found: u32,
    },
    /// The JSON header cannot be read.
    Header(serde_json::Error),
    /// The header contradicts itself or the limits.
    Inconsistent {
        /// The rule that is broken.
        what: String,
    },
    /// A tensor has an infinity or a NaN.
    NotFinite {
        /// Its name.
        tensor: String,
    },
    /// The backbone cannot be built.
    Backbone(BackboneError),
    /// The backbone's weights are not those the model was trained with.
    OtherBackbone {
        /// The backbone.
        name: String,
        /// SHA-256 of the weights trained with.
        expected: String,
        /// SHA-256 of the weights there are.
        found: String,
    },
}

impl fmt::Display for ModelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InFile { path, .. } => write!(f, "cannot use the model file {}", path.display()),
            Self::Write { path, .. } => write!(f, "cannot write the model file {}", path.display()),
            Self::Weights(_) => write!(f, "not a sound safetensors file"),
            Self::NotAModel => {
                write!(f, "a safetensors file, but not a bgad model: its metadata has no \"{KEY}\"")
            }
            Self::Version { found } => write!(
                f,
                "the model has format version {found}, this bgad reads version {FORMAT_VERSION}: train it again or use the matching bgad"
            ),
            Self::Header(_) => write!(f, "the model's header cannot be read"),
            Self::Inconsistent { what } => write!(f, "the model contradicts itself: {what}"),
            Self::NotFinite { tensor } => write!(f, "tensor `{tensor}` has a value that is not finite"),
            Self::Backbone(_) => write!(f, "the model's backbone cannot be built"),
            Self::OtherBackbone { name, expected, found } => {
                write!(f, "the model was trained with {name} weights {expected}, this bgad has {found}")
            }
        }
    }
}

impl error::Error for ModelError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::InFile { source, .. } => Some(source),
            Self::Write { source, .. } => Some(source),
            Self::Weights(source) => Some(source),
            Self::Header(source) => Some(source),
            Self::Backbone(source) => Some(source),
            _ => None,
        }
    }
}
