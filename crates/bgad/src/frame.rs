//! Pixels from memory: what a camera, a decoder or an array library holds, checked once.
//!
//! ```
//! use bgad::{Frame, Layout};
//!
//! let pixels = vec![128u8; 480 * 640];
//! let frame = Frame::from_u8(&pixels, Layout::packed(480, 640, 1))?;
//! assert_eq!((frame.height(), frame.width(), frame.channels()), (480, 640, 1));
//! # Ok::<(), bgad::FrameError>(())
//! ```

use std::path::Path;

use ::image::{DynamicImage, ImageBuffer, Luma, Pixel, Primitive, Rgb, Rgba};

use crate::image::{BitDepth, ImageError, InputImage, InputSize, OriginalSize, decode, decode_admitted, read};

/// How the samples of a [`Frame`] lie in memory: `[height, width, channels]`, row-major, interleaved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Rows, at least 1.
    pub height: usize,
    /// Columns, at least 1.
    pub width: usize,
    /// 1 (grey), 3 (red, green, blue) or 4 (the same with alpha, which is ignored).
    pub channels: usize,
    /// Samples from the start of one row to the start of the next, at least `width * channels`.
    pub stride: usize,
}

impl Layout {
    /// Rows that follow each other without a gap.
    pub const fn packed(height: usize, width: usize, channels: usize) -> Layout {
        Layout { height, width, channels, stride: width.saturating_mul(channels) }
    }

    /// Samples of one row, if the layout is possible for `len` samples.
    fn check(self, len: usize) -> Result<usize, FrameError> {
        let Layout { height, width, channels, stride } = self;
        let most = crate::image::MAX_SIDE as usize;
        if ![1, 3, 4].contains(&channels) {
            return Err(FrameError::Channels { found: channels });
        }
        if !(1..=most).contains(&height) || !(1..=most).contains(&width) {
            return Err(FrameError::Size { height, width, most });
        }
        let row = width * channels;
        if stride < row {
            return Err(FrameError::Stride { found: stride, least: row });
        }
        let needed = (height - 1).checked_mul(stride).and_then(|rows| rows.checked_add(row));
        match needed {
            Some(needed) if needed <= len => Ok(row),
            needed => Err(FrameError::Length { found: len, needed: needed.unwrap_or(usize::MAX) }),
        }
    }
}

/// An upright picture in memory, 8 or 16 bit, grey or colour. The input of [`Detector::inspect`](crate::Detector::inspect).
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    pixels: DynamicImage,
}

impl Frame {
    /// Copies samples of 8 bit.
    ///
    /// # Errors
    ///
    /// A [`FrameError`] if the layout does not fit the samples.
    pub fn from_u8(samples: &[u8], layout: Layout) -> Result<Frame, FrameError> {
        let packed = packed(samples, layout)?;
        Ok(Frame {
            pixels: match layout.channels {
                1 => DynamicImage::ImageLuma8(buffer::<Luma<u8>>(packed, layout)),
                3 => DynamicImage::ImageRgb8(buffer::<Rgb<u8>>(packed, layout)),
                _ => DynamicImage::ImageRgba8(buffer::<Rgba<u8>>(packed, layout)),
            },
        })
    }

    /// Copies samples of 16 bit; 65535 is white.
    ///
    /// # Errors
    ///
    /// A [`FrameError`] if the layout does not fit the samples.
    pub fn from_u16(samples: &[u16], layout: Layout) -> Result<Frame, FrameError> {
        let packed = packed(samples, layout)?;
        Ok(Frame {
            pixels: match layout.channels {
                1 => DynamicImage::ImageLuma16(buffer::<Luma<u16>>(packed, layout)),
                3 => DynamicImage::ImageRgb16(buffer::<Rgb<u16>>(packed, layout)),
                _ => DynamicImage::ImageRgba16(buffer::<Rgba<u16>>(packed, layout)),
            },
        })
    }

    /// Decodes an image file held in memory, and turns it upright.
    ///
    /// # Errors
    ///
    /// An [`ImageError`], with no file named, if it is no image that bgad reads, damaged, truncated or too large.
    pub fn decode(bytes: &[u8]) -> Result<Frame, ImageError> {
        Ok(Frame { pixels: decode(bytes)? })
    }

    /// Reads an image file, and turns it upright.
    ///
    /// # Errors
    ///
    /// An [`ImageError`] that names the file.
    pub fn open(path: &Path) -> Result<Frame, ImageError> {
        Frame::decode(&read(path)?).map_err(|error| error.of_file(path))
    }

    /// Reads an image file as [`Frame::open`] does, for as long as `use_it` takes. Until then the pixels count against what all threads
    /// may hold of decoded pictures, so that many threads with large pictures wait for each other instead of filling the memory.
    /// `use_it` should not hand work to other threads.
    ///
    /// # Errors
    ///
    /// An [`ImageError`] that names the file.
    pub fn open_for<T>(path: &Path, use_it: impl FnOnce(&Frame) -> T) -> Result<T, ImageError> {
        let (pixels, _permit) = decode_admitted(&read(path)?).map_err(|error| error.of_file(path))?.held();
        Ok(use_it(&Frame { pixels }))
    }

    pub(crate) fn of(pixels: DynamicImage) -> Frame {
        Frame { pixels }
    }

    /// Rows.
    pub fn height(&self) -> usize {
        self.pixels.height() as usize
    }

    /// Columns.
    pub fn width(&self) -> usize {
        self.pixels.width() as usize
    }

    /// Samples of a pixel: 1, 3 or 4; 2 for a decoded grey image with alpha.
    pub fn channels(&self) -> usize {
        usize::from(self.pixels.color().channel_count())
    }

    /// The picture at the input size of a network, with the low `depth` bits of 16-bit samples taken for all.
    ///
    /// # Errors
    ///
    /// An [`ImageError`] if a decoded image of floating-point samples has values outside `[0, 1]`.
    pub fn to_input(&self, size: InputSize, depth: BitDepth) -> Result<InputImage, ImageError> {
        InputImage::from_decoded_at(&self.pixels, size, depth)
    }

    pub(crate) fn size(&self) -> OriginalSize {
        OriginalSize { height: self.height(), width: self.width() }
    }

    /// Whether samples have more than 8 bit.
    pub(crate) fn is_deep(&self) -> bool {
        self.pixels.color().bytes_per_pixel() > self.pixels.color().channel_count()
    }

    pub(crate) fn pixels(&self) -> &DynamicImage {
        &self.pixels
    }
}

/// The samples without the gaps between rows.
fn packed<T: Copy>(samples: &[T], layout: Layout) -> Result<Vec<T>, FrameError> {
    let row = layout.check(samples.len())?;
    let rows = (0..layout.height).map(|y| &samples[y * layout.stride..][..row]);
    Ok(rows.flatten().copied().collect())
}

fn buffer<P: Pixel<Subpixel: Primitive>>(
    packed: Vec<P::Subpixel>,
    layout: Layout,
) -> ImageBuffer<P, Vec<P::Subpixel>> {
    // Sides were checked against a limit far below 2^32.
    ImageBuffer::from_raw(layout.width as u32, layout.height as u32, packed)
        .expect("as many samples as checked")
}

/// Why samples in memory are no [`Frame`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// A number of channels that means nothing.
    #[error("a frame has 1, 3 or 4 channels, found {found}")]
    Channels {
        /// What was given.
        found: usize,
    },
    /// A side is zero or too long.
    #[error("a frame has sides of 1 to {most} pixels, found {height}x{width} (height x width)")]
    Size {
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
        /// The longest side allowed.
        most: usize,
    },
    /// Rows would overlap.
    #[error("rows of a frame are at least {least} samples apart, found a stride of {found}")]
    Stride {
        /// What was given.
        found: usize,
        /// Width times channels.
        least: usize,
    },
    /// There are fewer samples than the layout says.
    #[error("the layout of the frame needs {needed} samples, found {found}")]
    Length {
        /// What was given.
        found: usize,
        /// What the layout asks for.
        needed: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_between_rows_are_left_out() {
        let samples = [1u8, 2, 0, 3, 4];
        let frame = Frame::from_u8(&samples, Layout { height: 2, width: 2, channels: 1, stride: 3 });
        assert_eq!(frame, Frame::from_u8(&[1, 2, 3, 4], Layout::packed(2, 2, 1)));
        let deep = Frame::from_u16(&[7u16; 24], Layout::packed(2, 3, 4)).expect("a frame");
        assert_eq!((deep.height(), deep.width(), deep.channels()), (2, 3, 4));
    }

    #[test]
    fn impossible_layouts_are_refused() {
        let refused = |layout: Layout| Frame::from_u8(&[0; 12], layout).expect_err("impossible");
        let packed = Layout::packed;
        assert_eq!(refused(packed(2, 2, 2)), FrameError::Channels { found: 2 });
        assert!(matches!(refused(packed(0, 2, 1)), FrameError::Size { height: 0, .. }));
        assert!(matches!(refused(packed(1, usize::MAX, 3)), FrameError::Size { .. }));
        assert_eq!(
            refused(Layout { stride: 5, ..packed(2, 2, 3) }),
            FrameError::Stride { found: 5, least: 6 }
        );
        assert_eq!(refused(packed(3, 2, 3)), FrameError::Length { found: 12, needed: 18 });
        let far = Layout { stride: usize::MAX, ..packed(3, 2, 1) };
        assert!(matches!(refused(far), FrameError::Length { .. }));
    }
}
