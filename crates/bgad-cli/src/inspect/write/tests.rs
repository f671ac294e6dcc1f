use std::collections::BTreeMap;

use bgad::record::{ModelId, Rank, ResultState};
use bgad::verdict::{Thresholds, Verdict};

use super::*;

pub(in crate::inspect) fn record(file: &str, verdict: Verdict, score: f32) -> Record {
    let region = RegionRecord {
        x: 120,
        y: 88,
        width: 24,
        height: 31,
        area_share: 0.25,
        area: 8.0,
        centroid_x: 132.5,
        centroid_y: 104.0,
        peak: 7.5,
        mean: 5.5,
        width_mm: Some(12.0),
        height_mm: Some(15.5),
        area_mm2: Some(2.0),
    };
    Record {
        id: "0123456789abcdef0123456789abcdef".to_owned(),
        state: ResultState::Completed,
        file: Some(file.to_owned()),
        part_id: Some("0815".to_owned()),
        created: Some("2026-11-27T20:00:00.250Z".to_owned()),
        verdict,
        score,
        rank: Some(Rank { below: 3, of: 4 }),
        thresholds: Thresholds { ok: 5.0, ng: 6.0 },
        whole_image: false,
        parts: BTreeMap::from([("cells".to_owned(), -0.25), ("whole".to_owned(), 0.75)]),
        width: 640,
        height: 480,
        regions: if verdict == Verdict::Ok { Vec::new() } else { vec![region; 3] },
        model: ModelId { name: "lid.bgad".to_owned(), sha256: "ab".repeat(32), format: 1 },
        secs: Some(0.5),
        overlay: None,
        map: None,
        mask: None,
    }
}

pub(in crate::inspect) fn failed(file: &str) -> FailedRecord {
    FailedRecord {
        id: "fedcba9876543210fedcba9876543210".to_owned(),
        state: ResultState::Failed,
        file: Some(file.to_owned()),
        part_id: None,
        created: Some("2026-11-27T20:00:01.000Z".to_owned()),
        error: format!("{file}: no \"image\""),
        model: ModelId { name: "lid.bgad".to_owned(), sha256: "ab".repeat(32), format: 1 },
    }
}

/// All kinds of results through an exporter.
pub(in crate::inspect) fn written(exporter: &mut dyn Exporter) {
    let mut whole = record("dark.png", Verdict::Review, 5.5);
    (whole.whole_image, whole.regions) = (true, Vec::new());
    exporter.begin().expect("memory");
    for entry in [
        Entry::Judged(Box::new(record("good/a, \"b\".png", Verdict::Ok, 1.25))),
        Entry::Judged(Box::new(whole)),
        Entry::Judged(Box::new(record("=cmd|' /C calc'!A0.png", Verdict::Ng, 7.5))),
        Entry::Failed(Box::new(failed("c\u{1b}[2J.png"))),
    ] {
        exporter.entry(&entry).expect("memory");
    }
}

fn text_of(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("text")
}

#[test]
fn json_lines_have_every_region_and_every_error() {
    let mut lines = JsonLines(Vec::new());
    written(&mut lines);
    insta::assert_snapshot!("jsonl", text_of(lines.0));
}

#[test]
fn csv_is_one_line_for_each_image_and_computes_nothing() {
    let mut csv = Csv::new(Vec::new());
    written(&mut csv);
    let text = text_of(csv.out.into_inner().expect("memory"));
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let rows: Vec<csv::StringRecord> = reader.records().map(|row| row.expect("a row")).collect();
    assert!(
        rows.len() == 4 && rows.iter().all(|row| row.len() == FIRST.len() + PART_NAMES.len() + LAST.len())
    );
    assert_eq!(&rows[2][0], "'=cmd|' /C calc'!A0.png");
    insta::assert_snapshot!("csv", text);
}

#[test]
fn only_cells_that_start_like_a_formula_are_marked() {
    for (cell, want) in
        [("=1", "'=1"), ("@a", "'@a"), ("-1.png", "'-1.png"), ("\tx", "'\tx"), ("a=1", "a=1"), ("", "")]
    {
        assert_eq!(text(Some(cell)), want);
    }
}
