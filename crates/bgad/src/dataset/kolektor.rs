//! Images with their masks beside them: KolektorSDD and KolektorSDD2.
//!
//! ```text
//! KolektorSDD     kosNN/PartK.jpg with kosNN/PartK_label.bmp
//! KolektorSDD2    train/NNNNN.png with train/NNNNN_GT.png, and the same in test/
//! ```
//!
//! The mask says whether an image is good: if it is black. So masks are opened here, unlike anywhere else in a survey.

use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::folder::{self, Entry, Survey};
use super::layouts::is_black;
use super::{BAD, Dataset, DatasetError, Kind, Layout, Sample, error};
use crate::printable;

/// Ends of the names of masks.
const SUFFIXES: [&str; 2] = ["_label", "_GT"];

/// The data set, if some folder has images with masks beside them.
pub(super) fn open(
    survey: &mut Survey,
    root: &Path,
    entries: &[Entry],
) -> Result<Option<Dataset>, DatasetError> {
    let mut dataset = Dataset::bare(root, Layout::Plain);
    dataset.listed = true;
    let mut unpaired = Vec::new();
    for entry in entries.iter().filter(|entry| entry.is_folder) {
        let inside = Survey::default().list(&entry.path)?;
        let files: Vec<Entry> = inside.into_iter().filter(|entry| !entry.is_folder).collect();
        let images = Survey::default().images(&files);
        let masks: Vec<&Entry> = images.iter().filter(|image| of(image).is_some()).collect();
        if masks.is_empty() {
            continue;
        }
        let mut pairs = Vec::new();
        for image in images.iter().filter(|image| of(image).is_none()) {
            match masks.iter().find(|mask| of(mask) == Some(image.stem())) {
                Some(mask) => pairs.push((image.path.clone(), mask.path.clone())),
                None => unpaired.push(image.path.clone()),
            }
        }
        let black: Vec<bool> = pairs.par_iter().map(|(_, mask)| is_black(mask)).collect::<Result<_, _>>()?;
        let for_test = folder::is_named(entry, &["test"]);
        for ((path, mask), black) in pairs.into_iter().zip(black) {
            let defect = Kind::Defect(BAD[0].to_owned());
            let list = match (black, for_test) {
                (true, true) => &mut dataset.test_good,
                (true, false) => &mut dataset.train_good,
                (false, false) if folder::is_named(entry, &["train"]) => &mut dataset.train_bad,
                (false, _) => &mut dataset.test_bad,
            };
            if black {
                survey.known.push(mask.clone());
            }
            list.push(match black {
                true => Sample { path, mask: None, kind: Kind::Good },
                false => Sample { path, mask: Some(mask), kind: defect },
            });
        }
    }
    if dataset.train_good.is_empty() && dataset.train_bad.is_empty() && dataset.test_bad.is_empty() {
        return Ok(None);
    }
    unpaired
        .iter()
        .for_each(|path| survey.found(path, "not used: no mask beside it says whether it is good"));
    if !dataset.test_good.is_empty() {
        dataset.layout = Layout::Mvtec;
    }
    if dataset.train_good.is_empty() {
        return Err(match unpaired.is_empty() {
            true => error::no_train_images(survey, root)?,
            false => DatasetError::NoTrainImages {
                folder: root.to_owned(),
                found: vec![beside_nothing(&unpaired)],
            },
        });
    }
    Ok(Some(dataset))
}

/// What keeps images from being good ones.
fn beside_nothing(unpaired: &[PathBuf]) -> String {
    let name = unpaired[0].file_name().unwrap_or_default().to_string_lossy();
    let images = if unpaired.len() == 1 { "1 image" } else { &format!("{} images", unpaired.len()) };
    format!(
        "{images} without a mask beside them that says whether they are good ({}); give good ones a black mask, or put \
         them into a folder named good",
        printable::text(&name)
    )
}

/// The stem of the image that a mask belongs to; `None` for an image.
fn of(entry: &Entry) -> Option<&str> {
    SUFFIXES.iter().find_map(|suffix| entry.stem().strip_suffix(suffix))
}
