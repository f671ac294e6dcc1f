//! The picture of a result: what the verdict says, where, and how much.
//!
//! ```text
//! fill       what the map flags (above the OK threshold), in the colour of its value, translucent: the defect stays visible
//! outline    round everything flagged, white with a dark casing; numbers and boxes on the first regions of the record
//! frame      in the colour of the verdict, with the words "whole image", where the image is flagged and no place of it alone
//! footer     verdict, score and thresholds, the score in words, the colour scale with its ticks, a caption
//! ```
//!
//! A picture has an outline exactly if the map flags something, so it never contradicts the verdict. Colours hang on the
//! [`ColourScale`] of the model, which no calibration moves: the same colour means the same number of nats in every picture
//! of a model. What a calibration moves is the outline, and the marks on the scale.
//!
//! ```no_run
//! use bgad::overlay::{self, Look};
//! use bgad::record::Recipe;
//! use bgad::{Detector, Frame};
//!
//! let detector = Detector::open("lid.bgad".as_ref())?;
//! let recipe = Recipe::of("lid.bgad", &std::fs::read("lid.bgad")?, detector.header());
//! let frame = Frame::open("photo.png".as_ref())?;
//! let inspection = detector.inspect(&frame)?;
//! let picture = overlay::draw(&frame, &inspection, &recipe, &Look::default())?;
//! std::fs::write("photo.overlay.png", picture.to_png()?)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod canvas;
mod export;
mod footer;
mod picture;
mod scale;
mod text;

use std::path::Path;

use crate::detector::Inspection;
use crate::frame::Frame;
use crate::image::{ImageError, InputImage, InputSize, OriginalSize};
use crate::record::{Capture, Recipe, rfc3339};
use crate::verdict::{Thresholds, Verdict};

use canvas::{Canvas, Rect, mixed};
use footer::Footer;
use text::Text;

pub use export::{map_npy, map_tiff, mask};
pub use picture::{Picture, PictureError};
pub use scale::{ColourScale, Tick};

/// A colour, red, green and blue from 0 to 255.
type Rgb = [f32; 3];

/// A picture is at least so wide, pixels: small images are enlarged so that text fits beneath them, or lines on them.
const MIN_WIDTH: f64 = 512.0;
const MIN_WIDTH_BARE: f64 = 256.0;
/// Regions that get a box and their number.
const BOXES: usize = 3;
/// Digits of the model's hash that tell it from the user's other models.
const SHORT_HASH: usize = 8;
/// How much of its colour the image loses, so that the fill is told from what the part is painted with.
const GREYED: f32 = 0.45;
/// Opacity of the fill at the low and at the high end of the scale.
const FILL: [f32; 2] = [0.24, 0.38];
/// How much of the image shines through in [`Style::Heat`].
const SHINE: f32 = 0.35;

const WHITE: Rgb = [255.0, 255.0, 255.0];
const CASING: Rgb = [16.0, 22.0, 30.0];
/// Blue, since the scale has none.
const BOX: Rgb = [64.0, 186.0, 240.0];

/// What is drawn of an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Style {
    /// The image with what is flagged filled and outlined.
    #[default]
    Overlay,
    /// The untouched image beside its overlay; beneath it where that is more compact.
    SideBySide,
    /// The whole map in colour over a pale image: also what lies below the thresholds.
    Heat,
}

/// How a picture is made.
#[derive(Clone, Debug, PartialEq)]
pub struct Look {
    /// What is drawn.
    pub style: Style,
    /// Whether verdict, score and colour scale stand beneath it.
    pub footer: bool,
    /// The last line of the footer: which part, which model, when.
    pub caption: Option<String>,
    /// The image in the picture has no longer side, pixels; at least 32.
    pub longest_side: usize,
}

impl Default for Look {
    fn default() -> Look {
        Look { style: Style::Overlay, footer: true, caption: None, longest_side: 2048 }
    }
}

/// The picture of an inspection of `frame` with this recipe.
///
/// # Errors
///
/// An [`ImageError`] if the frame has floating-point samples outside `[0, 1]`.
pub fn draw(
    frame: &Frame,
    inspection: &Inspection,
    recipe: &Recipe,
    look: &Look,
) -> Result<Picture, ImageError> {
    let (width, height) = picture_size(frame.size(), look);
    let image = photograph(frame, width, height)?;
    let scale = ColourScale::of(&recipe.normal_scores);
    let scene = Scene { inspection, thresholds: recipe.thresholds, scale, original: frame.size() };
    let mut panels = Vec::new();
    if look.style == Style::SideBySide {
        panels.push(image.clone());
    }
    panels.push(match look.style {
        Style::Heat => scene.heat(image),
        Style::Overlay | Style::SideBySide => scene.overlay(image),
    });
    let mut picture = joined(panels);
    if look.footer {
        let footer = Footer {
            verdict: inspection.verdict,
            score: inspection.score,
            whole_image: inspection.whole_image,
            recipe,
            scale,
            caption: look.caption.as_deref(),
        };
        picture = footer.beneath(picture);
    }
    Ok(picture.finish())
}

/// What stands in the last line of a footer: which part, which file, which model, when.
pub fn caption(recipe: &Recipe, capture: &Capture) -> String {
    let part = capture.part_id.as_ref().map(|id| format!("Part {id}"));
    let file =
        capture.file.as_deref().and_then(|file| Path::new(file).file_name()?.to_str()).map(str::to_owned);
    let sha256 = &recipe.model.sha256;
    let model = format!("{} {}", recipe.model.name, sha256.get(..SHORT_HASH).unwrap_or(sha256));
    // Seconds are enough for people, and UTC is what the record says.
    let time = capture.created.map(|time| format!("{}Z", &rfc3339(time)[..19].replace('T', " ")));
    let parts: Vec<String> = [part, file, Some(model), time].into_iter().flatten().collect();
    parts.join("  |  ")
}

/// The image of a frame as it is, with no side longer than `longest_side` pixels, in the size that [`draw`] has
/// without a footer.
///
/// # Errors
///
/// As [`draw`].
pub fn plain(frame: &Frame, longest_side: usize) -> Result<Picture, ImageError> {
    let (width, height) =
        picture_size(frame.size(), &Look { footer: false, longest_side, ..Look::default() });
    Ok(photograph(frame, width, height)?.finish())
}

/// The colours of a scale from left to right, of this size, with a mark at each threshold.
pub fn legend(scale: ColourScale, thresholds: Thresholds, width: usize, height: usize) -> Picture {
    let mut canvas = Canvas::filled(width, height, WHITE);
    footer::bar(&mut canvas, Rect { left: 0, top: 0, width, height }, scale, thresholds);
    canvas.finish()
}

/// Width and height of the image in a picture.
fn picture_size(original: OriginalSize, look: &Look) -> (usize, usize) {
    let (w, h) = (original.width.max(1) as f64, original.height.max(1) as f64);
    let most = look.longest_side.max(32) as f64;
    let wanted = if look.footer { MIN_WIDTH } else { MIN_WIDTH_BARE };
    let enlarge = (wanted / w).max(1.0).min(most / w.max(h));
    let side = |side: f64| ((side * enlarge).round() as usize).max(1);
    (side(w), side(h))
}

/// The pixels of a frame at this size.
fn photograph(frame: &Frame, width: usize, height: usize) -> Result<Canvas, ImageError> {
    let size = InputSize { height, width, keep_aspect: false };
    let image = InputImage::from_decoded(frame.pixels(), size)?;
    // A camera of 12 bit leaves most of 16 bit dark. Shown as it is, the picture would be black.
    let highest = image.rgb_hwc.iter().copied().fold(0.0, f32::max);
    let dark = frame.is_deep() && highest > 0.0 && highest < 0.25;
    let gain = if dark { 1.0 / highest } else { 1.0 };
    let pixels = image.rgb_hwc.as_chunks::<3>().0.iter().map(|rgb| rgb.map(|value| value * gain * 255.0));
    Ok(Canvas { pixels: pixels.collect(), width, height })
}

/// What is drawn over an image.
struct Scene<'a> {
    inspection: &'a Inspection,
    thresholds: Thresholds,
    scale: ColourScale,
    original: OriginalSize,
}

impl Scene<'_> {
    fn overlay(&self, image: Canvas) -> Canvas {
        let mut canvas = image;
        let (width, height) = (canvas.width, canvas.height);
        canvas.pixels.iter_mut().for_each(|pixel| *pixel = greyed(*pixel));
        let map = &self.inspection.map;
        let mut nats = canvas::enlarged(&map.nats, (map.w, map.h), (width, height));
        let flagged = self.flagged(&mut nats, width, height);
        for ((pixel, &nats), &flagged) in canvas.pixels.iter_mut().zip(&nats).zip(&flagged) {
            if flagged {
                let [low, high] = FILL;
                let opacity = low + (high - low) * self.scale.position(nats);
                *pixel = mixed(*pixel, self.scale.colour(nats), opacity);
            }
        }
        let line = (width.max(height) / 500).clamp(1, 3);
        canvas.outline(&flagged, line, WHITE, CASING);
        for (i, region) in self.inspection.regions.iter().take(BOXES).enumerate() {
            self.boxed(&mut canvas, region, i + 1, line);
        }
        if self.inspection.whole_image {
            self.framed(&mut canvas);
        }
        canvas
    }

    fn heat(&self, image: Canvas) -> Canvas {
        let mut canvas = image;
        let map = &self.inspection.map;
        let nats = canvas::enlarged(&map.nats, (map.w, map.h), (canvas.width, canvas.height));
        for (pixel, &nats) in canvas.pixels.iter_mut().zip(&nats) {
            let grey = luma(*pixel);
            // The part stays recognisable as a shade of the colour; the colour keeps its hue.
            let shade = 1.0 - SHINE * (1.0 - grey / 255.0);
            *pixel = self.scale.ramp(nats).map(|c| c * shade);
        }
        if self.inspection.whole_image {
            self.framed(&mut canvas);
        }
        canvas
    }

    /// Which pixels of a picture are flagged. Every flagged value of the map is, however small the picture.
    fn flagged(&self, nats: &mut [f32], width: usize, height: usize) -> Vec<bool> {
        let is_flagged = |nats: f32| self.thresholds.verdict(nats) != Verdict::Ok;
        let map = &self.inspection.map;
        // Interpolation lowers the peak of a lone pixel; its middle keeps it.
        for (i, &value) in map.nats.iter().enumerate().filter(|(_, nats)| is_flagged(**nats)) {
            let (y, x) = (i / map.w, i % map.w);
            let (y, x) = ((2 * y + 1) * height / (2 * map.h), (2 * x + 1) * width / (2 * map.w));
            let here = &mut nats[y * width + x];
            // What is not a number is the worst there is.
            if !here.is_nan() && (value.is_nan() || value > *here) {
                *here = value;
            }
        }
        nats.iter().map(|&nats| is_flagged(nats)).collect()
    }

    /// A box round a region, with its number in the record.
    fn boxed(&self, canvas: &mut Canvas, region: &crate::verdict::DefectRegion, number: usize, line: usize) {
        let (w, h) = (self.original.width.max(1), self.original.height.max(1));
        let margin = 4 * line;
        let left = (region.x * canvas.width / w).saturating_sub(margin);
        let top = (region.y * canvas.height / h).saturating_sub(margin);
        let right = ((region.x + region.width) * canvas.width).div_ceil(w) + margin;
        let bottom = ((region.y + region.height) * canvas.height).div_ceil(h) + margin;
        let (right, bottom) = (right.min(canvas.width), bottom.min(canvas.height));
        let rect = Rect { left, top, width: right.saturating_sub(left), height: bottom.saturating_sub(top) };
        canvas.frame(rect.grown(1), line + 2, CASING);
        canvas.frame(rect, line, BOX);
        let text = Text::new(unit(canvas.width) * 0.85);
        let label = number.to_string();
        let (width, height) = (text.width(&label) as usize + 6, text.line_height() as usize);
        // Above the box where there is room, else inside it.
        let above = top.checked_sub(height).unwrap_or(top);
        let tag = Rect { left: left.min(canvas.width.saturating_sub(width)), top: above, width, height };
        canvas.fill(tag, BOX);
        text.draw(canvas, &label, tag.left as f32 + 3.0, tag.top as f32, CASING);
    }

    /// The frame and the words of an image that is flagged as a whole.
    fn framed(&self, canvas: &mut Canvas) {
        let colour = footer::verdict_colours(self.inspection.verdict).0;
        let all = Rect { left: 0, top: 0, width: canvas.width, height: canvas.height };
        let line = (canvas.width.min(canvas.height) / 40).clamp(3, 24);
        canvas.frame(all, line, colour);
        let text = Text::new(unit(canvas.width));
        let words = "WHOLE IMAGE";
        let (width, height) = (text.width(words) as usize + 2 * line, text.line_height() as usize + line);
        if width < canvas.width && height < canvas.height {
            canvas.fill(Rect { left: 0, top: 0, width, height }, colour);
            text.draw(
                canvas,
                words,
                line as f32,
                line as f32 * 0.75,
                footer::verdict_colours(self.inspection.verdict).1,
            );
        }
    }
}

/// Size of text in a picture of this width, pixels.
fn unit(width: usize) -> f32 {
    (width as f32 / 32.0).clamp(11.0, 40.0)
}

/// Rec. 601 luma, as in every grey-scale conversion of sRGB values.
fn luma(rgb: Rgb) -> f32 {
    0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2]
}

fn greyed(rgb: Rgb) -> Rgb {
    let grey = luma(rgb);
    rgb.map(|c| c + GREYED * (grey - c))
}

/// Panels of one size in one picture: side by side, or beneath each other if they are much wider than high.
fn joined(mut panels: Vec<Canvas>) -> Canvas {
    let gap = 6;
    if panels.len() == 1 {
        return panels.remove(0);
    }
    let (w, h, n) = (panels[0].width, panels[0].height, panels.len());
    let stacked = 2 * w > 3 * h;
    let (width, height) = if stacked { (w, n * h + (n - 1) * gap) } else { (n * w + (n - 1) * gap, h) };
    let mut all = Canvas::filled(width, height, footer::PAPER);
    for (i, panel) in panels.iter().enumerate() {
        let (left, top) = if stacked { (0, i * (h + gap)) } else { (i * (w + gap), 0) };
        all.paste(panel, left, top);
    }
    all
}

#[cfg(test)]
mod tests;
