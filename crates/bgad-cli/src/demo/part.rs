//! A turned flange on dark felt, seen from above, good or with one defect: drawn, not photographed.
//!
//! ```text
//! metal = disc − bore − six bolt holes − notch            as a signed distance d; coverage = clamp(1/2 − d, 0, 1)
//! pixel = felt · shadow · (1 − coverage) + brushed metal · light · coverage + sensor noise
//! mask  = where the same part with and without its defect differ
//! ```
//!
//! Each part lies a little differently, in slightly different light, and has a surface of its own.

use std::f32::consts::TAU;

use image::{GrayImage, Luma, Rgb, RgbImage};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Sides of the pictures, pixels.
pub(crate) const SIDE: u32 = 256;

const OUTER: f32 = 100.0;
const BORE: f32 = 25.0;
const HUB: f32 = 40.0;
const HOLES: usize = 6;
/// Distance of the bolt holes from the middle.
const PITCH: f32 = 69.0;
const HOLE: f32 = 10.5;
/// Width of the slanted edges.
const BEVEL: f32 = 3.5;
const NOTCH: f32 = 7.0;

/// A defect has at least so many pixels: one that fell beside the metal is drawn again.
const MIN_DEFECT_PIXELS: usize = 60;

/// What can be wrong with a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Defect {
    /// A thin bright line with a dark side.
    Scratch,
    /// A brown spot with a darker rim.
    Stain,
    /// A shallow round hollow: one flank dark, the other bright.
    Dent,
}

impl Defect {
    /// The name of its folder.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Defect::Scratch => "scratch",
            Defect::Stain => "stain",
            Defect::Dent => "dent",
        }
    }
}

/// Good part number `index` of a seed.
pub(crate) fn good(seed: u64, index: u64) -> RgbImage {
    Part::new(seed, index).picture(None)
}

/// Part number `index` of a seed with a defect, and the mask of the defect: 255 where the part differs from the good
/// one, else 0.
pub(crate) fn defective(seed: u64, index: u64, defect: Defect) -> (RgbImage, GrayImage) {
    let part = Part::new(seed, index);
    let good = part.picture(None);
    let mut rng = stream(seed, index, Purpose::Defect);
    loop {
        let flaw = Flaw::new(defect, &part, &mut rng);
        let picture = part.picture(Some(&flaw));
        let mask = difference(&good, &picture);
        if mask.pixels().filter(|pixel| pixel.0[0] > 0).count() >= MIN_DEFECT_PIXELS {
            return (picture, mask);
        }
    }
}

/// Where two pictures differ, with the pinholes closed in which they happen to agree.
fn difference(a: &RgbImage, b: &RgbImage) -> GrayImage {
    let differs = GrayImage::from_fn(SIDE, SIDE, |x, y| {
        Luma([if a.get_pixel(x, y) == b.get_pixel(x, y) { 0 } else { 255 }])
    });
    GrayImage::from_fn(SIDE, SIDE, |x, y| {
        let around = (-1..=1).flat_map(|dy| (-1..=1).map(move |dx| (dx, dy))).filter(|&(dx, dy)| {
            let (x, y) = (x.checked_add_signed(dx), y.checked_add_signed(dy));
            x.zip(y).and_then(|(x, y)| differs.get_pixel_checked(x, y)).is_some_and(|pixel| pixel.0[0] > 0)
        });
        Luma([if differs.get_pixel(x, y).0[0] > 0 || around.count() >= 6 { 255 } else { 0 }])
    })
}

/// What random numbers are for.
#[derive(Clone, Copy)]
enum Purpose {
    Part = 1,
    Defect = 2,
}

fn stream(seed: u64, index: u64, purpose: Purpose) -> ChaCha8Rng {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes[8..16].copy_from_slice(&index.to_le_bytes());
    bytes[16] = purpose as u8;
    ChaCha8Rng::from_seed(bytes)
}

/// How one part lies and is lit.
struct Part {
    middle: [f32; 2],
    /// Radians.
    turned: f32,
    /// Towards the light, in the plane of the picture; length 1.
    light: [f32; 2],
    /// Change of brightness over half a picture, along x and y.
    gradient: [f32; 2],
    exposure: f32,
    /// Contrast of the brushing.
    brushing: f32,
    /// Of the noise.
    surface: u32,
}

/// One defect, placed.
enum Flaw {
    /// A quadratic Bézier curve as points, half its width, how deep it is.
    Scratch { path: Vec<[f32; 2]>, half_width: f32, depth: f32 },
    /// Middle, radius, amplitudes and phases of the outline's harmonics, strength.
    Stain { middle: [f32; 2], radius: f32, outline: [(f32, f32); 4], strength: f32 },
    /// Middle, radius, how much its flanks change the light.
    Dent { middle: [f32; 2], radius: f32, depth: f32 },
}

impl Flaw {
    fn new(defect: Defect, part: &Part, rng: &mut ChaCha8Rng) -> Flaw {
        let on_metal = |rng: &mut ChaCha8Rng| {
            let (r, angle) = (rng.random_range(HUB..OUTER - 12.0), rng.random_range(0.0..TAU));
            [part.middle[0] + r * angle.cos(), part.middle[1] + r * angle.sin()]
        };
        match defect {
            Defect::Scratch => {
                let start = on_metal(rng);
                let (direction, length) = (rng.random_range(0.0..TAU), rng.random_range(28.0..70.0f32));
                let bend = rng.random_range(-0.18..0.18f32) * length;
                let (cos, sin) = (direction.cos(), direction.sin());
                let along = |t: f32| {
                    let (forward, aside) = ((t - 0.5) * length, bend * 4.0 * t * (1.0 - t));
                    [start[0] + forward * cos - aside * sin, start[1] + forward * sin + aside * cos]
                };
                let path = (0..=24).map(|i| along(i as f32 / 24.0)).collect();
                Flaw::Scratch {
                    path,
                    half_width: rng.random_range(0.7..1.4),
                    depth: rng.random_range(0.24..0.42),
                }
            }
            Defect::Stain => Flaw::Stain {
                middle: on_metal(rng),
                radius: rng.random_range(8.0..17.0),
                outline: std::array::from_fn(|k| {
                    (rng.random_range(0.0..0.22) / (1.0 + 0.5 * k as f32), rng.random_range(0.0..TAU))
                }),
                strength: rng.random_range(0.45..0.85),
            },
            Defect::Dent => Flaw::Dent {
                middle: on_metal(rng),
                radius: rng.random_range(7.0..13.0),
                depth: rng.random_range(0.18..0.34),
            },
        }
    }
}

impl Part {
    fn new(seed: u64, index: u64) -> Part {
        let mut rng = stream(seed, index, Purpose::Part);
        let mut around = |middle: f32, spread: f32| rng.random_range(middle - spread..middle + spread);
        let half = SIDE as f32 / 2.0;
        let middle = [around(half, 4.0), around(half, 4.0)];
        let turned = around(0.0, 0.12);
        let lit_from = around(-2.2, 0.15);
        let gradient = [around(-0.05, 0.05), around(-0.06, 0.05)];
        let (exposure, brushing) = (around(1.0, 0.06), around(0.05, 0.015));
        let light = [lit_from.cos(), lit_from.sin()];
        Part { middle, turned, light, gradient, exposure, brushing, surface: rng.random() }
    }

    /// Middle of bolt hole `i`, pixels.
    fn hole(&self, i: usize) -> [f32; 2] {
        let angle = self.turned + TAU * (i as f32 + 0.5) / HOLES as f32;
        [self.middle[0] + PITCH * angle.cos(), self.middle[1] + PITCH * angle.sin()]
    }

    fn picture(&self, flaw: Option<&Flaw>) -> RgbImage {
        let holes: Vec<[f32; 2]> = (0..HOLES).map(|i| self.hole(i)).collect();
        RgbImage::from_fn(SIDE, SIDE, |x, y| {
            let colour = self.colour([x as f32 + 0.5, y as f32 + 0.5], &holes, flaw);
            // The sum of two uniform numbers is round enough for a sensor.
            let noise = |c: u32| {
                let draw =
                    |k: u32| hash(self.surface ^ 0x51ed_270b, [x as i32, y as i32, (4 * c + k) as i32]);
                (draw(0) + draw(1) - 1.0) * 0.016
            };
            Rgb(std::array::from_fn(|c| {
                ((colour[c] + noise(c as u32)) * 255.0).round().clamp(0.0, 255.0) as u8
            }))
        })
    }

    fn colour(&self, at: [f32; 2], holes: &[[f32; 2]], flaw: Option<&Flaw>) -> [f32; 3] {
        let half = SIDE as f32 / 2.0;
        let gradient = (0..2).map(|i| self.gradient[i] * (at[i] - half) / half).sum::<f32>();
        let lit = self.exposure * (1.0 + gradient);

        let p = [at[0] - self.middle[0], at[1] - self.middle[1]];
        let r = length(p);
        let outward = [p[0] / r.max(1e-3), p[1] / r.max(1e-3)];
        let hole = holes
            .iter()
            .map(|hole| [at[0] - hole[0], at[1] - hole[1]])
            .min_by(|a, b| length(*a).total_cmp(&length(*b)))
            .unwrap_or([1e3, 1e3]);
        let in_hole = HOLE - length(hole);
        let notch = {
            let (cos, sin) = (self.turned.cos(), self.turned.sin());
            NOTCH - length([p[0] - OUTER * cos, p[1] - OUTER * sin])
        };
        // Distance to the nearest edge of the metal, negative inside it.
        let distance = (r - OUTER).max(BORE - r).max(in_hole).max(notch);
        let coverage = (0.5 - distance).clamp(0.0, 1.0);

        let felt = self.felt(at, p);
        if coverage == 0.0 {
            return felt.map(|c| c * lit);
        }
        let mut metal = self.metal(p, r);
        // A slanted edge is bright where it looks at the light.
        let towards = |normal: [f32; 2]| normal[0] * self.light[0] + normal[1] * self.light[1];
        let bevel = |inset: f32| 1.0 - smoothstep(BEVEL - 1.0, BEVEL, inset);
        let slants = [
            (bevel(OUTER - r), towards(outward), 0.20),
            (bevel(r - BORE), -towards(outward), 0.24),
            (bevel(-in_hole), -towards([hole[0] / length(hole), hole[1] / length(hole)]), 0.24),
            (1.0 - smoothstep(0.6, 2.0, (r - HUB).abs()), towards(outward), 0.16),
        ];
        for (share, facing, strength) in slants {
            metal.iter_mut().for_each(|c| *c += share * facing * strength);
        }
        if let Some(flaw) = flaw {
            self.spoil(&mut metal, at, flaw);
        }
        std::array::from_fn(|c| (felt[c] * (1.0 - coverage) + metal[c] * coverage) * lit)
    }

    fn felt(&self, at: [f32; 2], p: [f32; 2]) -> [f32; 3] {
        let fibres =
            self.noise(1, [at[0] * 0.55, at[1] * 0.55]) + 0.7 * self.noise(2, [at[0] * 0.17, at[1] * 0.11]);
        let weave = 1.0 + 0.28 * (fibres - 0.85);
        // The part lies above the felt and keeps the light off it; below its holes most of all.
        let away = [p[0] + 7.0 * self.light[0], p[1] + 7.0 * self.light[1]];
        let open = smoothstep(-4.0, 12.0, length(away) - OUTER);
        let under = if length(p) < OUTER - 1.0 { 0.45 } else { 0.5 + 0.5 * open };
        [0.150, 0.165, 0.200].map(|c| c * weave * under)
    }

    /// Turned metal: fine rings, and the fans of light that they make.
    fn metal(&self, p: [f32; 2], r: f32) -> [f32; 3] {
        let angle = p[1].atan2(p[0]);
        // The noise lattice runs along the angle and must close after a full turn.
        let turns = angle / TAU + 0.5;
        let rings = self.ring_noise(3, r * 0.9, turns * 24.0, 24)
            + 0.6 * self.ring_noise(4, r * 0.33, turns * 9.0, 9);
        let lit_from = self.light[1].atan2(self.light[0]);
        let fan = (0.5 + 0.5 * (2.0 * (angle - lit_from)).cos()).powi(3);
        let hub = if r < HUB { 0.035 } else { 0.0 };
        let grey = 0.50 + hub + 0.17 * fan + self.brushing * 1.6 * (rings - 0.8);
        [grey * 0.985, grey, grey * 1.025]
    }

    /// Changes the metal under a defect.
    fn spoil(&self, metal: &mut [f32; 3], at: [f32; 2], flaw: &Flaw) {
        match flaw {
            Flaw::Dent { middle, radius, depth } => {
                let d = [at[0] - middle[0], at[1] - middle[1]];
                let q = length(d) / radius;
                if q < 1.0 && q > 0.0 {
                    // The flank is steepest halfway out and looks inwards.
                    let steep = 4.0 * q * (1.0 - q);
                    let facing = -(d[0] * self.light[0] + d[1] * self.light[1]) / length(d);
                    metal.iter_mut().for_each(|c| *c += depth * steep * facing);
                }
            }
            Flaw::Scratch { path, half_width, depth } => {
                let last = path.len() - 1;
                let nearest = (0..last)
                    .map(|i| {
                        let (distance, t) = to_segment(at, path[i], path[i + 1]);
                        (distance, (i as f32 + t) / last as f32)
                    })
                    .min_by(|a, b| a.0.abs().total_cmp(&b.0.abs()));
                let Some((distance, t)) = nearest else { return };
                // Thin at both ends, as a slipping tool leaves it.
                let taper = (4.0 * t * (1.0 - t)).sqrt();
                let groove = |offset: f32, half: f32| {
                    1.0 - smoothstep(half - 0.5, half + 0.7, (distance - offset).abs())
                };
                let bright = groove(0.0, *half_width) * taper;
                let dark = groove(half_width + 1.2, 0.6) * taper;
                metal.iter_mut().for_each(|c| *c += depth * bright - 0.45 * depth * dark);
            }
            Flaw::Stain { middle, radius, outline, strength } => {
                let d = [at[0] - middle[0], at[1] - middle[1]];
                let angle = d[1].atan2(d[0]);
                let swell: f32 = outline
                    .iter()
                    .zip(1..)
                    .map(|((amount, phase), k)| amount * (k as f32 * angle + phase).cos())
                    .sum();
                let out = length(d) / (radius * (1.0 + swell).max(0.4));
                if out >= 1.0 {
                    return;
                }
                let patchy = 0.7 + 0.3 * self.noise(5, [at[0] * 0.22, at[1] * 0.22]);
                let rim = smoothstep(0.62, 0.86, out) * (1.0 - smoothstep(0.90, 1.0, out));
                let body = (1.0 - smoothstep(0.84, 1.0, out)) * patchy;
                let cover = (strength * (0.75 * body + 0.45 * rim)).min(1.0);
                let tint = [0.62, 0.43, 0.25];
                for (c, tint) in metal.iter_mut().zip(tint) {
                    *c *= 1.0 - cover * (1.0 - tint);
                }
            }
        }
    }

    /// Smooth noise in `[0, 1]`.
    fn noise(&self, layer: i32, at: [f32; 2]) -> f32 {
        lattice(at, |x, y| hash(self.surface, [x, y, layer]))
    }

    /// Smooth noise in `[0, 1]` along radius and angle, closed after `around` cells.
    fn ring_noise(&self, layer: i32, r: f32, turn: f32, around: i32) -> f32 {
        lattice([r, turn], |x, y| hash(self.surface, [x, y.rem_euclid(around), layer]))
    }
}

/// Values on a grid, smoothly joined.
fn lattice(at: [f32; 2], value: impl Fn(i32, i32) -> f32) -> f32 {
    let [x, y] = at.map(f32::floor);
    let [u, v] = [smoothstep(0.0, 1.0, at[0] - x), smoothstep(0.0, 1.0, at[1] - y)];
    let (x, y) = (x as i32, y as i32);
    let top = value(x, y) * (1.0 - u) + value(x + 1, y) * u;
    let bottom = value(x, y + 1) * (1.0 - u) + value(x + 1, y + 1) * u;
    top * (1.0 - v) + bottom * v
}

/// A number in `[0, 1)` that looks random: PCG's output step over a linear mix.
fn hash(seed: u32, at: [i32; 3]) -> f32 {
    let mut state = seed;
    for part in at {
        state = (state ^ part as u32).wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
        state = ((state >> ((state >> 28) + 4)) ^ state).wrapping_mul(277_803_737);
        state ^= state >> 22;
    }
    (state >> 8) as f32 / (1 << 24) as f32
}

fn length([x, y]: [f32; 2]) -> f32 {
    x.hypot(y)
}

fn smoothstep(from: f32, to: f32, x: f32) -> f32 {
    let t = ((x - from) / (to - from)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// Distance of `p` from the segment, negative on its left, and where along it the nearest point is, 0 to 1.
fn to_segment(p: [f32; 2], a: [f32; 2], b: [f32; 2]) -> (f32, f32) {
    let (along, to) = ([b[0] - a[0], b[1] - a[1]], [p[0] - a[0], p[1] - a[1]]);
    let squared = along[0] * along[0] + along[1] * along[1];
    let t = ((to[0] * along[0] + to[1] * along[1]) / squared.max(1e-6)).clamp(0.0, 1.0);
    let distance = length([to[0] - t * along[0], to[1] - t * along[1]]);
    let side = along[0] * to[1] - along[1] * to[0];
    (distance.copysign(side), t)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFECTS: [Defect; 3] = [Defect::Scratch, Defect::Stain, Defect::Dent];

    #[test]
    fn a_defect_changes_nothing_outside_its_mask() {
        for (index, defect) in (0..6).flat_map(|index| DEFECTS.map(|defect| (index, defect))) {
            let good = good(3, index);
            let (bad, mask) = defective(3, index, defect);
            let outside = |x: u32, y: u32| mask.get_pixel(x, y).0 == [0];
            let changed = |x: u32, y: u32| good.get_pixel(x, y) != bad.get_pixel(x, y);
            let all = || (0..SIDE).flat_map(|y| (0..SIDE).map(move |x| (x, y)));
            assert!(!all().any(|(x, y)| outside(x, y) && changed(x, y)), "{defect:?} {index}");
            let (inside, differing) = (
                all().filter(|&(x, y)| !outside(x, y)).count(),
                all().filter(|&(x, y)| changed(x, y)).count(),
            );
            assert!((MIN_DEFECT_PIXELS..4000).contains(&inside), "{defect:?} {index}: {inside}");
            assert!(differing * 10 >= inside * 8, "{defect:?} {index}: the mask is wider than the defect");
        }
    }

    #[test]
    fn a_seed_and_an_index_decide_everything() {
        assert_eq!(good(0, 1), good(0, 1));
        assert_eq!(defective(0, 1, Defect::Stain), defective(0, 1, Defect::Stain));
        assert_ne!(good(0, 1), good(0, 2));
        assert_ne!(good(0, 1), good(1, 1));
        assert_ne!(defective(0, 1, Defect::Stain).1, defective(0, 2, Defect::Stain).1);
    }
}
