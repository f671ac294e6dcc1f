//! The image as a whole: what no single place shows, such as a shade that is off everywhere, or a pattern where another belongs.
//!
//! ```text
//! v       = mean feature of each quarter of the coarsest level, as the network gives them            in R^D, D = 4 C
//! d       = how far v is from that of the normal images                                              crate::gaussian
//! ```
//!
//! The flows see one position at a time.

use crate::cells;
use crate::foreground::Foreground;
use crate::pyramid::FeatureMap;

/// `v`, `[4 C]`: the mean feature of each quarter of a map, `[h, w, C]`, over the positions that are `inside`. A quarter without any
/// has the mean of the whole map; a map without any has zeros.
///
/// # Panics
///
/// If the map has fewer than two rows or columns.
pub fn quarters(features: &[f32], (h, w): (usize, usize), inside: impl Fn(usize) -> bool) -> Vec<f32> {
    assert!(h > 1 && w > 1, "a map of {h} by {w} has no quarters");
    let c = features.len() / (h * w);
    let means = |cells| cells::means(features, (h, w), cells, &inside);
    let all = || means((1, 1)).pop().flatten().unwrap_or_else(|| vec![0.0; c]);
    means((2, 2)).into_iter().flat_map(|quarter| quarter.unwrap_or_else(all)).collect()
}

/// [`quarters`] of a feature map, over the positions that `seen`, of any size, touches; `None` for all.
pub fn of_map(map: &FeatureMap, seen: Option<&Foreground>) -> Vec<f32> {
    let grid = (map.height, map.width);
    let seen = seen.map(|seen| seen.on_grid(grid));
    quarters(&map.hwc, grid, |position| seen.as_ref().is_none_or(|seen| seen[position]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quarters_are_means_of_what_is_inside() {
        // [3, 3, 2]: rows 0-1 and 2, columns 0-1 and 2.
        let map: Vec<f32> = (0..9).flat_map(|i| [i as f32, -(i as f32)]).collect();
        assert_eq!(quarters(&map, (3, 3), |_| true), [2.0, -2.0, 3.5, -3.5, 6.5, -6.5, 8.0, -8.0]);
        // Without the last quarter: 8 is not inside, and the mean of 0 to 7 stands for it.
        assert_eq!(quarters(&map, (3, 3), |i| i != 8)[6..], [3.5, -3.5]);
        assert_eq!(quarters(&map, (3, 3), |_| false), [0.0; 8]);
    }
}
