//! Shapes become pixels.

use super::{Mask, OriginalSize, wrong};
use crate::image::{ImageProblem, MAX_SIDE};

/// Shapes that a hand drew may reach so far beyond the picture, as a share of its side and in pixels; they are clipped.
const SLACK: (f64, f64) = (0.05, 2.0);
/// Rows that the edges of one shape cross together at most.
const MOST_CROSSINGS: usize = 8 << 20;
/// How often the shapes of one picture may cover it together, on average.
const MOST_LAYERS: usize = 64;

/// A mask that is drawn on.
pub(super) struct Canvas {
    size: OriginalSize,
    /// `[h, w]`, 1 where defective.
    pixels: Vec<u8>,
    /// Pixels that may still be painted: shapes upon shapes cost time and say nothing new.
    left: usize,
}

impl Canvas {
    pub(super) fn new(size: OriginalSize) -> Result<Canvas, ImageProblem> {
        let (OriginalSize { height, width }, most) = (size, MAX_SIDE as usize);
        if !(1..=most).contains(&height) || !(1..=most).contains(&width) {
            return Err(wrong(format!("an image of {size}")));
        }
        let pixels = height * width;
        Ok(Canvas { size, pixels: vec![0; pixels], left: MOST_LAYERS * pixels + MOST_CROSSINGS })
    }

    /// A canvas of the size that a file says, or else of its image's.
    pub(super) fn of(
        height: Option<usize>,
        width: Option<usize>,
        image: Option<OriginalSize>,
    ) -> Result<Canvas, ImageProblem> {
        match (height, width, image) {
            (Some(height), Some(width), _) => Canvas::new(OriginalSize { height, width }),
            (_, _, Some(size)) => Canvas::new(size),
            _ => Err(wrong("neither width nor height of its image")),
        }
    }

    pub(super) fn size(&self) -> OriginalSize {
        self.size
    }

    pub(super) fn finish(self) -> Mask {
        Mask { height: self.size.height, width: self.size.width, defective: self.pixels }
    }

    fn spend(&mut self, pixels: usize, what: &str) -> Result<(), ImageProblem> {
        let too_much =
            || wrong(format!("shapes that cover the picture more than {MOST_LAYERS} times, up to {what}"));
        self.left = self.left.checked_sub(pixels).ok_or_else(too_much)?;
        Ok(())
    }

    /// Marks pixels counted column by column.
    pub(super) fn column_wise(&mut self, from: usize, count: usize, what: &str) -> Result<(), ImageProblem> {
        let OriginalSize { height: h, width: w } = self.size;
        self.spend(count, what)?;
        (from..from + count).for_each(|k| self.pixels[k % h * w + k / h] = 1);
        Ok(())
    }

    /// Marks a pixel counted row by row.
    pub(super) fn mark(&mut self, pixel: usize) {
        self.pixels[pixel] = 1;
    }

    /// Marks what a smaller mask marks, with its corner at `(top, left)`; what lies outside is left out.
    pub(super) fn paste(
        &mut self,
        mask: &Mask,
        (top, left): (i64, i64),
        what: &str,
    ) -> Result<(), ImageProblem> {
        self.spend(mask.height * mask.width, what)?;
        let (h, w) = (self.size.height as i64, self.size.width as i64);
        for (i, _) in mask.defective.iter().enumerate().filter(|(_, pixel)| **pixel > 0) {
            let (y, x) = (top + (i / mask.width) as i64, left + (i % mask.width) as i64);
            if (0..h).contains(&y) && (0..w).contains(&x) {
                self.pixels[(y * w + x) as usize] = 1;
            }
        }
        Ok(())
    }

    /// An ellipse with its middle at `(x, y)`, turned clockwise by an angle in degrees, and clipped.
    pub(super) fn ellipse(
        &mut self,
        [x, y]: [f64; 2],
        [across, down]: [f64; 2],
        degrees: f64,
        what: &str,
    ) -> Result<(), ImageProblem> {
        let (sin, cos) = degrees.to_radians().sin_cos();
        let at = |i: usize| {
            let (b, a) = (i as f64 * std::f64::consts::TAU / 64.0).sin_cos();
            let (a, b) = (a * across, b * down);
            [x + a * cos - b * sin, y + a * sin + b * cos]
        };
        let rim: Vec<[f64; 2]> = (0..64).map(at).collect();
        self.clipped(&rim, what)
    }

    /// A polygon that a hand drew. It may lie a little outside, and is clipped.
    pub(super) fn polygon(&mut self, points: &[[f64; 2]], what: &str) -> Result<(), ImageProblem> {
        let within = |value: f64, side: usize| {
            let slack = (SLACK.0 * side as f64).max(SLACK.1);
            (-slack..=side as f64 + slack).contains(&value)
        };
        let (h, w) = (self.size.height, self.size.width);
        match points.iter().find(|[x, y]| !within(*x, w) || !within(*y, h)) {
            Some([x, y]) => {
                Err(wrong(format!("{what} with a point at x {x}, y {y}, outside its image of {}", self.size)))
            }
            None => self.clipped(points, what),
        }
    }

    /// A polygon, of which the part within the picture is drawn.
    pub(super) fn clipped(&mut self, points: &[[f64; 2]], what: &str) -> Result<(), ImageProblem> {
        let (h, w) = (self.size.height, self.size.width);
        if points.iter().flatten().any(|value| !value.is_finite()) {
            return Err(wrong(format!("{what} with a point that is nowhere")));
        }
        // Where the lines through the pixel centres cross the edges, edge by edge: each edge costs the rows it spans.
        let mut crossings: Vec<(u32, f64)> = Vec::new();
        for (i, a) in points.iter().enumerate() {
            let b = &points[(i + 1) % points.len()];
            // A row is crossed if exactly one end lies at or above its centre.
            let first = (a[1].min(b[1]) - 0.5).floor().max(-1.0) as i64;
            let last = ((a[1].max(b[1]) - 0.5).ceil() as i64).min(h as i64 - 1);
            for y in first.max(0)..=last {
                let line = y as f64 + 0.5;
                if (a[1] <= line) != (b[1] <= line) {
                    crossings.push((y as u32, a[0] + (line - a[1]) / (b[1] - a[1]) * (b[0] - a[0])));
                }
            }
            if crossings.len() > MOST_CROSSINGS {
                return Err(wrong(format!("{what} with edges that cross more than {MOST_CROSSINGS} rows")));
            }
        }
        crossings.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
        self.spend(crossings.len(), what)?;
        let mut covered = 0;
        // A closed outline crosses each row an even number of times.
        for pair in crossings.as_chunks::<2>().0 {
            let row = pair[0].0 as usize * w;
            let first = ((pair[0].1 - 0.5).ceil().max(0.0) as usize).min(w);
            let end = ((pair[1].1 - 0.5).ceil().max(0.0) as usize).clamp(first, w);
            self.spend(end - first, what)?;
            self.pixels[row + first..row + end].fill(1);
            covered += end - first;
        }
        if covered == 0 {
            let within = |value: f64, side: usize| (-SLACK.1..=side as f64 + SLACK.1).contains(&value);
            let pixel = |value: f64, side: usize| (value.max(0.0) as usize).min(side - 1);
            for [x, y] in points.iter().filter(|[x, y]| within(*x, w) && within(*y, h)) {
                self.pixels[pixel(*y, h) * w + pixel(*x, w)] = 1;
            }
        }
        Ok(())
    }
}
