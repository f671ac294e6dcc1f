//! Records on the disk: one JSON object a line, there before anything else is said of the part.
//!
//! The file is the memory of a line. After a crash it tells which files were judged, and what a webhook has not had yet.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::folder::Identity;
use crate::record::{Fault, Record};

/// Name of the file.
pub(crate) const FILE: &str = "records.jsonl";

/// What came of a file.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub(crate) enum Outcome {
    Judged(Box<Record>),
    Fault(Fault),
}

/// A line of the file.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    outcome: &'a Outcome,
    source: &'a Identity,
}

/// The file of records, open for more.
#[derive(Debug)]
pub(crate) struct Journal {
    file: File,
    /// Bytes of whole lines; `None` for a pipe or a device, which remembers nothing.
    len: Option<u64>,
}

impl Journal {
    /// Opens the file of a folder, and says which files it knows. A line that a crash cut is removed: its part was not
    /// acknowledged and is judged again.
    pub(crate) fn open(folder: &Path) -> io::Result<(Journal, HashSet<Identity>)> {
        fs::create_dir_all(folder)?;
        let file = OpenOptions::new().create(true).read(true).append(true).open(path(folder))?;
        if !file.metadata()?.is_file() {
            return Ok((Journal { file, len: None }, HashSet::new()));
        }
        let (mut judged, mut len) = (HashSet::new(), 0);
        let mut reader = BufReader::new(&file);
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = reader.read_until(b'\n', &mut line)?;
            if !line.ends_with(b"\n") {
                break;
            }
            #[derive(Deserialize)]
            struct Known {
                source: Identity,
            }
            // A line that somebody else wrote into the file is kept and says nothing.
            if let Ok(known) = serde_json::from_slice::<Known>(&line) {
                judged.insert(known.source);
            }
            len += read as u64;
        }
        let journal = Journal { file, len: Some(len) };
        journal.cut()?;
        Ok((journal, judged))
    }

    /// Adds a record; it is on the disk when this returns. After a failure nothing of it is there.
    pub(crate) fn add(&mut self, outcome: &Outcome, source: &Identity) -> io::Result<()> {
        let mut line = serde_json::to_vec(&Line { outcome, source })?;
        line.push(b'\n');
        // What an earlier failure left, if it could not be removed then.
        self.cut()?;
        let added = self.file.write_all(&line).and_then(|()| match self.len {
            Some(_) => self.file.sync_data(),
            // A pipe has nothing to bring to the disk.
            None => Ok(()),
        });
        match added {
            Ok(()) => {
                self.len = self.len.map(|len| len + line.len() as u64);
                Ok(())
            }
            Err(error) => {
                // The next attempt cuts again if this fails.
                let _ = self.cut();
                Err(error)
            }
        }
    }

    fn cut(&self) -> io::Result<()> {
        match self.len {
            Some(len) if self.file.metadata()?.len() != len => self.file.set_len(len),
            _ => Ok(()),
        }
    }
}

pub(crate) fn path(folder: &Path) -> PathBuf {
    folder.join(FILE)
}

/// The whole line at an offset, without its end; `None` if there is none yet.
pub(crate) fn line_at(folder: &Path, offset: u64) -> io::Result<Option<Vec<u8>>> {
    let mut file = File::open(path(folder))?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other(format!("{FILE} is no regular file, so nothing can be sent from it")));
    }
    file.seek(SeekFrom::Start(offset))?;
    let mut line = Vec::new();
    BufReader::new(file).read_until(b'\n', &mut line)?;
    Ok(line.pop().filter(|&last| last == b'\n').map(|_| line))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::PartInfo;

    fn source(name: &str) -> Identity {
        Identity { modified: 1, name: name.to_owned(), size: 2 }
    }

    fn fault(name: &str) -> Outcome {
        let part = PartInfo { file: Some(name.to_owned()), ..PartInfo::default() };
        Outcome::Fault(Fault::new(part, "no image".to_owned()))
    }

    #[test]
    fn records_survive_a_crash_and_a_torn_line_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let (mut journal, judged) = Journal::open(dir.path()).unwrap();
        assert!(judged.is_empty());
        for name in ["a.png", "b.png"] {
            journal.add(&fault(name), &source(name)).unwrap();
        }
        let whole = fs::read(path(dir.path())).unwrap();
        for torn in 0..whole.len() {
            fs::write(path(dir.path()), &whole[..torn]).unwrap();
            let (mut journal, judged) = Journal::open(dir.path()).unwrap();
            let lines = whole[..torn].iter().filter(|&&byte| byte == b'\n').count();
            assert_eq!(judged.len(), lines, "torn at {torn}");
            journal.add(&fault("c.png"), &source("c.png")).unwrap();
            let text = fs::read_to_string(path(dir.path())).unwrap();
            assert_eq!(text.lines().count(), lines + 1);
            assert!(text.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
        }
    }

    #[test]
    fn lines_are_read_by_offset() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(path(dir.path()), b"one\ntwo\nthr").unwrap();
        let line = |offset| line_at(dir.path(), offset).unwrap();
        assert_eq!((line(0), line(4)), (Some(b"one".to_vec()), Some(b"two".to_vec())));
        assert_eq!((line(8), line(99)), (None, None));
    }
}
