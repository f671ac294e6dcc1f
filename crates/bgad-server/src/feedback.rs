//! What operators answer, kept for `bgad learn`.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::record::now;

/// Answers in the folder.
const FILE: &str = "feedback.jsonl";
/// Characters of a part id at most.
pub(crate) const LONGEST_ID: usize = 256;

/// What a person says of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Answer {
    /// The part is good.
    Good,
    /// The part is defective.
    Defect,
    /// The person cannot tell.
    Unsure,
}

/// An answer of an operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Said {
    pub(crate) part_id: String,
    pub(crate) answer: Answer,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) operator: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) comment: Option<String>,
}

#[derive(Serialize)]
struct Line<'a> {
    time: String,
    #[serde(flatten)]
    said: &'a Said,
}

/// A folder of answers.
#[derive(Debug)]
pub(crate) struct Feedback {
    folder: PathBuf,
    writing: Mutex<()>,
}

impl Feedback {
    pub(crate) fn open(folder: PathBuf) -> io::Result<Feedback> {
        fs::create_dir_all(&folder)?;
        Ok(Feedback { folder, writing: Mutex::default() })
    }

    /// Keeps an answer; it is on the disk when this returns.
    pub(crate) fn keep(&self, said: &Said) -> io::Result<()> {
        let mut line = serde_json::to_vec(&Line { time: now(), said })?;
        line.push(b'\n');
        let _one = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut file = OpenOptions::new().create(true).append(true).open(self.folder.join(FILE))?;
        file.write_all(&line)?;
        file.sync_data()
    }
}
