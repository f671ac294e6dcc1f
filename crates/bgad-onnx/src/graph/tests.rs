//! Pieces of the graph, run, against the functions of bgad that they stand for.

use bgad::backbone::Backbone;
use bgad::flow::{Flow, FlowShape, Whitening};
use bgad::foreground::Foreground;
use bgad::image::{InputSize, Window};
use bgad::score::{AnomalyMap, LevelLogp, ScoreConstants, anomaly_map};
use bgad::weights::Weights;
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

/// A safetensors file.
fn file(tensors: &[(String, Vec<usize>, Vec<f32>)]) -> Weights {
    let (mut header, mut bytes) = (serde_json::Map::new(), Vec::new());
    for (name, shape, values) in tensors {
        let first = bytes.len();
        bytes.extend(values.iter().flat_map(|v| v.to_le_bytes()));
        let entry = serde_json::json!({"dtype": "F32", "shape": shape, "data_offsets": [first, bytes.len()]});
        header.insert(name.clone(), entry);
    }
    let header = serde_json::Value::Object(header).to_string();
    let length = (header.len() as u64).to_le_bytes();
    Weights::from_bytes([&length[..], header.as_bytes(), &bytes].concat()).expect("a file")
}

/// Random weights of a ResNet-18 up to stride 16.
fn resnet18() -> Weights {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let mut tensors = Vec::new();
    let mut layer = |convolution: String, norm: String, shape: [usize; 4]| {
        let bound = (6.0 / (shape[1] * shape[2] * shape[3]) as f32).sqrt();
        let mut values = |shape: &[usize], low: f32, high: f32| -> Vec<f32> {
            (0..shape.iter().product()).map(|_| rng.random_range(low..high)).collect()
        };
        let of = [
            ("weight", 0.4, 0.8),
            ("bias", -0.3, 0.7),
            ("running_mean", -0.2, 0.2),
            ("running_var", 0.5, 1.5),
        ];
        for (part, low, high) in of {
            tensors.push((format!("{norm}.{part}"), vec![shape[0]], values(&shape[..1], low, high)));
        }
        tensors.push((format!("{convolution}.weight"), shape.to_vec(), values(&shape, -bound, bound)));
    };
    layer("conv1".into(), "bn1".into(), [64, 3, 7, 7]);
    for (level, channels) in [(1, 64), (2, 128), (3, 256)] {
        for block in 0..2 {
            let input = if level > 1 && block == 0 { channels / 2 } else { channels };
            let at = |part: &str| format!("layer{level}.{block}.{part}");
            layer(at("conv1"), at("bn1"), [channels, input, 3, 3]);
            layer(at("conv2"), at("bn2"), [channels, channels, 3, 3]);
            if input != channels {
                layer(at("downsample.0"), at("downsample.1"), [channels, input, 1, 1]);
            }
        }
    }
    file(&tensors)
}

/// Random weights of an EfficientNet with gates, as they were recorded.
fn b0() -> Weights {
    let path =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../golden/backbone_b0_random.safetensors");
    let recorded = Weights::open(&path).expect("the recording");
    let read = |recorded_name: String| {
        let name = recorded_name.strip_prefix("w.")?.to_owned();
        let shape = recorded.shape(&recorded_name)?.to_vec();
        Some((name, shape.clone(), recorded.tensor_f32(&recorded_name, &shape).ok()?))
    };
    let tensors: Vec<_> = recorded.names().into_iter().filter_map(read).collect();
    file(&tensors)
}

#[test]
fn every_family_gives_the_features_of_the_engine() {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    // An odd number of columns on every level: paddings differ on the two sides.
    let (h, w) = (64, 75);
    let pixels: Vec<f32> = (0..3 * h * w).map(|_| rng.random_range(0.0f32..1.0)).collect();
    let weights =
        [("tf_efficientnet_lite0", None), ("tf_efficientnet_b0", Some(b0())), ("resnet18", Some(resnet18()))];
    for (name, weights) in weights {
        let layers = Backbone::layers(name, weights.as_ref()).expect("layers");
        let backbone = match &weights {
            None => Backbone::embedded(name),
            Some(weights) => Backbone::load(name, weights),
        }
        .expect("a network");
        let (mean, std) = layers.mean_std;
        let hwc: Vec<f32> =
            (0..h * w).flat_map(|i| [0, 1, 2].map(|c| (pixels[c * h * w + i] - mean[c]) / std[c])).collect();
        let mut workspace = backbone.workspace();
        let pyramid = backbone.features(&hwc, h, w, &mut workspace);
        for (level, want) in ["1", "2", "3"].iter().zip(&pyramid.levels) {
            let found = run([3, h, w], &pixels, |builder, image| {
                builder.backbone(&layers, level.parse().expect("a level"), image, (h, w)).remove(0)
            });
            let size = want.height * want.width;
            let planes: Vec<f32> = (0..want.channels)
                .flat_map(|c| (0..size).map(move |i| (c, i)))
                .map(|(c, i)| want.hwc[i * want.channels + c])
                .collect();
            assert_eq!(found.len(), planes.len(), "{name}, level {level}");
            let largest = planes.iter().fold(0f32, |m, v| m.max(v.abs()));
            let off = found.iter().zip(&planes).fold(0f32, |m, (a, b)| m.max((a - b).abs()));
            assert!(off <= 3e-5 * largest, "{name}, level {level}: {off} of {largest}");
        }
    }
}
