//! `bgad evaluate`: the figures of a model on images with known answers.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use bgad::dataset::{Dataset, Layout, Sample, Split, content_hash};
use bgad::detector::Detector;
use bgad::durable;
use bgad::evaluation::{self, Evaluation, Event, Scoring};
use bgad::model::{Header, Model};
use rayon::prelude::*;

use crate::args::EvaluateArgs;
use crate::exit::Outcome;
use crate::failure::{self, Failure, context, say};
use crate::machine;
use crate::progress::CountProgress;
use crate::report::Report;
use crate::shell::quoted;

pub(crate) fn run(args: &EvaluateArgs) -> Result<Outcome, Failure> {
    if args.report.is_some() && args.scoring == Scoring::Authors {
        return Err("a report is about the model's own scores: leave out --scoring authors".into());
    }
    let isa = machine::isa()?;
    machine::use_threads(args.threads)?;
    let detector = Detector::new(&Model::open(&args.model)?, isa)?;
    let test = TestSet::find(&args.data, args.split.as_deref(), &[detector.header()])?;
    if test.known > 0 {
        let calibrated = detector.header().calibration.as_ref().is_some_and(|c| !c.images_sha256.is_empty());
        let what_with = if calibrated { "trained on or calibrated with" } else { "trained on" };
        say(format_args!("{} images were left out: the model was {} them", test.known, what_with));
    }
    let total = test.good.len() + test.bad.len();
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

    let mut out = io::stdout().lock();
    table(&mut out, &evaluation)?;
    out.flush()?;
    if let Some(path) = &args.json {
        let mut text = serde_json::to_string_pretty(&evaluation)?;
        text.push('\n');
        write(path, &text)?;
    }
    if let Some(path) = &args.report {
        let report = Report {
            command: command(args),
            model: &args.model,
            data: &args.data,
            detector: &detector,
            evaluation: &evaluation,
            trained_on: test.known,
            skipped: &skipped,
        };
        write(path, &report.html()?)?;
        say(format_args!("report: {}", path.display()));
    }
    for reason in what_is_missing(&evaluation) {
        say(format_args!("note: {reason}"));
    }
    if evaluation.counts.skipped > 0 {
        say(format_args!(
            "{} files were skipped, see above; the figures are without them",
            evaluation.counts.skipped
        ));
        return Ok(Outcome::Incomplete);
    }
    Ok(Outcome::Fine)
}

pub(crate) fn write(path: &Path, text: &str) -> Result<(), Failure> {
    durable::replace(path, text.as_bytes())
        .map_err(|error| context(format!("cannot write {}", path.display()), error))
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

/// The images to test on.
pub(crate) struct TestSet {
    pub(crate) good: Vec<Sample>,
    pub(crate) bad: Vec<Sample>,
    /// How many were left out because a model knows them.
    pub(crate) known: usize,
}

impl TestSet {
    /// The test images of a data folder or a split that none of the models was trained on or calibrated with.
    pub(crate) fn find(data: &Path, split: Option<&Path>, models: &[&Header]) -> Result<TestSet, Failure> {
        let (good, bad) = match split {
            Some(path) => {
                let split = Split::read(path, data)?;
                (split.test_good, split.test_bad)
            }
            None => {
                let dataset = Dataset::open(data)?;
                let good = match dataset.layout {
                    Layout::Mvtec => dataset.test_good,
                    // All are candidates: those trained on are recognised below.
                    Layout::Plain => dataset.train_good,
                };
                (good, dataset.test_bad)
            }
        };
        let before = good.len() + bad.len();
        let unseen = |samples: Vec<Sample>| -> Vec<Sample> {
            samples.into_par_iter().filter(|sample| !is_known(&sample.path, models)).collect()
        };
        let (good, bad) = (unseen(good), unseen(bad));
        Ok(TestSet { known: before - good.len() - bad.len(), good, bad })
    }
}

/// Whether one of the models knows a file of this content.
fn is_known(path: &Path, models: &[&Header]) -> bool {
    // A file that cannot be read is reported when it is to be scored.
    let hash = fs::read(path).map(|bytes| content_hash(&bytes));
    hash.is_ok_and(|hash| models.iter().any(|model| model.knows(&hash)))
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
