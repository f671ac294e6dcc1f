//! Boundary-guided anomaly detection (BGAD, Yao et al., CVPR 2023) on an ordinary CPU.
//!
//! **1. Prepare.** A [`Dataset`](dataset::Dataset) surveys a folder and says what is used and what is not; a [`Split`](dataset::Split) says
//! which image is for what; [`doctor`](dataset::doctor) finds what is wrong with the pictures.
//!
//! **2. Train.** A [`Plan`](train::Plan) turns a [`Recipe`](options::Recipe) into options for the images at hand;
//! [`train()`](train::train) makes a [`Model`] of them.
//!
//! **3. Inspect.** A [`Detector`] is a model made ready. It takes [`Frame`]s, from files or from memory, one or many:
//!
//! ```no_run
//! use bgad::{Detector, Frame, Layout};
//!
//! let detector = Detector::open("part.bgad".as_ref())?;
//! let pixels = vec![0u8; 480 * 640];
//! let found = detector.inspect(&Frame::from_u8(&pixels, Layout::packed(480, 640, 1))?)?;
//! println!("{}: {:.2} nats, {} regions", found.verdict, found.score, found.regions.len());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! **4. Learn.** [`learn`] goes on from a model with what the line has found since, [`calibrate`] sets thresholds that keep a promise,
//! [`evaluation`] says what they are worth.
//!
//! A detector may be shared between threads, and may have threads of its own ([`Detector::with_threads`]): results do not depend on how many there are.
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
pub(crate) mod machine;
pub mod pyramid;
pub mod position;
pub mod flow;
pub mod likelihood;
pub mod boundary;
pub mod focal;
pub mod loss;
pub(crate) mod gaussian;
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
mod threads;
mod written;

pub use backbone::{Backbone, Extractor};
pub use detector::{Detector, Inspection};
pub use frame::{Frame, FrameError, Layout};
pub use machine::{InstructionSetError, instruction_set};
pub use model::Model;
pub use score::PartKind;
pub use threads::{Threads, ThreadsError};

/// What is shared between threads can be.
const _: () = {
    const fn shared<T: Send + Sync>() {}
    shared::<Detector>();
    shared::<Model>();
    shared::<Frame>();
    shared::<Backbone>();
};

#[cfg(test)]
mod golden;
