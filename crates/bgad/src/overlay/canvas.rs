//! A picture being drawn: rectangles, outlines, and values brought to its size.

use super::Rgb;
use super::picture::Picture;

/// A picture being drawn.
#[derive(Clone, Debug)]
pub(super) struct Canvas {
    /// Row-major, 0 to 255.
    pub(super) pixels: Vec<Rgb>,
    pub(super) width: usize,
    pub(super) height: usize,
}

/// A rectangle, pixels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rect {
    pub(super) left: usize,
    pub(super) top: usize,
    pub(super) width: usize,
    pub(super) height: usize,
}

impl Rect {
    /// The rectangle with a margin, as far as there is room above and to the left.
    pub(super) fn grown(self, by: usize) -> Rect {
        let (left, top) = (self.left.saturating_sub(by), self.top.saturating_sub(by));
        Rect {
            left,
            top,
            width: self.width + self.left - left + by,
            height: self.height + self.top - top + by,
        }
    }
}

impl Canvas {
    pub(super) fn filled(width: usize, height: usize, colour: Rgb) -> Canvas {
        Canvas { pixels: vec![colour; width * height], width, height }
    }

    /// Mixes a colour into a pixel; outside the picture nothing happens.
    pub(super) fn blend(&mut self, x: usize, y: usize, colour: Rgb, opacity: f32) {
        if x < self.width && y < self.height {
            let pixel = &mut self.pixels[y * self.width + x];
            *pixel = mixed(*pixel, colour, opacity.clamp(0.0, 1.0));
        }
    }

    /// Fills a rectangle; what lies outside the picture is left out.
    pub(super) fn fill(&mut self, rect: Rect, colour: Rgb) {
        for y in rect.top..rect.top + rect.height {
            for x in rect.left..rect.left + rect.width {
                self.blend(x, y, colour, 1.0);
            }
        }
    }

    /// The outline of a rectangle, drawn inwards; what lies outside the picture is left out.
    pub(super) fn frame(&mut self, rect: Rect, line: usize, colour: Rgb) {
        let Rect { left, top, width, height } = rect;
        let (down, across) = (line.min(height), line.min(width));
        self.fill(Rect { height: down, ..rect }, colour);
        self.fill(Rect { top: top + height - down, height: down, ..rect }, colour);
        self.fill(Rect { width: across, ..rect }, colour);
        self.fill(Rect { left: left + width - across, width: across, ..rect }, colour);
    }

    /// A line just outside what is `inside`, with a casing on its far side: thin defects stay visible, and the line does too,
    /// on any ground.
    pub(super) fn outline(&mut self, inside: &[bool], line: usize, colour: Rgb, casing: Rgb) {
        let (w, h) = (self.width, self.height);
        // City-block distance to the nearest pixel inside, in two sweeps.
        let far = u16::MAX - 1;
        let mut distance: Vec<u16> = inside.iter().map(|&inside| if inside { 0 } else { far }).collect();
        for i in 0..distance.len() {
            let left = if i % w > 0 { distance[i - 1] + 1 } else { far };
            let above = if i >= w { distance[i - w] + 1 } else { far };
            distance[i] = distance[i].min(left).min(above).min(far);
        }
        for i in (0..w * h).rev() {
            let right = if i % w + 1 < w { distance[i + 1] + 1 } else { far };
            let below = if i + w < w * h { distance[i + w] + 1 } else { far };
            distance[i] = distance[i].min(right).min(below).min(far);
        }
        let (line, end) = (line as u16, line as u16 + (line as u16).div_ceil(2));
        for (pixel, distance) in self.pixels.iter_mut().zip(distance) {
            if (1..=line).contains(&distance) {
                *pixel = colour;
            } else if (line + 1..=end).contains(&distance) {
                *pixel = casing;
            }
        }
    }

    /// Copies another picture to a place within this one.
    pub(super) fn paste(&mut self, other: &Canvas, left: usize, top: usize) {
        for y in 0..other.height.min(self.height.saturating_sub(top)) {
            let width = other.width.min(self.width.saturating_sub(left));
            let to = (top + y) * self.width + left;
            let from = y * other.width;
            self.pixels[to..to + width].copy_from_slice(&other.pixels[from..from + width]);
        }
    }

    pub(super) fn finish(self) -> Picture {
        let rgb = self.pixels.into_iter().flatten().map(|c| c.round().clamp(0.0, 255.0) as u8).collect();
        Picture { width: self.width, height: self.height, rgb }
    }
}

pub(super) fn mixed(under: Rgb, over: Rgb, opacity: f32) -> Rgb {
    std::array::from_fn(|c| under[c] + opacity * (over[c] - under[c]))
}

/// Bilinear, pixel centres on pixel centres; `values` is `[h, w]`, sizes are `(width, height)`.
pub(super) fn enlarged(values: &[f32], from: (usize, usize), to: (usize, usize)) -> Vec<f32> {
    let neighbours = |i: usize, from: usize, to: usize| {
        let at = ((i as f32 + 0.5) * from as f32 / to as f32 - 0.5).clamp(0.0, (from - 1) as f32);
        let low = at as usize;
        (low, (low + 1).min(from - 1), at - low as f32)
    };
    let columns: Vec<_> = (0..to.0).map(|x| neighbours(x, from.0, to.0)).collect();
    let mut out = Vec::with_capacity(to.0 * to.1);
    for y in 0..to.1 {
        let (top, bottom, down) = neighbours(y, from.1, to.1);
        for &(left, right, across) in &columns {
            let value = |y: usize, x: usize| values[y * from.0 + x];
            let upper = between(value(top, left), value(top, right), across);
            let lower = between(value(bottom, left), value(bottom, right), across);
            out.push(between(upper, lower, down));
        }
    }
    out
}

/// Linear interpolation that keeps infinities: `0 · ∞` does not occur.
fn between(a: f32, b: f32, share: f32) -> f32 {
    if share == 0.0 || a == b { a } else { a * (1.0 - share) + b * share }
}
