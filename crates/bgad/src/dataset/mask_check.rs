//! Masks from which a position can be learned: only those make an image a known defect.

use std::path::PathBuf;

use rayon::prelude::*;

use super::{Sample, Split};
use crate::image::{ImageError, InputSize, RawMask, raw_mask, size_of};
use crate::printable;

/// Share of an image from which on a mask says nothing about a position.
const ALL: f64 = 0.95;
/// Shares of an image and of its border from which on black and white are taken to be exchanged.
const INVERTED: (f64, f64) = (0.5, 0.98);

/// Why a mask gives no position.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MaskFault {
    /// The mask cannot be read, or is not of its image's size; the error names it.
    #[error("{0}")]
    Unreadable(#[source] ImageError),
    /// No pixel is marked.
    #[error("empty: no pixel is marked")]
    Empty,
    /// Nearly every pixel is marked.
    #[error("covers {:.0} % of its image, so it says nothing about where the defect is", 100.0 * .covered)]
    CoversAll {
        /// The share of pixels that are marked.
        covered: f64,
    },
    /// The border and most of the image are marked.
    #[error(
        "covers {:.0} % of its image and the whole border: black and white seem to be exchanged, the defect is white",
        100.0 * .covered
    )]
    Inverted {
        /// The share of pixels that are marked.
        covered: f64,
    },
    /// All marked pixels fall between the samples at the input size.
    #[error(
        "its {pixels} marked pixels vanish at the input of {size}: train with a larger input, or with tiles"
    )]
    Vanishes {
        /// Pixels that are marked.
        pixels: usize,
        /// The input size.
        size: InputSize,
    },
}

/// An image whose mask gives no position.
#[derive(Debug, thiserror::Error)]
#[error("{}{fault}", if matches!(.fault, MaskFault::Unreadable(_)) { String::new() } else { format!("{}: ", printable::path(.mask)) })]
pub struct UnsoundMask {
    /// The image.
    pub image: PathBuf,
    /// Its mask.
    pub mask: PathBuf,
    /// What is wrong with the mask.
    pub fault: MaskFault,
}

/// The defective images whose masks give no position, in order. `size` is the input size if whole images are brought to it,
/// `None` if they are cut into tiles at their own size. Images without a mask are passed over.
pub fn check_masks(samples: &[Sample], size: Option<InputSize>) -> Vec<UnsoundMask> {
    let check = |sample: &Sample| {
        let mask = sample.mask.as_ref()?;
        let image = size_of(&sample.path).ok().map(|size| (sample.path.as_path(), size));
        let raw = raw_mask(mask, image).and_then(|raw| {
            // An image that cannot be read says so itself.
            let fits = image.map_or(Ok(()), |(image, size)| raw.mask.check_size(image, size));
            fits.map(|()| raw).map_err(|error| error.of_file(mask))
        });
        let fault = match raw {
            Ok(raw) => fault(&raw, size)?,
            Err(error) => MaskFault::Unreadable(error),
        };
        Some(UnsoundMask { image: sample.path.clone(), mask: mask.clone(), fault })
    };
    samples.par_iter().filter_map(check).collect()
}

/// What is wrong with a mask; `None` if it gives a position.
pub(crate) fn fault(RawMask { mask, .. }: &RawMask, size: Option<InputSize>) -> Option<MaskFault> {
    let covered = mask.covered();
    if mask.is_clean() {
        return Some(MaskFault::Empty);
    } else if covered > ALL {
        return Some(MaskFault::CoversAll { covered });
    } else if covered > INVERTED.0 && mask.covered_border() > INVERTED.1 {
        return Some(MaskFault::Inverted { covered });
    }
    let size = size.filter(|&size| mask.resized(size).is_clean())?;
    let pixels = mask.defective.iter().filter(|pixel| **pixel > 0).count();
    Some(MaskFault::Vanishes { pixels, size })
}

impl Split {
    /// Takes the images out of [`Split::anomalies`] whose masks give no position, and returns them. [`Plan::new`](crate::train::Plan::new) does
    /// it for every training.
    pub(crate) fn drop_unsound_masks(&mut self, size: Option<InputSize>) -> Vec<UnsoundMask> {
        let unsound = check_masks(&self.anomalies, size);
        self.anomalies.retain(|sample| !unsound.iter().any(|found| found.image == sample.path));
        unsound
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Mask;

    #[test]
    fn only_masks_with_a_position_are_sound() {
        let of = |marked: &dyn Fn(usize, usize) -> bool| {
            let defective = (0..100 * 100).map(|i| u8::from(marked(i / 100, i % 100))).collect();
            let mask = Mask { height: 100, width: 100, defective };
            fault(&RawMask { mask, between: 0.0, is_picture: true }, Some(InputSize::square(20)))
        };
        assert!(of(&|y, x| y < 50 && x < 50).is_none());
        assert!(matches!(of(&|_, _| false), Some(MaskFault::Empty)));
        assert!(matches!(of(&|y, x| (y, x) != (50, 50)), Some(MaskFault::CoversAll { .. })));
        let hole = |y: usize, x: usize| !((30..60).contains(&y) && (30..60).contains(&x));
        assert!(matches!(of(&hole), Some(MaskFault::Inverted { .. })));
        // A defect of two thirds that leaves a side free is none the worse.
        assert!(of(&|y, _| y < 66).is_none());
        assert!(matches!(of(&|y, x| (y, x) == (50, 50)), Some(MaskFault::Vanishes { pixels: 1, .. })));
    }
}
