//! One inverted-residual block, run band by band.
//!
//! ```text
//! e = act( E x + b_e )             pointwise, six times the channels; absent in the first stage
//! d = act( D * e + b_d )           depthwise
//! g = gate( mean d )               squeeze and excitation, where the network has it
//! y = P (g ⊙ d) + b_p  [+ x]       pointwise
//! ```
//!
//! The numbers are those of [`load`](super::load). The expanded maps are never stored whole: the depthwise convolution needs `kernel` rows of `e`, which live in a ring
//! of padded rows, and without a gate the projection follows as soon as a band of `d` is ready. Threads share the rows of
//! the result out; at a seam both make the few rows of `e` that both kernels see.

use std::ops::Range;

use bgad_kernels::depthwise::{Depthwise, DepthwiseShape, Same};
use bgad_kernels::gemm::{self, Activation, AffineOptions, Packed};
use bgad_kernels::squeeze_excite::SqueezeExcite;
use bgad_kernels::stem::Stem;
use bgad_kernels::{Isa, MatMut, MatRef};

use super::super::layers::{BlockLayers, Convolution, Gate};
use super::super::spread::{at_least, spread};
use super::BlockPlan;

/// Positions of a band of the result: enough rows to keep the weights of the projection in use.
const BAND_POSITIONS: usize = 128;

/// Positions that are expanded at once: rows of a small map go together, or its many weights would be read anew for
/// each of them.
const AHEAD_POSITIONS: usize = 64;

/// A pointwise convolution.
#[derive(Debug)]
struct Pointwise {
    weights: Packed,
    bias: Vec<f32>,
}

impl Pointwise {
    fn new(layer: &Convolution, isa: Isa) -> Pointwise {
        let output = layer.bias.len();
        let weights = MatRef::dense(&layer.weights, output, layer.weights.len() / output);
        Pointwise { weights: Packed::transposed(isa, weights), bias: layer.bias.clone() }
    }
}

/// One block with its weights.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) plan: BlockPlan,
    activation: Activation,
    expand: Option<Pointwise>,
    depthwise: Depthwise,
    squeeze: Option<SqueezeExcite>,
    project: Pointwise,
}

/// Where the rows of a block's input come from.
#[derive(Clone, Copy)]
pub(super) enum Source<'a> {
    /// A feature map `[h, w, input channels]`.
    Map(&'a [f32]),
    /// The image, `[h, w, 3]` with its height and width, through the stem.
    Image(&'a Stem, &'a [f32], [usize; 2]),
}

/// Buffers of one thread, grown to the largest need and then reused.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// Padded rows of the expanded map, as many as the kernel has.
    ring: Vec<f32>,
    /// The row outside the picture.
    zeros: Vec<f32>,
    /// Rows of the expanded map that were made together and wait for their place in the ring.
    ahead: Vec<f32>,
    /// Three padded rows of the image.
    image_rows: Vec<f32>,
    /// Results of the depthwise convolution that wait for their projection.
    band: Vec<f32>,
}

/// Buffers that the threads share: what a gate needs before anything can be projected.
#[derive(Debug, Default)]
pub(super) struct Whole {
    /// Results of the depthwise convolution.
    depthwise: Vec<f32>,
    /// Sums over the positions of each row.
    sums: Vec<f32>,
    gate: Vec<f32>,
    hidden: Vec<f32>,
    /// Made by the first gate.
    gated: Option<Packed>,
}

impl Block {
    /// Packs the layers of a block for the kernels.
    pub(super) fn new(plan: BlockPlan, layers: &BlockLayers, isa: Isa) -> Block {
        let (expand, depthwise, project) = match layers.body.as_slice() {
            [expand, depthwise, project] => (Some(expand), depthwise, project),
            [depthwise, project] => (None, depthwise, project),
            other => panic!("a block of {} convolutions", other.len()),
        };
        let activation = depthwise.activation;
        let BlockPlan { expanded, kernel, stride, .. } = plan;
        let shape = DepthwiseShape { kernel, stride, channels: expanded, activation };
        let squeeze = layers.gate.as_ref().map(|Gate { reduce, expand, .. }| {
            SqueezeExcite::new(isa, &reduce.weights, &reduce.bias, &expand.weights, &expand.bias)
        });
        Block {
            plan,
            activation,
            expand: expand.map(|layer| Pointwise::new(layer, isa)),
            depthwise: Depthwise::new(isa, shape, &depthwise.weights, &depthwise.bias),
            squeeze,
            project: Pointwise::new(project, isa),
        }
    }

    /// Height and width of the result for an input of `h` by `w`.
    pub(super) fn output_size(&self, [h, w]: [usize; 2]) -> [usize; 2] {
        [h.div_ceil(self.plan.stride), w.div_ceil(self.plan.stride)]
    }

    /// Writes the result, `[h, w, output channels]` of [`Block::output_size`], to `out`; `size` is the input's. The
    /// rows are shared out to as many threads as there are scratches, and are the same bits for any number of them.
    pub(super) fn run(
        &self,
        source: Source<'_>,
        size: [usize; 2],
        whole: &mut Whole,
        threads: &mut [Scratch],
        out: &mut [f32],
    ) {
        let [height, width] = self.output_size(size);
        let (d_row, y_row) = (width * self.plan.expanded, width * self.plan.output);
        let each = height.div_ceil(threads.len());
        let Some(squeeze) = &self.squeeze else {
            let band_rows = BAND_POSITIONS.div_ceil(width).min(height);
            spread(threads, out.chunks_mut(each * y_row), |part, scratch, out| {
                let first = part * each;
                let mut band = std::mem::take(&mut scratch.band);
                at_least(&mut band, band_rows * d_row);
                let mut rows = Rows::new(self, source, size, first..first + out.len() / y_row, scratch);
                for (i, out) in out.chunks_mut(band_rows * y_row).enumerate() {
                    let band = &mut band[..out.len() / y_row * d_row];
                    band.chunks_exact_mut(d_row).for_each(|d| rows.next_into(d));
                    let first = (first + i * band_rows) * y_row;
                    self.projected(band, &self.project.weights, source, first, out);
                }
                scratch.band = band;
            });
            return;
        };

        let Whole { depthwise, sums, gate, hidden, gated } = whole;
        let padded = squeeze.padded_channels();
        let depthwise = at_least(depthwise, height * d_row);
        let sums = at_least(sums, height * padded);
        let parts = depthwise.chunks_mut(each * d_row).zip(sums.chunks_mut(each * padded));
        spread(threads, parts, |part, scratch, (d, sums)| {
            let first = part * each;
            let mut rows = Rows::new(self, source, size, first..first + sums.len() / padded, scratch);
            sums.fill(0.0);
            for (d, sums) in d.chunks_exact_mut(d_row).zip(sums.chunks_exact_mut(padded)) {
                rows.next_into(d);
                squeeze.add_sums(d, sums);
            }
        });
        // Row after row, whoever summed it: the gate does not depend on the number of threads.
        gate.clear();
        gate.resize(padded, 0.0);
        for sums in sums.chunks_exact(padded) {
            gate.iter_mut().zip(sums).for_each(|(gate, sum)| *gate += sum);
        }
        squeeze.gate_mut(gate, height * width, hidden);
        let gated = gated.get_or_insert_with(|| self.project.weights.clone());
        self.project.weights.scale_rows_into(gate, gated);
        spread(threads, out.chunks_mut(each * y_row), |part, _, out| {
            let first = part * each;
            self.projected(&depthwise[first * d_row..], gated, source, first * y_row, out);
        });
    }

    /// Projects rows of the depthwise convolution to `out`, which begins at value `first` of the block's result.
    fn projected(&self, d: &[f32], weights: &Packed, source: Source<'_>, first: usize, out: &mut [f32]) {
        let BlockPlan { expanded, output, .. } = self.plan;
        let rows = out.len() / output;
        let residual = match source {
            Source::Map(map) if self.plan.has_residual() => {
                Some(MatRef::dense(&map[first..first + out.len()], rows, output))
            }
            _ => None,
        };
        let options =
            AffineOptions { bias: Some(&self.project.bias), activation: Activation::None, residual };
        let (d, out) = (MatRef::dense(d, rows, expanded), MatMut::dense(out, rows, output));
        gemm::affine(d, weights, options, out);
    }
}

/// The rows of a depthwise convolution that one thread makes, from the top.
struct Rows<'a> {
    block: &'a Block,
    source: Source<'a>,
    size: [usize; 2],
    scratch: &'a mut Scratch,
    /// Row of the result that comes next.
    next: usize,
    /// Rows of the expanded map that were made: all below this that are still needed lie in the ring.
    made: usize,
    /// Rows of the expanded map that wait in `ahead`.
    waiting: Range<usize>,
    /// Where the last row of the result ends in the expanded map.
    end: usize,
}

impl<'a> Rows<'a> {
    fn new(
        block: &'a Block,
        source: Source<'a>,
        size: [usize; 2],
        results: Range<usize>,
        scratch: &'a mut Scratch,
    ) -> Rows<'a> {
        let BlockPlan { kernel, stride, expanded, .. } = block.plan;
        let [rows, columns] = size.map(|length| Same::new(length, kernel, stride));
        let pitch = columns.padded * expanded;
        at_least(&mut scratch.zeros, pitch);
        for row in at_least(&mut scratch.ring, kernel * pitch).chunks_exact_mut(pitch) {
            row[..columns.before * expanded].fill(0.0);
            row[(columns.before + size[1]) * expanded..].fill(0.0);
        }
        let made = (results.start * stride).saturating_sub(rows.before);
        let end = ((results.end - 1) * stride + kernel).saturating_sub(rows.before).min(size[0]);
        Rows { block, source, size, scratch, next: results.start, made, waiting: made..made, end }
    }

    /// Writes the next row of the result to `d`.
    fn next_into(&mut self, d: &mut [f32]) {
        let BlockPlan { kernel, stride, expanded, .. } = self.block.plan;
        let [rows, columns] = self.size.map(|length| Same::new(length, kernel, stride));
        let (pitch, left) = (columns.padded * expanded, columns.before * expanded);
        // The first row that the kernel sees, counted with the padding.
        let top = self.next * stride;
        let bottom = (top + kernel).saturating_sub(rows.before).min(self.size[0]);
        while self.made < bottom {
            self.expand(self.made % kernel * pitch + left);
            self.made += 1;
        }
        let Scratch { ring, zeros, .. } = &*self.scratch;
        let mut seen: [&[f32]; 5] = [&[]; 5];
        for (k, seen) in seen.iter_mut().enumerate().take(kernel) {
            *seen = match (top + k).checked_sub(rows.before) {
                Some(y) if y < self.size[0] => &ring[y % kernel * pitch..][..pitch],
                _ => &zeros[..pitch],
            };
        }
        self.block.depthwise.row(&seen[..kernel], d);
        self.next += 1;
    }

    /// Writes row `made` of the map that the depthwise convolution sees to the ring, from value `at` on.
    fn expand(&mut self, at: usize) {
        let (y, width) = (self.made, self.size[1]);
        let Scratch { ring, ahead, image_rows, .. } = &mut *self.scratch;
        let BlockPlan { input, expanded, .. } = self.block.plan;
        let slot = &mut ring[at..at + width * expanded];
        match (self.source, &self.block.expand) {
            (Source::Map(map), Some(expand)) => {
                let options = AffineOptions {
                    bias: Some(&expand.bias),
                    activation: self.block.activation,
                    residual: None,
                };
                let made_of = |rows: Range<usize>, to: &mut [f32]| {
                    let n = rows.len() * width;
                    let x = MatRef::dense(&map[rows.start * width * input..], n, input);
                    gemm::affine(x, &expand.weights, options, MatMut::dense(to, n, expanded));
                };
                if width >= AHEAD_POSITIONS {
                    return made_of(y..y + 1, slot);
                }
                if !self.waiting.contains(&y) {
                    self.waiting = y..(y + AHEAD_POSITIONS.div_ceil(width)).min(self.end);
                    let count = self.waiting.len() * slot.len();
                    made_of(self.waiting.clone(), at_least(ahead, count));
                }
                slot.copy_from_slice(&ahead[(y - self.waiting.start) * slot.len()..][..slot.len()]);
            }
            (Source::Map(map), None) => slot.copy_from_slice(&map[y * slot.len()..][..slot.len()]),
            (Source::Image(stem, image, size), _) => stem_row(stem, image, size, y, image_rows, slot),
        }
    }
}

/// Row `y` of the stem's result.
fn stem_row(
    stem: &Stem,
    image: &[f32],
    size: [usize; 2],
    y: usize,
    image_rows: &mut Vec<f32>,
    slot: &mut [f32],
) {
    let [rows, columns] = size.map(|length| Same::new(length, 3, 2));
    let (pitch, left, width) = (columns.padded * 3, columns.before * 3, size[1] * 3);
    let padded = at_least(image_rows, 3 * pitch);
    for (k, padded) in padded.chunks_exact_mut(pitch).enumerate() {
        padded.fill(0.0);
        if let Some(y) = (2 * y + k).checked_sub(rows.before).filter(|&y| y < size[0]) {
            padded[left..left + width].copy_from_slice(&image[y * width..][..width]);
        }
    }
    stem.row([&padded[..pitch], &padded[pitch..2 * pitch], &padded[2 * pitch..]], slot);
}
