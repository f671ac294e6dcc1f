//! What the server and its models say about themselves, and which models serve.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::body::receive;
use super::described;
use crate::refusal::{Refusal, error_response};
use crate::server::Server;
use crate::version::{Sum, Version};

type Served = State<Arc<Server>>;

/// Extensions of the protocol that are spoken.
pub(crate) const EXTENSIONS: [&str; 4] =
    ["binary_tensor_data", "model_repository", "model_configuration", "statistics"];

pub(super) async fn server() -> Json<Value> {
    Json(json!({ "name": "bgad", "version": env!("CARGO_PKG_VERSION"), "extensions": EXTENSIONS }))
}

pub(super) async fn live(State(server): Served) -> Json<Value> {
    Json(json!({ "live": true, "ready": server.ready() }))
}

pub(super) async fn ready(State(server): Served) -> Response {
    let ready = server.ready();
    let body = Json(json!({ "live": true, "ready": ready }));
    (if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, body).into_response()
}

pub(super) async fn model(State(server): Served, Path(model): Path<String>) -> Result<Json<Value>, Refusal> {
    metadata(&server, &model, None)
}

pub(super) async fn version(
    State(server): Served,
    Path((model, version)): Path<(String, String)>,
) -> Result<Json<Value>, Refusal> {
    metadata(&server, &model, Some(&version))
}

fn metadata(server: &Server, model: &str, version: Option<&str>) -> Result<Json<Value>, Refusal> {
    let version = server.library.get(model, version)?;
    Ok(Json(described::metadata(&version, &server.library.versions(model))))
}

pub(super) async fn model_ready(State(server): Served, Path(model): Path<String>) -> Response {
    readiness(&server, &model, None)
}

pub(super) async fn version_ready(
    State(server): Served,
    Path((model, version)): Path<(String, String)>,
) -> Response {
    readiness(&server, &model, Some(&version))
}

fn readiness(server: &Server, model: &str, version: Option<&str>) -> Response {
    match server.library.get(model, version) {
        Ok(_) => Json(json!({ "name": model, "ready": true })).into_response(),
        Err(refusal) => error_response(refusal.status(), &refusal.to_string()),
    }
}

pub(super) async fn config(State(server): Served, Path(model): Path<String>) -> Result<Json<Value>, Refusal> {
    Ok(Json(described::config(&*server.library.get(&model, None)?)))
}

pub(super) async fn config_of_version(
    State(server): Served,
    Path((model, version)): Path<(String, String)>,
) -> Result<Json<Value>, Refusal> {
    Ok(Json(described::config(&*server.library.get(&model, Some(&version))?)))
}

pub(super) async fn all_statistics(State(server): Served) -> Json<Value> {
    let all: Vec<Value> = server.library.all().iter().map(|version| statistics_of(version)).collect();
    Json(json!({ "model_stats": all }))
}

pub(super) async fn statistics(
    State(server): Served,
    Path(model): Path<String>,
) -> Result<Json<Value>, Refusal> {
    let version = server.library.get(&model, None)?;
    Ok(Json(json!({ "model_stats": [statistics_of(&version)] })))
}

pub(super) async fn statistics_of_version(
    State(server): Served,
    Path((model, version)): Path<(String, String)>,
) -> Result<Json<Value>, Refusal> {
    let version = server.library.get(&model, Some(&version))?;
    Ok(Json(json!({ "model_stats": [statistics_of(&version)] })))
}

fn statistics_of(version: &Version) -> Value {
    let sum = |sum: &Sum| {
        let (count, ns) = sum.get();
        json!({ "count": count, "ns": ns })
    };
    let usage = &version.usage;
    let images = usage.inference.get().0;
    json!({
        "name": version.model,
        "version": version.number.to_string(),
        "last_inference": usage.last_ms(),
        "inference_count": images,
        "execution_count": images,
        "inference_stats": {
            "success": sum(&usage.success),
            "fail": sum(&usage.failure),
            "queue": sum(&usage.queue),
            "compute_input": sum(&usage.input),
            "compute_infer": sum(&usage.inference),
        },
        "drift": version.drift.state(),
    })
}

#[derive(Default, Deserialize)]
struct IndexAsked {
    ready: Option<bool>,
}

#[derive(Default, Deserialize)]
struct LoadAsked {
    parameters: Option<LoadParameters>,
}

#[derive(Default, Deserialize)]
struct LoadParameters {
    version: Option<String>,
}

#[derive(Default, Deserialize)]
struct UnloadAsked {
    // Triton's clients say here whether dependents go too; there are none.
    #[serde(rename = "parameters")]
    _parameters: Option<serde_json::Map<String, Value>>,
}

/// The body is empty, or says `{"ready": true}` for those that serve alone.
pub(super) async fn index(State(server): Served, request: Request) -> Result<Json<Value>, Refusal> {
    let asked: IndexAsked = object(&server, request).await?;
    Ok(Json(json!(server.library.index(asked.ready.unwrap_or(false)))))
}

/// `{"parameters": {"version": "3"}}` goes back to a version; without it the newest judges.
pub(super) async fn load(
    State(server): Served,
    Path(model): Path<String>,
    request: Request,
) -> Result<Response, Refusal> {
    admin(&server, &request)?;
    let asked: LoadAsked = object(&server, request).await?;
    let version = asked.parameters.unwrap_or_default().version;
    let loading = Arc::clone(&server);
    let name = model.clone();
    let loaded = tokio::task::spawn_blocking(move || loading.library.load(&name, version.as_deref())).await;
    loaded.map_err(|error| Refusal::Internal(format!("loading failed: {error}")))??;
    tracing::info!(model, "loaded by a call");
    Ok(Json(json!({})).into_response())
}

pub(super) async fn unload(
    State(server): Served,
    Path(model): Path<String>,
    request: Request,
) -> Result<Response, Refusal> {
    admin(&server, &request)?;
    let _: UnloadAsked = object(&server, request).await?;
    server.library.unload(&model)?;
    tracing::info!(model, "unloaded by a call");
    Ok(Json(json!({})).into_response())
}

fn admin(server: &Server, request: &Request) -> Result<(), Refusal> {
    server.access.admin(super::authorization(request.headers()))
}

/// A body that is empty or a JSON object.
async fn object<T: Default + DeserializeOwned>(server: &Server, request: Request) -> Result<T, Refusal> {
    let received = receive(server, request).await?;
    let text = received.bytes.trim_ascii();
    if text.is_empty() {
        return Ok(T::default());
    }
    // serde takes a list for a struct; the protocol does not.
    let read = if text.starts_with(b"{") {
        serde_json::from_slice(text)
    } else {
        Err(serde::de::Error::custom("no object"))
    };
    read.map_err(|error| Refusal::invalid(format!("expected a JSON object or an empty body: {error}")))
}
