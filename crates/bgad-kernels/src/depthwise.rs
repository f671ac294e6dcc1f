//! Depthwise convolution, one row of the result at a time.
//!
//! ```text
//! y[o, c] = act( bias[c] + Σ_i Σ_j w[c, i, j] · x_i[o · stride + j, c] )      i, j < kernel
//! ```
//!
//! Rows are `[columns, channels]`. The caller brings the `kernel` rows `x_i` that one row of the result sees, padded
//! to both sides already (a row outside the picture is a row of zeros): no bounds are left to check inside. A register
//! tile is eight columns of one vector of channels.

use crate::gemm::Activation;
use crate::isa::{Isa, Kernel};
use crate::matrix::area;
use crate::simd::Simd;

/// Padding of one axis by TensorFlow's rule `SAME`: `⌈length / stride⌉` results, the odd zero at the end.
///
/// ```text
/// total = max(0, (out − 1) · stride + kernel − length)      before = ⌊total / 2⌋
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Same {
    /// Length of the result.
    pub out: usize,
    /// Zeros before the first value.
    pub before: usize,
    /// Length with the zeros of both ends: what the results together see, `(out − 1) · stride + kernel`.
    pub padded: usize,
}

impl Same {
    /// Pads `length` values for a kernel that is at least as long as its stride.
    ///
    /// # Panics
    ///
    /// If `length` or `stride` is 0, `kernel < stride`, or the padded length is more than a `usize` holds.
    pub fn new(length: usize, kernel: usize, stride: usize) -> Same {
        assert!(
            length > 0 && stride > 0 && kernel >= stride,
            "{length} values, kernel {kernel}, stride {stride}"
        );
        let out = length.div_ceil(stride);
        let padded = (out - 1).checked_mul(stride).and_then(|last| last.checked_add(kernel));
        let padded =
            padded.unwrap_or_else(|| panic!("{length} values cannot be padded for a kernel of {kernel}"));
        Same { out, before: (padded - length) / 2, padded }
    }
}

/// Size of a depthwise convolution and what follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DepthwiseShape {
    /// Side of the square kernel: 3 or 5.
    pub kernel: usize,
    /// Step in both directions: 1 or 2.
    pub stride: usize,
    /// Channels, each with its own kernel.
    pub channels: usize,
    /// Applied to each value of the result.
    pub activation: Activation,
}

/// A depthwise convolution, its weights laid out for one instruction set.
#[derive(Clone, Debug)]
pub struct Depthwise {
    isa: Isa,
    shape: DepthwiseShape,
    /// `[vectors, kernel, kernel, lanes]`, zero past the last channel.
    taps: Vec<f32>,
    /// Padded to whole vectors.
    bias: Vec<f32>,
}

impl Depthwise {
    /// Lays out `weights`, `[channels, kernel, kernel]`, and `bias`, `[channels]`.
    ///
    /// # Panics
    ///
    /// If the kernel is not 3 or 5, the stride not 1 or 2, or a slice has another length than its shape.
    pub fn new(isa: Isa, shape: DepthwiseShape, weights: &[f32], bias: &[f32]) -> Depthwise {
        let DepthwiseShape { kernel, stride, channels, .. } = shape;
        assert!(matches!(kernel, 3 | 5) && matches!(stride, 1 | 2), "kernel {kernel}, stride {stride}");
        assert_eq!(
            weights.len(),
            area(channels, kernel * kernel),
            "{channels} kernels of {kernel} by {kernel}"
        );
        assert_eq!(bias.len(), channels, "one bias a channel");
        let (lanes, size) = (isa.lanes(), kernel * kernel);
        let mut taps = vec![0.0; isa.padded(channels) * size];
        for c in 0..channels {
            for t in 0..size {
                taps[((c / lanes) * size + t) * lanes + c % lanes] = weights[c * size + t];
            }
        }
        let mut bias = bias.to_vec();
        bias.resize(isa.padded(channels), 0.0);
        Depthwise { isa, shape, taps, bias }
    }

    /// Kernel, stride, channels and activation.
    pub fn shape(&self) -> DepthwiseShape {
        self.shape
    }

    /// One row of the result, `[columns, channels]`, from the `kernel` padded rows it sees.
    ///
    /// # Panics
    ///
    /// If `rows` are not `kernel` rows of at least `(columns − 1) · stride + kernel` columns, or `out` is not whole columns.
    pub fn row(&self, rows: &[&[f32]], out: &mut [f32]) {
        let DepthwiseShape { kernel, stride, channels, activation } = self.shape;
        if out.is_empty() {
            return;
        }
        assert_eq!(out.len() % channels, 0, "a row of {} values, {channels} channels", out.len());
        assert_eq!(rows.len(), kernel, "one row for each row of the kernel");
        let mut five: [&[f32]; 5] = [&[]; 5];
        five[..kernel].copy_from_slice(rows);
        let (taps, bias) = (&self.taps[..], &self.bias[..]);
        self.isa.run(Row { rows: five, taps, bias, out, channels, kernel, stride, activation });
    }
}

/// Columns of a register tile: 8 accumulators, a row of up to 5 taps and a value fit 16 registers.
const TILE: usize = 8;

/// One row of the result and all it is made of; only the first `kernel` of the rows count.
struct Row<'a> {
    rows: [&'a [f32]; 5],
    taps: &'a [f32],
    bias: &'a [f32],
    out: &'a mut [f32],
    channels: usize,
    kernel: usize,
    stride: usize,
    activation: Activation,
}

impl Kernel for Row<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        match (self.kernel, self.stride) {
            (3, 1) => self.sized::<S, 3, 1>(simd),
            (3, _) => self.sized::<S, 3, 2>(simd),
            (_, 1) => self.sized::<S, 5, 1>(simd),
            (_, _) => self.sized::<S, 5, 2>(simd),
        }
    }
}

impl Row<'_> {
    /// All channels of some columns before the next columns: channels lie side by side, so memory is read in order.
    #[inline(always)]
    fn sized<S: Simd, const K: usize, const STRIDE: usize>(self, simd: S) {
        let columns = self.out.len() / self.channels;
        // Once a row; all that is unsafe below follows from it. No product overflows: the result is no longer than a
        // slice can be, a quarter of all addresses.
        let needed = (columns.saturating_sub(1) * STRIDE + K) * self.channels;
        for row in &self.rows[..K] {
            assert!(row.len() >= needed, "a padded row of {} values, {needed} needed", row.len());
        }
        let width = self.channels.next_multiple_of(S::LANES);
        assert!(self.bias.len() >= width && self.taps.len() >= width * K * K);
        let addresses = Addresses {
            rows: self.rows.map(<[f32]>::as_ptr),
            taps: self.taps.as_ptr(),
            bias: self.bias.as_ptr(),
            out: self.out.as_mut_ptr(),
            channels: self.channels,
            activation: self.activation,
        };
        if columns < TILE {
            for column in 0..columns {
                // SAFETY: the column exists, and the lengths are as asserted.
                unsafe { addresses.columns::<S, K, STRIDE, 1>(simd, column) }
            }
            return;
        }
        for column in (0..columns).step_by(TILE) {
            // The last tile moves back over columns that are done: they get the same values again.
            let column = column.min(columns - TILE);
            // SAFETY: the `TILE` columns exist, and the lengths are as asserted.
            unsafe { addresses.columns::<S, K, STRIDE, TILE>(simd, column) }
        }
    }
}

/// A [`Row`] whose lengths were checked: what stays in registers while its tiles run.
#[derive(Clone, Copy)]
struct Addresses {
    rows: [*const f32; 5],
    taps: *const f32,
    bias: *const f32,
    out: *mut f32,
    channels: usize,
    activation: Activation,
}

impl Addresses {
    /// All channels of `T` columns.
    ///
    /// # Safety
    ///
    /// The result must have columns up to `column + T`, and all slices the lengths that [`Row::sized`] asserts.
    #[inline(always)]
    unsafe fn columns<S: Simd, const K: usize, const STRIDE: usize, const T: usize>(
        self,
        simd: S,
        column: usize,
    ) {
        for channel in (0..self.channels).step_by(S::LANES) {
            // SAFETY: the caller's columns; the channel exists, and a partial vector of channels comes only at the end.
            unsafe {
                if channel + S::LANES <= self.channels {
                    self.tile::<S, K, STRIDE, true, T>(simd, channel, column);
                } else {
                    self.tile::<S, K, STRIDE, false, T>(simd, channel, column);
                }
            }
        }
    }

    /// One vector of channels of `T` columns.
    ///
    /// # Safety
    ///
    /// As [`Addresses::columns`]; `channel` must begin a vector, with all its lanes below `channels` if `WHOLE`, else with
    /// some.
    #[inline(always)]
    unsafe fn tile<S: Simd, const K: usize, const STRIDE: usize, const WHOLE: bool, const T: usize>(
        self,
        simd: S,
        channel: usize,
        column: usize,
    ) {
        let (c, left) = (self.channels, self.channels - channel);
        // SAFETY: `column + T` columns exist, so the padded rows have the columns read; a partial vector reads and
        // writes the `left` channels only; taps and bias are whole vectors.
        unsafe {
            let taps = self.taps.add(channel * K * K);
            let mut acc = [simd.load(self.bias.add(channel)); T];
            for i in 0..K {
                let x = self.rows[i].add(column * STRIDE * c + channel);
                let w: [S::V; K] = std::array::from_fn(|j| simd.load(taps.add((i * K + j) * S::LANES)));
                for o in 0..T {
                    for j in 0..K {
                        let at = x.add((o * STRIDE + j) * c);
                        let x = if WHOLE { simd.load(at) } else { simd.load_first(at, left) };
                        acc[o] = simd.mul_add(x, w[j], acc[o]);
                    }
                }
            }
            let out = self.out.add(column * c + channel);
            for o in 0..T {
                let y = self.activation.apply(simd, acc[o]);
                if WHOLE {
                    simd.store(out.add(o * c), y);
                } else {
                    simd.store_first(out.add(o * c), left, y);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the answer is: one value.
    fn reference(
        shape: DepthwiseShape,
        w: &[f32],
        bias: &[f32],
        rows: &[&[f32]],
        column: usize,
        c: usize,
    ) -> f64 {
        let k = shape.kernel;
        let mut sum = f64::from(bias[c]);
        for i in 0..k {
            for j in 0..k {
                let x = rows[i][(column * shape.stride + j) * shape.channels + c];
                sum += f64::from(w[(c * k + i) * k + j]) * f64::from(x);
            }
        }
        match shape.activation {
            Activation::None => sum,
            Activation::Relu => sum.max(0.0),
            Activation::Relu6 => sum.clamp(0.0, 6.0),
            Activation::Silu => sum / (1.0 + (-sum).exp()),
        }
    }

    fn wave(n: usize, step: f32) -> Vec<f32> {
        (0..n).map(|i| 2.0 * (i as f32 * step).sin()).collect()
    }

    #[track_caller]
    fn check(isa: Isa, shape: DepthwiseShape, columns: usize) {
        let DepthwiseShape { kernel, stride, channels, .. } = shape;
        let (w, bias) = (wave(channels * kernel * kernel, 0.7), wave(channels, 1.3));
        let length = ((columns - 1) * stride + kernel) * channels;
        let rows: Vec<Vec<f32>> = (0..kernel).map(|i| wave(length, 0.31 + 0.1 * i as f32)).collect();
        let rows: Vec<&[f32]> = rows.iter().map(Vec::as_slice).collect();
        let mut out = vec![f32::NAN; columns * channels];
        Depthwise::new(isa, shape, &w, &bias).row(&rows, &mut out);
        for (at, &y) in out.iter().enumerate() {
            let want = reference(shape, &w, &bias, &rows, at / channels, at % channels);
            // Up to 26 terms below 4: their roundings stay below 26 · 4 · 26 · 2⁻²⁴ and in practice far below.
            assert!((f64::from(y) - want).abs() < 2e-5, "{} {shape:?} value {at}: {y} {want}", isa.name());
        }
    }

    #[test]
    fn every_channel_count_and_width_agrees_with_the_reference() {
        let activations = [Activation::None, Activation::Relu, Activation::Relu6, Activation::Silu];
        for isa in Isa::available() {
            for (kernel, stride) in [(3, 1), (3, 2), (5, 1), (5, 2)] {
                for channels in 1..=40 {
                    for columns in [1, 2, 7, 8, 9, 16, 19] {
                        let activation = activations[(channels + columns) % 4];
                        check(isa, DepthwiseShape { kernel, stride, channels, activation }, columns);
                    }
                }
            }
        }
    }

    #[test]
    fn same_padding_puts_the_odd_zero_at_the_end() {
        for (length, kernel, stride, out, before, padded) in [
            (1, 3, 1, 1, 1, 3),
            (1, 5, 2, 1, 2, 5),
            (2, 3, 2, 1, 0, 3),
            (3, 3, 2, 2, 1, 5),
            (8, 5, 2, 4, 1, 11),
            (9, 5, 2, 5, 2, 13),
            (256, 3, 2, 128, 0, 257),
        ] {
            assert_eq!(Same::new(length, kernel, stride), Same { out, before, padded }, "{length}");
        }
    }

    #[test]
    #[should_panic(expected = "a padded row")]
    fn a_short_row_is_refused() {
        let shape = DepthwiseShape { kernel: 3, stride: 1, channels: 2, activation: Activation::None };
        let row: &[f32] = &[0.0; 7];
        Depthwise::new(Isa::best(), shape, &[0.0; 18], &[0.0; 2]).row(&[row; 3], &mut [0.0; 4]);
    }
}
