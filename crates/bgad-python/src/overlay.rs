//! The picture of an inspection: the image again, and what was found drawn over it.

use bgad::overlay::{self, Look, Style};
use bgad::record::Recipe;
use bgad::{Detector, Frame};
use pyo3::prelude::*;

use crate::error::{ImageError, IntoPyErr as _, OptionError};

/// The longer side of what a notebook shows, pixels.
const NOTEBOOK: usize = 800;
/// Quality of the JPEG that a notebook shows.
const QUALITY: u8 = 85;

/// A style in the words of the command line.
pub(crate) fn style(name: &str) -> PyResult<Style> {
    match name {
        "overlay" => Ok(Style::Overlay),
        "side-by-side" => Ok(Style::SideBySide),
        "heat" => Ok(Style::Heat),
        other => Err(OptionError::new_err(format!(
            "expected the style \"overlay\", \"side-by-side\" or \"heat\", found \"{other}\""
        ))),
    }
}

/// Draws what was found in `frame`. The image is judged once more, since results do not carry it: one that has changed has another
/// score than `score` and is refused.
pub(crate) fn draw(
    detector: &Detector,
    recipe: &Recipe,
    frame: &Frame,
    score: f32,
    look: &Look,
) -> PyResult<overlay::Picture> {
    let found = detector.inspect(frame).map_err(|error| error.into_py_err())?;
    if found.score.to_bits() != score.to_bits() {
        return Err(ImageError::new_err(format!(
            "expected the image that was inspected, with the score {score}, found one with the score {}: inspect it again",
            found.score
        )));
    }
    overlay::draw(frame, &found, recipe, look).map_err(|error| error.into_py_err())
}

/// What a notebook shows, the bytes of a JPEG file.
pub(crate) fn thumbnail(
    detector: &Detector,
    recipe: &Recipe,
    frame: &Frame,
    score: f32,
) -> PyResult<Vec<u8>> {
    let look = Look { longest_side: NOTEBOOK, ..Look::default() };
    let picture = draw(detector, recipe, frame, score, &look)?;
    Ok(picture.to_jpeg(QUALITY).expect("sides of one pixel at least, and not thousands"))
}
