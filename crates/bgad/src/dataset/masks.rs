//! Which mask belongs to which image: by folder and name alone.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::folder::{self, Survey};
use super::{DatasetError, GOOD, Sample};
use crate::image::coco_names;

/// What a mask's name has after the stem of its image, or has not.
pub(super) const SUFFIX: &str = "_mask";
/// About a defective image without a mask.
pub(super) const NO_MASK: &str = "no mask: usable for image figures only";
/// Folders of masks, below the root of a data folder.
const FOLDERS: &[&str] = &["ground_truth", "masks"];

/// All mask files of a data folder, by defect type (empty for masks outside any type's folder) and stem.
#[derive(Debug, Default)]
pub(super) struct MaskIndex {
    masks: BTreeMap<(String, String), Vec<PathBuf>>,
    /// Files that hold the masks of several images.
    shared: BTreeSet<PathBuf>,
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
            index.add_all("", &files, survey);
            for entry in types {
                let files = survey.list(&entry.path)?;
                if folder::is_named(&entry, GOOD) {
                    // Some data sets ship a black mask for every good image; one line is enough.
                    let problem = format!("not used: masks of good images ({} files)", files.len());
                    survey.found(&entry.path, problem);
                    continue;
                }
                index.add_all(&entry.name, &files, survey);
            }
        }
        Ok(index)
    }

    /// Masks as pictures, and annotations: LabelMe's are of one image each, COCO's of many.
    fn add_all(&mut self, defect: &str, files: &[folder::Entry], survey: &mut Survey) {
        let is_json = |file: &&folder::Entry| {
            !file.is_folder
                && Path::new(&file.name).extension().is_some_and(|e| e.eq_ignore_ascii_case("json"))
        };
        let (annotations, files): (Vec<_>, Vec<_>) = files.iter().partition(is_json);
        let files: Vec<folder::Entry> = files.into_iter().cloned().collect();
        self.add(defect, survey.images(&files));
        for file in annotations {
            // What cannot be read is reported when the mask is drawn.
            let names = std::fs::read(&file.path).ok().and_then(|bytes| coco_names(&bytes));
            let Some(names) = names else {
                self.add(defect, vec![file.clone()]);
                continue;
            };
            for name in names {
                let name = Path::new(&name).file_name().unwrap_or_default().to_string_lossy().into_owned();
                let key = (defect.to_owned(), folder::stem(&name).to_owned());
                self.masks.entry(key).or_default().push(file.path.clone());
                self.shared.insert(file.path.clone());
            }
        }
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
        let best = index_of(&sample.path).into_iter().find_map(|index| {
            let best = index.candidates(&sample.path, defect).first().map(|path| path.to_path_buf())?;
            Some((index.shared.contains(&best), best))
        });
        if let Some((false, mask)) = &best {
            wanted_by.entry(mask.clone()).or_default().push(i);
        }
        sample.mask = best.map(|(_, mask)| mask);
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
            None => survey.found(&sample.path, NO_MASK),
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
