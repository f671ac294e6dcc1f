//! What a project folder holds: images with their labels and masks, model files.
//!
//! ```text
//! good/**             good parts, also in folders below, one for each day for instance
//! bad/TYPE/*, bad/*   defective parts
//! masks/TYPE/STEM_mask.png, masks/STEM_mask.png
//! unlabelled/**       not looked at yet; a camera may write here
//! models/*.bgad       runs/*    what the studio keeps about its work
//! ```
//!
//! An id is the path below the project, with `/`. Handlers look ids up here and never build a path from a request.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use bgad::dataset::{Dataset, is_clutter, is_judged, promises_picture};
use serde::Serialize;

/// Defects in `bad/` itself have this type, as everywhere in bgad.
pub(super) const NO_TYPE: &str = "bad";

/// What a person says of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Label {
    Good,
    Bad,
    Unlabelled,
}

/// One image of the project.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Item {
    pub id: String,
    pub label: Label,
    /// Defect type; `None` unless it is bad.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// The mask file below the project, if there is one.
    pub mask: Option<String>,
    /// Changes when the file does.
    pub version: String,
    pub bytes: u64,
    /// Milliseconds since 1970.
    pub modified: u64,
}

/// Everything in the project at one moment.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub items: BTreeMap<String, Item>,
    /// Names of the files in `models/`.
    pub models: Vec<String>,
    pub types: BTreeSet<String>,
}

/// A number that changes when a file of the project appears, goes or changes.
pub(super) fn fingerprint(root: &Path) -> u64 {
    let (mut sum, mut searched) = (0u64, BTreeSet::new());
    let mut stack: Vec<PathBuf> =
        ["good", "bad", "masks", "unlabelled", "models"].iter().map(|name| root.join(name)).collect();
    stack.extend(["roi.png", "ignore.png"].map(|name| root.join(name)));
    while let Some(path) = stack.pop() {
        let Ok(meta) = fs::metadata(&path) else { continue };
        let mut hasher = DefaultHasher::new();
        path.hash(&mut hasher);
        if meta.is_dir() {
            if !searched.insert(path.canonicalize().unwrap_or_else(|_| path.clone())) {
                continue;
            }
            if let Ok(entries) = fs::read_dir(&path) {
                let visible = |name: &std::ffi::OsStr| !name.to_string_lossy().starts_with('.');
                stack.extend(entries.flatten().filter(|e| visible(&e.file_name())).map(|e| e.path()));
            }
        } else {
            (meta.len(), meta.modified().ok()).hash(&mut hasher);
        }
        // The order of a folder's entries is not fixed, so the sum must not depend on it.
        sum = sum.wrapping_add(hasher.finish());
    }
    sum
}

impl Listing {
    /// Reads the folders; no image is opened whose name says that it is one.
    pub(super) fn read(root: &Path) -> io::Result<Listing> {
        let mut listing = Listing::default();
        for (folder, label) in [("good", Label::Good), ("unlabelled", Label::Unlabelled)] {
            listing.add_all(root, folder, label)?;
        }
        listing.add_folder(root, "bad", Label::Bad, Some(NO_TYPE))?;
        for (name, is_folder) in entries(&root.join("bad"))? {
            if is_folder {
                listing.types.insert(name.clone());
                listing.add_folder(root, &format!("bad/{name}"), Label::Bad, Some(&name))?;
            }
        }
        listing.pair_masks(root);
        listing.models = entries(&root.join("models"))?
            .into_iter()
            .filter(|(name, is_folder)| !is_folder && name.ends_with(".bgad"))
            .map(|(name, _)| name)
            .collect();
        Ok(listing)
    }

    /// A folder and those below it, each of which is searched once, however many links lead to it.
    fn add_all(&mut self, root: &Path, folder: &str, label: Label) -> io::Result<()> {
        let (mut searched, mut open) = (BTreeSet::new(), vec![folder.to_owned()]);
        while let Some(folder) = open.pop() {
            let path = root.join(&folder);
            if !searched.insert(path.canonicalize().unwrap_or(path)) {
                continue;
            }
            self.add_folder(root, &folder, label, None)?;
            let below = entries(&root.join(&folder))?.into_iter().filter(|(_, is_folder)| *is_folder);
            open.extend(below.map(|(name, _)| format!("{folder}/{name}")));
        }
        Ok(())
    }

    fn add_folder(&mut self, root: &Path, folder: &str, label: Label, kind: Option<&str>) -> io::Result<()> {
        for (name, is_folder) in entries(&root.join(folder))? {
            let id = format!("{folder}/{name}");
            if is_folder || !is_image(&root.join(&id)) {
                continue;
            }
            // Gone since the folder was read: the next look will tell.
            let Ok(meta) = fs::metadata(root.join(&id)) else { continue };
            let modified = meta.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
            let nanos = modified.map_or(0, |at| at.as_nanos());
            let item = Item {
                label,
                kind: kind.map(str::to_owned),
                mask: None,
                version: format!("{nanos:x}-{:x}", meta.len()),
                bytes: meta.len(),
                modified: modified.map_or(0, |at| at.as_millis() as u64),
                id: id.clone(),
            };
            self.items.insert(id, item);
        }
        Ok(())
    }

    /// Masks by the library's rule; where that has nothing to say (no good image yet), those the studio itself wrote.
    fn pair_masks(&mut self, root: &Path) {
        if let Ok(dataset) = Dataset::open(root) {
            for sample in dataset.test_bad.iter().chain(&dataset.train_bad) {
                let (Some(id), Some(mask)) = (below(root, &sample.path), &sample.mask) else { continue };
                if let Some(item) = self.items.get_mut(&id) {
                    item.mask = below(root, mask);
                }
            }
        }
        for item in self.items.values_mut().filter(|item| item.label == Label::Bad && item.mask.is_none()) {
            let own = mask_path(&item.id);
            item.mask = own.filter(|path| root.join(path).is_file());
        }
    }
}

/// Where the studio writes the mask of a defective image; `None` for the id of another.
pub(super) fn mask_path(id: &str) -> Option<String> {
    let below = id.strip_prefix("bad/")?;
    let stem = below.rsplit_once('.').map_or(below, |(stem, _)| stem);
    Some(format!("masks/{stem}_mask.png"))
}

/// A path below the project as an id.
pub(super) fn below(root: &Path, path: &Path) -> Option<String> {
    let parts: Option<Vec<&str>> =
        path.strip_prefix(root).ok()?.components().map(|part| part.as_os_str().to_str()).collect();
    Some(parts?.join("/"))
}

/// Whether a file is an image, or something that only reading it tells: then it is shown, and what is wrong is said. A plain
/// name is believed, so that ten thousand files are not opened; results of bgad have longer ones.
fn is_image(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    (promises_picture(&name) && name.matches('.').count() == 1) || is_judged(path)
}

/// Names in a folder and whether each is a folder, sorted; a folder that is not there is empty.
fn entries(folder: &Path) -> io::Result<Vec<(String, bool)>> {
    let found = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        found => found?,
    };
    let mut names = Vec::new();
    for entry in found {
        let entry = entry?;
        // Names that are no UTF-8 cannot be written into JSON; doctor reports them.
        let Ok(name) = entry.file_name().into_string() else { continue };
        if !is_clutter(&name) {
            names.push((name, entry.path().is_dir()));
        }
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_have_one_place_for_each_defect() {
        assert_eq!(mask_path("bad/scratch/a.b.jpg").as_deref(), Some("masks/scratch/a.b_mask.png"));
        assert_eq!(mask_path("bad/a.png").as_deref(), Some("masks/a_mask.png"));
        assert_eq!(mask_path("good/a.png"), None);
    }

    #[test]
    fn a_folder_is_read_as_labels_types_and_masks() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        for file in [
            "good/a.png",
            "good/notes.txt",
            "good/Thumbs.db",
            "good/monday/b.png",
            "unlabelled/line 2/tuesday/v.jpeg",
            "bad/x.jpg",
            "bad/scratch/y.png",
            "masks/scratch/y_mask.png",
            "unlabelled/u.bmp",
            "models/m.bgad",
        ] {
            let path = root.join(file);
            fs::create_dir_all(path.parent().expect("below")).expect("folders");
            fs::write(path, file).expect("a file");
        }
        // By content where the name says nothing; what cannot be read is shown as well.
        image::GrayImage::new(2, 2)
            .save_with_format(root.join("good/frame"), image::ImageFormat::Pnm)
            .expect("saved");
        image::GrayImage::new(2, 2)
            .save_with_format(root.join("good/w.webp"), image::ImageFormat::WebP)
            .expect("saved");
        fs::write(root.join("unlabelled/x.gif"), b"GIF89a\0\0\0").expect("a file");
        #[cfg(unix)]
        std::os::unix::fs::symlink(root.join("good"), root.join("good/monday/again")).expect("a link");
        let listing = Listing::read(root).expect("readable");
        let ids: Vec<&str> = listing.items.keys().map(String::as_str).collect();
        let good = ["good/a.png", "good/frame", "good/monday/b.png", "good/w.webp"];
        let unlabelled = ["unlabelled/line 2/tuesday/v.jpeg", "unlabelled/u.bmp", "unlabelled/x.gif"];
        assert_eq!(ids, [&["bad/scratch/y.png", "bad/x.jpg"][..], &good, &unlabelled].concat());
        let scratch = &listing.items["bad/scratch/y.png"];
        assert_eq!(
            (scratch.kind.as_deref(), scratch.mask.as_deref()),
            (Some("scratch"), Some("masks/scratch/y_mask.png"))
        );
        assert_eq!(listing.items["bad/x.jpg"].kind.as_deref(), Some(NO_TYPE));
        assert_eq!(listing.models, ["m.bgad"]);
        let before = fingerprint(root);
        fs::remove_file(root.join("unlabelled/u.bmp")).expect("removed");
        assert_ne!(fingerprint(root), before);
    }
}
