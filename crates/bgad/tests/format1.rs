//! Model files of format 1 judge as they did when they were written.
//!
//! golden/format1 holds two models, written by the last bgad of that format, three drawn pictures, and what that bgad said of them. Instruction
//! sets differ in the last bits, which flows of one block carry to the fifth digit of a score.

use std::path::{Path, PathBuf};

use bgad::{Detector, Model};
use serde::Deserialize;

#[derive(Deserialize)]
struct Recorded {
    file: String,
    verdict: String,
    score: f32,
    regions: usize,
}

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../golden/format1").join(name)
}

fn check(detector: &Detector, name: &str) {
    let text = std::fs::read_to_string(golden(&format!("{name}.json"))).expect("a recording");
    let recorded: Vec<Recorded> = serde_json::from_str(&text).expect("a recording");
    assert_eq!(recorded.len(), 3);
    for want in recorded {
        let found = detector.inspect_file(&golden(&want.file)).expect("a picture");
        assert!((found.score - want.score).abs() < 1e-4, "{}: {} for {}", want.file, found.score, want.score);
        assert_eq!(found.verdict.to_string(), want.verdict, "{}", want.file);
        assert_eq!(found.regions.len(), want.regions, "{}", want.file);
    }
}

#[test]
fn models_of_format_1_judge_as_before() {
    for name in ["parts", "tiles"] {
        let path = golden(&format!("{name}.bgad"));
        let model = Model::open(&path).expect("a model of format 1");
        assert_eq!(model.header.format_version, 1);
        check(&Detector::open(&path).expect("a model of format 1"), name);
        // Written again, it is of today's format and says the same.
        let again = Model::from_bytes(model.to_bytes()).expect("a model");
        assert_eq!(again.header.format_version, bgad::model::FORMAT_VERSION);
        check(&Detector::new(&again).expect("a model"), name);
    }
}
