//! Archives: millions of images listed in a file, one row of results for each, exactly once after any number of interruptions.
//!
//! ```text
//! manifest      a CSV file with a column `path`; relative paths start at its folder
//! shard i/n     rows r, from 0, with r mod n = i − 1
//! output        one row for each row of the shard, in its order: the k-th row is of the k-th image
//! output.job    with which model and shard it was begun; written before the first row
//! ```
//!
//! The output only ever grows at its end. A run that was killed leaves whole rows and perhaps a part of one; the next one checks the
//! whole ones against the manifest, cuts the part off and goes on. No row is lost or written twice, because its number is its place.

mod job;
mod manifest;
mod output;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::detector::Inspection;
use crate::verdict::Verdict;
use crate::written::written_as_text;

pub use job::Job;
pub use manifest::{Entry, Manifest};
pub use output::{ArchiveError, Format, Output};

/// What an archive says of one image; `None` where the image could not be judged, or has no region.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Number of the row in the manifest, from 0.
    pub row: u64,
    /// The image as the manifest names it.
    pub file: String,
    /// OK, REVIEW or NG.
    pub verdict: Option<Verdict>,
    /// Score, nats.
    pub score: Option<f32>,
    /// Rows of the image.
    pub height: Option<usize>,
    /// Columns of the image.
    pub width: Option<usize>,
    /// How many regions were found.
    pub regions: Option<usize>,
    /// Left edge of the region with the highest peak, pixels of the image.
    pub x: Option<usize>,
    /// Its top edge.
    pub y: Option<usize>,
    /// Its height.
    pub region_height: Option<usize>,
    /// Its width.
    pub region_width: Option<usize>,
    /// Its highest value, nats.
    pub peak: Option<f32>,
    /// Why the image could not be judged, in one line.
    pub error: Option<String>,
}

impl Row {
    /// The row of an image that was inspected.
    pub fn judged(row: u64, file: String, found: &Inspection) -> Row {
        let highest = found.regions.first();
        Row {
            row,
            file,
            verdict: Some(found.verdict),
            score: Some(found.score),
            height: Some(found.original.height),
            width: Some(found.original.width),
            regions: Some(found.regions.len()),
            x: highest.map(|region| region.x),
            y: highest.map(|region| region.y),
            region_height: highest.map(|region| region.height),
            region_width: highest.map(|region| region.width),
            peak: highest.map(|region| region.peak),
            error: None,
        }
    }

    /// The row of an image that could not be judged.
    pub fn failed(row: u64, file: String, error: &str) -> Row {
        Row {
            row,
            file,
            verdict: None,
            score: None,
            height: None,
            width: None,
            regions: None,
            x: None,
            y: None,
            region_height: None,
            region_width: None,
            peak: None,
            // A row is a line, so that a part of one can be told from a whole one.
            error: Some(error.replace(['\n', '\r'], " ")),
        }
    }
}

/// Which rows of a manifest a run takes. Written `i/n`, with `i` from 1 to `n`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Shard {
    index: u64,
    of: u64,
}

impl Shard {
    /// All rows.
    pub const ALL: Shard = Shard { index: 1, of: 1 };

    /// Whether the row with this number, from 0, is one of them.
    pub fn has(self, row: u64) -> bool {
        row % self.of == self.index - 1
    }
}

impl FromStr for Shard {
    type Err = ShardError;

    fn from_str(text: &str) -> Result<Shard, ShardError> {
        let refused = || ShardError { found: text.to_owned() };
        let (index, of) = text.split_once('/').ok_or_else(refused)?;
        match (index.trim().parse(), of.trim().parse()) {
            (Ok(index), Ok(of)) if (1..=of).contains(&index) => Ok(Shard { index, of }),
            _ => Err(refused()),
        }
    }
}

written_as_text!(Shard);

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

/// A text that is no shard.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a shard as i/n with i from 1 to n, for instance 2/8, found \"{found}\"")]
pub struct ShardError {
    /// What was written.
    pub found: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_divide_the_rows() {
        let shards: Vec<Shard> = (1..=3).map(|i| format!("{i}/3").parse().expect("a shard")).collect();
        for row in 0..20 {
            assert_eq!(shards.iter().filter(|shard| shard.has(row)).count(), 1, "row {row}");
        }
        assert!((0..9).all(|row| Shard::ALL.has(row)));
        assert_eq!(shards[1].to_string(), "2/3");
        for text in ["", "1", "0/3", "4/3", "1/0", "-1/3", "1/3/5", "a/b"] {
            assert_eq!(text.parse::<Shard>(), Err(ShardError { found: text.to_owned() }));
        }
    }
}
