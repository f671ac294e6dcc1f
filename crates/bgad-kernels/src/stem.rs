//! The first convolution of a network: 3 × 3, stride 2, three channels in, one row of the result at a time.
//!
//! ```text
//! y[o, n] = act( bias[n] + Σ_i Σ_j w[n, i, j] · x_i[6 o + j] )      i < 3 rows,  j < 9 = 3 columns · 3 channels
//! ```
//!
//! A window's nine values of one row lie side by side, so a row of the result is three matrix products whose left
//! factors overlap. Rows come padded, as for the depthwise convolution. The bias comes last: a sum that begins with
//! it is rounded 27 times as if it were as large, which in lite2 made all features 2.4 times as inexact.

use crate::gemm::{Activation, panels};
use crate::isa::{Isa, Kernel};
use crate::matrix::area;
use crate::simd::{Simd, Tile};

/// Values of a window in one row.
const WINDOW: usize = 9;
/// Values from one window to the next: two columns of three channels.
const STEP: usize = 6;

/// A 3 × 3 convolution of stride 2 over three channels, its weights laid out for one instruction set.
#[derive(Clone, Debug)]
pub struct Stem {
    isa: Isa,
    channels: usize,
    activation: Activation,
    /// Panel after panel of some vectors' width: 27 rows, zero past the last channel.
    panels: Vec<f32>,
    /// Padded to whole vectors.
    bias: Vec<f32>,
}

impl Stem {
    /// Lays out `weights`, `[channels, 3 colours, 3 rows, 3 columns]`, and `bias`, `[channels]`.
    ///
    /// # Panics
    ///
    /// If a slice has another length than its shape.
    pub fn new(isa: Isa, channels: usize, activation: Activation, weights: &[f32], bias: &[f32]) -> Stem {
        assert_eq!(weights.len(), area(channels, 27), "{channels} kernels of 3 by 3 by 3");
        assert_eq!(bias.len(), channels, "one bias a channel");
        let mut packed = vec![0.0; 27 * isa.padded(channels)];
        for (first, vectors, offset) in panels(isa, 27, channels) {
            let width = vectors * isa.lanes();
            for n in first..(first + width).min(channels) {
                for (row, column, colour) in (0..27).map(|t| (t / 9, t / 3 % 3, t % 3)) {
                    let at = offset + (row * 9 + column * 3 + colour) * width + n - first;
                    packed[at] = weights[((n * 3 + colour) * 3 + row) * 3 + column];
                }
            }
        }
        let mut bias = bias.to_vec();
        bias.resize(isa.padded(channels), 0.0);
        Stem { isa, channels, activation, panels: packed, bias }
    }

    /// Channels of the result.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// One row of the result, `[columns, channels]`, from the three padded rows `[2 · columns + 1, 3]` it sees.
    ///
    /// # Panics
    ///
    /// If a row is shorter than that, or `out` is not whole columns.
    pub fn row(&self, rows: [&[f32]; 3], out: &mut [f32]) {
        if out.is_empty() {
            return;
        }
        assert_eq!(out.len() % self.channels, 0, "a row of {} values, {} channels", out.len(), self.channels);
        self.isa.run(Row { stem: self, rows, out });
    }
}

/// One row of the result, whole columns, and the rows it sees.
struct Row<'a> {
    stem: &'a Stem,
    rows: [&'a [f32]; 3],
    out: &'a mut [f32],
}

impl Kernel for Row<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        let stem = self.stem;
        for (channel, vectors, offset) in panels(stem.isa, 27, stem.channels) {
            let panel = &stem.panels[offset..offset + 27 * vectors * S::LANES];
            let bias = &stem.bias[channel..channel + vectors * S::LANES];
            simd.tile(vectors, Panel { row: &mut self, panel, bias, channel });
        }
    }
}

/// All columns of one panel of channels.
struct Panel<'t, 'a> {
    row: &'t mut Row<'a>,
    panel: &'t [f32],
    bias: &'t [f32],
    channel: usize,
}

impl Tile for Panel<'_, '_> {
    #[inline(always)]
    fn run<S: Simd, const ROWS: usize, const VECTORS: usize>(self, simd: S) {
        let Row { stem, rows, out } = self.row;
        let (channels, columns) = (stem.channels, out.len() / stem.channels);
        let width = VECTORS * S::LANES;
        // Once a panel; all that is unsafe below follows from it. No product overflows: the result is no longer than a
        // slice can be, a quarter of all addresses.
        let needed = columns.saturating_sub(1) * STEP + WINDOW;
        for row in &*rows {
            assert!(row.len() >= needed, "a padded row of {} values, {needed} needed", row.len());
        }
        assert!(self.panel.len() == 27 * width && self.bias.len() == width);
        assert!(self.channel + (VECTORS - 1) * S::LANES < channels);
        let (rows, out, activation) = (rows.map(<[f32]>::as_ptr), out.as_mut_ptr(), stem.activation);
        let (panel, bias) = (self.panel.as_ptr(), self.bias.as_ptr());
        for first in (0..columns).step_by(ROWS) {
            // SAFETY: columns past the last repeat it and are not stored, so all windows are inside the rows; panel and bias
            // are whole vectors; every vector begins below the last channel, and stores stop there.
            unsafe {
                let at: [usize; ROWS] = std::array::from_fn(|o| (first + o).min(columns - 1) * STEP);
                let mut acc = [[simd.splat(0.0); VECTORS]; ROWS];
                let mut w = panel;
                for row in rows {
                    for j in 0..WINDOW {
                        let w_row: [S::V; VECTORS] = std::array::from_fn(|v| simd.load(w.add(v * S::LANES)));
                        w = w.add(width);
                        for o in 0..ROWS {
                            let x = simd.splat(*row.add(at[o] + j));
                            for v in 0..VECTORS {
                                acc[o][v] = simd.mul_add(x, w_row[v], acc[o][v]);
                            }
                        }
                    }
                }
                for (o, acc) in acc.iter().enumerate().take(columns - first) {
                    for (v, &sum) in acc.iter().enumerate() {
                        let y = simd.add(sum, simd.load(bias.add(v * S::LANES)));
                        let channel = self.channel + v * S::LANES;
                        let to = out.add((first + o) * channels + channel);
                        simd.store_up_to(to, channels - channel, activation.apply(simd, y));
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_channel_count_and_width_agrees_with_the_reference() {
        let wave = |n: usize, step: f32| (0..n).map(|i| (i as f32 * step).sin()).collect::<Vec<f32>>();
        for isa in Isa::available() {
            for channels in (1..=40).chain([56, 64, 72]) {
                for columns in [1, 2, 3, 5, 8, 9, 17] {
                    let (w, bias) = (wave(channels * 27, 0.7), wave(channels, 1.3));
                    let rows: [Vec<f32>; 3] = [0.3, 0.4, 0.5].map(|step| wave((2 * columns + 1) * 3, step));
                    let mut out = vec![f32::NAN; columns * channels];
                    let stem = Stem::new(isa, channels, Activation::Relu6, &w, &bias);
                    stem.row(rows.each_ref().map(Vec::as_slice), &mut out);
                    for (at, &y) in out.iter().enumerate() {
                        let (o, n) = (at / channels, at % channels);
                        let mut want = f64::from(bias[n]);
                        for (i, j, colour) in (0..27).map(|t| (t / 9, t / 3 % 3, t % 3)) {
                            let x = rows[i][(2 * o + j) * 3 + colour];
                            want += f64::from(w[((n * 3 + colour) * 3 + i) * 3 + j]) * f64::from(x);
                        }
                        // 28 terms of at most 1: a few roundings of 2⁻²⁴ of sums below 8.
                        let error = (f64::from(y) - want.clamp(0.0, 6.0)).abs();
                        assert!(
                            error < 5e-6,
                            "{} {channels} channels, value {at}: off by {error}",
                            isa.name()
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn a_large_bias_costs_one_rounding() {
        for isa in Isa::available() {
            let weights: Vec<f32> = (0..40 * 27).map(|i| (i as f32 * 0.7).sin() * 1e-2).collect();
            let (bias, row) = (vec![1e4; 40], [1f32 / 3.0; 9]);
            let mut out = [0.0; 40];
            Stem::new(isa, 40, Activation::None, &weights, &bias).row([&row; 3], &mut out);
            for (y, weights) in out.iter().zip(weights.chunks(27)) {
                let sum: f64 = weights.iter().map(|w| f64::from(*w) * f64::from(row[0])).sum();
                // Numbers of this size lie 2⁻¹⁰ apart.
                let error = (f64::from(*y) - (1e4 + sum)).abs();
                assert!(error <= 0.5001 / 1024.0, "{}: off by {error}", isa.name());
            }
        }
    }
}
