//! Which image was used for what, as a part of the model: what a split file says, and what each file held.
//!
//! A model carries its record, so that a copy or a model of another name still knows its images. Paths are relative to the
//! data folder where they are below it; the folder itself is written as an absolute path, and whoever moved it says where
//! it is now.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::path::{Path, PathBuf, absolute};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{DatasetError, Kind, SameContent, Sample, Split, content_hash, data_folder, folder};
use crate::image::{mask_hash, read};

/// What an image was used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// A good image that was trained on.
    Train,
    /// A defective image that was trained on.
    KnownDefect,
    /// A good image kept from training, to calibrate with.
    HeldOut,
    /// A good image to test on.
    TestGood,
    /// A defective image to test on.
    TestBad,
}

impl Role {
    /// Whether a test on such an image would say nothing: the model was trained on it, or it is kept for calibration.
    pub fn is_kept_from_tests(self) -> bool {
        !matches!(self, Role::TestGood | Role::TestBad)
    }

    /// The role in a reader's words.
    pub fn in_words(self) -> &'static str {
        match self {
            Role::Train => "a good image to train on",
            Role::KnownDefect => "a known defect to train on",
            Role::HeldOut => "a good image held out to calibrate with",
            Role::TestGood => "a good image to test on",
            Role::TestBad => "a defective image to test on",
        }
    }
}

/// One image of a [`SplitRecord`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageRecord {
    /// Its file: below the data folder with `/` between the parts, or absolute.
    pub path: String,
    /// SHA-256 of the file; `None` if it could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// What it was used for.
    pub role: Role,
    /// The type of its defect; `None` of a good image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub defect: Option<String>,
    /// The file of its mask, written as `path` is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask: Option<String>,
    /// SHA-256 of the mask's file; `None` if there is none or it could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask_sha256: Option<String>,
}

/// The images of a training and its tests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SplitRecord {
    /// The data folder or manifest, an absolute path.
    pub data: String,
    /// Every image, in the order of [`Split`]'s lists.
    pub images: Vec<ImageRecord>,
}

/// Why the images of a record cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SplitRecordError {
    /// There is no such data folder.
    #[error("{}: the data folder of the training is not there any more; say where it is now", data.display())]
    NoFolder {
        /// Where it was looked for.
        data: PathBuf,
    },
    /// Images are not in the folder.
    #[error(
        "{}: expected the {of} images of the training, found {} of them, {first} for instance is missing; \
         say where the data folder is now, or bring the images back",
        data.display(), of - missing
    )]
    Missing {
        /// The data folder.
        data: PathBuf,
        /// The first that is missing, as it is recorded.
        first: String,
        /// How many are missing.
        missing: usize,
        /// How many there should be.
        of: usize,
    },
}

impl SplitRecord {
    /// Reads every file of `split` and records it; `data` is its data folder or manifest.
    ///
    /// # Errors
    ///
    /// If the working directory, at which relative paths start, cannot be found.
    pub fn of(split: &Split, data: &Path) -> io::Result<SplitRecord> {
        let root = absolute(data_folder(data))?;
        let written = |path: &Path| io::Result::Ok(folder::portable(&absolute(path)?, &root));
        let record = |(sample, role): (&Sample, Role)| -> io::Result<ImageRecord> {
            let hash = |path: &Path| read(path).ok().map(|bytes| content_hash(&bytes));
            Ok(ImageRecord {
                path: written(&sample.path)?,
                sha256: hash(&sample.path),
                role,
                defect: sample.kind.defect().map(str::to_owned),
                mask: sample.mask.as_deref().map(written).transpose()?,
                mask_sha256: sample.mask.as_deref().and_then(|mask| mask_hash(mask).ok()),
            })
        };
        let lists = [
            (&split.train, Role::Train),
            (&split.anomalies, Role::KnownDefect),
            (&split.hold_out, Role::HeldOut),
            (&split.test_good, Role::TestGood),
            (&split.test_bad, Role::TestBad),
        ];
        let samples: Vec<(&Sample, Role)> =
            lists.iter().flat_map(|&(list, role)| list.iter().map(move |sample| (sample, role))).collect();
        let images = samples.into_par_iter().map(record).collect::<io::Result<_>>()?;
        Ok(SplitRecord { data: absolute(data)?.to_string_lossy().into_owned(), images })
    }

    /// Refuses one content in both training and test or calibration; copies within training or within the tests do no more
    /// than count twice.
    ///
    /// # Errors
    ///
    /// [`DatasetError::SameContent`], which names all pairs of files.
    pub fn check_contents(&self) -> Result<(), DatasetError> {
        let is_trained = |image: &&ImageRecord| matches!(image.role, Role::Train | Role::KnownDefect);
        let hash_and_path = |image: &'_ ImageRecord| Some((image.sha256.clone()?, self.path_of(&image.path)));
        let trained: BTreeMap<String, PathBuf> =
            self.images.iter().filter(is_trained).filter_map(hash_and_path).collect();
        let others = self.images.iter().filter(|image| !is_trained(image)).filter_map(hash_and_path);
        let same = |(hash, tested)| Some(SameContent { trained: trained.get(&hash)?.clone(), tested });
        let pairs: Vec<SameContent> = others.filter_map(same).collect();
        if pairs.is_empty() { Ok(()) } else { Err(DatasetError::SameContent { pairs }) }
    }

    /// Leaves out images that were to be trained on and were not, because they could not be used.
    pub fn keep_trained(&mut self, trained_on: &[String]) {
        let trained: HashSet<&str> = trained_on.iter().map(String::as_str).collect();
        self.images.retain(|image| {
            !matches!(image.role, Role::Train | Role::KnownDefect)
                || image.sha256.as_deref().is_some_and(|hash| trained.contains(hash))
        });
    }

    /// The images as a split again. `data` is where the data folder is now; `None` for where it was.
    ///
    /// # Errors
    ///
    /// A [`SplitRecordError`] if the folder or an image is not there.
    pub fn split(&self, data: Option<&Path>) -> Result<Split, SplitRecordError> {
        let data = data.unwrap_or(Path::new(&self.data));
        if !data.exists() {
            return Err(SplitRecordError::NoFolder { data: data.to_owned() });
        }
        let root = data_folder(data);
        let mut split = Split {
            train: Vec::new(),
            anomalies: Vec::new(),
            hold_out: Vec::new(),
            test_good: Vec::new(),
            test_bad: Vec::new(),
        };
        let mut missing = self.images.iter().filter(|image| !root.join(&image.path).is_file());
        if let Some(first) = missing.next() {
            return Err(SplitRecordError::Missing {
                data: data.to_owned(),
                first: first.path.clone(),
                missing: 1 + missing.count(),
                of: self.images.len(),
            });
        }
        for image in &self.images {
            let kind = match &image.defect {
                None => Kind::Good,
                Some(name) => Kind::Defect(name.clone()),
            };
            let mask = image.mask.as_ref().map(|mask| root.join(mask));
            let list = match image.role {
                Role::Train => &mut split.train,
                Role::KnownDefect => &mut split.anomalies,
                Role::HeldOut => &mut split.hold_out,
                Role::TestGood => &mut split.test_good,
                Role::TestBad => &mut split.test_bad,
            };
            list.push(Sample { path: root.join(&image.path), mask, kind });
        }
        Ok(split)
    }

    /// The images of a role.
    pub fn of_role(&self, role: Role) -> impl Iterator<Item = &ImageRecord> {
        self.images.iter().filter(move |image| image.role == role)
    }

    /// How many images have each role.
    pub fn counts(&self) -> BTreeMap<Role, usize> {
        let mut counts = BTreeMap::new();
        self.images.iter().for_each(|image| *counts.entry(image.role).or_default() += 1);
        counts
    }

    /// The image of this content.
    pub fn with_content(&self, sha256: &str) -> Option<&ImageRecord> {
        self.images.iter().find(|image| image.sha256.as_deref() == Some(sha256))
    }

    fn path_of(&self, path: &str) -> PathBuf {
        data_folder(Path::new(&self.data)).join(path)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A data folder of files that need be no images, and a split of them.
    fn scene() -> (tempfile::TempDir, Split) {
        let folder = tempfile::tempdir().unwrap();
        let sample = |name: &str, kind: Kind| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, name).unwrap();
            Sample { path, mask: None, kind }
        };
        let bad = |name| sample(name, Kind::Defect("dent".to_owned()));
        let mut split = Split {
            train: vec![sample("good/0.png", Kind::Good), sample("good/1.png", Kind::Good)],
            anomalies: vec![bad("bad/dent/0.png")],
            hold_out: vec![sample("good/2.png", Kind::Good)],
            test_good: vec![sample("good/3.png", Kind::Good)],
            test_bad: vec![bad("bad/dent/1.png")],
        };
        split.anomalies[0].mask = Some(sample("masks/dent/0.png", Kind::Good).path);
        (folder, split)
    }

    #[test]
    fn a_split_comes_back_from_its_record_wherever_the_folder_is() {
        let (folder, split) = scene();
        let record = SplitRecord::of(&split, folder.path()).unwrap();
        let text = serde_json::to_string(&record).unwrap();
        let read: SplitRecord = serde_json::from_str(&text).unwrap();
        assert_eq!(read, record);
        assert_eq!(read.split(None).unwrap(), split);
        assert_eq!(record.images[0].path, "good/0.png");
        assert_eq!(record.images[0].sha256, Some(content_hash(b"good/0.png")));
        assert_eq!(record.counts().into_values().collect::<Vec<_>>(), [2, 1, 1, 1, 1]);

        let moved = tempfile::tempdir().unwrap();
        let now = moved.path().join("now");
        fs::rename(folder.path(), &now).unwrap();
        assert!(matches!(record.split(None), Err(SplitRecordError::NoFolder { .. })));
        assert_eq!(record.split(Some(&now)).unwrap().anomalies[0].mask, Some(now.join("masks/dent/0.png")));
        fs::remove_file(now.join("good/3.png")).unwrap();
        let error = record.split(Some(&now)).unwrap_err().to_string();
        assert!(error.contains("expected the 6 images") && error.contains("good/3.png"), "{error}");
    }

    #[test]
    fn one_content_in_training_and_test_is_refused() {
        let (folder, split) = scene();
        let record = || SplitRecord::of(&split, folder.path()).unwrap();
        record().check_contents().unwrap();
        fs::write(&split.train[1].path, "good/0.png").unwrap();
        record().check_contents().unwrap();
        fs::write(&split.hold_out[0].path, "good/0.png").unwrap();
        let error = record().check_contents().unwrap_err().to_string();
        assert!(error.contains("good/2.png"), "{error}");
    }

    #[test]
    fn what_could_not_be_trained_on_is_not_said_to_be() {
        let (folder, split) = scene();
        let mut record = SplitRecord::of(&split, folder.path()).unwrap();
        record.keep_trained(&[content_hash(b"good/1.png"), content_hash(b"bad/dent/0.png")]);
        let trained: Vec<&str> = record.of_role(Role::Train).map(|image| image.path.as_str()).collect();
        assert_eq!((trained, record.images.len()), (vec!["good/1.png"], 5));
    }
}
