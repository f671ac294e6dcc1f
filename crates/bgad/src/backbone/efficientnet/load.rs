//! A network of the family as plain numbers, from tensors with timm's names.

use super::super::layers::{Activation, BlockLayers, Convolution, Gate, Layers, Padding, Shortcut};
use super::super::norm::{Norm, finite};
use super::{Architecture, BlockPlan};
use crate::weights::{Weights, WeightsError};

/// ε of batch norm in the networks that came from TensorFlow.
const EPSILON: f64 = 1e-3;

/// Sizes of a convolution and what follows it.
struct Sizes {
    output: usize,
    /// Input channels of a group.
    input: usize,
    kernel: usize,
    stride: usize,
    groups: usize,
    activation: Activation,
}

impl Sizes {
    fn pointwise(output: usize, input: usize, activation: Activation) -> Sizes {
        Sizes { output, input, kernel: 1, stride: 1, groups: 1, activation }
    }

    fn shape(&self) -> [usize; 4] {
        [self.output, self.input, self.kernel, self.kernel]
    }

    fn with(self, weights: Vec<f32>, bias: Vec<f32>) -> Convolution {
        let Sizes { kernel, stride, groups, activation, .. } = self;
        Convolution { weights, bias, kernel, stride, groups, padding: Padding::Same, activation }
    }

    /// A convolution without bias, and the norm after it.
    fn normed(self, weights: &Weights, name: &str, norm: &str) -> Result<Convolution, WeightsError> {
        let norm = Norm::load(weights, norm, self.output, EPSILON)?;
        let values = norm.fold(weights, &format!("{name}.weight"), &self.shape())?;
        Ok(self.with(values, norm.bias))
    }

    /// A convolution with a bias and no norm.
    fn plain(self, weights: &Weights, name: &str) -> Result<Convolution, WeightsError> {
        let values = finite(weights, &format!("{name}.weight"), &self.shape())?;
        let bias = finite(weights, &format!("{name}.bias"), &[self.output])?;
        Ok(self.with(values, bias))
    }
}

/// The network with these weights.
pub(super) fn layers(architecture: &Architecture, weights: &Weights) -> Result<Layers, WeightsError> {
    let activation = architecture.activation();
    let output = architecture.stem();
    let stem = Sizes { output, input: 3, kernel: 3, stride: 2, groups: 1, activation };
    let stem = stem.normed(weights, "conv_stem", "bn1")?;
    let plan = architecture.blocks().into_iter();
    let blocks = plan.map(|plan| block(&plan, activation, weights)).collect::<Result<_, _>>()?;
    Ok(Layers { mean_std: architecture.mean_std(), stem, is_pooled: false, blocks })
}

fn block(plan: &BlockPlan, activation: Activation, weights: &Weights) -> Result<BlockLayers, WeightsError> {
    let BlockPlan { input, expanded, output, kernel, stride, .. } = *plan;
    let at = |part: &str| format!("{}.{part}", plan.name);
    let normed = |sizes: Sizes, name: &str, norm: &str| sizes.normed(weights, &at(name), &at(norm));
    // timm numbers the norms and names the pointwise convolutions by their place in the block.
    let is_expanded = expanded != input;
    let (norms, project) =
        if is_expanded { (["bn2", "bn3"], "conv_pwl") } else { (["bn1", "bn2"], "conv_pw") };
    let mut body = Vec::new();
    if is_expanded {
        body.push(normed(Sizes::pointwise(expanded, input, activation), "conv_pw", "bn1")?);
    }
    let gate = match plan.squeezed {
        None => None,
        Some(squeezed) => Some(Gate {
            behind: body.len(),
            reduce: Sizes::pointwise(squeezed, expanded, Activation::Silu)
                .plain(weights, &at("se.conv_reduce"))?,
            expand: Sizes::pointwise(expanded, squeezed, Activation::None)
                .plain(weights, &at("se.conv_expand"))?,
        }),
    };
    let depthwise = Sizes { output: expanded, input: 1, kernel, stride, groups: expanded, activation };
    body.push(normed(depthwise, "conv_dw", norms[0])?);
    body.push(normed(Sizes::pointwise(output, expanded, Activation::None), project, norms[1])?);
    Ok(BlockLayers {
        name: plan.name.clone(),
        body,
        gate,
        shortcut: if plan.has_residual() { Shortcut::Identity } else { Shortcut::None },
        activation: Activation::None,
        level: plan.level,
    })
}
