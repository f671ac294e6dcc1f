//! Routes about images: list, show, label, draw.

use std::path::PathBuf;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Query, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::bitmask::{Bitmask, Tiles};
use super::changes::{self, Target};
use super::listing::{Item, Label, mask_path};
use super::masks::{Place, Refused};
use super::reply::{Refusal, Reply, blocking};
use super::{Shared, Studio, pictures};

/// Largest body of a drawing: every tile of a picture of 40,000 x 40,000, bytes.
const DRAWN: usize = 256 << 20;
/// An address with a version always shows the same picture.
const FOREVER: &str = "private, max-age=31536000, immutable";

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/api/project", get(project))
        .route("/api/items", get(items))
        .route("/api/thumb", get(thumb))
        .route("/api/image", get(image))
        .route("/api/facts", get(facts))
        .route("/api/mask", get(mask).patch(draw))
        .route("/api/label", post(label))
        .route("/api/remove", post(remove))
        .route("/api/undo", post(undo))
        .route("/api/demo", post(demo))
        .layer(DefaultBodyLimit::max(DRAWN))
}

async fn project(State(studio): State<Shared>) -> Reply<Json<Value>> {
    blocking(move || {
        let (revision, listing) = studio.fresh()?;
        let name = studio.root.file_name().map(|name| name.to_string_lossy().into_owned());
        Ok(Json(json!({
            "name": name.unwrap_or_else(|| studio.root.display().to_string()),
            "path": studio.root.display().to_string(),
            "revision": revision,
            "types": listing.types,
            "undo": changes::journal(&studio.root)?.last().map(|change| &change.what),
            "demo": studio.demo.is_some() && listing.items.is_empty() && listing.models.is_empty(),
            "version": env!("CARGO_PKG_VERSION"),
        })))
    })
    .await
}

async fn items(State(studio): State<Shared>) -> Reply<Json<Value>> {
    blocking(move || {
        let (revision, listing) = studio.fresh()?;
        let items: Vec<&Item> = listing.items.values().collect();
        Ok(Json(json!({ "revision": revision, "items": items, "types": listing.types })))
    })
    .await
}

#[derive(Deserialize)]
struct Which {
    id: String,
    /// Lower and upper end of the greys shown, shares of white.
    low: Option<f32>,
    high: Option<f32>,
    /// `mask`, `roi` or `ignore`.
    layer: Option<String>,
}

async fn thumb(State(studio): State<Shared>, Query(which): Query<Which>) -> Reply<Response> {
    blocking(move || {
        let bytes = studio.thumbnail(&studio.item(&which.id)?)?;
        let head = [(CONTENT_TYPE, "image/jpeg"), (CACHE_CONTROL, FOREVER)];
        Ok((head, Bytes::from_owner(bytes)).into_response())
    })
    .await
}

async fn image(State(studio): State<Shared>, Query(which): Query<Which>) -> Reply<Response> {
    blocking(move || {
        let item = studio.item(&which.id)?;
        let window = which.low.zip(which.high).map(|(low, high)| [low, high]);
        let (bytes, kind) = pictures::picture(&studio.path(&item.id), window)?;
        Ok(([(CONTENT_TYPE, kind), (CACHE_CONTROL, FOREVER)], bytes).into_response())
    })
    .await
}

async fn facts(State(studio): State<Shared>, Query(which): Query<Which>) -> Reply<Json<pictures::Facts>> {
    blocking(move || {
        let item = studio.item(&which.id)?;
        Ok(Json(pictures::facts(&studio.path(&item.id))?))
    })
    .await
}

/// Where a layer of an image is drawn.
struct Layer {
    current: Option<PathBuf>,
    target: PathBuf,
    image: PathBuf,
    width: usize,
    height: usize,
}

impl Layer {
    fn find(studio: &Studio, which: &Which) -> Reply<Layer> {
        let item = studio.item(&which.id)?;
        let image = studio.path(&item.id);
        let facts = pictures::facts(&image)?;
        let (current, target) = match which.layer.as_deref().unwrap_or("mask") {
            "mask" => {
                let target = mask_path(&item.id)
                    .ok_or_else(|| Refusal::conflict("only a defective image has a mask: label it first"))?;
                (item.mask.as_deref().map(|mask| studio.path(mask)), studio.path(&target))
            }
            name @ ("roi" | "ignore") => (None, studio.path(&format!("{name}.png"))),
            other => {
                return Err(Refusal::bad(format!("expected the layer mask, roi or ignore, found {other}")));
            }
        };
        let (width, height) = (facts.width as usize, facts.height as usize);
        Ok(Layer { current, target, image, width, height })
    }

    fn place(&self, of_image: bool) -> Place<'_> {
        Place {
            current: self.current.as_deref(),
            target: &self.target,
            // A region of the project is of all images, whatever their size.
            image: of_image.then_some(self.image.as_path()),
            width: self.width,
            height: self.height,
        }
    }
}

fn is_mask(which: &Which) -> bool {
    which.layer.as_deref().is_none_or(|layer| layer == "mask")
}

async fn mask(State(studio): State<Shared>, Query(which): Query<Which>) -> Reply<Response> {
    blocking(move || {
        let (mask, name) = match Layer::find(&studio, &which) {
            Ok(layer) => studio.masks.read(&layer.place(is_mask(&which)))?,
            // An image that is not defective can be looked at with the same tools; its mask is empty.
            Err(refusal) if refusal.status == StatusCode::CONFLICT => {
                let facts = pictures::facts(&studio.path(&which.id))?;
                (Bitmask::empty(facts.width as usize, facts.height as usize), "none".to_owned())
            }
            Err(refusal) => return Err(refusal),
        };
        Ok(tiles_reply(&mask, &name))
    })
    .await
}

/// A mask as tiles, named by its tag.
pub(super) fn tiles_reply(mask: &Bitmask, name: &str) -> Response {
    let head = [(CONTENT_TYPE, "application/octet-stream".to_owned()), (ETAG, format!("\"{name}\""))];
    ([(CACHE_CONTROL, "no-store")], head, Tiles::of(mask).encode()).into_response()
}

async fn draw(
    State(studio): State<Shared>,
    Query(which): Query<Which>,
    headers: HeaderMap,
    body: Bytes,
) -> Reply<Response> {
    let expected = headers
        .get(IF_MATCH)
        .and_then(|value| value.to_str().ok())
        .map(|tag| tag.trim_matches('"').to_owned());
    blocking(move || {
        let Some(expected) = expected else {
            return Err(Refusal::new(
                StatusCode::PRECONDITION_REQUIRED,
                "say with If-Match which mask was read",
            ));
        };
        let tiles = Tiles::decode(&body).map_err(Refusal::bad)?;
        let _writing = studio.write()?;
        let layer = Layer::find(&studio, &which)?;
        match studio.masks.write(&layer.place(is_mask(&which)), &expected, &tiles) {
            Ok(name) => Ok(([(ETAG, format!("\"{name}\""))], Json(json!({ "name": name }))).into_response()),
            Err(Refused::Failed(error)) => Err(error.into()),
            Err(Refused::Changed(name)) => {
                let refusal = Refusal::new(
                    StatusCode::PRECONDITION_FAILED,
                    "the mask was changed elsewhere since it was read",
                );
                Ok(([(ETAG, format!("\"{name}\""))], refusal).into_response())
            }
        }
    })
    .await
}

#[derive(Deserialize)]
struct LabelRequest {
    ids: Vec<String>,
    #[serde(flatten)]
    target: Target,
}

async fn label(State(studio): State<Shared>, Json(request): Json<LabelRequest>) -> Reply<Json<Value>> {
    blocking(move || {
        if let Some(kind) = request.target.kind.as_deref().filter(|_| request.target.label == Label::Bad)
            && let Some(why) = changes::refuse_name(kind)
        {
            return Err(Refusal::bad(format!("{kind:?} cannot be a type of defect: {why}")));
        }
        let _writing = studio.write()?;
        let items = studio.items(&request.ids)?;
        let (change, ids) = changes::label(&studio.root, &items, &request.target)?;
        changes::remember(&studio.root, change)?;
        Ok(Json(json!({ "ids": ids })))
    })
    .await
}

#[derive(Deserialize)]
struct Ids {
    ids: Vec<String>,
}

async fn remove(State(studio): State<Shared>, Json(request): Json<Ids>) -> Reply<Json<Value>> {
    blocking(move || {
        let _writing = studio.write()?;
        for item in studio.items(&request.ids)? {
            changes::remember(&studio.root, changes::remove(&studio.root, &item)?)?;
        }
        Ok(Json(json!({})))
    })
    .await
}

async fn undo(State(studio): State<Shared>) -> Reply<Json<Value>> {
    blocking(move || {
        let _writing = studio.write()?;
        let undone = changes::undo(&studio.root)?.map(|change| {
            // What is open stays open under the name that it has again.
            let back: Vec<(&String, &String)> =
                change.moves.iter().filter_map(|(from, to)| Some((to, from.as_ref()?))).collect();
            json!({ "what": change.what, "images": change.images, "moved": back })
        });
        Ok(Json(json!({ "undone": undone })))
    })
    .await
}

async fn demo(State(studio): State<Shared>) -> Reply<Json<Value>> {
    blocking(move || {
        let Some(demo) = studio.demo.clone() else { return Err(Refusal::not_found("a demonstration")) };
        let _writing = studio.write()?;
        if !studio.fresh()?.1.items.is_empty() {
            return Err(Refusal::conflict(
                "the project has images already: the demonstration is for an empty one",
            ));
        }
        demo(&studio.root)?;
        Ok(Json(json!({ "images": studio.fresh()?.1.items.len() })))
    })
    .await
}
