//! Frozen feature extractors: an image to feature maps of strides 4, 8 and 16.
//!
//! ```text
//! image [h, w, 3]  →  [⌈h/4⌉, ⌈w/4⌉, c₁],  [⌈h/8⌉, ⌈w/8⌉, c₂],  [⌈h/16⌉, ⌈w/16⌉, c₃]      or some of them
//! ```
//!
//! A level is the result of the last block of its stride, after the residual is added: what timm's `features_only`
//! gives for `out_indices` 1, 2 and 3. The networks are data ([`Backbone::names`]); weights come from safetensors
//! files with timm's names, and two networks are part of the library ([`Backbone::embedded_names`]).

use std::{error, fmt};

use bgad_kernels::Isa;
use bgad_kernels::stem::Stem;

use crate::pyramid::{FeatureMap, Levels, Pyramid};
use crate::weights::{Weights, WeightsError, sha256_hex};

mod block;
mod efficientnet;

use block::{Block, Scratch, Source, Whole};
use efficientnet::{ARCHITECTURES, Architecture};

/// Networks whose weights are part of the library, the default first.
const EMBEDDED: [(&str, &[u8]); 2] = [
    ("tf_efficientnet_lite2", include_bytes!("../weights/tf_efficientnet_lite2.safetensors")),
    ("tf_efficientnet_lite0", include_bytes!("../weights/tf_efficientnet_lite0.safetensors")),
];

/// A network with its weights; immutable, and shared between threads as it is.
#[derive(Debug)]
pub struct Backbone {
    architecture: Architecture,
    isa: Isa,
    stem: Stem,
    blocks: Vec<Block>,
    levels: Levels,
    weights_sha256: String,
    /// The tensors it was built from, where they are not part of the library.
    carried: Option<Vec<u8>>,
}

impl Backbone {
    /// Builds the network called `architecture` (one of [`Backbone::names`]) from a file with timm's names. Tensors
    /// that the three levels do not need may be missing or present.
    ///
    /// # Errors
    ///
    /// [`BackboneError::Unknown`] for a name that is none, [`BackboneError::Weights`] for a tensor that is missing or
    /// does not fit.
    pub fn load(architecture: &str, weights: &Weights, isa: Isa) -> Result<Backbone, BackboneError> {
        let backbone = Backbone::build(architecture, weights, isa)?;
        let architecture = backbone.architecture.name;
        let needed = |name: &str| {
            ["conv_stem.", "bn1.", "blocks.0.", "blocks.1.", "blocks.2.", "blocks.3.", "blocks.4."]
                .iter()
                .any(|prefix| name.starts_with(prefix))
        };
        let carried =
            weights.subset(needed).map_err(|source| BackboneError::Weights { architecture, source })?;
        Ok(Backbone { weights_sha256: sha256_hex(&carried), carried: Some(carried), ..backbone })
    }

    fn build(architecture: &str, weights: &Weights, isa: Isa) -> Result<Backbone, BackboneError> {
        let architecture = Architecture::named(architecture).ok_or_else(|| BackboneError::Unknown {
            found: architecture.to_owned(),
            expected: Backbone::names(),
        })?;
        let activation = architecture.activation();
        let read = || -> Result<(Stem, Vec<Block>), WeightsError> {
            let stem = block::load_stem(weights, architecture.stem(), activation, isa)?;
            let plan = architecture.blocks().into_iter();
            let blocks = plan.map(|plan| Block::load(weights, plan, activation, isa));
            Ok((stem, blocks.collect::<Result<_, _>>()?))
        };
        let (stem, blocks) =
            read().map_err(|source| BackboneError::Weights { architecture: architecture.name, source })?;
        Ok(Backbone {
            architecture,
            isa,
            stem,
            blocks,
            levels: Levels::ALL,
            weights_sha256: weights.sha256(),
            carried: None,
        })
    }

    /// Builds a network whose weights are part of the library, one of [`Backbone::embedded_names`].
    ///
    /// # Errors
    ///
    /// [`BackboneError::Unknown`] for any other name.
    pub fn embedded(name: &str, isa: Isa) -> Result<Backbone, BackboneError> {
        let (name, bytes) = EMBEDDED.into_iter().find(|(known, _)| *known == name).ok_or_else(|| {
            BackboneError::Unknown { found: name.to_owned(), expected: Backbone::embedded_names() }
        })?;
        let weights = Weights::from_bytes(bytes);
        let weights = weights.map_err(|source| BackboneError::Weights { architecture: name, source })?;
        Backbone::build(name, &weights, isa)
    }

    /// The same network, of which these levels are wanted; what only others need is not computed.
    pub fn with_levels(mut self, levels: Levels) -> Backbone {
        self.levels = levels;
        self
    }

    /// The levels it gives.
    pub fn levels(&self) -> Levels {
        self.levels
    }

    /// The names of all networks, as timm calls them.
    pub fn names() -> Vec<&'static str> {
        ARCHITECTURES.iter().map(|a| a.name).collect()
    }

    /// The names of the networks whose weights are part of the library, the default first.
    pub fn embedded_names() -> Vec<&'static str> {
        EMBEDDED.iter().map(|(name, _)| *name).collect()
    }

    /// The network's name.
    pub fn name(&self) -> &str {
        self.architecture.name
    }

    /// Mean and standard deviation for `(rgb − mean) / std`, red, green and blue between 0 and 1.
    pub fn mean_std(&self) -> ([f32; 3], [f32; 3]) {
        self.architecture.mean_std()
    }

    /// Channels of its levels.
    pub fn channels(&self) -> Vec<usize> {
        let channels = self.architecture.level_channels();
        self.levels.chosen().map(|level| channels[level]).collect()
    }

    /// Height and width of its levels for an image of height and width `input`.
    pub fn grid(&self, input: (usize, usize)) -> Vec<(usize, usize)> {
        let strides = self.levels.chosen().map(|level| 4 << level);
        strides.map(|stride| (input.0.div_ceil(stride), input.1.div_ceil(stride))).collect()
    }

    /// The tensors the network was built from, as a safetensors file, where they are not part of the library: what a
    /// model file must carry to be used anywhere.
    pub fn carried_weights(&self) -> Option<&[u8]> {
        self.carried.as_deref()
    }

    /// SHA-256 of the weights (of the tensors that are needed, as a file), 64 hexadecimal digits.
    pub fn weights_sha256(&self) -> &str {
        &self.weights_sha256
    }

    /// Memory for images of `h` by `w`, to be kept from image to image; one for each image that is worked on at a time.
    pub fn workspace(&self, h: usize, w: usize) -> Workspace {
        let mut largest = 0;
        let mut size = [h.div_ceil(2), w.div_ceil(2)];
        for block in &self.blocks {
            size = block.output_size(size);
            largest = largest.max(size[0] * size[1] * block.plan.output);
        }
        Workspace {
            maps: [vec![0.0; largest], vec![0.0; largest]],
            whole: Whole::new(self.isa),
            scratches: vec![Scratch::default()],
            threads: 1,
            pyramid: Pyramid::default(),
        }
    }

    /// The feature maps of one image, `[h, w, 3]`, normalised with [`Backbone::mean_std`]. Any size from 32 by 32 up
    /// makes sense; a workspace for another size or network grows as needed. The maps lie in the workspace until its next
    /// image, so nothing is allocated from image to image; `std::mem::take` makes them the caller's own.
    ///
    /// The result depends on nothing but the image, the weights and the instruction set: the threads of the workspace
    /// ([`Workspace::spread`]) change no bit.
    ///
    /// # Panics
    ///
    /// If the image has no pixels or is not `h · w · 3` values.
    pub fn features<'w>(
        &self,
        rgb_hwc_normalized: &[f32],
        h: usize,
        w: usize,
        workspace: &'w mut Workspace,
    ) -> &'w mut Pyramid {
        assert!(h > 0 && w > 0, "an image of {h} by {w} pixels");
        assert_eq!(rgb_hwc_normalized.len(), h * w * 3, "values of an image of {h} by {w} pixels");
        if workspace.threads > 1 && rayon::current_thread_index().is_none() {
            // The short waits between the blocks are for a thread of the pool.
            return rayon::scope(move |_| self.features(rgb_hwc_normalized, h, w, workspace));
        }
        let Workspace { maps: [current, next], whole, scratches, threads, pyramid } = workspace;
        let scratches = &mut scratches[..*threads];
        let levels = &mut pyramid.levels;
        let wanted = self.levels.chosen().count();
        // The workspace may have served a network of more.
        levels.truncate(wanted);
        let mut level = 0;
        let mut size = [h.div_ceil(2), w.div_ceil(2)];
        for (i, block) in self.blocks.iter().enumerate() {
            let source = match i {
                0 => Source::Image(&self.stem, rgb_hwc_normalized, [h, w]),
                _ => Source::Map(&current[..size[0] * size[1] * block.plan.input]),
            };
            let [height, width] = block.output_size(size);
            let channels = block.plan.output;
            let out = block::at_least(next, height * width * channels);
            block.run(source, size, whole, scratches, out);
            if block.plan.level.is_some_and(|level| self.levels.contains(level)) {
                if levels.len() == level {
                    levels.push(FeatureMap { height, width, channels, hwc: Vec::new() });
                }
                let map = &mut levels[level];
                (map.height, map.width, map.channels) = (height, width, channels);
                map.hwc.clear();
                map.hwc.extend_from_slice(out);
                level += 1;
                if level == wanted {
                    break;
                }
            }
            std::mem::swap(current, next);
            size = [height, width];
        }
        pyramid
    }
}

/// Memory that [`Backbone::features`] works in.
#[derive(Debug)]
pub struct Workspace {
    /// Input and result of the block that runs.
    maps: [Vec<f32>; 2],
    whole: Whole,
    /// One for each thread that was ever asked for.
    scratches: Vec<Scratch>,
    threads: usize,
    /// What the last image gave.
    pyramid: Pyramid,
}

impl Workspace {
    /// From now on an image is shared out to this many threads of the rayon pool, at least one: the least time for one
    /// image. Where there are images for all cores, one thread for each takes less work.
    pub fn spread(&mut self, threads: usize) {
        self.threads = threads.max(1);
        if self.scratches.len() < self.threads {
            self.scratches.resize_with(self.threads, Scratch::default);
        }
    }
}

/// Why a network could not be built.
#[derive(Debug)]
#[non_exhaustive]
pub enum BackboneError {
    /// There is no network of that name.
    Unknown {
        /// The name that was asked for.
        found: String,
        /// The names there are.
        expected: Vec<&'static str>,
    },
    /// The weights do not fit the network.
    Weights {
        /// The network.
        architecture: &'static str,
        /// What is wrong with them.
        source: WeightsError,
    },
}

impl fmt::Display for BackboneError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { found, expected } => {
                write!(f, "unknown backbone `{found}`, expected one of {}", expected.join(", "))
            }
            Self::Weights { architecture, .. } => write!(f, "the weights do not fit {architecture}"),
        }
    }
}

impl error::Error for BackboneError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Unknown { .. } => None,
            Self::Weights { source, .. } => Some(source),
        }
    }
}

#[cfg(test)]
mod tests;
