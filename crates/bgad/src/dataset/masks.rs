//! Which mask belongs to which image: by folder and name alone, or by the names in a file of labels.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::folder::{self, Entry, Survey};
use super::{Dataset, DatasetError, GOOD, Sample, TEST};
use crate::image::{ImageProblem, Labels, labels};
use crate::{names, outside, printable};

/// What a mask's name has after the stem of its image, the most usual first; upper and lower case do not matter.
const SUFFIXES: &[&str] = &["_mask", "-mask", ".mask", "_gt", "_label", "_seg"];
/// What it may have before it instead.
const PREFIX: &str = "mask_";
/// About a defective image without a mask.
pub(super) const NO_MASK: &str = "no mask: usable for image figures only";
/// Folders of masks, below the root of a data folder or beside its test images.
pub(super) const FOLDERS: &[&str] = &["ground_truth", "masks", "mask", "SegmentationClass"];
/// CVAT's list of labels and colours.
pub(super) const LABEL_MAP: &str = "labelmap.txt";

/// The stem of the image that a mask of this stem belongs to; `None` for other names.
pub(super) fn of(stem: &str) -> Option<&str> {
    let after = SUFFIXES.iter().find_map(|suffix| {
        let at = stem.len().checked_sub(suffix.len())?;
        let end = stem.get(at..)?;
        end.eq_ignore_ascii_case(suffix).then(|| &stem[..at])
    });
    let before =
        || Some(stem).filter(|s| s.get(..PREFIX.len()).is_some_and(|p| p.eq_ignore_ascii_case(PREFIX)));
    after.or_else(|| before().map(|stem| &stem[PREFIX.len()..])).filter(|stem| !stem.is_empty())
}

/// All masks of a data folder, by defect type (empty for masks outside any type's folder) and stem, both folded.
#[derive(Debug, Default)]
pub(super) struct MaskIndex {
    masks: BTreeMap<(String, String), Vec<PathBuf>>,
    /// Files that hold the masks of several images, with their defect type, folded.
    shared: Vec<(String, PathBuf, Arc<Labels>)>,
    /// Why a file of labels cannot be read.
    broken: BTreeMap<PathBuf, String>,
    /// Folders that hold the masks of one image, if they are not those of a defect type.
    folders: BTreeSet<PathBuf>,
    /// Whether there is a folder of masks at all.
    has_folder: bool,
}

/// A mask that may belong to an image.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    path: PathBuf,
    /// In a file of many: which entry, and how many parts of the image's path fit it.
    entry: Option<(usize, usize)>,
}

impl MaskIndex {
    pub(super) fn scan(root: &Path, survey: &mut Survey) -> Result<MaskIndex, DatasetError> {
        let mut index = MaskIndex::default();
        if !root.is_dir() {
            return Ok(index);
        }
        let entries = survey.list(root)?;
        let mut folders: Vec<Entry> = folder::all_named(&entries, FOLDERS).into_iter().cloned().collect();
        for test in folder::all_named(&entries, TEST) {
            let inside = survey.list(&test.path)?;
            folders.extend(folder::all_named(&inside, FOLDERS).into_iter().cloned());
        }
        for folder in folders {
            index.has_folder = true;
            survey.known.extend([&*folder.path, root].map(|folder| folder.join(LABEL_MAP)));
            if let Some(problem) = colours_that_mislead(&folder.path) {
                survey.found(&folder.path, problem);
                continue;
            }
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
                index.folders.insert(entry.path.clone());
                index.add_all(&entry.name, &files, survey);
            }
        }
        for file in std::mem::take(&mut survey.labels) {
            index.add_labels("", &file);
        }
        Ok(index)
    }

    /// Masks as pictures, folders with the masks of one image each, and labels of one or many images.
    fn add_all(&mut self, defect: &str, files: &[Entry], survey: &mut Survey) {
        let (annotations, files): (Vec<Entry>, Vec<Entry>) = files.iter().cloned().partition(Entry::is_json);
        let (folders, files): (Vec<Entry>, Vec<Entry>) = files.into_iter().partition(|entry| entry.is_folder);
        let files = files.into_iter().filter(|entry| entry.name != LABEL_MAP).collect::<Vec<_>>();
        for file in survey.images(&files) {
            self.add(defect, file.stem(), &file.path);
        }
        for folder in folders {
            self.add(defect, &folder.name, &folder.path);
        }
        for file in annotations {
            self.add_labels(defect, &file.path);
        }
    }

    fn add_labels(&mut self, defect: &str, path: &Path) {
        match labels(path) {
            Ok(labels) if matches!(*labels, Labels::Many(_)) => {
                self.shared.push((names::folded(defect), path.to_owned(), labels));
                return;
            }
            Ok(_) => {}
            // It may be that of an image, which then says so when it is drawn.
            Err(error) => {
                let reason = match error.problem {
                    ImageProblem::Annotation { found } => found,
                    other => other.to_string(),
                };
                self.broken.insert(path.to_owned(), reason);
            }
        }
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        self.add(defect, &stem, path);
    }

    fn add(&mut self, defect: &str, stem: &str, path: &Path) {
        let key = (names::folded(defect), names::folded(stem));
        self.masks.entry(key).or_default().push(path.to_owned());
    }

    /// The masks that fit an image's name, the best first, or why a file of labels fits it in two ways.
    fn candidates(&self, image: &Path, defect: &str) -> Result<Vec<Candidate>, (PathBuf, String)> {
        let name = image.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
        let stem = folder::stem(&name);
        let names: Vec<String> = [format!("{stem}{}", SUFFIXES[0]), stem.to_owned()]
            .into_iter()
            .chain(SUFFIXES[1..].iter().map(|suffix| format!("{stem}{suffix}")))
            .chain([format!("{PREFIX}{stem}")])
            .collect();
        let mut fitting: Vec<Candidate> = Vec::new();
        for folder in [defect, ""] {
            for name in &names {
                let found = self.masks.get(&(names::folded(folder), names::folded(name)));
                let exact =
                    |path: &&PathBuf| path.file_stem().is_some_and(|stem| stem.to_string_lossy() == *name);
                let (exact, other): (Vec<&PathBuf>, Vec<&PathBuf>) =
                    found.into_iter().flatten().partition(exact);
                // Where case tells two masks apart, it is heeded.
                let taken = if exact.is_empty() { other } else { exact };
                fitting.extend(taken.into_iter().map(|path| Candidate { path: path.clone(), entry: None }));
            }
            for (_, path, labels) in self.shared.iter().filter(|(of, ..)| *of == names::folded(folder)) {
                let Labels::Many(many) = &**labels else { continue };
                match many.find(image) {
                    Ok(Some(entry)) if many.images[entry.0].marked => {
                        fitting.push(Candidate { path: path.clone(), entry: Some(entry) });
                    }
                    Ok(_) => {}
                    Err(problem) => return Err((path.clone(), reason(problem))),
                }
            }
            if folder.is_empty() {
                break;
            }
        }
        let is_own = |folder: &&PathBuf| {
            let name = folder.file_name().unwrap_or_default().to_string_lossy();
            names::composed(&name) == names::composed(stem)
        };
        let own = self.folders.iter().filter(is_own);
        fitting.extend(own.map(|folder| Candidate { path: folder.clone(), entry: None }));
        Ok(fitting)
    }
}

fn reason(problem: ImageProblem) -> String {
    match problem {
        ImageProblem::Annotation { found } => found,
        other => other.to_string(),
    }
}

/// Whose mask it may be, and what would make it that.
fn whose(mask: &Path, samples: &[Sample], root: &Path) -> String {
    let stem = mask.file_stem().unwrap_or_default().to_string_lossy();
    if stem.starts_with("task-") && stem.contains("-annotation-") {
        return "; Label Studio's PNG export does not name the image: export JSON".to_owned();
    }
    let begins = |sample: &&Sample| {
        let image = sample.path.file_stem().unwrap_or_default().to_string_lossy();
        !image.is_empty()
            && stem.strip_prefix(&*image).is_some_and(|rest| rest.starts_with(['-', '_', '.', ' ']))
    };
    let longest = samples.iter().filter(begins).max_by_key(|sample| sample.path.file_stem().map(|s| s.len()));
    longest.map_or_else(String::new, |sample| {
        let image = sample.path.file_stem().unwrap_or_default().to_string_lossy();
        format!(
            "; if it is one of {}, call it {image}_mask, or put all masks of the image into a folder {image}/",
            folder::portable(&sample.path, root),
        )
    })
}

/// Why masks of CVAT cannot be read by "not black is defective".
fn colours_that_mislead(folder: &Path) -> Option<String> {
    let places = [folder.join(LABEL_MAP), folder.parent()?.join(LABEL_MAP)];
    let map = places.iter().find_map(|path| outside::read_text(path).ok())?;
    let lines = map.lines().filter(|line| !line.trim_start().starts_with('#'));
    for (label, colour) in lines.filter_map(|line| line.split_once(':')) {
        let black = colour.split(':').next().unwrap_or_default().split(',').all(|part| part.trim() == "0");
        if (label == "background") != black {
            let colour = colour.split(':').next().unwrap_or_default();
            let (label, colour) = (printable::text(label), printable::text(colour));
            return Some(format!(
                "not used: {LABEL_MAP} gives {label} the colour {colour}, expected 0,0,0 for background and for nothing else"
            ));
        }
    }
    None
}

/// A mask that is the best fit of several images, and those images: it can be of one of them only.
#[derive(Debug)]
pub(super) struct Contested {
    pub(super) mask: PathBuf,
    pub(super) images: Vec<PathBuf>,
}

/// What did not pair.
#[derive(Debug, Default)]
pub(super) struct Unpaired {
    contested: Vec<Contested>,
    /// Files of labels that fit an image in two ways, and why.
    ambiguous: BTreeSet<(PathBuf, String)>,
}

/// Gives every sample that has none its best mask. A mask wanted by several samples goes to none of them, or to the one whose path
/// fits an entry of a file best.
pub(super) fn pair<'a>(
    samples: &mut [Sample],
    mut index_of: impl FnMut(&Path) -> Vec<&'a MaskIndex>,
) -> Unpaired {
    let mut unpaired = Unpaired::default();
    let mut wanted_by = BTreeMap::<(PathBuf, Option<usize>), Vec<(usize, usize)>>::new();
    for (i, sample) in samples.iter_mut().enumerate() {
        let Some(defect) = sample.kind.defect().filter(|_| sample.mask.is_none()) else { continue };
        for index in index_of(&sample.path) {
            match index.candidates(&sample.path, defect) {
                Ok(candidates) => {
                    let Some(best) = candidates.into_iter().next() else { continue };
                    let (entry, common) = (best.entry.map(|e| e.0), best.entry.map_or(0, |e| e.1));
                    wanted_by.entry((best.path.clone(), entry)).or_default().push((i, common));
                    sample.mask = Some(best.path);
                    break;
                }
                Err(ambiguous) => drop(unpaired.ambiguous.insert(ambiguous)),
            }
        }
    }
    for ((mask, _), wanting) in wanted_by.into_iter().filter(|(_, wanting)| wanting.len() > 1) {
        let best = wanting.iter().map(|(_, common)| *common).max().unwrap_or(0);
        let nearest: Vec<usize> =
            wanting.iter().filter(|(_, common)| *common == best).map(|(i, _)| *i).collect();
        let losing: Vec<usize> =
            wanting.iter().map(|(i, _)| *i).filter(|i| nearest.len() > 1 || nearest[0] != *i).collect();
        losing.iter().for_each(|&i| samples[i].mask = None);
        if nearest.len() > 1 {
            let images = nearest.into_iter().map(|i| samples[i].path.clone()).collect();
            unpaired.contested.push(Contested { mask, images });
        }
    }
    unpaired
}

/// Pairs all defective samples of a data folder and notes what is left over on either side.
pub(super) fn pair_all(dataset: &mut Dataset, index: &MaskIndex, root: &Path, survey: &mut Survey) {
    let for_training = dataset.train_bad.len();
    let mut samples = std::mem::take(&mut dataset.train_bad);
    samples.append(&mut dataset.test_bad);
    pair_samples(&mut samples, index, root, survey);
    dataset.test_bad = samples.split_off(for_training);
    dataset.train_bad = samples;
}

fn pair_samples(samples: &mut [Sample], index: &MaskIndex, root: &Path, survey: &mut Survey) {
    let Unpaired { contested, ambiguous } = pair(samples, |_| vec![index]);
    let mut settled: BTreeSet<PathBuf> = BTreeSet::new();
    for Contested { mask, images } in &contested {
        let names: Vec<String> = images.iter().map(|image| folder::portable(image, root)).collect();
        let problem = format!(
            "not used: fits several images ({}); give each its own, in a folder named like its defect type",
            names.join(", ")
        );
        survey.found(mask, problem);
        settled.insert(mask.clone());
    }
    for (file, reason) in ambiguous {
        survey.found(&file, reason);
        settled.insert(file);
    }
    for (image, mask) in std::mem::take(&mut survey.beside) {
        let Some(sample) = samples.iter_mut().find(|sample| sample.path == image) else { continue };
        match &sample.mask {
            None => sample.mask = Some(mask),
            Some(taken) => {
                let taken = folder::portable(taken, root);
                let name = folder::portable(&image, root);
                survey.found(&mask, format!("not used: a second mask for {name}, which has {taken}"));
            }
        }
    }
    let any = samples.iter().any(|sample| sample.mask.is_some());
    if !index.has_folder && !any && index.masks.is_empty() && index.shared.is_empty() {
        if !samples.is_empty() {
            let problem = format!(
                "no masks for the {} defective images: no folder ground_truth/ or masks/",
                samples.len()
            );
            survey.found(root, problem);
        }
        return;
    }
    let mut second: BTreeMap<PathBuf, &Sample> = BTreeMap::new();
    for sample in samples.iter() {
        let defect = sample.kind.defect().unwrap_or_default();
        match &sample.mask {
            Some(mask) => {
                settled.insert(mask.clone());
                let candidates = index.candidates(&sample.path, defect).unwrap_or_default();
                second.extend(candidates.into_iter().map(|candidate| (candidate.path, sample)));
            }
            None => survey.found(&sample.path, NO_MASK),
        }
    }
    let is_settled =
        |mask: &Path| settled.contains(mask) || mask.parent().is_some_and(|p| settled.contains(p));
    for mask in index.masks.values().flatten().filter(|mask| !is_settled(mask)) {
        let problem = match (second.get(mask), index.broken.get(mask)) {
            (Some(Sample { path, mask: Some(taken), .. }), _) => format!(
                "not used: a second mask for {}, which has {}",
                folder::portable(path, root),
                folder::portable(taken, root)
            ),
            (_, Some(reason)) => format!("not used: labels that cannot be read: {reason}"),
            _ => format!("not used: a mask without an image{}", whose(mask, samples, root)),
        };
        survey.found(mask, problem);
    }
    for (_, path, labels) in index.shared.iter().filter(|(_, path, _)| !settled.contains(path)) {
        let Labels::Many(many) = &**labels else { continue };
        let marked = many.images.iter().filter(|image| image.marked).count();
        survey.found(path, format!("not used: labels of {marked} defective images, none of which is here"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_that_tools_give_masks() {
        for name in ["a_mask", "a-mask", "a.mask", "a_gt", "a_GT", "a_label", "a_Mask", "a_seg", "mask_a"] {
            assert_eq!(of(name), Some("a"), "{name}");
        }
        for name in ["a", "mask", "_mask", "amask", "ä"] {
            assert_eq!(of(name), None, "{name}");
        }
    }
}
