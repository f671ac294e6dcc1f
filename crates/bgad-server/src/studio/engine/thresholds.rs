//! Thresholds, and what counts of mistakes say about the shares behind them.

use std::path::{Path, PathBuf};

use bgad::calibrate::session::{self, Files, Session};
use bgad::calibrate::{self, Calibration, Objective, Rate};
use bgad::model::Model;
use bgad::verdict::Thresholds;
use bgad::{Detector, learn};
use serde::{Deserialize, Serialize};

use super::{Failure, model_path};

/// How sure bounds in the judge view are.
pub(in crate::studio) const CONFIDENCE: f64 = 0.95;

/// Upper bounds of the share behind `count` of `images`, for every count.
pub(in crate::studio) fn bounds(images: usize) -> Vec<f64> {
    (0..=images).map(|count| Rate::new(count, images, 1.0 - CONFIDENCE).at_most).collect()
}

/// Sets thresholds by hand, or by a promise about false alarms from good images that were held out.
pub(in crate::studio) fn set_thresholds(
    root: &Path,
    name: &str,
    wanted: &Wanted,
) -> Result<(Calibration, Recalibrated), Failure> {
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
    let change = Recalibrated {
        model: name.to_owned(),
        before: (model.header.thresholds, model.header.calibration.take()),
        after: calibration.thresholds,
    };
    model.header.thresholds = calibration.thresholds;
    model.header.calibration = Some(calibration.clone());
    model.save(&path)?;
    Ok((calibration, change))
}

/// New thresholds of a model, and what it had before.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::studio) struct Recalibrated {
    model: String,
    before: (Thresholds, Option<Calibration>),
    after: Thresholds,
}

impl Recalibrated {
    /// Gives the model back what it had; refuses if somebody else has set other thresholds meanwhile.
    pub(in crate::studio) fn revert(&self, root: &Path) -> Result<(), Failure> {
        let path = model_path(root, &self.model);
        let mut model = Model::open(&path)?;
        let found = model.header.thresholds;
        if found != self.after {
            return Err(format!(
                "the thresholds of {} were set elsewhere meanwhile: expected {} and {}, found {} and {}; they stay",
                self.model, self.after.ok, self.after.ng, found.ok, found.ng
            )
            .into());
        }
        (model.header.thresholds, model.header.calibration) = self.before.clone();
        Ok(model.save(&path)?)
    }
}

/// Which thresholds are wanted.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::studio) enum Wanted {
    ByHand { ok: f32, ng: f32 },
    MaxFalseAlarms { share: f64, confidence: f64 },
}
