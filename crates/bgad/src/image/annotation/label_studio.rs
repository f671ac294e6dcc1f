//! Label Studio's JSON export: tasks, whose shapes are in per cent of their image, or brushed.
//!
//! ```text
//! brush   bits: 32 count · 5 word size − 1 · 4 × 4 run sizes − 1 · then pieces, until there are `count` values:
//!         1 repeated? · 2 which size · that many bits n · n + 1 values, or one repeated n + 1 times
//!         the values are red, green, blue and alpha of each pixel, row by row; it is marked where alpha is not 0
//! ```

use serde::Deserialize;
use serde_json::Value as Json;

use super::{Canvas, Labelled, Mask, OriginalSize, parts, wrong};
use crate::image::ImageProblem;

/// One image.
#[derive(Debug, Deserialize)]
pub(crate) struct Task {
    #[serde(default)]
    data: serde_json::Map<String, Json>,
    #[serde(default)]
    file_upload: Option<String>,
    annotations: Vec<Annotation>,
}

/// What one person drew.
#[derive(Debug, Deserialize)]
struct Annotation {
    #[serde(default)]
    was_cancelled: bool,
    #[serde(default)]
    result: Vec<Mark>,
}

#[derive(Debug, Deserialize)]
struct Mark {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    original_width: Option<usize>,
    #[serde(default)]
    original_height: Option<usize>,
    #[serde(default)]
    value: Value,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Value {
    points: Option<Vec<[f64; 2]>>,
    x: Option<f64>,
    y: Option<f64>,
    width: Option<f64>,
    height: Option<f64>,
    radius_x: Option<f64>,
    radius_y: Option<f64>,
    #[serde(default)]
    rotation: f64,
    rle: Option<Vec<u8>>,
    #[serde(
        alias = "polygonlabels",
        alias = "brushlabels",
        alias = "rectanglelabels",
        alias = "ellipselabels",
        default
    )]
    labels: Vec<String>,
}

impl Mark {
    /// Whether it marks a place; choices and texts about the whole image do not.
    fn is_place(&self) -> bool {
        self.value.points.is_some() || self.value.rle.is_some() || self.value.x.is_some()
    }
}

impl Task {
    fn marks(&self) -> impl Iterator<Item = &Mark> {
        let kept = self.annotations.iter().filter(|annotation| !annotation.was_cancelled);
        kept.flat_map(|annotation| &annotation.result).filter(|mark| mark.is_place())
    }

    pub(super) fn labelled(&self) -> Labelled {
        let image = self.data.get("image").and_then(Json::as_str);
        let image = image.or_else(|| self.data.values().find_map(Json::as_str));
        let mut names = Vec::new();
        for name in [image, self.file_upload.as_deref()].into_iter().flatten() {
            // Files on the server's disk are given as ?d=PATH.
            let name = name.rsplit_once("?d=").map_or(name, |(_, path)| path);
            names.push(name.to_owned());
            names.extend(without_upload(name));
        }
        names.dedup();
        if names.is_empty() {
            names.push("(no name)".to_owned());
        }
        let category = self.marks().find_map(|mark| mark.value.labels.first().cloned());
        Labelled { names, marked: self.marks().next().is_some(), category }
    }

    pub(super) fn drawn(&self, size: Option<OriginalSize>) -> Result<Mask, ImageProblem> {
        let said = self.marks().find_map(|mark| Some((mark.original_height?, mark.original_width?)));
        let mut canvas = Canvas::of(said.map(|s| s.0), said.map(|s| s.1), size)?;
        for (i, mark) in self.marks().enumerate() {
            mark.draw(&format!("mark {} ({})", i + 1, mark.kind), &mut canvas)?;
        }
        Ok(canvas.finish())
    }
}

/// A name without the eight hexadecimal digits that an upload puts in front.
fn without_upload(name: &str) -> Option<String> {
    let last = parts(name).next()?;
    let (digits, rest) = last.split_once('-')?;
    (digits.len() == 8 && digits.bytes().all(|digit| digit.is_ascii_hexdigit())).then(|| rest.to_owned())
}

impl Mark {
    fn draw(&self, what: &str, canvas: &mut Canvas) -> Result<(), ImageProblem> {
        let OriginalSize { height, width } = canvas.size();
        let (across, down) = (width as f64 / 100.0, height as f64 / 100.0);
        let Value { points, x, y, rotation, rle, .. } = &self.value;
        if let Some(bytes) = rle {
            return brush(canvas, bytes, what);
        }
        if let Some(points) = points {
            let points: Vec<[f64; 2]> = points.iter().map(|[x, y]| [x * across, y * down]).collect();
            return canvas.polygon(&points, what);
        }
        let Value { width, height, radius_x, radius_y, .. } = self.value;
        match (x.zip(*y), width.zip(height), radius_x.zip(radius_y)) {
            (Some((x, y)), Some((w, h)), _) => {
                // Turned about its upper left corner.
                let (sin, cos) = rotation.to_radians().sin_cos();
                let (x, y, w, h) = (x * across, y * down, w * across, h * down);
                let corner = |a: f64, b: f64| [x + a * cos - b * sin, y + a * sin + b * cos];
                canvas.polygon(&[corner(0.0, 0.0), corner(w, 0.0), corner(w, h), corner(0.0, h)], what)
            }
            (Some((x, y)), _, Some((a, b))) => {
                canvas.ellipse([x * across, y * down], [a * across, b * down], *rotation, what)
            }
            _ => Err(wrong(format!("{what}, expected a polygon, a brush, a rectangle or an ellipse"))),
        }
    }
}

fn brush(canvas: &mut Canvas, bytes: &[u8], what: &str) -> Result<(), ImageProblem> {
    let OriginalSize { height, width } = canvas.size();
    let broken =
        || wrong(format!("{what} with a brush that is broken or of another size than {height}x{width}"));
    let mut bits = Bits { bytes, at: 0 };
    let count = bits.take(32).ok_or_else(broken)? as usize;
    if count != 4 * height * width {
        return Err(broken());
    }
    let word = bits.take(5).ok_or_else(broken)? + 1;
    let mut sizes = [0; 4];
    for size in &mut sizes {
        *size = bits.take(4).ok_or_else(broken)? + 1;
    }
    let mut at = 0;
    while at < count {
        let repeated = bits.take(1).ok_or_else(broken)? == 1;
        let size = sizes[bits.take(2).ok_or_else(broken)? as usize];
        let end = at + bits.take(size).ok_or_else(broken)? as usize + 1;
        if end > count {
            return Err(broken());
        }
        let mut value = 0;
        if repeated {
            value = bits.take(word).ok_or_else(broken)?;
        }
        for i in at..end {
            if !repeated {
                value = bits.take(word).ok_or_else(broken)?;
            }
            if i % 4 == 3 && value > 0 {
                canvas.mark(i / 4);
            }
        }
        at = end;
    }
    Ok(())
}

/// Bits of bytes, the highest first.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: u32) -> Option<u32> {
        let mut value = 0;
        for _ in 0..count {
            let byte = *self.bytes.get(self.at / 8)?;
            value = value << 1 | u32::from(byte >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        Some(value)
    }
}
