//! Squeeze and excitation: a gate for each channel from the mean of all channels.
//!
//! ```text
//! gate = σ( W_e · silu( W_r · mean + b_r ) + b_e )      mean[c] = Σ_positions x[·, c] / positions
//! ```

use crate::activation::sigmoid_v;
use crate::gemm::Activation;
use crate::isa::{Isa, Kernel};
use crate::matrix::{MatRef, area};
use crate::simd::Simd;

/// The two small layers of a squeeze-and-excitation gate, laid out for one instruction set.
#[derive(Clone, Debug)]
pub struct SqueezeExcite {
    isa: Isa,
    channels: usize,
    /// `W_r`, `[squeezed, padded channels]`.
    reduce: Vec<f32>,
    reduce_bias: Vec<f32>,
    /// `W_eᵀ`, `[squeezed, padded channels]`.
    expand: Vec<f32>,
    /// Padded to whole vectors.
    expand_bias: Vec<f32>,
}

impl SqueezeExcite {
    /// Lays out `reduce`, `[squeezed, channels]`, and `expand`, `[channels, squeezed]`, with their biases.
    ///
    /// # Panics
    ///
    /// If a matrix does not fit the biases' lengths.
    pub fn new(
        isa: Isa,
        reduce: &[f32],
        reduce_bias: &[f32],
        expand: &[f32],
        expand_bias: &[f32],
    ) -> SqueezeExcite {
        let (squeezed, channels) = (reduce_bias.len(), expand_bias.len());
        let size = area(squeezed, channels);
        assert_eq!(reduce.len(), size, "a {squeezed} by {channels} matrix");
        assert_eq!(expand.len(), size, "a {channels} by {squeezed} matrix");
        let width = isa.padded(channels);
        let mut packed = [vec![0.0; area(squeezed, width)], vec![0.0; area(squeezed, width)]];
        for s in 0..squeezed {
            for c in 0..channels {
                packed[0][s * width + c] = reduce[s * channels + c];
                packed[1][s * width + c] = expand[c * squeezed + s];
            }
        }
        let [reduce, expand] = packed;
        let mut expand_bias = expand_bias.to_vec();
        expand_bias.resize(width, 0.0);
        SqueezeExcite { isa, channels, reduce, reduce_bias: reduce_bias.to_vec(), expand, expand_bias }
    }

    /// Channels of the gate.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Channels rounded up to whole vectors: the length of the sums and of the gate.
    pub fn padded_channels(&self) -> usize {
        self.expand_bias.len()
    }

    /// Adds the positions of `x`, `[positions, channels]`, to `sums`, `[padded_channels]`.
    ///
    /// The positions are summed among themselves first: called row by row, the sum of a picture stays accurate.
    ///
    /// # Panics
    ///
    /// If `x` is not whole positions or `sums` has another length.
    pub fn add_sums(&self, x: &[f32], sums: &mut [f32]) {
        assert_eq!(x.len() % self.channels, 0, "{} values, {} channels", x.len(), self.channels);
        assert_eq!(sums.len(), self.expand_bias.len(), "one sum a padded channel");
        self.isa.run(Sums { x, channels: self.channels, sums });
    }

    /// Turns the sums over `positions` positions into the gate, in place; the padding becomes meaningless.
    ///
    /// # Panics
    ///
    /// If `sums_to_gate` is not `padded_channels` long or `positions` is 0.
    pub fn gate_mut(&self, sums_to_gate: &mut [f32], positions: usize, hidden: &mut Vec<f32>) {
        assert_eq!(sums_to_gate.len(), self.expand_bias.len(), "one sum a padded channel");
        assert!(positions > 0, "a mean of no positions");
        hidden.clear();
        hidden.resize(self.reduce_bias.len(), 0.0);
        self.isa.run(Gate { layers: self, scale: 1.0 / positions as f32, hidden, values: sums_to_gate });
    }
}

struct Sums<'a> {
    x: &'a [f32],
    channels: usize,
    sums: &'a mut [f32],
}

impl Kernel for Sums<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let c = self.channels;
        let positions = self.x.len() / c;
        let x = self.x.as_ptr();
        for channel in (0..c).step_by(S::LANES) {
            // Two chains hide the latency of the addition.
            let mut sum = [simd.splat(0.0); 2];
            for p in 0..positions {
                // SAFETY: the position exists, and the load stops at its last channel.
                let x = unsafe { simd.load_up_to(x.add(p * c + channel), c - channel) };
                sum[p % 2] = simd.add(sum[p % 2], x);
            }
            let to = &mut self.sums[channel..channel + S::LANES];
            let sum = simd.add(simd.read(to), simd.add(sum[0], sum[1]));
            simd.write(to, sum);
        }
    }
}

struct Gate<'a> {
    layers: &'a SqueezeExcite,
    scale: f32,
    hidden: &'a mut [f32],
    values: &'a mut [f32],
}

impl Kernel for Gate<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let SqueezeExcite { reduce, reduce_bias, expand, expand_bias, .. } = self.layers;
        let (width, squeezed) = (self.values.len(), self.hidden.len());
        // All rows are whole vectors; the rest follows from it.
        assert!(width.is_multiple_of(S::LANES) && expand_bias.len() == width);
        let [reduce, expand] = [reduce, expand].map(|matrix| MatRef::dense(matrix, squeezed, width).as_ptr());
        let values = self.values.as_mut_ptr();
        // SAFETY: the loads are of whole vectors of values, the bias and the matrices, all `width` long.
        unsafe {
            for (s, (hidden, bias)) in self.hidden.iter_mut().zip(reduce_bias).enumerate() {
                let mut sum = simd.splat(0.0);
                for c in (0..width).step_by(S::LANES) {
                    sum = simd.mul_add(simd.load(values.add(c)), simd.load(reduce.add(s * width + c)), sum);
                }
                let z = simd.splat(simd.sum(sum) * self.scale + bias);
                simd.store_first(hidden, 1, Activation::Silu.apply(simd, z));
            }
            for c in (0..width).step_by(S::LANES) {
                let mut z = simd.load(expand_bias.as_ptr().add(c));
                for (s, &hidden) in self.hidden.iter().enumerate() {
                    z = simd.mul_add(simd.splat(hidden), simd.load(expand.add(s * width + c)), z);
                }
                simd.store(values.add(c), sigmoid_v(simd, z));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MatMut;

    #[test]
    fn every_channel_count_agrees_with_the_reference() {
        let wave = |n: usize, step: f32| (0..n).map(|i| (i as f32 * step).sin()).collect::<Vec<f32>>();
        for isa in Isa::available() {
            for channels in 1..=40 {
                for (squeezed, positions) in [(1, 1), (4, 7), (10, 12)] {
                    let (reduce, expand) = (wave(squeezed * channels, 0.7), wave(squeezed * channels, 0.9));
                    let (b_r, b_e) = (wave(squeezed, 1.1), wave(channels, 1.2));
                    let x = wave(positions * channels, 0.37);
                    let layers = SqueezeExcite::new(isa, &reduce, &b_r, &expand, &b_e);
                    let (mut gate, mut hidden) = (vec![0.0; isa.padded(channels)], Vec::new());
                    let (top, bottom) = x.split_at(positions / 2 * channels);
                    layers.add_sums(top, &mut gate);
                    layers.add_sums(bottom, &mut gate);
                    layers.gate_mut(&mut gate, positions, &mut hidden);

                    let mean = |c: usize| {
                        (0..positions).map(|p| f64::from(x[p * channels + c])).sum::<f64>() / positions as f64
                    };
                    let squeeze = |s: usize| {
                        let z = f64::from(b_r[s])
                            + (0..channels)
                                .map(|c| f64::from(reduce[s * channels + c]) * mean(c))
                                .sum::<f64>();
                        z / (1.0 + (-z).exp())
                    };
                    let squeezed_values: Vec<f64> = (0..squeezed).map(squeeze).collect();
                    for c in 0..channels {
                        let z = f64::from(b_e[c])
                            + (0..squeezed)
                                .map(|s| f64::from(expand[c * squeezed + s]) * squeezed_values[s])
                                .sum::<f64>();
                        let want = 1.0 / (1.0 + (-z).exp());
                        // Sums of up to 40 terms of at most 1, a gate with slope ¼.
                        let error = (f64::from(gate[c]) - want).abs();
                        assert!(error < 5e-6, "{} {channels} {squeezed}: {c} off by {error}", isa.name());
                    }
                }
            }
        }
    }

    #[test]
    fn a_gate_on_the_columns_of_a_is_a_scale_of_the_rows_of_b() {
        use crate::gemm::{AffineOptions, Packed, affine};
        let wave = |n: usize, step: f32| (0..n).map(|i| (i as f32 * step).sin()).collect::<Vec<f32>>();
        for isa in Isa::available() {
            let mut gated = Packed::zeros(isa, 0, 0);
            // The same buffer from size to size, larger and smaller.
            for (m, k, n) in [(3, 5, 7), (9, 40, 50), (1, 1, 1), (4, 8, 16)] {
                let (a, b, gate) = (wave(m * k, 0.3), wave(k * n, 0.7), wave(k, 1.1));
                let mut c = vec![f32::NAN; m * n];
                Packed::new(isa, MatRef::dense(&b, k, n)).scale_rows_into(&gate, &mut gated);
                let to = MatMut::dense(&mut c, m, n);
                affine(MatRef::dense(&a, m, k), &gated, AffineOptions::default(), to);
                for (at, &c) in c.iter().enumerate() {
                    let (i, j) = (at / n, at % n);
                    let want: f64 = (0..k)
                        .map(|p| f64::from(a[i * k + p]) * f64::from(gate[p]) * f64::from(b[p * n + j]))
                        .sum();
                    // Up to 40 terms of at most 1.
                    assert!((f64::from(c) - want).abs() < 5e-6, "{} {m} {k} {n}: {c} {want}", isa.name());
                }
            }
        }
    }
}
