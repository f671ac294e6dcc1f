//! Boundary-guided anomaly detection (BGAD, Yao et al., CVPR 2023) on an ordinary CPU.
//!
//! **1. Prepare.** A [`Dataset`] surveys a folder and says what is used and what is not; a [`Split`] says which image is for what, as a
//! [`Choice`] asks for; [`examine`] finds what is wrong with the pictures.
//!
//! **2. Train.** A [`Trainer`] makes a [`Model`] of a folder, or of samples of one's own, as a [`Recipe`] says.
//!
//! ```no_run
//! use bgad::{Choice, Recipe, Trainer};
//!
//! let trainer = Trainer::open("tiles".as_ref(), &Choice::default(), &Recipe::default())?;
//! let model = trainer.train(&|| false, &mut |event| eprintln!("{event:?}"))?;
//! model.save("tiles.bgad".as_ref())?;
//! # Ok::<(), bgad::Error>(())
//! ```
//!
//! **3. Inspect.** A [`Detector`] is a model made ready. It takes [`Frame`]s, from files or from memory, one or many:
//!
//! ```no_run
//! use bgad::{Detector, Frame, Layout};
//!
//! let detector = Detector::open("tiles.bgad".as_ref())?;
//! let pixels = vec![0u8; 480 * 640];
//! let found = detector.inspect(&Frame::from_u8(&pixels, Layout::packed(480, 640, 1))?)?;
//! println!("{}: {:.2} nats, {} regions", found.verdict, found.score, found.regions.len());
//! # Ok::<(), bgad::Error>(())
//! ```
//!
//! **4. Learn.** A [`Lesson`] is what the line has found since; a [`LearningPlan`] goes on from the model with it. A [`Session`] sets thresholds
//! that keep a promise, [`evaluate`] says what they are worth.
//!
//! A detector may be shared between threads, and may have threads of its own ([`Detector::with_threads`]): results do not depend on how many
//! there are. Whatever goes wrong is an [`Error`].
//!
//! These names are the library's front page. The modules behind them are open to the other parts of bgad, and change with them.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

// The modules in reading order. Their equations stand in their headers.
#[doc(hidden)]
pub mod detector;
#[doc(hidden)]
pub mod model;
#[doc(hidden)]
pub mod verdict;
#[doc(hidden)]
pub mod record;
#[doc(hidden)]
pub mod overlay;
#[doc(hidden)]
pub mod frame;
#[doc(hidden)]
pub mod image;
#[doc(hidden)]
pub mod tiles;
#[doc(hidden)]
pub mod backbone;
pub(crate) mod machine;
pub(crate) mod names;
#[doc(hidden)]
pub mod pyramid;
#[doc(hidden)]
pub mod position;
#[doc(hidden)]
pub mod flow;
#[doc(hidden)]
pub mod likelihood;
#[doc(hidden)]
pub mod boundary;
#[doc(hidden)]
pub mod focal;
#[doc(hidden)]
pub mod loss;
pub(crate) mod gaussian;
#[doc(hidden)]
pub mod score;
#[doc(hidden)]
pub mod foreground;
#[doc(hidden)]
pub mod augment;
#[doc(hidden)]
pub mod dataset;
#[doc(hidden)]
pub mod train;
#[doc(hidden)]
pub mod calibrate;
#[doc(hidden)]
pub mod learn;
#[doc(hidden)]
pub mod metrics;
#[doc(hidden)]
pub mod evaluation;
#[doc(hidden)]
pub mod comparison;
#[doc(hidden)]
pub mod archive;
#[doc(hidden)]
pub mod weights;
#[doc(hidden)]
pub mod options;
#[doc(hidden)]
pub mod durable;
#[doc(hidden)]
pub mod outside;
#[doc(hidden)]
pub mod printable;
mod error;
mod threads;
mod written;

pub use backbone::{Backbone, Extractor, LevelShape};
pub use calibrate::{Objective, session::Session};
pub use dataset::doctor::{Checkup, DoctorOptions, examine};
pub use dataset::{Choice, Dataset, ForegroundSource, Kind, Sample, Setting, Split};
pub use detector::{Detector, Inspection};
pub use error::Error;
pub use evaluation::{Evaluation, Scoring, evaluate};
pub use frame::{Frame, FrameError, Layout};
pub use image::{BitDepth, ImageError, InputSize};
pub use learn::{FineTuning, Found, Learned, Lesson, Plan as LearningPlan};
pub use machine::{InstructionSetError, instruction_set};
pub use model::Model;
pub use options::{Preset, Recipe, Schedule};
pub use overlay::{Look, Style, draw};
pub use record::Record;
pub use score::{AnomalyMap, PartKind};
pub use threads::{Threads, ThreadsError};
pub use train::{Event as TrainEvent, Kept, Material, Output, Trainer, Unfinished};
pub use verdict::{DefectRegion, Thresholds, Verdict};

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
