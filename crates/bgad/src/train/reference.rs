//! Good images that the flows did not learn from: what the score of a good part is measured on.
//!
//! ```text
//! from 60 normal images on   every fifth is kept from the flows, 40 over the whole list at most
//! fewer                      stand-ins: every normal image mirrored left to right, mirrored top to bottom, or moved by one position
//!                            of the finest level each way; the kind whose median score is lowest
//! ```
//!
//! Flows know the images that they learned from by heart, and new ones score higher, so scales and thresholds rest on images that they have not
//! seen. Where few images leave none to spare, images made from them stand in. Which kind looks most like a new good image depends on the
//! part: one with a handedness is odd in the mirror, one that always lies the same way is odd where it lies elsewhere. See
//! docs/decisions/thresholds.md.

use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::{Run, TrainError};
use crate::dataset::Sample;
use crate::detector::Detector;
use crate::foreground::Foreground;
use crate::image::{Appearance, InputImage, OriginalSize, Window};
use crate::score::{Framing, Reading, View, quantile};

/// From so many normal images on some are kept from the flows.
const ENOUGH: usize = 60;
/// Of so many images one is kept.
const EVERY: usize = 5;
/// Images that are kept at most, and of which stand-ins are made at most.
const MOST: usize = 40;

/// Which of the good images are kept from the flows, in their order: the others, and those. Only the `first` ones have a say: images that
/// came later, by learning, change nothing about which the flows have seen.
pub(super) fn divide(samples: &[Sample], first: usize) -> (Vec<&Sample>, Vec<&Sample>) {
    let first = first.min(samples.len());
    let every = (first / MOST).max(EVERY);
    let is_kept = |i: usize| first >= ENOUGH && i < first && i % every == every - 1 && i / every < MOST;
    let (kept, learned): (Vec<_>, Vec<_>) = samples.iter().enumerate().partition(|(i, _)| is_kept(*i));
    let plain = |list: Vec<(usize, _)>| list.into_iter().map(|(_, sample)| sample).collect();
    (plain(learned), plain(kept))
}

/// One good image under a model whose scales are not set yet.
pub(super) struct Seen {
    pub shown: Shown,
    /// How it was taken.
    pub appearance: Appearance,
}

/// What a model shows of an image.
pub(super) enum Shown {
    /// What the networks say of it, and what is looked at of it.
    Whole(Box<Looked>),
    /// The peak of its map, put together from tiles.
    Tiles { peak: f32 },
}

impl Shown {
    /// The score of the image under a model whose scales are not set yet.
    fn nats(&self, detector: &Detector) -> f32 {
        match self {
            Shown::Tiles { peak } => *peak,
            Shown::Whole(looked) => detector.score_of(&looked.reading, &looked.view()).nats,
        }
    }
}

/// A [`View`] with what it looks at.
pub(super) struct Looked {
    pub reading: Reading,
    pub window: Window,
    pub area: Option<Foreground>,
    pub seen: Option<Foreground>,
}

impl Looked {
    pub(super) fn view(&self) -> View<'_> {
        View { window: self.window, area: self.area.as_ref(), seen: self.seen.as_ref() }
    }
}

impl Seen {
    fn new(detector: &Detector, image: &InputImage, original: OriginalSize, pixels: usize) -> Seen {
        let shown = match detector.framing() {
            Framing::Tiles { overlap, .. } => {
                Shown::Tiles { peak: detector.map_of_tiles(image, original, overlap).peak(pixels) }
            }
            Framing::Whole(_) => detector.viewed(image, original, |reading, view| {
                let View { window, area, seen } = *view;
                let (area, seen) = (area.cloned(), seen.cloned());
                Shown::Whole(Box::new(Looked { reading, window, area, seen }))
            }),
        };
        Seen { shown, appearance: detector.appearance(image, original) }
    }
}

/// Shows the images that were kept, or else stand-ins of those that were learned from. A file that cannot be read again is left out.
pub(super) fn show(
    detector: &Detector,
    kept: &[PathBuf],
    learned: &[PathBuf],
    pixels: usize,
    run: &Run<'_>,
) -> Result<Vec<Seen>, TrainError> {
    if kept.is_empty() {
        return stand_ins(detector, learned, pixels, run);
    }
    let each = |path: &PathBuf| {
        if (run.stop)() {
            return Some(Err(TrainError::Stopped));
        }
        let (image, original) = detector.load(path).ok()?;
        Some(Ok(Seen::new(detector, &image, original, pixels)))
    };
    kept.par_iter().filter_map(each).collect()
}

fn stand_ins(
    detector: &Detector,
    learned: &[PathBuf],
    pixels: usize,
    run: &Run<'_>,
) -> Result<Vec<Seen>, TrainError> {
    let mut paths: Vec<&Path> = learned.iter().map(PathBuf::as_path).collect();
    paths.dedup();
    let chosen: Vec<_> = paths.iter().step_by(paths.len().div_ceil(MOST).max(1)).enumerate().collect();
    let each: Vec<Vec<Seen>> = chosen
        .par_iter()
        .filter_map(|(i, path)| {
            if (run.stop)() {
                return Some(Err(TrainError::Stopped));
            }
            let (image, original) = detector.load(path).ok()?;
            let window = detector.loaded_size(original).window(original);
            let step = detector.finest_stride();
            let of_kind = |kind: StandIn| {
                let image = kind.of((*i, step), &image, window);
                Seen::new(detector, &image, original, pixels)
            };
            Some(Ok(StandIn::ALL.map(of_kind).into_iter().collect()))
        })
        .collect::<Result<_, _>>()?;
    let median = |kind: usize| {
        let mut scores: Vec<f32> = each.iter().map(|kinds| kinds[kind].shown.nats(detector)).collect();
        scores.sort_by(f32::total_cmp);
        quantile(&scores, 0.5).unwrap_or(f64::INFINITY)
    };
    let kinds = (0..StandIn::ALL.len()).map(|kind| (kind, median(kind)));
    let (calmest, _) = kinds.min_by(|a, b| a.1.total_cmp(&b.1)).expect("kinds");
    Ok(each.into_iter().map(|mut kinds| kinds.swap_remove(calmest)).collect())
}

/// One kind of stand-in.
#[derive(Clone, Copy, Debug)]
enum StandIn {
    LeftToRight,
    TopToBottom,
    Moved,
}

impl StandIn {
    const ALL: [StandIn; 3] = [StandIn::LeftToRight, StandIn::TopToBottom, StandIn::Moved];

    /// The `i`-th image, of which only `window` is picture: what is beside it stays. A picture moves by `step` pixels and goes on at its edge.
    fn of(self, (i, step): (usize, usize), image: &InputImage, window: Window) -> InputImage {
        let Window { top, left, height, width } = window;
        let moved = |at: usize, sides: usize, forward: bool| match forward {
            true => at.saturating_sub(step),
            false => (at + step).min(sides - 1),
        };
        image.rearranged(|y, x| {
            if !(top..top + height).contains(&y) || !(left..left + width).contains(&x) {
                return (y, x);
            }
            let (y, x) = (y - top, x - left);
            let (y, x) = match self {
                StandIn::LeftToRight => (y, width - 1 - x),
                StandIn::TopToBottom => (height - 1 - y, x),
                StandIn::Moved => (moved(y, height, i & 1 == 0), moved(x, width, i & 2 == 0)),
            };
            (top + y, left + x)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::Kind;

    #[test]
    fn what_is_learned_later_does_not_change_which_images_were_kept() {
        let samples: Vec<Sample> = (0..320)
            .map(|i| Sample { path: format!("{i}.png").into(), mask: None, kind: Kind::Good })
            .collect();
        for first in [10, 59, 60, 200, 239, 300] {
            let kept = |samples, first| -> Vec<PathBuf> {
                divide(samples, first).1.into_iter().map(|sample| sample.path.clone()).collect()
            };
            let before = kept(&samples[..first], first);
            assert_eq!(kept(&samples, first), before, "{first} and 20 more");
            assert_eq!(before.is_empty(), first < 60);
            assert!(before.len() <= 40);
        }
    }

    #[test]
    fn stand_ins_show_the_picture_and_leave_what_is_beside_it() {
        // Two rows of 0 to 7 and 8 to 15, the outer columns of which are no picture.
        let image = InputImage { height: 2, width: 8, rgb_hwc: (0..48).map(|v| (v / 3) as f32).collect() };
        let window = Window { top: 0, left: 1, height: 2, width: 6 };
        let of = |kind: StandIn, i: usize| -> Vec<f32> {
            kind.of((i, 4), &image, window).rgb_hwc.as_chunks::<3>().0.iter().map(|rgb| rgb[0]).collect()
        };
        // A moved one is four positions on, either way; its edge goes on.
        let cases = [
            (
                StandIn::LeftToRight,
                0,
                [0., 6., 5., 4., 3., 2., 1., 7.],
                [8., 14., 13., 12., 11., 10., 9., 15.],
            ),
            (
                StandIn::TopToBottom,
                0,
                [0., 9., 10., 11., 12., 13., 14., 7.],
                [8., 1., 2., 3., 4., 5., 6., 15.],
            ),
            (StandIn::Moved, 0, [0., 1., 1., 1., 1., 1., 2., 7.], [8., 1., 1., 1., 1., 1., 2., 15.]),
            (
                StandIn::Moved,
                3,
                [0., 13., 14., 14., 14., 14., 14., 7.],
                [8., 13., 14., 14., 14., 14., 14., 15.],
            ),
        ];
        for (kind, i, first, second) in cases {
            assert_eq!(of(kind, i), [first, second].concat(), "{kind:?}, {i}");
        }
    }
}
