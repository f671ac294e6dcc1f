//! A convolution as a matrix product over gathered windows.

use super::{ConvolutionScratch, ConvolutionShape, Job, Map, at_least, pitch};
use crate::gemm::{AffineOptions, Packed, affine};
use crate::isa::Isa;
use crate::matrix::{MatMut, MatRef};

/// Windows are gathered for so many values at a time: they stay in the L2 cache until they are multiplied.
const BLOCK_VALUES: usize = 64 * 1024;

/// The weights as `[rows · columns · input channels, output]`.
#[derive(Clone, Debug)]
pub(super) struct Windows(Packed);

impl Windows {
    pub(super) fn new(isa: Isa, shape: ConvolutionShape, weights: &[f32]) -> Windows {
        let ConvolutionShape { kernel, input, output, .. } = shape;
        let (taps, k) = (kernel * kernel, kernel * kernel * input);
        let mut rows = vec![0.0; output * k];
        for (row, weights) in rows.chunks_exact_mut(k).zip(weights.chunks_exact(k)) {
            for (c, weights) in weights.chunks_exact(taps).enumerate() {
                weights.iter().enumerate().for_each(|(tap, w)| row[tap * input + c] = *w);
            }
        }
        Windows(Packed::transposed(isa, MatRef::dense(&rows, output, k)))
    }

    pub(super) fn run(&self, job: Job<'_>, scratch: &mut ConvolutionScratch) {
        let Job { shape, map, bias, options, rows, width, out } = job;
        let ConvolutionShape { kernel, stride, input, output } = shape;
        let (k, first, count) = (self.0.k(), rows.start * width, rows.len() * width);
        let affine_part = |a: MatRef<'_>, from: usize, out: &mut [f32]| {
            let residual =
                options.residual.map(|residual| MatRef::dense(&residual[from * output..], a.rows(), output));
            let options = AffineOptions { bias: Some(bias), activation: options.activation, residual };
            affine(a, &self.0, options, MatMut::dense(out, a.rows(), output));
        };
        if kernel == 1 && stride == 1 && pitch(k) == k {
            return affine_part(MatRef::dense(&map.hwc[first * input..], count, input), 0, out);
        }
        let pitch = pitch(k);
        let block = (BLOCK_VALUES / pitch).clamp(48, 4096).next_multiple_of(48);
        let left = at_least(&mut scratch.left, block.min(count) * pitch);
        for (i, out) in out.chunks_mut(block * output).enumerate() {
            let (from, n) = (i * block, out.len() / output);
            for (at, window) in (first + from..).zip(left.chunks_exact_mut(pitch).take(n)) {
                gather(map, shape, [at / width, at % width], &mut window[..k]);
            }
            affine_part(MatRef::strided(left, n, k, pitch), from, out);
        }
    }
}

/// Writes the window of a position of the result, `[kernel, kernel, input]`, zero outside the map.
fn gather(map: Map<'_>, shape: ConvolutionShape, [row, column]: [usize; 2], window: &mut [f32]) {
    let ConvolutionShape { kernel, stride, input, .. } = shape;
    let half = kernel / 2;
    // Columns of the kernel that meet the map.
    let left = half.saturating_sub(column * stride).min(kernel);
    let right = (map.width + half).saturating_sub(column * stride).min(kernel);
    for (i, to) in window.chunks_exact_mut(kernel * input).enumerate() {
        match (row * stride + i).checked_sub(half).filter(|&y| y < map.height && left < right) {
            None => to.fill(0.0),
            Some(y) => {
                let from = (y * map.width + column * stride + left - half) * input;
                let count = (right - left) * input;
                to[..left * input].fill(0.0);
                to[left * input..right * input].copy_from_slice(&map.hwc[from..from + count]);
                to[right * input..].fill(0.0);
            }
        }
    }
}
