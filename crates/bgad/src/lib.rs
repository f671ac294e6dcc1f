//! Boundary-guided anomaly detection (BGAD, Yao et al., CVPR 2023) on an ordinary CPU.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod backbone;
pub mod pyramid;
pub mod weights;
