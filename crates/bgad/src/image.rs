//! Image files become tensors here: decode, turn upright, resize; nothing further in sees a file or a pixel format.
//!
//! ```text
//! image: file -> pixels (8 or 16 bit, or float) -> upright (EXIF) -> Lanczos3, anti-aliased -> [0, 1]
//! mask:  file -> pixels -> upright -> nearest, row i of the result is row floor((i + 1/2) in / out) -> pixel > 0
//! ```
//!
//! Images are stretched to the input size, or keep their proportions in the middle of it ([`InputSize::window`]); what is
//! beside them then repeats their edge, and is nowhere trained on or scored.
//!
//! The format is told by a file's content, never by its name ([`Content`]). Alpha is dropped. Resizing happens in the depth of
//! the file, so 16-bit images keep theirs; a grey image is resized as one channel and then repeated to three. Cameras that use
//! only the low bits of 16 have a [`BitDepth`].
//!
//! Only ordinary files are opened. All threads together hold a limited number of bytes while they decode ([`limit_memory`]).

mod admission;
mod annotation;
mod appearance;
mod content;
mod decode;
mod depth;
mod error;
mod jpeg;
mod mask;
mod pages;
mod resize;
mod size;
mod tiff_directory;
mod tiff_kind;

use std::path::Path;

use ::image::DynamicImage;

pub use admission::limit_memory;
pub(crate) use annotation::{Labels, labels};
pub use appearance::Appearance;
pub use content::Content;
pub(crate) use content::{FORMATS, extension, is_result, marked_as_result};
pub(crate) use decode::{Decoded, MAX_SIDE, decode, decode_admitted, read, size_of};
pub(crate) use depth::brightest;
pub use depth::{BitDepth, BitDepthChoice, BitDepthError};
pub use error::{ImageError, ImageProblem};
pub use mask::{Mask, mask_hash};
pub(crate) use mask::{RawMask, raw_mask};
pub use size::{InputSize, InputSizeError, OriginalSize, Window};

/// An image at the network's input size: RGB in `[0, 1]`.
#[derive(Clone, Debug, PartialEq)]
pub struct InputImage {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// `[height, width, 3]`, row-major, interleaved, each value in `[0, 1]`.
    pub rgb_hwc: Vec<f32>,
}

impl InputImage {
    /// Reads an image file and brings it to `size`.
    ///
    /// # Errors
    ///
    /// An [`ImageError`] naming the file, if it cannot be read, is not a PNG, JPEG, BMP, TIFF, WebP or PNM image, is damaged,
    /// truncated or too large, or holds several pictures.
    pub fn load(path: &Path, size: InputSize) -> Result<InputImage, ImageError> {
        Ok(Self::load_with_original_size(path, size)?.0)
    }

    /// Like [`InputImage::load`], and also says how large the image was, after turning it upright.
    ///
    /// # Errors
    ///
    /// As [`InputImage::load`].
    pub fn load_with_original_size(
        path: &Path,
        size: InputSize,
    ) -> Result<(InputImage, OriginalSize), ImageError> {
        Self::load_at(path, Some(size), BitDepth::FULL)
    }

    /// Reads an image file at its own size.
    ///
    /// # Errors
    ///
    /// As [`InputImage::load`].
    pub fn load_whole(path: &Path) -> Result<(InputImage, OriginalSize), ImageError> {
        Self::load_at(path, None, BitDepth::FULL)
    }

    /// Reads an image file, brings it to `size` (`None` for its own), and takes the low `depth` bits of 16-bit samples for
    /// all; says how large it was, after turning it upright.
    ///
    /// # Errors
    ///
    /// As [`InputImage::load`].
    pub fn load_at(
        path: &Path,
        size: Option<InputSize>,
        depth: BitDepth,
    ) -> Result<(InputImage, OriginalSize), ImageError> {
        let bytes = decode::read(path)?;
        Self::decode_at(&bytes, size, depth).map_err(|error| error.of_file(path))
    }

    /// Decodes an image file held in memory at its own size.
    ///
    /// # Errors
    ///
    /// As [`InputImage::load`], with no file named.
    pub fn decode_whole(bytes: &[u8]) -> Result<(InputImage, OriginalSize), ImageError> {
        Self::decode_at(bytes, None, BitDepth::FULL)
    }

    /// Decodes a whole image file held in memory and brings it to `size`.
    ///
    /// # Errors
    ///
    /// As [`InputImage::load`], with no file named.
    pub fn decode(bytes: &[u8], size: InputSize) -> Result<InputImage, ImageError> {
        Ok(Self::decode_with_original_size(bytes, size)?.0)
    }

    /// Like [`InputImage::decode`], and also says how large the image was, after turning it upright.
    ///
    /// # Errors
    ///
    /// As [`InputImage::decode`].
    pub fn decode_with_original_size(
        bytes: &[u8],
        size: InputSize,
    ) -> Result<(InputImage, OriginalSize), ImageError> {
        Self::decode_at(bytes, Some(size), BitDepth::FULL)
    }

    /// As [`InputImage::load_at`], of a whole image file held in memory.
    ///
    /// # Errors
    ///
    /// As [`InputImage::decode`].
    pub fn decode_at(
        bytes: &[u8],
        size: Option<InputSize>,
        depth: BitDepth,
    ) -> Result<(InputImage, OriginalSize), ImageError> {
        let decoded = decode::decode_admitted(bytes)?;
        let original = OriginalSize::of(&decoded.pixels);
        let size = size.unwrap_or_else(|| original.as_input());
        Ok((Self::from_decoded_at(&decoded.pixels, size, depth)?, original))
    }

    /// Brings decoded, upright pixels of any colour type to `size`.
    ///
    /// # Errors
    ///
    /// If an image of floating-point samples holds a value outside `[0, 1]`, or either size is zero.
    pub fn from_decoded(decoded: &DynamicImage, size: InputSize) -> Result<InputImage, ImageError> {
        Self::from_decoded_at(decoded, size, BitDepth::FULL)
    }

    /// As [`InputImage::from_decoded`], with the low `depth` bits of 16-bit samples taken for all.
    ///
    /// # Errors
    ///
    /// As [`InputImage::from_decoded`].
    pub fn from_decoded_at(
        decoded: &DynamicImage,
        size: InputSize,
        depth: BitDepth,
    ) -> Result<InputImage, ImageError> {
        let rgb_hwc = resize::to_rgb(decoded, size, depth)?;
        Ok(InputImage { height: size.height, width: size.width, rgb_hwc })
    }

    /// `(value - mean) / std` per channel: what a backbone eats, `[height, width, 3]`.
    pub fn normalized(&self, mean: [f32; 3], std: [f32; 3]) -> Vec<f32> {
        let mut out = Vec::new();
        self.normalize_into(mean, std, &mut out);
        out
    }

    /// [`InputImage::normalized`] into `out`, whose memory is reused.
    pub fn normalize_into(&self, mean: [f32; 3], std: [f32; 3], out: &mut Vec<f32>) {
        out.clear();
        out.reserve(self.rgb_hwc.len());
        for rgb in self.rgb_hwc.as_chunks::<3>().0 {
            for c in 0..3 {
                out.push((rgb[c] - mean[c]) / std[c]);
            }
        }
    }

    /// The image in 8 bit, `[height, width, 3]`: what an overlay is drawn on.
    pub fn to_rgb8(&self) -> Vec<u8> {
        self.rgb_hwc.iter().map(|value| (value * 255.0).round().clamp(0.0, 255.0) as u8).collect()
    }

    /// The size, as one value.
    pub fn size(&self) -> InputSize {
        InputSize { height: self.height, width: self.width, keep_aspect: false }
    }

    /// The image whose pixel `(y, x)` is this one's at `source(y, x)`.
    ///
    /// # Panics
    ///
    /// If that lies outside.
    pub(crate) fn rearranged(&self, source: impl Fn(usize, usize) -> (usize, usize)) -> InputImage {
        let mut rgb_hwc = Vec::with_capacity(self.rgb_hwc.len());
        for y in 0..self.height {
            for x in 0..self.width {
                let (y, x) = source(y, x);
                let at = 3 * (y * self.width + x);
                rgb_hwc.extend_from_slice(&self.rgb_hwc[at..at + 3]);
            }
        }
        InputImage { rgb_hwc, ..*self }
    }

    /// Part of the image.
    ///
    /// # Panics
    ///
    /// If it does not lie within.
    pub fn cropped(&self, window: Window) -> InputImage {
        let rows = (window.top..window.top + window.height).map(|y| y * self.width + window.left);
        let rgb_hwc = rows.flat_map(|start| &self.rgb_hwc[3 * start..3 * (start + window.width)]).copied();
        InputImage { height: window.height, width: window.width, rgb_hwc: rgb_hwc.collect() }
    }
}

#[cfg(test)]
mod tests;
