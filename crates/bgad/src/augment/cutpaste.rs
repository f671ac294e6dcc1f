//! CutPaste: a real defect, varied, in a good image.
//!
//! ```text
//! (x, m) = op₃(op₂(op₁(anomalous image, its mask)))        three different kinds, drawn at random
//! y      = m ⊙ x + (1 − m) ⊙ host                          hard-edged; or blended, see `blend`
//! ```
//!
//! A Poisson blend can make a defect vanish: a mask that ends inside the dark of a hole takes the brightness of good
//! metal. What cannot be seen must not be taught, so such a defect is pasted with its edge.
//!
//! If less than 2/3 of `m` lies on the host's part, every 8-connected region of `m` moves, pixels and all, to a random
//! place on the part: its bounding box stays within the picture, and the box's centre lies on the part.

use rand::{Rng, RngExt as _};

use super::blend::{Blend, blended};
use super::{Host, Made, Operation, Recipe, indices, visible};
use crate::foreground::Foreground;
use crate::image::{InputImage, Mask};
use crate::metrics::regions::{self, Region};

/// How many operations change a defect before it is pasted.
const OPERATIONS: usize = 3;
/// Places tried for one region; the one with most of the region on the part is taken, the first if all of it is.
const TRIES: usize = 8;

/// Pastes the defect of `source` into `host`: operations drawn at random change image and mask together, then the
/// masked pixels go into the host. Returns the new image and the mask of the pasted pixels.
///
/// `None` if nothing would be pasted: the defect left the picture, or was so small that it fell between the pixels, or
/// the host has no foreground. The caller draws again; a source with a clean mask gives `None` every time.
///
/// # Panics
///
/// If the four sizes differ.
pub fn cut_paste(
    source: &InputImage,
    source_mask: &Mask,
    host: Host<'_>,
    blend: Blend,
    rng: &mut impl Rng,
) -> Option<Made> {
    if source_mask.is_clean() {
        return None;
    }
    let operations = Operation::draw_distinct(rng, OPERATIONS);
    let mut changed: Option<(InputImage, Mask)> = None;
    for operation in &operations {
        let (image, mask) = changed.as_ref().map_or((source, source_mask), |(image, mask)| (image, mask));
        changed = Some(operation.apply(image, mask));
    }
    let (image, mask) = changed?;
    let (image, mask) = paste(&image, &mask, host, blend, rng)?;
    Some(Made { image, mask, recipe: Recipe::CutPaste { operations } })
}

/// Puts the pixels of `image` under `mask` into `host`, moving them onto the foreground if most of them miss it.
/// `None` if the mask is clean or the host has no foreground.
///
/// # Panics
///
/// If the four sizes differ.
pub fn paste(
    image: &InputImage,
    mask: &Mask,
    host: Host<'_>,
    blend: Blend,
    rng: &mut impl Rng,
) -> Option<(InputImage, Mask)> {
    let size = host.size();
    assert_eq!((image.height, image.width), size, "source and host must have one size (height, width)");
    assert_eq!((mask.height, mask.width), size, "mask and host must have one size (height, width)");

    let part: Vec<usize> = indices(&host.foreground.inside).collect();
    let defect: Vec<usize> = indices(&mask.defective).collect();
    if part.is_empty() || defect.is_empty() {
        return None;
    }
    let on_part = defect.iter().filter(|&&pixel| host.foreground.inside[pixel] != 0).count();
    if 3 * on_part >= 2 * defect.len() {
        return Some((joined(host.image, image, mask, blend), mask.clone()));
    }

    let found = regions::label(&mask.defective, mask.height, mask.width);
    let moves: Vec<Move> = found
        .regions
        .iter()
        .zip(found.pixels())
        .map(|(region, pixels)| Move {
            to: place(region, &pixels, host.foreground, &part, rng),
            region,
            pixels,
        })
        .collect();
    let mut layer = host.image.clone();
    let mut pasted = Mask::clean(host.image.size());
    if blend == Blend::Poisson {
        // It compares with the pixels next to the defect, which come along and are covered by any defect of their own.
        moves.iter().for_each(|region| region.copy_surroundings(image, &mut layer));
    }
    for region in &moves {
        for &pixel in &region.pixels {
            let to = region.target(pixel, mask.width);
            layer.rgb_hwc[to * 3..][..3].copy_from_slice(&image.rgb_hwc[pixel * 3..][..3]);
            pasted.defective[to] = 1;
        }
    }
    Some((joined(host.image, &layer, &pasted, blend), pasted))
}

/// The host with the pixels of `layer` under `mask`, blended as asked unless that makes them invisible and an edge does not.
fn joined(host: &InputImage, layer: &InputImage, mask: &Mask, blend: Blend) -> InputImage {
    let image = blended(host, layer, mask, blend);
    if blend == Blend::Poisson && visible(host, &image, mask).is_none() {
        let edged = blended(host, layer, mask, Blend::Hard);
        return if visible(host, &edged, mask).is_some() { edged } else { image };
    }
    image
}

/// A region on its way to another place.
struct Move<'a> {
    region: &'a Region,
    /// Indices in the picture it comes from.
    pixels: Vec<usize>,
    /// The top left corner of its box there.
    to: (usize, usize),
}

impl Move<'_> {
    /// Where a pixel of the region goes.
    fn target(&self, pixel: usize, width: usize) -> usize {
        let (y, x) = (pixel / width - self.region.y_min, pixel % width - self.region.x_min);
        (self.to.0 + y) * width + self.to.1 + x
    }

    /// Copies the pixels beside the region; beyond the border of the source its last pixels are repeated.
    fn copy_surroundings(&self, source: &InputImage, layer: &mut InputImage) {
        let (h, w) = (source.height as isize, source.width as isize);
        for &pixel in &self.pixels {
            let to = self.target(pixel, source.width);
            for (dy, dx) in [(-1, 0), (1, 0), (0, -1), (0, 1)] {
                let beside = |i: usize| (i as isize / w + dy, i as isize % w + dx);
                let ((y, x), (to_y, to_x)) = (beside(pixel), beside(to));
                if (0..h).contains(&to_y) && (0..w).contains(&to_x) {
                    let from = (y.clamp(0, h - 1) * w + x.clamp(0, w - 1)) as usize;
                    let to = (to_y * w + to_x) as usize;
                    layer.rgb_hwc[to * 3..][..3].copy_from_slice(&source.rgb_hwc[from * 3..][..3]);
                }
            }
        }
    }
}

/// Where the top left corner of the region's box goes. `part` has the indices of the foreground's pixels.
fn place(
    region: &Region,
    pixels: &[usize],
    foreground: &Foreground,
    part: &[usize],
    rng: &mut impl Rng,
) -> (usize, usize) {
    let width = foreground.width;
    let (rows, columns) = (region.y_max - region.y_min + 1, region.x_max - region.x_min + 1);
    let (centre_y, centre_x) = (rows / 2, columns / 2);
    let (last_top, last_left) = (foreground.height - rows, width - columns);
    let fits = |pixel: usize| {
        let (y, x) = (pixel / width, pixel % width);
        (centre_y..=centre_y + last_top).contains(&y) && (centre_x..=centre_x + last_left).contains(&x)
    };
    let centres: Vec<usize> = part.iter().copied().filter(|&pixel| fits(pixel)).collect();
    // A region too large to be centred on the part anywhere comes as near as the picture's borders let it.
    let centres = if centres.is_empty() { part } else { &centres };

    let mut best = (0, (0, 0));
    for attempt in 0..TRIES {
        let pixel = centres[rng.random_range(0..centres.len())];
        let top = (pixel / width).saturating_sub(centre_y).min(last_top);
        let left = (pixel % width).saturating_sub(centre_x).min(last_left);
        let on_part = pixels.iter().filter(|&&pixel| {
            let (y, x) = (pixel / width - region.y_min, pixel % width - region.x_min);
            foreground.inside[(top + y) * width + left + x] != 0
        });
        let on_part = on_part.count();
        if attempt == 0 || on_part > best.0 {
            best = (on_part, (top, left));
        }
        if on_part == pixels.len() {
            break;
        }
    }
    best.1
}

#[cfg(test)]
mod tests;
