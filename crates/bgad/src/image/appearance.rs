//! How a picture was taken: how bright, how rich in contrast, how sharp.
//!
//! ```text
//! grey         mean of the channels of a pixel, [0, 1]
//! brightness   mean of grey over the picture
//! contrast     its standard deviation
//! sharpness    ln of the mean of |L| over the contrast       L: the four neighbours of a pixel, less four times its grey
//! ```
//!
//! A blur takes the Laplacian `L` away first, and another lamp scales it as it scales the contrast: sharpness tells a lens from a lamp.

use super::{InputImage, Window};

/// Below this contrast a picture is flat.
const FLAT: f64 = 1e-4;
/// Below this share of the contrast there is no fine structure.
const NO_STRUCTURE: f64 = 1e-9;

/// How a picture was taken, at the size at which the network sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Appearance {
    /// Mean grey, 0 to 1.
    pub brightness: f64,
    /// Standard deviation of grey.
    pub contrast: f64,
    /// `ln` of the mean absolute Laplacian over the contrast.
    pub sharpness: f64,
}

impl Appearance {
    /// Of the part of an image that is picture.
    ///
    /// # Panics
    ///
    /// If the window does not lie within.
    pub fn of(image: &InputImage, window: Window) -> Appearance {
        let Window { top, left, height, width } = window;
        let mut grey = Vec::with_capacity(height * width);
        for y in top..top + height {
            let row = &image.rgb_hwc[3 * (y * image.width + left)..][..3 * width];
            grey.extend(row.as_chunks::<3>().0.iter().map(|rgb| rgb.iter().sum::<f32>() / 3.0));
        }
        let (brightness, contrast) = moments(&grey);
        let structure = laplacian(&grey, (height, width)) / contrast.max(FLAT);
        Appearance { brightness, contrast, sharpness: structure.max(NO_STRUCTURE).ln() }
    }
}

/// Mean and standard deviation.
fn moments(values: &[f32]) -> (f64, f64) {
    let n = values.len().max(1) as f64;
    let mean = values.iter().map(|v| f64::from(*v)).sum::<f64>() / n;
    let variance = values.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / n;
    (mean, variance.sqrt())
}

/// Mean absolute value of the discrete Laplacian; 0 of an image without an inner pixel.
fn laplacian(grey: &[f32], (h, w): (usize, usize)) -> f64 {
    if h < 3 || w < 3 {
        return 0.0;
    }
    let mut sum = 0.0;
    for y in 1..h - 1 {
        let row = |y: usize| &grey[y * w..][..w];
        let (above, here, below) = (row(y - 1), row(y), row(y + 1));
        for x in 1..w - 1 {
            let edge = above[x] + below[x] + here[x - 1] + here[x + 1] - 4.0 * here[x];
            sum += f64::from(edge.abs());
        }
    }
    sum / ((h - 2) * (w - 2)) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIDE: usize = 32;

    /// Greys of a weave whose threads are two pixels wide.
    fn fine(y: usize, x: usize) -> f32 {
        if (y / 2 + x / 2).is_multiple_of(2) { 0.4 } else { 0.5 }
    }

    /// The same on parts that are darker and brighter, ten pixels wide: a blur leaves these.
    fn on_parts(y: usize, x: usize) -> f32 {
        fine(y, x) + if (x / 10).is_multiple_of(2) { -0.2 } else { 0.2 }
    }

    /// A texture times a lamp, in a frame that is no picture.
    fn picture(weave: fn(usize, usize) -> f32, lamp: f32, blur: bool) -> InputImage {
        let side = SIDE + 4;
        let mut image = InputImage { height: side, width: side, rgb_hwc: vec![0.9; 3 * side * side] };
        for y in 2..side - 2 {
            for x in 2..side - 2 {
                let value = match blur {
                    false => weave(y, x),
                    true => (0..9).map(|i| weave(y + i / 3 - 1, x + i % 3 - 1)).sum::<f32>() / 9.0,
                };
                image.rgb_hwc[3 * (y * side + x)..][..3].fill(lamp * value);
            }
        }
        image
    }

    fn of(image: &InputImage) -> Appearance {
        Appearance::of(image, Window { top: 2, left: 2, height: SIDE, width: SIDE })
    }

    #[test]
    fn a_lamp_changes_the_brightness_and_a_lens_the_sharpness() {
        let (usual, dim) = (of(&picture(fine, 1.0, false)), of(&picture(fine, 0.8, false)));
        assert!((usual.brightness - 0.45).abs() < 1e-6 && (usual.contrast - 0.05).abs() < 1e-6, "{usual:?}");
        // Every pixel has two neighbours of the other grey: a Laplacian of 0.2, four times the contrast.
        assert!((usual.sharpness - 4.0f64.ln()).abs() < 1e-5, "{usual:?}");
        assert!((dim.brightness - 0.36).abs() < 1e-6 && (dim.sharpness - usual.sharpness).abs() < 1e-5);
        let (usual, blurred) = (of(&picture(on_parts, 1.0, false)), of(&picture(on_parts, 1.0, true)));
        assert!((blurred.brightness - usual.brightness).abs() < 0.02, "{usual:?} {blurred:?}");
        assert!(blurred.sharpness < usual.sharpness - 0.5, "{usual:?} {blurred:?}");
    }

    #[test]
    fn pictures_without_structure_have_numbers() {
        for (height, width) in [(1, 1), (1, 5), (2, 2), (3, 3)] {
            let image = InputImage { height, width, rgb_hwc: vec![0.25; 3 * height * width] };
            let flat = Appearance::of(&image, Window { top: 0, left: 0, height, width });
            assert_eq!(flat, Appearance { brightness: 0.25, contrast: 0.0, sharpness: NO_STRUCTURE.ln() });
        }
    }
}
