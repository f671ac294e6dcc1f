//! How long a training will take on this machine, measured by training a little.
//!
//! ```text
//! seconds = encode · images + Σ over passes of step(phase) · images of the pass
//! encode      seconds an image, from a handful of images
//! step        seconds an image of a pass, without and with anomalies, from one pass each over the same handful
//! ```

use std::time::Instant;

use super::flow_trainer::{FlowTrainer, shown_with_anomalies};
use super::images::Images;
use super::{Event, Run, TrainError, reference};
use crate::dataset::Split;
use crate::options::{Checked, TrainOptions};

/// Good images that are tried.
const GOOD: usize = 4;

/// Seconds that [`train`](super::train()) will take with these options, `None` if the images that are tried cannot be used: the training
/// says why. It takes about as long as a hundredth of the training. Writes nothing.
pub(super) fn estimate(run: &Run<'_>, options: &Checked) -> Option<f64> {
    tried(run, options).ok().flatten()
}

fn tried(run: &Run<'_>, options: &Checked) -> Result<Option<f64>, TrainError> {
    let few = Split {
        train: run.split.train.iter().take(GOOD).cloned().collect(),
        anomalies: run.split.anomalies.iter().take(1).cloned().collect(),
        hold_out: Vec::new(),
        test_good: Vec::new(),
        test_bad: Vec::new(),
    };
    let once = TrainOptions { repeats: 1, ..(**options).clone() }.check().map_err(TrainError::Options)?;
    let small = Run { split: &few, checkpoint: None, resume: false, ..*run };
    let roi = small.material.roi(&once).map_err(TrainError::Material)?;
    let started = Instant::now();
    let mut skipped = 0;
    let mut on_event = |event: Event<'_>| skipped += usize::from(matches!(event, Event::Skipped(_)));
    let mut images = Images::encode(&small, few.train.len(), &once, roi.as_ref(), &mut on_event)?;
    let encoded = (few.train.len() + few.anomalies.len()) as f64;
    let encode = started.elapsed().as_secs_f64() / encoded.max(1.0);
    if skipped > 0 || images.normal.is_empty() {
        return Ok(None);
    }
    let whitenings = images.whiten(&small, &once)?;
    let share = images.normal.len() as f64 / few.train.len() as f64;
    let mut trainer = FlowTrainer::new(&small, &once, &images, roi, whitenings)?;
    let mut step = |pass: usize| -> Result<f64, TrainError> {
        let report = trainer.pass(pass, &images, &small)?;
        Ok(report.secs / report.images.max(1) as f64)
    };
    let alone = step(0)?;
    let first_phase = options.schedule.sub_epochs.min(options.schedule.passes());
    let shows = !few.anomalies.is_empty() || options.pseudo.any();
    let together = if shows && first_phase < options.schedule.passes() { step(first_phase)? } else { alone };

    // What a file gives: one image, or its tiles.
    let shown = |files: usize| (files as f64 * share).round() as usize;
    let (learned, _) = reference::divide(&run.split.train, run.split.train.len());
    let (normal, anomalies) = (shown(learned.len()), run.split.anomalies.len());
    let second = shown_with_anomalies(options, normal, shown(anomalies), anomalies);
    let second_phase = options.schedule.passes() - first_phase;
    let all = (run.split.train.len() + anomalies) as f64;
    Ok(Some(encode * all + alone * (normal * first_phase) as f64 + together * (second * second_phase) as f64))
}
