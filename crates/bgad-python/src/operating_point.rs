//! `bgad.calibrate` and `bgad.learn`: what changes a model that is there.

use std::path::PathBuf;

use bgad::calibrate::session::{self, Files, Session, check_provable};
use bgad::calibrate::{Calibration, Objective};
use bgad::dataset::Sample;
use bgad::detector::Detector;
use bgad::evaluation;
use bgad::learn::{FineTuning, Found, Lesson, Plan, split_of};
use bgad::model::Model;
use bgad::verdict::Thresholds;
use pyo3::prelude::*;
use serde::Serialize;
use serde_json::{Value, json};

use crate::error::{CalibrateError, IntoPyErr as _, LearningError, OrRaise as _, chain};
use crate::threads::pool;
use crate::watch::{Watch, watched};
use crate::{events, json};

/// What is promised with which images; lists that are `None` are those that the training kept.
#[derive(FromPyObject)]
pub(crate) struct Calibrating {
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
    request: Calibrating,
    progress: Option<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let objective: Objective = json::choices(&request.objective)?;
    let pool = pool(request.threads)?;
    let calibration = watched(py, progress, |watch| pool.install(|| request.run(objective, watch)))??;
    json::to_python(py, &calibration)
}

impl Calibrating {
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

/// What is to be learned.
#[derive(FromPyObject)]
pub(crate) struct Learning {
    model: PathBuf,
    output: PathBuf,
    data: Option<PathBuf>,
    defects: Vec<(PathBuf, PathBuf)>,
    good: Vec<PathBuf>,
    /// `None` for no pass over the images.
    schedule: Option<String>,
    learning_rate: f32,
    force: bool,
    threads: usize,
}

/// Teaches a model what the line has found.
#[pyfunction]
pub(crate) fn learn<'py>(
    py: Python<'py>,
    request: Learning,
    progress: Option<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let pool = pool(request.threads)?;
    let learned = watched(py, progress, |watch| pool.install(|| request.run(watch)))??;
    json::to_python(py, &learned)
}

impl Learning {
    fn run(&self, watch: &Watch<'_>) -> PyResult<Value> {
        let schedule = self.schedule.as_deref().map(str::parse).transpose();
        let schedule = schedule.map_err(|error: bgad::options::OptionError| error.into_py_err())?;
        let tuning = FineTuning { schedule, learning_rate: self.learning_rate };
        let known = Model::open(&self.model).or_raise()?;
        let found = Found { defects: self.defects.clone(), good: self.good.clone() };
        let lesson = Lesson::read(&found, &Detector::new(&known).or_raise()?).or_raise()?;
        let already = lesson.already.clone();
        if lesson.is_empty() {
            // A repeated call: what was interrupted before is completed.
            known.save(&self.output).or_raise()?;
            return Ok(
                json!({"model": self.output, "learned": [], "already": already, "before": null, "after": null}),
            );
        }
        let (split, data) = split_of(&self.model, &known.header, self.data.as_deref()).or_raise()?;
        let plan = Plan::new(&known, lesson, split, data).or_raise()?;
        let learned = plan
            .run(tuning, &|| watch.stopped(), &mut |event| watch.tell(events::of_learning(&event)))
            .or_raise()?;
        if !self.force {
            learned
                .check()
                .map_err(|error| LearningError::new_err(format!("not written: {}", chain(&error))))?;
        }
        learned.model.save(&self.output).or_raise()?;
        let [before, after] = learned.at_operating_point();
        let figures = |evaluation: &evaluation::Evaluation, [escapes, alarms]: [usize; 2], threshold: f32| {
            json!({
                "threshold": threshold,
                "escapes": escapes,
                "false_alarms": alarms,
                "figures": serde_json::to_value(evaluation).expect("figures by name"),
            })
        };
        Ok(json!({
            "model": self.output,
            "learned": learned.lesson.samples().map(|sample| &sample.path).collect::<Vec<_>>(),
            "already": already,
            "before": figures(&learned.before, before, learned.thresholds[0]),
            "after": figures(&learned.after, after, learned.thresholds[1]),
        }))
    }
}
