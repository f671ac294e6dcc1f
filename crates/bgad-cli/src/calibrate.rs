//! `bgad calibrate`: thresholds with a promise, from images that were not trained on.

use std::fs;
use std::path::{Path, PathBuf};

use bgad::calibrate::coverage::coverage;
use bgad::calibrate::{self, Calibration, ImageScores, Objective, Rate, Request};
use bgad::dataset::content_hash;
use bgad::detector::Detector;
use bgad::model::Model;
use bgad::score::Score;
use bgad::verdict::Thresholds;
use bgad_kernels::Isa;
use rayon::prelude::*;

use crate::args::CalibrateArgs;
use crate::choice;
use crate::exit::Outcome;
use crate::failure::{self, Failure, context, say};
use crate::inspect::inputs::Inputs;
use crate::machine;
use crate::progress::CountProgress;

pub(crate) fn run(args: &CalibrateArgs) -> Result<Outcome, Failure> {
    let isa = machine::isa()?;
    machine::use_threads(args.threads)?;
    let mut model = Model::open(&args.model)?;
    let detector = Detector::new(&model, isa)?;
    let good = match (&args.good, args.by_hand()) {
        (None, None) => held_out(&args.model, args.data.as_deref())?,
        _ => images_of(&args.good),
    };
    let bad = images_of(&args.bad);
    let progress = CountProgress::new("scoring images", good.len() + bad.len());
    let mut scored = Scored::default();
    let good = scored.of(&detector, &good, &progress)?;
    let bad = scored.of(&detector, &bad, &progress)?;
    drop(progress);
    if let Some(pair) = scored.hashes.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        return Err(format!(
            "{} and {} are the same picture: give every image once, good or bad",
            pair[0].1.display(),
            pair[1].1.display()
        )
        .into());
    }
    if good.is_empty() && bad.is_empty() && args.by_hand().is_none() {
        return Err("found no image to calibrate with (png, jpg, jpeg, bmp, tif or tiff)".into());
    }

    if let (Some(draws), Some(rate)) = (args.coverage, args.max_false_alarms) {
        let scores: Vec<f32> = good.iter().map(|scores| scores.image).collect();
        let found = coverage(&scores, scores.len() / 2, rate, args.confidence, draws as usize, 0)?;
        println!(
            "calibrated with {} of {} good images, at most {} false alarms asked: kept in {} of {} draws ({} confidence \
             asked); false alarms {} on average, {} at worst",
            found.calibrated_with,
            found.images,
            percent(rate),
            found.kept,
            found.draws,
            percent(args.confidence),
            percent(found.mean_rate),
            percent(found.worst_rate),
        );
        return Ok(Outcome::Fine);
    }
    let calibration = match args.by_hand() {
        Some((ok, ng)) => calibrate::by_hand(&good, &bad, Thresholds { ok, ng }, args.confidence)?,
        None => calibrate::calibrate(&good, &bad, request(&model, args.objective()?, args.confidence))?,
    };
    let skipped = scored.skipped;
    let calibration = scored.into(calibration);
    for line in in_words(&calibration) {
        println!("{line}");
    }
    model.header.thresholds = calibration.thresholds;
    model.header.calibration = Some(calibration);
    let out = args.out.as_ref().unwrap_or(&args.model);
    model.save(out).map_err(|error| context(format!("cannot write {}", out.display()), error))?;
    say(format_args!("{} judges by these thresholds now", out.display()));
    if skipped > 0 {
        say(format_args!("{skipped} files were skipped, see above; the promise is without them"));
        return Ok(Outcome::Incomplete);
    }
    Ok(Outcome::Fine)
}

/// The good images that training held out.
fn held_out(model: &Path, data: Option<&Path>) -> Result<Vec<PathBuf>, Failure> {
    let file = model.with_extension("split.json");
    let split = choice::beside(model, data)?.0;
    if split.hold_out.is_empty() {
        return Err(format!(
            "{}: no good image was held out: train with --hold-out 20%, or give other good images with --good",
            file.display()
        )
        .into());
    }
    Ok(split.hold_out.into_iter().map(|sample| sample.path).collect())
}

fn images_of(folder: &Option<PathBuf>) -> Vec<PathBuf> {
    let found = Inputs::find(folder.as_slice());
    found.images.into_iter().map(|input| input.path).collect()
}

/// Thresholds for a model of changed scores: what was asked before, from the good images of these files; those set by hand
/// stay. `None` if good images alone cannot answer it.
pub(crate) fn again(
    model: &Model,
    before: &Calibration,
    good: &[PathBuf],
    isa: Isa,
) -> Result<Option<Calibration>, Failure> {
    match before.objective {
        Objective::MaxFalseAlarms(_) if !good.is_empty() => {}
        Objective::ByHand => {
            return Ok(Some(calibrate::by_hand(&[], &[], before.thresholds, before.confidence)?));
        }
        _ => return Ok(None),
    }
    let detector = Detector::new(model, isa)?;
    let progress = CountProgress::new("scoring images", good.len());
    let mut scored = Scored::default();
    let scores = scored.of(&detector, good, &progress)?;
    drop(progress);
    let request = request(model, before.objective, before.confidence);
    let calibration = calibrate::calibrate(&scores, &[], request)?;
    Ok(Some(scored.into(calibration)))
}

fn request(model: &Model, objective: Objective, confidence: f64) -> Request {
    Request { objective, confidence, beta: model.header.options.beta }
}

/// What was scored so far.
#[derive(Default)]
struct Scored {
    /// Content and file of each image.
    hashes: Vec<(String, PathBuf)>,
    skipped: usize,
}

impl Scored {
    /// The calibration, with what it rests on.
    fn into(self, calibration: Calibration) -> Calibration {
        let images_sha256 = self.hashes.into_iter().map(|(hash, _)| hash).collect();
        Calibration { images_sha256, ..calibration }
    }

    /// Scores images; those that cannot be read are reported and left out, one that was trained on ends it.
    fn of(
        &mut self,
        detector: &Detector,
        paths: &[PathBuf],
        progress: &CountProgress,
    ) -> Result<Vec<ImageScores>, Failure> {
        let mut scores = Vec::new();
        for share in paths.chunks(4 * rayon::current_num_threads()) {
            let results: Vec<_> = share.par_iter().map(|path| score(detector, path)).collect();
            for (path, result) in share.iter().zip(results) {
                match result {
                    Ok((hash, _)) if detector.header().trained_on(&hash) => {
                        return Err(format!(
                            "{}: the model was trained on this image, so its score promises nothing: calibrate \
                             with images that were held out",
                            path.display()
                        )
                        .into());
                    }
                    Ok((hash, found)) => {
                        self.hashes.push((hash, path.clone()));
                        scores.push(found);
                    }
                    Err(reason) => {
                        self.skipped += 1;
                        progress.say(&format!("skipped: {reason}"));
                    }
                }
            }
            progress.set(self.hashes.len() + self.skipped);
        }
        self.hashes.sort();
        Ok(scores)
    }
}

/// The content hash and the scores of a file; the error names the file.
fn score(detector: &Detector, path: &Path) -> Result<(String, ImageScores), String> {
    let bytes = fs::read(path).map_err(|error| format!("{}: cannot be read: {error}", path.display()))?;
    let (image, original) = detector.load(path).map_err(|error| failure::chain(&error))?;
    let Score { map, nats: score, .. } = detector.score(&image, original);
    Ok((content_hash(&bytes), ImageScores::of(&map, score)))
}

/// The promise and what it rests on.
pub(crate) fn in_words(calibration: &Calibration) -> Vec<String> {
    let Calibration { objective, confidence, threshold, thresholds, .. } = calibration;
    let sure = format!("with {} confidence", percent(*confidence));
    let mut lines = vec![match objective {
        Objective::MaxFalseAlarms(rate) => {
            format!("promise     at most {} of good parts score above {threshold:.3}, {sure}", percent(*rate))
        }
        Objective::MinRecall(rate) => {
            format!(
                "promise     at least {} of defective parts score above {threshold:.3}, {sure}",
                percent(*rate)
            )
        }
        Objective::Cost { .. } => {
            format!("cheapest    at {threshold:.3} on these images; nothing is promised")
        }
        Objective::ByHand => "by hand     nothing is promised".to_owned(),
    }];
    lines.push(format!(
        "thresholds  OK up to {:.3}, NG above {:.3}, REVIEW between",
        thresholds.ok, thresholds.ng
    ));
    for (name, what, rate, counts) in [
        ("good", "above", &calibration.false_alarms, calibration.good),
        ("defective", "not above", &calibration.escapes, calibration.defective),
    ] {
        if rate.images > 0 {
            let [ok, review, ng] = counts;
            lines.push(format!(
                "{name:<11} {ok} OK, {review} REVIEW, {ng} NG; {}",
                bounds(what, *threshold, rate)
            ));
        }
    }
    lines.push("The promise is for parts like these: the same product, camera and light.".to_owned());
    lines
}

fn bounds(what: &str, threshold: f32, rate: &Rate) -> String {
    let Rate { count, images, at_least, at_most } = rate;
    format!(
        "{count} of {images} {what} {threshold:.3} (true share between {} and {})",
        percent(*at_least),
        percent(*at_most)
    )
}

fn percent(share: f64) -> String {
    let text = format!("{:.2}", 100.0 * share);
    format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
}
