//! The seam between the method and the networks that look at images.

use std::any::Any;
use std::fmt;

use crate::pyramid::{FeatureMap, Levels, Pyramid};

/// One level of a network's pyramid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LevelShape {
    /// Pixels of the image from one position to the next, each way.
    pub stride: usize,
    /// Length of a feature vector.
    pub channels: usize,
}

impl LevelShape {
    /// Rows and columns of the level for an image of so many: a position for every stride that has begun.
    pub fn grid(self, (height, width): (usize, usize)) -> (usize, usize) {
        (height.div_ceil(self.stride), width.div_ceil(self.stride))
    }
}

/// A frozen network: an image to feature maps.
///
/// An implementation states the stride and the channels of each level. Everything else follows from that: the sizes of flows, the corners of tiles,
/// what is recorded in a model file. To add a family that is found by its name, write a file beside this one and name it in
/// `backbone::FAMILIES`; a network that is not part of the library goes in through [`Backbone::of`](super::Backbone::of).
///
/// Results may depend on the image, the weights and the instruction set, but not on the number of threads or on earlier images.
pub trait Extractor: fmt::Debug + Send + Sync {
    /// The network's name.
    fn name(&self) -> &str;

    /// Mean and standard deviation for `(rgb − mean) / std`, red, green and blue between 0 and 1.
    fn mean_std(&self) -> ([f32; 3], [f32; 3]);

    /// Its levels, the finest first: one to [`Levels::MOST`], their strides ascending.
    fn levels(&self) -> Vec<LevelShape>;

    /// Puts the levels that `maps` wants of an image, `[height, width, 3]` and normalised with [`Extractor::mean_std`], into `maps`.
    /// `memory` is kept from image to image.
    fn extract(&self, rgb_hwc: &[f32], size: (usize, usize), memory: &mut Memory, maps: &mut Maps<'_>);
}

/// Buffers of a network, kept from image to image, and the threads it may use.
pub struct Memory {
    buffers: Option<Box<dyn Any + Send>>,
    threads: usize,
}

impl Memory {
    /// The buffers of type `T`: those of the last image, or new ones if there are none of this type.
    pub fn of<T: Default + Send + 'static>(&mut self) -> &mut T {
        if !self.buffers.as_ref().is_some_and(|buffers| buffers.is::<T>()) {
            self.buffers = Some(Box::new(T::default()));
        }
        let buffers = self.buffers.as_mut().and_then(|buffers| buffers.downcast_mut());
        buffers.expect("made of this type")
    }

    /// Threads of the rayon pool that the image is shared out to, at least one.
    pub fn threads(&self) -> usize {
        self.threads
    }

    pub(super) fn spread(&mut self, threads: usize) {
        self.threads = threads.max(1);
    }
}

impl Default for Memory {
    fn default() -> Memory {
        Memory { buffers: None, threads: 1 }
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").field("threads", &self.threads).finish_non_exhaustive()
    }
}

/// Where a network puts its feature maps.
#[derive(Debug)]
pub struct Maps<'a> {
    wanted: Levels,
    shapes: &'a [LevelShape],
    size: (usize, usize),
    pyramid: &'a mut Pyramid,
    /// Levels that were put.
    done: usize,
}

impl<'a> Maps<'a> {
    pub(super) fn new(
        wanted: Levels,
        shapes: &'a [LevelShape],
        size: (usize, usize),
        pyramid: &'a mut Pyramid,
    ) -> Maps<'a> {
        // The workspace may have served a network of more levels.
        pyramid.levels.truncate(wanted.chosen().count());
        Maps { wanted, shapes, size, pyramid, done: 0 }
    }

    /// Puts the map of `level`, from 0: `[rows, columns, channels]` of [`Extractor::levels`] and [`LevelShape::grid`]. Levels come in their
    /// order; one that is not wanted is passed over.
    ///
    /// # Panics
    ///
    /// If the map has another length, or the levels come out of order.
    pub fn put(&mut self, level: usize, hwc: &[f32]) {
        let shape = self.shapes[level];
        let (height, width) = shape.grid(self.size);
        assert_eq!(hwc.len(), height * width * shape.channels, "values of the map of level {level}");
        if !self.wanted.contains(level) {
            return;
        }
        assert_eq!(self.wanted.chosen().nth(self.done), Some(level), "levels come in their order, each once");
        let levels = &mut self.pyramid.levels;
        if levels.len() == self.done {
            levels.push(FeatureMap { height, width, channels: shape.channels, hwc: Vec::new() });
        }
        let map = &mut levels[self.done];
        (map.height, map.width, map.channels) = (height, width, shape.channels);
        map.hwc.clear();
        map.hwc.extend_from_slice(hwc);
        self.done += 1;
    }

    /// Whether every level that is wanted was put: what follows need not be computed.
    pub fn are_complete(&self) -> bool {
        self.done == self.wanted.chosen().count()
    }
}
