//! A finished picture.

use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageError};

use crate::image::marked_as_result;

/// A finished picture, 8 bit RGB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// `[height, width, 3]`, row-major.
    pub rgb: Vec<u8>,
}

/// A picture that could not be encoded.
#[derive(Debug, thiserror::Error)]
#[error("a picture of {width}x{height} pixels cannot be encoded")]
pub struct PictureError {
    pub(super) width: usize,
    pub(super) height: usize,
    #[source]
    pub(super) source: ImageError,
}

impl Picture {
    /// The bytes of a PNG file, whose text `Software` says `bgad`: so no command takes it for a picture of a part.
    ///
    /// # Errors
    ///
    /// A [`PictureError`] if a side is zero.
    pub fn to_png(&self) -> Result<Vec<u8>, PictureError> {
        let mut bytes = Vec::new();
        self.encoded(PngEncoder::new(&mut bytes))?;
        Ok(marked_as_result(bytes))
    }

    /// The bytes of a JPEG file; `quality` is from 1 to 100.
    ///
    /// # Errors
    ///
    /// As [`Picture::to_png`], and if a side is longer than 65535.
    pub fn to_jpeg(&self, quality: u8) -> Result<Vec<u8>, PictureError> {
        let mut bytes = Vec::new();
        self.encoded(JpegEncoder::new_with_quality(&mut bytes, quality.clamp(1, 100)))?;
        Ok(bytes)
    }

    fn encoded(&self, encoder: impl image::ImageEncoder) -> Result<(), PictureError> {
        let (width, height) = (self.width as u32, self.height as u32);
        let written = encoder.write_image(&self.rgb, width, height, ExtendedColorType::Rgb8);
        written.map_err(|source| PictureError { width: self.width, height: self.height, source })
    }
}
