//! Why a model file is refused or not written.

use std::path::PathBuf;
use std::{error, fmt, io};

use super::FORMAT_VERSION;
use super::file::KEY;
use crate::backbone::BackboneError;
use crate::printable;
use crate::weights::WeightsError;

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
    /// The file could not be read.
    Read(io::Error),
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
    /// The file is the state of a training, not a model.
    Checkpoint,
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
            Self::InFile { path, .. } => write!(f, "cannot use the model file {}", printable::path(path)),
            Self::Write { path, .. } => write!(f, "cannot write the model file {}", printable::path(path)),
            Self::Read(_) => write!(f, "it cannot be read"),
            Self::Weights(_) => write!(f, "not a sound safetensors file"),
            Self::NotAModel => {
                write!(f, "a safetensors file, but not a bgad model: its metadata has no \"{KEY}\"")
            }
            Self::Checkpoint => write!(
                f,
                "this is a checkpoint, the state of an interrupted training: `bgad train` with --resume goes on from it"
            ),
            Self::Version { found } => write!(
                f,
                "the model has format version {found}, this bgad reads versions 1 to {FORMAT_VERSION}: use a newer bgad, or train the model again"
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

/// What the system said about a file is no flaw of its content.
impl From<WeightsError> for ModelError {
    fn from(error: WeightsError) -> ModelError {
        match error {
            WeightsError::Read { source, .. } => ModelError::Read(source),
            error => ModelError::Weights(error),
        }
    }
}

impl error::Error for ModelError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::InFile { source, .. } => Some(source),
            Self::Write { source, .. } => Some(source),
            Self::Read(source) => Some(source),
            Self::Weights(source) => Some(source),
            Self::Header(source) => Some(source),
            Self::Backbone(source) => Some(source),
            _ => None,
        }
    }
}
