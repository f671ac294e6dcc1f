use std::collections::HashMap;
use std::path::PathBuf;

use safetensors::tensor::{Dtype, TensorView};

use super::efficientnet::Architecture;
use super::*;
use crate::pyramid::FeatureMap;

pub(super) fn golden(name: &str) -> Weights {
    let folder = std::env::var_os("BGAD_GOLDEN")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../golden")), PathBuf::from);
    let path = folder.join(format!("{name}.safetensors"));
    Weights::open(&path).unwrap_or_else(|error| panic!("{error}: {}", path.display()))
}

pub(super) fn safetensors(tensors: &HashMap<String, (Vec<usize>, Vec<f32>)>) -> Vec<u8> {
    let bytes: Vec<(&String, &Vec<usize>, Vec<u8>)> = tensors
        .iter()
        .map(|(name, (shape, values))| (name, shape, values.iter().flat_map(|x| x.to_le_bytes()).collect()))
        .collect();
    let views = bytes
        .iter()
        .map(|(name, shape, bytes)| (*name, TensorView::new(Dtype::F32, shape.to_vec(), bytes).unwrap()));
    safetensors::serialize(views, None).unwrap()
}

/// The tensors under `w.` of the recording of random weights, without that prefix.
fn recorded_b0(recording: &Weights) -> HashMap<String, (Vec<usize>, Vec<f32>)> {
    let mut tensors = HashMap::new();
    for full in recording.names() {
        if let Some(name) = full.strip_prefix("w.") {
            let shape = recording.shape(&full).unwrap().to_vec();
            let values = recording.tensor_f32(&full, &shape).unwrap();
            tensors.insert(name.to_owned(), (shape, values));
        }
    }
    tensors
}

/// Random weights of a network, as a file, from a generator of three lines.
fn random_weights(architecture: &Architecture) -> Weights {
    let mut state = 1u32;
    let mut uniform = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / 8_388_608.0 - 1.0
    };
    let mut tensors = HashMap::new();
    let mut add = |name: String, shape: &[usize], low: f32, high: f32| {
        let n: usize = shape.iter().product();
        let values = (0..n).map(|_| (low + high) / 2.0 + uniform() * (high - low) / 2.0).collect();
        tensors.insert(name, (shape.to_vec(), values));
    };
    let mut convolution = |name: &str, norm: &str, shape: [usize; 4]| {
        let bound = (6.0 / (shape[1] * shape[2] * shape[3]) as f32).sqrt();
        add(format!("{name}.weight"), &shape, -bound, bound);
        if norm.is_empty() {
            add(format!("{name}.bias"), &shape[..1], -1.0, 1.0);
            return;
        }
        for (part, low, high) in [
            ("weight", 0.8, 1.2),
            ("bias", -0.5, 1.0),
            ("running_mean", -0.2, 0.2),
            ("running_var", 0.5, 1.5),
        ] {
            add(format!("{norm}.{part}"), &shape[..1], low, high);
        }
    };
    convolution("conv_stem", "bn1", [architecture.stem(), 3, 3, 3]);
    for block in architecture.blocks() {
        let at = |part: &str| format!("{}.{part}", block.name);
        let is_expanded = block.expanded != block.input;
        if is_expanded {
            convolution(&at("conv_pw"), &at("bn1"), [block.expanded, block.input, 1, 1]);
        }
        let (project, norms) =
            if is_expanded { ("conv_pwl", ["bn2", "bn3"]) } else { ("conv_pw", ["bn1", "bn2"]) };
        convolution(&at("conv_dw"), &at(norms[0]), [block.expanded, 1, block.kernel, block.kernel]);
        convolution(&at(project), &at(norms[1]), [block.output, block.expanded, 1, 1]);
        if let Some(squeezed) = block.squeezed {
            convolution(&at("se.conv_reduce"), "", [squeezed, block.expanded, 1, 1]);
            convolution(&at("se.conv_expand"), "", [block.expanded, squeezed, 1, 1]);
        }
    }
    Weights::from_bytes(safetensors(&tensors)).unwrap()
}

/// A feature map of the reference: plain loops in `f64`, norms not folded, nothing shared with the fast path.
#[derive(Clone)]
pub(super) struct Plain {
    pub(super) h: usize,
    pub(super) w: usize,
    pub(super) c: usize,
    pub(super) hwc: Vec<f64>,
}

struct Reference<'a>(&'a Weights);

impl Reference<'_> {
    fn values(&self, name: &str) -> Vec<f64> {
        let shape = self.0.shape(name).unwrap_or_else(|| panic!("no {name}"));
        self.0.tensor_f32(name, shape).unwrap().into_iter().map(f64::from).collect()
    }

    /// Any convolution with padding `SAME`; depthwise if the weight has one input channel.
    fn convolution(&self, x: &Plain, name: &str, stride: usize) -> Plain {
        let w = self.values(&format!("{name}.weight"));
        let &[outputs, inputs, k, _] = self.0.shape(&format!("{name}.weight")).unwrap() else { panic!() };
        let out = |n: usize| n.div_ceil(stride);
        let before = |n: usize| ((out(n) - 1) * stride + k).saturating_sub(n) as isize / 2;
        let (h, width, top, left) = (out(x.h), out(x.w), before(x.h), before(x.w));
        let mut hwc = Vec::new();
        for (y, column, n) in
            (0..h * width * outputs).map(|i| (i / outputs / width, i / outputs % width, i % outputs))
        {
            let mut sum = 0.0;
            for (i, j, c) in (0..k * k * inputs).map(|t| (t / inputs / k, t / inputs % k, t % inputs)) {
                let (yy, xx) = ((y * stride + i) as isize - top, (column * stride + j) as isize - left);
                if yy < 0 || xx < 0 || yy >= x.h as isize || xx >= x.w as isize {
                    continue;
                }
                let channel = if inputs == x.c { c } else { n };
                let value = x.hwc[(yy as usize * x.w + xx as usize) * x.c + channel];
                sum += w[((n * inputs + c) * k + i) * k + j] * value;
            }
            hwc.push(sum);
        }
        Plain { h, w: width, c: outputs, hwc }
    }

    fn norm(&self, mut x: Plain, name: &str, act: impl Fn(f64) -> f64) -> Plain {
        let [gamma, beta, mean, variance] = ["weight", "bias", "running_mean", "running_var"]
            .map(|part| self.values(&format!("{name}.{part}")));
        for (i, v) in x.hwc.iter_mut().enumerate() {
            let c = i % x.c;
            *v = act((*v - mean[c]) / (variance[c] + 1e-3).sqrt() * gamma[c] + beta[c]);
        }
        x
    }

    fn block(&self, x: &Plain, plan: &efficientnet::BlockPlan, act: fn(f64) -> f64) -> Plain {
        let at = |part: &str| format!("{}.{part}", plan.name);
        let is_expanded = plan.expanded != plan.input;
        let mut d = x.clone();
        if is_expanded {
            d = self.norm(self.convolution(&d, &at("conv_pw"), 1), &at("bn1"), act);
        }
        let (project, norms) =
            if is_expanded { ("conv_pwl", ["bn2", "bn3"]) } else { ("conv_pw", ["bn1", "bn2"]) };
        d = self.norm(self.convolution(&d, &at("conv_dw"), plan.stride), &at(norms[0]), act);
        if plan.squeezed.is_some() {
            let mut mean = Plain { h: 1, w: 1, c: d.c, hwc: vec![0.0; d.c] };
            for (i, v) in d.hwc.iter().enumerate() {
                mean.hwc[i % d.c] += v / (d.h * d.w) as f64;
            }
            for (layer, act) in [("se.conv_reduce", silu as fn(f64) -> f64), ("se.conv_expand", sigmoid)] {
                let bias = self.values(&at(&format!("{layer}.bias")));
                mean = self.convolution(&mean, &at(layer), 1);
                mean.hwc.iter_mut().zip(bias).for_each(|(v, b)| *v = act(*v + b));
            }
            let c = d.c;
            d.hwc.iter_mut().enumerate().for_each(|(i, v)| *v *= mean.hwc[i % c]);
        }
        let mut y = self.norm(self.convolution(&d, &at(project), 1), &at(norms[1]), |v| v);
        if plan.has_residual() {
            y.hwc.iter_mut().zip(&x.hwc).for_each(|(y, x)| *y += x);
        }
        y
    }
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn silu(x: f64) -> f64 {
    x * sigmoid(x)
}

fn relu6(x: f64) -> f64 {
    x.clamp(0.0, 6.0)
}

/// `(‖got − want‖ / ‖want‖, max |got − want| / max |want|)`.
pub(super) fn relative_errors(got: &[f32], want: &[f64]) -> (f64, f64) {
    assert_eq!(got.len(), want.len(), "values of a map");
    let (mut error, mut norm, mut worst, mut largest) = (0.0, 0.0, 0.0f64, 0.0f64);
    for (&g, &w) in got.iter().zip(want) {
        let e = f64::from(g) - w;
        assert!(e.is_finite(), "{g} and {w}");
        (error, norm) = (error + e * e, norm + w * w);
        (worst, largest) = (worst.max(e.abs()), largest.max(w.abs()));
    }
    ((error / norm).sqrt(), worst / largest)
}

fn hwc(chw: &[f32], c: usize) -> Vec<f32> {
    let positions = chw.len() / c;
    (0..chw.len()).map(|i| chw[i % c * positions + i / c]).collect()
}

/// Sums of up to a thousand `f32` products in another order than the recording's: a few 1e-6 after twenty layers.
/// The issue asks for 1e-4; a tenth of it would already be a fault.
const GOLDEN_TOLERANCE: f64 = 1e-5;

#[track_caller]
pub(super) fn check_recording(recording: &Weights, tolerance: f64, load: impl Fn(Isa) -> Backbone) {
    let shape = recording.shape("input_chw").unwrap();
    let (h, w) = (shape[1], shape[2]);
    let image = hwc(&recording.tensor_f32("input_chw", shape).unwrap(), 3);
    for isa in Isa::available() {
        let backbone = load(isa);
        let mut workspace = backbone.workspace();
        let pyramid = backbone.features(&image, h, w, &mut workspace);
        for (i, level) in pyramid.levels.iter().enumerate() {
            let FeatureMap { height, width, channels, hwc: got } = level;
            assert_eq!((*height, *width), backbone.grid((h, w))[i]);
            assert_eq!(*channels, backbone.channels()[i]);
            let want =
                recording.tensor_f32(&format!("level{}_chw", i + 1), &[*channels, *height, *width]).unwrap();
            let want: Vec<f64> = hwc(&want, *channels).into_iter().map(f64::from).collect();
            let (l2, max) = relative_errors(got, &want);
            assert!(l2 < tolerance && max < tolerance, "{} level {i}: {l2:e} {max:e}", isa.name());
        }
        let (first, memory) = (pyramid.clone(), pyramid.levels[0].hwc.as_ptr());
        let second = backbone.features(&image, h, w, &mut workspace);
        assert_eq!(&first, second, "the second run");
        assert_eq!(second.levels[0].hwc.as_ptr(), memory, "in the same memory");
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let isa = Isa::best();
    let b0 = Backbone::load_on(
        isa,
        "tf_efficientnet_b0",
        &random_weights(&Architecture::named("tf_efficientnet_b0").unwrap()),
    );
    for backbone in [b0.unwrap(), Backbone::embedded_on(isa, "tf_efficientnet_lite0").unwrap()] {
        for (h, w) in [(32, 32), (75, 50), (97, 130)] {
            let image: Vec<f32> = (0..h * w * 3).map(|i| (i as f32 * 0.37).sin()).collect();
            let mut workspace = backbone.workspace();
            let alone = backbone.features(&image, h, w, &mut workspace).clone();
            for threads in [2, 3, 5, 1] {
                workspace.spread(threads);
                let spread = backbone.features(&image, h, w, &mut workspace);
                for (a, b) in alone.levels.iter().zip(&spread.levels) {
                    assert!(a.hwc == b.hwc, "{} at {h} by {w}, {threads} threads", backbone.name());
                }
            }
        }
    }
}

#[test]
fn lite0_gives_the_recorded_maps() {
    check_recording(&golden("backbone_lite0"), GOLDEN_TOLERANCE, |isa| {
        Backbone::embedded_on(isa, "tf_efficientnet_lite0").unwrap()
    });
}

#[test]
fn lite2_gives_the_recorded_maps() {
    check_recording(&golden("backbone_lite2"), GOLDEN_TOLERANCE, |isa| {
        Backbone::embedded_on(isa, "tf_efficientnet_lite2").unwrap()
    });
}

#[test]
fn b0_gives_the_recorded_maps() {
    let recording = golden("backbone_b0_random");
    let weights = Weights::from_bytes(safetensors(&recorded_b0(&recording))).unwrap();
    check_recording(&recording, GOLDEN_TOLERANCE, |isa| {
        Backbone::load_on(isa, "tf_efficientnet_b0", &weights).unwrap()
    });
}

#[test]
fn any_size_agrees_with_plain_loops() {
    for name in ["tf_efficientnet_b1", "tf_efficientnet_lite0"] {
        let architecture = Architecture::named(name).unwrap();
        let weights = random_weights(&architecture);
        let act = if architecture.lite { relu6 } else { silu };
        let backbones: Vec<Backbone> =
            Isa::available().into_iter().map(|isa| Backbone::load_on(isa, name, &weights).unwrap()).collect();
        let mut workspaces: Vec<Workspace> = backbones.iter().map(|b| b.workspace()).collect();
        // The workspaces stay from size to size: nothing of the last image may shine through.
        for (h, w) in [(32, 32), (33, 47), (50, 35), (1, 1), (7, 3), (2, 70)] {
            let image: Vec<f32> = (0..h * w * 3).map(|i| (i as f32 * 0.37).sin() * 2.0).collect();
            let reference = Reference(&weights);
            let x = Plain { h, w, c: 3, hwc: image.iter().map(|&v| f64::from(v)).collect() };
            let mut x = reference.norm(reference.convolution(&x, "conv_stem", 2), "bn1", act);
            let mut want = Vec::new();
            for plan in architecture.blocks() {
                x = reference.block(&x, &plan, act);
                if plan.level.is_some() {
                    want.push(x.clone());
                }
            }
            for (backbone, workspace) in backbones.iter().zip(&mut workspaces) {
                let pyramid = backbone.features(&image, h, w, workspace);
                for (level, want) in pyramid.levels.iter().zip(&want) {
                    assert_eq!((level.height, level.width, level.channels), (want.h, want.w, want.c));
                    let (l2, max) = relative_errors(&level.hwc, &want.hwc);
                    // As for the recordings; these weights amplify a little more than trained ones.
                    assert!(
                        l2 < 1e-4 && max < 1e-4,
                        "{name} {} {h}x{w}: {l2:e} {max:e}",
                        backbone.isa.name()
                    );
                }
            }
        }
    }
}

#[test]
fn a_tensor_that_is_missing_misshapen_or_not_finite_is_named() {
    type Tensors = HashMap<String, (Vec<usize>, Vec<f32>)>;
    let recorded = recorded_b0(&golden("backbone_b0_random"));
    let check = |name: &str, change: &dyn Fn(&mut Tensors), message: &str| {
        let mut tensors = recorded.clone();
        change(&mut tensors);
        let weights = Weights::from_bytes(safetensors(&tensors)).unwrap();
        let error = Backbone::load_on(Isa::best(), "tf_efficientnet_b0", &weights).unwrap_err();
        assert_eq!(error.to_string(), "the weights do not fit tf_efficientnet_b0");
        assert_eq!(error::Error::source(&error).unwrap().to_string(), message, "{name}");
    };
    for name in
        ["conv_stem.weight", "bn1.running_var", "blocks.4.2.se.conv_expand.bias", "blocks.0.0.conv_pw.weight"]
    {
        check(name, &|t| drop(t.remove(name)), &format!("weights have no tensor `{name}`"));
    }
    let name = "blocks.2.1.conv_dw.weight";
    check(
        name,
        &|t| t.get_mut(name).unwrap().0 = vec![240, 1, 1, 25],
        &format!("tensor `{name}`: expected shape [240, 1, 5, 5], found [240, 1, 1, 25]"),
    );
    let finite = "expected finite values and no negative variance, found others";
    check(name, &|t| t.get_mut(name).unwrap().1[7] = f32::NAN, &format!("tensor `{name}`: {finite}"));
    check(
        "bn1.running_var",
        &|t| t.get_mut("bn1.running_var").unwrap().1[3] = -1.0,
        &format!("tensor `bn1`: {finite}"),
    );
}

#[test]
fn an_unknown_name_lists_the_known_ones() {
    let isa = Isa::best();
    let error = Backbone::embedded_on(isa, "resnet50").unwrap_err();
    assert_eq!(
        error.to_string(),
        "unknown backbone `resnet50`, expected one of tf_efficientnet_lite2, tf_efficientnet_lite0"
    );
    let lite0 = Weights::from_bytes(EMBEDDED[1].1).unwrap();
    let error = Backbone::load_on(isa, "tf_efficientnet_b8", &lite0).unwrap_err().to_string();
    assert!(error.starts_with("unknown backbone `tf_efficientnet_b8`, expected one of tf_efficientnet_b0, "));
    assert!(error.ends_with(", resnet50, wide_resnet50_2"), "{error}");
}

#[test]
fn the_hash_is_of_the_whole_file() {
    let backbone = Backbone::embedded_on(Isa::best(), "tf_efficientnet_lite0").unwrap();
    assert_eq!(backbone.weights_sha256(), crate::weights::sha256_hex(EMBEDDED[1].1));
    assert_eq!(backbone.weights_sha256().len(), 64);
}

/// `BENCH=tf_efficientnet_b6 cargo test --release -p bgad --lib backbone::tests::bench -- --ignored --nocapture`
#[test]
#[ignore = "a measurement, for a quiet machine"]
fn bench() {
    let names = std::env::var("BENCH")
        .unwrap_or("tf_efficientnet_lite0 tf_efficientnet_lite2 tf_efficientnet_b0".into());
    for name in names.split_whitespace() {
        let weights = random_weights(&Architecture::named(name).unwrap());
        let image: Vec<f32> = (0..256 * 256 * 3).map(|i| (i as f32 * 0.37).sin()).collect();
        let wanted = std::env::var("BENCH_ISA");
        for isa in Isa::available()
            .into_iter()
            .filter(|isa| wanted.as_ref().is_ok_and(|name| name == isa.name()) || wanted.is_err())
        {
            let backbone = Backbone::load_on(isa, name, &weights).unwrap();
            let mut workspace = backbone.workspace();
            workspace.spread(std::env::var("BENCH_THREADS").map_or(1, |n| n.parse().unwrap()));
            let mut millis: Vec<f64> = (0..40)
                .map(|_| {
                    let start = std::time::Instant::now();
                    std::hint::black_box(backbone.features(&image, 256, 256, &mut workspace));
                    start.elapsed().as_secs_f64() * 1e3
                })
                .collect();
            millis.sort_by(f64::total_cmp);
            println!("{name} {}: {:.2} ms median, {:.2} fastest", isa.name(), millis[20], millis[0]);
        }
    }
}

#[test]
fn chosen_levels_are_those_of_the_whole_pyramid_in_any_workspace() {
    let backbone = || Backbone::embedded_on(Isa::best(), "tf_efficientnet_lite0").expect("a network");
    let image: Vec<f32> = (0..48 * 32 * 3).map(|i| (i * 37 % 101) as f32 / 50.0 - 1.0).collect();
    let all = backbone();
    let mut workspace = all.workspace();
    let whole = all.features(&image, 48, 32, &mut workspace).clone();
    for text in ["3", "1,3", "1", "1,2,3"] {
        let some = backbone().with_levels(text.parse().expect("levels")).expect("its levels");
        let found = some.features(&image, 48, 32, &mut workspace);
        let want: Vec<_> = some.levels().chosen().map(|level| whole.levels[level].clone()).collect();
        assert_eq!(found.levels, want, "{text}");
        let shapes: Vec<_> = found.levels.iter().map(|map| ((map.height, map.width), map.channels)).collect();
        let said: Vec<_> = some.grid((48, 32)).into_iter().zip(some.channels()).collect();
        assert_eq!(shapes, said, "{text}");
    }
}
