//! Images as the flows see them: features encoded once, masks brought to the grids.

use std::path::PathBuf;

use rayon::prelude::*;

use super::store::Features;
use crate::backbone::{Backbone, Workspace};
use crate::dataset::{Sample, content_hash};
use crate::image::{ImageError, InputImage, InputSize, Mask};
use crate::pyramid::Pyramid;

/// One image, encoded.
#[derive(Debug)]
pub(super) struct Encoded {
    /// One a level.
    pub features: Vec<Features>,
    /// Per level `[h, w]`, 1 where anomalous; `None` for a normal image.
    pub masks: Option<Vec<Vec<u8>>>,
}

impl Encoded {
    pub(super) fn new(pyramid: Pyramid, mask: Option<&Mask>) -> Encoded {
        let masks = mask.map(|mask| {
            pyramid.levels.iter().map(|level| mask_on_grid(mask, level.height, level.width)).collect()
        });
        let features = pyramid.levels.into_iter().map(|level| Features::Memory(level.hwc)).collect();
        Encoded { features, masks }
    }
}

/// A position is anomalous if any pixel of its cell is: the features there have seen the defect.
fn mask_on_grid(mask: &Mask, h: usize, w: usize) -> Vec<u8> {
    let cell = |i: usize, n: usize, size: usize| i * size / n..((i + 1) * size).div_ceil(n).min(size);
    let mut grid = Vec::with_capacity(h * w);
    for i in 0..h {
        for j in 0..w {
            let any = cell(i, h, mask.height)
                .any(|y| cell(j, w, mask.width).any(|x| mask.defective[y * mask.width + x] != 0));
            grid.push(u8::from(any));
        }
    }
    grid
}

/// An image that was read: its pixels, and the hash of its file.
pub(super) struct Loaded {
    pub path: PathBuf,
    pub sha256: String,
    pub image: InputImage,
    pub mask: Option<Mask>,
}

/// Reads an image, and its mask if it is `anomalous`.
pub(super) fn load(sample: &Sample, size: InputSize, anomalous: bool) -> Result<Loaded, ImageError> {
    let bytes = crate::image::read(&sample.path)?;
    let (image, original) =
        InputImage::decode_with_original_size(&bytes, size).map_err(|error| error.of_file(&sample.path))?;
    let mask = sample.mask.as_ref().filter(|_| anomalous);
    let mask = mask.map(|path| Mask::load(path, size, Some((&sample.path, original)))).transpose()?;
    Ok(Loaded { path: sample.path.clone(), sha256: content_hash(&bytes), image, mask })
}

/// Runs `work` on every item, in parallel, each thread with a workspace of its own; results in the order of the items.
pub(super) fn encode_all<T: Sync, R: Send>(
    items: &[T],
    backbone: &Backbone,
    size: InputSize,
    work: impl Fn(&T, &mut Workspace) -> R + Sync,
) -> Vec<R> {
    items
        .par_iter()
        .map_init(|| backbone.workspace(size.height, size.width), |workspace, item| work(item, workspace))
        .collect()
}

/// Features of one image.
pub(super) fn features(backbone: &Backbone, image: &InputImage, workspace: &mut Workspace) -> Pyramid {
    let (mean, std) = backbone.mean_std();
    std::mem::take(backbone.features(&image.normalized(mean, std), image.height, image.width, workspace))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_defective_pixel_marks_one_cell_of_every_grid() {
        for (h, w) in [(1, 1), (2, 4), (8, 8)] {
            let mut mask = Mask::clean(InputSize::square(32));
            mask.defective[13 * 32 + 31] = 1;
            let grid = mask_on_grid(&mask, h, w);
            assert_eq!(grid.iter().map(|&m| usize::from(m)).sum::<usize>(), 1, "{h}x{w}");
            assert_eq!(grid[13 * h / 32 * w + 31 * w / 32], 1, "{h}x{w}");
        }
        assert!(mask_on_grid(&Mask::clean(InputSize::square(32)), 4, 4).iter().all(|&m| m == 0));
    }
}
