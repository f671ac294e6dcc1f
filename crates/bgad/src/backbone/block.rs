//! One inverted-residual block, run band by band.
//!
//! ```text
//! e = act( E x + b_e )             pointwise, six times the channels; absent in the first stage
//! d = act( D * e + b_d )           depthwise
//! g = gate( mean d )               squeeze and excitation, where the network has it
//! y = P (g ⊙ d) + b_p  [+ x]       pointwise
//! ```
//!
//! A batch norm `γ (x − μ) / √(v + ε) + β` after a convolution is folded into its weights and bias at load. The
//! expanded maps are never stored whole: the depthwise convolution needs `kernel` rows of `e`, which live in a ring
//! of padded rows, and without a gate the projection follows as soon as a band of `d` is ready.

use bgad_kernels::Isa;
use bgad_kernels::depthwise::{Depthwise, DepthwiseShape, Same};
use bgad_kernels::gemm::{self, Activation, AffineOptions, Packed};
use bgad_kernels::squeeze_excite::SqueezeExcite;
use bgad_kernels::stem::Stem;

use super::efficientnet::BlockPlan;
use crate::weights::{Weights, WeightsError};

/// ε of batch norm in the networks that came from TensorFlow.
const EPSILON: f64 = 1e-3;

/// Positions of a band of the result: enough rows to keep the weights of the projection in use.
const BAND_POSITIONS: usize = 128;

/// The factor and the offset that a batch norm became.
struct Norm {
    scale: Vec<f64>,
    bias: Vec<f32>,
}

impl Norm {
    fn load(weights: &Weights, name: &str, channels: usize) -> Result<Norm, WeightsError> {
        let read = |part: &str| weights.tensor_f32(&format!("{name}.{part}"), &[channels]);
        let (gamma, beta) = (read("weight")?, read("bias")?);
        let (mean, variance) = (read("running_mean")?, read("running_var")?);
        let mut norm = Norm { scale: Vec::new(), bias: Vec::new() };
        for c in 0..channels {
            let scale = f64::from(gamma[c]) / (f64::from(variance[c]) + EPSILON).sqrt();
            norm.scale.push(scale);
            norm.bias.push((f64::from(beta[c]) - f64::from(mean[c]) * scale) as f32);
        }
        let finite = norm.scale.iter().all(|x| x.is_finite()) && norm.bias.iter().all(|x| x.is_finite());
        let positive = variance.iter().all(|&v| v >= 0.0);
        if finite && positive { Ok(norm) } else { Err(WeightsError::Value { name: name.to_owned() }) }
    }

    /// Reads the convolution before the norm, `shape[0]` its output channels, with the norm folded in.
    fn fold(&self, weights: &Weights, name: &str, shape: &[usize]) -> Result<Vec<f32>, WeightsError> {
        let mut values = finite(weights, name, shape)?;
        let each = values.len() / self.scale.len();
        for (row, scale) in values.chunks_exact_mut(each).zip(&self.scale) {
            row.iter_mut().for_each(|w| *w = (f64::from(*w) * scale) as f32);
        }
        Ok(values)
    }
}

fn finite(weights: &Weights, name: &str, shape: &[usize]) -> Result<Vec<f32>, WeightsError> {
    let values = weights.tensor_f32(name, shape)?;
    let finite = values.iter().all(|x| x.is_finite());
    if finite { Ok(values) } else { Err(WeightsError::Value { name: name.to_owned() }) }
}

/// Reads the first convolution of the network.
pub(super) fn load_stem(
    weights: &Weights,
    channels: usize,
    activation: Activation,
    isa: Isa,
) -> Result<Stem, WeightsError> {
    let norm = Norm::load(weights, "bn1", channels)?;
    let values = norm.fold(weights, "conv_stem.weight", &[channels, 3, 3, 3])?;
    Ok(Stem::new(isa, channels, activation, &values, &norm.bias))
}

/// A pointwise convolution.
#[derive(Debug)]
struct Pointwise {
    weights: Packed,
    bias: Vec<f32>,
}

impl Pointwise {
    fn load(
        weights: &Weights,
        name: &str,
        norm: &str,
        shape: [usize; 2],
        isa: Isa,
    ) -> Result<Self, WeightsError> {
        let [output, input] = shape;
        let norm = Norm::load(weights, norm, output)?;
        let values = norm.fold(weights, &format!("{name}.weight"), &[output, input, 1, 1])?;
        Ok(Pointwise { weights: Packed::transposed(isa, input, output, &values), bias: norm.bias })
    }
}

/// One block with its weights.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) plan: BlockPlan,
    activation: Activation,
    expand: Option<Pointwise>,
    depthwise: Depthwise,
    squeeze: Option<SqueezeExcite>,
    project: Pointwise,
}

/// Where the rows of a block's input come from.
#[derive(Clone, Copy)]
pub(super) enum Source<'a> {
    /// A feature map `[h, w, input channels]`.
    Map(&'a [f32]),
    /// The image, `[h, w, 3]` with its height and width, through the stem.
    Image(&'a Stem, &'a [f32], [usize; 2]),
}

/// Buffers of a block, grown to the largest need and then reused.
#[derive(Debug)]
pub(super) struct Scratch {
    /// Padded rows of the expanded map, as many as the kernel has.
    ring: Vec<f32>,
    /// The row outside the picture.
    zeros: Vec<f32>,
    /// Results of the depthwise convolution: a band, or the whole map where a gate waits for its mean.
    bands: Vec<f32>,
    /// Three padded rows of the image.
    image_rows: Vec<f32>,
    gate: Vec<f32>,
    hidden: Vec<f32>,
    gated: Packed,
}

impl Scratch {
    pub(super) fn new(isa: Isa) -> Scratch {
        Scratch {
            ring: Vec::new(),
            zeros: Vec::new(),
            bands: Vec::new(),
            image_rows: Vec::new(),
            gate: Vec::new(),
            hidden: Vec::new(),
            gated: Packed::new(isa, 0, 0, &[]),
        }
    }
}

/// The first `n` values, grown with zeros where there are fewer.
pub(super) fn at_least(buffer: &mut Vec<f32>, n: usize) -> &mut [f32] {
    if buffer.len() < n {
        buffer.resize(n, 0.0);
    }
    &mut buffer[..n]
}

impl Block {
    pub(super) fn load(
        weights: &Weights,
        plan: BlockPlan,
        activation: Activation,
        isa: Isa,
    ) -> Result<Block, WeightsError> {
        let BlockPlan { input, expanded, output, kernel, stride, .. } = plan;
        let at = |part: &str| format!("{}.{part}", plan.name);
        // timm numbers the norms and names the pointwise convolutions by their place in the block.
        let is_expanded = plan.expanded != plan.input;
        let (norms, project) =
            if is_expanded { (["bn2", "bn3"], "conv_pwl") } else { (["bn1", "bn2"], "conv_pw") };
        let expand = if is_expanded {
            Some(Pointwise::load(weights, &at("conv_pw"), &at("bn1"), [expanded, input], isa)?)
        } else {
            None
        };
        let norm = Norm::load(weights, &at(norms[0]), expanded)?;
        let taps = norm.fold(weights, &at("conv_dw.weight"), &[expanded, 1, kernel, kernel])?;
        let shape = DepthwiseShape { kernel, stride, channels: expanded, activation };
        let depthwise = Depthwise::new(isa, shape, &taps, &norm.bias);
        let squeeze = match plan.squeezed {
            None => None,
            Some(squeezed) => Some(SqueezeExcite::new(
                isa,
                &finite(weights, &at("se.conv_reduce.weight"), &[squeezed, expanded, 1, 1])?,
                &finite(weights, &at("se.conv_reduce.bias"), &[squeezed])?,
                &finite(weights, &at("se.conv_expand.weight"), &[expanded, squeezed, 1, 1])?,
                &finite(weights, &at("se.conv_expand.bias"), &[expanded])?,
            )),
        };
        let project = Pointwise::load(weights, &at(project), &at(norms[1]), [output, expanded], isa)?;
        Ok(Block { plan, activation, expand, depthwise, squeeze, project })
    }

    /// Height and width of the result for an input of `h` by `w`.
    pub(super) fn output_size(&self, [h, w]: [usize; 2]) -> [usize; 2] {
        [h.div_ceil(self.plan.stride), w.div_ceil(self.plan.stride)]
    }

    /// Writes the result, `[h, w, output channels]` of [`Block::output_size`], to `out`; `size` is the input's.
    pub(super) fn run(&self, source: Source<'_>, size: [usize; 2], scratch: &mut Scratch, out: &mut [f32]) {
        let BlockPlan { kernel, stride, expanded, output, .. } = self.plan;
        let [rows, columns] = size.map(|length| Same::new(length, kernel, stride));
        let pitch = columns.padded * expanded;
        let [left, right] = [columns.before * expanded, (columns.before + size[1]) * expanded];
        at_least(&mut scratch.zeros, pitch);
        let ring = at_least(&mut scratch.ring, kernel * pitch);
        for row in ring.chunks_exact_mut(pitch) {
            row[..left].fill(0.0);
            row[right..].fill(0.0);
        }

        let band_rows = match self.squeeze {
            Some(_) => rows.out,
            None => BAND_POSITIONS.div_ceil(columns.out).min(rows.out),
        };
        let (d_row, y_row) = (columns.out * expanded, columns.out * output);
        at_least(&mut scratch.bands, band_rows * d_row);
        if let Some(squeeze) = &self.squeeze {
            scratch.gate.clear();
            scratch.gate.resize(squeeze.padded_channels(), 0.0);
        }

        let mut made = 0;
        for (band, out) in out.chunks_mut(band_rows * y_row).enumerate() {
            let count = out.len() / y_row;
            for (i, d) in scratch.bands.chunks_exact_mut(d_row).take(count).enumerate() {
                // The first row that the kernel sees, counted with the padding.
                let top = (band * band_rows + i) * stride;
                let bottom = (top + kernel).saturating_sub(rows.before).min(size[0]);
                for y in made..bottom {
                    let slot = &mut scratch.ring[y % kernel * pitch..][left..right];
                    self.expanded_row(source, y, size[1], &mut scratch.image_rows, slot);
                }
                made = made.max(bottom);
                let mut seen: [&[f32]; 5] = [&[]; 5];
                for (k, seen) in seen.iter_mut().enumerate().take(kernel) {
                    *seen = match (top + k).checked_sub(rows.before) {
                        Some(y) if y < size[0] => &scratch.ring[y % kernel * pitch..][..pitch],
                        _ => &scratch.zeros[..pitch],
                    };
                }
                self.depthwise.row(&seen[..kernel], d);
                if let Some(squeeze) = &self.squeeze {
                    squeeze.add_sums(d, &mut scratch.gate);
                }
            }

            let first = band * band_rows * y_row;
            let project = match &self.squeeze {
                None => &self.project.weights,
                Some(squeeze) => {
                    squeeze.gate_mut(&mut scratch.gate, rows.out * columns.out, &mut scratch.hidden);
                    self.project.weights.scale_rows_into(&scratch.gate, &mut scratch.gated);
                    &scratch.gated
                }
            };
            let residual = match source {
                Source::Map(map) if self.plan.has_residual() => Some(&map[first..first + out.len()]),
                _ => None,
            };
            let options =
                AffineOptions { bias: Some(&self.project.bias), activation: Activation::None, residual };
            let positions = count * columns.out;
            gemm::affine(&scratch.bands, expanded, positions, project, options, out, output);
        }
    }

    /// Row `y` of the map that the depthwise convolution sees, `[width, expanded channels]`.
    fn expanded_row(
        &self,
        source: Source<'_>,
        y: usize,
        width: usize,
        image_rows: &mut Vec<f32>,
        slot: &mut [f32],
    ) {
        match (source, &self.expand) {
            (Source::Map(map), Some(expand)) => {
                let channels = self.plan.input;
                let x = &map[y * width * channels..][..width * channels];
                let options =
                    AffineOptions { bias: Some(&expand.bias), activation: self.activation, residual: None };
                gemm::affine(x, channels, width, &expand.weights, options, slot, self.plan.expanded);
            }
            (Source::Map(map), None) => slot.copy_from_slice(&map[y * slot.len()..][..slot.len()]),
            (Source::Image(stem, image, size), _) => stem_row(stem, image, size, y, image_rows, slot),
        }
    }
}

/// Row `y` of the stem's result.
fn stem_row(
    stem: &Stem,
    image: &[f32],
    size: [usize; 2],
    y: usize,
    image_rows: &mut Vec<f32>,
    slot: &mut [f32],
) {
    let [rows, columns] = size.map(|length| Same::new(length, 3, 2));
    let (pitch, left, width) = (columns.padded * 3, columns.before * 3, size[1] * 3);
    let padded = at_least(image_rows, 3 * pitch);
    for (k, padded) in padded.chunks_exact_mut(pitch).enumerate() {
        padded.fill(0.0);
        if let Some(y) = (2 * y + k).checked_sub(rows.before).filter(|&y| y < size[0]) {
            padded[left..left + width].copy_from_slice(&image[y * width..][..width]);
        }
    }
    stem.row([&padded[..pitch], &padded[pitch..2 * pitch], &padded[2 * pitch..]], slot);
}
