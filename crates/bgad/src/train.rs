//! Training: from a split to a model.
//!
//! ```text
//! encode every image once                                     the backbone is frozen: features are cached
//! phase 1    first meta-epoch: normal images, L_ml            phase 2    normal and anomalous images, L
//! a pass     images in random order, batches of 32, each level's positions shuffled and cut into steps
//! at the end M, boundary and thresholds from all normal training images, frozen into the model
//! ```
//!
//! Images that are known to be defective, but not where, show those positions that stand out under the flows so far, chosen anew at each
//! meta-epoch of phase 2; their other positions are left out. See docs/decisions/weak.md.
//!
//! A pass shows each anomaly `repeats` times and as many pasted ones, which alone are encoded anew. Every random choice
//! is drawn from `(seed, purpose, pass, index)`, so neither threads nor an interruption change the model.

mod cache;
mod checkpoint;
mod error;
mod images;
mod level;
mod making;
mod schedule;
mod standing;
mod store;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use bgad_kernels::Isa;
use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::backbone::Backbone;
use crate::boundary::Boundary;
use crate::dataset::{DatasetError, ForegroundSource, Foregrounds, Split, read_area, textures};
use crate::detector::{FORMAT_VERSION, Header, LevelHeader, LevelModel, Model, ScoringArea, TrainingSummary};
use crate::flow::{Flow, FlowShape, Whitening};
use crate::foreground::Foreground;
use crate::image::{ImageError, InputImage, Mask};
use crate::image_score::WholeScale;
use crate::options::{Checked, Normalizer, Schedule, Stepping, TrainOptions};
use crate::verdict::Thresholds;
use crate::weights::sha256_hex;
use crate::whole_image;
use cache::{Encoded, Marks};
pub use error::TrainError;
use images::Images;
pub use level::LevelReport;
use level::{LevelImage, LevelTrainer, Pass};
pub use making::{FromHost, Maker};
use standing::Standing;

/// What training works on, besides its options.
pub struct Run<'a> {
    /// The images.
    pub split: &'a Split,
    /// The frozen feature extractor.
    pub backbone: &'a Backbone,
    /// Instruction set of the flows.
    pub isa: Isa,
    /// What anomalies are made with.
    pub material: &'a Material,
    /// Where the state is written after each meta-epoch; `None` for nowhere.
    pub checkpoint: Option<&'a Path>,
    /// Whether to go on from the checkpoint.
    pub resume: bool,
    /// Bytes of features kept in memory; the rest goes to a file beside the checkpoint (without one, in the system's
    /// folder for temporary files). The model does not depend on it.
    pub cache_limit: u64,
    /// Asked at every step; training ends with [`TrainError::Stopped`] once it says true.
    pub stop: &'a (dyn Fn() -> bool + Sync),
}

impl Run<'_> {
    fn cache_folder(&self) -> PathBuf {
        let beside = self.checkpoint.and_then(Path::parent);
        match beside {
            None => std::env::temp_dir(),
            Some(folder) if folder.as_os_str().is_empty() => PathBuf::from("."),
            Some(folder) => folder.to_owned(),
        }
    }
}

/// What anomalies are made with, besides the images of the split.
#[derive(Clone, Debug, Default)]
pub struct Material {
    /// Where the part is in the normal images: defects go there, and with
    /// [`TrainOptions::foreground_score`](crate::options::TrainOptions::foreground_score) the score looks only there.
    pub foreground: ForegroundSource,
    /// A folder of pictures to take textures from.
    pub textures: Option<PathBuf>,
    /// A mask, not zero where images are trained on and scored; `None` for everywhere.
    pub roi: Option<PathBuf>,
    /// A mask, not zero where images are neither trained on nor scored.
    pub ignore: Option<PathBuf>,
}

impl Material {
    /// The pixels that are trained on and scored, at the input size, or of the masks' own size if images are cut into
    /// tiles; `None` for all.
    fn roi(&self, options: &TrainOptions) -> Result<Option<Foreground>, DatasetError> {
        let Some(first) = self.roi.as_ref().or(self.ignore.as_ref()) else { return Ok(None) };
        let size = match options.tile_overlap {
            None => options.input,
            // Images keep their sizes, and so does what is said of them.
            Some(_) => Mask::original_size(first).map_err(DatasetError::Image)?.as_input(),
        };
        let read = |path: &Option<PathBuf>| path.as_ref().map(|path| read_area(path, size)).transpose();
        let (roi, ignored) = (read(&self.roi)?, read(&self.ignore)?);
        let Some(mut left) = ignored else { return Ok(roi) };
        left.inside.iter_mut().for_each(|pixel| *pixel = 1 - *pixel);
        let left = roi.map_or(left.clone(), |roi| roi.and(&left));
        match (left.is_empty(), &self.ignore) {
            (true, Some(mask)) => Err(DatasetError::NothingLeft { mask: mask.clone() }),
            _ => Ok(Some(left)),
        }
    }
}

/// What training reports as it goes.
#[derive(Debug)]
pub enum Event<'a> {
    /// Images read and encoded so far.
    Encoded {
        /// How many.
        done: usize,
        /// Of how many.
        total: usize,
    },
    /// An image or its mask could not be used; training goes on without it.
    Skipped(&'a ImageError),
    /// Training goes on from a checkpoint.
    Resumed {
        /// Passes that need not be done again.
        passes: usize,
    },
    /// A pass has ended.
    Pass(PassReport),
    /// A checkpoint has been written.
    Checkpoint(&'a Path),
}

/// One pass over the images.
#[derive(Clone, Debug)]
pub struct PassReport {
    /// The pass, from 1.
    pub pass: usize,
    /// Passes altogether.
    pub passes: usize,
    /// 1: normal images alone; 2: with anomalies and boundary.
    pub phase: u8,
    /// Meta-epoch, from 1.
    pub meta_epoch: usize,
    /// Adam's learning rate.
    pub learning_rate: f32,
    /// Loss and boundary of each level.
    pub levels: Vec<LevelReport>,
    /// Images of this pass.
    pub images: usize,
    /// Seconds of this pass.
    pub secs: f64,
    /// Images of all passes still to come.
    pub images_left: usize,
}

/// Trains a model.
///
/// # Errors
///
/// A [`TrainError`]; a checkpoint written before it stays valid.
pub fn train(
    run: &Run<'_>,
    options: &Checked,
    progress: &mut dyn FnMut(Event<'_>),
) -> Result<Model, TrainError> {
    let resumed = match (run.resume, run.checkpoint) {
        (true, Some(path)) => Some(checkpoint::load(path)?),
        (true, None) => return Err(TrainError::NoCheckpoint),
        _ => None,
    };
    let roi = run.material.roi(options).map_err(TrainError::Material)?;
    let mut images = Images::encode(run, options, roi.as_ref(), progress)?;
    let whitenings = images.whiten(run, options)?;
    let mut trainer = Trainer::new(run, options, &images, roi, whitenings)?;
    let mut first_pass = 0;
    if let Some(checkpoint) = resumed {
        first_pass = checkpoint.progress.passes;
        trainer.restore(checkpoint, &images, run)?;
        progress(Event::Resumed { passes: first_pass });
    }
    trainer.passes(first_pass, &images, run, progress)?;
    trainer.finish(&images, run)
}

/// Goes on from a trained model with the images of `run`, old ones and new ones: every pass shows anomalies and boundary, the
/// whitening stays, constants, boundary and thresholds are computed anew. Nothing is written on the way.
///
/// `schedule` and `learning_rate` are of this fine-tuning; all other choices are the model's, its area included.
///
/// # Errors
///
/// A [`TrainError`].
pub fn fine_tune(
    run: &Run<'_>,
    known: &Model,
    schedule: Schedule,
    learning_rate: f32,
    progress: &mut dyn FnMut(Event<'_>),
) -> Result<Model, TrainError> {
    let choices = &known.header.options;
    let options = TrainOptions { schedule, learning_rate, ..choices.clone() };
    let options = &options.check().map_err(TrainError::Options)?;
    let roi = known.header.area.common();
    let mut images = Images::encode(run, options, roi.as_ref(), progress)?;
    let whitenings: Vec<_> = known.levels.iter().map(|level| level.whitening.clone()).collect();
    images.apply(&whitenings, run)?;
    let mut trainer = Trainer::new(run, options, &images, roi, whitenings)?;
    trainer.first_phase = 0;
    trainer.area = known.header.area.clone();
    for (trainer, level) in trainer.levels.iter_mut().zip(&known.levels) {
        trainer.flow = level.flow.clone();
    }
    trainer.passes(0, &images, run, progress)?;
    let mut model = trainer.finish(&images, run)?;
    model.header.options = choices.clone();
    let before = known.header.training.losses.iter().cloned();
    model.header.training.losses = before.chain(model.header.training.losses).collect();
    model.header.training.passes = model.header.training.losses.len();
    Ok(model)
}

/// Random numbers of their own for each purpose, pass and index.
fn stream(seed: u64, purpose: Purpose, pass: usize, index: usize) -> [u8; 32] {
    let mut bytes = [0; 32];
    let parts = [seed, purpose as u64, pass as u64, index as u64];
    bytes.chunks_exact_mut(8).zip(parts).for_each(|(bytes, part)| bytes.copy_from_slice(&part.to_le_bytes()));
    bytes
}

/// Normal and anomalous images in the order of a pass. Balanced: one of each in turn, the anomalous ones again and
/// again, each round in an order of its own.
fn ordered<T: Copy>(normal: Vec<T>, anomalous: Vec<T>, balance: bool, rng: &mut ChaCha8Rng) -> Vec<T> {
    let mut order = normal;
    if !balance || anomalous.is_empty() {
        order.extend(anomalous);
        order.shuffle(rng);
        return order;
    }
    order.shuffle(rng);
    let mut round = Vec::new();
    let mut balanced = Vec::with_capacity(2 * order.len());
    for image in order {
        if round.is_empty() {
            round = anomalous.clone();
            round.shuffle(rng);
        }
        balanced.push(image);
        balanced.extend(round.pop());
    }
    balanced
}

/// What random numbers are for.
#[derive(Clone, Copy)]
enum Purpose {
    Flow = 1,
    Order = 2,
    Positions = 3,
    Paste = 4,
}

/// An image of a pass.
#[derive(Clone, Copy)]
struct Shown<'a> {
    encoded: &'a Encoded,
    /// Marks in place of the image's own.
    candidates: Option<&'a Marks>,
}

/// The flows in training and what they were made with.
struct Trainer<'a> {
    options: &'a Checked,
    levels: Vec<LevelTrainer>,
    whitenings: Vec<Option<Whitening>>,
    /// `(height, width)` of each level.
    grids: Vec<(usize, usize)>,
    /// Where the part is in the normal images, if anything asks for it.
    foregrounds: Foregrounds,
    /// The user's textures.
    textures: Vec<InputImage>,
    /// What the model will score.
    area: ScoringArea,
    /// Passes that show normal images alone.
    first_phase: usize,
    /// Marks of the images of unknown defects, level by level.
    candidates: Vec<Marks>,
    losses: Vec<Vec<f32>>,
}

impl<'a> Trainer<'a> {
    fn new(
        run: &Run<'_>,
        options: &'a Checked,
        images: &Images,
        roi: Option<Foreground>,
        whitenings: Vec<Option<Whitening>>,
    ) -> Result<Trainer<'a>, TrainError> {
        let grids = run.backbone.grid((options.input.height, options.input.width));
        let finest = grids[0].0 * grids[0].1;
        let levels = run
            .backbone
            .channels()
            .into_iter()
            .zip(&grids)
            .enumerate()
            .map(|(level, (channels, &(height, width)))| {
                let mut rng = ChaCha8Rng::from_seed(stream(options.seed, Purpose::Flow, 0, level));
                let flow = Flow::initial(FlowShape { channels, blocks: options.blocks }, &mut rng);
                let positions = match options.stepping {
                    Stepping::SamePositions => options.step_positions,
                    Stepping::SameSteps => (options.step_positions * height * width).div_ceil(finest),
                };
                let anywhere = options.tile_overlap.is_some();
                LevelTrainer::new(flow, (width, height), anywhere, positions, options.normalizer, run.isa)
            })
            .collect();
        let makes = options.pseudo.any() || options.cutpaste && !images.defects.is_empty();
        let mut foregrounds = if makes || options.foreground_score {
            // A tile is a piece of surface.
            let source = match options.tile_overlap {
                Some(_) => &ForegroundSource::Everything,
                None => &run.material.foreground,
            };
            let paths: Vec<PathBuf> =
                images.normal_sources.iter().map(|source| source.path.clone()).collect();
            source.find(&paths, options.input).map_err(TrainError::Material)?
        } else {
            Foregrounds::default()
        };
        // Defects are made where they are looked at; where that leaves nothing of the part, anywhere there.
        for (foreground, area) in foregrounds.each.iter_mut().zip(&images.normal_areas) {
            if let Some(area) = area {
                let both = foreground.and(area);
                *foreground = if both.is_empty() { area.clone() } else { both };
            }
        }
        let textures = match &run.material.textures {
            Some(folder) if options.pseudo.perlin => {
                textures(folder, options.input).map_err(TrainError::Material)?
            }
            _ => Vec::new(),
        };
        let area = match (&foregrounds.common, &run.material.foreground) {
            _ if !options.foreground_score => {
                roi.as_ref().map_or(ScoringArea::Everything, ScoringArea::fixed)
            }
            (Some(common), _) => {
                ScoringArea::fixed(&roi.as_ref().map_or(common.clone(), |roi| roi.and(common)))
            }
            (None, ForegroundSource::Estimate) if roi.is_none() => ScoringArea::Estimate,
            // Images to come would have no mask.
            (None, _) => return Err(TrainError::ScoringArea),
        };
        Ok(Trainer {
            options,
            levels,
            whitenings,
            grids,
            foregrounds,
            textures,
            area,
            first_phase: options.schedule.sub_epochs,
            candidates: Vec::new(),
            losses: Vec::new(),
        })
    }

    fn maker<'b>(&'b self, images: &'b Images) -> Maker<'b> {
        Maker {
            options: self.options,
            defects: &images.defects,
            hosts: &images.normal_sources,
            foregrounds: &self.foregrounds.each,
            textures: &self.textures,
        }
    }

    /// All passes from `first` on.
    fn passes(
        &mut self,
        first: usize,
        images: &Images,
        run: &Run<'_>,
        progress: &mut dyn FnMut(Event<'_>),
    ) -> Result<(), TrainError> {
        let schedule = self.options.schedule;
        for pass in first..schedule.passes() {
            let report = self.pass(pass, images, run)?;
            let losses: Vec<f32> = report.levels.iter().map(|l| l.loss.total as f32).collect();
            if losses.iter().any(|l| !l.is_finite()) {
                return Err(TrainError::Diverged { pass: pass + 1 });
            }
            self.losses.push(losses);
            progress(Event::Pass(report));
            let meta_epoch_ends = (pass + 1).is_multiple_of(schedule.sub_epochs);
            if let Some(path) = run.checkpoint.filter(|_| meta_epoch_ends && pass + 1 < schedule.passes()) {
                let state = self.progress(pass + 1, images);
                checkpoint::save(path, self.model(images, run), &state, &self.levels)?;
                progress(Event::Checkpoint(path));
            }
        }
        Ok(())
    }

    /// Images of pass `pass`.
    fn pass_len(&self, pass: usize, images: &Images) -> usize {
        let normal = images.normal.len();
        if pass < self.first_phase {
            return normal;
        }
        let anomalous =
            self.repeats() * (images.anomalous.len() + images.weak.len()) + self.maker(images).per_pass();
        // Anomalies that could not be made are missing here.
        if self.options.balance && anomalous > 0 { 2 * normal } else { normal + anomalous }
    }

    /// How often a pass shows each real anomaly.
    fn repeats(&self) -> usize {
        if self.options.repeat { self.options.repeats } else { 0 }
    }

    fn pass(&mut self, pass: usize, images: &Images, run: &Run<'_>) -> Result<PassReport, TrainError> {
        let started = Instant::now();
        let options = self.options;
        let schedule = options.schedule;
        let second_phase = pass >= self.first_phase;
        if pass == self.first_phase && options.normalizer == Normalizer::Estimated {
            self.estimate_normalizers(images, run)?;
        }
        let pasted = if second_phase { self.pasted(pass, images, run) } else { Vec::new() };
        // A resumed run begins with a meta-epoch too.
        if second_phase && pass.is_multiple_of(schedule.sub_epochs) {
            self.candidates = self.find_candidates(images, run)?;
        }
        let shown = |encoded| Shown { encoded, candidates: None };
        let mut anomalous: Vec<Shown<'_>> = Vec::new();
        if second_phase {
            for _ in 0..self.repeats() {
                anomalous.extend(images.anomalous.iter().map(shown));
                let weak = images.weak.iter().zip(&self.candidates);
                anomalous.extend(weak.map(|(encoded, marks)| Shown { encoded, candidates: Some(marks) }));
            }
            anomalous.extend(pasted.iter().map(shown));
        }
        let mut rng = ChaCha8Rng::from_seed(stream(options.seed, Purpose::Order, pass, 0));
        let order = ordered(images.normal.iter().map(shown).collect(), anomalous, options.balance, &mut rng);
        let learning_rate = schedule::learning_rate(schedule, options.learning_rate, pass);
        let levels = self
            .levels
            .par_iter_mut()
            .enumerate()
            .map(|(level, trainer)| {
                let of_level: Vec<LevelImage<'_>> = order
                    .iter()
                    .map(|Shown { encoded, candidates }| LevelImage {
                        features: &encoded.features[level],
                        marks: candidates.or(encoded.marks.as_ref()).map(|marks| marks[level].as_slice()),
                    })
                    .collect();
                let seed = stream(options.seed, Purpose::Positions, pass, level);
                trainer.pass(&of_level, &Pass { options, learning_rate, second_phase, seed, stop: run.stop })
            })
            .collect::<std::io::Result<_>>()
            .map_err(TrainError::Cache)?;
        if (run.stop)() {
            return Err(TrainError::Stopped);
        }
        Ok(PassReport {
            pass: pass + 1,
            passes: schedule.passes(),
            phase: if second_phase { 2 } else { 1 },
            meta_epoch: pass / schedule.sub_epochs + 1,
            learning_rate,
            levels,
            images: order.len(),
            secs: started.elapsed().as_secs_f64(),
            images_left: (pass + 1..schedule.passes()).map(|pass| self.pass_len(pass, images)).sum(),
        })
    }

    /// Freshly made anomalies, encoded.
    fn pasted(&self, pass: usize, images: &Images, run: &Run<'_>) -> Vec<Encoded> {
        let maker = self.maker(images);
        let indices: Vec<usize> = (0..maker.per_pass()).collect();
        let prepared: Vec<_> =
            self.whitenings.iter().map(|w| w.as_ref().map(|w| w.prepare(run.isa))).collect();
        let pasted = cache::encode_all(&indices, run.backbone, self.options.input, |&index, workspace| {
            let FromHost { made, host, .. } = maker.make(pass, index)?;
            let mut pyramid = cache::features(run.backbone, &made.image, workspace);
            for (map, whitening) in pyramid.levels.iter_mut().zip(&prepared) {
                if let Some(whitening) = whitening {
                    let mut white = vec![0.0; map.hwc.len()];
                    whitening.apply(&map.hwc, &mut white);
                    map.hwc = white;
                }
            }
            Some(Encoded::new(pyramid, Some(&made.mask), images.normal_areas[host].as_ref()))
        });
        pasted.into_iter().flatten().collect()
    }

    fn progress(&self, passes: usize, images: &Images) -> checkpoint::Progress {
        checkpoint::Progress {
            passes,
            steps: self.levels.iter().map(|level| level.steps).collect(),
            running: self.levels.iter().map(|level| level.running).collect(),
            normalizers: self.levels.iter().map(|level| level.normalizer).collect(),
            images_sha256: sha256_hex(images.sha256.concat().as_bytes()),
        }
    }

    fn restore(
        &mut self,
        checkpoint: checkpoint::Checkpoint,
        images: &Images,
        run: &Run<'_>,
    ) -> Result<(), TrainError> {
        let checkpoint::Checkpoint { model, progress: state, moments } = checkpoint;
        let other = |what: &'static str| Err(TrainError::OtherRun { what });
        if model.header.options != **self.options {
            return other("options");
        }
        if model.header.area != self.area {
            return other("scoring area");
        }
        if model.header.backbone_sha256 != run.backbone.weights_sha256() {
            return other("backbone");
        }
        if state.images_sha256 != self.progress(0, images).images_sha256 {
            return other("images");
        }
        self.losses = model.header.training.losses;
        for (i, (level, [m, v])) in self.levels.iter_mut().zip(moments).enumerate() {
            level.flow = model.levels[i].flow.clone();
            (level.m, level.v) = (m, v);
            (level.steps, level.running) = (state.steps[i], state.running[i]);
            level.normalizer = state.normalizers[i];
        }
        Ok(())
    }

    /// The model as it is, its constants not computed yet.
    fn model(&self, images: &Images, run: &Run<'_>) -> Model {
        let unset = Boundary { normal: 0.0, anomalous: 0.0 };
        let header = Header {
            format_version: FORMAT_VERSION,
            backbone: run.backbone.name().to_owned(),
            backbone_sha256: run.backbone.weights_sha256().to_owned(),
            options: (**self.options).clone(),
            levels: self
                .levels
                .iter()
                .zip(&self.grids)
                .map(|(level, &(height, width))| LevelHeader {
                    channels: level.shape().channels,
                    height,
                    width,
                    boundary_normalized: unset,
                    boundary_nats_per_channel: unset,
                })
                .collect(),
            constants: vec![0.0; self.levels.len()].try_into().expect("finite constants"),
            thresholds: Thresholds { ok: 0.0, ng: 0.0 },
            calibration: None,
            area: self.area.clone(),
            whole: None,
            training: TrainingSummary {
                bgad_version: env!("CARGO_PKG_VERSION").to_owned(),
                normal_images: images.files[0],
                anomalous_images: images.files[1],
                passes: self.losses.len(),
                losses: self.losses.clone(),
                normal_scores: Vec::new(),
                trained_on: images.sha256.clone(),
                checkpoint: None,
            },
        };
        let levels = self.levels.iter().zip(&self.whitenings);
        Model {
            header,
            levels: levels
                .map(|(level, whitening)| LevelModel {
                    flow: level.flow.clone(),
                    whitening: whitening.clone(),
                })
                .collect(),
            whole: None,
            backbone_weights: run.backbone.carried_weights().map(<[u8]>::to_vec),
        }
    }

    /// Freezes the constants, boundary and thresholds from all normal training images.
    fn finish(self, images: &Images, run: &Run<'_>) -> Result<Model, TrainError> {
        let options = self.options;
        let mut model = self.model(images, run);
        let normalizers: Vec<f32> = self.levels.iter().map(|level| level.normalizer).collect();
        let Standing { boundaries, constants, places, .. } = self.standing(&self.scoring(run.isa), images)?;
        for ((header, boundary), normalizer) in
            model.header.levels.iter_mut().zip(boundaries).zip(&normalizers)
        {
            header.boundary_normalized = boundary;
            header.boundary_nats_per_channel =
                Boundary { normal: boundary.normal * normalizer, anomalous: boundary.anomalous * normalizer };
        }
        model.header.constants = constants;
        let mut scores = places;
        if let Some((gaussian, distances)) = self.whole(images, run)
            && let Some(scale) = WholeScale::of_normal(&scores, &distances)
        {
            scores.iter_mut().zip(&distances).for_each(|(score, d)| *score += scale.nats_of(*d));
            (model.whole, model.header.whole) = (Some(gaussian), Some(scale));
        }
        scores.sort_by(f32::total_cmp);
        let normalizer = normalizers.iter().sum::<f32>() / normalizers.len() as f32;
        model.header.thresholds = Thresholds::from_normal_scores(
            &scores,
            options.score_parts,
            options.beta,
            normalizer * options.tau,
        );
        model.header.training.normal_scores = scores;
        Ok(model)
    }

    /// How usual whole images are, and how far each normal one is from the others; `None` if nobody asks, or if there are too few to
    /// tell.
    fn whole(&self, images: &Images, run: &Run<'_>) -> Option<(Whitening, Vec<f32>)> {
        if !self.options.score_parts.whole {
            return None;
        }
        let all: Vec<&[f32]> = images.normal_wholes.iter().map(Vec::as_slice).collect();
        whole_image::fit(&all).zip(whole_image::held_out(&images.normal_wholes, run.isa))
    }
}

/// Removes a checkpoint that is no longer needed; one that is not there is fine.
///
/// # Errors
///
/// What the system says.
pub fn remove_checkpoint(path: &Path) -> std::io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn balanced_passes_show_every_anomaly_in_turn() {
        let mut rng = ChaCha8Rng::from_seed(stream(0, Purpose::Order, 0, 0));
        let order = ordered((0..60).collect(), vec![100, 101, 102], true, &mut rng);
        assert_eq!(order.len(), 120);
        for batch in order.chunks(6) {
            let mut shown: Vec<u32> = batch.iter().copied().filter(|&image| image >= 100).collect();
            shown.sort_unstable();
            assert_eq!(shown, [100, 101, 102], "{batch:?}");
        }
        let mut normal: Vec<u32> = order.iter().copied().filter(|&image| image < 100).collect();
        assert!(!normal.is_sorted());
        normal.sort_unstable();
        assert!(normal.into_iter().eq(0..60));
        // Without anomalies, and without balance, each is shown once.
        assert_eq!(ordered(vec![1, 2, 3], vec![], true, &mut rng).len(), 3);
        assert_eq!(ordered(vec![1, 2, 3], vec![9, 9], false, &mut rng).len(), 5);
    }
}
