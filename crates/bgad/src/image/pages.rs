//! Files that hold several pictures: which of them is meant, nobody can tell.

use std::io::Cursor;

use ::image::ImageFormat;
use tiff::decoder::Decoder;
use tiff::tags::Tag;

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
