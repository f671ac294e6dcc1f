//! Learning from images that a model judged wrongly: a new version, with what it judges before and after.

use std::path::Path;

use bgad::Detector;
use bgad::dataset::Sample;
use bgad::learn::{self, FineTuning, Found, Plan as LearnPlan};
use bgad::model::Model;
use bgad::options::Schedule;
use bgad::train::{Output, TrainError};
use bgad::verdict::Verdict;
use serde::{Deserialize, Serialize};

use super::training::TrainReport;
use super::{Control, Failure, model_path};

/// Passes of learning from a few images, and their learning rate: those of `bgad learn`.
const LEARN: FineTuning =
    FineTuning { schedule: Some(Schedule { meta_epochs: 3, sub_epochs: 1 }), learning_rate: 3e-4 };

/// What learning changed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::studio) struct Lesson {
    pub from: String,
    pub to: String,
    pub learned: Vec<Learned>,
    /// Defects that pass and good parts that are stopped, of images that neither model learned from.
    pub before: Counts,
    pub after: Counts,
    /// Above which a part counts as stopped here, before and after, nats: the operating point of each model.
    pub thresholds: [f32; 2],
}

/// One image that was learned from.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::studio) struct Learned {
    pub id: String,
    pub before: (f32, Verdict),
    pub after: (f32, Verdict),
}

/// Mistakes on images kept apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::studio) struct Counts {
    pub escapes: usize,
    pub defective: usize,
    pub false_alarms: usize,
    pub good: usize,
}

/// Learns from images that `from` judged wrongly, into the new version `to`. `Ok(None)` if it was stopped.
pub(in crate::studio) fn learn(
    root: &Path,
    [from, to]: [&str; 2],
    samples: &[(String, Sample)],
    quick: bool,
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
    // Without a pass the flows stay as they are: seconds instead of minutes.
    let tuning = if quick { FineTuning { schedule: None, ..LEARN } } else { LEARN };
    let learned = plan.run(tuning, &|| control.stop(), &mut |event| {
        if let learn::Event::Training(event) = event {
            told.event(event);
        }
    });
    let learned = match learned {
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
    output.save(&learned.model, &learned.split, &learned.data)?;
    let thresholds = learned.thresholds;
    Ok(Some(Lesson { from: from.to_owned(), to: to.to_owned(), learned: images, before, after, thresholds }))
}
