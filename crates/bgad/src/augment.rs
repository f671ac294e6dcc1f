//! Anomalous images made for training: a handful of real defects, varied and carried over to good images.
//!
//! ```text
//! cutpaste    three operations on defect and mask together, then the masked pixels go into a good image
//! operation   what can be done to an image and its mask; one line of `draw` for each further one
//! ```
//!
//! Nothing here keeps a state: every choice comes from the generator that is passed in.

mod colour;
pub mod cutpaste;
mod geometry;
pub mod operation;

pub use cutpaste::cut_paste;
pub use operation::Operation;
