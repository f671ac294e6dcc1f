//! What the targets share: much is read from files only.

use std::cell::OnceCell;
use std::fs;
use std::path::Path;

use tempfile::TempDir;

thread_local! {
    /// One folder for all inputs of a process.
    static FOLDER: OnceCell<TempDir> = const { OnceCell::new() };
}

/// Calls `read` with a file of this name and content, in a folder with one picture `0.png`.
pub fn with_file(name: &str, content: &[u8], read: impl FnOnce(&Path)) {
    FOLDER.with(|folder| {
        let folder = folder.get_or_init(|| {
            let folder = tempfile::tempdir().expect("a folder");
            fs::write(folder.path().join("0.png"), include_bytes!("corpus/image/grey.png")).expect("a picture");
            folder
        });
        let path = folder.path().join(name);
        // A file system may flush one that is overwritten, which takes thirty times as long as reading it.
        let _ = fs::remove_file(&path);
        fs::write(&path, content).expect("a file");
        read(&path);
    });
}
