//! Boundary-guided anomaly detection (BGAD, Yao et al., CVPR 2023) on an ordinary CPU.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

// The modules in reading order.
pub mod detector;
pub mod verdict;
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
pub mod anomaly_map;
pub mod gaussian;
pub mod cells;
pub mod whole_image;
pub mod image_score;
pub mod foreground;
pub mod augment;
pub mod dataset;
pub mod train;
pub mod calibrate;
pub mod metrics;
pub mod evaluation;
pub mod comparison;
pub mod weights;
pub mod options;
pub mod durable;
pub mod outside;
pub mod printable;
mod written;

pub use detector::{Detector, Inspection};
pub use frame::{Frame, FrameError, Layout};

#[cfg(test)]
mod golden;
