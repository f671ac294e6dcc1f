//! Everything that can be wrong with an image file.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::OriginalSize;
use super::content::FORMATS;
use super::decode::{MAX_BYTES, MAX_SIDE};
use crate::printable;

/// An image or mask that could not be used: which file, and what is wrong with it.
#[derive(Debug)]
pub struct ImageError {
    /// The file; `None` for bytes that came from memory.
    pub path: Option<PathBuf>,
    /// What is wrong with it.
    pub problem: ImageProblem,
}

/// What is wrong with an image.
#[derive(Debug, thiserror::Error)]
pub enum ImageProblem {
    /// The file could not be opened or read, or is no ordinary file.
    #[error("cannot be read: {0}")]
    Unreadable(#[source] io::Error),
    /// The file holds no bytes at all.
    #[error("expected an image, found an empty file")]
    Empty,
    /// The content is no image of any known format.
    #[error("expected a {FORMATS} image, found content that begins with \"{}\"", .starts_with.escape_ascii())]
    UnknownFormat {
        /// The first bytes, at most eight.
        starts_with: Vec<u8>,
    },
    /// An image, but of a format or colour type that is not read.
    #[error("expected a {FORMATS} image of 8 or 16 bit, found: {found}")]
    Unsupported {
        /// What it is.
        found: String,
    },
    /// A file with several pictures.
    #[error("expected one picture, found {found}; save the one that is meant as a file of its own")]
    Pages {
        /// What the file holds.
        found: String,
    },
    /// The file ends before the image does.
    #[error("expected a whole image, found a truncated file: it ends after {bytes} bytes")]
    Truncated {
        /// Bytes the file holds.
        bytes: usize,
    },
    /// The content contradicts its own format.
    #[error("expected a sound image, found a damaged one: {0}")]
    Damaged(#[source] ::image::ImageError),
    /// Part of a JPEG's data is missing or was overwritten: what a decoder makes of the rest is no picture.
    #[error("expected a sound image, found a damaged JPEG: {found}")]
    Holed {
        /// What the data show.
        found: String,
    },
    /// Larger than any picture of a part is: a decompression bomb or a mistake.
    #[error(
        "expected an image of at most {MAX_SIDE}x{MAX_SIDE} pixels and {} MiB decoded, found {found}",
        MAX_BYTES >> 20
    )]
    TooLarge {
        /// What the file announces, for instance `20000x20000 pixels`.
        found: String,
    },
    /// No row or no column.
    #[error("expected an image of at least one pixel, found {found} (height x width)")]
    ZeroSized {
        /// What the file announces.
        found: OriginalSize,
    },
    /// A floating-point image with a value outside `[0, 1]`: its scale is unknown.
    #[error(
        "expected floating-point samples from 0 to 1, found {found}; scale the image to that range or save it in 16 bit"
    )]
    FloatOutOfRange {
        /// The first such value.
        found: f32,
    },
    /// An annotation file from which no mask can be drawn.
    #[error("expected a LabelMe, COCO or Label Studio annotation, found {found}")]
    Annotation {
        /// What is wrong with it.
        found: String,
    },
    /// A folder that should hold the masks of one image.
    #[error("expected a folder with the masks of one image, found {found}")]
    MaskFolder {
        /// What is in it.
        found: String,
    },
    /// A mask of another size than its image.
    #[error(
        "expected a mask of {expected} (height x width) like its image {}, found {found}{}",
        printable::path(.image),
        if *.turned { TURNED } else { "" }
    )]
    MaskSize {
        /// The image's file.
        image: PathBuf,
        /// The image's size.
        expected: OriginalSize,
        /// The mask's size.
        found: OriginalSize,
        /// Whether the image has an EXIF tag that turns it, and the mask fits the image as it is stored.
        turned: bool,
    },
}

/// What to do about a mask that was drawn on a picture before it was turned.
const TURNED: &str = ": the image has an EXIF rotation, and the mask was drawn on the picture as it is stored; \
    turn the mask as the image, or save the image without the EXIF rotation and draw on that";

impl ImageError {
    /// Adds the file's name.
    pub(crate) fn of_file(self, path: &Path) -> ImageError {
        ImageError { path: Some(path.to_owned()), ..self }
    }
}

impl From<ImageProblem> for ImageError {
    fn from(problem: ImageProblem) -> ImageError {
        ImageError { path: None, problem }
    }
}

impl fmt::Display for ImageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(path) = &self.path {
            write!(f, "{}: ", printable::path(path))?;
        }
        self.problem.fmt(f)
    }
}

impl Error for ImageError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.problem.source()
    }
}
