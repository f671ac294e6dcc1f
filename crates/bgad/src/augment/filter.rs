//! Operations that look at a neighbourhood: blurs, sharpening, relief, local contrast.
//!
//! ```text
//! box        x' = mean over (2r + 1)²
//! motion     x' = mean over a line of n pixels
//! median     x' = median over (2r + 1)², channel by channel
//! sharpen    x' = (1 − a) x + a (9 x − Σ of the 8 neighbours)
//! emboss     x' = (1 − a) x + a K x,    K = [[−1−s, −s, 0], [−s, 1, s], [0, s, 1+s]]
//! clahe      L' = clipped cumulative histogram of the tiles around, L = luminance;  x' = x L' / L
//! ```
//!
//! Borders are reflected, results held in `[0, 1]`; three equal channels stay equal. CLAHE: Zuiderveld 1994.

use super::geometry::reflected;
use crate::image::InputImage;

pub(super) fn box_blur(image: &InputImage, radius: usize) -> InputImage {
    let rows = mean_along(&image.rgb_hwc, image.height, image.width * 3, radius);
    // Within a row the pixels are the lines of a small `[w, 3]` picture.
    let mut rgb_hwc = Vec::with_capacity(image.rgb_hwc.len());
    if image.width > 0 {
        for row in rows.chunks_exact(image.width * 3) {
            rgb_hwc.extend(mean_along(row, image.width, 3, radius));
        }
    }
    InputImage { rgb_hwc, ..*image }
}

/// The mean of each line of `[lines, length]` with the `radius` lines on either side.
fn mean_along(values: &[f32], lines: usize, length: usize, radius: usize) -> Vec<f32> {
    let weight = 1.0 / (2 * radius + 1) as f32;
    let mut out = vec![0.0; values.len()]; // [lines, length]
    for (line, out) in out.chunks_exact_mut(length.max(1)).enumerate() {
        for offset in -(radius as isize)..=radius as isize {
            let from = reflected(line as isize + offset, lines as isize);
            out.iter_mut().zip(&values[from * length..][..length]).for_each(|(out, x)| *out += x);
        }
        out.iter_mut().for_each(|out| *out = (*out * weight).min(1.0));
    }
    out
}

/// The mean over `length` pixels along a line at `degrees` against the clock.
pub(super) fn motion_blur(image: &InputImage, length: usize, degrees: f32) -> InputImage {
    let (sin, cos) = degrees.to_radians().sin_cos();
    let offsets: Vec<(isize, isize)> = (0..length)
        .map(|i| i as f32 - (length - 1) as f32 / 2.0)
        .map(|t| ((-t * sin).round() as isize, (t * cos).round() as isize))
        .collect();
    let weight = 1.0 / length as f32;
    every_pixel(image, |y, x| {
        let mut sum = [0.0; 3];
        for (dy, dx) in &offsets {
            let rgb = pixel(image, y + dy, x + dx);
            (0..3).for_each(|c| sum[c] += rgb[c] * weight);
        }
        sum
    })
}

pub(super) fn median_blur(image: &InputImage, radius: usize) -> InputImage {
    let r = radius as isize;
    let mut around: [Vec<f32>; 3] = Default::default();
    every_pixel(image, |y, x| {
        around.iter_mut().for_each(Vec::clear);
        for (dy, dx) in (-r..=r).flat_map(|dy| (-r..=r).map(move |dx| (dy, dx))) {
            let rgb = pixel(image, y + dy, x + dx);
            around.iter_mut().zip(rgb).for_each(|(values, value)| values.push(*value));
        }
        std::array::from_fn(|c| {
            let middle = around[c].len() / 2;
            *around[c].select_nth_unstable_by(middle, f32::total_cmp).1
        })
    })
}

pub(super) fn sharpen(image: &InputImage, amount: f32) -> InputImage {
    let mut kernel = [-amount; 9];
    kernel[4] = 1.0 + 8.0 * amount;
    convolved(image, &kernel)
}

pub(super) fn emboss(image: &InputImage, amount: f32, strength: f32) -> InputImage {
    let (a, s) = (amount, strength);
    let mut kernel = [-1.0 - s, -s, 0.0, -s, 1.0, s, 0.0, s, 1.0 + s].map(|k| a * k);
    kernel[4] += 1.0 - a;
    convolved(image, &kernel)
}

/// Correlation with a 3 x 3 kernel, row by row.
fn convolved(image: &InputImage, kernel: &[f32; 9]) -> InputImage {
    every_pixel(image, |y, x| {
        let mut sum = [0.0; 3];
        for (i, weight) in kernel.iter().enumerate() {
            let rgb = pixel(image, y + i as isize / 3 - 1, x + i as isize % 3 - 1);
            (0..3).for_each(|c| sum[c] += weight * rgb[c]);
        }
        sum
    })
}

/// Tiles of the picture along each side.
const TILES: usize = 8;
const BINS: usize = 256;

/// Spreads the luminance of each neighbourhood; no grey value may have more than `clip` times its even share, so that
/// 0 leaves it as it is but for rounding to [`BINS`] values.
pub(super) fn clahe(image: &InputImage, clip: f32) -> InputImage {
    let (h, w) = (image.height, image.width);
    // A tile of fewer pixels than this has no histogram worth the name.
    let tiles = |side: usize| TILES.min(side / 8).max(1);
    let (rows, columns) = (tiles(h), tiles(w));
    let luminance: Vec<f32> =
        image.rgb_hwc.as_chunks::<3>().0.iter().map(|[r, g, b]| 0.299 * r + 0.587 * g + 0.114 * b).collect();
    let bin = |value: f32| ((value * BINS as f32) as usize).min(BINS - 1);

    let mut counts = vec![[0.0f32; BINS]; rows * columns];
    for (i, &value) in luminance.iter().enumerate() {
        counts[i / w * rows / h * columns + i % w * columns / w][bin(value)] += 1.0;
    }
    counts.iter_mut().for_each(|tile| equalise(tile, clip));

    // Between the centres of four tiles their curves are mixed.
    let between = |at: usize, side: usize, tiles: usize| {
        let place = ((at as f32 + 0.5) * tiles as f32 / side as f32 - 0.5).clamp(0.0, (tiles - 1) as f32);
        (place as usize, (place as usize + 1).min(tiles - 1), place.fract())
    };
    let mut i = 0;
    every_pixel(image, |y, x| {
        let (value, rgb) = (luminance[i], pixel(image, y, x));
        i += 1;
        let (top, bottom, down) = between(y as usize, h, rows);
        let (left, right, across) = between(x as usize, w, columns);
        let curve = |row: usize, column: usize| counts[row * columns + column][bin(value)];
        let upper = curve(top, left) * (1.0 - across) + curve(top, right) * across;
        let lower = curve(bottom, left) * (1.0 - across) + curve(bottom, right) * across;
        let wanted = upper * (1.0 - down) + lower * down;
        if value > 0.0 { [0, 1, 2].map(|c| rgb[c] * wanted / value) } else { [wanted; 3] }
    })
}

/// Turns counts into the curve that spreads them over `[0, 1]`; what is above the limit is shared by all bins.
fn equalise(counts: &mut [f32; BINS], clip: f32) {
    let total: f32 = counts.iter().sum();
    let limit = clip * total / BINS as f32;
    let excess: f32 = counts.iter().map(|count| (count - limit).max(0.0)).sum();
    let mut sum = 0.0;
    for count in counts.iter_mut() {
        sum += count.min(limit) + excess / BINS as f32;
        *count = sum / total.max(1.0);
    }
}

fn every_pixel(image: &InputImage, mut value: impl FnMut(isize, isize) -> [f32; 3]) -> InputImage {
    let mut rgb_hwc = Vec::with_capacity(image.rgb_hwc.len());
    for y in 0..image.height as isize {
        for x in 0..image.width as isize {
            rgb_hwc.extend(value(y, x).map(|value| value.clamp(0.0, 1.0)));
        }
    }
    InputImage { rgb_hwc, ..*image }
}

fn pixel(image: &InputImage, y: isize, x: isize) -> &[f32; 3] {
    let (y, x) = (reflected(y, image.height as isize), reflected(x, image.width as isize));
    &image.rgb_hwc.as_chunks::<3>().0[y * image.width + x]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat(value: f32) -> InputImage {
        InputImage { height: 11, width: 17, rgb_hwc: vec![value; 11 * 17 * 3] }
    }

    fn point(value: f32) -> InputImage {
        let mut image = InputImage { height: 7, width: 9, rgb_hwc: vec![0.0; 7 * 9 * 3] };
        image.rgb_hwc[(3 * 9 + 4) * 3 + 1] = value;
        image
    }

    fn green(image: &InputImage) -> Vec<(usize, usize, f32)> {
        let values = image.rgb_hwc.iter().skip(1).step_by(3).enumerate();
        values.filter(|(_, v)| **v != 0.0).map(|(i, v)| (i / image.width, i % image.width, *v)).collect()
    }

    #[test]
    fn blurs_spread_a_point_as_they_say() {
        let blurred = box_blur(&point(0.9), 1);
        for y in 0..7usize {
            for x in 0..9usize {
                let expected = if y.abs_diff(3) <= 1 && x.abs_diff(4) <= 1 { 0.1 } else { 0.0 };
                let found = &blurred.rgb_hwc[(y * 9 + x) * 3..][..3];
                assert!((found[1] - expected).abs() < 1e-6 && found[0] == 0.0 && found[2] == 0.0);
            }
        }
        let along = green(&motion_blur(&point(0.9), 3, 0.0));
        assert!(along.iter().map(|(y, x, _)| (*y, *x)).eq([(3, 3), (3, 4), (3, 5)]), "{along:?}");
        let up = green(&motion_blur(&point(0.9), 3, 45.0));
        assert!(up.iter().map(|(y, x, _)| (*y, *x)).eq([(2, 5), (3, 4), (4, 3)]), "{up:?}");
        assert!(green(&median_blur(&point(0.9), 1)).is_empty(), "one pixel is never the median");
    }

    #[test]
    fn flat_pictures_stay_flat_and_nothing_leaves_the_range() {
        for value in [0.0, 0.25, 1.0] {
            let flat = flat(value);
            let same = [
                box_blur(&flat, 3),
                motion_blur(&flat, 7, 30.0),
                median_blur(&flat, 2),
                sharpen(&flat, 0.4),
                emboss(&flat, 0.5, 0.7),
            ];
            for found in same {
                assert!(found.rgb_hwc.iter().all(|x| (x - value).abs() < 1e-5), "{value}");
            }
        }
        let clahe = clahe(&flat(0.5), 2.0);
        assert!(clahe.rgb_hwc.iter().all(|x| (x - clahe.rgb_hwc[0]).abs() < 1e-5));
    }

    #[test]
    fn strength_nothing_changes_nothing() {
        let rgb_hwc = (0..9 * 14 * 3).map(|i| (i * 7919 % 378) as f32 / 378.0).collect();
        let image = InputImage { height: 9, width: 14, rgb_hwc };
        let same = [
            box_blur(&image, 0),
            motion_blur(&image, 1, 70.0),
            median_blur(&image, 0),
            sharpen(&image, 0.0),
            emboss(&image, 0.0, 0.5),
        ];
        assert!(same.iter().all(|found| *found == image));
    }

    #[test]
    fn sharpening_widens_a_step_and_embossing_lights_one_side() {
        let rgb_hwc = (0..6 * 10).flat_map(|i| [if i % 10 < 5 { 0.4 } else { 0.6 }; 3]).collect();
        let step = InputImage { height: 6, width: 10, rgb_hwc };
        let at = |image: &InputImage, x: usize| image.rgb_hwc[(3 * 10 + x) * 3];
        let sharp = sharpen(&step, 0.2);
        assert!(at(&sharp, 4) < 0.35 && at(&sharp, 5) > 0.65 && (at(&sharp, 1) - 0.4).abs() < 1e-6);
        let relief = emboss(&step, 0.5, 0.5);
        assert!(at(&relief, 4) > 0.45 && (at(&relief, 1) - 0.4).abs() < 1e-6, "{}", at(&relief, 4));
    }

    #[test]
    fn clahe_spreads_a_faint_pattern() {
        let rgb_hwc = (0..64 * 64).flat_map(|i| [0.5 + 0.02 * ((i / 64 + i % 64) % 5) as f32; 3]).collect();
        let faint = InputImage { height: 64, width: 64, rgb_hwc };
        let range = |image: &InputImage| {
            let (low, high) = image.rgb_hwc.iter().fold((1.0f32, 0.0f32), |(l, h), &x| (l.min(x), h.max(x)));
            high - low
        };
        assert!(range(&clahe(&faint, 4.0)) > range(&faint));
        for (height, width) in [(1, 1), (3, 40), (9, 9)] {
            let small = InputImage { height, width, rgb_hwc: vec![0.3; height * width * 3] };
            assert_eq!(clahe(&small, 2.0).rgb_hwc.len(), small.rgb_hwc.len());
        }
    }
}
