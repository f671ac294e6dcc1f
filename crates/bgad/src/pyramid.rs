//! The feature maps of one image, all levels together.

use std::str::FromStr;
use std::{error, fmt};

use serde::{Deserialize, Serialize};

use crate::written::written_as_text;

/// One level: a feature vector at each position of a grid.
#[derive(Clone, Debug, PartialEq)]
pub struct FeatureMap {
    /// Rows of the grid.
    pub height: usize,
    /// Columns of the grid.
    pub width: usize,
    /// Length of a feature vector.
    pub channels: usize,
    /// `[height, width, channels]`, row-major.
    pub hwc: Vec<f32>,
}

/// The feature maps of one image, the finest level first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pyramid {
    /// One grid for each level that the network states ([`crate::backbone::Extractor`]) and that is wanted.
    pub levels: Vec<FeatureMap>,
}

/// Which levels of a pyramid are used. Written `1,2,3`: 1 is the finest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Levels([bool; Levels::MOST]);

impl Levels {
    /// Levels that a pyramid has at most.
    pub const MOST: usize = 3;
    /// All of them.
    pub const ALL: Levels = Levels([true; Levels::MOST]);

    /// The first `n`, the finest ones.
    pub(crate) fn first(n: usize) -> Levels {
        Levels(std::array::from_fn(|level| level < n))
    }

    /// Whether `level`, from 0, is one of them.
    pub fn contains(self, level: usize) -> bool {
        self.0.get(level) == Some(&true)
    }

    /// The chosen ones, from 0, the finest first; one at least.
    pub fn chosen(self) -> impl Iterator<Item = usize> {
        (0..Levels::MOST).filter(move |&level| self.contains(level))
    }
}

impl FromStr for Levels {
    type Err = LevelsError;

    fn from_str(text: &str) -> Result<Levels, LevelsError> {
        let mut levels = [false; Levels::MOST];
        for level in text.split(',') {
            match level.trim().parse::<usize>() {
                Ok(level) if (1..=Levels::MOST).contains(&level) => levels[level - 1] = true,
                _ => return Err(LevelsError { found: text.to_owned() }),
            }
        }
        Ok(Levels(levels))
    }
}

written_as_text!(Levels);

impl fmt::Display for Levels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers: Vec<String> = self.chosen().map(|level| (level + 1).to_string()).collect();
        f.write_str(&numbers.join(","))
    }
}

/// Why a choice of levels was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LevelsError {
    /// What was asked for.
    pub found: String,
}

impl fmt::Display for LevelsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "expected levels from 1 (finest) to {}, as in 1,2,3, found \"{}\"",
            Levels::MOST,
            self.found
        )
    }
}

impl error::Error for LevelsError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_read_and_written() {
        for (text, written, chosen) in
            [("1,2,3", "1,2,3", vec![0, 1, 2]), ("3", "3", vec![2]), (" 3, 1,3", "1,3", vec![0, 2])]
        {
            let levels: Levels = text.parse().expect(text);
            assert_eq!((levels.to_string().as_str(), levels.chosen().collect()), (written, chosen));
        }
        for text in ["", "0", "4", "1,", "1;2", "-1", "all"] {
            assert_eq!(text.parse::<Levels>(), Err(LevelsError { found: text.to_owned() }));
        }
    }
}
