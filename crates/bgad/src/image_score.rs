//! From what an image shows to its score.
//!
//! ```text
//! places  = ½ (mean of the K highest values of the map + mean of the k highest a of the coarsest level)          nats
//! a       = M − l, or where a companion has learned too: max(M − l, M_c − l_c)                                    nats per channel
//! score   = places + Σ (d − d̃) (p_q − p̃) / (d_q − d̃)           d: how far the oddest cell, and the whole image, are from usual
//! ```
//!
//! A companion is a second flow of that level, shown normal images alone; `M_c` is the maximum of its `l_c` over their positions, as `M` of
//! `l`. The map of `places` then has `M − a` in place of that level's `l`; the one that is shown has not. See docs/decisions/companion.md. `k` is the number of positions that K pixels make, at least one. `p̃`, `d̃` are the medians and `p_q`, `d_q` the int(q n)-th largest
//! values, q = 0.05, of `places` and `d` over the n normal training images, `d` by [`gaussian::held_out`](crate::gaussian::held_out).
//! What [`cells`](crate::cells) and [`whole_image`](crate::whole_image) add varies among good images as much as their places do, each of
//! them. Every part but the map may be left out; the map alone is the authors' score.
//!
//! The map calls a place anomalous only if no level finds it normal, which is right for saying where, but lets a fine level that has
//! no eye for a defect outvote the coarse one that has. See docs/decisions/score.md.

use serde::{Deserialize, Serialize};

use crate::anomaly_map::{AnomalyMap, mean_of_highest};

/// `q`.
const UPPER: f32 = 0.05;

/// `places`: of the map, and of `a` at those positions of the coarsest level that are looked at, of which `pixels` of an image make
/// `positions`.
///
/// # Panics
///
/// If `pixels` or `positions` is 0.
pub fn places(map: &AnomalyMap, pixels: usize, coarsest: Option<(&[f32], usize)>) -> f32 {
    let of_map = map.peak(pixels);
    match coarsest {
        Some((nats, positions)) => (of_map + mean_of_highest(nats, positions)) / 2.0,
        None => of_map,
    }
}

/// `k`: the positions of a grid of so many that `pixels` of an image of `size` pixels make.
pub fn positions(pixels: usize, size: usize, grid: usize) -> usize {
    (pixels * grid).div_ceil(size).max(1)
}

/// Brings `d` of a part to nats of the score.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PartScale {
    /// `d̃`, nats per entry.
    pub usual: f32,
    /// Nats of the score for each of `d`.
    pub nats: f32,
}

impl PartScale {
    /// From the normal images; `None` if there is none, or if they do not differ in it.
    pub fn of_normal(places: &[f32], distances: &[f32]) -> Option<PartScale> {
        let (_, spread_of_places) = middle_and_spread(places, UPPER)?;
        let (usual, spread) = middle_and_spread(distances, UPPER)?;
        let nats = spread_of_places / spread;
        (spread > 0.0 && nats.is_finite()).then_some(PartScale { usual, nats })
    }

    /// What the part adds to the score of an image, nats; below 0 where it is more usual than in half of the normal ones.
    pub fn nats_of(&self, distance: f32) -> f32 {
        self.nats * (distance - self.usual)
    }
}

/// The median of values, and how far the int(q n)-th largest, counting from 0, is above it; `None` of nothing.
pub(crate) fn middle_and_spread(values: &[f32], q: f32) -> Option<(f32, f32)> {
    let mut values = values.to_vec();
    values.sort_by(f32::total_cmp);
    let median = *values.get(values.len() / 2)?;
    let rank = ((values.len() as f32 * q) as usize).min(values.len() - 1);
    Some((median, (values[values.len() - 1 - rank] - median).max(0.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_the_mean_of_map_and_coarsest_level() {
        let map = AnomalyMap { nats: vec![1.0, 5.0, 3.0, 0.0], h: 2, w: 2 };
        assert_eq!(places(&map, 2, None), 4.0);
        assert_eq!(places(&map, 2, Some((&[0.0, 9.0, 7.0], 1))), 6.5);
        assert_eq!(places(&map, 2, Some((&[0.0, 9.0, 7.0], 2))), 6.0);
        assert!(places(&map, 2, Some((&[f32::NAN, 9.0], 1))).is_nan());
    }

    #[test]
    fn pixels_make_positions() {
        for (pixels, size, grid, want) in
            [(256, 65_536, 256, 1), (1, 65_536, 256, 1), (257, 65_536, 256, 2), (1024, 65_536, 256, 4)]
        {
            assert_eq!(positions(pixels, size, grid), want, "{pixels} of {size} on {grid}");
        }
    }

    #[test]
    fn a_part_has_the_spread_of_the_places() {
        // Median 51 and 5th largest 96 of 1..=100: spread 44 of the places; of the distances a tenth, around 5.1.
        let places: Vec<f32> = (1..=100).map(|i| i as f32).collect();
        let distances: Vec<f32> = (1..=100).rev().map(|i| i as f32 / 10.0).collect();
        let scale = PartScale::of_normal(&places, &distances).expect("images that differ");
        assert!((scale.usual - 5.1).abs() < 1e-6 && (scale.nats - 10.0).abs() < 1e-5, "{scale:?}");
        assert_eq!(scale.nats_of(scale.usual), 0.0);
        assert!(scale.nats_of(0.0) < 0.0);
        assert_eq!(PartScale::of_normal(&places, &[3.0; 100]), None);
        assert_eq!(PartScale::of_normal(&[], &[]), None);
    }
}
