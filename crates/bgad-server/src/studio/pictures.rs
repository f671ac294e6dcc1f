//! Pictures as a browser can show them: thumbnails, and files of formats or depths that browsers do not know.

use std::fs;
use std::io::{self, Cursor};
use std::path::Path;

use bgad::image::{InputImage, InputSize};
use bgad::outside;
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::metadata::Orientation;
use image::{
    ColorType, DynamicImage, ExtendedColorType, ImageDecoder, ImageEncoder as _, ImageFormat, ImageReader,
};
use serde::Serialize;

/// Side of the square that a thumbnail fits into, pixels.
const THUMBNAIL: usize = 192;
/// Quality of thumbnails, of 100.
const QUALITY: u8 = 80;

/// An encoded picture and its media type.
pub(super) type Encoded = (Vec<u8>, &'static str);

/// What a viewer must know before it shows a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Facts {
    /// Columns, after turning upright.
    pub width: u32,
    /// Rows, after turning upright.
    pub height: u32,
    /// Bits of a channel.
    pub bits: u16,
    /// Whether EXIF says to turn it.
    pub turned: bool,
}

/// What the head of an image file says.
///
/// # Errors
///
/// If it is no image, or cannot be read.
pub(super) fn facts(path: &Path) -> io::Result<Facts> {
    let mut decoder = reader(path)?.into_decoder().map_err(io::Error::other)?;
    let (mut width, mut height) = decoder.dimensions();
    let color = decoder.color_type();
    let orientation = decoder.orientation().map_err(io::Error::other)?;
    if swaps_sides(orientation) {
        (width, height) = (height, width);
    }
    let bits = color.bytes_per_pixel() as u16 * 8 / u16::from(color.channel_count());
    Ok(Facts { width, height, bits, turned: orientation != Orientation::NoTransforms })
}

/// A small JPEG, upright.
///
/// # Errors
///
/// If the image cannot be read; the message names it.
pub(super) fn thumbnail(path: &Path) -> io::Result<Encoded> {
    let size = InputSize { keep_aspect: true, ..InputSize::square(THUMBNAIL) };
    let (input, original) = InputImage::load_with_original_size(path, size).map_err(io::Error::other)?;
    let shown = input.cropped(size.window(original));
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, QUALITY)
        .encode(&shown.to_rgb8(), shown.width as u32, shown.height as u32, ExtendedColorType::Rgb8)
        .map_err(io::Error::other)?;
    Ok((bytes, "image/jpeg"))
}

/// The whole picture. Without a window, a file that browsers show as it is comes as it is; with one, grey values from
/// `window[0]` to `window[1]` (shares of white) are spread over black to white.
///
/// # Errors
///
/// If the image cannot be read.
pub(super) fn picture(path: &Path, window: Option<[f32; 2]>) -> io::Result<Encoded> {
    if window.is_none() && facts(path)?.bits == 8 {
        let kind = match reader(path)?.format() {
            Some(ImageFormat::Png) => Some("image/png"),
            Some(ImageFormat::Jpeg) => Some("image/jpeg"),
            Some(ImageFormat::Bmp) => Some("image/bmp"),
            _ => None,
        };
        if let Some(kind) = kind {
            return Ok((outside::read(path, outside::MAX_IMAGE)?, kind));
        }
    }
    let [low, high] = window.unwrap_or([0.0, 1.0]);
    let image = upright(path)?;
    let (width, height) = (image.width(), image.height());
    let gain = 255.0 / (65535.0 * (high - low).max(1e-6));
    let spread = |value: u16| ((f32::from(value) - low * 65535.0) * gain).clamp(0.0, 255.0).round() as u8;
    // One decoding for all depths: 8-bit samples become 16-bit ones without loss.
    let (pixels, color) = match image.color() {
        ColorType::L8 | ColorType::L16 | ColorType::La8 | ColorType::La16 => {
            let grey = image.into_luma16().into_raw();
            (grey.into_iter().map(spread).collect::<Vec<u8>>(), ExtendedColorType::L8)
        }
        _ => {
            let colour = image.into_rgb16().into_raw();
            (colour.into_iter().map(spread).collect(), ExtendedColorType::Rgb8)
        }
    };
    Ok((png(&pixels, width, height, color)?, "image/png"))
}

/// The picture as a PNG of its own depth, turned upright, without EXIF.
///
/// # Errors
///
/// If the image cannot be read.
pub(super) fn upright_png(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    upright(path)?.write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png).map_err(io::Error::other)?;
    Ok(bytes)
}

fn png(pixels: &[u8], width: u32, height: u32, color: ExtendedColorType) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    PngEncoder::new_with_quality(Cursor::new(&mut bytes), CompressionType::Fast, FilterType::Sub)
        .write_image(pixels, width, height, color)
        .map_err(io::Error::other)?;
    Ok(bytes)
}

fn reader(path: &Path) -> io::Result<ImageReader<io::BufReader<fs::File>>> {
    ImageReader::open(path)?.with_guessed_format()
}

fn upright(path: &Path) -> io::Result<DynamicImage> {
    let mut decoder = reader(path)?.into_decoder().map_err(io::Error::other)?;
    let orientation = decoder.orientation().map_err(io::Error::other)?;
    let mut image = DynamicImage::from_decoder(decoder).map_err(io::Error::other)?;
    image.apply_orientation(orientation);
    Ok(image)
}

fn swaps_sides(orientation: Orientation) -> bool {
    use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
    matches!(orientation, Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_spreads_sixteen_bit_greys() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("deep.png");
        let deep = image::ImageBuffer::<image::Luma<u16>, _>::from_raw(3, 1, vec![6554u16, 9830, 13107]);
        deep.expect("three samples").save(&path).expect("saved");
        assert_eq!(facts(&path).expect("read"), Facts { width: 3, height: 1, bits: 16, turned: false });
        let (bytes, kind) = picture(&path, Some([0.1, 0.2])).expect("windowed");
        let shown = image::load_from_memory(&bytes).expect("a PNG").into_luma8().into_raw();
        assert_eq!((kind, shown), ("image/png", vec![0, 127, 255]));
    }

    #[test]
    fn what_a_browser_shows_comes_as_it_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("plain.png");
        image::GrayImage::from_raw(2, 1, vec![3, 200]).expect("two samples").save(&path).expect("saved");
        assert_eq!(picture(&path, None).expect("read").0, fs::read(&path).expect("there"));
        let (small, kind) = thumbnail(&path).expect("made");
        assert_eq!(kind, "image/jpeg");
        assert_eq!(image::load_from_memory(&small).expect("a JPEG").width(), THUMBNAIL as u32);
    }
}
