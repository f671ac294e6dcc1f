//! `bgad evaluate`: the figures of a model on images with known answers.

use std::io::{self, Write};
use std::path::Path;

use bgad::calibrate::session::strongest_promise;
use bgad::dataset::Role;
use bgad::detector::Detector;
use bgad::evaluation::{
    self, Conclusion, Evaluation, Event, Scoring, TestSet, ThresholdRole, lower_end_of_ok, threshold_table,
};
use bgad::model::{Header, Model};

use crate::args::EvaluateArgs;
use crate::calibrate::{CONFIDENCE, rate_as_typed};
use crate::exit::Outcome;
use crate::failure::{self, Failure, say};
use crate::progress::CountProgress;
use crate::report::Report;
use crate::shell::quoted;
use crate::{machine, out, product};

pub(crate) fn run(args: &EvaluateArgs) -> Result<Outcome, Failure> {
    if args.report.is_some() && args.scoring == Scoring::Authors {
        return Err("a report is about the model's own scores: leave out --scoring authors".into());
    }
    machine::use_threads(args.threads)?;
    product::check(args.json.as_deref().into_iter().chain(args.report.as_deref()))?;
    let (model, bytes) = Model::open_with_bytes(&args.model)?;
    let detector = Detector::new(&model)?;
    let test = test_set(&args.data, args.split.as_deref(), &[detector.header()])?;
    if test.known > 0 {
        say(format_args!(
            "{} left out: the model was {} them",
            left_out(test.known),
            known_by(detector.header())
        ));
    }
    let total = test.len();
    if total == 0 {
        return Err(format!("{}: there is no image to test on", args.data.display()).into());
    }
    let progress = CountProgress::new("scoring images", total);
    let mut skipped = Vec::new();
    let evaluation =
        evaluation::evaluate(&detector, &test.good, &test.bad, args.scoring, &mut |event| match event {
            Event::Scored { done, .. } => progress.set(done),
            Event::Skipped(error) => {
                let reason = failure::chain(error);
                progress.say(&format!("skipped: {reason}"));
                skipped.push(reason);
            }
        })?;
    drop(progress);

    let header = detector.header();
    if let Some(path) = &args.json {
        let mut text = serde_json::to_string_pretty(&evaluation)?;
        text.push('\n');
        product::write(path, text)?;
    }
    if let Some(path) = &args.report {
        let report = Report {
            command: command(args),
            model: &args.model,
            bytes: &bytes,
            data: &args.data,
            detector: &detector,
            evaluation: &evaluation,
            trained_on: test.known,
            skipped: &skipped,
        };
        product::write(path, report.html()?)?;
        say(format_args!("report: {}", path.display()));
    }
    let mut out = out::text();
    if args.scoring == Scoring::Frozen {
        let conclusion = Conclusion::of(&evaluation, header.thresholds, &header.training.normal_scores);
        conclude(&mut out, args, &evaluation, header, conclusion)?;
    }
    table(&mut out, &evaluation)?;
    out.flush()?;
    for reason in what_is_missing(&evaluation) {
        say(format_args!("note: {reason}"));
    }
    if evaluation.counts.skipped > 0 {
        say(failure::skipped(evaluation.counts.skipped, "the figures are without them"));
    }
    Ok(Outcome::of(0, evaluation.counts.skipped))
}

/// `1 image was`, `2 images were`.
pub(crate) fn left_out(images: usize) -> String {
    let verb = if images == 1 { "was" } else { "were" };
    format!("{} {verb}", failure::count(images, "image"))
}

/// How a model may know an image.
fn known_by(header: &Header) -> &'static str {
    let calibrated = header.calibration.as_ref().is_some_and(|c| !c.images_sha256.is_empty());
    let holds = header.training.split.as_ref().is_some_and(|s| s.of_role(Role::HeldOut).next().is_some());
    match (calibrated, holds) {
        (true, _) => "trained on or calibrated with",
        (false, true) => "trained on or is to be calibrated with",
        (false, false) => "trained on",
    }
}

/// What to type for the same report.
fn command(args: &EvaluateArgs) -> String {
    let mut words = vec!["bgad evaluate".to_owned(), quoted(&args.model), quoted(&args.data)];
    for (option, file) in [("--split", &args.split), ("--report", &args.report)] {
        if let Some(file) = file {
            words.extend([option.to_owned(), quoted(file)]);
        }
    }
    words.join(" ")
}

/// The images to test on: those of a split file, of the split that a model carries, or of the data folder.
pub(crate) fn test_set(data: &Path, split: Option<&Path>, models: &[&Header]) -> Result<TestSet, Failure> {
    let Some(file) = split else { return Ok(TestSet::of_folder(data, models)?) };
    // Tested on alone, anomalies to train on need no mask.
    Ok(TestSet::of_split(bgad::dataset::read_split(file, data, true)?, models))
}

/// The sentence that counts, what other thresholds would do, and what to try.
fn conclude(
    out: &mut impl Write,
    args: &EvaluateArgs,
    evaluation: &Evaluation,
    header: &Header,
    conclusion: Conclusion,
) -> io::Result<()> {
    writeln!(out, "{conclusion}")?;
    if conclusion.is_foreign {
        writeln!(
            out,
            "nearly every image, good ones too, lies far beyond all that the model was trained on:\n\
             is it the right model for this product, camera and light?"
        )?;
    }
    let rows = threshold_table(evaluation, header.thresholds);
    let c = &evaluation.counts;
    if c.good > 0 && c.defective > 0 && !conclusion.is_foreign {
        writeln!(out, "\n{:>12}  {:>16}  {:>16}", "threshold", "defects passed", "good stopped")?;
        for row in &rows {
            let role = match row.role {
                Some(ThresholdRole::Ok) => "  OK ends here",
                Some(ThresholdRole::Ng) => "  NG begins here",
                Some(ThresholdRole::Both) => "  OK ends and NG begins here",
                None => "",
            };
            let [passed, stopped] = [(row.escapes, c.defective), (row.false_alarms, c.good)]
                .map(|(count, of)| format!("{count} of {of}"));
            writeln!(out, "{:>12.3}  {passed:>16}  {stopped:>16}{role}", row.threshold)?;
        }
    }
    let commands = what_to_try(args, header, conclusion, lower_end_of_ok(&rows, c.good));
    if !commands.is_empty() {
        writeln!(out, "\nnext")?;
        commands.iter().try_for_each(|command| writeln!(out, "  {command}"))?;
    }
    writeln!(out)
}

/// Commands worth typing after this result, each as it stands.
fn what_to_try(
    args: &EvaluateArgs,
    header: &Header,
    conclusion: Conclusion,
    lower: Option<f32>,
) -> Vec<String> {
    let model = quoted(&args.model);
    let mut commands = Vec::new();
    if conclusion.is_foreign {
        return commands;
    }
    let held_out = header.training.split.as_ref().map_or(0, |split| split.of_role(Role::HeldOut).count());
    if let (None, Some(rate)) = (&header.calibration, strongest_promise(held_out, CONFIDENCE)) {
        commands.push(format!("bgad calibrate {model} --max-false-alarms {}", rate_as_typed(rate)));
    }
    if let Some(ok) = lower {
        let tried = quoted(&args.model.with_extension("stricter.bgad"));
        let ng = header.thresholds.ng;
        commands.push(format!("bgad calibrate {model} -o {tried} --ok={ok:.3} --ng={ng:.3}"));
    }
    if args.report.is_none() && (conclusion.escapes > 0 || conclusion.stopped > 0) {
        let split = args.split.as_ref().map_or(String::new(), |file| format!(" --split {}", quoted(file)));
        commands.push(format!("bgad evaluate {model} {}{split} --report report.html", quoted(&args.data)));
    }
    commands
}

fn table(out: &mut impl Write, evaluation: &Evaluation) -> io::Result<()> {
    let e = evaluation;
    let c = &e.counts;
    let percent = |share: Option<f64>| match share {
        Some(share) => format!("{:6.2}", 100.0 * share),
        None => format!("{:>6}", "-"),
    };
    writeln!(out, "{:<22}{:>6}  {:>6}", "percent", "image", "pixel")?;
    let rows = [
        ("AUROC", e.image_auroc, e.pixel_auroc),
        ("average precision", e.image_ap, e.pixel_ap),
        ("F1 at best threshold", e.image_f1_max, e.pixel_f1_max),
    ];
    for (name, image, pixel) in rows {
        writeln!(out, "{name:<22}{}  {}", percent(image), percent(pixel))?;
    }
    let rows = [("AUPRO to FPR 0.30", e.aupro), ("AUPRO to FPR 0.05", e.aupro_05)];
    for (name, pixel) in rows {
        writeln!(out, "{name:<22}{:>6}  {}", "", percent(pixel))?;
    }
    if !e.by_type.is_empty() {
        writeln!(out, "\nimage AUROC by type of defect")?;
        let widest = e.by_type.keys().map(|name| name.chars().count()).max().unwrap_or(0).max(20);
        for (name, auroc) in &e.by_type {
            writeln!(out, "  {name:<widest$}{}", percent(*auroc))?;
        }
    }
    writeln!(out, "\n{:<22}{:>6}  {:>6}  {:>6}  {:>6}", "images", "all", "OK", "REVIEW", "NG")?;
    for (name, all, ok, ng) in
        [("good", c.good, c.good_ok, c.good_ng), ("defective", c.defective, c.defective_ok, c.defective_ng)]
    {
        writeln!(out, "{name:<22}{all:>6}  {ok:>6}  {:>6}  {ng:>6}", all - ok - ng)?;
    }
    writeln!(out, "\n{:.1} ms per image", 1e3 * e.secs_per_image)
}

/// Why some figures are not there.
fn what_is_missing(evaluation: &Evaluation) -> Vec<String> {
    let c = &evaluation.counts;
    let mut reasons = Vec::new();
    if c.good == 0 {
        reasons.push("no good image to test on: image figures need good and defective images".to_owned());
    }
    if c.defective == 0 {
        reasons.push(
            "no defective image to test on: figures that compare good and defective cannot be computed"
                .to_owned(),
        );
    }
    if c.defective > 0 && c.without_mask == c.defective {
        reasons.push("no defective image has a mask: pixel figures cannot be computed".to_owned());
    } else if c.without_mask > 0 {
        reasons.push(format!(
            "{} defective images have no mask: they count for image figures only",
            c.without_mask
        ));
    }
    reasons
}
