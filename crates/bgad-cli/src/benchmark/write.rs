//! The tables as files.

use std::path::Path;

use super::cell::CellResult;
use super::table::{COLUMNS, markdown, rows};
use crate::failure::Failure;
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
    put("table.csv", csv(results))?;
    put("table.json", serde_json::to_string_pretty(&rows)? + "\n")?;
    put("table.html", super::page::page(&rows, &note))
}

/// One line a cell, nothing averaged.
fn csv(results: &[CellResult]) -> String {
    let mut text = String::from("data,method,setting,known_defects,seed,normal_images");
    COLUMNS.iter().for_each(|column| text.push_str(&format!(",{}", column.replace(' ', "_"))));
    text.push_str(",train_secs,secs_per_image\n");
    let quoted = |field: &str| match field.contains([',', '"', '\n']) {
        true => format!("\"{}\"", field.replace('"', "\"\"")),
        false => field.to_owned(),
    };
    for r in results {
        let (data, setting) = (quoted(&r.data), quoted(&r.setting));
        text.push_str(&format!(
            "{data},{},{setting},{},{},{}",
            r.method, r.anomalies, r.seed, r.normal_images
        ));
        for value in super::table::values(&r.figures) {
            text.push_str(&value.map_or(",".to_owned(), |v| format!(",{v:.6}")));
        }
        text.push_str(&format!(",{:.2},{:.5}\n", r.train_secs, r.secs_per_image));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_result_is_a_table_with_a_head() {
        assert_eq!(csv(&[]).lines().count(), 1);
        assert_eq!(markdown(&rows(&[] as &[CellResult])).lines().count(), 2);
        let empty = &rows(&[]);
        assert!(super::super::page::page(empty, "").contains("<table"));
    }
}
