//! Training of one level's flow: batches of images, steps of positions, one optimizer state.

use std::io;

use bgad_kernels::{Isa, adam};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::cache::OUTSIDE;
use super::store::Features;
use crate::boundary::Boundary;
use crate::flow::{Flow, FlowShape, Positions, Prepared, Tape};
use crate::loss::{LossParts, LossSettings, loss};
use crate::options::TrainOptions;

/// One image at one level.
#[derive(Clone, Copy)]
pub(super) struct LevelImage<'a> {
    /// `[positions, C]`.
    pub features: &'a Features,
    /// `[positions]`, as [`Encoded::marks`](super::cache::Encoded::marks); `None` if all are normal.
    pub marks: Option<&'a [u8]>,
}

/// A flow in training.
#[derive(Debug)]
pub(super) struct LevelTrainer {
    pub flow: Flow,
    /// First and second moment of Adam, and the steps taken.
    pub m: Vec<f32>,
    pub v: Vec<f32>,
    pub steps: u64,
    /// Width and height of the level's map.
    grid: (usize, usize),
    /// Whether all positions are the same to the flow, as in tiles.
    anywhere: bool,
    /// Positions of a full step.
    step_positions: usize,
    /// Positions that a pass takes of each image at most, a random choice; `None` for all.
    pub image_positions: Option<usize>,
    isa: Isa,
    gradient: Vec<f32>,
    prepared: Option<Prepared>,
    tape: Option<Tape>,
}

/// What one pass does with a level.
pub(super) struct Pass<'a> {
    pub options: &'a TrainOptions,
    pub learning_rate: f32,
    /// Whether anomalies and the boundary take part.
    pub second_phase: bool,
    /// Decides the order of positions.
    pub seed: [u8; 32],
    pub stop: &'a (dyn Fn() -> bool + Sync),
}

/// Means over the steps of a pass.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LevelReport {
    /// Loss and its parts.
    pub loss: LossParts,
    /// `b_n` of the last step that had a boundary, in units of `l / ν`.
    pub boundary: Option<f32>,
    /// Optimizer steps.
    pub steps: usize,
}

impl LevelTrainer {
    pub(super) fn new(
        flow: Flow,
        grid: (usize, usize),
        anywhere: bool,
        step_positions: usize,
        isa: Isa,
    ) -> LevelTrainer {
        let len = flow.shape.len();
        LevelTrainer {
            flow,
            m: vec![0.0; len],
            v: vec![0.0; len],
            steps: 0,
            grid,
            anywhere,
            step_positions,
            image_positions: None,
            isa,
            gradient: vec![0.0; len],
            prepared: None,
            tape: None,
        }
    }

    /// A second flow in training that has come as far and may go its own way from here.
    pub(super) fn fork(&self) -> LevelTrainer {
        LevelTrainer {
            flow: self.flow.clone(),
            m: self.m.clone(),
            v: self.v.clone(),
            gradient: self.gradient.clone(),
            prepared: None,
            tape: None,
            ..*self
        }
    }

    pub(super) fn shape(&self) -> FlowShape {
        self.flow.shape
    }

    /// Takes the images in their order, a batch at a time; positions of a batch are shuffled and cut into steps, the
    /// rest is dropped.
    pub(super) fn pass(&mut self, images: &[LevelImage<'_>], pass: &Pass<'_>) -> io::Result<LevelReport> {
        let positions = self.grid.0 * self.grid.1;
        let mut report = LevelReport::default();
        let mut rng = ChaCha8Rng::from_seed(pass.seed);
        let mut step = Step::default();
        let mut buffers = vec![Vec::new(); pass.options.batch_images.min(images.len())];
        for batch in images.chunks(pass.options.batch_images) {
            let features: Vec<&[f32]> = batch
                .iter()
                .zip(&mut buffers)
                .map(|(image, buffer)| image.features.read(buffer))
                .collect::<io::Result<_>>()?;
            let inside = |&i: &u32| {
                let (image, position) = (i as usize / positions, i as usize % positions);
                batch[image].marks.is_none_or(|marks| marks[position] != OUTSIDE)
            };
            let mut order: Vec<u32> = (0..(batch.len() * positions) as u32).filter(inside).collect();
            order.shuffle(&mut rng);
            if let Some(most) = self.image_positions {
                order.truncate(most * batch.len());
            }
            if order.is_empty() {
                continue;
            }
            // A batch smaller than a step is one step: a set of a few images must train too.
            let size = self.step_positions.min(order.len());
            for chosen in order.chunks_exact(size) {
                if (pass.stop)() {
                    return Ok(report);
                }
                step.gather(&features, batch, chosen, positions, self.grid.0);
                if self.anywhere {
                    step.column.fill(0);
                    step.row.fill(0);
                }
                self.step(&step, pass, &mut report);
            }
        }
        let mean = 1.0 / report.steps.max(1) as f64;
        for part in [
            &mut report.loss.total,
            &mut report.loss.likelihood,
            &mut report.loss.pull,
            &mut report.loss.push,
        ] {
            *part *= mean;
        }
        Ok(report)
    }

    fn step(&mut self, step: &Step, pass: &Pass<'_>, report: &mut LevelReport) {
        let options = pass.options;
        let n = step.mask.len();
        let at = Positions { column: &step.column, row: &step.row };
        let prepared = match self.prepared.take() {
            Some(mut prepared) => {
                prepared.update(&self.flow);
                prepared
            }
            None => Prepared::on(self.isa, &self.flow, self.grid, true),
        };
        let mut tape = match self.tape.take() {
            Some(tape) if tape.rows() == n => tape,
            _ => Tape::new(&prepared, n),
        };
        tape.forward(&prepared, &step.x, at);
        let l = &tape.logp_per_channel;
        let separates = pass.second_phase && step.mask.contains(&1);
        let boundary = separates.then(|| of_normals(l, &step.mask, options)).flatten();
        let settings = LossSettings {
            lambda: options.lambda,
            normalizer: options.normalizer,
            focal: options.focal && pass.second_phase,
        };
        let mut dl = vec![0.0; n];
        let parts = loss(l, &step.mask, boundary, settings, &mut dl);
        tape.backward(&self.flow, &prepared, at, &dl, &mut self.gradient);
        (self.prepared, self.tape) = (Some(prepared), Some(tape));
        self.steps += 1;
        let step = adam::Step {
            params: &mut self.flow.parameters,
            gradients: &self.gradient,
            m: &mut self.m,
            v: &mut self.v,
            learning_rate: pass.learning_rate,
            number: self.steps,
        };
        adam::adam(self.isa, step);
        report.steps += 1;
        report.loss.total += parts.total;
        report.loss.likelihood += parts.likelihood;
        report.loss.pull += parts.pull;
        report.loss.push += parts.push;
        report.boundary = boundary.map(|b| b.normal).or(report.boundary);
    }
}

/// The boundary of the step's own normal positions.
fn of_normals(l: &[f32], mask: &[u8], options: &TrainOptions) -> Option<Boundary> {
    let normal = l.iter().zip(mask).filter(|(_, m)| **m == 0);
    let mut hat: Vec<f32> = normal.map(|(l, _)| l / options.normalizer).collect();
    Boundary::find(&mut hat, options.beta, options.tau)
}

/// The feature vectors of one step.
#[derive(Default)]
struct Step {
    x: Vec<f32>,
    mask: Vec<u8>,
    column: Vec<u32>,
    row: Vec<u32>,
}

impl Step {
    fn gather(
        &mut self,
        features: &[&[f32]],
        batch: &[LevelImage<'_>],
        chosen: &[u32],
        positions: usize,
        width: usize,
    ) {
        let c = features[0].len() / positions;
        self.x.clear();
        self.mask.clear();
        self.column.clear();
        self.row.clear();
        for &index in chosen {
            let (image, position) = (index as usize / positions, index as usize % positions);
            self.x.extend_from_slice(&features[image][position * c..(position + 1) * c]);
            self.mask.push(batch[image].marks.map_or(0, |marks| marks[position]));
            self.column.push((position % width) as u32);
            self.row.push((position / width) as u32);
        }
    }
}
