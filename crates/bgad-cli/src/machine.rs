//! What the commands take from the machine: threads and instruction set.

use crate::failure::{Failure, context};

/// Uses so many threads; `None` for one per core. Results do not depend on it. An instruction set that was asked for in vain is refused before
/// anything runs.
pub(crate) fn use_threads(threads: Option<usize>) -> Result<(), Failure> {
    bgad::instruction_set()?;
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads.unwrap_or(0))
        .build_global()
        .map_err(|error| context("cannot start the threads", error))
}
