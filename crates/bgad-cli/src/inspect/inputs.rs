//! Which images to inspect, and where their overlays go.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use crate::failure::say;

/// Extensions that make a file in a folder an image; a file that is named itself needs none.
const EXTENSIONS: [&str; 6] = ["png", "jpg", "jpeg", "bmp", "tif", "tiff"];

/// End of the name of every overlay; such files are no input when a folder is searched.
const OVERLAY: &str = ".overlay.png";

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
    /// In the order of the arguments, within a folder by name.
    pub(crate) images: Vec<Input>,
    /// Folders that could not be searched; they have been reported.
    pub(crate) skipped: usize,
}

impl Inputs {
    /// Searches files and folders.
    pub(crate) fn find(arguments: &[PathBuf]) -> Inputs {
        let mut found = Inputs::default();
        let mut taken = HashSet::new();
        for argument in arguments {
            let mut paths = Vec::new();
            if argument.is_dir() {
                found.search(argument, &mut paths, &mut Vec::new());
            } else {
                paths.push(argument.clone());
            }
            // Overlays of a single folder keep its own structure; otherwise whole paths keep them apart.
            let below =
                if arguments.len() == 1 && argument.is_dir() { Some(argument.as_path()) } else { None };
            for path in paths {
                let overlay = unique(&overlay_of(&path, below), &mut taken);
                found.images.push(Input { path, overlay });
            }
        }
        found
    }

    /// All images in `folder`, sorted by name; `above` are the folders it is in, links resolved.
    fn search(&mut self, folder: &Path, paths: &mut Vec<PathBuf>, above: &mut Vec<PathBuf>) {
        let listed = fs::canonicalize(folder).and_then(|resolved| Ok((resolved, list(folder)?)));
        let (resolved, entries) = match listed {
            Ok(listed) => listed,
            Err(error) => {
                self.skipped += 1;
                say(format_args!("skipped: {}: cannot be read: {error}", folder.display()));
                return;
            }
        };
        // A link to a folder that this one is in would never end.
        if above.contains(&resolved) {
            return;
        }
        above.push(resolved);
        for path in entries {
            if path.is_dir() {
                self.search(&path, paths, above);
            } else if is_image(&path) {
                paths.push(path);
            }
        }
        above.pop();
    }
}

fn list(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            entries.push(entry.path());
        }
    }
    entries.sort();
    Ok(entries)
}

fn is_image(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    let extension = path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    EXTENSIONS.contains(&extension.as_str()) && !name.ends_with(OVERLAY)
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

    #[test]
    fn images_are_known_by_their_extension_and_overlays_are_none() {
        let cases = [
            ("x.png", true),
            ("x.PNG", true),
            ("größe.tif", true),
            ("x.txt", false),
            ("png", false),
            ("x.png.overlay.png", false),
        ];
        for (name, want) in cases {
            assert_eq!(is_image(Path::new(name)), want, "{name}");
        }
    }
}
