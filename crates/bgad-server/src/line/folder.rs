//! Which files of a folder are whole and new.
//!
//! A file is whole when it was renamed into the folder, or when its size and time have not changed for a while. Events of
//! the system make that quick; a share sends none, so the folder is listed again and again as well. What was judged is told
//! by name, size and time, so that a name that is used again is a new part.
//!
//! What is a picture is told by content, as everywhere ([`is_judged`]). Text is passed over, and so are results of bgad; the
//! log says so. Anything else is given, and has a record, if only of a fault: so a part is never passed over for its name.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use std::{fs, io};

use bgad::dataset::{is_clutter, is_judged};
use bgad::outside;
use notify::event::{EventKind, ModifyKind, RenameMode};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use serde::{Deserialize, Serialize};

/// Ends of the names of files that are still being written; a dot in front says so too.
const UNFINISHED: [&str; 7] = [".tmp", ".temp", ".part", ".partial", ".filepart", ".crdownload", "~"];
/// How long a file may be empty: a camera creates it before it writes.
const EMPTY: Duration = Duration::from_secs(10);

/// What tells a file from another one of the same name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Identity {
    /// Nanoseconds since 1970.
    pub(crate) modified: u64,
    pub(crate) name: String,
    /// Bytes.
    pub(crate) size: u64,
}

/// A folder that is watched.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    settle: Duration,
    judged: HashSet<Identity>,
    /// Files whose names are no UTF-8, by the names that stand for them.
    odd: HashMap<String, PathBuf>,
    /// Since when a name has been there, whatever became of its content.
    seen: BTreeMap<String, Instant>,
    /// Since when a file has been as it is.
    waiting: BTreeMap<Identity, Instant>,
    /// Between two listings when nothing happens.
    relist: Duration,
    listed: Option<Instant>,
    /// Names of files that were renamed into the folder.
    arrived: HashSet<String>,
    /// What the system said, and when: a listing comes later than what it lists.
    events: mpsc::Receiver<(Instant, notify::Result<notify::Event>)>,
    /// Where the system has events at all.
    _watcher: Option<RecommendedWatcher>,
}

impl Folder {
    /// Watches a folder; `judged` are the files that earlier runs have judged.
    pub(crate) fn watch(
        path: &Path,
        settle: Duration,
        relist: Duration,
        judged: HashSet<Identity>,
    ) -> io::Result<Folder> {
        fs::read_dir(path)?;
        let (send, events) = mpsc::channel();
        let stamped = move |event| {
            // Once the folder is no longer watched nobody receives.
            let _ = send.send((Instant::now(), event));
        };
        let watcher = notify::recommended_watcher(stamped).and_then(|mut watcher| {
            watcher.watch(path, RecursiveMode::NonRecursive)?;
            Ok(watcher)
        });
        let watcher = watcher
            .inspect_err(|error| tracing::warn!(%error, "no events from this folder; it is listed instead"));
        Ok(Folder {
            path: path.to_owned(),
            settle,
            judged,
            odd: HashMap::new(),
            seen: BTreeMap::new(),
            waiting: BTreeMap::new(),
            relist,
            listed: None,
            arrived: HashSet::new(),
            events,
            _watcher: watcher.ok(),
        })
    }

    /// Whole files that were not judged, the oldest first.
    pub(crate) fn whole(&mut self) -> io::Result<Vec<Identity>> {
        let happened = self.take_events();
        let long_ago = self.listed.is_none_or(|listed| listed.elapsed() >= self.relist);
        if !happened && !long_ago && self.waiting.is_empty() {
            return Ok(Vec::new());
        }
        self.listed = Some(Instant::now());
        let mut there = BTreeMap::new();
        let now = Instant::now();
        for entry in fs::read_dir(&self.path)? {
            // A file may go while the folder is listed.
            let Some((found, odd)) = entry.ok().and_then(|entry| identity(&entry)) else { continue };
            if let Some(path) = odd {
                self.odd.insert(found.name.clone(), path);
            }
            if !self.judged.contains(&found) {
                let since = self.waiting.get(&found).copied().unwrap_or(now);
                there.insert(found, since);
            }
        }
        self.arrived.retain(|name| there.keys().any(|found| found.name == *name));
        self.seen = there
            .keys()
            .map(|found| (found.name.clone(), self.seen.get(&found.name).copied().unwrap_or(now)))
            .collect();
        self.waiting = there;
        let is_whole = |(found, since): &(&Identity, &Instant)| match found.size {
            0 => now - **since >= self.settle.max(EMPTY),
            _ => self.arrived.contains(&found.name) || now - **since >= self.settle,
        };
        let whole: Vec<Identity> =
            self.waiting.iter().filter(is_whole).map(|(found, _)| found.clone()).collect();
        let (judged, passed): (Vec<_>, Vec<_>) =
            whole.into_iter().partition(|found| is_judged(&self.path_of(found)));
        for found in passed {
            tracing::info!(file = found.name, "not judged: text, or a result of bgad");
            self.done(found);
        }
        Ok(judged)
    }

    fn path_of(&self, file: &Identity) -> PathBuf {
        self.odd.get(&file.name).cloned().unwrap_or_else(|| self.path.join(&file.name))
    }

    /// Whether there were any.
    fn take_events(&mut self) -> bool {
        let mut happened = false;
        while let Ok((at, event)) = self.events.try_recv() {
            happened = true;
            let Ok(event) = event else { continue };
            let name = |path: &PathBuf| Some(path.file_name()?.to_str()?.to_owned());
            for name in event.paths.iter().filter_map(name) {
                self.seen.entry(name).or_insert(at);
            }
            match event.kind {
                EventKind::Modify(ModifyKind::Name(RenameMode::To | RenameMode::Both)) => {
                    self.arrived.extend(event.paths.last().and_then(name));
                }
                // Whoever opens a file that was renamed in and writes to it makes it unfinished again.
                EventKind::Create(_) | EventKind::Modify(ModifyKind::Data(_)) => {
                    for name in event.paths.iter().filter_map(name) {
                        self.arrived.remove(&name);
                    }
                }
                _ => {}
            }
        }
        happened
    }

    /// The next look lists the folder, whatever happened.
    pub(crate) fn look_again(&mut self) {
        self.listed = None;
    }

    /// Files that were there before `time`, whole or not.
    pub(crate) fn seen_before(&self, time: Instant) -> Vec<Identity> {
        let before = |found: &&Identity| self.seen.get(&found.name).is_some_and(|since| *since < time);
        self.waiting.keys().filter(before).cloned().collect()
    }

    /// The content of a file, if it is still the one that was found. One that is too large has the kind of error that says so.
    pub(crate) fn read(&self, file: &Identity) -> io::Result<Vec<u8>> {
        let path = self.path_of(file);
        let bytes = outside::read(&path, outside::MAX_IMAGE)?;
        let now = fs::metadata(&path)?;
        if bytes.len() as u64 != file.size || now.len() != file.size || modified(&now) != Some(file.modified)
        {
            return Err(io::Error::other("the file changed while it was read; it is read again"));
        }
        Ok(bytes)
    }

    /// The file will not be given again.
    pub(crate) fn done(&mut self, file: Identity) {
        self.waiting.remove(&file);
        self.arrived.remove(&file.name);
        self.seen.remove(&file.name);
        self.odd.remove(&file.name);
        self.judged.insert(file);
    }
}

/// A file that may be a picture, behind a link too, and its path if the name does not say it.
fn identity(entry: &fs::DirEntry) -> Option<(Identity, Option<PathBuf>)> {
    let (path, name) = (entry.path(), entry.file_name());
    let odd = name.to_str().is_none().then(|| path.clone());
    let name = name.to_string_lossy().into_owned();
    let lower = name.to_ascii_lowercase();
    if is_clutter(&name) || UNFINISHED.iter().any(|end| lower.ends_with(end)) {
        return None;
    }
    let about = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
    Some((Identity { modified: modified(&about)?, name, size: about.len() }, odd))
}

fn modified(about: &fs::Metadata) -> Option<u64> {
    let since: SystemTime = about.modified().ok()?;
    u64::try_from(since.duration_since(UNIX_EPOCH).ok()?.as_nanos()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTLE: Duration = Duration::from_millis(200);

    fn names(found: &[Identity]) -> Vec<&str> {
        found.iter().map(|file| file.name.as_str()).collect()
    }

    fn wait_for(folder: &mut Folder, want: &[&str]) -> Vec<Identity> {
        let until = Instant::now() + 20 * SETTLE;
        loop {
            let found = folder.whole().unwrap();
            if names(&found) == want || Instant::now() > until {
                assert_eq!(names(&found), want);
                return found;
            }
            std::thread::sleep(SETTLE / 10);
        }
    }

    #[test]
    fn a_file_is_given_once_it_is_whole_and_once_only() {
        let dir = tempfile::tempdir().unwrap();
        let mut folder = Folder::watch(dir.path(), SETTLE, SETTLE, HashSet::new()).unwrap();
        let path = dir.path().join("a.png");
        // Written in pieces, for longer than it takes to settle.
        for n in 1..8 {
            fs::write(&path, vec![7; n * 1000]).unwrap();
            assert_eq!(folder.whole().unwrap(), []);
            std::thread::sleep(SETTLE / 4);
        }
        for ignored in [".c.png", "d.png.part", "d.TMP", "empty.png"] {
            fs::write(dir.path().join(ignored), vec![0; usize::from(ignored != "empty.png")]).unwrap();
        }
        fs::write(dir.path().join("b.txt"), "a note").unwrap();
        let found = wait_for(&mut folder, &["a.png"]);
        assert_eq!(folder.read(&found[0]).unwrap().len(), 7000);
        folder.done(found[0].clone());
        assert_eq!(folder.whole().unwrap(), []);
        // Another run knows what this one judged; another content under the name is another part.
        let mut again = Folder::watch(dir.path(), SETTLE, SETTLE, HashSet::from([found[0].clone()])).unwrap();
        std::thread::sleep(2 * SETTLE);
        assert_eq!(again.whole().unwrap(), []);
        fs::write(&path, b"another").unwrap();
        assert!(again.read(&found[0]).is_err(), "no longer the file that was found");
        wait_for(&mut again, &["a.png"]);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn no_file_is_passed_over_for_its_name() {
        use std::os::unix::ffi::OsStrExt as _;

        let dir = tempfile::tempdir().unwrap();
        let mut folder = Folder::watch(dir.path(), SETTLE, SETTLE, HashSet::new()).unwrap();
        let png = b"\x89PNG\r\n\x1a\n....";
        fs::write(dir.path().join("0.jfif"), png).unwrap();
        let far = tempfile::tempdir().unwrap();
        fs::write(far.path().join("x"), png).unwrap();
        for (name, bytes) in
            [("1", &png[..]), ("2.webp", png), ("3.gif", b"GIF89a"), ("4.bin", b"\0\x01"), ("5.txt", b"text")]
        {
            fs::write(dir.path().join(name), bytes).unwrap();
            std::thread::sleep(Duration::from_millis(5));
        }
        fs::write(dir.path().join(std::ffi::OsStr::from_bytes(b"6\xff.png")), png).unwrap();
        let found = wait_for(&mut folder, &["0.jfif", "1", "2.webp", "3.gif", "4.bin", "6\u{fffd}.png"]);
        assert_eq!(folder.read(&found[5]).unwrap(), png);
        for file in found {
            folder.done(file);
        }
        std::os::unix::fs::symlink(far.path().join("x"), dir.path().join("7")).unwrap();
        wait_for(&mut folder, &["7"]);
    }

    #[test]
    fn a_file_is_as_old_as_its_event_not_as_its_listing() {
        let dir = tempfile::tempdir().unwrap();
        let far = Duration::from_secs(3600);
        let mut folder = Folder::watch(dir.path(), far, SETTLE, HashSet::new()).unwrap();
        fs::write(dir.path().join("a.tmp"), b"early").unwrap();
        fs::rename(dir.path().join("a.tmp"), dir.path().join("a.png")).unwrap();
        std::thread::sleep(SETTLE);
        // A trigger before anybody has looked at the folder.
        let trigger = Instant::now();
        fs::write(dir.path().join("b.tmp"), b"after it").unwrap();
        fs::rename(dir.path().join("b.tmp"), dir.path().join("b.png")).unwrap();
        wait_for(&mut folder, &["a.png", "b.png"]);
        assert_eq!(names(&folder.seen_before(trigger)), ["a.png"]);
    }

    #[test]
    fn what_is_renamed_in_is_whole_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let far = Duration::from_secs(3600);
        let mut folder = Folder::watch(dir.path(), far, SETTLE, HashSet::new()).unwrap();
        fs::write(dir.path().join("a.tmp"), b"whole").unwrap();
        fs::rename(dir.path().join("a.tmp"), dir.path().join("a.png")).unwrap();
        fs::write(dir.path().join("b.png"), b"not yet").unwrap();
        wait_for(&mut folder, &["a.png"]);
    }
}
