use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Value, json};

use super::*;
use crate::image::OriginalSize;
use crate::score::AnomalyMap;

fn recipe() -> Recipe {
    Recipe {
        model: ModelId { name: "lid.bgad".to_owned(), sha256: "ab".repeat(32), format: 1 },
        thresholds: Thresholds { ok: 5.0, ng: 6.0 },
        normal_scores: vec![1.0, 2.0, 8.0],
    }
}

fn inspection(verdict: Verdict, nats: Vec<f32>) -> Inspection {
    Inspection {
        score: 7.5,
        parts: vec![(crate::PartKind::Coarsest, 0.5)],
        whole_image: false,
        verdict,
        map: AnomalyMap { w: nats.len(), nats, h: 1 },
        regions: vec![DefectRegion {
            x: 1,
            y: 2,
            width: 3,
            height: 4,
            area_share: 0.04,
            area: 8.0,
            centroid_x: 2.5,
            centroid_y: 4.0,
            peak: 7.5,
            mean: 5.5,
        }],
        appearance: crate::image::Appearance::default(),
        original: OriginalSize { height: 20, width: 10 },
    }
}

fn capture() -> Capture {
    Capture {
        file: Some("line 1/SN0815.png".to_owned()),
        part_id: Some("0815".to_owned()),
        created: Some(UNIX_EPOCH + Duration::from_millis(1_764_000_000_250)),
        sequence: 3,
        pixel_size: Some(0.5),
        secs: Some(0.125),
        ..Capture::default()
    }
}

#[test]
fn a_record_says_who_judged_what_when_and_with_which_thresholds() {
    let record = Record::new(&recipe(), &inspection(Verdict::Ng, vec![7.5]), &capture());
    let value = serde_json::to_value(&record).expect("plain values");
    let want = json!({
        "id": record.id,
        "state": "completed",
        "file": "line 1/SN0815.png",
        "part_id": "0815",
        "created": "2025-11-24T16:00:00.250Z",
        "verdict": "NG",
        "score": 7.5,
        "rank": { "below": 2, "of": 3 },
        "thresholds": { "ok": 5.0, "ng": 6.0 },
        "whole_image": false,
        "parts": { "coarsest": 0.5 },
        "width": 10,
        "height": 20,
        "regions": [{
            "x": 1, "y": 2, "width": 3, "height": 4, "area_share": 0.04, "area": 8.0, "centroid_x": 2.5,
            "centroid_y": 4.0, "peak": 7.5, "mean": 5.5, "width_mm": 1.5, "height_mm": 2.0, "area_mm2": 2.0,
        }],
        "model": { "name": "lid.bgad", "sha256": "ab".repeat(32), "format": 1 },
        "secs": 0.125,
    });
    assert_eq!(value, want);
    assert_eq!(serde_json::from_value::<Record>(value).expect("what was written"), record);
}

#[test]
fn a_failed_record_cannot_be_read_as_one_with_a_verdict() {
    let failed = FailedRecord::new(&recipe(), "x.png: damaged", &capture());
    let value = serde_json::to_value(&failed).expect("plain values");
    assert_eq!((&value["state"], &value["error"]), (&json!("failed"), &json!("x.png: damaged")));
    assert_eq!(value.get("verdict"), None::<&Value>);
    assert!(serde_json::from_value::<Record>(value).is_err());
}

#[test]
fn ids_differ_in_whatever_tells_results_apart_and_are_repeatable() {
    let id = |recipe: &Recipe, capture: &Capture| FailedRecord::new(recipe, "", capture).id;
    let base = id(&recipe(), &capture());
    assert_eq!(base, id(&recipe(), &capture()));
    assert!(base.len() == 32 && base.bytes().all(|b| b.is_ascii_hexdigit()), "{base}");
    let others = [
        Capture { file: None, ..capture() },
        Capture { part_id: None, ..capture() },
        Capture { created: None, ..capture() },
        Capture { sequence: 4, ..capture() },
    ];
    for other in others {
        assert_ne!(base, id(&recipe(), &other), "{other:?}");
    }
    let mut other = recipe();
    other.model.sha256 = "cd".repeat(32);
    assert_ne!(base, id(&other, &capture()));
}

#[test]
fn ranks_are_said_in_words() {
    let scores: Vec<f32> = (0..400).map(|i| i as f32).collect();
    let cases = [
        (-1.0, "as low as the lowest of 400 good images"),
        (398.5, "higher than 99.7 % of 400 good images"),
        (1e9, "higher than all 400 good images"),
        (f32::NAN, "higher than all 400 good images"),
    ];
    for (score, want) in cases {
        assert_eq!(Rank::of(score, &scores).expect("scores").to_string(), want, "{score}");
    }
    assert_eq!(Rank::of(1.0, &[]), None);
    assert_eq!(
        Rank::of(2.5, &[1.0, 2.0, 3.0]).expect("scores").to_string(),
        "higher than 66 % of 3 good images"
    );
    assert_eq!(Rank::of(2.0, &[1.0]).expect("a score").to_string(), "higher than the good image");
}
