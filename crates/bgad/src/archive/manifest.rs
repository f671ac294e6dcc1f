//! The list of images, read row by row: it may be larger than memory.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::output::ArchiveError;

/// The column that names the images.
const COLUMN: &str = "path";

/// A CSV file with a column `path`; other columns are not looked at.
#[derive(Debug)]
pub struct Manifest {
    path: PathBuf,
    /// Where relative paths start.
    folder: PathBuf,
    column: usize,
    reader: csv::Reader<File>,
    next: u64,
}

/// One row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its number, from 0.
    pub row: u64,
    /// The image as it is written there.
    pub file: String,
    /// Where it is.
    pub path: PathBuf,
}

impl Manifest {
    /// Opens a manifest.
    ///
    /// # Errors
    ///
    /// An [`ArchiveError`] if it cannot be read or has no column `path`.
    pub fn open(path: &Path) -> Result<Manifest, ArchiveError> {
        let unreadable = |source| ArchiveError::Manifest { path: path.to_owned(), source };
        let mut reader = csv::Reader::from_path(path).map_err(unreadable)?;
        let head = reader.headers().map_err(unreadable)?;
        let names: Vec<&str> = head.iter().map(|name| name.trim_start_matches('\u{feff}').trim()).collect();
        let column = names
            .iter()
            .position(|name| *name == COLUMN)
            .ok_or_else(|| ArchiveError::NoColumn { path: path.to_owned(), found: names.join(", ") })?;
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        Ok(Manifest { path: path.to_owned(), folder, column, reader, next: 0 })
    }
}

impl Iterator for Manifest {
    type Item = Result<Entry, ArchiveError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut record = csv::StringRecord::new();
        match self.reader.read_record(&mut record) {
            Ok(false) => None,
            Ok(true) => {
                let file = record.get(self.column).unwrap_or_default().to_owned();
                let path = self.folder.join(&file);
                self.next += 1;
                Some(Ok(Entry { row: self.next - 1, file, path }))
            }
            Err(source) => Some(Err(ArchiveError::Manifest { path: self.path.clone(), source })),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn images_are_found_by_the_column_and_from_the_folder_of_the_manifest() {
        let folder = tempfile::tempdir().expect("a folder");
        let list = folder.path().join("list.csv");
        fs::write(&list, "\u{feff}line,path\n7,\"a, b.png\"\n8,/far/c.png\n").expect("a file");
        let entries: Vec<Entry> =
            Manifest::open(&list).expect("a manifest").map(|e| e.expect("a row")).collect();
        let entry = |row, file: &str, path: PathBuf| Entry { row, file: file.to_owned(), path };
        let want = [
            entry(0, "a, b.png", folder.path().join("a, b.png")),
            entry(1, "/far/c.png", "/far/c.png".into()),
        ];
        assert_eq!(entries, want);
    }

    #[test]
    fn a_list_that_is_none_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let list = folder.path().join("list.csv");
        fs::write(&list, "file,kind\na.png,good\n").expect("a file");
        let refused = Manifest::open(&list).expect_err("no column").to_string();
        assert!(refused.contains("`path`") && refused.contains("file, kind"), "{refused}");
        fs::write(&list, "path,kind\na.png\n").expect("a file");
        let mut rows = Manifest::open(&list).expect("a head");
        assert!(rows.next().expect("a row").is_err(), "a row that lacks a field");
        assert!(Manifest::open(&folder.path().join("none.csv")).is_err());
    }
}
