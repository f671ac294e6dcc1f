//! Where the part is in each picture of a set: estimated, or from masks that the user gives.
//!
//! ```text
//! one file      the mask of every picture
//! a folder      FOLDER/A/B/STEM, FOLDER/B/STEM or FOLDER/STEM for the picture .../A/B/STEM, with or without _mask
//! ```
//!
//! A mask may be of another size than its picture: only its shape counts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::folder::{self, Survey};
use super::{DatasetError, masks};
use crate::foreground::{Foreground, SetKind};
use crate::image::{InputImage, InputSize, Mask};
use crate::names;

/// Where foregrounds come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ForegroundSource {
    /// Found in the pictures by brightness.
    #[default]
    Estimate,
    /// The part fills every picture.
    Everything,
    /// A mask for all pictures, or a folder with one for each; not zero where the part is.
    Masks(PathBuf),
}

/// The foregrounds of a set of pictures.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Foregrounds {
    /// One for each picture, in the order asked.
    pub each: Vec<Foreground>,
    /// The one that is the same for all of them, also for pictures to come; `None` if each has its own.
    pub common: Option<Foreground>,
    /// What an estimate took the set to be; `None` if nothing was estimated.
    pub kind: Option<SetKind>,
}

impl ForegroundSource {
    /// The foregrounds of `images`, at `size`. A picture that cannot be read counts as everything: whoever uses it
    /// reports it.
    ///
    /// # Errors
    ///
    /// If a mask cannot be read, is black, or is missing for a picture; the file is named.
    pub fn find(&self, images: &[PathBuf], size: InputSize) -> Result<Foregrounds, DatasetError> {
        let everything = Foreground::everything(size.height, size.width);
        let common = |foreground: Foreground| Foregrounds {
            each: vec![foreground.clone(); images.len()],
            common: Some(foreground),
            kind: None,
        };
        match self {
            ForegroundSource::Everything => Ok(common(everything)),
            ForegroundSource::Masks(path) if !path.is_dir() => Ok(common(read(path, size)?)),
            ForegroundSource::Masks(path) => {
                let masks = index(path)?;
                let of = |image: &PathBuf| {
                    let found = names(image).into_iter().find_map(|name| masks.get(&name));
                    let missing =
                        || DatasetError::NoForeground { folder: path.clone(), image: image.clone() };
                    read(found.ok_or_else(missing)?, size)
                };
                let each = images.par_iter().map(of).collect::<Result<_, _>>()?;
                Ok(Foregrounds { each, common: None, kind: None })
            }
            ForegroundSource::Estimate => {
                let estimate = |path: &PathBuf| match InputImage::load(path, size) {
                    Ok(image) => Foreground::estimate(&image),
                    Err(_) => everything.clone(),
                };
                let (each, kind) = Foreground::settle(images.par_iter().map(estimate).collect());
                let common = match kind {
                    SetKind::LooseParts => None,
                    SetKind::Textures => Some(everything),
                    SetKind::FixedCamera => each.first().cloned(),
                };
                Ok(Foregrounds { each, common, kind: Some(kind) })
            }
        }
    }
}

/// The pixels of a mask that are not zero.
pub(crate) fn read(path: &Path, size: InputSize) -> Result<Foreground, DatasetError> {
    let mask = Mask::load(path, size, None).map_err(DatasetError::Image)?;
    if mask.is_clean() {
        return Err(DatasetError::BlackForeground { mask: path.to_owned() });
    }
    Ok(Foreground::from_mask(mask))
}

/// Every mask below the folder, by its path without extension and `_mask`, up to two folders deep.
fn index(root: &Path) -> Result<BTreeMap<String, PathBuf>, DatasetError> {
    let mut survey = Survey::default();
    let mut masks = BTreeMap::new();
    let mut folders = vec![(String::new(), root.to_owned(), 0)];
    while let Some((prefix, folder, depth)) = folders.pop() {
        let entries = survey.list(&folder)?;
        let (inside, files): (Vec<_>, Vec<_>) = entries.into_iter().partition(|entry| entry.is_folder);
        for file in survey.images(&files) {
            let stem = file.stem();
            let stem = masks::of(stem).unwrap_or(stem);
            masks.insert(format!("{prefix}{stem}"), file.path.clone());
        }
        if depth < 2 {
            folders.extend(inside.into_iter().map(|e| (format!("{prefix}{}/", e.name), e.path, depth + 1)));
        }
    }
    Ok(masks)
}

/// The names under which a picture's mask may stand, the most exact first.
fn names(image: &Path) -> Vec<String> {
    let parts: Vec<String> = image
        .iter()
        .rev()
        .take(3)
        .map(|part| names::composed(&part.to_string_lossy()).into_owned())
        .collect();
    let stem = parts.first().map(|name| folder::stem(name)).unwrap_or_default();
    (0..parts.len())
        .rev()
        .map(|above| {
            let folders: Vec<&str> = parts[1..=above].iter().rev().map(String::as_str).collect();
            [folders, vec![stem]].concat().join("/")
        })
        .collect()
}
