//! Anomalous images made for training.
//!
//! ```text
//! cutpaste    a real defect: three operations on image and mask together, then the masked pixels go into a good image
//! operation   what can be done to an image and its mask: ten groups
//! nsa         no defect needed: a patch of a good image, scaled, moved and Poisson-blended
//! perlin      no defect needed: a texture under a mask of noise
//! blend       how foreign pixels become part of a picture
//! ```
//!
//! Nothing here keeps a state: every choice comes from the generator that is passed in.

pub mod blend;
mod colour;
pub mod cutpaste;
mod filter;
mod geometry;
pub mod nsa;
pub mod operation;
pub mod perlin;
mod perlin_noise;

use std::fmt;

pub use blend::Blend;
pub use cutpaste::cut_paste;
pub use nsa::nsa;
pub use operation::Operation;
pub use perlin::perlin;

use crate::foreground::Foreground;
use crate::image::{InputImage, Mask};
use crate::metrics::regions;
use filter::box_blur;

/// Smallest region of a made anomaly, pixels.
const SMALLEST: usize = 12;
/// Least change of a channel that can be seen, in the mean over a square of this radius.
const VISIBLE: f32 = 0.05;
const VISIBLE_RADIUS: usize = 2;
/// Least share of what was laid on that must be seen.
const SEEN: f64 = 0.15;

/// A good image to put a defect into.
#[derive(Clone, Copy, Debug)]
pub struct Host<'a> {
    /// The image.
    pub image: &'a InputImage,
    /// Where its part is, at the same size.
    pub foreground: &'a Foreground,
}

impl Host<'_> {
    /// `(height, width)`.
    ///
    /// # Panics
    ///
    /// If image and foreground differ in size.
    fn size(&self) -> (usize, usize) {
        let size = (self.image.height, self.image.width);
        let foreground = (self.foreground.height, self.foreground.width);
        assert_eq!(foreground, size, "foreground and host must have one size (height, width)");
        size
    }
}

/// An anomalous image that was made.
#[derive(Clone, Debug, PartialEq)]
pub struct Made {
    /// The image.
    pub image: InputImage,
    /// Where it is anomalous; not clean.
    pub mask: Mask,
    /// How it was made.
    pub recipe: Recipe,
}

/// How an anomalous image was made. Shown in a few words.
#[derive(Clone, Debug, PartialEq)]
pub enum Recipe {
    /// From a real defect.
    CutPaste {
        /// What was done to it, in this order.
        operations: Vec<Operation>,
    },
    /// From patches of a good image.
    Nsa {
        /// How many were laid on.
        patches: usize,
    },
    /// From a texture.
    Perlin {
        /// Which kind of texture.
        texture: &'static str,
        /// Its opacity.
        opacity: f32,
    },
}

impl fmt::Display for Recipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CutPaste { operations } => {
                let operations: Vec<String> = operations.iter().map(Operation::to_string).collect();
                write!(f, "cutpaste: {}", operations.join("; "))
            }
            Self::Nsa { patches } => write!(f, "nsa: {patches} patches"),
            Self::Perlin { texture, opacity } => write!(f, "perlin: {texture}, opacity {opacity:.2}"),
        }
    }
}

/// The places of the ones.
fn indices(mask: &[u8]) -> impl Iterator<Item = usize> + '_ {
    mask.iter().enumerate().filter(|(_, pixel)| **pixel != 0).map(|(i, _)| i)
}

/// The pixels of `mask` at which a change can be seen; `None` if they are so few that what was laid on there came out
/// like what it covers. Grain laid over grain differs in every pixel and is not seen: it is the mean around a pixel that
/// counts.
fn visible(before: &InputImage, after: &InputImage, mask: &Mask) -> Option<Mask> {
    let [was, is] = [before, after].map(|image| box_blur(image, VISIBLE_RADIUS));
    let seen = changed(&was, &is, mask, VISIBLE);
    let [seen_area, area] = [&seen, mask].map(|mask| indices(&mask.defective).count());
    (seen_area as f64 >= SEEN * area as f64).then_some(seen)
}

/// The pixels of `mask` at which a channel changed by `least` or more; regions of fewer than [`SMALLEST`] pixels are not
/// counted, since nobody would see them.
fn changed(before: &InputImage, after: &InputImage, mask: &Mask, least: f32) -> Mask {
    let differs = |i: usize| {
        let [was, is] = [before, after].map(|image| &image.rgb_hwc[i * 3..][..3]);
        was.iter().zip(is).any(|(a, b)| (a - b).abs() >= least)
    };
    let pixels = mask.defective.iter().enumerate();
    let mut seen: Vec<u8> = pixels.map(|(i, &pixel)| u8::from(pixel != 0 && differs(i))).collect();
    let found = regions::label(&seen, mask.height, mask.width);
    for (pixel, label) in seen.iter_mut().zip(&found.labels).filter(|(_, label)| **label != 0) {
        *pixel = u8::from(found.regions[*label as usize - 1].area >= SMALLEST);
    }
    Mask { defective: seen, ..*mask }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt as _, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// A grey picture of coarse noise.
    pub(super) fn textured(height: usize, width: usize, seed: u64) -> InputImage {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let blocks: Vec<f32> = (0..height * width).map(|_| rng.random_range(0.1..0.9)).collect();
        let value = |i: usize| blocks[i / width / 3 * width + i % width / 3];
        InputImage { height, width, rgb_hwc: (0..height * width).flat_map(|i| [value(i); 3]).collect() }
    }

    #[test]
    fn changes_are_counted_from_the_limit_on_and_within_the_mask() {
        // Twelve pixels change by 1/4 and twelve more by 1/8; apart from them, one alone; one lies outside the mask.
        let before = InputImage { height: 1, width: 30, rgb_hwc: vec![0.5; 90] };
        let mut after = before.clone();
        (0..24).for_each(|i| after.rgb_hwc[i * 3 + 1] = if i < 12 { 0.75 } else { 0.375 });
        [24, 28].iter().for_each(|i| after.rgb_hwc[i * 3] = 0.0);
        let mask = Mask { height: 1, width: 30, defective: (0..30).map(|i| u8::from(i != 24)).collect() };
        let counted = |least| changed(&before, &after, &mask, least).defective;
        assert_eq!(counted(0.25), (0..30).map(|i| u8::from(i < 12)).collect::<Vec<_>>());
        assert_eq!(counted(0.125), (0..30).map(|i| u8::from(i < 24)).collect::<Vec<_>>());
    }
}
