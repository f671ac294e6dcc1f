//! `bgad.train`: from a folder or a list of samples to a model file.

use std::path::{Path, PathBuf};

use bgad::dataset::{Choice, ChoiceError, Chosen, ForegroundSource, Kind, Sample, Split, SplitRecord};
use bgad::options::{DEFAULT_CACHE_LIMIT, Recipe};
use bgad::train::{Event, Kept, Material, Output, OutputError, Plan, Run};
use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::prelude::*;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::{IntoPyErr as _, OrRaise as _, TrainError, chain};
use crate::json;
use crate::threads::pool;
use crate::watch::{Watch, try_watched};

/// An image that `bgad.Sample` names: file, mask, type of defect or None for a good part.
type Listed = (PathBuf, Option<PathBuf>, Option<String>);

/// What anomalies are made with, in the words of the command line.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Masks {
    foreground: String,
    textures: Option<PathBuf>,
    roi: Option<PathBuf>,
    ignore: Option<PathBuf>,
}

impl Masks {
    fn material(self) -> Material {
        let foreground = match self.foreground.as_str() {
            "estimate" => ForegroundSource::Estimate,
            "everything" => ForegroundSource::Everything,
            path => ForegroundSource::Masks(path.into()),
        };
        Material { foreground, textures: self.textures, roi: self.roi, ignore: self.ignore }
    }
}

/// What is trained on.
#[derive(FromPyObject)]
pub(crate) enum Data {
    Folder(PathBuf),
    Samples(Vec<Listed>),
}

impl Data {
    fn chosen(self, choice: &Choice) -> Result<(Chosen, PathBuf), ChoiceError> {
        match self {
            Data::Folder(folder) => Ok((choice.of(&folder)?, folder)),
            Data::Samples(listed) => {
                Ok((Chosen { split: split(listed), notes: Vec::new() }, PathBuf::from(".")))
            }
        }
    }
}

/// All good samples to learn from, all others as known defects.
fn split(listed: Vec<Listed>) -> Split {
    let (mut train, mut anomalies) = (Vec::new(), Vec::new());
    for (path, mask, defect) in listed {
        match defect {
            None => train.push(Sample { path, mask, kind: Kind::Good }),
            Some(name) => anomalies.push(Sample { path, mask, kind: Kind::Defect(name) }),
        }
    }
    Split { train, anomalies, hold_out: Vec::new(), test_good: Vec::new(), test_bad: Vec::new() }
}

/// Choices as JSON texts: those of images, of the recipe, and of masks.
#[derive(FromPyObject)]
pub(crate) struct Choices {
    choice: String,
    recipe: String,
    masks: String,
    threads: usize,
    cache_limit: Option<u64>,
    resume: bool,
    force: bool,
}

/// Trains a model.
#[pyfunction]
#[pyo3(signature = (data, output, choices, progress))]
pub(crate) fn train<'py>(
    py: Python<'py>,
    data: Data,
    output: PathBuf,
    choices: Choices,
    progress: Option<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let choice: Choice = json::choices(&choices.choice)?;
    let recipe: Recipe = json::choices(&choices.recipe)?;
    let masks: Masks = json::choices(&choices.masks)?;
    let job = Job { choice, recipe, material: masks.material(), output: &output, choices: &choices };
    let pool = pool(choices.threads)?;
    let (trained, raised) = try_watched(py, progress, |watch| pool.install(|| job.run(data, watch)));
    match (trained, raised) {
        (Ok(summary), None) => json::to_python(py, &summary),
        (Err(error), None) => Err(error),
        // Finished or not: whoever stopped it wants it to be over.
        (trained, Some(raised)) => Err(interrupted(py, raised, trained.err())),
    }
}

/// The exception that stopped a training, with what is kept if it was Ctrl-C.
fn interrupted(py: Python<'_>, raised: PyErr, ended: Option<PyErr>) -> PyErr {
    match ended {
        Some(ended) if raised.is_instance_of::<PyKeyboardInterrupt>(py) => {
            PyKeyboardInterrupt::new_err(ended.value(py).to_string())
        }
        _ => raised,
    }
}

struct Job<'a> {
    choice: Choice,
    recipe: Recipe,
    material: Material,
    output: &'a Path,
    choices: &'a Choices,
}

impl Job<'_> {
    fn run(&self, data: Data, watch: &Watch<'_>) -> PyResult<Value> {
        self.recipe.check().or_raise()?;
        let files = Output::beside(self.output, self.choices.force).or_raise()?;
        if files.check_resume(self.choices.resume).or_raise()? {
            let checkpoint = files.checkpoint.display();
            watch.tell(note(format!(
                "training anew; {checkpoint} of an earlier run will be replaced (resume=True goes on from it)"
            )));
        }
        let (Chosen { split, notes }, root) = data.chosen(&self.choice).or_raise()?;
        notes.into_iter().for_each(|text| watch.tell(note(text)));
        let record = SplitRecord::of(&split, &root)?;
        record.check_contents().or_raise()?;
        let options = Plan::new(&self.recipe, self.choice.seed, &split).options;
        let options = options.check().or_raise()?;
        let backbone = self.recipe.backbone().or_raise()?;
        let run = Run {
            split: &split,
            backbone: &backbone,
            material: &self.material,
            checkpoint: Some(&files.checkpoint),
            resume: self.choices.resume,
            cache_limit: self.choices.cache_limit.unwrap_or(DEFAULT_CACHE_LIMIT),
            stop: &|| watch.stopped(),
        };
        let (mut checkpoint, mut skipped) = (self.choices.resume, Vec::new());
        let trained = bgad::train::train(&run, &options, &mut |event| {
            checkpoint |= matches!(event, Event::Checkpoint(_) | Event::Resumed { .. });
            if let Event::Skipped(error) = &event {
                skipped.push(chain(*error));
            }
            watch.tell(described(&event));
        });
        let mut model = trained.map_err(|error| match files.kept_after(&error, checkpoint) {
            None => error.into_py_err(),
            Some(kept) => TrainError::new_err(format!("{}; {}", chain(&error), said(kept, &files))),
        })?;
        match files.save(&mut model, record, &split, &root) {
            // The model is whole.
            Err(error @ OutputError::Leftover { .. }) => watch.tell(note(chain(&error))),
            saved => saved.or_raise()?,
        }
        Ok(json!({
            "model": files.model,
            "split": files.split,
            "good": model.header.training.normal_images,
            "defective": model.header.training.anomalous_images,
            "skipped": skipped,
            "thresholds": model.header.thresholds,
        }))
    }
}

fn said(kept: Kept, files: &Output) -> String {
    match kept {
        Kept::Nothing => "there is no checkpoint of this run yet, nothing was written".to_owned(),
        Kept::Checkpoint => {
            format!(
                "the checkpoint {} is kept: the same call with resume=True goes on from there",
                files.checkpoint.display()
            )
        }
    }
}

fn note(text: String) -> Value {
    json!({"event": "note", "text": text})
}

/// An event as `progress` gets it.
pub(crate) fn described(event: &Event<'_>) -> Value {
    match event {
        Event::Encoded { done, total } => json!({"event": "encoded", "done": done, "total": total}),
        Event::Skipped(error) => json!({"event": "skipped", "text": chain(*error)}),
        Event::Resumed { passes } => json!({"event": "resumed", "pass": passes}),
        Event::Checkpoint(path) => json!({"event": "checkpoint", "path": path}),
        Event::Pass(pass) => json!({
            "event": "pass",
            "pass": pass.pass,
            "passes": pass.passes,
            "phase": pass.phase,
            "loss": pass.levels.iter().map(|level| level.loss.total).collect::<Vec<_>>(),
            "images": pass.images,
            "images_left": pass.images_left,
            "seconds": pass.secs,
        }),
    }
}
