//! Whatever the shapes and strides, up to `usize::MAX`: a view is made exactly if it fits, and a kernel writes its view
//! and nothing else. That nothing else is read either shows under AddressSanitizer (`cargo xtask fuzz --sanitize`): every
//! buffer here ends with the last value of its view.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bgad_kernels::coupling::{self, ColumnMap};
use bgad_kernels::depthwise::{Depthwise, DepthwiseShape};
use bgad_kernels::gemm::{self, Activation, AffineOptions, Packed, Tables, TablesMut};
use bgad_kernels::stem::Stem;
use bgad_kernels::{Isa, MatMut, MatRef};
use proptest::prelude::*;

/// Sizes of everyday, around powers of two, and at the end.
fn size() -> impl Strategy<Value = usize> {
    prop_oneof![
        4 => 0..20usize,
        1 => (0..64u32, 0..3usize).prop_map(|(bit, off)| (1usize << bit).wrapping_add(off).wrapping_sub(1)),
        1 => (0..20usize).prop_map(|back| usize::MAX - back),
        1 => any::<usize>(),
    ]
}

/// What a view needs, in numbers that cannot overflow: `None` where rows would overlap.
fn needed(rows: usize, cols: usize, stride: usize) -> Option<u128> {
    let span = (rows as u128).checked_sub(1).map_or(0, |before| before * stride as u128 + cols as u128);
    (stride >= cols).then_some(span)
}

/// A matrix of its own, its rows `gap` values further apart than they are long; the gaps are NaN.
#[derive(Clone, Debug)]
struct Buffer {
    data: Vec<f32>,
    rows: usize,
    cols: usize,
    stride: usize,
}

impl Buffer {
    fn new(rows: usize, cols: usize, gap: usize, value: impl Fn(usize, usize) -> f32) -> Buffer {
        let stride = cols + gap;
        let mut data = vec![f32::NAN; rows.checked_sub(1).map_or(0, |before| before * stride + cols)];
        for i in 0..rows {
            (0..cols).for_each(|j| data[i * stride + j] = value(i, j));
        }
        Buffer { data, rows, cols, stride }
    }

    /// Values in [-1, 1) that differ everywhere.
    fn wave(rows: usize, cols: usize, gap: usize) -> Buffer {
        Buffer::new(rows, cols, gap, |i, j| ((i * 31 + j * 7) as f32 * 0.37).sin())
    }

    fn view(&self) -> MatRef<'_> {
        MatRef::strided(&self.data, self.rows, self.cols, self.stride)
    }

    fn view_mut(&mut self) -> MatMut<'_> {
        MatMut::strided(&mut self.data, self.rows, self.cols, self.stride)
    }

    fn at(&self, i: usize, j: usize) -> f32 {
        self.data[i * self.stride + j]
    }

    /// Every value is near the wanted one, and the gaps are as they were.
    fn assert(&self, want: impl Fn(usize, usize) -> f32, what: &str) {
        for (at, &found) in self.data.iter().enumerate() {
            let (i, j) = (at / self.stride.max(1), at % self.stride.max(1));
            if j >= self.cols {
                assert!(found.is_nan(), "{what}: the gap behind row {i} was written");
            } else {
                let want = want(i, j);
                assert!(
                    (found - want).abs() <= 1e-4 * want.abs().max(1.0),
                    "{what} ({i}, {j}): {found}, {want}"
                );
            }
        }
    }
}

fn product(a: &Buffer, b: &Buffer, i: usize, j: usize) -> f32 {
    (0..a.cols).map(|p| a.at(i, p) * b.at(p, j)).sum()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn a_view_is_made_exactly_if_it_fits(rows in size(), cols in size(), stride in size(), len in 0..300usize) {
        let mut data: Vec<f32> = (0..len).map(|i| i as f32).collect();
        let fits = needed(rows, cols, stride).is_some_and(|needed| needed <= len as u128);
        prop_assert_eq!(MatMut::try_new(&mut data, rows, cols, stride).is_ok(), fits);
        let view = MatRef::try_new(&data, rows, cols, stride);
        prop_assert_eq!(view.is_ok(), fits);
        let Ok(view) = view else { return Ok(()) };
        for i in [0, rows / 2, rows.saturating_sub(1)] {
            if i < rows {
                let want: Vec<f32> = (0..cols).map(|j| (i * stride + j) as f32).collect();
                prop_assert_eq!(view.row(i), &want[..]);
            }
        }
        prop_assert!(catch_unwind(|| view.row(rows).len()).is_err());
    }

    #[test]
    fn columns_are_taken_exactly_if_they_are_there(rows in 0..5usize, cols in 0..9usize, from in size(), to in size()) {
        let buffer = Buffer::wave(rows, cols, 2);
        let part = catch_unwind(|| buffer.view().columns(from..to));
        prop_assert_eq!(part.is_ok(), from <= to && to <= cols);
        let Ok(part) = part else { return Ok(()) };
        for i in 0..rows {
            let want: Vec<f32> = (from..to).map(|j| buffer.at(i, j)).collect();
            prop_assert_eq!(part.row(i), &want[..]);
        }
    }

    /// Arguments of any kind: a result or a panic, and what lies outside the view of the result stays.
    #[test]
    fn no_arguments_reach_outside(
        [m, k, n] in [size(), size(), size()],
        [lda, ldc, from] in [size(), size(), size()],
        len in 0..200usize,
        small in any::<bool>(),
    ) {
        // Half of the cases are sound shapes in a buffer that may be too short.
        let [m, k, n, from] = if small { [m % 9, k % 9, n % 9, from % 9] } else { [m, k, n, from] };
        let [lda, ldc] = if small { [k + lda % 3, n + ldc % 3] } else { [lda, ldc] };
        let b = vec![0.5; k.saturating_mul(n).min(400)];
        for isa in Isa::available() {
            let (a, mut c) = (vec![1.0; len], vec![2.0; len]);
            let written = needed(m, n, ldc);
            let _ = catch_unwind(AssertUnwindSafe(|| {
                let a = MatRef::strided(&a, m, k, lda);
                let packed = Packed::new(isa, MatRef::dense(&b, k, n));
                let c = MatMut::strided(&mut c, m, n, ldc);
                gemm::affine(a, &packed, AffineOptions::default(), c);
            }));
            for (at, &value) in c.iter().enumerate() {
                let inside = written.is_some_and(|needed| (at as u128) < needed) && at % ldc.max(1) < n;
                prop_assert!(inside || value == 2.0, "{}: value {} of {} is {}", isa.name(), at, len, value);
            }
            let _ = catch_unwind(AssertUnwindSafe(|| {
                let v = MatMut::strided(&mut c, m, n, ldc).columns(from..from.wrapping_add(k));
                coupling::inverse(1.9, v, MatRef::strided(&a, m, k.wrapping_mul(2), lda), &mut vec![0.0; m.min(99)]);
            }));
            let _ = catch_unwind(AssertUnwindSafe(|| {
                let d = MatRef::strided(&a, m, n, lda);
                coupling::column_moments(isa, d, d, &mut vec![0.0; n.min(99)], &mut vec![0.0; n.min(99)]);
            }));
        }
    }

    #[test]
    fn products_write_their_view_and_nothing_else(
        [m, k, n] in [1..40usize, 0..40usize, 1..60usize],
        gaps in [0..5usize, 0..5usize, 0..5usize],
    ) {
        for isa in Isa::available() {
            let (a, b) = (Buffer::wave(m, k, gaps[0]), Buffer::wave(k, n, gaps[1]));
            let packed = Packed::new(isa, b.view());
            let old = Buffer::wave(m, n, gaps[2]);
            let residual = Buffer::wave(m, n, gaps[0]);
            let mut c = old.clone();
            let options = AffineOptions { residual: Some(residual.view()), ..Default::default() };
            gemm::affine(a.view(), &packed, options, c.view_mut());
            c.assert(|i, j| product(&a, &b, i, j) + residual.at(i, j), "affine");
            let mut c = old.clone();
            gemm::accumulate(a.view(), &packed, c.view_mut());
            c.assert(|i, j| product(&a, &b, i, j) + old.at(i, j), "accumulate");

            let transposed = Buffer::new(k, m, gaps[1], |i, j| a.at(j, i));
            let mut c = old.clone();
            gemm::accumulate_transposed(isa, transposed.view(), b.view(), c.view_mut());
            c.assert(|i, j| product(&a, &b, i, j) + old.at(i, j), "accumulate_transposed");

            let width = isa.padded(n);
            // What the padding of a table holds goes into the padding of the result.
            let [x, y] = [3, 2].map(|rows| Buffer::new(rows, width, gaps[1], |i, j| if j < n { (i + j) as f32 } else { 0.0 }));
            let [column, row] = [3, 2].map(|rows| (0..m as u32).map(|i| i % rows).collect::<Vec<u32>>());
            let tables = Tables { x: x.view(), y: y.view(), column: &column, row: &row };
            let mut hidden = Buffer::new(m, width, gaps[2], |_, _| 9.0);
            gemm::relu_from_tables(a.view(), &packed, tables, hidden.view_mut());
            let sum = |i: usize, j: usize| {
                if j < n { product(&a, &b, i, j) + x.at(i % 3, j) + y.at(i % 2, j) } else { 0.0 }
            };
            hidden.assert(|i, j| sum(i, j).max(0.0), "relu_from_tables");

            let (mut sum_x, mut sum_y, mut c) = (x.clone(), y.clone(), hidden.clone());
            let sums = TablesMut { x: sum_x.view_mut(), y: sum_y.view_mut(), column: &column, row: &row };
            gemm::gated_into_tables(a.view(), &packed, hidden.view(), sums, c.view_mut());
            let gated = |i: usize, j: usize| if hidden.at(i, j) > 0.0 { product(&a, &b, i, j) } else { 0.0 };
            c.assert(gated, "gated_into_tables");
            let total = |of: usize, rows: usize, j: usize| (of..m).step_by(rows).map(|i| gated(i, j)).sum::<f32>();
            sum_x.assert(|i, j| x.at(i, j) + total(i, 3, j), "sums of columns");
            sum_y.assert(|i, j| y.at(i, j) + total(i, 2, j), "sums of rows");
        }
    }

    #[test]
    fn couplings_write_their_view_and_nothing_else(n in 0..6usize, d in 1..50usize, gaps in [0..5usize, 0..5usize, 0..5usize]) {
        for isa in Isa::available() {
            let (old, a) = (Buffer::wave(n, d, gaps[0]), Buffer::wave(n, 2 * d, gaps[1]));
            let (mut v, mut x, mut tanh) = (old.clone(), Buffer::wave(n, d, gaps[2]), Buffer::wave(n, d, gaps[1]));
            let mut log_det = vec![0.0; n];
            coupling::forward(isa, 1.9, coupling::Forward {
                v: v.view_mut(),
                a: a.view(),
                x: x.view_mut(),
                tanh: tanh.view_mut(),
                log_det: &mut log_det,
            });
            x.assert(|i, j| old.at(i, j), "kept inputs");
            tanh.assert(|i, j| a.at(i, j).tanh(), "kept tanh");
            v.assert(|i, j| old.at(i, j) * (1.9 * a.at(i, j).tanh()).exp() + a.at(i, d + j), "forward");
            let forward = v.clone();
            coupling::inverse(1.9, v.view_mut(), a.view(), &mut log_det);
            v.assert(|i, j| old.at(i, j), "inverse");
            prop_assert!(log_det.iter().all(|l| l.abs() < 1e-3), "{:?}", log_det);

            let mut v = forward.clone();
            let (mut da, mut sums) = (Buffer::wave(n, 2 * d, gaps[0]), vec![0.0; 2 * d]);
            let dlog_det: Vec<f32> = (0..n).map(|i| i as f32).collect();
            coupling::backward(isa, 1.9, coupling::Backward {
                dv: v.view_mut(),
                x: x.view(),
                tanh: tanh.view(),
                dlog_det: &dlog_det,
                da: da.view_mut(),
                da_sum: &mut sums,
            });
            let dx = |i: usize, j: usize| forward.at(i, j) * (1.9 * tanh.at(i, j)).exp();
            v.assert(dx, "backward");
            da.assert(|i, j| match j.checked_sub(d) {
                Some(j) => forward.at(i, j),
                None => (dx(i, j) * x.at(i, j) + dlog_det[i]) * 1.9 * (1.0 - tanh.at(i, j).powi(2)),
            }, "gradient of the parameters");

            let (g, o) = (vec![0.5; d], vec![0.25; d]);
            let map = ColumnMap { g: &g, o: &o };
            let mut energy = vec![0.0; n];
            coupling::scaled_energy(isa, old.view(), map, &mut energy);
            for (i, energy) in energy.iter().enumerate() {
                let want: f32 = (0..d).map(|j| (old.at(i, j) * 0.5 + 0.25).powi(2)).sum();
                prop_assert!((energy - want).abs() <= 1e-4 * want.max(1.0));
            }
            let mut dv = Buffer::wave(n, d, gaps[2]);
            coupling::scaled_energy_backward(isa, old.view(), map, &dlog_det, dv.view_mut());
            dv.assert(|i, j| i as f32 * (old.at(i, j) * 0.5 + 0.25) * 0.5, "scaled_energy_backward");
            let (mut sum, mut products) = (vec![0.0; d], vec![0.0; d]);
            coupling::column_moments(isa, dv.view(), old.view(), &mut sum, &mut products);
            for j in 0..d {
                let want: f32 = (0..n).map(|i| dv.at(i, j)).sum();
                prop_assert!((sum[j] - want).abs() <= 1e-4 * want.abs().max(1.0));
            }
        }
    }

    /// The rows end with the last value that is needed, and so does the result.
    #[test]
    fn convolutions_stay_inside_their_rows(channels in 1..50usize, columns in 1..20usize, large in any::<bool>(), stride in 1..3usize) {
        let kernel = if large { 5 } else { 3 };
        for isa in Isa::available() {
            let shape = DepthwiseShape { kernel, stride, channels, activation: Activation::None };
            let (weights, bias) = (vec![1.0; channels * kernel * kernel], vec![0.5; channels]);
            let row = vec![1.0; ((columns - 1) * stride + kernel) * channels];
            let mut out = vec![0.0; columns * channels];
            Depthwise::new(isa, shape, &weights, &bias).row(&vec![&row[..]; kernel], &mut out);
            prop_assert!(out.iter().all(|&y| y == (kernel * kernel) as f32 + 0.5), "{:?}", out);

            let row = vec![1.0; (2 * columns + 1) * 3];
            out.fill(0.0);
            let stem = Stem::new(isa, channels, Activation::None, &vec![1.0; 27 * channels], &bias);
            stem.row([&row; 3], &mut out);
            prop_assert!(out.iter().all(|&y| y == 27.5), "{:?}", out);
        }
    }
}
