//! Long work while Python stays awake: progress comes as dicts, and Ctrl-C ends it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::time::Duration;

use pyo3::prelude::*;
use serde_json::Value;

use crate::json;

/// Ctrl-C is noticed after this time at the latest.
const PATIENCE: Duration = Duration::from_millis(50);

/// What the work holds of the one who waits for it.
pub(crate) struct Watch<'a> {
    events: Mutex<Sender<Value>>,
    stop: &'a AtomicBool,
}

impl Watch<'_> {
    /// Reports progress.
    pub(crate) fn tell(&self, event: Value) {
        let events = self.events.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        // Nobody listens once the work has been told to stop.
        let _ = events.send(event);
    }

    /// Whether the work should end.
    pub(crate) fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// Does `work` on a thread of its own and calls `progress` from this one with each event. An exception of `progress`, or
/// Ctrl-C, stops the work, is waited for, and raised as it is, whatever the work gave.
pub(crate) fn watched<'py, T: Send>(
    py: Python<'py>,
    progress: Option<Bound<'py, PyAny>>,
    work: impl FnOnce(&Watch<'_>) -> T + Send,
) -> PyResult<T> {
    match try_watched(py, progress, work) {
        (_, Some(raised)) => Err(raised),
        (done, None) => Ok(done),
    }
}

/// As [`watched`], with what the work gave beside the exception.
pub(crate) fn try_watched<'py, T: Send>(
    py: Python<'py>,
    progress: Option<Bound<'py, PyAny>>,
    work: impl FnOnce(&Watch<'_>) -> T + Send,
) -> (T, Option<PyErr>) {
    let stop = AtomicBool::new(false);
    let (sender, events) = mpsc::channel();
    let watch = Watch { events: Mutex::new(sender), stop: &stop };
    let events = Mutex::new(events);
    std::thread::scope(|scope| {
        let worker = scope.spawn(move || work(&watch));
        let mut raised: Option<PyErr> = None;
        loop {
            let event = py.detach(|| {
                events.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).recv_timeout(PATIENCE)
            });
            let seen = match &event {
                Ok(event) if raised.is_none() => call(py, progress.as_ref(), event),
                _ => Ok(()),
            };
            if let Err(error) = seen.and_then(|()| py.check_signals()) {
                stop.store(true, Ordering::Relaxed);
                raised.get_or_insert(error);
            }
            if matches!(event, Err(RecvTimeoutError::Disconnected)) {
                break;
            }
        }
        let done = py.detach(|| worker.join());
        (done.unwrap_or_else(|panic| std::panic::resume_unwind(panic)), raised)
    })
}

fn call(py: Python<'_>, progress: Option<&Bound<'_, PyAny>>, event: &Value) -> PyResult<()> {
    match progress {
        None => Ok(()),
        Some(progress) => progress.call1((json::to_python(py, event)?,)).map(|_| ()),
    }
}
