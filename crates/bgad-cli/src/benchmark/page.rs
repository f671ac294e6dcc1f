//! The table as a page, with curves over the number of known defects; nothing from elsewhere, no scripts.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::table::{COLUMNS, Row, Spread};
use crate::chart::{Plot, Size, Table};
use crate::page::{clean, document, glossary};

const STYLE: &str = include_str!("page.css");

const SIZE: Size = Size { width: 400.0, height: 250.0, frame: [52.0, 12.0, 386.0, 208.0] };

/// Words of this page that not everybody knows.
const WORDS: [&str; 4] = ["image AUROC", "AUPRO", "average precision", "known defect"];

/// The lines of a chart: class, name, place in [`COLUMNS`].
const LINES: [(&str, &str, usize); 2] = [("image", "image AUROC", 0), ("region", "AUPRO", 2)];

/// The whole page; `note` says what is missing.
pub(super) fn page(rows: &[Row], note: &str) -> String {
    let main = html! {
        h1 { "Benchmark" }
        p {
            "Percent at the last epoch; mean and standard deviation over seeds. Seen and unseen types: mean image AUROC over the \
             types of defect that were and were not learned from."
            @if !note.trim().is_empty() { " " b { (clean(note.trim())) } }
        }
        (charts(rows))
        h2 { "All figures" }
        (table(rows).html())
        (glossary(&WORDS))
    };
    document("bgad benchmark", &html! {}, STYLE, &main)
}

fn table(rows: &[Row]) -> Table {
    let head = ["Data", "setting", "method", "known defects", "seeds"];
    let row = |row: &Row| {
        let Row { data, setting, method, anomalies, seeds, figures, .. } = row;
        let first =
            [clean(data), clean(setting), method.to_string(), anomalies.to_string(), seeds.to_string()];
        let figures = figures.iter().map(|figure| figure.map_or("–".to_owned(), Spread::percent));
        first.into_iter().chain(figures).collect()
    };
    Table {
        head: head.into_iter().chain(COLUMNS).map(str::to_owned).collect(),
        rows: rows.iter().map(row).collect(),
    }
}

/// A chart for each data set and setting with at least two numbers of known defects.
fn charts(rows: &[Row]) -> Markup {
    let mut groups: BTreeMap<(&str, &str), Vec<&Row>> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.method == "bgad") {
        groups.entry((&row.data, &row.setting)).or_default().push(row);
    }
    groups.retain(|_, rows| rows.len() > 1);
    html! {
        @if !groups.is_empty() {
            h2 { "What known defects bring" }
            div.charts { @for (i, ((data, setting), rows)) in groups.iter().enumerate() {
                (chart(i, data, setting, rows))
            } }
        }
    }
}

fn chart(number: usize, data: &str, setting: &str, rows: &[&Row]) -> Markup {
    let points = |column: usize| -> Vec<(usize, usize, Spread)> {
        let spread = |(i, row): (usize, &&Row)| row.figures[column].map(|spread| (i, row.anomalies, spread));
        rows.iter().enumerate().filter_map(spread).collect()
    };
    let lowest = LINES
        .iter()
        .flat_map(|line| points(line.2))
        .map(|(_, _, s)| s.mean - s.std.unwrap_or(0.0))
        .fold(1.0, f64::min);
    // Whole steps of five points, never the whole range: differences should be seen, and the axis says where it starts.
    let low = ((lowest * 20.0).floor() / 20.0).clamp(0.0, 0.95);
    let x = |i: usize| (i as f64 + 0.5) / rows.len() as f64;
    let y = |value: f64| (value.clamp(low, 1.0) - low) / (1.0 - low);
    let name = format!("{}, {}", clean(data), clean(setting));
    let description = "Image AUROC and AUPRO over the number of known defects.";
    let mut plot = Plot::new(SIZE, format!("chart{number}"), &name, description);
    let ticks = [low, (low + 1.0) / 2.0, 1.0].map(|tick| (y(tick), format!("{:.1} %", 100.0 * tick)));
    plot.up(&ticks);
    let mut ends = Vec::new();
    for (class, line, column) in LINES {
        let points = points(column);
        plot.line(points.iter().map(|(i, _, s)| (x(*i), y(s.mean))), &format!("line {class}"));
        for (i, anomalies, spread) in &points {
            let std = spread.std.unwrap_or(0.0);
            let (from, to) = (y(spread.mean - std), y(spread.mean + std));
            plot.line([(x(*i), from), (x(*i), to)], &format!("whisker {class}"));
            let title = format!("{anomalies} known defects: {line} {}", spread.percent());
            plot.dot(x(*i), y(spread.mean), 3.5, class, &title);
        }
        ends.extend(points.last().map(|(i, _, spread)| ((x(*i), y(spread.mean)), line)));
    }
    for ((x, y), line) in ends {
        plot.name_near(x, y, line);
    }
    let ticks: Vec<(f64, String)> =
        rows.iter().enumerate().map(|(i, r)| (x(i), r.anomalies.to_string())).collect();
    plot.across(&ticks, "known defects");
    let row = |row: &&Row| {
        let figure = |line: &(&str, &str, usize)| row.figures[line.2].map_or("–".to_owned(), Spread::percent);
        [row.anomalies.to_string()].into_iter().chain(LINES.iter().map(figure)).collect()
    };
    let head = ["Known defects", LINES[0].1, LINES[1].1].map(str::to_owned).to_vec();
    let table = Table { head, rows: rows.iter().map(row).collect() };
    plot.figure(html! { (name) }, "Bars up and down: one standard deviation over seeds.", &table)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(data: &str, anomalies: usize, auroc: Option<f64>) -> Row {
        Row {
            data: data.to_owned(),
            setting: "general".to_owned(),
            method: "bgad".to_owned(),
            anomalies,
            seeds: 1,
            figures: COLUMNS.iter().map(|_| auroc.map(|mean| Spread { mean, std: Some(0.01) })).collect(),
            by_type: BTreeMap::new(),
        }
    }

    #[test]
    fn a_curve_needs_two_numbers_of_defects() {
        let one = page(&[row("a", 0, Some(0.8))], "");
        assert!(!one.contains("<svg"));
        let two = page(&[row("a", 0, Some(0.8)), row("a", 10, Some(0.9))], "");
        assert_eq!(two.matches("<circle").count(), 4);
        let missing = page(&[row("a", 0, None), row("a", 10, Some(0.9))], "");
        assert_eq!(missing.matches("<circle").count(), 2);
    }

    #[test]
    fn names_from_outside_are_text() {
        let page = page(&[row("<b>\"&", 0, Some(0.8)), row("<b>\"&", 1, Some(0.8))], "");
        assert!(page.contains("&lt;b&gt;&quot;&amp;") && !page.contains("<b>\""));
    }
}
