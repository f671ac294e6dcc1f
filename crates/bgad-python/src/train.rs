//! `bgad.train`: from a folder or a list of samples to a model file.

use std::path::{Path, PathBuf};

use bgad::dataset::{Choice, ForegroundSource, Kind, Sample, Split};
use bgad::options::{DEFAULT_CACHE_LIMIT, Recipe};
use bgad::train::{Event, Kept, Material, Output, Trainer, Unfinished};
use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::prelude::*;
use pyo3::types::PyString;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::{IntoPyErr as _, OrRaise as _, TrainError, chain};
use crate::events::{self, note};
use crate::json;
use crate::picture::Picture;
use crate::threads::pool;
use crate::watch::{Watch, try_watched};

/// What `bgad.Sample` holds: image, mask, type of defect or None for a good part.
type Listed<'py> = (Bound<'py, PyAny>, Option<Bound<'py, PyAny>>, Option<String>);

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

/// What is trained on: a folder, or samples, which are files by now.
enum Data {
    Folder(PathBuf),
    Samples(Split),
}

impl Data {
    /// Reads the argument of a call. Samples are drawn one by one, and what is in memory is kept as a file at once, so that they may be
    /// more than fit into memory.
    fn of(data: &Bound<'_, PyAny>, files: &Output) -> PyResult<Data> {
        if data.is_instance_of::<PyString>() || data.hasattr("__fspath__")? {
            return Ok(Data::Folder(data.extract()?));
        }
        let (mut train, mut anomalies) = (Vec::new(), Vec::new());
        for listed in data.try_iter()? {
            data.py().check_signals()?;
            let (image, mask, defect): Listed<'_> = listed?.extract()?;
            let path = kept(&image, files)?;
            let mask = mask.map(|mask| kept(&mask, files)).transpose()?;
            match defect {
                None => train.push(Sample { path, mask, kind: Kind::Good }),
                Some(name) => anomalies.push(Sample { path, mask, kind: Kind::Defect(name) }),
            }
        }
        let none = Vec::new;
        Ok(Data::Samples(Split { train, anomalies, hold_out: none(), test_good: none(), test_bad: none() }))
    }

    fn trainer(self, choice: &Choice, recipe: &Recipe) -> PyResult<Trainer> {
        let trainer = match self {
            Data::Folder(folder) => Trainer::open(&folder, choice, recipe),
            Data::Samples(mut split) => {
                if let Some(share) = choice.hold_out {
                    split.hold_out(share, choice.seed);
                }
                Trainer::of(split, Path::new("."), recipe, choice.seed)
            }
        };
        trainer.or_raise()
    }
}

/// The file of an image, which is written if it is in memory.
fn kept(image: &Bound<'_, PyAny>, files: &Output) -> PyResult<PathBuf> {
    let picture = Picture::of(image)?;
    image.py().detach(|| match picture {
        Picture::File(path) => Ok(path),
        Picture::Bytes(bytes) => files.keep_image(&bytes).or_raise(),
        Picture::Frame(frame) => files.keep_frame(&frame).or_raise(),
    })
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
    data: Bound<'py, PyAny>,
    output: PathBuf,
    choices: Choices,
    progress: Option<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let choice: Choice = json::choices(&choices.choice)?;
    let recipe: Recipe = json::choices(&choices.recipe)?;
    let masks: Masks = json::choices(&choices.masks)?;
    // What costs nothing to find out is found out before images are read.
    recipe.check().or_raise()?;
    let files = Output::beside(&output, choices.force).or_raise()?;
    let replaces = files.check_resume(choices.resume).or_raise()?;
    let data = Data::of(&data, &files)?;
    let job = Job { choice, recipe, material: masks.material(), files, replaces, choices: &choices };
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
    files: Output,
    /// Whether the checkpoint of an earlier run will be replaced.
    replaces: bool,
    choices: &'a Choices,
}

impl Job<'_> {
    fn run(&self, data: Data, watch: &Watch<'_>) -> PyResult<Value> {
        let files = &self.files;
        if self.replaces {
            let checkpoint = files.checkpoint.display();
            watch.tell(note(format!(
                "training anew; {checkpoint} of an earlier run will be replaced (resume=True goes on from it)"
            )));
        }
        let trainer = data.trainer(&self.choice, &self.recipe)?;
        let trainer = trainer
            .with_material(self.material.clone())
            .with_cache_limit(self.choices.cache_limit.unwrap_or(DEFAULT_CACHE_LIMIT));
        trainer.notes().iter().for_each(|text| watch.tell(note(text.clone())));
        trainer.unsound().iter().for_each(|mask| watch.tell(events::skipped(mask)));
        let mut skipped: Vec<String> = trainer.unsound().iter().map(|mask| chain(mask)).collect();
        let mut on_event = |event: Event<'_>| {
            if let Event::Skipped(error) = &event {
                skipped.push(chain(*error));
            }
            watch.tell(events::of_training(&event));
        };
        let trained = trainer.train_to(files, self.choices.resume, &|| watch.stopped(), &mut on_event);
        let model = trained.map_err(|Unfinished { error, kept }| match kept {
            None => (*error).into_py_err(),
            Some(kept) => TrainError::new_err(format!("{}; {}", chain(&*error), said(kept, files))),
        })?;
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
        Kept::OfAnother => format!("the checkpoint {} is kept", files.checkpoint.display()),
        Kept::Nothing => "there is no checkpoint of this run yet, nothing was written".to_owned(),
        Kept::Checkpoint => {
            format!(
                "the checkpoint {} is kept: the same call with resume=True goes on from there",
                files.checkpoint.display()
            )
        }
    }
}
