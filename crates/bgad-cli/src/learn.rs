//! `bgad learn`: what the line has found since goes into the model, if that makes it no worse.

use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

use bgad::calibrate::session;
use bgad::detector::Detector;
use bgad::evaluation::{self, Evaluation};
use bgad::learn::feedback::Answered;
use bgad::learn::{Event, FineTuning, Found, LearnError, Learned, Lesson, Plan, Promise, split_of};
use bgad::model::Model;

use crate::args::LearnArgs;
use crate::exit::Outcome;
use crate::failure::{self, Failure, chain, context, say};
use crate::inspect::inputs::Inputs;
use crate::progress::{CountProgress, TrainProgress, duration};
use crate::{machine, model_file, out};

pub(crate) fn run(args: &LearnArgs) -> Result<Outcome, Failure> {
    let started = Instant::now();
    machine::use_threads(args.threads)?;
    let output = args.out.as_deref().unwrap_or(&args.model);
    model_file::check(output, args.out.is_none())?;
    let known = Model::open(&args.model)?;
    let lesson = Lesson::read(&found(args)?, &Detector::new(&known)?)?;
    for path in &lesson.already {
        say(format_args!("note: {}: the model has learned from this image already", path.display()));
    }
    if lesson.is_empty() {
        // A repeated command: what was interrupted before is completed.
        model_file::copy(&args.model, output)?;
        model_file::write_split_of(&known, output)?;
        say(format_args!("{} has learned all of it already; nothing was changed", output.display()));
        return Ok(Outcome::Fine);
    }
    let (split, data) =
        split_of(&args.model, &known.header, args.data.as_deref()).map_err(model_file::with_data_flag)?;
    let plan = Plan::new(&known, lesson, split, data)?;
    if plan.promise == Promise::Lost {
        say(
            "note: the thresholds were calibrated with images that the model does not keep; they will be the default again: \
             run bgad calibrate as before",
        );
    }
    let learned = learn(args, plan)?;
    let refused = match (learned.check(), args.force) {
        (Err(error), false) => Some(error),
        _ => None,
    };
    // The files first: what is printed may be lost.
    let mut beside = Ok(());
    if refused.is_none() {
        model_file::save(&learned.model, output)?;
        beside = model_file::write_split(&learned.split, &learned.data, output);
    }
    print(&known, &learned, started)?;
    if let Some(error) = refused {
        return Err(format!("not written: {}; --force writes it all the same", chain(&error)).into());
    }
    beside?;
    say(format_args!("{} has learned it", output.display()));
    Ok(Outcome::Fine)
}

/// What was typed, as files.
fn found(args: &LearnArgs) -> Result<Found, Failure> {
    if args.defect.len() != args.mask.len() {
        return Err(format!(
            "{} defects and {} masks: give each --defect its --mask",
            args.defect.len(),
            args.mask.len()
        )
        .into());
    }
    if args.defect.is_empty() && args.good.is_empty() && args.from_feedback.is_empty() {
        return Err("nothing to learn: give --defect with --mask, --good or --from-feedback".into());
    }
    let defects = args.defect.iter().cloned().zip(args.mask.iter().cloned()).collect();
    let inputs = Inputs::find(&args.good);
    if inputs.skipped > 0 {
        return Err("a folder of good images could not be searched, see above".into());
    }
    let good: Vec<_> = inputs.images.into_iter().map(|input| input.path).collect();
    if let (true, Some(folder)) = (good.is_empty(), args.good.first()) {
        return Err(format!("{}: found no image to learn from", folder.display()).into());
    }
    let mut found = Found { defects, good };
    for folder in &args.from_feedback {
        let Answered { found: more, left } = Answered::read(folder)?;
        left.iter().for_each(|left| say(format_args!("not learned: {left}")));
        if more.defects.is_empty() && more.good.is_empty() {
            return Err(format!("{}: no answer there teaches anything", folder.display()).into());
        }
        found.defects.extend(more.defects);
        found.good.extend(more.good);
    }
    Ok(found)
}

fn learn(args: &LearnArgs, plan: Plan<'_>) -> Result<Learned, Failure> {
    let mut training = TrainProgress::new();
    let mut scoring: Option<CountProgress> = None;
    let tuning =
        FineTuning { schedule: (!args.quick).then_some(args.schedule), learning_rate: args.learning_rate };
    let learned = plan.run(tuning, &|| false, &mut |event| match event {
        Event::Training(event) => {
            scoring = None;
            training.event(event);
        }
        Event::Evaluation(evaluation::Event::Scored { done, total })
        | Event::Calibration(session::Event::Scored { done, total }) => {
            training.finish();
            scoring.get_or_insert_with(|| CountProgress::new("scoring images", total)).set(done);
        }
        Event::Evaluation(evaluation::Event::Skipped(error))
        | Event::Calibration(session::Event::Skipped(error)) => {
            say(format_args!("skipped: {}", failure::chain(error)));
        }
    });
    training.finish();
    drop(scoring);
    learned.map_err(|error| match error {
        LearnError::Skipped { .. } => format!("{error}; {} is as it was", args.model.display()).into(),
        error => error.into(),
    })
}

fn print(known: &Model, learned: &Learned, started: Instant) -> Result<(), Failure> {
    let mut out = out::text();
    let Learned { before, after, lesson, model, thresholds, .. } = learned;
    let percent = |share: Option<f64>| share.map_or("-".to_owned(), |share| format!("{:.2}", 100.0 * share));
    let both = |of: &dyn Fn(&Evaluation) -> String| [of(before), of(after)];
    let at = learned.at_operating_point();
    writeln!(out, "{:<28}{:>9}  {:>9}", "on images kept apart", "before", "after")?;
    let rows = [
        ("image AUROC, %".to_owned(), both(&|e| percent(e.image_auroc))),
        ("AUPRO, %".to_owned(), both(&|e| percent(e.aupro))),
        ("threshold, nats".to_owned(), thresholds.map(|threshold| format!("{threshold:.3}"))),
        (
            format!("escapes, of {} defective", before.counts.defective),
            at.map(|[escapes, _]| escapes.to_string()),
        ),
        (format!("false alarms, of {} good", before.counts.good), at.map(|[_, alarms]| alarms.to_string())),
    ];
    for (name, [before, after]) in rows {
        writeln!(out, "{name:<28}{before:>9}  {after:>9}")?;
    }
    writeln!(out, "\nlearned")?;
    let detectors = [Detector::new(known)?, Detector::new(model)?];
    for sample in lesson.samples() {
        let [before, after] = detectors.each_ref().map(|detector| inspected(detector, &sample.path));
        writeln!(out, "  {} -> {}  {}", before?, after?, sample.path.display())?;
    }
    writeln!(out, "\n{}", duration(started.elapsed().as_secs_f64()))?;
    out.flush()?;
    Ok(())
}

fn inspected(detector: &Detector, path: &Path) -> Result<String, Failure> {
    let found =
        detector.inspect_file(path).map_err(|error| context(format!("judging {}", path.display()), error))?;
    Ok(format!("{} {:.3}", found.verdict, found.score))
}
