//! Tables whose rows are added to, or collect, the rows of a product.

use crate::matrix::{MatMut, MatRef};

/// Two tables and, for each row of a product, the row of each that belongs to it.
#[derive(Clone, Copy, Debug)]
pub struct Tables<'a> {
    /// `[columns, at least the padded width of the product]`.
    pub x: MatRef<'a>,
    /// `[rows, at least the padded width of the product]`.
    pub y: MatRef<'a>,
    /// For each row of the product its row in `x`.
    pub column: &'a [u32],
    /// For each row of the product its row in `y`.
    pub row: &'a [u32],
}

/// [`Tables`] that are added to.
#[derive(Debug)]
pub struct TablesMut<'a> {
    /// `[columns, at least the padded width of the product]`.
    pub x: MatMut<'a>,
    /// `[rows, at least the padded width of the product]`.
    pub y: MatMut<'a>,
    /// For each row of the product its row in `x`.
    pub column: &'a [u32],
    /// For each row of the product its row in `y`.
    pub row: &'a [u32],
}

/// [`Tables`] that have a row for every index.
pub(super) struct CheckedTables<'a>(Tables<'a>);

/// [`TablesMut`] that have a row for every index.
pub(super) struct CheckedTablesMut<'a>(TablesMut<'a>);

#[track_caller]
fn check(what: &str, rows: usize, index: &[u32]) {
    if let Some(&last) = index.iter().max() {
        assert!((last as usize) < rows, "the table of {what}s has {rows} rows, an index asks for row {last}");
    }
}

impl<'a> Tables<'a> {
    #[track_caller]
    pub(super) fn checked(self) -> CheckedTables<'a> {
        check("column", self.x.rows(), self.column);
        check("row", self.y.rows(), self.row);
        CheckedTables(self)
    }
}

impl<'a> TablesMut<'a> {
    #[track_caller]
    pub(super) fn checked(self) -> CheckedTablesMut<'a> {
        check("column", self.x.rows(), self.column);
        check("row", self.y.rows(), self.row);
        CheckedTablesMut(self)
    }
}

/// Addresses of checked tables. Valid as long as the tables are borrowed.
#[derive(Clone, Copy)]
pub(super) struct RawTables<P> {
    pub(super) x: P,
    pub(super) y: P,
    x_stride: usize,
    y_stride: usize,
    column: *const u32,
    row: *const u32,
}

impl<P> RawTables<P> {
    /// How far a product's `row` is from the beginning of each table, from `column` on.
    ///
    /// # Safety
    ///
    /// The tables must still be borrowed, and `row` below their number of indices.
    #[inline(always)]
    pub(super) unsafe fn offsets(&self, row: usize, column: usize) -> (usize, usize) {
        // SAFETY: both indices exist.
        let (x, y) = unsafe { (*self.column.add(row) as usize, *self.row.add(row) as usize) };
        (x * self.x_stride + column, y * self.y_stride + column)
    }
}

impl CheckedTables<'_> {
    /// Rows of a product that have table rows.
    #[inline(always)]
    pub(super) fn rows(&self) -> usize {
        self.0.column.len().min(self.0.row.len())
    }

    /// Columns that both tables have.
    #[inline(always)]
    pub(super) fn cols(&self) -> usize {
        self.0.x.cols().min(self.0.y.cols())
    }

    #[inline(always)]
    pub(super) fn raw(&self) -> RawTables<*const f32> {
        let Tables { x, y, column, row } = &self.0;
        RawTables {
            x: x.as_ptr(),
            y: y.as_ptr(),
            x_stride: x.stride(),
            y_stride: y.stride(),
            column: column.as_ptr(),
            row: row.as_ptr(),
        }
    }
}

impl CheckedTablesMut<'_> {
    /// Rows of a product that have table rows.
    #[inline(always)]
    pub(super) fn rows(&self) -> usize {
        self.0.column.len().min(self.0.row.len())
    }

    /// Columns that both tables have.
    #[inline(always)]
    pub(super) fn cols(&self) -> usize {
        self.0.x.cols().min(self.0.y.cols())
    }

    #[inline(always)]
    pub(super) fn raw(&mut self) -> RawTables<*mut f32> {
        let TablesMut { x, y, column, row } = &mut self.0;
        RawTables {
            x_stride: x.stride(),
            y_stride: y.stride(),
            x: x.as_mut_ptr(),
            y: y.as_mut_ptr(),
            column: column.as_ptr(),
            row: row.as_ptr(),
        }
    }
}
