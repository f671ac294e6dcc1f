//! `bgad.learn`: what the line has found since goes into a model.

use std::path::PathBuf;

use bgad::detector::Detector;
use bgad::evaluation::Evaluation;
use bgad::learn::{FineTuning, Found, Lesson, Plan, split_of};
use bgad::model::Model;
use pyo3::prelude::*;
use serde_json::{Value, json};

use crate::error::{IntoPyErr as _, LearningError, OrRaise as _, chain};
use crate::threads::pool;
use crate::watch::{Watch, watched};
use crate::{events, json};

/// What is to be learned.
#[derive(FromPyObject)]
pub(crate) struct Request {
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
    request: Request,
    progress: Option<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let pool = pool(request.threads)?;
    let learned = watched(py, progress, |watch| pool.install(|| request.run(watch)))??;
    json::to_python(py, &learned)
}

impl Request {
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
        let figures = |evaluation: &Evaluation, [escapes, alarms]: [usize; 2], threshold: f32| {
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
