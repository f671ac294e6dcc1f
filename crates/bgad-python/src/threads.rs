//! Which threads a call runs on.
//!
//! A pool belongs to the process that made it: after a fork the child makes its own, since the threads of its parent are not there.

use std::process;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

/// The threads of the detectors that were not told a number.
static SHARED: Mutex<Option<Owned<Arc<ThreadPool>>>> = Mutex::new(None);

/// Something that only the process that made it may use.
#[derive(Debug)]
pub(crate) struct Owned<T> {
    process: u32,
    value: T,
}

impl<T> Owned<T> {
    fn new(value: T) -> Owned<T> {
        Owned { process: process::id(), value }
    }

    /// The value, if this process made it. That of another is not dropped: its threads do not exist here.
    fn take(self) -> Option<T> {
        if self.process == process::id() {
            return Some(self.value);
        }
        std::mem::forget(self.value);
        None
    }
}

/// The threads of a detector.
#[derive(Debug)]
pub(crate) enum Threads {
    /// One for each core, shared by all calls of the process.
    All,
    /// So many for each call: calls from several Python threads run side by side.
    PerCall { number: usize, free: Mutex<Vec<Owned<ThreadPool>>> },
}

impl Threads {
    pub(crate) fn new(number: Option<usize>) -> Threads {
        match number {
            None => Threads::All,
            Some(number) => Threads::PerCall { number, free: Mutex::default() },
        }
    }

    pub(crate) fn number(&self) -> Option<usize> {
        match self {
            Threads::All => None,
            Threads::PerCall { number, .. } => Some(*number),
        }
    }

    /// Does `work` on these threads.
    pub(crate) fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> PyResult<T> {
        match self {
            Threads::All => Ok(shared()?.install(work)),
            Threads::PerCall { number, free } => {
                let pool = match lock(free).pop().and_then(Owned::take) {
                    Some(pool) => pool,
                    None => pool(*number)?,
                };
                let result = pool.install(work);
                lock(free).push(Owned::new(pool));
                Ok(result)
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn shared() -> PyResult<Arc<ThreadPool>> {
    let mut shared = lock(&SHARED);
    let pool = match shared.take().and_then(Owned::take) {
        Some(pool) => pool,
        None => Arc::new(pool(0)?),
    };
    *shared = Some(Owned::new(Arc::clone(&pool)));
    Ok(pool)
}

/// A pool of so many threads; 0 for one per core.
pub(crate) fn pool(number: usize) -> PyResult<ThreadPool> {
    let built = ThreadPoolBuilder::new().num_threads(number).thread_name(|i| format!("bgad-{i}")).build();
    built.map_err(|error| PyRuntimeError::new_err(format!("cannot start the threads: {error}")))
}
