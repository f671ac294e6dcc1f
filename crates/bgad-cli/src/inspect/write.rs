//! Results on stdout: a table, JSON lines or CSV, one exporter each.

use std::io::{self, Write};

use bgad::printable;
use bgad::record::{FailedRecord, PART_NAMES, Record, RegionRecord};

use super::table::Table;
use crate::args::Format;
use crate::out;

/// What came of one image.
pub(super) enum Entry {
    /// It was judged.
    Judged(Box<Record>),
    /// It could not be judged.
    Failed(Box<FailedRecord>),
}

/// One form of results.
pub(super) trait Exporter {
    /// What comes before the first result.
    fn begin(&mut self) -> io::Result<()>;
    /// A result.
    fn entry(&mut self, entry: &Entry) -> io::Result<()>;
}

/// The exporter of a format, to stdout.
pub(super) fn exporter(format: Format) -> Box<dyn Exporter> {
    match format {
        Format::Table => Box::new(Table::on_stdout()),
        Format::Jsonl => Box::new(JsonLines(out::text())),
        Format::Csv => Box::new(Csv::new(out::text())),
    }
}

/// One record a line.
struct JsonLines<W: Write>(W);

impl<W: Write> Exporter for JsonLines<W> {
    fn begin(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn entry(&mut self, entry: &Entry) -> io::Result<()> {
        match entry {
            Entry::Judged(record) => serde_json::to_writer(&mut self.0, record)?,
            Entry::Failed(failed) => serde_json::to_writer(&mut self.0, failed)?,
        }
        writeln!(self.0)?;
        self.0.flush()
    }
}

/// One line for each image, with the region of the highest peak.
struct Csv<W: Write> {
    out: csv::Writer<W>,
}

/// Columns before and after those of the parts of the score.
const FIRST: [&str; 9] = [
    "file",
    "part_id",
    "created",
    "verdict",
    "score",
    "threshold_ok",
    "threshold_ng",
    "whole_image",
    "regions",
];
const LAST: [&str; 21] = [
    "x",
    "y",
    "width",
    "height",
    "area_share",
    "peak",
    "mean",
    "area",
    "area_mm2",
    "centroid_x",
    "centroid_y",
    "secs",
    "overlay",
    "map",
    "mask",
    "model",
    "model_sha256",
    "image_width",
    "image_height",
    "id",
    "error",
];

impl<W: Write> Csv<W> {
    fn new(out: W) -> Csv<W> {
        Csv { out: csv::Writer::from_writer(out) }
    }

    fn judged(record: &Record) -> Vec<String> {
        let region = record.regions.first();
        let of = |value: fn(&RegionRecord) -> String| region.map(value).unwrap_or_default();
        let mut row = vec![
            text(record.file.as_deref()),
            text(record.part_id.as_deref()),
            text(record.created.as_deref()),
            record.verdict.to_string(),
            record.score.to_string(),
            record.thresholds.ok.to_string(),
            record.thresholds.ng.to_string(),
            record.whole_image.to_string(),
            record.regions.len().to_string(),
        ];
        let part = |name: &&str| record.parts.get(*name).map(f32::to_string).unwrap_or_default();
        row.extend(PART_NAMES.iter().map(part));
        row.extend([
            of(|r| r.x.to_string()),
            of(|r| r.y.to_string()),
            of(|r| r.width.to_string()),
            of(|r| r.height.to_string()),
            of(|r| r.area_share.to_string()),
            of(|r| r.peak.to_string()),
            of(|r| r.mean.to_string()),
            of(|r| r.area.to_string()),
            of(|r| r.area_mm2.map(|area| area.to_string()).unwrap_or_default()),
            of(|r| r.centroid_x.to_string()),
            of(|r| r.centroid_y.to_string()),
            record.secs.map(|secs| format!("{secs:.6}")).unwrap_or_default(),
            text(record.overlay.as_deref()),
            text(record.map.as_deref()),
            text(record.mask.as_deref()),
            text(Some(&record.model.name)),
            record.model.sha256.clone(),
            record.width.to_string(),
            record.height.to_string(),
            record.id.clone(),
            String::new(),
        ]);
        row
    }

    fn failed(failed: &FailedRecord) -> Vec<String> {
        let mut row = vec![String::new(); FIRST.len() + PART_NAMES.len() + LAST.len()];
        row[0] = text(failed.file.as_deref());
        row[1] = text(failed.part_id.as_deref());
        row[2] = text(failed.created.as_deref());
        let end = row.len();
        row[end - 6] = text(Some(&failed.model.name));
        row[end - 5] = failed.model.sha256.clone();
        row[end - 2] = failed.id.clone();
        row[end - 1] = text(Some(&failed.error));
        row
    }
}

impl<W: Write> Exporter for Csv<W> {
    fn begin(&mut self) -> io::Result<()> {
        let parts = PART_NAMES.map(|name| format!("part_{name}"));
        let head = FIRST.into_iter().chain(parts.iter().map(String::as_str)).chain(LAST);
        self.out.write_record(head)?;
        self.out.flush()
    }

    fn entry(&mut self, entry: &Entry) -> io::Result<()> {
        let row = match entry {
            Entry::Judged(record) => Self::judged(record),
            Entry::Failed(failed) => Self::failed(failed),
        };
        self.out.write_record(row)?;
        self.out.flush()
    }
}

/// Text from outside in a cell. A spreadsheet would compute what starts like a formula, so an apostrophe goes before it:
/// it marks text there.
pub(crate) fn text(text: Option<&str>) -> String {
    printable::cell(text.unwrap_or_default()).into_owned()
}

#[cfg(test)]
pub(super) mod tests;
