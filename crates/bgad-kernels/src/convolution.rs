//! Dense convolutions of feature maps, some rows of the result at a time.
//!
//! ```text
//! y[o, n] = act( bias[n] + Σ_ij Σ_c w[n, c, i, j] · x[s o + (i, j) − ⌊k/2⌋, c] + residual[o, n] )       0 outside the map
//! ```
//!
//! Maps are `[height, width, channels]`. A 3 × 3 convolution of stride 1 goes through the transform of Winograd (`winograd`), a quarter of the
//! multiplications; every other one is a matrix product over gathered windows (`windows`), whose values of one row lie side by side in the map.

mod windows;
mod winograd;

use std::ops::Range;

use crate::gemm::Activation;
use crate::isa::Isa;
use crate::matrix::area;

use windows::Windows;
use winograd::Winograd;

/// Rows of a 3 × 3 convolution of stride 1 come about together, from multiples of this on.
pub const ROWS_TOGETHER: usize = winograd::OUT;

/// What a convolution is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvolutionShape {
    /// Side of the kernel, odd; the map goes on with zeros for half of it on each side.
    pub kernel: usize,
    /// Positions of the map from one of the result to the next, each way.
    pub stride: usize,
    /// Channels of the map.
    pub input: usize,
    /// Channels of the result.
    pub output: usize,
}

/// A feature map, `[height, width, channels]`.
#[derive(Clone, Copy, Debug)]
pub struct Map<'a> {
    /// The values, row-major.
    pub hwc: &'a [f32],
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

/// What follows the sum of a convolution.
#[derive(Clone, Copy, Debug, Default)]
pub struct ConvolutionOptions<'a> {
    /// Added before the activation: as many values as the rows of the result have.
    pub residual: Option<&'a [f32]>,
    /// Applied to each value.
    pub activation: Activation,
}

/// Memory of one thread, grown to the largest need and then reused.
#[derive(Clone, Debug, Default)]
pub struct ConvolutionScratch {
    left: Vec<f32>,
    product: Vec<f32>,
}

/// A convolution with its weights laid out for one instruction set.
#[derive(Clone, Debug)]
pub struct Convolution {
    shape: ConvolutionShape,
    bias: Vec<f32>,
    method: Method,
}

#[derive(Clone, Debug)]
enum Method {
    Windows(Windows),
    Winograd(Winograd),
}

/// Some rows of a result, on their way: what both methods work on, checked.
struct Job<'a> {
    shape: ConvolutionShape,
    map: Map<'a>,
    bias: &'a [f32],
    options: ConvolutionOptions<'a>,
    rows: Range<usize>,
    /// Columns of the result.
    width: usize,
    out: &'a mut [f32],
}

impl Convolution {
    /// Lays out `weights`, `[output, input, kernel, kernel]`, and `bias`, `[output]`.
    ///
    /// # Panics
    ///
    /// If a slice has another length than its shape, the kernel's side is even, or a number of the shape is 0.
    pub fn new(isa: Isa, shape: ConvolutionShape, weights: &[f32], bias: &[f32]) -> Convolution {
        let ConvolutionShape { kernel, stride, input, output } = shape;
        assert!(kernel % 2 == 1 && stride > 0 && input > 0 && output > 0, "no convolution: {shape:?}");
        assert_eq!(weights.len(), area(area(output, input), area(kernel, kernel)), "weights of {shape:?}");
        assert_eq!(bias.len(), output, "one bias a channel");
        let method = match (kernel, stride) {
            (3, 1) => Method::Winograd(Winograd::new(isa, shape, weights)),
            _ => Method::Windows(Windows::new(isa, shape, weights)),
        };
        Convolution { shape, bias: bias.to_vec(), method }
    }

    /// What it is.
    pub fn shape(&self) -> ConvolutionShape {
        self.shape
    }

    /// Height and width of the result for a map of `[height, width]`.
    pub fn output_size(&self, size: [usize; 2]) -> [usize; 2] {
        size.map(|length| length.div_ceil(self.shape.stride))
    }

    /// Writes `rows` of the result, `[rows, columns, output channels]`, to `out`. The same bits come out however the rows are divided.
    ///
    /// # Panics
    ///
    /// If the map or a slice has another length than its shape, `rows` are not of the result, or they do not begin at a multiple of
    /// [`ROWS_TOGETHER`] where rows come about together.
    pub fn rows(
        &self,
        map: Map<'_>,
        rows: Range<usize>,
        options: ConvolutionOptions<'_>,
        scratch: &mut ConvolutionScratch,
        out: &mut [f32],
    ) {
        let Map { hwc, height, width } = map;
        assert_eq!(hwc.len(), area(area(height, width), self.shape.input), "a map of {height} by {width}");
        let [height, width] = self.output_size([height, width]);
        assert!(rows.start <= rows.end && rows.end <= height, "rows {rows:?} of {height}");
        assert_eq!(out.len(), area(area(rows.len(), width), self.shape.output), "rows of the result");
        if let Some(residual) = options.residual {
            assert_eq!(residual.len(), out.len(), "values of the residual");
        }
        if out.is_empty() {
            return;
        }
        let job = Job { shape: self.shape, map, bias: &self.bias, options, rows, width, out };
        match &self.method {
            Method::Windows(windows) => windows.run(job, scratch),
            Method::Winograd(winograd) => winograd.run(job, scratch),
        }
    }
}

/// The first `n` values, grown where there are fewer.
fn at_least(buffer: &mut Vec<f32>, n: usize) -> &mut [f32] {
    if buffer.len() < n {
        buffer.resize(n, 0.0);
    }
    &mut buffer[..n]
}

/// Distance of rows of `n` values in a buffer: rows that are a large power of two apart share few sets of the L1 cache.
fn pitch(n: usize) -> usize {
    const LINE: usize = 16;
    if n.is_multiple_of(16 * LINE) { n + LINE } else { n }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wave(n: usize, step: f32) -> Vec<f32> {
        (0..n).map(|i| (i as f32 * step).sin()).collect()
    }

    /// The definition, in `f64`.
    fn reference(shape: ConvolutionShape, map: Map<'_>, weights: &[f32], at: [usize; 3]) -> f64 {
        let ConvolutionShape { kernel: k, stride, input, .. } = shape;
        let [row, column, n] = at;
        let mut sum = 0.0;
        for (i, j, c) in (0..k * k * input).map(|t| (t / input / k, t / input % k, t % input)) {
            let (Some(y), Some(x)) =
                ((row * stride + i).checked_sub(k / 2), (column * stride + j).checked_sub(k / 2))
            else {
                continue;
            };
            if y < map.height && x < map.width {
                let value = map.hwc[(y * map.width + x) * input + c];
                sum += f64::from(weights[((n * input + c) * k + i) * k + j]) * f64::from(value);
            }
        }
        sum
    }

    /// The largest error over all values, as a part of the largest value.
    fn error(isa: Isa, shape: ConvolutionShape, [height, width]: [usize; 2], relu: bool) -> f64 {
        let ConvolutionShape { kernel, input, output, .. } = shape;
        let (w, bias) = (wave(output * input * kernel * kernel, 0.73), wave(output, 1.3));
        let hwc = wave(height * width * input, 0.37);
        let map = Map { hwc: &hwc, height, width };
        let convolution = Convolution::new(isa, shape, &w, &bias);
        let [rows, columns] = convolution.output_size([height, width]);
        let residual = wave(rows * columns * output, 0.11);
        let activation = if relu { Activation::Relu } else { Activation::None };
        let options = ConvolutionOptions { residual: relu.then_some(&residual), activation };
        let mut scratch = ConvolutionScratch::default();
        let mut out = vec![f32::NAN; residual.len()];
        convolution.rows(map, 0..rows, options, &mut scratch, &mut out);

        let row = columns * output;
        for split in (0..rows).filter(|split| split % ROWS_TOGETHER == 0) {
            let mut part = vec![f32::NAN; (rows - split) * row];
            let residual = options.residual.map(|residual| &residual[split * row..]);
            let options = ConvolutionOptions { residual, ..options };
            convolution.rows(map, split..rows, options, &mut scratch, &mut part);
            assert_eq!(part, out[split * row..], "{} {shape:?} from row {split}", isa.name());
        }
        let (mut worst, mut largest) = (0f64, 0f64);
        for (i, &got) in out.iter().enumerate() {
            let at = [i / row, i / output % columns, i % output];
            let mut want = reference(shape, map, &w, at) + f64::from(bias[at[2]]);
            if relu {
                want = (want + f64::from(residual[i])).max(0.0);
            }
            worst = worst.max((f64::from(got) - want).abs());
            assert!(got.is_finite(), "value {i}");
            largest = largest.max(want.abs());
        }
        worst / largest.max(1.0)
    }

    #[test]
    fn every_shape_agrees_with_the_definition() {
        for isa in Isa::available() {
            for (kernel, stride) in [(1, 1), (1, 2), (3, 1), (3, 2), (5, 1), (7, 2)] {
                for (input, output) in [(1, 1), (3, 64), (16, 16), (17, 35), (64, 24), (256, 8)] {
                    for size in [[1, 1], [4, 4], [5, 9], [13, 6]] {
                        let shape = ConvolutionShape { kernel, stride, input, output };
                        let error = error(isa, shape, size, size[0] % 2 == 1);
                        // Sums of up to 12544 products; the transform of Winograd multiplies their roundings by a few.
                        let allowed = if (kernel, stride) == (3, 1) { 2e-5 } else { 1e-5 };
                        assert!(error < allowed, "{} {shape:?} {size:?}: {error:e}", isa.name());
                    }
                }
            }
        }
    }

    #[test]
    fn nothing_of_the_last_map_shines_through() {
        let isa = Isa::best();
        let shape = ConvolutionShape { kernel: 3, stride: 1, input: 5, output: 7 };
        let convolution = Convolution::new(isa, shape, &wave(5 * 7 * 9, 0.3), &[0.0; 7]);
        let run = |value: f32, scratch: &mut ConvolutionScratch| {
            let hwc = vec![value; 6 * 6 * 5];
            let mut out = vec![0.0; 6 * 6 * 7];
            let map = Map { hwc: &hwc, height: 6, width: 6 };
            convolution.rows(map, 0..6, ConvolutionOptions::default(), scratch, &mut out);
            out
        };
        let mut scratch = ConvolutionScratch::default();
        let fresh = run(0.5, &mut scratch);
        assert!(run(f32::NAN, &mut scratch).iter().all(|v| v.is_nan()));
        assert_eq!(run(0.5, &mut scratch), fresh);
    }
}
