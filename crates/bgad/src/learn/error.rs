//! Why nothing was learned.

use std::io;
use std::path::PathBuf;

use crate::calibrate::CalibrationError;
use crate::calibrate::session::SessionError;
use crate::dataset::{DatasetError, Role, SplitRecordError, UnsoundMask};
use crate::evaluation::EvaluationError;
use crate::image::ImageError;
use crate::model::ModelError;
use crate::train::TrainError;

/// Why nothing was learned; the model is as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LearnError {
    /// No image was given.
    #[error("nothing to learn: give a defect with its mask, or a good image")]
    Nothing,
    /// Learning without a pass over the images needs a linear head.
    #[error(
        "expected a model whose score has a linear head to learn from defects without training, found one without: learn with \
         training, or train it anew with this version"
    )]
    NoHead,
    /// An image cannot be read.
    #[error("{}: cannot be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// An image or a mask is not sound, or of the wrong size.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// A mask says nothing about where the defect is.
    #[error(transparent)]
    Mask(Box<UnsoundMask>),
    /// One picture was given twice.
    #[error("{}: the same picture twice: give every image once", path.display())]
    Twice {
        /// The second file.
        path: PathBuf,
    },
    /// The model has learned from the image, but as something else.
    #[error("{}: the model has learned from this image already, as {}", path.display(), role.map_or("something else", Role::in_words))]
    OtherRole {
        /// The image.
        path: PathBuf,
        /// As what; `None` if the model does not say.
        role: Option<Role>,
    },
    /// The model has learned from the image, but with another mask.
    #[error("{}: the model has learned from this image already, with another mask: train anew with the right one", path.display())]
    OtherMask {
        /// The image.
        path: PathBuf,
    },
    /// The model carries no split and there is no split file.
    #[error("{}: the model does not say which images it was trained on, and there is no split file {}", model.display(), file.display())]
    NoSplit {
        /// The model's file.
        model: PathBuf,
        /// Where the split file was looked for.
        file: PathBuf,
    },
    /// A split file without its data folder.
    #[error("{}: does not say where its images are", file.display())]
    NoDataFolder {
        /// The split file.
        file: PathBuf,
    },
    /// Images of the split are not there.
    #[error(transparent)]
    Split(#[from] SplitRecordError),
    /// The split file cannot be used.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// The images of the split cannot be listed.
    #[error("the working directory cannot be found")]
    Record(#[source] io::Error),
    /// An image is not the one that was trained on.
    #[error("{image}: has changed since the model was trained on it: bring the old one back, or train anew")]
    Changed {
        /// The image, as the split has it.
        image: String,
    },
    /// The images held out cannot prove the promise of the thresholds any more.
    #[error("without what is to be learned, too few images stay held out for the promise of the thresholds")]
    PromiseTooStrong(#[source] CalibrationError),
    /// Files of the training could not be used.
    #[error("{count} files could not be used, see above")]
    Skipped {
        /// How many.
        count: usize,
    },
    /// More defects escape than before.
    #[error("{after} defects escape instead of {before}")]
    Worse {
        /// Before.
        before: usize,
        /// After.
        after: usize,
    },
    /// The model cannot be run.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// Training failed.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// The model cannot be evaluated.
    #[error(transparent)]
    Evaluation(#[from] EvaluationError),
    /// The thresholds cannot be calibrated again.
    #[error("the promise of the thresholds could not be made again")]
    Calibration(#[from] SessionError),
}
