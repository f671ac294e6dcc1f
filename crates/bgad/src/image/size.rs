//! Sizes, and the one form in which a user writes them: `HxW`.

use std::fmt;
use std::str::FromStr;

use ::image::DynamicImage;
use serde::{Deserialize, Serialize};

use crate::written::written_as_text;

/// What is written behind a size.
const KEEP_ASPECT: &str = " keep-aspect";

/// Height and width at which the network sees every image, and how images of other proportions get there. Written `256` or
/// `384x768` (height x width), with ` keep-aspect` behind it if they are to keep theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct InputSize {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Whether images keep their proportions and the rest is filled with their edge; else they are stretched.
    pub keep_aspect: bool,
}

/// Part of an image at the input size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// First row.
    pub top: usize,
    /// First column.
    pub left: usize,
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
        InputSize { height: side, width: side, keep_aspect: false }
    }

    /// Where an image of this size comes to lie: everywhere, or in the middle if it keeps its proportions.
    pub fn window(self, original: OriginalSize) -> Window {
        let (mut height, mut width) = (self.height, self.width);
        if self.keep_aspect && original.height > 0 && original.width > 0 {
            // The longer side fills its room; a side never vanishes.
            let fitted = |a: usize, b: usize, c: usize| ((2 * a * b + c) / (2 * c)).clamp(1, usize::MAX);
            if original.height * self.width > original.width * self.height {
                width = fitted(original.width, self.height, original.height).min(self.width);
            } else {
                height = fitted(original.height, self.width, original.width).min(self.height);
            }
        }
        Window { top: (self.height - height) / 2, left: (self.width - width) / 2, height, width }
    }

    /// Whether a window is all of it.
    pub fn is_filled_by(self, window: Window) -> bool {
        (window.height, window.width) == (self.height, self.width)
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
        let (sides, keep_aspect) = match text.trim_end().strip_suffix(KEEP_ASPECT) {
            Some(sides) => (sides, true),
            None => (text, false),
        };
        let (height, width) = sides.split_once(['x', 'X']).unwrap_or((sides, sides));
        Ok(InputSize { height: side(height)?, width: side(width)?, keep_aspect })
    }
}

written_as_text!(InputSize);

impl fmt::Display for InputSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.height, self.width)?;
        if self.keep_aspect { f.write_str(KEEP_ASPECT) } else { Ok(()) }
    }
}

/// A text that is no input size.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected an input size as SIDE or HEIGHTxWIDTH, each from {} to {}, found \"{found}\"",
    InputSize::MIN_SIDE,
    InputSize::MAX_SIDE
)]
pub struct InputSizeError {
    /// What was written.
    pub found: String,
}

/// Height and width of an image as it was on disk, after turning it upright, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OriginalSize {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

impl OriginalSize {
    /// The input size at which nothing is resized.
    pub const fn as_input(self) -> InputSize {
        InputSize { height: self.height, width: self.width, keep_aspect: false }
    }

    pub(super) fn of(decoded: &DynamicImage) -> OriginalSize {
        OriginalSize { height: decoded.height() as usize, width: decoded.width() as usize }
    }
}

impl fmt::Display for OriginalSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.height, self.width)
    }
}
