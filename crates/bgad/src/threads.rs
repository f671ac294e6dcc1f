//! Threads of a detector's own.

use std::num::NonZeroUsize;
use std::sync::Arc;

use rayon::{ThreadPool, ThreadPoolBuilder};

/// A pool of threads, which detectors may share. Clones are the same threads.
///
/// Without one, a detector works on the threads of its caller: those of the rayon pool that the call is made in, or the global ones.
#[derive(Clone, Debug)]
pub struct Threads(Arc<ThreadPool>);

/// The system does not give the threads.
#[derive(Debug, thiserror::Error)]
#[error("cannot start {}", number.map_or("one thread a core".to_owned(), |number| format!("{number} threads")))]
pub struct ThreadsError {
    /// How many were asked for; `None` for one a core.
    pub number: Option<NonZeroUsize>,
    source: rayon::ThreadPoolBuildError,
}

impl Threads {
    /// Starts so many threads; `None` for one a core. Results do not depend on it.
    ///
    /// # Errors
    ///
    /// A [`ThreadsError`] if the system does not give them.
    pub fn new(number: Option<NonZeroUsize>) -> Result<Threads, ThreadsError> {
        let builder = ThreadPoolBuilder::new().num_threads(number.map_or(0, NonZeroUsize::get));
        let pool = builder.thread_name(|i| format!("bgad-{i}")).build();
        Ok(Threads(Arc::new(pool.map_err(|source| ThreadsError { number, source })?)))
    }

    /// How many there are.
    pub fn number(&self) -> usize {
        self.0.current_num_threads()
    }

    /// Does some work on these threads: what it does in parallel is shared out to them.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.0.install(work)
    }
}
