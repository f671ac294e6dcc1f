//! LabelMe, and what X-AnyLabeling writes in its form.

use base64::Engine as _;
use serde::Deserialize;

use super::{Canvas, Mask, OriginalSize, wrong};
use crate::image::{ImageProblem, decode};

/// The labels of one image.
#[derive(Debug, Deserialize)]
pub(crate) struct LabelMe {
    #[serde(rename = "imageHeight", default)]
    height: Option<usize>,
    #[serde(rename = "imageWidth", default)]
    width: Option<usize>,
    shapes: Vec<Shape>,
}

#[derive(Debug, Deserialize)]
struct Shape {
    #[serde(default)]
    label: Option<String>,
    #[serde(default)]
    shape_type: Option<String>,
    points: Vec<[f64; 2]>,
    /// A small PNG, in Base64, that lies in the box of the two points.
    #[serde(default)]
    mask: Option<String>,
}

impl LabelMe {
    pub(super) fn drawn(&self, size: Option<OriginalSize>) -> Result<Mask, ImageProblem> {
        let mut canvas = Canvas::of(self.height, self.width, size)?;
        for (i, shape) in self.shapes.iter().enumerate() {
            shape.draw(i, &mut canvas)?;
        }
        Ok(canvas.finish())
    }
}

impl Shape {
    fn draw(&self, number: usize, canvas: &mut Canvas) -> Result<(), ImageProblem> {
        let kind = self.shape_type.as_deref().unwrap_or("polygon");
        let what = format!("shape {} ({})", number + 1, self.label.as_deref().unwrap_or_default());
        match (kind, self.points.as_slice()) {
            ("polygon", points) if points.len() >= 2 => canvas.polygon(points, &what),
            ("rectangle", [a, b]) => canvas.polygon(&[*a, [b[0], a[1]], *b, [a[0], b[1]]], &what),
            ("rectangle" | "rotation" | "oriented_rectangle" | "quadrilateral", points @ [_, _, _, _]) => {
                canvas.polygon(points, &what)
            }
            ("circle", [centre, rim]) => {
                let radius = (centre[0] - rim[0]).hypot(centre[1] - rim[1]);
                canvas.ellipse(*centre, [radius; 2], 0.0, &what)
            }
            ("mask", [corner, ..]) => {
                let mask =
                    self.mask.as_deref().ok_or_else(|| wrong(format!("{what} of type mask without one")))?;
                let corner = (corner[1].round() as i64, corner[0].round() as i64);
                canvas.paste(&embedded(mask, &what)?, corner, &what)
            }
            (kind, points) => Err(wrong(format!(
                "{what} of type {kind} with {} points, expected a polygon, a rectangle, a circle or a mask",
                points.len()
            ))),
        }
    }
}

fn embedded(base64: &str, what: &str) -> Result<Mask, ImageProblem> {
    let unreadable = |why: String| wrong(format!("{what} with a mask that cannot be read: {why}"));
    let bytes = base64::engine::general_purpose::STANDARD.decode(base64.trim());
    let bytes = bytes.map_err(|error| unreadable(error.to_string()))?;
    let decoded = decode(&bytes).map_err(|error| unreadable(error.to_string()))?;
    let size = OriginalSize::of(&decoded);
    Ok(Mask::from_decoded(&decoded, size.as_input()))
}
