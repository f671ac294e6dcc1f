//! What an image is, whatever it is called: the SHA-256 of its file.
//!
//! A name says nothing: a folder may hold one picture under two. A picture that is trained on and tested on makes a
//! figure look better than it is, so [`Split::check_contents`] compares contents.

use std::collections::BTreeMap;
use std::path::PathBuf;

use rayon::prelude::*;

use super::{DatasetError, Sample, Split};
use crate::image::read;
use crate::weights::sha256_hex;

/// The content hash of a file's bytes: SHA-256, 64 lower-case hexadecimal digits. Models remember the images that they
/// were trained on by it.
pub fn content_hash(bytes: &[u8]) -> String {
    sha256_hex(bytes)
}

/// One image that is trained on under one name and tested on under another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SameContent {
    /// The file to train on.
    pub trained: PathBuf,
    /// The file to test on.
    pub tested: PathBuf,
}

impl Split {
    /// Reads every file of the split and refuses one content in both training and test.
    ///
    /// Copies within training or within the test do no more than count twice, and are let through. A file that cannot
    /// be read is skipped: whoever uses it reports it.
    ///
    /// # Errors
    ///
    /// [`DatasetError::SameContent`], which names all such pairs of files.
    pub fn check_contents(&self) -> Result<(), DatasetError> {
        let hashes = |lists: &[&Vec<Sample>]| -> Vec<(String, PathBuf)> {
            let samples: Vec<&Sample> = lists.iter().copied().flatten().collect();
            let hash = |sample: &Sample| {
                read(&sample.path).ok().map(|bytes| (content_hash(&bytes), sample.path.clone()))
            };
            samples.into_par_iter().filter_map(hash).collect()
        };
        let trained: BTreeMap<String, PathBuf> =
            hashes(&[&self.train, &self.anomalies]).into_iter().rev().collect();
        let tested = hashes(&[&self.test_good, &self.test_bad, &self.hold_out]);
        let same = |(hash, tested): (String, PathBuf)| {
            trained.get(&hash).map(|trained| SameContent { trained: trained.clone(), tested })
        };
        let pairs: Vec<SameContent> = tested.into_iter().filter_map(same).collect();
        if pairs.is_empty() { Ok(()) } else { Err(DatasetError::SameContent { pairs }) }
    }
}
