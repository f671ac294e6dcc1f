//! The image region by region: what is unusual just there.
//!
//! ```text
//! v_i     = mean feature of region i of the coarsest level, as the network gives it                 in R^C
//! d_i     = how far v_i is from that of the normal images in the same region                         crate::gaussian
//! ```
//!
//! Cells are an 8 x 8 grid, or as many as the level has positions, each with a Gaussian of its own. The whole image is one region: its
//! four quarters jointly, `v` in R^4C. It tells what no single place shows, such as a shade that is off everywhere. A flow is one for all
//! places and is told where it is; a Gaussian of each place (as in PaDiM, Defard et al. 2021) knows nothing of its neighbours, but all
//! of what is usual there.

use bgad_kernels::Isa;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::map::max_or_nan;
use crate::flow::{PreparedWhitening, Whitening};
use crate::foreground::Foreground;
use crate::gaussian;
use crate::pyramid::FeatureMap;

/// How an image is divided into regions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Regions {
    /// A grid of at most 8 x 8 cells.
    Cells,
    /// One region, described by its quarters jointly.
    Whole,
}

/// Rows and columns of cells at most.
const SIDE: usize = 8;

/// Mean feature of each region; `None` where none of it is looked at.
pub(crate) type Means = Vec<Option<Vec<f32>>>;

impl Regions {
    /// Rows and columns of regions over a map of `(h, w)` positions.
    pub fn grid(self, (h, w): (usize, usize)) -> (usize, usize) {
        match self {
            Regions::Cells => (h.min(SIDE), w.min(SIDE)),
            Regions::Whole => (1, 1),
        }
    }

    /// Length of the vector that describes a region of a level of `channels`.
    pub(crate) fn dimensions(self, channels: usize) -> usize {
        match self {
            Regions::Cells => channels,
            Regions::Whole => 4 * channels,
        }
    }

    /// The same means as weights: of the regions of a map of `(h, w)` positions, or of the quarters of the whole, one row a region or
    /// quarter and one column a position, so that `weights · features` describes them. A region of which nothing is looked at has zeros.
    ///
    /// # Panics
    ///
    /// If a map of which quarters are asked has one row or column.
    pub fn weights(self, (h, w): (usize, usize), seen: Option<&Foreground>) -> Vec<Vec<f32>> {
        let seen = seen.map(|seen| seen.on_grid((h, w)));
        let inside = |position: usize| seen.as_ref().is_none_or(|seen| seen[position]);
        let cells = |grid: (usize, usize)| {
            let mut weights = vec![vec![0.0; h * w]; grid.0 * grid.1];
            for position in (0..h * w).filter(|position| inside(*position)) {
                weights[cell_of(position, (h, w), grid)][position] = 1.0;
            }
            for row in &mut weights {
                let count = row.iter().sum::<f32>();
                row.iter_mut().filter(|weight| **weight > 0.0).for_each(|weight| *weight = 1.0 / count);
            }
            weights
        };
        match self {
            Regions::Cells => cells(self.grid((h, w))),
            Regions::Whole => {
                assert!(h > 1 && w > 1, "a map of {h} by {w} has no quarters");
                let all = cells((1, 1)).remove(0);
                let shown = |row: &[f32]| row.iter().any(|weight| *weight > 0.0);
                let quarters = cells((2, 2)).into_iter();
                quarters.map(|quarter| if shown(&quarter) { quarter } else { all.clone() }).collect()
            }
        }
    }

    /// What describes each region of a feature map, over the positions that `seen`, of any size, touches; `None` for all.
    pub(crate) fn means(self, map: &FeatureMap, seen: Option<&Foreground>) -> Means {
        let size = (map.height, map.width);
        let seen = seen.map(|seen| seen.on_grid(size));
        let inside = |position: usize| seen.as_ref().is_none_or(|seen| seen[position]);
        match self {
            Regions::Cells => means(&map.hwc, size, self.grid(size), inside),
            Regions::Whole => vec![Some(quarters(&map.hwc, size, inside))],
        }
    }
}

/// The Gaussian of each region, row by row.
#[derive(Clone, Debug, PartialEq)]
pub struct RegionalGaussians {
    pub(crate) regions: Regions,
    pub(crate) gaussians: Vec<Whitening>,
}

impl RegionalGaussians {
    /// How the image is divided.
    pub fn regions(&self) -> Regions {
        self.regions
    }

    /// One a region, row by row. Of a region of which nothing is known the matrix is zero.
    pub fn gaussians(&self) -> &[Whitening] {
        &self.gaussians
    }

    /// Fits to the [`Regions::means`] of normal images, and gives `d_i` of each region of each of these under the Gaussians of the others
    /// ([`gaussian::held_out`]). Of a region that fewer than [`gaussian::LEAST_IMAGES`] see, or in which all are the same, nothing is
    /// said: its map is zero. `None` if that is so of every region.
    ///
    /// # Panics
    ///
    /// If the images differ in regions or channels.
    pub(crate) fn fit(
        regions: Regions,
        images: &[&[Option<Vec<f32>>]],
        isa: Isa,
    ) -> Option<(RegionalGaussians, Vec<Vec<f32>>)> {
        let count = images.first()?.len();
        let length = images.iter().flat_map(|image| image.iter()).flatten().next()?.len();
        let of_region = |region: usize| {
            let seen = images.iter().enumerate();
            let (who, v): (Vec<usize>, Vec<&[f32]>) =
                seen.filter_map(|(image, means)| Some((image, means[region].as_deref()?))).unzip();
            let distances = gaussian::held_out(&v, isa)?;
            Some((gaussian::fit(&v)?, who, distances))
        };
        let fitted: Vec<_> = (0..count).into_par_iter().map(of_region).collect();
        if fitted.iter().all(Option::is_none) {
            return None;
        }
        let mut held_out = vec![vec![0.0; count]; images.len()];
        let unknown = || Whitening { mean: vec![0.0; length], matrix: vec![0.0; length * length] };
        let gaussians = fitted.into_iter().enumerate().map(|(region, fitted)| {
            let Some((gaussian, who, distances)) = fitted else { return unknown() };
            who.iter().zip(distances).for_each(|(image, d)| held_out[*image][region] = d);
            gaussian
        });
        let gaussians = gaussians.collect();
        Some((RegionalGaussians { regions, gaussians }, held_out))
    }

    /// The form that runs.
    pub(crate) fn prepare(&self, isa: Isa) -> PreparedRegional {
        let gaussians = self.gaussians.iter().map(|gaussian| gaussian.prepare(isa)).collect();
        PreparedRegional { regions: self.regions, gaussians }
    }
}

/// [`RegionalGaussians`], packed.
#[derive(Debug)]
pub(crate) struct PreparedRegional {
    regions: Regions,
    gaussians: Vec<PreparedWhitening>,
}

impl PreparedRegional {
    /// `d_i` of each region of a feature map, nats per entry; 0 where none of it is looked at.
    ///
    /// # Panics
    ///
    /// If the map has other regions or channels than those that the Gaussians were fitted to.
    pub(crate) fn distances(&self, map: &FeatureMap, seen: Option<&Foreground>) -> Vec<f32> {
        self.distances_of(&self.regions.means(map, seen))
    }

    fn distances_of(&self, means: &[Option<Vec<f32>>]) -> Vec<f32> {
        assert_eq!(self.gaussians.len(), means.len(), "a Gaussian a region");
        let regions = self.gaussians.iter().zip(means);
        regions.map(|(gaussian, v)| v.as_ref().map_or(0.0, |v| gaussian::distance(gaussian, v))).collect()
    }
}

/// `d` of the oddest region; NaN if one is.
pub(crate) fn oddest(distances: &[f32]) -> f32 {
    distances.iter().copied().fold(0.0, max_or_nan)
}

/// The mean feature, `[C]`, of each cell of a grid of `(rows, columns)` over a map, `[h, w, C]`, over the positions that are `inside`;
/// `None` where there is none.
fn means(
    features: &[f32],
    (h, w): (usize, usize),
    (rows, columns): (usize, usize),
    inside: impl Fn(usize) -> bool,
) -> Means {
    assert!(rows <= h && columns <= w, "cells of at least one position");
    let c = features.len() / (h * w);
    let mut sums = vec![0f64; rows * columns * c];
    let mut counts = vec![0usize; rows * columns];
    for (position, x) in features.chunks_exact(c).enumerate().filter(|(position, _)| inside(*position)) {
        let cell = cell_of(position, (h, w), (rows, columns));
        counts[cell] += 1;
        sums[cell * c..][..c].iter_mut().zip(x).for_each(|(sum, x)| *sum += f64::from(*x));
    }
    let mean = |(sums, &count): (&[f64], &usize)| {
        (count > 0).then(|| sums.iter().map(|sum| (sum / count as f64) as f32).collect())
    };
    sums.chunks(c).zip(&counts).map(mean).collect()
}

/// The cell, of a grid of `(rows, columns)` over a map of `(h, w)`, in which a position lies.
fn cell_of(position: usize, (h, w): (usize, usize), (rows, columns): (usize, usize)) -> usize {
    position / w * rows / h * columns + position % w * columns / w
}

/// The mean feature of each quarter of a map, `[4 C]`. A quarter of which nothing is inside has the mean of the whole map; a map of which
/// nothing is has zeros.
fn quarters(features: &[f32], (h, w): (usize, usize), inside: impl Fn(usize) -> bool) -> Vec<f32> {
    assert!(h > 1 && w > 1, "a map of {h} by {w} has no quarters");
    let c = features.len() / (h * w);
    let means = |cells| means(features, (h, w), cells, &inside);
    let all = || means((1, 1)).pop().flatten().unwrap_or_else(|| vec![0.0; c]);
    means((2, 2)).into_iter().flat_map(|quarter| quarter.unwrap_or_else(all)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Distribution, StandardNormal};

    #[test]
    fn cells_are_means_of_what_is_inside() {
        // [3, 5, 1] on 2 by 2: rows 0-1 and 2, columns 0-2 and 3-4.
        let map: Vec<f32> = (0..15).map(|i| i as f32).collect();
        let value = |v: f32| Some(vec![v]);
        assert_eq!(means(&map, (3, 5), (2, 2), |_| true), [value(3.5), value(6.0), value(11.0), value(13.5)]);
        assert_eq!(means(&map, (3, 5), (2, 2), |i| i < 10 && i != 0), [value(4.2), value(6.0), None, None]);
        let grid = |size| Regions::Cells.grid(size);
        assert_eq!([grid((16, 24)), grid((5, 8)), grid((1, 9))], [(8, 8), (5, 8), (1, 8)]);
    }

    #[test]
    fn quarters_are_means_of_what_is_inside() {
        // [3, 3, 2]: rows 0-1 and 2, columns 0-1 and 2.
        let map: Vec<f32> = (0..9).flat_map(|i| [i as f32, -(i as f32)]).collect();
        assert_eq!(quarters(&map, (3, 3), |_| true), [2.0, -2.0, 3.5, -3.5, 6.5, -6.5, 8.0, -8.0]);
        // Without the last quarter: 8 is not inside, and the mean of 0 to 7 stands for it.
        assert_eq!(quarters(&map, (3, 3), |i| i != 8)[6..], [3.5, -3.5]);
        assert_eq!(quarters(&map, (3, 3), |_| false), [0.0; 8]);
    }

    #[test]
    fn weights_make_the_means() {
        let (h, w, c) = (11, 9, 3);
        let map = FeatureMap {
            height: h,
            width: w,
            channels: c,
            hwc: (0..h * w * c).map(|i| ((i * 37) % 101) as f32).collect(),
        };
        // Nothing of the left half is seen, which holds two quarters.
        let right =
            Foreground { height: h, width: w, inside: (0..h * w).map(|i| u8::from(i % w > 5)).collect() };
        for regions in [Regions::Cells, Regions::Whole] {
            for seen in [None, Some(&right)] {
                let weights = regions.weights((h, w), seen);
                let product = |row: &Vec<f32>| -> Vec<f32> {
                    let sum = |j| row.iter().zip(map.hwc.chunks(c)).map(|(w, x)| w * x[j]).sum();
                    (0..c).map(sum).collect()
                };
                let found: Vec<f32> = weights.iter().flat_map(product).collect();
                let zeros = || vec![0.0; c];
                let want = regions.means(&map, seen).into_iter();
                let want: Vec<f32> = want.flat_map(|mean| mean.unwrap_or_else(zeros)).collect();
                assert_eq!(found.len(), want.len());
                for (found, want) in found.iter().zip(&want) {
                    assert!((found - want).abs() < 1e-4, "{found} for {want}");
                }
            }
        }
    }

    /// Images of three regions of two channels: the first varies as much as the second is narrow, the third is always the same.
    fn images(n: usize, seed: u64) -> Vec<Means> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut draw = |scale: f32| -> Option<Vec<f32>> {
            let z: [f32; 2] = std::array::from_fn(|_| StandardNormal.sample(&mut rng));
            Some(z.map(|z| 1.0 + scale * z).to_vec())
        };
        (0..n).map(|_| vec![draw(3.0), draw(0.1), Some(vec![2.0, 4.0])]).collect()
    }

    fn fit(images: &[Means]) -> Option<(RegionalGaussians, Vec<f32>)> {
        let slices: Vec<&[Option<Vec<f32>>]> = images.iter().map(Vec::as_slice).collect();
        let (fitted, held_out) = RegionalGaussians::fit(Regions::Cells, &slices, Isa::best())?;
        Some((fitted, held_out.iter().map(|d| oddest(d)).collect()))
    }

    #[test]
    fn what_is_usual_in_one_region_is_odd_in_another() {
        let known = images(60, 1);
        let (fitted, held) = fit(&known).expect("regions that vary");
        let prepared = fitted.prepare(Isa::best());
        let distance = |means: &[Option<Vec<f32>>]| oddest(&prepared.distances_of(means));
        let of = |first: f32, second: f32, third: f32| {
            let cell = |v: f32| Some(vec![1.0 + v, 1.0 - v]);
            distance(&[cell(first), cell(second), cell(third)])
        };
        assert!(of(1.0, 0.0, 0.0) < 0.5 && of(0.0, 1.0, 0.0) > 10.0);
        // Nothing is known of the third, and an image that shows no region is usual.
        assert_eq!(of(0.0, 0.0, 9.0), of(0.0, 0.0, 0.0));
        assert_eq!(distance(&[None, None, None]), 0.0);
        assert!(of(f32::NAN, 1.0, 0.0).is_nan());
        // Those it was fitted to lie nearer than they do by the others.
        let of_fitted = known.iter().map(|image| distance(image)).sum::<f32>();
        assert!(of_fitted < held.iter().sum::<f32>());
    }

    #[test]
    fn a_region_that_few_see_says_nothing() {
        let mut known = images(30, 2);
        known.iter_mut().skip(9).for_each(|image| image[1] = None);
        let (fitted, held) = fit(&known).expect("one region");
        assert!(fitted.gaussians[1].matrix.iter().all(|w| *w == 0.0) && fitted.gaussians[0].matrix[0] > 0.0);
        assert!(held.iter().all(|d| d.is_finite()) && held.len() == 30);
        assert_eq!(fit(&known[..9]), None);
        assert_eq!(fit(&[]), None);
        assert_eq!(fit(&vec![vec![None]; 30]), None);
    }
}
