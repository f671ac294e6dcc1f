//! NSA: a piece of one good image, scaled and turned, blended into another. No defect is needed.
//!
//! ```text
//! patch    1 to 3 of them; each side a share 0.03 + Γ(2, 0.06) of the picture, at most 0.5
//! from     centred on the part of the source; scaled by 0.7 to 1.3, turned by quarter turns
//! to       centred on the part of the host; only pixels on the part count
//! y        Poisson blend (half the time the stronger gradient of the two, so that texture shows through)
//! mask     where a channel changed by 0.05 or more in the mean over 5 x 5 pixels
//! ```
//!
//! The mask follows what can be seen: a patch that came out like what it covers teaches nothing, and grain laid over
//! grain differs in every pixel without being a defect, hence the mean.
//!
//! Source: Schlüter, Tan, Hou, Kainz, "Natural Synthetic Anomalies for Self-Supervised Anomaly Detection and
//! Localization", ECCV 2022.

use rand::{Rng, RngExt as _};
use rand_distr::{Distribution as _, Gamma};

use super::blend::poisson;
use super::geometry::bilinear;
use super::{Host, Made, Recipe, indices, visible};
use crate::image::{InputImage, Mask};

/// Blends patches of the good image `source` into `host`. `None` if nothing visible came out; the caller draws again.
///
/// # Panics
///
/// If the sizes differ.
pub fn nsa(source: Host<'_>, host: Host<'_>, rng: &mut impl Rng) -> Option<Made> {
    let (h, w) = host.size();
    assert_eq!(source.size(), (h, w), "source and host must have one size (height, width)");
    let [from, to] = [source, host].map(|on| indices(&on.foreground.inside).collect::<Vec<usize>>());
    if from.is_empty() || to.is_empty() {
        return None;
    }
    let patches = rng.random_range(1..=3);
    let mut image = host.image.clone();
    let mut mask = Mask::clean(host.image.size());
    for _ in 0..patches {
        let patch = Patch {
            rows: side(h, rng),
            columns: side(w, rng),
            from: from[rng.random_range(0..from.len())],
            to: to[rng.random_range(0..to.len())],
            scale: rng.random_range(0.7..=1.3),
            turns: rng.random_range(0..4),
            round: rng.random(),
        };
        let (layer, under) = patch.laid(source.image, &image, host.foreground.inside.as_slice());
        if under.is_clean() {
            continue;
        }
        let blended = poisson(&image, &layer, &under, rng.random());
        if let Some(seen) = visible(&image, &blended, &under) {
            indices(&seen.defective).for_each(|i| mask.defective[i] = 1);
            image = blended;
        }
    }
    (!mask.is_clean()).then_some(Made { image, mask, recipe: Recipe::Nsa { patches } })
}

/// One side of a patch in pixels, of a picture side of `n`.
fn side(n: usize, rng: &mut impl Rng) -> usize {
    let gamma = Gamma::new(2.0f64, 0.06).expect("positive shape and scale").sample(rng);
    ((n as f64 * (0.03 + gamma).min(0.5)).round() as usize).max(2)
}

struct Patch {
    rows: usize,
    columns: usize,
    /// Pixel of the source under the centre.
    from: usize,
    /// Pixel of the host under the centre.
    to: usize,
    scale: f32,
    /// Quarter turns.
    turns: u8,
    /// An ellipse rather than a rectangle.
    round: bool,
}

impl Patch {
    /// The host with the patch over it, one pixel wider than the mask for the sake of gradients.
    fn laid(&self, source: &InputImage, host: &InputImage, part: &[u8]) -> (InputImage, Mask) {
        let (w, mut layer, mut mask) = (host.width, host.clone(), Mask::clean(host.size()));
        let centre = |pixel: usize| ((pixel / w) as f32, (pixel % w) as f32);
        let ((from_y, from_x), (to_y, to_x)) = (centre(self.from), centre(self.to));
        let (half_y, half_x) = (self.rows as f32 / 2.0, self.columns as f32 / 2.0);
        let span = |middle: f32, half: f32, n: usize| {
            let (first, last) = ((middle - half - 1.0).floor(), (middle + half + 1.0).ceil());
            first.max(0.0) as usize..=(last as usize).min(n - 1)
        };
        for y in span(to_y, half_y, host.height) {
            for x in span(to_x, half_x, w) {
                let (dy, dx) = (y as f32 - to_y, x as f32 - to_x);
                let (v, u) = (dy / half_y, dx / half_x);
                let inside = if self.round { v * v + u * u <= 1.0 } else { v.abs() <= 1.0 && u.abs() <= 1.0 };
                let i = y * w + x;
                mask.defective[i] = u8::from(inside && part[i] != 0);
                let (dy, dx) = match self.turns {
                    0 => (dy, dx),
                    1 => (dx, -dy),
                    2 => (-dy, -dx),
                    _ => (-dx, dy),
                };
                let rgb = bilinear(source, from_y + dy / self.scale, from_x + dx / self.scale);
                layer.rgb_hwc[i * 3..][..3].copy_from_slice(&rgb);
            }
        }
        (layer, mask)
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::augment::tests::textured;
    use crate::foreground::Foreground;

    #[test]
    fn patches_change_the_part_within_the_mask_and_nothing_else() {
        let (source, image) = (textured(48, 64, 1), textured(48, 64, 2));
        let part =
            Mask { height: 48, width: 64, defective: (0..48 * 64).map(|i| u8::from(i % 64 > 20)).collect() };
        for foreground in [Foreground::everything(48, 64), Foreground::from_mask(part)] {
            let [source, host] = [&source, &image].map(|image| Host { image, foreground: &foreground });
            let mut made = 0;
            for seed in 0..30 {
                let draw = || nsa(source, host, &mut ChaCha8Rng::seed_from_u64(seed));
                let Some(found) = draw() else { continue };
                assert_eq!(draw().as_ref(), Some(&found), "the same seed");
                assert!(!found.mask.is_clean());
                let off = |i: &usize| foreground.inside[*i] == 0;
                assert!(indices(&found.mask.defective).all(|i| !off(&i)), "a mask beside the part");
                assert!((0..48 * 64).filter(off).all(|i| found.image.rgb_hwc[i * 3] == image.rgb_hwc[i * 3]));
                made += 1;
            }
            assert!(made >= 10, "{made} of 30");
        }
    }

    #[test]
    fn patches_of_the_same_flat_surface_cannot_be_seen_and_are_none() {
        let image = InputImage { height: 32, width: 32, rgb_hwc: vec![0.4; 32 * 32 * 3] };
        let foreground = Foreground::everything(32, 32);
        let host = Host { image: &image, foreground: &foreground };
        assert!((0..10).all(|seed| nsa(host, host, &mut ChaCha8Rng::seed_from_u64(seed)).is_none()));
        let none = Foreground::from_mask(Mask::clean(image.size()));
        let nowhere = Host { image: &image, foreground: &none };
        assert_eq!(nsa(host, nowhere, &mut ChaCha8Rng::seed_from_u64(0)), None);
    }
}
