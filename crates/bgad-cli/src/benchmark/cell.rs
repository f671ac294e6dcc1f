//! The result of one cell and its file.

use std::path::Path;

use bgad::dataset::Sample;
use bgad::evaluation::Evaluation;
use bgad::options::TrainOptions;
use bgad::outside;
use bgad::weights::sha256_hex;
use serde::{Deserialize, Serialize};

use super::grid::Cell;
use crate::failure::Failure;
use crate::product;

/// What is known about a cell after it has run; figures are shares between 0 and 1.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct CellResult {
    /// Digest of everything that decides the result.
    pub(super) key: String,
    pub(super) data: String,
    pub(super) method: String,
    pub(super) setting: String,
    pub(super) anomalies: usize,
    pub(super) seed: u64,
    pub(super) normal_images: usize,
    pub(super) figures: Figures,
    /// Image AUROC of each type of defect.
    pub(super) by_type: Vec<(String, Option<f64>)>,
    pub(super) train_secs: f64,
    /// Files that could not be used in training or test: the figures are without them.
    #[serde(default)]
    pub(super) skipped: usize,
    pub(super) secs_per_image: f64,
    pub(super) options: TrainOptions,
}

/// The figures that tables are made of.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Figures {
    pub(super) image_auroc: Option<f64>,
    pub(super) pixel_auroc: Option<f64>,
    pub(super) aupro: Option<f64>,
    pub(super) aupro_05: Option<f64>,
    pub(super) image_ap: Option<f64>,
    pub(super) pixel_ap: Option<f64>,
    /// Mean image AUROC over the types that were learned from.
    pub(super) seen: Option<f64>,
    /// Mean image AUROC over the types that were not.
    pub(super) unseen: Option<f64>,
}

impl CellResult {
    pub(super) fn new(
        cell: &Cell,
        key: String,
        options: TrainOptions,
        (train_secs, skipped): (f64, usize),
        evaluation: Evaluation,
    ) -> CellResult {
        let e = evaluation;
        let is_seen = |name: &str| cell.split.anomalies.iter().any(|s| s.kind.defect() == Some(name));
        let of_types =
            |seen: bool| mean(e.by_type.iter().filter(|t| is_seen(t.0) == seen).filter_map(|t| *t.1));
        let figures = Figures {
            image_auroc: e.image_auroc,
            pixel_auroc: e.pixel_auroc,
            aupro: e.aupro,
            aupro_05: e.aupro_05,
            image_ap: e.image_ap,
            pixel_ap: e.pixel_ap,
            seen: of_types(true),
            unseen: of_types(false),
        };
        CellResult {
            key,
            data: cell.data.clone(),
            method: cell.method().to_owned(),
            setting: cell.setting.to_string(),
            anomalies: cell.anomalies,
            seed: cell.seed,
            normal_images: cell.split.train.len(),
            figures,
            by_type: e.by_type.into_iter().collect(),
            train_secs,
            skipped,
            secs_per_image: e.secs_per_image,
            options,
        }
    }

    /// The result in a file, if it is there, whole, and of this very cell.
    pub(super) fn read(path: &Path, key: &str) -> Option<CellResult> {
        let result: CellResult = serde_json::from_str(&outside::read_text(path).ok()?).ok()?;
        (result.key == key).then_some(result)
    }

    pub(super) fn save(&self, path: &Path) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(self)? + "\n";
        product::write(path, text)
    }

    pub(super) fn in_short(&self) -> String {
        let percent =
            |share: Option<f64>| share.map_or("-".to_owned(), |share| format!("{:.2}", 100.0 * share));
        let f = &self.figures;
        let [image, aupro, ap] = [f.image_auroc, f.aupro, f.pixel_ap].map(percent);
        format!("image AUROC {image}, AUPRO {aupro}, pixel AP {ap}, {:.0} s", self.train_secs)
    }
}

/// Mean of what there is; `None` of nothing.
pub(super) fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let values: Vec<f64> = values.collect();
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// The names of images below `root`, written the same way on every system.
pub(super) fn paths(samples: &[Sample], root: &Path) -> Vec<String> {
    let name = |sample: &Sample| {
        let path = sample.path.strip_prefix(root).unwrap_or(&sample.path);
        path.to_string_lossy().replace('\\', "/")
    };
    samples.iter().map(name).collect()
}

/// Digest of something as JSON.
pub(super) fn digest(of: &impl Serialize) -> String {
    sha256_hex(&serde_json::to_vec(of).expect("plain values"))
}
