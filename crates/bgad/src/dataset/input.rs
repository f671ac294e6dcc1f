//! The input size, chosen from the images.
//!
//! ```text
//! r     = long side / short side of the good images; all within 5 % of the median, else 256 x 256
//! size  = short side 256, long side 256 r, multiples of 32 and at most B = 3 x 256 x 256 pixels
//!         larger, up to B and to the images' own size, where a tenth of the known defects covers fewer than 12 pixels
//! ```
//!
//! An image squeezed into a square loses the defects that are thin in the squeezed direction: measured in docs/decisions/input.md. Images of mixed
//! shapes keep the square, which costs each of them little.

use std::fmt;

use super::{Sample, Split};
use crate::image::{InputSize, Mask, OriginalSize, raw_mask, size_of};

/// The usual side.
const SIDE: usize = 256;
/// Sides are multiples of this, the stride of the coarsest level twice.
const MULTIPLE: usize = 32;
/// `B`.
const BUDGET: usize = 3 * SIDE * SIDE;
/// How far from the median the proportions of images may be.
const TOLERANCE: f64 = 0.05;
/// Pixels of the input below which a defect is too small to be learned well.
const SMALL: usize = 12;
/// Images whose sizes are looked at, evenly over the list.
const LOOKED_AT: usize = 200;

/// A size, and why it is that.
#[derive(Clone, Debug, PartialEq)]
pub struct InputChoice {
    /// The size.
    pub size: InputSize,
    /// What the images look like.
    pub shape: ImageShapes,
    /// Pixels that the smallest tenth of the known defects covers at that size; `None` without a mask.
    pub smallest_defect: Option<usize>,
}

/// What shapes images have.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ImageShapes {
    /// No image could be read.
    Unknown,
    /// One proportion; the median size.
    One(OriginalSize),
    /// Different proportions.
    Mixed,
}

impl InputChoice {
    /// Chooses for the good images and known defects of a split. Files that cannot be read are left out.
    pub fn of(split: &Split) -> InputChoice {
        let step = split.train.len().div_ceil(LOOKED_AT).max(1);
        let size = |sample: &Sample| size_of(&sample.path).ok();
        let sizes: Vec<OriginalSize> = split.train.iter().step_by(step).filter_map(size).collect();
        let shape = shapes(&sizes);
        let masks: Vec<Mask> = split.anomalies.iter().filter_map(own_mask).collect();
        choose(shape, &masks)
    }

    /// Whether defects are too small even at the largest input: tiles would look closer.
    pub fn asks_for_tiles(&self) -> bool {
        self.smallest_defect.is_some_and(|pixels| pixels < SMALL)
    }
}

/// The mask of a known defect at its own size.
fn own_mask(sample: &Sample) -> Option<Mask> {
    let path = sample.mask.as_ref()?;
    let size = size_of(&sample.path).ok()?;
    raw_mask(path, Some((&sample.path, size))).ok().map(|raw| raw.mask)
}

fn shapes(sizes: &[OriginalSize]) -> ImageShapes {
    let ratio = |size: &OriginalSize| size.height as f64 / size.width as f64;
    let mut sorted = sizes.to_vec();
    sorted.sort_by(|a, b| ratio(a).total_cmp(&ratio(b)));
    let Some(middle) = sorted.get(sorted.len() / 2).copied() else { return ImageShapes::Unknown };
    let one = sorted.iter().all(|size| (ratio(size) / ratio(&middle) - 1.0).abs() <= TOLERANCE);
    if one { ImageShapes::One(middle) } else { ImageShapes::Mixed }
}

fn choose(shape: ImageShapes, masks: &[Mask]) -> InputChoice {
    let at = |size: InputSize| smallest(masks, size);
    let square = InputSize::square(SIDE);
    let ImageShapes::One(original) = shape else {
        return InputChoice { size: square, shape, smallest_defect: at(square) };
    };
    let mut size = with_short_side(original, SIDE);
    let mut side = SIDE;
    loop {
        let smallest = at(size);
        side += MULTIPLE;
        let larger = with_short_side(original, side);
        let grows = larger.pixels() > size.pixels();
        let fits = larger.pixels() <= BUDGET && side <= original.height.min(original.width);
        if smallest.is_none_or(|pixels| pixels >= SMALL) || !grows || !fits {
            return InputChoice { size, shape, smallest_defect: smallest };
        }
        size = larger;
    }
}

/// The size of these proportions with this short side, or what of it the budget allows.
fn with_short_side(original: OriginalSize, side: usize) -> InputSize {
    let (long, short) =
        (original.height.max(original.width) as f64, original.height.min(original.width) as f64);
    let ratio = long / short;
    let within = (side as f64).min((BUDGET as f64 / ratio).sqrt());
    let round = |length: f64| {
        (((length / MULTIPLE as f64).round() as usize) * MULTIPLE).clamp(MULTIPLE, InputSize::MAX_SIDE)
    };
    let (short_side, mut long_side) = (round(within), round(within * ratio));
    while short_side * long_side > BUDGET && long_side > short_side {
        long_side -= MULTIPLE;
    }
    let (height, width) =
        if original.height >= original.width { (long_side, short_side) } else { (short_side, long_side) };
    InputSize { height, width, keep_aspect: false }
}

/// Pixels of an input that the smallest tenth of the defects covers.
fn smallest(masks: &[Mask], size: InputSize) -> Option<usize> {
    let covered = |mask: &Mask| {
        let defective = mask.defective.iter().filter(|pixel| **pixel != 0).count();
        (defective as f64 * size.pixels() as f64 / (mask.height * mask.width) as f64) as usize
    };
    let mut pixels: Vec<usize> = masks.iter().map(covered).collect();
    pixels.sort_unstable();
    pixels.get(pixels.len() / 10).copied()
}

impl fmt::Display for InputChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (height x width), ", self.size)?;
        match self.shape {
            ImageShapes::Unknown => write!(f, "the usual size")?,
            ImageShapes::Mixed => write!(f, "the usual size for images of different shapes")?,
            ImageShapes::One(original) => write!(f, "for images of about {original}")?,
        }
        match self.smallest_defect {
            Some(0) => write!(f, "; the smallest known defects cover less than a pixel of it"),
            Some(pixels) => write!(f, "; the smallest known defects cover {pixels} pixels of it"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(height: usize, width: usize) -> ImageShapes {
        shapes(&[OriginalSize { height, width }; 3])
    }

    #[test]
    fn the_shape_of_the_images_decides() {
        let cases = [
            ((512, 512), (256, 256)),
            ((128, 128), (256, 256)),
            ((1260, 500), (640, 256)),
            ((800, 320), (640, 256)),
            ((600, 800), (256, 352)),
            ((460, 1130), (256, 640)),
            ((100, 4000), (64, 2816)),
        ];
        for ((height, width), (rows, columns)) in cases {
            let choice = choose(of(height, width), &[]);
            assert_eq!((choice.size.height, choice.size.width), (rows, columns), "{height}x{width}");
            assert!(choice.size.pixels() <= BUDGET);
        }
        let mixed = [OriginalSize { height: 300, width: 200 }, OriginalSize { height: 200, width: 300 }];
        for sizes in [&mixed[..], &[]] {
            assert_eq!(choose(shapes(sizes), &[]).size, InputSize::square(SIDE));
        }
    }

    #[test]
    fn small_defects_ask_for_a_larger_input_up_to_the_budget() {
        let mut mask = Mask::clean(InputSize::square(1024));
        let draw = |mask: &mut Mask, pixels: usize| mask.defective[..pixels].fill(1);
        draw(&mut mask, 400);
        assert_eq!(choose(of(1024, 1024), std::slice::from_ref(&mask)).size, InputSize::square(256));
        mask.defective.fill(0);
        draw(&mut mask, 120);
        let larger = choose(of(1024, 1024), std::slice::from_ref(&mask));
        assert_eq!((larger.size, larger.smallest_defect), (InputSize::square(352), Some(14)));
        mask.defective.fill(0);
        draw(&mut mask, 20);
        let most = choose(of(1024, 1024), std::slice::from_ref(&mask));
        assert!(most.size == InputSize::square(416) && most.asks_for_tiles(), "{most}");
        // An image is not made larger than it is.
        let small = Mask { defective: vec![1, 0, 0, 0], ..Mask::clean(InputSize::square(2)) };
        assert_eq!(choose(of(256, 256), &[small]).size, InputSize::square(256));
    }
}
