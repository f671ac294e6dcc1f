//! Which images of a data folder are used for what.

use std::path::{Path, PathBuf};

use bgad::dataset::{Chosen, Split};

use crate::args::ChoiceArgs;
use crate::failure::{Failure, say};

/// The images, with a word about what is not used.
pub(crate) fn split(data: &Path, args: &ChoiceArgs) -> Result<Split, Failure> {
    let Chosen { split, notes } = args.choice().of(data)?;
    notes.iter().for_each(|note| say(format_args!("note: {note}")));
    Ok(split)
}

/// The split that a model was trained with, from the file beside it, and its data folder; `data` is where that folder is now.
pub(crate) fn beside(model: &Path, data: Option<&Path>) -> Result<(Split, PathBuf), Failure> {
    let file = model.with_extension("split.json");
    let data = match data {
        Some(data) => data.to_owned(),
        None => Split::data_folder(&file)?.ok_or_else(|| {
            format!("{} does not say where its images are: give the folder with --data", file.display())
        })?,
    };
    Ok((Split::read_weak(&file, &data)?, data))
}
