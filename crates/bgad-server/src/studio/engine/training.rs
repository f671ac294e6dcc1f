//! Training: what it would cost, doing it, going on where it was interrupted.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::time::Instant;

use bgad::Error;
use bgad::dataset::{Choice, Split};
use bgad::image::InputSize;
use bgad::options::{Preset, Recipe, Schedule};
use bgad::train::{self, Event, Material, Output, PassReport, TrainError, Trainer, Unfinished};
use serde::{Deserialize, Serialize};

use super::{Control, Failure, Progress, chain, model_path};

/// What to train.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::studio) struct TrainRequest {
    /// Name of the model, without `.bgad`.
    pub name: String,
    /// `quick` for a first look, `fast` for the usual schedule.
    pub preset: String,
    /// Side or HxW; `None` for the preset's.
    pub input: Option<String>,
    /// Meta-epochs x passes instead of the preset's.
    pub schedule: Option<String>,
    /// Known defects to train on; `None` for as many as the command line takes.
    pub anomalies: Option<usize>,
    /// Share of the good images kept to calibrate with.
    pub hold_out: f64,
    pub seed: u64,
}

/// What a training would cost.
#[derive(Clone, Debug, Serialize)]
pub(in crate::studio) struct Estimate {
    pub secs: f64,
    pub good: usize,
    pub defects: usize,
    pub held_out: usize,
    pub test_good: usize,
    pub test_bad: usize,
    pub passes: usize,
    pub input: String,
}

impl TrainRequest {
    fn split(&self, root: &Path) -> Result<Split, Failure> {
        let hold_out = Some(self.hold_out).filter(|share| *share > 0.0 && *share < 1.0);
        let choice = Choice { anomalies: self.anomalies, hold_out, seed: self.seed, ..Choice::default() };
        Ok(choice.of(root)?.split)
    }

    fn recipe(&self) -> Result<Recipe, Failure> {
        let preset = match self.preset.as_str() {
            "quick" => Preset::Quick,
            "fast" => Preset::Fast,
            other => return Err(format!("expected the preset quick or fast, found {other}").into()),
        };
        let schedule = self.schedule.as_deref().map(Schedule::from_str).transpose()?;
        let input = self.input.as_deref().map(InputSize::from_str).transpose()?;
        Ok(Recipe { preset, schedule, input, ..Recipe::default() })
    }

    /// A training on these images; `control` is told of known defects that are left out.
    fn trainer(&self, split: Split, root: &Path, control: &dyn Control) -> Result<Trainer, Failure> {
        let trainer = Trainer::of(split, root, &self.recipe()?, self.seed)?.with_material(material(root));
        trainer.unsound().iter().for_each(|mask| control.skipped(chain(mask)));
        Ok(trainer)
    }
}

fn material(root: &Path) -> Material {
    let there = |name: &str| Some(root.join(name)).filter(|path| path.is_file());
    Material { roi: there("roi.png"), ignore: there("ignore.png"), ..Material::default() }
}

/// What `request` would train on and how long it would take, measured by training a little.
pub(in crate::studio) fn estimate(
    root: &Path,
    request: &TrainRequest,
    control: &dyn Control,
) -> Result<Estimate, Failure> {
    let trainer = request.trainer(request.split(root)?, root, control)?;
    let (split, options) = (trainer.split(), trainer.options());
    let secs = trainer.estimate(&|| control.stop());
    Ok(Estimate {
        secs: secs.ok_or("the first images cannot be read: check the images before training")?,
        good: split.train.len(),
        defects: split.anomalies.len(),
        held_out: split.hold_out.len(),
        test_good: split.test_good.len(),
        test_bad: split.test_bad.len(),
        passes: options.schedule.passes(),
        input: options.input.to_string(),
    })
}

/// Trains `models/NAME.bgad` as `bgad train` would. `Ok(false)` if it was stopped; a checkpoint may then be there to go on
/// from.
pub(in crate::studio) fn train(
    root: &Path,
    request: &TrainRequest,
    control: &dyn Control,
) -> Result<bool, Failure> {
    fs::create_dir_all(root.join("models"))?;
    fs::create_dir_all(root.join("runs"))?;
    let output = Output::beside(&model_path(root, &request.name), false)?;
    let plan = plan_path(root, &request.name);
    // After an interruption the same images go on, whatever has come since.
    let resume = output.checkpoint.is_file() && plan.is_file();
    let split = match resume {
        true => Split::read_weak(&plan, root)?,
        false => request.split(root)?,
    };
    let trainer = request.trainer(split, root, control)?;
    if !resume {
        train::remove_checkpoint(&output.checkpoint)?;
        trainer.split().write(&plan, root)?;
    }
    let mut told = TrainReport::new(control);
    match trainer.train_to(&output, resume, &|| control.stop(), &mut |event| told.event(event)) {
        Err(Unfinished { error, .. }) if matches!(*error, Error::Train(TrainError::Stopped)) => {
            return Ok(false);
        }
        trained => trained?,
    };
    train::remove_checkpoint(&plan)?;
    Ok(true)
}

/// Throws away what an abandoned training left to go on from.
pub(in crate::studio) fn forget(root: &Path, name: &str) -> io::Result<()> {
    let mut checkpoint = model_path(root, name).into_os_string();
    checkpoint.push(".checkpoint");
    train::remove_checkpoint(Path::new(&checkpoint))?;
    train::remove_checkpoint(&plan_path(root, name))
}

/// The split of a training under way.
fn plan_path(root: &Path, name: &str) -> PathBuf {
    root.join("runs").join(format!("{name}.plan.json"))
}

/// Turns what the library reports into progress.
pub(super) struct TrainReport<'a> {
    control: &'a dyn Control,
    losses: Vec<f64>,
    /// Images and seconds of the passes of the present phase.
    measured: (u8, f64, f64),
    started: Instant,
}

impl<'a> TrainReport<'a> {
    pub(super) fn new(control: &'a dyn Control) -> TrainReport<'a> {
        TrainReport { control, losses: Vec::new(), measured: (0, 0.0, 0.0), started: Instant::now() }
    }

    pub(super) fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Encoded { done, total } => {
                let each = self.started.elapsed().as_secs_f64() / done.max(1) as f64;
                let secs_left = Some(each * (total - done) as f64);
                self.tell("encoding", done, total, secs_left);
            }
            Event::Skipped(error) => self.control.skipped(chain(error)),
            Event::Pass(report) => self.pass(&report),
            // A checkpoint that stays is in nobody's way.
            Event::Resumed { .. } | Event::Checkpoint(_) | Event::Leftover(_) => {}
        }
    }

    fn pass(&mut self, report: &PassReport) {
        let mean = report.levels.iter().map(|level| level.loss.total).sum::<f64>();
        self.losses.push(mean / report.levels.len().max(1) as f64);
        if self.measured.0 != report.phase {
            self.measured = (report.phase, 0.0, 0.0);
        }
        self.measured.1 += report.images as f64;
        self.measured.2 += report.secs;
        let left = report.images_left as f64 * self.measured.2 / self.measured.1.max(1.0);
        match report.pass < report.passes {
            true => self.tell("training", report.pass, report.passes, Some(left)),
            // What follows, the scales of the scores above all, takes its time and says nothing of it.
            false => self.tell("finishing", 0, 0, None),
        }
    }

    fn tell(&self, stage: &str, done: usize, total: usize, secs_left: Option<f64>) {
        let losses = self.losses.clone();
        self.control.report(Progress { stage: stage.to_owned(), done, total, secs_left, losses });
    }
}
