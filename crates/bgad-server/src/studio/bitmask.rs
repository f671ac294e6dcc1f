//! Masks on their way between browser and disk: one bit a pixel, in tiles, only those that hold something or have changed.
//!
//! ```text
//! "BGM1"  width: u32  height: u32  tiles: u32   then for each tile   x: u16  y: u16  512 bytes      (little-endian)
//! ```
//!
//! A tile is 64 x 64 pixels; its rows follow each other, 8 bytes each, the lowest bit of the first byte on the left.
//! Bits outside the picture are zero. On disk a mask is a grey 8-bit PNG of 0 and 255.

use std::collections::BTreeMap;
use std::io::{self, Cursor};

/// Side of a tile, pixels.
pub(super) const TILE: usize = 64;
/// Bytes of a tile.
const BYTES: usize = TILE * TILE / 8;
const MAGIC: &[u8; 4] = b"BGM1";
/// Longest side, the same as the library's for images.
const MAX_SIDE: usize = 16_384;

/// A mask of two values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bitmask {
    pub width: usize,
    pub height: usize,
    /// Row-major, 0 or 255.
    pub pixels: Vec<u8>,
}

/// Tiles as they travel.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Tiles {
    pub width: usize,
    pub height: usize,
    tiles: BTreeMap<(u16, u16), [u8; BYTES]>,
}

impl Tiles {
    /// Reads what a browser sent.
    ///
    /// # Errors
    ///
    /// A sentence that says what is wrong.
    pub(super) fn decode(bytes: &[u8]) -> Result<Tiles, String> {
        let number = |at: usize| {
            let four = bytes.get(at..at + 4).and_then(|four| four.try_into().ok());
            four.map(|four| u32::from_le_bytes(four) as usize).ok_or("the mask is cut off in its head")
        };
        if bytes.get(..4) != Some(MAGIC) {
            return Err("expected tiles of a mask, found something else".to_owned());
        }
        let (width, height, count) = (number(4)?, number(8)?, number(12)?);
        if !(1..=MAX_SIDE).contains(&width) || !(1..=MAX_SIDE).contains(&height) {
            return Err(format!("a mask has sides of 1 to {MAX_SIDE} pixels, found {width}x{height}"));
        }
        let body = &bytes[16..];
        if count.checked_mul(4 + BYTES) != Some(body.len()) {
            return Err(format!("expected {count} tiles, found {} bytes", body.len()));
        }
        let mut tiles = BTreeMap::new();
        for tile in body.chunks_exact(4 + BYTES) {
            let corner = |at: usize| u16::from_le_bytes([tile[at], tile[at + 1]]);
            let (x, y) = (corner(0), corner(2));
            if usize::from(x) * TILE >= width || usize::from(y) * TILE >= height {
                return Err(format!("tile {x},{y} lies outside a mask of {width}x{height}"));
            }
            tiles.insert((y, x), tile[4..].try_into().expect("chunks of this size"));
        }
        Ok(Tiles { width, height, tiles })
    }

    /// As bytes to be sent.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(16 + self.tiles.len() * (4 + BYTES));
        bytes.extend(MAGIC);
        for number in [self.width, self.height, self.tiles.len()] {
            bytes.extend((number as u32).to_le_bytes());
        }
        for ((y, x), tile) in &self.tiles {
            bytes.extend(x.to_le_bytes());
            bytes.extend(y.to_le_bytes());
            bytes.extend(tile);
        }
        bytes
    }

    /// The tiles of a mask that are not empty.
    pub(super) fn of(mask: &Bitmask) -> Tiles {
        let mut tiles: BTreeMap<(u16, u16), [u8; BYTES]> = BTreeMap::new();
        for (y, row) in mask.pixels.chunks_exact(mask.width).enumerate() {
            for (tx, run) in row.chunks(TILE).enumerate() {
                if run.iter().all(|&pixel| pixel == 0) {
                    continue;
                }
                let tile = tiles.entry(((y / TILE) as u16, tx as u16)).or_insert([0; BYTES]);
                for (x, _) in run.iter().enumerate().filter(|&(_, &pixel)| pixel != 0) {
                    tile[(y % TILE) * 8 + x / 8] |= 1 << (x % 8);
                }
            }
        }
        Tiles { width: mask.width, height: mask.height, tiles }
    }
}

impl Bitmask {
    /// Nothing marked.
    pub(super) fn empty(width: usize, height: usize) -> Bitmask {
        Bitmask { width, height, pixels: vec![0; width * height] }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pixels.iter().all(|&pixel| pixel == 0)
    }

    /// Replaces the tiles given.
    pub(super) fn apply(&mut self, tiles: &Tiles) {
        for (&(ty, tx), tile) in &tiles.tiles {
            let (left, top) = (usize::from(tx) * TILE, usize::from(ty) * TILE);
            let right = (left + TILE).min(self.width);
            for y in top..(top + TILE).min(self.height) {
                let row = &tile[(y - top) * 8..][..8];
                for x in left..right {
                    let bit = row[(x - left) / 8] >> ((x - left) % 8) & 1;
                    self.pixels[y * self.width + x] = 255 * bit;
                }
            }
        }
    }

    /// As a grey 8-bit PNG.
    pub(super) fn to_png(&self) -> io::Result<Vec<u8>> {
        use image::codecs::png::{CompressionType, FilterType, PngEncoder};
        use image::{ExtendedColorType, ImageEncoder as _};
        let mut bytes = Vec::new();
        PngEncoder::new_with_quality(Cursor::new(&mut bytes), CompressionType::Fast, FilterType::NoFilter)
            .write_image(&self.pixels, self.width as u32, self.height as u32, ExtendedColorType::L8)
            .map_err(io::Error::other)?;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn speckled(width: usize, height: usize) -> Bitmask {
        let pixels = (0..width * height).map(|i| if i % 7 == 3 || i % 191 < 5 { 255 } else { 0 }).collect();
        Bitmask { width, height, pixels }
    }

    #[test]
    fn a_mask_comes_back_from_its_tiles() {
        for (width, height) in [(1, 1), (64, 64), (65, 63), (200, 130)] {
            let mask = speckled(width, height);
            let sent = Tiles::of(&mask).encode();
            let mut back = Bitmask::empty(width, height);
            back.apply(&Tiles::decode(&sent).expect("whole"));
            assert_eq!(back, mask, "{width}x{height}");
        }
        assert!(Tiles::of(&Bitmask::empty(300, 300)).tiles.is_empty());
    }

    #[test]
    fn a_tile_of_zeros_erases() {
        let mut mask = speckled(64, 64);
        let tiles = BTreeMap::from([((0, 0), [0; BYTES])]);
        mask.apply(&Tiles { width: 64, height: 64, tiles });
        assert!(mask.is_empty());
    }

    #[test]
    fn tiles_that_do_not_fit_are_refused() {
        let sound = Tiles::of(&speckled(65, 63)).encode();
        assert!(Tiles::decode(&sound[..sound.len() - 1]).is_err());
        assert!(Tiles::decode(b"PNG").is_err());
        let with = |at: usize, value: u8| {
            let mut bytes = sound.clone();
            bytes[at] = value;
            Tiles::decode(&bytes)
        };
        assert!(with(4, 0).is_err(), "the second tile is outside a width of 0");
        assert!(with(16, 9).is_err(), "tile 9 is outside");
        assert!(with(12, 200).is_err(), "fewer tiles than the head says");
    }

    #[test]
    fn the_png_is_grey_of_eight_bit() {
        let mask = speckled(65, 63);
        let read = image::load_from_memory(&mask.to_png().expect("encoded")).expect("a PNG");
        assert_eq!(read.color(), image::ColorType::L8);
        assert_eq!(read.into_luma8().into_raw(), mask.pixels);
    }
}
