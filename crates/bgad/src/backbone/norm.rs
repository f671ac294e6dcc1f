//! Batch norm, folded into the convolution before it.
//!
//! ```text
//! γ (W x − μ) / √(v + ε) + β  =  (s W) x + (β − μ s)        s = γ / √(v + ε)
//! ```

use crate::weights::{Weights, WeightsError};

/// The factor and the offset that a batch norm became.
pub(super) struct Norm {
    scale: Vec<f64>,
    pub(super) bias: Vec<f32>,
}

impl Norm {
    pub(super) fn load(
        weights: &Weights,
        name: &str,
        channels: usize,
        epsilon: f64,
    ) -> Result<Norm, WeightsError> {
        let read = |part: &str| weights.tensor_f32(&format!("{name}.{part}"), &[channels]);
        let (gamma, beta) = (read("weight")?, read("bias")?);
        let (mean, variance) = (read("running_mean")?, read("running_var")?);
        let mut norm = Norm { scale: Vec::new(), bias: Vec::new() };
        for c in 0..channels {
            let scale = f64::from(gamma[c]) / (f64::from(variance[c]) + epsilon).sqrt();
            norm.scale.push(scale);
            norm.bias.push((f64::from(beta[c]) - f64::from(mean[c]) * scale) as f32);
        }
        let finite = norm.scale.iter().all(|x| x.is_finite()) && norm.bias.iter().all(|x| x.is_finite());
        let positive = variance.iter().all(|&v| v >= 0.0);
        if finite && positive { Ok(norm) } else { Err(WeightsError::Value { name: name.to_owned() }) }
    }

    /// Reads the convolution before the norm, `shape[0]` its output channels, with the norm folded in.
    pub(super) fn fold(
        &self,
        weights: &Weights,
        name: &str,
        shape: &[usize],
    ) -> Result<Vec<f32>, WeightsError> {
        let mut values = finite(weights, name, shape)?;
        let each = values.len() / self.scale.len();
        for (row, scale) in values.chunks_exact_mut(each).zip(&self.scale) {
            row.iter_mut().for_each(|w| *w = (f64::from(*w) * scale) as f32);
        }
        Ok(values)
    }
}

/// A tensor, all of it numbers.
pub(super) fn finite(weights: &Weights, name: &str, shape: &[usize]) -> Result<Vec<f32>, WeightsError> {
    let values = weights.tensor_f32(name, shape)?;
    let finite = values.iter().all(|x| x.is_finite());
    if finite { Ok(values) } else { Err(WeightsError::Value { name: name.to_owned() }) }
}
