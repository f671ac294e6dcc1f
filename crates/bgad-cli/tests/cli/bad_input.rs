//! One test for each way in which what comes from outside can be wrong.

use std::fs;

use image::{GrayImage, RgbImage};

use crate::scene::{Scene, trained};

fn truncate(scene: &Scene, below: &str, keep: usize) {
    let path = scene.path(below);
    let bytes = fs::read(&path).expect("a file");
    fs::write(&path, &bytes[..keep]).expect("a file");
}

#[test]
fn an_empty_folder() {
    let scene = Scene::new("an_empty_folder");
    fs::create_dir(scene.path("data")).expect("a folder");
    scene.train(&[]).exits(2).says(&["data: expected folders train/good", "found nothing"]);
    let model = trained().path("m.bgad");
    let model = model.to_str().expect("UTF-8");
    scene.run(&["inspect", model, "data"]).exits(2).says(&["data: found no image"]);
    scene.run(&["evaluate", model, "data"]).exits(2).says(&["data: expected folders"]);
    assert_eq!(scene.names(), ["data"]);
}

#[test]
fn no_folder_at_all() {
    let scene = Scene::new("no_folder_at_all");
    let ran = scene.train(&[]).exits(2);
    assert_eq!(ran.stderr, "bgad: data: cannot be read: No such file or directory (os error 2)\n");
}

#[test]
fn a_folder_of_text_files() {
    let scene = Scene::new("a_folder_of_text_files");
    for name in ["good/a.txt", "good/b.txt"] {
        fs::write(scene.make_way(&format!("data/{name}")), format!("no picture: {name}")).expect("a file");
    }
    scene.train(&[]).exits(2).says(&["data/good: expected good images", "found a.txt, b.txt"]);
    fs::rename(scene.path("data/good/a.txt"), scene.path("data/good/a.png")).expect("a file");
    fs::rename(scene.path("data/good/b.txt"), scene.path("data/good/b.png")).expect("a file");
    scene.train(&[]).exits(2).says(&["content that begins with \"no pictu\"", "none of the 1 good images"]);
    assert_eq!(scene.names(), ["data"]);
}

#[test]
fn masks_missing() {
    let scene = Scene::with_data("masks_missing");
    fs::remove_dir_all(scene.path("data/masks")).expect("masks");
    scene.train(&["--anomalies", "4"]).exits(2).says(&["found 0 with a mask and 8 without"]);
    assert_eq!(scene.names(), ["data"]);
    scene.train(&[]).exits(0).says(&["training with 0 known defects instead of 10"]);
    scene.run(&["evaluate", "m.bgad", "data"]).exits(0).says(&["no defective image has a mask"]);
}

#[test]
fn a_mask_of_another_size() {
    let scene = Scene::with_data("a_mask_of_another_size");
    for kind in ["spot", "stain"] {
        for entry in fs::read_dir(scene.path(&format!("data/masks/{kind}"))).expect("masks") {
            GrayImage::new(9, 7).save(entry.expect("a mask").path()).expect("a mask");
        }
    }
    let ran = scene.train(&[]).exits(2);
    ran.says(&["expected a mask of 64x64", "found 7x9", "4 files were skipped"]);
    scene.run(&["evaluate", "m.bgad", "data"]).exits(2).says(&["files were skipped"]);
}

#[test]
fn one_pixel_images() {
    let scene = Scene::new("one_pixel_images");
    for i in 0..6 {
        let path = scene.make_way(&format!("data/good/{i}.png"));
        RgbImage::from_pixel(1, 1, image::Rgb([100 + i, 90, 80])).save(path).expect("a picture");
    }
    scene.train(&[]).exits(0);
    let ran = scene.run(&["inspect", "m.bgad", "data/good/0.png"]);
    assert!(matches!(ran.code, Some(0 | 1)), "{ran:?}");
}

#[test]
fn a_broken_image_is_skipped_and_the_exit_code_says_so() {
    let scene = Scene::with_data("a_broken_image");
    truncate(&scene, "data/good/003.png", 300);
    fs::write(scene.path("data/good/004.png"), "").expect("a file");
    // Taken for training or held out for the test, both files come up in one of the two.
    let trained = scene.train(&[]);
    let tested = scene.run(&["evaluate", "m.bgad", "data", "--split", "m.split.json"]);
    assert!([trained.code, tested.code].contains(&Some(2)));
    let all = trained.stderr + &tested.stderr;
    assert!(
        all.contains("003.png: expected a whole image, found a truncated file: it ends after 300 bytes"),
        "{all}"
    );
    assert!(all.contains("004.png: expected an image, found an empty file"), "{all}");

    let ran = scene.run(&["inspect", "m.bgad", "data/good", "missing.png", "--format", "jsonl"]).exits(2);
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!(lines.len(), 41, "{}", ran.stdout);
    assert!(lines[3].contains(r#""error":"data/good/003.png: expected a whole image"#), "{}", lines[3]);
    assert_eq!(lines.iter().filter(|line| line.contains("\"error\"")).count(), 3);
    ran.says(&["38 images: ", ", 3 skipped", "missing.png: cannot be read"]);
}

#[test]
fn a_truncated_model() {
    let scene = Scene::new("a_truncated_model");
    scene.picture("x.png", 1, None);
    let whole = fs::read(trained().path("m.bgad")).expect("a model");
    for keep in [0, 7, 8, 100, whole.len() / 2, whole.len() - 1] {
        fs::write(scene.path("m.bgad"), &whole[..keep]).expect("a file");
        let ran = scene.run(&["inspect", "m.bgad", "x.png"]).exits(2);
        let ran = ran.says(&["cannot use the model file m.bgad: ", "found something else or a part of one"]);
        assert_eq!(ran.stderr.lines().count(), 1, "{keep}: {}", ran.stderr);
    }
}

#[test]
fn a_model_of_another_version() {
    let scene = Scene::new("a_model_of_another_version");
    scene.picture("x.png", 1, None);
    let mut model = fs::read(trained().path("m.bgad")).expect("a model");
    let key = b"format_version";
    let at = model.windows(key.len()).position(|window| window == key).expect("the version");
    let digit = at + model[at..].iter().position(|byte| byte.is_ascii_digit()).expect("a number");
    model[digit] = b'9';
    fs::write(scene.path("m.bgad"), model).expect("a file");
    scene.run(&["inspect", "m.bgad", "x.png"]).exits(2).says(&["format version 9", "reads versions 1 to 2"]);
}

#[test]
fn no_model_or_no_model_at_all() {
    let scene = Scene::new("no_model");
    scene.picture("x.png", 1, None);
    scene
        .run(&["inspect", "m.bgad", "x.png"])
        .exits(2)
        .says(&["bgad: cannot use the model file m.bgad: it cannot be read: No such file"]);
    scene.run(&["inspect", "x.png", "x.png"]).exits(2).says(&["cannot use the model file x.png"]);
}

#[test]
fn an_output_that_cannot_be_written() {
    let scene = Scene::with_data("an_output_that_cannot_be_written");
    let train = |output: &str| scene.run(&["train", "data", "-o", output]).exits(2);
    train("no/such/m.bgad").says(&["there is no folder no/such"]);
    train("data").says(&["it is a folder"]);
    train("..").says(&["expected a file name"]);
    if cfg!(unix) {
        train("/dev/null").says(&["not an ordinary file"]);
    }
    assert_eq!(scene.names(), ["data"]);
}

#[test]
fn options_out_of_range() {
    let scene = Scene::with_data("options_out_of_range");
    let train = |more: &[&str]| scene.run(&[&["train", "data", "-o", "m.bgad"], more].concat()).exits(2);
    train(&["--beta", "0.9"]).says(&["beta is 0.9, must be 0 to 0.5"]);
    train(&["--schedule", "5"]).says(&["25x8"]);
    train(&["--input", "8"]).says(&["input size"]);
    train(&["--anomalies", "9"]).says(&["expected at least 9 defective images"]);
    train(&["--backbone", "resnet"]).says(&["unknown backbone `resnet`"]);
    train(&["--backbone", "tf_efficientnet_b6"]).says(&["--backbone-weights FILE"]);
    train(&["--split", "no.json"]).says(&["no.json: cannot be read"]);
    train(&["--split", "s.json", "--anomalies", "3"]).says(&["cannot be used with"]);
    assert_eq!(scene.names(), ["data"]);
}
