//! Why training ends without a model.

use std::path::PathBuf;
use std::{error, fmt};

use crate::dataset::DatasetError;
use crate::model::ModelError;
use crate::options::OptionError;
use crate::score::ScoreConstantsError;

/// Why training ended without a model.
#[derive(Debug)]
#[non_exhaustive]
pub enum TrainError {
    /// It was asked to stop.
    Stopped,
    /// No normal image could be read.
    NoImages {
        /// How many the split lists.
        listed: usize,
    },
    /// Foreground masks or textures cannot be used.
    Material(DatasetError),
    /// The score shall look at the part only, and nothing says where it is in images to come.
    ScoringArea,
    /// A choice cannot be.
    Options(OptionError),
    /// The loss is no longer a number.
    Diverged {
        /// In which pass.
        pass: usize,
    },
    /// The flows give likelihoods that are not finite.
    Constants(ScoreConstantsError),
    /// The file for features that do not fit in memory cannot be written or read.
    Cache(std::io::Error),
    /// The trained model cannot be run.
    Model(ModelError),
    /// To resume takes a checkpoint file.
    NoCheckpoint,
    /// The checkpoint cannot be read or written.
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// Why.
        source: ModelError,
    },
    /// The checkpoint is of a run with other options.
    OtherOptions {
        /// Each of them: name, what it was, and what was asked for now.
        different: Vec<(String, String, String)>,
    },
    /// The checkpoint is of a run with other images or another backbone.
    OtherRun {
        /// What differs.
        what: &'static str,
    },
}

impl fmt::Display for TrainError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stopped => write!(f, "training was stopped"),
            Self::NoImages { listed } => write!(f, "none of the {listed} good images could be read"),
            Self::Material(error) => write!(f, "{error}"),
            Self::Options(error) => write!(f, "{error}"),
            Self::ScoringArea => write!(
                f,
                "to score the part only takes one foreground mask for all images, or the estimate without a region of interest"
            ),
            Self::Diverged { pass } => {
                write!(f, "the loss is not a number in pass {pass}: try a lower learning rate")
            }
            Self::Constants(_) => write!(f, "the trained flows give likelihoods that are not finite"),
            Self::Cache(_) => {
                write!(
                    f,
                    "the file for features past the cache limit: raise the limit or make room on the disk"
                )
            }
            Self::Model(error) => write!(f, "{error}"),
            Self::NoCheckpoint => write!(f, "there is no checkpoint to resume from"),
            Self::Checkpoint { path, .. } => write!(f, "checkpoint {}", path.display()),
            Self::OtherOptions { different } => {
                let words = different.iter().map(|(name, was, is)| format!("{name} was {was}, is {is}"));
                let words = words.collect::<Vec<_>>().join("; ");
                write!(
                    f,
                    "the checkpoint is of a run with other options ({words}): resume with the same, or start anew without it"
                )
            }
            Self::OtherRun { what } => {
                write!(
                    f,
                    "the checkpoint is of a run with other {what}: resume with the same, or start anew without it"
                )
            }
        }
    }
}

impl error::Error for TrainError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Material(error) => error.source(),
            Self::Model(error) => error.source(),
            Self::Constants(source) => Some(source),
            Self::Cache(source) => Some(source),
            Self::Checkpoint { source, .. } => Some(source),
            _ => None,
        }
    }
}
