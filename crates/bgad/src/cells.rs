//! The image cell by cell: what is unusual just there.
//!
//! ```text
//! v_i     = mean feature of cell i of the coarsest level, as the network gives them                  in R^C
//! d_i     = how far v_i is from that of the normal images at the same cell                           crate::gaussian
//! d       = max over i of d_i
//! ```
//!
//! The grid has 8 rows and 8 columns, or as many as the level has positions. A flow is one for all places and is told where it is; a
//! Gaussian of each place (as in PaDiM, Defard et al. 2021) knows nothing of its neighbours, but all of what is usual there.

use bgad_kernels::Isa;
use rayon::prelude::*;

use crate::flow::{PreparedWhitening, Whitening};
use crate::foreground::Foreground;
use crate::gaussian;
use crate::pyramid::FeatureMap;

/// Rows and columns of the grid at most.
const SIDE: usize = 8;

/// Rows and columns of the grid over a map of `(h, w)` positions.
pub fn grid((h, w): (usize, usize)) -> (usize, usize) {
    (h.min(SIDE), w.min(SIDE))
}

/// The mean feature, `[C]`, of each cell of a grid of `(rows, columns)` over a map, `[h, w, C]`, over the positions that are `inside`;
/// `None` where there is none.
///
/// # Panics
///
/// If the grid is finer than the map.
pub fn means(
    features: &[f32],
    (h, w): (usize, usize),
    (rows, columns): (usize, usize),
    inside: impl Fn(usize) -> bool,
) -> Vec<Option<Vec<f32>>> {
    assert!(rows <= h && columns <= w, "cells of at least one position");
    let c = features.len() / (h * w);
    let mut sums = vec![0f64; rows * columns * c];
    let mut counts = vec![0usize; rows * columns];
    for (position, x) in features.chunks_exact(c).enumerate().filter(|(position, _)| inside(*position)) {
        let cell = position / w * rows / h * columns + position % w * columns / w;
        counts[cell] += 1;
        sums[cell * c..][..c].iter_mut().zip(x).for_each(|(sum, x)| *sum += f64::from(*x));
    }
    let mean = |(sums, &count): (&[f64], &usize)| {
        (count > 0).then(|| sums.iter().map(|sum| (sum / count as f64) as f32).collect())
    };
    sums.chunks(c).zip(&counts).map(mean).collect()
}

/// [`means`] of the cells of a feature map, over the positions that `seen`, of any size, touches; `None` for all.
pub fn of_map(map: &FeatureMap, seen: Option<&Foreground>) -> Vec<Option<Vec<f32>>> {
    let size = (map.height, map.width);
    let seen = seen.map(|seen| seen.on_grid(size));
    means(&map.hwc, size, grid(size), |position| seen.as_ref().is_none_or(|seen| seen[position]))
}

/// The Gaussian of each cell, from [`means`] of normal images, and `d` of each of these by the others. Of a cell that fewer than
/// [`gaussian::LEAST_IMAGES`] see, or in which all are the same, nothing is said: its map is zero. `None` if that is so of every cell.
///
/// # Panics
///
/// If the images differ in cells or channels.
pub fn fit(images: &[&[Option<Vec<f32>>]], isa: Isa) -> Option<(Vec<Whitening>, Vec<f32>)> {
    let cells = images.first()?.len();
    let channels = images.iter().flat_map(|image| image.iter()).flatten().next()?.len();
    let of_cell = |cell: usize| {
        let (who, v): (Vec<usize>, Vec<&[f32]>) = images
            .iter()
            .enumerate()
            .filter_map(|(image, means)| Some((image, means[cell].as_deref()?)))
            .unzip();
        let distances = gaussian::held_out(&v, isa)?;
        Some((gaussian::fit(&v)?, who, distances))
    };
    let fitted: Vec<_> = (0..cells).into_par_iter().map(of_cell).collect();
    if fitted.iter().all(Option::is_none) {
        return None;
    }
    let mut highest = vec![0.0; images.len()];
    let unknown = || Whitening { mean: vec![0.0; channels], matrix: vec![0.0; channels * channels] };
    let gaussians = fitted.into_iter().map(|fitted| {
        let Some((gaussian, who, distances)) = fitted else { return unknown() };
        who.iter().zip(distances).for_each(|(image, d)| highest[*image] = higher(highest[*image], d));
        gaussian
    });
    Some((gaussians.collect(), highest))
}

/// `d`, nats per channel; 0 if no cell is seen.
///
/// # Panics
///
/// If the image has other cells or channels than those that the Gaussians were fitted to.
pub fn distance(gaussians: &[PreparedWhitening], means: &[Option<Vec<f32>>]) -> f32 {
    assert_eq!(gaussians.len(), means.len(), "a Gaussian a cell");
    let seen = gaussians.iter().zip(means).filter_map(|(gaussian, v)| Some((gaussian, v.as_ref()?)));
    seen.map(|(gaussian, v)| gaussian::distance(gaussian, v)).fold(0.0, higher)
}

/// The larger of two; what is not a number stays.
fn higher(a: f32, b: f32) -> f32 {
    if b > a || b.is_nan() { b } else { a }
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
        assert_eq!([grid((16, 24)), grid((5, 8)), grid((1, 9))], [(8, 8), (5, 8), (1, 8)]);
    }

    /// Images of three cells of two channels: the first is as wide as the second is narrow, the third is always the same.
    fn images(n: usize, seed: u64) -> Vec<Vec<Option<Vec<f32>>>> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut draw = |scale: f32| -> Option<Vec<f32>> {
            Some(
                (0..2)
                    .map(|_| {
                        1.0 + scale * {
                            let z: f32 = StandardNormal.sample(&mut rng);
                            z
                        }
                    })
                    .collect(),
            )
        };
        (0..n).map(|_| vec![draw(3.0), draw(0.1), Some(vec![2.0, 4.0])]).collect()
    }

    fn slices(images: &[Vec<Option<Vec<f32>>>]) -> Vec<&[Option<Vec<f32>>]> {
        images.iter().map(Vec::as_slice).collect()
    }

    #[test]
    fn what_is_usual_in_one_cell_is_odd_in_another() {
        let known = images(60, 1);
        let (gaussians, held) = fit(&slices(&known), Isa::best()).expect("cells that vary");
        let prepared: Vec<_> = gaussians.iter().map(|g| g.prepare(Isa::best())).collect();
        let of = |first: f32, second: f32, third: f32| {
            let cell = |v: f32| Some(vec![1.0 + v, 1.0 - v]);
            distance(&prepared, &[cell(first), cell(second), cell(third)])
        };
        assert!(of(1.0, 0.0, 0.0) < 0.5 && of(0.0, 1.0, 0.0) > 10.0);
        // Nothing is known of the third, and an image that shows no cell is usual.
        assert_eq!(of(0.0, 0.0, 9.0), of(0.0, 0.0, 0.0));
        assert_eq!(distance(&prepared, &[None, None, None]), 0.0);
        assert!(of(f32::NAN, 1.0, 0.0).is_nan());
        // Those it was fitted to lie nearer than they do by the others.
        let fitted = known.iter().map(|image| distance(&prepared, image)).sum::<f32>();
        assert!(fitted < held.iter().sum::<f32>());
    }

    #[test]
    fn a_cell_that_few_see_says_nothing() {
        let mut known = images(30, 2);
        known.iter_mut().skip(9).for_each(|image| image[1] = None);
        let (gaussians, held) = fit(&slices(&known), Isa::best()).expect("one cell");
        assert!(gaussians[1].matrix.iter().all(|w| *w == 0.0) && gaussians[0].matrix[0] > 0.0);
        assert!(held.iter().all(|d| d.is_finite()) && held.len() == 30);
        assert_eq!(fit(&slices(&known[..9]), Isa::best()), None);
        assert_eq!(fit(&[], Isa::best()), None);
        assert_eq!(fit(&[&[None][..]; 30], Isa::best()), None);
    }
}
