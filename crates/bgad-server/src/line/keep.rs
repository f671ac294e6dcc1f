//! Images that are kept: all that are not OK, one in `n` of the others, within a quota.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bgad::durable;
use bgad::verdict::Verdict;

use super::journal::Outcome;

/// What is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeepRule {
    /// One in so many OK images; 0 for none.
    pub one_in_ok: u64,
    /// Bytes of all kept images; the oldest go first.
    pub quota: u64,
}

/// The folder of kept images: `VERDICT/TIME-ID.EXT` with its record beside it.
#[derive(Debug)]
pub(crate) struct Keeper {
    folder: PathBuf,
    rule: KeepRule,
    ok: u64,
    /// Files by name, which begins with the time, and their bytes.
    kept: BTreeMap<String, (PathBuf, u64)>,
    bytes: u64,
}

impl Keeper {
    pub(crate) fn open(folder: PathBuf, rule: KeepRule) -> io::Result<Keeper> {
        let mut keeper = Keeper { folder, rule, ok: 0, kept: BTreeMap::new(), bytes: 0 };
        for class in ["OK", "REVIEW", "NG", "FAULT"] {
            let folder = keeper.folder.join(class);
            fs::create_dir_all(&folder)?;
            for entry in fs::read_dir(&folder)? {
                let entry = entry?;
                if let Ok(name) = entry.file_name().into_string() {
                    keeper.count(name, entry.path(), entry.metadata()?.len());
                }
            }
        }
        keeper.make_room(0)?;
        Ok(keeper)
    }

    fn count(&mut self, name: String, path: PathBuf, len: u64) {
        self.bytes += len;
        self.kept.insert(name, (path, len));
    }

    /// Keeps an image if the rule says so. The result are the names of its files.
    pub(crate) fn keep(&mut self, outcome: &Outcome, file: &str, image: &[u8]) -> io::Result<Vec<String>> {
        let (class, id) = match outcome {
            Outcome::Fault(fault) => ("FAULT", fault.file_name()),
            Outcome::Judged(record) => {
                let class = match record.result.verdict {
                    Verdict::Ok => "OK",
                    Verdict::Review => "REVIEW",
                    Verdict::Ng => "NG",
                };
                (class, record.file_name())
            }
        };
        if class == "OK" {
            self.ok += 1;
            if self.rule.one_in_ok == 0 || !(self.ok - 1).is_multiple_of(self.rule.one_in_ok) {
                return Ok(Vec::new());
            }
        }
        let record = serde_json::to_vec_pretty(outcome)?;
        let extension = Path::new(file).extension().and_then(|e| e.to_str()).unwrap_or("img");
        self.make_room((image.len() + record.len()) as u64)?;
        let mut names = Vec::new();
        for (name, bytes) in [(format!("{id}.{extension}"), image), (format!("{id}.json"), &record)] {
            let path = self.folder.join(class).join(&name);
            durable::replace(&path, bytes)?;
            self.count(name.clone(), path, bytes.len() as u64);
            names.push(name);
        }
        Ok(names)
    }

    /// Removes what was just kept of a part whose record could not be written: it will be judged again.
    pub(crate) fn undo(&mut self, names: &[String]) {
        for (path, len) in names.iter().filter_map(|name| self.kept.remove(name)) {
            // What cannot be removed now goes with the quota after the next start.
            let _ = fs::remove_file(path);
            self.bytes -= len;
        }
    }

    /// Removes the oldest until so many more bytes fit.
    fn make_room(&mut self, more: u64) -> io::Result<()> {
        while self.bytes + more > self.rule.quota {
            let Some((_, (path, len))) = self.kept.pop_first() else { return Ok(()) };
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => self.bytes -= len,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Fault, PartInfo};

    #[test]
    fn the_oldest_go_when_the_quota_is_reached_also_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let rule = KeepRule { one_in_ok: 0, quota: 5_000 };
        let mut keeper = Keeper::open(dir.path().to_owned(), rule).unwrap();
        let images = || {
            let mut names: Vec<_> = fs::read_dir(dir.path().join("FAULT"))
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .filter(|name| name.ends_with(".png"))
                .collect();
            names.sort();
            names
        };
        let mut all = Vec::new();
        for i in 0..10 {
            if i == 5 {
                keeper = Keeper::open(dir.path().to_owned(), rule).unwrap();
            }
            let fault = Fault::new(PartInfo::default(), "broken".to_owned());
            all.push(format!("{}.png", fault.file_name()));
            keeper.keep(&Outcome::Fault(fault), "x.png", &[1; 1000]).unwrap();
        }
        let left = images();
        assert_eq!(left, all[10 - left.len()..], "the newest");
        assert!((2..=4).contains(&left.len()), "{}", left.len());
    }
}
