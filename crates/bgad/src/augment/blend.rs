//! How foreign pixels become part of a picture.
//!
//! ```text
//! hard      y = x under the mask
//! feather   y = host + a (x − host),  a = min(1, d / D),  d the distance to the edge of the mask
//! Poisson   Δy = div v under the mask, y = host around it,  v = ∇x (or the larger of ∇x, ∇host: mixed)
//! ```
//!
//! Outside the mask no pixel changes by a bit, whichever is chosen. Where the mask meets the border of the picture there
//! is nothing to blend with, and nothing is. Poisson: Pérez, Gangnet, Blake, "Poisson image editing", SIGGRAPH 2003,
//! solved by conjugate gradients.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::image::{InputImage, Mask};

/// How foreign pixels are joined to a picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Blend {
    /// As they are, with an edge: the authors' way.
    #[default]
    Hard,
    /// Fading in over a few pixels.
    Feather,
    /// Their differences are kept, their brightness is the picture's around them.
    Poisson,
}

impl Blend {
    /// All there are.
    pub const ALL: [Blend; 3] = [Blend::Hard, Blend::Feather, Blend::Poisson];

    /// The name that a user writes.
    pub fn name(self) -> &'static str {
        match self {
            Blend::Hard => "hard",
            Blend::Feather => "feather",
            Blend::Poisson => "poisson",
        }
    }
}

impl std::str::FromStr for Blend {
    type Err = String;

    fn from_str(text: &str) -> Result<Blend, String> {
        let found = Blend::ALL.into_iter().find(|blend| blend.name() == text);
        found.ok_or_else(|| format!("expected hard, feather or poisson, found \"{text}\""))
    }
}

impl fmt::Display for Blend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Pixels over which feathering fades in.
const FEATHER: usize = 4;
/// Conjugate gradients end when the residual has fallen by this factor, or after so many steps.
const TOLERANCE: f64 = 1e-3;
const STEPS: usize = 400;

/// The host with the pixels of `layer` under `mask` joined to it. For Poisson `layer` must hold the source in the
/// pixels next to the mask too.
pub(super) fn blended(host: &InputImage, layer: &InputImage, mask: &Mask, blend: Blend) -> InputImage {
    match blend {
        Blend::Hard => mixed(host, layer, |i| f32::from(mask.defective[i])),
        Blend::Feather => {
            let opacity = feathered(mask);
            mixed(host, layer, |i| opacity[i])
        }
        Blend::Poisson => poisson(host, layer, mask, false),
    }
}

/// `host + opacity (layer − host)`; 0 and 1 give either exactly.
pub(super) fn mixed(host: &InputImage, layer: &InputImage, opacity: impl Fn(usize) -> f32) -> InputImage {
    let mut rgb_hwc = host.rgb_hwc.clone();
    for (i, rgb) in rgb_hwc.as_chunks_mut::<3>().0.iter_mut().enumerate() {
        let (a, over) = (opacity(i), &layer.rgb_hwc[i * 3..][..3]);
        if a >= 1.0 {
            rgb.copy_from_slice(over);
        } else if a > 0.0 {
            (0..3).for_each(|c| rgb[c] = (rgb[c] + a * (over[c] - rgb[c])).clamp(0.0, 1.0));
        }
    }
    InputImage { rgb_hwc, ..*host }
}

/// Opacity per pixel: steps from the edge of the mask inwards, up to [`FEATHER`]. A defect that is thinner than this
/// reaches full opacity in its middle all the same.
fn feathered(mask: &Mask) -> Vec<f32> {
    let (h, w) = (mask.height, mask.width);
    let mut depth = vec![0usize; h * w];
    let mut inside = mask.defective.clone();
    let mut deepest = 0;
    while deepest < FEATHER && inside.contains(&1) {
        deepest += 1;
        inside.iter().zip(&mut depth).filter(|(pixel, _)| **pixel == 1).for_each(|(_, d)| *d = deepest);
        let before = inside.clone();
        for i in 0..h * w {
            inside[i] = u8::from(before[i] == 1 && neighbours(i, h, w).all(|n| before[n] == 1));
        }
    }
    depth.into_iter().map(|d| d as f32 / deepest.max(1) as f32).collect()
}

/// The pixels that share a side with pixel `i` of `[h, w]`.
fn neighbours(i: usize, h: usize, w: usize) -> impl Iterator<Item = usize> {
    let (y, x) = (i / w, i % w);
    let there = [
        (y > 0).then(|| i.wrapping_sub(w)),
        (y + 1 < h).then_some(i + w),
        (x > 0).then(|| i.wrapping_sub(1)),
        (x + 1 < w).then_some(i + 1),
    ];
    there.into_iter().flatten()
}

/// Solves the Poisson equation under the mask. `strongest`: of source and host the larger difference counts, so that
/// the host's own texture shows through flat places of the source.
pub(super) fn poisson(host: &InputImage, layer: &InputImage, mask: &Mask, strongest: bool) -> InputImage {
    let (h, w) = (mask.height, mask.width);
    let unknowns: Vec<usize> = (0..h * w).filter(|&i| mask.defective[i] == 1).collect();
    let mut number = vec![usize::MAX; h * w];
    unknowns.iter().enumerate().for_each(|(k, &i)| number[i] = k);
    let inner: Vec<Vec<usize>> = unknowns
        .iter()
        .map(|&i| neighbours(i, h, w).map(|n| number[n]).filter(|&k| k != usize::MAX).collect())
        .collect();
    let degree: Vec<f64> = unknowns.iter().map(|&i| neighbours(i, h, w).count() as f64).collect();
    let fixed = inner.iter().zip(&degree).any(|(inner, degree)| (inner.len() as f64) < *degree);
    if !fixed {
        // The mask is the whole picture: nothing around it tells how bright it should be.
        return blended(host, layer, mask, Blend::Hard);
    }
    let mut result = host.clone();
    for c in 0..3 {
        let source = |i: usize| f64::from(layer.rgb_hwc[i * 3 + c]);
        let under = |i: usize| f64::from(host.rgb_hwc[i * 3 + c]);
        let right: Vec<f64> = unknowns
            .iter()
            .map(|&i| {
                let from = |n: usize| {
                    let (own, hosts) = (source(i) - source(n), under(i) - under(n));
                    let step = if strongest && hosts.abs() > own.abs() { hosts } else { own };
                    step + if number[n] == usize::MAX { under(n) } else { 0.0 }
                };
                neighbours(i, h, w).map(from).sum()
            })
            .collect();
        let start = unknowns.iter().map(|&i| under(i)).collect();
        let solved = conjugate_gradients(&inner, &degree, &right, start);
        unknowns
            .iter()
            .zip(solved)
            .for_each(|(&i, value)| result.rgb_hwc[i * 3 + c] = (value as f32).clamp(0.0, 1.0));
    }
    result
}

/// Solves `degree_i x_i − Σ over inner neighbours x_j = right_i` from `x` on.
fn conjugate_gradients(inner: &[Vec<usize>], degree: &[f64], right: &[f64], mut x: Vec<f64>) -> Vec<f64> {
    let apply = |x: &[f64]| -> Vec<f64> {
        let row = |i: usize| degree[i] * x[i] - inner[i].iter().map(|&j| x[j]).sum::<f64>();
        (0..x.len()).map(row).collect()
    };
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let mut residual: Vec<f64> = right.iter().zip(apply(&x)).map(|(b, ax)| b - ax).collect();
    let mut direction = residual.clone();
    let mut left = dot(&residual, &residual);
    let enough = left * TOLERANCE * TOLERANCE;
    for _ in 0..STEPS {
        if left <= enough {
            break;
        }
        let applied = apply(&direction);
        let step = left / dot(&direction, &applied);
        (0..x.len()).for_each(|i| {
            x[i] += step * direction[i];
            residual[i] -= step * applied[i];
        });
        let now = dot(&residual, &residual);
        direction.iter_mut().zip(&residual).for_each(|(d, r)| *d = r + now / left * *d);
        left = now;
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIDE: usize = 24;

    fn picture(value: impl Fn(usize, usize) -> f32) -> InputImage {
        let rgb_hwc = (0..SIDE * SIDE).flat_map(|i| [value(i / SIDE, i % SIDE); 3]).collect();
        InputImage { height: SIDE, width: SIDE, rgb_hwc }
    }

    fn square(from: usize, to: usize) -> Mask {
        let inside = |i: usize| (from..to).contains(&(i / SIDE)) && (from..to).contains(&(i % SIDE));
        Mask { height: SIDE, width: SIDE, defective: (0..SIDE * SIDE).map(|i| u8::from(inside(i))).collect() }
    }

    #[test]
    fn outside_the_mask_nothing_changes_by_a_bit() {
        let host = picture(|y, x| (y * 7 + x * 3) as f32 % 10.0 / 10.0);
        let layer = picture(|y, x| 0.9 - (y + x) as f32 / 60.0);
        for mask in [square(5, 15), square(0, 9), square(18, 24), square(0, 24), square(3, 4), square(3, 3)] {
            for blend in Blend::ALL {
                let result = blended(&host, &layer, &mask, blend);
                for i in (0..SIDE * SIDE).filter(|&i| mask.defective[i] == 0) {
                    assert_eq!(result.rgb_hwc[i * 3..][..3], host.rgb_hwc[i * 3..][..3], "{blend} {i}");
                }
                assert!(result.rgb_hwc.iter().all(|x| (0.0..=1.0).contains(x)));
                let grey = |[r, g, b]: &[f32; 3]| r == g && g == b;
                assert!(result.rgb_hwc.as_chunks::<3>().0.iter().all(grey), "{blend} made colours");
            }
        }
    }

    #[test]
    fn feathering_starts_low_and_reaches_the_middle() {
        let (host, layer) = (picture(|_, _| 0.0), picture(|_, _| 1.0));
        let at = |image: &InputImage, i: usize| image.rgb_hwc[(12 * SIDE + i) * 3];
        let wide = blended(&host, &layer, &square(4, 20), Blend::Feather);
        assert_eq!([3, 4, 5, 6, 7, 12].map(|i| at(&wide, i)), [0.0, 0.25, 0.5, 0.75, 1.0, 1.0]);
        let thin = blended(&host, &layer, &square(11, 14), Blend::Feather);
        assert_eq!([10, 11, 12, 13].map(|i| at(&thin, i)), [0.0, 0.5, 1.0, 0.5]);
    }

    #[test]
    fn poisson_keeps_differences_and_takes_the_brightness_around() {
        // A bump on a bright ground, pasted on a dark ground: the bump remains, the ground is dark.
        let bump =
            |y: usize, x: usize| if (10..13).contains(&y) && (10..13).contains(&x) { 0.2 } else { 0.0 };
        let (host, layer) = (picture(|_, _| 0.2), picture(|y, x| 0.7 + bump(y, x)));
        let found = blended(&host, &layer, &square(6, 18), Blend::Poisson);
        let expected = picture(|y, x| 0.2 + bump(y, x));
        assert!(found.rgb_hwc.iter().zip(&expected.rgb_hwc).all(|(a, b)| (a - b).abs() < 2e-3));
        // A ramp around a flat source: inside, the brightness runs from side to side.
        let ramp = picture(|_, x| x as f32 / SIDE as f32);
        let filled = blended(&ramp, &picture(|_, _| 0.5), &square(6, 18), Blend::Poisson);
        assert!(filled.rgb_hwc.iter().zip(&ramp.rgb_hwc).all(|(a, b)| (a - b).abs() < 2e-3));
    }

    #[test]
    fn the_strongest_difference_wins_if_asked() {
        let (stripes, flat) = (picture(|_, x| 0.3 + 0.2 * (x % 2) as f32), picture(|_, _| 0.5));
        let mask = square(6, 18);
        let contrast = |image: &InputImage| {
            let at = |x: usize| image.rgb_hwc[(12 * SIDE + x) * 3];
            (at(12) - at(11)).abs()
        };
        assert!(contrast(&poisson(&stripes, &flat, &mask, false)) < 0.05);
        assert!(contrast(&poisson(&stripes, &flat, &mask, true)) > 0.15);
    }
}
