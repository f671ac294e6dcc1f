//! Test vectors: synthetic images and what the model said of them when it was trained.
//!
//! ```text
//! pixel(y, x, c) = min(255, base + tint c + Σ over k in 6, 4, 2, 0 of (mix(seed A + (y >> k) B + (x >> k) C + k D) >> 24) >> calm)
//! base = 40 + 29 seed mod 128     tint = 3 + seed mod 5     calm = 2 + seed mod 4                              all modulo 2^32
//! sound            |score here − score in the file| ≤ 0.01 + 0.001 |score in the file|                            nats
//! ```
//!
//! A machine that computes other numbers, whether by a fault of its memory, of a compiler or of a build, gives other scores. Instruction sets
//! differ in the last bits only, far below the tolerance (docs/serve.md has the figures).

use serde::{Deserialize, Serialize};

use crate::detector::Detector;
use crate::frame::{Frame, Layout};

/// Seeds of the images that a new model carries.
pub(crate) const SEEDS: [u32; 2] = [1, 2];
/// How far a score may be off, nats, whatever its size.
const ABSOLUTE: f32 = 0.01;
/// The same in proportion to it.
const RELATIVE: f32 = 1e-3;

/// A synthetic image and its score.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TestVector {
    /// The image: see [`TestVector::pixels`].
    pub seed: u32,
    /// Its score on the machine that trained the model, nats.
    pub score: f32,
}

/// A model gives other numbers on this machine than on the one that it was trained on.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error(
    "test image {seed} scores {found} nats here, expected {expected} as on the machine that trained the model (give or take {tolerance}): this build or this machine computes other numbers"
)]
pub struct TestVectorError {
    /// Which image.
    pub seed: u32,
    /// The score in the file, nats.
    pub expected: f32,
    /// The score here, nats.
    pub found: f32,
    /// How far it may be off, nats.
    pub tolerance: f32,
}

impl TestVector {
    /// The image of a seed, `[height, width, 3]`, 8 bit.
    pub fn pixels(seed: u32, height: usize, width: usize) -> Vec<u8> {
        let mut pixels = Vec::with_capacity(3 * height * width);
        let (base, tint, calm) = (40 + seed.wrapping_mul(29) % 128, 3 + seed % 5, 2 + seed % 4);
        for y in 0..height as u32 {
            for x in 0..width as u32 {
                let octave = |k: u32| {
                    let at = seed
                        .wrapping_mul(0x9E37_79B1)
                        .wrapping_add((y >> k).wrapping_mul(0x85EB_CA77))
                        .wrapping_add((x >> k).wrapping_mul(0xC2B2_AE3D))
                        .wrapping_add(k.wrapping_mul(0x27D4_EB2F));
                    (mix(at) >> 24) >> calm
                };
                let grey = base + [6, 4, 2, 0].map(octave).iter().sum::<u32>();
                pixels.extend((0..3).map(|c| (grey + tint * c).min(255) as u8));
            }
        }
        pixels
    }

    /// Scores the image of a seed; NaN if it cannot be judged.
    pub(crate) fn of(detector: &Detector, seed: u32) -> TestVector {
        let size = detector.input();
        let pixels = TestVector::pixels(seed, size.height, size.width);
        let frame = Frame::from_u8(&pixels, Layout::packed(size.height, size.width, 3));
        let found = frame.ok().and_then(|frame| detector.inspect(&frame).ok());
        TestVector { seed, score: found.map_or(f32::NAN, |found| found.score) }
    }

    /// Compares with a score of this machine.
    fn check(self, found: f32) -> Result<(), TestVectorError> {
        let TestVector { seed, score: expected } = self;
        let tolerance = ABSOLUTE + RELATIVE * expected.abs();
        match (found - expected).abs() <= tolerance {
            true => Ok(()),
            false => Err(TestVectorError { seed, expected, found, tolerance }),
        }
    }
}

impl Detector {
    /// Scores the test vectors that the model carries, and says how many there were: 0 in models of before they were stored.
    ///
    /// # Errors
    ///
    /// A [`TestVectorError`] if the numbers are not those of the machine that trained the model.
    pub fn check_test_vectors(&self) -> Result<usize, TestVectorError> {
        let vectors = &self.header().test_vectors;
        vectors.iter().try_for_each(|vector| vector.check(TestVector::of(self, vector.seed).score))?;
        Ok(vectors.len())
    }
}

fn mix(mut n: u32) -> u32 {
    n = (n ^ (n >> 15)).wrapping_mul(0x2C1B_3C6D);
    n = (n ^ (n >> 12)).wrapping_mul(0x297A_2D39);
    n ^ (n >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_of_seeds_differ_and_stay() {
        let first = TestVector::pixels(1, 16, 20);
        assert_eq!((first.len(), &first[..6]), (3 * 16 * 20, &[111, 115, 119, 134, 138, 142][..]));
        assert_ne!(first, TestVector::pixels(2, 16, 20));
        assert!(first.iter().any(|&value| value != first[0]), "no flat image");
    }

    #[test]
    fn other_numbers_are_told_from_last_bits() {
        let vector = TestVector { seed: 1, score: 20.0 };
        assert_eq!(vector.check(20.0 * (1.0 + 4.0 * f32::EPSILON)), Ok(()));
        for found in [20.04, 19.9, f32::NAN, f32::INFINITY] {
            let told = vector.check(found).expect_err("another number").to_string();
            assert!(told.contains(&format!("scores {found} nats here, expected 20 ")), "{told}");
        }
    }
}
