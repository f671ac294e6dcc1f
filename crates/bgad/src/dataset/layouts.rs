//! Data folders that labelling tools write: pictures with black masks for good ones, and files of labels that name every image.
//!
//! ```text
//! pictures and masks   images/STEM.* (or JPEGImages/)   masks/STEM.* (or SegmentationClass/)     good if black
//! labels               a COCO or Label Studio file and the images that it names, anywhere below  good if nothing is marked
//! ```
//!
//! Images below `train` are for training, those below `test`, `val` or `valid` for testing; without such folders a split divides them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;

use super::folder::{self, Entry, Survey};
use super::{BAD, Dataset, DatasetError, Kind, Layout, Sample, error, masks};
use crate::image::{ImageError, Labels, labels, raw_mask};
use crate::printable;

/// Folders of pictures that lie beside a folder of masks.
const PICTURES: &[&str] = &["images", "image", "JPEGImages", "imgs"];
/// Folders of images that are only for testing.
const TESTED: &[&str] = &["test", "val", "valid", "validation"];

/// A folder of pictures beside a folder of masks, in which good pictures have a black mask.
pub(super) fn pictures_and_masks(
    survey: &mut Survey,
    root: &Path,
    entries: &[Entry],
) -> Result<Option<Dataset>, DatasetError> {
    let (Some(pictures), Some(masks)) =
        (folder::named(entries, PICTURES), folder::named(entries, masks::FOLDERS))
    else {
        return Ok(None);
    };
    let files = survey.list_all(&pictures.path)?;
    let images = survey.images(&files);
    let mask_files = survey.list_all(&masks.path)?;
    let mask_files = survey.images(&mask_files);
    let mask_of = |image: &Entry| {
        let fits =
            |mask: &&Entry| mask.stem() == image.stem() || masks::of(mask.stem()) == Some(image.stem());
        mask_files.iter().find(fits).map(|mask| mask.path.clone())
    };
    let pairs: Vec<(PathBuf, PathBuf)> =
        images.iter().filter_map(|image| Some((image.path.clone(), mask_of(image)?))).collect();
    if pairs.is_empty() {
        return Ok(None);
    }
    survey.known.extend([&masks.path, root].map(|folder| folder.join(masks::LABEL_MAP)));
    for image in images.iter().filter(|image| mask_of(image).is_none()) {
        survey.found(&image.path, "not used: no mask says whether it is good");
    }
    let clean: Vec<bool> = pairs.par_iter().map(|(_, mask)| is_black(mask)).collect::<Result<_, _>>()?;
    let mut dataset = Dataset::bare(root, Layout::Plain);
    dataset.listed = true;
    for ((path, mask), clean) in pairs.into_iter().zip(clean) {
        if clean {
            // Its mask has done its work.
            survey.known.push(mask);
            dataset.train_good.push(Sample { path, mask: None, kind: Kind::Good });
        } else {
            let kind = Kind::Defect(BAD[0].to_owned());
            dataset.test_bad.push(Sample { path, mask: Some(mask), kind });
        }
    }
    finished(dataset, survey, root).map(Some)
}

/// Whether a mask has no defective pixel at its own size.
pub(super) fn is_black(mask: &Path) -> Result<bool, DatasetError> {
    Ok(raw_mask(mask, None).map_err(DatasetError::Image)?.mask.is_clean())
}

/// A file of labels at the root or in a folder of it that names its images, those without a mark as good ones.
pub(super) fn labelled(
    survey: &mut Survey,
    root: &Path,
    entries: &[Entry],
) -> Result<Option<Dataset>, DatasetError> {
    let mut files: Vec<Entry> = entries.iter().filter(|entry| entry.is_json()).cloned().collect();
    for folder in entries.iter().filter(|entry| entry.is_folder) {
        files.extend(Survey::default().list(&folder.path)?.into_iter().filter(Entry::is_json));
    }
    let mut found: Vec<(PathBuf, Arc<Labels>)> = Vec::new();
    let mut broken: Vec<ImageError> = Vec::new();
    for file in files {
        match labels(&file.path) {
            Ok(labels) if matches!(*labels, Labels::Many(_)) => found.push((file.path, labels)),
            Ok(_) => {}
            Err(error) => broken.push(error),
        }
    }
    if found.is_empty() {
        // The only file that could say what is good is worth an error of its own.
        let only =
            broken.len() == 1 && !entries.iter().any(|entry| entry.is_folder && folder::is_named(entry, BAD));
        return if only { Err(DatasetError::Image(broken.remove(0))) } else { Ok(None) };
    }
    // Other layouts may search the same folders after this one.
    let all = Survey::default().list_all(root)?;
    let images: Vec<Entry> = all.into_iter().filter(|entry| !entry.is_json()).collect();
    let images: Vec<Entry> = Survey::default().images(&images);
    let mut dataset = Dataset::bare(root, Layout::Plain);
    dataset.listed = true;
    let mut seen: BTreeSet<(PathBuf, usize)> = BTreeSet::new();
    for image in &images {
        let Some((entry, file, category)) = entry_of(&image.path, &found)? else { continue };
        seen.insert((file.clone(), entry));
        let (path, below) = (image.path.clone(), folder::portable(&image.path, root).to_lowercase());
        let is_in = |names: &[&str]| {
            names.iter().any(|name| below.split('/').rev().skip(1).any(|part| part == *name))
        };
        let (for_test, for_training) = (is_in(TESTED), is_in(&["train"]));
        let list = match (&category, for_test) {
            (None, true) => &mut dataset.test_good,
            (None, false) => &mut dataset.train_good,
            (Some(_), false) if for_training => &mut dataset.train_bad,
            (Some(_), _) => &mut dataset.test_bad,
        };
        list.push(match category {
            None => Sample { path, mask: None, kind: Kind::Good },
            Some(category) => Sample { path, mask: Some(file), kind: Kind::Defect(category) },
        });
    }
    if dataset.train_good.is_empty() && dataset.train_bad.is_empty() && dataset.test_bad.is_empty() {
        return Ok(None);
    }
    for (file, labels) in &found {
        let Labels::Many(many) = &**labels else { continue };
        let missing = |entry: &usize| !seen.contains(&(file.clone(), *entry));
        let missing: Vec<usize> = (0..many.images.len()).filter(missing).collect();
        if let Some(first) = missing.first() {
            let name = printable::text(&many.images[*first].names[0]);
            let problem =
                format!("{} of the images that it names are not here, the first {name}", missing.len());
            survey.found(file, problem);
        }
    }
    // The files of labels are used, also those of good images only.
    survey.known.extend(found.into_iter().map(|(path, _)| path));
    finished(dataset, survey, root).map(Some)
}

/// An entry of a file of labels, and the category of its first mark.
type Entered = (usize, PathBuf, Option<String>);

/// The file that names an image, and the category of its first mark; `None` of the latter if nothing is marked in it.
fn entry_of(image: &Path, found: &[(PathBuf, Arc<Labels>)]) -> Result<Option<Entered>, DatasetError> {
    let mut best: Option<(usize, bool, Entered)> = None;
    for (file, labels) in found {
        let Labels::Many(many) = &**labels else { continue };
        let ambiguous = |problem| DatasetError::Image(ImageError { path: Some(file.clone()), problem });
        let Some((entry, common)) = many.find(image).map_err(ambiguous)? else { continue };
        // A file beside the image knows better than one elsewhere.
        let beside = file.parent() == image.parent();
        if best.as_ref().is_none_or(|(length, near, ..)| (beside, common) > (*near, *length)) {
            let labelled = &many.images[entry];
            let category =
                labelled.marked.then(|| labelled.category.clone().unwrap_or_else(|| BAD[0].to_owned()));
            best = Some((common, beside, (entry, file.clone(), category)));
        }
    }
    Ok(best.map(|(_, _, entered)| entered))
}

fn finished(mut dataset: Dataset, survey: &mut Survey, root: &Path) -> Result<Dataset, DatasetError> {
    if !dataset.test_good.is_empty() {
        dataset.layout = Layout::Mvtec;
    }
    if dataset.train_good.is_empty() {
        return Err(error::no_train_images(survey, root)?);
    }
    Ok(dataset)
}
