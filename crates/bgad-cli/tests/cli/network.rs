//! A feature network whose weights come from a file, and the instruction set that everything runs on.

use std::fs;

use crate::scene::{Ran, Scene};

/// Weights of a ResNet-18 up to its third level, as a safetensors file of numbers from a generator.
fn resnet18() -> Vec<u8> {
    let mut layers = vec![("conv1".to_owned(), "bn1".to_owned(), [64, 3, 7])];
    let mut input = 64;
    for (level, output) in [64, 128, 256].into_iter().enumerate() {
        for block in 0..2 {
            let at = |part: &str| format!("layer{}.{block}.{part}", level + 1);
            layers.push((at("conv1"), at("bn1"), [output, input, 3]));
            layers.push((at("conv2"), at("bn2"), [output, output, 3]));
            if input != output {
                layers.push((at("downsample.0"), at("downsample.1"), [output, input, 1]));
            }
            input = output;
        }
    }
    let mut state = 1u32;
    let (mut header, mut values) = (serde_json::Map::new(), Vec::new());
    let mut add = |name: String, shape: &[usize], middle: f32, half: f32| {
        let start = values.len();
        for _ in 0..shape.iter().product() {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            values.extend((middle + half * ((state >> 8) as f32 / 8_388_608.0 - 1.0)).to_le_bytes());
        }
        let entry =
            serde_json::json!({"dtype": "F32", "shape": shape, "data_offsets": [start, values.len()]});
        header.insert(name, entry);
    };
    for (convolution, norm, [output, input, kernel]) in layers {
        let bound = (6.0 / (input * kernel * kernel) as f32).sqrt();
        add(format!("{convolution}.weight"), &[output, input, kernel, kernel], 0.0, bound);
        for (part, middle, half) in
            [("weight", 0.6, 0.2), ("bias", 0.2, 0.5), ("running_mean", 0.0, 0.2), ("running_var", 1.0, 0.5)]
        {
            add(format!("{norm}.{part}"), &[output], middle, half);
        }
    }
    let header = serde_json::Value::Object(header).to_string();
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &values].concat()
}

#[test]
fn a_resnet_trains_and_its_model_needs_no_other_file() {
    let scene = Scene::with_data("a_resnet_trains_and_its_model_needs_no_other_file");
    fs::write(scene.path("w.safetensors"), resnet18()).expect("a file");
    let weights = ["--backbone-weights", "w.safetensors", "--backbone"];
    scene.train(&[&weights[..], &["wide_resnet50_2"]].concat()).exits(2).says(&[
        "the weights do not fit wide_resnet50_2",
        "layer1.0.bn1",
        "expected shape [128], found [64]",
    ]);
    scene.train(&[&weights[..], &["resnet18"]].concat()).exits(0);
    fs::remove_file(scene.path("w.safetensors")).expect("a file");

    let info: serde_json::Value =
        serde_json::from_str(&scene.run(&["info", "m.bgad", "--format", "json"]).exits(0).stdout)
            .expect("JSON");
    assert_eq!(info["backbone"]["name"], "resnet18");
    let mean = |folder: &str, code: i32| {
        let ran = scene.run(&["inspect", "m.bgad", folder, "--format", "jsonl"]).exits(code);
        let score = |line: &str| {
            let record: serde_json::Value = serde_json::from_str(line).expect("JSON");
            record["score"].as_f64().expect("a score")
        };
        let scores: Vec<f64> = ran.stdout.lines().map(score).collect();
        scores.iter().sum::<f64>() / scores.len() as f64
    };
    let (good, bad) = (mean("data/good", 0), mean("data/bad", 1));
    assert!(bad > good + 1.0, "defects score {bad}, good pictures {good}");
}

#[test]
fn an_instruction_set_that_is_not_there_is_refused_by_every_command() {
    let scene = Scene::with_data("an_instruction_set_that_is_not_there_is_refused_by_every_command");
    fs::write(scene.path("m.bgad"), "").expect("a file");
    for words in [
        #[cfg(feature = "server")]
        &["serve", "m.bgad", "--http", "127.0.0.1:0"][..],
        #[cfg(feature = "server")]
        &["watch", "data", "--model", "m.bgad", "--out", "out"],
        &["inspect", "m.bgad", "data"][..],
        &["train", "data", "-o", "n.bgad"],
        &["doctor", "data"],
    ] {
        let output = scene.command(words).env("BGAD_ISA", "sse9").output().expect("the binary");
        Ran::of(output).exits(2).says(&["BGAD_ISA is sse9, this machine has ", "portable"]);
    }
}
