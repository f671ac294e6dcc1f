//! Pixels of any depth to RGB in `[0, 1]` at the input size.

use ::image::DynamicImage;
use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::{F32, F32x3, U8, U8x3, U16, U16x3};
use fast_image_resize::{FilterType, PixelTrait, ResizeAlg, ResizeOptions, Resizer};

use super::{ImageError, ImageProblem, InputSize, OriginalSize};

/// Lanczos3 in the image's own depth, then scaled: `[size.height, size.width, 3]`. Beside its window the image's edge goes on.
pub(super) fn to_rgb(decoded: &DynamicImage, size: InputSize) -> Result<Vec<f32>, ImageError> {
    let window = size.window(OriginalSize::of(decoded));
    let inner = InputSize { height: window.height, width: window.width, keep_aspect: false };
    let rgb = stretched(decoded, inner)?;
    if size.is_filled_by(window) {
        return Ok(rgb);
    }
    let nearest = |at: usize, first: usize, len: usize| at.clamp(first, first + len - 1) - first;
    let mut padded = Vec::with_capacity(3 * size.pixels());
    for y in 0..size.height {
        let row = nearest(y, window.top, window.height) * window.width;
        for x in 0..size.width {
            let pixel = row + nearest(x, window.left, window.width);
            padded.extend_from_slice(&rgb[3 * pixel..3 * pixel + 3]);
        }
    }
    Ok(padded)
}

fn stretched(decoded: &DynamicImage, size: InputSize) -> Result<Vec<f32>, ImageError> {
    let original = OriginalSize::of(decoded);
    for side in [original, OriginalSize { height: size.height, width: size.width }] {
        if side.height == 0 || side.width == 0 {
            return Err(ImageProblem::ZeroSized { found: side }.into());
        }
    }
    let grey8 = |pixels: Vec<U8>| grey(lanczos3(&pixels, original, size), |p| f32::from(p.0) / 255.0);
    let grey16 = |pixels: Vec<U16>| grey(lanczos3(&pixels, original, size), |p| f32::from(p.0) / 65535.0);
    let rgb8 = |pixels: Vec<U8x3>| {
        colour(lanczos3(&pixels, original, size), |p| p.0.map(|value| f32::from(value) / 255.0))
    };
    let rgb16 = |pixels: Vec<U16x3>| {
        colour(lanczos3(&pixels, original, size), |p| p.0.map(|value| f32::from(value) / 65535.0))
    };

    use DynamicImage::*;
    Ok(match decoded {
        ImageLuma8(pixels) => grey8(pixels.pixels().map(|p| U8::new(p.0[0])).collect()),
        ImageLumaA8(pixels) => grey8(pixels.pixels().map(|p| U8::new(p.0[0])).collect()),
        ImageRgb8(pixels) => rgb8(pixels.pixels().map(|p| U8x3::new(p.0)).collect()),
        ImageRgba8(pixels) => rgb8(pixels.pixels().map(|p| U8x3::new(without_alpha(p.0))).collect()),
        ImageLuma16(pixels) => grey16(pixels.pixels().map(|p| U16::new(p.0[0])).collect()),
        ImageLumaA16(pixels) => grey16(pixels.pixels().map(|p| U16::new(p.0[0])).collect()),
        ImageRgb16(pixels) => rgb16(pixels.pixels().map(|p| U16x3::new(p.0)).collect()),
        ImageRgba16(pixels) => rgb16(pixels.pixels().map(|p| U16x3::new(without_alpha(p.0))).collect()),
        // Only floating-point types are left.
        floats => {
            let pixels: Vec<[f32; 3]> = floats.to_rgb32f().pixels().map(|p| p.0).collect();
            // A NaN is no value from 0 to 1 either.
            if let Some(&found) = pixels.as_flattened().iter().find(|value| !(0.0..=1.0).contains(*value)) {
                return Err(ImageProblem::FloatOutOfRange { found }.into());
            }
            // Lanczos overshoots at edges; integer depths saturate on their own, floats are clamped here.
            let unit = |value: f32| value.clamp(0.0, 1.0);
            if pixels.iter().all(|&[r, g, b]| r == g && g == b) {
                let pixels: Vec<F32> = pixels.iter().map(|p| F32::new(p[0])).collect();
                grey(lanczos3(&pixels, original, size), |p| unit(p.0))
            } else {
                let pixels: Vec<F32x3> = pixels.into_iter().map(F32x3::new).collect();
                colour(lanczos3(&pixels, original, size), |p| p.0.map(unit))
            }
        }
    })
}

/// `pixels` of `from` to pixels of `to`, row-major; neither may be zero.
fn lanczos3<P: PixelTrait + Default>(pixels: &[P], from: OriginalSize, to: InputSize) -> Vec<P> {
    let mut resized = vec![P::default(); to.pixels()];
    let options =
        ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Lanczos3)).use_alpha(false);
    {
        let source = TypedImageRef::new(from.width as u32, from.height as u32, pixels)
            .expect("a decoded image has height x width pixels");
        let mut target = TypedImage::from_pixels_slice(to.width as u32, to.height as u32, &mut resized)
            .expect("the target was made with height x width pixels");
        Resizer::new()
            .resize_typed(&source, &mut target, &options)
            .expect("without a crop box and with equal pixel types nothing is left to refuse");
    }
    resized
}

fn grey<P>(pixels: Vec<P>, value: impl Fn(P) -> f32) -> Vec<f32> {
    pixels.into_iter().flat_map(|pixel| [value(pixel); 3]).collect()
}

fn colour<P>(pixels: Vec<P>, value: impl Fn(P) -> [f32; 3]) -> Vec<f32> {
    pixels.into_iter().flat_map(value).collect()
}

fn without_alpha<T: Copy>([r, g, b, _]: [T; 4]) -> [T; 3] {
    [r, g, b]
}
