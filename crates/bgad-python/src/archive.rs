//! Rows of archives as columns.

use bgad::Inspection;
use bgad::archive::Row;
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// Columns of rows, in the order and under the names of the command line's CSV.
pub(crate) struct Columns(Vec<Row>);

impl Columns {
    pub(crate) fn of(found: impl Iterator<Item = (String, Result<Inspection, String>)>) -> Columns {
        let row = |(file, found): (String, Result<Inspection, String>)| match found {
            Ok(found) => Row::judged(0, file, &found),
            Err(error) => Row::failed(0, file, &error),
        };
        Columns(found.map(row).collect())
    }

    /// Without the numbers of the rows, which the caller knows.
    pub(crate) fn into_python(self, py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
        let columns = PyDict::new(py);
        let rows = &self.0;
        let verdict = |row: &Row| row.verdict.map(|verdict| verdict.to_string());
        columns.set_item("file", rows.iter().map(|row| row.file.as_str()).collect::<Vec<_>>())?;
        columns.set_item("verdict", rows.iter().map(verdict).collect::<Vec<_>>())?;
        columns.set_item("score", rows.iter().map(|row| row.score).collect::<Vec<_>>())?;
        columns.set_item("height", rows.iter().map(|row| row.height).collect::<Vec<_>>())?;
        columns.set_item("width", rows.iter().map(|row| row.width).collect::<Vec<_>>())?;
        columns.set_item("regions", rows.iter().map(|row| row.regions).collect::<Vec<_>>())?;
        columns.set_item("x", rows.iter().map(|row| row.x).collect::<Vec<_>>())?;
        columns.set_item("y", rows.iter().map(|row| row.y).collect::<Vec<_>>())?;
        columns.set_item("region_height", rows.iter().map(|row| row.region_height).collect::<Vec<_>>())?;
        columns.set_item("region_width", rows.iter().map(|row| row.region_width).collect::<Vec<_>>())?;
        columns.set_item("peak", rows.iter().map(|row| row.peak).collect::<Vec<_>>())?;
        columns.set_item("error", rows.iter().map(|row| row.error.as_deref()).collect::<Vec<_>>())?;
        Ok(columns)
    }
}
