//! Records the files of `golden/` with PyTorch, timm and FrEIA 0.2 (tools/golden/README.md).

use crate::task::{self, Failure, Step};

/// Passes everything on to the recorder; its `--help` says what it can record.
pub(crate) fn record(arguments: &[String]) -> Result<(), Failure> {
    task::run_all(&[Step::new(task::python(), &["tools/golden/record.py"]).args(arguments)])
}
