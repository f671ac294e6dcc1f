//! Whatever can go wrong on the way from a folder to a verdict, as one type: for callers who pass it on.

use crate::calibrate::CalibrationError;
use crate::calibrate::session::SessionError;
use crate::dataset::{ChoiceError, DatasetError, SplitRecordError};
use crate::evaluation::EvaluationError;
use crate::frame::FrameError;
use crate::image::ImageError;
use crate::learn::LearnError;
use crate::learn::feedback::FeedbackError;
use crate::model::ModelError;
use crate::options::{OptionError, RecipeError};
use crate::threads::ThreadsError;
use crate::train::{OutputError, TrainError};

/// What can go wrong in one of the four steps. Its text and its causes are those of the error in it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A folder of images, or images that may not stand together.
    #[error(transparent)]
    Data(#[from] DatasetError),
    /// A split that cannot be drawn or read.
    #[error(transparent)]
    Choice(#[from] ChoiceError),
    /// Images of a model's split that are not there.
    #[error(transparent)]
    Split(#[from] SplitRecordError),
    /// A choice outside its limits.
    #[error(transparent)]
    Options(#[from] OptionError),
    /// A feature network that cannot be had.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// A training that ended without a model.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// Files that a training cannot write.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// A model file that cannot be read, run or written.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// Pixels in memory that are no image.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A file that cannot be judged.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// A promise that the images cannot prove.
    #[error(transparent)]
    Calibration(#[from] CalibrationError),
    /// Images to calibrate with that are not there.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// A lesson that was not learned.
    #[error(transparent)]
    Learn(#[from] LearnError),
    /// Answers of operators that cannot be read.
    #[error(transparent)]
    Feedback(#[from] FeedbackError),
    /// Images to test on that give no figures.
    #[error(transparent)]
    Evaluation(#[from] EvaluationError),
    /// Threads that cannot be started.
    #[error(transparent)]
    Threads(#[from] ThreadsError),
    /// The working directory, at which relative paths start, cannot be found.
    #[error("the working directory cannot be found")]
    Folder(#[from] std::io::Error),
}
