//! Charts: inline SVG with a title, and the numbers in a table behind each.

use bgad::evaluation::ScoredImage;
use bgad::metrics::{OperatingPoint, Ranking};

use super::{Report, percent};
use crate::page::escaped;

/// Size of a chart, in its own units: on a narrow screen about a pixel each.
const WIDTH: f64 = 440.0;
const HEIGHT: f64 = 300.0;
/// The frame: left, top, right, bottom.
const FRAME: [f64; 4] = [48.0, 14.0, WIDTH - 14.0, HEIGHT - 42.0];
/// Points of a line at most; rows of a table at most.
const POINTS: usize = 300;
const ROWS: usize = 24;
/// Bars of the histogram.
const BINS: usize = 36;

pub(super) fn all(report: &Report<'_>) -> String {
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
    charts.push(training(report));
    format!(
        "<section>\n<h2>Scores and curves</h2>\n<div class=\"charts\">\n{}</div>\n</section>\n",
        charts.concat()
    )
}

/// A picture being drawn: `x` and `y` are shares of the frame, from left and from below.
struct Plot {
    svg: String,
}

impl Plot {
    fn new(name: &str, title: &str, description: &str) -> Plot {
        let [left, top, right, bottom] = FRAME;
        Plot {
            svg: format!(
                "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-labelledby=\"{name}-t {name}-d\">\n\
                 <title id=\"{name}-t\">{title}</title>\n<desc id=\"{name}-d\">{}</desc>\n\
                 <path class=\"axis\" d=\"M{left} {top}V{bottom}H{right}\"/>\n",
                escaped(description)
            ),
        }
    }

    fn at(x: f64, y: f64) -> (f64, f64) {
        let [left, top, right, bottom] = FRAME;
        (left + x * (right - left), bottom - y * (bottom - top))
    }

    /// Numbers along the bottom and what they are.
    fn across(&mut self, ticks: &[(f64, String)], label: &str) {
        let [left, _, right, bottom] = FRAME;
        for (x, text) in ticks {
            let (x, _) = Plot::at(*x, 0.0);
            self.svg += &format!("<path class=\"axis\" d=\"M{x:.1} {bottom}v4\"/>\n");
            // The last would reach over the edge.
            let anchor = if x > right - 8.0 { "end" } else { "middle" };
            self.text((x.min(right + 8.0), bottom + 17.0), anchor, "tick", text);
        }
        self.text(((left + right) / 2.0, bottom + 35.0), "middle", "label", label);
    }

    /// Numbers along the left.
    fn up(&mut self, ticks: &[(f64, String)]) {
        let [left, _, right, _] = FRAME;
        for (y, text) in ticks {
            let (_, y) = Plot::at(0.0, *y);
            self.svg += &format!("<path class=\"grid\" d=\"M{left} {y:.1}H{right}\"/>\n");
            self.text((left - 6.0, y + 4.0), "end", "tick", text);
        }
    }

    fn text(&mut self, (x, y): (f64, f64), anchor: &str, class: &str, text: &str) {
        self.svg += &format!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" class=\"{class}\">{}</text>\n",
            escaped(text)
        );
    }

    fn line(&mut self, points: impl IntoIterator<Item = (f64, f64)>, class: &str) {
        let path: Vec<String> = points
            .into_iter()
            .map(|(x, y)| {
                let (x, y) = Plot::at(x, y);
                format!("{x:.1} {y:.1}")
            })
            .collect();
        if !path.is_empty() {
            self.svg += &format!("<path class=\"{class}\" d=\"M{}\"/>\n", path.join("L"));
        }
    }

    /// A dot with its name beside it, on the side where there is room.
    fn dot(&mut self, x: f64, y: f64, below: f64, name: &str) {
        let (at_x, at_y) = Plot::at(x, y);
        self.svg += &format!("<circle class=\"dot\" cx=\"{at_x:.1}\" cy=\"{at_y:.1}\" r=\"5\"/>\n");
        let (anchor, aside) = if x > 0.6 { ("end", -10.0) } else { ("start", 10.0) };
        let at_y = (at_y + below).clamp(FRAME[1] + 12.0, FRAME[3] - 6.0);
        self.text((at_x + aside, at_y), anchor, "name", name);
    }

    /// Lines from top to bottom, each with its name at a height of its own; names go over all lines.
    fn rules(&mut self, rules: &[Rule]) {
        let [_, top, _, bottom] = FRAME;
        for rule in rules {
            let (x, _) = Plot::at(rule.x, 0.0);
            self.svg += &format!("<path class=\"{}\" d=\"M{x:.1} {top}V{bottom}\"/>\n", rule.class);
        }
        for rule in rules {
            let (x, _) = Plot::at(rule.x, 0.0);
            let (anchor, aside) = if rule.x > 0.5 { ("end", -4.0) } else { ("start", 4.0) };
            self.text((x + aside, rule.y), anchor, "name", &rule.name);
        }
    }

    /// A bar from `low` to `high`.
    fn bar(&mut self, [left, right]: [f64; 2], [low, high]: [f64; 2], class: &str) {
        let ((x, y), (to, bottom)) = (Plot::at(left, high), Plot::at(right, low));
        self.svg += &format!(
            "<rect class=\"{class}\" x=\"{:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{:.1}\"/>\n",
            x + 0.5,
            (to - x - 1.0).max(0.5),
            bottom - y
        );
    }

    /// The figure: heading, picture, words, table.
    fn figure(self, title: &str, words: &str, table: &Table) -> String {
        format!(
            "<figure class=\"chart\">\n<h3>{title}</h3>\n{}</svg>\n<figcaption>{words}</figcaption>\n<details>\n<summary>As a \
             table</summary>\n{}</details>\n</figure>\n",
            self.svg,
            table.html()
        )
    }
}

/// A line across a chart, see [`Plot::rules`].
struct Rule {
    x: f64,
    class: &'static str,
    name: String,
    y: f64,
}

/// What a chart shows, in numbers.
struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    fn html(&self) -> String {
        let head: String =
            self.head.iter().map(|h| format!("<th scope=\"col\">{}</th>", escaped(h))).collect();
        let rows: String = self
            .rows
            .iter()
            .map(|row| {
                let cells: String = row
                    .iter()
                    .enumerate()
                    .map(|(i, cell)| match i {
                        0 => format!("<th scope=\"row\">{}</th>", escaped(cell)),
                        _ => format!("<td>{}</td>", escaped(cell)),
                    })
                    .collect();
                format!("<tr>{cells}</tr>\n")
            })
            .collect();
        format!(
            "<div class=\"scroll\"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table></div>\n"
        )
    }
}

/// At most `most` of the items, the ends included.
fn some<T: Copy>(items: &[T], most: usize) -> Vec<T> {
    if items.len() <= most {
        return items.to_vec();
    }
    (0..most).map(|i| items[i * (items.len() - 1) / (most - 1)]).collect()
}

fn shares() -> Vec<(f64, String)> {
    (0..=4).map(|i| (f64::from(i) / 4.0, format!("{} %", 25 * i))).collect()
}

/// Scores of good images upwards and of defective ones downwards, with what divides them.
fn histogram(report: &Report<'_>) -> String {
    let thresholds = report.detector.header().thresholds;
    let [b_n, b_a] = report.boundary_scores();
    let axis = Axis::of(report, [thresholds.ok, thresholds.ng, b_n, b_a]);
    let images = &report.evaluation.images;
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
    let [left, top, _, bottom] = FRAME;
    let middle = (top + bottom) / 2.0;
    plot.svg += &format!(
        "<text transform=\"translate({:.1} {:.1}) rotate(-90)\" text-anchor=\"middle\" class=\"name good-text\">good</text>\n\
         <text transform=\"translate({:.1} {:.1}) rotate(-90)\" text-anchor=\"middle\" class=\"name bad-text\">defective</text>\n",
        left - 12.0,
        (top + middle) / 2.0,
        left - 12.0,
        (middle + bottom) / 2.0
    );
    let rule = |score: f32, class, name: &str, y| Rule {
        x: axis.share(score),
        class,
        name: format!("{name} {score:.2}"),
        y,
    };
    let mut rules = vec![
        rule(thresholds.ok, "threshold", "OK up to", top + 10.0),
        rule(thresholds.ng, "threshold", "NG above", top + 25.0),
    ];
    if b_n.is_finite() && b_a.is_finite() {
        rules.push(rule(b_n, "boundary", "b_n", bottom - 20.0));
        rules.push(rule(b_a, "boundary", "b_a", bottom - 5.0));
    }
    plot.rules(&rules);
    plot.across(&axis.ticks(), "image score, nats (scale of square roots)");
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
    plot.figure(
        "Scores",
        "Bars are shares of their own kind. b_n and b_a: what an image scores whose every position lies on that boundary.",
        &table,
    )
}

/// Scores on a scale of square roots, since they reach far.
struct Axis {
    low: f64,
    high: f64,
}

impl Axis {
    fn of(report: &Report<'_>, more: [f32; 4]) -> Axis {
        let scores = report.evaluation.images.iter().map(|image: &ScoredImage| image.score);
        let finite = scores.chain(more).filter(|score| score.is_finite()).map(f64::from);
        let (low, high) = finite.fold((f64::MAX, f64::MIN), |(low, high), s| (low.min(s), high.max(s)));
        let margin = 0.03 * (high - low).max(0.1);
        Axis { low: low - margin, high: high + margin }
    }

    fn share(&self, score: f32) -> f64 {
        ((f64::from(score) - self.low).max(0.0) / (self.high - self.low)).sqrt().clamp(0.0, 1.0)
    }

    fn nats(&self, share: f64) -> f64 {
        self.low + share * share * (self.high - self.low)
    }

    /// Round numbers that do not crowd.
    fn ticks(&self) -> Vec<(f64, String)> {
        let mut ticks: Vec<(f64, String)> = Vec::new();
        let round = (-1..6).flat_map(|power| [1.0, 2.0, 3.0, 5.0, 7.0].map(|n| n * 10f64.powi(power)));
        for nats in std::iter::once(0.0).chain(round).filter(|n| (self.low..=self.high).contains(n)) {
            let x = self.share(nats as f32);
            if ticks.last().is_none_or(|(last, _)| x - last > 0.08) && x < 0.985 {
                ticks.push((x, format!("{nats}")));
            }
        }
        ticks
    }
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

fn roc(report: &Report<'_>, curve: &[OperatingPoint]) -> String {
    let auroc = report.evaluation.image_auroc.map_or("–".to_owned(), |a| format!("{:.1} %", 100.0 * a));
    let mut plot = Plot::new("roc", "ROC curve", &format!("Recall over false alarms; area {auroc}."));
    plot.up(&shares());
    plot.line([(0.0, 0.0), (1.0, 1.0)], "chance");
    let points = some(curve, POINTS).into_iter().map(|p| (p.false_positive_rate, p.recall));
    plot.line([(0.0, 0.0)].into_iter().chain(points).chain([(1.0, 1.0)]), "curve");
    for (name, rate, recall, _) in marks(report) {
        plot.dot(rate, recall, 16.0, name);
    }
    plot.across(&shares(), "good images stopped (false alarms)");
    let c = &report.evaluation.counts;
    plot.figure(
        &format!("ROC <small>area {auroc}</small>"),
        &format!(
            "Defects found over good images stopped, for every threshold; dots are the thresholds in force, which find {} \
             and {}.",
            percent(c.defective - c.defective_ok, c.defective),
            percent(c.defective_ng, c.defective)
        ),
        &curve_table(curve),
    )
}

fn precision_recall(report: &Report<'_>, curve: &[OperatingPoint]) -> String {
    let ap = report.evaluation.image_ap.map_or("–".to_owned(), |a| format!("{:.1} %", 100.0 * a));
    let mut plot =
        Plot::new("pr", "Precision over recall", &format!("Precision over recall; average precision {ap}."));
    plot.up(&shares());
    let points = some(curve, POINTS);
    plot.line(points.iter().map(|p| (p.recall, p.precision)), "curve");
    for (name, _, recall, precision) in marks(report) {
        if recall > 0.0 {
            plot.dot(recall, precision, 18.0, name);
        }
    }
    plot.across(&shares(), "defects found (recall)");
    let c = &report.evaluation.counts;
    plot.figure(
        &format!("Precision and recall <small>average precision {ap}</small>"),
        &format!(
            "Which share of the alarms is right. It depends on how common defects are: here {} of all images.",
            percent(c.defective, c.good + c.defective)
        ),
        &curve_table(curve),
    )
}

/// The loss of every level over the passes.
fn training(report: &Report<'_>) -> String {
    let losses = &report.detector.header().training.losses;
    let levels = losses.first().map_or(0, Vec::len);
    let finite = losses.iter().flatten().copied().filter(|loss| loss.is_finite()).map(f64::from);
    let (low, high) = finite.fold((f64::MAX, f64::MIN), |(low, high), l| (low.min(l), high.max(l)));
    if levels == 0 || low > high {
        return String::new();
    }
    let span = (high - low).max(1e-6);
    let mut plot = Plot::new(
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
            names.push((Plot::at(end.0, end.1), format!("level {}", level + 1)));
        }
    }
    // Above the end of its line each, pushed down where it would lie on the one before.
    names.sort_by(|a, b| a.0.1.total_cmp(&b.0.1));
    let mut lowest = f64::NEG_INFINITY;
    for ((x, y), name) in names {
        lowest = (y - 6.0).max(lowest + 14.0).max(FRAME[1] + 10.0);
        plot.text((x, lowest), "end", "name", &name);
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
    plot.figure(
        "Training",
        "Mean loss of a step, for each level of features, finest first.",
        &Table { head, rows },
    )
}

fn passes_of_table(passes: usize) -> Vec<usize> {
    let mut shown = some(&(0..passes).collect::<Vec<_>>(), ROWS);
    shown.dedup();
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selection_keeps_both_ends() {
        let items: Vec<usize> = (0..1000).collect();
        let few = some(&items, 24);
        assert_eq!((few.len(), few[0], few[23]), (24, 0, 999));
        assert_eq!(some(&items[..3], 24), [0, 1, 2]);
        assert!(some::<usize>(&[], 24).is_empty());
    }

    #[test]
    fn the_axis_of_square_roots_goes_both_ways() {
        let axis = Axis { low: -0.5, high: 30.0 };
        for share in [0.0, 0.1, 0.5, 1.0] {
            assert!((axis.share(axis.nats(share) as f32) - share).abs() < 1e-5);
        }
        assert_eq!((axis.share(-9.0), axis.share(f32::INFINITY), axis.share(f32::NAN)), (0.0, 1.0, 0.0));
        let ticks = axis.ticks();
        assert!(ticks.len() > 4 && ticks.windows(2).all(|pair| pair[1].0 - pair[0].0 > 0.05), "{ticks:?}");
    }
}
