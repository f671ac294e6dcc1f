//! The page of `bgad evaluate --report`: what a model does on images with known answers, in one file that loads nothing.
//!
//! The page says what is so, in words first, figures after, and pictures of the worst last. It holds no time and no
//! chance: the same model on the same images writes the same bytes.

mod chart;
mod gallery;
mod sections;

use std::path::Path;

use bgad::dataset::Sample;
use bgad::detector::Detector;
use bgad::evaluation::{Evaluation, ScoredImage};
use bgad::outside;
use bgad::record::Recipe;
use bgad::verdict::Verdict;
use bgad::weights::sha256_hex;
use maud::html;

use crate::failure::{Failure, context};
use crate::page::{document, glossary};

const STYLE: &str = include_str!("report/report.css");

/// Whatever a file's name may hold: this page runs nothing and loads nothing but the pictures within it.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";

/// Words of this page that not everybody knows.
const WORDS: [&str; 8] = [
    "score",
    "OK, REVIEW, NG",
    "false alarm",
    "escape",
    "image AUROC",
    "AUPRO",
    "average precision",
    "edge of normal",
];

/// What a report is about.
pub(crate) struct Report<'a> {
    /// The command that makes it again.
    pub(crate) command: String,
    pub(crate) model: &'a Path,
    /// What the model was read from.
    pub(crate) bytes: &'a [u8],
    pub(crate) data: &'a Path,
    pub(crate) detector: &'a Detector,
    pub(crate) evaluation: &'a Evaluation,
    /// Images left out since the model was trained on them.
    pub(crate) trained_on: usize,
    /// Why files are not in the figures.
    pub(crate) skipped: &'a [String],
}

impl Report<'_> {
    /// The whole page.
    ///
    /// # Errors
    ///
    /// If an image or a mask cannot be read any more.
    pub(crate) fn html(&self) -> Result<String, Failure> {
        let recipe = Recipe::of(name(self.model), self.bytes, self.detector.header());
        let main = html! {
            (sections::head(self))
            (sections::operating_point(self))
            (chart::all(self))
            (sections::by_type(self))
            (gallery::all(self, &recipe)?)
            (sections::every_image(self))
            (sections::provenance(self, &recipe.model.sha256, &self.hash_of_data()?))
            (glossary(&WORDS))
        };
        let title = format!("{} on {}", name(self.model), name(self.data));
        let policy = html! { meta http-equiv="Content-Security-Policy" content=(POLICY); };
        Ok(document(&title, &policy, STYLE, &main))
    }

    /// SHA-256 of a list with a line for each file, `HASH  PATH`, sorted by path: what `sha256sum` prints.
    fn hash_of_data(&self) -> Result<String, Failure> {
        let samples = self.evaluation.images.iter().map(|image| &image.sample);
        let mut files: Vec<&Path> = samples
            .flat_map(|s: &Sample| [Some(&s.path), s.mask.as_ref()])
            .flatten()
            .map(AsRef::as_ref)
            .collect();
        files.sort();
        let mut list = String::new();
        for file in files {
            let bytes = outside::read(file, outside::MAX_IMAGE)
                .map_err(|error| context(format!("cannot read {}", file.display()), error))?;
            list += &format!("{}  {}\n", sha256_hex(&bytes), self.below(file));
        }
        Ok(sha256_hex(list.as_bytes()))
    }

    /// A file's path below the data folder, with `/` on every system.
    fn below(&self, file: &Path) -> String {
        let below = file.strip_prefix(self.data).unwrap_or(file);
        below.to_string_lossy().replace(std::path::MAIN_SEPARATOR, "/")
    }

    /// Defective images, the lowest score first: those that the model most mistakes for good.
    fn defective(&self) -> Vec<&ScoredImage> {
        let mut images: Vec<_> =
            self.evaluation.images.iter().filter(|image| image.sample.kind.defect().is_some()).collect();
        images.sort_by(|a, b| a.score.total_cmp(&b.score));
        images
    }

    /// Good images, the highest score first.
    fn good(&self) -> Vec<&ScoredImage> {
        let mut images: Vec<_> =
            self.evaluation.images.iter().filter(|image| image.sample.kind.defect().is_none()).collect();
        images.sort_by(|a, b| b.score.total_cmp(&a.score));
        images
    }

    /// What an image scores whose every position lies on `b_n`, and on `b_a`, at every level: where the explicit
    /// boundary stands among image scores.
    fn boundary_scores(&self) -> [f32; 2] {
        let header = self.detector.header();
        let score = |normal: bool| {
            let likelihoods: Vec<Vec<f32>> = header
                .levels
                .iter()
                .map(|level| {
                    let boundary = level.boundary_nats_per_channel;
                    vec![
                        if normal { boundary.normal } else { boundary.anomalous };
                        level.height * level.width
                    ]
                })
                .collect();
            self.detector.score_of_likelihoods(&likelihoods)
        };
        [score(true), score(false)]
    }
}

/// OK, REVIEW and NG among images.
fn verdicts<'a>(images: impl IntoIterator<Item = &'a ScoredImage>) -> [usize; 3] {
    let mut counts = [0; 3];
    for image in images {
        counts[match image.verdict {
            Verdict::Ok => 0,
            Verdict::Review => 1,
            Verdict::Ng => 2,
        }] += 1;
    }
    counts
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// A share in percent, as people write it.
fn percent(part: usize, whole: usize) -> String {
    if whole == 0 { "–".to_owned() } else { format!("{:.1} %", 100.0 * part as f64 / whole as f64) }
}
