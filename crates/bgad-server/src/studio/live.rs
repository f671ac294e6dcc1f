//! Promotion, and what the promoted model says of the images that arrive in `unlabelled/`.
//!
//! A promoted model is copied to `models/serving/part/VERSION/model.bgad`, which is what `bgad serve --repository
//! models/serving` takes over. `runs/promotions.json` holds the history, so that any earlier one can be promoted again.

use std::collections::{HashMap, VecDeque};
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use bgad::dataset::content_hash;
use bgad::durable;
use bgad::verdict::Verdict;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::listing::Label;
use super::reply::{Reply, blocking};
use super::{Shared, Studio, lock};

/// Where a server looks for the promoted model, below the project.
const SERVING: &str = "models/serving";
/// The name that it is served by.
const NAME: &str = "part";
const HISTORY: &str = "runs/promotions.json";
/// Parts that are remembered.
const REMEMBERED: usize = 500;
/// Between two looks at the folder.
const EVERY: Duration = Duration::from_millis(500);

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/api/live", get(show))
        .route("/api/live/watch", post(watch_folder))
        .route("/api/promote", post(promote))
}

/// One promotion.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Promotion {
    pub model: String,
    /// Of the served name; grows by one.
    pub version: u64,
    pub sha256: String,
    /// Milliseconds since 1970.
    pub at: u64,
}

/// One part that was judged.
#[derive(Clone, Debug, Serialize)]
struct Part {
    id: String,
    version: String,
    at: u64,
    score: Option<f32>,
    verdict: Option<Verdict>,
    /// Why it could not be judged; such a part is not OK.
    error: Option<String>,
    millis: f64,
}

/// What is served, and the last parts.
pub(super) struct Live {
    state: Mutex<Inner>,
    changed: watch::Sender<u64>,
}

struct Inner {
    watching: bool,
    history: Vec<Promotion>,
    parts: VecDeque<Part>,
    /// Version of each image at the last look: one that still grows is left for the next.
    seen: HashMap<String, String>,
    counts: [u64; 4],
}

impl Live {
    pub(super) fn open(root: &Path) -> Live {
        let history = fs::read(root.join(HISTORY)).ok();
        let history = history.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        let inner =
            Inner { watching: false, history, parts: VecDeque::new(), seen: HashMap::new(), counts: [0; 4] };
        Live { state: Mutex::new(inner), changed: watch::channel(0).0 }
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// The model promoted last.
    pub(super) fn serving(&self) -> Option<String> {
        lock(&self.state).history.last().map(|promotion| promotion.model.clone())
    }

    pub(super) fn history(&self) -> Vec<Promotion> {
        lock(&self.state).history.clone()
    }

    fn tell(&self) {
        self.changed.send_modify(|number| *number += 1);
    }
}

/// Starts the thread that judges what arrives.
pub(super) fn start(studio: Shared) -> io::Result<()> {
    let look = move || {
        loop {
            thread::sleep(EVERY);
            judge_new(&studio);
        }
    };
    thread::Builder::new().name("studio-live".to_owned()).spawn(look).map(drop)
}

/// Judges the images that have come since the last look.
fn judge_new(studio: &Studio) {
    let model = {
        let state = lock(&studio.live.state);
        state.watching.then(|| state.history.last().map(|promotion| promotion.model.clone())).flatten()
    };
    let (Some(model), Ok((_, listing))) = (model, studio.listing()) else { return };
    let new: Vec<(String, String)> = {
        let mut state = lock(&studio.live.state);
        let waiting = listing.items.values().filter(|item| item.label == Label::Unlabelled);
        let known = |id: &str, version: &str, state: &Inner| {
            state.parts.iter().any(|part| part.id == id && part.version == version)
        };
        let (mut new, mut seen) = (Vec::new(), HashMap::new());
        for item in waiting {
            let is_still = state.seen.get(&item.id) == Some(&item.version);
            if is_still && !known(&item.id, &item.version, &state) {
                new.push((item.id.clone(), item.version.clone()));
            }
            seen.insert(item.id.clone(), item.version.clone());
        }
        state.seen = seen;
        new
    };
    for (id, version) in new.into_iter().take(REMEMBERED) {
        let started = Instant::now();
        let judged = studio.judge(&model).map_err(|refusal| refusal.to_string()).and_then(|judge| {
            judge.inspect(&studio.path(&id)).map_err(|error| super::engine::chain(error.as_ref()))
        });
        let mut part = Part {
            id,
            version,
            at: now(),
            score: None,
            verdict: None,
            error: None,
            millis: 1e3 * started.elapsed().as_secs_f64(),
        };
        match judged {
            Ok(found) => (part.score, part.verdict) = (Some(found.score), Some(found.verdict)),
            Err(error) => part.error = Some(error),
        }
        let mut state = lock(&studio.live.state);
        state.counts[part.verdict.map_or(3, |verdict| verdict as usize)] += 1;
        state.parts.push_front(part);
        state.parts.truncate(REMEMBERED);
        drop(state);
        studio.live.tell();
    }
}

async fn show(State(studio): State<Shared>) -> Reply<Json<Value>> {
    blocking(move || {
        let listing = studio.listing()?.1;
        let state = lock(&studio.live.state);
        let parts: Vec<Value> = state
            .parts
            .iter()
            .map(|part| {
                let mut entry = serde_json::to_value(part)?;
                // Feedback moves the file; the part stays in the list and says what became of it.
                entry["there"] = json!(listing.items.contains_key(&part.id));
                Ok(entry)
            })
            .collect::<serde_json::Result<_>>()?;
        let [ok, review, ng, fault] = state.counts;
        Ok(Json(json!({
            "watching": state.watching,
            "serving": state.history.last(),
            "folder": studio.root.join("unlabelled").display().to_string(),
            "repository": studio.root.join(SERVING).display().to_string(),
            "parts": parts,
            "counts": { "ok": ok, "review": review, "ng": ng, "fault": fault },
        })))
    })
    .await
}

#[derive(Deserialize)]
struct Watch {
    on: bool,
}

async fn watch_folder(State(studio): State<Shared>, Json(watch): Json<Watch>) -> Json<Value> {
    lock(&studio.live.state).watching = watch.on;
    studio.live.tell();
    Json(json!({ "watching": watch.on }))
}

#[derive(Deserialize)]
struct Promote {
    model: String,
}

async fn promote(State(studio): State<Shared>, Json(request): Json<Promote>) -> Reply<Json<Value>> {
    blocking(move || {
        // What cannot be opened is not promoted.
        studio.judge(&request.model)?;
        let bytes = fs::read(studio.model_path(&request.model)?)?;
        let _writing = studio.write()?;
        let mut history = studio.live.history();
        let version = history.last().map_or(1, |last| last.version + 1);
        let folder = studio.path(SERVING).join(NAME).join(version.to_string());
        fs::create_dir_all(&folder)?;
        durable::replace(&folder.join("model.bgad"), &bytes)?;
        let promotion = Promotion { model: request.model, version, sha256: content_hash(&bytes), at: now() };
        history.push(promotion.clone());
        durable::replace(&studio.path(HISTORY), &serde_json::to_vec_pretty(&history)?)?;
        let mut state = lock(&studio.live.state);
        state.history = history;
        // Another model judges anew what is still there.
        state.parts.clear();
        state.counts = [0; 4];
        drop(state);
        studio.live.tell();
        Ok(Json(json!({ "serving": promotion })))
    })
    .await
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}
