//! The door for files from outside: ordinary files of a stated size, and nothing else.
//!
//! A named pipe, a device or a socket is never opened: reading it may never end, and reading a device may do something.
//! The kind and the size are looked at before the first byte is read.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

/// The largest text file that is read: lists, split files and label files, in bytes.
pub const MAX_TEXT: u64 = 512 << 20;

/// The largest image or mask file that is read, in bytes.
pub const MAX_IMAGE: u64 = 1 << 30;

/// The largest model file that is read, in bytes: one that carries its backbone has less than a tenth of it.
pub const MAX_MODEL: u64 = 4 << 30;

/// Opens an ordinary file, following links, and says how long it is.
///
/// # Errors
///
/// If there is no such file, or if it is no ordinary file; the error says what it is instead.
pub fn open(path: &Path) -> io::Result<(File, u64)> {
    // Looked at before it is opened, since opening a pipe waits for its other end.
    regular(&fs::metadata(path)?)?;
    let file = File::open(path)?;
    // And once more, since the name may mean another file by now.
    let metadata = file.metadata()?;
    regular(&metadata)?;
    Ok((file, metadata.len()))
}

/// Reads an ordinary file whole, if it has at most `most` bytes.
///
/// # Errors
///
/// As [`open`], and with [`io::ErrorKind::FileTooLarge`] if it is longer.
pub fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let (file, len) = open(path)?;
    let too_large = |len: String| {
        let found = format!("expected a file of at most {} MiB, found one of {len}", most >> 20);
        io::Error::new(io::ErrorKind::FileTooLarge, found)
    };
    if len > most {
        return Err(too_large(format!("{} MiB", len >> 20)));
    }
    let mut bytes = Vec::with_capacity(len as usize);
    // One byte more than allowed tells "just fits" from "too large", also for a file that grows or never ends.
    file.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(too_large("more".to_owned()));
    }
    Ok(bytes)
}

/// Reads a text file of at most [`MAX_TEXT`] bytes: UTF-8 with or without a byte order mark, or UTF-16 with one.
///
/// # Errors
///
/// As [`read`], and with [`io::ErrorKind::InvalidData`] if the bytes are no such text; the error names the first that is not.
pub fn read_text(path: &Path) -> io::Result<String> {
    text(&read(path, MAX_TEXT)?)
}

/// The text in `bytes`, as [`read_text`] understands it.
pub(crate) fn text(bytes: &[u8]) -> io::Result<String> {
    let wrong = |found: String| io::Error::new(io::ErrorKind::InvalidData, found);
    let utf16 = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let (units, rest) = bytes.as_chunks::<2>();
        let units: Vec<u16> = units.iter().copied().map(unit).collect();
        let text = String::from_utf16(&units).ok().filter(|_| rest.is_empty());
        text.ok_or_else(|| wrong("expected UTF-16 after its byte order mark, found broken pairs".to_owned()))
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        bytes => {
            let bytes = without_mark(bytes);
            std::str::from_utf8(bytes).map(str::to_owned).map_err(|error| {
                let at = error.valid_up_to();
                let line = 1 + bytes[..at].iter().filter(|byte| **byte == b'\n').count();
                wrong(format!(
                    "expected UTF-8 text, found the byte 0x{:02x} in line {line} (perhaps Latin-1: save the file as UTF-8)",
                    bytes[at]
                ))
            })
        }
    }
}

/// The bytes without a byte order mark of UTF-8.
pub(crate) fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

fn regular(metadata: &fs::Metadata) -> io::Result<()> {
    match what(metadata) {
        None => Ok(()),
        Some(what) => {
            let found = format!("expected an ordinary file, found {what}");
            Err(io::Error::new(io::ErrorKind::InvalidInput, found))
        }
    }
}

/// What something is that is no ordinary file; `None` for an ordinary file.
pub(crate) fn what(metadata: &fs::Metadata) -> Option<&'static str> {
    let kind = metadata.file_type();
    if kind.is_file() {
        return None;
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        if kind.is_fifo() {
            return Some("a named pipe");
        } else if kind.is_socket() {
            return Some("a socket");
        } else if kind.is_char_device() || kind.is_block_device() {
            return Some("a device");
        }
    }
    Some(if kind.is_dir() { "a folder" } else { "something else" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_in_the_encodings_of_spreadsheets() {
        let utf16 = |mark: &[u8], unit: fn(u16) -> [u8; 2]| {
            [mark.to_vec(), "größe".encode_utf16().flat_map(unit).collect()].concat()
        };
        for bytes in [
            "größe".as_bytes().to_vec(),
            [b"\xef\xbb\xbf", "größe".as_bytes()].concat(),
            utf16(b"\xff\xfe", u16::to_le_bytes),
            utf16(b"\xfe\xff", u16::to_be_bytes),
        ] {
            assert_eq!(text(&bytes).expect("a text"), "größe");
        }
        let error = text(b"a\ngr\xf6\xdfe").expect_err("Latin-1").to_string();
        assert!(error.contains("0xf6 in line 2") && error.contains("Latin-1"), "{error}");
        assert!(text(b"\xff\xfea").is_err());
    }

    #[test]
    fn only_ordinary_files_of_the_stated_size_are_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x");
        fs::write(&path, [7; 10]).expect("written");
        assert_eq!(read(&path, 10).expect("fits"), [7; 10]);
        assert_eq!(read(&path, 9).expect_err("too large").kind(), io::ErrorKind::FileTooLarge);
        let error = read(folder.path(), 10).expect_err("a folder");
        assert!(error.to_string().contains("found a folder"), "{error}");
        #[cfg(target_os = "linux")]
        {
            let error = read(Path::new("/dev/zero"), 10).expect_err("a device");
            assert!(error.to_string().contains("found a device"), "{error}");
            // Opening the pipe would wait for a writer that never comes.
            let pipe = folder.path().join("pipe");
            assert!(std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo").success());
            assert!(read(&pipe, 10).expect_err("a pipe").to_string().contains("found a named pipe"));
        }
    }
}
