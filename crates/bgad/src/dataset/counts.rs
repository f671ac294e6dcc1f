//! How many images there are of each kind, in numbers that add up.

use std::fmt;

use serde::Serialize;

use super::{Dataset, Sample, Split};

/// The images of a data folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct DatasetCounts {
    /// Good images to train on, or to divide.
    pub train_good: usize,
    /// Good images that the folder keeps for testing.
    pub test_good: usize,
    /// Defective images that the folder keeps for training.
    pub train_bad: usize,
    /// Defective images to test on, or to draw from.
    pub test_bad: usize,
    /// Defective images with a mask.
    pub with_mask: usize,
    /// Files that are not used; each is in [`Dataset::findings`], alone or with its folder.
    pub unused: usize,
}

/// The images of a split.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct SplitCounts {
    /// Good images to train on.
    pub train: usize,
    /// Good images kept to calibrate with.
    pub hold_out: usize,
    /// Good images to test on.
    pub test_good: usize,
    /// Known defects to train on.
    pub anomalies: usize,
    /// Defective images to test on.
    pub test_bad: usize,
    /// Those of them without a mask, which count for image figures only.
    pub test_bad_without_mask: usize,
}

impl Dataset {
    /// How many images of each kind the folder holds.
    pub fn counts(&self) -> DatasetCounts {
        let defective = || self.train_bad.iter().chain(&self.test_bad);
        let unused = |finding: &&super::Finding| finding.problem.contains("not used");
        DatasetCounts {
            train_good: self.train_good.len(),
            test_good: self.test_good.len(),
            train_bad: self.train_bad.len(),
            test_bad: self.test_bad.len(),
            with_mask: defective().filter(|sample| sample.mask.is_some()).count(),
            unused: self.findings.iter().filter(unused).map(|finding| finding.files).sum(),
        }
    }
}

impl Split {
    /// How many images of each kind the split has.
    pub fn counts(&self) -> SplitCounts {
        let maskless = |sample: &&Sample| sample.mask.is_none();
        SplitCounts {
            train: self.train.len(),
            hold_out: self.hold_out.len(),
            test_good: self.test_good.len(),
            anomalies: self.anomalies.len(),
            test_bad: self.test_bad.len(),
            test_bad_without_mask: self.test_bad.iter().filter(maskless).count(),
        }
    }
}

impl fmt::Display for SplitCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SplitCounts { train, hold_out, test_good, anomalies, test_bad, test_bad_without_mask } = *self;
        write!(f, "{} good images: {train} to learn from", train + hold_out + test_good)?;
        write!(f, ", {hold_out} held out to calibrate with, {test_good} to test on; ")?;
        write!(f, "{} defective: {anomalies} to learn from, {test_bad} to test on", anomalies + test_bad)?;
        match test_bad_without_mask {
            0 => Ok(()),
            n => write!(f, " ({n} of them without a mask)"),
        }
    }
}
