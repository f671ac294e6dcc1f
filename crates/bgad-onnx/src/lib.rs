//! A trained model as an ONNX file that carries its own proof.
//!
//! [`export`] writes the whole way from the resized image to map, score and verdict as one graph of opset 17, thresholds inside, for any
//! number of images at a time. What the image must look like, and what the training engine finds in seeded test images, stands in
//! the file's metadata: the [`Certificate`]. [`verify`] runs it.
//!
//! ```text
//! input         float32 [N, 3, H, W], RGB, 0 to 1; the network's own normalisation is in the graph
//! native        score [N], verdict [N] (0 OK, 1 REVIEW, 2 NG), map [N, h, w], whole_image [N], parts [N, P]     nats
//! anomalib      pred_score [N], pred_label [N], anomaly_map [N, 1, H, W], pred_mask [N, 1, H, W]               0 to 1, threshold 0.5
//! ```
//!
//! Models of format 1, models of tiles, and models that look for the part in each image have no such graph: [`ExportError`] says so.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod certificate;
mod graph;
pub mod messages;
pub mod profile;
mod verify;

use bgad::detector::Detector;
use bgad::image::OriginalSize;
use bgad::model::{Model, ModelError};
use bgad::score::{Framing, Rule, ScoringArea, area_of};

pub use certificate::Certificate;
pub use profile::Profile;
pub use verify::{Finding, Report, VerifyError, verify};

use certificate::{Measured, metadata};
use graph::View;

/// The version of ONNX's operators that is used.
pub const OPSET: i64 = 17;

/// The file format that goes with it.
const IR_VERSION: i64 = 8;

/// What is exported.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// The model.
    pub model: &'a Model,
    /// SHA-256 of its file, 64 hexadecimal digits.
    pub model_sha256: &'a str,
    /// The same model, made ready: what the graph is held against.
    pub detector: &'a Detector,
}

/// What a file is to be.
#[derive(Clone, Debug)]
pub struct Options {
    /// Names and units of the outputs.
    pub profile: Profile,
    /// Size of the images before they are brought to the input size: of a model whose images keep their proportions, what is beside
    /// the image depends on it.
    pub image_size: Option<OriginalSize>,
}

/// An ONNX file.
#[derive(Clone, Debug)]
pub struct Exported {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// What it says of itself.
    pub certificate: Certificate,
}

/// Why a model was not exported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// Its score is that of format 1.
    #[error(
        "the model scores by the rule of format 1, which has no ONNX form; train it again with this version"
    )]
    FirstFormat,
    /// It looks at tiles.
    #[error(
        "the model looks at images in tiles, and how many there are depends on the image; \
         train without --tiles to export, or use the server"
    )]
    Tiles,
    /// It looks for the part in each image.
    #[error(
        "the model looks for the part in each image, which has no ONNX form; \
         train with a fixed area (--roi MASK), or without --foreground-score"
    )]
    Foreground,
    /// Images keep their proportions, and their size was not said.
    #[error(
        "images keep their proportions under this model, so what is beside them depends on their size; \
         give the size of your images with --image-size HxW"
    )]
    ImageSize,
    /// A size of images was said where it means nothing.
    #[error("images are stretched to {input} under this model whatever their size; leave --image-size out")]
    NoImageSize {
        /// The input size.
        input: String,
    },
    /// The model does not hold together.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The file that was made does not prove itself, so it was not given out.
    #[error("the exported graph does not agree with the model: {what}")]
    Disagrees {
        /// What differs.
        what: String,
    },
    /// The runtime that checks it cannot run it.
    #[error("the exported graph cannot be checked")]
    Check(#[source] VerifyError),
}

/// Writes a model as an ONNX file and checks that it proves itself.
///
/// # Errors
///
/// An [`ExportError`] that says what has no ONNX form and what to do.
///
/// # Panics
///
/// If the size of images is not one that a [`bgad::Frame`] can have.
pub fn export(source: &Source<'_>, options: &Options) -> Result<Exported, ExportError> {
    let model = source.model;
    let view = view_of(model, options)?;
    let mut parts = Vec::new();
    let graph = graph::of_model(model, &view, |builder, outputs| {
        parts = outputs.parts.iter().map(|(kind, _)| *kind).collect();
        options.profile.finish(builder, outputs, model, &view);
    })?;
    let mut certificate = Certificate::new(source, options, &view, &parts, &graph)?;
    let mut file = messages::Model {
        ir_version: Some(IR_VERSION),
        producer_name: Some("bgad".to_owned()),
        producer_version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        graph: Some(graph),
        opset_import: vec![messages::OperatorSet { domain: Some(String::new()), version: Some(OPSET) }],
        metadata_props: metadata(&certificate),
    };
    let report = verify(&file.to_bytes(), None).map_err(ExportError::Check)?;
    if let Some(what) = report.findings.first() {
        return Err(ExportError::Disagrees { what: what.to_string() });
    }
    certificate.parity.measured =
        Some(Measured { runtime: report.runtime, largest_difference: report.largest_difference });
    file.metadata_props = metadata(&certificate);
    Ok(Exported { bytes: file.to_bytes(), certificate })
}

/// What is looked at of every image.
fn view_of(model: &Model, options: &Options) -> Result<View, ExportError> {
    if model.scorer().rule() == Rule::Sum {
        return Err(ExportError::FirstFormat);
    }
    let Framing::Whole(size) = model.scorer().framing() else { return Err(ExportError::Tiles) };
    if model.header.area == ScoringArea::Estimate {
        return Err(ExportError::Foreground);
    }
    let original = match (size.keep_aspect, options.image_size) {
        (true, None) => return Err(ExportError::ImageSize),
        (false, Some(_)) => return Err(ExportError::NoImageSize { input: size.to_string() }),
        (_, original) => original.unwrap_or(OriginalSize { height: size.height, width: size.width }),
    };
    let window = size.window(original);
    let area = model.header.area.common();
    let seen = area_of(size, window, area.as_ref());
    Ok(View { size, window, area, seen })
}
