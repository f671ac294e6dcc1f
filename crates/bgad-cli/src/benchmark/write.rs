//! The tables as files.

use std::path::Path;

use super::cell::CellResult;
use super::table::{COLUMNS, markdown, rows};
use crate::failure::Failure;
use crate::inspect::cell_text;
use crate::product;

/// Writes every table into `folder`.
pub(super) fn all(folder: &Path, results: &[CellResult], failed: usize) -> Result<(), Failure> {
    let rows = rows(results);
    let put = |name: &str, text: String| product::write(&folder.join(name), text);
    let mut note = String::new();
    if failed > 0 {
        note = format!("\n{failed} cells failed; the table is without them.\n");
    }
    put(
        "table.md",
        format!(
            "{}{note}\nPercent, last epoch; mean and standard deviation over seeds. \"seen types\" and \"unseen types\": mean \
             image AUROC over the types of defect that were and were not learned from.\n",
            markdown(&rows)
        ),
    )?;
    put("table.csv", csv(results)?)?;
    put("table.json", serde_json::to_string_pretty(&rows)? + "\n")?;
    put("table.html", super::page::page(&rows, &note))
}

/// One line a cell, nothing averaged.
fn csv(results: &[CellResult]) -> Result<String, Failure> {
    let mut csv = csv::Writer::from_writer(Vec::new());
    let first = ["data", "method", "setting", "known_defects", "seed", "normal_images"].map(str::to_owned);
    let columns = COLUMNS.map(|column| column.replace(' ', "_"));
    let last = ["train_secs", "secs_per_image"].map(str::to_owned);
    csv.write_record(first.iter().chain(&columns).chain(&last))?;
    for r in results {
        let first = [
            cell_text(Some(&r.data)),
            r.method.to_string(),
            cell_text(Some(&r.setting)),
            r.anomalies.to_string(),
            r.seed.to_string(),
            r.normal_images.to_string(),
        ];
        let values = super::table::values(&r.figures);
        let figures = values.into_iter().map(|value| value.map(|v| format!("{v:.6}")).unwrap_or_default());
        let last = [format!("{:.2}", r.train_secs), format!("{:.5}", r.secs_per_image)];
        csv.write_record(first.into_iter().chain(figures).chain(last))?;
    }
    Ok(String::from_utf8(csv.into_inner().map_err(|error| error.into_error())?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_result_is_a_table_with_a_head() {
        assert_eq!(csv(&[]).expect("text").lines().count(), 1);
        assert_eq!(markdown(&rows(&[] as &[CellResult])).lines().count(), 2);
        let empty = &rows(&[]);
        assert!(super::super::page::page(empty, "").contains("<table"));
    }
}
