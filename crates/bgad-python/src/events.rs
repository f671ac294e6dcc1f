//! What long work tells of itself, as `progress` gets it: a dict with the name of the event for each.

use std::error::Error;

use bgad::calibrate::session;
use bgad::{evaluation, learn, train};
use serde_json::{Value, json};

use crate::error::chain;

pub(crate) fn note(text: String) -> Value {
    json!({"event": "note", "text": text})
}

pub(crate) fn skipped(error: &(dyn Error + 'static)) -> Value {
    json!({"event": "skipped", "text": chain(error)})
}

fn scored(done: usize, total: usize) -> Value {
    json!({"event": "scored", "done": done, "total": total})
}

pub(crate) fn of_training(event: &train::Event<'_>) -> Value {
    use train::Event;
    match event {
        Event::Encoded { done, total } => json!({"event": "encoded", "done": done, "total": total}),
        Event::Skipped(error) => skipped(*error),
        Event::Resumed { passes } => json!({"event": "resumed", "pass": passes}),
        Event::Leftover(error) => note(chain(*error)),
        Event::Checkpoint(path) => json!({"event": "checkpoint", "path": path}),
        Event::Pass(pass) => json!({
            "event": "pass",
            "pass": pass.pass,
            "passes": pass.passes,
            "phase": pass.phase,
            "loss": pass.levels.iter().map(|level| level.loss.total).collect::<Vec<_>>(),
            "images": pass.images,
            "images_left": pass.images_left,
            "seconds": pass.secs,
        }),
    }
}

pub(crate) fn of_evaluation(event: &evaluation::Event<'_>) -> Value {
    match event {
        evaluation::Event::Scored { done, total } => scored(*done, *total),
        evaluation::Event::Skipped(error) => skipped(*error),
    }
}

pub(crate) fn of_calibration(event: &session::Event<'_>) -> Value {
    match event {
        session::Event::Scored { done, total } => scored(*done, *total),
        session::Event::Skipped(error) => skipped(*error),
    }
}

pub(crate) fn of_learning(event: &learn::Event<'_>) -> Value {
    match event {
        learn::Event::Training(event) => of_training(event),
        learn::Event::Calibration(event) => of_calibration(event),
        learn::Event::Evaluation(event) => of_evaluation(event),
    }
}
