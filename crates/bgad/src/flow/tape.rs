//! The backward pass: what forward keeps, and the gradients that come of it.
//!
//! ```text
//! dlogp = dl / C        dlog_det = dlogp        du = −u dlogp                        (last block, no rotation)
//! dv    = dx' R'        do = Σ dv / g           dγ = (Σ dv v + Σ dlogp) / g · dg/dγ
//! da    from dv[D1:]    dW2 = 0.1 Σ daᵀ h       db2 = 0.1 Σ da
//! dh    = (da W2') where h > 0                  dT_x[column] += dh,  dT_y[row] += dh
//! dW1x  = Σ x1ᵀ dh      dx1 = dv[:D1] + dh W1x
//! dW1cx = P_xᵀ dT_x     dW1cy = P_yᵀ dT_y       db1 = Σ dT_x
//! ```
//!
//! A step is cut into chunks of rows, the same ones for any number of threads; each has its own gradients, and they
//! are added in the order of the chunks: equal bits whoever did the work.

use std::ops::Range;

use bgad_kernels::gemm::{self, TablesMut};
use bgad_kernels::{MatMut, MatRef, coupling};
use rayon::prelude::*;

use super::parameters::{Flow, FlowShape};
use super::prepared::{Coupled, Positions, Prepared, Scratch, scale_slope};
use super::{CLAMP, SUBNET_SCALE, TILE};
use crate::position::AXIS_CHANNELS;

/// Most chunks of a step, and so the most threads that can share one.
const MOST_CHUNKS: usize = 8;

/// What one forward pass over a step's rows left for its backward pass. Reused from step to step.
#[derive(Debug)]
pub struct Tape {
    chunks: Vec<Chunk>,
    /// Log-likelihood per channel of each row of the last forward pass.
    pub logp_per_channel: Vec<f32>,
}

#[derive(Debug)]
struct Chunk {
    rows: Range<usize>,
    /// Per block `[rows, C]`: the block's input, its second half overwritten by `y2`.
    v: Vec<Vec<f32>>,
    /// Per block `[rows, D2]`.
    x2: Vec<Vec<f32>>,
    tanh: Vec<Vec<f32>>,
    gradients: Vec<BlockGradients>,
    scratch: Scratch,
}

/// Sums over a chunk's rows, one block.
#[derive(Clone, Debug)]
struct BlockGradients {
    dv: Vec<f32>,
    dv_v: Vec<f32>,
    w1x: Vec<f32>,
    w2: Vec<f32>,
    a: Vec<f32>,
    table_x: Vec<f32>,
    table_y: Vec<f32>,
}

impl BlockGradients {
    fn zeros(prepared: &Prepared) -> Self {
        let (shape, ld, (w, h)) = (prepared.shape, prepared.hidden_ld, prepared.grid);
        BlockGradients {
            dv: vec![0.0; shape.channels],
            dv_v: vec![0.0; shape.channels],
            w1x: vec![0.0; shape.passive() * shape.hidden()],
            w2: vec![0.0; 2 * shape.active() * shape.hidden()],
            a: vec![0.0; 2 * shape.active()],
            table_x: vec![0.0; w * ld],
            table_y: vec![0.0; h * ld],
        }
    }

    fn parts_mut(&mut self) -> [&mut Vec<f32>; 7] {
        let BlockGradients { dv, dv_v, w1x, w2, a, table_x, table_y } = self;
        [dv, dv_v, w1x, w2, a, table_x, table_y]
    }

    fn parts(&self) -> [&Vec<f32>; 7] {
        let BlockGradients { dv, dv_v, w1x, w2, a, table_x, table_y } = self;
        [dv, dv_v, w1x, w2, a, table_x, table_y]
    }
}

impl Tape {
    /// A tape for steps of `n` rows through flows like `prepared`.
    pub fn new(prepared: &Prepared, n: usize) -> Tape {
        let size = n.div_ceil(MOST_CHUNKS).next_multiple_of(TILE);
        let shape = prepared.shape;
        let chunks = (0..n)
            .step_by(size)
            .map(|first| {
                let rows = first..(first + size).min(n);
                let keep = |width: usize| vec![vec![0.0; rows.len() * width]; shape.blocks];
                Chunk {
                    v: keep(shape.channels),
                    x2: keep(shape.active()),
                    tanh: keep(shape.active()),
                    gradients: vec![BlockGradients::zeros(prepared); shape.blocks],
                    scratch: Scratch::new(prepared),
                    rows,
                }
            })
            .collect();
        Tape { chunks, logp_per_channel: vec![0.0; n] }
    }

    /// Rows of a step.
    pub fn rows(&self) -> usize {
        self.logp_per_channel.len()
    }

    /// Runs `x`, `[n, C]`, through the flow; the likelihoods are in [`Tape::logp_per_channel`].
    ///
    /// # Panics
    ///
    /// If lengths disagree or a position lies outside the map.
    pub fn forward(&mut self, prepared: &Prepared, x: &[f32], at: Positions<'_>) {
        let (c, n) = (prepared.shape.channels, self.rows());
        assert!(x.len() == n * c && at.column.len() == n && at.row.len() == n, "{n} vectors of {c} channels");
        let mut outputs = Vec::with_capacity(self.chunks.len());
        let mut rest = self.logp_per_channel.as_mut_slice();
        for chunk in &self.chunks {
            let (out, tail) = rest.split_at_mut(chunk.rows.len());
            outputs.push(out);
            rest = tail;
        }
        self.chunks.par_iter_mut().zip(outputs).for_each(|(chunk, out)| {
            let rows = chunk.rows.clone();
            chunk.v[0].copy_from_slice(&x[rows.start * c..rows.end * c]);
            chunk.forward(prepared, at.slice(rows), out);
        });
    }

    /// The gradient of a loss with respect to every parameter, from its gradient `dl` with respect to each `l` of the
    /// last forward pass. `gradient` has the layout of [`Flow::parameters`] and is overwritten.
    ///
    /// # Panics
    ///
    /// If `prepared` was not made for training or lengths disagree.
    pub fn backward(
        &mut self,
        flow: &Flow,
        prepared: &Prepared,
        at: Positions<'_>,
        dl: &[f32],
        gradient: &mut [f32],
    ) {
        let shape = prepared.shape;
        assert_eq!(dl.len(), self.rows(), "one gradient a row");
        assert_eq!(gradient.len(), shape.len(), "one gradient a parameter");
        let inverse_channels = 1.0 / shape.channels as f32;
        let dlogp: Vec<f32> = dl.iter().map(|d| d * inverse_channels).collect();
        self.chunks.par_iter_mut().for_each(|chunk| {
            let rows = chunk.rows.clone();
            chunk.backward(prepared, at.slice(rows.clone()), &dlogp[rows]);
        });
        let total_dlogp: f64 = dlogp.iter().map(|&d| f64::from(d)).sum();
        // The sums grow in the first chunk's memory; the next backward pass begins with zeros.
        let (first, rest) = self.chunks.split_first_mut().expect("a step has rows");
        let (sums, rest) = (&mut first.gradients, &*rest);
        sums.par_iter_mut().zip(gradient.par_chunks_mut(shape.block_len())).enumerate().for_each(
            |(k, (sum, out))| {
                for chunk in rest {
                    for (sum, part) in sum.parts_mut().into_iter().zip(chunk.gradients[k].parts()) {
                        sum.iter_mut().zip(part).for_each(|(s, p)| *s += p);
                    }
                }
                finish_block(flow, prepared, k, sum, total_dlogp, out);
            },
        );
    }
}

impl Chunk {
    fn forward(&mut self, prepared: &Prepared, at: Positions<'_>, out: &mut [f32]) {
        let (c, d2) = (prepared.shape.channels, prepared.shape.active());
        let isa = prepared.isa;
        for (tile, out) in out.chunks_mut(TILE).enumerate() {
            let rows = tile * TILE..tile * TILE + out.len();
            let at = at.slice(rows.clone());
            let (whole, half) = (rows.start * c..rows.end * c, rows.start * d2..rows.end * d2);
            let (mut log_det, mut energy) = ([0.0; TILE], [0.0; TILE]);
            for (k, block) in prepared.blocks.iter().enumerate() {
                let (before, after) = self.v.split_at_mut(k + 1);
                let v = &mut before[k][whole.clone()];
                let Scratch { hidden, a, .. } = &mut self.scratch;
                let (x2, tanh) = (&mut self.x2[k][half.clone()], &mut self.tanh[k][half.clone()]);
                let log_det = &mut log_det[..out.len()];
                prepared.couple(block, at, Coupled { v: &mut *v, hidden, a, x2, tanh, log_det });
                match after.first_mut() {
                    Some(next) => prepared.rotate(block, v, &mut next[whole.clone()]),
                    None => {
                        let v = MatRef::dense(v, out.len(), c);
                        coupling::scaled_energy(isa, v, block.map(), &mut energy[..out.len()]);
                    }
                }
            }
            for (r, out) in out.iter_mut().enumerate() {
                *out = prepared.logp(energy[r], log_det[r]);
            }
        }
    }

    fn backward(&mut self, prepared: &Prepared, at: Positions<'_>, dlogp: &[f32]) {
        for gradients in &mut self.gradients {
            gradients.parts_mut().into_iter().for_each(|part| part.fill(0.0));
        }
        for (tile, dlogp) in dlogp.chunks(TILE).enumerate() {
            let rows = tile * TILE..tile * TILE + dlogp.len();
            self.backward_tile(prepared, at.slice(rows.clone()), rows, dlogp);
        }
    }

    fn backward_tile(&mut self, prepared: &Prepared, at: Positions<'_>, rows: Range<usize>, dlogp: &[f32]) {
        let (shape, isa, ld, n) = (prepared.shape, prepared.isa, prepared.hidden_ld, dlogp.len());
        let (w, height) = prepared.grid;
        let (c, d1, d2, h) = (shape.channels, shape.passive(), shape.active(), shape.hidden());
        let Scratch { hidden, dhidden, a: da, v: dv, next: dx, .. } = &mut self.scratch;
        let (mut dv, mut dx) = (&mut dv[..n * c], &mut dx[..n * c]);
        for (k, block) in prepared.blocks.iter().enumerate().rev() {
            let packed = block.backward.as_ref().expect("prepared for training");
            let sums = &mut self.gradients[k];
            let v = &self.v[k][rows.start * c..rows.end * c];
            let half = rows.start * d2..rows.end * d2;
            if k + 1 == prepared.blocks.len() {
                let mut weight = [0.0; TILE];
                weight.iter_mut().zip(dlogp).for_each(|(w, d)| *w = -d);
                let (v, dv) = (MatRef::dense(v, n, c), MatMut::dense(dv, n, c));
                coupling::scaled_energy_backward(isa, v, block.map(), &weight[..n], dv);
            } else {
                let (dx, dv) = (MatRef::dense(dx, n, c), MatMut::dense(dv, n, c));
                gemm::affine(dx, &packed.rotation, Default::default(), dv);
            }
            let rows = MatRef::dense(v, n, c);
            coupling::column_moments(isa, MatRef::dense(dv, n, c), rows, &mut sums.dv, &mut sums.dv_v);
            let coupled = coupling::Backward {
                dv: prepared.active_half(dv, n),
                x: MatRef::dense(&self.x2[k][half.clone()], n, d2),
                tanh: MatRef::dense(&self.tanh[k][half], n, d2),
                dlog_det: dlogp,
                da: MatMut::dense(da, n, 2 * d2),
                da_sum: &mut sums.a,
            };
            coupling::backward(isa, CLAMP, coupled);
            // The passive half of `v` is the block's input still, so the hidden layer can be made again from it.
            prepared.hidden(block, v, at, hidden);
            let da = MatRef::dense(da, n, 2 * d2);
            let dw2 = MatMut::dense(&mut sums.w2, 2 * d2, h);
            gemm::accumulate_transposed(isa, da, prepared.units(hidden, n), dw2);
            let tables = TablesMut {
                x: MatMut::dense(&mut sums.table_x, w, ld),
                y: MatMut::dense(&mut sums.table_y, height, ld),
                column: at.column,
                row: at.row,
            };
            let gate = MatRef::dense(hidden, n, ld);
            gemm::gated_into_tables(da, &packed.w2, gate, tables, MatMut::dense(dhidden, n, ld));
            let dhidden = prepared.units(dhidden, n);
            let dw1x = MatMut::dense(&mut sums.w1x, d1, h);
            gemm::accumulate_transposed(isa, prepared.passive_half(v, n), dhidden, dw1x);
            if k > 0 {
                gemm::accumulate(dhidden, &packed.w1x, MatMut::dense(dv, n, c).columns(0..d1));
                std::mem::swap(&mut dv, &mut dx);
            }
        }
    }
}

/// Turns the sums over all rows into the gradient of block `k`'s parameters.
fn finish_block(
    flow: &Flow,
    prepared: &Prepared,
    k: usize,
    sum: &BlockGradients,
    total_dlogp: f64,
    out: &mut [f32],
) {
    let (shape, isa, ld): (FlowShape, _, _) = (prepared.shape, prepared.isa, prepared.hidden_ld);
    let h = shape.hidden();
    let (gamma, g) = (flow.block(k).gamma, &prepared.blocks[k].g);
    let out = shape.split_mut(out);
    for j in 0..shape.channels {
        let g = f64::from(g[j]);
        out.gamma[j] = ((f64::from(sum.dv_v[j]) + total_dlogp) / g * scale_slope(gamma[j])) as f32;
        out.offset[j] = (f64::from(sum.dv[j]) / g) as f32;
    }
    out.w1x.copy_from_slice(&sum.w1x);
    out.w2.iter_mut().zip(&sum.w2).for_each(|(out, w)| *out = SUBNET_SCALE * w);
    out.b2.iter_mut().zip(&sum.a).for_each(|(out, a)| *out = SUBNET_SCALE * a);
    out.b1.fill(0.0);
    for row in sum.table_x.chunks(ld) {
        out.b1.iter_mut().zip(row).for_each(|(b, t)| *b += t);
    }
    out.w1c.fill(0.0);
    let (x, y) = out.w1c.split_at_mut(AXIS_CHANNELS * h);
    let [code_x, code_y] = &prepared.codes;
    for (code, table, out) in [(code_x, &sum.table_x, x), (code_y, &sum.table_y, y)] {
        let n = table.len() / ld;
        let (code, table) = (MatRef::dense(code, n, AXIS_CHANNELS), MatRef::strided(table, n, h, ld));
        gemm::accumulate_transposed(isa, code, table, MatMut::dense(out, AXIS_CHANNELS, h));
    }
}
