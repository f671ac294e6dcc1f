//! The ResNet family as data, and how it runs: up to the last block of stride 16.
//!
//! ```text
//! x₀ = maxpool( relu( W₇ * image + b ) )                          7 × 7 of stride 2, then 3 × 3 of stride 2
//! basic        y = relu( W₂ * relu( W₁ * x + b₁ ) + b₂ + s(x) )                     3 × 3, 3 × 3
//! bottleneck   y = relu( W₃ relu( W₂ * relu( W₁ x + b₁ ) + b₂ ) + b₃ + s(x) )       1 × 1, 3 × 3, 1 × 1
//! s(x) = x, or a 1 × 1 convolution where shapes differ; the first block of the later levels strides in its first 3 × 3
//! ```
//!
//! ResNet: He et al., 2015, <https://arxiv.org/abs/1512.03385>; wide: Zagoruyko and Komodakis, 2016, <https://arxiv.org/abs/1605.07146>. timm and
//! torchvision give the tensors the same names. Batch norms are folded into their convolutions at load.

use bgad_kernels::Isa;
use bgad_kernels::convolution::{
    Convolution, ConvolutionOptions, ConvolutionScratch, ConvolutionShape, Map, ROWS_TOGETHER,
};
use bgad_kernels::gemm::Activation;
use bgad_kernels::pool;

use super::extractor::{Extractor, LevelShape, Maps, Memory};
use super::layers::{self, BlockLayers, Layers, Padding, Shortcut};
use super::norm::Norm;
use super::spread::{at_least, spread};
use super::{Family, Network};
use crate::weights::{Weights, WeightsError};

/// The networks and the tensors they are built from.
pub(super) const FAMILY: Family = Family {
    names: || ARCHITECTURES.iter().map(|architecture| architecture.name).collect(),
    needs: |tensor| {
        PARTS.iter().any(|prefix| tensor.starts_with(prefix)) && !tensor.ends_with("num_batches_tracked")
    },
    load: |name, weights, isa| {
        let architecture = ARCHITECTURES.into_iter().find(|architecture| architecture.name == name);
        Ok(Box::new(ResNet::load(architecture.expect("a name of this family"), weights, isa)?) as Network)
    },
    layers: |name, weights| {
        let architecture = ARCHITECTURES.into_iter().find(|architecture| architecture.name == name);
        architecture.expect("a name of this family").layers(weights)
    },
};

/// What the names of the tensors that three levels need begin with.
const PARTS: [&str; 5] = ["conv1.", "bn1.", "layer1.", "layer2.", "layer3."];

/// Mean and standard deviation of ImageNet, which the weights were trained with.
const MEAN_STD: ([f32; 3], [f32; 3]) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);

/// ε of batch norm in the networks that came from PyTorch.
const EPSILON: f64 = 1e-5;

/// Channels of the first convolution.
const STEM: usize = 64;

/// One network of the family.
#[derive(Clone, Copy, Debug)]
pub(super) struct Architecture {
    pub(super) name: &'static str,
    /// Blocks of each level.
    blocks: [usize; 3],
    /// Channels of the 3 × 3 convolution of the first level's bottlenecks; `None` for basic blocks.
    bottleneck: Option<usize>,
}

/// The family; names are timm's and torchvision's.
pub(super) const ARCHITECTURES: [Architecture; 4] = [
    Architecture { name: "resnet18", blocks: [2, 2, 2], bottleneck: None },
    Architecture { name: "resnet34", blocks: [3, 4, 6], bottleneck: None },
    Architecture { name: "resnet50", blocks: [3, 4, 6], bottleneck: Some(64) },
    Architecture { name: "wide_resnet50_2", blocks: [3, 4, 6], bottleneck: Some(128) },
];

/// A convolution and the norm after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layer {
    pub(super) convolution: String,
    pub(super) norm: String,
    pub(super) shape: ConvolutionShape,
}

/// One block.
#[derive(Clone, Debug)]
pub(super) struct BlockPlan {
    /// One after the other.
    pub(super) body: Vec<Layer>,
    /// What is applied to the input before it is added.
    pub(super) shortcut: Option<Layer>,
    /// The level whose feature map this block's result is.
    pub(super) level: Option<usize>,
}

impl Architecture {
    /// The first convolution.
    pub(super) fn stem() -> Layer {
        let shape = ConvolutionShape { kernel: 7, stride: 2, input: 3, output: STEM };
        Layer { convolution: "conv1".to_owned(), norm: "bn1".to_owned(), shape }
    }

    /// Channels of a level.
    fn channels(&self, level: usize) -> usize {
        (STEM << level) * if self.bottleneck.is_some() { 4 } else { 1 }
    }

    /// The blocks in the order they run.
    pub(super) fn blocks(&self) -> Vec<BlockPlan> {
        let mut plan = Vec::new();
        let mut input = STEM;
        for (level, &count) in self.blocks.iter().enumerate() {
            let output = self.channels(level);
            for block in 0..count {
                let stride = if level > 0 && block == 0 { 2 } else { 1 };
                let at = |part: &str| format!("layer{}.{block}.{part}", level + 1);
                let layer = |number: usize, kernel, stride, [input, output]: [usize; 2]| Layer {
                    convolution: at(&format!("conv{number}")),
                    norm: at(&format!("bn{number}")),
                    shape: ConvolutionShape { kernel, stride, input, output },
                };
                let body = match self.bottleneck.map(|width| width << level) {
                    None => vec![layer(1, 3, stride, [input, output]), layer(2, 3, 1, [output, output])],
                    Some(width) => vec![
                        layer(1, 1, 1, [input, width]),
                        layer(2, 3, stride, [width, width]),
                        layer(3, 1, 1, [width, output]),
                    ],
                };
                let shortcut = (stride > 1 || input != output).then(|| Layer {
                    convolution: at("downsample.0"),
                    norm: at("downsample.1"),
                    shape: ConvolutionShape { kernel: 1, stride, input, output },
                });
                plan.push(BlockPlan { body, shortcut, level: (block + 1 == count).then_some(level) });
                input = output;
            }
        }
        plan
    }
}

/// A network with its weights.
#[derive(Debug)]
struct ResNet {
    architecture: Architecture,
    isa: Isa,
    stem: Convolution,
    blocks: Vec<Block>,
}

#[derive(Debug)]
struct Block {
    body: Vec<Convolution>,
    shortcut: Option<Convolution>,
    level: Option<usize>,
}

/// What an image is worked on in.
#[derive(Debug, Default)]
struct Buffers {
    /// Input, result and what lies between them, and the input after its shortcut.
    maps: [Vec<f32>; 5],
    /// One for each thread that was ever asked for.
    threads: Vec<Scratch>,
}

#[derive(Debug, Default)]
struct Scratch {
    convolution: ConvolutionScratch,
    /// Rows of the stem that are about to be pooled.
    rows: Vec<f32>,
}

impl Layer {
    /// The convolution with the norm folded into it.
    fn read(&self, weights: &Weights, activation: Activation) -> Result<layers::Convolution, WeightsError> {
        let ConvolutionShape { kernel, stride, input, output } = self.shape;
        let norm = Norm::load(weights, &self.norm, output, EPSILON)?;
        let shape = [output, input, kernel, kernel];
        let weights = norm.fold(weights, &format!("{}.weight", self.convolution), &shape)?;
        let padding = Padding::Half;
        Ok(layers::Convolution { weights, bias: norm.bias, kernel, stride, groups: 1, padding, activation })
    }

    /// The same, packed for the kernels, which are told the activation as they run.
    fn load(&self, weights: &Weights, isa: Isa) -> Result<Convolution, WeightsError> {
        let read = self.read(weights, Activation::None)?;
        Ok(Convolution::new(isa, self.shape, &read.weights, &read.bias))
    }
}

impl Architecture {
    /// The network with these weights as plain numbers.
    fn layers(&self, weights: &Weights) -> Result<Layers, WeightsError> {
        let block = |plan: BlockPlan| {
            let last = plan.body.len() - 1;
            let body = plan.body.iter().enumerate().map(|(i, layer)| {
                layer.read(weights, if i == last { Activation::None } else { Activation::Relu })
            });
            Ok(BlockLayers {
                name: plan.body[0].convolution.trim_end_matches(".conv1").to_owned(),
                body: body.collect::<Result<_, _>>()?,
                gate: None,
                shortcut: match plan.shortcut {
                    None => Shortcut::Identity,
                    Some(layer) => Shortcut::Convolution(layer.read(weights, Activation::None)?),
                },
                activation: Activation::Relu,
                level: plan.level,
            })
        };
        Ok(Layers {
            mean_std: MEAN_STD,
            stem: Architecture::stem().read(weights, Activation::Relu)?,
            is_pooled: true,
            blocks: self.blocks().into_iter().map(block).collect::<Result<_, _>>()?,
        })
    }
}

impl ResNet {
    fn load(architecture: Architecture, weights: &Weights, isa: Isa) -> Result<ResNet, WeightsError> {
        let stem = Architecture::stem().load(weights, isa)?;
        let load = |plan: BlockPlan| {
            let body = plan.body.iter().map(|layer| layer.load(weights, isa)).collect::<Result<_, _>>()?;
            let shortcut = plan.shortcut.map(|layer| layer.load(weights, isa)).transpose()?;
            Ok(Block { body, shortcut, level: plan.level })
        };
        let blocks = architecture.blocks().into_iter().map(load).collect::<Result<_, _>>()?;
        Ok(ResNet { architecture, isa, stem, blocks })
    }

    /// The stem and the maxima of its result; the size of what lies in `out`.
    fn first_map(&self, image: Map<'_>, threads: &mut [Scratch], out: &mut Vec<f32>) -> [usize; 2] {
        let [height, width] = self.stem.output_size([image.height, image.width]);
        let size = [height, width].map(|length| length.div_ceil(2));
        let (row, out_row) = (width * STEM, size[1] * STEM);
        let out = at_least(out, size[0] * out_row);
        let each = size[0].div_ceil(threads.len());
        let relu = ConvolutionOptions { residual: None, activation: Activation::Relu };
        spread(threads, out.chunks_mut(each * out_row), |part, scratch, out| {
            let first = part * each;
            for (i, out) in out.chunks_mut(POOLED_TOGETHER * out_row).enumerate() {
                // Row `y` of the maxima sees the rows 2 y − 1 to 2 y + 1 of the stem.
                let y = first + i * POOLED_TOGETHER;
                let seen = (2 * y).saturating_sub(1)..(2 * (y + out.len() / out_row)).min(height);
                let rows = at_least(&mut scratch.rows, seen.len() * row);
                self.stem.rows(image, seen.clone(), relu, &mut scratch.convolution, rows);
                for (j, out) in out.chunks_exact_mut(out_row).enumerate() {
                    let middle = 2 * (y + j);
                    let there = [middle.saturating_sub(1), middle, (middle + 1).min(height - 1)];
                    let three = there.map(|at| &rows[(at - seen.start) * row..][..row]);
                    pool::max_row(self.isa, three, STEM, out);
                }
            }
        });
        size
    }
}

/// Rows of the maxima that come about together: what the stem makes for them stays in the L2 cache, and one row of it is made twice.
const POOLED_TOGETHER: usize = 8;

/// A convolution of a whole map, its rows shared out to the threads; the size of what lies in `out`.
fn convolved(
    convolution: &Convolution,
    map: Map<'_>,
    options: ConvolutionOptions<'_>,
    threads: &mut [Scratch],
    out: &mut Vec<f32>,
) -> [usize; 2] {
    let size = convolution.output_size([map.height, map.width]);
    let row = size[1] * convolution.shape().output;
    let each = size[0].div_ceil(threads.len()).next_multiple_of(ROWS_TOGETHER);
    spread(threads, at_least(out, size[0] * row).chunks_mut(each * row), |part, scratch, out| {
        let first = part * each;
        let rows = first..first + out.len() / row;
        let residual = options.residual.map(|residual| &residual[first * row..][..out.len()]);
        let options = ConvolutionOptions { residual, ..options };
        convolution.rows(map, rows, options, &mut scratch.convolution, out);
    });
    size
}

/// The map of `size` in a buffer, as a convolution sees it.
fn seen<'a>(buffer: &'a [f32], size: [usize; 2], convolution: &Convolution) -> Map<'a> {
    let [height, width] = size;
    Map { hwc: &buffer[..height * width * convolution.shape().input], height, width }
}

impl Block {
    /// Writes the result for the map of `size` in the first buffer to the second; its size.
    fn run(&self, size: [usize; 2], buffers: &mut Buffers, threads: usize) -> [usize; 2] {
        let Buffers { maps: [x, y, even, odd, shortcut], threads: scratches } = buffers;
        let scratches = &mut scratches[..threads];
        let (last, before) = self.body.split_last().expect("a block has layers");
        let relu = ConvolutionOptions { residual: None, activation: Activation::Relu };
        let mut inner = size;
        for (i, convolution) in before.iter().enumerate() {
            let (from, to) = match i {
                0 => (&*x, &mut *even),
                _ => (&*even, &mut *odd),
            };
            inner = convolved(convolution, seen(from, inner, convolution), relu, scratches, to);
        }
        let from = if before.len() == 1 { &*even } else { &*odd };
        let length = {
            let [height, width] = last.output_size(inner);
            height * width * last.shape().output
        };
        let residual = match &self.shortcut {
            None => &x[..length],
            Some(convolution) => {
                let options = ConvolutionOptions::default();
                convolved(convolution, seen(x, size, convolution), options, scratches, shortcut);
                &shortcut[..length]
            }
        };
        let options = ConvolutionOptions { residual: Some(residual), activation: Activation::Relu };
        convolved(last, seen(from, inner, last), options, scratches, y)
    }
}

impl Extractor for ResNet {
    fn name(&self) -> &str {
        self.architecture.name
    }

    /// Those of ImageNet, which the published weights were trained with.
    fn mean_std(&self) -> ([f32; 3], [f32; 3]) {
        MEAN_STD
    }

    fn levels(&self) -> Vec<LevelShape> {
        let shape =
            |level: usize| LevelShape { stride: 4 << level, channels: self.architecture.channels(level) };
        (0..self.architecture.blocks.len()).map(shape).collect()
    }

    fn extract(
        &self,
        rgb_hwc: &[f32],
        (height, width): (usize, usize),
        memory: &mut Memory,
        maps: &mut Maps<'_>,
    ) {
        let threads = memory.threads();
        let buffers = memory.of::<Buffers>();
        if buffers.threads.len() < threads {
            buffers.threads.resize_with(threads, Scratch::default);
        }
        let image = Map { hwc: rgb_hwc, height, width };
        let mut size = self.first_map(image, &mut buffers.threads[..threads], &mut buffers.maps[0]);
        for block in &self.blocks {
            size = block.run(size, buffers, threads);
            if let Some(level) = block.level {
                let length = size[0] * size[1] * self.architecture.channels(level);
                maps.put(level, &buffers.maps[1][..length]);
                if maps.are_complete() {
                    return;
                }
            }
            buffers.maps.swap(0, 1);
        }
    }
}

#[cfg(test)]
mod tests;
