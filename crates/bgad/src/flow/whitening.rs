//! Whitening of a level's features before its flow.
//!
//! ```text
//! μ = mean,  Σ = covariance of the normal features + ε (trace Σ / C) I,  Σ = L Lᵀ (Cholesky)      x̃ = L⁻¹ (x − μ)
//! ```
//!
//! The flow then starts from the Gaussian fit and spends its steps on what a Gaussian cannot say. The map is fixed, its
//! log-determinant is the same everywhere and is left out: `l` is the likelihood of `x̃`. See
//! docs/decisions/whitening.md.

use bgad_kernels::gemm::{self, AffineOptions, Packed};
use bgad_kernels::{Isa, MatMut, MatRef};
use rayon::prelude::*;

/// `ε`: keeps channels that hardly vary from deciding everything.
const RIDGE: f64 = 1e-3;

/// The fixed map `x̃ = W (x − μ)` of one level.
#[derive(Clone, Debug, PartialEq)]
pub struct Whitening {
    /// `μ`, `[C]`.
    pub mean: Vec<f32>,
    /// `W = L⁻¹`, `[C, C]` row-major, lower triangular.
    pub matrix: Vec<f32>,
}

impl Whitening {
    /// Fits the map to the features of so many normal `images`, with `channels = C`. `features` shows those of one image,
    /// `[n, C]`.
    ///
    /// # Errors
    ///
    /// What `features` says.
    ///
    /// # Panics
    ///
    /// If there is no feature vector at all.
    pub(crate) fn fit<E: Send>(
        images: usize,
        channels: usize,
        isa: Isa,
        features: impl Fn(usize, &mut dyn FnMut(&[f32])) -> Result<(), E> + Sync,
    ) -> Result<Whitening, E> {
        let c = channels;
        let mut count = 0;
        let mut mean = vec![0f64; c];
        let add_image = |(n, sum): (usize, Vec<f32>)| {
            count += n;
            mean.iter_mut().zip(sum).for_each(|(mean, sum)| *mean += f64::from(sum));
        };
        in_order(images, &features, add_image, |x| {
            let mut sum = vec![0.0; c];
            for x in x.chunks(c) {
                sum.iter_mut().zip(x).for_each(|(s, x)| *s += x);
            }
            (x.len() / c, sum)
        })?;
        assert!(count > 0, "whitening needs at least one feature vector");
        mean.iter_mut().for_each(|mean| *mean /= count as f64);

        let mut covariance = vec![0f64; c * c];
        let add_image = |square: Vec<f32>| {
            covariance.iter_mut().zip(square).for_each(|(sum, square)| *sum += f64::from(square));
        };
        in_order(images, &features, add_image, |x| {
            let centred: Vec<f32> = x
                .chunks(c)
                .flat_map(|x| x.iter().zip(&mean).map(|(x, m)| (f64::from(*x) - m) as f32))
                .collect();
            let mut square = vec![0.0; c * c];
            let centred = MatRef::dense(&centred, x.len() / c, c);
            gemm::accumulate_transposed(isa, centred, centred, MatMut::dense(&mut square, c, c));
            square
        })?;
        covariance.iter_mut().for_each(|sum| *sum /= count as f64);
        let trace: f64 = (0..c).map(|j| covariance[j * c + j]).sum();
        let ridge = (RIDGE * trace / c as f64).max(1e-12);
        (0..c).for_each(|j| covariance[j * c + j] += ridge);
        Ok(Whitening::of_covariance(mean, covariance))
    }

    /// The map that takes features of this mean `[C]` and covariance `[C, C]` to mean zero and identity. Only the lower half of
    /// the covariance is looked at; it must be positive definite.
    pub(crate) fn of_covariance(mean: Vec<f64>, covariance: Vec<f64>) -> Whitening {
        let matrix = inverse_cholesky(covariance, mean.len()).into_iter().map(|v| v as f32).collect();
        Whitening { mean: mean.into_iter().map(|m| m as f32).collect(), matrix }
    }

    /// `−W μ`, `[C]`: what is added to `W x`.
    pub fn bias(&self) -> Vec<f32> {
        let rows = self.matrix.chunks(self.mean.len());
        let dot = |row: &[f32]| {
            row.iter().zip(&self.mean).map(|(w, m)| f64::from(*w) * f64::from(*m)).sum::<f64>() as f32
        };
        rows.map(|row| -dot(row)).collect()
    }

    /// The form that runs.
    pub(crate) fn prepare(&self, isa: Isa) -> PreparedWhitening {
        let c = self.mean.len();
        let matrix = Packed::transposed(isa, MatRef::dense(&self.matrix, c, c));
        PreparedWhitening { matrix, bias: self.bias() }
    }
}

/// Images whose sums are held at a time.
const SHARE: usize = 64;

/// Runs `work` on every image, in parallel, and `add` on the results in the order of the images: the same bits for any
/// number of threads.
fn in_order<T: Send, E: Send>(
    images: usize,
    features: &(impl Fn(usize, &mut dyn FnMut(&[f32])) -> Result<(), E> + Sync),
    mut add: impl FnMut(T),
    work: impl Fn(&[f32]) -> T + Sync,
) -> Result<(), E> {
    for first in (0..images).step_by(SHARE) {
        let share: Vec<T> = (first..images.min(first + SHARE))
            .into_par_iter()
            .map(|image| {
                let mut result = None;
                features(image, &mut |x| result = Some(work(x)))?;
                Ok(result.expect("every image shows its features"))
            })
            .collect::<Result<_, E>>()?;
        share.into_iter().for_each(&mut add);
    }
    Ok(())
}

/// [`Whitening`], packed.
#[derive(Clone, Debug)]
pub struct PreparedWhitening {
    matrix: Packed,
    bias: Vec<f32>,
}

impl PreparedWhitening {
    /// Whitens feature vectors, `[n, C]`, into `out`, same shape.
    ///
    /// # Panics
    ///
    /// If the lengths differ or are not whole vectors.
    pub fn apply(&self, x: &[f32], out: &mut [f32]) {
        let c = self.bias.len();
        assert!(x.len() == out.len() && x.len().is_multiple_of(c), "vectors of {c} channels");
        let options = AffineOptions { bias: Some(&self.bias), ..Default::default() };
        let n = x.len() / c;
        gemm::affine(MatRef::dense(x, n, c), &self.matrix, options, MatMut::dense(out, n, c));
    }
}

/// `L⁻¹` for the Cholesky factor L of a positive definite matrix, `[n, n]`.
fn inverse_cholesky(mut a: Vec<f64>, n: usize) -> Vec<f64> {
    for j in 0..n {
        let pivot = (a[j * n + j] - (0..j).map(|k| a[j * n + k].powi(2)).sum::<f64>()).max(1e-30).sqrt();
        a[j * n + j] = pivot;
        for i in j + 1..n {
            let dot: f64 = (0..j).map(|k| a[i * n + k] * a[j * n + k]).sum();
            a[i * n + j] = (a[i * n + j] - dot) / pivot;
        }
    }
    let mut inverse = vec![0.0; n * n];
    for j in 0..n {
        inverse[j * n + j] = 1.0 / a[j * n + j];
        for i in j + 1..n {
            let dot: f64 = (j..i).map(|k| a[i * n + k] * inverse[k * n + j]).sum();
            inverse[i * n + j] = -dot / a[i * n + i];
        }
    }
    inverse
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_distr::{Distribution, StandardNormal};

    fn fit(images: &[&[f32]], channels: usize) -> Whitening {
        Whitening::fit(images.len(), channels, Isa::best(), |image, see| {
            see(images[image]);
            Ok::<_, std::convert::Infallible>(())
        })
        .expect("nothing can fail")
    }

    #[test]
    fn whitened_features_have_mean_zero_and_identity_covariance() {
        let (c, n) = (5, 4000);
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        let mut x = Vec::new();
        for _ in 0..n {
            let z: Vec<f32> = (0..c).map(|_| StandardNormal.sample(&mut rng)).collect();
            x.extend((0..c).map(|j| 3.0 + z[..=j].iter().sum::<f32>() * (j + 1) as f32));
        }
        let (first, second) = x.split_at(c * 1000);
        let whitening = fit(&[first, second], c);
        let mut y = vec![0.0; x.len()];
        whitening.prepare(Isa::best()).apply(&x, &mut y);
        for i in 0..c {
            let mean = y.chunks(c).map(|y| f64::from(y[i])).sum::<f64>() / n as f64;
            assert!(mean.abs() < 1e-3, "mean {mean}");
            for j in 0..c {
                let moment = y.chunks(c).map(|y| f64::from(y[i]) * f64::from(y[j])).sum::<f64>() / n as f64;
                let want = f64::from(u8::from(i == j));
                // The ridge shrinks the direction that varies least by a twentieth.
                assert!((moment - want).abs() < 0.06, "[{i}, {j}]: {moment}");
            }
        }
    }

    #[test]
    fn constant_and_single_features_stay_finite() {
        for image in [vec![2.0; 3], vec![2.0; 300], vec![0.0; 3]] {
            let whitening = fit(&[&image], 3);
            let mut y = vec![9.0; image.len()];
            whitening.prepare(Isa::best()).apply(&image, &mut y);
            assert!(y.iter().all(|y| y.abs() < 1e-3), "{y:?}");
        }
    }
}
