//! Contact sheets: numbered cells of pictures side by side.

use bgad::image::InputImage;
use image::imageops::{self, FilterType};
use image::{Rgb, RgbImage};

/// Longest side of a picture on the sheet, pixels.
const TILE: f64 = 160.0;
/// Height of the line with a cell's number.
const LINE: u32 = 14;
/// Between pictures, and between cells.
const GAP: u32 = 2;
const CELL_GAP: u32 = 12;
/// The sheet gets so wide at most.
const WIDTH: u32 = 1500;

const PAPER: Rgb<u8> = Rgb([250, 250, 248]);
const INK: Rgb<u8> = Rgb([70, 74, 80]);
/// Outlines; no part is of this colour.
const OUTLINE: Rgb<u8> = Rgb([236, 0, 140]);

/// `0` to `9` in 3 x 5 pixels, row by row, the leftmost pixel in the highest of three bits.
const DIGITS: [[u8; 5]; 10] = [
    [7, 5, 5, 5, 7],
    [2, 6, 2, 2, 7],
    [7, 1, 7, 4, 7],
    [7, 1, 7, 1, 7],
    [5, 5, 7, 1, 1],
    [7, 4, 7, 1, 7],
    [7, 4, 7, 5, 7],
    [7, 1, 2, 2, 2],
    [7, 5, 7, 5, 7],
    [7, 5, 7, 1, 7],
];

/// A picture for the sheet: the image, reduced or enlarged.
pub(crate) fn tile(image: &InputImage) -> RgbImage {
    let (w, h) = (image.width as u32, image.height as u32);
    let picture = RgbImage::from_raw(w, h, image.to_rgb8()).expect("one colour per pixel");
    let (w, h) = tile_size(image.width, image.height);
    imageops::resize(&picture, w, h, FilterType::Triangle)
}

/// The same with a line around what is 1 in `mask`, `[h, w]` of the image.
pub(crate) fn outlined(image: &InputImage, mask: &[u8]) -> RgbImage {
    let mut picture = tile(image);
    let (w, h) = picture.dimensions();
    let inside = |x: i64, y: i64| {
        let (x, y) = (x.clamp(0, i64::from(w) - 1) as usize, y.clamp(0, i64::from(h) - 1) as usize);
        mask[y * image.height / h as usize * image.width + x * image.width / w as usize] != 0
    };
    for (x, y, pixel) in picture.enumerate_pixels_mut() {
        let (x, y) = (i64::from(x), i64::from(y));
        // Outside of it, so that thin defects stay visible.
        if !inside(x, y) && (-1..=1).any(|dy| (-1..=1).any(|dx| inside(x + dx, y + dy))) {
            *pixel = OUTLINE;
        }
    }
    picture
}

/// The same with what is 0 in `mask` faded out.
pub(crate) fn faded(image: &InputImage, mask: &[u8]) -> RgbImage {
    let mut faded = image.clone();
    for (rgb, inside) in faded.rgb_hwc.as_chunks_mut::<3>().0.iter_mut().zip(mask) {
        if *inside == 0 {
            *rgb = rgb.map(|value| 0.75 + 0.2 * value);
        }
    }
    outlined(&faded, mask)
}

fn tile_size(width: usize, height: usize) -> (u32, u32) {
    let scale = TILE / width.max(height).max(1) as f64;
    let side = |n: usize| ((n as f64 * scale).round() as u32).max(1);
    (side(width), side(height))
}

/// Lays out cells of pictures, all of one size, row by row, numbered from 1.
pub(crate) fn sheet(cells: &[Vec<RgbImage>]) -> RgbImage {
    let first = cells.first().and_then(|cell| cell.first());
    let (w, h) = first.map_or((1, 1), RgbImage::dimensions);
    let pictures = cells.iter().map(Vec::len).max().unwrap_or(1) as u32;
    let cell_width = pictures * (w + GAP) + CELL_GAP;
    let columns = (WIDTH / cell_width).clamp(1, cells.len().max(1) as u32);
    let rows = (cells.len() as u32).div_ceil(columns);
    let cell_height = h + LINE + CELL_GAP;
    let mut paper =
        RgbImage::from_pixel(columns * cell_width + CELL_GAP, rows * cell_height + CELL_GAP, PAPER);
    for (i, cell) in cells.iter().enumerate() {
        let (row, column) = (i as u32 / columns, i as u32 % columns);
        let (x, y) = (CELL_GAP + column * cell_width, CELL_GAP + row * cell_height);
        number(&mut paper, x, y, i + 1);
        for (k, picture) in cell.iter().enumerate() {
            let x = x + k as u32 * (w + GAP);
            imageops::replace(&mut paper, picture, x.into(), (y + LINE).into());
        }
    }
    paper
}

/// Writes a number, each pixel of a digit twice as large.
fn number(paper: &mut RgbImage, x: u32, y: u32, number: usize) {
    for (i, digit) in number.to_string().bytes().enumerate() {
        for (row, bits) in DIGITS[usize::from(digit - b'0')].iter().enumerate() {
            for column in (0..3).filter(|column| bits >> (2 - column) & 1 == 1) {
                let at = (x + 8 * i as u32 + 2 * column, y + 2 * row as u32);
                [(0, 0), (1, 0), (0, 1), (1, 1)]
                    .iter()
                    .for_each(|(dx, dy)| paper.put_pixel(at.0 + dx, at.1 + dy, INK));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(height: usize, width: usize) -> InputImage {
        InputImage { height, width, rgb_hwc: vec![0.5; height * width * 3] }
    }

    #[test]
    fn tiles_keep_proportions_and_outlines_lie_outside() {
        assert_eq!(tile(&image(64, 32)).dimensions(), (80, 160));
        let mut mask = vec![0; 32 * 32];
        mask[5 * 32 + 7] = 1;
        let picture = outlined(&image(32, 32), &mask);
        // Pixel (5, 7) is five pixels wide on the sheet.
        let line: Vec<(u32, u32)> =
            picture.enumerate_pixels().filter(|p| *p.2 == OUTLINE).map(|p| (p.0, p.1)).collect();
        assert_eq!(line.len(), 7 * 7 - 5 * 5);
        assert!(line.iter().all(|&(x, y)| (34..=40).contains(&x) && (24..=30).contains(&y)), "{line:?}");
    }

    #[test]
    fn sheets_have_room_for_every_cell() {
        for n in [0, 1, 4, 9, 33] {
            let cell = vec![tile(&image(16, 16)); 3];
            let sheet = sheet(&vec![cell; n]);
            assert!(sheet.width() <= WIDTH + 2 * CELL_GAP);
            let grey = sheet.pixels().filter(|pixel| pixel.0 == [128; 3]).count();
            assert_eq!(grey, n * 3 * 160 * 160);
        }
    }
}
