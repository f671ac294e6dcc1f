//! A linear head: the direction in which the known defects differ from good images.
//!
//! ```text
//! z       = whitened feature of a position                                 mean 0, covariance I over good images
//! w       = mean over the known defects of (mean of z inside the mask)     of the levels of strides 8 and 16, each
//! h       = Σ over these levels of up(z · w / |w|)                         up: bilinear to the input size, corners aligned
//! ```
//!
//! This is the matched filter of a shift in the mean: closed form, no training. Whitening is folded into the weights, so on the network's
//! own features `h` costs a dot product a position.

use crate::flow::Whitening;
use crate::pyramid::FeatureMap;

/// `z · w / |w|` of one level, as weights of the features that the network gives.
#[derive(Clone, Debug, PartialEq)]
pub struct LinearHead {
    /// The level, from 0, among those that the model uses.
    pub(crate) level: usize,
    /// One a channel.
    pub(crate) weights: Vec<f32>,
    pub(crate) bias: f32,
}

impl LinearHead {
    /// From the mean whitened deviation, `[C]`, of each known defect; `None` where there is none, or where they cancel.
    pub(crate) fn fit(level: usize, deviations: &[Vec<f64>], whitening: &Whitening) -> Option<LinearHead> {
        let c = whitening.mean.len();
        let mut w = vec![0f64; c];
        for deviation in deviations {
            w.iter_mut().zip(deviation).for_each(|(sum, d)| *sum += d / deviations.len() as f64);
        }
        let norm = w.iter().map(|w| w * w).sum::<f64>().sqrt();
        if !norm.is_finite() || norm < 1e-9 {
            return None;
        }
        // x̃ = W (x − μ), so x̃ · w = x · Wᵀ w − μ · Wᵀ w.
        let mut weights = vec![0f64; c];
        for (row, w) in whitening.matrix.chunks(c).zip(&w) {
            weights.iter_mut().zip(row).for_each(|(sum, m)| *sum += f64::from(*m) * w / norm);
        }
        let bias = -weights.iter().zip(&whitening.mean).map(|(v, mean)| v * f64::from(*mean)).sum::<f64>();
        Some(LinearHead { level, weights: weights.iter().map(|v| *v as f32).collect(), bias: bias as f32 })
    }

    /// The level it looks at, from 0, among those that the model uses.
    pub fn level(&self) -> usize {
        self.level
    }

    /// What each channel counts, `[C]`.
    pub fn weights(&self) -> &[f32] {
        &self.weights
    }

    /// What is added to the weighted sum.
    pub fn bias(&self) -> f32 {
        self.bias
    }

    /// `h` of every position of its level, `[h, w]`.
    pub(crate) fn apply(&self, map: &FeatureMap) -> Vec<f32> {
        let of = |x: &[f32]| {
            // Eight sums side by side: the compiler makes one vector of them.
            let mut sums = [0f32; 8];
            let (x, rest) = x.as_chunks::<8>();
            let (w, rest_w) = self.weights.as_chunks::<8>();
            for (x, w) in x.iter().zip(w) {
                for i in 0..8 {
                    sums[i] += x[i] * w[i];
                }
            }
            let tail: f32 = rest.iter().zip(rest_w).map(|(x, w)| x * w).sum();
            sums.iter().sum::<f32>() + tail + self.bias
        };
        map.hwc.chunks_exact(map.channels).map(of).collect()
    }
}

/// The mean of whitened features, `[positions, C]`, over those positions that are `inside`; `None` if none is.
pub(crate) fn deviation(white: &[f32], channels: usize, inside: impl Fn(usize) -> bool) -> Option<Vec<f64>> {
    let mut sum = vec![0f64; channels];
    let mut count = 0usize;
    for (_, z) in white.chunks_exact(channels).enumerate().filter(|(position, _)| inside(*position)) {
        count += 1;
        sum.iter_mut().zip(z).for_each(|(sum, z)| *sum += f64::from(*z));
    }
    sum.iter_mut().for_each(|sum| *sum /= count.max(1) as f64);
    (count > 0).then_some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_where_the_defects_are() {
        // Whitening halves the second channel and shifts both; defects lie along (3, 4) of whitened space.
        let whitening = Whitening { mean: vec![1.0, 2.0], matrix: vec![1.0, 0.0, 0.0, 0.5] };
        let head = LinearHead::fit(0, &[vec![6.0, 8.0], vec![0.0, 0.0]], &whitening).expect("a direction");
        let of =
            |x: [f32; 2]| head.apply(&FeatureMap { height: 1, width: 1, channels: 2, hwc: x.to_vec() })[0];
        assert!(of([1.0, 2.0]).abs() < 1e-6);
        // x − μ = (3, 8), whitened (3, 4), along (0.6, 0.8): 5.
        assert!((of([4.0, 10.0]) - 5.0).abs() < 1e-5);
        assert_eq!(LinearHead::fit(0, &[vec![1.0, 0.0], vec![-1.0, 0.0]], &whitening), None);
        assert_eq!(LinearHead::fit(0, &[], &whitening), None);
    }

    #[test]
    fn a_deviation_is_the_mean_inside_the_mask() {
        let white = [1.0, 10.0, 3.0, 30.0, 100.0, 1000.0];
        assert_eq!(deviation(&white, 2, |i| i < 2), Some(vec![2.0, 20.0]));
        assert_eq!(deviation(&white, 2, |_| false), None);
    }
}
