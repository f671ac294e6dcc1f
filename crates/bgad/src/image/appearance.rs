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
        let mut sums = Sums::default();
        // Three rows at a time: an image that is cut into tiles may be a large one.
        let mut rows = [const { Vec::new() }; 3];
        for y in 0..height {
            rows.rotate_left(1);
            let rgb = &image.rgb_hwc[3 * ((top + y) * image.width + left)..][..3 * width];
            let grey = rgb.as_chunks::<3>().0.iter().map(|rgb| rgb.iter().sum::<f32>() / 3.0);
            let [above, here, below] = &mut rows;
            below.clear();
            below.extend(grey);
            sums.add_greys(below);
            if y >= 2 {
                sums.add_edges(above, here, below);
            }
        }
        let contrast = sums.deviation();
        let structure = sums.edge() / contrast.max(FLAT);
        Appearance { brightness: sums.mean(), contrast, sharpness: structure.max(NO_STRUCTURE).ln() }
    }
}

/// What is added up over the pixels.
#[derive(Default)]
struct Sums {
    /// The first grey: differences to it lose no digits in a picture that is nearly flat.
    first: Option<f32>,
    pixels: usize,
    differences: f64,
    squares: f64,
    edges: f64,
    inner: usize,
}

impl Sums {
    fn add_greys(&mut self, greys: &[f32]) {
        let Some(&start) = greys.first() else { return };
        let first = f64::from(*self.first.get_or_insert(start));
        self.pixels += greys.len();
        for grey in greys {
            let difference = f64::from(*grey) - first;
            self.differences += difference;
            self.squares += difference * difference;
        }
    }

    /// The discrete Laplacian of the inner pixels of the middle row.
    fn add_edges(&mut self, above: &[f32], here: &[f32], below: &[f32]) {
        for x in 1..here.len().saturating_sub(1) {
            let edge = above[x] + below[x] + here[x - 1] + here[x + 1] - 4.0 * here[x];
            self.edges += f64::from(edge.abs());
            self.inner += 1;
        }
    }

    fn mean_difference(&self) -> f64 {
        self.differences / self.pixels.max(1) as f64
    }

    fn mean(&self) -> f64 {
        f64::from(self.first.unwrap_or(0.0)) + self.mean_difference()
    }

    fn deviation(&self) -> f64 {
        (self.squares / self.pixels.max(1) as f64 - self.mean_difference().powi(2)).max(0.0).sqrt()
    }

    /// Mean absolute Laplacian; 0 of an image without an inner pixel.
    fn edge(&self) -> f64 {
        self.edges / self.inner.max(1) as f64
    }
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
