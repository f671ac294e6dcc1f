//! Pixels of any depth to RGB in `[0, 1]` at the input size.

use ::image::DynamicImage;
use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::{F32, F32x3, U8, U8x3, U16, U16x3};
use fast_image_resize::{FilterType, PixelTrait, ResizeAlg, ResizeOptions, Resizer};

use super::{BitDepth, ImageError, ImageProblem, InputSize, OriginalSize};

/// Lanczos3 in the image's own depth, then scaled: `[size.height, size.width, 3]`. Beside its window the image's edge goes on.
pub(super) fn to_rgb(
    decoded: &DynamicImage,
    size: InputSize,
    depth: BitDepth,
) -> Result<Vec<f32>, ImageError> {
    let window = size.window(OriginalSize::of(decoded));
    let inner = InputSize { height: window.height, width: window.width, keep_aspect: false };
    let rgb = stretched(decoded, inner, depth)?;
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

fn stretched(decoded: &DynamicImage, size: InputSize, depth: BitDepth) -> Result<Vec<f32>, ImageError> {
    let original = OriginalSize::of(decoded);
    for side in [original, OriginalSize { height: size.height, width: size.width }] {
        if side.height == 0 || side.width == 0 {
            return Err(ImageProblem::ZeroSized { found: side }.into());
        }
    }
    let eight = |value: u8| f32::from(value) / 255.0;
    // Dividing by 65535 where all bits are used keeps every value as it was.
    let white = f32::from(depth.white());
    let sixteen = |value: u16| (f32::from(value) / white).min(1.0);
    let to = Target { original, size };
    use DynamicImage::*;
    // Pixels are resized where they lie: a second copy of a large picture may not fit. Only alpha is dropped into one.
    Ok(match decoded {
        ImageLuma8(_) => grey(to.lanczos3::<U8>(decoded), |p| eight(p.0)),
        ImageRgb8(_) => colour(to.lanczos3::<U8x3>(decoded), |p| p.0.map(eight)),
        ImageLuma16(_) => grey(to.lanczos3::<U16>(decoded), |p| sixteen(p.0)),
        ImageRgb16(_) => colour(to.lanczos3::<U16x3>(decoded), |p| p.0.map(sixteen)),
        ImageLumaA8(pixels) => {
            let pixels: Vec<U8> = pixels.pixels().map(|p| U8::new(p.0[0])).collect();
            grey(to.lanczos3_of(&pixels), |p| eight(p.0))
        }
        ImageRgba8(pixels) => {
            let pixels: Vec<U8x3> = pixels.pixels().map(|p| U8x3::new(without_alpha(p.0))).collect();
            colour(to.lanczos3_of(&pixels), |p| p.0.map(eight))
        }
        ImageLumaA16(pixels) => {
            let pixels: Vec<U16> = pixels.pixels().map(|p| U16::new(p.0[0])).collect();
            grey(to.lanczos3_of(&pixels), |p| sixteen(p.0))
        }
        ImageRgba16(pixels) => {
            let pixels: Vec<U16x3> = pixels.pixels().map(|p| U16x3::new(without_alpha(p.0))).collect();
            colour(to.lanczos3_of(&pixels), |p| p.0.map(sixteen))
        }
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
                grey(to.lanczos3_of(&pixels), |p| unit(p.0))
            } else {
                let pixels: Vec<F32x3> = pixels.into_iter().map(F32x3::new).collect();
                colour(to.lanczos3_of(&pixels), |p| p.0.map(unit))
            }
        }
    })
}

/// From which size to which; neither is zero.
#[derive(Clone, Copy)]
struct Target {
    original: OriginalSize,
    size: InputSize,
}

impl Target {
    /// The pixels of a decoded image, which are of type `P`.
    fn lanczos3<P: PixelTrait + Default>(self, decoded: &DynamicImage) -> Vec<P> {
        let (width, height) = (self.original.width as u32, self.original.height as u32);
        let source = TypedImageRef::from_buffer(width, height, decoded.as_bytes());
        self.resized(&source.expect("a decoded image has height x width pixels of its type"))
    }

    fn lanczos3_of<P: PixelTrait + Default>(self, pixels: &[P]) -> Vec<P> {
        let (width, height) = (self.original.width as u32, self.original.height as u32);
        let source = TypedImageRef::new(width, height, pixels);
        self.resized(&source.expect("a decoded image has height x width pixels"))
    }

    fn resized<P: PixelTrait + Default>(self, source: &TypedImageRef<'_, P>) -> Vec<P> {
        let mut resized = vec![P::default(); self.size.pixels()];
        let options =
            ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Lanczos3)).use_alpha(false);
        {
            let (width, height) = (self.size.width as u32, self.size.height as u32);
            let mut target = TypedImage::from_pixels_slice(width, height, &mut resized)
                .expect("the target was made with height x width pixels");
            Resizer::new()
                .resize_typed(source, &mut target, &options)
                .expect("without a crop box and with equal pixel types nothing is left to refuse");
        }
        resized
    }
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
