//! A value that is no number stays one: a broken feature may never read as normal.

use bgad_kernels::coupling::{self, ColumnMap};
use bgad_kernels::depthwise::{Depthwise, DepthwiseShape};
use bgad_kernels::gemm::{self, Activation, AffineOptions, Packed, Tables, TablesMut};
use bgad_kernels::stem::Stem;
use bgad_kernels::{Isa, MatMut, MatRef};

const ACTIVATIONS: [Activation; 4] =
    [Activation::None, Activation::Relu, Activation::Relu6, Activation::Silu];

#[track_caller]
fn assert_nan(values: &[f32], is_nan: impl Fn(usize) -> bool, what: &str) {
    for (i, value) in values.iter().enumerate() {
        assert_eq!(value.is_nan(), is_nan(i), "{what}: value {i} is {value}");
    }
}

#[test]
fn a_row_with_nan_gives_a_row_of_nan_behind_every_activation() {
    for isa in Isa::available() {
        for (m, k, n) in [(1, 1, 1), (7, 3, 5), (20, 9, 50)] {
            let packed = Packed::new(isa, MatRef::dense(&vec![-0.5; k * n], k, n));
            for broken in 0..m {
                let mut a = vec![0.25; m * k];
                a[broken * k + k / 2] = f32::NAN;
                for activation in ACTIVATIONS {
                    let mut c = vec![0.0; m * n];
                    let options = AffineOptions { activation, ..Default::default() };
                    gemm::affine(MatRef::dense(&a, m, k), &packed, options, MatMut::dense(&mut c, m, n));
                    assert_nan(&c, |i| i / n == broken, &format!("{} {activation:?}", isa.name()));
                }
            }
        }
    }
}

#[test]
fn nan_passes_the_hidden_layer_and_its_gate() {
    for isa in Isa::available() {
        let (m, k, n) = (5, 3, 7);
        let width = isa.padded(n);
        let packed = Packed::new(isa, MatRef::dense(&vec![-0.5; k * n], k, n));
        let mut a = vec![0.25; m * k];
        a[2 * k] = f32::NAN;
        let mut table = vec![0.0; 2 * width];
        table[width + 3] = f32::NAN;
        let (zeros, column, row) = (vec![0.0; width], [0, 0, 0, 0, 1], [0; 5]);
        let tables = Tables {
            x: MatRef::dense(&table, 2, width),
            y: MatRef::dense(&zeros, 1, width),
            column: &column,
            row: &row,
        };
        let mut hidden = vec![0.0; m * width];
        let to = MatMut::dense(&mut hidden, m, width);
        gemm::relu_from_tables(MatRef::dense(&a, m, k), &packed, tables, to);
        let broken = |i: usize| (i / width == 2 && i % width < n) || i == 4 * width + 3;
        // The padding of a row with NaN is NaN times zero.
        let columns = |values: &[f32]| -> Vec<f32> {
            values.chunks(width).flat_map(|row| row[..n].iter().copied()).collect()
        };
        let in_columns = |i: usize| broken(i / n * width + i % n);
        assert_nan(&columns(&hidden), in_columns, isa.name());

        // Gradients come through where the gate is NaN, and stop where it is zero.
        let (mut x, mut y, mut d) = (vec![0.0; 2 * width], vec![0.0; width], vec![0.0; m * width]);
        let sums = TablesMut {
            x: MatMut::dense(&mut x, 2, width),
            y: MatMut::dense(&mut y, 1, width),
            column: &column,
            row: &row,
        };
        let gate = MatRef::dense(&hidden, m, width);
        let finite = vec![0.25; m * k];
        let to = MatMut::dense(&mut d, m, width);
        gemm::gated_into_tables(MatRef::dense(&finite, m, k), &packed, gate, sums, to);
        for (i, d) in columns(&d).iter().enumerate() {
            assert_eq!(*d != 0.0, in_columns(i), "{}: gradient {i} is {d}", isa.name());
        }
    }
}

#[test]
fn nan_passes_the_coupling_and_the_energy() {
    for isa in Isa::available() {
        for d in [1, 5, 17, 40] {
            for at in [0, d - 1] {
                let (mut v, mut x, mut tanh) = (vec![0.5; 2 * d], vec![0.0; 2 * d], vec![0.0; 2 * d]);
                let mut a = vec![0.1; 4 * d];
                a[2 * d + at] = f32::NAN;
                let mut log_det = [0.0; 2];
                coupling::forward(
                    isa,
                    1.9,
                    coupling::Forward {
                        v: MatMut::dense(&mut v, 2, d),
                        a: MatRef::dense(&a, 2, 2 * d),
                        x: MatMut::dense(&mut x, 2, d),
                        tanh: MatMut::dense(&mut tanh, 2, d),
                        log_det: &mut log_det,
                    },
                );
                assert_nan(&tanh, |i| i == d + at, isa.name());
                assert_nan(&v, |i| i == d + at, isa.name());
                assert_nan(&log_det, |i| i == 1, isa.name());
                let (one, mut energy) = (vec![1.0; d], [0.0; 2]);
                let map = ColumnMap { g: &one, o: &one };
                coupling::scaled_energy(isa, MatRef::dense(&v, 2, d), map, &mut energy);
                assert_nan(&energy, |i| i == 1, isa.name());
            }
        }
    }
}

#[test]
fn nan_passes_the_convolutions() {
    for isa in Isa::available() {
        for activation in ACTIVATIONS {
            let channels = 19;
            let shape = DepthwiseShape { kernel: 3, stride: 1, channels, activation };
            let depthwise = Depthwise::new(isa, shape, &vec![-0.1; 9 * channels], &vec![0.0; channels]);
            let mut row = vec![1.0; 12 * channels];
            row[5 * channels + 18] = f32::NAN;
            let (mut out, sound) = (vec![0.0; 10 * channels], vec![1.0; 12 * channels]);
            depthwise.row(&[&sound, &row, &sound], &mut out);
            let seen = |i: usize| i % channels == 18 && (3..=5).contains(&(i / channels));
            assert_nan(&out, seen, &format!("depthwise {} {activation:?}", isa.name()));

            let stem = Stem::new(isa, channels, activation, &vec![-0.1; 27 * channels], &vec![0.0; channels]);
            let mut row = vec![1.0; 21 * 3];
            row[4 * 3 + 1] = f32::NAN;
            let sound = vec![1.0; 21 * 3];
            stem.row([&sound, &sound, &row], &mut out);
            let seen = |i: usize| (1..=2).contains(&(i / channels));
            assert_nan(&out, seen, &format!("stem {} {activation:?}", isa.name()));
        }
    }
}
