//! What a path leads to, before anything is written.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// Links that are followed one after the other at most.
const LINKS: usize = 40;

/// Where bytes for a path go.
pub(super) enum Destination {
    /// A regular file, or none yet: its path with links resolved, and what is there.
    File { path: PathBuf, old: Option<Metadata> },
    /// Something that is written into.
    Stream(Stream),
}

/// A pipe, a device, or what stdout or stderr are open on.
pub(super) enum Stream {
    Named(PathBuf),
    Open(File),
}

impl Stream {
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut opened;
        let stream = match self {
            Stream::Open(file) => file,
            // Opened this late since opening a pipe waits for its reader.
            Stream::Named(path) => {
                opened = OpenOptions::new().write(true).open(path)?;
                &mut opened
            }
        };
        stream.write_all(bytes)?;
        stream.flush()
    }
}

impl Destination {
    /// What is at `path`.
    ///
    /// # Errors
    ///
    /// If it is a folder or write-protected, or what the system says.
    pub(super) fn of(path: &Path) -> io::Result<Destination> {
        let found = match fs::metadata(path) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Destination::File { path: end_of_links(path)?, old: None });
            }
            Err(error) => return Err(error),
        };
        if found.is_dir() {
            return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a folder, expected a file name"));
        }
        // `--json /dev/stdout > file`: replacing the file would tear it from the shell that holds it open.
        if let Some(open) = standard_stream(&found)? {
            return Ok(Destination::Stream(Stream::Open(open)));
        }
        if !found.is_file() {
            return Ok(Destination::Stream(Stream::Named(path.to_owned())));
        }
        let protected = || io::Error::new(io::ErrorKind::PermissionDenied, "it is write-protected");
        // A rename asks the folder only, and an administrator may open everything.
        if found.permissions().readonly() {
            return Err(protected());
        }
        match OpenOptions::new().write(true).open(path) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(protected()),
            Err(error) => Err(error),
            Ok(_) => Ok(Destination::File { path: fs::canonicalize(path)?, old: Some(found) }),
        }
    }
}

/// The path that a link to nothing would create.
fn end_of_links(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..LINKS {
        match fs::read_link(&path) {
            Ok(target) => path = super::folder_of(&path).join(target),
            Err(_) => return Ok(path),
        }
    }
    Err(io::Error::other("too many links, one to the other"))
}

/// A second handle to stdout or stderr if that is what was found.
#[cfg(unix)]
fn standard_stream(found: &Metadata) -> io::Result<Option<File>> {
    use std::os::fd::AsFd as _;
    use std::os::unix::fs::MetadataExt as _;

    let (stdout, stderr) = (io::stdout(), io::stderr());
    for stream in [stdout.as_fd(), stderr.as_fd()] {
        // A closed stream is none.
        let Ok(open) = stream.try_clone_to_owned() else { continue };
        let open = File::from(open);
        let is = open.metadata()?;
        if (is.dev(), is.ino()) == (found.dev(), found.ino()) {
            return Ok(Some(open));
        }
    }
    Ok(None)
}

#[cfg(not(unix))]
fn standard_stream(_: &Metadata) -> io::Result<Option<File>> {
    Ok(None)
}

/// Gives a new file the permissions, and as far as this user may the owner and group, of the one that it replaces.
pub(super) fn keep_owner_and_mode(file: &File, old: &Metadata) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt as _, fchown};

        let new = file.metadata()?;
        let (uid, gid) =
            ((new.uid() != old.uid()).then(|| old.uid()), (new.gid() != old.gid()).then(|| old.gid()));
        // Another member of the group may replace its file, and then owns it; whoever may read and write it stays the same.
        if (uid.is_some() || gid.is_some()) && fchown(file, uid, gid).is_err() && gid.is_some() {
            fchown(file, None, gid).map_err(|error| {
                io::Error::new(
                    error.kind(),
                    "it belongs to another user and group, which a new file cannot keep",
                )
            })?;
        }
    }
    file.set_permissions(old.permissions())
}
