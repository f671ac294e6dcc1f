//! `bgad calibrate`: thresholds with a promise, from images that were not trained on.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use bgad::calibrate::coverage::coverage;
use bgad::calibrate::session::{self, Files, Session, SessionError, check_provable, strongest_promise};
use bgad::calibrate::{Calibration, CalibrationError, Objective, Rate};
use bgad::dataset::Sample;
use bgad::detector::Detector;
use bgad::learn::split_of;
use bgad::model::Model;
use bgad::verdict::Thresholds;

use crate::args::CalibrateArgs;
use crate::exit::Outcome;
use crate::failure::{self, Failure, say};
use crate::inspect::inputs::Inputs;
use crate::progress::CountProgress;
use crate::{machine, model_file, out, shell};

pub(crate) fn run(args: &CalibrateArgs) -> Result<Outcome, Failure> {
    machine::use_threads(args.threads)?;
    let output = args.out.as_deref().unwrap_or(&args.model);
    model_file::check(output, args.out.is_none())?;
    let mut model = Model::open(&args.model)?;
    let images = Images::find(args, &model)?;
    let by_hand = args.by_hand().map(|(ok, ng)| Thresholds { ok, ng });
    let objective = match by_hand {
        Some(_) => Objective::ByHand,
        None => args.objective()?,
    };
    if images.good.is_empty() && images.bad.is_empty() && by_hand.is_none() {
        return Err("found no image to calibrate with (png, jpg, jpeg, bmp, tif or tiff)".into());
    }
    if args.coverage.is_none() {
        check_provable(objective, args.confidence, images.good.len(), images.bad.len())
            .map_err(|error| with_strongest(error, objective, args.confidence))?;
    }

    let detector = Detector::new(&model)?;
    let session = open(&detector, &images, args.confidence)?;
    if let (Some(draws), Some(rate)) = (args.coverage, args.max_false_alarms) {
        let scores = session.good_scores();
        return print_coverage(&scores, rate, args.confidence, draws as usize);
    }
    let calibration = match by_hand {
        Some(thresholds) => session.by_hand(thresholds)?,
        None => session.calibrate(objective)?,
    };
    let words = in_words(&calibration);
    model.header.thresholds = calibration.thresholds;
    model.header.calibration = Some(calibration);
    model_file::save(&model, output)?;
    let mut out = out::text();
    for line in words {
        writeln!(out, "{line}")?;
    }
    let [file, folder] = [output, Path::new("IMAGE_OR_FOLDER")].map(shell::quoted);
    writeln!(out, "\nnext\n  bgad inspect {file} {folder} --out maps")?;
    out.flush()?;
    say(format_args!("{} judges by these thresholds now", output.display()));
    if args.out.is_none() {
        say(format_args!("the model as it was: bgad restore {}", shell::quoted(output)));
    }
    if session.skipped > 0 {
        say(failure::skipped(session.skipped, "the promise is without them"));
    }
    Ok(Outcome::of(0, session.skipped))
}

/// The images to calibrate with.
struct Images {
    good: Vec<PathBuf>,
    bad: Vec<PathBuf>,
}

impl Images {
    /// Those that were named; otherwise the good ones that training held out, and the defective ones that it kept for the test.
    fn find(args: &CalibrateArgs, model: &Model) -> Result<Images, Failure> {
        let mut images = Images { good: images_of(&args.good)?, bad: images_of(&args.bad)? };
        if args.by_hand().is_some() {
            return Ok(images);
        }
        // A promise about defects needs no good image.
        let needs_good = args.good.is_none() && args.min_recall.is_none();
        let needs_bad = args.bad.is_none() && (args.min_recall.is_some() || args.cost_escape.is_some());
        if needs_good || needs_bad {
            let split = split_of(&args.model, &model.header, args.data.as_deref());
            let split = split.map_err(model_file::with_data_flag)?.0;
            let paths = |samples: Vec<Sample>| samples.into_iter().map(|sample| sample.path).collect();
            if needs_good {
                images.good = paths(split.hold_out);
                if images.good.is_empty() {
                    return Err(format!(
                        "{}: no good image was held out: train with --hold-out 20%, or give other good images with --good",
                        args.model.display()
                    )
                    .into());
                }
            }
            if needs_bad {
                images.bad = paths(split.test_bad);
                if images.bad.is_empty() {
                    return Err(format!(
                        "{}: no defective image was kept for the test: give some with --bad",
                        args.model.display()
                    )
                    .into());
                }
            }
        }
        Ok(images)
    }
}

/// The images of a folder; `None` of none.
fn images_of(folder: &Option<PathBuf>) -> Result<Vec<PathBuf>, Failure> {
    let found = Inputs::find(folder.as_slice());
    if found.skipped > 0 {
        return Err("a folder could not be searched, see above".into());
    }
    Ok(found.images.into_iter().map(|input| input.path).collect())
}

fn open(detector: &Detector, images: &Images, confidence: f64) -> Result<Session, Failure> {
    let progress = CountProgress::new("scoring images", images.good.len() + images.bad.len());
    let files = Files { good: &images.good, defective: &images.bad };
    let session = Session::open(detector, files, confidence, &mut |event| match event {
        session::Event::Scored { done, .. } => progress.set(done),
        session::Event::Skipped(error) => progress.say(&format!("skipped: {}", failure::chain(error))),
    });
    session.map_err(|error| match error {
        SessionError::TrainedOn { is_defective: true, .. } => {
            format!("{error}, or leave --bad out for the defective images that training kept for the test")
                .into()
        }
        error => error.into(),
    })
}

/// The error with what the images could prove.
fn with_strongest(error: CalibrationError, objective: Objective, confidence: f64) -> Failure {
    if let (CalibrationError::NotEnough { found, .. }, Objective::MaxFalseAlarms(_)) = (&error, objective)
        && let Some(rate) = strongest_promise(*found, confidence)
    {
        return format!("{error}; they can prove --max-false-alarms {}", rate_as_typed(rate)).into();
    }
    error.into()
}

/// How sure a proposed promise is to hold: the default of `--confidence`.
pub(crate) const CONFIDENCE: f64 = 0.95;

/// A share as it can be typed.
pub(crate) fn rate_as_typed(rate: f64) -> String {
    percent(rate).replace(' ', "")
}

fn print_coverage(scores: &[f32], rate: f64, confidence: f64, draws: usize) -> Result<Outcome, Failure> {
    let found = coverage(scores, scores.len() / 2, rate, confidence, draws, 0)?;
    writeln!(
        out::text(),
        "calibrated with {} of {} good images, at most {} false alarms asked: kept in {} of {} draws ({} confidence \
         asked); false alarms {} on average, {} at worst",
        found.calibrated_with,
        found.images,
        percent(rate),
        found.kept,
        found.draws,
        percent(confidence),
        percent(found.mean_rate),
        percent(found.worst_rate),
    )?;
    Ok(Outcome::Fine)
}

/// The promise and what it rests on.
pub(crate) fn in_words(calibration: &Calibration) -> Vec<String> {
    let Calibration { objective, confidence, threshold, thresholds, .. } = calibration;
    let sure = format!("with {} confidence (threshold {threshold:.3})", percent(*confidence));
    let mut lines = vec![match objective {
        Objective::MaxFalseAlarms(rate) => {
            format!("promise     at most {} of good parts are called NG, {sure}", percent(*rate))
        }
        Objective::MinRecall(rate) => {
            format!("promise     at least {} of defective parts are not called OK, {sure}", percent(*rate))
        }
        Objective::Cost { .. } => {
            format!("cheapest    at {threshold:.3} on these images; nothing is promised")
        }
        Objective::ByHand => "by hand     nothing is promised".to_owned(),
    }];
    lines.push(format!("thresholds  {}", thresholds_in_words(*thresholds)));
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
    if matches!(objective, Objective::MaxFalseAlarms(_) | Objective::MinRecall(_)) {
        lines.push("The promise is for parts like these: the same product, camera and light.".to_owned());
    }
    lines
}

/// Where OK ends and NG begins.
pub(crate) fn thresholds_in_words(thresholds: Thresholds) -> String {
    let Thresholds { ok, ng } = thresholds;
    match ok == ng {
        true => format!("OK up to {ok:.3}, NG above, no REVIEW"),
        false => format!("OK up to {ok:.3}, NG above {ng:.3}, REVIEW between"),
    }
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
