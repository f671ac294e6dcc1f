//! Which images to inspect, and where their overlays go.

use std::collections::HashSet;
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

use bgad::dataset::{OVERLAY, Pictures, pictures};
use bgad::printable;

use crate::failure::{count as counted, say};

/// So many files that are left out are named.
const PASSED_SHOWN: usize = 5;

/// An image to inspect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Input {
    /// The file.
    pub(crate) path: PathBuf,
    /// Where its overlay goes, below the folder for overlays; no two are the same.
    pub(super) overlay: PathBuf,
}

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Inputs {
    /// In the order of the arguments, within a folder by name. Also files that cannot be judged: reading them says why.
    pub(crate) images: Vec<Input>,
    /// Folders that could not be searched; they have been reported.
    pub(crate) skipped: usize,
}

impl Inputs {
    /// Searches files and folders, and says which files hold no picture.
    pub(crate) fn find(arguments: &[PathBuf]) -> Inputs {
        let Pictures { images, passed, hidden, unsearched } = pictures(arguments);
        for (folder, error) in &unsearched {
            say(format_args!("skipped: {}: cannot be read: {error}", printable::path(folder)));
        }
        note(&passed, "file", "no picture of a part (text, or a result of bgad)");
        note(&hidden, "name", "hidden or of the system, and judged only if named as an argument");
        let mut taken = HashSet::new();
        // Overlays of a single folder keep its own structure; otherwise whole paths keep them apart.
        let single = arguments.len() == 1;
        let images = images.into_iter().map(|image| {
            let below = image.below.as_deref().filter(|_| single);
            let overlay = unique(&overlay_of(&image.path, below), &mut taken);
            Input { path: image.path, overlay }
        });
        Inputs { images: images.collect(), skipped: unsearched.len() }
    }
}

/// Says what was left out.
fn note(paths: &[PathBuf], what: &str, why: &str) {
    if paths.is_empty() {
        return;
    }
    let shown: Vec<String> =
        paths.iter().take(PASSED_SHOWN).map(|path| printable::path(path).to_string()).collect();
    let more = paths.len().saturating_sub(PASSED_SHOWN);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let is = if paths.len() == 1 { "is" } else { "are" };
    say(format_args!("note: {} {is} {why}: {}{more}", counted(paths.len(), what), shown.join(", ")));
}

/// The path of the overlay: the image's path below the folder searched, its extension kept, so that `x.png` and `x.jpg`
/// do not meet.
fn overlay_of(path: &Path, below: Option<&Path>) -> PathBuf {
    let path = below.and_then(|folder| path.strip_prefix(folder).ok()).unwrap_or(path);
    let mut overlay = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => overlay.push(name),
            Component::ParentDir => overlay.push("up"),
            Component::Prefix(_) | Component::RootDir | Component::CurDir => {}
        }
    }
    with_suffix(&overlay, OVERLAY)
}

/// The path, or with a number if it is taken.
fn unique(path: &Path, taken: &mut HashSet<PathBuf>) -> PathBuf {
    let stem = path.to_string_lossy().strip_suffix(OVERLAY).map(PathBuf::from);
    let mut candidate = path.to_owned();
    let mut number = 2;
    while !taken.insert(candidate.clone()) {
        candidate = with_suffix(stem.as_deref().unwrap_or(path), &format!("-{number}{OVERLAY}"));
        number += 1;
    }
    candidate
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut text = OsString::from(path);
    text.push(suffix);
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlays_never_meet() {
        let images =
            ["a/x.png", "b/x.png", "a/x.jpg", "./a/x.png", "../a/x.png", "/a/x.png"].map(PathBuf::from);
        let found = Inputs::find(&images);
        let overlays: Vec<String> = found.images.iter().map(|i| i.overlay.display().to_string()).collect();
        let want = [
            "a/x.png.overlay.png",
            "b/x.png.overlay.png",
            "a/x.jpg.overlay.png",
            "a/x.png-2.overlay.png",
            "up/a/x.png.overlay.png",
            "a/x.png-3.overlay.png",
        ];
        assert_eq!(overlays, want.map(|path| path.replace('/', std::path::MAIN_SEPARATOR_STR)));
    }
}
