//! How many bits of a 16-bit sample a camera uses.
//!
//! ```text
//! value = min(sample / (2^bits − 1), 1)
//! ```
//!
//! Cameras of 10 to 14 bit often store their values in the low bits of 16: the picture is then nearly black, and most of what a
//! network could tell is lost. Images of 8 bit and floating-point ones are not touched.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use ::image::DynamicImage;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::decode;
use crate::written::written_as_text;

/// The bits of a 16-bit sample that are used. Written as a number from 8 to 16.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BitDepth(u8);

/// What a user asks for: a depth, or to look at the images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BitDepthChoice {
    /// So many bits, whatever the images hold.
    Fixed(BitDepth),
    /// The fewest bits that hold all values of the images, found by [`BitDepth::observed`].
    Auto,
}

impl BitDepth {
    /// All 16 bits: 65535 is white.
    pub const FULL: BitDepth = BitDepth(16);
    /// Images that are looked at to find a depth.
    const LOOKED_AT: usize = 32;

    /// So many bits; `None` if they are not 8 to 16.
    pub fn new(bits: u8) -> Option<BitDepth> {
        (8..=16).contains(&bits).then_some(BitDepth(bits))
    }

    /// The bits.
    pub fn bits(self) -> u8 {
        self.0
    }

    /// The sample that is white.
    pub fn white(self) -> u16 {
        ((1u32 << self.0) - 1) as u16
    }

    /// The fewest of 10, 12, 14 and 16 bits that hold every sample of the images, 32 of which are looked at, evenly chosen.
    /// `None` if none of them can be read or has 16 bit.
    pub fn observed(images: &[PathBuf]) -> Option<BitDepth> {
        let step = images.len().div_ceil(BitDepth::LOOKED_AT).max(1);
        let chosen: Vec<&PathBuf> = images.iter().step_by(step).collect();
        let brightest = |path: &&PathBuf| brightest(&decode::decode(&decode::read(path).ok()?).ok()?);
        let most = chosen.par_iter().filter_map(brightest).max()?;
        Some(BitDepth::holding(most))
    }

    /// The fewest of 10, 12, 14 and 16 bits that hold a sample.
    pub(crate) fn holding(sample: u16) -> BitDepth {
        let depths = [10, 12, 14].map(BitDepth);
        depths.into_iter().find(|depth| sample <= depth.white()).unwrap_or(BitDepth::FULL)
    }
}

impl Default for BitDepth {
    fn default() -> BitDepth {
        BitDepth::FULL
    }
}

/// The largest sample of an image of 16 bit, alpha left out; `None` of other images.
pub(crate) fn brightest(pixels: &DynamicImage) -> Option<u16> {
    fn most<const N: usize>(samples: &[u16], colours: usize) -> u16 {
        samples.as_chunks::<N>().0.iter().flat_map(|pixel| &pixel[..colours]).copied().max().unwrap_or(0)
    }
    match pixels {
        DynamicImage::ImageLuma16(pixels) => Some(most::<1>(pixels, 1)),
        DynamicImage::ImageLumaA16(pixels) => Some(most::<2>(pixels, 1)),
        DynamicImage::ImageRgb16(pixels) => Some(most::<3>(pixels, 3)),
        DynamicImage::ImageRgba16(pixels) => Some(most::<4>(pixels, 3)),
        _ => None,
    }
}

impl fmt::Display for BitDepth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl FromStr for BitDepth {
    type Err = BitDepthError;

    fn from_str(text: &str) -> Result<BitDepth, BitDepthError> {
        let depth = text.trim().parse().ok().and_then(BitDepth::new);
        depth.ok_or_else(|| BitDepthError { found: text.to_owned() })
    }
}

written_as_text!(BitDepth);

impl FromStr for BitDepthChoice {
    type Err = BitDepthError;

    fn from_str(text: &str) -> Result<BitDepthChoice, BitDepthError> {
        match text.trim() {
            "auto" => Ok(BitDepthChoice::Auto),
            text => text.parse().map(BitDepthChoice::Fixed),
        }
    }
}

/// A text that is no bit depth.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a bit depth from 8 to 16, or auto where images are at hand, found \"{found}\"")]
pub struct BitDepthError {
    /// What was written.
    pub found: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fewest_bits_that_hold_a_sample() {
        for (sample, bits) in
            [(0, 10), (1023, 10), (1024, 12), (4095, 12), (4096, 14), (16384, 16), (65535, 16)]
        {
            assert_eq!(BitDepth::holding(sample).bits(), bits, "{sample}");
        }
        assert_eq!("12".parse::<BitDepth>().map(BitDepth::white), Ok(4095));
        assert_eq!("auto".parse(), Ok(BitDepthChoice::Auto));
        assert!("7".parse::<BitDepthChoice>().is_err() && "17".parse::<BitDepth>().is_err());
    }
}
