//! Which files of folders are to be judged: every command asks here.
//!
//! ```text
//! judged    pictures by their content, whatever their names; also what cannot be a picture of a part but is no text either,
//!           or has the name of a picture: reading it then fails, and names it
//! passed    text, and pictures and maps of results that an earlier run wrote, which carry its mark
//! hidden    names that begin with a dot, and what file managers and storage servers leave behind: not looked into, but
//!           named if they are pictures, or folders with anything in them
//! ```
//!
//! A folder is searched once for each argument, however many links lead to it.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::folder::{is_clutter, may_hold_a_picture, promises_picture};
use crate::image::{self, Content};
use crate::outside;
use crate::printable::natural;

/// End of the name of every overlay.
pub const OVERLAY: &str = ".overlay.png";

/// A file to judge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// The file.
    pub path: PathBuf,
    /// The folder that was asked for, if it was found by a search.
    pub below: Option<PathBuf>,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Pictures {
    /// In the order of the arguments; within a folder by name, numbers counted.
    pub images: Vec<Picture>,
    /// Files that hold no picture: text, and results of earlier runs.
    pub passed: Vec<PathBuf>,
    /// Hidden folders, and hidden files that are pictures by their content: not judged.
    pub hidden: Vec<PathBuf>,
    /// Folders that could not be searched, and why.
    pub unsearched: Vec<(PathBuf, io::Error)>,
}

/// Searches files and folders. A file that is named itself is always judged.
pub fn pictures(arguments: &[PathBuf]) -> Pictures {
    let mut found = Pictures::default();
    for argument in arguments {
        if argument.is_dir() {
            found.search(argument, argument, &mut BTreeSet::new());
        } else {
            found.images.push(Picture { path: argument.clone(), below: None });
        }
    }
    found
}

impl Pictures {
    fn search(&mut self, folder: &Path, root: &Path, searched: &mut BTreeSet<PathBuf>) {
        let listed = fs::canonicalize(folder).and_then(|resolved| Ok((resolved, list(folder)?)));
        let (resolved, (entries, hidden)) = match listed {
            Ok(listed) => listed,
            Err(error) => {
                self.unsearched.push((folder.to_owned(), error));
                return;
            }
        };
        if !searched.insert(resolved) {
            return;
        }
        self.hidden.extend(hidden.into_iter().filter(|path| may_hold_a_picture(path)));
        for path in entries {
            if path.is_dir() {
                self.search(&path, root, searched);
            } else if is_judged(&path) {
                self.images.push(Picture { path, below: Some(root.to_owned()) });
            } else {
                self.passed.push(path);
            }
        }
    }
}

/// What is in a folder, and what of it is hidden.
fn list(folder: &Path) -> io::Result<(Vec<PathBuf>, Vec<PathBuf>)> {
    let (mut entries, mut hidden) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        match is_clutter(&entry.file_name().to_string_lossy()) {
            true => hidden.push(entry.path()),
            false => entries.push(entry.path()),
        }
    }
    for paths in [&mut entries, &mut hidden] {
        paths.sort_by(|a, b| natural(&a.to_string_lossy(), &b.to_string_lossy()).then_with(|| a.cmp(b)));
    }
    Ok((entries, hidden))
}

/// Whether a file that a search finds is to be judged: a picture, or what only reading it can tell.
pub fn is_judged(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    match Content::of_file(path) {
        Ok(Content::Text) => promises_picture(&name),
        // Whatever else it is: only reading it tells, and what cannot be read is named.
        _ => !image::is_result(path),
    }
}

/// Whether a path is an ordinary file that holds a picture by its content.
pub fn is_picture(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| outside::what(&metadata).is_none())
        && matches!(Content::of_file(path), Ok(Content::Picture))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_decides_what_is_judged() {
        let folder = tempfile::tempdir().expect("a folder");
        let png = b"\x89PNG\r\n\x1a\n....";
        let mut result = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
        result.resize(33 + 8, 0);
        let result = image::marked_as_result(result);
        let files: [(&str, &[u8]); 14] = [
            ("part 10.png", png),
            ("part 2.jfif", b"\xff\xd8\xff\xe0"),
            ("IMG_0001", png),
            ("a.gif", b"GIF89a"),
            ("empty.bin", b""),
            ("lying.png", b"text"),
            ("notes.txt", b"text"),
            ("x.png.overlay.png", &result),
            ("y.png.map.npy", b"\x93NUMPY\x01\0"),
            // A result by its content or its name alone: not left out.
            ("numbers.npy", b"\x93NUMPY\x01\0"),
            ("z.png.overlay.png", png),
            (".hidden.png", png),
            ("Thumbs.db", b"\0\0"),
            ("in/deep.webp", b"RIFF....WEBP"),
        ];
        for (name, bytes) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            fs::write(path, bytes).expect("written");
        }
        for (name, bytes) in
            [(".batch/1.png", &png[..]), (".git/config", b"text"), (".DS_Store", b"\0\0\0\x01Bud1")]
        {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            fs::write(path, bytes).expect("written");
        }
        fs::create_dir(folder.path().join(".empty")).expect("a folder");
        let found = pictures(&[folder.path().to_owned()]);
        let name =
            |path: &Path| path.strip_prefix(folder.path()).expect("below").to_string_lossy().into_owned();
        let images: Vec<String> = found.images.iter().map(|image| name(&image.path)).collect();
        let want = [
            "IMG_0001",
            "a.gif",
            "empty.bin",
            "in/deep.webp",
            "lying.png",
            "numbers.npy",
            "part 2.jfif",
            "part 10.png",
            "z.png.overlay.png",
        ];
        assert_eq!(images, want);
        let passed: Vec<String> = found.passed.iter().map(|path| name(path)).collect();
        assert_eq!(passed, ["notes.txt", "x.png.overlay.png", "y.png.map.npy"]);
        let hidden: Vec<String> = found.hidden.iter().map(|path| name(path)).collect();
        assert_eq!(hidden, [".batch", ".git", ".hidden.png"]);
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_once() {
        let folder = tempfile::tempdir().expect("a folder");
        // Twenty folders, each with two links to the next: a million ways to the picture.
        for i in 0..20 {
            fs::create_dir(folder.path().join(format!("{i}"))).expect("a folder");
        }
        for i in 0..19 {
            for link in ["a", "b"] {
                let link = folder.path().join(format!("{i}/{link}"));
                std::os::unix::fs::symlink(folder.path().join(format!("{}", i + 1)), link).expect("a link");
            }
        }
        fs::write(folder.path().join("19/x.png"), b"\x89PNG\r\n\x1a\n").expect("written");
        assert_eq!(pictures(&[folder.path().join("0")]).images.len(), 1);
    }
}
