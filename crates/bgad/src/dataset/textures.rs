//! Pictures to take textures from.

use std::path::Path;

use rayon::prelude::*;

use super::DatasetError;
use super::folder::Survey;
use crate::image::{InputImage, InputSize};

/// More would only fill the memory.
const MOST: usize = 500;

/// The pictures in a folder, sorted by name, 500 at most, brought to `size`.
///
/// # Errors
///
/// If the folder cannot be listed or holds no picture, or a picture cannot be read; it is named.
pub fn textures(folder: &Path, size: InputSize) -> Result<Vec<InputImage>, DatasetError> {
    let mut survey = Survey::default();
    let entries = survey.list(folder)?;
    let mut images = survey.images(&entries);
    if images.is_empty() {
        return Err(DatasetError::NoTextures { folder: folder.to_owned() });
    }
    images.truncate(MOST);
    images.par_iter().map(|image| InputImage::load(&image.path, size).map_err(DatasetError::Image)).collect()
}
