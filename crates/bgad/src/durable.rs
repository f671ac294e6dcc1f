//! Files that are whole or not there: a new one beside the old, on the disk, then renamed over it.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use std::time::Duration;

/// A file that is still being written is younger.
const LEFT_BEHIND: Duration = Duration::from_secs(3600);

/// Replaces the file at `path` with `bytes`.
///
/// # Errors
///
/// What the system says; the old file is then untouched.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let name = path.file_name().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no file name"))?;
    let mut new_name = std::ffi::OsString::from(".");
    new_name.push(name);
    new_name.push(format!(".{}.new", std::process::id()));
    let new = path.with_file_name(new_name);

    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(&new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&new, path)
    };
    let written = write();
    if written.is_err() {
        // Nothing better can be done if this fails too; the first error is the one to report.
        let _ = fs::remove_file(&new);
        return written;
    }
    // The rename itself is on the disk once the folder is; not every system can open a folder, and the file is whole
    // either way.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
    sweep(folder, name);
    Ok(())
}

/// Removes what runs that were killed while they wrote this very file have left, if it is old enough to be nobody's.
fn sweep(folder: &Path, name: &OsStr) {
    let (Ok(entries), Some(name)) = (fs::read_dir(folder), name.to_str()) else { return };
    for entry in entries.flatten() {
        let file = entry.file_name();
        let of_ours = |file: &str| {
            let process =
                file.strip_prefix('.')?.strip_prefix(name)?.strip_prefix('.')?.strip_suffix(".new")?;
            process.parse::<u32>().ok()
        };
        let age = || entry.metadata().ok()?.modified().ok()?.elapsed().ok();
        if file.to_str().and_then(of_ours).is_some() && age().is_some_and(|age| age > LEFT_BEHIND) {
            // Another run may have been faster.
            let _ = fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_leavings_of_the_same_file_are_swept_and_nothing_else() {
        let folder = std::env::temp_dir().join(format!("bgad-durable-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let old = std::time::SystemTime::now() - 2 * LEFT_BEHIND;
        for name in [".a.bgad.17.new", ".a.bgad.x.new", ".b.bgad.17.new", "a.bgad.17.new"] {
            File::create(folder.join(name)).unwrap().set_modified(old).unwrap();
        }
        File::create(folder.join(".a.bgad.18.new")).unwrap();
        replace(&folder.join("a.bgad"), b"new").unwrap();
        let mut left: Vec<_> = fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(left, [".a.bgad.18.new", ".a.bgad.x.new", ".b.bgad.17.new", "a.bgad", "a.bgad.17.new"]);
        fs::remove_dir_all(&folder).unwrap();
    }
}
