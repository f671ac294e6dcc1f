//! One version of a model, made ready to judge.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use std::{fs, io};

use bgad::model::{ModelError, TestVectorError};
pub(crate) use bgad::printable::chain;
use bgad::record::Recipe;
use bgad::{Detector, Frame, Layout, Model};

use crate::drift::Drift;
use crate::picture::Judged;

/// A version that serves. Requests hold it until they are answered, so an old one ends by itself.
#[derive(Debug)]
pub struct Version {
    pub(crate) model: String,
    pub(crate) number: u64,
    pub(crate) sha256: String,
    pub(crate) detector: Detector,
    /// What records say of the model.
    pub(crate) recipe: Recipe,
    pub(crate) stamp: Stamp,
    pub(crate) usage: Usage,
    pub(crate) drift: Drift,
}

/// Tells whether a file was replaced, without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    modified: Option<SystemTime>,
    len: u64,
}

impl Stamp {
    pub(crate) fn of(path: &Path) -> io::Result<Stamp> {
        let about = fs::metadata(path)?;
        Ok(Stamp { modified: about.modified().ok(), len: about.len() })
    }
}

/// Why a model file does not serve.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VersionError {
    /// The file cannot be read.
    #[error("{path}: cannot be read: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file was written while it was read.
    #[error("{path}: the file changed while it was read; it is tried again")]
    Changing {
        /// The file.
        path: PathBuf,
    },
    /// It is no sound model file.
    #[error("{}", chain(.0))]
    Model(#[from] ModelError),
    /// The model opens but does not score.
    #[error("{path}: the model gives a score that is no number for a grey picture")]
    Score {
        /// The file.
        path: PathBuf,
    },
    /// The model gives other numbers here than where it was trained.
    #[error("{path}: {source}")]
    TestVector {
        /// The file.
        path: PathBuf,
        /// Which numbers.
        source: TestVectorError,
    },
}

impl Version {
    /// Opens a model file and proves that it judges.
    pub(crate) fn open(model: &str, number: u64, path: &Path) -> Result<Version, VersionError> {
        let read = |source| VersionError::Read { path: path.to_owned(), source };
        let stamp = Stamp::of(path).map_err(read)?;
        let (opened, bytes) = Model::open_with_bytes(path)?;
        let detector = Detector::new(&opened)?;
        if Stamp::of(path).map_err(read)? != stamp {
            return Err(VersionError::Changing { path: path.to_owned() });
        }
        verify(&detector, path)?;
        let drift = Drift::of(detector.header());
        let recipe = Recipe::of(model, &bytes, detector.header());
        let sha256 = recipe.model.sha256.clone();
        let model = model.to_owned();
        Ok(Version { model, number, sha256, detector, recipe, stamp, usage: Usage::default(), drift })
    }
}

/// Scores a grey picture, and the test vectors that the model file carries.
fn verify(detector: &Detector, path: &Path) -> Result<(), VersionError> {
    let input = detector.input();
    let layout = Layout::packed(input.height, input.width, 1);
    let score = Frame::from_u8(&vec![128; input.height * input.width], layout)
        .ok()
        .and_then(|grey| detector.inspect(&grey).ok())
        .map_or(f32::NAN, |found| found.score);
    if !score.is_finite() {
        return Err(VersionError::Score { path: path.to_owned() });
    }
    match detector.check_test_vectors() {
        Ok(_) => Ok(()),
        Err(source) => Err(VersionError::TestVector { path: path.to_owned(), source }),
    }
}

/// Counts and times since the version was loaded.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    pub(crate) success: Sum,
    pub(crate) failure: Sum,
    pub(crate) queue: Sum,
    pub(crate) input: Sum,
    pub(crate) inference: Sum,
    last_ms: AtomicU64,
}

/// A count and a time.
#[derive(Debug, Default)]
pub(crate) struct Sum {
    count: AtomicU64,
    nanos: AtomicU64,
}

impl Sum {
    pub(crate) fn add(&self, time: Duration) {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.nanos.fetch_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Count and nanoseconds.
    pub(crate) fn get(&self) -> (u64, u64) {
        (self.count.load(Ordering::Relaxed), self.nanos.load(Ordering::Relaxed))
    }
}

impl Usage {
    pub(crate) fn judged(&self, judged: &Judged) {
        self.queue.add(judged.queued);
        self.input.add(judged.decoding);
        self.inference.add(judged.inference);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.last_ms.store(u64::try_from(now.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// When an image was judged last, milliseconds since 1970; 0 for never.
    pub(crate) fn last_ms(&self) -> u64 {
        self.last_ms.load(Ordering::Relaxed)
    }
}
