//! CutPaste: a real defect, varied, in a good image.
//!
//! ```text
//! (x, m) = op₃(op₂(op₁(anomalous image, its mask)))        three different kinds, drawn at random
//! y      = m ⊙ x + (1 − m) ⊙ host                          hard-edged: nothing outside m changes by a bit
//! ```
//!
//! If less than 2/3 of `m` lies on the host's part, every 8-connected region of `m` moves, pixels and all, to a random
//! place on the part: its bounding box stays within the picture, and the box's centre lies on the part.

use rand::{Rng, RngExt as _};

use super::Operation;
use crate::foreground::Foreground;
use crate::foreground::regions::{self, Region};
use crate::image::{InputImage, Mask};

/// How many operations change a defect before it is pasted.
const OPERATIONS: usize = 3;
/// Places tried for one region; the one with most of the region on the part is taken, the first if all of it is.
const TRIES: usize = 8;

/// Pastes the defect of `source` into `host`: operations drawn at random change image and mask together, then the
/// masked pixels are copied into the host. Returns the new image and the mask of the pasted pixels.
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
    host: &InputImage,
    host_foreground: &Foreground,
    rng: &mut impl Rng,
) -> Option<(InputImage, Mask)> {
    if source_mask.is_clean() {
        return None;
    }
    let mut changed: Option<(InputImage, Mask)> = None;
    for operation in Operation::draw_distinct(rng, OPERATIONS) {
        let (image, mask) = changed.as_ref().map_or((source, source_mask), |(image, mask)| (image, mask));
        changed = Some(operation.apply(image, mask));
    }
    let (image, mask) = changed?;
    paste(&image, &mask, host, host_foreground, rng)
}

/// Copies the pixels of `image` under `mask` into `host`, moving them onto the foreground if most of them miss it.
/// `None` if the mask is clean or the host has no foreground.
///
/// # Panics
///
/// If the four sizes differ.
pub fn paste(
    image: &InputImage,
    mask: &Mask,
    host: &InputImage,
    host_foreground: &Foreground,
    rng: &mut impl Rng,
) -> Option<(InputImage, Mask)> {
    let size = (host.height, host.width);
    assert_eq!((image.height, image.width), size, "source and host must have one size (height, width)");
    assert_eq!((mask.height, mask.width), size, "mask and host must have one size (height, width)");
    let foreground_size = (host_foreground.height, host_foreground.width);
    assert_eq!(foreground_size, size, "foreground and host must have one size (height, width)");

    let part: Vec<usize> = indices(&host_foreground.inside).collect();
    let defect: Vec<usize> = indices(&mask.defective).collect();
    if part.is_empty() || defect.is_empty() {
        return None;
    }
    let mut result = host.clone();
    let mut pasted = Mask::clean(host.size());
    let mut copy = |from: usize, to: usize| {
        result.rgb_hwc[to * 3..][..3].copy_from_slice(&image.rgb_hwc[from * 3..][..3]);
        pasted.defective[to] = 1;
    };
    let on_part = defect.iter().filter(|&&pixel| host_foreground.inside[pixel] != 0).count();
    if 3 * on_part >= 2 * defect.len() {
        defect.iter().for_each(|&pixel| copy(pixel, pixel));
    } else {
        for region in regions::eight_connected(&mask.defective, mask.height, mask.width) {
            let (top, left) = place(&region, host_foreground, &part, rng);
            region.pixels.iter().for_each(|&pixel| {
                let (y, x) = (pixel / host.width - region.top, pixel % host.width - region.left);
                copy(pixel, (top + y) * host.width + left + x);
            });
        }
    }
    Some((result, pasted))
}

/// Where the top left corner of the region's box goes. `part` has the indices of the foreground's pixels.
fn place(region: &Region, foreground: &Foreground, part: &[usize], rng: &mut impl Rng) -> (usize, usize) {
    let width = foreground.width;
    let (centre_y, centre_x) = (region.height / 2, region.width / 2);
    let (last_top, last_left) = (foreground.height - region.height, width - region.width);
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
        let on_part = region.pixels.iter().filter(|&&pixel| {
            let (y, x) = (pixel / width - region.top, pixel % width - region.left);
            foreground.inside[(top + y) * width + left + x] != 0
        });
        let on_part = on_part.count();
        if attempt == 0 || on_part > best.0 {
            best = (on_part, (top, left));
        }
        if on_part == region.pixels.len() {
            break;
        }
    }
    best.1
}

/// The places of the ones.
fn indices(mask: &[u8]) -> impl Iterator<Item = usize> + '_ {
    mask.iter().enumerate().filter(|(_, pixel)| **pixel != 0).map(|(i, _)| i)
}

#[cfg(test)]
mod tests;
