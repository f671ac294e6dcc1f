//! Masks drawn as shapes: LabelMe, COCO and Label Studio.
//!
//! ```text
//! LabelMe        {"imageWidth", "imageHeight", "shapes": [{"shape_type", "points": [[x, y]..], "mask"}]}      one image
//! COCO           {"images": [{"id", "file_name", ..}], "annotations": [{"image_id", "segmentation", "bbox"}]}  many images
//! Label Studio   [{"data": {"image"}, "annotations": [{"result": [{"type", "value"}]}]}]                       many images
//! ```
//!
//! A pixel is defective if its centre lies inside (even-odd rule), the union over all shapes; a shape so thin that it
//! holds no centre marks the pixels under its corners. Every shape counts as a defect, whatever its label says.
//!
//! An image is found in a file of many by the longest end of its path that the file's name for it has in common with it. Two
//! that fit equally well are refused: which of them is meant, nobody can tell.

mod canvas;
mod coco;
mod label_me;
mod label_studio;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::SystemTime;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{ImageError, ImageProblem, Mask, OriginalSize};
use crate::{names, outside, printable};
use canvas::Canvas;
use coco::Coco;
use label_me::LabelMe;
use label_studio::Task;

/// Bytes of files whose labels are kept at most, so that a file of many images is parsed once.
const KEPT: u64 = 512 << 20;

/// The labels of a file.
#[derive(Debug)]
pub(crate) enum Labels {
    /// Those of one image.
    One(LabelMe),
    /// Those of many images.
    Many(Many),
}

/// The labels of many images.
#[derive(Debug)]
pub(crate) struct Many {
    source: Source,
    /// Each image that the file names.
    pub(crate) images: Vec<Labelled>,
    /// The images by the last part of each of their names.
    by_name: HashMap<String, Vec<usize>>,
}

#[derive(Debug)]
enum Source {
    Coco(Coco),
    LabelStudio(Vec<Task>),
}

/// An image that a file of labels names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Labelled {
    /// The names it may have on disk: one, or a second without what an upload puts in front.
    pub(crate) names: Vec<String>,
    /// Whether anything is marked in it.
    pub(crate) marked: bool,
    /// The name of its first category, if there is one.
    pub(crate) category: Option<String>,
}

/// The keys by which the kinds are told. Values are passed over, so that a large file costs no memory here.
#[derive(Deserialize)]
struct Keys {
    images: Option<IgnoredAny>,
    shapes: Option<IgnoredAny>,
}

pub(crate) fn wrong(found: impl Into<String>) -> ImageProblem {
    ImageProblem::Annotation { found: found.into() }
}

impl Labels {
    pub(crate) fn parse(bytes: &[u8]) -> Result<Labels, ImageProblem> {
        let bytes = outside::without_mark(bytes);
        let reason = |error: serde_json::Error| wrong(error.to_string());
        if bytes.trim_ascii_start().starts_with(b"[") {
            let tasks: Vec<Task> = serde_json::from_slice(bytes).map_err(reason)?;
            return Ok(Labels::Many(Many::new(Source::LabelStudio(tasks))));
        }
        let keys: Keys = serde_json::from_slice(bytes).map_err(reason)?;
        match (keys.images.is_some(), keys.shapes.is_some()) {
            (true, _) => Ok(Labels::Many(Many::new(Source::Coco(Coco::parse(bytes)?)))),
            (false, true) => serde_json::from_slice(bytes).map(Labels::One).map_err(reason),
            _ => Err(wrong("JSON with neither images nor shapes")),
        }
    }

    /// Draws the mask of `image`; `size` is for files that do not say it.
    pub(crate) fn drawn(
        &self,
        image: Option<&Path>,
        size: Option<OriginalSize>,
    ) -> Result<Mask, ImageProblem> {
        match self {
            Labels::One(label_me) => label_me.drawn(size),
            Labels::Many(many) => {
                let image =
                    image.ok_or_else(|| wrong("the labels of many images, where one mask was asked for"))?;
                let (index, _) =
                    many.find(image)?.ok_or_else(|| wrong(format!("no image named {}", name_of(image))))?;
                many.drawn(index, size)
            }
        }
    }
}

impl Many {
    fn new(source: Source) -> Many {
        let images = match &source {
            Source::Coco(coco) => coco.images(),
            Source::LabelStudio(tasks) => tasks.iter().map(Task::labelled).collect(),
        };
        let mut by_name: HashMap<String, Vec<usize>> = HashMap::new();
        for (i, image) in images.iter().enumerate() {
            for last in image.names.iter().filter_map(|name| parts(name).next()) {
                let known = by_name.entry(names::composed(last).into_owned()).or_default();
                if known.last() != Some(&i) {
                    known.push(i);
                }
            }
        }
        Many { source, images, by_name }
    }

    /// The entry of an image and how many parts of the path it has in common with it; `None` if the file does not name it.
    pub(crate) fn find(&self, image: &Path) -> Result<Option<(usize, usize)>, ImageProblem> {
        let candidates = self.by_name.get(&name_of(image)).map(Vec::as_slice).unwrap_or_default();
        let path = image.to_string_lossy();
        let common = |i: usize| {
            let names = self.images[i].names.iter();
            names
                .map(|name| {
                    parts(name)
                        .zip(parts(&path))
                        .take_while(|(a, b)| names::composed(a) == names::composed(b))
                        .count()
                })
                .max()
                .unwrap_or(0)
        };
        let Some(longest) = candidates.iter().map(|&i| common(i)).max() else { return Ok(None) };
        let fitting: Vec<usize> = candidates.iter().copied().filter(|&i| common(i) == longest).collect();
        match fitting[..] {
            [one] => Ok(Some((one, longest))),
            [one, two, ..] => {
                let [one, two] = [one, two].map(|i| self.images[i].names[0].clone());
                let [one, two] = [printable::text(&one), printable::text(&two)];
                Err(wrong(format!(
                    "two entries that fit {}: {one} and {two}; give each a path that tells them apart",
                    printable::path(image)
                )))
            }
            [] => Ok(None),
        }
    }

    /// Draws the mask of one of the images.
    pub(crate) fn drawn(&self, index: usize, size: Option<OriginalSize>) -> Result<Mask, ImageProblem> {
        match &self.source {
            Source::Coco(coco) => coco.drawn(index, size),
            Source::LabelStudio(tasks) => tasks[index].drawn(size),
        }
    }
}

/// The parts of a path from its end, whichever slash it is written with.
fn parts(path: &str) -> impl Iterator<Item = &str> {
    path.rsplit(['/', '\\']).filter(|part| !matches!(*part, "" | "." | ".."))
}

fn name_of(image: &Path) -> String {
    names::composed(&image.file_name().unwrap_or_default().to_string_lossy()).into_owned()
}

/// Which file, and which of its versions.
type Key = (PathBuf, u64, Option<SystemTime>);
/// What is kept of a file, or will be once it is parsed.
type Slot = Arc<OnceLock<Result<Arc<Labels>, String>>>;

/// Reads a file of labels; one of many images is parsed once, however often it is asked for.
pub(crate) fn labels(path: &Path) -> Result<Arc<Labels>, ImageError> {
    static FILES: Mutex<Vec<(Key, Slot)>> = Mutex::new(Vec::new());
    let unreadable = |error| ImageError::from(ImageProblem::Unreadable(error)).of_file(path);
    let (file, len) = outside::open(path).map_err(unreadable)?;
    let modified = file.metadata().and_then(|metadata| metadata.modified()).ok();
    let key = (std::path::absolute(path).map_err(unreadable)?, len, modified);
    let lock = || FILES.lock().unwrap_or_else(|poisoned| poisoned.into_inner());

    let slot = {
        let mut files = lock();
        match files.iter().position(|(known, _)| *known == key) {
            Some(at) => files[at].1.clone(),
            None => {
                // The oldest go first.
                while !files.is_empty() && files.iter().map(|(key, _)| key.1).sum::<u64>() + len > KEPT {
                    files.remove(0);
                }
                files.push((key.clone(), Slot::default()));
                files[files.len() - 1].1.clone()
            }
        }
    };
    // Other files can be asked for meanwhile.
    let parsed = slot.get_or_init(|| {
        let bytes = outside::read(path, outside::MAX_TEXT).map_err(|error| error.to_string())?;
        Labels::parse(&bytes).map(Arc::new).map_err(|problem| match problem {
            ImageProblem::Annotation { found } => found,
            other => other.to_string(),
        })
    });
    if !matches!(parsed, Ok(labels) if matches!(**labels, Labels::Many(_))) {
        lock().retain(|(known, _)| *known != key);
    }
    parsed.clone().map_err(|found| ImageError::from(wrong(found)).of_file(path))
}

#[cfg(test)]
mod tests;
