//! Load a model file, inspect an image.
//!
//! ```no_run
//! use bgad::Detector;
//!
//! let detector = Detector::open("part.bgad".as_ref())?;
//! let found = detector.inspect_file("photo.png".as_ref())?;
//! println!("{}: {:.2} nats, {} regions", found.verdict, found.score, found.regions.len());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use crate::backbone::{Backbone, Workspace};
use crate::frame::Frame;
use crate::image::{Appearance, ImageError, InputImage, InputSize, OriginalSize, decode_admitted, read};
use crate::model::{Header, Model, ModelError};
use crate::pyramid::Pyramid;
use crate::score::{
    AnomalyMap, Framing, PartKind, PreparedScorer, Reading, Rule, Score, ScoreConstants, View, area_of,
};
use crate::threads::Threads;
use crate::tiles::{self, Blend, Tiling};
use crate::verdict::{DefectRegion, Verdict, defect_regions};

/// A trained model, ready to inspect. Shared between threads as it is.
#[derive(Debug)]
pub struct Detector {
    header: Header,
    framing: Framing,
    backbone: Backbone,
    scorer: PreparedScorer,
    /// Buffers not in use, one set for each thread that has inspected at a time.
    free: Mutex<Vec<Buffers>>,
    /// Images that are in the backbone at this moment.
    running: AtomicUsize,
    /// `None` for those of the caller.
    threads: Option<Threads>,
}

/// Memory that an image is worked on in, kept from image to image.
#[derive(Debug)]
struct Buffers {
    /// The image as the backbone takes it.
    rgb: Vec<f32>,
    workspace: Workspace,
}

/// What was found in an image.
#[derive(Clone, Debug)]
pub struct Inspection {
    /// Nats: about e^−score of good images score higher, under a model of today.
    pub score: f32,
    /// What each part of the score adds to it, nats; see [`PartKind`].
    pub parts: Vec<(PartKind, f32)>,
    /// OK, REVIEW or NG.
    pub verdict: Verdict,
    /// Whether the image is flagged as a whole: no place of its map reaches the OK threshold.
    pub whole_image: bool,
    /// Anomaly per pixel at the input size, in the unit of the score, without what is beside an image that keeps its proportions.
    pub map: AnomalyMap,
    /// Connected parts of the map above [`Header::region_threshold`], the highest peak first, in pixels of the original
    /// image; none if the verdict is OK or the image is flagged as a whole.
    pub regions: Vec<DefectRegion>,
    /// How the picture was taken. No part of the verdict: it tells a lamp or a lens that has changed.
    pub appearance: Appearance,
    /// Size of the image as it came, upright.
    pub original: OriginalSize,
}

impl Inspection {
    /// What a part adds to the score, nats; `None` if the model has no such part.
    pub fn part(&self, kind: PartKind) -> Option<f32> {
        self.parts.iter().find(|(part, _)| *part == kind).map(|(_, nats)| *nats)
    }
}

impl Detector {
    /// Reads a model file.
    ///
    /// # Errors
    ///
    /// A [`ModelError`] that says what is wrong with the file.
    pub fn open(path: &Path) -> Result<Detector, ModelError> {
        Detector::new(&Model::open(path)?)
    }

    /// Prepares a model to run.
    ///
    /// # Errors
    ///
    /// As [`Model::backbone`].
    pub fn new(model: &Model) -> Result<Detector, ModelError> {
        Detector::with_backbone(model, model.backbone()?)
    }

    /// Prepares a model to run on a network that is there already: one that the library does not know by name, or that is shared.
    ///
    /// # Errors
    ///
    /// [`ModelError::OtherBackbone`] or [`ModelError::Inconsistent`] if it is not the one that the model was trained with.
    pub fn with_backbone(model: &Model, backbone: Backbone) -> Result<Detector, ModelError> {
        let backbone = model.fitting(backbone)?;
        Ok(Detector {
            header: model.header.clone(),
            framing: model.scorer.framing,
            scorer: model.scorer.prepare(backbone.isa()),
            backbone,
            free: Mutex::default(),
            running: AtomicUsize::new(0),
            threads: None,
        })
    }

    /// The same detector on threads of its own, whichever thread calls it.
    pub fn with_threads(self, threads: Threads) -> Detector {
        Detector { threads: Some(threads), ..self }
    }

    /// How many threads it works on: its own, or those of the caller's pool.
    pub fn threads(&self) -> usize {
        self.threads.as_ref().map_or_else(rayon::current_num_threads, Threads::number)
    }

    /// Does some work on the detector's threads, or on the caller's if it has none of its own: what `work` does in parallel is shared out to
    /// them.
    pub fn on_threads<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        match &self.threads {
            Some(threads) => threads.run(work),
            None => work(),
        }
    }

    /// What the model file says about itself.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Where an image is looked at.
    pub fn framing(&self) -> Framing {
        self.framing
    }

    /// Size that images are brought to.
    pub fn input(&self) -> InputSize {
        self.framing.size()
    }

    /// Pixels from one position of the network's finest level to the next.
    pub(crate) fn finest_stride(&self) -> usize {
        self.backbone.strides().0
    }

    /// Reads and inspects an image file.
    ///
    /// # Errors
    ///
    /// An [`ImageError`] that names the file and says what is wrong with it.
    pub fn inspect_file(&self, path: &Path) -> Result<Inspection, ImageError> {
        Ok(self.inspect_file_keeping(path, 0)?.0)
    }

    /// Inspects an image file, and gives its pixels too if these take at most `most` bytes. Larger ones are dropped as soon as they have
    /// been brought to the size that the model looks at, so that many threads never hold many of them.
    ///
    /// # Errors
    ///
    /// As [`Detector::inspect_file`].
    pub fn inspect_file_keeping(
        &self,
        path: &Path,
        most: usize,
    ) -> Result<(Inspection, Option<Frame>), ImageError> {
        self.inspect_decoding(&read(path)?, most).map_err(|error| error.of_file(path))
    }

    fn inspect_decoding(&self, bytes: &[u8], most: usize) -> Result<(Inspection, Option<Frame>), ImageError> {
        let (pixels, permit) = decode_admitted(bytes)?.held();
        let frame = Frame::of(pixels);
        let original = frame.size();
        let image = self.input_of(&frame)?;
        let frame = (frame.pixels().as_bytes().len() <= most).then_some(frame);
        drop(permit);
        Ok((self.on_threads(|| self.inspect_input(&image, original)), frame))
    }

    /// Inspects an image file held in memory.
    ///
    /// # Errors
    ///
    /// An [`ImageError`] that says what is wrong with it.
    pub fn inspect_bytes(&self, bytes: &[u8]) -> Result<Inspection, ImageError> {
        Ok(self.inspect_decoding(bytes, 0)?.0)
    }

    /// Inspects a picture in memory.
    ///
    /// # Errors
    ///
    /// An [`ImageError`] if a decoded image of floating-point samples has values outside `[0, 1]`.
    pub fn inspect(&self, frame: &Frame) -> Result<Inspection, ImageError> {
        let original = frame.size();
        self.on_threads(|| Ok(self.inspect_input(&self.input_of(frame)?, original)))
    }

    /// A picture in memory as this model wants it, as [`Detector::load`] gives it of a file.
    ///
    /// # Errors
    ///
    /// As [`Detector::inspect`].
    pub fn input_of(&self, frame: &Frame) -> Result<InputImage, ImageError> {
        frame.to_input(self.loaded_size(frame.size()), self.header.options.bit_depth)
    }

    /// Inspects many pictures, spread over the threads; the results are in their order and equal those of
    /// [`Detector::inspect`] one by one.
    pub fn inspect_batch(&self, frames: &[Frame]) -> Vec<Result<Inspection, ImageError>> {
        self.on_threads(|| frames.par_iter().map(|frame| self.inspect(frame)).collect())
    }

    /// Reads an image file as this model wants it: at the input size, or at its own if it is to be cut into tiles. With the
    /// size it came in.
    ///
    /// # Errors
    ///
    /// An [`ImageError`] that names the file and says what is wrong with it.
    pub fn load(&self, path: &Path) -> Result<(InputImage, OriginalSize), ImageError> {
        let size = match self.framing {
            Framing::Tiles { .. } => None,
            Framing::Whole(size) => Some(size),
        };
        InputImage::load_at(path, size, self.header.options.bit_depth)
    }

    /// Size of the images that [`Detector::load`] gives of an original.
    pub fn loaded_size(&self, original: OriginalSize) -> InputSize {
        match self.framing {
            Framing::Tiles { .. } => original.as_input(),
            Framing::Whole(size) => size,
        }
    }

    /// Inspects an image from [`Detector::load`]; `original` is the size it came in, in which regions are given.
    ///
    /// # Panics
    ///
    /// If the image is not of the size [`Detector::loaded_size`].
    pub fn inspect_input(&self, image: &InputImage, original: OriginalSize) -> Inspection {
        let Score { nats: score, parts, map, is_of_a_place } = self.score(image, original);
        let verdict = self.header.thresholds.verdict(score);
        let threshold = self.header.region_threshold();
        let regions = match (verdict, is_of_a_place) {
            (Verdict::Ok, _) | (_, false) => Vec::new(),
            _ => {
                let combination = &self.scorer.combination;
                // In models of format 1 most of the score may come from no place: then the highest places are the ones to look at.
                let threshold = match combination.rule {
                    Rule::Sum => threshold.min(map.peak(combination.pixels)),
                    Rule::Surprise => threshold,
                };
                defect_regions(&map, threshold, (original.height, original.width))
            }
        };
        let whole_image = verdict != Verdict::Ok && !is_of_a_place;
        let appearance = self.appearance(image, original);
        Inspection { score, parts, verdict, whole_image, map, regions, appearance, original }
    }

    /// Log-likelihood per channel of every position, level by level.
    ///
    /// # Panics
    ///
    /// If the image is not of the size [`Detector::input`].
    pub fn likelihoods(&self, image: &InputImage) -> Vec<Vec<f32>> {
        self.with_features(image, |pyramid| self.scorer.likelihoods(pyramid))
    }

    /// What `work` makes of the features of an image.
    fn with_features<T>(&self, image: &InputImage, work: impl FnOnce(&Pyramid) -> T) -> T {
        let InputSize { height, width, .. } = self.input();
        assert_eq!(
            (image.height, image.width),
            (height, width),
            "images are brought to the model's input size"
        );
        let (mean, std) = self.backbone.mean_std();
        let mut buffers = self
            .free
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .pop()
            .unwrap_or_else(|| Buffers { rgb: Vec::new(), workspace: self.backbone.workspace() });
        let Buffers { rgb, workspace } = &mut buffers;
        image.normalize_into(mean, std, rgb);
        // An image that comes alone gets all cores; where others run as well, each keeps to its own.
        let alone = self.running.fetch_add(1, Ordering::Relaxed) == 0;
        workspace.spread(if alone { rayon::current_num_threads() } else { 1 });
        let pyramid = self.backbone.features(rgb, image.height, image.width, workspace);
        self.running.fetch_sub(1, Ordering::Relaxed);
        let result = work(pyramid);
        self.free.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(buffers);
        result
    }

    /// The map of all levels of an image from its [`Detector::likelihoods`] and other constants: what the authors' rule is computed from.
    ///
    /// # Panics
    ///
    /// If the likelihoods are not of this model's levels.
    pub fn map_with(&self, likelihoods: &[Vec<f32>], constants: &ScoreConstants) -> AnomalyMap {
        self.scorer.combination.map_with(likelihoods, constants)
    }

    /// Score of an image of these [`Detector::likelihoods`] in which nothing else is odder than in the middle good image.
    ///
    /// # Panics
    ///
    /// As [`Detector::map_with`].
    pub fn score_of_likelihoods(&self, likelihoods: &[Vec<f32>]) -> f32 {
        self.scorer.combination.score_of_places(likelihoods)
    }

    /// Map and score of an image from [`Detector::load`].
    ///
    /// # Panics
    ///
    /// As [`Detector::inspect_input`].
    pub fn score(&self, image: &InputImage, original: OriginalSize) -> Score {
        match self.framing {
            Framing::Tiles { overlap, .. } => {
                self.scorer.combination.score_of_tiles(self.map_of_tiles(image, original, overlap))
            }
            Framing::Whole(_) => self.viewed(image, original, |reading, view| self.score_of(&reading, view)),
        }
    }

    /// Map and score of what the networks say of an image.
    pub(crate) fn score_of(&self, reading: &Reading, view: &View<'_>) -> Score {
        self.scorer.combination.score(reading, view)
    }

    /// What `work` makes of what the networks say of an image, and of what is looked at of it.
    pub(crate) fn viewed<T>(
        &self,
        image: &InputImage,
        original: OriginalSize,
        work: impl FnOnce(Reading, &View<'_>) -> T,
    ) -> T {
        let size = self.input();
        let window = size.window(original);
        let area = self.header.area.of(image);
        let seen = area_of(size, window, area.as_ref());
        let reading = self.with_features(image, |pyramid| self.scorer.read(pyramid, seen.as_ref()));
        work(reading, &View { window, area: area.as_ref(), seen: seen.as_ref() })
    }

    /// The map of an image put together from those of its tiles, not scaled yet.
    pub(crate) fn map_of_tiles(
        &self,
        image: &InputImage,
        original: OriginalSize,
        overlap: usize,
    ) -> AnomalyMap {
        let size = self.input();
        assert_eq!(
            (image.height, image.width),
            (original.height, original.width),
            "an image of its own size"
        );
        let tiling = Tiling { size, overlap, stride: self.backbone.strides().1 };
        let mut blend = Blend::new(original, tiling);
        let corners = tiling.corners(original);
        let share = rayon::current_num_threads();
        for (i, corners) in corners.chunks(share).enumerate() {
            let map = |&corner: &(usize, usize)| {
                let likelihoods = self.likelihoods(&tiles::tile(image, corner, size));
                self.scorer.combination.tile_map(&likelihoods)
            };
            let maps: Vec<AnomalyMap> = corners.par_iter().map(map).collect();
            maps.iter().enumerate().for_each(|(j, map)| blend.add(i * share + j, map));
        }
        let mut map = blend.finish();
        if let Some(area) = self.header.area.common() {
            map.limit_to(&area.resized(original), self.scorer.combination.calm(&map));
        }
        map
    }

    /// How an image from [`Detector::load`] was taken.
    pub fn appearance(&self, image: &InputImage, original: OriginalSize) -> Appearance {
        Appearance::of(image, self.loaded_size(original).window(original))
    }

    /// The image as its map shows it: without what is beside an image that keeps its proportions.
    pub fn visible(&self, image: &InputImage, original: OriginalSize) -> InputImage {
        image.cropped(self.loaded_size(original).window(original))
    }
}
