//! Files that hold several pictures: which of them is meant, nobody can tell.

use std::io::Cursor;

use ::image::ImageFormat;
use tiff::decoder::Decoder;
use tiff::tags::Tag;

use super::jpeg;

/// Pages that are counted at most.
const MOST: usize = 1000;
/// Bits of a TIFF page's kind: a smaller copy of another page, and a mask of transparency.
const COPY_OR_MASK: u32 = 0b101;

/// What a file holds, if it is more than one picture. Smaller copies of the first do not count.
pub(super) fn more_than_one(bytes: &[u8], format: ImageFormat) -> Option<String> {
    match format {
        ImageFormat::Tiff => tiff_pages(bytes),
        ImageFormat::WebP => {
            // The bit for animation in the extended header.
            let animated =
                bytes.get(12..16) == Some(b"VP8X") && bytes.get(20).is_some_and(|flags| flags & 2 != 0);
            animated.then(|| "an animation".to_owned())
        }
        ImageFormat::Pnm => another_pnm(bytes).then(|| "another one behind the first".to_owned()),
        ImageFormat::Png => is_animated_png(bytes).then(|| "an animation".to_owned()),
        _ => None,
    }
}

/// `None` also if the pages cannot be listed: decoding then says why.
fn tiff_pages(bytes: &[u8]) -> Option<String> {
    let mut decoder = Decoder::new(Cursor::new(bytes)).ok()?;
    let kind = |decoder: &mut Decoder<Cursor<&[u8]>>| -> u32 {
        decoder.find_tag_unsigned(Tag::NewSubfileType).ok().flatten().unwrap_or(0)
    };
    let first_is_copy = kind(&mut decoder) & COPY_OR_MASK != 0;
    let (mut pages, mut pictures) = (1, 1);
    while pages < MOST && decoder.more_images() {
        decoder.next_image().ok()?;
        pages += 1;
        pictures += usize::from(kind(&mut decoder) & COPY_OR_MASK == 0);
    }
    match (pictures, first_is_copy) {
        (1, _) => None,
        (_, true) => Some(format!("{pages} pages, the first a thumbnail")),
        _ => Some(format!("{pages} pages")),
    }
}

/// Whether the chunk that announces an animation comes before the pixels.
fn is_animated_png(bytes: &[u8]) -> bool {
    let mut at = 8usize;
    while let Some(&[a, b, c, d, ref name @ ..]) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        match name {
            b"acTL" => return true,
            b"IDAT" | b"IEND" => return false,
            _ => at = at.saturating_add(12).saturating_add(u32::from_be_bytes([a, b, c, d]) as usize),
        }
    }
    false
}

/// A second picture of the first one's size behind its end marker. Previews that cameras put there are smaller.
pub(super) fn second_jpeg(bytes: &[u8], end: usize) -> Option<String> {
    let behind = bytes.get(end + 2..)?;
    let padding = behind.iter().take_while(|byte| matches!(byte, 0 | 0xff)).count();
    // The marker of a picture begins with 0xff, as padding does.
    let start = (0..=padding).rev().find(|at| behind[*at..].starts_with(b"\xff\xd8\xff"))?;
    let (first, second) = (jpeg::size(bytes)?, jpeg::size(&behind[start..])?);
    (second.0 >= first.0 && second.1 >= first.1).then(|| "another one behind the first".to_owned())
}

/// Whether binary PNM data go on with the header of a further picture.
fn another_pnm(bytes: &[u8]) -> bool {
    let Some(raster) = pnm_raster(bytes) else { return false };
    let behind = bytes.get(raster..).unwrap_or_default();
    let space = behind.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    matches!(behind[space..], [b'P', b'1'..=b'6', next, ..] if next.is_ascii_whitespace())
        || behind[space..].starts_with(b"P7\n")
}

/// Where the pixels of the first picture end, for P4 to P6.
fn pnm_raster(bytes: &[u8]) -> Option<usize> {
    let kind = *bytes.get(1)?;
    let (mut at, mut numbers) = (2, Vec::new());
    let wanted = match kind {
        b'4' => 2,
        b'5' | b'6' => 3,
        _ => return None,
    };
    while numbers.len() < wanted {
        match *bytes.get(at)? {
            b'#' => at += bytes[at..].iter().position(|byte| *byte == b'\n')?,
            byte if byte.is_ascii_whitespace() => at += 1,
            _ => {
                let digits = bytes[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
                let number = std::str::from_utf8(&bytes[at..at + digits]).ok()?;
                numbers.push(number.parse::<usize>().ok()?);
                at += digits;
            }
        }
    }
    let (width, height) = (numbers[0], numbers[1]);
    let row = match kind {
        b'4' => width.div_ceil(8),
        _ => {
            let channels = if kind == b'6' { 3 } else { 1 };
            let bytes = if numbers[2] > 255 { 2 } else { 1 };
            width.checked_mul(channels * bytes)?
        }
    };
    // One byte of white space ends the header.
    row.checked_mul(height)?.checked_add(at + 1)
}
