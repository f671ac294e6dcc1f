//! Routes about models and the work that makes and judges them.

use std::collections::HashMap;
use std::fs;
use std::io;

use axum::extract::{Path as UrlPath, Query, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bgad::dataset::{Kind, Sample};
use bgad::durable;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::changes::Change;
use super::engine::{self, Control, Failure, Scored, TrainRequest, Wanted};
use super::jobs::{Job, Task};
use super::listing::{Item, Label};
use super::reply::{Refusal, Reply, blocking};
use super::{Shared, Studio, changes, images, pictures};

/// Findings of the last checkup, below the project.
const CHECKUP: &str = "runs/doctor.json";

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/api/jobs", get(jobs).post(add_job))
        .route("/api/jobs/{id}/{command}", post(command))
        .route("/api/estimate", post(estimate))
        .route("/api/models", get(models))
        .route("/api/models/remove", post(remove_model))
        .route("/api/scores", get(scores))
        .route("/api/inspect", get(inspect))
        .route("/api/proposal", get(proposal))
        .route("/api/thresholds", post(thresholds))
        .route("/api/doctor", get(checkup))
        .route("/api/fix", post(fix))
}

/// Does a job. `Ok(None)` if it was cancelled.
pub(super) fn perform(studio: &Studio, job: &Job, control: &dyn Control) -> Result<Option<Value>, Failure> {
    match &job.task {
        Task::Train(request) => {
            let done = engine::train(&studio.root, request, control)?;
            Ok(done.then(|| json!({ "model": request.name })))
        }
        Task::Score { model } => score(studio, model, control),
        Task::Doctor { quick } => {
            let checkup = engine::examine(&studio.root, *quick, control)?;
            durable::replace(&studio.path(CHECKUP), &serde_json::to_vec(&checkup)?)?;
            Ok(Some(json!({ "findings": checkup.findings.len() })))
        }
        Task::Learn { model, ids, quick } => {
            let items = studio.items(ids).map_err(|refusal| refusal.to_string())?;
            let samples =
                items.iter().map(|item| sample(studio, item)).collect::<Result<Vec<_>, Failure>>()?;
            let to = next_version(studio, model)?;
            let lesson = engine::learn(&studio.root, [model, &to], &samples, *quick, control)?;
            Ok(lesson.map(serde_json::to_value).transpose()?)
        }
    }
}

fn sample(studio: &Studio, item: &Item) -> Result<(String, Sample), Failure> {
    let mask = item.mask.as_deref().map(|mask| studio.path(mask));
    let kind = match (item.label, &item.kind) {
        (Label::Good, _) => Kind::Good,
        (Label::Bad, kind) if mask.is_some() => Kind::Defect(kind.clone().unwrap_or_default()),
        (Label::Bad, _) => return Err(format!("{}: draw where the defect is first", item.id).into()),
        (Label::Unlabelled, _) => {
            return Err(format!("{}: say first whether it is good or defective", item.id).into());
        }
    };
    Ok((item.id.clone(), Sample { path: studio.path(&item.id), mask, kind }))
}

/// `part` becomes `part-2`, `part-2` becomes `part-3`.
fn next_version(studio: &Studio, model: &str) -> io::Result<String> {
    let (stem, _) = match model.rsplit_once('-') {
        Some((stem, number)) if number.parse::<u32>().is_ok() => (stem, number),
        _ => (model, ""),
    };
    let models = studio.fresh()?.1.models.clone();
    let mut names = (2u32..).map(|n| format!("{stem}-{n}"));
    Ok(names.find(|name| !models.contains(&format!("{name}.bgad"))).unwrap_or_else(|| model.to_owned()))
}

/// What a model says of the images, as a file in `runs/`.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Scores {
    /// SHA-256 of the model file without its thresholds, which do not change scores.
    of: String,
    scores: Vec<Scored>,
}

impl Scores {
    fn file(model: &str) -> String {
        format!("runs/{model}.scores.json")
    }

    /// Those on disk that are of this model as it is now.
    fn read(studio: &Studio, model: &str, of: &str) -> Result<Scores, Failure> {
        match fs::read(studio.path(&Scores::file(model))) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Scores::default()),
            Err(error) => Err(error.into()),
            Ok(bytes) => {
                let scores: Scores = serde_json::from_slice(&bytes)?;
                Ok(if scores.of == of { scores } else { Scores::default() })
            }
        }
    }
}

fn score(studio: &Studio, model: &str, control: &dyn Control) -> Result<Option<Value>, Failure> {
    let judge = studio.judge(model).map_err(|refusal| refusal.to_string())?;
    let of = judge.identity();
    let known = Scores::read(studio, model, &of)?;
    let known: HashMap<(String, String), Scored> =
        known.scores.into_iter().map(|s| ((s.id.clone(), s.version.clone()), s)).collect();
    let listing = studio.fresh()?.1;
    let (mut scores, mut missing) = (Vec::new(), Vec::new());
    for item in listing.items.values() {
        match known.get(&(item.id.clone(), item.version.clone())) {
            Some(scored) => scores.push(scored.clone()),
            None => missing.push((item.id.clone(), item.version.clone(), studio.path(&item.id))),
        }
    }
    let Some(new) = judge.score_all(&missing, control)? else { return Ok(None) };
    let count = new.len();
    scores.extend(new);
    durable::replace(&studio.path(&Scores::file(model)), &serde_json::to_vec(&Scores { of, scores })?)?;
    Ok(Some(json!({ "model": model, "scored": count })))
}

async fn jobs(State(studio): State<Shared>) -> Json<Value> {
    Json(json!({ "jobs": studio.jobs.list() }))
}

async fn add_job(State(studio): State<Shared>, Json(task): Json<Task>) -> Reply<Json<Job>> {
    blocking(move || {
        match &task {
            Task::Train(request) => {
                check_model_name(&request.name)?;
                let taken = studio.fresh()?.1.models.contains(&format!("{}.bgad", request.name));
                if taken || studio.jobs.will_train(&request.name) {
                    let message = format!("there is a model {} already: choose another name", request.name);
                    return Err(Refusal::conflict(message));
                }
                // An earlier attempt under this name was abandoned.
                engine::forget(&studio.root, &request.name)?;
            }
            Task::Score { model } | Task::Learn { model, .. } => drop(studio.model_path(model)?),
            Task::Doctor { .. } => {}
        }
        studio.prepare()?;
        Ok(Json(studio.jobs.add(task)?))
    })
    .await
}

fn check_model_name(name: &str) -> Reply<()> {
    match changes::refuse_name(name) {
        None => Ok(()),
        Some(why) => Err(Refusal::bad(format!("{name:?} cannot be the name of a model: {why}"))),
    }
}

async fn command(
    State(studio): State<Shared>,
    UrlPath((id, command)): UrlPath<(u64, String)>,
) -> Reply<Json<Job>> {
    blocking(move || match studio.jobs.command(id, &command)? {
        Some(job) => Ok(Json(job)),
        None => Err(Refusal::conflict(format!("job {id} cannot be told to {command} now"))),
    })
    .await
}

async fn estimate(
    State(studio): State<Shared>,
    Json(request): Json<TrainRequest>,
) -> Reply<Json<engine::Estimate>> {
    /// An estimate runs to its end; it takes seconds.
    struct Silent;
    impl Control for Silent {
        fn stop(&self) -> bool {
            false
        }
        fn report(&self, _: engine::Progress) {}
        fn skipped(&self, _: String) {}
    }
    blocking(move || Ok(Json(engine::estimate(&studio.root, &request, &Silent)?))).await
}

async fn models(State(studio): State<Shared>) -> Reply<Json<Value>> {
    blocking(move || {
        let serving = studio.live.serving();
        let mut list = Vec::new();
        for file in &studio.fresh()?.1.models {
            let name = file.trim_end_matches(".bgad");
            let meta = fs::metadata(studio.root.join("models").join(file))?;
            let modified = meta.modified()?.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
            // A file that is no model is shown with what is wrong, not hidden.
            let facts = match studio.judge(name) {
                Ok(judge) => {
                    // With other thresholds it is not what was promoted, and can be promoted anew.
                    let is_same =
                        serving.as_ref().is_some_and(|s| s.model == name && s.sha256 == judge.sha256());
                    json!({ "facts": judge.facts(), "serving": is_same })
                }
                Err(refusal) => json!({ "error": refusal.to_string() }),
            };
            let mut entry = json!({
                "name": name,
                "bytes": meta.len(),
                "modified": modified.as_millis() as u64,
                "serving": false,
            });
            if let (Some(entry), Value::Object(facts)) = (entry.as_object_mut(), facts) {
                entry.extend(facts);
            }
            list.push(entry);
        }
        list.sort_by_key(|entry| std::cmp::Reverse(entry["modified"].as_u64()));
        Ok(Json(json!({ "models": list, "history": studio.live.history() })))
    })
    .await
}

#[derive(Deserialize)]
struct OfModel {
    model: String,
    id: Option<String>,
}

async fn remove_model(State(studio): State<Shared>, Json(of): Json<OfModel>) -> Reply<Json<Value>> {
    blocking(move || {
        let _writing = studio.write()?;
        studio.model_path(&of.model)?;
        let mut change =
            changes::set_aside(&studio.root, &format!("models/{}.bgad", of.model), "remove model")?;
        let split = format!("models/{}.split.json", of.model);
        if studio.path(&split).is_file() {
            change.moves.extend(changes::set_aside(&studio.root, &split, "")?.moves);
        }
        changes::remember(&studio.root, change)?;
        Ok(Json(json!({})))
    })
    .await
}

async fn scores(State(studio): State<Shared>, Query(of): Query<OfModel>) -> Reply<Json<Value>> {
    blocking(move || {
        let judge = studio.judge(&of.model)?;
        let known = Scores::read(&studio, &of.model, &judge.identity())?;
        let listing = studio.fresh()?.1;
        let mut list = Vec::new();
        for scored in &known.scores {
            let Some(item) = listing.items.get(&scored.id).filter(|item| item.version == scored.version)
            else {
                continue;
            };
            list.push(json!({
                "id": item.id,
                "label": item.label,
                "type": item.kind,
                "score": scored.score,
                "verdict": judge.verdict(scored.score),
                "role": judge.role(&scored.sha256),
            }));
        }
        let tested = |label: Label| {
            let of_label = |entry: &&Value| entry["label"] == json!(label) && entry["role"] == "test";
            list.iter().filter(of_label).count()
        };
        let (good, bad) = (tested(Label::Good), tested(Label::Bad));
        Ok(Json(json!({
            "model": of.model,
            "thresholds": judge.thresholds(),
            "facts": judge.facts(),
            "missing": listing.items.len() - list.len(),
            "scores": list,
            "confidence": engine::CONFIDENCE,
            "bounds": { "good": engine::bounds(good), "bad": engine::bounds(bad) },
        })))
    })
    .await
}

async fn inspect(State(studio): State<Shared>, Query(of): Query<OfModel>) -> Reply<Response> {
    blocking(move || {
        let item = studio.item(of.id.as_deref().unwrap_or(""))?;
        let found = studio.judge(&of.model)?.inspect(&studio.path(&item.id))?;
        let facts = json!({
            "score": found.score,
            "verdict": found.verdict,
            // The map explains nothing then: it is the image as a whole that is unusual.
            "whole_image": found.whole_image,
            "regions": found.regions,
            "width": found.map.w,
            "height": found.map.h,
        });
        // The map as it is, row by row; how it is coloured is the page's to say.
        let body: Vec<u8> = found.map.nats.iter().flat_map(|nats| nats.to_le_bytes()).collect();
        let head = [
            (CONTENT_TYPE.as_str(), "application/octet-stream".to_owned()),
            (CACHE_CONTROL.as_str(), "no-store".to_owned()),
            ("x-bgad-inspection", facts.to_string()),
        ];
        Ok((head, body).into_response())
    })
    .await
}

async fn proposal(State(studio): State<Shared>, Query(of): Query<OfModel>) -> Reply<Response> {
    blocking(move || {
        let item = studio.item(of.id.as_deref().unwrap_or(""))?;
        let mask = studio.judge(&of.model)?.proposal(&studio.path(&item.id))?;
        Ok(images::tiles_reply(&mask, "proposal"))
    })
    .await
}

#[derive(Deserialize)]
struct SetThresholds {
    model: String,
    wanted: Wanted,
}

async fn thresholds(State(studio): State<Shared>, Json(request): Json<SetThresholds>) -> Reply<Json<Value>> {
    blocking(move || {
        studio.model_path(&request.model)?;
        let _writing = studio.write()?;
        let (calibration, done) = engine::set_thresholds(&studio.root, &request.model, &request.wanted)?;
        let change = Change { recalibrated: Some(done), ..Change::new("thresholds", 0) };
        changes::remember(&studio.root, change)?;
        Ok(Json(json!({ "thresholds": calibration.thresholds, "false_alarms": calibration.false_alarms })))
    })
    .await
}

async fn checkup(State(studio): State<Shared>) -> Reply<Json<Value>> {
    blocking(move || match fs::read(studio.path(CHECKUP)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Json(Value::Null)),
        Err(error) => Err(error.into()),
        Ok(bytes) => {
            let mut checkup: Value = serde_json::from_slice(&bytes)?;
            let listing = studio.fresh()?.1;
            for finding in checkup["findings"].as_array_mut().into_iter().flatten() {
                let file = finding["file"].as_str().unwrap_or("").to_owned();
                finding["there"] = json!(file.is_empty() || studio.path(&file).exists());
                finding["image"] = json!(listing.items.contains_key(&file));
            }
            Ok(Json(checkup))
        }
    })
    .await
}

#[derive(Deserialize)]
struct Fix {
    id: String,
    /// `upright` or `remove`.
    how: String,
}

async fn fix(State(studio): State<Shared>, Json(fix): Json<Fix>) -> Reply<Json<Value>> {
    blocking(move || {
        let _writing = studio.write()?;
        let item = studio.item(&fix.id)?;
        let change = match fix.how.as_str() {
            "remove" => changes::remove(&studio.root, &item)?,
            "upright" => {
                let png = pictures::upright_png(&studio.path(&item.id))?;
                let name = item.id.rsplit_once('/').map_or(item.id.as_str(), |(_, name)| name);
                let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
                changes::replace(&studio.root, &item, &format!("{stem}.png"), &png, "upright")?
            }
            other => return Err(Refusal::bad(format!("expected the fix upright or remove, found {other}"))),
        };
        changes::remember(&studio.root, change)?;
        Ok(Json(json!({})))
    })
    .await
}
