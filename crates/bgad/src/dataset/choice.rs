//! Which images of a data folder are used for what, as far as somebody says so; the rest follows here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Dataset, DatasetError, Finding, Setting, Split, SplitOptions, SplitRecordError};
use crate::model::{Model, ModelError};
use crate::options::DEFAULT_ANOMALIES;
use crate::weights::Weights;

/// So many findings of one kind about a data folder are listed by name.
const FINDINGS_SHOWN: usize = 5;

/// What was said about the images of a training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Choice {
    /// Known defects to learn from; `None` for ten, or fewer if there are not as many.
    pub anomalies: Option<usize>,
    /// From which types they come.
    pub setting: Setting,
    /// Whether defective images without a mask may be among them.
    pub weak: bool,
    /// Decides every random choice.
    pub seed: u64,
    /// Learn from so many good images at most; `None` for all.
    pub limit_normal: Option<usize>,
    /// Share of the good images that is kept from training, to calibrate with. Above 0, below 1.
    pub hold_out: Option<f64>,
    /// A split file, or a model that carries its split: it says it all, and nothing is drawn.
    pub split: Option<PathBuf>,
}

impl Default for Choice {
    fn default() -> Choice {
        Choice {
            anomalies: None,
            setting: Setting::General,
            weak: false,
            seed: 0,
            limit_normal: None,
            hold_out: None,
            split: None,
        }
    }
}

/// The images, and what should be said about them.
#[derive(Clone, Debug, PartialEq)]
pub struct Chosen {
    /// The images.
    pub split: Split,
    /// What is not used, or not as asked for: a sentence each.
    pub notes: Vec<String>,
}

impl Choice {
    /// Reads the split file, or draws a split of the folder `data`.
    ///
    /// # Errors
    ///
    /// As [`read_split`], [`Dataset::open`] and [`Split::draw`].
    pub fn of(&self, data: &Path) -> Result<Chosen, ChoiceError> {
        if let Some(path) = &self.split {
            return Ok(Chosen { split: read_split(path, data, self.weak)?, notes: Vec::new() });
        }
        let dataset = Dataset::open(data)?;
        let mut notes = findings(&dataset);
        let anomalies = self.anomalies.unwrap_or_else(|| self.default_anomalies(&dataset, &mut notes));
        let setting = self.setting.clone();
        let &Choice { weak, limit_normal, seed, .. } = self;
        let mut split =
            Split::draw(&dataset, &SplitOptions { anomalies, setting, weak, limit_normal, seed })?;
        if let Some(share) = self.hold_out {
            split.hold_out(share, seed);
        }
        if split.test_bad.is_empty() && !split.anomalies.is_empty() {
            notes.push("no defective image is left to test on".to_owned());
        }
        Ok(Chosen { split, notes })
    }

    /// Ten, or what there is; never all, so that some are left to test on.
    fn default_anomalies(&self, dataset: &Dataset, notes: &mut Vec<String>) -> usize {
        let Choice { setting, weak, .. } = self;
        let defective = dataset.test_bad.len();
        let trainable = dataset.trainable_anomalies(setting, *weak);
        let wanted = DEFAULT_ANOMALIES;
        if !dataset.train_bad.is_empty() {
            // The data themselves say which defects are for training: all of them.
            return trainable;
        }
        if defective == 0 {
            notes.push("there are no defective images: training on good images alone".to_owned());
            return 0;
        }
        let (anomalies, why) = if *setting == Setting::General && trainable.min(wanted) >= defective {
            (defective / 2, format!("of {defective} defective images half are left to test on"))
        } else {
            (
                trainable.min(wanted),
                format!(
                    "of {defective} defective images {trainable} can be trained on: those with a mask (or any, with --weak), of setting {setting}"
                ),
            )
        };
        if anomalies < wanted {
            notes.push(format!("training with {anomalies} known defects instead of {wanted}: {why}"));
        }
        anomalies
    }
}

/// What is not used or does not pair: each kind of it, the first few by name.
fn findings(dataset: &Dataset) -> Vec<String> {
    let mut kinds: BTreeMap<&str, Vec<&Finding>> = BTreeMap::new();
    for finding in &dataset.findings {
        kinds.entry(&finding.problem).or_default().push(finding);
    }
    let mut notes = Vec::new();
    for (problem, findings) in kinds {
        notes.extend(findings.iter().take(FINDINGS_SHOWN).map(ToString::to_string));
        if let more @ 1.. = findings.len().saturating_sub(FINDINGS_SHOWN) {
            notes.push(format!("{more} more: {problem} (bgad doctor lists all)"));
        }
    }
    notes
}

/// The split of a split file, or that a model carries; `data` is the data folder. With `weak`, known defects need no mask.
///
/// # Errors
///
/// A [`ChoiceError`] that names the file.
pub fn read_split(file: &Path, data: &Path, weak: bool) -> Result<Split, ChoiceError> {
    // A file that is no JSON but a model; a pipe can be read once only.
    if file.is_file() && Weights::open(file).is_ok_and(|weights| weights.metadata("bgad").is_some()) {
        let model = Model::open(file)?;
        let record = model.header.training.split.as_ref();
        let record = record.ok_or_else(|| ChoiceError::NoSplit { model: file.to_owned() })?;
        return Ok(record.split(Some(data))?);
    }
    let read = if weak { Split::read_weak } else { Split::read };
    Ok(read(file, data)?)
}

/// Why there is no split.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChoiceError {
    /// The folder or the split file cannot be used.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// The model cannot be read.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The images of the model's split are not all there.
    #[error(transparent)]
    Record(#[from] SplitRecordError),
    /// The model is of a time when it did not say.
    #[error("{}: the model does not carry its split", model.display())]
    NoSplit {
        /// The model file.
        model: PathBuf,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// A folder in the plain layout with so many good images and defective ones, which nobody opens.
    fn folder(good: usize, bad: usize) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, count) in [("good", good), ("bad/dent", bad), ("masks/dent", bad)] {
            fs::create_dir_all(folder.path().join(name)).expect("a folder");
            for i in 0..count {
                fs::write(folder.path().join(format!("{name}/{i:03}.png")), []).expect("a file");
            }
        }
        folder
    }

    #[test]
    fn some_defects_are_always_left_to_test_on() {
        for (bad, trained) in [(0, 0), (1, 0), (6, 3), (10, 5), (11, 10), (40, 10)] {
            let chosen = Choice::default().of(folder(20, bad).path()).expect("a split");
            assert_eq!(chosen.split.anomalies.len(), trained, "of {bad}");
            assert_eq!(chosen.notes.is_empty(), trained == DEFAULT_ANOMALIES, "{:?}", chosen.notes);
        }
    }

    #[test]
    fn what_was_asked_for_is_done() {
        let choice = Choice { anomalies: Some(2), limit_normal: Some(5), ..Choice::default() };
        let chosen = choice.of(folder(20, 6).path()).expect("a split");
        assert_eq!((chosen.split.anomalies.len(), chosen.split.train.len()), (2, 5));
        assert!(chosen.notes.is_empty());
    }
}
