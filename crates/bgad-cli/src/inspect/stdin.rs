//! Images and paths that come on stdin.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use bgad::Frame;
use bgad::image::{ImageError, ImageProblem};

use crate::args::InspectArgs;
use crate::failure::{Failure, context};

/// An image on stdin, as it is named on the command line.
const STDIN: &str = "-";
/// An image on stdin has no more bytes: more than any file that is read holds.
const MOST_BYTES: u64 = 1 << 30;
/// A list of paths has no more bytes.
const MOST_PATHS: u64 = 1 << 28;

/// What was named, and what stands on stdin, one path a line.
pub(super) fn inputs(args: &InspectArgs) -> Result<Vec<PathBuf>, Failure> {
    let mut inputs = args.inputs.clone();
    if !args.from_stdin {
        return match inputs.iter().filter(|path| path.as_os_str() == STDIN).count() {
            0 | 1 => Ok(inputs),
            n => Err(format!("- was named {n} times, but stdin holds one image").into()),
        };
    }
    if inputs.iter().any(|path| path.as_os_str() == STDIN) {
        return Err("stdin holds either paths (--from-stdin) or an image (-), not both".into());
    }
    let mut text = String::new();
    io::stdin().lock().take(MOST_PATHS).read_to_string(&mut text).map_err(|error| {
        context("cannot read paths from stdin: expected UTF-8 text, one path a line", error)
    })?;
    inputs.extend(text.lines().filter(|line| !line.is_empty()).map(PathBuf::from));
    if inputs.is_empty() {
        return Err("no path on stdin: expected one a line".into());
    }
    Ok(inputs)
}

/// The image on stdin, if that is what the path means.
pub(super) fn frame(path: &Path) -> Result<Option<Frame>, ImageError> {
    if path.as_os_str() != STDIN {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    let read = io::stdin().lock().take(MOST_BYTES).read_to_end(&mut bytes);
    let decoded = match read {
        Ok(_) => Frame::decode(&bytes),
        Err(error) => Err(ImageProblem::Unreadable(error).into()),
    };
    decoded.map(Some).map_err(|error| ImageError { path: Some("stdin".into()), ..error })
}
