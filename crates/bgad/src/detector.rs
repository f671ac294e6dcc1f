//! Load a model file, inspect an image.
//!
//! ```no_run
//! use bgad::detector::Detector;
//!
//! let detector = Detector::open("part.bgad".as_ref())?;
//! let found = detector.inspect_file("photo.png".as_ref())?;
//! println!("{}: {:.2} nats, {} regions", found.verdict, found.score, found.regions.len());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod area;
mod level;
mod model;

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use bgad_kernels::Isa;
use rayon::prelude::*;

use crate::anomaly_map::{AnomalyMap, LevelLogp, ScoreConstants, anomaly_map};
use crate::backbone::{Backbone, Workspace};
use crate::image::{ImageError, InputImage, InputSize, OriginalSize};
use crate::tiles::{self, Blend};
use crate::verdict::{DefectRegion, Verdict, defect_regions};

pub use area::ScoringArea;
pub(crate) use level::ScoringLevel;
pub use model::{FORMAT_VERSION, Header, LevelHeader, LevelModel, Model, ModelError, TrainingSummary};

/// A trained model, ready to inspect. Shared between threads as it is.
#[derive(Debug)]
pub struct Detector {
    header: Header,
    backbone: Backbone,
    levels: Vec<ScoringLevel>,
    /// Buffers not in use, one set for each thread that has inspected at a time.
    free: Mutex<Vec<Buffers>>,
    /// Images that are in the backbone at this moment.
    running: AtomicUsize,
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
    /// Mean of the highest values of the map, nats: 0 is as normal as training images get.
    pub score: f32,
    /// OK, REVIEW or NG.
    pub verdict: Verdict,
    /// Anomaly per pixel at the input size, without what is beside an image that keeps its proportions.
    pub map: AnomalyMap,
    /// Connected parts of the map above [`Header::region_threshold`], the highest peak first, in pixels of the original
    /// image; none if the verdict is OK.
    pub regions: Vec<DefectRegion>,
    /// Size of the image as it came, upright.
    pub original: OriginalSize,
}

impl Detector {
    /// Reads a model file, for the fastest instruction set of this machine.
    ///
    /// # Errors
    ///
    /// A [`ModelError`] that says what is wrong with the file.
    pub fn open(path: &Path) -> Result<Detector, ModelError> {
        Detector::new(&Model::open(path)?, Isa::best())
    }

    /// Prepares a model to run.
    ///
    /// # Errors
    ///
    /// As [`Model::backbone`].
    pub fn new(model: &Model, isa: Isa) -> Result<Detector, ModelError> {
        let backbone = model.backbone(isa)?;
        let levels = model
            .levels
            .iter()
            .zip(&model.header.levels)
            .map(|(level, header)| {
                let (whitening, grid) = (level.whitening.as_ref(), (header.height, header.width));
                let anywhere = model.header.options.tile_overlap.is_some();
                ScoringLevel::new(&level.flow, whitening, grid, anywhere, isa)
            })
            .collect();
        Ok(Detector {
            header: model.header.clone(),
            backbone,
            levels,
            free: Mutex::default(),
            running: AtomicUsize::new(0),
        })
    }

    /// What the model file says about itself.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Size that images are brought to.
    pub fn input(&self) -> InputSize {
        self.header.options.input
    }

    /// Reads and inspects an image file.
    ///
    /// # Errors
    ///
    /// An [`ImageError`] that names the file and says what is wrong with it.
    pub fn inspect_file(&self, path: &Path) -> Result<Inspection, ImageError> {
        let (image, original) = self.load(path)?;
        Ok(self.inspect(&image, original))
    }

    /// Inspects an image file held in memory.
    ///
    /// # Errors
    ///
    /// An [`ImageError`] that says what is wrong with it.
    pub fn inspect_bytes(&self, bytes: &[u8]) -> Result<Inspection, ImageError> {
        let (image, original) = match self.header.options.tile_overlap {
            Some(_) => InputImage::decode_whole(bytes)?,
            None => InputImage::decode_with_original_size(bytes, self.input())?,
        };
        Ok(self.inspect(&image, original))
    }

    /// Reads an image file as this model wants it: at the input size, or at its own if it is to be cut into tiles. With the
    /// size it came in.
    ///
    /// # Errors
    ///
    /// An [`ImageError`] that names the file and says what is wrong with it.
    pub fn load(&self, path: &Path) -> Result<(InputImage, OriginalSize), ImageError> {
        match self.header.options.tile_overlap {
            Some(_) => InputImage::load_whole(path),
            None => InputImage::load_with_original_size(path, self.input()),
        }
    }

    /// Size of the images that [`Detector::load`] gives of an original.
    pub fn loaded_size(&self, original: OriginalSize) -> InputSize {
        match self.header.options.tile_overlap {
            Some(_) => original.as_input(),
            None => self.input(),
        }
    }

    /// Inspects an image from [`Detector::load`]; `original` is the size it came in, in which regions are given.
    ///
    /// # Panics
    ///
    /// If the image is not of the size [`Detector::loaded_size`].
    pub fn inspect(&self, image: &InputImage, original: OriginalSize) -> Inspection {
        let map = self.scored_map(image, original);
        let score = self.image_score(&map);
        let verdict = self.header.thresholds.verdict(score);
        let regions = match verdict {
            Verdict::Ok => Vec::new(),
            _ => defect_regions(&map, self.header.region_threshold(), (original.height, original.width)),
        };
        Inspection { score, verdict, map, regions, original }
    }

    /// Log-likelihood per channel of every position, level by level.
    ///
    /// # Panics
    ///
    /// If the image is not of the size [`Detector::input`].
    pub fn likelihoods(&self, image: &InputImage) -> Vec<Vec<f32>> {
        let InputSize { height, width, .. } = self.input();
        assert_eq!(
            (image.height, image.width),
            (height, width),
            "images are brought to the model's input size"
        );
        let (mean, std) = self.backbone.mean_std();
        let mut buffers =
            self.free.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).pop().unwrap_or_else(|| {
                Buffers { rgb: Vec::new(), workspace: self.backbone.workspace(image.height, image.width) }
            });
        let Buffers { rgb, workspace } = &mut buffers;
        image.normalize_into(mean, std, rgb);
        // An image that comes alone gets all cores; where others run as well, each keeps to its own.
        let alone = self.running.fetch_add(1, Ordering::Relaxed) == 0;
        workspace.spread(if alone { rayon::current_num_threads() } else { 1 });
        let pyramid = self.backbone.features(rgb, image.height, image.width, workspace);
        self.running.fetch_sub(1, Ordering::Relaxed);
        let logp = self
            .levels
            .iter()
            .zip(&pyramid.levels)
            .map(|(level, features)| level.logp(&features.hwc))
            .collect();
        self.free.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(buffers);
        logp
    }

    /// The anomaly map of an image from its [`Detector::likelihoods`], not limited to the model's
    /// [`ScoringArea`](Header::area).
    ///
    /// # Panics
    ///
    /// If the likelihoods are not of this model's levels.
    pub fn map(&self, likelihoods: &[Vec<f32>], constants: &ScoreConstants) -> AnomalyMap {
        map_of_levels(&self.levels, likelihoods, constants, self.input())
    }
}

impl Detector {
    /// The map of an image from [`Detector::load`], with what does not count left out as by [`Detector::scored`].
    ///
    /// # Panics
    ///
    /// As [`Detector::inspect`].
    pub fn scored_map(&self, image: &InputImage, original: OriginalSize) -> AnomalyMap {
        let constants = &self.header.constants;
        let size = self.input();
        let Some(overlap) = self.header.options.tile_overlap else {
            return self.scored(self.map(&self.likelihoods(image), constants), image, original);
        };
        assert_eq!(
            (image.height, image.width),
            (original.height, original.width),
            "an image of its own size"
        );
        let mut blend = Blend::new(original, size, overlap);
        let corners = tiles::corners(original, size, overlap);
        let share = rayon::current_num_threads();
        for (i, corners) in corners.chunks(share).enumerate() {
            let map = |&corner: &(usize, usize)| {
                self.map(&self.likelihoods(&tiles::tile(image, corner, size)), constants)
            };
            let maps: Vec<AnomalyMap> = corners.par_iter().map(map).collect();
            maps.iter().enumerate().for_each(|(j, map)| blend.add(i * share + j, map));
        }
        let mut map = blend.finish();
        if let Some(area) = self.header.area.common() {
            map.limit_to(&area.resized(original));
        }
        map
    }

    /// Score of an image from its map, over as many pixels as the model's options say, nats.
    pub fn image_score(&self, map: &AnomalyMap) -> f32 {
        map.image_score(self.header.options.score_pixels)
    }

    /// The image as its map shows it: without what is beside an image that keeps its proportions.
    pub fn visible(&self, image: &InputImage, original: OriginalSize) -> InputImage {
        image.cropped(self.loaded_size(original).window(original))
    }

    /// What counts of the map of an image: limited to the model's area, and without what is beside an image that keeps its
    /// proportions.
    ///
    /// # Panics
    ///
    /// If map and image are not of the model's input size.
    pub fn scored(&self, mut map: AnomalyMap, image: &InputImage, original: OriginalSize) -> AnomalyMap {
        if let Some(area) = self.header.area.of(image) {
            map.limit_to(&area);
        }
        map.cropped(self.input().window(original))
    }
}

pub(crate) fn map_of_levels(
    levels: &[ScoringLevel],
    likelihoods: &[Vec<f32>],
    constants: &ScoreConstants,
    size: InputSize,
) -> AnomalyMap {
    let levels: Vec<LevelLogp<'_>> = levels
        .iter()
        .zip(likelihoods)
        .map(|(level, l)| LevelLogp { logp_per_channel: l, h: level.height, w: level.width })
        .collect();
    anomaly_map(&levels, constants, size.height, size.width)
}
