//! The one place that writes files.
//!
//! ```text
//! new or regular file   a new file beside it, synchronised, then renamed over it: whole, or as it was
//! link                  what it points to is written; the link stays
//! pipe, device          written into
//! folder, read-only     refused
//! ```
//!
//! A replaced file keeps its permissions, owner and group. The names of unfinished files cannot be guessed and are created
//! exclusively, so that a planted link is never followed. [`replace_keeping_previous`] keeps what was there beside the new
//! file; [`restore`] brings it back.

mod destination;

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::NamedTempFile;

use destination::Destination;

/// A file that is still being written is younger.
const LEFT_BEHIND: Duration = Duration::from_secs(3600);

/// Random letters in the name of an unfinished file.
const RANDOM: usize = 12;

/// Bytes of a file's name that go into the name of its unfinished successor: a name may have 255.
const NAME: usize = 200;

/// End of the name of the previous generation.
const PREVIOUS: &str = ".previous";

/// Writes `bytes` to `path`, as the head of this module says.
///
/// # Errors
///
/// What the system says. A regular file at `path` is then untouched, unless the error says that the new one is in place.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    match Destination::of(path)? {
        Destination::Stream(mut stream) => stream.write(bytes),
        Destination::File { path, old } => put(&stage(&path, old.as_ref(), bytes)?, &path),
    }
}

/// As [`replace`], and what was at `path` stays beside it under the name of [`previous`]. Bytes that are there already are
/// not written again, so that a repeated command does not lose the previous generation.
///
/// # Errors
///
/// As [`replace`].
pub fn replace_keeping_previous(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let (path, old) = match Destination::of(path)? {
        Destination::Stream(mut stream) => return stream.write(bytes),
        Destination::File { path, old } => (path, old),
    };
    if let Some(old) = &old {
        let before = fs::read(&path)?;
        if before == bytes {
            return synchronise(folder_of(&path));
        }
        // The new file first: if there is no room for it, nothing changes.
        let new = stage(&path, Some(old), bytes)?;
        if !before.is_empty() {
            let kept = previous(&path);
            put(&stage(&kept, Some(old), &before)?, &kept)?;
        }
        return put(&new, &path);
    }
    put(&stage(&path, None, bytes)?, &path)
}

/// Opens a file to go on with, and makes it if it is not there: for lists that grow row by row, each row whole. What is there stays.
///
/// # Errors
///
/// What the system says.
pub fn open_to_extend(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
}

/// Where the previous generation of a file is kept: `NAME.previous` beside it.
pub fn previous(path: &Path) -> PathBuf {
    with_suffix(path, PREVIOUS)
}

/// Exchanges the file at `path` with its previous generation; doing it twice brings the newer one back. An exchange that was
/// interrupted is completed.
///
/// # Errors
///
/// [`io::ErrorKind::NotFound`] if there is no previous generation; else what the system says. Both generations are kept.
pub fn restore(path: &Path) -> io::Result<()> {
    let Destination::File { path, old } = Destination::of(path)? else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    };
    let (kept, newer) = (previous(&path), with_suffix(&path, ".undone"));
    if kept.try_exists()? {
        if let Some(old) = &old {
            let bytes = fs::read(&path)?;
            put(&stage(&newer, Some(old), &bytes)?, &newer)?;
        }
        fs::rename(&kept, &path)?;
    } else if !newer.try_exists()? {
        return Err(io::Error::new(
            io::ErrorKind::NotFound,
            format!("there is no previous generation {}", kept.display()),
        ));
    }
    if newer.try_exists()? {
        fs::rename(&newer, &kept)?;
    }
    synchronise(folder_of(&path))
}

/// Whether [`replace`] could write to `path`, found out before the work and without changing what is there.
///
/// # Errors
///
/// Why it could not.
pub fn check(path: &Path) -> io::Result<()> {
    match Destination::of(path)? {
        Destination::Stream(_) => Ok(()),
        Destination::File { path, .. } => {
            let folder = folder_of(&path);
            if !folder.is_dir() {
                let missing = format!("there is no folder {}", folder.display());
                return Err(io::Error::new(io::ErrorKind::NotFound, missing));
            }
            unfinished(&path, true).map(drop)
        }
    }
}

/// A synchronised file beside `path` that is ready to take its place.
fn stage(path: &Path, like: Option<&Metadata>, bytes: &[u8]) -> io::Result<NamedTempFile> {
    let mut file = unfinished(path, like.is_none())?;
    // Not through `NamedTempFile`, whose errors name the unfinished file.
    let inner = file.as_file_mut();
    inner.write_all(bytes)?;
    if let Some(like) = like {
        destination::keep_owner_and_mode(inner, like)?;
    }
    inner.sync_all()?;
    Ok(file)
}

/// Renames a staged file over `path`.
fn put(staged: &NamedTempFile, path: &Path) -> io::Result<()> {
    fs::rename(staged.path(), path)?;
    let folder = folder_of(path);
    sweep(folder, path.file_name().unwrap_or_default());
    synchronise(folder)
}

/// A new file of an unguessable name beside `path`; a public one has the permissions that new files get, any other is its owner's alone.
fn unfinished(path: &Path, is_public: bool) -> io::Result<NamedTempFile> {
    let name = path
        .file_name()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "expected a file name"))?;
    let mut builder = tempfile::Builder::new();
    let prefix = prefix(name);
    builder.prefix(&prefix).suffix(".new").rand_bytes(RANDOM);
    #[cfg(unix)]
    if is_public {
        // The system takes the user's mask off.
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    }
    #[cfg(not(unix))]
    let _ = is_public;
    // Its errors name the unfinished file, which nobody asked for.
    builder.tempfile_in(folder_of(path)).map_err(|error| io::Error::from(error.kind()))
}

/// The rename is on the disk once the folder is. Not every system can open or synchronise one; the file is whole there all the same.
fn synchronise(folder: &Path) -> io::Result<()> {
    let Ok(open) = File::open(folder) else { return Ok(()) };
    match open.sync_all() {
        Err(error) if !matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => {
            let what = format!("the new file is in place, but its folder could not be synchronised: {error}");
            Err(io::Error::new(error.kind(), what))
        }
        _ => Ok(()),
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

/// How the names of unfinished successors of a file begin.
fn prefix(name: &OsStr) -> OsString {
    let mut prefix = OsString::from(".");
    if name.len() <= NAME {
        prefix.push(name);
    } else {
        prefix.push(name.to_string_lossy().chars().take(NAME / 4).collect::<String>());
    }
    prefix.push(".");
    prefix
}

/// Removes what runs that were killed while they wrote this very file have left, if it is old enough to be nobody's.
fn sweep(folder: &Path, name: &OsStr) {
    let prefix = prefix(name);
    let (Ok(entries), Some(prefix)) = (fs::read_dir(folder), prefix.to_str()) else { return };
    for entry in entries.flatten() {
        let file = entry.file_name();
        let is_ours = |file: &str| {
            let random = file.strip_prefix(prefix).and_then(|rest| rest.strip_suffix(".new"));
            random.is_some_and(|random| {
                !random.is_empty() && random.bytes().all(|letter| letter.is_ascii_alphanumeric())
            })
        };
        let age = || entry.metadata().ok()?.modified().ok()?.elapsed().ok();
        if file.to_str().is_some_and(is_ours) && age().is_some_and(|age| age > LEFT_BEHIND) {
            // Another run may have been faster.
            let _ = fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests;
