//! A texture under a mask of Perlin noise. No defect is needed.
//!
//! ```text
//! n      Perlin noise, cells of 1/24 to 1/4 of the picture, stretched up to fourfold, turned
//! mask   the highest places of n on the part, 0.3 % to 8 % of the picture; of their regions one to four
//! y      host + (1 − β) (texture − host) under the mask,  β from 0 to 0.7
//! ```
//!
//! The texture is one of the user's, or made: the host itself shifted and varied, clouds, stripes, or one tone. On a grey
//! host every texture is grey.
//!
//! Source: Zavrtanik, Kristan, Skočaj, "DRAEM", ICCV 2021; there the threshold is fixed, here the area is.

use rand::{Rng, RngExt as _};

use super::blend::mixed;
use super::perlin_noise::Perlin;
use super::{Host, Made, Operation, Recipe, SMALLEST, changed, indices};
use crate::image::{InputImage, Mask};
use crate::metrics::regions;

/// Least change of a channel that makes a pixel anomalous.
const VISIBLE: f32 = 0.04;
/// Least mean change over the mask.
const MEAN: f32 = 0.08;

/// Blends a texture into `host` under a mask of noise; `textures` are the user's, if any. `None` if nothing visible came
/// out; the caller draws again.
///
/// # Panics
///
/// If the sizes differ.
pub fn perlin(textures: &[InputImage], host: Host<'_>, rng: &mut impl Rng) -> Option<Made> {
    let under = noise_mask(host, rng)?;
    let (texture, what) = texture(textures, host.image, rng);
    let opacity = 1.0 - rng.random_range(0.0..0.7f32);
    let image = mixed(host.image, &texture, |i| opacity * f32::from(under.defective[i]));
    let mask = changed(host.image, &image, &under, VISIBLE);
    // A texture that happens to look like the host leaves specks, or can hardly be seen.
    let covered: Vec<usize> = indices(&mask.defective).collect();
    let differences = covered
        .iter()
        .flat_map(|&i| (3 * i..3 * i + 3).map(|k| (image.rgb_hwc[k] - host.image.rgb_hwc[k]).abs()));
    let mean = differences.sum::<f32>() / (3 * covered.len().max(1)) as f32;
    if 4 * covered.len() < indices(&under.defective).count() || mean < MEAN {
        return None;
    }
    (!mask.is_clean()).then_some(Made { image, mask, recipe: Recipe::Perlin { texture: what, opacity } })
}

/// The highest places of the noise on the part.
fn noise_mask(host: Host<'_>, rng: &mut impl Rng) -> Option<Mask> {
    let (h, w) = host.size();
    let noise = Perlin::new(rng.random());
    let cell = h.max(w) as f32 / log_uniform(4.0, 24.0, rng);
    let stretch = log_uniform(1.0, 4.0, rng);
    let (sin, cos) = rng.random_range(0.0..std::f32::consts::TAU).sin_cos();
    let at = |i: usize| {
        let (y, x) = ((i / w) as f32, (i % w) as f32);
        noise.at((cos * y + sin * x) / cell, (cos * x - sin * y) / (cell * stretch))
    };
    let part: Vec<usize> = indices(&host.foreground.inside).collect();
    let mut values: Vec<f32> = part.iter().map(|&i| at(i)).collect();
    // Of the picture, so that a defect of a thin part is not too small to be seen; never all of the part.
    let area = (h * w) as f32 * log_uniform(0.003, 0.08, rng);
    let rank = (area as usize).min(values.len().checked_sub(1)? / 2);
    let threshold = *values.select_nth_unstable_by(rank, |a, b| b.total_cmp(a)).1;

    let mut mask = Mask::clean(host.image.size());
    part.iter().filter(|&&i| at(i) >= threshold).for_each(|&i| mask.defective[i] = 1);
    let found = regions::label(&mask.defective, h, w);
    let mut regions: Vec<Vec<usize>> =
        found.pixels().into_iter().filter(|pixels| pixels.len() >= SMALLEST).collect();
    let keep = rng.random_range(1..=4);
    mask.defective.fill(0);
    for _ in 0..keep {
        if regions.is_empty() {
            break;
        }
        let region = regions.swap_remove(rng.random_range(0..regions.len()));
        region.into_iter().for_each(|i| mask.defective[i] = 1);
    }
    (!mask.is_clean()).then_some(mask)
}

/// Between `low` and `high`, each ratio as likely.
fn log_uniform(low: f32, high: f32, rng: &mut impl Rng) -> f32 {
    low * (high / low).powf(rng.random_range(0.0..=1.0))
}

/// A picture of the host's size, and what it is.
fn texture(users: &[InputImage], host: &InputImage, rng: &mut impl Rng) -> (InputImage, &'static str) {
    let is_grey = host.rgb_hwc.as_chunks::<3>().0.iter().all(|[r, g, b]| r == g && g == b);
    let size = (host.height, host.width);
    // The user's own half of the time.
    let (mut texture, what) = if !users.is_empty() && rng.random() {
        let texture = &users[rng.random_range(0..users.len())];
        assert_eq!((texture.height, texture.width), size, "texture and host must have one size");
        (varied(texture, rng), "own texture")
    } else {
        match rng.random_range(0..4) {
            0 => (varied(host, rng), "itself"),
            1 => (clouds(size, rng), "clouds"),
            2 => (stripes(size, rng), "stripes"),
            _ => {
                let tone = tone(rng);
                (drawn(size, |_, _| tone), "one tone")
            }
        }
    };
    if is_grey {
        for rgb in texture.rgb_hwc.as_chunks_mut::<3>().0 {
            *rgb = [0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2]; 3];
        }
    }
    (texture, what)
}

/// Three operations, and shifted so far that nothing covers itself.
fn varied(image: &InputImage, rng: &mut impl Rng) -> InputImage {
    let (h, w) = (image.height, image.width);
    let (down, right) = (rng.random_range(h / 4..=3 * h / 4), rng.random_range(w / 4..=3 * w / 4));
    let mut shifted = image.clone();
    for i in 0..h * w {
        let from = (i / w + down) % h * w + (i % w + right) % w;
        shifted.rgb_hwc[i * 3..][..3].copy_from_slice(&image.rgb_hwc[from * 3..][..3]);
    }
    let mut mask = Mask::clean(image.size());
    for operation in Operation::draw_distinct(rng, 3) {
        (shifted, mask) = operation.apply(&shifted, &mask);
    }
    shifted
}

/// Three octaves of noise between two tones.
fn clouds((h, w): (usize, usize), rng: &mut impl Rng) -> InputImage {
    let (noise, a, b) = (Perlin::new(rng.random()), tone(rng), tone(rng));
    let cell = log_uniform(3.0, 40.0, rng);
    drawn((h, w), |y, x| {
        let octave = |k: f32| noise.at(y * k / cell + 17.0 * k, x * k / cell) / k;
        let share = 0.5 + 0.5 * (octave(1.0) + octave(2.0) + octave(4.0)).clamp(-1.0, 1.0);
        std::array::from_fn(|c| a[c] + share * (b[c] - a[c]))
    })
}

/// Waves between two tones.
fn stripes((h, w): (usize, usize), rng: &mut impl Rng) -> InputImage {
    let (a, b) = (tone(rng), tone(rng));
    let (sin, cos) = rng.random_range(0.0..std::f32::consts::PI).sin_cos();
    let frequency = std::f32::consts::TAU / log_uniform(3.0, 24.0, rng);
    drawn((h, w), |y, x| {
        let share = 0.5 + 0.5 * (frequency * (sin * y + cos * x)).sin();
        std::array::from_fn(|c| a[c] + share * (b[c] - a[c]))
    })
}

/// Some brightness with a little colour.
fn tone(rng: &mut impl Rng) -> [f32; 3] {
    let value: f32 = rng.random();
    std::array::from_fn(|_| (value + rng.random_range(-0.15..=0.15)).clamp(0.0, 1.0))
}

fn drawn((height, width): (usize, usize), value: impl Fn(f32, f32) -> [f32; 3]) -> InputImage {
    let pixel = |i: usize| value((i / width) as f32, (i % width) as f32);
    InputImage { height, width, rgb_hwc: (0..height * width).flat_map(pixel).collect() }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::augment::tests::textured;
    use crate::foreground::Foreground;

    #[test]
    fn textures_stay_on_the_part_and_the_mask_says_where_they_are() {
        let image = textured(40, 56, 3);
        let part =
            Mask { height: 40, width: 56, defective: (0..40 * 56).map(|i| u8::from(i / 56 > 12)).collect() };
        let own = [textured(40, 56, 9)];
        for foreground in [Foreground::everything(40, 56), Foreground::from_mask(part)] {
            let host = Host { image: &image, foreground: &foreground };
            let mut textures = std::collections::BTreeSet::new();
            for seed in 0..80 {
                let draw = || perlin(&own, host, &mut ChaCha8Rng::seed_from_u64(seed));
                let Some(found) = draw() else { continue };
                assert_eq!(draw().as_ref(), Some(&found), "the same seed");
                for i in 0..40 * 56 {
                    let [was, is] = [&image, &found.image].map(|image| &image.rgb_hwc[i * 3..][..3]);
                    let most = was.iter().zip(is).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                    assert!(found.mask.defective[i] == 0 || most >= VISIBLE, "{i}: {was:?} {is:?}");
                    assert!(foreground.inside[i] == 1 || most == 0.0, "beside the part");
                }
                assert!(found.image.rgb_hwc.as_chunks::<3>().0.iter().all(|[r, g, b]| r == g && g == b));
                let Recipe::Perlin { texture, .. } = found.recipe else { panic!("{:?}", found.recipe) };
                textures.insert(texture);
            }
            assert_eq!(textures.len(), 5, "{textures:?}");
        }
    }

    #[test]
    fn no_part_is_nothing_to_cover() {
        let image = textured(16, 16, 1);
        let none = Foreground::from_mask(Mask::clean(image.size()));
        let host = Host { image: &image, foreground: &none };
        assert_eq!(perlin(&[], host, &mut ChaCha8Rng::seed_from_u64(0)), None);
        // On a single pixel no region is large enough.
        let dot = textured(1, 1, 1);
        let all = Foreground::everything(1, 1);
        let host = Host { image: &dot, foreground: &all };
        assert_eq!(perlin(&[], host, &mut ChaCha8Rng::seed_from_u64(0)), None);
    }
}
