//! Folders of images become lists of samples: which are good, which are defective, and where the masks are.
//!
//! ```text
//! MVTec layout   train/good/*   test/good/*   test/TYPE/*   ground_truth/TYPE/STEM_mask.* (or STEM.*)
//! plain layout   good/*         bad/* or bad/TYPE/*         masks/STEM_mask.* or masks/TYPE/STEM_mask.* (or STEM.*)
//! MVTec AD 2     test_public/ for test/, with its own ground_truth/
//! MVTec LOCO     ground_truth/TYPE/STEM/*   several masks of one image, united
//! MVTec 3D-AD    train/good/rgb/*   test/TYPE/rgb/*   test/TYPE/gt/*
//! BTAD           as MVTec, with ok and ko
//! pictures       images/* with masks/*, black if good; CVAT's JPEGImages and SegmentationClass  (`dataset/layouts`)
//! labels         a COCO or Label Studio file that names every image, as Roboflow exports it     (`dataset/layouts`)
//! lists          MANIFEST.csv, or VisA's CLASS/image_anno.csv                                   (`dataset/manifest`)
//! KolektorSDD    */STEM.* with */STEM_label.* or */STEM_GT.*, black if good                     (`dataset/kolektor`)
//! ```
//!
//! A mask may be a LabelMe file `STEM.json`, in `ground_truth`, `masks` or beside its image, or one COCO or Label Studio file for
//! many images. Defective images without masks count for image figures only.
//!
//! Upper and lower case of the names of folders do not matter. A file is an image if its content is ([`crate::image::Content`]).
//! Every file is used or is a [`Finding`], by name or with its folder, and nothing is guessed. Everything is sorted by the bytes
//! of its path below the root, so that a seed means the same on every machine.

mod account;
mod choice;
mod counts;
pub mod doctor;
mod error;
mod folder;
mod foregrounds;
mod hash;
mod input;
mod kolektor;
mod layouts;
mod manifest;
mod mask_check;
mod masks;
mod pictures;
mod split;
mod split_file;
mod split_record;
mod textures;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

pub use choice::{Choice, ChoiceError, Chosen, read_split};
pub use counts::{DatasetCounts, SplitCounts};
pub use error::DatasetError;
pub use folder::{is_clutter, promises_picture};
pub(crate) use foregrounds::read as read_area;
pub use foregrounds::{ForegroundSource, Foregrounds};
pub use hash::{SameContent, content_hash};
pub use input::{ImageShapes, InputChoice};
pub use mask_check::{MaskFault, UnsoundMask, check_masks};
pub use pictures::{OVERLAY, Picture, Pictures, is_judged, is_picture, pictures};
pub use split::{Setting, SettingError, Split, SplitOptions};
pub use split_record::{ImageRecord, Role, SplitRecord, SplitRecordError};
pub use textures::textures;

use crate::{names, printable};
use folder::{Entry, Survey};
use masks::MaskIndex;

/// Names of a folder of good images.
const GOOD: &[&str] = &["good", "ok", "normal"];
/// Names of a folder of defective images in the plain layout.
const BAD: &[&str] = &[
    "bad",
    "ko",
    "ng",
    "nok",
    "defect",
    "defects",
    "defective",
    "anomaly",
    "anomalies",
    "anomalous",
    "abnormal",
];
/// Names of a folder of images to test on.
const TEST: &[&str] = &["test", "test_public"];
/// Names of folders of colour pictures and of masks below those of MVTec 3D-AD.
const RGB: &[&str] = &["rgb"];
const GT: &[&str] = &["gt"];

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
    /// How many files it is about: 1, or those of a folder.
    pub files: usize,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", printable::path(&self.path), self.problem)
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
    /// Surveys the folder or the manifest `root`. Of an image only the first bytes are looked at.
    ///
    /// # Errors
    ///
    /// If it cannot be read, has none of the layouts, or has no good image to train on.
    pub fn open(root: &Path) -> Result<Dataset, DatasetError> {
        let mut survey = Survey::default();
        let base = data_folder(root);
        let mut dataset =
            if root.is_dir() { folders(&mut survey, root)? } else { manifest::open(root, base)? };

        let Dataset { train_good, test_good, test_bad, train_bad, .. } = &mut dataset;
        for samples in [train_good, test_good, test_bad, train_bad] {
            samples.sort_by_cached_key(|sample| folder::portable(&sample.path, base));
        }
        if dataset.listed {
            let maskless = dataset.train_bad.iter().chain(&dataset.test_bad).filter(|s| s.mask.is_none());
            maskless.for_each(|sample| survey.found(&sample.path, masks::NO_MASK));
        } else {
            let index = MaskIndex::scan(root, &mut survey)?;
            masks::pair_all(&mut dataset, &index, root, &mut survey);
        }
        account::name_the_rest(root, &dataset, &mut survey);
        survey.findings.sort();
        // A folder may have been listed for several reasons.
        survey.findings.dedup();
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

/// Surveys a folder, by the first layout that fits.
fn folders(survey: &mut Survey, root: &Path) -> Result<Dataset, DatasetError> {
    let entries = survey.list(root)?;
    if let Some((train, good)) = train_good(survey, &entries)? {
        return mvtec(survey, root, &entries, &train, &good);
    }
    if folder::named(&entries, GOOD).is_some() {
        return plain(survey, root, &entries);
    }
    if entries.iter().any(|entry| entry.name == manifest::VISA) {
        // VisA's paths begin with the name of the class.
        survey.known.push(root.join(manifest::VISA));
        return manifest::open(&root.join(manifest::VISA), &root.join(".."));
    }
    for layout in [layouts::labelled, layouts::pictures_and_masks, kolektor::open] {
        if let Some(dataset) = layout(survey, root, &entries)? {
            return Ok(dataset);
        }
    }
    // Good images to train on need no folder of their own if the test images have theirs.
    if let (Some(train), Some(_)) = (folder::named(&entries, &["train"]), folder::named(&entries, TEST))
        && survey.list(&train.path)?.iter().any(|entry| !entry.is_folder)
    {
        let good = train.clone();
        return mvtec(survey, root, &entries, train, &good);
    }
    Err(error::unknown_layout(root, &entries))
}

/// The folders `train` and `train/good`, if both are there.
fn train_good(survey: &mut Survey, entries: &[Entry]) -> Result<Option<(Entry, Entry)>, DatasetError> {
    let Some(train) = folder::named(entries, &["train"]) else { return Ok(None) };
    let inside = survey.list(&train.path)?;
    Ok(folder::named(&inside, GOOD).map(|good| (train.clone(), good.clone())))
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
        return Err(error::no_train_images(survey, &good.path)?);
    }
    if train.path != good.path {
        let inside = survey.list(&train.path)?;
        for bad in folder::all_named(&inside, BAD) {
            dataset.train_bad.extend(defect_samples(survey, bad)?);
        }
    }
    for test in folder::all_named(entries, TEST) {
        for entry in survey.list(&test.path)? {
            if !entry.is_folder {
                survey
                    .found(&entry.path, "not used: expected in a folder of its kind, test/good or test/TYPE");
            } else if folder::is_named(&entry, GOOD) {
                dataset.test_good.extend(good_samples(survey, &entry)?);
            } else if !folder::is_named(&entry, masks::FOLDERS) {
                dataset.test_bad.extend(defect_samples(survey, &entry)?);
            }
        }
    }
    Ok(dataset)
}

fn plain(survey: &mut Survey, root: &Path, entries: &[Entry]) -> Result<Dataset, DatasetError> {
    let mut dataset = Dataset::bare(root, Layout::Plain);
    let good = folder::all_named(entries, GOOD);
    for folder in &good {
        dataset.train_good.extend(good_samples(survey, folder)?);
    }
    if dataset.train_good.is_empty() {
        return Err(error::no_train_images(survey, &good[0].path)?);
    }
    for bad in folder::all_named(entries, BAD) {
        let inside = survey.list(&bad.path)?;
        let (types, files): (Vec<Entry>, Vec<Entry>) = inside
            .into_iter()
            .filter(|entry| !folder::is_named(entry, masks::FOLDERS))
            .partition(|e| e.is_folder);
        dataset.test_bad.extend(samples(survey, &files, &Kind::Defect(bad.name.clone())));
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

/// The images of a folder and of those below it, such as one for each day or camera: good is good.
fn good_samples(survey: &mut Survey, folder: &Entry) -> Result<Vec<Sample>, DatasetError> {
    let inside = survey.list(&folder.path)?;
    let entries = match folder::named(&inside, RGB) {
        // What is beside the colour pictures are point clouds.
        Some(rgb) => survey.list(&rgb.path)?,
        None => survey.list_all(&folder.path)?,
    };
    Ok(samples(survey, &entries, &Kind::Good))
}

fn defect_samples(survey: &mut Survey, folder: &Entry) -> Result<Vec<Sample>, DatasetError> {
    let kind = Kind::Defect(folder.name.clone());
    let entries = survey.list(&folder.path)?;
    let mut found = match folder::named(&entries, RGB) {
        Some(rgb) => {
            let files = survey.list(&rgb.path)?;
            samples(survey, &files, &kind)
        }
        None => {
            let inside: Vec<Entry> =
                entries.iter().filter(|entry| !folder::is_named(entry, masks::FOLDERS)).cloned().collect();
            samples(survey, &inside, &kind)
        }
    };
    if let (Some(_), Some(gt)) = (folder::named(&entries, RGB), folder::named(&entries, GT)) {
        let masks = survey.list(&gt.path)?;
        for sample in &mut found {
            let stem = sample.path.file_stem().unwrap_or_default().to_string_lossy();
            let stem = names::composed(&stem);
            sample.mask = masks.iter().find(|mask| mask.stem() == stem).map(|mask| mask.path.clone());
        }
    }
    if found.is_empty() {
        survey.found(&folder.path, "no images in this folder of defects");
    }
    Ok(found)
}

/// The images among `entries`; everything else becomes a finding.
fn samples(survey: &mut Survey, entries: &[Entry], kind: &Kind) -> Vec<Sample> {
    let (labels, entries): (Vec<Entry>, Vec<Entry>) = entries.iter().cloned().partition(Entry::is_json);
    let images = survey.images(&entries);
    let stems: BTreeMap<&str, &Entry> = images.iter().map(|image| (image.stem(), image)).collect();
    for file in labels {
        match (stems.get(file.stem()), kind) {
            (Some(image), Kind::Defect(_)) => survey.beside.push((image.path.clone(), file.path)),
            (Some(_), Kind::Good) => {
                survey.found(&file.path, "not used: the labels of an image among the good ones")
            }
            (None, _) => survey.labels.push(file.path),
        }
    }
    let mut samples = Vec::with_capacity(images.len());
    for image in &images {
        // A mask beside its image would otherwise be trained or tested on as a picture of a part.
        match (masks::of(image.stem()).and_then(|stem| stems.get(stem)), kind) {
            (Some(of), Kind::Defect(_)) => survey.beside.push((of.path.clone(), image.path.clone())),
            (Some(of), Kind::Good) => {
                let problem =
                    format!("not used: looks like the mask of {}, which is among the good images", of.name);
                survey.found(&image.path, problem);
            }
            (None, _) => samples.push(Sample { path: image.path.clone(), mask: None, kind: kind.clone() }),
        }
    }
    samples
}

#[cfg(test)]
mod tests;
