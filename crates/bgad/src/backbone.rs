//! Frozen feature extractors: an image to feature maps at several strides.
//!
//! ```text
//! image [h, w, 3]  →  level i: [⌈h/sᵢ⌉, ⌈w/sᵢ⌉, cᵢ]       one to three levels, or some of them
//! ```
//!
//! A network states the stride and the channels of each level ([`Extractor`]); nothing outside assumes them. Two families are here, both with
//! strides 4, 8 and 16: EfficientNet and ResNet ([`Backbone::names`]). A level is the result of the last block of its stride, after the residual is
//! added: what timm's `features_only` gives for `out_indices` 1, 2 and 3. Weights come from safetensors files with timm's names, and two networks are
//! part of the library ([`Backbone::embedded_names`]).

use std::sync::Arc;
use std::{error, fmt};

use bgad_kernels::Isa;

use crate::machine::{self, InstructionSetError};
use crate::pyramid::{Levels, Pyramid};
use crate::weights::{Weights, WeightsError, sha256_hex};

pub(crate) mod efficientnet;
mod extractor;
pub mod layers;
mod norm;
mod resnet;
mod spread;

pub use extractor::{Extractor, LevelShape, Maps, Memory};
use layers::Layers;

/// A family of networks that are found by their names.
struct Family {
    names: fn() -> Vec<&'static str>,
    /// Whether the networks are built from the tensor of that name.
    needs: fn(&str) -> bool,
    /// Builds the network of one of the names.
    load: fn(&str, &Weights, Isa) -> Result<Network, WeightsError>,
    /// The same network as plain numbers.
    layers: fn(&str, &Weights) -> Result<Layers, WeightsError>,
}

type Network = Box<dyn Extractor>;

const FAMILIES: [Family; 2] = [efficientnet::FAMILY, resnet::FAMILY];

/// Networks whose weights are part of the library, the default first.
const EMBEDDED: [(&str, &[u8]); 2] = [
    ("tf_efficientnet_lite2", include_bytes!("../weights/tf_efficientnet_lite2.safetensors")),
    ("tf_efficientnet_lite0", include_bytes!("../weights/tf_efficientnet_lite0.safetensors")),
];

/// A network with its weights; immutable, shared between threads as it is, and cheap to clone.
#[derive(Clone, Debug)]
pub struct Backbone {
    network: Arc<dyn Extractor>,
    /// Of all its levels.
    shapes: Arc<[LevelShape]>,
    isa: Isa,
    levels: Levels,
    weights_sha256: String,
    /// The tensors it was built from, where they are not part of the library.
    carried: Option<Arc<[u8]>>,
}

impl Backbone {
    /// Builds the network called `name` (one of [`Backbone::names`]) from a file with timm's names. Tensors that the
    /// levels do not need may be missing or present.
    ///
    /// # Errors
    ///
    /// [`BackboneError::Unknown`] for a name that is none, [`BackboneError::Weights`] for a tensor that is missing or
    /// does not fit, [`BackboneError::InstructionSet`] if the machine does not have what was asked for.
    pub fn load(name: &str, weights: &Weights) -> Result<Backbone, BackboneError> {
        Backbone::load_on(machine::isa()?, name, weights)
    }

    /// As [`Backbone::load`], on an instruction set of choice.
    pub(crate) fn load_on(isa: Isa, name: &str, weights: &Weights) -> Result<Backbone, BackboneError> {
        let (name, family) = family_of(name)?;
        let backbone = Backbone::build(isa, (name, family), weights)?;
        let carried = weights
            .subset(family.needs)
            .map_err(|source| BackboneError::Weights { architecture: name, source })?;
        Ok(Backbone { weights_sha256: sha256_hex(&carried), carried: Some(carried.into()), ..backbone })
    }

    fn build(
        isa: Isa,
        (name, family): (&'static str, &Family),
        weights: &Weights,
    ) -> Result<Backbone, BackboneError> {
        let network = (family.load)(name, weights, isa)
            .map_err(|source| BackboneError::Weights { architecture: name, source })?;
        Ok(Backbone::around(network.into(), isa, weights.sha256()))
    }

    fn around(network: Arc<dyn Extractor>, isa: Isa, weights_sha256: String) -> Backbone {
        let shapes: Arc<[LevelShape]> = network.levels().into();
        let strides: Vec<usize> = shapes.iter().map(|shape| shape.stride).collect();
        assert!(
            (1..=Levels::MOST).contains(&shapes.len()) && strides[0] > 0 && strides.is_sorted(),
            "{}: expected one to {} levels of ascending strides, found strides {strides:?}",
            network.name(),
            Levels::MOST
        );
        Backbone { levels: Levels::first(shapes.len()), network, shapes, isa, weights_sha256, carried: None }
    }

    /// A network of your own. `weights_sha256` tells its weights from others: a model is only used with those that it was trained with. A model
    /// file does not carry such a network; give it to [`Detector::with_backbone`](crate::Detector::with_backbone) again.
    ///
    /// # Errors
    ///
    /// [`BackboneError::InstructionSet`] if the machine does not have what was asked for.
    ///
    /// # Panics
    ///
    /// If it states no level, more than [`Levels::MOST`], or strides that do not ascend.
    pub fn of(
        extractor: impl Extractor + 'static,
        weights_sha256: String,
    ) -> Result<Backbone, BackboneError> {
        Ok(Backbone::around(Arc::new(extractor), machine::isa()?, weights_sha256))
    }

    /// Builds a network whose weights are part of the library, one of [`Backbone::embedded_names`].
    ///
    /// # Errors
    ///
    /// [`BackboneError::Unknown`] for any other name, [`BackboneError::InstructionSet`] if the machine does not have
    /// what was asked for.
    pub fn embedded(name: &str) -> Result<Backbone, BackboneError> {
        Backbone::embedded_on(machine::isa()?, name)
    }

    /// As [`Backbone::embedded`], on an instruction set of choice.
    pub(crate) fn embedded_on(isa: Isa, name: &str) -> Result<Backbone, BackboneError> {
        Backbone::build(isa, family_of(name)?, &embedded_weights(name)?)
    }

    /// The layers of the network called `name` as plain numbers: from `carried`, a file as of [`Backbone::carried_weights`], or
    /// those that are part of the library.
    ///
    /// # Errors
    ///
    /// As [`Backbone::load`], and without `carried` as [`Backbone::embedded`].
    pub fn layers(name: &str, carried: Option<&Weights>) -> Result<Layers, BackboneError> {
        let (architecture, family) = family_of(name)?;
        let wrong = |source| BackboneError::Weights { architecture, source };
        let read = |weights: &Weights| (family.layers)(architecture, weights).map_err(wrong);
        match carried {
            Some(weights) => read(weights),
            None => read(&embedded_weights(name)?),
        }
    }

    /// The same network, of which these levels are wanted; what only others need is not computed.
    ///
    /// # Errors
    ///
    /// [`BackboneError::Levels`] if it does not have one of them.
    pub fn with_levels(mut self, levels: Levels) -> Result<Backbone, BackboneError> {
        if levels.chosen().any(|level| level >= self.shapes.len()) {
            return Err(BackboneError::Levels {
                name: self.name().to_owned(),
                found: levels,
                has: Levels::first(self.shapes.len()),
            });
        }
        self.levels = levels;
        Ok(self)
    }

    /// The levels it gives.
    pub fn levels(&self) -> Levels {
        self.levels
    }

    /// The names of all networks, as timm calls them.
    pub fn names() -> Vec<&'static str> {
        FAMILIES.iter().flat_map(|family| (family.names)()).collect()
    }

    /// The names of the networks whose weights are part of the library, the default first.
    pub fn embedded_names() -> Vec<&'static str> {
        EMBEDDED.iter().map(|(name, _)| *name).collect()
    }

    /// The network's name.
    pub fn name(&self) -> &str {
        self.network.name()
    }

    /// Mean and standard deviation for `(rgb − mean) / std`, red, green and blue between 0 and 1.
    pub fn mean_std(&self) -> ([f32; 3], [f32; 3]) {
        self.network.mean_std()
    }

    /// Stride and channels of its levels.
    pub fn shapes(&self) -> Vec<LevelShape> {
        self.levels.chosen().map(|level| self.shapes[level]).collect()
    }

    /// Channels of its levels.
    pub fn channels(&self) -> Vec<usize> {
        self.shapes().into_iter().map(|shape| shape.channels).collect()
    }

    /// Height and width of its levels for an image of height and width `input`.
    pub fn grid(&self, input: (usize, usize)) -> Vec<(usize, usize)> {
        self.shapes().into_iter().map(|shape| shape.grid(input)).collect()
    }

    /// The finest and the coarsest stride of the network, of the levels that are not wanted too.
    pub(crate) fn strides(&self) -> (usize, usize) {
        (self.shapes[0].stride, self.shapes[self.shapes.len() - 1].stride)
    }

    /// The instruction set of the network, and of everything that is computed with its features.
    pub(crate) fn isa(&self) -> Isa {
        self.isa
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

    /// Memory for images, to be kept from image to image; one for each image that is worked on at a time.
    pub fn workspace(&self) -> Workspace {
        Workspace::default()
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
        if workspace.memory.threads() > 1 && rayon::current_thread_index().is_none() {
            // The short waits between the blocks are for a thread of the pool.
            return rayon::scope(move |_| self.features(rgb_hwc_normalized, h, w, workspace));
        }
        let Workspace { memory, pyramid } = workspace;
        let mut maps = Maps::new(self.levels, &self.shapes, (h, w), pyramid);
        self.network.extract(rgb_hwc_normalized, (h, w), memory, &mut maps);
        assert!(maps.are_complete(), "{} gives every level that it states", self.name());
        pyramid
    }
}

/// The family of a name, and the name as long as the program lives.
fn family_of(name: &str) -> Result<(&'static str, &'static Family), BackboneError> {
    let of_family = |family: &'static Family| {
        let names = (family.names)().into_iter();
        names.filter(|known| *known == name).map(move |known| (known, family))
    };
    FAMILIES
        .iter()
        .flat_map(of_family)
        .next()
        .ok_or_else(|| BackboneError::Unknown { found: name.to_owned(), expected: Backbone::names() })
}

/// The weights of a network that are part of the library.
fn embedded_weights(name: &str) -> Result<Weights, BackboneError> {
    let (name, bytes) = EMBEDDED.into_iter().find(|(known, _)| *known == name).ok_or_else(|| {
        BackboneError::Unknown { found: name.to_owned(), expected: Backbone::embedded_names() }
    })?;
    Weights::from_bytes(bytes).map_err(|source| BackboneError::Weights { architecture: name, source })
}

/// Memory that [`Backbone::features`] works in.
#[derive(Debug, Default)]
pub struct Workspace {
    memory: Memory,
    /// What the last image gave.
    pyramid: Pyramid,
}

impl Workspace {
    /// From now on an image is shared out to this many threads of the rayon pool, at least one: the least time for one
    /// image. Where there are images for all cores, one thread for each takes less work.
    pub fn spread(&mut self, threads: usize) {
        self.memory.spread(threads);
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
    /// The network does not have these levels.
    Levels {
        /// The network.
        name: String,
        /// The levels that were asked for.
        found: Levels,
        /// Those it has.
        has: Levels,
    },
    /// The machine does not have the instruction set that was asked for.
    InstructionSet(InstructionSetError),
}

impl From<InstructionSetError> for BackboneError {
    fn from(error: InstructionSetError) -> BackboneError {
        BackboneError::InstructionSet(error)
    }
}

impl fmt::Display for BackboneError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { found, expected } => {
                write!(f, "unknown backbone `{found}`, expected one of {}", expected.join(", "))
            }
            Self::Weights { architecture, .. } => write!(f, "the weights do not fit {architecture}"),
            Self::Levels { name, found, has } => {
                write!(f, "{name} has the levels {has}, expected some of them, found {found}")
            }
            Self::InstructionSet(error) => error.fmt(f),
        }
    }
}

impl error::Error for BackboneError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Weights { source, .. } => Some(source),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
