//! One stream of server-sent events: that files changed, that work went on.

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::sse::{Event, KeepAlive};
use axum::response::{IntoResponse, Sse};
use axum::routing::get;
use serde_json::json;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::Shared;
use super::reply::blocking;

/// A change of a file is seen after so long, and the time that the look takes.
const LOOK_EVERY: Duration = Duration::from_millis(500);

pub(super) fn routes() -> Router<Shared> {
    Router::new().route("/api/events", get(events))
}

async fn events(State(studio): State<Shared>) -> impl IntoResponse {
    let (sender, receiver) = mpsc::channel(16);
    tokio::spawn(async move {
        let mut jobs = studio.jobs.subscribe();
        let mut live = studio.live.subscribe();
        let mut look = tokio::time::interval(LOOK_EVERY);
        let mut told = (0, 0, 0);
        loop {
            tokio::select! {
                _ = look.tick() => {}
                changed = jobs.changed() => if changed.is_err() { return },
                changed = live.changed() => if changed.is_err() { return },
                () = sender.closed() => return,
            }
            let looking = studio.clone();
            // A folder that cannot be read at this moment is looked at again; requests say what is wrong with it.
            let Ok(revision) = blocking(move || Ok(looking.listing()?.0)).await else { continue };
            let now = (revision, *jobs.borrow_and_update(), *live.borrow_and_update());
            if now != told {
                told = now;
                let text = json!({ "files": now.0, "jobs": now.1, "live": now.2 }).to_string();
                if sender.send(Ok::<_, Infallible>(Event::default().data(text))).await.is_err() {
                    return;
                }
            }
        }
    });
    Sse::new(ReceiverStream::new(receiver)).keep_alive(KeepAlive::default())
}
