//! A model that judges: scores, maps, proposals, and what is shown about it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use bgad::calibrate::Objective;
use bgad::dataset::content_hash;
use bgad::image::OriginalSize;
use bgad::model::Model;
use bgad::verdict::{Thresholds, Verdict};
use bgad::{Detector, Inspection, outside};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{Control, Failure, Progress, chain};
use crate::drift::Drift;
use crate::studio::bitmask::Bitmask;

/// Images scored between two reports.
const SHARE: usize = 16;

/// One image as a model scores it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::studio) struct Scored {
    pub id: String,
    pub version: String,
    pub sha256: String,
    pub score: f32,
}

/// A model ready to judge.
pub(in crate::studio) struct Judge {
    detector: Detector,
    /// SHA-256 of the file.
    sha256: String,
}

/// What is shown about a model.
#[derive(Clone, Debug, Serialize)]
pub(in crate::studio) struct ModelFacts {
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
pub(in crate::studio) struct CalibrationFacts {
    pub objective: Objective,
    pub confidence: f64,
    pub images: usize,
}

/// A judge that many handlers share.
pub(in crate::studio) type SharedJudge = Arc<Judge>;

/// Opens a model.
pub(in crate::studio) fn open(path: &Path) -> Result<Judge, Failure> {
    let (model, bytes) = Model::open_with_bytes(path)?;
    Ok(Judge { detector: Detector::new(&model)?, sha256: content_hash(&bytes) })
}

impl Judge {
    pub(in crate::studio) fn facts(&self) -> ModelFacts {
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
    pub(in crate::studio) fn identity(&self) -> String {
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

    /// SHA-256 of the file as it was opened: other thresholds are another file.
    pub(in crate::studio) fn sha256(&self) -> &str {
        &self.sha256
    }

    /// A watch over the scores of parts.
    pub(in crate::studio) fn drift(&self) -> Drift {
        Drift::of(self.detector.header())
    }

    pub(in crate::studio) fn thresholds(&self) -> Thresholds {
        self.detector.header().thresholds
    }

    pub(in crate::studio) fn verdict(&self, score: f32) -> Verdict {
        self.thresholds().verdict(score)
    }

    /// `train`, `calibration` or `test`: what the image was to this model.
    pub(in crate::studio) fn role(&self, sha256: &str) -> &'static str {
        let header = self.detector.header();
        match (header.trained_on(sha256), header.knows(sha256)) {
            (true, _) => "train",
            (false, true) => "calibration",
            (false, false) => "test",
        }
    }

    pub(in crate::studio) fn inspect(&self, path: &Path) -> Result<Inspection, Failure> {
        Ok(self.detector.inspect_file(path)?)
    }

    /// Where the model sees a defect, at the size of the image.
    pub(in crate::studio) fn proposal(&self, path: &Path) -> Result<Bitmask, Failure> {
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
    pub(in crate::studio) fn score_all(
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
        let bytes = outside::read(path, outside::MAX_IMAGE)?;
        let found = self.detector.inspect_bytes(&bytes)?;
        let sha256 = content_hash(&bytes);
        Ok(Scored { id: id.to_owned(), version: version.to_owned(), sha256, score: found.score })
    }
}
