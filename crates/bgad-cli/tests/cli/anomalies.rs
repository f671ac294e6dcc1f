//! Anomalies that are made: seen on a sheet, trained with, kept on the part; and data in other layouts.

use std::fs;

use image::{GrayImage, Luma};
use serde_json::Value;

use crate::scene::{GOOD, SIDE, SMALL, Scene, trained};

/// The fields of the lines of `list.csv` after the head.
fn list(scene: &Scene, out: &str) -> Vec<Vec<String>> {
    let text = fs::read_to_string(scene.path(&format!("{out}/list.csv"))).expect("a list");
    text.lines().skip(1).map(|line| line.split(',').map(str::to_owned).collect()).collect()
}

#[test]
fn a_sheet_shows_what_would_be_taught() {
    let scene = Scene::with_data("a_sheet_shows");
    let augment = |out: &str, more: &[&str]| {
        let ran = scene.run(&[&["augment", "data", "--out", out, "--input", "64"], more].concat()).exits(0);
        let sheet = image::open(scene.path(&format!("{out}/sheet.png"))).expect("a sheet");
        assert!(sheet.width() > 3 * 160 && sheet.height() > 160, "{} x {}", sheet.width(), sheet.height());
        (ran, fs::read(scene.path(&format!("{out}/sheet.png"))).expect("a sheet"))
    };
    let (ran, first) = augment("one", &["-n", "6"]);
    assert!(
        ran.stdout.contains("6 anomalies on one/sheet.png, of 20 that a pass would show"),
        "{}",
        ran.stdout
    );
    for line in list(&scene, "one") {
        let line = line.join(",");
        assert!(
            line.contains("cutpaste: ") && line.contains("data/good/") && line.contains("data/bad/"),
            "{line}"
        );
    }
    assert!(first == augment("again", &["-n", "6"]).1, "the same seed");
    assert!(first != augment("other", &["-n", "6", "--blend", "poisson"]).1, "another blend");

    augment("made", &["--anomalies", "0", "--pseudo", "nsa,perlin", "-n", "12"]);
    let made = list(&scene, "made");
    let of =
        |kind: &str| made.iter().filter(|line| line[1].trim_start_matches('"').starts_with(kind)).count();
    // Patches of a woven texture cannot be told from it, and are not shown.
    assert!(of("perlin") > 0 && of("cutpaste") == 0, "{made:?}");
    scene
        .run(&["augment", "data", "--out", "none", "--anomalies", "0"])
        .exits(2)
        .says(&["no known defect, and no --pseudo"]);
}

#[test]
fn no_known_defect_is_needed() {
    let scene = Scene::with_data("no_known_defect");
    fs::remove_dir_all(scene.path("data/bad")).expect("defects");
    fs::remove_dir_all(scene.path("data/masks")).expect("masks");
    scene.picture("textures/a.png", 7, Some((3, 3)));
    let model = |more: &[&str]| {
        scene.train(&[&["--seed", "3"], more].concat()).exits(0);
        fs::read(scene.path("m.bgad")).expect("a model")
    };
    let none = model(&[]);
    let one = model(&["--pseudo", "nsa,perlin", "--textures", "textures", "--threads", "1"]);
    assert!(one == model(&["--pseudo", "perlin,nsa", "--textures", "textures", "--threads", "2"]));
    assert!(none != one, "made anomalies change the model");
    let balanced = model(&["--strategies", "2", "--textures", "textures", "--balance"]);
    assert!(balanced != one, "balanced batches change the model");
    // Without any anomaly, balance is nothing to balance.
    let ran = scene.train(&["--strategies", "repeat,cutpaste", "--balance"]).exits(0);
    assert!(ran.stdout.contains("no defect was shown: --pseudo nsa,perlin"), "{}", ran.stdout);

    fs::create_dir(scene.path("empty")).expect("a folder");
    scene.train(&["--pseudo", "perlin", "--textures", "empty"]).exits(2).says(&["empty: expected pictures"]);
    scene.train(&["--pseudo", "gan"]).exits(2).says(&["nsa, perlin, nsa,perlin or none"]);
    scene.train(&["--pseudo-share", "0"]).exits(2).says(&["pseudo-share is 0"]);
    scene.train(&["--strategies", "1", "--cutpaste"]).exits(2).says(&["cannot be used with"]);
}

#[test]
fn the_part_is_shown_corrected_and_scored() {
    let scene = Scene::new("the_part_is_shown");
    for i in 0..GOOD {
        // A bright bar on dark ground, with some noise.
        let bar = |x: u32, y: u32| (20..44).contains(&x) && (4..60).contains(&y);
        let path = scene.make_way(&format!("data/good/{i:03}.png"));
        let value = |x: u32, y: u32| (if bar(x, y) { 180 } else { 40 }) + ((x * 7 + y * 13) % 9) as u8;
        let mut picture = GrayImage::from_fn(SIDE, SIDE, |x, y| Luma([value(x, y)]));
        picture.put_pixel(0, 0, Luma([i as u8]));
        picture.save(path).expect("a picture");
    }
    let ran = scene.run(&["foreground", "data", "--out", "fg", "--input", "64", "-n", "4"]).exits(0);
    assert!(ran.stdout.contains("parts that lie at one place"), "{}", ran.stdout);
    assert!(image::open(scene.path("fg/sheet.png")).is_ok());
    let mask = image::open(scene.path("fg/masks/good/007.png")).expect("a mask").into_luma8();
    assert_eq!((mask.get_pixel(30, 30).0, mask.get_pixel(5, 30).0), ([255], [0]));

    // The masks are taken back, one by one and as one for all; only the latter can be scored with.
    scene.train(&["--pseudo", "nsa", "--foreground", "fg/masks"]).exits(0);
    let ran = scene.train(&["--foreground", "fg/masks", "--foreground-score"]).exits(2);
    ran.says(&["one foreground mask for all images"]);
    scene.train(&["--foreground", "fg/masks/good/000.png", "--foreground-score"]).exits(0);

    // What happens beside the part no longer matters; on the part it does.
    let damaged = |name: &str, from: u32| {
        let mut picture = image::open(scene.path("data/good/000.png")).expect("a picture").into_luma8();
        (from..from + 6).for_each(|x| {
            (26..38).for_each(|y| picture.put_pixel(x, y, Luma([255 - picture.get_pixel(x, y).0[0]])))
        });
        picture.save(scene.path(name)).expect("a picture");
    };
    damaged("beside.png", 1);
    damaged("on.png", 28);
    let peak = |name: &str| -> f64 {
        let ran = scene.run(&["inspect", "m.bgad", name, "--format", "jsonl"]);
        let line: Value = serde_json::from_str(&ran.stdout).expect("a JSON line");
        assert!(
            line["regions"].as_array().expect("regions").iter().all(|r| r["x"].as_f64() >= Some(15.0)),
            "{line}"
        );
        line["score"].as_f64().expect("a score")
    };
    assert!(peak("on.png") > peak("beside.png"));
    let split = fs::read_to_string(scene.path("m.split.json")).expect("a split file");
    let split: Value = serde_json::from_str(&split).expect("JSON");
    let first = split["train"][0].as_str().expect("a path");
    fs::remove_file(scene.path(&format!("fg/masks/{first}"))).expect("a mask");
    let name = first.rsplit('/').next().expect("a name");
    scene.train(&["--pseudo", "nsa", "--foreground", "fg/masks"]).exits(2).says(&[name, "fg/masks"]);
}

#[test]
fn a_manifest_is_trained_on_and_evaluated() {
    let scene = Scene::with_data("a_manifest");
    let mut rows = "image_path,label,mask_path,split\n".to_owned();
    (0..GOOD).for_each(|i| {
        rows += &format!("data/good/{i:03}.png,good,,{}\n", if i < 30 { "train" } else { "test" })
    });
    for i in 0..8 {
        let (kind, split) = (["spot", "stain"][i % 2], if i < 4 { "train" } else { "test" });
        rows += &format!("data/bad/{kind}/{i:03}.png,{kind},data/masks/{kind}/{i:03}_mask.png,{split}\n");
    }
    fs::write(scene.path("list.csv"), &rows).expect("a list");
    let ran = scene.run(&[&["train", "list.csv", "-o", "m.bgad"], &SMALL[..]].concat()).exits(0);
    assert!(ran.stdout.contains("from 30 good images and 4 known defects"), "{}", ran.stdout);
    let evaluate = |more: &[&str]| {
        scene.run(&[&["evaluate", "m.bgad", "list.csv", "--json", "e.json"], more].concat()).exits(0);
        let figures: Value =
            serde_json::from_slice(&fs::read(scene.path("e.json")).expect("figures")).expect("JSON");
        assert_eq!((&figures["counts"]["good"], &figures["counts"]["defective"]), (&10.into(), &4.into()));
        assert!(figures["pixel_auroc"].as_f64().is_some(), "{figures}");
    };
    evaluate(&[]);
    evaluate(&["--split", "m.split.json"]);
    fs::write(scene.path("list.csv"), rows + "data/gone.png,good,,\n").expect("a list");
    scene
        .run(&["evaluate", "m.bgad", "list.csv"])
        .exits(2)
        .says(&["list.csv: line 50", "no file data/gone.png"]);
}

#[test]
fn an_image_in_training_and_test_is_refused() {
    let scene = Scene::with_data("an_image_in_training_and_test");
    fs::copy(scene.path("data/bad/spot/000.png"), scene.path("data/bad/stain/copy.png")).expect("a copy");
    scene
        .train(&["--setting", "hard:spot", "--anomalies", "4"])
        .exits(2)
        .says(&["data/bad/stain/copy.png", "data/bad/spot/000.png"]);
}

#[test]
fn weak_labels_are_told_apart() {
    let model = trained().path("m.bgad");
    let model = model.to_str().expect("UTF-8");
    let scene = Scene::with_data("weak_labels");
    fs::remove_dir_all(scene.path("data/masks")).expect("masks");
    let shape = r#"{"imageHeight": 64, "imageWidth": 64, "shapes": [{"shape_type": "rectangle", "points": [[40, 8], [52, 20]]}]}"#;
    fs::write(scene.make_way("data/masks/spot/000.json"), shape).expect("a file");
    let ran = scene.run(&["evaluate", model, "data"]).exits(0);
    // All good and bad pictures that this model was not trained on; at most one of them has an annotation.
    ran.says(&["have no mask"]);
    fs::write(scene.path("data/masks/spot/000.json"), shape.replace("52", "99")).expect("a file");
    let ran = scene.train(&["--anomalies", "1"]).exits(2);
    ran.says(&[
        "data/masks/spot/000.json: expected a LabelMe, COCO or Label Studio annotation",
        "outside its image of 64x64",
    ]);
}

/// The numbers of a model file, without what it says about itself.
fn safetensors_of(model: &[u8]) -> Vec<u8> {
    let head = u64::from_le_bytes(model[..8].try_into().expect("eight bytes")) as usize;
    model[8 + head..].to_vec()
}

#[test]
fn defects_of_which_nobody_knows_where_they_are_teach_too() {
    let scene = Scene::with_data("defects_without_masks");
    fs::remove_dir_all(scene.path("data/masks")).expect("masks");
    let train = |model: &str, more: &[&str]| {
        scene
            .run(&[&["train", "data", "-o", model, "--schedule", "4x2"][..], &SMALL[..4], more].concat())
            .exits(0)
    };
    let ran = train("without.bgad", &[]);
    assert!(ran.stderr.contains("--weak"), "{}", ran.stderr);
    let ran = train("weak.bgad", &["--weak", "--anomalies", "4"]);
    assert!(ran.stdout.contains("and 4 known defects"), "{}", ran.stdout);
    let ran = train("other.bgad", &["--weak", "--anomalies", "3"]);
    assert!(ran.stdout.contains("and 3 known defects"), "{}", ran.stdout);
    // The lesson is of the image: the same images, resumed or with other threads, give the same model.
    train("again.bgad", &["--weak", "--anomalies", "4", "--threads", "1"]);
    let models = ["weak.bgad", "again.bgad", "other.bgad", "without.bgad"];
    let flows = models.map(|file| safetensors_of(&fs::read(scene.path(file)).expect("a model")));
    assert!(flows[0] == flows[1]);
    assert!(flows[0] != flows[2] && flows[0] != flows[3], "each image has its say");
}
