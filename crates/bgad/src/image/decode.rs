//! Bytes to upright pixels, within limits.

use std::borrow::Cow;
use std::error::Error;
use std::io::{Cursor, ErrorKind};
use std::ops::Deref;
use std::path::Path;

use ::image::error::ImageError as DecoderError;
use ::image::metadata::Orientation;
use ::image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};

use super::admission::{FILES, PIXELS, Permit};
use super::{ImageError, ImageProblem, OriginalSize, content, jpeg, pages, tiff_kind};
use crate::outside;

/// Longest side accepted, in pixels: four times what a line-scan camera of 4096 columns gives.
pub(crate) const MAX_SIDE: u32 = 16_384;
/// Most memory one image may take while it is decoded, and the largest file that is read, in bytes.
pub(super) const MAX_BYTES: u64 = 1 << 30;

/// The bytes of a file, which count against the budget of all threads as long as they are held.
#[derive(Debug)]
pub(crate) struct FileBytes {
    bytes: Vec<u8>,
    _permit: Permit<'static>,
}

impl Deref for FileBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Reads an ordinary file whole: decoding then touches no disk, and a truncated file can be told from a damaged one.
pub(crate) fn read(path: &Path) -> Result<FileBytes, ImageError> {
    let of_file = |problem: ImageProblem| ImageError::from(problem).of_file(path);
    let (_, len) = outside::open(path).map_err(|error| of_file(ImageProblem::Unreadable(error)))?;
    let too_large =
        || of_file(ImageProblem::TooLarge { found: format!("a file of more than {} MiB", MAX_BYTES >> 20) });
    if len > MAX_BYTES {
        return Err(too_large());
    }
    let permit = FILES.admit(len);
    match outside::read(path, MAX_BYTES) {
        Ok(bytes) => Ok(FileBytes { bytes, _permit: permit }),
        Err(error) if error.kind() == ErrorKind::FileTooLarge => Err(too_large()),
        Err(error) => Err(of_file(ImageProblem::Unreadable(error))),
    }
}

/// An upright picture, which counts against the budget of all threads as long as it is held.
#[derive(Debug)]
pub(crate) struct Decoded {
    pub(crate) pixels: DynamicImage,
    /// How it was turned.
    pub(crate) orientation: Orientation,
    /// Whether it comes from a format that loses small differences.
    pub(crate) lossy: bool,
    _permit: Permit<'static>,
}

impl Decoded {
    /// The pixels, and the leave to hold them.
    pub(crate) fn held(self) -> (DynamicImage, Permit<'static>) {
        (self.pixels, self._permit)
    }
}

/// Decodes and turns upright.
pub(crate) fn decode(bytes: &[u8]) -> Result<DynamicImage, ImageError> {
    Ok(decode_admitted(bytes)?.pixels)
}

/// Decodes and turns upright, when there is room for it.
pub(crate) fn decode_admitted(bytes: &[u8]) -> Result<Decoded, ImageError> {
    if bytes.is_empty() {
        return Err(ImageProblem::Empty.into());
    }
    let Some(format) = content::format(bytes) else {
        return Err(match content::Content::of(bytes) {
            content::Content::OtherPicture(name) => {
                ImageProblem::Unsupported { found: format!("a {name} file") }
            }
            _ => ImageProblem::UnknownFormat { starts_with: bytes[..bytes.len().min(8)].to_vec() },
        }
        .into());
    };
    if let Some(pages) = pages::more_than_one(bytes, format) {
        return Err(ImageProblem::Pages { found: pages }.into());
    }
    let bytes = match format {
        ImageFormat::Jpeg => whole_jpeg(bytes)?,
        _ => Cow::Borrowed(bytes),
    };
    let classify = |error| ImageError::from(classify(error, &bytes, format));

    let mut reader = ImageReader::with_format(Cursor::new(&*bytes), format);
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
    let total = decoder.total_bytes();
    if width > MAX_SIDE || height > MAX_SIDE || total > MAX_BYTES {
        let found = format!("{found} pixels (height x width), {} MiB decoded", total >> 20);
        return Err(ImageProblem::TooLarge { found }.into());
    }
    if format == ImageFormat::Tiff && tiff_kind::has_channels_that_are_not_read(&bytes) {
        let found = tiff_kind::in_words(&bytes).unwrap_or_else(|| "a TIFF with further channels".to_owned());
        return Err(ImageProblem::Unsupported { found }.into());
    }
    let orientation = decoder.orientation().map_err(classify)?;
    let permit = PIXELS.admit(total.saturating_mul(copies(format, orientation, &decoder)));
    let mut pixels = DynamicImage::from_decoder(decoder).map_err(classify)?;
    pixels.apply_orientation(orientation);
    let lossy = format == ImageFormat::Jpeg;
    Ok(Decoded { pixels, orientation, lossy, _permit: permit })
}

/// How many times its own size a picture takes at most while it is decoded, turned and resized.
fn copies(format: ImageFormat, orientation: Orientation, decoder: &impl ImageDecoder) -> u64 {
    let turned = is_quarter_turn(orientation);
    // Progressive JPEG keeps two bytes a coefficient; WebP and TIFF a buffer of their own; alpha is dropped into a copy.
    let own_buffer = matches!(format, ImageFormat::Jpeg | ImageFormat::WebP | ImageFormat::Tiff);
    let colour = decoder.color_type();
    let converted = colour.has_alpha() || colour.bytes_per_pixel() / colour.channel_count() == 4;
    1 + u64::from(turned || own_buffer || converted) + u64::from(turned && own_buffer)
}

/// The bytes of a JPEG whose picture is all there, with the end marker that some cameras leave out: without it the decoder
/// may fill the last rows with grey.
fn whole_jpeg(bytes: &[u8]) -> Result<Cow<'_, [u8]>, ImageError> {
    match jpeg::check(bytes) {
        Ok(jpeg::Whole { end, marked: true }) => match pages::behind(bytes, end + 2) {
            None => Ok(Cow::Borrowed(bytes)),
            Some(found) => Err(ImageProblem::Pages { found }.into()),
        },
        Ok(jpeg::Whole { end, marked: false }) => Ok(Cow::Owned([&bytes[..end], &[0xff, 0xd9]].concat())),
        Err(jpeg::Flaw::Ends) => Err(ImageProblem::Truncated { bytes: bytes.len() }.into()),
        Err(jpeg::Flaw::Damaged(found)) => Err(ImageProblem::Holed { found }.into()),
        Err(jpeg::Flaw::Kind(kind)) => Err(ImageProblem::Unsupported { found: kind.to_owned() }.into()),
    }
}

/// How an image file is turned upright, as far as its header can be read.
pub(crate) fn orientation_of(path: &Path) -> Option<Orientation> {
    header(path, |decoder| decoder.orientation()).ok()
}

/// The size of an image file once it is turned upright, from its header.
pub(crate) fn size_of(path: &Path) -> Result<OriginalSize, ImageError> {
    header(path, |decoder| {
        let (width, height) = decoder.dimensions();
        let (height, width) = match is_quarter_turn(decoder.orientation()?) {
            true => (width as usize, height as usize),
            false => (height as usize, width as usize),
        };
        Ok(OriginalSize { height, width })
    })
}

/// What the header of an image file says.
fn header<T>(
    path: &Path,
    of: impl FnOnce(&mut dyn ImageDecoder) -> Result<T, DecoderError>,
) -> Result<T, ImageError> {
    let bytes = read(path)?;
    let format = content::format(&bytes);
    let format = format.ok_or_else(|| {
        let starts_with = bytes[..bytes.len().min(8)].to_vec();
        ImageError::from(ImageProblem::UnknownFormat { starts_with }).of_file(path)
    })?;
    let found = ImageReader::with_format(Cursor::new(&*bytes), format).into_decoder();
    found
        .and_then(|mut decoder| of(&mut decoder))
        .map_err(|error| ImageError::from(classify(error, &bytes, format)).of_file(path))
}

fn is_quarter_turn(orientation: Orientation) -> bool {
    matches!(
        orientation,
        Orientation::Rotate90
            | Orientation::Rotate270
            | Orientation::Rotate90FlipH
            | Orientation::Rotate270FlipH
    )
}

/// Says what a decoder's error means to whoever owns the file.
fn classify(error: DecoderError, bytes: &[u8], format: ImageFormat) -> ImageProblem {
    match error {
        DecoderError::Limits(limit) => ImageProblem::TooLarge { found: limit.to_string() },
        DecoderError::Unsupported(error) => {
            // The decoder speaks of its own types; the tags say what a person can change.
            let tiff = (format == ImageFormat::Tiff).then(|| tiff_kind::in_words(bytes)).flatten();
            ImageProblem::Unsupported { found: tiff.unwrap_or_else(|| error.to_string()) }
        }
        error if is_early_end(&error) => ImageProblem::Truncated { bytes: bytes.len() },
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
