//! What comes into a project: a folder, copied or linked, and files that are dropped. All of it can be undone.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Query, State};
use axum::routing::{post, put};
use axum::{Json, Router};
use bgad::image::Content;
use bgad::{durable, outside};
use serde::Deserialize;
use serde_json::{Value, json};

use super::changes::{self, Change};
use super::listing::{NO_TYPE, mask_path};
use super::reply::{Refusal, Reply, blocking};
use super::{Shared, engine, pictures};

/// Largest file that can be dropped into the page, bytes.
const UPLOAD: usize = 1 << 30;

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/api/import", post(import))
        .route("/api/upload", put(upload))
        .layer(DefaultBodyLimit::max(UPLOAD))
}

#[derive(Deserialize)]
struct Import {
    path: PathBuf,
    /// Link the images instead of copying them.
    #[serde(default)]
    link: bool,
}

async fn import(State(studio): State<Shared>, Json(request): Json<Import>) -> Reply<Json<Value>> {
    blocking(move || {
        let folder = request.path.canonicalize()?;
        if folder.starts_with(&studio.root) {
            return Err(Refusal::bad("this folder is the project itself, or in it"));
        }
        let found = engine::survey(&folder)?;
        let _writing = studio.write()?;
        let mut change = Change::new("import", 0);
        let mut skipped = Vec::new();
        for file in &found {
            match bring(&studio.root, file, request.link) {
                Ok(files) => {
                    change.images += 1;
                    change.moves.extend(files.into_iter().map(|file| (None, file)));
                }
                Err(error) => {
                    skipped.push(format!("{}: {}", file.image.display(), engine::chain(error.as_ref())));
                }
            }
        }
        let images = change.images;
        changes::remember(&studio.root, change)?;
        Ok(Json(json!({ "images": images, "skipped": skipped })))
    })
    .await
}

/// Brings an image and its mask into the project. Returns the files made.
fn bring(root: &Path, file: &engine::Import, by_link: bool) -> Result<Vec<String>, engine::Failure> {
    let name = file.image.file_name().and_then(|name| name.to_str()).ok_or("the name is not valid UTF-8")?;
    let folder = match file.defect.as_deref() {
        None => "good".to_owned(),
        Some(NO_TYPE) => "bad".to_owned(),
        Some(kind) => match changes::refuse_name(kind) {
            None => format!("bad/{kind}"),
            Some(why) => return Err(format!("{kind:?} cannot be a type of defect: {why}").into()),
        },
    };
    fs::create_dir_all(root.join(&folder))?;
    // A mask is always a file of the project's own: it is drawn on.
    let mask = match &file.mask {
        None => None,
        Some(mask) => {
            let facts = pictures::facts(&file.image)?;
            let (width, height) = (facts.width as usize, facts.height as usize);
            Some(engine::read_mask(mask, Some(&file.image), width, height)?.to_png()?)
        }
    };
    let id = changes::free_name(root, &folder, name);
    match by_link {
        true => link(&file.image, &root.join(&id))?,
        false => durable::replace(&root.join(&id), &outside::read(&file.image, outside::MAX_IMAGE)?)?,
    }
    let mut made = vec![id.clone()];
    if let (Some(png), Some(to)) = (mask, mask_path(&id)) {
        let path = root.join(&to);
        fs::create_dir_all(path.parent().unwrap_or(root))?;
        durable::replace(&path, &png)?;
        made.push(to);
    }
    Ok(made)
}

/// A hard link, which outlives its origin; to another file system a symbolic one, where the system has them.
fn link(from: &Path, to: &Path) -> io::Result<()> {
    // A symbolic link in the folder is followed: what it names is what is meant.
    let from = from.canonicalize()?;
    match fs::hard_link(&from, to) {
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => symbolic(&from, to),
        linked => linked,
    }
}

#[cfg(unix)]
fn symbolic(from: &Path, to: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(from, to)
}

#[cfg(windows)]
fn symbolic(from: &Path, to: &Path) -> io::Result<()> {
    std::os::windows::fs::symlink_file(from, to)
}

#[derive(Deserialize)]
struct Upload {
    name: String,
}

async fn upload(State(studio): State<Shared>, Query(file): Query<Upload>, body: Bytes) -> Reply<Json<Value>> {
    blocking(move || {
        if let Some(why) = changes::refuse_name(&file.name) {
            return Err(Refusal::bad(format!("{:?} cannot be the name of an image: {why}", file.name)));
        }
        if Content::of(&body) != Content::Picture {
            let wanted = "expected a PNG, JPEG, BMP, TIFF, WebP or PNM image";
            return Err(Refusal::bad(format!("{}: {wanted}", file.name)));
        }
        let _writing = studio.write()?;
        let id = changes::free_name(&studio.root, "unlabelled", &file.name);
        durable::replace(&studio.path(&id), &body)?;
        let moves = vec![(None, id.clone())];
        changes::remember(&studio.root, Change { moves, ..Change::new("import", 1) })?;
        Ok(Json(json!({ "id": id })))
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::super::listing::Listing;
    use super::*;

    fn scene() -> (tempfile::TempDir, engine::Import, PathBuf) {
        let folder = tempfile::tempdir().expect("a folder");
        let image = folder.path().join("far/x.png");
        let mask = folder.path().join("far/x_mask.png");
        fs::create_dir_all(folder.path().join("far")).expect("folders");
        let grey = |value: u8| image::GrayImage::from_pixel(8, 6, image::Luma([value]));
        grey(90).save(&image).expect("saved");
        grey(255).save(&mask).expect("saved");
        let root = folder.path().join("project");
        fs::create_dir_all(&root).expect("folders");
        (folder, engine::Import { image, defect: Some("dent".to_owned()), mask: Some(mask) }, root)
    }

    #[cfg(unix)]
    #[test]
    fn what_is_linked_is_the_same_file_and_its_mask_is_the_projects_own() {
        let (_folder, import, root) = scene();
        let made = bring(&root, &import, true).expect("linked");
        assert_eq!(made, ["bad/dent/x.png", "masks/dent/x_mask.png"]);
        let file = |path: &Path| std::os::unix::fs::MetadataExt::ino(&fs::metadata(path).expect("there"));
        assert_eq!(file(&root.join(&made[0])), file(&import.image));
        assert_ne!(file(&root.join(&made[1])), file(import.mask.as_deref().expect("a mask")));
        // Out of the project it goes without a trace in the folder that it came from.
        let item = Listing::read(&root).expect("readable").items["bad/dent/x.png"].clone();
        changes::remove(&root, &item).expect("removed");
        assert!(import.image.is_file() && !root.join(&made[0]).exists());
    }

    #[cfg(unix)]
    #[test]
    fn a_symbolic_link_is_an_image_like_any_other() {
        let (_folder, import, root) = scene();
        fs::create_dir_all(root.join("good")).expect("folders");
        symbolic(&import.image, &root.join("good/x.png")).expect("linked");
        let item = Listing::read(&root).expect("readable").items["good/x.png"].clone();
        assert_eq!(item.bytes, fs::metadata(&import.image).expect("there").len());
        let target = changes::Target { label: super::super::listing::Label::Unlabelled, kind: None };
        changes::label(&root, &[item], &target).expect("moved");
        assert!(root.join("unlabelled/x.png").is_file() && !root.join("good/x.png").exists());
        assert!(import.image.is_file());
    }

    #[test]
    fn an_import_is_undone() {
        let (_folder, import, root) = scene();
        let files = bring(&root, &import, false).expect("copied");
        let moves = files.into_iter().map(|file| (None, file)).collect();
        changes::remember(&root, Change { moves, ..Change::new("import", 1) }).expect("remembered");
        changes::undo(&root).expect("undone");
        assert!(Listing::read(&root).expect("readable").items.is_empty());
        assert!(import.image.is_file() && root.join("runs/removed/bad/dent/x.png").is_file());
    }
}
