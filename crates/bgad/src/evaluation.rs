//! How good a model is on images with known answers.
//!
//! Image figures compare the scores of good and defective images; pixel figures compare the map with the mask at the
//! input size, over good images and those defective ones that have a mask.

mod conclusion;
mod test_set;

use std::collections::BTreeMap;
use std::time::Instant;
use std::{error, fmt};

use rayon::prelude::*;
use serde::Serialize;

use crate::dataset::Sample;
use crate::detector::Detector;
use crate::foreground::Foreground;
use crate::image::{ImageError, Mask, Window};
use crate::metrics::{self, PixelScores};
use crate::score::{AnomalyMap, MaxLogp, Score, ScoreConstantsError, authors_form};
use crate::verdict::Verdict;

pub use conclusion::{Conclusion, ThresholdRole, ThresholdRow, lower_end_of_ok, threshold_table};
pub use test_set::TestSet;

/// Images that are scored between two reports.
const SHARE: usize = 32;

/// Where the score constants come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Scoring {
    /// The model's own, frozen at the end of training.
    Frozen,
    /// The authors' rule, for comparison with published figures: from the images evaluated.
    Authors,
}

/// Figures of a model; shares between 0 and 1, `None` where they are not defined (a class is missing).
#[derive(Clone, Debug, Serialize)]
pub struct Evaluation {
    /// Area under the ROC curve of the image scores.
    pub image_auroc: Option<f64>,
    /// Area under the ROC curve of the pixels.
    pub pixel_auroc: Option<f64>,
    /// Per-region overlap up to a false-positive rate of 0.3, over 0.3.
    pub aupro: Option<f64>,
    /// Per-region overlap up to a false-positive rate of 0.05, over 0.05.
    pub aupro_05: Option<f64>,
    /// Average precision of the image scores.
    pub image_ap: Option<f64>,
    /// Average precision of the pixels.
    pub pixel_ap: Option<f64>,
    /// Largest F1 over all thresholds of the image scores. It peeks: the threshold is chosen on these images.
    pub image_f1_max: Option<f64>,
    /// Largest F1 over all thresholds of the pixels; peeks too.
    pub pixel_f1_max: Option<f64>,
    /// Image AUROC of each defect type against all good images.
    pub by_type: BTreeMap<String, Option<f64>>,
    /// How many images.
    pub counts: Counts,
    /// Wall time from file to score over images.
    pub secs_per_image: f64,
    /// Where the score constants came from.
    pub scoring: Scoring,
    /// Each image, in the order given.
    #[serde(skip)]
    pub images: Vec<ScoredImage>,
}

/// How many images an [`Evaluation`] is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Good images.
    pub good: usize,
    /// Defective images.
    pub defective: usize,
    /// Defective images without a mask: they count for image figures only.
    pub without_mask: usize,
    /// Images that could not be read.
    pub skipped: usize,
    /// Good images that the model calls OK.
    pub good_ok: usize,
    /// Good images that the model calls NG.
    pub good_ng: usize,
    /// Defective images that the model calls OK.
    pub defective_ok: usize,
    /// Defective images that the model calls NG.
    pub defective_ng: usize,
}

/// One image of an [`Evaluation`].
#[derive(Clone, Debug)]
pub struct ScoredImage {
    /// The image.
    pub sample: Sample,
    /// Its score.
    pub score: f32,
    /// The model's verdict on that score (of the frozen rule).
    pub verdict: Verdict,
}

/// What evaluation reports as it goes.
#[derive(Debug)]
pub enum Event<'a> {
    /// Images scored so far.
    Scored {
        /// How many.
        done: usize,
        /// Of how many.
        total: usize,
    },
    /// An image or its mask could not be used; the figures are without it.
    Skipped(&'a ImageError),
}

/// Scores `good` and `bad` images and computes every figure.
///
/// # Errors
///
/// [`EvaluationError`] if no image could be read or the model gives scores that are not numbers.
pub fn evaluate(
    detector: &Detector,
    good: &[Sample],
    bad: &[Sample],
    scoring: Scoring,
    progress: &mut dyn FnMut(Event<'_>),
) -> Result<Evaluation, EvaluationError> {
    if scoring == Scoring::Authors && detector.header().options.tile_overlap.is_some() {
        return Err(EvaluationError::TilesAsAuthors);
    }
    let started = Instant::now();
    let samples: Vec<&Sample> = good.iter().chain(bad).collect();
    let mut tally = Tally::new(samples.len(), detector);
    let mut kept = Vec::new();
    let mut done = 0;
    for share in samples.chunks(SHARE) {
        let scored: Vec<Result<Scored, ImageError>> =
            share.par_iter().map(|sample| Scored::new(detector, sample, scoring)).collect();
        for (sample, scored) in share.iter().zip(scored) {
            match scored {
                Err(error) => {
                    tally.counts.skipped += 1;
                    progress(Event::Skipped(&error));
                }
                Ok(scored) if scoring == Scoring::Frozen => tally.add(sample, scored)?,
                Ok(scored) => kept.push(((*sample).clone(), scored)),
            }
        }
        done += share.len();
        progress(Event::Scored { done, total: samples.len() });
    }
    if scoring == Scoring::Authors && !kept.is_empty() {
        rescale_as_authors(detector, &mut kept)?;
        for (sample, scored) in kept {
            tally.add(&sample, scored)?;
        }
    }
    let secs_per_image = started.elapsed().as_secs_f64() / samples.len().max(1) as f64;
    if tally.images.is_empty() {
        return Err(EvaluationError::NoImages { listed: samples.len() });
    }
    Ok(tally.finish(scoring, secs_per_image))
}

/// One image's map and truth.
struct Scored {
    map: AnomalyMap,
    score: f32,
    verdict: Verdict,
    likelihoods: Vec<Vec<f32>>,
    /// For the authors' form: the pixels that the model scores, `None` for all, and where the image lies.
    area: Option<Foreground>,
    window: Window,
    /// `None` for a defective image without a mask.
    mask: Option<Vec<u8>>,
}

impl Scored {
    fn new(detector: &Detector, sample: &Sample, scoring: Scoring) -> Result<Scored, ImageError> {
        let (image, original) = detector.load(&sample.path)?;
        let size = detector.loaded_size(original);
        let window = size.window(original);
        let mask = match (sample.kind.defect(), &sample.mask) {
            (None, _) => Some(Mask::clean(size)),
            (Some(_), None) => None,
            (Some(_), Some(path)) => Some(Mask::load(path, size, Some((&sample.path, original)))?),
        };
        let mask = mask.map(|mask| mask.cropped(window).defective);
        let Score { map, nats: score, .. } = detector.score(&image, original);
        let (likelihoods, area) = match scoring {
            Scoring::Frozen => (Vec::new(), None),
            Scoring::Authors => (detector.likelihoods(&image), detector.header().area.of(&image)),
        };
        let verdict = detector.header().thresholds.verdict(score);
        Ok(Scored { map, score, verdict, likelihoods, area, window, mask })
    }
}

/// Replaces the maps by the authors': constants from all images, `max(S) − S`.
fn rescale_as_authors(detector: &Detector, kept: &mut [(Sample, Scored)]) -> Result<(), EvaluationError> {
    let levels = detector.header().levels.len();
    let mut max = MaxLogp::new(levels);
    for (_, scored) in kept.iter() {
        scored.likelihoods.iter().enumerate().for_each(|(level, l)| max.observe(level, l));
    }
    let constants = max.constants().map_err(EvaluationError::Constants)?;
    let mut maps: Vec<AnomalyMap> =
        kept.par_iter().map(|(_, scored)| detector.map_with(&scored.likelihoods, &constants)).collect();
    authors_form(&mut maps, levels);
    for ((_, scored), mut map) in kept.iter_mut().zip(maps) {
        scored.area.iter().for_each(|area| map.limit_to(area, 0.0));
        scored.map = map.cropped(scored.window);
        scored.score = scored.map.peak(1);
    }
    Ok(())
}

struct Tally {
    pixels: PixelScores,
    images: Vec<ScoredImage>,
    counts: Counts,
}

impl Tally {
    fn new(images: usize, detector: &Detector) -> Tally {
        Tally {
            pixels: PixelScores::with_capacity(images * detector.input().pixels()),
            images: Vec::with_capacity(images),
            counts: Counts::default(),
        }
    }

    fn add(&mut self, sample: &Sample, scored: Scored) -> Result<(), EvaluationError> {
        let (map, score) = (&scored.map, scored.score);
        let defective = sample.kind.defect().is_some();
        match &scored.mask {
            Some(mask) => self
                .pixels
                .push(&map.nats, Some(mask), map.h, map.w)
                .map_err(|_| EvaluationError::NotANumber { image: sample.path.display().to_string() })?,
            None => self.counts.without_mask += 1,
        }
        if score.is_nan() {
            return Err(EvaluationError::NotANumber { image: sample.path.display().to_string() });
        }
        let counts = &mut self.counts;
        let (all, ok, ng) = match defective {
            false => (&mut counts.good, &mut counts.good_ok, &mut counts.good_ng),
            true => (&mut counts.defective, &mut counts.defective_ok, &mut counts.defective_ng),
        };
        *all += 1;
        *ok += usize::from(scored.verdict == Verdict::Ok);
        *ng += usize::from(scored.verdict == Verdict::Ng);
        self.images.push(ScoredImage { sample: sample.clone(), score, verdict: scored.verdict });
        Ok(())
    }

    fn finish(self, scoring: Scoring, secs_per_image: f64) -> Evaluation {
        let labels = |keep: &dyn Fn(&ScoredImage) -> bool| -> (Vec<f32>, Vec<bool>) {
            let kept = self.images.iter().filter(|image| keep(image));
            kept.map(|image| (image.score, image.sample.kind.defect().is_some())).unzip()
        };
        let (scores, is_anomaly) = labels(&|_| true);
        let types: BTreeMap<String, Option<f64>> = self
            .images
            .iter()
            .filter_map(|image| image.sample.kind.defect())
            .map(|name| {
                let (scores, is_anomaly) =
                    labels(&|image| image.sample.kind.defect().is_none_or(|defect| defect == name));
                (name.to_owned(), metrics::auroc(&scores, &is_anomaly))
            })
            .collect();
        let pixels = self.pixels.rank();
        // A class without pixels has no precision or F1 worth a number.
        let both = pixels.normals() > 0 && pixels.anomalies() > 0;
        let both_images = is_anomaly.contains(&true) && is_anomaly.contains(&false);
        Evaluation {
            image_auroc: metrics::auroc(&scores, &is_anomaly),
            pixel_auroc: pixels.auroc(),
            aupro: pixels.aupro(0.3),
            aupro_05: pixels.aupro(0.05),
            image_ap: metrics::average_precision(&scores, &is_anomaly).filter(|_| both_images),
            pixel_ap: pixels.average_precision().filter(|_| both),
            image_f1_max: metrics::f1_max(&scores, &is_anomaly).filter(|_| both_images).map(|f| f.f1),
            pixel_f1_max: pixels.f1_max().filter(|_| both).map(|f| f.f1),
            by_type: types,
            counts: self.counts,
            secs_per_image,
            scoring,
            images: self.images,
        }
    }
}

/// Why a model could not be evaluated.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum EvaluationError {
    /// None of the images could be read.
    NoImages {
        /// How many there should be.
        listed: usize,
    },
    /// The model's score of an image is not a number.
    NotANumber {
        /// The image.
        image: String,
    },
    /// The authors' rule knows no tiles.
    TilesAsAuthors,
    /// The authors' constants are not finite.
    Constants(ScoreConstantsError),
}

impl fmt::Display for EvaluationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoImages { listed: 0 } => write!(f, "there is no image to evaluate on"),
            Self::NoImages { listed } => write!(f, "none of the {listed} images could be read"),
            Self::NotANumber { image } => write!(f, "the model's score of {image} is not a number"),
            Self::TilesAsAuthors => write!(f, "the authors' scoring is not defined for a model of tiles"),
            Self::Constants(_) => write!(f, "the authors' score constants are not finite"),
        }
    }
}

impl error::Error for EvaluationError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Constants(source) => Some(source),
            _ => None,
        }
    }
}
