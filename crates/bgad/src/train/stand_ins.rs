//! What new good images would score, where the flows know a few by heart.
//!
//! ```text
//! kinds    every normal image mirrored left to right; mirrored top to bottom; moved by one position of the finest level each way
//! scores   of the kind whose median is lowest
//! ```
//!
//! None of these images was learned from, and all show what good parts look like. Which kind looks most like a new good image depends on the part: one
//! with a handedness is odd in the mirror, one that always lies the same way is odd where it lies elsewhere. See
//! docs/decisions/thresholds.md.

use rayon::prelude::*;

use super::images::Images;
use super::{Run, TrainError};
use crate::detector::{Detector, Model};
use crate::image::{InputImage, Window};
use crate::image_score::middle_and_spread;

/// From so many normal images on, of which tiles are one each, new ones score little higher than those, and nothing need stand in for them.
const ENOUGH: usize = 200;
/// Images that stand-ins are made of, at most.
const MOST: usize = 64;
/// How far an image is moved each way: one position of level 1, pixels.
const SHIFT: usize = 4;

/// One kind of stand-in.
#[derive(Clone, Copy, Debug)]
enum Kind {
    LeftToRight,
    TopToBottom,
    Moved,
}

impl Kind {
    const ALL: [Kind; 3] = [Kind::LeftToRight, Kind::TopToBottom, Kind::Moved];

    /// The `i`-th image, of which only `window` is picture: what is beside it stays. A moved picture goes on at its edge.
    fn of(self, i: usize, image: &InputImage, window: Window) -> InputImage {
        let Window { top, left, height, width } = window;
        let moved = |at: usize, sides: usize, forward: bool| match forward {
            true => at.saturating_sub(SHIFT),
            false => (at + SHIFT).min(sides - 1),
        };
        image.rearranged(|y, x| {
            if !(top..top + height).contains(&y) || !(left..left + width).contains(&x) {
                return (y, x);
            }
            let (y, x) = (y - top, x - left);
            let (y, x) = match self {
                Kind::LeftToRight => (y, width - 1 - x),
                Kind::TopToBottom => (height - 1 - y, x),
                Kind::Moved => (moved(y, height, i & 1 == 0), moved(x, width, i & 2 == 0)),
            };
            (top + y, left + x)
        })
    }
}

/// The scores of stand-ins under a finished model; none from [`ENOUGH`] normal images on. A file that cannot be read again is left out.
pub(super) fn scores(model: &Model, images: &Images, run: &Run<'_>) -> Result<Vec<f32>, TrainError> {
    if images.normal.len() >= ENOUGH {
        return Ok(Vec::new());
    }
    let detector = Detector::new(model, run.isa).map_err(TrainError::Model)?;
    let mut paths: Vec<_> = images.normal_sources.iter().map(|source| &source.path).collect();
    paths.dedup();
    let chosen: Vec<_> = paths.iter().step_by(paths.len().div_ceil(MOST)).enumerate().collect();
    let each: Vec<[f32; Kind::ALL.len()]> = chosen
        .par_iter()
        .filter_map(|(i, path)| {
            if (run.stop)() {
                return Some(Err(TrainError::Stopped));
            }
            let (image, original) = detector.load(path).ok()?;
            let window = detector.loaded_size(original).window(original);
            Some(Ok(Kind::ALL.map(|kind| detector.score(&kind.of(*i, &image, window), original).score)))
        })
        .collect::<Result<_, _>>()?;
    let of_kind = |kind: usize| -> Vec<f32> { each.iter().map(|scores| scores[kind]).collect() };
    let median = |scores: &[f32]| middle_and_spread(scores, 0.0).map_or(f32::INFINITY, |(median, _)| median);
    let kinds = (0..Kind::ALL.len()).map(of_kind);
    Ok(kinds.min_by(|a, b| median(a).total_cmp(&median(b))).expect("kinds"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stand_ins_show_the_picture_and_leave_what_is_beside_it() {
        // Two rows of 0 to 7 and 8 to 15, the outer columns of which are no picture.
        let image = InputImage { height: 2, width: 8, rgb_hwc: (0..48).map(|v| (v / 3) as f32).collect() };
        let window = Window { top: 0, left: 1, height: 2, width: 6 };
        let of = |kind: Kind, i: usize| -> Vec<f32> {
            kind.of(i, &image, window).rgb_hwc.as_chunks::<3>().0.iter().map(|rgb| rgb[0]).collect()
        };
        // A moved one is four positions on, either way; its edge goes on.
        let cases = [
            (Kind::LeftToRight, 0, [0., 6., 5., 4., 3., 2., 1., 7.], [8., 14., 13., 12., 11., 10., 9., 15.]),
            (Kind::TopToBottom, 0, [0., 9., 10., 11., 12., 13., 14., 7.], [8., 1., 2., 3., 4., 5., 6., 15.]),
            (Kind::Moved, 0, [0., 1., 1., 1., 1., 1., 2., 7.], [8., 1., 1., 1., 1., 1., 2., 15.]),
            (Kind::Moved, 3, [0., 13., 14., 14., 14., 14., 14., 7.], [8., 13., 14., 14., 14., 14., 14., 15.]),
        ];
        for (kind, i, first, second) in cases {
            assert_eq!(of(kind, i), [first, second].concat(), "{kind:?}, {i}");
        }
    }
}
