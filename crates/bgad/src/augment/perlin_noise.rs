//! Perlin's gradient noise: smooth, without a direction, the same for the same seed.
//!
//! ```text
//! n(y, x) = √2 · lerp over the four corners of the cell of  g_corner · (p − corner),   weights 6t⁵ − 15t⁴ + 10t³
//! ```
//!
//! Source: Perlin, "Improving noise", SIGGRAPH 2002; here gradients are unit vectors drawn for each corner from a hash.

use std::f32::consts::{SQRT_2, TAU};

/// A field of noise over the whole plane.
#[derive(Clone, Copy, Debug)]
pub(super) struct Perlin {
    seed: u64,
}

impl Perlin {
    pub(super) fn new(seed: u64) -> Perlin {
        Perlin { seed }
    }

    /// The value at a place, in `[-1, 1]`; 0 at whole numbers, hills and valleys about one unit apart.
    pub(super) fn at(self, y: f32, x: f32) -> f32 {
        let (top, left) = (y.floor(), x.floor());
        let (fy, fx) = (y - top, x - left);
        let corner = |down: i64, right: i64| {
            let (sin, cos) = self.angle(top as i64 + down, left as i64 + right).sin_cos();
            sin * (fy - down as f32) + cos * (fx - right as f32)
        };
        let smooth = |t: f32| t * t * t * (t * (t * 6.0 - 15.0) + 10.0);
        let lerp = |a: f32, b: f32, t: f32| a + t * (b - a);
        let upper = lerp(corner(0, 0), corner(0, 1), smooth(fx));
        let lower = lerp(corner(1, 0), corner(1, 1), smooth(fx));
        (SQRT_2 * lerp(upper, lower, smooth(fy))).clamp(-1.0, 1.0)
    }

    /// Direction of the gradient at a corner: splitmix64 of its place and the seed.
    fn angle(self, y: i64, x: i64) -> f32 {
        let mut z = self.seed ^ (y as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = z
            .wrapping_add((x as u64).wrapping_mul(0xd1b5_4a32_d192_ed03))
            .wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 40) as f32 / (1u64 << 24) as f32 * TAU
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_bounded_smooth_and_follows_the_seed() {
        let (noise, other) = (Perlin::new(3), Perlin::new(4));
        let places = (0..4000).map(|i| ((i / 64) as f32 * 0.13, (i % 64) as f32 * 0.17));
        let values: Vec<f32> = places.clone().map(|(y, x)| noise.at(y, x)).collect();
        let mean = values.iter().sum::<f32>() / values.len() as f32;
        let spread = values.iter().map(|v| v * v).sum::<f32>() / values.len() as f32;
        assert!(mean.abs() < 0.1 && (0.02..0.3).contains(&spread), "{mean} {spread}");
        for ((y, x), value) in places.zip(&values) {
            assert_eq!(noise.at(y, x), *value);
            // The steepest slope of unit gradients is below 4 per unit.
            assert!((noise.at(y + 0.01, x - 0.01) - value).abs() < 0.06);
        }
        assert!((0..50).any(|i| noise.at(i as f32 * 0.31, 0.4) != other.at(i as f32 * 0.31, 0.4)));
        assert_eq!(noise.at(2.0, -5.0), 0.0);
    }
}
