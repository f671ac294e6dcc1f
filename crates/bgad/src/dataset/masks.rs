//! Which mask belongs to which image: by folder and name alone.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::folder::{self, Survey};
use super::{DatasetError, GOOD, Sample};

/// What a mask's name has after the stem of its image, or has not.
pub(super) const SUFFIX: &str = "_mask";
/// Folders of masks, below the root of a data folder.
const FOLDERS: &[&str] = &["ground_truth", "masks"];

/// All mask files of a data folder, by defect type (empty for masks outside any type's folder) and stem.
#[derive(Debug, Default)]
pub(super) struct MaskIndex {
    masks: BTreeMap<(String, String), Vec<PathBuf>>,
    /// Whether there is a folder of masks at all.
    has_folder: bool,
}

impl MaskIndex {
    pub(super) fn scan(root: &Path, survey: &mut Survey) -> Result<MaskIndex, DatasetError> {
        let mut index = MaskIndex::default();
        for folder in survey.list(root)?.into_iter().filter(|entry| folder::is_named(entry, FOLDERS)) {
            index.has_folder = true;
            let (types, files): (Vec<_>, Vec<_>) =
                survey.list(&folder.path)?.into_iter().partition(|entry| entry.is_folder);
            index.add("", survey.images(&files));
            for entry in types {
                let files = survey.list(&entry.path)?;
                if folder::is_named(&entry, GOOD) {
                    // Some data sets ship a black mask for every good image; one line is enough.
                    let problem = format!("not used: masks of good images ({} files)", files.len());
                    survey.found(&entry.path, problem);
                    continue;
                }
                index.add(&entry.name, survey.images(&files));
            }
        }
        Ok(index)
    }

    fn add(&mut self, defect: &str, files: Vec<folder::Entry>) {
        for file in files {
            let key = (defect.to_owned(), file.stem().to_owned());
            self.masks.entry(key).or_default().push(file.path);
        }
    }

    /// The masks that fit an image's name, the best first.
    pub(super) fn candidates(&self, image: &Path, defect: &str) -> Vec<&Path> {
        let name = image.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
        let stem = folder::stem(&name);
        let mut fitting = Vec::new();
        for folder in [defect, ""] {
            for stem in [format!("{stem}{SUFFIX}"), stem.to_owned()] {
                let found = self.masks.get(&(folder.to_owned(), stem));
                fitting.extend(found.into_iter().flatten().map(PathBuf::as_path));
            }
        }
        fitting
    }
}

/// A mask that is the best fit of several images, and those images: it can be of one of them only.
#[derive(Debug)]
pub(super) struct Contested {
    pub(super) mask: PathBuf,
    pub(super) images: Vec<PathBuf>,
}

/// Gives every sample its best mask. A mask wanted by several samples goes to none.
pub(super) fn pair<'a>(
    samples: &mut [Sample],
    mut index_of: impl FnMut(&Path) -> Vec<&'a MaskIndex>,
) -> Vec<Contested> {
    let mut wanted_by: BTreeMap<PathBuf, Vec<usize>> = BTreeMap::new();
    for (i, sample) in samples.iter_mut().enumerate() {
        let Some(defect) = sample.kind.defect() else { continue };
        let best = index_of(&sample.path)
            .into_iter()
            .find_map(|index| index.candidates(&sample.path, defect).first().map(|path| path.to_path_buf()));
        if let Some(mask) = &best {
            wanted_by.entry(mask.clone()).or_default().push(i);
        }
        sample.mask = best;
    }
    let mut contested = Vec::new();
    for (mask, wanting) in wanted_by.into_iter().filter(|(_, wanting)| wanting.len() > 1) {
        wanting.iter().for_each(|&i| samples[i].mask = None);
        let images = wanting.into_iter().map(|i| samples[i].path.clone()).collect();
        contested.push(Contested { mask, images });
    }
    contested
}

/// Pairs all defective samples of a data folder and notes what is left over on either side.
pub(super) fn pair_all(samples: &mut [Sample], index: &MaskIndex, root: &Path, survey: &mut Survey) {
    let contested = pair(samples, |_| vec![index]);
    let mut settled: BTreeSet<&Path> = BTreeSet::new();
    for Contested { mask, images } in &contested {
        let names: Vec<String> = images.iter().map(|image| folder::portable(image, root)).collect();
        let problem = format!(
            "not used: fits several images ({}); give each its own, in a folder named like its defect type",
            names.join(", ")
        );
        survey.found(mask, problem);
        settled.insert(mask);
    }
    if !index.has_folder && !samples.is_empty() {
        let problem =
            format!("no masks for the {} defective images: no folder ground_truth/ or masks/", samples.len());
        survey.found(root, problem);
        return;
    }
    let mut second: BTreeMap<&Path, &Sample> = BTreeMap::new();
    for sample in samples.iter() {
        let defect = sample.kind.defect().unwrap_or_default();
        match &sample.mask {
            Some(mask) => {
                settled.insert(mask);
                second.extend(index.candidates(&sample.path, defect).into_iter().map(|mask| (mask, sample)));
            }
            None => survey.found(&sample.path, "no mask: usable for image figures only"),
        }
    }
    for mask in index.masks.values().flatten().filter(|mask| !settled.contains(mask.as_path())) {
        let problem = match second.get(mask.as_path()) {
            Some(Sample { path, mask: Some(taken), .. }) => format!(
                "not used: a second mask for {}, which has {}",
                folder::portable(path, root),
                folder::portable(taken, root)
            ),
            _ => "a mask without an image".to_owned(),
        };
        survey.found(mask, problem);
    }
}
