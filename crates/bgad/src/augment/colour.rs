//! Operations that change values and leave every pixel where it is.
//!
//! ```text
//! brightness-contrast   x' = (1 + c) (x − ½) + ½ + b
//! hue-saturation-value  (H, S, V)' = (H + Δh, S (1 + s), V + v),  V = max(r, g, b),  S = (V − min) / V
//! noise                 x' = x + σ n,  n ~ N(0, 1), one n for the three channels of a pixel
//! ```
//!
//! Results are held in `[0, 1]`. Three equal channels stay equal: most industrial images are grey, and a defect told by
//! its colour cast would teach the wrong thing.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

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
}
