//! Boundary-guided anomaly detection (BGAD, Yao et al., CVPR 2023) on an ordinary CPU.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

// The modules in reading order.
pub mod image;
pub mod position;
pub mod flow;
pub mod likelihood;
pub mod boundary;
pub mod focal;
pub mod loss;
pub mod foreground;
pub mod augment;
pub mod dataset;

#[cfg(test)]
mod golden;
