//! Which images of a data folder are used for what.

use std::path::Path;

use bgad::dataset::{Chosen, Split};

use crate::args::ChoiceArgs;
use crate::failure::{Failure, say};

/// The images, with a word about what is not used.
pub(crate) fn split(data: &Path, args: &ChoiceArgs) -> Result<Split, Failure> {
    let Chosen { split, notes } = args.choice().of(data)?;
    notes.iter().for_each(|note| say(format_args!("note: {note}")));
    Ok(split)
}
