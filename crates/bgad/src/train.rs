//! Training: from a split to a model.
//!
//! ```text
//! encode every image once                                     the backbone is frozen: features are cached
//! phase 1    first meta-epoch: normal images, L_ml            phase 2    normal and anomalous images, L
//!            from here the coarsest level may have a companion: its flow so far, which goes on as if there were no anomalies
//! a pass     images in random order, batches of 32, each level's positions shuffled and cut into steps
//! at the end M and boundary from the normal images learned from; scales and thresholds from good images kept from the flows, or stand-ins
//! ```
//!
//! Images that are known to be defective, but not where, show those positions that stand out under the flows so far, chosen anew at each
//! meta-epoch of phase 2; their other positions are left out. See docs/decisions/weak.md.
//!
//! A pass shows each anomaly `repeats` times and as many pasted ones, which alone are encoded anew. Every random choice
//! is drawn from `(seed, purpose, pass, index)`, so neither threads nor an interruption change the model.

mod cache;
mod checkpoint;
mod error;
mod estimate;
mod finish;
mod flow_trainer;
mod images;
mod level;
mod making;
mod memory;
mod order;
mod output;
mod plan;
mod reference;
mod schedule;
mod standing;
mod store;
mod trainer;

use std::fs;
use std::path::{Path, PathBuf};

use bgad_kernels::Isa;

use crate::backbone::Backbone;
use crate::dataset::{DatasetError, ForegroundSource, Split, read_area};
use crate::foreground::Foreground;
use crate::image::{ImageError, Mask};
use crate::model::Model;
use crate::options::{Checked, Schedule, TrainOptions};
pub use error::TrainError;
use estimate::estimate;
use flow_trainer::FlowTrainer;
use images::Images;
pub use level::LevelReport;
pub use making::{FromHost, Maker};
pub use output::{Kept, Output, OutputError, is_replaceable};
pub use plan::Plan;
pub use trainer::{Trainer, Unfinished};

/// What training works on, besides its options.
pub struct Run<'a> {
    /// The images.
    pub split: &'a Split,
    /// The frozen feature extractor.
    pub backbone: &'a Backbone,
    /// What anomalies are made with.
    pub material: &'a Material,
    /// Where the state is written after each meta-epoch; `None` for nowhere.
    pub checkpoint: Option<&'a Path>,
    /// Whether to go on from the checkpoint.
    pub resume: bool,
    /// Bytes of features kept in memory; the rest goes to a file beside the checkpoint (without one, in the system's
    /// folder for temporary files). The model does not depend on it.
    pub cache_limit: u64,
    /// Asked at every step; training ends with [`TrainError::Stopped`] once it says true.
    pub stop: &'a (dyn Fn() -> bool + Sync),
}

impl Run<'_> {
    /// The instruction set of the flows is that of the network.
    fn isa(&self) -> Isa {
        self.backbone.isa()
    }

    fn cache_folder(&self) -> PathBuf {
        let beside = self.checkpoint.and_then(Path::parent);
        match beside {
            None => std::env::temp_dir(),
            Some(folder) if folder.as_os_str().is_empty() => PathBuf::from("."),
            Some(folder) => folder.to_owned(),
        }
    }
}

/// What anomalies are made with, besides the images of the split.
#[derive(Clone, Debug, Default)]
pub struct Material {
    /// Where the part is in the normal images: defects go there, and with
    /// [`TrainOptions::foreground_score`](crate::options::TrainOptions::foreground_score) the score looks only there.
    pub foreground: ForegroundSource,
    /// A folder of pictures to take textures from.
    pub textures: Option<PathBuf>,
    /// A mask, not zero where images are trained on and scored; `None` for everywhere.
    pub roi: Option<PathBuf>,
    /// A mask, not zero where images are neither trained on nor scored.
    pub ignore: Option<PathBuf>,
}

impl Material {
    /// The pixels that are trained on and scored, at the input size, or of the masks' own size if images are cut into
    /// tiles; `None` for all.
    fn roi(&self, options: &TrainOptions) -> Result<Option<Foreground>, DatasetError> {
        let Some(first) = self.roi.as_ref().or(self.ignore.as_ref()) else { return Ok(None) };
        let size = match options.tile_overlap {
            None => options.input,
            // Images keep their sizes, and so does what is said of them.
            Some(_) => Mask::original_size(first).map_err(DatasetError::Image)?.as_input(),
        };
        let read = |path: &Option<PathBuf>| path.as_ref().map(|path| read_area(path, size)).transpose();
        let (roi, ignored) = (read(&self.roi)?, read(&self.ignore)?);
        let Some(mut left) = ignored else { return Ok(roi) };
        left.inside.iter_mut().for_each(|pixel| *pixel = 1 - *pixel);
        let left = roi.map_or(left.clone(), |roi| roi.and(&left));
        match (left.is_empty(), &self.ignore) {
            (true, Some(mask)) => Err(DatasetError::NothingLeft { mask: mask.clone() }),
            _ => Ok(Some(left)),
        }
    }
}

/// What training reports as it goes.
#[derive(Debug)]
pub enum Event<'a> {
    /// Images read and encoded so far.
    Encoded {
        /// How many.
        done: usize,
        /// Of how many.
        total: usize,
    },
    /// An image or its mask could not be used; training goes on without it.
    Skipped(&'a ImageError),
    /// Training goes on from a checkpoint.
    Resumed {
        /// Passes that need not be done again.
        passes: usize,
    },
    /// A pass has ended.
    Pass(PassReport),
    /// A checkpoint has been written.
    Checkpoint(&'a Path),
    /// Everything is written; the checkpoint, which is of no use any more, could not be removed.
    Leftover(&'a OutputError),
}

/// One pass over the images.
#[derive(Clone, Debug)]
pub struct PassReport {
    /// The pass, from 1.
    pub pass: usize,
    /// Passes altogether.
    pub passes: usize,
    /// 1: normal images alone; 2: with anomalies and boundary.
    pub phase: u8,
    /// Meta-epoch, from 1.
    pub meta_epoch: usize,
    /// Adam's learning rate.
    pub learning_rate: f32,
    /// Loss and boundary of each level.
    pub levels: Vec<LevelReport>,
    /// Loss of the coarsest level's companion, if there is one by now.
    pub companion: Option<LevelReport>,
    /// Images of this pass.
    pub images: usize,
    /// Seconds of this pass.
    pub secs: f64,
    /// Images of all passes still to come.
    pub images_left: usize,
}

/// Trains a model.
///
/// # Errors
///
/// A [`TrainError`]; a checkpoint written before it stays valid.
pub fn train(
    run: &Run<'_>,
    options: &Checked,
    progress: &mut dyn FnMut(Event<'_>),
) -> Result<Model, TrainError> {
    let resumed = match (run.resume, run.checkpoint) {
        (true, Some(path)) => {
            let checkpoint = checkpoint::load(path)?;
            // Before an image is read: options are compared in no time.
            match checkpoint.state.options.different(options) {
                different if different.is_empty() => Some(checkpoint),
                different => return Err(TrainError::OtherOptions { different }),
            }
        }
        (true, None) => return Err(TrainError::NoCheckpoint),
        _ => None,
    };
    let roi = run.material.roi(options).map_err(TrainError::Material)?;
    let mut images = Images::encode(run, run.split.train.len(), options, roi.as_ref(), progress)?;
    let whitenings = images.whiten(run, options)?;
    let mut trainer = FlowTrainer::new(run, options, &images, roi, whitenings)?;
    let mut first_pass = 0;
    if let Some(checkpoint) = resumed {
        first_pass = checkpoint.state.passes;
        trainer.restore(checkpoint, &images, run)?;
        progress(Event::Resumed { passes: first_pass });
    }
    trainer.passes(first_pass, &images, run, progress)?;
    trainer.finish(&images, run)
}

/// Goes on from a trained model with the images of `run`, old ones and new ones: every pass shows anomalies and boundary, the
/// whitening stays, constants, boundary and thresholds are computed anew. Nothing is written on the way.
///
/// `schedule` and `learning_rate` are of this fine-tuning; all other choices are the model's, its area included. Without a schedule the flows
/// stay as they are: the linear head, the regions and all scales alone are fitted to the images of now.
///
/// # Errors
///
/// A [`TrainError`].
pub fn fine_tune(
    run: &Run<'_>,
    known: &Model,
    schedule: Option<Schedule>,
    learning_rate: f32,
    progress: &mut dyn FnMut(Event<'_>),
) -> Result<Model, TrainError> {
    let choices = &known.header.options;
    let options =
        TrainOptions { schedule: schedule.unwrap_or(choices.schedule), learning_rate, ..choices.clone() };
    let options = &options.check().map_err(TrainError::Options)?;
    let roi = known.header.area.common();
    let first = known.header.training.kept_among;
    let mut images = Images::encode(run, first, options, roi.as_ref(), progress)?;
    let whitenings: Vec<_> = known.scorer.levels.iter().map(|level| level.whitening.clone()).collect();
    images.apply(&whitenings, run)?;
    let mut trainer = FlowTrainer::new(run, options, &images, roi, whitenings)?;
    trainer.first_phase = 0;
    trainer.area = known.header.area.clone();
    trainer.take_flows(known);
    if schedule.is_some() {
        trainer.passes(0, &images, run, progress)?;
    }
    let mut model = trainer.finish(&images, run)?;
    model.header.options = choices.clone();
    let before = known.header.training.losses.iter().cloned();
    model.header.training.losses = before.chain(model.header.training.losses).collect();
    model.header.training.passes = model.header.training.losses.len();
    Ok(model)
}

/// Removes a checkpoint that is no longer needed; one that is not there is fine.
///
/// # Errors
///
/// What the system says.
pub fn remove_checkpoint(path: &Path) -> std::io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}
/// Reads a checkpoint and forgets it: for fuzzing, since nothing but resuming a training opens one.
///
/// # Errors
///
/// As resuming from it would.
#[doc(hidden)]
pub fn check_checkpoint(path: &Path) -> Result<(), TrainError> {
    checkpoint::load(path).map(|_| ())
}
