//! The model file of a command, and what stands beside it.

use std::path::{Path, PathBuf};

use bgad::dataset::Split;
use bgad::durable;
use bgad::learn::LearnError;
use bgad::model::Model;
use bgad::train::is_replaceable;

use crate::failure::{Failure, chain, context};

/// Refuses an output that could not be written, or that would replace something else than a model, before the work.
///
/// `is_input` says that the model was read from there.
pub(crate) fn check(output: &Path, is_input: bool) -> Result<(), Failure> {
    let refuse = |why: &str| Failure::from(format!("cannot write the model to {}: {why}", output.display()));
    if output.file_name().is_none() {
        return Err(refuse("expected a file name"));
    }
    durable::check(output).map_err(|error| refuse(&error.to_string()))?;
    match is_input || !output.exists() || is_replaceable(output) {
        true => Ok(()),
        false => Err(refuse("the file there is not a bgad model; remove it, or name another")),
    }
}

/// Writes the model; the one that was there stays as its previous generation.
pub(crate) fn save(model: &Model, path: &Path) -> Result<(), Failure> {
    model.save(path).map_err(|error| context(format!("cannot write {}", path.display()), error))
}

/// The model of one file in another, byte for byte; nothing happens if they are the same.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<(), Failure> {
    let (_, bytes) = Model::open_with_bytes(from)?;
    durable::replace_keeping_previous(to, &bytes)
        .map_err(|error| context(format!("cannot write {}", to.display()), error))
}

/// Writes the split that a model carries as a file beside it, for people and other tools: nothing needs it.
pub(crate) fn write_split(split: &Split, data: &Path, model: &Path) -> Result<(), Failure> {
    split.write(&split_file(model), data).map_err(|error| {
        let model = model.display();
        format!("{}; nothing needs that file: {model} is whole and carries the split", chain(&error)).into()
    })
}

/// As [`write_split`], from the model alone; not where its images are no longer.
pub(crate) fn write_split_of(model: &Model, path: &Path) -> Result<(), Failure> {
    let Some(record) = &model.header.training.split else { return Ok(()) };
    match record.split(None) {
        Ok(split) => write_split(&split, Path::new(&record.data), path),
        Err(_) => Ok(()),
    }
}

/// The split file beside a model.
pub(crate) fn split_file(model: &Path) -> PathBuf {
    model.with_extension("split.json")
}

/// The error with the option that names a moved data folder, where that helps.
pub(crate) fn with_data_flag(error: LearnError) -> Failure {
    match error {
        LearnError::Split(_) | LearnError::NoSplit { .. } | LearnError::NoDataFolder { .. } => {
            let fix = match error {
                LearnError::NoSplit { .. } => "train it again with this version",
                _ => "give the folder with --data",
            };
            format!("{}: {fix}", chain(&error)).into()
        }
        error => error.into(),
    }
}
