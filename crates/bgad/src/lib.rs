//! Boundary-guided anomaly detection (BGAD, Yao et al., CVPR 2023) on an ordinary CPU.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

// The modules in reading order.
pub mod detector;
pub mod model;
pub mod verdict;
pub mod record;
pub mod overlay;
pub mod frame;
pub mod image;
pub mod tiles;
pub mod backbone;
pub mod pyramid;
pub mod position;
pub mod flow;
pub mod likelihood;
pub mod boundary;
pub mod focal;
pub mod loss;
pub mod gaussian;
pub mod score;
pub mod foreground;
pub mod augment;
pub mod dataset;
pub mod train;
pub mod calibrate;
pub mod learn;
pub mod metrics;
pub mod evaluation;
pub mod comparison;
pub mod archive;
pub mod weights;
pub mod options;
pub mod durable;
pub mod outside;
pub mod printable;
mod written;

pub use detector::{Detector, Inspection};
pub use frame::{Frame, FrameError, Layout};
pub use model::Model;
pub use score::PartKind;

#[cfg(test)]
mod golden;
