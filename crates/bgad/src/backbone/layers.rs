//! A network as plain numbers: what a family packs for the kernels, and what an export writes.
//!
//! ```text
//! image → stem → [3 x 3 maxima of stride 2] → blocks
//! block:  y = act( body(x) + shortcut(x) )        body: one convolution after the other, each with its activation
//!         gate, behind a convolution: d σ(W_e silu(W_r mean d + b_r) + b_e)
//! ```
//!
//! Batch norms are folded into the convolutions before them (`norm.rs` beside).

use bgad_kernels::depthwise::Same;
pub use bgad_kernels::gemm::Activation;

/// A convolution, its bias and what follows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Convolution {
    /// `[output, input of a group, kernel, kernel]`, row-major.
    pub weights: Vec<f32>,
    /// `[output]`.
    pub bias: Vec<f32>,
    /// Side of the square kernel.
    pub kernel: usize,
    /// Step in both directions.
    pub stride: usize,
    /// Groups of channels that do not see each other.
    pub groups: usize,
    /// Where the picture lies in its padding.
    pub padding: Padding,
    /// What its result goes through.
    pub activation: Activation,
}

/// How much of the padding comes before the picture; the result has `⌈length / stride⌉` either way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding {
    /// As in TensorFlow: no more than is needed, the odd one behind.
    Same,
    /// As in PyTorch: half of the kernel on both sides.
    Half,
}

impl Padding {
    /// Zeros before and after `length` values.
    ///
    /// # Panics
    ///
    /// If `length` or `stride` is 0, or under [`Padding::Same`] `kernel < stride`.
    pub fn around(self, length: usize, kernel: usize, stride: usize) -> (usize, usize) {
        match self {
            Padding::Same => {
                let same = Same::new(length, kernel, stride);
                (same.before, same.padded.saturating_sub(length + same.before))
            }
            Padding::Half => (kernel / 2, kernel / 2),
        }
    }
}

/// Squeeze and excitation behind a convolution of a block.
#[derive(Clone, Debug, PartialEq)]
pub struct Gate {
    /// Index of that convolution.
    pub behind: usize,
    /// `W_r` and `b_r`.
    pub reduce: Convolution,
    /// `W_e` and `b_e`.
    pub expand: Convolution,
}

/// What is added to the result of a block's body.
#[derive(Clone, Debug, PartialEq)]
pub enum Shortcut {
    /// Nothing.
    None,
    /// The block's input.
    Identity,
    /// The block's input through a convolution.
    Convolution(Convolution),
}

/// One block.
#[derive(Clone, Debug, PartialEq)]
pub struct BlockLayers {
    /// Its name in the weights.
    pub name: String,
    /// One after the other.
    pub body: Vec<Convolution>,
    /// The gate, where it has one.
    pub gate: Option<Gate>,
    /// What is added to the body's result.
    pub shortcut: Shortcut,
    /// What follows the sum.
    pub activation: Activation,
    /// The level, from 0, whose feature map its result is.
    pub level: Option<usize>,
}

/// A network up to its last level.
#[derive(Clone, Debug, PartialEq)]
pub struct Layers {
    /// Mean and standard deviation that its input is normalised with, red, green and blue.
    pub mean_std: ([f32; 3], [f32; 3]),
    /// The first convolution.
    pub stem: Convolution,
    /// Whether maxima of 3 x 3 follow it, with stride 2 and [`Padding::Half`].
    pub is_pooled: bool,
    /// The blocks in the order they run.
    pub blocks: Vec<BlockLayers>,
}
