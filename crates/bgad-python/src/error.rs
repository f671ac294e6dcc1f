//! Exceptions, and which error of the library becomes which. Their text is what the command line would say.

use bgad::calibrate::CalibrationError;
use bgad::calibrate::session::SessionError;
use bgad::dataset::{ChoiceError, DatasetError, MaskFault, UnsoundMask};
use bgad::evaluation::EvaluationError;
use bgad::learn::LearnError;
use bgad::options::{self, RecipeError};
pub(crate) use bgad::printable::chain;
use bgad::train::OutputError;
use bgad::{FrameError, image, train};
use pyo3::create_exception;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;

create_exception!(bgad, BgadError, PyException, "Base class of everything that bgad raises by itself.");
create_exception!(
    bgad,
    ImageError,
    BgadError,
    "An image that cannot be used. `path` is its file, or None if it came from memory."
);
create_exception!(bgad, ModelError, BgadError, "A model file that cannot be read, run or written.");
create_exception!(
    bgad,
    ModelChangedError,
    ModelError,
    "The model file of a pickled detector is no longer the one that it was pickled with."
);
create_exception!(bgad, DataError, BgadError, "A folder, list or split of images that cannot be used.");
create_exception!(bgad, OptionError, BgadError, "A choice outside its limits.");
create_exception!(bgad, TrainError, BgadError, "A training that ended without a model.");
create_exception!(bgad, CalibrateError, BgadError, "What was asked of the thresholds cannot be promised.");
create_exception!(bgad, LearningError, BgadError, "A lesson that was not learned; the model is as it was.");

/// An error of the library as an exception.
pub(crate) trait IntoPyErr {
    fn into_py_err(self) -> PyErr;
}

/// `?` for the library's results.
pub(crate) trait OrRaise<T> {
    fn or_raise(self) -> PyResult<T>;
}

impl<T, E: IntoPyErr> OrRaise<T> for Result<T, E> {
    fn or_raise(self) -> PyResult<T> {
        self.map_err(IntoPyErr::into_py_err)
    }
}

impl IntoPyErr for bgad::Error {
    fn into_py_err(self) -> PyErr {
        use bgad::Error;
        match self {
            Error::Data(error) => error.into_py_err(),
            Error::Choice(error) => error.into_py_err(),
            Error::Options(error) => error.into_py_err(),
            Error::Recipe(error) => error.into_py_err(),
            Error::Train(error) => error.into_py_err(),
            Error::Output(error) => error.into_py_err(),
            Error::Model(error) => error.into_py_err(),
            Error::Frame(error) => error.into_py_err(),
            Error::Image(error) => error.into_py_err(),
            Error::Calibration(error) => error.into_py_err(),
            Error::Session(error) => error.into_py_err(),
            Error::Learn(error) => error.into_py_err(),
            Error::Evaluation(error) => error.into_py_err(),
            Error::Split(error) => DataError::new_err(chain(&error)),
            Error::Folder(error) => error.into(),
            error => BgadError::new_err(chain(&error)),
        }
    }
}

impl IntoPyErr for image::ImageError {
    fn into_py_err(self) -> PyErr {
        let raised = ImageError::new_err(chain(&self));
        Python::attach(|py| {
            let path = self.path.as_ref().map(|path| path.to_string_lossy());
            raised.value(py).setattr("path", path).map_or_else(|error| error, |()| raised)
        })
    }
}

impl IntoPyErr for FrameError {
    fn into_py_err(self) -> PyErr {
        ImageError::new_err(chain(&self))
    }
}

impl IntoPyErr for bgad::model::ModelError {
    fn into_py_err(self) -> PyErr {
        ModelError::new_err(chain(&self))
    }
}

impl IntoPyErr for DatasetError {
    fn into_py_err(self) -> PyErr {
        DataError::new_err(chain(&self))
    }
}

impl IntoPyErr for ChoiceError {
    fn into_py_err(self) -> PyErr {
        match self {
            ChoiceError::Model(error) => error.into_py_err(),
            error => DataError::new_err(chain(&error)),
        }
    }
}

impl IntoPyErr for EvaluationError {
    fn into_py_err(self) -> PyErr {
        DataError::new_err(chain(&self))
    }
}

impl IntoPyErr for CalibrationError {
    fn into_py_err(self) -> PyErr {
        CalibrateError::new_err(chain(&self))
    }
}

impl IntoPyErr for SessionError {
    fn into_py_err(self) -> PyErr {
        CalibrateError::new_err(chain(&self))
    }
}

impl IntoPyErr for LearnError {
    fn into_py_err(self) -> PyErr {
        match self {
            LearnError::Image(error) => error.into_py_err(),
            LearnError::Mask(unsound) => match *unsound {
                UnsoundMask { fault: MaskFault::Unreadable(error), .. } => error.into_py_err(),
                unsound => LearningError::new_err(chain(&unsound)),
            },
            error => LearningError::new_err(chain(&error)),
        }
    }
}

impl IntoPyErr for options::OptionError {
    fn into_py_err(self) -> PyErr {
        OptionError::new_err(chain(&self))
    }
}

impl IntoPyErr for RecipeError {
    fn into_py_err(self) -> PyErr {
        OptionError::new_err(chain(&self))
    }
}

impl IntoPyErr for OutputError {
    fn into_py_err(self) -> PyErr {
        TrainError::new_err(chain(&self))
    }
}

impl IntoPyErr for train::TrainError {
    fn into_py_err(self) -> PyErr {
        match self {
            train::TrainError::Options(error) => error.into_py_err(),
            train::TrainError::Material(error) => error.into_py_err(),
            error => TrainError::new_err(chain(&error)),
        }
    }
}
