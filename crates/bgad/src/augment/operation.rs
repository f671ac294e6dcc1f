//! The operations of RandAugment CutPaste: each changes an image and its mask together.
//!
//! ```text
//! rot90 | flip | transpose | shift-scale-rotate | optical distortion | grid or elastic distortion
//!                                                                     move image and mask alike
//! noise | blur (motion, median, box) | hue-saturation-value |
//! CLAHE, sharpen, emboss or brightness-contrast                       touch the image, never the mask
//! ```
//!
//! The ten groups of the authors' pipeline, after albumentations. An operation is data: what was drawn can be shown,
//! compared and applied again. Groups are drawn without repetition, so three operations are three different kinds of
//! change. To add one: a variant here, its family, and its arms in `draw` and [`Operation::apply`].
//!
//! The canvas never changes. A quarter turn or a transposition of an image that is not square is cut, or filled up by
//! reflection, around the centre; what of the mask leaves the canvas is lost. A grey image stays grey.

use std::fmt;

use rand::{Rng, RngExt as _};

use super::{colour, filter, geometry};
use crate::image::{InputImage, Mask};

/// One change of an image and its mask.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Operation {
    /// Quarter turns against the clock.
    Rotate90 {
        /// How many; taken modulo 4.
        turns: u8,
    },
    /// Left becomes right.
    FlipHorizontal,
    /// Top becomes bottom.
    FlipVertical,
    /// Rows become columns.
    Transpose,
    /// Turned and scaled about the centre, then shifted; image bilinear and reflected at its borders, mask nearest.
    ShiftScaleRotate {
        /// Downwards, as a share of the height.
        shift_y: f32,
        /// To the right, as a share of the width.
        shift_x: f32,
        /// Above 1 enlarges. Must be above 0.
        scale: f32,
        /// Against the clock.
        degrees: f32,
    },
    /// `(1 + contrast) (x - 1/2) + 1/2 + brightness`, held in `[0, 1]`.
    BrightnessContrast {
        /// Added to every value.
        brightness: f32,
        /// Above 0 spreads the values about mid-grey.
        contrast: f32,
    },
    /// Hue turned, saturation multiplied, value shifted, in HSV. Multiplied, because adding to the saturation of a grey
    /// pixel makes it red.
    HueSaturationValue {
        /// Turn of the colour circle.
        hue_degrees: f32,
        /// The saturation is multiplied by `1 + saturation`.
        saturation: f32,
        /// Added to the value.
        value: f32,
    },
    /// Normal noise, the same on the three channels of a pixel.
    GaussianNoise {
        /// Standard deviation, for values in `[0, 1]`.
        std: f32,
        /// Decides every pixel's noise.
        seed: u64,
    },
    /// The distortion of a lens.
    OpticalDistortion {
        /// Above 0 draws the edges in, below 0 pushes them out.
        k: f32,
    },
    /// Rows and columns of cells stretched and squeezed.
    GridDistortion {
        /// By how much each row of cells is stretched, above -1.
        rows: [f32; 5],
        /// By how much each column of cells is stretched, above -1.
        columns: [f32; 5],
    },
    /// Every place moved by smooth noise.
    ElasticDistortion {
        /// Largest way, as a share of the longest side.
        amplitude: f32,
        /// Distance from hill to hill of the noise, as a share of the longest side.
        cell: f32,
        /// Decides the noise.
        seed: u64,
    },
    /// The mean over a square.
    BoxBlur {
        /// The square has `2 radius + 1` pixels a side.
        radius: usize,
    },
    /// The mean along a line.
    MotionBlur {
        /// Pixels of the line, at least 1.
        length: usize,
        /// Its direction, against the clock from the right.
        degrees: f32,
    },
    /// The median over a square.
    MedianBlur {
        /// The square has `2 radius + 1` pixels a side.
        radius: usize,
    },
    /// Local contrast, by the histograms of tiles.
    Clahe {
        /// How many times its even share a grey value may have. 0 changes nothing but by rounding to grey values.
        clip: f32,
    },
    /// The difference from the neighbours made larger.
    Sharpen {
        /// 0 changes nothing.
        amount: f32,
    },
    /// Lit from one side, as a relief.
    Emboss {
        /// Share of the relief in the result.
        amount: f32,
        /// How deep it is.
        strength: f32,
    },
}

/// Kinds of change, of which each is drawn at most once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    Rotate90,
    Flip,
    Transpose,
    OpticalDistortion,
    GaussianNoise,
    Blur,
    ShiftScaleRotate,
    Distortion,
    Contrast,
    HueSaturationValue,
}

impl Family {
    const ALL: [Family; 10] = [
        Family::Rotate90,
        Family::Flip,
        Family::Transpose,
        Family::OpticalDistortion,
        Family::GaussianNoise,
        Family::Blur,
        Family::ShiftScaleRotate,
        Family::Distortion,
        Family::Contrast,
        Family::HueSaturationValue,
    ];

    /// Ranges near the defaults of albumentations, brought to values in `[0, 1]`.
    fn draw(self, rng: &mut impl Rng) -> Operation {
        match self {
            Family::Rotate90 => Operation::Rotate90 { turns: rng.random_range(1..=3) },
            Family::Flip if rng.random() => Operation::FlipHorizontal,
            Family::Flip => Operation::FlipVertical,
            Family::Transpose => Operation::Transpose,
            Family::OpticalDistortion => Operation::OpticalDistortion { k: rng.random_range(-0.5..=0.5) },
            Family::GaussianNoise => {
                Operation::GaussianNoise { std: rng.random_range(0.012..=0.028), seed: rng.random() }
            }
            Family::Blur => match rng.random_range(0..3) {
                0 => Operation::MotionBlur {
                    length: rng.random_range(3..=7),
                    degrees: rng.random_range(0.0..180.0),
                },
                1 => Operation::MedianBlur { radius: rng.random_range(1..=2) },
                _ => Operation::BoxBlur { radius: rng.random_range(1..=3) },
            },
            Family::ShiftScaleRotate => Operation::ShiftScaleRotate {
                shift_y: rng.random_range(-0.0625..=0.0625),
                shift_x: rng.random_range(-0.0625..=0.0625),
                scale: rng.random_range(0.8..=1.2),
                degrees: rng.random_range(-45.0..=45.0),
            },
            Family::Distortion if rng.random() => {
                let mut cells = || std::array::from_fn(|_| rng.random_range(-0.3..=0.3));
                Operation::GridDistortion { rows: cells(), columns: cells() }
            }
            Family::Distortion => Operation::ElasticDistortion {
                amplitude: rng.random_range(0.01..=0.04),
                cell: rng.random_range(0.1..=0.3),
                seed: rng.random(),
            },
            Family::Contrast => match rng.random_range(0..4) {
                0 => Operation::Clahe { clip: rng.random_range(1.0..=2.0) },
                1 => Operation::Sharpen { amount: rng.random_range(0.05..=0.3) },
                2 => Operation::Emboss {
                    amount: rng.random_range(0.2..=0.5),
                    strength: rng.random_range(0.2..=0.7),
                },
                _ => Operation::BrightnessContrast {
                    brightness: rng.random_range(-0.2..=0.2),
                    contrast: rng.random_range(-0.2..=0.2),
                },
            },
            Family::HueSaturationValue => Operation::HueSaturationValue {
                hue_degrees: rng.random_range(-40.0..=40.0),
                saturation: rng.random_range(-0.3..=0.3),
                value: rng.random_range(-0.08..=0.08),
            },
        }
    }
}

impl Operation {
    /// How many kinds of operation there are to draw from.
    pub const FAMILIES: usize = Family::ALL.len();

    /// Draws `count` operations, no two of a kind, in the order in which to apply them.
    ///
    /// # Panics
    ///
    /// If `count` is above [`Operation::FAMILIES`].
    pub fn draw_distinct(rng: &mut impl Rng, count: usize) -> Vec<Operation> {
        let mut families = Family::ALL;
        assert!(count <= families.len(), "at most {} distinct operations, got {count}", families.len());
        (0..count)
            .map(|i| {
                let chosen = rng.random_range(i..families.len());
                families.swap(i, chosen);
                families[i].draw(rng)
            })
            .collect()
    }

    /// The changed image and mask, of the same size.
    ///
    /// # Panics
    ///
    /// If image and mask differ in size.
    pub fn apply(&self, image: &InputImage, mask: &Mask) -> (InputImage, Mask) {
        assert_eq!(
            (image.height, image.width),
            (mask.height, mask.width),
            "image and mask must have one size (height, width)"
        );
        // Offsets by which the middle of a turned picture, `w x h`, is laid over the canvas, `h x w`.
        let (h, w) = (image.height as isize, image.width as isize);
        let (down, right) = ((w - h).div_euclid(2), (h - w).div_euclid(2));
        let moved = |source: &dyn Fn(isize, isize) -> (isize, isize)| geometry::moved(image, mask, source);
        match *self {
            Operation::Rotate90 { turns } => match turns % 4 {
                0 => (image.clone(), mask.clone()),
                1 => moved(&|y, x| (x + right, w - 1 - (y + down))),
                2 => moved(&|y, x| (h - 1 - y, w - 1 - x)),
                _ => moved(&|y, x| (h - 1 - (x + right), y + down)),
            },
            Operation::FlipHorizontal => moved(&|y, x| (y, w - 1 - x)),
            Operation::FlipVertical => moved(&|y, x| (h - 1 - y, x)),
            Operation::Transpose => moved(&|y, x| (x + right, y + down)),
            Operation::ShiftScaleRotate { shift_y, shift_x, scale, degrees } => {
                let shift = (shift_y * h as f32, shift_x * w as f32);
                geometry::shift_scale_rotate(image, mask, shift, scale, degrees)
            }
            Operation::BrightnessContrast { brightness, contrast } => {
                (colour::brightness_contrast(image, brightness, contrast), mask.clone())
            }
            Operation::HueSaturationValue { hue_degrees, saturation, value } => {
                (colour::hue_saturation_value(image, hue_degrees, saturation, value), mask.clone())
            }
            Operation::GaussianNoise { std, seed } => {
                (colour::gaussian_noise(image, std, seed), mask.clone())
            }
            Operation::OpticalDistortion { k } => geometry::optical_distortion(image, mask, k),
            Operation::GridDistortion { rows, columns } => {
                geometry::grid_distortion(image, mask, &rows, &columns)
            }
            Operation::ElasticDistortion { amplitude, cell, seed } => {
                let side = h.max(w) as f32;
                geometry::elastic_distortion(image, mask, amplitude * side, (cell * side).max(1.0), seed)
            }
            Operation::BoxBlur { radius } => (filter::box_blur(image, radius), mask.clone()),
            Operation::MotionBlur { length, degrees } => {
                (filter::motion_blur(image, length, degrees), mask.clone())
            }
            Operation::MedianBlur { radius } => (filter::median_blur(image, radius), mask.clone()),
            Operation::Clahe { clip } => (filter::clahe(image, clip), mask.clone()),
            Operation::Sharpen { amount } => (filter::sharpen(image, amount), mask.clone()),
            Operation::Emboss { amount, strength } => (filter::emboss(image, amount, strength), mask.clone()),
        }
    }
}

impl fmt::Display for Operation {
    /// In a few words, as on a contact sheet.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rotate90 { turns } => write!(f, "{} degrees", 90 * u32::from(*turns)),
            Self::FlipHorizontal => write!(f, "flip left-right"),
            Self::FlipVertical => write!(f, "flip up-down"),
            Self::Transpose => write!(f, "transpose"),
            Self::ShiftScaleRotate { scale, degrees, .. } => {
                write!(f, "turn {degrees:.0} degrees, scale {scale:.2}")
            }
            Self::BrightnessContrast { brightness, contrast } => {
                write!(f, "brightness {brightness:+.2}, contrast {contrast:+.2}")
            }
            Self::HueSaturationValue { hue_degrees, saturation, value } => {
                write!(f, "hue {hue_degrees:+.0} degrees, saturation {saturation:+.2}, value {value:+.2}")
            }
            Self::GaussianNoise { std, .. } => write!(f, "noise {std:.3}"),
            Self::OpticalDistortion { k } => write!(f, "lens {k:+.2}"),
            Self::GridDistortion { .. } => write!(f, "grid distortion"),
            Self::ElasticDistortion { amplitude, .. } => write!(f, "elastic {amplitude:.3}"),
            Self::BoxBlur { radius } => write!(f, "blur {0}x{0}", 2 * radius + 1),
            Self::MotionBlur { length, degrees } => write!(f, "motion blur {length} at {degrees:.0} degrees"),
            Self::MedianBlur { radius } => write!(f, "median {0}x{0}", 2 * radius + 1),
            Self::Clahe { clip } => write!(f, "local contrast {clip:.1}"),
            Self::Sharpen { amount } => write!(f, "sharpen {amount:.2}"),
            Self::Emboss { amount, .. } => write!(f, "emboss {amount:.2}"),
        }
    }
}

#[cfg(test)]
mod tests;
