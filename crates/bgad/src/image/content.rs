//! What a file is, told by its first bytes and never by its name.

use std::io::{self, BufReader, Read, Seek as _};
use std::path::Path;

use ::image::ImageFormat;

use super::tiff_kind;
use crate::outside;

/// Bytes that are enough for a picture.
const HEAD: usize = 512;
/// Bytes that are looked at before a file is taken for text: some formats have long headers of text before their data.
const TEXT: usize = 64 << 10;
/// The chunk behind the header of every PNG file that bgad writes of a result: `Software` is `bgad`.
const RESULT: &[u8; 25] = b"\0\0\0\x0dtEXtSoftware\0bgad\xd0\x21\xba\x01";
/// Where it stands: behind the signature and the header.
const RESULT_AT: usize = 33;

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
        let (mut file, _) = outside::open(path)?;
        let mut head = Vec::with_capacity(HEAD);
        file.by_ref().take(HEAD as u64).read_to_end(&mut head)?;
        match Content::of(&head) {
            Content::Text => {
                file.take((TEXT - HEAD) as u64).read_to_end(&mut head)?;
                Ok(Content::of(&head))
            }
            found => Ok(found),
        }
    }

    /// What begins with these bytes; 32 of them are enough for a picture that is read.
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
        let cut = &head[..head.len().min(TEXT)];
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

/// Whether a file is a picture of a result that bgad wrote itself, which has its mark, or the map of one, which is told by name and content: a
/// file of numbers of any other name is not left out.
pub(crate) fn is_result(path: &Path) -> bool {
    let Ok((mut file, _)) = outside::open(path) else { return false };
    let mut head = Vec::with_capacity(HEAD);
    if file.by_ref().take(HEAD as u64).read_to_end(&mut head).is_err() {
        return false;
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    match format(&head) {
        Some(ImageFormat::Png) => is_marked(&head),
        Some(ImageFormat::Tiff) => {
            name.ends_with(".map.tiff") && file.rewind().is_ok() && tiff_kind::is_map(BufReader::new(file))
        }
        _ => name.ends_with(".map.npy") && head.starts_with(b"\x93NUMPY"),
    }
}

fn is_marked(png: &[u8]) -> bool {
    png.get(RESULT_AT..RESULT_AT + RESULT.len()) == Some(&RESULT[..])
}

/// A PNG file with the mark of a result.
pub(crate) fn marked_as_result(mut png: Vec<u8>) -> Vec<u8> {
    png.splice(RESULT_AT..RESULT_AT, RESULT.iter().copied());
    png
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
    const STARTS: [(&[u8], &str); 20] = [
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
        (b"%!PS", "PostScript"),
        (b"SIMPLE  =", "FITS"),
        (b"NRRD0", "NRRD"),
        (b"ObjectType = Image", "MetaImage"),
        (b"/* XPM */", "XPM"),
        (b"<svg", "SVG"),
    ];
    let found = STARTS.iter().find(|(start, _)| head.starts_with(start)).map(|(_, name)| *name);
    // A declaration, a type and comments may come before it.
    let is_svg = || head.starts_with(b"<?xml") && head.windows(4).take(HEAD).any(|word| word == b"<svg");
    let found = found.or_else(|| is_svg().then_some("SVG"));
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
        let cases: [(&[u8], Content); 20] = [
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
            (b"SIMPLE  =                    T", Content::OtherPicture("FITS")),
            (b"<?xml version=\"1.0\"?>\n<svg width=\"10\"/>", Content::OtherPicture("SVG")),
            (b"<?xml version=\"1.0\"?>\n<annotation/>", Content::Text),
            (b"%!PS-Adobe-3.0", Content::OtherPicture("PostScript")),
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

    #[test]
    fn a_long_header_of_text_does_not_make_data_a_text() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x");
        let header = "LINES = 4096\r\n".repeat(300);
        std::fs::write(&path, [header.as_bytes(), &[0, 200, 3, 255]].concat()).expect("written");
        assert_eq!(Content::of_file(&path).expect("a file"), Content::Unknown);
        std::fs::write(&path, header).expect("written");
        assert_eq!(Content::of_file(&path).expect("a file"), Content::Text);
    }

    #[test]
    fn a_result_is_told_by_its_mark_and_stays_a_sound_png() {
        use ::image::{GrayImage, ImageDecoder as _, codecs::png::PngDecoder};
        let mut png = std::io::Cursor::new(Vec::new());
        GrayImage::new(3, 2).write_to(&mut png, ImageFormat::Png).expect("a PNG");
        let plain = png.into_inner();
        let marked = marked_as_result(plain.clone());
        assert!(is_marked(&marked) && !is_marked(&plain));
        let decoder = PngDecoder::new(std::io::Cursor::new(&marked)).expect("a PNG");
        assert_eq!(decoder.dimensions(), (3, 2));
        // The checksum of the PNG specification, over name and text.
        let (text, sum) = RESULT[4..].split_at(17);
        let crc = !text.iter().fold(!0u32, |crc, byte| {
            (0..8)
                .fold(crc ^ u32::from(*byte), |crc, _| crc >> 1 ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 })
        });
        assert_eq!(sum, crc.to_be_bytes());
    }
}
