//! What is asked about models and folders: `bgad.info`, `bgad.doctor`.

use std::path::PathBuf;

use bgad::backbone::Backbone;
use bgad::dataset::doctor::{DoctorOptions, examine};
use bgad::image::InputSize;
use bgad::model::Model;
use bgad::options::DEFAULT_BACKBONE;
use pyo3::prelude::*;

use crate::error::{OptionError, OrRaise as _, chain};
use crate::json;
use crate::threads::{Threads, pool};
use crate::watch::watched;

/// What a model file says about itself.
#[pyfunction]
pub(crate) fn info(py: Python<'_>, path: PathBuf) -> PyResult<Bound<'_, PyAny>> {
    let model = py.detach(|| Threads::All.run(|| Model::open(&path)))?.or_raise()?;
    json::to_python(py, &model.header)
}

/// Examines a data folder.
#[pyfunction]
pub(crate) fn doctor<'py>(
    py: Python<'py>,
    data: PathBuf,
    quick: bool,
    input: &str,
    threads: usize,
    progress: Option<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let input: InputSize = input.parse().map_err(|error| OptionError::new_err(chain(&error)))?;
    let pool = pool(threads)?;
    let checkup = watched(py, progress, |watch| {
        pool.install(|| {
            let backbone = match quick {
                true => None,
                false => Some(Backbone::embedded(DEFAULT_BACKBONE).expect("it is part of the library")),
            };
            let options = DoctorOptions { input, backbone: backbone.as_ref() };
            examine(&data, &options, &mut |so_far| {
                watch.tell(serde_json::json!({"event": "read", "done": so_far.done, "total": so_far.total}));
            })
        })
    })?;
    json::to_python(py, &checkup.or_raise()?)
}
