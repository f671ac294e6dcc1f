//! The result record of the library, with what a server knows besides.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use bgad::record::{self, Capture, rfc3339};
use serde::Serialize;

use crate::picture::Judged;
use crate::version::Version;

/// Results of this process so far: those of one millisecond are told apart by it.
static SEQUENCE: AtomicU64 = AtomicU64::new(0);

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
    /// What every record of bgad has.
    #[serde(flatten)]
    pub result: record::Record,
    /// Version of the model on this server.
    pub version: String,
    /// Where the picture was taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub station: Option<String>,
    /// How long it took.
    pub times: Times,
}

/// The record of a part that could not be judged. It has no verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Unique.
    pub id: String,
    /// `failed`, as in the records of the library. Never to be read as OK.
    pub state: &'static str,
    /// What the line calls the part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part_id: Option<String>,
    /// Where the picture was taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub station: Option<String>,
    /// The file, if it came as one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// When, RFC 3339, UTC.
    pub created: String,
    /// What went wrong.
    pub error: String,
}

/// Now, RFC 3339, UTC.
pub(crate) fn now() -> String {
    rfc3339(SystemTime::now())
}

/// An id that no other has.
pub(crate) fn unique_id() -> String {
    uuid::Uuid::now_v7().simple().to_string()
}

impl Record {
    pub(crate) fn new(version: &Version, judged: &Judged, part: PartInfo) -> Record {
        let Judged { inspection, ended, queued, decoding, inference, .. } = judged;
        let capture = Capture {
            file: part.file,
            part_id: part.part_id,
            created: Some(*ended),
            sequence: SEQUENCE.fetch_add(1, Ordering::Relaxed),
            secs: Some((*decoding + *inference).as_secs_f64()),
            ..Capture::default()
        };
        Record {
            result: record::Record::new(&version.recipe, inspection, &capture),
            version: version.number.to_string(),
            station: part.station,
            times: Times {
                queue: queued.as_secs_f64(),
                decode: decoding.as_secs_f64(),
                inference: inference.as_secs_f64(),
            },
        }
    }

    /// A name for files, in the order of time.
    pub(crate) fn file_name(&self) -> String {
        file_name(self.result.created.as_deref().unwrap_or_default(), &self.result.id)
    }
}

impl Fault {
    /// A part that could not be judged.
    pub(crate) fn new(part: PartInfo, error: String) -> Fault {
        let PartInfo { part_id, station, file } = part;
        Fault { id: unique_id(), state: "failed", part_id, station, file, created: now(), error }
    }

    /// A name for files, in the order of time.
    pub(crate) fn file_name(&self) -> String {
        file_name(&self.created, &self.id)
    }
}

fn file_name(created: &str, id: &str) -> String {
    format!("{}-{id}", created.replace([':', '.'], ""))
}
