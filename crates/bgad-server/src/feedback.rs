//! What operators answer, kept for `bgad learn`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use bgad::learn::feedback::{ANSWERS, Said};
use serde::Serialize;

use crate::record::now;

/// Characters of a part id at most.
pub(crate) const LONGEST_ID: usize = 256;

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
    /// Opens the folder. A line that a crash cut is removed: nobody was told that it is kept, and the next would be lost with it.
    pub(crate) fn open(folder: PathBuf) -> io::Result<Feedback> {
        fs::create_dir_all(&folder)?;
        let feedback = Feedback { folder, writing: Mutex::default() };
        let file = feedback.file()?;
        if file.metadata()?.is_file() {
            let text = fs::read(feedback.folder.join(ANSWERS))?;
            let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
            if whole < text.len() {
                file.set_len(whole as u64)?;
            }
        }
        Ok(feedback)
    }

    fn file(&self) -> io::Result<File> {
        OpenOptions::new().create(true).append(true).open(self.folder.join(ANSWERS))
    }

    /// Keeps an answer; it is on the disk when this returns. After a failure nothing of it is there.
    pub(crate) fn keep(&self, said: &Said) -> io::Result<()> {
        let mut line = serde_json::to_vec(&Line { time: now(), said })?;
        line.push(b'\n');
        let _one = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut file = self.file()?;
        let before = file.metadata()?.len();
        let kept = file.write_all(&line).and_then(|()| file.sync_data());
        if kept.is_err() {
            // What stays of it is removed at the next start.
            let _ = file.set_len(before);
        }
        kept
    }
}

#[cfg(test)]
mod tests {
    use bgad::learn::feedback::Answer;

    use super::*;

    #[test]
    fn an_answer_after_a_crash_is_a_line_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let said = |part_id: &str| Said {
            part_id: part_id.into(),
            answer: Answer::Good,
            operator: None,
            comment: None,
        };
        let text = || fs::read_to_string(dir.path().join(ANSWERS)).unwrap();
        Feedback::open(dir.path().to_owned()).unwrap().keep(&said("1")).unwrap();
        let whole = text();
        fs::write(dir.path().join(ANSWERS), format!("{whole}{}", &whole[..20])).unwrap();
        let feedback = Feedback::open(dir.path().to_owned()).unwrap();
        assert_eq!(text(), whole);
        feedback.keep(&said("2")).unwrap();
        assert_eq!(text().lines().count(), 2);
        assert!(text().lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
    }
}
