//! `bgad._bgad`: the library as Python sees it. Values are translated here, nothing is decided; the classes that users meet are in
//! `python/bgad`.
#![deny(unsafe_code)]
#![deny(missing_docs)]

mod archive;
mod calibrate;
mod data;
mod detector;
mod error;
mod evaluate;
mod events;
mod json;
mod learn;
mod overlay;
mod picture;
mod record;
mod threads;
mod train;
mod watch;

use pyo3::prelude::*;

/// The native part of the package bgad; use the names of `bgad` itself.
#[pymodule(gil_used = false)]
mod _bgad {
    #[pymodule_export]
    use super::calibrate::calibrate;
    #[pymodule_export]
    use super::data::{doctor, info};
    #[pymodule_export]
    use super::detector::Detector;
    #[pymodule_export]
    use super::error::{
        BgadError, CalibrateError, DataError, ImageError, LearningError, ModelChangedError, ModelError,
        OptionError, TrainError,
    };
    #[pymodule_export]
    use super::evaluate::evaluate;
    #[pymodule_export]
    use super::learn::learn;
    #[pymodule_export]
    use super::train::train;

    use pyo3::prelude::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        // What an error of an image in memory says.
        module.py().get_type::<ImageError>().setattr("path", module.py().None())?;
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
