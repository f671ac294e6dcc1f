//! What an image is, whatever it is called: the SHA-256 of its file.
//!
//! A name says nothing: a folder may hold one picture under two. A picture that is trained on and tested on makes a
//! figure look better than it is, so [`Split::check_contents`] compares contents.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::{DatasetError, Sample, Split};
use crate::image::read;
use crate::weights::sha256_hex;

/// The content hash of a file's bytes: SHA-256, 64 lower-case hexadecimal digits. Models remember the images that they
/// were trained on by it.
pub fn content_hash(bytes: &[u8]) -> String {
    sha256_hex(bytes)
}

impl Split {
    /// Reads every file of the split and refuses one content in both training and test.
    ///
    /// Copies within training or within the test do no more than count twice, and are let through. A file that cannot
    /// be read is skipped: whoever uses it reports it.
    ///
    /// # Errors
    ///
    /// [`DatasetError::SameContent`], which names both files.
    pub fn check_contents(&self) -> Result<(), DatasetError> {
        let hashes = |lists: &[&Vec<Sample>]| -> Vec<(String, Sample)> {
            let samples: Vec<&Sample> = lists.iter().copied().flatten().collect();
            let hash =
                |sample: &Sample| read(&sample.path).ok().map(|bytes| (content_hash(&bytes), sample.clone()));
            samples.into_par_iter().filter_map(hash).collect()
        };
        let trained: BTreeMap<String, Sample> = hashes(&[&self.train, &self.anomalies]).into_iter().collect();
        for (hash, tested) in hashes(&[&self.test_good, &self.test_bad, &self.hold_out]) {
            if let Some(sample) = trained.get(&hash) {
                let (trained, tested) = (sample.path.clone(), tested.path);
                return Err(DatasetError::SameContent { trained, tested });
            }
        }
        Ok(())
    }
}
