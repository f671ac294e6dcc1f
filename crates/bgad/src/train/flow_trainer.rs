//! The flows in training, pass after pass, and the model that comes of them.

use std::path::PathBuf;
use std::time::Instant;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::cache::{self, Encoded, Marks};
use super::checkpoint::{self, Checkpoint, FlowState, State};
use super::images::Images;
use super::level::{LevelImage, LevelReport, LevelTrainer, Pass};
use super::making::{FromHost, Maker, made_per_pass};
use super::order::{Purpose, ordered, stream};
use super::{Event, PassReport, Run, TrainError, schedule};
use crate::dataset::{ForegroundSource, Foregrounds, textures};
use crate::flow::{Flow, FlowShape, Whitening};
use crate::foreground::Foreground;
use crate::image::InputImage;
use crate::model::Model;
use crate::options::{Checked, Stepping, TrainOptions};
use crate::score::ScoringArea;
use crate::weights::sha256_hex;

/// An image of a pass.
#[derive(Clone, Copy)]
struct Shown<'a> {
    encoded: &'a Encoded,
    /// Marks in place of the image's own.
    candidates: Option<&'a Marks>,
}

/// The flows in training and what they were made with.
pub(super) struct FlowTrainer<'a> {
    pub(super) options: &'a Checked,
    pub(super) levels: Vec<LevelTrainer>,
    /// The companion of the coarsest level: shown normal images alone, from the first anomaly on.
    pub(super) companion: Option<LevelTrainer>,
    pub(super) whitenings: Vec<Option<Whitening>>,
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

impl<'a> FlowTrainer<'a> {
    pub(super) fn new(
        run: &Run<'_>,
        options: &'a Checked,
        images: &Images,
        roi: Option<Foreground>,
        whitenings: Vec<Option<Whitening>>,
    ) -> Result<FlowTrainer<'a>, TrainError> {
        let grids = run.backbone.grid((options.input.height, options.input.width));
        let foregrounds = foregrounds(run, options, images)?;
        let textures = match &run.material.textures {
            Some(folder) if options.pseudo.perlin => {
                textures(folder, options.input).map_err(TrainError::Material)?
            }
            _ => Vec::new(),
        };
        Ok(FlowTrainer {
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
                checkpoint::save(path, &self.state(pass + 1, images, run), self.flows())?;
                progress(Event::Checkpoint(path));
            }
        }
        Ok(())
    }

    /// Images of pass `pass`.
    fn pass_len(&self, pass: usize, images: &Images) -> usize {
        let real = images.anomalous.len() + images.weak.len();
        match pass < self.first_phase {
            true => images.normal.len(),
            false => shown_with_anomalies(self.options, images.normal.len(), real, images.defects.len()),
        }
    }

    pub(super) fn pass(
        &mut self,
        pass: usize,
        images: &Images,
        run: &Run<'_>,
    ) -> Result<PassReport, TrainError> {
        let started = Instant::now();
        let options = self.options;
        let schedule = options.schedule;
        let second_phase = pass >= self.first_phase;
        let pasted = if second_phase { self.pasted(pass, images, run) } else { Vec::new() };
        // A resumed run begins with a meta-epoch too.
        if second_phase && pass.is_multiple_of(schedule.sub_epochs) {
            self.candidates = self.find_candidates(images, run)?;
        }
        let shown = |encoded| Shown { encoded, candidates: None };
        let mut anomalous: Vec<Shown<'_>> = Vec::new();
        if second_phase {
            for _ in 0..repeats(self.options) {
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
            self.whitenings.iter().map(|w| w.as_ref().map(|w| w.prepare(run.isa()))).collect();
        let pasted = cache::encode_all(&indices, run.backbone, |&index, workspace| {
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

    fn state(&self, passes: usize, images: &Images, run: &Run<'_>) -> State {
        let of_flow = |flow: &LevelTrainer| FlowState { channels: flow.shape().channels, steps: flow.steps };
        State {
            format_version: State::version(),
            options: (**self.options).clone(),
            area: self.area.clone(),
            backbone_sha256: run.backbone.weights_sha256().to_owned(),
            images_sha256: sha256_hex(images.sha256.concat().as_bytes()),
            passes,
            losses: self.losses.clone(),
            flows: self.flows().map(of_flow).collect(),
        }
    }

    pub(super) fn restore(
        &mut self,
        checkpoint: Checkpoint,
        images: &Images,
        run: &Run<'_>,
    ) -> Result<(), TrainError> {
        let Checkpoint { state, flows } = checkpoint;
        let own = self.state(0, images, run);
        let differs = [
            ("scoring area", state.area != own.area),
            ("backbone", state.backbone_sha256 != own.backbone_sha256),
            ("images", state.images_sha256 != own.images_sha256),
        ];
        if let Some((what, _)) = differs.into_iter().find(|(_, differs)| *differs) {
            return Err(TrainError::OtherRun { what });
        }
        match flows.len().checked_sub(self.levels.len()) {
            Some(0) => {}
            Some(1) => self.companion = Some(self.levels.last().expect("one level at least").fork()),
            _ => return Err(TrainError::OtherRun { what: "flows" }),
        }
        self.losses = state.losses;
        let all = self.levels.iter_mut().chain(&mut self.companion);
        for ((trainer, (flow, [m, v])), of) in all.zip(flows).zip(state.flows) {
            if of.channels != trainer.shape().channels {
                return Err(TrainError::OtherRun { what: "flows" });
            }
            (trainer.flow, trainer.m, trainer.v) = (flow, m, v);
            trainer.steps = of.steps;
        }
        Ok(())
    }

    /// Goes on with the flows of a model.
    pub(super) fn take_flows(&mut self, model: &Model) {
        for (trainer, level) in self.levels.iter_mut().zip(&model.scorer.levels) {
            trainer.flow = level.flow.clone();
        }
        self.companion = model.scorer.companion.as_ref().map(|flow| {
            let mut companion = self.levels.last().expect("one level at least").fork();
            companion.flow = flow.clone();
            companion
        });
    }

    /// Per pass and level, the mean loss of a step.
    pub(super) fn losses(&self) -> &[Vec<f32>] {
        &self.losses
    }
}

/// How often a pass shows each real anomaly.
fn repeats(options: &TrainOptions) -> usize {
    if options.repeat { options.repeats } else { 0 }
}

/// Images of a pass that shows anomalies: of so many normal images, anomalous ones, and anomalies that can be pasted. Those that cannot be made
/// will be missing.
pub(super) fn shown_with_anomalies(
    options: &TrainOptions,
    normal: usize,
    anomalous: usize,
    defects: usize,
) -> usize {
    let [pasted, pseudo] = made_per_pass(options, defects, normal);
    let anomalous = repeats(options) * anomalous + pasted + pseudo;
    if options.balance && anomalous > 0 { 2 * normal } else { normal + anomalous }
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
            let grid = (width, height);
            let mut trainer = LevelTrainer::new(flow, grid, anywhere, positions, run.isa());
            let share = |most: usize| (most * height * width).div_ceil(finest);
            trainer.image_positions = options.image_positions.map(share);
            trainer
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
