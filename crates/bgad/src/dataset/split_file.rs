//! The split file: four lists of paths in JSON, so that a run can be repeated and a test set agreed on.
//!
//! ```text
//! {"train": [PATH..], "anomalies": [PATH..], "test_good": [PATH..], "test_bad": [PATH..], "hold_out": [PATH..]}
//! ```
//!
//! A path is absolute, or relative to the data folder with `/` between its parts (`\` is read too). Masks are not
//! listed: they are found as in a data folder, in `ground_truth/` or `masks/`; `"masks": {IMAGE: MASK}` names those that
//! lie elsewhere. `"data"` is the data folder, for whoever finds the split file beside a model: absolute, or relative to the
//! split file's folder.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{durable, outside};

use super::folder::{self, Survey};
use super::masks::{self, MaskIndex};
use super::{Dataset, DatasetError, GOOD, Kind, Sample, Split, data_folder};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Lists {
    train: Vec<String>,
    #[serde(default)]
    anomalies: Vec<String>,
    #[serde(default)]
    test_good: Vec<String>,
    #[serde(default)]
    test_bad: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    hold_out: Vec<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    masks: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data: Option<PathBuf>,
}

impl Lists {
    fn read(path: &Path) -> Result<Lists, DatasetError> {
        let unreadable = |error| DatasetError::Unreadable { path: path.to_owned(), error };
        let text = outside::read_text(path).map_err(unreadable)?;
        serde_json::from_str(&text)
            .map_err(|error| DatasetError::SplitSyntax { path: path.to_owned(), error })
    }
}

impl Split {
    /// Reads a split file; its relative paths start at the data folder `root`, which need not have a known layout.
    ///
    /// The lists decide what is good and what is defective; the defect type is the name of the image's folder.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or is not of the form above, if a path does not exist or is listed twice, if no
    /// image is left to train on, or if an anomaly to train on has no mask. The path is named.
    pub fn read(path: &Path, root: &Path) -> Result<Split, DatasetError> {
        let split = Split::read_weak(path, root)?;
        match split.anomalies.iter().find(|sample| sample.mask.is_none()) {
            Some(sample) => {
                let entry = folder::portable(&sample.path, data_folder(root));
                Err(DatasetError::SplitWithoutMask { split: path.to_owned(), entry })
            }
            None => Ok(split),
        }
    }

    /// As [`Split::read`], but anomalies to train on need no mask.
    ///
    /// # Errors
    ///
    /// As [`Split::read`].
    pub fn read_weak(path: &Path, root: &Path) -> Result<Split, DatasetError> {
        let lists = Lists::read(path)?;
        let mut reader =
            Reader { split: path, root: data_folder(root), listed: BTreeMap::new(), masks: &lists.masks };
        let mut split = Split {
            train: reader.samples("train", &lists.train)?,
            anomalies: reader.samples("anomalies", &lists.anomalies)?,
            test_good: reader.samples("test_good", &lists.test_good)?,
            test_bad: reader.samples("test_bad", &lists.test_bad)?,
            hold_out: reader.samples("hold_out", &lists.hold_out)?,
        };
        if split.train.is_empty() {
            return Err(DatasetError::SplitWithoutTrain { split: path.to_owned() });
        }
        match Dataset::open(root) {
            // A list knows types and masks better than names do.
            Ok(dataset) if dataset.listed => reader.as_listed(&mut split, dataset),
            Ok(dataset) => {
                // So does the layout; images from elsewhere are looked for by their names.
                reader.as_listed(&mut split, dataset);
                reader.find_masks(&mut split);
            }
            Err(_) => reader.find_masks(&mut split),
        }
        let root = reader.root;
        for samples in [
            &mut split.train,
            &mut split.anomalies,
            &mut split.test_good,
            &mut split.test_bad,
            &mut split.hold_out,
        ] {
            samples.sort_by_cached_key(|sample| folder::portable(&sample.path, root));
        }
        Ok(split)
    }

    /// The data folder that a split file was written for; `None` if it does not say.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or is not of the form above.
    pub fn data_folder(path: &Path) -> Result<Option<PathBuf>, DatasetError> {
        Ok(Lists::read(path)?.data.map(|data| folder_of(path).join(data)))
    }

    /// Writes the split file, with paths relative to `root` where they are below it. Whoever reads the file while
    /// this runs, or after it was interrupted, finds the old one or the new one, whole.
    ///
    /// # Errors
    ///
    /// If the file cannot be written; the old one, if any, is then untouched.
    pub fn write(&self, path: &Path, root: &Path) -> Result<(), DatasetError> {
        let (data, root) = (root, data_folder(root));
        let unwritable = |error| DatasetError::Unwritable { path: path.to_owned(), error };
        let list = |samples: &[Sample]| -> io::Result<Vec<String>> {
            samples.iter().map(|sample| written(&sample.path, root)).collect()
        };
        let write = || -> io::Result<()> {
            let lists = Lists {
                train: list(&self.train)?,
                anomalies: list(&self.anomalies)?,
                test_good: list(&self.test_good)?,
                test_bad: list(&self.test_bad)?,
                hold_out: list(&self.hold_out)?,
                masks: self.masks_elsewhere(root)?,
                data: Some(seen_from(data, folder_of(path))?),
            };
            let mut text = serde_json::to_string_pretty(&lists)?;
            text.push('\n');
            durable::replace(path, text.as_bytes())
        };
        write().map_err(unwritable)
    }

    /// The masks to train with that are not found by their names below `root`.
    fn masks_elsewhere(&self, root: &Path) -> io::Result<BTreeMap<String, String>> {
        let below = |path: &Path| io::Result::Ok(Path::new(&written(path, root)?).is_relative());
        let mut masks = BTreeMap::new();
        for sample in &self.anomalies {
            if let Some(mask) = &sample.mask
                && !(below(&sample.path)? && below(mask)?)
            {
                masks.insert(written(&sample.path, root)?, written(mask, root)?);
            }
        }
        Ok(masks)
    }
}

/// What is known while the four lists are read.
struct Reader<'a> {
    split: &'a Path,
    root: &'a Path,
    /// In which list each file was, links resolved.
    listed: BTreeMap<PathBuf, &'static str>,
    /// Masks that the file names, by their images.
    masks: &'a BTreeMap<String, String>,
}

impl Reader<'_> {
    fn samples(&mut self, list: &'static str, entries: &[String]) -> Result<Vec<Sample>, DatasetError> {
        entries.iter().map(|entry| self.sample(list, entry)).collect()
    }

    fn sample(&mut self, list: &'static str, entry: &str) -> Result<Sample, DatasetError> {
        let (split, missing) = (self.split.to_owned(), entry.to_owned());
        // On Unix a name may hold a backslash; the path as it stands goes first.
        let path = [entry.to_owned(), entry.replace('\\', "/")]
            .into_iter()
            .map(|entry| self.root.join(entry))
            .find(|path| path.is_file())
            .ok_or(DatasetError::SplitMissing { split, list, entry: missing, root: self.root.to_owned() })?;

        let resolved =
            path.canonicalize().map_err(|error| DatasetError::Unreadable { path: path.clone(), error })?;
        if let Some(earlier) = self.listed.insert(resolved, list) {
            let (split, entry) = (self.split.to_owned(), entry.to_owned());
            return Err(DatasetError::SplitTwice { split, entry, lists: [earlier, list] });
        }
        let kind = match list {
            "train" | "test_good" | "hold_out" => Kind::Good,
            _ => Kind::Defect(self.defect_type(list, entry, &path)?),
        };
        Ok(Sample { path, mask: None, kind })
    }

    /// The name of the image's folder.
    fn defect_type(&self, list: &'static str, entry: &str, path: &Path) -> Result<String, DatasetError> {
        let folder = path.parent().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
        let folder = folder.unwrap_or_default();
        if GOOD.iter().any(|good| folder.eq_ignore_ascii_case(good)) {
            let (split, entry) = (self.split.to_owned(), entry.to_owned());
            return Err(DatasetError::SplitGoodAsBad { split, list, entry });
        }
        Ok(folder)
    }

    fn find_masks(&self, split: &mut Split) {
        let bases = |image: &Path| -> Vec<PathBuf> {
            // Elsewhere than below the root, the data folder is one above bad/ or two above test/TYPE/.
            let below = image.starts_with(self.root).then(|| self.root.to_owned());
            let above = image.ancestors().skip(2).take(2).map(Path::to_owned);
            below.into_iter().chain(above).collect()
        };
        let mut indices: BTreeMap<PathBuf, MaskIndex> = BTreeMap::new();
        for sample in split.anomalies.iter().chain(&split.test_bad) {
            for base in bases(&sample.path) {
                // Left-overs of a data folder are no fault of a split that does not name them.
                let scan = |base: &PathBuf| MaskIndex::scan(base, &mut Survey::default()).unwrap_or_default();
                indices.entry(base).or_insert_with_key(scan);
            }
        }
        let index_of = |image: &Path| bases(image).iter().filter_map(|base| indices.get(base)).collect();

        // Both lists at once: a mask that fits an image of either list is of one of them only.
        let anomalies = split.anomalies.len();
        let mut defective = std::mem::take(&mut split.anomalies);
        defective.append(&mut split.test_bad);
        masks::pair(&mut defective, index_of);
        split.test_bad = defective.split_off(anomalies);
        split.anomalies = defective;
        self.name_masks(split);
    }

    /// Takes types and masks from a list; an image that is not in it has no mask.
    fn as_listed(&self, split: &mut Split, dataset: Dataset) {
        let resolved = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let listed: BTreeMap<PathBuf, Sample> = [dataset.train_bad, dataset.test_bad]
            .into_iter()
            .flatten()
            .map(|sample| (resolved(&sample.path), sample))
            .collect();
        for sample in split.anomalies.iter_mut().chain(&mut split.test_bad) {
            if let Some(known) = listed.get(&resolved(&sample.path)) {
                (sample.mask, sample.kind) = (known.mask.clone(), known.kind.clone());
            }
        }
        self.name_masks(split);
    }

    /// The masks that the file names.
    fn name_masks(&self, split: &mut Split) {
        for (image, mask) in self.masks {
            let image = self.root.join(image);
            if let Some(sample) = split.anomalies.iter_mut().find(|sample| sample.path == image) {
                sample.mask = Some(self.root.join(mask));
            }
        }
    }
}

fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A folder, relative to another if it is in there.
fn seen_from(folder: &Path, from: &Path) -> io::Result<PathBuf> {
    let (folder, from) = (std::path::absolute(folder)?, std::path::absolute(from)?);
    Ok(match folder.strip_prefix(&from) {
        Ok(below) if below.as_os_str().is_empty() => PathBuf::from("."),
        Ok(below) => below.to_owned(),
        Err(_) => folder,
    })
}

/// A path as the file holds it.
fn written(path: &Path, root: &Path) -> io::Result<String> {
    // The same folder may be written in two ways, relative here and absolute there.
    let (path, root) = (std::path::absolute(path)?, std::path::absolute(root)?);
    Ok(folder::portable(&path, &root))
}
