//! Pictures of an anomaly map: on its image, alone, and the colour scale itself.
//!
//! ```text
//! value       t_ok − gap/4    t_ok       t_ng       t_ng + 3 gap        gap = t_ng − t_ok
//! colour      pale            yellow     orange     red                 lightness falls all the way
//! opacity     0               0.40       0.70       0.90
//! ```
//!
//! The scale hangs on the thresholds of the model alone, never on the picture: the same colour means the same number
//! of nats in every picture of a model, and a good part stays grey. Because lightness falls along the scale, it can be
//! read without telling red from green.

use bgad::image::{InputImage, OriginalSize};
use bgad::score::AnomalyMap;
use bgad::verdict::{DefectRegion, Thresholds};
use image::{Rgb, RgbImage};

/// A picture is at least so wide, pixels: small inputs are enlarged.
const MIN_WIDTH: f64 = 512.0;
/// No side of a picture is longer, pixels: long thin parts stay below it even if narrower than [`MIN_WIDTH`].
const MAX_SIDE: f64 = 2048.0;
/// How much of its colour the image under the heat loses.
const GREYED: f32 = 0.65;
/// How bright the image under the heat stays, so that pale yellow stands out from it.
const DIMMED: f32 = 0.82;
/// Boxes in a picture at most.
const MAX_BOXES: usize = 3;
/// Boxes stand so far outside their region, pixels.
const BOX_MARGIN: i64 = 5;
/// Width of boxes, pixels.
const BOX_LINE: i64 = 2;
/// Width of contours, pixels.
const CONTOUR: usize = 2;

const CONTOUR_COLOUR: [f32; 3] = [255.0, 255.0, 255.0];
/// Blue, since the scale has none.
const BOX_COLOUR: [f32; 3] = [86.0, 204.0, 242.0];
const CASING: [f32; 3] = [16.0, 22.0, 30.0];

/// Colour and opacity at the four stops of the scale.
const STOPS: [([f32; 3], f32); 4] = [
    ([255.0, 250.0, 214.0], 0.0),
    ([253.0, 216.0, 53.0], 0.40),
    ([240.0, 112.0, 28.0], 0.70),
    ([186.0, 6.0, 42.0], 0.90),
];

/// From nats to colours, fixed by a model's thresholds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Scale {
    /// Nats at the stops, increasing: transparent, `t_ok`, `t_ng`, full red.
    pub(crate) stops: [f32; 4],
}

impl Scale {
    /// The scale of a model.
    pub(crate) fn of(thresholds: Thresholds) -> Scale {
        // Thresholds that fall together would make a scale of no width.
        let gap = (thresholds.ng - thresholds.ok).max(1e-3);
        let ok = thresholds.ok;
        Scale { stops: [ok - 0.25 * gap, ok, ok + gap, ok + 4.0 * gap] }
    }

    /// Colour and opacity of a value in nats. What is not a number is shown as the worst there is.
    fn colour(self, nats: f32) -> ([f32; 3], f32) {
        let stops = self.stops;
        if nats <= stops[0] {
            return STOPS[0];
        }
        let Some(next) = stops.iter().position(|&stop| nats < stop) else { return STOPS[3] };
        let share = (nats - stops[next - 1]) / (stops[next] - stops[next - 1]);
        let ((from, from_opacity), (to, to_opacity)) = (STOPS[next - 1], STOPS[next]);
        (mixed(from, to, share), from_opacity + share * (to_opacity - from_opacity))
    }
}

/// The image with its anomalies in colour over it, in the proportions of the original: heat, the contour of what is
/// above the OK threshold, and a box round each of the largest regions.
pub(crate) fn overlay(
    image: &InputImage,
    map: &AnomalyMap,
    thresholds: Thresholds,
    regions: &[DefectRegion],
    original: OriginalSize,
) -> RgbImage {
    let (width, height) = picture_size(original);
    let scale = Scale::of(thresholds);
    let mut picture = toned(image, width, height);
    let nats = enlarged(&map.nats, 1, (map.w, map.h), (width, height));
    for (pixel, &value) in picture.iter_mut().zip(&nats) {
        let (colour, opacity) = scale.colour(value);
        *pixel = mixed(*pixel, colour, opacity);
    }
    let mut picture = Canvas { pixels: picture, width, height };
    picture.contour(&nats, thresholds.ok);
    for region in largest(regions) {
        picture.region(region, original);
    }
    picture.finish()
}

/// The map alone, one pixel for each of its values: pale where calm.
pub(crate) fn heat_map(map: &AnomalyMap, thresholds: Thresholds) -> RgbImage {
    let scale = Scale::of(thresholds);
    let pixels = map.nats.iter().map(|&value| scale.colour(value).0).collect();
    Canvas { pixels, width: map.w, height: map.h }.finish()
}

/// The colours of the scale from left to right, with a tick at `t_ok` and at `t_ng`; what the ends stand for is
/// [`Scale::stops`].
pub(crate) fn legend(thresholds: Thresholds, width: usize, height: usize) -> RgbImage {
    let Scale { stops } = Scale::of(thresholds);
    let nats_of = |x: f32| stops[0] + (stops[3] - stops[0]) * x / width as f32;
    let map = AnomalyMap {
        nats: (0..width * height).map(|i| nats_of((i % width) as f32 + 0.5)).collect(),
        h: height,
        w: width,
    };
    let mut strip = heat_map(&map, thresholds);
    for stop in [stops[1], stops[2]] {
        let x = ((stop - stops[0]) / (stops[3] - stops[0]) * width as f32) as u32;
        for y in 0..strip.height() {
            strip.put_pixel(x.min(width as u32 - 1), y, Rgb(CASING.map(|c| c as u8)));
        }
    }
    strip
}

/// The regions that get a box: those that cover most.
fn largest(regions: &[DefectRegion]) -> Vec<&DefectRegion> {
    let mut by_area: Vec<&DefectRegion> = regions.iter().collect();
    by_area.sort_by(|a, b| b.area_share.total_cmp(&a.area_share));
    by_area.truncate(MAX_BOXES);
    by_area
}

/// `(width, height)` of a picture of an image of this size.
fn picture_size(original: OriginalSize) -> (usize, usize) {
    let (w, h) = (original.width.max(1) as f64, original.height.max(1) as f64);
    let enlarge = (MIN_WIDTH.max(w.min(2.0 * MIN_WIDTH)) / w).min(MAX_SIDE / w.max(h));
    (((w * enlarge).round() as usize).max(1), ((h * enlarge).round() as usize).max(1))
}

/// The image, greyed and dimmed, at the size of the picture; one colour per pixel, 0 to 255.
fn toned(image: &InputImage, width: usize, height: usize) -> Vec<[f32; 3]> {
    let rgb = enlarged(&image.rgb_hwc, 3, (image.width, image.height), (width, height));
    let tone = |rgb: &[f32; 3]| {
        // Rec. 601 luma, as in every grey-scale conversion of sRGB values.
        let grey = 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2];
        rgb.map(|c| (c + GREYED * (grey - c)) * DIMMED * 255.0)
    };
    rgb.as_chunks::<3>().0.iter().map(tone).collect()
}

/// Bilinear, pixel centres on pixel centres; `values` is `[h, w, channels]`, sizes are `(width, height)`.
fn enlarged(values: &[f32], channels: usize, from: (usize, usize), to: (usize, usize)) -> Vec<f32> {
    let neighbours = |i: usize, from: usize, to: usize| {
        let at = ((i as f32 + 0.5) * from as f32 / to as f32 - 0.5).clamp(0.0, (from - 1) as f32);
        let low = at as usize;
        (low, (low + 1).min(from - 1), at - low as f32)
    };
    let columns: Vec<_> = (0..to.0).map(|x| neighbours(x, from.0, to.0)).collect();
    let mut out = Vec::with_capacity(to.0 * to.1 * channels);
    for y in 0..to.1 {
        let (top, bottom, down) = neighbours(y, from.1, to.1);
        for &(left, right, across) in &columns {
            for c in 0..channels {
                let value = |y: usize, x: usize| values[(y * from.0 + x) * channels + c];
                let upper = between(value(top, left), value(top, right), across);
                let lower = between(value(bottom, left), value(bottom, right), across);
                out.push(between(upper, lower, down));
            }
        }
    }
    out
}

/// Linear interpolation that keeps infinities: `0 · ∞` does not occur.
fn between(a: f32, b: f32, share: f32) -> f32 {
    if share == 0.0 || a == b { a } else { a * (1.0 - share) + b * share }
}

fn mixed(under: [f32; 3], over: [f32; 3], opacity: f32) -> [f32; 3] {
    std::array::from_fn(|c| under[c] + opacity * (over[c] - under[c]))
}

/// A picture being drawn.
struct Canvas {
    pixels: Vec<[f32; 3]>,
    width: usize,
    height: usize,
}

impl Canvas {
    /// A line along the inner edge of what is above `threshold`.
    fn contour(&mut self, nats: &[f32], threshold: f32) {
        // "Not at most", so that what is not a number is inside.
        let inside = |x: usize, y: usize| !matches!(nats[y * self.width + x].partial_cmp(&threshold), Some(o) if o.is_le());
        let mut edge = Vec::new();
        for y in 0..self.height {
            for x in 0..self.width {
                let (left, right) = (x.saturating_sub(CONTOUR), (x + CONTOUR).min(self.width - 1));
                let (top, bottom) = (y.saturating_sub(CONTOUR), (y + CONTOUR).min(self.height - 1));
                let around = [(left, y), (right, y), (x, top), (x, bottom)];
                if inside(x, y) && !around.iter().all(|&(x, y)| inside(x, y)) {
                    edge.push(y * self.width + x);
                }
            }
        }
        for at in edge {
            self.pixels[at] = CONTOUR_COLOUR;
        }
    }

    /// A box round a region, which is given in pixels of the original.
    fn region(&mut self, region: &DefectRegion, original: OriginalSize) {
        let across = |x: usize| (x * self.width / original.width.max(1)) as i64;
        let down = |y: usize| (y * self.height / original.height.max(1)) as i64;
        let (left, right) = (across(region.x) - BOX_MARGIN, across(region.x + region.width) + BOX_MARGIN - 1);
        let (top, bottom) = (down(region.y) - BOX_MARGIN, down(region.y + region.height) + BOX_MARGIN - 1);
        // A box at the edge of the picture is moved into it rather than cut off.
        let (left, right) = (left.max(1), right.min(self.width as i64 - 2));
        let (top, bottom) = (top.max(1), bottom.min(self.height as i64 - 2));
        self.frame([left - 1, top - 1, right + 1, bottom + 1], BOX_LINE + 2, CASING);
        self.frame([left, top, right, bottom], BOX_LINE, BOX_COLOUR);
    }

    /// The outline of a rectangle, drawn inwards; what lies outside the picture is left out.
    fn frame(&mut self, [left, top, right, bottom]: [i64; 4], line: i64, colour: [f32; 3]) {
        for y in top.max(0)..=bottom.min(self.height as i64 - 1) {
            for x in left.max(0)..=right.min(self.width as i64 - 1) {
                if x - left < line || right - x < line || y - top < line || bottom - y < line {
                    self.pixels[y as usize * self.width + x as usize] = colour;
                }
            }
        }
    }

    fn finish(self) -> RgbImage {
        let bytes = self.pixels.into_iter().flatten().map(|c| c.round().clamp(0.0, 255.0) as u8).collect();
        RgbImage::from_raw(self.width as u32, self.height as u32, bytes).expect("one colour per pixel")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: Thresholds = Thresholds { ok: 2.0, ng: 3.0 };

    fn image(width: usize, height: usize) -> InputImage {
        let rgb_hwc = (0..width * height * 3).map(|i| (i * 37 % 101) as f32 / 101.0).collect();
        InputImage { height, width, rgb_hwc }
    }

    fn map(w: usize, h: usize, nats: f32) -> AnomalyMap {
        AnomalyMap { nats: vec![nats; w * h], h, w }
    }

    fn size(width: usize, height: usize) -> OriginalSize {
        OriginalSize { height, width }
    }

    fn region(x: usize, y: usize, width: usize, height: usize) -> DefectRegion {
        let (area_share, area, centroid_x, centroid_y) = (0.1, 1.0, 0.0, 0.0);
        DefectRegion { x, y, width, height, area_share, area, centroid_x, centroid_y, peak: 9.0, mean: 9.0 }
    }

    fn luminance(colour: [f32; 3]) -> f32 {
        0.2126 * colour[0].powf(2.2) + 0.7152 * colour[1].powf(2.2) + 0.0722 * colour[2].powf(2.2)
    }

    #[test]
    fn a_calm_map_leaves_the_toned_image() {
        let image = image(20, 10);
        let picture = overlay(&image, &map(20, 10, 0.5), T, &[], size(200, 100));
        assert_eq!(picture.dimensions(), (512, 256));
        let (width, height) = (512, 256);
        let toned = Canvas { pixels: toned(&image, width, height), width, height }.finish();
        assert_eq!(picture, toned);
    }

    #[test]
    fn thresholds_have_their_colours() {
        let scale = Scale::of(T);
        let yellow = STOPS[1];
        let cases = [
            (f32::NEG_INFINITY, STOPS[0]),
            (1.75, STOPS[0]),
            (2.0, yellow),
            (3.0, STOPS[2]),
            (6.0, STOPS[3]),
            (1e9, STOPS[3]),
            (f32::INFINITY, STOPS[3]),
            (f32::NAN, STOPS[3]),
        ];
        for (nats, want) in cases {
            assert_eq!(scale.colour(nats), want, "{nats}");
            let pixel = heat_map(&map(1, 1, nats), T).get_pixel(0, 0).0;
            assert_eq!(pixel, want.0.map(|c| c as u8), "{nats}");
        }
    }

    #[test]
    fn the_scale_darkens_and_thickens_all_the_way() {
        let scale = Scale::of(T);
        let values: Vec<f32> = (0..=100).map(|i| 1.75 + 0.0425 * i as f32).collect();
        for pair in values.windows(2) {
            let ((lighter, thinner), (darker, thicker)) = (scale.colour(pair[0]), scale.colour(pair[1]));
            assert!(luminance(lighter) > luminance(darker) && thinner < thicker, "{pair:?}");
        }
    }

    #[test]
    fn equal_values_look_equal_whatever_else_is_in_the_picture() {
        let image = InputImage { height: 16, width: 16, rgb_hwc: vec![0.5; 16 * 16 * 3] };
        let calm = overlay(&image, &map(16, 16, 1.9), T, &[], size(512, 512));
        let mut worse = map(16, 16, 1.9);
        worse.nats[16 * 15 + 15] = 50.0;
        let with_defect = overlay(&image, &worse, T, &[], size(512, 512));
        assert_eq!(calm.get_pixel(10, 10), with_defect.get_pixel(10, 10));
        assert_ne!(calm.get_pixel(500, 500), with_defect.get_pixel(500, 500));
    }

    #[test]
    fn contour_and_box_stand_where_the_region_is() {
        let mut map = map(64, 64, 0.0);
        for (y, x) in (20..40).flat_map(|y| (20..40).map(move |x| (y, x))) {
            map.nats[y * 64 + x] = 9.0;
        }
        let region = region(20, 20, 20, 20);
        let picture = overlay(&image(64, 64), &map, T, &[region], size(64, 64));
        let has = |colour: [f32; 3]| {
            let wanted = Rgb(colour.map(|c| c as u8));
            let found: Vec<_> = picture.enumerate_pixels().filter(|p| *p.2 == wanted).collect();
            let x = found.iter().map(|p| p.0);
            (x.clone().min().unwrap_or(0), x.max().unwrap_or(0))
        };
        // Pixels 20 to 39 of 64 are 160 to 319 of 512.
        assert_eq!(has(BOX_COLOUR), (160 - BOX_MARGIN as u32, 319 + BOX_MARGIN as u32));
        let (left, right) = has(CONTOUR_COLOUR);
        assert!((155..=162).contains(&left) && (317..=324).contains(&right), "{left} {right}");
    }

    #[test]
    fn odd_sizes_and_values_draw_something() {
        let cases = [
            ((1, 1), size(1, 1)),
            ((16, 16), size(1, 9000)),
            ((16, 16), size(9000, 1)),
            ((3, 7), size(0, 0)),
        ];
        for ((w, h), original) in cases {
            let region =
                DefectRegion { peak: f32::INFINITY, ..region(0, 0, original.width, original.height) };
            let picture = overlay(&image(w, h), &map(w, h, f32::INFINITY), T, &[region], original);
            assert!(picture.width() >= 1 && picture.width() <= MAX_SIDE as u32);
            assert!(picture.height() >= 1 && picture.height() <= MAX_SIDE as u32);
        }
        let same = Thresholds { ok: 2.0, ng: 2.0 };
        assert!(Scale::of(same).stops.is_sorted());
    }

    #[test]
    fn the_legend_shows_the_scale() {
        let strip = legend(T, 100, 4);
        assert_eq!(strip.get_pixel(5, 0).0, CASING.map(|c| c as u8));
        assert_eq!(strip.get_pixel(29, 3).0, CASING.map(|c| c as u8));
        let light = |x: u32| luminance(strip.get_pixel(x, 1).0.map(f32::from));
        assert!(light(0) > light(30) && light(30) > light(99));
    }
}
