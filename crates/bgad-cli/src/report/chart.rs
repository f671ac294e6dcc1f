//! The charts of the report.

use bgad::metrics::{OperatingPoint, Ranking};
use maud::{Markup, html};

use super::{Report, percent};
use crate::chart::{Plot, Rule, Size, Table, some};
use crate::score_axis::ScoreAxis;

/// On a narrow screen a unit is about a pixel.
const SIZE: Size = Size { width: 440.0, height: 300.0, frame: [48.0, 14.0, 426.0, 258.0] };
/// Points of a line at most; rows of a table at most.
const POINTS: usize = 300;
const ROWS: usize = 24;
/// Bars of the histogram.
const BINS: usize = 36;

pub(super) fn all(report: &Report<'_>) -> Markup {
    let (scores, labels): (Vec<f32>, Vec<bool>) =
        report.evaluation.images.iter().map(|i| (i.score, i.sample.kind.defect().is_some())).unzip();
    // Scores that are no numbers end an evaluation.
    let curve = Ranking::of(&scores, &labels).map(|ranking| ranking.curve()).unwrap_or_default();
    let mut charts = vec![histogram(report)];
    let counts = &report.evaluation.counts;
    if counts.good > 0 && counts.defective > 0 {
        charts.push(roc(report, &curve));
        charts.push(precision_recall(report, &curve));
    }
    charts.extend(training(report));
    html! {
        section {
            h2 { "Scores and curves" }
            div.charts { @for chart in &charts { (chart) } }
        }
    }
}

fn shares() -> Vec<(f64, String)> {
    (0..=4).map(|i| (f64::from(i) / 4.0, format!("{} %", 25 * i))).collect()
}

/// Scores of good images upwards and of defective ones downwards, with what divides them.
fn histogram(report: &Report<'_>) -> Markup {
    let thresholds = report.detector.header().thresholds;
    let [b_n, b_a] = report.boundary_scores();
    let images = &report.evaluation.images;
    let scores = images.iter().map(|image| image.score).chain([b_n, b_a]);
    let axis = ScoreAxis::of(report.detector.header(), scores);
    let count = |bad: bool| -> Vec<usize> {
        let mut bins = vec![0; BINS];
        for image in images.iter().filter(|image| image.sample.kind.defect().is_some() == bad) {
            bins[((axis.share(image.score) * BINS as f64) as usize).min(BINS - 1)] += 1;
        }
        bins
    };
    let (good, bad) = (count(false), count(true));
    let c = &report.evaluation.counts;
    let part = |count: usize, of: usize| count as f64 / of.max(1) as f64;
    let highest = good.iter().map(|&n| part(n, c.good)).chain(bad.iter().map(|&n| part(n, c.defective)));
    let highest = highest.fold(1e-9, f64::max);

    let mut plot = Plot::new(
        SIZE,
        "scores",
        "Scores of good and defective images",
        &format!(
            "{} good images upwards, {} defective ones downwards. OK threshold {:.2}, NG threshold {:.2}.",
            c.good, c.defective, thresholds.ok, thresholds.ng
        ),
    );
    // Names need rows of their own above and below the bars.
    let scale = |share: f64| 0.37 * share / highest;
    for bin in 0..BINS {
        let x = [bin as f64 / BINS as f64, (bin + 1) as f64 / BINS as f64];
        if good[bin] > 0 {
            plot.bar(x, [0.5, 0.5 + scale(part(good[bin], c.good))], "good");
        }
        if bad[bin] > 0 {
            plot.bar(x, [0.5 - scale(part(bad[bin], c.defective)), 0.5], "bad");
        }
    }
    plot.line([(0.0, 0.5), (1.0, 0.5)], "axis");
    plot.upwards(0.75, "name good-text", "good");
    plot.upwards(0.25, "name bad-text", "defective");
    let rule = |score: f32, class, name: String, low| Rule { x: axis.share(score), class, name, low };
    let mut rules = vec![
        rule(thresholds.ok, "threshold", format!("OK up to {:.2}", thresholds.ok), false),
        rule(thresholds.ng, "threshold", format!("NG above {:.2}", thresholds.ng), false),
    ];
    let edges = b_n.is_finite() && b_a.is_finite();
    if edges {
        rules.push(rule(b_n, "boundary", "edge of normal".to_owned(), true));
        rules.push(rule(b_a, "boundary", "edge of defective".to_owned(), true));
    }
    plot.rules(&rules);
    plot.across(&axis.ticks(), "image score, nats (even around good parts, then logarithmic)");
    let rows = (0..BINS)
        .filter(|&bin| good[bin] + bad[bin] > 0)
        .map(|bin| {
            let edge = |i: usize| axis.nats(i as f64 / BINS as f64);
            vec![
                format!("{:.2} to {:.2}", edge(bin), edge(bin + 1)),
                good[bin].to_string(),
                bad[bin].to_string(),
            ]
        })
        .collect();
    let table = Table { head: ["Score", "good", "defective"].map(str::to_owned).to_vec(), rows };
    let dashed = match edges {
        true => " Dashed: where the training drew its two edges.",
        false => "",
    };
    let words = format!("How good and defective images score. Bars are shares of their own kind.{dashed}");
    plot.figure(html! { "Scores" }, &words, &table)
}

/// What an alarm at REVIEW or NG, and at NG alone, gives: false-positive rate, recall, precision.
fn marks(report: &Report<'_>) -> [(&'static str, f64, f64, f64); 2] {
    let c = &report.evaluation.counts;
    let mark = |name, false_alarms: usize, found: usize| {
        let share = |part: usize, whole: usize| part as f64 / whole.max(1) as f64;
        (name, share(false_alarms, c.good), share(found, c.defective), share(found, found + false_alarms))
    };
    [
        mark("REVIEW or NG", c.good - c.good_ok, c.defective - c.defective_ok),
        mark("NG", c.good_ng, c.defective_ng),
    ]
}

fn curve_table(curve: &[OperatingPoint]) -> Table {
    let share = |share: f64| format!("{:.1} %", 100.0 * share);
    Table {
        head: ["Score at least", "false alarms", "recall", "precision"].map(str::to_owned).to_vec(),
        rows: some(curve, ROWS)
            .iter()
            .map(|p| {
                vec![
                    format!("{:.3}", p.threshold),
                    share(p.false_positive_rate),
                    share(p.recall),
                    share(p.precision),
                ]
            })
            .collect(),
    }
}

fn roc(report: &Report<'_>, curve: &[OperatingPoint]) -> Markup {
    let auroc = report.evaluation.image_auroc.map_or("–".to_owned(), |a| format!("{:.1} %", 100.0 * a));
    let description = format!("Recall over false alarms; area {auroc}.");
    let mut plot = Plot::new(SIZE, "roc", "ROC curve", &description);
    plot.up(&shares());
    plot.line([(0.0, 0.0), (1.0, 1.0)], "chance");
    let points = some(curve, POINTS).into_iter().map(|p| (p.false_positive_rate, p.recall));
    plot.line([(0.0, 0.0)].into_iter().chain(points).chain([(1.0, 1.0)]), "curve");
    for (name, rate, recall, _) in marks(report) {
        plot.dot(rate, recall, 5.0, "dot", name);
        plot.name_near(rate, recall, name);
    }
    plot.across(&shares(), "good images stopped (false alarms)");
    let c = &report.evaluation.counts;
    plot.figure(
        html! { "Found and stopped " small { "ROC curve, area " (auroc) } },
        &format!(
            "Defects found over good images stopped, for every threshold; dots are the thresholds in force, which find {} \
             and {}.",
            percent(c.defective - c.defective_ok, c.defective),
            percent(c.defective_ng, c.defective)
        ),
        &curve_table(curve),
    )
}

fn precision_recall(report: &Report<'_>, curve: &[OperatingPoint]) -> Markup {
    let ap = report.evaluation.image_ap.map_or("–".to_owned(), |a| format!("{:.1} %", 100.0 * a));
    let description = format!("Precision over recall; average precision {ap}.");
    let mut plot = Plot::new(SIZE, "pr", "Precision over recall", &description);
    plot.up(&shares());
    let points = some(curve, POINTS);
    plot.line(points.iter().map(|p| (p.recall, p.precision)), "curve");
    for (name, _, recall, precision) in marks(report) {
        if recall > 0.0 {
            plot.dot(recall, precision, 5.0, "dot", name);
            plot.name_near(recall, precision, name);
        }
    }
    plot.across(&shares(), "defects found (recall)");
    let c = &report.evaluation.counts;
    plot.figure(
        html! { "Alarms that are right " small { "average precision " (ap) } },
        &format!(
            "Which share of the alarms is right. It depends on how common defects are: here {} of all images.",
            percent(c.defective, c.good + c.defective)
        ),
        &curve_table(curve),
    )
}

/// The loss of every level over the passes.
fn training(report: &Report<'_>) -> Option<Markup> {
    let losses = &report.detector.header().training.losses;
    let levels = losses.first().map_or(0, Vec::len);
    let finite = losses.iter().flatten().copied().filter(|loss| loss.is_finite()).map(f64::from);
    let (low, high) = finite.fold((f64::MAX, f64::MIN), |(low, high), l| (low.min(l), high.max(l)));
    if levels == 0 || low > high {
        return None;
    }
    let span = (high - low).max(1e-6);
    let mut plot = Plot::new(
        SIZE,
        "training",
        "Loss in training",
        &format!("Mean loss of each of {levels} levels over {} passes.", losses.len()),
    );
    let ticks: Vec<(f64, String)> =
        (0..=4).map(|i| f64::from(i) / 4.0).map(|y| (y, format!("{:.2}", low + y * span))).collect();
    plot.up(&ticks);
    // One pass is a point in the middle.
    let x = |pass: usize| if losses.len() == 1 { 0.5 } else { pass as f64 / (losses.len() - 1) as f64 };
    let mut names = Vec::new();
    for level in 0..levels {
        let points = losses.iter().enumerate().filter_map(|(pass, loss)| {
            let loss = f64::from(*loss.get(level)?);
            loss.is_finite().then(|| (x(pass), (loss - low) / span))
        });
        let points: Vec<(f64, f64)> = points.collect();
        plot.line(points.iter().copied(), &format!("level level{}", level.min(2)));
        if let Some(&end) = points.last() {
            names.push((end, format!("level {}", level + 1)));
        }
    }
    for ((x, y), name) in names {
        plot.name_near(x, y, &name);
    }
    let mut passes: Vec<usize> = some(&(0..losses.len()).collect::<Vec<_>>(), 6);
    passes.dedup();
    let ticks: Vec<(f64, String)> = passes.iter().map(|&pass| (x(pass), (pass + 1).to_string())).collect();
    plot.across(&ticks, "pass");
    let mut head = vec!["Pass".to_owned()];
    head.extend((1..=levels).map(|level| format!("level {level}")));
    let rows = passes_of_table(losses.len())
        .into_iter()
        .map(|pass| {
            let mut row = vec![(pass + 1).to_string()];
            row.extend(losses[pass].iter().map(|loss| format!("{loss:.4}")));
            row
        })
        .collect();
    let words = "How training went: the mean loss of a step, for each level of features, finest first.";
    Some(plot.figure(html! { "Training" }, words, &Table { head, rows }))
}

fn passes_of_table(passes: usize) -> Vec<usize> {
    let mut shown = some(&(0..passes).collect::<Vec<_>>(), ROWS);
    shown.dedup();
    shown
}
