//! A flow folded and packed for the kernels, and its forward pass.
//!
//! ```text
//! W2' = 0.1 W2,  b2' = 0.1 b2          R' = R diag(g),  r = R o          x' = R' [x1; y2] + r
//! T_x[column] = P_x[column] W1cx + b1  T_y[row] = P_y[row] W1cy
//! ```

use bgad_kernels::coupling::ColumnMap;
use bgad_kernels::gemm::{self, Activation, AffineOptions, Packed, Tables};
use bgad_kernels::{Isa, MatMut, MatRef, coupling};
use rayon::prelude::*;

use super::parameters::{Flow, FlowShape};
use super::{CLAMP, SUBNET_SCALE, TILE};
use crate::likelihood::logp_per_channel;
use crate::machine::{self, InstructionSetError};
use crate::position::{AXIS_CHANNELS, axis_code};

/// Where each row of a batch of features stood in its map.
#[derive(Clone, Copy, Debug)]
pub struct Positions<'a> {
    /// Column of each feature vector.
    pub column: &'a [u32],
    /// Row of each feature vector.
    pub row: &'a [u32],
}

impl<'a> Positions<'a> {
    /// The part of the batch in `range`.
    pub fn slice(self, range: std::ops::Range<usize>) -> Positions<'a> {
        Positions { column: &self.column[range.clone()], row: &self.row[range] }
    }
}

/// A flow in the form that runs: for one training step, or for good in a trained model.
#[derive(Clone, Debug)]
pub struct Prepared {
    pub(super) isa: Isa,
    pub(super) shape: FlowShape,
    /// Width and height of the feature map.
    pub(super) grid: (usize, usize),
    /// Row length of hidden layers and tables, see [`row_length`].
    pub(super) hidden_ld: usize,
    /// Codes of the columns and of the rows, `[n, 64]`.
    pub(super) codes: [Vec<f32>; 2],
    pub(super) blocks: Vec<PreparedBlock>,
    /// Σ ln g over all blocks and channels.
    log_scale: f32,
}

#[derive(Clone, Debug)]
pub(super) struct PreparedBlock {
    pub w1x: Packed,
    pub w2: Packed,
    pub b2: Vec<f32>,
    pub table_x: Vec<f32>,
    pub table_y: Vec<f32>,
    pub rotation: Packed,
    pub rotation_bias: Vec<f32>,
    pub g: Vec<f32>,
    pub o: Vec<f32>,
    pub backward: Option<PackedBackward>,
}

/// The transposed factors, for training only.
#[derive(Clone, Debug)]
pub(super) struct PackedBackward {
    pub w1x: Packed,
    pub w2: Packed,
    pub rotation: Packed,
}

/// `g` of a block: `0.1 softplus_β(γ)` with β = 0.5, linear above 20 as PyTorch's is.
pub(super) fn scale(gamma: f32) -> f64 {
    const BETA: f64 = 0.5;
    let x = BETA * f64::from(gamma);
    0.1 * if x > 20.0 { f64::from(gamma) } else { x.exp().ln_1p() / BETA }
}

/// `dg/dγ`.
pub(super) fn scale_slope(gamma: f32) -> f64 {
    let x = 0.5 * f64::from(gamma);
    if x > 20.0 { 0.1 } else { 0.1 / (1.0 + (-x).exp()) }
}

/// `R diag(g)` and `R o` of block `k`.
pub(super) fn rotation_of(flow: &Flow, k: usize, g: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let mut rotation = flow.rotation(k).to_vec();
    let offset = flow.block(k).offset;
    let rows = rotation.chunks_mut(g.len());
    let bias = rows.map(|row| {
        let bias = row.iter().zip(offset).map(|(r, o)| r * o).sum();
        row.iter_mut().zip(g).for_each(|(r, g)| *r *= g);
        bias
    });
    let bias = bias.collect();
    (rotation, bias)
}

/// The hidden width in whole vectors, and an odd number of cache lines: with a large power of two in the distance,
/// rows share few sets of the L1 cache, and walking down a column misses it.
fn row_length(hidden: usize, isa: Isa) -> usize {
    const LINE: usize = 16;
    let lines = isa.padded(hidden).div_ceil(LINE);
    (lines | 1) * LINE
}

impl Prepared {
    /// Folds and packs `flow` for a feature map of `grid = (width, height)` positions; with the transposed factors
    /// if `training`.
    ///
    /// # Errors
    ///
    /// An [`InstructionSetError`] if the machine does not have what was asked for.
    pub fn new(flow: &Flow, grid: (usize, usize), training: bool) -> Result<Prepared, InstructionSetError> {
        Ok(Prepared::on(machine::isa()?, flow, grid, training))
    }

    /// As [`Prepared::new`], on an instruction set of choice.
    pub(crate) fn on(isa: Isa, flow: &Flow, grid: (usize, usize), training: bool) -> Prepared {
        let shape = flow.shape;
        let hidden_ld = row_length(shape.hidden(), isa);
        let mut prepared = Prepared {
            isa,
            shape,
            grid,
            hidden_ld,
            codes: [axis_code(grid.0), axis_code(grid.1)],
            blocks: vec![PreparedBlock::zeros(shape, grid, isa, training); shape.blocks],
            log_scale: 0.0,
        };
        prepared.update(flow);
        prepared
    }

    /// Folds and packs the changed parameters of a flow of the same shape, into the memory there is.
    ///
    /// # Panics
    ///
    /// If the shape is another one.
    pub fn update(&mut self, flow: &Flow) {
        assert_eq!(flow.shape, self.shape, "prepared for another shape");
        let Prepared { isa, hidden_ld, codes, blocks, .. } = self;
        let log_g: Vec<f64> = blocks
            .par_iter_mut()
            .enumerate()
            .map(|(k, block)| block.fold(flow, k, codes, *isa, *hidden_ld))
            .collect();
        self.log_scale = log_g.iter().sum::<f64>() as f32;
    }

    /// Sizes of the flow.
    pub fn shape(&self) -> FlowShape {
        self.shape
    }

    /// Log-likelihood per channel of each of the feature vectors `x`, `[n, C]`, into `out`, `[n]`.
    ///
    /// # Panics
    ///
    /// If lengths disagree or a position lies outside the map.
    pub fn likelihood(&self, x: &[f32], at: Positions<'_>, scratch: &mut Scratch, out: &mut [f32]) {
        let (c, n) = (self.shape.channels, out.len());
        assert!(x.len() == n * c && at.column.len() == n && at.row.len() == n, "{n} vectors of {c} channels");
        for first in (0..n).step_by(TILE) {
            let rows = TILE.min(n - first);
            let Scratch { hidden, a, x2, tanh, v, next, .. } = scratch;
            let (mut v, mut next) = (&mut v[..rows * c], &mut next[..rows * c]);
            v.copy_from_slice(&x[first * c..(first + rows) * c]);
            let at = at.slice(first..first + rows);
            let (mut log_det, mut energy) = ([0.0; TILE], [0.0; TILE]);
            for (k, block) in self.blocks.iter().enumerate() {
                let log_det = &mut log_det[..rows];
                self.couple(block, at, Coupled { v: &mut *v, hidden, a, x2, tanh, log_det });
                if k + 1 < self.blocks.len() {
                    self.rotate(block, v, next);
                    std::mem::swap(&mut v, &mut next);
                } else {
                    let v = MatRef::dense(v, rows, c);
                    coupling::scaled_energy(self.isa, v, block.map(), &mut energy[..rows]);
                }
            }
            for (r, out) in out[first..first + rows].iter_mut().enumerate() {
                *out = self.logp(energy[r], log_det[r]);
            }
        }
    }

    /// `l` from a row's energy and the sum of its couplings' log-scales.
    pub(super) fn logp(&self, energy: f32, coupling_log_det: f32) -> f32 {
        logp_per_channel(energy, coupling_log_det + self.log_scale, self.shape.channels)
    }

    /// The coupling of one block on a tile: `v` becomes `[x1; y2]`.
    pub(super) fn couple(&self, block: &PreparedBlock, at: Positions<'_>, tile: Coupled<'_>) {
        let Coupled { v, hidden, a, x2, tanh, log_det } = tile;
        let (rows, d2) = (log_det.len(), self.shape.active());
        self.hidden(block, v, at, hidden);
        let bias = AffineOptions { bias: Some(&block.b2), ..Default::default() };
        gemm::affine(self.units(hidden, rows), &block.w2, bias, MatMut::dense(a, rows, 2 * d2));
        let rows = coupling::Forward {
            v: self.active_half(v, rows),
            a: MatRef::dense(a, rows, 2 * d2),
            x: MatMut::dense(x2, rows, d2),
            tanh: MatMut::dense(tanh, rows, d2),
            log_det,
        };
        coupling::forward(self.isa, CLAMP, rows);
    }

    /// The hidden layer of one block on a tile, from the passive half of `v`.
    pub(super) fn hidden(&self, block: &PreparedBlock, v: &[f32], at: Positions<'_>, hidden: &mut [f32]) {
        let ((w, h), ld, rows) = (self.grid, self.hidden_ld, at.column.len());
        let tables = Tables {
            x: MatRef::dense(&block.table_x, w, ld),
            y: MatRef::dense(&block.table_y, h, ld),
            column: at.column,
            row: at.row,
        };
        let to = MatMut::dense(hidden, rows, ld);
        gemm::relu_from_tables(self.passive_half(v, rows), &block.w1x, tables, to);
    }

    /// `next = R' v + r` on a tile.
    pub(super) fn rotate(&self, block: &PreparedBlock, v: &[f32], next: &mut [f32]) {
        let c = self.shape.channels;
        let bias =
            AffineOptions { bias: Some(&block.rotation_bias), activation: Activation::None, residual: None };
        let rows = v.len() / c;
        gemm::affine(MatRef::dense(v, rows, c), &block.rotation, bias, MatMut::dense(next, rows, c));
    }

    /// The first halves of a tile's rows, which the coupling leaves alone.
    pub(super) fn passive_half<'v>(&self, v: &'v [f32], rows: usize) -> MatRef<'v> {
        MatRef::dense(v, rows, self.shape.channels).columns(0..self.shape.passive())
    }

    /// The second halves of a tile's rows, which the coupling changes.
    pub(super) fn active_half<'v>(&self, v: &'v mut [f32], rows: usize) -> MatMut<'v> {
        let c = self.shape.channels;
        MatMut::dense(v, rows, c).columns(self.shape.passive()..c)
    }

    /// A tile's hidden layer without the padding.
    pub(super) fn units<'v>(&self, hidden: &'v [f32], rows: usize) -> MatRef<'v> {
        MatRef::strided(hidden, rows, self.shape.hidden(), self.hidden_ld)
    }
}

/// What [`Prepared::couple`] works on: a tile of the block's input, and buffers for the tile.
pub(super) struct Coupled<'a> {
    pub v: &'a mut [f32],
    pub hidden: &'a mut [f32],
    pub a: &'a mut [f32],
    pub x2: &'a mut [f32],
    pub tanh: &'a mut [f32],
    /// One a row of the tile; added to.
    pub log_det: &'a mut [f32],
}

impl PreparedBlock {
    /// `u = v g + o`.
    pub(super) fn map(&self) -> ColumnMap<'_> {
        ColumnMap { g: &self.g, o: &self.o }
    }

    fn zeros(shape: FlowShape, grid: (usize, usize), isa: Isa, training: bool) -> PreparedBlock {
        let (c, d1, a, h) = (shape.channels, shape.passive(), 2 * shape.active(), shape.hidden());
        let ld = row_length(h, isa);
        PreparedBlock {
            w1x: Packed::zeros(isa, d1, h),
            w2: Packed::zeros(isa, h, a),
            b2: vec![0.0; a],
            table_x: vec![0.0; grid.0 * ld],
            table_y: vec![0.0; grid.1 * ld],
            rotation: Packed::zeros(isa, c, c),
            rotation_bias: vec![0.0; c],
            g: vec![0.0; c],
            o: vec![0.0; c],
            backward: training.then(|| PackedBackward {
                w1x: Packed::zeros(isa, h, d1),
                w2: Packed::zeros(isa, a, h),
                rotation: Packed::zeros(isa, c, c),
            }),
        }
    }

    /// Takes the parameters of block `k`; `Σ ln g`.
    fn fold(&mut self, flow: &Flow, k: usize, codes: &[Vec<f32>; 2], isa: Isa, ld: usize) -> f64 {
        let (shape, parts) = (flow.shape, flow.block(k));
        let (c, h) = (shape.channels, shape.hidden());
        let mut log_g = 0.0;
        for (g, &gamma) in self.g.iter_mut().zip(parts.gamma) {
            let scale = scale(gamma);
            log_g += scale.ln();
            *g = scale as f32;
        }
        self.o.copy_from_slice(parts.offset);
        let (rotation, rotation_bias) = rotation_of(flow, k, &self.g);
        self.rotation_bias = rotation_bias;
        let (d1, a) = (shape.passive(), 2 * shape.active());
        let (w1x, w2) = (MatRef::dense(parts.w1x, d1, h), MatRef::dense(parts.w2, a, h));
        let rotation = MatRef::dense(&rotation, c, c);
        self.w1x.set(w1x);
        self.w2.set_transposed(w2);
        self.w2.scale(SUBNET_SCALE);
        self.b2.iter_mut().zip(parts.b2).for_each(|(to, b)| *to = SUBNET_SCALE * b);
        self.rotation.set_transposed(rotation);
        if let Some(backward) = &mut self.backward {
            backward.w1x.set_transposed(w1x);
            backward.w2.set(w2);
            backward.w2.scale(SUBNET_SCALE);
            backward.rotation.set(rotation);
        }
        // Codes are few and the weights are used once: they are read as they lie, the codes transposed.
        let (w1c_x, w1c_y) = parts.w1c.split_at(AXIS_CHANNELS * h);
        let tables = [(&mut self.table_x, w1c_x), (&mut self.table_y, w1c_y)];
        for (i, ((table, w1c), code)) in tables.into_iter().zip(codes).enumerate() {
            let n = code.len() / AXIS_CHANNELS;
            let transposed: Vec<f32> =
                (0..AXIS_CHANNELS).flat_map(|j| (0..n).map(move |p| code[p * AXIS_CHANNELS + j])).collect();
            for row in table.chunks_exact_mut(ld) {
                if i == 0 { row[..h].copy_from_slice(parts.b1) } else { row[..h].fill(0.0) }
            }
            let codes = MatRef::dense(&transposed, AXIS_CHANNELS, n);
            let weights = MatRef::dense(w1c, AXIS_CHANNELS, h);
            gemm::accumulate_transposed(isa, codes, weights, MatMut::strided(table, n, h, ld));
        }
        log_g
    }
}

/// Buffers of one tile, reused from tile to tile.
#[derive(Clone, Debug)]
pub struct Scratch {
    pub(super) hidden: Vec<f32>,
    pub(super) dhidden: Vec<f32>,
    pub(super) a: Vec<f32>,
    pub(super) x2: Vec<f32>,
    pub(super) tanh: Vec<f32>,
    pub(super) v: Vec<f32>,
    pub(super) next: Vec<f32>,
}

impl Scratch {
    /// Buffers for the flows of this shape.
    pub fn new(prepared: &Prepared) -> Scratch {
        let (shape, ld) = (prepared.shape, prepared.hidden_ld);
        let rows = |width: usize| vec![0.0; TILE * width];
        Scratch {
            hidden: rows(ld),
            dhidden: rows(ld),
            a: rows(2 * shape.active()),
            x2: rows(shape.active()),
            tanh: rows(shape.active()),
            v: rows(shape.channels),
            next: rows(shape.channels),
        }
    }
}
