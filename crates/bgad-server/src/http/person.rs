//! The doors for people: a picture in, a record out; a page; an operator's answer.

use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::extract::{FromRequest as _, Multipart, Query, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{Html, IntoResponse as _, Response};
use bgad::learn::feedback::Said;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::accept::Form;
use super::body::receive;
use crate::feedback::LONGEST_ID;
use crate::metrics::as_text_format;
use crate::picture::{Order, Picture};
use crate::record::{PartInfo, Record};
use crate::refusal::Refusal;
use crate::server::{Held, Server};
use crate::version::Version;

/// The page at `/`. It loads nothing from elsewhere.
const PAGE: &str = include_str!("page.html");
/// The description of all routes.
pub(crate) const OPENAPI: &str = include_str!("../../openapi.json");

/// What the head of an answer that is a picture says of its record.
const VERDICT: HeaderName = HeaderName::from_static("bgad-verdict");
const SCORE: HeaderName = HeaderName::from_static("bgad-score");
const VERSION: HeaderName = HeaderName::from_static("bgad-version");
const SHA256: HeaderName = HeaderName::from_static("bgad-model-sha256");
const RESULT_ID: HeaderName = HeaderName::from_static("bgad-result-id");

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    model: Option<String>,
    version: Option<String>,
    part_id: Option<String>,
    station: Option<String>,
}

pub(super) async fn page() -> Response {
    // The page needs its own script and style and nothing else.
    let policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src blob: data:; connect-src 'self'; frame-ancestors 'none'";
    ([(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy))], Html(PAGE)).into_response()
}

pub(super) async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], OPENAPI).into_response()
}

/// As OpenMetrics for those who ask for it, as Prometheus does; else in the older format, which every agent reads.
pub(super) async fn metrics(State(server): State<Arc<Server>>, asked: HeaderMap) -> Response {
    let text = server.metrics.text(&server.library, &server.workers);
    let mut accepted = asked.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let (kind, text) = if accepted.any(|value| value.contains("application/openmetrics-text")) {
        ("application/openmetrics-text; version=1.0.0; charset=utf-8", text)
    } else {
        ("text/plain; version=0.0.4; charset=utf-8", as_text_format(&text))
    };
    ([(header::CONTENT_TYPE, HeaderValue::from_static(kind))], text).into_response()
}

pub(super) async fn inspect(
    State(server): State<Arc<Server>>,
    asked: Result<Query<Asked>, axum::extract::rejection::QueryRejection>,
    request: Request,
) -> Response {
    let started = Instant::now();
    let version = asked.map_err(|error| Refusal::invalid(error.to_string())).and_then(|Query(asked)| {
        let version = match &asked.model {
            Some(model) => server.library.get(model, asked.version.as_deref()),
            None => server.library.only(),
        };
        Ok((asked, version?))
    });
    let (code_of, result) = match version {
        Ok((asked, version)) => {
            let result = inspect_with(&server, &version, asked, request).await;
            (Some(version), result)
        }
        Err(refusal) => (None, Err(refusal)),
    };
    let response = result.unwrap_or_else(|refusal| {
        server.metrics.rejected(refusal.reason());
        refusal.into_response()
    });
    let code = response.status().as_u16().to_string();
    server.metrics.request(code_of.as_deref(), "http", &code, started.elapsed());
    response
}

async fn inspect_with(
    server: &Server,
    version: &Arc<Version>,
    asked: Asked,
    request: Request,
) -> Result<Response, Refusal> {
    let form = Form::wanted(request.headers())?;
    let part = PartInfo { part_id: short(asked.part_id)?, station: short(asked.station)?, file: None };
    let (picture, file, _held) = picture(server, request).await?;
    let part = PartInfo { file, ..part };
    let order = Order { picture, overlay: (form == Form::Overlay).then(|| part.clone()) };
    let (record, judged) = server.record(version, order, part).await?;
    let mut response = match judged.overlay {
        Some(png) => overlay(&record, png)?,
        None => Json(record).into_response(),
    };
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept"));
    Ok(response)
}

fn short(text: Option<String>) -> Result<Option<String>, Refusal> {
    match text {
        Some(text) if text.chars().count() > LONGEST_ID || text.chars().any(char::is_control) => {
            Err(Refusal::invalid(format!(
                "ids are texts of at most {LONGEST_ID} characters without control characters"
            )))
        }
        text => Ok(text),
    }
}

/// The picture of a result; the head of the answer says what matters of its record.
fn overlay(record: &Record, png: Bytes) -> Result<Response, Refusal> {
    let result = &record.result;
    let text = |text: &str| HeaderValue::from_str(text).map_err(|e| Refusal::Internal(e.to_string()));
    let head = [
        (header::CONTENT_TYPE, HeaderValue::from_static("image/png")),
        (VERDICT, text(&result.verdict.to_string())?),
        // As in the record: the shortest text that gives the same bits.
        (SCORE, text(&result.score.to_string())?),
        (VERSION, text(&record.version)?),
        (SHA256, text(&result.model.sha256)?),
        (RESULT_ID, text(&result.id)?),
    ];
    Ok((head, png).into_response())
}

/// The picture of a raw body, or of the first file of a form.
async fn picture(server: &Server, request: Request) -> Result<(Picture, Option<String>, Held), Refusal> {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    if !kind.is_some_and(|kind| kind.starts_with("multipart/form-data")) {
        let received = receive(server, request).await?;
        return Ok((Picture::Encoded(received.bytes), None, received._held));
    }
    let headers = request.headers().clone();
    let received = receive(server, request).await?;
    let mut form = Request::new(axum::body::Body::from(received.bytes));
    *form.headers_mut() = headers;
    let wrong = |error: &dyn std::fmt::Display| Refusal::invalid(format!("the form cannot be read: {error}"));
    let mut form = Multipart::from_request(form, &()).await.map_err(|e| wrong(&e))?;
    while let Some(field) = form.next_field().await.map_err(|e| wrong(&e))? {
        let file = field.file_name().map(str::to_owned);
        if file.is_some() || field.name() == Some("image") {
            let bytes = field.bytes().await.map_err(|e| wrong(&e))?;
            return Ok((Picture::Encoded(bytes), file, received._held));
        }
    }
    Err(Refusal::invalid("the form has no file: expected a field `image`"))
}

/// Keeps an operator's answer.
pub(super) async fn feedback(
    State(server): State<Arc<Server>>,
    request: Request,
) -> Result<Json<Value>, Refusal> {
    if server.feedback.is_none() {
        return Err(Refusal::NotFound("this server keeps no feedback: start it with --feedback DIR".into()));
    }
    let received = receive(&server, request).await?;
    let said: Said = serde_json::from_slice(&received.bytes).map_err(|error| {
        Refusal::invalid(format!(
            "expected {{\"part_id\": TEXT, \"answer\": good, defect or unsure}}: {error}"
        ))
    })?;
    if said.part_id.is_empty() {
        return Err(Refusal::invalid("part_id is empty"));
    }
    for text in [Some(said.part_id.clone()), said.operator.clone()] {
        short(text)?;
    }
    let keeping = Arc::clone(&server);
    let kept = tokio::task::spawn_blocking(move || {
        let kept = keeping.feedback.as_ref().map(|feedback| feedback.keep(&said));
        kept.transpose().map(|_| said.part_id)
    });
    let kept = kept.await.map_err(|error| Refusal::Internal(error.to_string()))?;
    match kept {
        Ok(part_id) => Ok(Json(json!({ "part_id": part_id, "kept": true }))),
        Err(error) => {
            server.metrics.fault("feedback");
            Err(Refusal::Internal(format!("the answer could not be kept: {error}")))
        }
    }
}
