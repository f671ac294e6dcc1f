//! Bytes to upright pixels, within limits.

use std::error::Error;
use std::fs::File;
use std::io::{Cursor, ErrorKind, Read};
use std::path::Path;

use ::image::error::ImageError as DecoderError;
use ::image::metadata::Orientation;
use ::image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};

use super::{ImageError, ImageProblem, OriginalSize};

/// Longest side accepted, in pixels: four times what a line-scan camera of 4096 columns gives.
pub(crate) const MAX_SIDE: u32 = 16_384;
/// Most memory one image may take while it is decoded, and the largest file that is read, in bytes.
pub(super) const MAX_BYTES: u64 = 1 << 30;

/// Reads a file whole: decoding then touches no disk, and a truncated file can be told from a damaged one.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, ImageError> {
    let unreadable = |error| ImageError::from(ImageProblem::Unreadable(error)).of_file(path);
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    // One byte more than allowed tells "just fits" from "too large", also for a file that never ends.
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_BYTES {
        let found = format!("a file of more than {} MiB", MAX_BYTES >> 20);
        return Err(ImageError::from(ImageProblem::TooLarge { found }).of_file(path));
    }
    Ok(bytes)
}

/// The size of an image file, upright, from its header alone.
pub(crate) fn original_size(path: &Path) -> Result<OriginalSize, ImageError> {
    let unreadable = |error| ImageError::from(ImageProblem::Unreadable(error)).of_file(path);
    let reader = ImageReader::open(path).and_then(ImageReader::with_guessed_format).map_err(unreadable)?;
    let damaged = |error| ImageError::from(classify(error, 0)).of_file(path);
    let mut decoder = reader.into_decoder().map_err(damaged)?;
    let (width, height) = decoder.dimensions();
    let size = OriginalSize { height: height as usize, width: width as usize };
    use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
    Ok(match decoder.orientation().map_err(damaged)? {
        Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH => {
            OriginalSize { height: size.width, width: size.height }
        }
        _ => size,
    })
}

/// Decodes and turns upright.
pub(crate) fn decode(bytes: &[u8]) -> Result<DynamicImage, ImageError> {
    Ok(decode_with_orientation(bytes)?.0)
}

/// Decodes and turns upright; says how it was turned.
pub(crate) fn decode_with_orientation(bytes: &[u8]) -> Result<(DynamicImage, Orientation), ImageError> {
    if bytes.is_empty() {
        return Err(ImageProblem::Empty.into());
    }
    let classify = |error| ImageError::from(classify(error, bytes.len()));

    let mut reader =
        ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(ImageProblem::Unreadable)?;
    let Some(format) = reader.format() else {
        return Err(ImageProblem::UnknownFormat { starts_with: bytes[..bytes.len().min(8)].to_vec() }.into());
    };
    // Sides are checked below rather than by the decoder, whose error would not say what they are.
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(MAX_BYTES);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(classify)?;

    let (width, height) = decoder.dimensions();
    let found = OriginalSize { height: height as usize, width: width as usize };
    if width == 0 || height == 0 {
        return Err(ImageProblem::ZeroSized { found }.into());
    }
    if width > MAX_SIDE || height > MAX_SIDE || decoder.total_bytes() > MAX_BYTES {
        let mebibytes = decoder.total_bytes() >> 20;
        let found = format!("{found} pixels (height x width), {mebibytes} MiB decoded");
        return Err(ImageProblem::TooLarge { found }.into());
    }
    if format == ImageFormat::Jpeg && !jpeg_is_complete(bytes) {
        return Err(ImageProblem::Truncated { bytes: bytes.len() }.into());
    }

    let orientation = decoder.orientation().map_err(classify)?;
    let mut decoded = DynamicImage::from_decoder(decoder).map_err(classify)?;
    decoded.apply_orientation(orientation);
    Ok((decoded, orientation))
}

/// Whether a JPEG's scans reach its end marker.
///
/// The decoder fills missing rows with grey and says nothing; an inspection would then judge pixels nobody took.
fn jpeg_is_complete(bytes: &[u8]) -> bool {
    const START_OF_SCAN: u8 = 0xda;
    const END_OF_IMAGE: [u8; 2] = [0xff, 0xd9];
    // Segments are skipped by their length, since an embedded thumbnail has an end marker of its own. Within the
    // scans an 0xff data byte is always followed by 0x00, so there the marker is unmistakable.
    let mut at = 2;
    while let Some(&[0xff, marker]) = bytes.get(at..at + 2) {
        match marker {
            START_OF_SCAN => return bytes[at..].windows(2).any(|pair| pair == END_OF_IMAGE),
            // A fill byte, and the markers that stand alone.
            0xff => at += 1,
            0x01 | 0xd0..=0xd8 => at += 2,
            _ => {
                let Some(&[high, low]) = bytes.get(at + 2..at + 4) else { return false };
                at += 2 + usize::from(u16::from_be_bytes([high, low]));
            }
        }
    }
    false
}

/// Says what a decoder's error means to whoever owns the file.
fn classify(error: DecoderError, bytes: usize) -> ImageProblem {
    match error {
        DecoderError::Limits(limit) => ImageProblem::TooLarge { found: limit.to_string() },
        DecoderError::Unsupported(error) => ImageProblem::Unsupported { found: error.to_string() },
        error if is_early_end(&error) => ImageProblem::Truncated { bytes },
        error => ImageProblem::Damaged(error),
    }
}

/// Whether the decoder wanted bytes past the end; the I/O error may be wrapped several times.
fn is_early_end(error: &DecoderError) -> bool {
    let early = |error: &std::io::Error| error.kind() == ErrorKind::UnexpectedEof;
    // This variant gives away its I/O error's cause as its own, so the chain below would miss it.
    if let DecoderError::IoError(error) = error {
        return early(error);
    }
    let mut cause = error.source();
    while let Some(error) = cause {
        if error.downcast_ref().is_some_and(early) {
            return true;
        }
        cause = error.source();
    }
    false
}
