//! The result record: what is kept of one inspected image, wherever it goes (a file, a web service, a data frame).
//!
//! It is built in the manner of OPC 40100-1 (machine vision): a result has an identity, names the part and the recipe (the
//! model and its thresholds), says when it came about and in which state it ended. A record is enough to judge later whether
//! a verdict would be the same today: the hash says which model spoke, the thresholds what it compared with.
//!
//! ```no_run
//! use std::time::SystemTime;
//! use bgad::record::{Capture, PartIdPattern, Recipe, Record};
//! use bgad::{Detector, Frame};
//!
//! let detector = Detector::open("lid.bgad".as_ref())?;
//! let recipe = Recipe::of("lid.bgad", &std::fs::read("lid.bgad")?, detector.header());
//! let inspection = detector.inspect(&Frame::open("SN0815_top.png".as_ref())?)?;
//! let pattern: PartIdPattern = r"SN(\d+)".parse()?;
//! let capture = Capture {
//!     file: Some("SN0815_top.png".to_owned()),
//!     part_id: pattern.part_id("SN0815_top.png"),
//!     created: Some(SystemTime::now()),
//!     ..Capture::default()
//! };
//! let record = Record::new(&recipe, &inspection, &capture);
//! println!("{}", serde_json::to_string(&record)?);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod part_id;
mod rank;

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::detector::Inspection;
use crate::model::Header;
use crate::score::PartKind;
use crate::verdict::{DefectRegion, Thresholds, Verdict};
use crate::weights::sha256_hex;

pub use part_id::{PartIdError, PartIdPattern};
pub use rank::Rank;

/// Characters of a result id: 128 bits in hexadecimal.
const ID_DIGITS: usize = 32;

/// The names that [`Record::parts`] may have.
pub const PART_NAMES: [&str; PartKind::ALL.len()] = {
    let mut names = [""; PartKind::ALL.len()];
    let mut i = 0;
    while i < names.len() {
        names[i] = PartKind::ALL[i].name();
        i += 1;
    }
    names
};

/// Which model spoke: the recipe of a result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelId {
    /// Name of the model, as a person knows it: usually that of its file.
    pub name: String,
    /// SHA-256 of the whole model file, 64 lower-case hexadecimal digits. A calibration changes it.
    pub sha256: String,
    /// Version of the file format.
    pub format: u32,
}

/// What an image is judged with: made once for each model.
#[derive(Clone, Debug, PartialEq)]
pub struct Recipe {
    /// Which model speaks.
    pub model: ModelId,
    /// What scores are compared with, nats.
    pub thresholds: Thresholds,
    /// Scores of good images, nats.
    pub normal_scores: Vec<f32>,
}

impl Recipe {
    /// The recipe of the model file with these bytes and this header; `name` is what people call it.
    pub fn of(name: impl Into<String>, bytes: &[u8], header: &Header) -> Recipe {
        Recipe {
            model: ModelId { name: name.into(), sha256: sha256_hex(bytes), format: header.format_version },
            thresholds: header.thresholds,
            normal_scores: header.training.normal_scores.clone(),
        }
    }
}

/// What is known of an image besides its pixels. The library reads no clock: the caller says when.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Capture {
    /// Where the image came from: a path or any other name.
    pub file: Option<String>,
    /// Which part it shows; see [`PartIdPattern`].
    pub part_id: Option<String>,
    /// When the result came about.
    pub created: Option<SystemTime>,
    /// Tells results apart that share everything else, such as unnamed images of one batch.
    pub sequence: u64,
    /// Side of a pixel of the original image, mm.
    pub pixel_size: Option<f64>,
    /// Processing time, seconds.
    pub secs: Option<f64>,
    /// Where the picture of the result was written.
    pub overlay: Option<String>,
    /// Where the anomaly map was written.
    pub map: Option<String>,
    /// Where the mask of what is flagged was written.
    pub mask: Option<String>,
}

/// How the inspection of an image ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ResultState {
    /// The image was judged.
    Completed,
    /// The image could not be judged. This is never to be read as OK.
    Failed,
}

/// The result of one inspected image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Identity of this result, 32 hexadecimal digits. The same inputs give the same id.
    pub id: String,
    /// Always [`ResultState::Completed`]; told apart from [`FailedRecord`] by it.
    pub state: ResultState,
    /// Where the image came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Which part it shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part_id: Option<String>,
    /// When the result came about, RFC 3339 in UTC with milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// OK, REVIEW or NG.
    pub verdict: Verdict,
    /// Score of the image, nats.
    pub score: f32,
    /// How many of the model's good images score below it: the score in words that need no method.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rank: Option<Rank>,
    /// What the score was compared with, nats.
    pub thresholds: Thresholds,
    /// Whether the image as a whole is flagged, and no place of it alone.
    pub whole_image: bool,
    /// What parts of the score contribute, nats, by name.
    #[serde(default)]
    pub parts: BTreeMap<String, f32>,
    /// Width of the original image, pixels.
    pub width: usize,
    /// Height of the original image, pixels.
    pub height: usize,
    /// Where it is defective, the highest peak first.
    pub regions: Vec<RegionRecord>,
    /// Which model spoke.
    pub model: ModelId,
    /// Processing time, seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secs: Option<f64>,
    /// Where the picture of the result was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlay: Option<String>,
    /// Where the anomaly map was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub map: Option<String>,
    /// Where the mask of what is flagged was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask: Option<String>,
}

/// An image that could not be judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedRecord {
    /// As [`Record::id`].
    pub id: String,
    /// Always [`ResultState::Failed`].
    pub state: ResultState,
    /// Where the image came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Which part it shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part_id: Option<String>,
    /// As [`Record::created`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// What went wrong, as a sentence that names the file.
    pub error: String,
    /// Which model should have spoken.
    pub model: ModelId,
}

/// One connected defective region, in pixels of the original image.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RegionRecord {
    /// Left edge.
    pub x: usize,
    /// Top edge.
    pub y: usize,
    /// Width.
    pub width: usize,
    /// Height.
    pub height: usize,
    /// Share of the image that it covers.
    pub area_share: f64,
    /// Area, pixels.
    pub area: f64,
    /// Column of its centre of mass.
    pub centroid_x: f64,
    /// Row of its centre of mass.
    pub centroid_y: f64,
    /// Largest value of the map within it, nats.
    pub peak: f32,
    /// Mean value of the map within it, nats.
    pub mean: f32,
    /// Width, mm; with a pixel size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width_mm: Option<f64>,
    /// Height, mm; with a pixel size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height_mm: Option<f64>,
    /// Area, mm²; with a pixel size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub area_mm2: Option<f64>,
}

impl RegionRecord {
    /// A region where a pixel of the original image is a square of `pixel_size` mm.
    pub fn new(region: &DefectRegion, pixel_size: Option<f64>) -> RegionRecord {
        let &DefectRegion { x, y, width, height, area_share, area, centroid_x, centroid_y, peak, mean } =
            region;
        RegionRecord {
            x,
            y,
            width,
            height,
            area_share,
            area,
            centroid_x,
            centroid_y,
            peak,
            mean,
            width_mm: pixel_size.map(|side| width as f64 * side),
            height_mm: pixel_size.map(|side| height as f64 * side),
            area_mm2: pixel_size.map(|side| region.area_mm2(side)),
        }
    }
}

impl Record {
    /// The record of an inspection with this recipe.
    pub fn new(recipe: &Recipe, inspection: &Inspection, capture: &Capture) -> Record {
        let created = capture.created.map(rfc3339);
        Record {
            id: result_id(&recipe.model, created.as_deref(), capture),
            state: ResultState::Completed,
            file: capture.file.clone(),
            part_id: capture.part_id.clone(),
            created,
            verdict: inspection.verdict,
            score: inspection.score,
            rank: Rank::of(inspection.score, &recipe.normal_scores),
            thresholds: recipe.thresholds,
            whole_image: inspection.whole_image,
            parts: parts(inspection),
            width: inspection.original.width,
            height: inspection.original.height,
            regions: inspection
                .regions
                .iter()
                .map(|region| RegionRecord::new(region, capture.pixel_size))
                .collect(),
            model: recipe.model.clone(),
            secs: capture.secs,
            overlay: capture.overlay.clone(),
            map: capture.map.clone(),
            mask: capture.mask.clone(),
        }
    }
}

impl FailedRecord {
    /// The record of an image that could not be judged; `error` is a sentence that names it.
    pub fn new(recipe: &Recipe, error: impl Into<String>, capture: &Capture) -> FailedRecord {
        let created = capture.created.map(rfc3339);
        FailedRecord {
            id: result_id(&recipe.model, created.as_deref(), capture),
            state: ResultState::Failed,
            file: capture.file.clone(),
            part_id: capture.part_id.clone(),
            created,
            error: error.into(),
            model: recipe.model.clone(),
        }
    }
}

/// What the parts of the score contribute, by the names they have in `--score-parts`.
fn parts(inspection: &Inspection) -> BTreeMap<String, f32> {
    inspection.parts.iter().map(|(kind, nats)| (kind.name().to_owned(), *nats)).collect()
}

/// A time as RFC 3339 in UTC, with milliseconds.
pub fn rfc3339(time: SystemTime) -> String {
    humantime::format_rfc3339_millis(time).to_string()
}

/// A digest of all that tells one result from another.
fn result_id(model: &ModelId, created: Option<&str>, capture: &Capture) -> String {
    let Capture { file, part_id, sequence, .. } = capture;
    let key = serde_json::to_vec(&(&model.sha256, created, file, part_id, sequence));
    let mut id = sha256_hex(&key.expect("texts and a number"));
    id.truncate(ID_DIGITS);
    id
}

#[cfg(test)]
mod tests;
