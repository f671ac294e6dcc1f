//! The files that a training writes: the model, the split beside it, and the checkpoint while it runs.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::TrainError;
use crate::Error;
use crate::dataset::{DatasetError, Split};
use crate::durable;
use crate::model::{Model, ModelError};
use crate::record;
use crate::weights::Weights;

/// Where a training writes to; checked before the first image is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// The model file.
    pub model: PathBuf,
    /// The split file beside it.
    pub split: PathBuf,
    /// The state of an unfinished run.
    pub checkpoint: PathBuf,
    /// The folder of the images that came from memory; not there until [`Output::keep_image`].
    pub images: PathBuf,
}

impl Output {
    /// The files of the model `output`; `force` lets it replace what is no model.
    ///
    /// # Errors
    ///
    /// [`OutputError::Unwritable`] with the reason why the model could not be written there.
    pub fn beside(output: &Path, force: bool) -> Result<Output, OutputError> {
        let refuse = |why: &str| OutputError::Unwritable { path: output.to_owned(), why: why.to_owned() };
        let Some(name) = output.file_name() else { return Err(refuse("expected a file name")) };
        // Checkpoints stand beside the model, which has no place in a device or a pipe.
        if fs::metadata(output).is_ok_and(|found| !found.is_dir() && !found.is_file()) {
            return Err(refuse("it is not an ordinary file"));
        }
        durable::check(output).map_err(|error| refuse(&error.to_string()))?;
        if !force && !is_replaceable(output) {
            return Err(OutputError::NotAModel { path: output.to_owned() });
        }
        let mut checkpoint = OsString::from(name);
        checkpoint.push(".checkpoint");
        Ok(Output {
            model: output.to_owned(),
            split: output.with_extension("split.json"),
            checkpoint: output.with_file_name(checkpoint),
            images: output.with_extension("images"),
        })
    }

    /// Whether there is a checkpoint as `resume` needs it. True if one of an earlier run will be replaced, which should be said
    /// to the user.
    ///
    /// # Errors
    ///
    /// [`OutputError::NothingToResume`] if there is none to resume from.
    pub fn check_resume(&self, resume: bool) -> Result<bool, OutputError> {
        match (resume, self.checkpoint.is_file()) {
            (true, false) => Err(OutputError::NothingToResume {
                checkpoint: self.checkpoint.clone(),
                finished: self.model.is_file(),
            }),
            (false, there) => Ok(there),
            (true, true) => Ok(false),
        }
    }

    /// Writes the model, the split of the folder `data` beside it, and removes the checkpoint.
    ///
    /// # Errors
    ///
    /// An [`OutputError`]; the checkpoint is then kept.
    pub fn save(&self, model: &Model, split: &Split, data: &Path) -> Result<(), OutputError> {
        model.save(&self.model)?;
        // The model carries its split; the file is for people and other tools.
        split.write(&self.split, data)?;
        super::remove_checkpoint(&self.checkpoint)
            .map_err(|source| OutputError::Leftover { path: self.checkpoint.clone(), source })
    }

    /// What a run that ended with `error` leaves behind, if that is worth a word. `written` says whether a checkpoint of
    /// this run, or of the one that it resumed, has been written.
    pub(super) fn kept_after(&self, error: &Error, written: bool) -> Option<Kept> {
        match error {
            Error::Train(TrainError::OtherOptions { .. } | TrainError::OtherRun { .. }) => {
                Some(Kept::OfAnother)
            }
            _ if written && self.checkpoint.is_file() => Some(Kept::Checkpoint),
            Error::Train(TrainError::Stopped) => Some(Kept::Nothing),
            _ => None,
        }
    }
}

/// The variable that gives the time that a model says of itself: seconds since 1970.
const SOURCE_DATE_EPOCH: &str = "SOURCE_DATE_EPOCH";

/// The time that a model says of itself, RFC 3339; `None` where nobody gives one: the same images, options and seed make the same file, bit for
/// bit, whatever the clock says.
pub(super) fn time_of_training() -> Option<String> {
    let given = env::var(SOURCE_DATE_EPOCH).ok().and_then(|text| text.parse().ok()).map(Duration::from_secs);
    let given = given.and_then(|since| SystemTime::UNIX_EPOCH.checked_add(since));
    // Years past 9999 have no such form.
    let given = given.filter(|time| {
        time.duration_since(SystemTime::UNIX_EPOCH).is_ok_and(|t| t.as_secs() < 253_402_300_800)
    });
    given.map(record::rfc3339)
}

/// Whether nothing but a model (of any version) would be replaced.
pub fn is_replaceable(path: &Path) -> bool {
    match fs::metadata(path) {
        Ok(found) if found.is_file() && found.len() > 0 => {
            Weights::open(path).is_ok_and(|weights| weights.metadata("bgad").is_some())
        }
        // Nothing is lost of an empty file, and nothing is replaced of a pipe.
        _ => true,
    }
}

/// What a run that was ended leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// [`Output::checkpoint`], from which it can be resumed.
    Checkpoint,
    /// [`Output::checkpoint`], which is of another run and was not touched.
    OfAnother,
    /// No checkpoint had been written yet.
    Nothing,
}

/// Why a training cannot write its files, or cannot resume.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutputError {
    /// The model cannot be written there.
    #[error("cannot write the model to {}: {why}", path.display())]
    Unwritable {
        /// The model file.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// Something else would be lost.
    #[error("cannot write the model to {}: the file there is not a bgad model; --force replaces it", path.display())]
    NotAModel {
        /// The file.
        path: PathBuf,
    },
    /// There is no checkpoint.
    #[error(
        "there is no checkpoint {} to resume from{}",
        checkpoint.display(),
        if *finished { "; the model is there, so training may have been finished" } else { "; train without resuming" }
    )]
    NothingToResume {
        /// The checkpoint that is not there.
        checkpoint: PathBuf,
        /// Whether the model is there.
        finished: bool,
    },
    /// An image from memory was not written.
    #[error("cannot write the image {}", path.display())]
    Image {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// An image from memory has samples that a PNG file does not hold.
    #[error("an image in memory cannot be written as PNG")]
    Frame {
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The model was not written.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The split was not written.
    #[error(transparent)]
    Split(#[from] DatasetError),
    /// Everything is written, but the checkpoint is still there.
    #[error("cannot remove {}", path.display())]
    Leftover {
        /// The checkpoint.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_that_cannot_be_written_is_refused_with_its_reason() {
        let folder = tempfile::tempdir().expect("a folder");
        let why = |path: &Path| Output::beside(path, false).expect_err("refused").to_string();
        assert!(why(folder.path()).contains("cannot write the model to"));
        assert!(why(&folder.path().join("no/m.bgad")).contains("cannot write the model to"));
        let text = folder.path().join("notes.txt");
        fs::write(&text, "notes").expect("a file");
        assert!(why(&text).contains("not a bgad model"));
        Output::beside(&text, true).expect("it may be replaced");
        fs::remove_file(&text).expect("a file");
        assert!(why(Path::new("/")).contains("expected a file name"));
        let output =
            Output::beside(&folder.path().join("m.bgad"), false).expect("a file that can be written");
        assert_eq!(output.checkpoint, folder.path().join("m.bgad.checkpoint"));
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 0, "the probe is gone");
    }

    #[test]
    fn resuming_takes_a_checkpoint() {
        let folder = tempfile::tempdir().expect("a folder");
        let output =
            Output::beside(&folder.path().join("m.bgad"), false).expect("a file that can be written");
        let refused = |output: &Output| output.check_resume(true).expect_err("nothing there").to_string();
        assert!(refused(&output).ends_with("train without resuming"));
        fs::write(&output.model, []).expect("a file");
        assert!(refused(&output).ends_with("training may have been finished"));
        assert!(!output.check_resume(false).expect("anew"));
        fs::write(&output.checkpoint, []).expect("a file");
        assert!(!output.check_resume(true).expect("resumed"));
        assert!(output.check_resume(false).expect("anew"));
    }
}
