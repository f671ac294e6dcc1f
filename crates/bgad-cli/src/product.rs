//! Files that commands write. All of them go through [`durable`].

use std::fs;
use std::io::{Cursor, Error};
use std::path::Path;

use bgad::durable;
use bgad::weights::Weights;
use image::{ImageBuffer, ImageFormat, PixelWithColorType};

use crate::failure::{Failure, context};

/// Writes a file, replacing what was there.
pub(crate) fn write(path: &Path, bytes: impl AsRef<[u8]>) -> Result<(), Failure> {
    durable::replace(path, bytes.as_ref())
        .map_err(|error| context(format!("cannot write {}", path.display()), error))
}

/// Writes a picture as PNG.
pub(crate) fn png<P>(path: &Path, picture: &ImageBuffer<P, Vec<u8>>) -> Result<(), Failure>
where
    P: PixelWithColorType<Subpixel = u8>,
{
    let mut bytes = Cursor::new(Vec::new());
    picture
        .write_to(&mut bytes, ImageFormat::Png)
        .map_err(|error| context(format!("cannot write {}", path.display()), Error::other(error)))?;
    write(path, bytes.into_inner())
}

/// Makes a folder and those that it is in.
pub(crate) fn folder(path: &Path) -> Result<(), Failure> {
    fs::create_dir_all(path)
        .map_err(|error| context(format!("cannot make the folder {}", path.display()), error))
}

/// Refuses files that could not be written, or that are models, before the work that they are to hold.
pub(crate) fn check<'a>(paths: impl IntoIterator<Item = &'a Path>) -> Result<(), Failure> {
    for path in paths {
        if path.is_file() && Weights::open(path).is_ok_and(|weights| weights.metadata("bgad").is_some()) {
            return Err(
                format!("cannot write {}: it is a model, which this would replace", path.display()).into()
            );
        }
        durable::check(path).map_err(|error| context(format!("cannot write {}", path.display()), error))?;
    }
    Ok(())
}
