//! Which images are trained on and which are tested on.
//!
//! ```text
//! general    N anomalies, round robin over the sorted defect types; tested on: all the others
//! hard:TYPE  N anomalies of TYPE;                                   tested on: all other types
//! ```
//!
//! Good images, held-out images and anomalies are drawn from three streams of one seed, each by shuffling the whole
//! sorted list once and taking from its front. So one choice does not disturb another, and five anomalies are among
//! the ten of the same seed.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::{Dataset, DatasetError, Kind, Layout, Sample, folder};
use crate::written::written_as_text;

/// One good image in this many is held out for the test where the folders do not divide them.
const HELD_OUT_ONE_IN: usize = 5;

/// Lists of samples, each sorted by path below the root; none of them is in two lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// Good images to train on.
    pub train: Vec<Sample>,
    /// Defective images to train on; those without a mask teach less.
    pub anomalies: Vec<Sample>,
    /// Good images kept from training, to calibrate with.
    pub hold_out: Vec<Sample>,
    /// Good images to test on.
    pub test_good: Vec<Sample>,
    /// Defective images to test on; those without a mask count for image figures only.
    pub test_bad: Vec<Sample>,
}

/// What to draw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SplitOptions {
    /// How many defective images to take out of the test set and train on.
    pub anomalies: usize,
    /// From which defect types.
    pub setting: Setting,
    /// Whether defective images without a mask may be among them.
    pub weak: bool,
    /// Train on so many good images at most; `None` for all.
    pub limit_normal: Option<usize>,
    /// Decides every choice.
    pub seed: u64,
}

/// From which defect types the training anomalies come. Written `general` or `hard:TYPE`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Setting {
    /// Evenly from all types; the other images of every type are tested on.
    General,
    /// All from the one type named, which is then not tested on: how well are unseen kinds of defect found?
    Hard(String),
}

impl Setting {
    /// Whether an image of this kind may be trained on as an anomaly.
    pub(super) fn trains_on(&self, kind: &Kind) -> bool {
        match self {
            Setting::General => kind.defect().is_some(),
            Setting::Hard(name) => kind.defect() == Some(name),
        }
    }

    /// Whether a defective image of this kind is tested on, if it is not trained on.
    fn tests_on(&self, kind: &Kind) -> bool {
        *self == Setting::General || !self.trains_on(kind)
    }
}

impl FromStr for Setting {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Setting, SettingError> {
        match text.split_once(':') {
            None if text == "general" => Ok(Setting::General),
            Some(("hard", name)) if !name.is_empty() => Ok(Setting::Hard(name.to_owned())),
            _ => Err(SettingError { found: text.to_owned() }),
        }
    }
}

written_as_text!(Setting);

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Setting::General => write!(f, "general"),
            Setting::Hard(name) => write!(f, "hard:{name}"),
        }
    }
}

/// A text that is no setting.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected the setting \"general\" or \"hard:TYPE\", found \"{found}\"")]
pub struct SettingError {
    /// What was written.
    pub found: String,
}

/// The streams of a seed.
#[derive(Clone, Copy)]
enum Stream {
    HeldOut = 1,
    Normal = 2,
    Anomalies = 3,
    Calibration = 4,
}

impl Split {
    /// Draws a split of `dataset`. The same files and options give the same split on every machine.
    ///
    /// # Errors
    ///
    /// If the type of a hard setting is unknown or the only one, if fewer defective images with masks are there than
    /// asked for, or if too few good images are.
    pub fn draw(dataset: &Dataset, options: &SplitOptions) -> Result<Split, DatasetError> {
        check_setting(dataset, &options.setting)?;
        let anomalies = draw_anomalies(dataset, options)?;
        let (normal, test_good) = divide_good(dataset, options.seed)?;
        let train = match options.limit_normal {
            Some(0) => return Err(DatasetError::NoNormalAsked),
            Some(limit) => take(shuffled(&normal, &mut stream(options.seed, Stream::Normal)), limit),
            None => normal,
        };
        let test_bad = dataset
            .test_bad
            .iter()
            .filter(|sample| options.setting.tests_on(&sample.kind) && !anomalies.contains(sample))
            .cloned()
            .collect();
        let mut split = Split { train, anomalies, hold_out: Vec::new(), test_good, test_bad };
        for samples in [&mut split.train, &mut split.anomalies, &mut split.test_good, &mut split.test_bad] {
            samples.sort_by_cached_key(|sample| folder::portable(&sample.path, &dataset.root));
        }
        Ok(split)
    }

    /// Moves a share of the good images from training to calibration, at random; at least one stays.
    pub fn hold_out(&mut self, share: f64, seed: u64) {
        let count =
            ((self.train.len() as f64 * share).round() as usize).min(self.train.len().saturating_sub(1));
        let chosen = take(shuffled(&self.train, &mut stream(seed, Stream::Calibration)), count);
        let (held, train) =
            std::mem::take(&mut self.train).into_iter().partition(|sample| chosen.contains(sample));
        (self.hold_out, self.train) = (held, train);
    }
}

fn check_setting(dataset: &Dataset, setting: &Setting) -> Result<(), DatasetError> {
    let Setting::Hard(asked) = setting else { return Ok(()) };
    let known = dataset.defect_types();
    if !known.contains(asked) {
        return Err(DatasetError::UnknownType { root: dataset.root.clone(), asked: asked.clone(), known });
    }
    if known.len() == 1 {
        return Err(DatasetError::OnlyType { root: dataset.root.clone(), asked: asked.clone() });
    }
    Ok(())
}

/// Round robin over the sorted types, a seeded order within each; a type that runs out is passed over.
fn draw_anomalies(dataset: &Dataset, options: &SplitOptions) -> Result<Vec<Sample>, DatasetError> {
    let trainable = dataset.trainable_anomalies(&options.setting, options.weak);
    if trainable < options.anomalies {
        let allowed = dataset.pool().iter().filter(|sample| options.setting.trains_on(&sample.kind)).count();
        return Err(DatasetError::NotEnoughAnomalies {
            root: dataset.root.clone(),
            setting: options.setting.clone(),
            asked: options.anomalies,
            with_mask: trainable,
            without_mask: allowed - trainable,
        });
    }
    let mut by_type: BTreeMap<&str, Vec<Sample>> = BTreeMap::new();
    for sample in dataset.pool() {
        if let Some(name) = sample.kind.defect()
            && (options.weak || sample.mask.is_some())
            && options.setting.trains_on(&sample.kind)
        {
            by_type.entry(name).or_default().push(sample.clone());
        }
    }
    let mut rng = stream(options.seed, Stream::Anomalies);
    let queues: Vec<Vec<Sample>> = by_type.values().map(|samples| shuffled(samples, &mut rng)).collect();
    let rounds = queues.iter().map(Vec::len).max().unwrap_or(0);
    let in_turn = (0..rounds).flat_map(|round| queues.iter().filter_map(move |queue| queue.get(round)));
    Ok(in_turn.take(options.anomalies).cloned().collect())
}

/// Good images to train on and to test on.
fn divide_good(dataset: &Dataset, seed: u64) -> Result<(Vec<Sample>, Vec<Sample>), DatasetError> {
    match dataset.layout {
        Layout::Mvtec => Ok((dataset.train_good.clone(), dataset.test_good.clone())),
        Layout::Plain => {
            let good = &dataset.train_good;
            if good.len() < 2 {
                return Err(DatasetError::NotEnoughGood { root: dataset.root.clone(), found: good.len() });
            }
            let held_out = (good.len() / HELD_OUT_ONE_IN).max(1);
            let mut test = shuffled(good, &mut stream(seed, Stream::HeldOut));
            // Sorted again, so that a limit on the rest is a draw from a sorted list as everywhere.
            let mut train = test.split_off(held_out);
            train.sort_by_cached_key(|sample| folder::portable(&sample.path, &dataset.root));
            Ok((train, test))
        }
    }
}

fn stream(seed: u64, stream: Stream) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream as u64);
    rng
}

/// Fisher-Yates. Indices are drawn as `u32`, whose draw does not depend on the machine's word.
fn shuffled(samples: &[Sample], rng: &mut ChaCha8Rng) -> Vec<Sample> {
    let mut samples = samples.to_vec();
    for last in (1..samples.len()).rev() {
        samples.swap(last, rng.random_range(0..=last as u32) as usize);
    }
    samples
}

fn take(mut samples: Vec<Sample>, limit: usize) -> Vec<Sample> {
    samples.truncate(limit);
    samples
}
