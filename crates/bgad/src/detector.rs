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
mod reading;

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use bgad_kernels::Isa;
use rayon::prelude::*;

use crate::anomaly_map::{AnomalyMap, ScoreConstants};
use crate::backbone::{Backbone, Workspace};
use crate::cells;
use crate::flow::{Flow, PreparedWhitening};
use crate::frame::Frame;
use crate::gaussian;
use crate::image::{ImageError, InputImage, InputSize, OriginalSize};
use crate::image_score::PartScale;
use crate::pyramid::Pyramid;
use crate::tiles::{self, Blend};
use crate::verdict::{DefectRegion, Verdict, defect_regions};
use crate::whole_image;

pub use area::ScoringArea;
pub(crate) use area::area_of;
pub(crate) use level::ScoringLevel;
pub use model::{FORMAT_VERSION, Header, LevelHeader, LevelModel, Model, ModelError, TrainingSummary};
pub(crate) use reading::Reading;

/// A trained model, ready to inspect. Shared between threads as it is.
#[derive(Debug)]
pub struct Detector {
    header: Header,
    backbone: Backbone,
    levels: Vec<ScoringLevel>,
    /// A second flow of the coarsest level and its `M`, where that is part of the score.
    companion: Option<(ScoringLevel, f32)>,
    /// How usual each cell is, where that is part of the score.
    cells: Option<(Vec<PreparedWhitening>, PartScale)>,
    /// How usual whole images are, where that is part of the score.
    whole: Option<(PreparedWhitening, PartScale)>,
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

/// The score of an image and where it comes from.
#[derive(Clone, Debug)]
pub struct ScoredImage {
    /// Anomaly per pixel, without what is beside an image that keeps its proportions and with everything outside the scoring area
    /// called normal.
    pub map: AnomalyMap,
    /// Nats: see [`image_score`](crate::image_score).
    pub score: f32,
    /// What the coarsest level adds to the [`peak`](AnomalyMap::peak) of the map, nats: below 0 where it finds less than the map does. `None`
    /// if the model does not look at that level alone.
    pub coarsest: Option<f32>,
    /// The part of the score that is of the oddest cell for its place, nats: below 0 where it is more usual than in half of the good
    /// images. `None` if the model does not look at that.
    pub cells: Option<f32>,
    /// The part of the score that belongs to no place but to the image as a whole, nats: below 0 where it is more usual than half of
    /// the good ones. `None` if the model does not look at that.
    pub whole: Option<f32>,
}

/// What was found in an image.
#[derive(Clone, Debug)]
pub struct Inspection {
    /// Score in nats: about 0 is as normal as training images get.
    pub score: f32,
    /// As [`ScoredImage::coarsest`].
    pub coarsest: Option<f32>,
    /// As [`ScoredImage::cells`].
    pub cells: Option<f32>,
    /// As [`ScoredImage::whole`].
    pub whole: Option<f32>,
    /// OK, REVIEW or NG.
    pub verdict: Verdict,
    /// Anomaly per pixel at the input size, without what is beside an image that keeps its proportions.
    pub map: AnomalyMap,
    /// Connected parts of the map above [`Header::region_threshold`], the highest peak first, in pixels of the original
    /// image; none if the verdict is OK. Where nothing is above it and yet the verdict is not OK, the most anomalous places.
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
        let scoring = |flow: &Flow, (level, header): (&LevelModel, &LevelHeader)| {
            let (whitening, grid) = (level.whitening.as_ref(), (header.height, header.width));
            let anywhere = model.header.options.tile_overlap.is_some();
            ScoringLevel::new(flow, whitening, grid, anywhere, isa)
        };
        let of_model = || model.levels.iter().zip(&model.header.levels);
        let levels = of_model().map(|level| scoring(&level.0.flow, level)).collect();
        let coarsest = of_model().next_back().expect("one level at least");
        let companion = model.companion.as_ref().zip(model.header.companion_max);
        let companion = companion.map(|(flow, max)| (scoring(flow, coarsest), max));
        let cells = model.cells.as_ref().zip(model.header.cells);
        let cells =
            cells.map(|(gaussians, scale)| (gaussians.iter().map(|g| g.prepare(isa)).collect(), scale));
        let whole = model.whole.as_ref().zip(model.header.whole);
        let whole = whole.map(|(gaussian, scale)| (gaussian.prepare(isa), scale));
        Ok(Detector {
            header: model.header.clone(),
            backbone,
            levels,
            companion,
            cells,
            whole,
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
        self.inspect(&Frame::open(path)?).map_err(|error| error.of_file(path))
    }

    /// Inspects an image file held in memory.
    ///
    /// # Errors
    ///
    /// An [`ImageError`] that says what is wrong with it.
    pub fn inspect_bytes(&self, bytes: &[u8]) -> Result<Inspection, ImageError> {
        self.inspect(&Frame::decode(bytes)?)
    }

    /// Inspects a picture in memory.
    ///
    /// # Errors
    ///
    /// An [`ImageError`] if a decoded image of floating-point samples has values outside `[0, 1]`.
    pub fn inspect(&self, frame: &Frame) -> Result<Inspection, ImageError> {
        let original = frame.size();
        let image = InputImage::from_decoded(frame.pixels(), self.loaded_size(original))?;
        Ok(self.inspect_input(&image, original))
    }

    /// Inspects many pictures, spread over the cores; the results are in their order and equal those of
    /// [`Detector::inspect`] one by one.
    pub fn inspect_batch(&self, frames: &[Frame]) -> Vec<Result<Inspection, ImageError>> {
        frames.par_iter().map(|frame| self.inspect(frame)).collect()
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
    pub fn inspect_input(&self, image: &InputImage, original: OriginalSize) -> Inspection {
        let ScoredImage { map, score, coarsest, cells, whole } = self.score(image, original);
        let verdict = self.header.thresholds.verdict(score);
        let regions = match verdict {
            Verdict::Ok => Vec::new(),
            _ => {
                // Most of the score may come from elsewhere: then the highest places are the ones to look at.
                let highest = map.peak(self.header.options.score_pixels);
                let threshold = self.header.region_threshold().min(highest);
                defect_regions(&map, threshold, (original.height, original.width))
            }
        };
        Inspection { score, coarsest, cells, whole, verdict, map, regions, original }
    }

    /// Log-likelihood per channel of every position, level by level.
    ///
    /// # Panics
    ///
    /// If the image is not of the size [`Detector::input`].
    pub fn likelihoods(&self, image: &InputImage) -> Vec<Vec<f32>> {
        self.with_features(image, |pyramid| self.likelihoods_of(pyramid))
    }

    fn likelihoods_of(&self, pyramid: &Pyramid) -> Vec<Vec<f32>> {
        self.levels.iter().zip(&pyramid.levels).map(|(level, features)| level.logp(&features.hwc)).collect()
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
        let result = work(pyramid);
        self.free.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(buffers);
        result
    }

    /// The anomaly map of an image from its [`Detector::likelihoods`], not limited to the model's
    /// [`ScoringArea`](Header::area).
    ///
    /// # Panics
    ///
    /// If the likelihoods are not of this model's levels.
    pub fn map(&self, likelihoods: &[Vec<f32>], constants: &ScoreConstants) -> AnomalyMap {
        Reading { constants, ..self.reading() }.map(likelihoods)
    }
}

impl Detector {
    /// Map and score of an image from [`Detector::load`].
    ///
    /// # Panics
    ///
    /// As [`Detector::inspect_input`].
    pub fn score(&self, image: &InputImage, original: OriginalSize) -> ScoredImage {
        let size = self.input();
        if let Some(overlap) = self.header.options.tile_overlap {
            let map = self.map_of_tiles(image, original, overlap);
            let score = map.peak(self.header.options.score_pixels);
            return ScoredImage { map, score, coarsest: None, cells: None, whole: None };
        }
        let scored = self.header.area.of(image);
        let seen = area_of(size, size.window(original), scored.as_ref());
        let (likelihoods, of_companion, cells, whole) = self.with_features(image, |pyramid| {
            let coarsest = pyramid.levels.last().expect("one level at least");
            let likelihoods = self.likelihoods_of(pyramid);
            let companion = self.companion.as_ref();
            let of_companion = companion.map(|(companion, max)| (companion.logp(&coarsest.hwc), *max));
            let cells = self.cells.as_ref().map(|(gaussians, scale)| {
                scale.nats_of(cells::distance(gaussians, &cells::of_map(coarsest, seen.as_ref())))
            });
            let whole = self.whole.as_ref().map(|(gaussian, scale)| {
                scale.nats_of(gaussian::distance(gaussian, &whole_image::of_map(coarsest, seen.as_ref())))
            });
            (likelihoods, of_companion, cells, whole)
        });
        let limited = |mut map: AnomalyMap| {
            if let Some(area) = &scored {
                map.limit_to(area);
            }
            map.cropped(size.window(original))
        };
        let of_companion = of_companion.as_ref().map(|(l, max)| (&l[..], *max));
        let (map, places) = self.reading().map_and_places(&likelihoods, of_companion, seen.as_ref(), limited);
        let options = &self.header.options;
        let coarsest = options.score_parts.coarsest.then(|| places - map.peak(options.score_pixels));
        let score = places + cells.unwrap_or(0.0) + whole.unwrap_or(0.0);
        ScoredImage { map, score, coarsest, cells, whole }
    }

    /// Score of an image of these [`Detector::likelihoods`] in which a companion finds nothing odder, and that is as usual in its cells and as a
    /// whole as the middle one of the good ones.
    ///
    /// # Panics
    ///
    /// As [`Detector::map`].
    pub fn score_of_likelihoods(&self, likelihoods: &[Vec<f32>]) -> f32 {
        self.reading().map_and_places(likelihoods, None, None, |map| map).1
    }

    fn reading(&self) -> Reading<'_> {
        let Header { options, constants, .. } = &self.header;
        Reading { options, levels: &self.levels, constants }
    }

    fn map_of_tiles(&self, image: &InputImage, original: OriginalSize, overlap: usize) -> AnomalyMap {
        let (size, constants) = (self.input(), &self.header.constants);
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

    /// The image as its map shows it: without what is beside an image that keeps its proportions.
    pub fn visible(&self, image: &InputImage, original: OriginalSize) -> InputImage {
        image.cropped(self.loaded_size(original).window(original))
    }
}
