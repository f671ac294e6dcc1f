//! A 3 × 3 convolution of stride 1 in tiles of 4 × 4, after Winograd: 36 products for 144 multiplications.
//!
//! ```text
//! Y = Aᵀ [ Σ_c (G g_c Gᵀ) ⊙ (Bᵀ d_c B) ] A          d: 6 × 6 of the map, g: 3 × 3 weights, Y: 4 × 4 of the result
//!
//! points 0, ±a, ±b, ∞ with a = √½, b = √2:
//!      ⎡1  0    −5/2  0    1  0⎤        ⎡1    0    0  ⎤
//!      ⎢0 −b   −2     a    1  0⎥        ⎢⅔·(−1, −a, −½)⎥         ⎡1  1    1     1    1   0⎤
//! Bᵀ = ⎢0  b   −2    −a    1  0⎥    G = ⎢⅔·(−1,  a, −½)⎥    Aᵀ = ⎢0  a   −a     b   −b   0⎥
//!      ⎢0 −a   −½     b    1  0⎥        ⎢⅙·(1,  b,  2) ⎥         ⎢0  ½    ½     2    2   0⎥
//!      ⎢0  a   −½    −b    1  0⎥        ⎢⅙·(1, −b,  2) ⎥         ⎣0  a³  −a³    b³  −b³  1⎦
//!      ⎣0  1    0    −5/2  0  1⎦        ⎣0    0    1  ⎦
//! ```
//!
//! Lavin and Gray, 2015, <https://arxiv.org/abs/1509.09308>. These points, and not the usual 0, ±1, ±2, because rounding grows less: the factors of
//! a transform lie nearer to 1. The weights are transformed once, in `f64`. The 36 products are matrix products over all tiles of a share.

use std::f32::consts::{FRAC_1_SQRT_2, SQRT_2};

use super::{ConvolutionScratch, ConvolutionShape, Job, Map, at_least, pitch};
use crate::gemm::{AffineOptions, Packed, affine};
use crate::isa::{Isa, Kernel};
use crate::matrix::{MatMut, MatRef};
use crate::simd::Simd;

/// Side of a tile of the result.
pub(super) const OUT: usize = 4;
/// Side of the part of the map that it sees.
const IN: usize = 6;
const POINTS: usize = IN * IN;

/// The transformed weights, `[input, output]` for each pair of points.
#[derive(Clone, Debug)]
pub(super) struct Winograd {
    isa: Isa,
    factors: Vec<Packed>,
}

/// `G`.
fn weights_transform() -> [[f64; 3]; IN] {
    let (a, b) = (0.5f64.sqrt(), 2f64.sqrt());
    let row = |x: f64, scale: f64| [scale, scale * x, scale * x * x];
    let (of_a, of_b) = (-2.0 / 3.0, 1.0 / 6.0);
    [row(0.0, 1.0), row(a, of_a), row(-a, of_a), row(b, of_b), row(-b, of_b), [0.0, 0.0, 1.0]]
}

impl Winograd {
    pub(super) fn new(isa: Isa, shape: ConvolutionShape, weights: &[f32]) -> Winograd {
        let ConvolutionShape { input, output, .. } = shape;
        let g = weights_transform();
        let each = output * input;
        let mut transformed = vec![0f32; POINTS * each];
        for (at, w) in weights.as_chunks::<9>().0.iter().enumerate() {
            let rows: [[f64; 3]; IN] = std::array::from_fn(|i| {
                std::array::from_fn(|j| (0..3).map(|k| g[i][k] * f64::from(w[k * 3 + j])).sum())
            });
            for (i, j) in (0..POINTS).map(|p| (p / IN, p % IN)) {
                let value: f64 = (0..3).map(|k| rows[i][k] * g[j][k]).sum();
                transformed[(i * IN + j) * each + at] = value as f32;
            }
        }
        let factor = |values: &[f32]| Packed::transposed(isa, MatRef::dense(values, output, input));
        Winograd { isa, factors: transformed.chunks_exact(each).map(factor).collect() }
    }

    pub(super) fn run(&self, mut job: Job<'_>, scratch: &mut ConvolutionScratch) {
        let ConvolutionShape { input, output, .. } = job.shape;
        assert!(job.rows.start.is_multiple_of(OUT), "rows {:?} do not begin at a tile", job.rows);
        let across = job.width.div_ceil(OUT);
        let tiles = job.rows.start / OUT * across..job.rows.end.div_ceil(OUT) * across;
        let share = share(input, output).min(tiles.len());
        let zeros = vec![0.0; input];
        for first in tiles.clone().step_by(share) {
            let count = share.min(tiles.end - first);
            let tiles = Tiles { first, count, across };
            let (of_map, of_result) = (Layout::new(count, input), Layout::new(count, output));
            let left = at_least(&mut scratch.left, of_map.len());
            self.isa.run(Spread { map: job.map, zeros: &zeros, tiles, layout: of_map, to: left });
            let product = at_least(&mut scratch.product, of_result.len());
            let lefts = left.chunks_exact(of_map.apart);
            for ((left, factor), product) in
                lefts.zip(&self.factors).zip(product.chunks_exact_mut(of_result.apart))
            {
                let left = MatRef::strided(left, count, input, of_map.pitch);
                let product = MatMut::strided(product, count, output, of_result.pitch);
                affine(left, factor, AffineOptions::default(), product);
            }
            self.isa.run(Gather { from: product, tiles, layout: of_result, job: &mut job });
        }
    }
}

/// Where the matrices of all points lie in a buffer: row `t` of point `p` begins at `p · apart + t · pitch`.
#[derive(Clone, Copy)]
struct Layout {
    count: usize,
    cols: usize,
    pitch: usize,
    apart: usize,
}

impl Layout {
    /// Matrices of `count` rows of `cols` values.
    fn new(count: usize, cols: usize) -> Layout {
        const LINE: usize = 16;
        let pitch = pitch(cols);
        // An odd number of cache lines: one vector of all points is written at a time, and must not share few sets of the L1 cache.
        let lines = (count * pitch).div_ceil(LINE);
        Layout { count, cols, pitch, apart: (lines | 1) * LINE }
    }

    fn len(self) -> usize {
        POINTS * self.apart
    }

    /// Whether every row lies in a buffer of `len` values.
    #[inline(always)]
    fn fits(self, len: usize) -> bool {
        self.cols <= self.pitch && self.count * self.pitch <= self.apart && self.len() <= len
    }
}

/// Tiles that go through the products together. A factor is read once a share; small factors stay in the L2 cache together with a small share.
fn share(input: usize, output: usize) -> usize {
    (input * output / 512).clamp(48, 480)
}

/// Some tiles of the result, counted row by row.
#[derive(Clone, Copy)]
struct Tiles {
    first: usize,
    count: usize,
    /// Tiles side by side.
    across: usize,
}

impl Tiles {
    /// The first row and column of the `t`-th.
    #[inline(always)]
    fn corner(self, t: usize) -> (usize, usize) {
        let tile = self.first + t;
        (tile / self.across * OUT, tile % self.across * OUT)
    }
}

/// `Bᵀ d B` of all tiles: the map to `POINTS` matrices of one row a tile.
struct Spread<'a> {
    map: Map<'a>,
    /// One position outside the map.
    zeros: &'a [f32],
    tiles: Tiles,
    layout: Layout,
    to: &'a mut [f32],
}

impl Kernel for Spread<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        let c = self.layout.cols;
        assert!(self.layout.fits(self.to.len()) && self.layout.count == self.tiles.count);
        assert!(self.zeros.len() == c);
        for t in 0..self.tiles.count {
            let Map { hwc, height, width } = self.map;
            let (top, left) = self.tiles.corner(t);
            // Each of `c` values. One row and column before the tile is seen too.
            let seen: [&[f32]; POINTS] = std::array::from_fn(|p| {
                let (y, x) = ((top + p / IN).wrapping_sub(1), (left + p % IN).wrapping_sub(1));
                if y < height && x < width { &hwc[(y * width + x) * c..][..c] } else { self.zeros }
            });
            let whole = c / S::LANES * S::LANES;
            for first in (0..whole).step_by(S::LANES) {
                self.vector::<S, true>(simd, t, &seen, first);
            }
            if whole < c {
                self.vector::<S, false>(simd, t, &seen, whole);
            }
        }
    }
}

impl Spread<'_> {
    /// One vector of channels of tile `t`; a `WHOLE` one, or what is left of it.
    #[inline(always)]
    fn vector<S: Simd, const WHOLE: bool>(
        &mut self,
        simd: S,
        t: usize,
        seen: &[&[f32]; POINTS],
        first: usize,
    ) {
        let Layout { count, cols, pitch, apart } = self.layout;
        let left = cols - first;
        assert!(t < count && (!WHOLE || left >= S::LANES));
        let to = self.to.as_mut_ptr();
        // SAFETY: each slice has `cols` values, and the layout fits the buffer, as was asserted before the first tile; from `first` on there are
        // `left` columns, and loads and stores stop there.
        unsafe {
            let mut rows = [[simd.splat(0.0); IN]; IN];
            for (i, row) in rows.iter_mut().enumerate() {
                let mut d = [simd.splat(0.0); IN];
                for (j, d) in d.iter_mut().enumerate() {
                    *d = load::<S, WHOLE>(simd, seen[i * IN + j].as_ptr().add(first), left);
                }
                *row = map_transform(simd, d);
            }
            for j in 0..IN {
                let mut column = [simd.splat(0.0); IN];
                for (column, row) in column.iter_mut().zip(&rows) {
                    *column = row[j];
                }
                for (i, &v) in map_transform(simd, column).iter().enumerate() {
                    let at = to.add((i * IN + j) * apart + t * pitch + first);
                    if WHOLE { simd.store(at, v) } else { simd.store_first(at, left, v) }
                }
            }
        }
    }
}

/// A whole vector, or the first `left` values of one.
///
/// # Safety
///
/// As many values must be at `at`.
#[inline(always)]
unsafe fn load<S: Simd, const WHOLE: bool>(simd: S, at: *const f32, left: usize) -> S::V {
    // SAFETY: the caller vouches for as many values as are read.
    unsafe { if WHOLE { simd.load(at) } else { simd.load_first(at, left) } }
}

/// `Bᵀ d`.
#[inline(always)]
fn map_transform<S: Simd>(simd: S, d: [S::V; IN]) -> [S::V; IN] {
    let (a, b) = (simd.splat(FRAC_1_SQRT_2), simd.splat(SQRT_2));
    let (even_a, odd_a) = (minus(simd, 2.0, d[2], d[4]), minus(simd, SQRT_2, d[1], simd.mul(a, d[3])));
    let (even_b, odd_b) = (minus(simd, 0.5, d[2], d[4]), minus(simd, FRAC_1_SQRT_2, d[1], simd.mul(b, d[3])));
    [
        simd.add(minus(simd, 2.5, d[2], d[0]), d[4]),
        simd.add(even_a, odd_a),
        simd.sub(even_a, odd_a),
        simd.add(even_b, odd_b),
        simd.sub(even_b, odd_b),
        simd.add(minus(simd, 2.5, d[3], d[1]), d[5]),
    ]
}

/// `Aᵀ m A` of all tiles, bias, residual and activation: `POINTS` matrices to the result.
struct Gather<'t, 'a> {
    from: &'t [f32],
    tiles: Tiles,
    layout: Layout,
    job: &'t mut Job<'a>,
}

impl Kernel for Gather<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        let n = self.layout.cols;
        assert!(self.layout.fits(self.from.len()) && self.layout.count == self.tiles.count);
        assert!(self.job.bias.len() == n);
        for t in 0..self.tiles.count {
            let whole = n / S::LANES * S::LANES;
            for first in (0..whole).step_by(S::LANES) {
                self.vector::<S, true>(simd, t, first);
            }
            if whole < n {
                self.vector::<S, false>(simd, t, whole);
            }
        }
    }
}

impl Gather<'_, '_> {
    /// One vector of channels of tile `t`; a `WHOLE` one, or what is left of it.
    #[inline(always)]
    fn vector<S: Simd, const WHOLE: bool>(&mut self, simd: S, t: usize, first: usize) {
        let Layout { count, cols: n, pitch, apart } = self.layout;
        let left = n - first;
        assert!(t < count && (!WHOLE || left >= S::LANES));
        let from = self.from.as_ptr();
        let mut z = [[simd.splat(0.0); IN]; OUT];
        for j in 0..IN {
            let mut column = [simd.splat(0.0); IN];
            for (i, v) in column.iter_mut().enumerate() {
                // SAFETY: the layout fits the buffer, as was asserted before the first tile; from `first` on there are `left` columns, and
                // loads stop there.
                *v = unsafe {
                    load::<S, WHOLE>(simd, from.add((i * IN + j) * apart + t * pitch + first), left)
                };
            }
            for (z, v) in z.iter_mut().zip(result_transform(simd, column)) {
                z[j] = v;
            }
        }
        let (top, start) = self.tiles.corner(t);
        let Job { bias, options, rows, width, out, .. } = &mut *self.job;
        let bias = simd.read(&bias[first..(first + S::LANES).min(n)]);
        for (i, z) in z.into_iter().enumerate() {
            let Some(row) = (top + i).checked_sub(rows.start).filter(|_| top + i < rows.end) else { break };
            let y = result_transform(simd, z);
            for (j, y) in y.into_iter().enumerate().take(*width - start) {
                let at = (row * *width + start + j) * n + first;
                let at = at..at + left.min(S::LANES);
                let mut v = simd.add(y, bias);
                if let Some(residual) = options.residual {
                    v = simd.add(v, simd.read(&residual[at.clone()]));
                }
                simd.write(&mut out[at], options.activation.apply(simd, v));
            }
        }
    }
}

/// `Aᵀ m`.
#[inline(always)]
fn result_transform<S: Simd>(simd: S, m: [S::V; IN]) -> [S::V; OUT] {
    let (sum_a, difference_a) = (simd.add(m[1], m[2]), simd.sub(m[1], m[2]));
    let (sum_b, difference_b) = (simd.add(m[3], m[4]), simd.sub(m[3], m[4]));
    [
        simd.add(simd.add(m[0], sum_a), sum_b),
        plus(simd, SQRT_2, difference_b, simd.mul(simd.splat(FRAC_1_SQRT_2), difference_a)),
        plus(simd, 2.0, sum_b, simd.mul(simd.splat(0.5), sum_a)),
        plus(simd, 2.0 * SQRT_2, difference_b, plus(simd, 0.25 * SQRT_2, difference_a, m[5])),
    ]
}

/// `w + x v`.
#[inline(always)]
fn plus<S: Simd>(simd: S, x: f32, v: S::V, w: S::V) -> S::V {
    simd.mul_add(simd.splat(x), v, w)
}

/// `w − x v`.
#[inline(always)]
fn minus<S: Simd>(simd: S, x: f32, v: S::V, w: S::V) -> S::V {
    simd.mul_add(simd.splat(-x), v, w)
}
