//! The result record of a part, in the manner of OPC 40100-1.

use std::time::SystemTime;

use bgad::{Inspection, PartKind};
use bgad::verdict::{DefectRegion, Thresholds, Verdict};
use serde::Serialize;

use crate::picture::Judged;
use crate::version::Version;

/// What is known about a part besides its picture.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartInfo {
    /// What the line calls the part.
    pub part_id: Option<String>,
    /// Where the picture was taken.
    pub station: Option<String>,
    /// The file, if it came as one.
    pub file: Option<String>,
}

/// Which model judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Recipe {
    /// Name of the model.
    pub model: String,
    /// Version of the model.
    pub version: String,
    /// SHA-256 of the model file.
    pub sha256: String,
}

/// Times in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Times {
    /// Waiting for a thread.
    pub queue: f64,
    /// Decoding the picture.
    pub decode: f64,
    /// From pixels to the verdict.
    pub inference: f64,
}

/// The result of one part.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Record {
    /// Unique, and in the order of time.
    pub result_id: String,
    /// What the line calls the part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part_id: Option<String>,
    /// Where the picture was taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub station: Option<String>,
    /// The file, if it came as one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Which model judged.
    pub recipe: Recipe,
    /// When it was judged, RFC 3339, UTC.
    pub created: String,
    /// How long it took.
    pub times: Times,
    /// `Completed`: the record of a part that could not be judged is a [`Fault`].
    pub state: &'static str,
    /// Always false: nothing here is simulated.
    pub simulated: bool,
    /// OK, REVIEW or NG.
    pub verdict: Verdict,
    /// Nats.
    pub score: f32,
    /// What each further part of the score adds, nats.
    pub parts: Vec<Part>,
    /// Where OK ends and NG begins.
    pub thresholds: Thresholds,
    /// Columns of the picture.
    pub width: usize,
    /// Rows of the picture.
    pub height: usize,
    /// Where the anomalies are, the highest peak first.
    pub regions: Vec<DefectRegion>,
}

/// A part of the score.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Part {
    /// Its name.
    pub part: &'static str,
    /// What it adds, nats.
    pub nats: f32,
}

/// The record of a part that could not be judged. It has no verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Unique, and in the order of time.
    pub result_id: String,
    /// What the line calls the part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part_id: Option<String>,
    /// The file, if it came as one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// When, RFC 3339, UTC.
    pub created: String,
    /// `Fault`.
    pub state: &'static str,
    /// What went wrong.
    pub error: String,
}

/// Now, RFC 3339, UTC.
pub(crate) fn now() -> String {
    humantime::format_rfc3339_millis(SystemTime::now()).to_string()
}

/// An id that sorts by time.
pub(crate) fn result_id() -> String {
    uuid::Uuid::now_v7().to_string()
}

/// The parts of the score besides its peak.
fn parts(inspection: &Inspection) -> Vec<Part> {
    let besides = inspection.parts.iter().filter(|(kind, _)| *kind != PartKind::Peak);
    besides.map(|&(kind, nats)| Part { part: kind.name(), nats }).collect()
}

impl Record {
    pub(crate) fn new(version: &Version, judged: &Judged, part: PartInfo) -> Record {
        let Judged { inspection, queued, decoding, inference } = judged;
        Record {
            result_id: result_id(),
            part_id: part.part_id,
            station: part.station,
            file: part.file,
            recipe: Recipe {
                model: version.model.clone(),
                version: version.number.to_string(),
                sha256: version.sha256.clone(),
            },
            created: now(),
            times: Times {
                queue: queued.as_secs_f64(),
                decode: decoding.as_secs_f64(),
                inference: inference.as_secs_f64(),
            },
            state: "Completed",
            simulated: false,
            verdict: inspection.verdict,
            score: inspection.score,
            parts: parts(inspection),
            thresholds: version.detector.header().thresholds,
            width: inspection.original.width,
            height: inspection.original.height,
            regions: inspection.regions.clone(),
        }
    }
}

impl Fault {
    /// A part that could not be judged.
    pub(crate) fn new(part: PartInfo, error: String) -> Fault {
        let PartInfo { part_id, file, .. } = part;
        Fault { result_id: result_id(), part_id, file, created: now(), state: "Fault", error }
    }
}
