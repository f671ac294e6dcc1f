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
use bgad::calibrate::{self, Calibration, ImageScores, Objective, Rate, Request};
use bgad::dataset::doctor::{self, Checkup, DoctorOptions};
use bgad::dataset::{Dataset, Kind, Layout, Sample, Setting, Split, SplitOptions, content_hash};
use bgad::detector::Model;
use bgad::image::{InputSize, Mask, OriginalSize};
use bgad::options::{DEFAULT_ANOMALIES, DEFAULT_BACKBONE, DEFAULT_CACHE_LIMIT, Preset, Schedule, TrainOptions};
use bgad::train::{self, Event, Material, PassReport, Run, TrainError};
use bgad::verdict::{Thresholds, Verdict};
use bgad::{Detector, Inspection};
use bgad_kernels::Isa;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::bitmask::Bitmask;
use super::listing::below;

/// How sure bounds in the judge view are.
pub(super) const CONFIDENCE: f64 = 0.95;
/// Passes of a first look.
const QUICK: Schedule = Schedule { meta_epochs: 2, sub_epochs: 1 };
/// Passes of learning from a few images, and their learning rate: those of `bgad learn`.
const LEARN: (Schedule, f32) = (Schedule { meta_epochs: 3, sub_epochs: 1 }, 3e-4);
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
    /// For the threshold of pixels, see `bgad::calibrate`.
    pub pixel: f32,
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

fn isa() -> Isa {
    Isa::best()
}

/// The drawing of a split, as `bgad train` does it.
fn split(root: &Path, request: &TrainRequest) -> Result<Split, Failure> {
    let dataset = Dataset::open(root)?;
    let trainable = dataset.trainable_anomalies(&Setting::General, false);
    let defective = dataset.test_bad.len();
    let usual = match trainable.min(DEFAULT_ANOMALIES) >= defective {
        true => defective / 2,
        false => trainable.min(DEFAULT_ANOMALIES),
    };
    let anomalies = request.anomalies.unwrap_or(usual).min(trainable);
    let seed = request.seed;
    let options =
        SplitOptions { anomalies, setting: Setting::General, weak: false, limit_normal: None, seed };
    let mut split = Split::draw(&dataset, &options)?;
    if request.hold_out > 0.0 {
        split.hold_out(request.hold_out.min(0.9), seed);
    }
    Ok(split)
}

fn options(request: &TrainRequest, split: &Split) -> Result<TrainOptions, Failure> {
    let preset = TrainOptions::preset_for(Preset::Fast, split.train.len(), split.anomalies.len());
    let schedule = match (&request.schedule, request.preset.as_str()) {
        (Some(schedule), _) => Schedule::from_str(schedule)?,
        (None, "quick") => QUICK,
        (None, "fast") => preset.schedule,
        (None, other) => return Err(format!("expected the preset quick or fast, found {other}").into()),
    };
    let input = request.input.as_deref().map(InputSize::from_str).transpose()?.unwrap_or(preset.input);
    Ok(TrainOptions { schedule, input, seed: request.seed, ..preset })
}

fn material(root: &Path) -> Material {
    let there = |name: &str| Some(root.join(name)).filter(|path| path.is_file());
    Material { roi: there("roi.png"), ignore: there("ignore.png"), ..Material::default() }
}

/// What `request` would train on and how long it would take, measured by training a little.
pub(super) fn estimate(root: &Path, request: &TrainRequest, control: &dyn Control) -> Result<Estimate, Failure> {
    let full = split(root, request)?;
    let wanted = options(request, &full)?;
    let few = Split {
        train: full.train.iter().take(4).cloned().collect(),
        anomalies: full.anomalies.iter().take(1).cloned().collect(),
        ..Split { train: vec![], anomalies: vec![], hold_out: vec![], test_good: vec![], test_bad: vec![] }
    };
    let once = TrainOptions { schedule: Schedule { meta_epochs: 1, sub_epochs: 1 }, ..wanted.clone() }.check()?;
    let backbone = Backbone::embedded(DEFAULT_BACKBONE, isa())?;
    let run = Run {
        split: &few,
        backbone: &backbone,
        isa: isa(),
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

/// Trains `models/NAME.bgad` and writes its split beside it, as `bgad train` would. `Ok(false)` if it was stopped; a
/// checkpoint may then be there to go on from.
pub(super) fn train(root: &Path, request: &TrainRequest, control: &dyn Control) -> Result<bool, Failure> {
    let files = ModelFiles::new(root, &request.name);
    // After an interruption the same images go on, whatever has come since.
    let resume = files.checkpoint.is_file() && files.plan.is_file();
    let split = match resume {
        true => Split::read_weak(&files.plan, root)?,
        false => split(root, request)?,
    };
    split.check_contents()?;
    let options = options(request, &split)?.check()?;
    fs::create_dir_all(root.join("models"))?;
    fs::create_dir_all(root.join("runs"))?;
    if !resume {
        train::remove_checkpoint(&files.checkpoint)?;
        split.write(&files.plan, root)?;
    }
    let backbone = Backbone::embedded(DEFAULT_BACKBONE, isa())?;
    let run = Run {
        split: &split,
        backbone: &backbone,
        isa: isa(),
        material: &material(root),
        checkpoint: Some(&files.checkpoint),
        resume,
        cache_limit: DEFAULT_CACHE_LIMIT,
        stop: &|| control.stop(),
    };
    let mut told = TrainReport::new(control);
    let model = match train::train(&run, &options, &mut |event| told.event(event)) {
        Err(TrainError::Stopped) => return Ok(false),
        trained => trained?,
    };
    split.write(&files.split, root)?;
    model.save(&files.model)?;
    train::remove_checkpoint(&files.checkpoint)?;
    train::remove_checkpoint(&files.plan)?;
    Ok(true)
}

/// Throws away what an abandoned training left to go on from.
pub(super) fn forget(root: &Path, name: &str) -> io::Result<()> {
    let files = ModelFiles::new(root, name);
    train::remove_checkpoint(&files.checkpoint)?;
    train::remove_checkpoint(&files.plan)
}

/// The files of a model, named as the command line names them.
struct ModelFiles {
    model: PathBuf,
    split: PathBuf,
    checkpoint: PathBuf,
    /// The split of a training under way.
    plan: PathBuf,
}

impl ModelFiles {
    fn new(root: &Path, name: &str) -> ModelFiles {
        let models = root.join("models");
        ModelFiles {
            model: models.join(format!("{name}.bgad")),
            split: models.join(format!("{name}.split.json")),
            checkpoint: models.join(format!("{name}.bgad.checkpoint")),
            plan: root.join("runs").join(format!("{name}.plan.json")),
        }
    }
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
            header.backbone_sha256, header.options.input, training.passes, training.losses, training.trained_on
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
        let ImageScores { image, pixel } = ImageScores::of(&found.map, found.score);
        let sha256 = content_hash(&bytes);
        Ok(Scored { id: id.to_owned(), version: version.to_owned(), sha256, score: image, pixel })
    }
}

/// Upper bounds of the share behind `count` of `images`, for every count.
pub(super) fn bounds(images: usize) -> Vec<f64> {
    (0..=images).map(|count| Rate::new(count, images, 1.0 - CONFIDENCE).at_most).collect()
}

/// Sets thresholds by hand, or by a promise about false alarms from good images that were held out.
pub(super) fn set_thresholds(model: &Path, wanted: &Wanted, scores: &[Scored]) -> Result<Calibration, Failure> {
    let mut known = Model::open(model)?;
    let calibration = match *wanted {
        Wanted::ByHand { ok, ng } => calibrate::by_hand(&[], &[], Thresholds { ok, ng }, CONFIDENCE)?,
        Wanted::MaxFalseAlarms { share, confidence } => {
            let good: Vec<&Scored> = scores.iter().filter(|s| !known.header.trained_on(&s.sha256)).collect();
            let images: Vec<ImageScores> =
                good.iter().map(|s| ImageScores { image: s.score, pixel: s.pixel }).collect();
            let objective = Objective::MaxFalseAlarms(share);
            let request = Request { objective, confidence, beta: known.header.options.beta };
            let found = calibrate::calibrate(&images, &[], request)?;
            let mut images_sha256: Vec<String> = good.iter().map(|s| s.sha256.clone()).collect();
            images_sha256.sort();
            Calibration { images_sha256, ..found }
        }
    };
    known.header.thresholds = calibration.thresholds;
    known.header.calibration = Some(calibration.clone());
    known.save(model)?;
    Ok(calibration)
}

/// Which thresholds are wanted.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Wanted {
    ByHand { ok: f32, ng: f32 },
    MaxFalseAlarms { share: f64, confidence: f64 },
}

/// The ids that the split beside a model holds out to calibrate with.
pub(super) fn held_out(root: &Path, name: &str) -> Result<Vec<String>, Failure> {
    let split = Split::read_weak(&ModelFiles::new(root, name).split, root)?;
    Ok(split.hold_out.iter().filter_map(|sample| below(root, &sample.path)).collect())
}

/// Examines the project.
pub(super) fn examine(root: &Path, quick: bool, control: &dyn Control) -> Result<Checkup, Failure> {
    let backbone = if quick { None } else { Some(Backbone::embedded(DEFAULT_BACKBONE, isa())?) };
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
    let (old, new) = (ModelFiles::new(root, from), ModelFiles::new(root, to));
    let known = Model::open(&old.model)?;
    let mut split = Split::read_weak(&old.split, root)?;
    let taught: Vec<&PathBuf> = samples.iter().map(|(_, sample)| &sample.path).collect();
    for (id, sample) in samples {
        if known.header.trained_on(&content_hash(&fs::read(&sample.path)?)) {
            return Err(format!("{id}: the model has learned from this image already").into());
        }
    }
    for list in [&mut split.test_good, &mut split.test_bad, &mut split.hold_out] {
        list.retain(|sample| !taught.contains(&&sample.path));
    }
    for (_, sample) in samples {
        match sample.kind {
            Kind::Good => split.train.push(sample.clone()),
            Kind::Defect(_) => split.anomalies.push(sample.clone()),
        }
    }
    split.check_contents()?;
    let backbone = known.backbone(isa())?;
    let run = Run {
        split: &split,
        backbone: &backbone,
        isa: isa(),
        material: &Material::default(),
        checkpoint: None,
        resume: false,
        cache_limit: DEFAULT_CACHE_LIMIT,
        stop: &|| control.stop(),
    };
    let mut told = TrainReport::new(control);
    let learned = train::fine_tune(&run, &known, LEARN.0, LEARN.1, &mut |event| told.event(event));
    let model = match learned {
        Err(TrainError::Stopped) => return Ok(None),
        learned => learned?,
    };
    let judges = [Detector::new(&known, isa())?, Detector::new(&model, isa())?];
    let [before, after] = [count(&judges[0], &split)?, count(&judges[1], &split)?];
    let judged = |detector: &Detector, path: &Path| -> Result<(f32, Verdict), Failure> {
        let found = detector.inspect_file(path)?;
        Ok((found.score, found.verdict))
    };
    let mut learned = Vec::with_capacity(samples.len());
    for (id, Sample { path, .. }) in samples {
        let (before, after) = (judged(&judges[0], path)?, judged(&judges[1], path)?);
        learned.push(Learned { id: id.clone(), before, after });
    }
    split.write(&new.split, root)?;
    model.save(&new.model)?;
    Ok(Some(Lesson { from: from.to_owned(), to: to.to_owned(), learned, before, after }))
}

/// Mistakes on the images that a split keeps apart: a defect that is OK, a good part that is not.
fn count(detector: &Detector, split: &Split) -> Result<Counts, Failure> {
    let ok = |samples: &[&Sample]| -> Result<usize, Failure> {
        let verdicts: Result<Vec<Verdict>, _> =
            samples.par_iter().map(|s| detector.inspect_file(&s.path).map(|found| found.verdict)).collect();
        Ok(verdicts?.into_iter().filter(|&verdict| verdict == Verdict::Ok).count())
    };
    let good: Vec<&Sample> = split.test_good.iter().chain(&split.hold_out).collect();
    let bad: Vec<&Sample> = split.test_bad.iter().collect();
    let passed = ok(&good)?;
    Ok(Counts {
        escapes: ok(&bad)?,
        defective: bad.len(),
        false_alarms: good.len() - passed,
        good: good.len(),
    })
}

/// A mask of any format that bgad reads, in pixels of its image.
pub(super) fn read_mask(mask: &Path, image: Option<&Path>, width: usize, height: usize) -> Result<Bitmask, Failure> {
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
    let lists = match dataset.layout {
        Layout::Mvtec | Layout::Plain => {
            [&dataset.train_good, &dataset.test_good, &dataset.train_bad, &dataset.test_bad]
        }
    };
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
