//! What can be inspected: a file, its bytes, or an array.

use std::path::PathBuf;

use bgad::image::ImageError;
use bgad::{Detector, Frame, FrameError, Inspection, Layout};
use numpy::{Element, PyArrayDyn, PyArrayMethods as _, PyUntypedArray, PyUntypedArrayMethods as _};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyByteArray, PyBytes, PyMemoryView, PyString};

use crate::error::OrRaise as _;

/// An image as it was given. Holds no Python reference that needs the interpreter to be read.
pub(crate) enum Picture {
    File(PathBuf),
    Bytes(PyBackedBytes),
    Frame(Frame),
}

impl Picture {
    /// Reads the argument of a call; arrays are copied, so that nobody changes them while they are worked on.
    pub(crate) fn of(value: &Bound<'_, PyAny>) -> PyResult<Picture> {
        if value.is_instance_of::<PyMemoryView>() {
            let bytes = value.call_method0("tobytes")?;
            return Ok(Picture::Bytes(bytes.extract()?));
        }
        if value.is_instance_of::<PyBytes>() || value.is_instance_of::<PyByteArray>() {
            return Ok(Picture::Bytes(value.extract()?));
        }
        if let Ok(array) = value.cast::<PyUntypedArray>() {
            return frame(array).map(Picture::Frame);
        }
        if value.is_instance_of::<PyString>() || value.hasattr("__fspath__")? {
            return Ok(Picture::File(value.extract()?));
        }
        let found = value.get_type().qualname()?;
        Err(PyTypeError::new_err(format!(
            "expected an image as a path, the bytes of a file, or a numpy array of uint8 or uint16 of shape [height, width] or \
             [height, width, 3 or 4], found {found}"
        )))
    }

    /// The file that it is, for those who ask where a result came from.
    pub(crate) fn file(self) -> Option<String> {
        match self {
            Picture::File(path) => Some(path.to_string_lossy().into_owned()),
            Picture::Bytes(_) | Picture::Frame(_) => None,
        }
    }

    /// Its pixels.
    pub(crate) fn frame(self) -> Result<Frame, ImageError> {
        match self {
            Picture::File(path) => Frame::open(&path),
            Picture::Bytes(bytes) => Frame::decode(&bytes),
            Picture::Frame(frame) => Ok(frame),
        }
    }

    pub(crate) fn inspect(&self, detector: &Detector) -> Result<Inspection, ImageError> {
        match self {
            Picture::File(path) => detector.inspect_file(path),
            Picture::Bytes(bytes) => detector.inspect_bytes(bytes),
            Picture::Frame(frame) => detector.inspect(frame),
        }
    }
}

fn frame(array: &Bound<'_, PyUntypedArray>) -> PyResult<Frame> {
    if let Ok(array) = array.cast::<PyArrayDyn<u8>>() {
        return copied(array, Frame::from_u8);
    }
    if let Ok(array) = array.cast::<PyArrayDyn<u16>>() {
        return copied(array, Frame::from_u16);
    }
    Err(PyTypeError::new_err(format!(
        "expected an array of uint8 (0 to 255) or uint16 (0 to 65535), found {}: convert it, and say with that what is white",
        array.dtype()
    )))
}

/// A frame of the samples, whatever the array's strides.
fn copied<T: Element + Copy>(
    array: &Bound<'_, PyArrayDyn<T>>,
    frame: fn(&[T], Layout) -> Result<Frame, FrameError>,
) -> PyResult<Frame> {
    let layout = match *array.shape() {
        [height, width] => Layout::packed(height, width, 1),
        [height, width, channels] => Layout::packed(height, width, channels),
        _ => {
            return Err(PyTypeError::new_err(format!(
                "expected an array of shape [height, width] or [height, width, channels], found {:?}",
                array.shape()
            )));
        }
    };
    let array = array.try_readonly()?;
    let view = array.as_array();
    match view.as_slice() {
        Some(samples) => frame(samples, layout),
        None => frame(&view.iter().copied().collect::<Vec<T>>(), layout),
    }
    .or_raise()
}
