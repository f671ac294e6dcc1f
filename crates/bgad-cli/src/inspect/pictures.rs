//! The files that `bgad inspect --out` writes for an image.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use bgad::dataset::OVERLAY;
use bgad::detector::Inspection;
use bgad::overlay::{self, Look, Style};
use bgad::record::{Capture, Recipe};
use bgad::{Frame, durable};

use super::inputs::Input;
use crate::args::{MapFormat, PictureArgs, StyleArg};

/// What the files of an image are made from.
pub(super) struct Seen<'a> {
    pub(super) frame: &'a Frame,
    pub(super) inspection: &'a Inspection,
    pub(super) recipe: &'a Recipe,
}

/// Writes the files that were asked for and notes them in the capture; what could not be written is said.
pub(super) fn write(
    args: &PictureArgs,
    input: &Input,
    seen: &Seen<'_>,
    capture: &mut Capture,
) -> Vec<String> {
    let Some(out) = &args.out else { return Vec::new() };
    let mut unwritten = Vec::new();
    for &style in &args.style {
        let path = out.join(beside(&input.overlay, suffix(style, args.map_format)));
        let bytes = seen.bytes(style, args.map_format, capture);
        if let Err(error) = bytes.and_then(|bytes| Ok(put(&path, &bytes)?)) {
            unwritten.push(format!("cannot write {}: {error}", path.display()));
            continue;
        }
        let path = path.to_string_lossy().into_owned();
        match style {
            StyleArg::Map => capture.map = Some(path),
            StyleArg::Mask => capture.mask = Some(path),
            // The first picture is the one a record leads to.
            _ => capture.overlay = capture.overlay.take().or(Some(path)),
        }
    }
    unwritten
}

impl Seen<'_> {
    fn bytes(
        &self,
        style: StyleArg,
        format: MapFormat,
        capture: &Capture,
    ) -> Result<Vec<u8>, Box<dyn Error>> {
        let Seen { frame, inspection, recipe } = *self;
        let drawn = |style: Style| -> Result<Vec<u8>, Box<dyn Error>> {
            let look = Look { style, caption: Some(overlay::caption(recipe, capture)), ..Look::default() };
            Ok(overlay::draw(frame, inspection, recipe, &look)?.to_png()?)
        };
        match (style, format) {
            (StyleArg::Overlay, _) => drawn(Style::Overlay),
            (StyleArg::SideBySide, _) => drawn(Style::SideBySide),
            (StyleArg::Heat, _) => drawn(Style::Heat),
            (StyleArg::Mask, _) => Ok(overlay::mask(inspection, recipe.thresholds)?),
            (StyleArg::Map, MapFormat::Tiff) => Ok(overlay::map_tiff(&inspection.map)?),
            (StyleArg::Map, MapFormat::Npy) => Ok(overlay::map_npy(&inspection.map)),
        }
    }
}

fn suffix(style: StyleArg, format: MapFormat) -> &'static str {
    match (style, format) {
        (StyleArg::Overlay, _) => OVERLAY,
        (StyleArg::SideBySide, _) => ".side-by-side.png",
        (StyleArg::Heat, _) => ".heat.png",
        (StyleArg::Mask, _) => ".mask.png",
        (StyleArg::Map, MapFormat::Tiff) => ".map.tiff",
        (StyleArg::Map, MapFormat::Npy) => ".map.npy",
    }
}

/// The name of another file of the same image.
fn beside(overlay: &Path, suffix: &str) -> PathBuf {
    let name = overlay.to_string_lossy();
    match name.strip_suffix(OVERLAY) {
        // The overlay's own name may hold bytes that are no UTF-8.
        Some(stem) if suffix != OVERLAY => PathBuf::from(format!("{stem}{suffix}")),
        _ => overlay.to_owned(),
    }
}

fn put(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    durable::replace(path, bytes)
}
