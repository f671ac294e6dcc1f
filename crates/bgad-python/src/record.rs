//! The result record of an inspection, as the command line and the server write it.

use std::time::SystemTime;

use bgad::Inspection;
use bgad::record::{Capture, Recipe, Record};

/// The record of an image that came from `file`, or from memory, just now.
pub(crate) fn record(recipe: &Recipe, found: &Inspection, file: Option<String>) -> Record {
    let capture = Capture { file, created: Some(SystemTime::now()), ..Capture::default() };
    Record::new(recipe, found, &capture)
}
