//! What the commands take from the machine: threads and instruction set.

use std::num::NonZeroUsize;

use bgad::Threads;

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

/// Threads for one detector: so many, or one per core.
pub(crate) fn threads(number: Option<usize>) -> Result<Threads, Failure> {
    bgad::instruction_set()?;
    Ok(Threads::new(number.and_then(NonZeroUsize::new))?)
}
