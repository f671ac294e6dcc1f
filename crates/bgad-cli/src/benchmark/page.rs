//! The table as a page, with curves over the number of known defects; nothing from elsewhere, no scripts.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::table::{COLUMNS, Row, Spread};
use crate::page::{document, escaped};

const STYLE: &str = include_str!("page.css");

/// Size of a chart and the frame within it, in its own units.
const WIDTH: f64 = 340.0;
const HEIGHT: f64 = 200.0;
const LEFT: f64 = 38.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 28.0;

/// The whole page; `note` says what is missing.
pub(super) fn page(rows: &[Row], note: &str) -> String {
    let main = format!(
        "<h1>Benchmark</h1>\n<p>Percent at the last epoch; mean and standard deviation over seeds. Seen and \
         unseen types: mean image AUROC over the types of defect that were and were not learned from.{}</p>\n{}{}",
        escaped(note),
        charts(rows),
        table(rows)
    );
    document("bgad benchmark", &format!("<style>\n{STYLE}</style>\n"), &main)
}

fn table(rows: &[Row]) -> String {
    let mut out = String::from(
        "<h2>All figures</h2>\n<div class=\"scroll\"><table>\n<thead><tr><th>Data</th><th>setting</th><th>method</th>\
         <th>known defects</th><th>seeds</th>",
    );
    COLUMNS.iter().for_each(|column| out += &format!("<th>{column}</th>"));
    out += "</tr></thead>\n<tbody>\n";
    for row in rows {
        let Row { setting, method, anomalies, seeds, .. } = row;
        write!(
            out,
            "<tr><th scope=\"row\">{}</th><td>{setting}</td><td>{method}</td><td>{anomalies}</td><td>{seeds}</td>",
            escaped(&row.data)
        )
        .expect("a string takes everything");
        row.figures
            .iter()
            .for_each(|f| out += &format!("<td>{}</td>", f.map_or("–".to_owned(), Spread::percent)));
        out += "</tr>\n";
    }
    out + "</tbody>\n</table></div>\n"
}

/// A chart for each data set and setting with at least two numbers of known defects.
fn charts(rows: &[Row]) -> String {
    let mut groups: BTreeMap<(&str, &str), Vec<&Row>> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.method == "bgad") {
        groups.entry((&row.data, &row.setting)).or_default().push(row);
    }
    let figures: String = groups
        .into_iter()
        .filter(|(_, rows)| rows.len() > 1)
        .map(|((data, setting), rows)| chart(data, setting, &rows))
        .collect();
    if figures.is_empty() {
        return figures;
    }
    format!(
        "<h2>What known defects bring</h2>\n<p>Solid: image AUROC. Dashed: AUPRO. Bars: one standard deviation.</p>\n\
         <div class=\"charts\">\n{figures}</div>\n"
    )
}

fn chart(data: &str, setting: &str, rows: &[&Row]) -> String {
    // The figures by their place in COLUMNS.
    let lines = [("image", 0), ("region", 2)];
    let points = |column: usize| -> Vec<(usize, usize, Spread)> {
        let spread = |(i, row): (usize, &&Row)| row.figures[column].map(|spread| (i, row.anomalies, spread));
        rows.iter().enumerate().filter_map(spread).collect()
    };
    let lowest = lines
        .iter()
        .flat_map(|line| points(line.1))
        .map(|(_, _, s)| s.mean - s.std.unwrap_or(0.0))
        .fold(1.0, f64::min);
    // Whole steps of five points, never the whole range: differences should be seen, and the axis says where it starts.
    let low = ((lowest * 20.0).floor() / 20.0).clamp(0.0, 0.95);
    let x = |i: usize| LEFT + (WIDTH - LEFT - RIGHT) * i as f64 / (rows.len() - 1).max(1) as f64;
    let y = |value: f64| TOP + (HEIGHT - TOP - BOTTOM) * (1.0 - (value.clamp(low, 1.0) - low) / (1.0 - low));
    let name = format!("{data}, {setting}");
    let mut out = format!(
        "<figure><figcaption>{0}</figcaption>\n<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{0}: image AUROC \
         and AUPRO over the number of known defects; the table below has the numbers\"><title>{0}</title>\n",
        escaped(&name)
    );
    for tick in [low, (low + 1.0) / 2.0, 1.0] {
        let at = y(tick);
        out += &format!(
            "<path class=\"axis\" d=\"M{LEFT} {at:.1}H{}\"/><text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{:.1}</text>\n",
            WIDTH - RIGHT,
            LEFT - 5.0,
            at + 4.0,
            100.0 * tick
        );
    }
    for (i, row) in rows.iter().enumerate() {
        out += &format!(
            "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n",
            x(i),
            HEIGHT - 10.0,
            row.anomalies
        );
    }
    for (class, column) in lines {
        let points = points(column);
        let path: Vec<String> =
            points.iter().map(|(i, _, s)| format!("{:.1} {:.1}", x(*i), y(s.mean))).collect();
        if !path.is_empty() {
            out += &format!("<path class=\"line {class}\" d=\"M{}\"/>\n", path.join("L"));
        }
        for (i, anomalies, spread) in points {
            let (x, std) = (x(i), spread.std.unwrap_or(0.0));
            out += &format!(
                "<path class=\"whisker {class}\" d=\"M{x:.1} {:.1}V{:.1}\"/><circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{:.1}\" \
                 r=\"3\"><title>{anomalies} known defects: {} {}</title></circle>\n",
                y(spread.mean - std),
                y(spread.mean + std),
                y(spread.mean),
                COLUMNS[column],
                spread.percent()
            );
        }
    }
    out + "</svg></figure>\n"
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
