//! Shapes that disagree are refused with their numbers, and so are numbers that overflow.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bgad_kernels::convolution::{Convolution, ConvolutionOptions, ConvolutionScratch, ConvolutionShape, Map};
use bgad_kernels::coupling::{self, ColumnMap};
use bgad_kernels::depthwise::{Depthwise, DepthwiseShape, Same};
use bgad_kernels::gemm::{self, Activation, AffineOptions, Packed, Tables, TablesMut};
use bgad_kernels::squeeze_excite::SqueezeExcite;
use bgad_kernels::stem::Stem;
use bgad_kernels::{Isa, MatMut, MatRef, adam};

/// `work` must panic with a message that contains `expected`.
#[track_caller]
fn refused(expected: &str, work: impl FnOnce()) {
    let panic = catch_unwind(AssertUnwindSafe(work)).expect_err(expected);
    let message = panic.downcast_ref::<String>().map(String::as_str);
    let message = message.or_else(|| panic.downcast_ref::<&str>().copied()).expect("a panic with a message");
    assert!(message.contains(expected), "`{message}` does not say `{expected}`");
}

/// Each of these once wrote outside its slices, from safe code: a product in the check wrapped in release builds.
#[test]
fn what_once_wrote_out_of_bounds_is_refused() {
    let isa = Isa::best();
    let half = usize::MAX / 2 + 1;
    // gemm::affine with rows `usize::MAX` apart: (2 - 1) * usize::MAX + 1 is 0.
    refused("2 rows of 1 values, 18446744073709551615 apart, does not fit a slice of 4 values", || {
        let mut c = [0.0; 4];
        let a = MatRef::dense(&[1.0; 2], 2, 1);
        let b = Packed::new(isa, MatRef::dense(&[1.0], 1, 1));
        gemm::affine(a, &b, AffineOptions::default(), MatMut::strided(&mut c, 2, 1, usize::MAX));
    });
    // coupling::inverse at an offset of `usize::MAX`: usize::MAX + 2 is 1.
    refused("columns 18446744073709551615..1 of 4 columns", || {
        let (mut v, mut log_det) = ([0.0; 8], [0.0; 2]);
        let active = MatMut::dense(&mut v, 2, 4).columns(usize::MAX..usize::MAX.wrapping_add(2));
        coupling::inverse(1.9, active, MatRef::dense(&[0.0; 8], 2, 4), &mut log_det);
    });
    // coupling::column_moments of 1 << 63 rows: (1 << 63) * 2 is 0.
    refused(
        "a matrix of 9223372036854775808 rows of 2 values, 2 apart, does not fit a slice of 4 values",
        || {
            let d = MatRef::dense(&[0.0; 4], half, 2);
            coupling::column_moments(isa, d, d, &mut [0.0; 2], &mut [0.0; 2]);
        },
    );
    // gemm::relu_from_tables with table rows of 1 << 63 values: 2 * (1 << 63) is 0.
    refused("does not fit a slice of 32 values", || {
        let _ = MatRef::strided(&[0.0; 32], 2, 16, half);
    });
}

#[test]
fn sizes_that_no_slice_has_are_refused() {
    let isa = Isa::best();
    let half = usize::MAX / 2 + 1;
    refused("is too large", || drop(Packed::zeros(isa, half, 2)));
    refused("whole vectors", || drop(Packed::zeros(isa, 0, usize::MAX)));
    refused("cannot be padded", || {
        let _ = Same::new(usize::MAX, 5, 1);
    });
    let shape = DepthwiseShape { kernel: 3, stride: 1, channels: half, activation: Activation::None };
    refused("is too large", || drop(Depthwise::new(isa, shape, &[], &[])));
    refused("is too large", || drop(Stem::new(isa, half, Activation::None, &[], &[])));
}

#[test]
fn products_refuse_shapes_that_disagree() {
    let isa = Isa::best();
    let data = vec![0.0; 4096];
    let view = |rows, cols| MatRef::dense(&data, rows, cols);
    let packed = Packed::new(isa, view(3, 5));
    let width = isa.padded(5);
    let options = AffineOptions::default();
    let affine = |a: (usize, usize), options: AffineOptions<'_>, c: (usize, usize)| {
        gemm::affine(view(a.0, a.1), &packed, options, MatMut::dense(&mut vec![0.0; 4096], c.0, c.1));
    };
    refused("left factor: expected rows of 3 values, found 4", || affine((2, 4), options, (2, 5)));
    refused("result: expected 2 rows of 5 values, found 2 of 6", || affine((2, 3), options, (2, 6)));
    refused("result: expected 2 rows of 5 values, found 3 of 5", || affine((2, 3), options, (3, 5)));
    let bias = AffineOptions { bias: Some(&data[..4]), ..options };
    refused("bias: expected 5 values, found 4", || affine((2, 3), bias, (2, 5)));
    let residual = AffineOptions { residual: Some(view(1, 5)), ..options };
    refused("residual: expected 2 rows of 5 values, found 1 of 5", || affine((2, 3), residual, (2, 5)));
    refused("result: expected 2 rows of 5 values, found 2 of 4", || {
        gemm::accumulate(view(2, 3), &packed, MatMut::dense(&mut vec![0.0; 4096], 2, 4));
    });
    refused("packed matrix: expected 3 rows of 5 values, found 5 of 3", || packed.clone().set(view(5, 3)));
    refused("packed matrix, transposed: expected 5 rows of 3 values, found 3 of 5", || {
        packed.clone().set_transposed(view(3, 5));
    });
    refused("2 factors for 3 rows", || packed.scale_rows_into(&data[..2], &mut packed.clone()));
    let transposed = |a: (usize, usize), b: (usize, usize), c: (usize, usize)| {
        let mut result = vec![0.0; 4096];
        let c = MatMut::dense(&mut result, c.0, c.1);
        gemm::accumulate_transposed(isa, view(a.0, a.1), view(b.0, b.1), c);
    };
    refused("right factor: expected 4 rows, found 5", || transposed((4, 2), (5, 3), (2, 3)));
    refused("result: expected 2 rows of 3 values, found 3 of 2", || transposed((4, 2), (4, 3), (3, 2)));

    let narrow = format!("expected rows of at least {width} values, found {}", width - 1);
    let tables = |x, y, column, row| Tables { x, y, column, row };
    let table = view(3, width);
    let from = |tables: Tables<'_>, c: (usize, usize)| {
        gemm::relu_from_tables(view(2, 3), &packed, tables, MatMut::dense(&mut vec![0.0; 4096], c.0, c.1));
    };
    let good = tables(table, table, &[0, 2], &[1, 0]);
    from(good, (2, width));
    refused(&format!("result: {narrow}"), || from(good, (2, width - 1)));
    refused("result: expected 2 rows, found 1", || from(good, (1, width)));
    refused(&format!("tables: {narrow}"), || {
        from(tables(view(3, width - 1), table, &[0; 2], &[0; 2]), (2, width))
    });
    refused(&format!("tables: {narrow}"), || {
        from(tables(table, view(3, width - 1), &[0; 2], &[0; 2]), (2, width))
    });
    refused("table indices: expected 2 rows, found 1", || {
        from(tables(table, table, &[0; 1], &[0; 2]), (2, width))
    });
    refused("the table of rows has 3 rows, an index asks for row 4294967295", || {
        from(tables(table, table, &[0; 2], &[0, u32::MAX]), (2, width));
    });
    let gated = |gate: (usize, usize), rows: usize, index: &[u32]| {
        let [mut x, mut y, mut c] = [0; 3].map(|_| vec![0.0; 4096]);
        let (x, y) = (MatMut::dense(&mut x, 3, width), MatMut::dense(&mut y, 3, width));
        let sums = TablesMut { x, y, column: index, row: index };
        let to = MatMut::dense(&mut c, rows, width);
        gemm::gated_into_tables(view(2, 3), &packed, view(gate.0, gate.1), sums, to);
    };
    gated((2, width), 2, &[0, 2]);
    refused(&format!("gate: {narrow}"), || gated((2, width - 1), 2, &[0, 2]));
    refused("gate: expected 2 rows, found 3", || gated((3, width), 2, &[0, 2]));
    refused("result: expected 2 rows, found 1", || gated((2, width), 1, &[0, 2]));
    refused("the table of columns has 3 rows, an index asks for row 3", || gated((2, width), 2, &[0, 3]));
}

#[test]
fn couplings_refuse_shapes_that_disagree() {
    let isa = Isa::best();
    let data = vec![0.0; 64];
    let view = |rows, cols| MatRef::dense(&data, rows, cols);
    let forward =
        |v: (usize, usize), a: (usize, usize), x: (usize, usize), tanh: (usize, usize), n: usize| {
            let [mut b, mut c, mut d, mut e] = [0; 4].map(|_| vec![0.0; 64]);
            coupling::forward(
                isa,
                1.9,
                coupling::Forward {
                    v: MatMut::dense(&mut b, v.0, v.1),
                    a: view(a.0, a.1),
                    x: MatMut::dense(&mut c, x.0, x.1),
                    tanh: MatMut::dense(&mut d, tanh.0, tanh.1),
                    log_det: &mut e[..n],
                },
            );
        };
    forward((2, 3), (2, 6), (2, 3), (2, 3), 2);
    refused("parameters: expected an even number of columns, found 5", || {
        forward((2, 3), (2, 5), (2, 3), (2, 3), 2)
    });
    refused("parameters: expected 2 rows of 3 values, found 2 of 4", || {
        forward((2, 3), (2, 8), (2, 3), (2, 3), 2)
    });
    refused("kept inputs: expected 2 rows of 3 values, found 3 of 3", || {
        forward((2, 3), (2, 6), (3, 3), (2, 3), 2)
    });
    refused("kept tanh: expected 2 rows of 3 values, found 2 of 2", || {
        forward((2, 3), (2, 6), (2, 3), (2, 2), 2)
    });
    refused("log-determinants: expected 2 values, found 3", || forward((2, 3), (2, 6), (2, 3), (2, 3), 3));
    let backward = |dv: (usize, usize), da: (usize, usize), n: usize, sums: usize| {
        let [mut b, mut c, mut d] = [0; 3].map(|_| vec![0.0; 64]);
        coupling::backward(
            isa,
            1.9,
            coupling::Backward {
                dv: MatMut::dense(&mut b, dv.0, dv.1),
                x: view(2, 3),
                tanh: view(2, 3),
                dlog_det: &data[..n],
                da: MatMut::dense(&mut c, da.0, da.1),
                da_sum: &mut d[..sums],
            },
        );
    };
    backward((2, 3), (2, 6), 2, 6);
    refused("kept inputs: expected 2 rows of 4 values, found 2 of 3", || backward((2, 4), (2, 8), 2, 8));
    refused("gradient: expected 2 rows of 3 values, found 3 of 3", || backward((2, 3), (3, 6), 2, 6));
    refused("gradients of the log-determinants: expected 2 values, found 1", || {
        backward((2, 3), (2, 6), 1, 6)
    });
    refused("column sums: expected 6 values, found 5", || backward((2, 3), (2, 6), 2, 5));
    refused("log-determinants: expected 2 values, found 1", || {
        coupling::inverse(1.9, MatMut::dense(&mut [0.0; 6], 2, 3), view(2, 6), &mut [0.0]);
    });
    let map = |g: usize, o: usize| ColumnMap { g: &data[..g], o: &data[..o] };
    refused("factors: expected 3 values, found 2", || {
        coupling::scaled_energy(isa, view(2, 3), map(2, 3), &mut [0.0; 2])
    });
    refused("addends: expected 3 values, found 4", || {
        coupling::scaled_energy(isa, view(2, 3), map(3, 4), &mut [0.0; 2])
    });
    refused("energies: expected 2 values, found 3", || {
        coupling::scaled_energy(isa, view(2, 3), map(3, 3), &mut [0.0; 3])
    });
    let energy_backward = |weights: usize, dv: (usize, usize)| {
        let mut b = vec![0.0; 64];
        let dv = MatMut::dense(&mut b, dv.0, dv.1);
        coupling::scaled_energy_backward(isa, view(2, 3), map(3, 3), &data[..weights], dv);
    };
    refused("weights: expected 2 values, found 1", || energy_backward(1, (2, 3)));
    refused("gradient: expected 2 rows of 3 values, found 2 of 2", || energy_backward(2, (2, 2)));
    refused("second factor: expected 2 rows of 3 values, found 3 of 3", || {
        coupling::column_moments(isa, view(2, 3), view(3, 3), &mut [0.0; 3], &mut [0.0; 3]);
    });
    refused("sums: expected 3 values, found 2", || {
        coupling::column_moments(isa, view(2, 3), view(2, 3), &mut [0.0; 2], &mut [0.0; 3]);
    });
}

#[test]
fn convolutions_and_adam_refuse_lengths_that_disagree() {
    let isa = Isa::best();
    let data = vec![0.0; 4096];
    let shape = DepthwiseShape { kernel: 3, stride: 2, channels: 5, activation: Activation::None };
    let depthwise = Depthwise::new(isa, shape, &data[..45], &data[..5]);
    let mut out = vec![0.0; 15];
    refused("a padded row of 34 values, 35 needed", || {
        depthwise.row(&[&data[..35], &data[..35], &data[..34]], &mut out)
    });
    refused("one row for each row of the kernel", || depthwise.row(&[&data[..35]; 2], &mut out));
    refused("a row of 14 values, 5 channels", || depthwise.row(&[&data[..35]; 3], &mut out[..14]));
    let stem = Stem::new(isa, 5, Activation::None, &data[..135], &data[..5]);
    refused("a padded row of 20 values, 21 needed", || {
        stem.row([&data[..21], &data[..20], &data[..21]], &mut out)
    });
    refused("a row of 14 values, 5 channels", || stem.row([&data[..21]; 3], &mut out[..14]));
    let squeeze = SqueezeExcite::new(isa, &data[..10], &data[..2], &data[..10], &data[..5]);
    let padded = squeeze.padded_channels();
    refused("14 values, 5 channels", || squeeze.add_sums(&data[..14], &mut vec![0.0; padded]));
    refused("one sum a padded channel", || squeeze.add_sums(&data[..15], &mut vec![0.0; padded - 1]));
    refused("a mean of no positions", || squeeze.gate_mut(&mut vec![0.0; padded], 0, &mut Vec::new()));
    refused("3 parameters need as many gradients and moments, found 3, 2 and 3", || {
        let [mut params, mut m, mut v] = [vec![0.0; 3], vec![0.0; 2], vec![0.0; 3]];
        let gradients = &data[..3];
        let (params, m, v) = (&mut params[..], &mut m[..], &mut v[..]);
        adam::adam(isa, adam::Step { params, gradients, m, v, learning_rate: 0.1, number: 1 });
    });
}

#[test]
fn convolutions_refuse_what_does_not_fit() {
    let isa = Isa::best();
    let shape = ConvolutionShape { kernel: 3, stride: 1, input: 2, output: 3 };
    refused("no convolution", || {
        drop(Convolution::new(isa, ConvolutionShape { kernel: 2, ..shape }, &[], &[]))
    });
    refused("no convolution", || {
        drop(Convolution::new(isa, ConvolutionShape { stride: 0, ..shape }, &[], &[]))
    });
    refused("weights of", || drop(Convolution::new(isa, shape, &[0.0; 53], &[0.0; 3])));
    refused("one bias a channel", || drop(Convolution::new(isa, shape, &[0.0; 54], &[0.0; 2])));
    let huge = ConvolutionShape { output: usize::MAX / 2, ..shape };
    refused("is too large", || drop(Convolution::new(isa, huge, &[0.0; 54], &[0.0; 3])));

    let convolution = Convolution::new(isa, shape, &[0.0; 54], &[0.0; 3]);
    let run = |map: usize, rows: std::ops::Range<usize>, residual: Option<usize>, out: usize| {
        let (hwc, residual) = (vec![0.0; map], residual.map(|n| vec![0.0; n]));
        let options = ConvolutionOptions { residual: residual.as_deref(), ..Default::default() };
        let map = Map { hwc: &hwc, height: 8, width: 5 };
        convolution.rows(map, rows, options, &mut ConvolutionScratch::default(), &mut vec![0.0; out]);
    };
    run(80, 0..8, Some(120), 120);
    refused("a map of 8 by 5", || run(79, 0..8, None, 120));
    refused("rows 4..9 of 8", || run(80, 4..9, None, 75));
    refused("do not begin at a tile", || run(80, 2..4, None, 30));
    refused("rows of the result", || run(80, 0..8, None, 119));
    refused("values of the residual", || run(80, 0..8, Some(119), 120));
    refused("is too large", || {
        let map = Map { hwc: &[], height: usize::MAX, width: 2 };
        convolution.rows(
            map,
            0..1,
            ConvolutionOptions::default(),
            &mut ConvolutionScratch::default(),
            &mut [],
        );
    });
}
