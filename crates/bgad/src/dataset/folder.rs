//! Listing folders: sorted, hidden files skipped, everything odd noted.

use std::fs;
use std::path::{Component, Path, PathBuf};

use super::{DatasetError, Finding};

/// Extensions of the formats that are read.
const IMAGES: &[&str] = &["png", "jpg", "jpeg", "bmp", "tif", "tiff"];
/// Extensions of images in formats that are not read: worth another sentence than a text file.
const OTHER_IMAGES: &[&str] =
    &["gif", "webp", "avif", "heic", "jp2", "tga", "pgm", "ppm", "exr", "raw", "dng"];

/// A file or folder inside a listed folder.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) path: PathBuf,
    pub(super) is_folder: bool,
}

impl Entry {
    /// The name without its extension.
    pub(super) fn stem(&self) -> &str {
        stem(&self.name)
    }

    fn has_extension(&self, extensions: &[&str]) -> bool {
        let extension = self.name.rsplit_once('.').map_or("", |(_, extension)| extension);
        extensions.iter().any(|known| extension.eq_ignore_ascii_case(known))
    }
}

/// A file name without its extension.
pub(super) fn stem(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

/// Collects findings while folders are listed.
#[derive(Debug, Default)]
pub(super) struct Survey {
    pub(super) findings: Vec<Finding>,
}

impl Survey {
    pub(super) fn found(&mut self, path: &Path, problem: impl Into<String>) {
        self.findings.push(Finding { path: path.to_owned(), problem: problem.into() });
    }

    /// What is in a folder, sorted by name, without what file managers leave behind.
    pub(super) fn list(&mut self, folder: &Path) -> Result<Vec<Entry>, DatasetError> {
        let unreadable = |error| DatasetError::Unreadable { path: folder.to_owned(), error };
        let mut entries = Vec::new();
        for entry in fs::read_dir(folder).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()).map(str::to_owned) else {
                // Split files are JSON, which cannot hold such a name.
                self.found(&path, "not used: the name is not valid UTF-8");
                continue;
            };
            if is_clutter(&name) {
                continue;
            }
            // Follows links: a data set is often a folder of links to pictures elsewhere.
            match fs::metadata(&path) {
                Ok(metadata) => entries.push(Entry { name, is_folder: metadata.is_dir(), path }),
                Err(error) => self.found(&path, format!("not used: cannot be read: {error}")),
            }
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    /// The image files among `entries`; the others become findings.
    pub(super) fn images(&mut self, entries: &[Entry]) -> Vec<Entry> {
        let mut images = Vec::with_capacity(entries.len());
        for entry in entries {
            if entry.is_folder {
                self.found(&entry.path, "not used: a folder where images were expected");
            } else if entry.has_extension(IMAGES) {
                images.push(entry.clone());
            } else if entry.has_extension(OTHER_IMAGES) {
                self.found(&entry.path, "not used: this image format is not read, convert it to PNG");
            } else {
                self.found(&entry.path, "not used: not an image by its extension");
            }
        }
        images
    }
}

fn is_clutter(name: &str) -> bool {
    name.starts_with('.') || ["Thumbs.db", "desktop.ini", "__MACOSX"].contains(&name)
}

pub(super) fn is_named(entry: &Entry, names: &[&str]) -> bool {
    entry.is_folder && names.iter().any(|name| entry.name.eq_ignore_ascii_case(name))
}

/// The folder with one of the names, the earlier name first.
pub(super) fn named<'a>(entries: &'a [Entry], names: &[&str]) -> Option<&'a Entry> {
    names.iter().find_map(|name| entries.iter().find(|entry| is_named(entry, &[name])))
}

/// A path as it is sorted and written on every system: below `root` where it is, with `/` between the parts.
pub(super) fn portable(path: &Path, root: &Path) -> String {
    match path.strip_prefix(root) {
        Ok(below) => {
            let parts: Vec<_> = below
                .components()
                .filter(|part| *part != Component::CurDir)
                .map(|part| part.as_os_str().to_string_lossy())
                .collect();
            parts.join("/")
        }
        Err(_) => path.to_string_lossy().into_owned(),
    }
}
