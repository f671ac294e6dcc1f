//! Checked views of matrices: what every kernel takes instead of slices with lengths and distances.
//!
//! ```text
//! value (i, j) = data[i · stride + j]      i < rows,  j < cols ≤ stride,  (rows − 1) · stride + cols ≤ data.len()
//! ```
//!
//! The inequalities are checked once, without overflow, when a view is made. Everything after that relies on them: a
//! row and a column below the view's own numbers name a value inside the slice.

use std::ops::Range;

use thiserror::Error;

/// A matrix of `rows` by `cols` values in a slice, its rows `stride` values apart.
#[derive(Clone, Copy, Debug)]
pub struct MatRef<'a> {
    /// Ends with the last value of the last row.
    data: &'a [f32],
    shape: Shape,
}

/// A [`MatRef`] that can be written to.
#[derive(Debug)]
pub struct MatMut<'a> {
    /// Ends with the last value of the last row.
    data: &'a mut [f32],
    shape: Shape,
}

#[derive(Clone, Copy, Debug)]
struct Shape {
    rows: usize,
    cols: usize,
    stride: usize,
}

/// Why a slice cannot be viewed as a matrix of the wanted shape.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ShapeError {
    /// The rows would overlap.
    #[error("rows of {cols} values cannot lie {stride} values apart")]
    Stride {
        /// Values in a row.
        cols: usize,
        /// Distance between the beginnings of two rows.
        stride: usize,
    },
    /// The slice ends before the last row does.
    #[error("a matrix of {rows} rows of {cols} values, {stride} apart, does not fit a slice of {len} values")]
    Length {
        /// Wanted rows.
        rows: usize,
        /// Values in a row.
        cols: usize,
        /// Distance between the beginnings of two rows.
        stride: usize,
        /// Values in the slice.
        len: usize,
    },
}

impl Shape {
    /// Checks the shape against a slice of `len` values; the number of values from the first to the last of the matrix.
    fn check(self, len: usize) -> Result<usize, ShapeError> {
        let Shape { rows, cols, stride } = self;
        if stride < cols {
            return Err(ShapeError::Stride { cols, stride });
        }
        let span = match rows.checked_sub(1) {
            None => Some(0),
            Some(before_last) => before_last.checked_mul(stride).and_then(|start| start.checked_add(cols)),
        };
        span.filter(|&span| span <= len).ok_or(ShapeError::Length { rows, cols, stride, len })
    }

    /// Where row `i` lies.
    #[inline(always)]
    #[track_caller]
    fn row(self, i: usize) -> Range<usize> {
        assert!(i < self.rows, "row {i} of a matrix of {} rows", self.rows);
        let start = i * self.stride;
        start..start + self.cols
    }

    /// The shape of some columns, and where the first of them begins in the slice.
    #[track_caller]
    fn columns(self, columns: &Range<usize>) -> (Shape, usize) {
        let Range { start, end } = *columns;
        assert!(start <= end && end <= self.cols, "columns {start}..{end} of {} columns", self.cols);
        // A matrix without rows has no values that an offset could skip.
        let offset = if self.rows == 0 { 0 } else { start };
        (Shape { cols: end - start, ..self }, offset)
    }
}

impl<'a> MatRef<'a> {
    /// Views the beginning of `data` as `rows` rows of `cols` values, `stride` apart.
    ///
    /// # Errors
    ///
    /// [`ShapeError`] if the rows overlap or the slice is too short, whatever the numbers.
    pub fn try_new(data: &'a [f32], rows: usize, cols: usize, stride: usize) -> Result<Self, ShapeError> {
        let shape = Shape { rows, cols, stride };
        let span = shape.check(data.len())?;
        Ok(MatRef { data: &data[..span], shape })
    }

    /// Views the beginning of `data` as `rows` rows of `cols` values, `stride` apart.
    ///
    /// # Panics
    ///
    /// If the rows overlap or the slice is too short.
    #[track_caller]
    pub fn strided(data: &'a [f32], rows: usize, cols: usize, stride: usize) -> Self {
        MatRef::try_new(data, rows, cols, stride).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Views the beginning of `data` as `rows` rows of `cols` values, without gaps.
    ///
    /// # Panics
    ///
    /// If the slice is too short.
    #[track_caller]
    pub fn dense(data: &'a [f32], rows: usize, cols: usize) -> Self {
        MatRef::strided(data, rows, cols, cols)
    }

    /// Number of rows.
    #[inline(always)]
    pub fn rows(&self) -> usize {
        self.shape.rows
    }

    /// Values in a row.
    #[inline(always)]
    pub fn cols(&self) -> usize {
        self.shape.cols
    }

    /// Distance between the beginnings of two rows.
    #[inline(always)]
    pub fn stride(&self) -> usize {
        self.shape.stride
    }

    /// Some of the columns.
    ///
    /// # Panics
    ///
    /// If the matrix does not have them.
    #[track_caller]
    pub fn columns(self, columns: Range<usize>) -> MatRef<'a> {
        let (shape, offset) = self.shape.columns(&columns);
        let span = if shape.rows == 0 { 0 } else { self.data.len() - (self.shape.cols - columns.end) };
        MatRef { data: &self.data[offset..span], shape }
    }

    /// Row `i`.
    ///
    /// # Panics
    ///
    /// If there are not so many rows.
    #[inline(always)]
    #[track_caller]
    pub fn row(&self, i: usize) -> &'a [f32] {
        let range = self.shape.row(i);
        // SAFETY: `i < rows`, so the row ends at or before `(rows - 1) · stride + cols = data.len()`.
        unsafe { self.data.get_unchecked(range) }
    }

    /// Column `j`, from a row on.
    #[inline(always)]
    #[track_caller]
    pub(crate) fn column(&self, j: usize, from: usize) -> impl Iterator<Item = f32> {
        let Shape { rows, cols, stride } = self.shape;
        assert!(from < rows && j < cols, "value ({from}, {j}) of {rows} rows of {cols} values");
        self.data[from * stride + j..].iter().step_by(stride).copied()
    }

    /// The first value of the first row, for kernels that compute addresses themselves.
    #[inline(always)]
    pub(crate) fn as_ptr(&self) -> *const f32 {
        self.data.as_ptr()
    }
}

impl<'a> MatMut<'a> {
    /// Views the beginning of `data` as `rows` rows of `cols` values, `stride` apart.
    ///
    /// # Errors
    ///
    /// [`ShapeError`] if the rows overlap or the slice is too short, whatever the numbers.
    pub fn try_new(data: &'a mut [f32], rows: usize, cols: usize, stride: usize) -> Result<Self, ShapeError> {
        let shape = Shape { rows, cols, stride };
        let span = shape.check(data.len())?;
        Ok(MatMut { data: &mut data[..span], shape })
    }

    /// Views the beginning of `data` as `rows` rows of `cols` values, `stride` apart.
    ///
    /// # Panics
    ///
    /// If the rows overlap or the slice is too short.
    #[track_caller]
    pub fn strided(data: &'a mut [f32], rows: usize, cols: usize, stride: usize) -> Self {
        MatMut::try_new(data, rows, cols, stride).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Views the beginning of `data` as `rows` rows of `cols` values, without gaps.
    ///
    /// # Panics
    ///
    /// If the slice is too short.
    #[track_caller]
    pub fn dense(data: &'a mut [f32], rows: usize, cols: usize) -> Self {
        MatMut::strided(data, rows, cols, cols)
    }

    /// Number of rows.
    #[inline(always)]
    pub fn rows(&self) -> usize {
        self.shape.rows
    }

    /// Values in a row.
    #[inline(always)]
    pub fn cols(&self) -> usize {
        self.shape.cols
    }

    /// Distance between the beginnings of two rows.
    #[inline(always)]
    pub fn stride(&self) -> usize {
        self.shape.stride
    }

    /// Some of the columns.
    ///
    /// # Panics
    ///
    /// If the matrix does not have them.
    #[track_caller]
    pub fn columns(self, columns: Range<usize>) -> MatMut<'a> {
        let (shape, offset) = self.shape.columns(&columns);
        let span = if shape.rows == 0 { 0 } else { self.data.len() - (self.shape.cols - columns.end) };
        MatMut { data: &mut self.data[offset..span], shape }
    }

    /// The same matrix, only to be read.
    pub fn as_ref(&self) -> MatRef<'_> {
        MatRef { data: self.data, shape: self.shape }
    }

    /// Row `i`.
    ///
    /// # Panics
    ///
    /// If there are not so many rows.
    #[inline(always)]
    #[track_caller]
    pub fn row_mut(&mut self, i: usize) -> &mut [f32] {
        let range = self.shape.row(i);
        // SAFETY: `i < rows`, so the row ends at or before `(rows - 1) · stride + cols = data.len()`.
        unsafe { self.data.get_unchecked_mut(range) }
    }

    /// The first value of the first row, for kernels that compute addresses themselves.
    #[inline(always)]
    pub(crate) fn as_mut_ptr(&mut self) -> *mut f32 {
        self.data.as_mut_ptr()
    }
}

/// Panics unless a matrix has the wanted shape; `what` names it in the message.
#[track_caller]
pub(crate) fn assert_shape(what: &str, found: (usize, usize), wanted: (usize, usize)) {
    assert!(
        found == wanted,
        "{what}: expected {} rows of {} values, found {} of {}",
        wanted.0,
        wanted.1,
        found.0,
        found.1
    );
}

/// `rows · cols`, the length of a matrix without gaps.
///
/// # Panics
///
/// If no slice can be so long.
#[track_caller]
pub(crate) fn area(rows: usize, cols: usize) -> usize {
    rows.checked_mul(cols).unwrap_or_else(|| panic!("a matrix of {rows} by {cols} values is too large"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_columns_lie_where_the_stride_says() {
        let data: Vec<f32> = (0..14u8).map(f32::from).collect();
        let matrix = MatRef::strided(&data, 3, 4, 5);
        assert_eq!(matrix.row(2), [10.0, 11.0, 12.0, 13.0]);
        let right = matrix.columns(1..3);
        assert_eq!((right.rows(), right.cols(), right.stride()), (3, 2, 5));
        assert_eq!(right.row(0), [1.0, 2.0]);
        assert_eq!(right.row(2), [11.0, 12.0]);
        assert!(matrix.columns(4..4).row(2).is_empty());
        assert!(matrix.column(3, 1).eq([8.0, 13.0]));

        let mut data = data.clone();
        let mut matrix = MatMut::strided(&mut data, 3, 4, 5).columns(2..4);
        matrix.row_mut(2).fill(0.0);
        assert_eq!(matrix.as_ref().row(1), [7.0, 8.0]);
        assert_eq!(data[9..], [9.0, 10.0, 11.0, 0.0, 0.0]);
    }

    #[test]
    fn a_matrix_without_values_needs_none() {
        for (rows, cols, stride) in [(0, 0, 0), (0, 7, 9), (0, usize::MAX, usize::MAX), (1, 0, usize::MAX)] {
            let matrix = MatRef::try_new(&[], rows, cols, stride).expect("no values are needed");
            assert_eq!(matrix.columns(cols..cols).rows(), rows);
        }
        assert!(MatRef::dense(&[], usize::MAX, 0).row(usize::MAX - 1).is_empty());
    }

    #[test]
    fn what_does_not_fit_is_refused_with_its_numbers() {
        let data = [0.0; 8];
        for (rows, cols, stride, message) in [
            (2, 3, 2, "rows of 3 values cannot lie 2 values apart"),
            (2, 4, 5, "2 rows of 4 values, 5 apart, does not fit a slice of 8 values"),
            (2, 1, usize::MAX, "does not fit a slice of 8 values"),
            (3, 0, usize::MAX, "does not fit a slice of 8 values"),
            (1 << 63, 2, 2, "does not fit a slice of 8 values"),
            (usize::MAX, usize::MAX, usize::MAX, "does not fit a slice of 8 values"),
        ] {
            let error = MatRef::try_new(&data, rows, cols, stride).expect_err("it does not fit").to_string();
            assert!(error.contains(message), "{error}");
        }
    }

    #[test]
    #[should_panic(expected = "row 2 of a matrix of 2 rows")]
    fn a_row_past_the_last_is_refused() {
        MatRef::dense(&[0.0; 4], 2, 2).row(2);
    }

    #[test]
    #[should_panic(expected = "columns 18446744073709551615..2 of 2 columns")]
    fn columns_that_are_not_there_are_refused() {
        let _ = MatRef::dense(&[0.0; 4], 2, 2).columns(Range { start: usize::MAX, end: 2 });
    }
}
