//! Images to test on, without those that a model knows.

use std::collections::HashSet;
use std::path::Path;

use rayon::prelude::*;

use crate::dataset::{Dataset, DatasetError, Layout, Sample, Split, content_hash};
use crate::image::read;
use crate::model::Header;

/// The images to test on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestSet {
    /// Good images.
    pub good: Vec<Sample>,
    /// Defective images.
    pub bad: Vec<Sample>,
    /// How many were left out because one of the models was trained on them or calibrated with them, or keeps them for
    /// calibration. They are recognised by their content.
    pub known: usize,
}

impl TestSet {
    /// The test images of a data folder that none of the models knows.
    ///
    /// # Errors
    ///
    /// As [`Dataset::open`].
    pub fn of_folder(data: &Path, models: &[&Header]) -> Result<TestSet, DatasetError> {
        let dataset = Dataset::open(data)?;
        let good = match dataset.layout {
            Layout::Mvtec => dataset.test_good,
            // All are candidates: those trained on are recognised by their content.
            Layout::Plain => dataset.train_good,
        };
        Ok(TestSet::without_known(good, dataset.test_bad, models))
    }

    /// The test images of a split that none of the models knows.
    pub fn of_split(split: Split, models: &[&Header]) -> TestSet {
        TestSet::without_known(split.test_good, split.test_bad, models)
    }

    /// How many images there are.
    pub fn len(&self) -> usize {
        self.good.len() + self.bad.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn without_known(good: Vec<Sample>, bad: Vec<Sample>, models: &[&Header]) -> TestSet {
        let known: HashSet<&str> = models.iter().flat_map(|header| known_to(header)).collect();
        let all = good.len() + bad.len();
        let unseen = |samples: Vec<Sample>| -> Vec<Sample> {
            let is_known = |sample: &Sample| {
                // A file that cannot be read is reported when it is to be scored.
                read(&sample.path).is_ok_and(|bytes| known.contains(content_hash(&bytes).as_str()))
            };
            samples.into_par_iter().filter(|sample| !is_known(sample)).collect()
        };
        let (good, bad) = (unseen(good), unseen(bad));
        TestSet { known: all - good.len() - bad.len(), good, bad }
    }
}

/// Hashes of the images that a test of this model must not use.
fn known_to(header: &Header) -> impl Iterator<Item = &str> {
    let calibrated = header.calibration.iter().flat_map(|calibration| &calibration.images_sha256);
    let recorded = header.training.split.iter().flat_map(|split| &split.images);
    let kept = recorded.filter(|image| image.role.is_kept_from_tests()).filter_map(|i| i.sha256.as_ref());
    header.training.trained_on.iter().chain(calibrated).chain(kept).map(String::as_str)
}
