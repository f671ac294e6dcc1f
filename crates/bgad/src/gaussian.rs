//! The Gaussian of a handful of long vectors.
//!
//! ```text
//! S       = covariance of v over n images,  m = tr S / D                                            v in R^D
//! Σ       = (1 − α) S + α m I,    α = min(1, Σᵢ ‖uᵢ uᵢᵀ − S‖² / (n² ‖S − m I‖²)),    u = v − μ      (Ledoit and Wolf 2004)
//! d       = (v − μ)ᵀ Σ⁻¹ (v − μ) / 2D                                          −log density in nats per entry, but for constants
//! ```
//!
//! Dozens of images are too few for a flow over such vectors, but enough for a Gaussian whose covariance is shrunk as far as their number
//! asks. Images that it was fitted to lie nearer than new ones, so what is usual is told by tenths of the images under the Gaussian of
//! the other nine ([`held_out`]).

use bgad_kernels::Isa;
use rayon::prelude::*;

use crate::flow::{PreparedWhitening, Whitening};

/// Images below which nothing is said of new ones.
pub(crate) const LEAST_IMAGES: usize = 10;

/// Parts that the images are divided into, each judged by the others.
const FOLDS: usize = 10;

/// The Gaussian of `v` as the map `W (v − μ)` to a standard normal one, `W Σ Wᵀ = I`; `None` where there are fewer than two images or
/// all are the same.
///
/// # Panics
///
/// If the vectors differ in length.
pub(crate) fn fit(v: &[&[f32]]) -> Option<Whitening> {
    let n = v.len();
    let d = v.first()?.len();
    assert!(v.iter().all(|v| v.len() == d), "vectors of one length");
    let mut mean = vec![0f64; d];
    for v in v {
        mean.iter_mut().zip(*v).for_each(|(mean, v)| *mean += f64::from(*v) / n as f64);
    }
    let centred: Vec<Vec<f64>> =
        v.iter().map(|v| v.iter().zip(&mean).map(|(v, mean)| f64::from(*v) - mean).collect()).collect();
    // S, its lower half.
    let mut covariance = vec![0f64; d * d];
    for u in &centred {
        for (i, ui) in u.iter().enumerate() {
            covariance[i * d..=i * d + i].iter_mut().zip(u).for_each(|(s, uj)| *s += ui * uj / n as f64);
        }
    }
    let trace: f64 = (0..d).map(|i| covariance[i * d + i]).sum();
    // Features are f32: less is rounding.
    let square_mean: f64 = mean.iter().map(|mean| mean * mean).sum();
    if n < 2 || trace.is_nan() || trace <= 1e-13 * square_mean {
        return None;
    }
    let m = trace / d as f64;
    let square_norm: f64 = (0..d)
        .map(|i| {
            let row = &covariance[i * d..=i * d + i];
            2.0 * row.iter().map(|s| s * s).sum::<f64>() - row[i] * row[i]
        })
        .sum();
    // ‖S − m I‖² = ‖S‖² − D m², and Σ ‖u uᵀ − S‖² = Σ |u|⁴ − n ‖S‖².
    let from_sphere = square_norm - d as f64 * m * m;
    let fourth: f64 = centred.iter().map(|u| u.iter().map(|u| u * u).sum::<f64>().powi(2)).sum();
    let noise = (fourth / n as f64 - square_norm) / n as f64;
    let shrinkage = if from_sphere > 0.0 { (noise / from_sphere).clamp(0.0, 1.0) } else { 1.0 };
    for i in 0..d {
        covariance[i * d..=i * d + i].iter_mut().for_each(|s| *s *= 1.0 - shrinkage);
        // As little as is needed where images of an odd kind (all on one line) would leave no inverse.
        covariance[i * d + i] += shrinkage.max(1e-6) * m;
    }
    Some(Whitening::of_covariance(mean, covariance))
}

/// `d` of each vector under the Gaussian of those of other folds, in their order; `None` as [`fit`], or for fewer than
/// [`LEAST_IMAGES`].
pub(crate) fn held_out(v: &[&[f32]], isa: Isa) -> Option<Vec<f32>> {
    if v.len() < LEAST_IMAGES {
        return None;
    }
    let folds: Vec<Vec<f32>> = (0..FOLDS)
        .into_par_iter()
        .map(|fold| {
            let others: Vec<&[f32]> =
                v.iter().enumerate().filter(|(i, _)| i % FOLDS != fold).map(|(_, v)| *v).collect();
            let gaussian = fit(&others)?.prepare(isa);
            Some(v.iter().skip(fold).step_by(FOLDS).map(|v| distance(&gaussian, v)).collect())
        })
        .collect::<Option<_>>()?;
    Some((0..v.len()).map(|i| folds[i % FOLDS][i / FOLDS]).collect())
}

/// `d`, nats per entry.
///
/// # Panics
///
/// If `v` is not as long as those that the Gaussian was fitted to.
pub(crate) fn distance(gaussian: &PreparedWhitening, v: &[f32]) -> f32 {
    let mut z = vec![0.0; v.len()];
    gaussian.apply(v, &mut z);
    (z.iter().map(|z| f64::from(*z).powi(2)).sum::<f64>() / (2 * v.len()) as f64) as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Distribution, StandardNormal};

    /// Three entries that hang together, and a fourth that hardly varies.
    fn vectors(n: usize, seed: u64) -> Vec<Vec<f32>> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let draw = |_| {
            let z: [f32; 4] = std::array::from_fn(|_| StandardNormal.sample(&mut rng));
            vec![5.0 + z[0], z[0] + 0.5 * z[1], 2.0 * z[2] - z[1], 0.01 * z[3]]
        };
        (0..n).map(draw).collect()
    }

    fn slices(v: &[Vec<f32>]) -> Vec<&[f32]> {
        v.iter().map(Vec::as_slice).collect()
    }

    #[test]
    fn agrees_with_ledoit_and_wolf() {
        // sklearn.covariance.ledoit_wolf of these rows: shrinkage 0.881858; d of each row under its covariance.
        let rows: [[f32; 2]; 5] = [[0.0, 0.0], [1.0, 2.0], [2.0, 0.0], [3.0, 1.0], [4.0, 3.0]];
        let rows: Vec<Vec<f32>> = rows.iter().map(|row| row.to_vec()).collect();
        let gaussian = fit(&slices(&rows)).expect("rows that differ").prepare(Isa::best());
        let want = [0.754_835_7, 0.261_008_5, 0.220_308_9, 0.156_586_7, 1.004_968_9];
        for (row, want) in rows.iter().zip(want) {
            assert!((distance(&gaussian, row) - want).abs() < 1e-5, "{row:?}: {}", distance(&gaussian, row));
        }
    }

    #[test]
    fn many_images_need_no_shrinkage_and_average_half_a_nat() {
        let (known, new) = (vectors(4000, 1), vectors(4000, 2));
        let gaussian = fit(&slices(&known)).expect("rows that differ").prepare(Isa::best());
        let mean = new.iter().map(|v| f64::from(distance(&gaussian, v))).sum::<f64>() / 4000.0;
        // The fourth entry is a hundredth of the others and shrunk towards them: at most its share of the mean is missing.
        assert!((0.37..0.51).contains(&mean), "{mean}");
        let odd = distance(&gaussian, &[5.0, 6.0, 0.0, 0.0]);
        assert!(odd > 4.0, "usual entries that do not belong together: {odd}");
    }

    #[test]
    fn images_it_was_fitted_to_lie_nearer_and_held_out_ones_tell_of_new_ones() {
        let mean = |v: &[f32]| v.iter().map(|v| f64::from(*v)).sum::<f64>() / v.len() as f64;
        // Fitted, unseen and held out, averaged over draws of sixteen images.
        let mut means = [0f64; 3];
        for draw in 0..40 {
            let (known, new) = (vectors(16, 2 * draw), vectors(200, 2 * draw + 1));
            let gaussian = fit(&slices(&known)).expect("rows that differ").prepare(Isa::best());
            let of = |v: &[Vec<f32>]| mean(&v.iter().map(|v| distance(&gaussian, v)).collect::<Vec<_>>());
            let held = held_out(&slices(&known), Isa::best()).expect("sixteen images");
            means
                .iter_mut()
                .zip([of(&known), of(&new), mean(&held)])
                .for_each(|(sum, mean)| *sum += mean / 40.0);
        }
        let [fitted, unseen, held] = means;
        assert!(fitted < 0.9 * unseen, "{fitted} of the fitted, {unseen} of new ones");
        assert!((held / unseen - 1.0).abs() < 0.1, "{held} held out, {unseen} of new ones");
    }

    #[test]
    fn too_few_and_all_the_same_say_nothing() {
        assert_eq!(fit(&[]), None);
        assert_eq!(fit(&[&[1.0, 2.0]]), None);
        assert_eq!(fit(&[&[1.0, 2.0][..]; 20]), None);
        assert_eq!(fit(&[&[1.0, 2.0], &[f32::NAN, 2.0]]), None);
        assert_eq!(held_out(&slices(&vectors(9, 1)), Isa::best()), None);
        assert_eq!(held_out(&[&[3.0; 4][..]; 30], Isa::best()), None);
    }

    #[test]
    fn images_on_a_line_have_finite_distances() {
        let v: Vec<Vec<f32>> = (0..30).map(|i| vec![i as f32, 2.0 * i as f32, 0.0]).collect();
        let gaussian = fit(&slices(&v)).expect("rows that differ").prepare(Isa::best());
        for v in [vec![0.0, 0.0, 0.0], vec![9.0, -9.0, 5.0]] {
            assert!(distance(&gaussian, &v).is_finite());
        }
        assert!(distance(&gaussian, &[9.0, -9.0, 5.0]) > 10.0 * distance(&gaussian, &[9.0, 18.0, 0.0]));
    }
}
