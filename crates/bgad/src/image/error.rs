//! Everything that can be wrong with an image file.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::OriginalSize;

/// An image or mask that could not be used: which file, and what is wrong with it.
#[derive(Debug)]
pub struct ImageError {
    /// The file; `None` for bytes that came from memory.
    pub path: Option<PathBuf>,
    /// What is wrong with it.
    pub problem: ImageProblem,
}

/// What is wrong with an image.
#[derive(Debug)]
pub enum ImageProblem {
    /// The file could not be opened or read.
    Unreadable(io::Error),
    /// The file holds no bytes at all.
    Empty,
    /// The content is no image of any known format.
    UnknownFormat {
        /// The first bytes, at most eight.
        starts_with: Vec<u8>,
    },
    /// An image, but of a format or colour type that is not read.
    Unsupported {
        /// What it is, in the decoder's words.
        found: String,
    },
    /// The file ends before the image does.
    Truncated {
        /// Bytes the file holds.
        bytes: usize,
    },
    /// The content contradicts its own format.
    Damaged(::image::ImageError),
    /// Larger than any picture of a part is: a decompression bomb or a mistake.
    TooLarge {
        /// What the file announces, for instance `20000x20000 pixels`.
        found: String,
    },
    /// No row or no column.
    ZeroSized {
        /// What the file announces.
        found: OriginalSize,
    },
    /// A floating-point image with a value outside `[0, 1]`: its scale is unknown.
    FloatOutOfRange {
        /// The first such value.
        found: f32,
    },
    /// An annotation file from which no mask can be drawn.
    Annotation {
        /// What is wrong with it.
        found: String,
    },
    /// A mask of another size than its image.
    MaskSize {
        /// The image's file.
        image: PathBuf,
        /// The image's size.
        expected: OriginalSize,
        /// The mask's size.
        found: OriginalSize,
    },
}

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
            write!(f, "{}: ", path.display())?;
        }
        self.problem.fmt(f)
    }
}

impl fmt::Display for ImageProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ImageProblem::Unreadable(error) => write!(f, "cannot be read: {error}"),
            ImageProblem::Empty => write!(f, "expected an image, found an empty file"),
            ImageProblem::UnknownFormat { starts_with } => {
                let start = starts_with.escape_ascii();
                write!(
                    f,
                    "expected a PNG, JPEG, BMP or TIFF image, found content that begins with \"{start}\""
                )
            }
            ImageProblem::Unsupported { found } => {
                write!(f, "expected a PNG, JPEG, BMP or TIFF image of 8 or 16 bit, found: {found}")
            }
            ImageProblem::Truncated { bytes } => {
                write!(f, "expected a whole image, found a truncated file: it ends after {bytes} bytes")
            }
            ImageProblem::Damaged(error) => write!(f, "expected a sound image, found a damaged one: {error}"),
            ImageProblem::TooLarge { found } => {
                let side = super::decode::MAX_SIDE;
                write!(f, "expected an image of at most {side}x{side} pixels and ")?;
                write!(f, "{} MiB decoded, found {found}", super::decode::MAX_BYTES >> 20)
            }
            ImageProblem::ZeroSized { found } => {
                write!(f, "expected an image of at least one pixel, found {found} (height x width)")
            }
            ImageProblem::FloatOutOfRange { found } => {
                write!(f, "expected floating-point samples from 0 to 1, found {found}; ")?;
                write!(f, "scale the image to that range or save it in 16 bit")
            }
            ImageProblem::Annotation { found } => {
                write!(f, "expected a LabelMe or COCO annotation, found {found}")
            }
            ImageProblem::MaskSize { image, expected, found } => {
                write!(f, "expected a mask of {expected} (height x width) like its image ")?;
                write!(f, "{}, found {found}", image.display())
            }
        }
    }
}

impl Error for ImageError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.problem {
            ImageProblem::Unreadable(error) => Some(error),
            ImageProblem::Damaged(error) => Some(error),
            _ => None,
        }
    }
}
