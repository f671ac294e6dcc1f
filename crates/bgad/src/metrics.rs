//! How well scores separate anomalies from normals, computed exactly.
//!
//! ```text
//! image level   auroc, average_precision, f1_max of one score per image
//! pixel level   PixelScores: push one map at a time, rank once, then read
//!               Ranking::{auroc, average_precision, f1_max, aupro, curve}
//! ```
//!
//! Every metric here is a function of one sorted list, the [`Ranking`]: nothing is sampled, binned or
//! thresholded on a grid, equal scores are one threshold, and the result does not depend on the order in
//! which images arrive. Higher scores mean more anomalous. A score that is not a number has no rank and is
//! refused.

pub mod aupro;
pub mod auroc;
pub mod average_precision;
pub mod curves;
pub mod f1;
pub mod pixels;
pub mod ranking;
#[cfg(test)]
pub(crate) mod recorded_score;
pub mod regions;

pub use auroc::auroc;
pub use average_precision::average_precision;
pub use curves::OperatingPoint;
pub use f1::{F1Max, f1_max};
pub use pixels::PixelScores;
pub use ranking::{NotANumber, Ranking};
