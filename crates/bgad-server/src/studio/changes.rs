//! Changes to a project's files: every one is a list of moves, or new thresholds of a model, so every one can be undone.
//!
//! Nothing is deleted: what leaves the project goes to `runs/removed/`. A move never replaces a file. The journal
//! `runs/undo.json` survives a restart.

use std::fs;
use std::io;
use std::path::Path;

use bgad::durable;
use serde::{Deserialize, Serialize};

use super::engine::Recalibrated;
use super::listing::{Item, Label, mask_path};

/// Changes that can be undone at most.
const REMEMBERED: usize = 200;
/// Where the journal is, below the project.
const JOURNAL: &str = "runs/undo.json";
/// Where files go that leave the project.
const REMOVED: &str = "runs/removed";
/// Where masks wait whose images are not labelled defective at the moment.
const PARKED: &str = "runs/parked";

/// One change: what was done, in the order it was done.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Change {
    /// What a person would call it: `label`, `remove`, `upright`.
    pub what: String,
    /// How many images it was about.
    pub images: usize,
    /// From and to, below the project. Without `from` the file was made.
    pub moves: Vec<(Option<String>, String)>,
    /// New thresholds of a model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recalibrated: Option<Recalibrated>,
}

/// A label to be given.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Target {
    pub label: Label,
    /// Defect type, for bad images; `None` or `bad` for none.
    #[serde(rename = "type")]
    pub kind: Option<String>,
}

/// Why a name cannot be a file or folder of a project; `None` if it can.
pub(super) fn refuse_name(name: &str) -> Option<&'static str> {
    let reserved = ["good", "ok", "none"];
    match name {
        "" => Some("it is empty"),
        _ if name.starts_with('.') => Some("it begins with a dot"),
        _ if name.chars().count() > 100 => Some("it is longer than 100 characters"),
        _ if name.chars().any(|c| c.is_control() || "/\\:*?\"<>|".contains(c)) => {
            Some("it has a character that file systems refuse: / \\ : * ? \" < > | or a control character")
        }
        _ if name.ends_with([' ', '.']) => Some("it ends with a space or a dot"),
        _ if reserved.iter().any(|word| name.eq_ignore_ascii_case(word)) => {
            Some("good, ok and none are no types of defect")
        }
        _ => None,
    }
}

/// Moves images, with their masks, to where their new label says. Returns the change and the new ids.
pub(super) fn label(root: &Path, items: &[Item], target: &Target) -> io::Result<(Change, Vec<String>)> {
    let folder = match (target.label, target.kind.as_deref()) {
        (Label::Good, _) => "good".to_owned(),
        (Label::Unlabelled, _) => "unlabelled".to_owned(),
        (Label::Bad, None | Some(super::listing::NO_TYPE)) => "bad".to_owned(),
        (Label::Bad, Some(kind)) => format!("bad/{kind}"),
    };
    let mut change = Change::new("label", items.len());
    let mut ids = Vec::with_capacity(items.len());
    for item in items {
        let name = item.id.rsplit_once('/').map_or(item.id.as_str(), |(_, name)| name);
        // Good is good in any folder below.
        let is_there = match target.label {
            Label::Bad => item.id == format!("{folder}/{name}"),
            label => item.label == label,
        };
        if is_there {
            ids.push(item.id.clone());
            continue;
        }
        let moved = (|| {
            let id = change.shift(root, &item.id, &folder, name)?;
            let mask = item.mask.clone().or_else(|| {
                let parked = format!("{PARKED}/{}", parked_name(&item.id));
                root.join(&parked).is_file().then_some(parked)
            });
            if let Some(mask) = mask {
                let to = mask_path(&id).unwrap_or_else(|| format!("{PARKED}/{}", parked_name(&id)));
                // A mask of another format keeps its extension; the library pairs it by its stem.
                let extension = mask.rsplit_once('.').map_or("png", |(_, extension)| extension);
                let (to_folder, to_name) = to.rsplit_once('/').unwrap_or(("masks", &to));
                let stem = to_name.rsplit_once('.').map_or(to_name, |(stem, _)| stem);
                change.shift(root, &mask, to_folder, &format!("{stem}.{extension}"))?;
            }
            io::Result::Ok(id)
        })();
        match moved {
            Ok(id) => ids.push(id),
            Err(error) => {
                // All or nothing: what was moved goes back.
                change.revert(root)?;
                return Err(error);
            }
        }
    }
    Ok((change, ids))
}

/// Takes an image and its mask out of the project.
pub(super) fn remove(root: &Path, item: &Item) -> io::Result<Change> {
    let mut change = Change::new("remove", 1);
    for file in [Some(&item.id), item.mask.as_ref()].into_iter().flatten() {
        let (folder, name) = file.rsplit_once('/').unwrap_or(("", file));
        change.shift(root, file, &format!("{REMOVED}/{folder}"), name)?;
    }
    Ok(change)
}

/// Takes an image out and puts other bytes in its place, under the same stem.
pub(super) fn replace(root: &Path, item: &Item, name: &str, bytes: &[u8], what: &str) -> io::Result<Change> {
    let mut change = Change::new(what, 1);
    let (folder, old) = item.id.rsplit_once('/').unwrap_or(("", &item.id));
    change.shift(root, &item.id, &format!("{REMOVED}/{folder}"), old)?;
    let to = free_name(root, folder, name);
    match durable::replace(&root.join(&to), bytes) {
        Ok(()) => change.moves.push((None, to)),
        Err(error) => {
            change.revert(root)?;
            return Err(error);
        }
    }
    Ok(change)
}

/// Takes a file that is no image of the list, such as a model, out of the project.
pub(super) fn set_aside(root: &Path, file: &str, what: &str) -> io::Result<Change> {
    let mut change = Change::new(what, 0);
    let (folder, name) = file.rsplit_once('/').unwrap_or(("", file));
    change.shift(root, file, &format!("{REMOVED}/{folder}"), name)?;
    Ok(change)
}

impl Change {
    /// Nothing yet, about so many images.
    pub(super) fn new(what: &str, images: usize) -> Change {
        Change { what: what.to_owned(), images, moves: Vec::new(), recalibrated: None }
    }

    /// Moves a file into a folder, under this name or the next free one, and remembers it.
    fn shift(&mut self, root: &Path, from: &str, folder: &str, name: &str) -> io::Result<String> {
        fs::create_dir_all(root.join(folder))?;
        for _ in 0..1000 {
            let to = free_name(root, folder, name);
            match move_new(&root.join(from), &root.join(&to)) {
                // Somebody else was faster with that name.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(error),
                Ok(()) => {
                    self.moves.push((Some(from.to_owned()), to.clone()));
                    return Ok(to);
                }
            }
        }
        Err(io::Error::new(io::ErrorKind::AlreadyExists, format!("no free name for {name} in {folder}")))
    }

    /// Undoes all of it, the last move first.
    pub(super) fn revert(&self, root: &Path) -> io::Result<()> {
        if let Some(recalibrated) = &self.recalibrated {
            recalibrated.revert(root).map_err(io::Error::other)?;
        }
        for (from, to) in self.moves.iter().rev() {
            match from {
                Some(from) => {
                    let (from, to) = (root.join(from), root.join(to));
                    if let Some(folder) = from.parent() {
                        fs::create_dir_all(folder)?;
                    }
                    move_new(&to, &from)?;
                }
                None => {
                    let (folder, name) = to.rsplit_once('/').unwrap_or(("", to));
                    let folder = format!("{REMOVED}/{folder}");
                    fs::create_dir_all(root.join(&folder))?;
                    move_new(&root.join(to), &root.join(free_name(root, &folder, name)))?;
                }
            }
        }
        Ok(())
    }
}

/// The journal, the last change at its end.
pub(super) fn journal(root: &Path) -> io::Result<Vec<Change>> {
    match fs::read(root.join(JOURNAL)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(io::Error::from),
    }
}

/// Remembers a change.
pub(super) fn remember(root: &Path, change: Change) -> io::Result<()> {
    if change.moves.is_empty() && change.recalibrated.is_none() {
        return Ok(());
    }
    let mut changes = journal(root)?;
    changes.push(change);
    let first = changes.len().saturating_sub(REMEMBERED);
    write_journal(root, &changes[first..])
}

/// Undoes the last change; `None` if there is none. New thresholds that cannot be undone any more are forgotten: their model is another
/// now, and the changes before them can still be undone.
pub(super) fn undo(root: &Path) -> io::Result<Option<Change>> {
    let mut changes = journal(root)?;
    let Some(last) = changes.pop() else { return Ok(None) };
    let reverted = last.revert(root);
    if reverted.is_ok() || last.recalibrated.is_some() {
        write_journal(root, &changes)?;
    }
    reverted.map(|()| Some(last))
}

fn write_journal(root: &Path, changes: &[Change]) -> io::Result<()> {
    fs::create_dir_all(root.join("runs"))?;
    durable::replace(&root.join(JOURNAL), &serde_json::to_vec(changes)?)
}

fn parked_name(id: &str) -> String {
    let name = id.rsplit_once('/').map_or(id, |(_, name)| name);
    format!("{}_mask.png", name.rsplit_once('.').map_or(name, |(stem, _)| stem))
}

/// `folder/name`, or `folder/name-2` and so on if that is taken.
pub(super) fn free_name(root: &Path, folder: &str, name: &str) -> String {
    let (stem, extension) =
        name.rsplit_once('.').map_or((name, String::new()), |(s, e)| (s, format!(".{e}")));
    let candidates = std::iter::once(format!("{folder}/{name}"))
        .chain((2..).map(|n| format!("{folder}/{stem}-{n}{extension}")));
    let mut free = candidates.filter(|to| fs::symlink_metadata(root.join(to)).is_err());
    free.next().expect("one of infinitely many names is free")
}

/// Renames, unless there is a file already.
fn move_new(from: &Path, to: &Path) -> io::Result<()> {
    // A hard link refuses to replace, which a rename does not; the two together are a rename that refuses.
    match fs::hard_link(from, to) {
        Ok(()) => fs::remove_file(from),
        Err(error) if matches!(error.kind(), io::ErrorKind::AlreadyExists | io::ErrorKind::NotFound) => {
            Err(error)
        }
        // File systems without links (FAT, some shares): looked at first, which is the best there is.
        Err(_) if fs::symlink_metadata(to).is_ok() => Err(io::ErrorKind::AlreadyExists.into()),
        Err(_) => fs::rename(from, to),
    }
}

#[cfg(test)]
mod tests {
    use super::super::listing::Listing;
    use super::*;

    fn project(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        for file in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().expect("below")).expect("folders");
            fs::write(path, file).expect("a file");
        }
        folder
    }

    fn tree(root: &Path) -> Vec<String> {
        let mut found = Vec::new();
        let mut stack = vec![root.to_owned()];
        while let Some(folder) = stack.pop() {
            for entry in fs::read_dir(folder).expect("a folder").flatten() {
                let path = entry.path();
                if path.is_dir() {
                    stack.push(path);
                } else {
                    let content = fs::read_to_string(&path).expect("text");
                    let name = path.strip_prefix(root).expect("below").display().to_string();
                    if !name.starts_with("runs/undo") {
                        found.push(format!("{name}={content}"));
                    }
                }
            }
        }
        found.sort();
        found
    }

    fn to(label: Label, kind: Option<&str>) -> Target {
        Target { label, kind: kind.map(str::to_owned) }
    }

    #[test]
    fn masks_follow_their_images_and_come_back() {
        let folder = project(&["good/a.png", "bad/dent/b.png", "masks/dent/b_mask.png"]);
        let root = folder.path();
        let before = tree(root);
        let item = |id: &str| Listing::read(root).expect("readable").items[id].clone();

        let (change, ids) = label(root, &[item("bad/dent/b.png")], &to(Label::Good, None)).expect("moved");
        remember(root, change).expect("remembered");
        assert_eq!(ids, ["good/b.png"]);
        assert!(!root.join("masks/dent/b_mask.png").exists(), "a good image has no mask in masks/");

        let (change, ids) =
            label(root, &[item("good/b.png")], &to(Label::Bad, Some("scratch"))).expect("moved");
        remember(root, change).expect("remembered");
        assert_eq!(ids, ["bad/scratch/b.png"]);
        assert_eq!(
            fs::read_to_string(root.join("masks/scratch/b_mask.png")).expect("kept"),
            "masks/dent/b_mask.png"
        );

        assert!(undo(root).expect("undone").is_some());
        assert!(undo(root).expect("undone").is_some());
        assert!(undo(root).expect("nothing left").is_none());
        assert_eq!(tree(root), before);
    }

    #[test]
    fn a_name_that_is_taken_is_never_replaced() {
        let folder = project(&["good/a.png", "unlabelled/a.png"]);
        let root = folder.path();
        let item = Listing::read(root).expect("readable").items["unlabelled/a.png"].clone();
        let (_, ids) = label(root, &[item], &to(Label::Good, None)).expect("moved");
        assert_eq!(ids, ["good/a-2.png"]);
        assert_eq!(tree(root), ["good/a-2.png=unlabelled/a.png", "good/a.png=good/a.png"]);
    }

    #[test]
    fn what_is_removed_or_replaced_comes_back() {
        let folder = project(&["good/a.jpg", "good/b.png", "bad/dent/b.png", "masks/dent/b_mask.png"]);
        let root = folder.path();
        let before = tree(root);
        let items = Listing::read(root).expect("readable").items;
        remember(root, remove(root, &items["bad/dent/b.png"]).expect("removed")).expect("remembered");
        let upright = replace(root, &items["good/a.jpg"], "a.png", b"upright", "upright").expect("replaced");
        remember(root, upright).expect("remembered");
        assert_eq!(fs::read(root.join("good/a.png")).expect("there"), b"upright");
        undo(root).expect("undone");
        undo(root).expect("undone");
        let after: Vec<String> = tree(root).into_iter().filter(|file| !file.contains("upright")).collect();
        assert_eq!(after, before);
    }

    #[test]
    fn names_that_leave_the_project_are_refused() {
        for name in ["", "..", ".hidden", "a/b", "a\\b", "C:x", "dots.", "a\0b", "Good"] {
            assert!(refuse_name(name).is_some(), "{name:?}");
        }
        for name in ["scratch", "Kratzer tief", "01-Öl"] {
            assert!(refuse_name(name).is_none(), "{name:?}");
        }
    }
}
