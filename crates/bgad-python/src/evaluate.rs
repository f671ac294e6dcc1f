//! `bgad.evaluate`: the figures of a model on images with known answers.

use std::path::PathBuf;

use bgad::dataset::read_split;
use bgad::detector::Detector;
use bgad::evaluation::{self, Event, Scoring, TestSet};
use bgad::model::Model;
use pyo3::prelude::*;
use serde_json::{Value, json};

use crate::error::{DataError, OptionError, OrRaise as _, chain};
use crate::threads::pool;
use crate::watch::{Watch, watched};
use crate::{events, json};

/// What is evaluated, and how.
#[derive(FromPyObject)]
pub(crate) struct Request {
    model: PathBuf,
    data: PathBuf,
    split: Option<PathBuf>,
    scoring: String,
    threads: usize,
}

/// Evaluates a model.
#[pyfunction]
pub(crate) fn evaluate<'py>(
    py: Python<'py>,
    request: Request,
    progress: Option<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let pool = pool(request.threads)?;
    let evaluation = watched(py, progress, |watch| pool.install(|| request.run(watch)))??;
    json::to_python(py, &evaluation)
}

impl Request {
    fn run(&self, watch: &Watch<'_>) -> PyResult<Value> {
        let scoring = match self.scoring.as_str() {
            "frozen" => Scoring::Frozen,
            "authors" => Scoring::Authors,
            other => {
                let message = format!("expected the scoring \"frozen\" or \"authors\", found \"{other}\"");
                return Err(OptionError::new_err(message));
            }
        };
        let detector = Detector::new(&Model::open(&self.model).or_raise()?).or_raise()?;
        let models = [detector.header()];
        let test = match &self.split {
            None => TestSet::of_folder(&self.data, &models).or_raise()?,
            // Tested on alone, anomalies to train on need no mask.
            Some(file) => TestSet::of_split(read_split(file, &self.data, true).or_raise()?, &models),
        };
        if test.is_empty() {
            return Err(DataError::new_err(format!("{}: there is no image to test on", self.data.display())));
        }
        let mut skipped = Vec::new();
        let evaluation = evaluation::evaluate(&detector, &test.good, &test.bad, scoring, &mut |event| {
            if let Event::Skipped(error) = &event {
                skipped.push(chain(*error));
            }
            watch.tell(events::of_evaluation(&event));
        })
        .or_raise()?;
        let images: Vec<Value> = evaluation
            .images
            .iter()
            .map(|image| {
                json!({
                    "file": image.sample.path,
                    "defect": image.sample.kind.defect(),
                    "score": image.score,
                    "verdict": image.verdict,
                })
            })
            .collect();
        let mut figures = serde_json::to_value(&evaluation).expect("figures by name");
        figures["known"] = test.known.into();
        figures["skipped"] = skipped.into();
        figures["images"] = images.into();
        Ok(figures)
    }
}
