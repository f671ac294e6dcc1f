//! The HTTP door.

mod accept;
mod body;
mod described;
mod infer;
mod models;
mod person;
mod rest;

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use http_body_util::BodyExt as _;
use tower::ServiceBuilder;
use tower_http::compression::CompressionLayer;
use tower_http::decompression::RequestDecompressionLayer;
use tracing::Instrument as _;

use crate::refusal::{Refusal, error_response};
use crate::server::Server;

pub(crate) use models::EXTENSIONS;

/// Bytes of a plain error text that are taken over into JSON.
const ERROR_TEXT: usize = 4096;
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// All routes of the server, ready to be served or merged with others.
pub fn app(server: Arc<Server>) -> Router {
    let version = "/v2/models/{model}/versions/{version}";
    let routes = Router::new()
        .route("/v2", get(models::server))
        .route("/v2/health/live", get(models::live))
        .route("/v2/health/ready", get(models::ready))
        .route("/v2/models/stats", get(models::all_statistics))
        .route("/v2/models/{model}", get(models::model))
        .route("/v2/models/{model}/ready", get(models::model_ready))
        .route("/v2/models/{model}/infer", post(infer::newest))
        .route("/v2/models/{model}/config", get(models::config))
        .route("/v2/models/{model}/stats", get(models::statistics))
        .route(version, get(models::version))
        .route(&format!("{version}/ready"), get(models::version_ready))
        .route(&format!("{version}/infer"), post(infer::of_version))
        .route(&format!("{version}/config"), get(models::config_of_version))
        .route(&format!("{version}/stats"), get(models::statistics_of_version))
        .route("/v2/repository/index", post(models::index))
        .route("/v2/repository/models/{model}/load", post(models::load))
        .route("/v2/repository/models/{model}/unload", post(models::unload))
        .route("/", get(person::page))
        .route("/inspect", post(person::inspect))
        .route("/feedback", post(person::feedback))
        .route("/metrics", get(person::metrics))
        .route("/openapi.json", get(person::openapi))
        .fallback(|uri: Uri| async move { Refusal::NotFound(format!("there is nothing at {}", uri.path())) })
        .with_state(Arc::clone(&server));
    guard(server, routes)
}

/// Puts access, decompression, compression, logs and errors in JSON round routes; for routes of others too.
pub fn guard(server: Arc<Server>, routes: Router) -> Router {
    // Clients read an error without looking whether it is compressed.
    let succeeded =
        |status: StatusCode, _: axum::http::Version, headers: &HeaderMap, _: &axum::http::Extensions| {
            let small = headers.get(header::CONTENT_LENGTH).is_some_and(|n| n.len() < 3);
            // A picture is compressed already.
            let kind = headers.get(header::CONTENT_TYPE);
            let picture = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"image/"));
            status.is_success() && !small && !picture
        };
    routes.layer(DefaultBodyLimit::disable()).layer(
        ServiceBuilder::new()
            .layer(middleware::from_fn(rest::read_to_the_end))
            .layer(middleware::from_fn(logged))
            .layer(middleware::from_fn(errors_in_json))
            .layer(middleware::from_fn_with_state(server, let_in))
            .layer(CompressionLayer::new().compress_when(succeeded))
            .layer(RequestDecompressionLayer::new()),
    )
}

/// What a caller says to be let in.
fn authorization(headers: &HeaderMap) -> Option<&[u8]> {
    headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes)
}

/// Health and the page, which holds no data, are open to all; so that a probe needs no token.
async fn let_in(State(server): State<Arc<Server>>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    if let Some(refusal) = from_another_page(headers) {
        return refusal.into_response();
    }
    let open = matches!(request.uri().path(), "/" | "/v2/health/live" | "/v2/health/ready" | "/openapi.json");
    if !open && let Err(refusal) = server.access.caller(authorization(headers)) {
        server.metrics.rejected(refusal.reason());
        return refusal.into_response();
    }
    next.run(request).await
}

/// A page of another site, open in the browser of somebody who may call, must not call in their name.
fn from_another_page(headers: &HeaderMap) -> Option<Refusal> {
    let origin = headers.get(header::ORIGIN)?.to_str().unwrap_or_default();
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let of_origin = origin.split_once("://").map_or(origin, |(_, host)| host);
    (of_origin != host).then(|| Refusal::Forbidden(format!("pages of {origin} may not call this server")))
}

/// Every error is `{"error": ...}`, also those of the router and of the layers.
async fn errors_in_json(request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let status = response.status();
    let kind = response.headers().get(header::CONTENT_TYPE);
    if !(status.is_client_error() || status.is_server_error())
        || kind.is_some_and(|k| k == "application/json")
    {
        return response;
    }
    let (parts, body) = response.into_parts();
    let text = match body.collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => bytes::Bytes::new(),
    };
    let text = String::from_utf8_lossy(&text[..text.len().min(ERROR_TEXT)]).into_owned();
    let text = match text.is_empty() {
        true => status.canonical_reason().unwrap_or("error").to_owned(),
        false => text,
    };
    let mut response = error_response(status, &text);
    if let Some(allow) = parts.headers.get(header::ALLOW) {
        response.headers_mut().insert(header::ALLOW, allow.clone());
    }
    response
}

/// One line a request, with an id that the client may give and always gets back.
async fn logged(request: Request, next: Next) -> Response {
    let given = request.headers().get(&REQUEST_ID).and_then(|id| id.to_str().ok());
    let given = given.filter(|id| (1..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic()));
    let id = given.map_or_else(crate::record::unique_id, str::to_owned);
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let span = tracing::info_span!("request", id);
    let started = Instant::now();
    let mut response = next.run(request).instrument(span.clone()).await;
    let (status, millis) = (response.status().as_u16(), started.elapsed().as_secs_f64() * 1e3);
    let _in = span.entered();
    match status {
        500.. => tracing::error!(%method, path, status, millis, "answered"),
        400.. => tracing::warn!(%method, path, status, millis, "answered"),
        _ if path.starts_with("/v2/health") || path == "/metrics" => {
            tracing::debug!(%method, path, status, millis, "answered");
        }
        _ => tracing::info!(%method, path, status, millis, "answered"),
    }
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}
