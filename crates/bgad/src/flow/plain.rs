//! The flow as its equations stand, latents included: for inversion, and to hold the fast path against.

use bgad_kernels::coupling;
use bgad_kernels::{MatMut, MatRef};

use super::parameters::Flow;
use super::prepared::{Positions, scale};
use super::{CLAMP, SUBNET_SCALE};
use crate::position::{AXIS_CHANNELS, axis_code};

impl Flow {
    /// Latents `z`, `[n, C]`, and log-determinants, `[n]`, of the feature vectors `x`, `[n, C]`, on a map of
    /// `grid = (width, height)` positions. Plain loops; [`super::Prepared`] is the fast path.
    ///
    /// # Panics
    ///
    /// If lengths disagree or a position lies outside the map.
    pub fn forward(&self, x: &[f32], at: Positions<'_>, grid: (usize, usize)) -> (Vec<f32>, Vec<f32>) {
        let (c, n) = (self.shape.channels, at.column.len());
        let (mut v, mut log_det) = (x.to_vec(), vec![0.0; n]);
        let d = self.shape.active();
        let (mut x2, mut tanh) = (vec![0.0; n * d], vec![0.0; n * d]);
        for k in 0..self.shape.blocks {
            let a = self.subnet(k, &v, at, grid);
            let isa = bgad_kernels::Isa::best();
            let rows = coupling::Forward {
                v: self.active_half(&mut v, n),
                a: MatRef::dense(&a, n, 2 * d),
                x: MatMut::dense(&mut x2, n, d),
                tanh: MatMut::dense(&mut tanh, n, d),
                log_det: &mut log_det,
            };
            coupling::forward(isa, CLAMP, rows);
            let parts = self.block(k);
            let g: Vec<f64> = parts.gamma.iter().map(|&gamma| scale(gamma)).collect();
            let log_g = g.iter().map(|g| g.ln()).sum::<f64>() as f32;
            for (row, log_det) in v.chunks_mut(c).zip(&mut log_det) {
                let u: Vec<f32> = (0..c).map(|j| row[j] * g[j] as f32 + parts.offset[j]).collect();
                for (out, r) in row.iter_mut().zip(self.rotation(k).chunks(c)) {
                    *out = r.iter().zip(&u).map(|(r, u)| r * u).sum();
                }
                *log_det += log_g;
            }
        }
        (v, log_det)
    }

    /// The feature vectors whose latents are `z`: the inverse of [`Flow::forward`], shapes alike.
    ///
    /// # Panics
    ///
    /// If lengths disagree or a position lies outside the map.
    pub fn inverse(&self, z: &[f32], at: Positions<'_>, grid: (usize, usize)) -> Vec<f32> {
        let (c, n) = (self.shape.channels, at.column.len());
        let mut v = z.to_vec();
        for k in (0..self.shape.blocks).rev() {
            let parts = self.block(k);
            for row in v.chunks_mut(c) {
                let mut u = vec![0.0; c];
                for (r, x) in self.rotation(k).chunks(c).zip(row.iter()) {
                    u.iter_mut().zip(r).for_each(|(u, r)| *u += r * x);
                }
                for j in 0..c {
                    row[j] = ((f64::from(u[j]) - f64::from(parts.offset[j])) / scale(parts.gamma[j])) as f32;
                }
            }
            let a = self.subnet(k, &v, at, grid);
            let a = MatRef::dense(&a, n, 2 * self.shape.active());
            coupling::inverse(CLAMP, self.active_half(&mut v, n), a, &mut vec![0.0; n]);
        }
        v
    }

    /// The second halves of `n` rows.
    fn active_half<'v>(&self, v: &'v mut [f32], n: usize) -> MatMut<'v> {
        let c = self.shape.channels;
        MatMut::dense(v, n, c).columns(self.shape.passive()..c)
    }

    /// `0.1 (W2 relu(W1 [x1; c] + b1) + b2)` of block `k`; `[n, 2 D2]`.
    fn subnet(&self, k: usize, v: &[f32], at: Positions<'_>, (w, h): (usize, usize)) -> Vec<f32> {
        let (c, d1, hidden) = (self.shape.channels, self.shape.passive(), self.shape.hidden());
        let (parts, x_code, y_code) = (self.block(k), axis_code(w), axis_code(h));
        let mut a = Vec::with_capacity(at.column.len() * 2 * self.shape.active());
        for (i, row) in v.chunks(c).enumerate() {
            let (x, y) = (at.column[i] as usize * AXIS_CHANNELS, at.row[i] as usize * AXIS_CHANNELS);
            let inputs =
                row[..d1].iter().chain(&x_code[x..x + AXIS_CHANNELS]).chain(&y_code[y..y + AXIS_CHANNELS]);
            let mut h = parts.b1.to_vec();
            for (input, w) in inputs.zip(parts.w1x.chunks(hidden).chain(parts.w1c.chunks(hidden))) {
                h.iter_mut().zip(w).for_each(|(h, w)| *h += input * w);
            }
            a.extend(parts.w2.chunks(hidden).zip(parts.b2).map(|(w, b)| {
                let sum: f32 = h.iter().zip(w).map(|(h, w)| h.max(0.0) * w).sum();
                SUBNET_SCALE * (sum + b)
            }));
        }
        a
    }
}
