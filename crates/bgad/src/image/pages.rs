//! Files that hold several pictures: which of them is meant, nobody can tell.

use std::io::Cursor;

use ::image::{ImageFormat, ImageReader};
use tiff::decoder::Decoder;
use tiff::tags::Tag;

use super::tiff_directory::Directory;
use super::{content, jpeg};

/// Pages that are counted at most.
const MOST: usize = 1000;
/// What is found where one picture follows another.
const BEHIND: &str = "another one behind the first";
/// Bits of a TIFF page's kind: a smaller copy of another page, and a mask of transparency.
const COPY_OR_MASK: u32 = 0b101;

/// What a file holds, if it is more than one picture. Smaller copies of the first do not count.
pub(super) fn more_than_one(bytes: &[u8], format: ImageFormat) -> Option<String> {
    match format {
        ImageFormat::Tiff => tiff_pages(bytes)
            .or_else(|| behind(bytes, Directory::first(bytes)?.end_of_file()))
            .or_else(|| stack(bytes)),
        ImageFormat::WebP => {
            // The bit for animation in the extended header.
            let animated =
                bytes.get(12..16) == Some(b"VP8X") && bytes.get(20).is_some_and(|flags| flags & 2 != 0);
            animated.then(|| "an animation".to_owned()).or_else(|| behind(bytes, webp_end(bytes)?))
        }
        // A stream of them is a thing of the format: whatever their sizes, they are several.
        ImageFormat::Pnm => {
            another_pnm(bytes).then(|| BEHIND.to_owned()).or_else(|| behind(bytes, pnm_raster(bytes)?))
        }
        ImageFormat::Png => is_animated_png(bytes)
            .then(|| "an animation".to_owned())
            .or_else(|| behind(bytes, png_end(bytes)?)),
        ImageFormat::Bmp => behind(bytes, bmp_end(bytes)?),
        _ => None,
    }
}

/// A further picture behind the end of the first, of any format that is read and at least as large: previews that cameras put
/// there are smaller.
pub(super) fn behind(bytes: &[u8], end: usize) -> Option<String> {
    let behind = bytes.get(end..)?;
    let is_padding = |byte: &&u8| matches!(**byte, 0 | 0xff) || byte.is_ascii_whitespace();
    let padding = behind.iter().take_while(is_padding).count();
    // The marker of a JPEG begins with 0xff, as padding does.
    let second = [padding, padding.saturating_sub(1)].into_iter().map(|start| &behind[start..]);
    let second = second.into_iter().find(|second| content::format(second).is_some())?;
    let ((width, height), (first_width, first_height)) = (sides(second)?, sides(bytes)?);
    (width >= first_width && height >= first_height).then(|| BEHIND.to_owned())
}

/// Columns and rows, as the header says.
fn sides(bytes: &[u8]) -> Option<(u32, u32)> {
    match content::format(bytes)? {
        ImageFormat::Jpeg => jpeg::size(bytes).map(|(height, width)| (u32::from(width), u32::from(height))),
        format => ImageReader::with_format(Cursor::new(bytes), format).into_dimensions().ok(),
    }
}

/// Behind the last chunk.
fn png_end(bytes: &[u8]) -> Option<usize> {
    let mut at = 8usize;
    loop {
        let [a, b, c, d, ref name @ ..] = *bytes.get(at..)?.first_chunk::<8>()?;
        at = at.checked_add(12)?.checked_add(u32::from_be_bytes([a, b, c, d]) as usize)?;
        if name == b"IEND" {
            return Some(at);
        }
    }
}

/// As its own header says.
fn bmp_end(bytes: &[u8]) -> Option<usize> {
    let size = u32::from_le_bytes(*bytes.get(2..)?.first_chunk()?) as usize;
    // Some programs leave the size out.
    (size >= 26).then_some(size)
}

/// As its own header says; an odd size is padded.
fn webp_end(bytes: &[u8]) -> Option<usize> {
    let size = u32::from_le_bytes(*bytes.get(4..)?.first_chunk()?) as usize;
    size.checked_next_multiple_of(2)?.checked_add(8)
}

/// `None` also if the pages cannot be listed: decoding then says why.
fn tiff_pages(bytes: &[u8]) -> Option<String> {
    let mut decoder = Decoder::new(Cursor::new(bytes)).ok()?;
    let first_is_copy = kind(&mut decoder) & COPY_OR_MASK != 0;
    let (below, pictures_below) = pages_below(&mut decoder);
    let (mut pages, mut pictures) = (1 + below, 1 + pictures_below);
    while pages < MOST && decoder.more_images() {
        decoder.next_image().ok()?;
        let (below, pictures_below) = pages_below(&mut decoder);
        pages += 1 + below;
        pictures += usize::from(kind(&mut decoder) & COPY_OR_MASK == 0) + pictures_below;
    }
    match (pictures, first_is_copy) {
        (1, _) => None,
        (_, true) => Some(format!("{pages} pages, the first a thumbnail")),
        _ => Some(format!("{pages} pages")),
    }
}

/// ImageJ may write one page for a whole stack and the pixels of the others behind it: only its description tells.
fn stack(bytes: &[u8]) -> Option<String> {
    let mut decoder = Decoder::new(Cursor::new(bytes)).ok()?;
    let description = decoder.find_tag(Tag::ImageDescription).ok()??.into_string().ok()?;
    let lines = description.strip_prefix("ImageJ=")?.lines();
    let images: usize = lines.filter_map(|line| line.strip_prefix("images=")?.parse().ok()).next()?;
    (images > 1).then(|| format!("a stack of {images} images"))
}

type TiffDecoder<'a> = Decoder<Cursor<&'a [u8]>>;

/// The kind of the page at which the decoder stands.
fn kind(decoder: &mut TiffDecoder<'_>) -> u32 {
    decoder.find_tag_unsigned(Tag::NewSubfileType).ok().flatten().unwrap_or(0)
}

/// Pages in directories below the one at which the decoder stands, and how many of them are pictures of their own. Cameras put
/// what they took there and show a preview instead; microscopes put smaller copies there.
fn pages_below(decoder: &mut TiffDecoder<'_>) -> (usize, usize) {
    let value = decoder.find_tag(Tag::SubIfd).ok().flatten();
    let Some(Ok(pointers)) = value.map(|value| value.into_ifd_vec()) else { return (0, 0) };
    let mut pictures = 0;
    for pointer in pointers.iter().take(MOST) {
        let Ok(directory) = decoder.read_directory(*pointer) else { continue };
        let kind = decoder.read_directory_tags(&directory).find_tag(Tag::NewSubfileType);
        let kind = kind.ok().flatten().and_then(|value| value.into_u32().ok()).unwrap_or(0);
        pictures += usize::from(kind & COPY_OR_MASK == 0);
    }
    (pointers.len().min(MOST), pictures)
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

/// Whether PNM data go on with the header of a further picture.
fn another_pnm(bytes: &[u8]) -> bool {
    if matches!(bytes, [b'P', b'1'..=b'3', ..]) {
        return another_in_numbers(&bytes[2..]);
    }
    let Some(raster) = pnm_raster(bytes) else { return false };
    let behind = bytes.get(raster..).unwrap_or_default();
    let space = behind.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    matches!(behind[space..], [b'P', b'1'..=b'6', next, ..] if next.is_ascii_whitespace())
        || behind[space..].starts_with(b"P7\n")
}

/// Whether pixels that are written as numbers go on with a further picture: nothing but comments has letters.
fn another_in_numbers(pixels: &[u8]) -> bool {
    pixels.split(|byte| *byte == b'\n').any(|line| {
        let numbers = line.split(|byte| *byte == b'#').next().unwrap_or_default();
        numbers.contains(&b'P')
    })
}

/// Where the pixels of the first picture end, for P7.
fn pam_raster(bytes: &[u8]) -> Option<usize> {
    const END: &[u8] = b"ENDHDR\n";
    let end = bytes.windows(END.len()).position(|window| window == END)?;
    let header = std::str::from_utf8(&bytes[..end]).ok()?;
    let number = |name: &str| -> Option<usize> {
        header.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
    };
    let bytes = if number("MAXVAL")? > 255 { 2 } else { 1 };
    let values = number("WIDTH")?.checked_mul(number("HEIGHT")?)?.checked_mul(number("DEPTH")?)?;
    values.checked_mul(bytes)?.checked_add(end + END.len())
}

/// Where the pixels of the first picture end, for P4 to P7.
fn pnm_raster(bytes: &[u8]) -> Option<usize> {
    let kind = *bytes.get(1)?;
    if kind == b'7' {
        return pam_raster(bytes);
    }
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
