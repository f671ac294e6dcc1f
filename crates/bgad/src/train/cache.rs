//! Images as the flows see them: features encoded once, masks brought to the grids.

use rayon::prelude::*;

use super::store::Features;
use crate::backbone::{Backbone, Workspace};
use crate::dataset::{Sample, content_hash};
use crate::foreground::{Foreground, any_in_cells};
use crate::image::{BitDepth, ImageError, InputImage, InputSize, Mask, OriginalSize, Window};
use crate::pyramid::Pyramid;
use crate::score::area_of;
use crate::tiles::{self, Source, Tiling};

/// Per level, a mark for each position.
pub(super) type Marks = Vec<Vec<u8>>;

/// One image, encoded.
#[derive(Debug)]
pub(super) struct Encoded {
    /// One a level.
    pub features: Vec<Features>,
    /// Per level `[h, w]`, 1 where anomalous, [`OUTSIDE`] where not to be looked at; `None` if all is normal.
    pub marks: Option<Marks>,
}

impl Encoded {
    pub(super) fn new(pyramid: Pyramid, mask: Option<&Mask>, area: Option<&Foreground>) -> Encoded {
        let marks = (mask.is_some() || area.is_some()).then(|| {
            let grids = pyramid.levels.iter().map(|level| (level.height, level.width));
            grids.map(|grid| marks_on_grid(mask, area, grid)).collect()
        });
        let features = pyramid.levels.into_iter().map(|level| Features::Memory(level.hwc)).collect();
        Encoded { features, marks }
    }

    /// Whether a position of a level is looked at.
    pub(super) fn is_inside(&self, level: usize, position: usize) -> bool {
        self.marks.as_ref().is_none_or(|marks| marks[level][position] != OUTSIDE)
    }
}

/// Mark of a position that is not looked at.
pub(super) const OUTSIDE: u8 = 2;

/// A position is anomalous if any pixel of its cell is: the features there have seen the defect. It is outside if all
/// pixels of its cell are.
pub(super) fn marks_on_grid(
    mask: Option<&Mask>,
    area: Option<&Foreground>,
    (h, w): (usize, usize),
) -> Vec<u8> {
    let inside = area.map(|area| area.on_grid((h, w)));
    let anomalous = mask.map(|mask| any_in_cells(&mask.defective, (mask.height, mask.width), (h, w)));
    (0..h * w)
        .map(|i| match &inside {
            Some(inside) if !inside[i] => OUTSIDE,
            _ => u8::from(anomalous.as_ref().is_some_and(|anomalous| anomalous[i])),
        })
        .collect()
}

/// An image that was read: its pixels, and the hash of its file.
pub(super) struct Loaded {
    pub source: Source,
    pub sha256: String,
    pub image: InputImage,
    pub window: Window,
    /// Whether it shows a defect, be it unknown where.
    pub anomalous: bool,
    pub mask: Option<Mask>,
}

/// Reads an image, and its mask if it is `anomalous`.
pub(super) fn load(
    sample: &Sample,
    size: InputSize,
    depth: BitDepth,
    anomalous: bool,
) -> Result<Loaded, ImageError> {
    let bytes = crate::image::read(&sample.path)?;
    let (image, original) =
        InputImage::decode_at(&bytes, Some(size), depth).map_err(|error| error.of_file(&sample.path))?;
    let mask = sample.mask.as_ref().filter(|_| anomalous);
    let mask = mask.map(|path| Mask::load(path, size, Some((&sample.path, original)))).transpose()?;
    Ok(Loaded {
        source: Source { path: sample.path.clone(), corner: None },
        sha256: content_hash(&bytes),
        image,
        window: size.window(original),
        anomalous,
        mask,
    })
}

/// An image that was read at its own size, to be cut into tiles.
pub(super) struct Whole<'a> {
    sample: &'a Sample,
    sha256: String,
    image: InputImage,
    original: OriginalSize,
    anomalous: bool,
    mask: Option<Mask>,
    /// What is looked at of it; `None` for all.
    area: Option<Foreground>,
}

impl<'a> Whole<'a> {
    /// Reads an image, and its mask if it is `anomalous`; `roi` is of any size.
    pub(super) fn load(
        sample: &'a Sample,
        depth: BitDepth,
        anomalous: bool,
        roi: Option<&Foreground>,
    ) -> Result<Whole<'a>, ImageError> {
        let bytes = crate::image::read(&sample.path)?;
        let (image, original) =
            InputImage::decode_at(&bytes, None, depth).map_err(|error| error.of_file(&sample.path))?;
        let mask = sample.mask.as_ref().filter(|_| anomalous);
        let of_image = Some((sample.path.as_path(), original));
        let mask = mask.map(|path| Mask::load(path, original.as_input(), of_image)).transpose()?;
        let area = roi.map(|roi| roi.resized(original));
        Ok(Whole { sample, sha256: content_hash(&bytes), image, original, anomalous, mask, area })
    }

    /// Corners of the tiles that are looked at; of a defective image those that show a defect, as of the others nothing
    /// is known.
    pub(super) fn corners(&self, tiling: Tiling) -> Vec<(usize, usize)> {
        let size = tiling.size;
        let mut corners = tiling.corners(self.original);
        corners.retain(|&corner| {
            self.mask_of(corner, size).is_none_or(|mask| !mask.is_clean())
                && self.area_of(corner, size).is_none_or(|area| !area.is_empty())
        });
        corners
    }

    fn mask_of(&self, corner: (usize, usize), size: InputSize) -> Option<Mask> {
        let defective = self.part(&self.mask.as_ref()?.defective, corner, size);
        Some(Mask { height: size.height, width: size.width, defective })
    }

    /// What is looked at of a tile; `None` for all of it.
    pub(super) fn area_of(&self, corner: (usize, usize), size: InputSize) -> Option<Foreground> {
        let Some(area) = &self.area else {
            return area_of(size, tiles::window(self.original, corner, size), None);
        };
        let inside = self.part(&area.inside, corner, size);
        Some(Foreground { height: size.height, width: size.width, inside })
    }

    /// The part of `pixels` of the image that a tile covers, 0 beyond the image.
    fn part(&self, pixels: &[u8], (top, left): (usize, usize), size: InputSize) -> Vec<u8> {
        let OriginalSize { height, width } = self.original;
        let mut part = vec![0; size.pixels()];
        for (y, row) in part.chunks_mut(size.width).enumerate().take(height.saturating_sub(top)) {
            let line = &pixels[(top + y) * width..(top + y + 1) * width];
            row.iter_mut().zip(&line[left..]).for_each(|(to, from)| *to = *from);
        }
        part
    }

    /// One tile.
    pub(super) fn tile(&self, corner: (usize, usize), size: InputSize) -> Loaded {
        Loaded {
            source: Source { path: self.sample.path.clone(), corner: Some(corner) },
            sha256: self.sha256.clone(),
            image: tiles::tile(&self.image, corner, size),
            window: tiles::window(self.original, corner, size),
            anomalous: self.anomalous,
            mask: self.mask_of(corner, size),
        }
    }
}

/// Runs `work` on every item, in parallel, each thread with a workspace of its own; results in the order of the items.
pub(super) fn encode_all<T: Sync, R: Send>(
    items: &[T],
    backbone: &Backbone,
    work: impl Fn(&T, &mut Workspace) -> R + Sync,
) -> Vec<R> {
    items.par_iter().map_init(|| backbone.workspace(), |workspace, item| work(item, workspace)).collect()
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
            let grid = marks_on_grid(Some(&mask), None, (h, w));
            assert_eq!(grid.iter().map(|&m| usize::from(m)).sum::<usize>(), 1, "{h}x{w}");
            assert_eq!(grid[13 * h / 32 * w + 31 * w / 32], 1, "{h}x{w}");
        }
        let clean = Mask::clean(InputSize::square(32));
        assert!(marks_on_grid(Some(&clean), None, (4, 4)).iter().all(|&m| m == 0));
    }

    #[test]
    fn outside_wins_over_a_defect_and_a_cell_that_is_partly_inside_counts() {
        let mask = Mask { defective: vec![1; 64], ..Mask::clean(InputSize::square(8)) };
        let window = Window { top: 0, left: 3, height: 8, width: 5 };
        let area = Foreground::window(8, 8, window);
        let row = |mask| marks_on_grid(mask, Some(&area), (1, 4));
        assert_eq!(row(Some(&mask)), [OUTSIDE, 1, 1, 1]);
        assert_eq!(row(None), [OUTSIDE, 0, 0, 0]);
    }
}
