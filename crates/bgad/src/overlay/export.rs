//! Maps and masks for further processing: exact values, no colours.

use std::io::Cursor;

use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder as _};
use tiff::encoder::{TiffEncoder, colortype::Gray32Float};

use super::picture::PictureError;
use crate::detector::Inspection;
use crate::image::marked_as_result;
use crate::score::AnomalyMap;
use crate::verdict::{Thresholds, Verdict};

/// The bytes of a TIFF file of the map: one channel of 32-bit floats, nats, at the size of the map.
///
/// # Errors
///
/// A [`tiff::TiffError`], in words, if the map has no pixels or too many for the format.
pub fn map_tiff(map: &AnomalyMap) -> Result<Vec<u8>, std::io::Error> {
    let mut bytes = Cursor::new(Vec::new());
    let (width, height) = (map.w as u32, map.h as u32);
    TiffEncoder::new(&mut bytes)
        .and_then(|mut file| file.write_image::<Gray32Float>(width, height, &map.nats))
        .map_err(std::io::Error::other)?;
    Ok(bytes.into_inner())
}

/// The bytes of an NPY file (NumPy, version 1.0) of the map: `[height, width]`, `float32`, nats, at the size of the map.
pub fn map_npy(map: &AnomalyMap) -> Vec<u8> {
    let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}, {}), }}", map.h, map.w);
    // Magic, version and length are ten bytes; the values begin at a multiple of 64.
    let length = (10 + header.len() + 1).next_multiple_of(64) - 10;
    header.push_str(&" ".repeat(length - header.len() - 1));
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.bytes());
    bytes.extend(map.nats.iter().flat_map(|nats| nats.to_le_bytes()));
    bytes
}

/// The bytes of a PNG file of what is flagged: 255 there and 0 elsewhere, one channel, at the size of the original image.
///
/// A pixel of the original is flagged if any value of the map that reaches into it is. So the mask has a pixel exactly if
/// the map has, and its bounding boxes are those of the regions. It is black where the image is flagged as a whole.
///
/// # Errors
///
/// A [`PictureError`] if a side is zero.
pub fn mask(inspection: &Inspection, thresholds: Thresholds) -> Result<Vec<u8>, PictureError> {
    let (map, height, width) = (&inspection.map, inspection.original.height, inspection.original.width);
    let flagged: Vec<bool> = map.nats.iter().map(|&n| thresholds.verdict(n) != Verdict::Ok).collect();
    // The values of the map that reach into pixel i of the original.
    let reach = |i: usize, map: usize, original: usize| {
        let first = i * map / original;
        first..((i + 1) * map).div_ceil(original)
    };
    let columns: Vec<_> = (0..width).map(|x| reach(x, map.w, width)).collect();
    let mut pixels = Vec::with_capacity(width * height);
    for y in 0..height {
        let rows = reach(y, map.h, height);
        let row: Vec<bool> = (0..map.w).map(|x| rows.clone().any(|y| flagged[y * map.w + x])).collect();
        pixels
            .extend(columns.iter().map(|columns| if row[columns.clone()].contains(&true) { 255 } else { 0 }));
    }
    let mut bytes = Vec::new();
    PngEncoder::new(&mut bytes)
        .write_image(&pixels, width as u32, height as u32, ExtendedColorType::L8)
        .map_err(|source| PictureError { width, height, source })?;
    Ok(marked_as_result(bytes))
}
