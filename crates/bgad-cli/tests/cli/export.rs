//! `bgad export` and `bgad verify-export`.

use std::fs;

use bgad_onnx::messages::{Entry, Model, Tensor};

use image::{GrayImage, Luma};

use crate::scene::{SIDE, Scene, trained};

/// An exported file in the folder of all tests that only read its model.
fn exported(name: &str, profile: &str) -> String {
    let file = format!("{name}.onnx");
    trained()
        .run(&["export", "m.bgad", "-o", &file, "--profile", profile])
        .exits(0)
        .says(&["largest difference", profile]);
    file
}

/// The file with a change, under another name.
fn changed(file: &str, name: &str, change: impl FnOnce(&mut Model)) -> String {
    let scene = trained();
    let mut model = Model::from_bytes(&fs::read(scene.path(file)).expect("a file")).expect("an ONNX file");
    change(&mut model);
    let changed = format!("{name}.onnx");
    fs::write(scene.path(&changed), model.to_bytes()).expect("a file");
    changed
}

fn entry<'a>(model: &'a mut Model, key: &str) -> &'a mut Entry {
    model.metadata_props.iter_mut().find(|entry| entry.key.as_deref() == Some(key)).expect("an entry")
}

#[test]
fn what_is_exported_proves_itself() {
    for profile in ["native", "anomalib"] {
        let file = exported(&format!("proof-{profile}"), profile);
        let ran = trained().run(&["verify-export", &file, "--model", "m.bgad"]).exits(0);
        for line in
            ["certificate         holds", profile, "runtime             rten", "test images         4"]
        {
            assert!(ran.stdout.contains(line), "no `{line}` in:\n{}", ran.stdout);
        }
        // Without the model too, and the same bytes every time.
        trained().run(&["verify-export", &file]).exits(0);
        let again = exported(&format!("again-{profile}"), profile);
        let bytes = |file: &str| fs::read(trained().path(file)).expect("a file");
        assert_eq!(bytes(&file), bytes(&again));
    }
}

#[test]
fn a_changed_weight_is_found() {
    let file = exported("weight", "native");
    // The last bit of one number: the hash tells.
    let little = changed(&file, "weight-bit", |model| {
        let graph = model.graph.as_mut().expect("a graph");
        let values = graph.initializer[7].raw_data.as_mut().expect("values");
        values[0] ^= 1;
    });
    trained().run(&["verify-export", &little]).exits(1).says(&["constants of the graph"]);
    // One weight of the first convolution under a hash that was made to fit: the numbers tell.
    let forged = changed(&file, "weight-forged", |model| {
        let graph = model.graph.as_mut().expect("a graph");
        let is_stem = |tensor: &&mut Tensor| {
            tensor.name.as_deref().is_some_and(|name| name.contains("stem")) && tensor.dims.len() == 4
        };
        let weights = graph.initializer.iter_mut().find(is_stem).expect("a convolution");
        weights.raw_data.as_mut().expect("values")[..4].copy_from_slice(&0.5f32.to_le_bytes());
        let hash = bgad_onnx::certificate::weights_sha256(graph);
        entry(model, "bgad.weights_sha256").value = Some(hash);
    });
    let ran =
        trained().run(&["verify-export", &forged]).exits(1).says(&["of test image", "expected", "found"]);
    assert!(!ran.stderr.contains("constants") && ran.stdout.contains("does not hold"), "{ran:?}");
}

#[test]
fn another_preprocessing_is_found() {
    let file = exported("preprocess", "native");
    let range = changed(&file, "preprocess-range", |model| {
        let said = &mut entry(model, "bgad.preprocess").value;
        *said = said.as_ref().map(|text| text.replace("[0.0,1.0]", "[0.0,255.0]"));
    });
    trained().run(&["verify-export", &range]).exits(1).says(&["expected values from 0 to 1"]);
    // The graph normalises with other numbers.
    let mean = changed(&file, "preprocess-mean", |model| {
        let graph = model.graph.as_mut().expect("a graph");
        let is_mean =
            |tensor: &&mut Tensor| tensor.name.as_deref().is_some_and(|name| name.starts_with("normalise"));
        let mean = graph.initializer.iter_mut().find(is_mean).expect("a mean");
        mean.raw_data = Some([0.485f32, 0.456, 0.406].iter().flat_map(|v| v.to_le_bytes()).collect());
        let hash = bgad_onnx::certificate::weights_sha256(graph);
        entry(model, "bgad.weights_sha256").value = Some(hash);
    });
    trained().run(&["verify-export", &mean]).exits(1).says(&["score of test image"]);
}

#[test]
fn the_file_of_another_model_is_found() {
    let file = exported("other", "native");
    let scene = Scene::with_data("export_other");
    scene.train(&["--seed", "7"]).exits(0);
    let path = trained().path(&file);
    let path = path.to_str().expect("a path in UTF-8");
    scene
        .run(&["verify-export", path, "--model", "m.bgad"])
        .exits(1)
        .says(&["it was exported from the model"]);
}

#[test]
fn what_cannot_be_exported_says_what_to_do() {
    let golden = |name: &str| format!("{}/../../golden/format1/{name}", env!("CARGO_MANIFEST_DIR"));
    let run = |model: &str, more: &[&str]| {
        let ran = trained().run(&[&["export", model, "-o", "no.onnx"], more].concat()).exits(2);
        assert!(!trained().path("no.onnx").exists());
        ran
    };
    run(&golden("parts.bgad"), &[]).says(&["format 1", "train it again"]);
    run("m.bgad", &["--image-size", "480x640"]).says(&["stretched to 64x64", "leave --image-size out"]);
    run("missing.bgad", &[]).says(&["missing.bgad"]);
    trained().run(&["export", "m.bgad", "-o", "m.bgad"]).exits(2).says(&["is a model"]);
    fs::write(trained().path("plain.onnx"), b"nothing of the kind").expect("a file");
    trained().run(&["verify-export", "plain.onnx"]).exits(2).says(&["cannot verify plain.onnx"]);
}

#[test]
fn images_that_keep_their_proportions_have_a_size() {
    let scene = Scene::with_data("export_aspect");
    let small = ["--blocks", "2", "--schedule", "4x1"];
    let wide = ["train", "data", "-o", "m.bgad", "--input", "64x96", "--keep-aspect"];
    let options = [&wide[..], &small[..]].concat();
    scene.run(&options).exits(0);
    scene.run(&["export", "m.bgad", "-o", "m.onnx"]).exits(2).says(&["--image-size HxW"]);
    for profile in ["native", "anomalib"] {
        scene
            .run(&["export", "m.bgad", "-o", "m.onnx", "--image-size", "64x64", "--profile", profile])
            .exits(0);
        scene.run(&["verify-export", "m.onnx", "--model", "m.bgad"]).exits(0);
    }
}

#[test]
fn a_region_of_interest_is_in_the_graph() {
    let scene = Scene::with_data("export_roi");
    let left = GrayImage::from_fn(SIDE, SIDE, |x, _| Luma([if x < SIDE / 2 { 255 } else { 0 }]));
    left.save(scene.path("left.png")).expect("a mask");
    scene.train(&["--roi", "left.png"]).exits(0);
    scene.run(&["export", "m.bgad", "-o", "m.onnx"]).exits(0);
    scene.run(&["verify-export", "m.onnx", "--model", "m.bgad"]).exits(0);
}
