//! The trainable parameters of a flow, one flat vector, and the rotations that are never trained.
//!
//! ```text
//! a block:   gamma C | offset C | w1x D1 x H | w1c 128 x H | b1 H | w2 2 D2 x H | b2 2 D2        H = 2 (D1 + 128)
//! ```
//!
//! `w1x` and `w1c` are the transposed halves of the authors' first layer (`[in, out]`), `w2` is their second layer as
//! it is (`[out, in]`): the orientations in which gradients come out of the kernels.

use std::ops::Range;

use rand::Rng;
use rand::RngExt as _;

use super::rotation;
use crate::position::CONDITION_CHANNELS;

/// The sizes of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowShape {
    /// `C`: channels of a feature vector; at least 2.
    pub channels: usize,
    /// `K`: blocks; at least 1.
    pub blocks: usize,
}

impl FlowShape {
    /// `D1 = ceil(C/2)`: the half that conditions.
    pub fn passive(self) -> usize {
        self.channels.div_ceil(2)
    }

    /// `D2 = floor(C/2)`: the half that is transformed.
    pub fn active(self) -> usize {
        self.channels / 2
    }

    /// `H = 2 (D1 + 128)`: width of the hidden layer.
    pub fn hidden(self) -> usize {
        2 * (self.passive() + CONDITION_CHANNELS)
    }

    /// Length of each part of a block, in the order of the module's header.
    fn lengths(self) -> [usize; 7] {
        let (c, d1, d2, h) = (self.channels, self.passive(), self.active(), self.hidden());
        [c, c, d1 * h, CONDITION_CHANNELS * h, h, 2 * d2 * h, 2 * d2]
    }

    /// Parameters of one block.
    pub fn block_len(self) -> usize {
        self.lengths().iter().sum()
    }

    /// Parameters of the whole flow.
    pub fn len(self) -> usize {
        self.blocks * self.block_len()
    }

    /// Whether the flow has no parameter at all.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Splits one block's slice into its parts.
    pub(super) fn split(self, block: &[f32]) -> Parts<&[f32]> {
        let mut rest = block;
        Parts::from_array(self.lengths().map(|n| {
            let (part, tail) = rest.split_at(n);
            rest = tail;
            part
        }))
    }

    /// Splits one block's slice into its parts, to write to.
    pub(super) fn split_mut(self, block: &mut [f32]) -> Parts<&mut [f32]> {
        let mut rest = block;
        Parts::from_array(self.lengths().map(|n| {
            let (part, tail) = std::mem::take(&mut rest).split_at_mut(n);
            rest = tail;
            part
        }))
    }

    /// Where block `k` lies in the flat vector.
    pub(super) fn block_range(self, k: usize) -> Range<usize> {
        k * self.block_len()..(k + 1) * self.block_len()
    }
}

/// The parts of one block, parameters or gradients.
pub(super) struct Parts<T> {
    pub gamma: T,
    pub offset: T,
    /// `[D1, H]`.
    pub w1x: T,
    /// `[128, H]`: 64 rows for the column's code, 64 for the row's.
    pub w1c: T,
    pub b1: T,
    /// `[2 D2, H]`.
    pub w2: T,
    pub b2: T,
}

impl<T> Parts<T> {
    fn from_array([gamma, offset, w1x, w1c, b1, w2, b2]: [T; 7]) -> Self {
        Parts { gamma, offset, w1x, w1c, b1, w2, b2 }
    }
}

/// A flow: trainable parameters and fixed rotations.
#[derive(Clone, Debug, PartialEq)]
pub struct Flow {
    /// Sizes.
    pub shape: FlowShape,
    /// All trainable parameters, block after block.
    pub parameters: Vec<f32>,
    /// `[blocks, C, C]`, row-major: `x' = R u`.
    pub rotations: Vec<f32>,
}

impl Flow {
    /// A flow as training begins: linear layers uniform in `±1/sqrt(fan_in)` (PyTorch's default), `g = 1`,
    /// `o = 0`, rotations uniform over SO(C).
    pub fn initial(shape: FlowShape, rng: &mut impl Rng) -> Flow {
        let mut parameters = vec![0.0; shape.len()];
        let mut rotations = Vec::with_capacity(shape.blocks * shape.channels * shape.channels);
        // softplus_0.5(γ) = 10
        let gamma = 2.0 * (5f64.exp() - 1.0).ln();
        for k in 0..shape.blocks {
            let parts = shape.split_mut(&mut parameters[shape.block_range(k)]);
            parts.gamma.fill(gamma as f32);
            let mut uniform = |values: &mut [f32], fan_in: usize| {
                let bound = 1.0 / (fan_in as f32).sqrt();
                values.iter_mut().for_each(|v| *v = rng.random_range(-bound..bound));
            };
            let fan_in = shape.passive() + CONDITION_CHANNELS;
            uniform(parts.w1x, fan_in);
            uniform(parts.w1c, fan_in);
            uniform(parts.b1, fan_in);
            uniform(parts.w2, shape.hidden());
            uniform(parts.b2, shape.hidden());
            rotations.extend(rotation::haar(shape.channels, rng));
        }
        Flow { shape, parameters, rotations }
    }

    pub(super) fn block(&self, k: usize) -> Parts<&[f32]> {
        self.shape.split(&self.parameters[self.shape.block_range(k)])
    }

    pub(super) fn rotation(&self, k: usize) -> &[f32] {
        let square = self.shape.channels * self.shape.channels;
        &self.rotations[k * square..(k + 1) * square]
    }
}
