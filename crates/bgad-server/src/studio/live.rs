//! Promotion, and what the promoted model says of the images that arrive in `unlabelled/`.
//!
//! A promoted model is copied to `models/serving/part/VERSION/model.bgad`, which is what `bgad serve --repository
//! models/serving` takes over. `runs/promotions.json` holds the history, so that any earlier one can be promoted again.

use std::collections::{HashMap, VecDeque};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use bgad::dataset::content_hash;
use bgad::verdict::Verdict;
use bgad::{Detector, Model, durable};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::engine::{Failure, SharedJudge};
use super::listing::{Label, Listing};
use super::reply::{Refusal, Reply, blocking};
use super::{Shared, Studio, lock};
use crate::drift::Drift;

/// Where a server looks for the promoted model, below the project.
const SERVING: &str = "models/serving";
/// The name that it is served by.
const NAME: &str = "part";
const HISTORY: &str = "runs/promotions.json";
/// Parts that are remembered.
const REMEMBERED: usize = 500;
/// Parts that are judged between two looks at the folder.
const AT_ONCE: usize = 32;
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
    /// Version of each waiting image that was judged: no part is judged twice.
    judged: HashMap<String, String>,
    counts: [u64; 4],
    /// The promoted model as it was promoted, and the watch over its scores.
    line: Option<Line>,
}

/// What judges the parts of one promotion.
struct Line {
    version: u64,
    judge: SharedJudge,
    drift: Drift,
}

impl Live {
    /// # Errors
    ///
    /// If the history is there and cannot be read: the next version would take the place of an earlier one.
    pub(super) fn open(root: &Path) -> io::Result<Live> {
        let history = match fs::read(root.join(HISTORY)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| {
                let path = root.join(HISTORY);
                let text = format!("expected a list of promotions in {}, found: {error}", path.display());
                io::Error::new(io::ErrorKind::InvalidData, text)
            })?,
        };
        let inner = Inner {
            watching: false,
            history,
            parts: VecDeque::new(),
            seen: HashMap::new(),
            judged: HashMap::new(),
            counts: [0; 4],
            line: None,
        };
        Ok(Live { state: Mutex::new(inner), changed: watch::channel(0).0 })
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// The last promotion.
    pub(super) fn serving(&self) -> Option<Promotion> {
        lock(&self.state).history.last().cloned()
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
    if !lock(&studio.live.state).watching {
        return;
    }
    let (Some(serving), Ok((_, listing))) = (studio.live.serving(), studio.listing()) else { return };
    let new = lock(&studio.live.state).take_new(&listing);
    for (id, version) in new {
        let started = Instant::now();
        // What is promoted judges, not what has become of the model of that name since.
        let judged = line_up(studio, &serving).and_then(|judge| judge.inspect(&studio.path(&id)));
        let mut part = Part {
            id,
            version,
            at: now(),
            score: None,
            verdict: None,
            error: None,
            millis: 1e3 * started.elapsed().as_secs_f64(),
        };
        match &judged {
            Ok(found) => (part.score, part.verdict) = (Some(found.score), Some(found.verdict)),
            Err(error) => part.error = Some(super::engine::chain(error.as_ref())),
        }
        let mut state = lock(&studio.live.state);
        let is_still = state.history.last().is_some_and(|last| last.version == serving.version);
        if !(state.watching && is_still) {
            // Stopped, or another model was promoted meanwhile: the rest is judged then.
            return;
        }
        state.add(part);
        if let (Some(line), Ok(found)) = (&state.line, &judged) {
            line.drift.add(found);
        }
        drop(state);
        studio.live.tell();
    }
}

/// The judge of a promotion, opened once.
fn line_up(studio: &Studio, serving: &Promotion) -> Result<SharedJudge, Failure> {
    let version = serving.version;
    if let Some(line) = lock(&studio.live.state).line.as_ref().filter(|line| line.version == version) {
        return Ok(line.judge.clone());
    }
    let judge = Arc::new(super::engine::open(&served(&studio.root, version))?);
    let drift = judge.drift();
    lock(&studio.live.state).line = Some(Line { version, judge: judge.clone(), drift });
    Ok(judge)
}

/// The file of a promoted version.
fn served(root: &Path, version: u64) -> PathBuf {
    root.join(SERVING).join(NAME).join(version.to_string()).join("model.bgad")
}

impl Inner {
    /// Waiting images that have not changed since the last look and were not judged yet, a few at a time.
    fn take_new(&mut self, listing: &Listing) -> Vec<(String, String)> {
        let waiting = listing.items.values().filter(|item| item.label == Label::Unlabelled);
        let (mut new, mut seen) = (Vec::new(), HashMap::new());
        for item in waiting {
            let is_still = self.seen.get(&item.id) == Some(&item.version);
            if is_still && self.judged.get(&item.id) != Some(&item.version) && new.len() < AT_ONCE {
                new.push((item.id.clone(), item.version.clone()));
            }
            seen.insert(item.id.clone(), item.version.clone());
        }
        // Of images that have gone nothing is kept: the folder of a camera runs through many names.
        self.judged.retain(|id, _| seen.contains_key(id));
        self.seen = seen;
        new
    }

    fn add(&mut self, part: Part) {
        self.judged.insert(part.id.clone(), part.version.clone());
        self.counts[part.verdict.map_or(3, |verdict| verdict as usize)] += 1;
        self.parts.push_front(part);
        self.parts.truncate(REMEMBERED);
    }

    /// Another model begins: it judges anew what is still there.
    fn begin(&mut self, history: Vec<Promotion>) {
        self.history = history;
        self.parts.clear();
        self.judged.clear();
        self.counts = [0; 4];
        self.line = None;
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
            // Signal by signal, the score first; none before the first part.
            "drift": state.line.as_ref().map(|line| line.drift.state()).unwrap_or_default(),
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

/// A model of the project, or an earlier version just as it was.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Promote {
    Model(String),
    Version(u64),
}

async fn promote(State(studio): State<Shared>, Json(request): Json<Promote>) -> Reply<Json<Value>> {
    blocking(move || {
        let _writing = studio.write()?;
        let mut history = studio.live.history();
        let (model, path) = match request {
            Promote::Model(model) => {
                let path = studio.model_path(&model)?;
                (model, path)
            }
            Promote::Version(version) => {
                let of = history.iter().find(|promotion| promotion.version == version);
                let of = of.ok_or_else(|| Refusal::not_found(format!("version {version}")))?;
                (of.model.clone(), served(&studio.root, version))
            }
        };
        // What cannot be opened is not promoted.
        let (opened, bytes) = Model::open_with_bytes(&path)?;
        Detector::new(&opened)?;
        let version = history.last().map_or(1, |last| last.version + 1);
        let to = served(&studio.root, version);
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder)?;
        }
        durable::replace(&to, &bytes)?;
        let promotion = Promotion { model, version, sha256: content_hash(&bytes), at: now() };
        history.push(promotion.clone());
        durable::replace(&studio.path(HISTORY), &serde_json::to_vec_pretty(&history)?)?;
        lock(&studio.live.state).begin(history);
        studio.live.tell();
        Ok(Json(json!({ "serving": promotion })))
    })
    .await
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

#[cfg(test)]
mod tests {
    use super::super::listing::Item;
    use super::*;

    fn listing(ids: &[(&str, &str)]) -> Listing {
        let item = |(id, version): &(&str, &str)| Item {
            id: (*id).to_owned(),
            label: Label::Unlabelled,
            kind: None,
            mask: None,
            version: (*version).to_owned(),
            bytes: 1,
            modified: 0,
        };
        let items = ids.iter().map(item).map(|item| (item.id.clone(), item)).collect();
        Listing { items, ..Listing::default() }
    }

    fn part(id: String, version: String) -> Part {
        let (score, verdict) = (Some(1.0), Some(Verdict::Ok));
        Part { id, version, at: 0, score, verdict, error: None, millis: 1.0 }
    }

    #[test]
    fn a_part_is_judged_once_when_its_file_is_whole() {
        let folder = tempfile::tempdir().expect("a folder");
        let live = Live::open(folder.path()).expect("nothing is there yet");
        let mut state = lock(&live.state);
        let names: Vec<String> =
            (0..REMEMBERED + 2 * AT_ONCE).map(|i| format!("unlabelled/{i}.png")).collect();
        let all: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "1")).collect();
        assert!(state.take_new(&listing(&all)).is_empty(), "it may still grow");
        let mut judged = Vec::new();
        loop {
            let new = state.take_new(&listing(&all));
            assert!(new.len() <= AT_ONCE);
            if new.is_empty() {
                break;
            }
            for (id, version) in new {
                judged.push(id.clone());
                state.add(part(id, version));
            }
        }
        judged.sort();
        judged.dedup();
        assert_eq!((judged.len(), state.counts[0]), (names.len(), names.len() as u64), "each once");
        let changed = [("unlabelled/0.png", "2")];
        assert!(state.take_new(&listing(&changed)).is_empty());
        assert_eq!(state.take_new(&listing(&changed)).len(), 1, "another file of that name is another part");
        assert_eq!(state.judged.len(), 1, "what has gone is forgotten");
    }

    #[test]
    fn a_history_that_cannot_be_read_is_not_taken_for_none() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir_all(folder.path().join("runs")).expect("folders");
        fs::write(folder.path().join(HISTORY), "[{").expect("written");
        let error = Live::open(folder.path()).err().expect("refused").to_string();
        assert!(error.contains("promotions.json"), "{error}");
    }
}
