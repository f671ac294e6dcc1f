//! The flows in training, pass after pass, and the model that comes of them.

use std::path::PathBuf;
use std::time::Instant;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::cache::{self, Encoded, Marks};
use super::images::Images;
use super::level::{LevelImage, LevelReport, LevelTrainer, Pass};
use super::making::{FromHost, Maker};
use super::order::{Purpose, ordered, stream};
use super::standing::Standing;
use super::{Event, PassReport, Run, TrainError, checkpoint, schedule, stand_ins};
use crate::boundary::Boundary;
use crate::cells;
use crate::dataset::{ForegroundSource, Foregrounds, textures};
use crate::detector::{FORMAT_VERSION, Header, LevelHeader, LevelModel, Model, ScoringArea, TrainingSummary};
use crate::flow::{Flow, FlowShape, Whitening};
use crate::foreground::Foreground;
use crate::gaussian;
use crate::image::InputImage;
use crate::image_score::PartScale;
use crate::options::{Checked, Normalizer, Stepping};
use crate::verdict::Thresholds;
use crate::weights::sha256_hex;

/// An image of a pass.
#[derive(Clone, Copy)]
struct Shown<'a> {
    encoded: &'a Encoded,
    /// Marks in place of the image's own.
    candidates: Option<&'a Marks>,
}

/// The flows in training and what they were made with.
pub(super) struct Trainer<'a> {
    pub(super) options: &'a Checked,
    pub(super) levels: Vec<LevelTrainer>,
    /// The companion of the coarsest level: shown normal images alone, from the first anomaly on.
    pub(super) companion: Option<LevelTrainer>,
    whitenings: Vec<Option<Whitening>>,
    /// `(height, width)` of each level.
    pub(super) grids: Vec<(usize, usize)>,
    /// Where the part is in the normal images, if anything asks for it.
    pub(super) foregrounds: Foregrounds,
    /// The user's textures.
    textures: Vec<InputImage>,
    /// What the model will score.
    pub(super) area: ScoringArea,
    /// Passes that show normal images alone.
    pub(super) first_phase: usize,
    /// Marks of the images of unknown defects, level by level.
    candidates: Vec<Marks>,
    losses: Vec<Vec<f32>>,
}

impl<'a> Trainer<'a> {
    pub(super) fn new(
        run: &Run<'_>,
        options: &'a Checked,
        images: &Images,
        roi: Option<Foreground>,
        whitenings: Vec<Option<Whitening>>,
    ) -> Result<Trainer<'a>, TrainError> {
        let grids = run.backbone.grid((options.input.height, options.input.width));
        let foregrounds = foregrounds(run, options, images)?;
        let textures = match &run.material.textures {
            Some(folder) if options.pseudo.perlin => {
                textures(folder, options.input).map_err(TrainError::Material)?
            }
            _ => Vec::new(),
        };
        Ok(Trainer {
            options,
            levels: initial(run, options, &grids),
            companion: None,
            whitenings,
            grids,
            textures,
            area: area(run, options, roi.as_ref(), foregrounds.common.as_ref())?,
            foregrounds,
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
    pub(super) fn passes(
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
            let of_companion = report.companion.map(|report| report.loss.total as f32);
            if losses.iter().chain(&of_companion).any(|l| !l.is_finite()) {
                return Err(TrainError::Diverged { pass: pass + 1 });
            }
            self.losses.push(losses);
            progress(Event::Pass(report));
            let meta_epoch_ends = (pass + 1).is_multiple_of(schedule.sub_epochs);
            if let Some(path) = run.checkpoint.filter(|_| meta_epoch_ends && pass + 1 < schedule.passes()) {
                let state = self.progress(pass + 1, images);
                checkpoint::save(path, self.model(images, run), &state, self.flows())?;
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
        let coarsest = self.levels.len() - 1;
        if pass == self.first_phase
            && options.score_parts.companion
            && !anomalous.is_empty()
            && self.companion.is_none()
        {
            self.companion = Some(self.levels[coarsest].fork());
        }
        let rng = || ChaCha8Rng::from_seed(stream(options.seed, Purpose::Order, pass, 0));
        let normal: Vec<Shown<'_>> = images.normal.iter().map(shown).collect();
        let order = ordered(normal.clone(), anomalous, options.balance, &mut rng());
        // As they would be shown if there were no anomalies.
        let normal = ordered(normal, Vec::new(), options.balance, &mut rng());
        let learning_rate = schedule::learning_rate(schedule, options.learning_rate, pass);
        let levels = self.levels.iter_mut().enumerate().map(|(level, trainer)| (level, &order, trainer));
        let companion = self.companion.as_mut().map(|trainer| (coarsest, &normal, trainer));
        let flows: Vec<_> = levels.chain(companion).collect();
        let mut reports: Vec<LevelReport> = flows
            .into_par_iter()
            .map(|(level, order, trainer)| {
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
        let companion = reports.drain(coarsest + 1..).next();
        if (run.stop)() {
            return Err(TrainError::Stopped);
        }
        Ok(PassReport {
            pass: pass + 1,
            passes: schedule.passes(),
            phase: if second_phase { 2 } else { 1 },
            meta_epoch: pass / schedule.sub_epochs + 1,
            learning_rate,
            levels: reports,
            companion,
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

    /// All flows in training: a level's each, and the companion if there is one.
    fn flows(&self) -> impl Iterator<Item = &LevelTrainer> {
        self.levels.iter().chain(&self.companion)
    }

    fn progress(&self, passes: usize, images: &Images) -> checkpoint::Progress {
        checkpoint::Progress {
            passes,
            steps: self.flows().map(|flow| flow.steps).collect(),
            running: self.flows().map(|flow| flow.running).collect(),
            normalizers: self.flows().map(|flow| flow.normalizer).collect(),
            images_sha256: sha256_hex(images.sha256.concat().as_bytes()),
        }
    }

    pub(super) fn restore(
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
        self.take_flows(&model);
        self.losses = model.header.training.losses;
        let flows = self.levels.iter_mut().chain(&mut self.companion);
        for (i, (flow, [m, v])) in flows.zip(moments).enumerate() {
            (flow.m, flow.v) = (m, v);
            (flow.steps, flow.running) = (state.steps[i], state.running[i]);
            flow.normalizer = state.normalizers[i];
        }
        Ok(())
    }

    /// Goes on with the flows of a model.
    pub(super) fn take_flows(&mut self, model: &Model) {
        for (trainer, level) in self.levels.iter_mut().zip(&model.levels) {
            trainer.flow = level.flow.clone();
        }
        self.companion = model.companion.as_ref().map(|flow| {
            let mut companion = self.levels.last().expect("one level at least").fork();
            companion.flow = flow.clone();
            companion
        });
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
            companion_max: self.companion.as_ref().map(|_| 0.0),
            cells: None,
            whole: None,
            training: TrainingSummary {
                bgad_version: env!("CARGO_PKG_VERSION").to_owned(),
                normal_images: images.files[0],
                anomalous_images: images.files[1],
                passes: self.losses.len(),
                losses: self.losses.clone(),
                normal_scores: Vec::new(),
                trained_on: images.sha256.clone(),
                split: None,
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
            companion: self.companion.as_ref().map(|companion| companion.flow.clone()),
            cells: None,
            whole: None,
            backbone_weights: run.backbone.carried_weights().map(<[u8]>::to_vec),
        }
    }

    /// Freezes the constants, boundary and thresholds from all normal training images.
    pub(super) fn finish(self, images: &Images, run: &Run<'_>) -> Result<Model, TrainError> {
        let options = self.options;
        let mut model = self.model(images, run);
        let normalizers: Vec<f32> = self.levels.iter().map(|level| level.normalizer).collect();
        let (scoring, companion) = (self.scoring(run.isa), self.scoring_companion(run.isa));
        let Standing { boundaries, constants, companion_max, places, .. } =
            self.standing(&scoring, companion.as_ref(), images)?;
        for ((header, boundary), normalizer) in
            model.header.levels.iter_mut().zip(boundaries).zip(&normalizers)
        {
            header.boundary_normalized = boundary;
            header.boundary_nats_per_channel =
                Boundary { normal: boundary.normal * normalizer, anomalous: boundary.anomalous * normalizer };
        }
        model.header.constants = constants;
        model.header.companion_max = companion_max;
        let mut scores = places.clone();
        let mut add = |distances: &[f32]| {
            let scale = PartScale::of_normal(&places, distances)?;
            scores.iter_mut().zip(distances).for_each(|(score, d)| *score += scale.nats_of(*d));
            Some(scale)
        };
        if let Some((gaussians, distances)) = self.cells(images, run)
            && let Some(scale) = add(&distances)
        {
            (model.cells, model.header.cells) = (Some(gaussians), Some(scale));
        }
        if let Some((gaussian, distances)) = self.whole(images, run)
            && let Some(scale) = add(&distances)
        {
            (model.whole, model.header.whole) = (Some(gaussian), Some(scale));
        }
        scores.sort_by(f32::total_cmp);
        let normalizer = normalizers.iter().sum::<f32>() / normalizers.len() as f32;
        let stand_ins = stand_ins::scores(&model, images, run)?;
        let gap = normalizer * options.tau;
        model.header.thresholds = Thresholds::from_normal_scores(&scores, &stand_ins, options.beta, gap);
        model.header.training.normal_scores = scores;
        Ok(model)
    }

    /// How usual cells are, and how far each normal image is from the others in its oddest one; `None` if nobody asks, or if there are
    /// too few to tell.
    fn cells(&self, images: &Images, run: &Run<'_>) -> Option<(Vec<Whitening>, Vec<f32>)> {
        let overviews = images.normal_overviews.iter();
        let all: Vec<_> = overviews.map(|overview| overview.cells.as_deref()).collect::<Option<_>>()?;
        cells::fit(&all, run.isa)
    }

    /// How usual whole images are, and how far each normal one is from the others; `None` as for cells.
    fn whole(&self, images: &Images, run: &Run<'_>) -> Option<(Whitening, Vec<f32>)> {
        let overviews = images.normal_overviews.iter();
        let all: Vec<_> = overviews.map(|overview| overview.whole.as_deref()).collect::<Option<_>>()?;
        gaussian::fit(&all).zip(gaussian::held_out(&all, run.isa))
    }
}

/// Flows that have learned nothing, one a level.
fn initial(run: &Run<'_>, options: &Checked, grids: &[(usize, usize)]) -> Vec<LevelTrainer> {
    let finest = grids[0].0 * grids[0].1;
    let levels = run.backbone.channels().into_iter().zip(grids).enumerate();
    levels
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
        .collect()
}

/// Where the part is in the normal images; empty if nothing asks for it.
fn foregrounds(run: &Run<'_>, options: &Checked, images: &Images) -> Result<Foregrounds, TrainError> {
    let makes = options.pseudo.any() || options.cutpaste && !images.defects.is_empty();
    if !makes && !options.foreground_score {
        return Ok(Foregrounds::default());
    }
    // A tile is a piece of surface.
    let source = match options.tile_overlap {
        Some(_) => &ForegroundSource::Everything,
        None => &run.material.foreground,
    };
    let paths: Vec<PathBuf> = images.normal_sources.iter().map(|source| source.path.clone()).collect();
    let mut foregrounds = source.find(&paths, options.input).map_err(TrainError::Material)?;
    // Defects are made where they are looked at; where that leaves nothing of the part, anywhere there.
    for (foreground, area) in foregrounds.each.iter_mut().zip(&images.normal_areas) {
        if let Some(area) = area {
            let both = foreground.and(area);
            *foreground = if both.is_empty() { area.clone() } else { both };
        }
    }
    Ok(foregrounds)
}

/// What the model will score: `roi`, and of it the part alone if that is asked for, `common` being its place in all images.
fn area(
    run: &Run<'_>,
    options: &Checked,
    roi: Option<&Foreground>,
    common: Option<&Foreground>,
) -> Result<ScoringArea, TrainError> {
    match (common, &run.material.foreground) {
        _ if !options.foreground_score => Ok(roi.map_or(ScoringArea::Everything, ScoringArea::fixed)),
        (Some(common), _) => Ok(ScoringArea::fixed(&roi.map_or(common.clone(), |roi| roi.and(common)))),
        (None, ForegroundSource::Estimate) if roi.is_none() => Ok(ScoringArea::Estimate),
        // Images to come would have no mask.
        (None, _) => Err(TrainError::ScoringArea),
    }
}
