//! Which pixels a model scores.

use serde::{Deserialize, Serialize};

use super::map::AnomalyMap;
use crate::foreground::Foreground;
use crate::image::{InputImage, InputSize, MAX_SIDE, Window};

/// Which pixels of an image are scored; the others count as normal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScoringArea {
    /// All of them.
    #[default]
    Everything,
    /// Where the part is in the image, as [`Foreground::estimate`] finds it.
    Estimate,
    /// The same pixels of every image, at the input size; of images in tiles the same parts, whatever their size.
    Fixed {
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
        /// Lengths of runs in reading order: so many pixels outside, so many inside, so many outside ...
        runs: Vec<usize>,
    },
}

impl ScoringArea {
    /// The pixels of `foreground` in every image.
    pub fn fixed(foreground: &Foreground) -> ScoringArea {
        let mut runs = vec![0];
        let mut inside = 0;
        for &pixel in &foreground.inside {
            if pixel != inside {
                runs.push(0);
                inside = pixel;
            }
            *runs.last_mut().expect("one run at least") += 1;
        }
        ScoringArea::Fixed { height: foreground.height, width: foreground.width, runs }
    }

    /// The pixels to score in `image`; `None` for all.
    pub fn of(&self, image: &InputImage) -> Option<Foreground> {
        match self {
            ScoringArea::Estimate => Some(Foreground::estimate(image)),
            _ => self.common(),
        }
    }

    /// The pixels to score in every image, where they are the same; `None` for all, or if they are not.
    pub fn common(&self) -> Option<Foreground> {
        match self {
            ScoringArea::Everything | ScoringArea::Estimate => None,
            ScoringArea::Fixed { height, width, runs } => {
                let runs = runs.iter().enumerate();
                let inside = runs.flat_map(|(i, &run)| std::iter::repeat_n((i % 2) as u8, run)).collect();
                Some(Foreground { height: *height, width: *width, inside })
            }
        }
    }

    /// Whether it fits images of this size, or of any.
    pub(crate) fn fits(&self, size: Option<(usize, usize)>) -> bool {
        match self {
            ScoringArea::Fixed { height, width, runs } => {
                let pixels = runs.iter().try_fold(0usize, |sum, &run| sum.checked_add(run));
                let sides = [*height, *width].iter().all(|side| (1..=MAX_SIDE as usize).contains(side));
                size.is_none_or(|size| size == (*height, *width)) && sides && pixels == Some(height * width)
            }
            _ => true,
        }
    }
}

/// What is looked at of an image: its window in the input, within the region of interest. `None` for all of it.
pub fn area_of(size: InputSize, window: Window, roi: Option<&Foreground>) -> Option<Foreground> {
    if size.is_filled_by(window) {
        return roi.cloned();
    }
    let window = Foreground::window(size.height, size.width, window);
    Some(roi.map_or(window.clone(), |roi| roi.and(&window)))
}

impl AnomalyMap {
    /// Calls everything outside `area` normal: `calm`, or less where it is less.
    ///
    /// # Panics
    ///
    /// If the sizes differ.
    pub fn limit_to(&mut self, area: &Foreground, calm: f32) {
        assert_eq!((self.h, self.w), (area.height, area.width), "map and foreground of one size");
        self.nats
            .iter_mut()
            .zip(&area.inside)
            .filter(|(_, inside)| **inside == 0)
            .for_each(|(n, _)| *n = n.min(calm));
    }
}

impl AnomalyMap {
    /// Part of the map.
    ///
    /// # Panics
    ///
    /// If it does not lie within.
    pub fn cropped(self, window: Window) -> AnomalyMap {
        if (window.height, window.width) == (self.h, self.w) {
            return self;
        }
        let rows = (window.top..window.top + window.height).map(|y| y * self.w + window.left);
        let nats = rows.flat_map(|start| &self.nats[start..start + window.width]).copied().collect();
        AnomalyMap { nats, h: window.height, w: window.width }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fixed_area_comes_back_and_is_checked() {
        let fits = |area: &ScoringArea, h, w| area.fits(Some((h, w)));
        let image = InputImage { height: 2, width: 3, rgb_hwc: vec![0.0; 18] };
        for inside in [vec![0, 1, 1, 0, 0, 1], vec![1; 6], vec![0; 6], vec![1, 0, 0, 1, 1, 1]] {
            let foreground = Foreground { height: 2, width: 3, inside };
            let area = ScoringArea::fixed(&foreground);
            assert_eq!(area.of(&image), Some(foreground));
            assert!(fits(&area, 2, 3) && !fits(&area, 3, 2) && !fits(&area, 2, 4) && area.fits(None));
        }
        let lying = ScoringArea::Fixed { height: 2, width: 3, runs: vec![usize::MAX, 7] };
        assert!(!fits(&lying, 2, 3) && !lying.fits(None));
        let huge = ScoringArea::Fixed { height: 1 << 40, width: 1, runs: vec![1 << 40] };
        assert!(!huge.fits(None));
    }

    #[test]
    fn outside_the_area_all_is_calm() {
        let mut map = AnomalyMap { nats: vec![5.0, f32::NAN, 3.0, -1.0], h: 1, w: 4 };
        map.limit_to(&Foreground { height: 1, width: 4, inside: vec![1, 0, 0, 0] }, 0.0);
        assert_eq!(map.nats, [5.0, 0.0, 0.0, -1.0]);
    }
}
