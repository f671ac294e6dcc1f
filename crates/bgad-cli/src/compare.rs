//! `bgad compare`: two models on the same images.

use std::io::{self, Write as _};

use bgad::comparison::{self, Comparison};
use bgad::detector::Detector;
use bgad::evaluation::{self, Event, Scoring};
use bgad::model::Model;
use serde::Serialize;

use crate::args::CompareArgs;
use crate::evaluate::{left_out, test_set};
use crate::exit::Outcome;
use crate::failure::{self, Failure, say};
use crate::progress::CountProgress;
use crate::{machine, out, product};

pub(crate) fn run(args: &CompareArgs) -> Result<Outcome, Failure> {
    product::check(args.json.as_deref())?;
    machine::use_threads(args.threads)?;
    let detectors = [&args.first, &args.second]
        .map(|path| -> Result<Detector, Failure> { Ok(Detector::new(&Model::open(path)?)?) });
    let [first, second] = detectors;
    let detectors = [first?, second?];
    let test = test_set(&args.data, args.split.as_deref(), &[detectors[0].header(), detectors[1].header()])?;
    if test.known > 0 {
        say(format_args!("{} left out: one of the models knows them", left_out(test.known)));
    }
    let total = test.len();
    if total == 0 {
        return Err(format!("{}: there is no image that neither model knows", args.data.display()).into());
    }
    let progress = CountProgress::new("scoring images", 2 * total);
    let mut evaluations = Vec::new();
    for (i, detector) in detectors.iter().enumerate() {
        let mut on_event = |event: Event<'_>| match event {
            Event::Scored { done, .. } => progress.set(i * total + done),
            Event::Skipped(error) if i == 0 => {
                progress.say(&format!("skipped: {}", failure::chain(error)));
            }
            Event::Skipped(_) => {}
        };
        evaluations.push(evaluation::evaluate(
            detector,
            &test.good,
            &test.bad,
            Scoring::Frozen,
            &mut on_event,
        )?);
    }
    drop(progress);
    let draws = args.draws as usize;
    let found = comparison::compare(&evaluations[0], &evaluations[1], args.confidence, draws, args.seed);
    if let Some(path) = &args.json {
        product::write(path, json(&found)?)?;
    }
    print(&found)?;
    let skipped = evaluations[0].counts.skipped;
    if skipped > 0 {
        say(failure::skipped(skipped, "the comparison is without them"));
    }
    Ok(Outcome::of(0, skipped))
}

fn print(found: &Comparison) -> io::Result<()> {
    let mut out = out::text();
    match (found.auroc, found.difference) {
        (Some([a, b]), Some(difference)) => {
            writeln!(out, "image AUROC  {:.2} % and {:.2} %", 100.0 * a, 100.0 * b)?;
            writeln!(
                out,
                "difference   {:+.2} points, between {:+.2} and {:+.2} with {} % confidence: {}",
                100.0 * difference.value,
                100.0 * difference.at_least,
                100.0 * difference.at_most,
                100.0 * difference.confidence,
                if difference.at_least > 0.0 {
                    "the second is better"
                } else if difference.at_most < 0.0 {
                    "the first is better"
                } else {
                    "it may be chance"
                }
            )?;
        }
        _ => writeln!(out, "image AUROC  not defined: it needs good and defective images")?,
    }
    writeln!(out, "verdicts     {} of {} images changed", found.changed.len(), found.images)?;
    if !found.changed.is_empty() {
        writeln!(out, "\n{:<18}{:>9}  {:>9}  {:<12}  file", "verdict", "first", "second", "truth")?;
    }
    for changed in &found.changed {
        let (before, after) = (&changed.before, &changed.after);
        let verdicts = format!("{} -> {}", before.verdict, after.verdict);
        let truth = before.sample.kind.defect().unwrap_or("good");
        let file = before.sample.path.display();
        writeln!(out, "{verdicts:<18}{:>9.3}  {:>9.3}  {truth:<12}  {file}", before.score, after.score)?;
    }
    out.flush()
}

#[derive(Serialize)]
struct Page<'a> {
    #[serde(flatten)]
    comparison: &'a Comparison,
    changed: Vec<Row<'a>>,
}

#[derive(Serialize)]
struct Row<'a> {
    file: String,
    truth: &'a str,
    verdicts: [bgad::verdict::Verdict; 2],
    scores: [f32; 2],
}

fn json(found: &Comparison) -> Result<String, serde_json::Error> {
    let rows = found.changed.iter().map(|changed| Row {
        file: changed.before.sample.path.to_string_lossy().into_owned(),
        truth: changed.before.sample.kind.defect().unwrap_or("good"),
        verdicts: [changed.before.verdict, changed.after.verdict],
        scores: [changed.before.score, changed.after.score],
    });
    let mut text = serde_json::to_string_pretty(&Page { comparison: found, changed: rows.collect() })?;
    text.push('\n');
    Ok(text)
}
