//! Conditional normalizing flow of one pyramid level.
//!
//! ```text
//! one block, with D1 = ceil(C/2), D2 = floor(C/2), condition c in R^128, clamp α = 1.9:
//!
//!     x1, x2 = x[:D1], x[D1:]
//!     a      = 0.1 (W2 relu(W1 [x1; c] + b1) + b2)
//!     s      = α tanh(a[:D2]);   t = a[D2:]
//!     y2     = x2 exp(s) + t
//!     u      = [x1; y2] g + o        g = 0.1 softplus_β=0.5(γ), elementwise
//!     x'     = R u                   R: fixed random rotation
//!     logdet = Σ s + Σ ln g
//! ```
//!
//! What is executed is the same map with fewer operations:
//!
//! * the condition's halves know only the column and only the row, so `W1 [x1; c] + b1` is
//!   `W1x x1 + T_x[column] + T_y[row]` with two small tables made once a step;
//! * `g` is folded into the columns of R, `R o` becomes its bias, 0.1 goes into W2 and b2;
//! * the last rotation is dropped: only |z|² is asked for, and R keeps lengths;
//! * hidden layers are recomputed in the backward pass, a tile of rows stays in the L2 cache through all blocks.
//!
//! [`Flow`] holds the parameters, [`Prepared`] the folded and packed form of one step or of a trained model,
//! [`Tape`] what the forward pass keeps for the backward pass.

mod folded;
mod parameters;
mod plain;
mod prepared;
mod rotation;
mod tape;
mod whitening;

pub use folded::{Folded, FoldedBlock};
pub use parameters::{Flow, FlowShape};
pub use prepared::{Positions, Prepared, Scratch};
pub use tape::Tape;
pub use whitening::{PreparedWhitening, Whitening};

/// `α`: the clamp of the coupling's log-scale.
pub const CLAMP: f32 = 1.9;

/// What the conditioner's output is multiplied with before use.
const SUBNET_SCALE: f32 = 0.1;

/// Rows that go through all blocks together.
const TILE: usize = 128;

#[cfg(test)]
mod tests;
