//! The EfficientNet family as data: B0 to B7 and lite0 to lite4, up to the last block of stride 16.
//!
//! ```text
//! channels(c) = c · width, rounded to a multiple of 8, one up if that loses more than a tenth
//! blocks(n)   = ⌈ n · depth ⌉
//! ```
//!
//! EfficientNet: Tan and Le, 2019, <https://arxiv.org/abs/1905.11946>. The numbers are those of timm's
//! `tf_efficientnet_*`: lite has no squeeze-and-excitation, ReLU6 instead of SiLU, and neither the stem's channels
//! nor the first stage's depth grow. (The last two stages, stride 32, are not needed and not here.)

mod block;
mod load;

use bgad_kernels::Isa;
use bgad_kernels::gemm::Activation;
use bgad_kernels::stem::Stem;

use self::block::{Block, Scratch, Source, Whole};
use super::extractor::{Extractor, LevelShape, Maps, Memory};
use super::layers::Layers;
use super::spread::at_least;
use super::{Family, Network};
use crate::weights::{Weights, WeightsError};

/// The networks and the tensors they are built from.
pub(super) const FAMILY: Family = Family {
    names: || ARCHITECTURES.iter().map(|architecture| architecture.name).collect(),
    needs: |tensor| PARTS.iter().any(|prefix| tensor.starts_with(prefix)),
    load: |name, weights, isa| {
        let architecture = Architecture::named(name).expect("a name of this family");
        Ok(Box::new(EfficientNet::load(architecture, weights, isa)?) as Network)
    },
    layers: |name, weights| load::layers(&Architecture::named(name).expect("a name of this family"), weights),
};

/// What the names of the tensors that three levels need begin with.
const PARTS: [&str; 7] =
    ["conv_stem.", "bn1.", "blocks.0.", "blocks.1.", "blocks.2.", "blocks.3.", "blocks.4."];

/// One network of the family.
#[derive(Clone, Copy, Debug)]
pub(super) struct Architecture {
    pub name: &'static str,
    pub width: f64,
    pub depth: f64,
    pub lite: bool,
}

const fn b(name: &'static str, width: f64, depth: f64) -> Architecture {
    Architecture { name, width, depth, lite: false }
}

const fn lite(name: &'static str, width: f64, depth: f64) -> Architecture {
    Architecture { name, width, depth, lite: true }
}

/// The family; names are timm's.
pub(super) const ARCHITECTURES: [Architecture; 13] = [
    b("tf_efficientnet_b0", 1.0, 1.0),
    b("tf_efficientnet_b1", 1.0, 1.1),
    b("tf_efficientnet_b2", 1.1, 1.2),
    b("tf_efficientnet_b3", 1.2, 1.4),
    b("tf_efficientnet_b4", 1.4, 1.8),
    b("tf_efficientnet_b5", 1.6, 2.2),
    b("tf_efficientnet_b6", 1.8, 2.6),
    b("tf_efficientnet_b7", 2.0, 3.1),
    lite("tf_efficientnet_lite0", 1.0, 1.0),
    lite("tf_efficientnet_lite1", 1.0, 1.1),
    lite("tf_efficientnet_lite2", 1.1, 1.2),
    lite("tf_efficientnet_lite3", 1.2, 1.4),
    lite("tf_efficientnet_lite4", 1.4, 1.8),
];

/// Strides of the levels.
pub(crate) const STRIDES: [usize; 3] = [4, 8, 16];

/// Channels of the stem before scaling.
const STEM: usize = 32;

/// `(blocks, kernel, stride of the first block, expansion, channels, level that ends here)` before scaling.
const STAGES: [(usize, usize, usize, usize, usize, Option<usize>); 5] = [
    (1, 3, 1, 1, 16, None),
    (2, 3, 2, 6, 24, Some(0)),
    (2, 5, 2, 6, 40, Some(1)),
    (3, 3, 2, 6, 80, None),
    (3, 5, 1, 6, 112, Some(2)),
];

/// One block: expand, depthwise, squeeze and excite, project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BlockPlan {
    /// `blocks.S.B`.
    pub name: String,
    pub input: usize,
    /// Channels of the depthwise convolution; equal to `input` where nothing is expanded (the first stage).
    pub expanded: usize,
    pub output: usize,
    pub kernel: usize,
    pub stride: usize,
    /// Hidden channels of the squeeze-and-excitation gate: a quarter of `input`.
    pub squeezed: Option<usize>,
    /// The level whose feature map this block's result is.
    pub level: Option<usize>,
}

impl BlockPlan {
    /// Whether the input is added to the result.
    pub(super) fn has_residual(&self) -> bool {
        self.stride == 1 && self.input == self.output
    }
}

impl Architecture {
    /// The network of that name.
    pub(super) fn named(name: &str) -> Option<Architecture> {
        ARCHITECTURES.into_iter().find(|a| a.name == name)
    }

    pub(super) fn stem(&self) -> usize {
        if self.lite { STEM } else { self.channels(STEM) }
    }

    pub(super) fn activation(&self) -> Activation {
        if self.lite { Activation::Relu6 } else { Activation::Silu }
    }

    /// Mean and standard deviation of the input in red, green and blue of 0 to 1, as the published weights were
    /// trained: ImageNet's for B, half and half for lite.
    pub(super) fn mean_std(&self) -> ([f32; 3], [f32; 3]) {
        if self.lite { ([0.5; 3], [0.5; 3]) } else { ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]) }
    }

    fn channels(&self, base: usize) -> usize {
        let scaled = base as f64 * self.width;
        let rounded = (((scaled + 4.0) / 8.0) as usize * 8).max(8);
        if (rounded as f64) < 0.9 * scaled { rounded + 8 } else { rounded }
    }

    /// The blocks in the order they run.
    pub(super) fn blocks(&self) -> Vec<BlockPlan> {
        let mut plan = Vec::new();
        let mut input = self.stem();
        for (stage, (blocks, kernel, stride, expansion, channels, level)) in STAGES.into_iter().enumerate() {
            let fixed = self.lite && stage == 0;
            let blocks = if fixed { blocks } else { (blocks as f64 * self.depth).ceil() as usize };
            let output = self.channels(channels);
            for block in 0..blocks {
                plan.push(BlockPlan {
                    name: format!("blocks.{stage}.{block}"),
                    input,
                    expanded: input * expansion,
                    output,
                    kernel,
                    stride: if block == 0 { stride } else { 1 },
                    squeezed: (!self.lite).then_some(input / 4),
                    level: level.filter(|_| block + 1 == blocks),
                });
                input = output;
            }
        }
        plan
    }

    /// Channels of the three levels.
    pub(super) fn level_channels(&self) -> [usize; 3] {
        let mut channels = [0; 3];
        for block in self.blocks() {
            if let Some(level) = block.level {
                channels[level] = block.output;
            }
        }
        channels
    }
}

/// A network with its weights.
#[derive(Debug)]
struct EfficientNet {
    architecture: Architecture,
    stem: Stem,
    blocks: Vec<Block>,
}

/// What an image is worked on in.
#[derive(Debug, Default)]
struct Buffers {
    /// Input and result of the block that runs.
    maps: [Vec<f32>; 2],
    whole: Whole,
    /// One for each thread that was ever asked for.
    scratches: Vec<Scratch>,
}

impl EfficientNet {
    fn load(architecture: Architecture, weights: &Weights, isa: Isa) -> Result<EfficientNet, WeightsError> {
        let Layers { stem, blocks, .. } = load::layers(&architecture, weights)?;
        let stem = Stem::new(isa, architecture.stem(), stem.activation, &stem.weights, &stem.bias);
        let plan = architecture.blocks().into_iter();
        let blocks = plan.zip(&blocks).map(|(plan, layers)| Block::new(plan, layers, isa)).collect();
        Ok(EfficientNet { architecture, stem, blocks })
    }
}

impl Extractor for EfficientNet {
    fn name(&self) -> &str {
        self.architecture.name
    }

    fn mean_std(&self) -> ([f32; 3], [f32; 3]) {
        self.architecture.mean_std()
    }

    fn levels(&self) -> Vec<LevelShape> {
        let channels = self.architecture.level_channels().into_iter();
        channels.zip(STRIDES).map(|(channels, stride)| LevelShape { stride, channels }).collect()
    }

    fn extract(&self, rgb_hwc: &[f32], size: (usize, usize), memory: &mut Memory, maps: &mut Maps<'_>) {
        let (threads, (h, w)) = (memory.threads(), size);
        let Buffers { maps: [current, next], whole, scratches } = memory.of::<Buffers>();
        if scratches.len() < threads {
            scratches.resize_with(threads, Scratch::default);
        }
        let scratches = &mut scratches[..threads];
        let mut size = [h.div_ceil(2), w.div_ceil(2)];
        for (i, block) in self.blocks.iter().enumerate() {
            let source = match i {
                0 => Source::Image(&self.stem, rgb_hwc, [h, w]),
                _ => Source::Map(&current[..size[0] * size[1] * block.plan.input]),
            };
            let [height, width] = block.output_size(size);
            let out = at_least(next, height * width * block.plan.output);
            block.run(source, size, whole, scratches, out);
            if let Some(level) = block.plan.level {
                maps.put(level, out);
                if maps.are_complete() {
                    return;
                }
            }
            std::mem::swap(current, next);
            size = [height, width];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_and_depths_are_those_of_timm() {
        // stem, channels of the levels, blocks of each stage.
        for (name, stem, levels, blocks) in [
            ("tf_efficientnet_b0", 32, [24, 40, 112], [1, 2, 2, 3, 3]),
            ("tf_efficientnet_b1", 32, [24, 40, 112], [2, 3, 3, 4, 4]),
            ("tf_efficientnet_b2", 32, [24, 48, 120], [2, 3, 3, 4, 4]),
            ("tf_efficientnet_b3", 40, [32, 48, 136], [2, 3, 3, 5, 5]),
            ("tf_efficientnet_b4", 48, [32, 56, 160], [2, 4, 4, 6, 6]),
            ("tf_efficientnet_b5", 48, [40, 64, 176], [3, 5, 5, 7, 7]),
            ("tf_efficientnet_b6", 56, [40, 72, 200], [3, 6, 6, 8, 8]),
            ("tf_efficientnet_b7", 64, [48, 80, 224], [4, 7, 7, 10, 10]),
            ("tf_efficientnet_lite0", 32, [24, 40, 112], [1, 2, 2, 3, 3]),
            ("tf_efficientnet_lite1", 32, [24, 40, 112], [1, 3, 3, 4, 4]),
            ("tf_efficientnet_lite2", 32, [24, 48, 120], [1, 3, 3, 4, 4]),
            ("tf_efficientnet_lite3", 32, [32, 48, 136], [1, 3, 3, 5, 5]),
            ("tf_efficientnet_lite4", 32, [32, 56, 160], [1, 4, 4, 6, 6]),
        ] {
            let architecture = Architecture::named(name).unwrap();
            assert_eq!(architecture.stem(), stem, "{name}");
            assert_eq!(architecture.level_channels(), levels, "{name}");
            let plan = architecture.blocks();
            let count = |stage: usize| {
                let prefix = format!("blocks.{stage}.");
                plan.iter().filter(|block| block.name.starts_with(&prefix)).count()
            };
            assert_eq!([0, 1, 2, 3, 4].map(count), blocks, "{name}");
        }
    }

    #[test]
    fn the_first_block_of_a_stage_strides_and_has_no_residual() {
        let plan = Architecture::named("tf_efficientnet_b6").unwrap().blocks();
        let first = &plan[0];
        assert_eq!((first.input, first.expanded, first.output, first.squeezed), (56, 56, 32, Some(14)));
        for block in &plan {
            assert_eq!(block.has_residual(), !block.name.ends_with(".0"), "{}", block.name);
            assert!(block.stride == 1 || block.name.ends_with(".0"), "{}", block.name);
        }
    }
}
