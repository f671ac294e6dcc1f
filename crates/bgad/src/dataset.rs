//! Folders of images become lists of samples: which are good, which are defective, and where the masks are.
//!
//! ```text
//! MVTec layout   train/good/*   test/good/*   test/TYPE/*   ground_truth/TYPE/STEM_mask.* (or STEM.*)
//! plain layout   good/*         bad/* or bad/TYPE/*         masks/STEM_mask.* or masks/TYPE/STEM_mask.* (or STEM.*)
//! BTAD           as MVTec, with ok and ko
//! lists          MANIFEST.csv, or VisA's CLASS/image_anno.csv                                (`dataset/manifest`)
//! KolektorSDD    */STEM.* with */STEM_label.* or */STEM_GT.*, black if good                  (`dataset/kolektor`)
//! ```
//!
//! In `ground_truth` and `masks` a mask may be a LabelMe file `STEM.json`, or one COCO file for many images. Defective
//! images without masks count for image figures only.
//!
//! `ok` is read as `good`, `ko` and `ng` as `bad`; upper and lower case of these names do not matter. Images are PNG,
//! JPEG, BMP and TIFF files. Whatever does not pair or is not understood is a [`Finding`], by name, and never guessed.
//! Everything is sorted by the bytes of its path below the root, so that a seed means the same on every machine.

mod choice;
pub mod doctor;
mod error;
mod folder;
mod foregrounds;
mod hash;
mod input;
mod kolektor;
mod manifest;
mod masks;
mod split;
mod split_file;
mod split_record;
mod textures;

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

pub use choice::{Choice, ChoiceError, Chosen, read_split};
pub use error::DatasetError;
pub(crate) use foregrounds::read as read_area;
pub use foregrounds::{ForegroundSource, Foregrounds};
pub use hash::content_hash;
pub use input::{ImageShapes, InputChoice};
pub use split::{Setting, SettingError, Split, SplitOptions};
pub use split_record::{ImageRecord, Role, SplitRecord, SplitRecordError};
pub use textures::textures;

use folder::{Entry, Survey};
use masks::MaskIndex;

/// Names of a folder of good images.
const GOOD: &[&str] = &["good", "ok"];
/// Names of a folder of defective images in the plain layout.
const BAD: &[&str] = &["bad", "ko", "ng"];

/// One image on disk.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Sample {
    /// The image's file.
    pub path: PathBuf,
    /// The file of its mask; good images need none, since all of their pixels are normal.
    pub mask: Option<PathBuf>,
    /// Good, or which kind of defect.
    pub kind: Kind,
}

/// What an image shows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A good part.
    Good,
    /// A defect of the type named: the name of the folder that the image is in.
    Defect(String),
}

impl Kind {
    /// The defect type; `None` for a good part.
    pub fn defect(&self) -> Option<&str> {
        match self {
            Kind::Good => None,
            Kind::Defect(name) => Some(name),
        }
    }
}

/// How a data folder is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Layout {
    /// Good images are divided on disk into `train` and `test`, or by the list.
    Mvtec,
    /// All good images are in one folder; [`Split::draw`] divides them.
    Plain,
}

/// Something in a data folder that is not used, or lacks its counterpart. Not an error: the rest is usable.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Finding {
    /// The file or folder.
    pub path: PathBuf,
    /// What was found about it, lower-case, without a full stop.
    pub problem: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.problem)
    }
}

/// A data folder: every image in it, before any split.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dataset {
    /// The folder.
    pub root: PathBuf,
    /// How it is laid out.
    pub layout: Layout,
    /// Good images to train on; in the plain layout all good images, also those that a split will hold out.
    pub train_good: Vec<Sample>,
    /// Good images to test on; in the plain layout empty until a split holds some out.
    pub test_good: Vec<Sample>,
    /// Defective images, those that a split will take for training included.
    pub test_bad: Vec<Sample>,
    /// Defective images that are for training only. If there are any, a split draws from them and not from `test_bad`.
    pub train_bad: Vec<Sample>,
    /// Whether a list or the layout pairs images and masks, rather than their names.
    pub listed: bool,
    /// What is not used or does not pair, sorted by path.
    pub findings: Vec<Finding>,
}

impl Dataset {
    /// Surveys the folder or the manifest `root`. No image is opened.
    ///
    /// # Errors
    ///
    /// If it cannot be read, has none of the layouts, or has no good image to train on.
    pub fn open(root: &Path) -> Result<Dataset, DatasetError> {
        let mut survey = Survey::default();
        let base = data_folder(root);
        let mut dataset = if root.is_file() {
            manifest::open(root, base)?
        } else {
            let entries = survey.list(root)?;
            match (train_good(&mut survey, &entries)?, folder::named(&entries, GOOD)) {
                (Some((train, good)), _) => mvtec(&mut survey, root, &entries, &train, &good)?,
                (None, Some(good)) => plain(&mut survey, root, &entries, good)?,
                (None, None) if entries.iter().any(|entry| entry.name == manifest::VISA) => {
                    // VisA's paths begin with the name of the class.
                    manifest::open(&root.join(manifest::VISA), &root.join(".."))?
                }
                (None, None) => match kolektor::open(&mut survey, root, &entries)? {
                    Some(dataset) => dataset,
                    None => return Err(error::unknown_layout(root, &entries)),
                },
            }
        };

        let Dataset { train_good, test_good, test_bad, train_bad, .. } = &mut dataset;
        for samples in [train_good, test_good, test_bad, train_bad] {
            samples.sort_by_cached_key(|sample| folder::portable(&sample.path, base));
        }
        if dataset.listed {
            let maskless = dataset.train_bad.iter().chain(&dataset.test_bad).filter(|s| s.mask.is_none());
            maskless.for_each(|sample| survey.found(&sample.path, masks::NO_MASK));
        } else {
            let index = MaskIndex::scan(root, &mut survey)?;
            masks::pair_all(&mut dataset.test_bad, &index, root, &mut survey);
        }
        survey.findings.sort();
        dataset.findings = survey.findings;
        Ok(dataset)
    }

    /// The names of the defect types, sorted.
    pub fn defect_types(&self) -> Vec<String> {
        let defective = self.train_bad.iter().chain(&self.test_bad);
        let types: BTreeSet<&str> = defective.filter_map(|sample| sample.kind.defect()).collect();
        types.into_iter().map(str::to_owned).collect()
    }

    /// How many defective images could be trained on in `setting`: those of the types it allows, with a mask unless `weak`.
    pub fn trainable_anomalies(&self, setting: &Setting, weak: bool) -> usize {
        let fits = |sample: &&Sample| (weak || sample.mask.is_some()) && setting.trains_on(&sample.kind);
        self.pool().iter().filter(fits).count()
    }

    /// The defective images from which those to train on are drawn.
    fn pool(&self) -> &[Sample] {
        if self.train_bad.is_empty() { &self.test_bad } else { &self.train_bad }
    }
}

/// Where the relative paths of a data folder or a manifest start.
fn data_folder(root: &Path) -> &Path {
    match root.parent() {
        Some(folder) if root.is_file() && folder.as_os_str().is_empty() => Path::new("."),
        Some(folder) if root.is_file() => folder,
        _ => root,
    }
}

/// The folders `train` and `train/good`, if both are there.
fn train_good(survey: &mut Survey, entries: &[Entry]) -> Result<Option<(Entry, Entry)>, DatasetError> {
    let Some(train) = folder::named(entries, &["train"]) else { return Ok(None) };
    let inside = survey.list(&train.path)?;
    let Some(good) = folder::named(&inside, GOOD) else { return Ok(None) };
    for other in inside.iter().filter(|entry| entry.path != good.path) {
        survey.found(&other.path, "not used: only the folder of good images is trained on");
    }
    Ok(Some((train.clone(), good.clone())))
}

fn mvtec(
    survey: &mut Survey,
    root: &Path,
    entries: &[Entry],
    train: &Entry,
    good: &Entry,
) -> Result<Dataset, DatasetError> {
    let mut dataset = Dataset::bare(root, Layout::Mvtec);
    dataset.train_good = good_samples(survey, good)?;
    if dataset.train_good.is_empty() {
        return Err(error::no_train_images(survey, &train.path.join(&good.name))?);
    }
    if let Some(test) = folder::named(entries, &["test"]) {
        for entry in survey.list(&test.path)? {
            if !entry.is_folder {
                survey
                    .found(&entry.path, "not used: expected in a folder of its kind, test/good or test/TYPE");
            } else if folder::is_named(&entry, GOOD) {
                dataset.test_good.extend(good_samples(survey, &entry)?);
            } else {
                dataset.test_bad.extend(defect_samples(survey, &entry)?);
            }
        }
    }
    Ok(dataset)
}

fn plain(survey: &mut Survey, root: &Path, entries: &[Entry], good: &Entry) -> Result<Dataset, DatasetError> {
    let mut dataset = Dataset::bare(root, Layout::Plain);
    dataset.train_good = good_samples(survey, good)?;
    if dataset.train_good.is_empty() {
        return Err(error::no_train_images(survey, &good.path)?);
    }
    if let Some(bad) = folder::named(entries, BAD) {
        let inside = survey.list(&bad.path)?;
        let (types, files): (Vec<Entry>, Vec<Entry>) = inside.into_iter().partition(|entry| entry.is_folder);
        dataset.test_bad = samples(survey, &files, &Kind::Defect(bad.name.clone()));
        for entry in types {
            dataset.test_bad.extend(defect_samples(survey, &entry)?);
        }
    }
    Ok(dataset)
}

impl Dataset {
    fn bare(root: &Path, layout: Layout) -> Dataset {
        Dataset {
            root: root.to_owned(),
            layout,
            train_good: Vec::new(),
            test_good: Vec::new(),
            test_bad: Vec::new(),
            train_bad: Vec::new(),
            listed: false,
            findings: Vec::new(),
        }
    }
}

fn good_samples(survey: &mut Survey, folder: &Entry) -> Result<Vec<Sample>, DatasetError> {
    let entries = survey.list(&folder.path)?;
    Ok(samples(survey, &entries, &Kind::Good))
}

fn defect_samples(survey: &mut Survey, folder: &Entry) -> Result<Vec<Sample>, DatasetError> {
    let entries = survey.list(&folder.path)?;
    let found = samples(survey, &entries, &Kind::Defect(folder.name.clone()));
    if found.is_empty() {
        survey.found(&folder.path, "no images in this folder of defects");
    }
    Ok(found)
}

/// The images among `entries`; everything else becomes a finding.
fn samples(survey: &mut Survey, entries: &[Entry], kind: &Kind) -> Vec<Sample> {
    let images = survey.images(entries);
    let stems: BTreeSet<&str> = images.iter().map(|image| image.stem()).collect();
    let mut samples = Vec::with_capacity(images.len());
    for image in &images {
        // A mask beside its image would otherwise be trained or tested on as a picture of a part.
        if let Some(of) = image.stem().strip_suffix(masks::SUFFIX).filter(|stem| stems.contains(stem)) {
            let problem =
                format!("not used: looks like the mask of {of}; masks belong in ground_truth/ or masks/");
            survey.found(&image.path, problem);
            continue;
        }
        samples.push(Sample { path: image.path.clone(), mask: None, kind: kind.clone() });
    }
    samples
}

#[cfg(test)]
mod tests;
