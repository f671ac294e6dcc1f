//! Listing folders: sorted, hidden files skipped, everything odd noted.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};

use super::{DatasetError, Finding};
use crate::image::Content;
use crate::{names, outside};

/// Names that promise a picture: a file of such a name that is none was cut short or overwritten, which is worth an error.
const PROMISED: &[&str] =
    &["png", "jpg", "jpeg", "jpe", "jfif", "bmp", "dib", "tif", "tiff", "webp", "pgm", "ppm", "pbm", "pnm"];
/// What file managers and storage servers leave behind.
const CLUTTER: &[&str] = &[
    "Thumbs.db",
    "thumbs.db",
    "desktop.ini",
    "__MACOSX",
    "@eaDir",
    "#recycle",
    "$RECYCLE.BIN",
    "System Volume Information",
    "lost+found",
    ".git",
    ".svn",
    ".dvc",
    ".ipynb_checkpoints",
    ".thumbnails",
    ".Trashes",
    ".Spotlight-V100",
    ".fseventsd",
    ".TemporaryItems",
];
/// How the names of others begin: the bins of Linux, one for each user.
const BINS: &str = ".Trash-";
/// Folders within folders that are followed.
pub(super) const DEEPEST: usize = 32;

/// A file or folder inside a listed folder.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// Accents composed, so that it may differ from the end of the path.
    pub(super) name: String,
    pub(super) path: PathBuf,
    pub(super) is_folder: bool,
}

impl Entry {
    /// The name without its extension.
    pub(super) fn stem(&self) -> &str {
        stem(&self.name)
    }

    /// Whether its content is a picture, or its name says so: then reading it tells what is wrong.
    fn is_picture(&self) -> bool {
        matches!(Content::of_file(&self.path), Ok(Content::Picture)) || promises_picture(&self.name)
    }

    /// Whether it may be a file of labels: JSON, which is text.
    pub(super) fn is_json(&self) -> bool {
        let json =
            self.name.rsplit_once('.').is_some_and(|(_, extension)| extension.eq_ignore_ascii_case("json"));
        json && !self.is_folder
    }
}

/// Whether the name of a file says that it is a picture.
pub fn promises_picture(name: &str) -> bool {
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    PROMISED.iter().any(|known| extension.eq_ignore_ascii_case(known))
}

/// A file name without its extension.
pub(super) fn stem(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

/// Collects findings while folders are listed, and pictures that turn up with their labels.
#[derive(Debug, Default)]
pub(super) struct Survey {
    pub(super) findings: Vec<Finding>,
    /// Masks and labels beside their images, as image and mask.
    pub(super) beside: Vec<(PathBuf, PathBuf)>,
    /// Files of labels among images, which may be of many of them.
    pub(super) labels: Vec<PathBuf>,
    /// Files that are used, but are neither an image nor its mask.
    pub(super) known: Vec<PathBuf>,
    /// Folders that were searched, links resolved: none is searched twice.
    searched: BTreeSet<PathBuf>,
}

impl Survey {
    pub(super) fn found(&mut self, path: &Path, problem: impl Into<String>) {
        self.findings.push(Finding { path: path.to_owned(), problem: problem.into(), files: 1 });
    }

    /// What is in a folder, sorted by name, without what file managers leave behind.
    pub(super) fn list(&mut self, folder: &Path) -> Result<Vec<Entry>, DatasetError> {
        let unreadable = |error| DatasetError::Unreadable { path: folder.to_owned(), error };
        let mut entries = Vec::new();
        for entry in fs::read_dir(folder).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
                // Split files are JSON, which cannot hold such a name.
                self.found(&path, "not used: the name is not valid UTF-8");
                continue;
            };
            if is_clutter(name) {
                continue;
            }
            let name = names::composed(name).into_owned();
            // Follows links: a data set is often a folder of links to pictures elsewhere.
            match fs::metadata(&path) {
                Ok(metadata) if metadata.is_dir() => entries.push(Entry { name, is_folder: true, path }),
                Ok(metadata) => match outside::what(&metadata) {
                    None => entries.push(Entry { name, is_folder: false, path }),
                    Some(what) => self.found(&path, format!("not used: {what}, which is never opened")),
                },
                Err(error) => self.found(&path, format!("not used: cannot be read: {error}")),
            }
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    /// The files in a folder and in the folders below it, each of which is searched once, however many links lead to it.
    pub(super) fn list_all(&mut self, folder: &Path) -> Result<Vec<Entry>, DatasetError> {
        let (mut files, mut folders) = (Vec::new(), vec![(folder.to_owned(), 0)]);
        while let Some((folder, depth)) = folders.pop() {
            if depth > DEEPEST || !self.enter(&folder) {
                continue;
            }
            for entry in self.list(&folder)? {
                match entry.is_folder {
                    true => folders.push((entry.path, depth + 1)),
                    false => files.push(entry),
                }
            }
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(files)
    }

    /// Whether a folder is searched for the first time.
    pub(super) fn enter(&mut self, folder: &Path) -> bool {
        self.searched.insert(folder.canonicalize().unwrap_or_else(|_| folder.to_owned()))
    }

    /// The image files among `entries`; the others become findings.
    pub(super) fn images(&mut self, entries: &[Entry]) -> Vec<Entry> {
        let mut images = Vec::with_capacity(entries.len());
        for entry in entries {
            if entry.is_folder {
                self.found(&entry.path, "not used: a folder where images were expected");
            } else if entry.is_picture() {
                images.push(entry.clone());
            } else {
                self.found(&entry.path, not_a_picture(&entry.path));
            }
        }
        images
    }
}

/// Why a file is no image.
pub(super) fn not_a_picture(path: &Path) -> String {
    match Content::of_file(path) {
        Ok(Content::OtherPicture(name)) => {
            format!("not used: a {name} file, which is not read: convert it to PNG")
        }
        Ok(Content::Empty) => "not used: an empty file".to_owned(),
        Ok(_) => "not used: not a picture by its content".to_owned(),
        Err(error) => format!("not used: cannot be read: {error}"),
    }
}

/// Whether a name is hidden, or what file managers and storage servers leave behind.
pub fn is_clutter(name: &str) -> bool {
    name.starts_with('.') || CLUTTER.contains(&name)
}

/// Whether something hidden may be somebody's own: a picture, or a folder with anything in it.
pub(super) fn is_hidden_work(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let of_the_system = CLUTTER.contains(&&*name) || name.starts_with(BINS);
    is_clutter(&name) && !of_the_system && may_hold_a_picture(path)
}

/// Whether a path is a picture, or a folder with anything in it.
pub(super) fn may_hold_a_picture(path: &Path) -> bool {
    match path.is_dir() {
        true => fs::read_dir(path).map_or(true, |mut entries| entries.next().is_some()),
        false => super::is_picture(path),
    }
}

pub(super) fn is_named(entry: &Entry, names: &[&str]) -> bool {
    entry.is_folder && names.iter().any(|name| entry.name.eq_ignore_ascii_case(name))
}

/// The folders with one of the names, the earlier name first.
pub(super) fn all_named<'a>(entries: &'a [Entry], names: &[&str]) -> Vec<&'a Entry> {
    names.iter().flat_map(|name| entries.iter().filter(|entry| is_named(entry, &[*name]))).collect()
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
