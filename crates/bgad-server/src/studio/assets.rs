//! The built front end, part of the program.

use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::IntoResponse;
use axum::routing::get;

use super::Shared;

const INDEX: &str = include_str!("../../../../studio/dist/index.html");
const SCRIPT: &str = include_str!("../../../../studio/dist/studio.js");
const STYLE: &str = include_str!("../../../../studio/dist/studio.css");
const ICON: &str = include_str!("../../../../studio/dist/icon.svg");

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/", get(|| async { file("text/html; charset=utf-8", INDEX) }))
        .route("/studio.js", get(|| async { file("text/javascript; charset=utf-8", SCRIPT) }))
        .route("/studio.css", get(|| async { file("text/css; charset=utf-8", STYLE) }))
        .route("/icon.svg", get(|| async { file("image/svg+xml", ICON) }))
}

fn file(kind: &'static str, text: &'static str) -> impl IntoResponse {
    // Names carry no hash, so a newer program must not meet an older page.
    ([(CONTENT_TYPE, kind), (CACHE_CONTROL, "no-cache")], text)
}
