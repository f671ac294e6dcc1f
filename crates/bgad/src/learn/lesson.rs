//! What is to be learned: images and masks that have been looked at before anything is trained.

use std::path::{Path, PathBuf, absolute};
use std::slice;

use super::LearnError;
use crate::dataset::{ImageRecord, Kind, Role, Sample, Split, check_masks, content_hash};
use crate::detector::Detector;
use crate::model::Header;
use crate::outside::{self, MAX_IMAGE};

/// What the line has found, as files.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Images of defects, each with its mask.
    pub defects: Vec<(PathBuf, PathBuf)>,
    /// Images of good parts.
    pub good: Vec<PathBuf>,
}

/// Images to learn from, all of them sound.
#[derive(Clone, Debug, Default)]
pub struct Lesson {
    /// Defects with their masks.
    pub defects: Vec<Sample>,
    /// Good parts.
    pub good: Vec<Sample>,
    /// Images that were given and that the model has learned from already, in the same way.
    pub already: Vec<PathBuf>,
    /// Contents of the defects, then of the good parts.
    sha256: Vec<String>,
}

impl Lesson {
    /// Reads and checks everything. What the model has learned already is set aside.
    ///
    /// # Errors
    ///
    /// A [`LearnError`] about the first file that cannot be learned from.
    pub fn read(found: &Found, detector: &Detector) -> Result<Lesson, LearnError> {
        if found.defects.is_empty() && found.good.is_empty() {
            return Err(LearnError::Nothing);
        }
        let mut lesson = Lesson::default();
        let mut seen: Vec<String> = Vec::new();
        let defects = found.defects.iter().map(|(image, mask)| (image, Some(mask)));
        for (image, mask) in defects.chain(found.good.iter().map(|image| (image, None))) {
            let unreadable = |path: &Path, source| LearnError::Unreadable { path: path.to_owned(), source };
            let hash =
                content_hash(&outside::read(image, MAX_IMAGE).map_err(|error| unreadable(image, error))?);
            if seen.contains(&hash) {
                return Err(LearnError::Twice { path: image.clone() });
            }
            seen.push(hash.clone());
            let of_mask = match mask {
                None => None,
                Some(mask) => Some(content_hash(
                    &outside::read(mask, MAX_IMAGE).map_err(|error| unreadable(mask, error))?,
                )),
            };
            if is_learned(detector.header(), image, &hash, of_mask.as_deref())? {
                lesson.already.push(image.clone());
                continue;
            }
            let kind = mask.map_or(Kind::Good, |_| Kind::Defect(folder_of(image)));
            let sample = Sample { path: image.clone(), mask: mask.cloned(), kind };
            check(detector, &sample)?;
            match mask {
                Some(_) => lesson.defects.push(sample),
                None => lesson.good.push(sample),
            }
            lesson.sha256.push(hash);
        }
        Ok(lesson)
    }

    /// Whether nothing in it is new.
    pub fn is_empty(&self) -> bool {
        self.sha256.is_empty()
    }

    /// All images, defects first.
    pub fn samples(&self) -> impl Iterator<Item = &Sample> {
        self.defects.iter().chain(&self.good)
    }

    pub(super) fn has(&self, sha256: &str) -> bool {
        self.sha256.iter().any(|hash| hash == sha256)
    }

    /// Adds it to what is learned from, and takes it out of everything else.
    pub(super) fn add_to(&self, split: &mut Split) {
        for list in [&mut split.test_good, &mut split.test_bad, &mut split.hold_out] {
            list.retain(|sample| {
                !outside::read(&sample.path, MAX_IMAGE).is_ok_and(|bytes| self.has(&content_hash(&bytes)))
            });
        }
        split.anomalies.extend(self.defects.iter().cloned());
        split.train.extend(self.good.iter().cloned());
    }
}

/// Whether the model knows the image in just this way; another way is refused.
fn is_learned(header: &Header, image: &Path, hash: &str, mask: Option<&str>) -> Result<bool, LearnError> {
    if !header.trained_on(hash) {
        return Ok(false);
    }
    let record = header.training.split.as_ref().and_then(|split| split.with_content(hash));
    let role = if mask.is_some() { Role::KnownDefect } else { Role::Train };
    match record {
        Some(ImageRecord { role: found, mask_sha256, .. }) if *found == role => {
            if mask.is_some() && mask_sha256.as_deref() != mask {
                return Err(LearnError::OtherMask { path: image.to_owned() });
            }
            Ok(true)
        }
        record => {
            Err(LearnError::OtherRole { path: image.to_owned(), role: record.map(|record| record.role) })
        }
    }
}

/// Whether training could use the image and its mask, by the rule of training.
fn check(detector: &Detector, sample: &Sample) -> Result<(), LearnError> {
    let (_, original) = detector.load(&sample.path)?;
    let size = detector.loaded_size(original);
    match check_masks(slice::from_ref(sample), Some(size)).pop() {
        None => Ok(()),
        Some(unsound) => Err(LearnError::Mask(unsound.into())),
    }
}

/// The type of a defect: the name of the folder that its image is in.
fn folder_of(image: &Path) -> String {
    let folder = absolute(image).ok().and_then(|path| Some(path.parent()?.file_name()?.to_owned()));
    folder.unwrap_or_default().to_string_lossy().into_owned()
}
