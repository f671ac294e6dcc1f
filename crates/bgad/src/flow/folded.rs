//! A flow folded as [`Prepared`](super::Prepared) runs it, but as plain numbers: what an export writes.
//!
//! ```text
//! h      = relu(W1 x1 + T_x[column] + T_y[row])           [s | t] = W2 h + b2           (0.1 is in W2 and b2)
//! v      = [x1; x2 exp(α tanh s) + t]                      log_det += Σ α tanh s
//! x'     = R v + r        of all blocks but the last       (g is in R, R o is r)
//! energy = Σ (v g + o)²   of the last                      l = logp_per_channel(energy, log_det + log_scale, C)
//! ```

use super::SUBNET_SCALE;
use super::parameters::{Flow, FlowShape};
use super::prepared::{rotation_of, scale};
use crate::position::{AXIS_CHANNELS, axis_code};

/// The numbers of a flow over a map of a fixed size.
#[derive(Clone, Debug)]
pub struct Folded {
    /// Sizes.
    pub shape: FlowShape,
    /// The blocks in the order they run.
    pub blocks: Vec<FoldedBlock>,
    /// `g` of the last block, `[C]`.
    pub last_scale: Vec<f32>,
    /// `o` of the last block, `[C]`.
    pub last_offset: Vec<f32>,
    /// Σ ln g over all blocks and channels.
    pub log_scale: f32,
}

/// The numbers of one block; matrices are `[out, in]`, row-major.
#[derive(Clone, Debug)]
pub struct FoldedBlock {
    /// `[H, D1]`.
    pub w1: Vec<f32>,
    /// `T_x`, `[H, columns]`; `b1` is in it.
    pub columns: Vec<f32>,
    /// `T_y`, `[H, rows]`.
    pub rows: Vec<f32>,
    /// `[2 D2, H]`.
    pub w2: Vec<f32>,
    /// `[2 D2]`.
    pub b2: Vec<f32>,
    /// `R` and `r`, `[C, C]` and `[C]`; `None` of the last block.
    pub rotation: Option<(Vec<f32>, Vec<f32>)>,
}

impl Flow {
    /// The flow over a map of `grid = (rows, columns)` positions, as plain numbers.
    pub fn folded(&self, (rows, columns): (usize, usize)) -> Folded {
        let blocks = self.shape.blocks;
        let mut log_scale = 0.0;
        let mut last_scale = Vec::new();
        let folded = (0..blocks).map(|k| {
            let parts = self.block(k);
            let g: Vec<f64> = parts.gamma.iter().map(|&gamma| scale(gamma)).collect();
            log_scale += g.iter().map(|g| g.ln()).sum::<f64>();
            last_scale = g.iter().map(|g| *g as f32).collect();
            let (d1, h) = (self.shape.passive(), self.shape.hidden());
            let (of_columns, of_rows) = parts.w1c.split_at(AXIS_CHANNELS * h);
            FoldedBlock {
                w1: transposed(parts.w1x, d1, h),
                columns: table(of_columns, &axis_code(columns), Some(parts.b1), h),
                rows: table(of_rows, &axis_code(rows), None, h),
                w2: parts.w2.iter().map(|w| SUBNET_SCALE * w).collect(),
                b2: parts.b2.iter().map(|b| SUBNET_SCALE * b).collect(),
                rotation: (k + 1 < blocks).then(|| rotation_of(self, k, &last_scale)),
            }
        });
        let folded = folded.collect();
        let last_offset = self.block(blocks - 1).offset.to_vec();
        Folded { shape: self.shape, blocks: folded, last_scale, last_offset, log_scale: log_scale as f32 }
    }
}

fn transposed(matrix: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    (0..columns).flat_map(|j| (0..rows).map(move |i| matrix[i * columns + j])).collect()
}

/// What the hidden layer reads of each place of an axis, `[H, n]`; `weights` is `[64, H]`, `code` `[n, 64]`.
fn table(weights: &[f32], code: &[f32], bias: Option<&[f32]>, hidden: usize) -> Vec<f32> {
    let value = |unit: usize, code: &[f32]| {
        let sum = code.iter().enumerate().map(|(j, c)| f64::from(*c) * f64::from(weights[j * hidden + unit]));
        (sum.sum::<f64>() + bias.map_or(0.0, |bias| f64::from(bias[unit]))) as f32
    };
    (0..hidden).flat_map(|unit| code.chunks(AXIS_CHANNELS).map(move |code| value(unit, code))).collect()
}

#[cfg(test)]
mod tests {
    use bgad_kernels::Isa;
    use rand::{RngExt as _, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::flow::{CLAMP, Positions, Prepared, Scratch};
    use crate::likelihood::logp_per_channel;

    fn affine(matrix: &[f32], bias: &[f32], x: &[f32]) -> Vec<f32> {
        let rows = matrix.chunks(x.len()).zip(bias);
        rows.map(|(row, b)| row.iter().zip(x).map(|(w, x)| w * x).sum::<f32>() + b).collect()
    }

    /// The header's equations.
    fn likelihood(folded: &Folded, x: &[f32], (row, column): (usize, usize)) -> f32 {
        let (d1, d2, h) = (folded.shape.passive(), folded.shape.active(), folded.shape.hidden());
        let (mut v, mut log_det) = (x.to_vec(), folded.log_scale);
        for block in &folded.blocks {
            let (columns, rows) = (block.columns.len() / h, block.rows.len() / h);
            let place: Vec<f32> =
                (0..h).map(|u| block.columns[u * columns + column] + block.rows[u * rows + row]).collect();
            let hidden: Vec<f32> = affine(&block.w1, &place, &v[..d1]).iter().map(|h| h.max(0.0)).collect();
            let a = affine(&block.w2, &block.b2, &hidden);
            for j in 0..d2 {
                let s = CLAMP * a[j].tanh();
                log_det += s;
                v[d1 + j] = v[d1 + j] * s.exp() + a[d2 + j];
            }
            if let Some((rotation, bias)) = &block.rotation {
                v = affine(rotation, bias, &v);
            }
        }
        let last = folded.last_scale.iter().zip(&folded.last_offset);
        let energy = v.iter().zip(last).map(|(v, (g, o))| (v * g + o).powi(2)).sum();
        logp_per_channel(energy, log_det, v.len())
    }

    #[test]
    fn is_the_flow_that_runs() {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        for (channels, blocks) in [(7, 3), (24, 2), (2, 1)] {
            let mut flow = Flow::initial(FlowShape { channels, blocks }, &mut rng);
            flow.parameters.iter_mut().for_each(|p| *p += rng.random_range(-0.2f32..0.2));
            let (rows, columns) = (3, 5);
            let x: Vec<f32> =
                (0..rows * columns * channels).map(|_| rng.random_range(-2.0f32..2.0)).collect();
            let column: Vec<u32> = (0..15).map(|i| i % 5).collect();
            let row: Vec<u32> = (0..15).map(|i| i / 5).collect();
            let prepared = Prepared::on(Isa::best(), &flow, (columns, rows), false);
            let mut want = vec![0.0; rows * columns];
            let at = Positions { column: &column, row: &row };
            prepared.likelihood(&x, at, &mut Scratch::new(&prepared), &mut want);
            let folded = flow.folded((rows, columns));
            for (i, (x, want)) in x.chunks(channels).zip(want).enumerate() {
                let found = likelihood(&folded, x, (i / columns, i % columns));
                assert!(
                    (found - want).abs() < 2e-5 * want.abs().max(1.0),
                    "{channels}: {i}: {found}, {want}"
                );
            }
        }
    }
}
