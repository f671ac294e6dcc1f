//! A model that inspects: the native half of `bgad.Detector`.

use std::fs;
use std::path::PathBuf;

use bgad::Inspection;
use bgad::image::ImageError;
use bgad::model::{Model, ModelError};
use bgad::overlay::Look;
use bgad::record::Recipe;
use numpy::{PyArray1, PyArray3, PyArrayMethods as _};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList};
use rayon::prelude::*;

use crate::archive::Columns;
use crate::error::{self, IntoPyErr as _, OrRaise as _};
use crate::picture::Picture;
use crate::threads::Threads;
use crate::{json, overlay, record};

/// A model made ready, and the threads that it runs on.
#[pyclass(frozen, module = "bgad._bgad")]
pub(crate) struct Detector {
    detector: bgad::Detector,
    recipe: Recipe,
    threads: Threads,
}

impl Detector {
    fn new(bytes: Vec<u8>, path: Option<PathBuf>, threads: Option<usize>) -> PyResult<Detector> {
        let name = path.as_ref().map_or("memory".to_owned(), |path| path.to_string_lossy().into_owned());
        let made = || {
            let model = Model::from_bytes(bytes.clone())?;
            Ok((bgad::Detector::new(&model)?, Recipe::of(name, &bytes, &model.header)))
        };
        let threads = Threads::new(threads);
        // On threads of this process: after a fork those that the library would take by itself are not there.
        let (detector, recipe) = threads
            .run(made)?
            .map_err(|source| match path {
                Some(path) => ModelError::InFile { path, source: Box::new(source) },
                None => source,
            })
            .or_raise()?;
        Ok(Detector { detector, recipe, threads })
    }

    fn fields<'py>(&self, py: Python<'py>, found: Found) -> PyResult<Bound<'py, PyDict>> {
        fields(py, &self.recipe, found)
    }
}

#[pymethods]
impl Detector {
    /// Reads a model file.
    #[staticmethod]
    fn open(py: Python<'_>, path: PathBuf, threads: Option<usize>) -> PyResult<Detector> {
        py.detach(|| match fs::read(&path) {
            Ok(bytes) => Detector::new(bytes, Some(path), threads),
            // In the words of the library.
            Err(_) => Err(Model::open(&path).err().unwrap_or(ModelError::NotAModel)).or_raise(),
        })
    }

    /// Reads a model file that is in memory.
    #[staticmethod]
    fn from_bytes(py: Python<'_>, data: Vec<u8>, threads: Option<usize>) -> PyResult<Detector> {
        py.detach(|| Detector::new(data, None, threads))
    }

    /// SHA-256 of the model file.
    #[getter]
    fn sha256(&self) -> &str {
        &self.recipe.model.sha256
    }

    /// Threads of a call; None for all cores.
    #[getter]
    fn threads(&self) -> Option<usize> {
        self.threads.number()
    }

    /// Height and width that images are brought to.
    #[getter]
    fn input_size(&self) -> (usize, usize) {
        let input = self.detector.input();
        (input.height, input.width)
    }

    /// Where OK ends and NG begins, nats.
    #[getter]
    fn thresholds(&self) -> (f32, f32) {
        let thresholds = self.detector.header().thresholds;
        (thresholds.ok, thresholds.ng)
    }

    /// What the model file says about itself.
    fn header<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        json::to_python(py, self.detector.header())
    }

    /// Inspects one image.
    fn inspect<'py>(&self, py: Python<'py>, image: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyDict>> {
        let picture = Picture::of(image)?;
        let found = py.detach(|| self.threads.run(|| Found::new(&self.detector, picture)))?;
        self.fields(py, found.or_raise()?)
    }

    /// Inspects some images side by side; an image that cannot be used gives its exception in its place.
    fn inspect_many<'py>(
        &self,
        py: Python<'py>,
        images: Vec<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyList>> {
        let pictures: Vec<PyResult<Picture>> = images.iter().map(Picture::of).collect();
        let inspect = |picture: PyResult<Picture>| -> PyResult<Result<Found, ImageError>> {
            picture.map(|picture| Found::new(&self.detector, picture))
        };
        let found: Vec<_> =
            py.detach(|| self.threads.run(|| pictures.into_par_iter().map(inspect).collect()))?;
        let results = PyList::empty(py);
        for found in found {
            match found.and_then(|found| found.map_err(|error| error.into_py_err())) {
                Ok(found) => results.append(self.fields(py, found)?)?,
                Err(error) => results.append(error.into_value(py))?,
            }
        }
        Ok(results)
    }

    /// Draws what was found in an image: pixels `[height, width, 3]`. `score` is that of the inspection.
    fn overlay<'py>(
        &self,
        py: Python<'py>,
        image: &Bound<'py, PyAny>,
        score: f32,
        style: &str,
        footer: bool,
    ) -> PyResult<Bound<'py, PyArray3<u8>>> {
        let look = Look { style: overlay::style(style)?, footer, ..Look::default() };
        let picture = Picture::of(image)?;
        let drawn = py.detach(|| {
            self.threads.run(|| {
                let frame = picture.frame().or_raise()?;
                overlay::draw(&self.detector, &self.recipe, &frame, score, &look)
            })
        })??;
        PyArray1::from_vec(py, drawn.rgb).reshape([drawn.height, drawn.width, 3])
    }

    /// A small picture of the same as the bytes of a JPEG file.
    fn thumbnail<'py>(
        &self,
        py: Python<'py>,
        image: &Bound<'py, PyAny>,
        score: f32,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let picture = Picture::of(image)?;
        let jpeg = py.detach(|| {
            self.threads.run(|| {
                let frame = picture.frame().or_raise()?;
                overlay::thumbnail(&self.detector, &self.recipe, &frame, score)
            })
        })??;
        Ok(PyBytes::new(py, &jpeg))
    }

    /// Inspects images for an archive: columns of numbers and texts, without maps, errors among them. `files` names the images.
    fn archive_rows<'py>(
        &self,
        py: Python<'py>,
        files: Vec<String>,
        images: Vec<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let pictures: Vec<Result<Picture, String>> = images
            .iter()
            .map(|image| Picture::of(image).map_err(|error| error.value(py).to_string()))
            .collect();
        let inspect = |picture: Result<Picture, String>| match picture {
            Ok(picture) => picture.inspect(&self.detector).map_err(|error| error::chain(&error)),
            Err(message) => Err(message),
        };
        let found: Vec<Result<Inspection, String>> =
            py.detach(|| self.threads.run(|| pictures.into_par_iter().map(inspect).collect()))?;
        Columns::of(files.into_iter().zip(found)).into_python(py)
    }
}

/// What was found, and in which file.
struct Found {
    inspection: Inspection,
    file: Option<String>,
}

impl Found {
    fn new(detector: &bgad::Detector, picture: Picture) -> Result<Found, ImageError> {
        Ok(Found { inspection: picture.inspect(detector)?, file: picture.file() })
    }
}

/// The fields of `bgad.Inspection`. The map goes to numpy as it lies in memory.
fn fields<'py>(
    py: Python<'py>,
    recipe: &Recipe,
    Found { inspection: found, file }: Found,
) -> PyResult<Bound<'py, PyDict>> {
    let fields = PyDict::new(py);
    let record = record::record(recipe, &found, file);
    fields.set_item("record", json::to_python(py, &record)?)?;
    fields.set_item("parts", record.parts)?;
    let bgad::score::AnomalyMap { nats, h, w } = found.map;
    let map = PyArray1::from_vec(py, nats).reshape([h, w])?;
    fields.set_item("score", found.score)?;
    fields.set_item("verdict", found.verdict.to_string())?;
    let regions = PyList::empty(py);
    for region in &found.regions {
        let fields = PyDict::new(py);
        fields.set_item("x", region.x)?;
        fields.set_item("y", region.y)?;
        fields.set_item("width", region.width)?;
        fields.set_item("height", region.height)?;
        fields.set_item("area_share", region.area_share)?;
        fields.set_item("area", region.area)?;
        fields.set_item("centroid_x", region.centroid_x)?;
        fields.set_item("centroid_y", region.centroid_y)?;
        fields.set_item("peak", region.peak)?;
        fields.set_item("mean", region.mean)?;
        regions.append(fields)?;
    }
    fields.set_item("regions", regions)?;
    // Nobody may change what was judged.
    map.readwrite().make_nonwriteable();
    fields.set_item("anomaly_map", map)?;
    fields.set_item("height", found.original.height)?;
    fields.set_item("width", found.original.width)?;
    Ok(fields)
}
