//! What the line has found since goes into a model, if that makes it no worse.
//!
//! ```text
//! answers    what operators said of parts on a line                     feedback::Answered
//! lesson     images with their masks, checked                           Lesson::read
//! plan       known split + lesson - leaks, and what can be refused      Plan::new
//! learning   fine-tuning, calibration made again, before and after      Plan::run
//! gate       no more defects escape than before                         Learned::check
//! ```
//!
//! Everything that can be known to fail is found before the first pass. The result carries its split, so that whoever writes
//! the model has written all there is: a repeated lesson is recognised by its content.

mod error;
pub mod feedback;
mod lesson;

use std::path::{Path, PathBuf};

pub use error::LearnError;
pub use lesson::{Found, Lesson};

use crate::calibrate::session::{self, Session};
use crate::calibrate::{Calibration, Objective};
use crate::dataset::{Role, Sample, Split, SplitRecord};
use crate::detector::Detector;
use crate::evaluation::{self, Evaluation, Scoring};
use crate::model::{Header, Model};
use crate::options::{DEFAULT_CACHE_LIMIT, Schedule};
use crate::train::{self, Material, Run};

/// The split of a model and its data folder: what the model carries, or for models that carry none the split file beside it.
/// `data` is where the data folder is now; `None` for where it was.
///
/// # Errors
///
/// A [`LearnError`] if there is neither, or if an image is not there.
pub fn split_of(model: &Path, header: &Header, data: Option<&Path>) -> Result<(Split, PathBuf), LearnError> {
    if let Some(record) = &header.training.split {
        let folder = data.unwrap_or(Path::new(&record.data));
        return Ok((record.split(data)?, folder.to_owned()));
    }
    let file = model.with_extension("split.json");
    if !file.is_file() {
        return Err(LearnError::NoSplit { model: model.to_owned(), file });
    }
    let data = match data {
        Some(data) => data.to_owned(),
        None => Split::data_folder(&file)?.ok_or(LearnError::NoDataFolder { file: file.clone() })?,
    };
    Ok((Split::read_weak(&file, &data)?, data))
}

/// How to fine-tune.
#[derive(Clone, Copy, Debug)]
pub struct FineTuning {
    /// Meta-epochs and passes; `None` for none. The flows then stay as they are, and what has a closed form is learned anew: the linear
    /// head, the regions, the scales. It takes seconds.
    pub schedule: Option<Schedule>,
    /// Peak learning rate of Adam.
    pub learning_rate: f32,
}

/// What learning reports as it goes.
#[derive(Debug)]
pub enum Event<'a> {
    /// The images kept apart are scored, before or after.
    Evaluation(evaluation::Event<'a>),
    /// The model is trained on.
    Training(train::Event<'a>),
    /// The images held out are scored for the calibration.
    Calibration(session::Event<'a>),
}

/// What becomes of the promise of a calibrated model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Promise {
    /// The thresholds were never calibrated: the default is computed anew.
    Never,
    /// It is made again with the images held out.
    Again,
    /// Thresholds set by hand stay.
    ByHand,
    /// It rested on images that the model does not keep: the thresholds are the default again.
    Lost,
}

/// A lesson that is ready to be learned.
#[derive(Debug)]
pub struct Plan<'a> {
    known: &'a Model,
    lesson: Lesson,
    split: Split,
    data: PathBuf,
    /// What becomes of the promise.
    pub promise: Promise,
}

impl<'a> Plan<'a> {
    /// Adds the lesson to what `known` was trained on, takes it out of everything that is tested on, and refuses what cannot
    /// work.
    ///
    /// # Errors
    ///
    /// A [`LearnError`].
    pub fn new(
        known: &'a Model,
        lesson: Lesson,
        split: Split,
        data: PathBuf,
    ) -> Result<Plan<'a>, LearnError> {
        if lesson.is_empty() {
            return Err(LearnError::Nothing);
        }
        let mut split = split;
        lesson.add_to(&mut split);
        let promise = promise(known, &split)?;
        Ok(Plan { known, lesson, split, data, promise })
    }

    /// Learns. `stop` is asked at every step.
    ///
    /// # Errors
    ///
    /// A [`LearnError`].
    pub fn run(
        self,
        tuning: FineTuning,
        stop: &(dyn Fn() -> bool + Sync),
        progress: &mut dyn FnMut(Event<'_>),
    ) -> Result<Learned, LearnError> {
        if tuning.schedule.is_none()
            && !self.known.header.options.score_parts.head
            && !self.split.anomalies.is_empty()
        {
            return Err(LearnError::NoHead);
        }
        let record = SplitRecord::of(&self.split, &self.data).map_err(LearnError::Record)?;
        self.check_contents(&record)?;
        let before = self.evaluated(self.known, progress)?;
        let backbone = self.known.backbone()?;
        let run = Run {
            split: &self.split,
            backbone: &backbone,
            material: &Material::default(),
            checkpoint: None,
            resume: false,
            cache_limit: DEFAULT_CACHE_LIMIT,
            stop,
        };
        let mut skipped = 0;
        let mut on_event = |event: train::Event<'_>| {
            skipped += usize::from(matches!(event, train::Event::Skipped(_)));
            progress(Event::Training(event));
        };
        let mut model =
            train::fine_tune(&run, self.known, tuning.schedule, tuning.learning_rate, &mut on_event)?;
        if skipped > 0 {
            return Err(LearnError::Skipped { count: skipped });
        }
        model.header.training.split = Some(record);
        self.calibrate_again(&mut model, progress)?;
        let after = self.evaluated(&model, progress)?;
        let thresholds = [self.known.header.operating_threshold(), model.header.operating_threshold()];
        Ok(Learned {
            lesson: self.lesson,
            split: self.split,
            data: self.data,
            model,
            before,
            after,
            thresholds,
        })
    }

    /// Images that have changed since they were trained on would be learned as what they were.
    fn check_contents(&self, record: &SplitRecord) -> Result<(), LearnError> {
        let trained = [Role::Train, Role::KnownDefect].into_iter().flat_map(|role| record.of_role(role));
        for image in trained {
            let Some(hash) = &image.sha256 else { continue };
            if !self.known.header.trained_on(hash) && !self.lesson.has(hash) {
                return Err(LearnError::Changed { image: image.path.clone() });
            }
        }
        Ok(())
    }

    /// The figures on the images that neither model learns from.
    fn evaluated(
        &self,
        model: &Model,
        progress: &mut dyn FnMut(Event<'_>),
    ) -> Result<Evaluation, LearnError> {
        let detector = Detector::new(model)?;
        let good: Vec<Sample> = self.split.test_good.iter().chain(&self.split.hold_out).cloned().collect();
        let mut on_event = |event: evaluation::Event<'_>| progress(Event::Evaluation(event));
        Ok(evaluation::evaluate(&detector, &good, &self.split.test_bad, Scoring::Frozen, &mut on_event)?)
    }

    fn calibrate_again(
        &self,
        model: &mut Model,
        progress: &mut dyn FnMut(Event<'_>),
    ) -> Result<(), LearnError> {
        let Some(before) = &self.known.header.calibration else { return Ok(()) };
        let good: Vec<PathBuf> = match self.promise {
            Promise::Again => self.split.hold_out.iter().map(|sample| sample.path.clone()).collect(),
            Promise::ByHand => Vec::new(),
            Promise::Never | Promise::Lost => return Ok(()),
        };
        let detector = Detector::new(model)?;
        let files = session::Files { good: &good, defective: &[] };
        let mut on_event = |event: session::Event<'_>| progress(Event::Calibration(event));
        let session = Session::open(&detector, files, before.confidence, &mut on_event)?;
        let calibration: Calibration = match self.promise {
            Promise::ByHand => session.by_hand(before.thresholds)?,
            _ => session.calibrate(before.objective)?,
        };
        model.header.thresholds = calibration.thresholds;
        model.header.calibration = Some(calibration);
        Ok(())
    }
}

/// What will become of the promise, or why it cannot be made again.
fn promise(known: &Model, split: &Split) -> Result<Promise, LearnError> {
    let Some(before) = &known.header.calibration else { return Ok(Promise::Never) };
    match before.objective {
        Objective::ByHand => Ok(Promise::ByHand),
        Objective::MaxFalseAlarms(_) if !split.hold_out.is_empty() => {
            session::check_provable(before.objective, before.confidence, split.hold_out.len(), 0)
                .map_err(LearnError::PromiseTooStrong)?;
            Ok(Promise::Again)
        }
        _ => Ok(Promise::Lost),
    }
}

/// A model that has learned, and what that did.
#[derive(Debug)]
pub struct Learned {
    /// What was learned.
    pub lesson: Lesson,
    /// What the model is trained and tested on now.
    pub split: Split,
    /// Its data folder.
    pub data: PathBuf,
    /// The model, which carries that split.
    pub model: Model,
    /// The figures of the model before, on images that neither learns from.
    pub before: Evaluation,
    /// Those of the new one on the same images.
    pub after: Evaluation,
    /// The thresholds of the operating point before and after, nats.
    pub thresholds: [f32; 2],
}

impl Learned {
    /// Escapes and false alarms at the operating point, before and after.
    pub fn at_operating_point(&self) -> [[usize; 2]; 2] {
        [(&self.before, self.thresholds[0]), (&self.after, self.thresholds[1])].map(
            |(evaluation, threshold)| {
                let count = |defective: bool, above: bool| {
                    let images = evaluation.images.iter();
                    images
                        .filter(|i| {
                            i.sample.kind.defect().is_some() == defective && (i.score > threshold) == above
                        })
                        .count()
                };
                [count(true, false), count(false, true)]
            },
        )
    }

    /// Refuses a model that lets more defects escape than the one before.
    ///
    /// # Errors
    ///
    /// [`LearnError::Worse`].
    pub fn check(&self) -> Result<(), LearnError> {
        let [[before, _], [after, _]] = self.at_operating_point();
        match after > before {
            true => Err(LearnError::Worse { before, after }),
            false => Ok(()),
        }
    }
}
