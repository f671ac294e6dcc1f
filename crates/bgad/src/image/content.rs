//! What a file is, told by its first bytes and never by its name.

use std::io::{self, Read};
use std::path::Path;

use ::image::ImageFormat;

use crate::outside;

/// Bytes that are looked at.
const HEAD: usize = 512;

/// The formats that are read, for messages.
pub(crate) const FORMATS: &str = "PNG, JPEG, BMP, TIFF, WebP or PNM";

/// What the first bytes of a file say that it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Content {
    /// A picture in one of the formats that are read: PNG, JPEG, BMP, TIFF, WebP, PNM.
    Picture,
    /// A picture in a format that is not read; its name.
    OtherPicture(&'static str),
    /// Text, such as JSON or CSV.
    Text,
    /// No byte at all.
    Empty,
    /// Anything else.
    Unknown,
}

impl Content {
    /// Looks at the first bytes of an ordinary file.
    ///
    /// # Errors
    ///
    /// If it cannot be opened, or is no ordinary file: pipes, devices and sockets are not opened.
    pub fn of_file(path: &Path) -> io::Result<Content> {
        let (file, _) = outside::open(path)?;
        let mut head = Vec::with_capacity(HEAD);
        file.take(HEAD as u64).read_to_end(&mut head)?;
        Ok(Content::of(&head))
    }

    /// What begins with these bytes; 32 of them are enough for a picture.
    pub fn of(head: &[u8]) -> Content {
        if head.is_empty() {
            return Content::Empty;
        }
        if format(head).is_some() {
            return Content::Picture;
        }
        if let Some(name) = other(head) {
            return Content::OtherPicture(name);
        }
        let cut = &head[..head.len().min(HEAD)];
        // A letter may be cut in two at the end; UTF-16 begins with its mark.
        let is_text = match std::str::from_utf8(cut) {
            Ok(_) => true,
            Err(error) => error.error_len().is_none() && error.valid_up_to() > 0,
        };
        let is_text = is_text && !cut.contains(&0);
        if is_text || cut.starts_with(b"\xff\xfe") || cut.starts_with(b"\xfe\xff") {
            Content::Text
        } else {
            Content::Unknown
        }
    }
}

/// The format of a picture that is read.
pub(super) fn format(head: &[u8]) -> Option<ImageFormat> {
    let at = |start: usize, end: usize| head.get(start..end).unwrap_or_default();
    match head {
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some(ImageFormat::Png),
        [0xff, 0xd8, 0xff, ..] => Some(ImageFormat::Jpeg),
        // The size of the header that follows: text may begin with BM too.
        [b'B', b'M', ..] if matches!(at(14, 18), [12 | 16 | 40 | 52 | 56 | 64 | 108 | 124, 0, 0, 0]) => {
            Some(ImageFormat::Bmp)
        }
        // The second form is BigTIFF.
        [b'I', b'I', b'*' | b'+', 0, ..] | [b'M', b'M', 0, b'*' | b'+', ..] => Some(ImageFormat::Tiff),
        [b'R', b'I', b'F', b'F', ..] if at(8, 12) == b"WEBP" => Some(ImageFormat::WebP),
        [b'P', b'1'..=b'6', next, after, ..] if next.is_ascii_whitespace() && is_pnm(*after) => {
            Some(ImageFormat::Pnm)
        }
        [b'P', b'7', b'\n', after, ..] if after.is_ascii_uppercase() || *after == b'#' => {
            Some(ImageFormat::Pnm)
        }
        _ => None,
    }
}

/// The usual extension of a file with these bytes; `bin` of one that is no picture.
pub(crate) fn extension(bytes: &[u8]) -> &'static str {
    format(bytes).and_then(|format| format.extensions_str().first().copied()).unwrap_or("bin")
}

/// What may follow the first line of a PNM file: a number or a comment.
fn is_pnm(byte: u8) -> bool {
    byte.is_ascii_digit() || byte == b'#' || byte.is_ascii_whitespace()
}

/// The name of a picture format that is not read.
fn other(head: &[u8]) -> Option<&'static str> {
    const STARTS: [(&[u8], &str); 14] = [
        (b"GIF8", "GIF"),
        (b"\0\0\0\x0cjP  ", "JPEG 2000"),
        (b"\xff\x4f\xff\x51", "JPEG 2000"),
        (b"\xff\x0a", "JPEG XL"),
        (b"\0\0\0\x0cJXL ", "JPEG XL"),
        (b"\x76\x2f\x31\x01", "OpenEXR"),
        (b"8BPS", "Photoshop"),
        (b"qoif", "QOI"),
        (b"DDS ", "DDS"),
        (b"farbfeld", "farbfeld"),
        (b"#?RADIANCE", "Radiance HDR"),
        (b"PF\n", "PFM"),
        (b"Pf\n", "PFM"),
        (b"%PDF", "PDF"),
    ];
    let found = STARTS.iter().find(|(start, _)| head.starts_with(start)).map(|(_, name)| *name);
    found.or_else(|| match (head.get(4..8), head.get(8..12)) {
        (Some(b"ftyp"), Some(b"avif" | b"avis")) => Some("AVIF"),
        (Some(b"ftyp"), Some(b"heic" | b"heix" | b"mif1" | b"msf1" | b"hevc")) => Some("HEIC"),
        (Some(b"ftyp"), _) => Some("video"),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_is_told_by_the_first_bytes() {
        let mut bmp = [0u8; 32];
        bmp[..2].copy_from_slice(b"BM");
        bmp[14] = 40;
        let cases: [(&[u8], Content); 16] = [
            (b"\x89PNG\r\n\x1a\n....", Content::Picture),
            (b"\xff\xd8\xff\xe0....", Content::Picture),
            (&bmp, Content::Picture),
            (b"II*\0....", Content::Picture),
            (b"MM\0+....", Content::Picture),
            (b"RIFF....WEBPVP8L", Content::Picture),
            (b"P5\n640 480\n255\n", Content::Picture),
            (b"P7\nWIDTH 3", Content::Picture),
            (b"GIF89a....", Content::OtherPicture("GIF")),
            (b"\0\0\0\x0cjP  \r\n", Content::OtherPicture("JPEG 2000")),
            (b"\0\0\0\x1cftypavif", Content::OtherPicture("AVIF")),
            (b"P1 is the first part", Content::Text),
            (b"BMW.csv: a list of parts to look at", Content::Text),
            (b"{\"shapes\": []}", Content::Text),
            (b"", Content::Empty),
            (b"\0\x05\x16\x07", Content::Unknown),
        ];
        for (head, want) in cases {
            assert_eq!(Content::of(head), want, "{}", head.escape_ascii());
        }
        // A letter of two bytes that the look ends within.
        assert_eq!(Content::of("ä".repeat(300).as_bytes()), Content::Text);
        assert_eq!(Content::of(&"aä".repeat(300).as_bytes()[..512]), Content::Text);
    }
}
