//! Operations that change values and leave every pixel where it is.
//!
//! ```text
//! brightness-contrast   x' = (1 + c) (x − ½) + ½ + b
//! hue-saturation-value  (H, S, V)' = (H + Δh, S (1 + s), V + v),  V = max(r, g, b),  S = (V − min) / V
//! noise                 x' = x + σ n,  n ~ N(0, 1), one n for the three channels of a pixel
//! blur                  x' = mean over (2r + 1)², reflected at the borders
//! ```
//!
//! Results are held in `[0, 1]`. Three equal channels stay equal: most industrial images are grey, and a defect told by
//! its colour cast would teach the wrong thing.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use super::geometry::reflected;
use crate::image::InputImage;

pub(super) fn brightness_contrast(image: &InputImage, brightness: f32, contrast: f32) -> InputImage {
    let change = |x: &f32| ((1.0 + contrast) * (x - 0.5) + 0.5 + brightness).clamp(0.0, 1.0);
    InputImage { rgb_hwc: image.rgb_hwc.iter().map(change).collect(), ..*image }
}

pub(super) fn hue_saturation_value(
    image: &InputImage,
    hue_degrees: f32,
    saturation: f32,
    value: f32,
) -> InputImage {
    let mut changed = image.clone();
    for rgb in changed.rgb_hwc.as_chunks_mut::<3>().0 {
        let [h, s, v] = hsv_of(*rgb);
        let (s, v) = ((s * (1.0 + saturation)).clamp(0.0, 1.0), (v + value).clamp(0.0, 1.0));
        *rgb = rgb_of([h + hue_degrees / 60.0, s, v]);
    }
    changed
}

pub(super) fn gaussian_noise(image: &InputImage, std: f32, seed: u64) -> InputImage {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut noisy = image.clone();
    for rgb in noisy.rgb_hwc.as_chunks_mut::<3>().0 {
        let n: f32 = StandardNormal.sample(&mut rng);
        *rgb = rgb.map(|x| (x + std * n).clamp(0.0, 1.0));
    }
    noisy
}

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

/// Hue in sixths of the circle, saturation and value in `[0, 1]`; hue and saturation of grey are 0.
fn hsv_of([r, g, b]: [f32; 3]) -> [f32; 3] {
    let v = r.max(g).max(b);
    let chroma = v - r.min(g).min(b);
    if chroma <= 0.0 {
        return [0.0, 0.0, v];
    }
    let h = if v == r {
        (g - b) / chroma
    } else if v == g {
        2.0 + (b - r) / chroma
    } else {
        4.0 + (r - g) / chroma
    };
    [h, chroma / v, v]
}

/// The inverse of [`hsv_of`]; the hue may be any number.
fn rgb_of([h, s, v]: [f32; 3]) -> [f32; 3] {
    // How far each channel's own hue is away, on the circle of six: within 1 it has the full value, beyond 2 the least.
    [5.0, 3.0, 1.0].map(|turn: f32| {
        let k = (turn + h).rem_euclid(6.0);
        v - v * s * k.min(4.0 - k).clamp(0.0, 1.0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hsv_comes_back() {
        let cases = [
            ([1.0, 0.0, 0.0], [0.0, 1.0, 1.0]),
            ([0.0, 1.0, 0.0], [2.0, 1.0, 1.0]),
            ([0.0, 0.0, 1.0], [4.0, 1.0, 1.0]),
            ([0.5, 0.5, 0.25], [1.0, 0.5, 0.5]),
            ([0.3, 0.3, 0.3], [0.0, 0.0, 0.3]),
            ([0.0, 0.0, 0.0], [0.0, 0.0, 0.0]),
            ([1.0, 0.0, 0.5], [-0.5, 1.0, 1.0]),
        ];
        for (rgb, hsv) in cases {
            assert_eq!(hsv_of(rgb), hsv, "{rgb:?}");
            let back = rgb_of(hsv);
            // Four roundings.
            assert!(rgb.iter().zip(back).all(|(a, b)| (a - b).abs() < 1e-6), "{rgb:?} became {back:?}");
        }
    }

    #[test]
    fn a_full_turn_of_hue_changes_nothing_and_a_third_moves_red_to_green() {
        let image = InputImage { height: 1, width: 2, rgb_hwc: vec![1.0, 0.0, 0.0, 0.2, 0.7, 0.4] };
        let full = hue_saturation_value(&image, 360.0, 0.0, 0.0);
        assert!(full.rgb_hwc.iter().zip(&image.rgb_hwc).all(|(a, b)| (a - b).abs() < 1e-6));
        assert_eq!(hue_saturation_value(&image, 120.0, 0.0, 0.0).rgb_hwc[..3], [0.0, 1.0, 0.0]);
    }

    #[test]
    fn blur_keeps_a_flat_image_and_spreads_a_point_evenly() {
        let mut image = InputImage { height: 7, width: 9, rgb_hwc: vec![0.0; 7 * 9 * 3] };
        image.rgb_hwc[(3 * 9 + 4) * 3 + 1] = 0.9;
        let blurred = box_blur(&image, 1);
        for y in 0..7usize {
            for x in 0..9usize {
                let expected = if y.abs_diff(3) <= 1 && x.abs_diff(4) <= 1 { 0.1 } else { 0.0 };
                let found = &blurred.rgb_hwc[(y * 9 + x) * 3..][..3];
                assert!(
                    (found[1] - expected).abs() < 1e-6 && found[0] == 0.0 && found[2] == 0.0,
                    "{y} {x} {found:?}"
                );
            }
        }
        let flat = InputImage { height: 2, width: 1, rgb_hwc: vec![0.25; 6] };
        assert!(box_blur(&flat, 3).rgb_hwc.iter().all(|x| (x - 0.25).abs() < 1e-6));
    }
}
