//! The library as the studio uses it, all in one place: survey, train, score, calibrate, learn, examine.
//!
//! Nothing here knows of HTTP, and nothing outside of here calls the library's training or scoring.

use std::error::Error;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Instant;

use bgad::backbone::Backbone;
use bgad::calibrate::session::{self, Files, Session};
use bgad::calibrate::{self, Calibration, Objective, Rate};
use bgad::dataset::doctor::{self, Checkup, DoctorOptions};
use bgad::dataset::{Choice, Dataset, Sample, Split, SplitRecord, content_hash};
use bgad::image::{InputSize, Mask, OriginalSize};
use bgad::learn::{self, FineTuning, Found, Plan as LearnPlan};
use bgad::model::Model;
use bgad::options::{DEFAULT_BACKBONE, DEFAULT_CACHE_LIMIT, Recipe, Schedule, TrainOptions};
use bgad::train::{self, Event, Material, Output, PassReport, Plan, Run, TrainError};
use bgad::verdict::{Thresholds, Verdict};
use bgad::{Detector, Inspection};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::bitmask::Bitmask;

/// How sure bounds in the judge view are.
pub(super) const CONFIDENCE: f64 = 0.95;
/// Passes of a first look.
const QUICK: Schedule = Schedule { meta_epochs: 2, sub_epochs: 1 };
/// Passes of learning from a few images, and their learning rate: those of `bgad learn`.
const LEARN: FineTuning =
    FineTuning { schedule: Some(Schedule { meta_epochs: 3, sub_epochs: 1 }), learning_rate: 3e-4 };
/// Images scored between two reports.
const SHARE: usize = 16;

/// Why the library did not do it; its message is for people.
pub(super) type Failure = Box<dyn Error + Send + Sync>;

/// How far a piece of work has come.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Progress {
    /// `encoding`, `training`, `scoring` or `reading`.
    pub stage: String,
    pub done: usize,
    pub total: usize,
    /// Seconds still to go, if that can be told.
    pub secs_left: Option<f64>,
    /// Mean loss of each pass so far.
    pub losses: Vec<f64>,
}

/// What work is told from outside, and tells.
pub(super) trait Control: Sync {
    /// Asked often; blocks while the work is paused. Whether to stop.
    fn stop(&self) -> bool;
    /// Takes a report.
    fn report(&self, progress: Progress);
    /// Takes a word about a file that could not be used.
    fn skipped(&self, message: String);
}

/// What to train.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct TrainRequest {
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
pub(super) struct Estimate {
    pub secs: f64,
    pub good: usize,
    pub defects: usize,
    pub held_out: usize,
    pub test_good: usize,
    pub test_bad: usize,
    pub passes: usize,
    pub input: String,
}

/// One image as a model scores it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Scored {
    pub id: String,
    pub version: String,
    pub sha256: String,
    pub score: f32,
}

/// A model ready to judge.
pub(super) struct Judge {
    detector: Detector,
}

/// What is shown about a model.
#[derive(Clone, Debug, Serialize)]
pub(super) struct ModelFacts {
    pub thresholds: Thresholds,
    pub calibration: Option<CalibrationFacts>,
    pub input: String,
    pub backbone: String,
    pub good: usize,
    pub defects: usize,
    pub passes: usize,
    pub losses: Vec<f64>,
    pub bgad: String,
}

/// The promise a model carries.
#[derive(Clone, Debug, Serialize)]
pub(super) struct CalibrationFacts {
    pub objective: Objective,
    pub confidence: f64,
    pub images: usize,
}

impl TrainRequest {
    fn split(&self, root: &Path) -> Result<Split, Failure> {
        let hold_out = Some(self.hold_out).filter(|share| *share > 0.0 && *share < 1.0);
        let choice = Choice { anomalies: self.anomalies, hold_out, seed: self.seed, ..Choice::default() };
        Ok(choice.of(root)?.split)
    }

    /// The options for the images of a split; `control` is told of known defects that leave it.
    fn options(&self, split: &mut Split, control: &dyn Control) -> Result<TrainOptions, Failure> {
        let schedule = match (&self.schedule, self.preset.as_str()) {
            (Some(schedule), _) => Some(Schedule::from_str(schedule)?),
            (None, "quick") => Some(QUICK),
            (None, "fast") => None,
            (None, other) => return Err(format!("expected the preset quick or fast, found {other}").into()),
        };
        let input = self.input.as_deref().map(InputSize::from_str).transpose()?;
        let plan = Plan::new(&Recipe { schedule, input, ..Recipe::default() }, self.seed, split);
        plan.unsound.iter().for_each(|mask| control.skipped(chain(mask)));
        Ok(plan.options)
    }
}

fn material(root: &Path) -> Material {
    let there = |name: &str| Some(root.join(name)).filter(|path| path.is_file());
    Material { roi: there("roi.png"), ignore: there("ignore.png"), ..Material::default() }
}

/// What `request` would train on and how long it would take, measured by training a little.
pub(super) fn estimate(
    root: &Path,
    request: &TrainRequest,
    control: &dyn Control,
) -> Result<Estimate, Failure> {
    let mut full = request.split(root)?;
    let wanted = request.options(&mut full, control)?;
    let few = Split {
        train: full.train.iter().take(4).cloned().collect(),
        anomalies: full.anomalies.iter().take(1).cloned().collect(),
        ..Split { train: vec![], anomalies: vec![], hold_out: vec![], test_good: vec![], test_bad: vec![] }
    };
    let once =
        TrainOptions { schedule: Schedule { meta_epochs: 1, sub_epochs: 1 }, ..wanted.clone() }.check()?;
    let backbone = Backbone::embedded(DEFAULT_BACKBONE)?;
    let run = Run {
        split: &few,
        backbone: &backbone,
        material: &material(root),
        checkpoint: None,
        resume: false,
        cache_limit: DEFAULT_CACHE_LIMIT,
        stop: &|| control.stop(),
    };
    let started = Instant::now();
    let (mut encoding, mut pass) = (0.0, 0.0);
    train::train(&run, &once, &mut |event| match event {
        Event::Encoded { done, .. } => encoding = started.elapsed().as_secs_f64() / done.max(1) as f64,
        Event::Pass(report) => pass = report.secs / report.images.max(1) as f64,
        _ => {}
    })?;
    let images = full.train.len() + full.anomalies.len();
    // A pass shows every defect several times.
    let shown = full.train.len() + wanted.repeats * full.anomalies.len();
    let passes = wanted.schedule.passes();
    Ok(Estimate {
        secs: encoding * images as f64 + pass * (shown * passes) as f64,
        good: full.train.len(),
        defects: full.anomalies.len(),
        held_out: full.hold_out.len(),
        test_good: full.test_good.len(),
        test_bad: full.test_bad.len(),
        passes,
        input: wanted.input.to_string(),
    })
}

/// Trains `models/NAME.bgad` as `bgad train` would. `Ok(false)` if it was stopped; a checkpoint may then be there to go on
/// from.
pub(super) fn train(root: &Path, request: &TrainRequest, control: &dyn Control) -> Result<bool, Failure> {
    fs::create_dir_all(root.join("models"))?;
    fs::create_dir_all(root.join("runs"))?;
    let output = Output::beside(&model_path(root, &request.name), false)?;
    let plan = plan_path(root, &request.name);
    // After an interruption the same images go on, whatever has come since.
    let resume = output.checkpoint.is_file() && plan.is_file();
    let mut split = match resume {
        true => Split::read_weak(&plan, root)?,
        false => request.split(root)?,
    };
    let options = request.options(&mut split, control)?.check()?;
    let record = SplitRecord::of(&split, root)?;
    record.check_contents()?;
    if !resume {
        train::remove_checkpoint(&output.checkpoint)?;
        split.write(&plan, root)?;
    }
    let backbone = Backbone::embedded(DEFAULT_BACKBONE)?;
    let run = Run {
        split: &split,
        backbone: &backbone,
        material: &material(root),
        checkpoint: Some(&output.checkpoint),
        resume,
        cache_limit: DEFAULT_CACHE_LIMIT,
        stop: &|| control.stop(),
    };
    let mut told = TrainReport::new(control);
    let mut model = match train::train(&run, &options, &mut |event| told.event(event)) {
        Err(TrainError::Stopped) => return Ok(false),
        trained => trained?,
    };
    output.save(&mut model, record, &split, root)?;
    train::remove_checkpoint(&plan)?;
    Ok(true)
}

/// Throws away what an abandoned training left to go on from.
pub(super) fn forget(root: &Path, name: &str) -> io::Result<()> {
    let mut checkpoint = model_path(root, name).into_os_string();
    checkpoint.push(".checkpoint");
    train::remove_checkpoint(Path::new(&checkpoint))?;
    train::remove_checkpoint(&plan_path(root, name))
}

fn model_path(root: &Path, name: &str) -> PathBuf {
    root.join("models").join(format!("{name}.bgad"))
}

/// The split of a training under way.
fn plan_path(root: &Path, name: &str) -> PathBuf {
    root.join("runs").join(format!("{name}.plan.json"))
}

/// Turns what the library reports into progress.
struct TrainReport<'a> {
    control: &'a dyn Control,
    losses: Vec<f64>,
    /// Images and seconds of the passes of the present phase.
    measured: (u8, f64, f64),
    started: Instant,
}

impl<'a> TrainReport<'a> {
    fn new(control: &'a dyn Control) -> TrainReport<'a> {
        TrainReport { control, losses: Vec::new(), measured: (0, 0.0, 0.0), started: Instant::now() }
    }

    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Encoded { done, total } => {
                let each = self.started.elapsed().as_secs_f64() / done.max(1) as f64;
                let secs_left = Some(each * (total - done) as f64);
                self.tell("encoding", done, total, secs_left);
            }
            Event::Skipped(error) => self.control.skipped(chain(error)),
            Event::Pass(report) => self.pass(&report),
            Event::Resumed { .. } | Event::Checkpoint(_) => {}
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
        self.tell("training", report.pass, report.passes, Some(left));
    }

    fn tell(&self, stage: &str, done: usize, total: usize, secs_left: Option<f64>) {
        let losses = self.losses.clone();
        self.control.report(Progress { stage: stage.to_owned(), done, total, secs_left, losses });
    }
}

/// Opens a model.
pub(super) fn open(path: &Path) -> Result<Judge, Failure> {
    Ok(Judge { detector: Detector::open(path)? })
}

impl Judge {
    pub(super) fn facts(&self) -> ModelFacts {
        let header = self.detector.header();
        let mean = |levels: &Vec<f32>| {
            levels.iter().map(|&loss| f64::from(loss)).sum::<f64>() / levels.len().max(1) as f64
        };
        ModelFacts {
            thresholds: header.thresholds,
            calibration: header.calibration.as_ref().map(|calibration| CalibrationFacts {
                objective: calibration.objective,
                confidence: calibration.confidence,
                images: calibration.images_sha256.len(),
            }),
            input: header.options.input.to_string(),
            backbone: header.backbone.clone(),
            good: header.training.normal_images,
            defects: header.training.anomalous_images,
            passes: header.training.passes,
            losses: header.training.losses.iter().map(mean).collect(),
            bgad: header.training.bgad_version.clone(),
        }
    }

    /// Names what decides scores: the training, not the thresholds, which can be set anew without scoring anew.
    pub(super) fn identity(&self) -> String {
        let header = self.detector.header();
        let training = &header.training;
        let text = format!(
            "{} {} {} {:?} {:?}",
            header.backbone_sha256,
            header.options.input,
            training.passes,
            training.losses,
            training.trained_on
        );
        content_hash(text.as_bytes())
    }

    pub(super) fn thresholds(&self) -> Thresholds {
        self.detector.header().thresholds
    }

    pub(super) fn verdict(&self, score: f32) -> Verdict {
        self.thresholds().verdict(score)
    }

    /// `train`, `calibration` or `test`: what the image was to this model.
    pub(super) fn role(&self, sha256: &str) -> &'static str {
        let header = self.detector.header();
        match (header.trained_on(sha256), header.knows(sha256)) {
            (true, _) => "train",
            (false, true) => "calibration",
            (false, false) => "test",
        }
    }

    pub(super) fn inspect(&self, path: &Path) -> Result<Inspection, Failure> {
        Ok(self.detector.inspect_file(path)?)
    }

    /// Where the model sees a defect, at the size of the image.
    pub(super) fn proposal(&self, path: &Path) -> Result<Bitmask, Failure> {
        let found = self.inspect(path)?;
        let threshold = self.detector.header().region_threshold();
        let OriginalSize { height, width } = found.original;
        let map = &found.map;
        let mut mask = Bitmask::empty(width, height);
        for (y, row) in mask.pixels.chunks_exact_mut(width).enumerate() {
            let from = &map.nats[y * map.h / height * map.w..][..map.w];
            for (x, pixel) in row.iter_mut().enumerate() {
                *pixel = if from[x * map.w / width] > threshold { 255 } else { 0 };
            }
        }
        Ok(mask)
    }

    /// Scores images; `None` for one that cannot be read, of which `control` is told. `Ok(None)` if it was stopped.
    pub(super) fn score_all(
        &self,
        images: &[(String, String, PathBuf)],
        control: &dyn Control,
    ) -> Result<Option<Vec<Scored>>, Failure> {
        let started = Instant::now();
        let mut scored = Vec::with_capacity(images.len());
        for (share, first) in images.chunks(SHARE).zip((0..).step_by(SHARE)) {
            if control.stop() {
                return Ok(None);
            }
            let results: Vec<Result<Scored, Failure>> =
                share.par_iter().map(|(id, version, path)| self.score(id, version, path)).collect();
            for (result, (id, ..)) in results.into_iter().zip(share) {
                match result {
                    Ok(one) => scored.push(one),
                    Err(error) => control.skipped(format!("{id}: {}", chain(error.as_ref()))),
                }
            }
            let done = first + share.len();
            let left = started.elapsed().as_secs_f64() / done as f64 * (images.len() - done) as f64;
            control.report(Progress {
                stage: "scoring".to_owned(),
                done,
                total: images.len(),
                secs_left: Some(left),
                losses: Vec::new(),
            });
        }
        Ok(Some(scored))
    }

    fn score(&self, id: &str, version: &str, path: &Path) -> Result<Scored, Failure> {
        let bytes = fs::read(path)?;
        let found = self.detector.inspect_bytes(&bytes)?;
        let sha256 = content_hash(&bytes);
        Ok(Scored { id: id.to_owned(), version: version.to_owned(), sha256, score: found.score })
    }
}

/// Upper bounds of the share behind `count` of `images`, for every count.
pub(super) fn bounds(images: usize) -> Vec<f64> {
    (0..=images).map(|count| Rate::new(count, images, 1.0 - CONFIDENCE).at_most).collect()
}

/// Sets thresholds by hand, or by a promise about false alarms from good images that were held out.
pub(super) fn set_thresholds(root: &Path, name: &str, wanted: &Wanted) -> Result<Calibration, Failure> {
    let path = model_path(root, name);
    let mut model = Model::open(&path)?;
    let calibration = match *wanted {
        Wanted::ByHand { ok, ng } => calibrate::by_hand(&[], &[], Thresholds { ok, ng }, CONFIDENCE)?,
        Wanted::MaxFalseAlarms { share, confidence } => {
            let split = learn::split_of(&path, &model.header, Some(root))?.0;
            let good: Vec<PathBuf> = split.hold_out.into_iter().map(|sample| sample.path).collect();
            let objective = Objective::MaxFalseAlarms(share);
            session::check_provable(objective, confidence, good.len(), 0)?;
            let detector = Detector::new(&model)?;
            let files = Files { good: &good, defective: &[] };
            Session::open(&detector, files, confidence, &mut |_| {})?.calibrate(objective)?
        }
    };
    model.header.thresholds = calibration.thresholds;
    model.header.calibration = Some(calibration.clone());
    model.save(&path)?;
    Ok(calibration)
}

/// Which thresholds are wanted.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Wanted {
    ByHand { ok: f32, ng: f32 },
    MaxFalseAlarms { share: f64, confidence: f64 },
}

/// Examines the project.
pub(super) fn examine(root: &Path, quick: bool, control: &dyn Control) -> Result<Checkup, Failure> {
    let backbone = if quick { None } else { Some(Backbone::embedded(DEFAULT_BACKBONE)?) };
    let options = DoctorOptions { input: InputSize::square(256), backbone: backbone.as_ref() };
    let checkup = doctor::examine(root, &options, &mut |seen| {
        let (done, total) = (seen.done, seen.total);
        control.report(Progress { stage: "reading".to_owned(), done, total, ..Progress::default() });
    })?;
    Ok(checkup)
}

/// What learning changed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Lesson {
    pub from: String,
    pub to: String,
    pub learned: Vec<Learned>,
    /// Defects that pass and good parts that are stopped, of images that neither model learned from.
    pub before: Counts,
    pub after: Counts,
}

/// One image that was learned from.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Learned {
    pub id: String,
    pub before: (f32, Verdict),
    pub after: (f32, Verdict),
}

/// Mistakes on images kept apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Counts {
    pub escapes: usize,
    pub defective: usize,
    pub false_alarms: usize,
    pub good: usize,
}

/// Learns from images that `from` judged wrongly, into the new version `to`. `Ok(None)` if it was stopped.
pub(super) fn learn(
    root: &Path,
    [from, to]: [&str; 2],
    samples: &[(String, Sample)],
    control: &dyn Control,
) -> Result<Option<Lesson>, Failure> {
    let path = model_path(root, from);
    let known = Model::open(&path)?;
    let old = Detector::new(&known)?;
    let mut found = Found::default();
    for (_, Sample { path, mask, .. }) in samples {
        match mask {
            Some(mask) => found.defects.push((path.clone(), mask.clone())),
            None => found.good.push(path.clone()),
        }
    }
    let lesson = learn::Lesson::read(&found, &old)?;
    let (split, data) = learn::split_of(&path, &known.header, Some(root))?;
    let plan = LearnPlan::new(&known, lesson, split, data)?;
    let mut told = TrainReport::new(control);
    let learned = plan.run(LEARN, &|| control.stop(), &mut |event| {
        if let learn::Event::Training(event) = event {
            told.event(event);
        }
    });
    let mut learned = match learned {
        Err(learn::LearnError::Train(TrainError::Stopped)) => return Ok(None),
        learned => learned?,
    };
    let new = Detector::new(&learned.model)?;
    let judged = |detector: &Detector, path: &Path| -> Result<(f32, Verdict), Failure> {
        let found = detector.inspect_file(path)?;
        Ok((found.score, found.verdict))
    };
    let mut images = Vec::with_capacity(samples.len());
    for (id, Sample { path, .. }) in samples {
        let (before, after) = (judged(&old, path)?, judged(&new, path)?);
        images.push(Learned { id: id.clone(), before, after });
    }
    let [before, after] = [0, 1].map(|i| {
        let counts = [&learned.before.counts, &learned.after.counts][i];
        let [escapes, false_alarms] = learned.at_operating_point()[i];
        Counts { escapes, defective: counts.defective, false_alarms, good: counts.good }
    });
    let output = Output::beside(&model_path(root, to), false)?;
    let record = learned.model.header.training.split.take().ok_or("the model has lost its split")?;
    output.save(&mut learned.model, record, &learned.split, &learned.data)?;
    Ok(Some(Lesson { from: from.to_owned(), to: to.to_owned(), learned: images, before, after }))
}

/// A mask of any format that bgad reads, in pixels of its image.
pub(super) fn read_mask(
    mask: &Path,
    image: Option<&Path>,
    width: usize,
    height: usize,
) -> Result<Bitmask, Failure> {
    let original = OriginalSize { height, width };
    let read = Mask::load(mask, original.as_input(), image.map(|image| (image, original)))?;
    let pixels = read.defective.iter().map(|&pixel| 255 * u8::from(pixel != 0)).collect();
    Ok(Bitmask { width, height, pixels })
}

/// A file to be copied into a project: where it is, its label, its mask.
pub(super) struct Import {
    pub image: PathBuf,
    pub defect: Option<String>,
    pub mask: Option<PathBuf>,
}

/// The images of a folder in any layout that bgad reads.
pub(super) fn survey(folder: &Path) -> Result<Vec<Import>, Failure> {
    let dataset = Dataset::open(folder)?;
    let lists = [&dataset.train_good, &dataset.test_good, &dataset.train_bad, &dataset.test_bad];
    let import = |sample: &Sample| Import {
        image: sample.path.clone(),
        defect: sample.kind.defect().map(str::to_owned),
        mask: sample.mask.clone(),
    };
    Ok(lists.into_iter().flatten().map(import).collect())
}

/// An error with what caused it.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// A judge that many handlers share.
pub(super) type SharedJudge = Arc<Judge>;
