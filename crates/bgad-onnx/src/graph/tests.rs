//! Pieces of the graph, run, against the functions of bgad that they stand for.

use bgad::flow::{Flow, FlowShape, Whitening};
use bgad::foreground::Foreground;
use bgad::image::{InputSize, Window};
use bgad::score::{AnomalyMap, LevelLogp, ScoreConstants, anomaly_map};
use rand::{RngExt as _, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rten_tensor::{AsView as _, NdTensor, Tensor};

use super::score::OnGrid;
use super::{Builder, Value, View};
use crate::messages::{FLOAT, Model, OperatorSet};

/// What a graph gives for an input `[1, dims]`.
fn run(dims: [usize; 3], input: &[f32], build: impl FnOnce(&mut Builder, &Value) -> Value) -> Vec<f32> {
    let mut builder = Builder::default();
    let given = builder.input("given", &dims);
    let value = build(&mut builder, &given);
    builder.output("found", &value, FLOAT, &[]);
    let file = Model {
        ir_version: Some(crate::IR_VERSION),
        graph: Some(builder.finish()),
        opset_import: vec![OperatorSet { domain: Some(String::new()), version: Some(crate::OPSET) }],
        ..Model::default()
    };
    let model = rten::Model::load(file.to_bytes()).expect("a graph");
    let given = NdTensor::from_data([1, dims[0], dims[1], dims[2]], input.to_vec());
    let id = |name: &str| model.node_id(name).expect("a value");
    let [found] = model.run_n(vec![(id("given"), given.into())], [id("found")], None).expect("a result");
    let found: Tensor<f32> = found.try_into().expect("numbers");
    found.to_vec()
}

fn near(found: &[f32], want: &[f32], relative: f32) {
    assert_eq!(found.len(), want.len());
    for (i, (found, want)) in found.iter().zip(want).enumerate() {
        assert!((found - want).abs() <= relative * want.abs().max(1.0), "{i}: {found} is not {want}");
    }
}

fn view(size: InputSize) -> View {
    let InputSize { height, width, .. } = size;
    View { size, window: Window { top: 0, left: 0, height, width }, area: None, seen: None }
}

#[test]
fn the_map_is_that_of_the_engine_however_odd_a_place_is() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let size = InputSize { height: 13, width: 21, keep_aspect: false };
    for depth in [1.0f32, 50.0, 3000.0, 1e6] {
        for grid in [(4, 6), (1, 5), (1, 1), (13, 21)] {
            let l: Vec<f32> = (0..grid.0 * grid.1).map(|_| -depth * rng.random_range(0.0f32..1.0)).collect();
            let level = LevelLogp { logp_per_channel: &l, h: grid.0, w: grid.1 };
            let constants = ScoreConstants::new(vec![0.0, 0.0]).expect("constants");
            let want = anomaly_map(&[level, level], &constants, size.height, size.width);
            let found = run([1, grid.0, grid.1], &l, |builder, l| {
                let levels = [0, 1].map(|_| OnGrid { value: l.clone(), grid });
                builder.map(&levels, size)
            });
            near(&found, &want.nats, 1e-5);
        }
    }
}

#[test]
fn a_flow_finds_the_likelihoods_of_the_engine() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let (c, rows, columns) = (11, 3, 5);
    let mut flow = Flow::initial(FlowShape { channels: c, blocks: 4 }, &mut rng);
    flow.parameters.iter_mut().for_each(|p| *p += rng.random_range(-0.1f32..0.1));
    let matrix: Vec<f32> = (0..c * c).map(|_| rng.random_range(-0.5f32..0.5)).collect();
    let whitening = Whitening { mean: vec![0.3; c], matrix };
    let x: Vec<f32> = (0..rows * columns * c).map(|_| rng.random_range(-2.0f32..2.0)).collect();
    let bias = whitening.bias();
    let of = |x: &[f32]| -> Vec<f32> {
        let rows = whitening.matrix.chunks(c).zip(&bias);
        rows.map(|(row, b)| row.iter().zip(x).map(|(w, x)| w * x).sum::<f32>() + b).collect()
    };
    let white: Vec<f32> = x.chunks(c).flat_map(of).collect();
    let prepared = bgad::flow::Prepared::new(&flow, (columns, rows), false).expect("an instruction set");
    let place = |of: fn(usize, usize) -> usize| -> Vec<u32> {
        (0..rows * columns).map(|i| of(i, columns) as u32).collect()
    };
    let (column, row) = (place(|i, w| i % w), place(|i, w| i / w));
    let at = bgad::flow::Positions { column: &column, row: &row };
    let mut want = vec![0.0; rows * columns];
    prepared.likelihood(&white, at, &mut bgad::flow::Scratch::new(&prepared), &mut want);
    let planes: Vec<f32> = (0..c).flat_map(|j| x.iter().skip(j).step_by(c).copied()).collect();
    let found = run([c, rows, columns], &planes, |builder, x| {
        let white = builder.whitened(Some(&whitening), x);
        builder.likelihood(&flow, &white, (rows, columns))
    });
    near(&found, &want, 1e-5);
}

#[test]
fn a_peak_is_that_of_what_is_looked_at() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let size = InputSize { height: 9, width: 10, keep_aspect: true };
    let nats: Vec<f32> = (0..90).map(|_| rng.random_range(-5.0f32..5.0)).collect();
    let area = Foreground { height: 9, width: 10, inside: (0..90).map(|i| u8::from(i % 3 > 0)).collect() };
    let window = Window { top: 2, left: 0, height: 5, width: 10 };
    let limited = View { window, area: Some(area), ..view(size) };
    for view in [view(size), limited] {
        for pixels in [1, 7, 500] {
            let mut want = AnomalyMap { nats: nats.clone(), h: 9, w: 10 };
            if let Some(area) = &view.area {
                want.limit_to(area, -5.0);
            }
            let want = want.cropped(view.window).peak(pixels);
            let found = run([1, 9, 10], &nats, |builder, map| {
                let map = builder.limited(map, &view, |builder| builder.number(-5.0));
                builder.peak(&map, &view, pixels)
            });
            near(&found, &[want], 1e-6);
        }
    }
}
