//! Programs of the Rust world that a task needs and that are no part of a toolchain: installed into the scratch folder once.

use std::path::PathBuf;

use crate::task::{self, Failure, Step};

/// The folder that holds the program, which is built from its crate (`NAME@VERSION`) if it is not there.
///
/// # Errors
///
/// If it cannot be built.
pub(crate) fn folder(package: &str) -> Result<PathBuf, Failure> {
    let root = task::scratch("tools").join(package.replace('@', "-"));
    let bin = root.join("bin");
    let name = package.split('@').next().unwrap_or(package);
    if !bin.join(name).is_file() {
        let root = root.to_string_lossy().into_owned();
        // The profile of development: building it takes longer than its work.
        task::run_all(&[Step::cargo(&[
            "install", "--quiet", "--locked", "--debug", "--root", &root, package,
        ])
        .env("CARGO_TARGET_DIR", &task::scratch("tools").join("target").to_string_lossy())])?;
    }
    Ok(bin)
}
