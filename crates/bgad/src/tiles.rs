//! Large images in tiles of the input size.
//!
//! ```text
//! along a side of L pixels, tiles of T with at least O in common, all beginning at multiples of s:
//!   R = s ⌈(L − T) / s⌉      n = 1 + ⌈R / (T − O)⌉ tiles      the i-th begins at i R / (n − 1), rounded down
//! w_i(x) = ramp of the distance to the tile's nearer inner edge: 0 within O/4 of it, 1 from 3O/4 on      borders of the image are no inner edges
//! map(y, x) = Σ_ij u_i(y) u_j(x) map_ij(y, x),   u_i = w_i / Σ_k w_k
//! ```
//!
//! Near its edges a tile has seen padding instead of the picture, so it says nothing there; between, tiles fade into each other. s is the
//! coarsest stride of the network: so every tile samples the picture at the same places. Where a tile reaches beyond the picture, its
//! edge goes on. Flows of tiles know no position: where a tile lies must not matter.

use std::ops::Range;
use std::path::PathBuf;

use crate::image::{BitDepth, ImageError, InputImage, InputSize, OriginalSize, Window};
use crate::score::AnomalyMap;

/// How images are cut into tiles.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tiling {
    /// Of a tile.
    pub size: InputSize,
    /// Pixels that neighbours have in common at least.
    pub overlap: usize,
    /// Tiles begin at multiples of it: the coarsest stride of the network.
    pub stride: usize,
}

/// A picture to learn from: a whole image, or a tile of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The file.
    pub path: PathBuf,
    /// Top left corner of the tile, `(row, column)`; `None` for the whole image, brought to the input size.
    pub corner: Option<(usize, usize)>,
}

impl Source {
    /// Reads it, at the input size.
    ///
    /// # Errors
    ///
    /// An [`ImageError`] that names the file.
    pub fn load(&self, size: InputSize, depth: BitDepth) -> Result<InputImage, ImageError> {
        match self.corner {
            None => Ok(InputImage::load_at(&self.path, Some(size), depth)?.0),
            Some(corner) => Ok(tile(&InputImage::load_at(&self.path, None, depth)?.0, corner, size)),
        }
    }
}

impl Tiling {
    /// Corners of all tiles of an image, row by row.
    pub(crate) fn corners(self, original: OriginalSize) -> Vec<(usize, usize)> {
        let columns = self.starts(original.width, self.size.width);
        let rows = self.starts(original.height, self.size.height);
        rows.into_iter().flat_map(|y| columns.iter().map(move |&x| (y, x))).collect()
    }

    /// Where tiles of `tile` pixels begin along a side of `len`.
    fn starts(self, len: usize, tile: usize) -> Vec<usize> {
        let Tiling { overlap, stride, .. } = self;
        if len <= tile {
            return vec![0];
        }
        let reach = (len - tile).next_multiple_of(stride);
        let step = ((tile - overlap) / stride * stride).max(stride);
        let gaps = reach.div_ceil(step);
        (0..=gaps).map(|i| i * reach / gaps / stride * stride).collect()
    }
}

/// The part of a tile that shows the image: all of it unless the tile reaches beyond.
pub(crate) fn window(original: OriginalSize, (top, left): (usize, usize), size: InputSize) -> Window {
    let (height, width) = (size.height.min(original.height - top), size.width.min(original.width - left));
    Window { top: 0, left: 0, height, width }
}

/// A tile of an image; beyond the image its edge goes on.
pub(crate) fn tile(image: &InputImage, (top, left): (usize, usize), size: InputSize) -> InputImage {
    let mut rgb_hwc = Vec::with_capacity(3 * size.pixels());
    for y in 0..size.height {
        let row = (top + y).min(image.height - 1) * image.width;
        for x in 0..size.width {
            let pixel = row + (left + x).min(image.width - 1);
            rgb_hwc.extend_from_slice(&image.rgb_hwc[3 * pixel..3 * pixel + 3]);
        }
    }
    InputImage { height: size.height, width: size.width, rgb_hwc }
}

/// Puts the map of an image together from those of its tiles.
pub(crate) struct Blend {
    map: AnomalyMap,
    rows: Vec<Share>,
    columns: Vec<Share>,
}

/// How much one row or column of tiles says about each pixel that it covers.
struct Share {
    pixels: Range<usize>,
    weights: Vec<f32>,
}

impl Blend {
    pub(crate) fn new(original: OriginalSize, tiling: Tiling) -> Blend {
        let OriginalSize { height: h, width: w } = original;
        Blend {
            map: AnomalyMap { nats: vec![0.0; h * w], h, w },
            rows: shares(h, tiling.size.height, tiling),
            columns: shares(w, tiling.size.width, tiling),
        }
    }

    /// Adds the map of tile `index`, in the order of [`Tiling::corners`].
    pub(crate) fn add(&mut self, index: usize, map: &AnomalyMap) {
        let (row, column) =
            (&self.rows[index / self.columns.len()], &self.columns[index % self.columns.len()]);
        for (i, (y, u)) in row.pixels.clone().zip(&row.weights).enumerate() {
            let start = y * self.map.w;
            let to = &mut self.map.nats[start + column.pixels.start..start + column.pixels.end];
            let from = &map.nats[i * map.w..];
            to.iter_mut().zip(from).zip(&column.weights).for_each(|((to, from), v)| *to += u * v * from);
        }
    }

    pub(crate) fn finish(self) -> AnomalyMap {
        self.map
    }
}

fn shares(len: usize, tile: usize, tiling: Tiling) -> Vec<Share> {
    let (starts, overlap) = (tiling.starts(len, tile), tiling.overlap);
    let (margin, ramp) = ((overlap / 4) as f32, (overlap - 2 * (overlap / 4)).max(1) as f32);
    let last = starts.len() - 1;
    let mut shares: Vec<Share> = starts
        .iter()
        .enumerate()
        .map(|(i, &start)| {
            let pixels = start..(start + tile).min(len);
            let weight = |at: usize| {
                let before = if i == 0 { f32::INFINITY } else { (at - start) as f32 + 0.5 };
                let after = if i == last { f32::INFINITY } else { (start + tile - at) as f32 - 0.5 };
                // Where all tiles are near an edge of theirs, some must still speak.
                ((before.min(after) - margin) / ramp).clamp(1e-6, 1.0)
            };
            let weights = pixels.clone().map(weight).collect();
            Share { pixels, weights }
        })
        .collect();
    let mut sums = vec![0.0; len];
    for share in &shares {
        sums[share.pixels.clone()].iter_mut().zip(&share.weights).for_each(|(sum, w)| *sum += w);
    }
    for share in &mut shares {
        share.weights.iter_mut().zip(&sums[share.pixels.clone()]).for_each(|(w, sum)| *w /= sum);
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tiling(overlap: usize, stride: usize) -> Tiling {
        Tiling { size: InputSize::square(64), overlap, stride }
    }

    #[test]
    fn tiles_cover_every_image_and_overlap_enough() {
        let lengths = [1, 63, 64, 65, 80, 127, 128, 400, 1000];
        for (len, stride) in lengths.into_iter().flat_map(|len| [8, 16, 32].map(|stride| (len, stride))) {
            let starts = tiling(16, stride).starts(len, 64);
            assert_eq!(starts[0], 0);
            let end = starts.last().map(|start| start + 64).expect("a tile");
            assert!(end >= len && (starts.len() == 1 || end < len + stride), "{len}: {starts:?}");
            assert!(starts.windows(2).all(|w| w[0] < w[1] && w[1] - w[0] <= 48), "{len}: {starts:?}");
            assert!(starts.iter().all(|start| start % stride == 0), "{len}: {starts:?}");
        }
        let found = tiling(16, 16).corners(OriginalSize { height: 70, width: 8 });
        assert_eq!(found, [(0, 0), (16, 0)]);
    }

    #[test]
    fn blended_tiles_of_one_picture_give_the_picture() {
        let tiling = tiling(24, 16);
        for (height, width) in [(64, 64), (9, 140), (133, 200), (7, 5)] {
            let value = |y: usize, x: usize| (y * 1000 + x) as f32;
            let original = OriginalSize { height, width };
            let mut blend = Blend::new(original, tiling);
            for (index, (top, left)) in tiling.corners(original).into_iter().enumerate() {
                let nats = (0..64 * 64).map(|i| value(top + i / 64, left + i % 64)).collect();
                blend.add(index, &AnomalyMap { nats, h: 64, w: 64 });
            }
            let map = blend.finish();
            for (i, found) in map.nats.iter().enumerate() {
                let want = value(i / width, i % width);
                assert!(
                    (found - want).abs() <= 1e-5 * want.max(1.0),
                    "{height}x{width}: {i}: {found} for {want}"
                );
            }
        }
    }

    #[test]
    fn what_a_tile_says_near_its_inner_edges_does_not_count() {
        let (original, tiling) = (OriginalSize { height: 64, width: 112 }, tiling(16, 16));
        let mut blend = Blend::new(original, tiling);
        // The first of two tiles shouts in its last four columns; the second knows better there.
        let mut nats = vec![1.0; 64 * 64];
        nats.chunks_mut(64).for_each(|row| row[60..].fill(1e3));
        blend.add(0, &AnomalyMap { nats, h: 64, w: 64 });
        assert_eq!(tiling.corners(original), [(0, 0), (0, 48)]);
        blend.add(1, &AnomalyMap { nats: vec![1.0; 64 * 64], h: 64, w: 64 });
        assert!(blend.finish().nats.iter().all(|&nats| (nats - 1.0).abs() < 0.01));
    }

    #[test]
    fn a_tile_beyond_the_image_repeats_its_edge() {
        let image = InputImage { height: 2, width: 1, rgb_hwc: vec![0.1, 0.2, 0.3, 0.4, 0.5, 0.6] };
        let found = tile(&image, (0, 0), InputSize { height: 3, width: 2, keep_aspect: false });
        assert_eq!(found.rgb_hwc[..6], [0.1, 0.2, 0.3, 0.1, 0.2, 0.3]);
        assert_eq!(found.rgb_hwc[12..], [0.4, 0.5, 0.6, 0.4, 0.5, 0.6]);
    }
}
