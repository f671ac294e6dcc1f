//! Cells of different seeds, and of different types in the hard setting, brought together.

use std::collections::BTreeMap;

use serde::Serialize;

use super::cell::{CellResult, Figures, mean};

/// Names of the figures in tables.
pub(super) const COLUMNS: [&str; 8] = [
    "image AUROC",
    "pixel AUROC",
    "AUPRO",
    "AUPRO 0.05",
    "image AP",
    "pixel AP",
    "seen types",
    "unseen types",
];

/// One line of the table.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Row {
    pub(super) data: String,
    /// `general` or `hard`.
    pub(super) setting: String,
    pub(super) method: String,
    pub(super) anomalies: usize,
    /// How many seeds.
    pub(super) seeds: usize,
    /// In the order of [`COLUMNS`].
    pub(super) figures: Vec<Option<Spread>>,
    /// Image AUROC of each type, all cells of the row together.
    pub(super) by_type: BTreeMap<String, Option<Spread>>,
}

/// Mean and standard deviation over seeds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Spread {
    pub(super) mean: f64,
    /// Of a sample (n - 1); `None` of a single seed.
    pub(super) std: Option<f64>,
}

impl Spread {
    pub(super) fn of(values: &[f64]) -> Option<Spread> {
        let mean = mean(values.iter().copied())?;
        let squares: f64 = values.iter().map(|v| (v - mean) * (v - mean)).sum();
        let std = (values.len() > 1).then(|| (squares / (values.len() - 1) as f64).sqrt());
        Some(Spread { mean, std })
    }

    /// In percent.
    pub(super) fn percent(self) -> String {
        match self.std {
            Some(std) => format!("{:.1} ± {:.1}", 100.0 * self.mean, 100.0 * std),
            None => format!("{:.1}", 100.0 * self.mean),
        }
    }
}

/// The lines of the table. In the hard setting a seed's figure is its mean over the known types.
pub(super) fn rows(results: &[CellResult]) -> Vec<Row> {
    let mut groups: BTreeMap<(&str, &str, usize, &str), Vec<&CellResult>> = BTreeMap::new();
    for result in results {
        let setting = result.setting.split(':').next().unwrap_or_default();
        // nfad before bgad: the baseline heads its table.
        let rank = usize::from(result.method != "nfad") * (1 + result.anomalies);
        groups.entry((&result.data, setting, rank, &result.method)).or_default().push(result);
    }
    groups
        .into_iter()
        .map(|((data, setting, _, method), cells)| {
            let figures = (0..COLUMNS.len()).map(|i| over_seeds(&cells, |c| values(&c.figures)[i])).collect();
            let types = cells.iter().flat_map(|c| &c.by_type).map(|(name, _)| name);
            let by_type = types.map(|name| (name.clone(), over_seeds(&cells, |c| of_type(c, name))));
            Row {
                data: data.to_owned(),
                setting: setting.to_owned(),
                method: method.to_owned(),
                anomalies: cells[0].anomalies,
                seeds: seeds(&cells).len(),
                figures,
                by_type: by_type.collect(),
            }
        })
        .collect()
}

pub(super) fn values(f: &Figures) -> [Option<f64>; 8] {
    [f.image_auroc, f.pixel_auroc, f.aupro, f.aupro_05, f.image_ap, f.pixel_ap, f.seen, f.unseen]
}

fn of_type(cell: &CellResult, name: &str) -> Option<f64> {
    cell.by_type.iter().find(|(n, _)| n == name).and_then(|(_, auroc)| *auroc)
}

fn seeds<'a>(cells: &[&'a CellResult]) -> BTreeMap<u64, Vec<&'a CellResult>> {
    let mut seeds: BTreeMap<u64, Vec<&CellResult>> = BTreeMap::new();
    cells.iter().for_each(|cell| seeds.entry(cell.seed).or_default().push(cell));
    seeds
}

/// Mean within a seed first: the spread is that of seeds, not that of types.
fn over_seeds(cells: &[&CellResult], figure: impl Fn(&CellResult) -> Option<f64>) -> Option<Spread> {
    let per_seed = seeds(cells);
    let means = per_seed.values().filter_map(|cells| mean(cells.iter().filter_map(|cell| figure(cell))));
    Spread::of(&means.collect::<Vec<f64>>())
}

/// The rows as a Markdown table.
pub(super) fn markdown(rows: &[Row]) -> String {
    let mut text = String::from("| data | setting | method | known defects | seeds |");
    COLUMNS.iter().for_each(|column| text.push_str(&format!(" {column} |")));
    text.push_str("\n|---|---|---|---|---|");
    text.push_str(&"---|".repeat(COLUMNS.len()));
    text.push('\n');
    for row in rows {
        let Row { data, setting, method, anomalies, seeds, .. } = row;
        let data = data.replace('|', "\\|");
        text.push_str(&format!("| {data} | {setting} | {method} | {anomalies} | {seeds} |"));
        for spread in &row.figures {
            text.push_str(&format!(" {} |", spread.map_or("-".to_owned(), Spread::percent)));
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use bgad::options::{Preset, TrainOptions};

    use super::*;

    fn cell(method: &str, setting: &str, anomalies: usize, seed: u64, auroc: Option<f64>) -> CellResult {
        CellResult {
            key: String::new(),
            data: "tiles".to_owned(),
            method: method.to_owned(),
            setting: setting.to_owned(),
            anomalies,
            seed,
            normal_images: 4,
            figures: Figures {
                image_auroc: auroc,
                pixel_auroc: None,
                aupro: None,
                aupro_05: None,
                image_ap: None,
                pixel_ap: None,
                seen: None,
                unseen: auroc,
            },
            by_type: vec![("dent".to_owned(), auroc)],
            train_secs: 1.0,
            skipped: 0,
            secs_per_image: 0.1,
            options: TrainOptions::preset(Preset::Fast),
        }
    }

    #[test]
    fn the_spread_is_that_of_seeds() {
        assert_eq!(Spread::of(&[]), None);
        assert_eq!(Spread::of(&[0.5]), Some(Spread { mean: 0.5, std: None }));
        let spread = Spread::of(&[0.7, 0.9]).expect("two");
        assert!(
            (spread.mean - 0.8).abs() < 1e-12 && (spread.std.expect("two") - 0.02f64.sqrt()).abs() < 1e-12
        );
        // Two types a seed: the seeds' means are 0.8 and 0.6.
        let cells = [
            cell("bgad", "hard:a", 1, 0, Some(0.9)),
            cell("bgad", "hard:b", 1, 0, Some(0.7)),
            cell("bgad", "hard:a", 1, 1, Some(0.5)),
            cell("bgad", "hard:b", 1, 1, Some(0.7)),
        ];
        let rows = rows(&cells);
        assert_eq!((rows.len(), rows[0].seeds, rows[0].setting.as_str()), (1, 2, "hard"));
        assert_eq!(rows[0].figures[0].expect("both").percent(), "70.0 ± 14.1");
        assert_eq!(rows[0].figures[1], None, "a figure that no cell has");
    }

    #[test]
    fn the_baseline_comes_first_then_the_numbers_in_order() {
        let cells = [
            cell("bgad", "general", 10, 0, Some(0.9)),
            cell("bgad", "general", 2, 0, Some(0.8)),
            cell("bgad", "general", 0, 0, None),
            cell("nfad", "general", 0, 0, Some(0.7)),
        ];
        let rows = rows(&cells);
        let order: Vec<(&str, usize)> = rows.iter().map(|r| (r.method.as_str(), r.anomalies)).collect();
        assert_eq!(order, [("nfad", 0), ("bgad", 0), ("bgad", 2), ("bgad", 10)]);
        let text = markdown(&rows);
        assert!(text.contains("| tiles | general | bgad | 0 | 1 | - |"), "{text}");
        assert_eq!(text.lines().count(), 2 + 4);
    }
}
