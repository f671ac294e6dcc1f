//! A level's whitening and flow: features `[N, C, h, w]` to log-likelihoods per channel `[N, 1, h, w]`.

use bgad::flow::{CLAMP, Flow, Folded, FoldedBlock, Whitening};
use bgad::likelihood::HALF_LN_TAU;

use super::{Builder, Fixed, Value};

impl Builder {
    pub(crate) fn whitened(&mut self, whitening: Option<&Whitening>, features: &Value) -> Value {
        match whitening {
            None => features.clone(),
            Some(whitening) => {
                let bias = whitening.bias();
                self.affine(&whitening.matrix, Some(&bias), bias.len(), features)
            }
        }
    }

    /// `l` of whitened features.
    pub(crate) fn likelihood(&mut self, flow: &Flow, features: &Value, grid: (usize, usize)) -> Value {
        let Folded { shape, blocks, last_scale, last_offset, log_scale } = flow.folded(grid);
        let (c, d2) = (shape.channels, shape.active());
        let mut v = features.clone();
        let mut scales: Option<Value> = None;
        for block in &blocks {
            let halves = self.whole_numbers(&[shape.passive(), d2]);
            let [x1, x2] = self.node("Split", &[&v, &halves], &[Fixed::Int("axis", 1)]);
            let (s, t) = self.subnet(block, &x1, shape.hidden(), d2, grid);
            let stretch = self.op("Exp", &[&s]);
            let stretched = self.op("Mul", &[&x2, &stretch]);
            let y2 = self.op("Add", &[&stretched, &t]);
            v = self.op_with("Concat", &[&x1, &y2], &[Fixed::Int("axis", 1)]);
            if let Some((rotation, bias)) = &block.rotation {
                v = self.affine(rotation, Some(bias), c, &v);
            }
            scales = Some(match &scales {
                None => s,
                Some(sum) => self.op("Add", &[sum, &s]),
            });
        }
        let scales = scales.expect("a flow has a block at least");
        let (g, o) = (self.constant(&[1, c, 1, 1], &last_scale), self.constant(&[1, c, 1, 1], &last_offset));
        let scaled = self.op("Mul", &[&v, &g]);
        let z = self.op("Add", &[&scaled, &o]);
        let square = self.op("Mul", &[&z, &z]);
        let energy = self.sum(&square, 1, true);
        let log_det = self.sum(&scales, 1, true);
        let log_det = self.op_number("Add", &log_det, log_scale);
        let half = self.op_number("Mul", &energy, 0.5);
        let log_p = self.op("Sub", &[&log_det, &half]);
        let per_channel = self.op_number("Div", &log_p, c as f32);
        self.op_number("Sub", &per_channel, HALF_LN_TAU)
    }

    /// `α tanh s` and `t` of a block.
    fn subnet(
        &mut self,
        block: &FoldedBlock,
        x1: &Value,
        hidden: usize,
        d2: usize,
        (rows, columns): (usize, usize),
    ) -> (Value, Value) {
        let of_columns = self.constant(&[1, hidden, 1, columns], &block.columns);
        let of_rows = self.constant(&[1, hidden, rows, 1], &block.rows);
        let h = self.affine(&block.w1, None, hidden, x1);
        let h = self.op("Add", &[&h, &of_columns]);
        let h = self.op("Add", &[&h, &of_rows]);
        let h = self.op("Relu", &[&h]);
        let a = self.affine(&block.w2, Some(&block.b2), 2 * d2, &h);
        let halves = self.whole_numbers(&[d2, d2]);
        let [s, t] = self.node("Split", &[&a, &halves], &[Fixed::Int("axis", 1)]);
        let s = self.op("Tanh", &[&s]);
        (self.op_number("Mul", &s, CLAMP), t)
    }
}
