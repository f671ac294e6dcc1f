//! Pieces of the score: the map of all levels, peaks, the coarsest level, regions, the linear head.
//!
//! ```text
//! map(y, x) = ln L − ln Σ over levels and the four corners of each e^(l − M + ln w)        w: the corner's bilinear weight
//! ```
//!
//! That is the map of [`bgad::score`] with the sum kept as a logarithm: `e^(l − M)` of a defect is far below what 32 bits hold. A corner
//! of weight 0 has [`NOTHING`] for its logarithm.

use bgad::foreground::Foreground;
use bgad::image::{InputSize, Window};
use bgad::score::{Baseline, Between, LinearHead, RegionalGaussians, Regions, aligned, positions};

use super::{Builder, Fixed, Value};

/// Low enough to count for nothing, high enough to stay a number.
const NOTHING: f32 = -1e30;

/// What is looked at of an image at the input size.
pub(crate) struct View {
    pub size: InputSize,
    /// The part of the input that shows the image.
    pub window: Window,
    /// The pixels that are scored; `None` for all.
    pub area: Option<Foreground>,
    /// The pixels of the image that are scored; `None` for all of the input.
    pub seen: Option<Foreground>,
}

impl View {
    /// Whether the image fills the input.
    pub(crate) fn is_whole(&self) -> bool {
        self.size.is_filled_by(self.window)
    }
}

/// A value on the grid of a level.
pub(crate) struct OnGrid {
    /// `[N, C, h, w]`.
    pub value: Value,
    pub grid: (usize, usize),
}

impl Builder {
    /// `−ln(S / L)`, `[N, 1, H, W]`, of `l − M` of each level.
    pub(crate) fn map(&mut self, levels: &[OnGrid], size: InputSize) -> Value {
        let mut corners = Vec::new();
        for level in levels {
            let rows = aligned(level.grid.0, size.height);
            let columns = aligned(level.grid.1, size.width);
            for row in Side::BOTH {
                let of_row = self.taken(&level.value, &rows, row, 2);
                for column in Side::BOTH {
                    corners.push(self.taken(&of_row, &columns, column, 3));
                }
            }
        }
        let corners: Vec<&Value> = corners.iter().collect();
        let corners = self.op_with("Concat", &corners, &[Fixed::Int("axis", 1)]);
        let highest = self.reduce("ReduceMax", &corners, &[1], true);
        let below = self.op("Sub", &[&corners, &highest]);
        let shares = self.op("Exp", &[&below]);
        let sum = self.sum(&shares, 1, true);
        let log = self.op("Log", &[&sum]);
        let log = self.op("Add", &[&highest, &log]);
        let levels = self.number((levels.len() as f32).ln());
        self.op("Sub", &[&levels, &log])
    }

    /// One of the two neighbours of each output place along an axis, with the logarithm of its weight added.
    fn taken(&mut self, value: &Value, places: &[Between], side: Side, axis: usize) -> Value {
        let at: Vec<usize> = places.iter().map(|place| side.of(place).0).collect();
        let log = |weight: f64| if weight > 0.0 { weight.ln() as f32 } else { NOTHING };
        let weights: Vec<f32> = places.iter().map(|place| log(side.of(place).1)).collect();
        let mut dims = [1; 4];
        dims[axis] = places.len();
        let (at, weights) = (self.whole_numbers(&at), self.constant(&dims, &weights));
        let taken = self.op_with("Gather", &[value, &at], &[Fixed::Int("axis", axis as i64)]);
        self.op("Add", &[&taken, &weights])
    }

    /// Values on a grid, `[N, 1, h, w]`, at every pixel: bilinear, corners aligned, as a product with two constant matrices.
    fn upsampled(&mut self, value: &Value, (h, w): (usize, usize), size: InputSize) -> Value {
        let down = self.constant(&[size.height, h], &interpolation(h, size.height));
        let across = interpolation(w, size.width);
        let across: Vec<f32> =
            (0..w).flat_map(|i| across.iter().skip(i).step_by(w).copied().collect::<Vec<f32>>()).collect();
        let across = self.constant(&[w, size.width], &across);
        let rows = self.op("MatMul", &[&down, value]);
        self.op("MatMul", &[&rows, &across])
    }

    /// `h` at every pixel, `[N, 1, H, W]`.
    pub(crate) fn head(&mut self, heads: &[LinearHead], features: &[OnGrid], size: InputSize) -> Value {
        let mut sum: Option<Value> = None;
        for head in heads {
            let OnGrid { value, grid } = &features[head.level()];
            let h = self.affine(head.weights(), Some(&[head.bias()]), 1, value);
            let h = self.upsampled(&h, *grid, size);
            sum = Some(match &sum {
                None => h,
                Some(sum) => self.op("Add", &[sum, &h]),
            });
        }
        sum.expect("a score with a linear head has its weights")
    }

    /// What is looked at of a map; what is not scored becomes `calm`, which is `[N, 1, 1, 1]` or a number.
    pub(crate) fn limited(
        &mut self,
        map: &Value,
        view: &View,
        calm: impl FnOnce(&mut Builder) -> Value,
    ) -> Value {
        let mut map = map.clone();
        let InputSize { height, width, .. } = view.size;
        if let Some(area) = &view.area {
            let inside: Vec<bool> = area.inside.iter().map(|&pixel| pixel != 0).collect();
            let inside = self.mask(&[1, 1, height, width], &inside);
            let calm = calm(self);
            map = self.op("Where", &[&inside, &map, &calm]);
        }
        if !view.is_whole() {
            let Window { top, left, height, width } = view.window;
            let starts = self.whole_numbers(&[top, left]);
            let ends = self.whole_numbers(&[top + height, left + width]);
            let axes = self.whole_numbers(&[2, 3]);
            map = self.op("Slice", &[&map, &starts, &ends, &axes]);
        }
        map
    }

    /// The same with everything that is not scored far below all else.
    pub(crate) fn limited_to_seen(&mut self, map: &Value, view: &View) -> Value {
        self.limited(map, view, |builder| builder.number(NOTHING))
    }

    /// A map of the window back at the input size; beside it there is nothing.
    pub(crate) fn widened(&mut self, map: &Value, view: &View) -> Value {
        if view.is_whole() {
            return map.clone();
        }
        let Window { top, left, height, width } = view.window;
        let (bottom, right) = (view.size.height - top - height, view.size.width - left - width);
        let pads = self.whole_numbers(&[0, 0, top, left, 0, 0, bottom, right]);
        let nothing = self.number(NOTHING);
        self.op("Pad", &[map, &pads, &nothing])
    }

    /// The mean of the highest `pixels` of a map of the window, `[N]`.
    pub(crate) fn peak(&mut self, map: &Value, view: &View, pixels: usize) -> Value {
        let values = self.flat(map);
        self.mean_of_highest(&values, pixels.min(view.window.height * view.window.width))
    }

    fn mean_of_highest(&mut self, values: &Value, count: usize) -> Value {
        let count = self.whole_numbers(&[count]);
        let [highest, _] = self.node("TopK", &[values, &count], &[Fixed::Int("axis", 1)]);
        self.reduce("ReduceMean", &highest, &[1], false)
    }

    /// The mean of the highest positions of the coarsest level, `[N]`; `None` if none is looked at. `a` is `[N, 1, h, w]`.
    pub(crate) fn coarsest(&mut self, a: &OnGrid, view: &View, pixels: usize) -> Option<Value> {
        let count = positions(pixels, view.size.pixels(), a.grid.0 * a.grid.1);
        let (values, all) = self.seen(a, view)?;
        Some(self.mean_of_highest(&values, count.min(all)))
    }

    /// The values at the positions that are looked at, `[N, positions]`, and how many these are; `None` if there is none.
    fn seen(&mut self, on_grid: &OnGrid, view: &View) -> Option<(Value, usize)> {
        let values = self.flat(&on_grid.value);
        let Some(seen) = &view.seen else {
            return Some((values, on_grid.grid.0 * on_grid.grid.1));
        };
        let seen = seen.on_grid(on_grid.grid).into_iter().enumerate();
        let seen: Vec<usize> = seen.filter(|(_, inside)| *inside).map(|(position, _)| position).collect();
        if seen.is_empty() {
            return None;
        }
        let at = self.whole_numbers(&seen);
        Some((self.op_with("Gather", &[&values, &at], &[Fixed::Int("axis", 1)]), seen.len()))
    }

    /// The likelihood of a level, measured from the image's own baseline: the least of the higher half of its values.
    pub(crate) fn levelled(&mut self, l: OnGrid, baseline: Option<&Baseline>, view: &View) -> OnGrid {
        let Some(baseline) = baseline else { return l };
        let Some((values, all)) = self.seen(&l, view) else { return l };
        let count = self.whole_numbers(&[Baseline::reaching(all)]);
        let [higher, _] = self.node("TopK", &[&values, &count], &[Fixed::Int("axis", 1)]);
        let middle = self.reduce("ReduceMin", &higher, &[1], false);
        let shift = self.op_number("Sub", &middle, baseline.usual);
        let (low, high) = (self.number(-baseline.reach), self.number(baseline.reach));
        let shift = self.op("Clip", &[&shift, &low, &high]);
        let axes = self.whole_numbers(&[1, 2, 3]);
        let shift = self.op("Unsqueeze", &[&shift, &axes]);
        OnGrid { value: self.op("Sub", &[&l.value, &shift]), ..l }
    }

    /// `d` of the oddest region, `[N]`; `features` are those of the coarsest level.
    pub(crate) fn regional(&mut self, part: &RegionalGaussians, features: &OnGrid, view: &View) -> Value {
        let (h, w) = features.grid;
        let weights = part.regions().weights((h, w), view.seen.as_ref());
        let (d, all) = (part.gaussians()[0].mean.len(), h * w);
        let c = if part.regions() == Regions::Whole { d / 4 } else { d };
        let transposed: Vec<f32> =
            (0..all).flat_map(|position| weights.iter().map(move |row| row[position])).collect();
        let matrix = self.constant(&[all, weights.len()], &transposed);
        let shape = self.whole_numbers(&[0, c, all]);
        let flat = self.op("Reshape", &[&features.value, &shape]);
        let means = self.op("MatMul", &[&flat, &matrix]);
        match part.regions() {
            Regions::Cells => self.cells(part, &means, &weights),
            Regions::Whole => self.whole(part, &means),
        }
    }

    /// `means` is `[N, C, cells]`.
    fn cells(&mut self, part: &RegionalGaussians, means: &Value, weights: &[Vec<f32>]) -> Value {
        let (n, c) = (weights.len(), part.gaussians()[0].mean.len());
        let (mut matrices, mut biases) = (Vec::with_capacity(n * c * c), Vec::with_capacity(n * c));
        for (gaussian, weights) in part.gaussians().iter().zip(weights) {
            // A cell of which nothing is looked at is usual.
            let seen = if weights.iter().any(|weight| *weight > 0.0) { 1.0 } else { 0.0 };
            matrices.extend(transposed(&gaussian.matrix, c).into_iter().map(|w| seen * w));
            biases.extend(gaussian.bias().into_iter().map(|b| seen * b));
        }
        let means = self.op_with("Transpose", &[means], &[Fixed::Ints("perm", &[2, 0, 1])]);
        let matrices = self.constant(&[n, c, c], &matrices);
        let biases = self.constant(&[n, 1, c], &biases);
        let z = self.op("MatMul", &[&means, &matrices]);
        let z = self.op("Add", &[&z, &biases]);
        let square = self.op("Mul", &[&z, &z]);
        let distances = self.sum(&square, 2, false);
        let oddest = self.reduce("ReduceMax", &distances, &[0], false);
        self.op_number("Div", &oddest, 2.0 * c as f32)
    }

    /// `means` is `[N, C, 4]`.
    fn whole(&mut self, part: &RegionalGaussians, means: &Value) -> Value {
        let gaussian = &part.gaussians()[0];
        let d = gaussian.mean.len();
        let quarters = self.op_with("Transpose", &[means], &[Fixed::Ints("perm", &[0, 2, 1])]);
        let v = self.flat(&quarters);
        let matrix = self.constant(&[d, d], &transposed(&gaussian.matrix, d));
        let bias = self.constant(&[1, d], &gaussian.bias());
        let z = self.op("MatMul", &[&v, &matrix]);
        let z = self.op("Add", &[&z, &bias]);
        let square = self.op("Mul", &[&z, &z]);
        let distance = self.sum(&square, 1, false);
        self.op_number("Div", &distance, 2.0 * d as f32)
    }
}

/// One of the two neighbours of a place.
#[derive(Clone, Copy)]
enum Side {
    First,
    Second,
}

impl Side {
    const BOTH: [Side; 2] = [Side::First, Side::Second];

    /// Where it is and what it counts.
    fn of(self, place: &Between) -> (usize, f64) {
        match self {
            Side::First => (place.first, 1.0 - place.t),
            Side::Second => (place.second, place.t),
        }
    }
}

/// The matrix, `[out, size]`, that brings `size` values to `out` places.
fn interpolation(size: usize, out: usize) -> Vec<f32> {
    let mut matrix = vec![0.0; size * out];
    for (row, place) in matrix.chunks_exact_mut(size).zip(aligned(size, out)) {
        for side in Side::BOTH {
            let (at, weight) = side.of(&place);
            row[at] += weight as f32;
        }
    }
    matrix
}

fn transposed(square: &[f32], n: usize) -> Vec<f32> {
    (0..n).flat_map(|j| (0..n).map(move |i| square[i * n + j])).collect()
}
