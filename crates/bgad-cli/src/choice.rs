//! Which images of a data folder are used for what.

use std::path::Path;

use bgad::dataset::{Chosen, Split, UnsoundMask};

use crate::args::ChoiceArgs;
use crate::failure::{Failure, say};

/// The images, with a word about what is not used.
pub(crate) fn split(data: &Path, args: &ChoiceArgs) -> Result<Split, Failure> {
    let Chosen { split, notes } = args.choice().of(data)?;
    notes.iter().for_each(|note| say(format_args!("note: {note}")));
    Ok(split)
}

/// Names the images that are no known defects for want of a position.
pub(crate) fn name_unsound(unsound: &[UnsoundMask], left: usize) {
    if unsound.is_empty() {
        return;
    }
    unsound.iter().for_each(|mask| say(format_args!("skipped: {mask}")));
    say(format_args!(
        "note: of {} known defects {left} have a mask that says where the defect is; only these are learned from",
        left + unsound.len()
    ));
}
