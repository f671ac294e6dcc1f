//! Sizes, and the one form in which a user writes them: `HxW`.

use std::fmt;
use std::str::FromStr;

use ::image::DynamicImage;
use serde::{Deserialize, Serialize};

/// Height and width at which the network sees every image. Written `256` or `384x768` (height x width).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct InputSize {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

impl InputSize {
    /// The smallest side that can be asked for: one position on the coarsest level, whose stride is 16.
    pub const MIN_SIDE: usize = 16;
    /// The largest side that can be asked for; beyond it the feature maps of a batch no longer fit in memory.
    pub const MAX_SIDE: usize = 4096;

    /// A square input.
    pub const fn square(side: usize) -> InputSize {
        InputSize { height: side, width: side }
    }

    /// The number of positions, `height * width`.
    pub const fn pixels(self) -> usize {
        self.height * self.width
    }
}

impl FromStr for InputSize {
    type Err = InputSizeError;

    fn from_str(text: &str) -> Result<InputSize, InputSizeError> {
        let refused = || InputSizeError { found: text.to_owned() };
        let side = |text: &str| match text.trim().parse::<usize>() {
            Ok(side) if (InputSize::MIN_SIDE..=InputSize::MAX_SIDE).contains(&side) => Ok(side),
            _ => Err(refused()),
        };
        match text.split_once(['x', 'X']) {
            Some((height, width)) => Ok(InputSize { height: side(height)?, width: side(width)? }),
            None => Ok(InputSize::square(side(text)?)),
        }
    }
}

impl TryFrom<String> for InputSize {
    type Error = InputSizeError;

    fn try_from(text: String) -> Result<InputSize, InputSizeError> {
        text.parse()
    }
}

impl From<InputSize> for String {
    fn from(size: InputSize) -> String {
        size.to_string()
    }
}

impl fmt::Display for InputSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.height, self.width)
    }
}

/// A text that is no input size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputSizeError {
    /// What was written.
    pub found: String,
}

impl fmt::Display for InputSizeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (min, max) = (InputSize::MIN_SIDE, InputSize::MAX_SIDE);
        write!(
            f,
            "expected an input size as SIDE or HEIGHTxWIDTH, each from {min} to {max}, found \"{}\"",
            self.found
        )
    }
}

impl std::error::Error for InputSizeError {}

/// Height and width of an image as it was on disk, after turning it upright, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OriginalSize {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

impl OriginalSize {
    pub(super) fn of(decoded: &DynamicImage) -> OriginalSize {
        OriginalSize { height: decoded.height() as usize, width: decoded.width() as usize }
    }
}

impl fmt::Display for OriginalSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.height, self.width)
    }
}
