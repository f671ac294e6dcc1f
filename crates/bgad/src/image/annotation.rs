//! Masks drawn as polygons and boxes: LabelMe and COCO annotations.
//!
//! ```text
//! LabelMe   {"imageWidth", "imageHeight", "shapes": [{"shape_type": polygon | rectangle | circle, "points": [[x, y]..]}]}
//! COCO      {"images": [{"id", "file_name", "width", "height"}], "annotations": [{"image_id", "segmentation", "bbox"}]}
//!           segmentation: polygons [[x, y, x, y ..]..], or runs {"size": [h, w], "counts": [..]} column by column
//! ```
//!
//! A pixel is defective if its centre lies inside (even-odd rule), the union over all shapes; a shape so thin that it
//! holds no centre marks the pixels under its corners. Every shape counts as a defect, whatever its label says.

use std::path::Path;

use ::image::GrayImage;
use serde::Deserialize;

use super::{ImageProblem, OriginalSize, decode};

/// Shapes may reach so far beyond the picture, pixels: tools round.
const SLACK: f64 = 1.0;

#[derive(Deserialize)]
struct LabelMe {
    #[serde(rename = "imageHeight")]
    height: usize,
    #[serde(rename = "imageWidth")]
    width: usize,
    shapes: Vec<Shape>,
}

#[derive(Deserialize)]
struct Shape {
    #[serde(default)]
    label: String,
    #[serde(default = "polygon")]
    shape_type: String,
    points: Vec<[f64; 2]>,
}

fn polygon() -> String {
    "polygon".to_owned()
}

#[derive(Deserialize)]
struct Coco {
    images: Vec<CocoImage>,
    #[serde(default)]
    annotations: Vec<CocoAnnotation>,
}

#[derive(Deserialize)]
struct CocoImage {
    id: u64,
    file_name: String,
    height: usize,
    width: usize,
}

#[derive(Deserialize)]
struct CocoAnnotation {
    image_id: u64,
    #[serde(default)]
    segmentation: Option<Segmentation>,
    #[serde(default)]
    bbox: Option<[f64; 4]>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Segmentation {
    Polygons(Vec<Vec<f64>>),
    Runs { size: [usize; 2], counts: Vec<usize> },
    Other(serde::de::IgnoredAny),
}

enum Annotation {
    Coco(Coco),
    LabelMe(LabelMe),
}

fn parse(bytes: &[u8]) -> Result<Annotation, ImageProblem> {
    // First as JSON at all, for the line and column of a mistake.
    let json: serde_json::Value = serde_json::from_slice(bytes).map_err(|error| wrong(error.to_string()))?;
    let is_coco = json.get("images").is_some();
    let parsed = match is_coco {
        true => serde_json::from_value(json).map(Annotation::Coco),
        false => serde_json::from_value(json).map(Annotation::LabelMe),
    };
    parsed.map_err(|error| wrong(error.to_string()))
}

fn wrong(found: impl Into<String>) -> ImageProblem {
    ImageProblem::Annotation { found: found.into() }
}

/// The names of the images that a COCO file marks something in; `None` for any other file.
pub(crate) fn coco_names(bytes: &[u8]) -> Option<Vec<String>> {
    let Ok(Annotation::Coco(coco)) = parse(bytes) else { return None };
    let marked = |image: &&CocoImage| coco.annotations.iter().any(|a| a.image_id == image.id);
    Some(coco.images.iter().filter(marked).map(|image| image.file_name.clone()).collect())
}

/// Draws the mask of `image` from the text of an annotation file: 255 where defective, in the size that it says.
pub(super) fn drawn(bytes: &[u8], image: Option<&Path>) -> Result<GrayImage, ImageProblem> {
    match parse(bytes)? {
        Annotation::LabelMe(label_me) => {
            let mut canvas = Canvas::new(label_me.height, label_me.width)?;
            for (i, shape) in label_me.shapes.iter().enumerate() {
                canvas.shape(shape, i)?;
            }
            Ok(canvas.finish())
        }
        Annotation::Coco(coco) => {
            let name = image.and_then(Path::file_name).unwrap_or_default();
            let of = |found: &&CocoImage| Path::new(&found.file_name).file_name() == Some(name);
            let found = coco.images.iter().find(of);
            let found = found.ok_or_else(|| wrong(format!("no image named {}", name.to_string_lossy())))?;
            let mut canvas = Canvas::new(found.height, found.width)?;
            for (i, annotation) in coco.annotations.iter().enumerate() {
                if annotation.image_id == found.id {
                    canvas.annotation(annotation, i)?;
                }
            }
            Ok(canvas.finish())
        }
    }
}

struct Canvas {
    size: OriginalSize,
    /// `[h, w]`, 255 where defective.
    pixels: Vec<u8>,
}

impl Canvas {
    fn new(height: usize, width: usize) -> Result<Canvas, ImageProblem> {
        let (size, most) = (OriginalSize { height, width }, decode::MAX_SIDE as usize);
        if !(1..=most).contains(&height) || !(1..=most).contains(&width) {
            return Err(wrong(format!("an image of {size}")));
        }
        Ok(Canvas { size, pixels: vec![0; height * width] })
    }

    fn finish(self) -> GrayImage {
        let (w, h) = (self.size.width as u32, self.size.height as u32);
        GrayImage::from_raw(w, h, self.pixels).expect("height x width pixels")
    }

    fn shape(&mut self, shape: &Shape, number: usize) -> Result<(), ImageProblem> {
        let what = format!("shape {} ({})", number + 1, shape.label);
        match (shape.shape_type.as_str(), shape.points.as_slice()) {
            ("polygon", points) if points.len() >= 3 => self.polygon(points, &what),
            ("rectangle", [a, b]) => self.polygon(&[*a, [b[0], a[1]], *b, [a[0], b[1]]], &what),
            ("circle", [centre, rim]) => {
                let radius = (centre[0] - rim[0]).hypot(centre[1] - rim[1]);
                let at = |i: usize| {
                    let (sin, cos) = (i as f64 * std::f64::consts::TAU / 64.0).sin_cos();
                    [centre[0] + radius * cos, centre[1] + radius * sin]
                };
                let rim: Vec<[f64; 2]> = (0..64).map(at).collect();
                self.polygon(&rim, &what)
            }
            (kind, points) => Err(wrong(format!(
                "{what} of type {kind} with {} points, expected a polygon of 3 or more, a rectangle or a circle of 2",
                points.len()
            ))),
        }
    }

    fn annotation(&mut self, annotation: &CocoAnnotation, number: usize) -> Result<(), ImageProblem> {
        let what = format!("annotation {}", number + 1);
        match (&annotation.segmentation, annotation.bbox) {
            (Some(Segmentation::Polygons(polygons)), _) if !polygons.is_empty() => {
                for polygon in polygons {
                    let (points, rest) = polygon.as_chunks::<2>();
                    if points.len() < 3 || !rest.is_empty() {
                        return Err(wrong(format!("{what} with a polygon of {} numbers", polygon.len())));
                    }
                    self.polygon(points, &what)?;
                }
                Ok(())
            }
            (Some(Segmentation::Runs { size, counts }), _) => self.runs(*size, counts, &what),
            (Some(Segmentation::Other(_)), _) => {
                Err(wrong(format!("{what} with neither polygons nor plain runs (packed runs are not read)")))
            }
            (_, Some([x, y, w, h])) => self.polygon(&[[x, y], [x + w, y], [x + w, y + h], [x, y + h]], &what),
            _ => Err(wrong(format!("{what} with neither segmentation nor box"))),
        }
    }

    /// Runs of 0 and 1 in turn, column by column.
    fn runs(&mut self, [h, w]: [usize; 2], counts: &[usize], what: &str) -> Result<(), ImageProblem> {
        let total = counts.iter().try_fold(0usize, |sum, &count| sum.checked_add(count));
        if (h, w) != (self.size.height, self.size.width) || total != Some(h * w) {
            return Err(wrong(format!("{what} with runs that do not cover its image of {}", self.size)));
        }
        let mut at = 0;
        for (i, count) in counts.iter().enumerate() {
            if i % 2 == 1 {
                (at..at + count).for_each(|k| self.pixels[k % h * w + k / h] = 255);
            }
            at += count;
        }
        Ok(())
    }

    fn polygon(&mut self, points: &[[f64; 2]], what: &str) -> Result<(), ImageProblem> {
        let Canvas { size, pixels } = self;
        let (h, w) = (size.height, size.width);
        let within = |value: f64, side: usize| (-SLACK..=side as f64 + SLACK).contains(&value);
        if let Some([x, y]) = points.iter().find(|[x, y]| !within(*x, w) || !within(*y, h)) {
            return Err(wrong(format!("{what} with a point at x {x}, y {y}, outside its image of {size}")));
        }
        let mut covered = 0;
        let rows = points.iter().map(|point| point[1]);
        let (top, bottom) = rows.fold((h as f64, 0.0f64), |(top, bottom), y| (top.min(y), bottom.max(y)));
        for y in top.max(0.0) as usize..(bottom.ceil() as usize).min(h) {
            // Where the line through the pixel centres crosses the edges, from left to right.
            let line = y as f64 + 0.5;
            let mut crossings: Vec<f64> = (0..points.len())
                .map(|i| (points[i], points[(i + 1) % points.len()]))
                .filter(|(a, b)| (a[1] <= line) != (b[1] <= line))
                .map(|(a, b)| a[0] + (line - a[1]) / (b[1] - a[1]) * (b[0] - a[0]))
                .collect();
            crossings.sort_by(f64::total_cmp);
            for pair in crossings.chunks_exact(2) {
                let first = (pair[0] - 0.5).ceil().max(0.0) as usize;
                let end = ((pair[1] - 0.5).ceil().max(0.0) as usize).min(w);
                (first..end).for_each(|x| pixels[y * w + x] = 255);
                covered += end.saturating_sub(first);
            }
        }
        if covered == 0 {
            let pixel = |value: f64, side: usize| (value.max(0.0) as usize).min(side - 1);
            points.iter().for_each(|[x, y]| pixels[pixel(*y, h) * w + pixel(*x, w)] = 255);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(json: &str, image: &str) -> Result<Vec<String>, String> {
        let drawn = drawn(json.as_bytes(), Some(Path::new(image))).map_err(|problem| problem.to_string())?;
        let row = |row: &[u8]| row.iter().map(|&pixel| if pixel == 255 { '#' } else { '.' }).collect();
        Ok(drawn.chunks(drawn.width() as usize).map(row).collect())
    }

    fn label_me(shapes: &str) -> Result<Vec<String>, String> {
        rows(&format!(r#"{{"imageHeight": 4, "imageWidth": 6, "shapes": [{shapes}]}}"#), "a.png")
    }

    fn coco(annotation: &str) -> Result<Vec<String>, String> {
        let images = r#"[{"id": 3, "file_name": "x/a.png", "height": 4, "width": 6}]"#;
        rows(&format!(r#"{{"images": {images}, "annotations": [{annotation}]}}"#), "bad/a.png")
    }

    #[test]
    fn shapes_cover_the_pixels_whose_centre_they_hold() {
        let cases = [
            (
                r#"{"shape_type": "rectangle", "points": [[1, 1], [4, 3]]}"#,
                ["......", ".###..", ".###..", "......"],
            ),
            (
                r#"{"shape_type": "rectangle", "points": [[4, 3], [1, 1]]}"#,
                ["......", ".###..", ".###..", "......"],
            ),
            (r#"{"points": [[0, 0], [4, 0], [0, 4]]}"#, ["###...", "##....", "#.....", "......"]),
            (
                r#"{"shape_type": "circle", "points": [[3, 2], [3, 3.2]]}"#,
                ["......", "..##..", "..##..", "......"],
            ),
            (r#"{"points": [[0, 2.1], [2, 2.2], [4.9, 2.1]]}"#, ["......", "......", "#.#.#.", "......"]),
            ("", ["......"; 4]),
        ];
        for (shapes, want) in cases {
            assert_eq!(label_me(shapes), Ok(want.map(str::to_owned).to_vec()), "{shapes}");
        }
    }

    #[test]
    fn coco_polygons_runs_and_boxes() {
        let cases = [
            r#"{"image_id": 3, "segmentation": [[1, 1, 4, 1, 4, 3, 1, 3]]}"#,
            r#"{"image_id": 3, "bbox": [1, 1, 3, 2], "segmentation": []}"#,
            r#"{"image_id": 3, "segmentation": {"size": [4, 6], "counts": [5, 2, 2, 2, 2, 2, 9]}}"#,
            r#"{"image_id": 3, "bbox": [1, 1, 3, 2]}, {"image_id": 9, "bbox": [0, 0, 6, 4]}"#,
        ];
        for annotation in cases {
            let want = ["......", ".###..", ".###..", "......"].map(str::to_owned).to_vec();
            assert_eq!(coco(annotation), Ok(want), "{annotation}");
        }
        let json = r#"{"images": [{"id": 1, "file_name": "a.png", "height": 1, "width": 1},
            {"id": 2, "file_name": "b.png", "height": 1, "width": 1}], "annotations": [{"image_id": 2}]}"#;
        assert_eq!(coco_names(json.as_bytes()), Some(vec!["b.png".to_owned()]));
        assert_eq!(coco_names(br#"{"imageHeight": 1, "imageWidth": 1, "shapes": []}"#), None);
    }

    #[test]
    fn what_cannot_be_drawn_says_why() {
        let outside = r#"{"label": "dent", "points": [[0, 0], [9, 0], [0, 3]]}"#;
        let cases = [
            (label_me(outside), "shape 1 (dent) with a point at x 9, y 0, outside its image of 4x6"),
            (label_me(r#"{"shape_type": "line", "points": [[0, 0], [1, 1]]}"#), "of type line with 2 points"),
            (label_me(r#"{"points": [[0, 0], [1, null]]}"#), "expected"),
            (coco(r#"{"image_id": 3, "segmentation": {"size": [4, 6], "counts": "a0"}}"#), "packed runs"),
            (coco(r#"{"image_id": 3, "segmentation": {"size": [4, 6], "counts": [5, 2]}}"#), "do not cover"),
            (coco(r#"{"image_id": 3, "segmentation": [[1, 1, 4]]}"#), "a polygon of 3 numbers"),
            (coco(r#"{"image_id": 3}"#), "neither segmentation nor box"),
            (rows(r#"{"images": []}"#, "a.png"), "no image named a.png"),
            (rows(r#"{"imageHeight": 0, "imageWidth": 6, "shapes": []}"#, "a.png"), "an image of 0x6"),
            (rows(r#"{"images": "#, "a.png"), "EOF while parsing a value at line 1"),
            (rows("[1, 2]", "a.png"), "expected"),
        ];
        for (found, want) in cases {
            let error = found.expect_err(want);
            assert!(error.contains(want), "no `{want}` in: {error}");
        }
    }
}
