//! `bgad.calibrate`: thresholds with a promise.

use std::path::PathBuf;

use bgad::calibrate::session::{self, Files, Session, check_provable};
use bgad::calibrate::{Calibration, Objective};
use bgad::dataset::Sample;
use bgad::detector::Detector;
use bgad::learn::split_of;
use bgad::model::Model;
use bgad::verdict::Thresholds;
use pyo3::prelude::*;
use serde::Serialize;

use crate::error::{CalibrateError, OrRaise as _, chain};
use crate::threads::pool;
use crate::watch::{Watch, watched};
use crate::{events, json};

/// What is promised with which images; lists that are `None` are those that the training kept.
#[derive(FromPyObject)]
pub(crate) struct Request {
    model: PathBuf,
    output: PathBuf,
    data: Option<PathBuf>,
    good: Option<Vec<PathBuf>>,
    bad: Option<Vec<PathBuf>>,
    /// An objective as JSON; by hand with `thresholds`.
    objective: String,
    thresholds: Option<(f32, f32)>,
    confidence: f64,
    threads: usize,
}

/// A calibration as the model file has it, and how many images it is without.
#[derive(Serialize)]
struct Promise {
    #[serde(flatten)]
    calibration: Calibration,
    skipped: usize,
}

/// Calibrates a model.
#[pyfunction]
pub(crate) fn calibrate<'py>(
    py: Python<'py>,
    request: Request,
    progress: Option<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let objective: Objective = json::choices(&request.objective)?;
    let pool = pool(request.threads)?;
    let calibration = watched(py, progress, |watch| pool.install(|| request.run(objective, watch)))??;
    json::to_python(py, &calibration)
}

impl Request {
    fn run(&self, objective: Objective, watch: &Watch<'_>) -> PyResult<Promise> {
        let mut model = Model::open(&self.model).or_raise()?;
        let (good, defective) = self.images(&model, objective)?;
        check_provable(objective, self.confidence, good.len(), defective.len()).or_raise()?;
        let detector = Detector::new(&model).or_raise()?;
        let files = Files { good: &good, defective: &defective };
        let mut on_event = |event: session::Event<'_>| watch.tell(events::of_calibration(&event));
        let session = Session::open(&detector, files, self.confidence, &mut on_event).or_raise()?;
        let calibration = match self.thresholds {
            Some((ok, ng)) => session.by_hand(Thresholds { ok, ng }).or_raise()?,
            None => session.calibrate(objective).or_raise()?,
        };
        model.header.thresholds = calibration.thresholds;
        model.header.calibration = Some(calibration.clone());
        model.save(&self.output).or_raise()?;
        Ok(Promise { calibration, skipped: session.skipped })
    }

    /// The images that were named; otherwise the good ones that training held out, and the defective ones that it kept for the test.
    fn images(&self, model: &Model, objective: Objective) -> PyResult<(Vec<PathBuf>, Vec<PathBuf>)> {
        let needs_good =
            self.good.is_none() && matches!(objective, Objective::MaxFalseAlarms(_) | Objective::Cost { .. });
        let needs_bad =
            self.bad.is_none() && matches!(objective, Objective::MinRecall(_) | Objective::Cost { .. });
        let (mut good, mut bad) =
            (self.good.clone().unwrap_or_default(), self.bad.clone().unwrap_or_default());
        if needs_good || needs_bad {
            let split = split_of(&self.model, &model.header, self.data.as_deref());
            let split = split.map_err(|error| CalibrateError::new_err(chain(&error)))?.0;
            let paths = |samples: Vec<Sample>| samples.into_iter().map(|sample| sample.path).collect();
            let none = |what: &str| CalibrateError::new_err(format!("{}: {what}", self.model.display()));
            if needs_good {
                good = paths(split.hold_out);
                if good.is_empty() {
                    return Err(none(
                        "no good image was held out: train with hold_out, or give other good images",
                    ));
                }
            }
            if needs_bad {
                bad = paths(split.test_bad);
                if bad.is_empty() {
                    return Err(none("no defective image was kept for the test: give some as bad"));
                }
            }
        }
        Ok((good, bad))
    }
}
