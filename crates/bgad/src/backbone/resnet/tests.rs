use std::collections::HashMap;

use super::super::tests::{Plain, check_recording, golden, relative_errors, safetensors};
use super::*;
use crate::backbone::Backbone;

/// Value `i` of the tensor of that name, in `[−1, 1)`: the recorder makes the same (tools/golden/record.py), so a recording needs no weights.
fn made(name: &str, i: usize) -> f64 {
    let of_name =
        name.bytes().fold(2_166_136_261u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(16_777_619));
    let mut x = of_name ^ (i as u32).wrapping_mul(2_654_435_761);
    x = (x ^ x >> 16).wrapping_mul(0x85eb_ca6b);
    x = (x ^ x >> 13).wrapping_mul(0xc2b2_ae35);
    x ^= x >> 16;
    f64::from(x >> 8) / 8_388_608.0 - 1.0
}

/// Weights of a network, as a file.
fn made_weights(name: &str) -> Weights {
    let architecture = ARCHITECTURES.into_iter().find(|a| a.name == name).expect(name);
    let blocks =
        architecture.blocks().into_iter().flat_map(|plan| plan.body.into_iter().chain(plan.shortcut));
    let mut tensors = HashMap::new();
    for Layer { convolution, norm, shape } in std::iter::once(Architecture::stem()).chain(blocks) {
        let ConvolutionShape { kernel, input, output, .. } = shape;
        let mut add = |name: String, shape: Vec<usize>, middle: f64, half: f64| {
            let values =
                (0..shape.iter().product()).map(|i| (middle + half * made(&name, i)) as f32).collect();
            tensors.insert(name, (shape, values));
        };
        let bound = (6.0 / (input * kernel * kernel) as f64).sqrt();
        add(format!("{convolution}.weight"), vec![output, input, kernel, kernel], 0.0, bound);
        for (part, middle, half) in
            [("weight", 0.6, 0.2), ("bias", 0.2, 0.5), ("running_mean", 0.0, 0.2), ("running_var", 1.0, 0.5)]
        {
            add(format!("{norm}.{part}"), vec![output], middle, half);
        }
    }
    Weights::from_bytes(safetensors(&tensors)).expect("a file")
}

/// Another order of summation in up to forty layers, and the transforms of the 3 × 3 convolutions, which multiply roundings by a few: a few 1e-6.
const TOLERANCE: f64 = 2e-5;

fn check(name: &str) {
    let weights = made_weights(name);
    let recording = golden(&format!("backbone_{name}"));
    check_recording(&recording, TOLERANCE, |isa| {
        Backbone::load_on(isa, name, &weights).expect("weights that fit")
    });
}

#[test]
fn resnet18_gives_the_recorded_maps() {
    check("resnet18");
}

#[test]
fn wide_resnet50_2_gives_the_recorded_maps() {
    check("wide_resnet50_2");
}

/// A layer as plain loops in `f64`, its norm not folded.
fn layer(weights: &Weights, x: &Plain, layer: &Layer) -> Plain {
    let values = |name: String| -> Vec<f64> {
        let shape = weights.shape(&name).expect("a tensor").to_vec();
        weights.tensor_f32(&name, &shape).expect("a tensor").into_iter().map(f64::from).collect()
    };
    let ConvolutionShape { kernel: k, stride, input, output } = layer.shape;
    let w = values(format!("{}.weight", layer.convolution));
    let [gamma, beta, mean, variance] = ["weight", "bias", "running_mean", "running_var"]
        .map(|part| values(format!("{}.{part}", layer.norm)));
    let (h, width) = (x.h.div_ceil(stride), x.w.div_ceil(stride));
    let mut hwc = Vec::new();
    for (row, column, n) in
        (0..h * width * output).map(|i| (i / output / width, i / output % width, i % output))
    {
        let mut sum = 0.0;
        for (i, j) in (0..k * k).map(|t| (t / k, t % k)) {
            let (y, at) = ((row * stride + i).wrapping_sub(k / 2), (column * stride + j).wrapping_sub(k / 2));
            if y < x.h && at < x.w {
                for c in 0..input {
                    sum += w[((n * input + c) * k + i) * k + j] * x.hwc[(y * x.w + at) * input + c];
                }
            }
        }
        hwc.push((sum - mean[n]) / (variance[n] + 1e-5).sqrt() * gamma[n] + beta[n]);
    }
    Plain { h, w: width, c: output, hwc }
}

fn relu(mut x: Plain) -> Plain {
    x.hwc.iter_mut().for_each(|v| *v = v.max(0.0));
    x
}

fn pooled(x: &Plain) -> Plain {
    let (h, w) = (x.h.div_ceil(2), x.w.div_ceil(2));
    let of = |i: usize, length: usize| (2 * i).saturating_sub(1)..(2 * i + 2).min(length);
    let max = |i: usize| {
        let (row, column, c) = (i / x.c / w, i / x.c % w, i % x.c);
        let at = of(row, x.h).flat_map(|y| of(column, x.w).map(move |column| (y, column)));
        at.map(|(y, column)| x.hwc[(y * x.w + column) * x.c + c]).fold(f64::NEG_INFINITY, f64::max)
    };
    Plain { h, w, c: x.c, hwc: (0..h * w * x.c).map(max).collect() }
}

fn plain_levels(name: &str, weights: &Weights, image: &Plain) -> Vec<Plain> {
    let architecture = ARCHITECTURES.into_iter().find(|a| a.name == name).expect(name);
    let mut x = pooled(&relu(layer(weights, image, &Architecture::stem())));
    let mut levels = Vec::new();
    for plan in architecture.blocks() {
        let (last, before) = plan.body.split_last().expect("layers");
        let inner = before.iter().fold(x.clone(), |x, part| relu(layer(weights, &x, part)));
        let mut y = layer(weights, &inner, last);
        let added = plan.shortcut.map_or(x.clone(), |shortcut| layer(weights, &x, &shortcut));
        y.hwc.iter_mut().zip(&added.hwc).for_each(|(y, x)| *y += x);
        x = relu(y);
        if plan.level.is_some() {
            levels.push(x.clone());
        }
    }
    levels
}

#[test]
fn any_size_agrees_with_plain_loops_on_any_number_of_threads() {
    for (name, sizes) in [("resnet18", &[(33, 20), (1, 1), (7, 3)][..]), ("resnet50", &[(13, 18)])] {
        let weights = made_weights(name);
        let backbone = Backbone::load(name, &weights).expect("weights that fit");
        // The workspace stays from size to size: nothing of the last image may shine through.
        let mut workspace = backbone.workspace();
        for &(h, w) in sizes {
            let image: Vec<f32> = (0..h * w * 3).map(|i| (i as f32 * 0.37).sin() * 2.0).collect();
            let plain = Plain { h, w, c: 3, hwc: image.iter().map(|&v| f64::from(v)).collect() };
            let want = plain_levels(name, &weights, &plain);
            workspace.spread(1);
            let alone = backbone.features(&image, h, w, &mut workspace).clone();
            for (level, want) in alone.levels.iter().zip(&want) {
                assert_eq!((level.height, level.width, level.channels), (want.h, want.w, want.c));
                let (l2, max) = relative_errors(&level.hwc, &want.hwc);
                assert!(l2 < TOLERANCE && max < TOLERANCE, "{name} {h}x{w}: {l2:e} {max:e}");
            }
            for threads in [2, 3, 5] {
                workspace.spread(threads);
                let spread = backbone.features(&image, h, w, &mut workspace);
                assert!(alone == *spread, "{name} {h}x{w}: {threads} threads");
            }
        }
    }
}

#[test]
fn shapes_are_those_of_timm() {
    for (name, channels, layers) in [
        ("resnet18", [64, 128, 256], 15),
        ("resnet34", [64, 128, 256], 29),
        ("resnet50", [256, 512, 1024], 43),
        ("wide_resnet50_2", [256, 512, 1024], 43),
    ] {
        let architecture = ARCHITECTURES.into_iter().find(|a| a.name == name).expect(name);
        assert_eq!([0, 1, 2].map(|level| architecture.channels(level)), channels, "{name}");
        let plan = architecture.blocks();
        let count: usize =
            plan.iter().map(|block| block.body.len() + usize::from(block.shortcut.is_some())).sum();
        assert_eq!(count + 1, layers, "{name}");
    }
}

#[test]
fn the_model_carries_what_is_needed_and_nothing_else() {
    let weights = made_weights("resnet18");
    let mut tensors: HashMap<String, (Vec<usize>, Vec<f32>)> = HashMap::new();
    for name in weights.names() {
        let shape = weights.shape(&name).expect("a tensor").to_vec();
        tensors.insert(name.clone(), (shape.clone(), weights.tensor_f32(&name, &shape).expect("a tensor")));
    }
    for name in ["layer4.0.conv1.weight", "fc.weight", "bn1.num_batches_tracked"] {
        tensors.insert(name.to_owned(), (vec![1], vec![0.0]));
    }
    let whole = Weights::from_bytes(safetensors(&tensors)).expect("a file");
    let [lean, whole] =
        [&weights, &whole].map(|weights| Backbone::load("resnet18", weights).expect("weights that fit"));
    assert_eq!(lean.weights_sha256(), whole.weights_sha256());
    let carried =
        Weights::from_bytes(whole.carried_weights().expect("not built in").to_vec()).expect("a file");
    assert_eq!(carried.names(), weights.names());

    tensors.remove("layer2.0.downsample.0.weight");
    let broken = Weights::from_bytes(safetensors(&tensors)).expect("a file");
    let error = Backbone::load("resnet18", &broken).expect_err("a tensor is missing");
    let source = std::error::Error::source(&error).expect("a reason").to_string();
    assert_eq!(source, "weights have no tensor `layer2.0.downsample.0.weight`");
}
