//! A calibration from image files: what can be known is checked first, then the images are scored, then the operating point
//! is found.

use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::{
    Calibration, CalibrationError, ImageScores, Objective, Request, allowed, by_hand, calibrate, needed,
};
use crate::dataset::content_hash;
use crate::detector::Detector;
use crate::image::{ImageError, read};
use crate::score::Score;
use crate::verdict::Thresholds;

/// Shares of false alarms that are proposed, the strongest promise first.
const PROPOSED: [f64; 11] = [0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.3, 0.5];

/// The smallest share of false alarms, of those that people ask for, that so many good images can prove with this confidence.
/// `None` if there are too few for any.
pub fn strongest_promise(good_images: usize, confidence: f64) -> Option<f64> {
    PROPOSED.into_iter().find(|&rate| allowed(good_images, rate, 1.0 - confidence).is_some())
}

/// How many good images it takes for the weakest promise that [`strongest_promise`] proposes.
pub fn fewest_images(confidence: f64) -> usize {
    needed(PROPOSED[PROPOSED.len() - 1], 1.0 - confidence)
}

/// The share of good images to hold out of a training from so many, if that is enough for a promise worth having.
pub fn worth_holding_out(good_images: usize, confidence: f64) -> Option<f64> {
    /// Of the images for training.
    const SHARE: f64 = 0.2;
    /// A weaker promise is not worth the images.
    const WEAKEST: f64 = 0.2;
    let held_out = (good_images as f64 * SHARE) as usize;
    strongest_promise(held_out, confidence).filter(|promise| *promise <= WEAKEST).map(|_| SHARE)
}

/// Whether so many images can prove what is asked, before any of them is scored.
///
/// # Errors
///
/// A [`CalibrationError`]; [`CalibrationError::NotEnough`] says how many images it takes.
pub fn check_provable(
    objective: Objective,
    confidence: f64,
    good: usize,
    defective: usize,
) -> Result<(), CalibrationError> {
    objective.check()?;
    let delta = 1.0 - confidence;
    let enough = |what, found: usize, needed: usize| match found < needed {
        true => Err(CalibrationError::NotEnough { what, found, needed }),
        false => Ok(()),
    };
    match objective {
        Objective::MaxFalseAlarms(rate) => enough("good", good, needed(rate, delta)),
        Objective::MinRecall(recall) => enough("defective", defective, needed(1.0 - recall, delta)),
        Objective::Cost { .. } => enough("good", good, 1).and_then(|()| enough("defective", defective, 1)),
        Objective::ByHand => Ok(()),
    }
}

/// What a session reports as it goes.
#[derive(Debug)]
pub enum Event<'a> {
    /// Images scored so far.
    Scored {
        /// How many.
        done: usize,
        /// Of how many.
        total: usize,
    },
    /// An image could not be used; the promise is without it.
    Skipped(&'a ImageError),
}

/// Why a calibration could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The model has learned from an image: its score promises nothing.
    #[error(
        "{}: the model was trained on this image, so its score promises nothing: calibrate with images that were held out",
        path.display()
    )]
    TrainedOn {
        /// The image.
        path: PathBuf,
        /// Whether it was given as defective.
        is_defective: bool,
    },
    /// One picture under two names.
    #[error("{} and {} are the same picture: give every image once, good or bad", first.display(), second.display())]
    SamePicture {
        /// One file.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// There is no image at all.
    #[error("found no image to calibrate with")]
    NoImages,
    /// The images cannot prove what is asked, or what is asked makes no sense.
    #[error(transparent)]
    Calibration(#[from] CalibrationError),
}

/// Images that a model has scored to be calibrated.
#[derive(Debug)]
pub struct Session {
    good: Vec<ImageScores>,
    defective: Vec<ImageScores>,
    /// Sorted.
    images_sha256: Vec<String>,
    beta: f32,
    confidence: f64,
    /// Files that could not be used.
    pub skipped: usize,
}

/// Image files to calibrate with.
#[derive(Clone, Copy, Debug)]
pub struct Files<'a> {
    /// Of good parts.
    pub good: &'a [PathBuf],
    /// Of defective parts.
    pub defective: &'a [PathBuf],
}

impl Session {
    /// Scores images. Those that the model was trained on, and pictures given twice, are refused before.
    ///
    /// # Errors
    ///
    /// A [`SessionError`].
    pub fn open(
        detector: &Detector,
        files: Files<'_>,
        confidence: f64,
        progress: &mut dyn FnMut(Event<'_>),
    ) -> Result<Session, SessionError> {
        let mut session = Session {
            good: Vec::new(),
            defective: Vec::new(),
            images_sha256: Vec::new(),
            beta: detector.header().options.beta,
            confidence,
            skipped: 0,
        };
        let hashes = hashes(detector, files)?;
        let paths: Vec<(&PathBuf, bool)> =
            files.good.iter().map(|p| (p, false)).chain(files.defective.iter().map(|p| (p, true))).collect();
        let mut done = 0;
        for (share, hashes) in paths
            .chunks(4 * rayon::current_num_threads())
            .zip(hashes.chunks(4 * rayon::current_num_threads()))
        {
            let scored: Vec<_> = share.par_iter().map(|(path, _)| score(detector, path)).collect();
            for (((_, is_defective), hash), scored) in share.iter().zip(hashes).zip(scored) {
                match (scored, hash) {
                    (Ok(scores), Some(hash)) => {
                        let list = if *is_defective { &mut session.defective } else { &mut session.good };
                        list.push(scores);
                        session.images_sha256.push(hash.clone());
                    }
                    // It was not there when it was looked at first.
                    (Ok(_), None) => session.skipped += 1,
                    (Err(error), _) => {
                        session.skipped += 1;
                        progress(Event::Skipped(&error));
                    }
                }
            }
            done += share.len();
            progress(Event::Scored { done, total: paths.len() });
        }
        session.images_sha256.sort();
        Ok(session)
    }

    /// The operating point that was asked for.
    ///
    /// # Errors
    ///
    /// As [`calibrate`], and [`SessionError::NoImages`].
    pub fn calibrate(&self, objective: Objective) -> Result<Calibration, SessionError> {
        if self.images_sha256.is_empty() {
            return Err(SessionError::NoImages);
        }
        let request = Request { objective, confidence: self.confidence, beta: self.beta };
        Ok(self.with_images(calibrate(&self.good, &self.defective, request)?))
    }

    /// Thresholds given by hand, with what they do to the images, if there are any.
    ///
    /// # Errors
    ///
    /// As [`by_hand`].
    pub fn by_hand(&self, thresholds: Thresholds) -> Result<Calibration, SessionError> {
        Ok(self.with_images(by_hand(&self.good, &self.defective, thresholds, self.confidence)?))
    }

    /// Scores of the good images.
    pub fn good_scores(&self) -> Vec<f32> {
        self.good.iter().map(|scores| scores.image).collect()
    }

    fn with_images(&self, calibration: Calibration) -> Calibration {
        Calibration { images_sha256: self.images_sha256.clone(), ..calibration }
    }
}

/// The content hash of every file, `None` of one that cannot be read, which is reported when it is to be scored.
fn hashes(detector: &Detector, files: Files<'_>) -> Result<Vec<Option<String>>, SessionError> {
    let all: Vec<&PathBuf> = files.good.iter().chain(files.defective).collect();
    let hash = |path: &&PathBuf| read(path).ok().map(|bytes| content_hash(&bytes));
    let hashes: Vec<Option<String>> = all.par_iter().map(hash).collect();
    let known = |hash: &Option<String>| hash.as_ref().is_some_and(|hash| detector.header().trained_on(hash));
    if let Some(at) = hashes.iter().position(known) {
        return Err(SessionError::TrainedOn { path: all[at].clone(), is_defective: at >= files.good.len() });
    }
    let mut sorted: Vec<(&String, &PathBuf)> =
        hashes.iter().zip(&all).filter_map(|(hash, path)| Some((hash.as_ref()?, *path))).collect();
    sorted.sort();
    match sorted.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        Some(pair) => Err(SessionError::SamePicture { first: pair[0].1.clone(), second: pair[1].1.clone() }),
        None => Ok(hashes),
    }
}

fn score(detector: &Detector, path: &Path) -> Result<ImageScores, ImageError> {
    let (image, original) = detector.load(path)?;
    let Score { map, nats: score, .. } = detector.score(&image, original);
    Ok(ImageScores::of(&map, score))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strongest_promise_is_provable_and_the_next_stronger_is_not() {
        let cases =
            [(0, None), (4, None), (5, Some(0.5)), (14, Some(0.2)), (58, Some(0.1)), (59, Some(0.05))];
        for (images, want) in cases {
            assert_eq!(strongest_promise(images, 0.95), want, "{images}");
        }
        assert_eq!(fewest_images(0.95), 5);
        for images in 5..700 {
            let rate = strongest_promise(images, 0.95).expect("enough for one half");
            assert!(check_provable(Objective::MaxFalseAlarms(rate), 0.95, images, 0).is_ok());
            if let Some(stronger) = PROPOSED.into_iter().rev().find(|&other| other < rate) {
                let found = check_provable(Objective::MaxFalseAlarms(stronger), 0.95, images, 0);
                assert!(found.is_err(), "{images} prove {stronger} too");
            }
        }
    }

    #[test]
    fn what_cannot_be_proven_is_known_before_scoring() {
        let check =
            |objective, good, bad| check_provable(objective, 0.95, good, bad).map_err(|e| e.to_string());
        assert_eq!(check(Objective::MinRecall(0.95), 0, 59), Ok(()));
        let too_few = check(Objective::MinRecall(0.95), 500, 3).unwrap_err();
        assert!(too_few.contains("3 defective images") && too_few.contains("it takes 59"), "{too_few}");
        let cost = Objective::Cost { escape: 1.0, overkill: 1.0, defect_rate: 0.1 };
        assert!(check(cost, 1, 0).is_err() && check(cost, 1, 1).is_ok());
        assert!(check(Objective::MaxFalseAlarms(1.5), 500, 0).is_err());
        assert_eq!(check(Objective::ByHand, 0, 0), Ok(()));
    }
}
