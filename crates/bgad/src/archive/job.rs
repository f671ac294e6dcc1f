//! What an output was begun with, in a file beside it.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Shard;
use super::output::ArchiveError;
use crate::{durable, outside};

/// What decides the rows of an output, besides the manifest, with which they are compared one by one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Job {
    /// SHA-256 of the model file.
    pub model_sha256: String,
    /// The rows.
    pub shard: Shard,
}

/// The job file of an output.
fn beside(output: &Path) -> PathBuf {
    let mut name = OsString::from(output);
    name.push(".job");
    name.into()
}

impl Job {
    /// Writes the job file of a new output.
    pub(super) fn write(&self, output: &Path) -> Result<(), ArchiveError> {
        let text = serde_json::to_string(self).expect("texts");
        durable::replace(&beside(output), format!("{text}\n").as_bytes())
            .map_err(|source| ArchiveError::Output { path: output.to_owned(), source })
    }

    /// Refuses an output that was begun with anything else.
    pub(super) fn check(&self, output: &Path) -> Result<(), ArchiveError> {
        let path = beside(output);
        let no_job = |source| ArchiveError::NoJob { path: path.clone(), source };
        let text = outside::read_text(&path).map_err(no_job)?;
        let begun: Job = serde_json::from_str(&text).map_err(|error| no_job(io::Error::other(error)))?;
        let other = |what, found: String, expected: String| {
            Err(ArchiveError::OtherJob { path: output.to_owned(), what, found, expected })
        };
        if begun.model_sha256 != self.model_sha256 {
            return other("model", begun.model_sha256, self.model_sha256.clone());
        }
        if begun.shard != self.shard {
            return other("shard", begun.shard.to_string(), self.shard.to_string());
        }
        Ok(())
    }
}
