//! Thresholds with a promise.

use std::fs;

use crate::scene::{SMALL, Scene, trained};

/// A trained model with `good` held-out good images and four defective ones.
fn scene(name: &str, good: u32) -> Scene {
    let scene = Scene::new(name);
    fs::copy(trained().path("m.bgad"), scene.path("m.bgad")).expect("a copy of the model");
    for i in 0..good {
        scene.picture(&format!("held/{i:02}.png"), 9000 + i, None);
    }
    for i in 0..4 {
        scene.picture(&format!("broken/{i}.png"), 9900 + i, Some((20, 24)));
    }
    scene
}

#[test]
fn a_promise_is_kept_in_the_model_and_its_images_are_left_out() {
    let scene = scene("a_promise_is_kept", 14);
    let ran = scene
        .run(&["calibrate", "m.bgad", "--good", "held", "--bad", "broken", "--max-false-alarms", "20%"])
        .exits(0);
    assert!(ran.stdout.contains("at most 20 % of good parts"), "{}", ran.stdout);
    assert!(ran.stdout.contains("0 of 14 above"), "14 images prove 20 % with no exceedance: {}", ran.stdout);

    // The threshold is the largest of the held-out scores, so none of them is NG.
    let ran = scene.run(&["inspect", "m.bgad", "held", "--format", "csv"]);
    assert!(!ran.stdout.contains("NG"), "{}", ran.stdout);
    scene.run(&["evaluate", "m.bgad", "held"]).exits(2);

    let ran = scene.run(&[
        "calibrate",
        "m.bgad",
        "--good",
        "held",
        "--max-false-alarms",
        "40%",
        "--coverage",
        "50",
    ]);
    assert!(
        ran.stdout.contains("7 of 14 good images") && ran.stdout.contains("of 50 draws"),
        "{}",
        ran.stdout
    );

    let calibrated = fs::read(scene.path("m.bgad")).expect("the model");
    scene
        .run(&["calibrate", "m.bgad", "--good", "held", "--max-false-alarms", "0.5%"])
        .exits(2)
        .says(&["14 good images cannot prove that: it takes 598, 584 more"]);
    assert_eq!(
        fs::read(scene.path("m.bgad")).expect("the model"),
        calibrated,
        "what cannot be proven is not written"
    );
}

#[test]
fn images_that_were_trained_on_are_refused_by_name() {
    let scene = scene("images_that_were_trained_on", 1);
    for known in fs::read_dir(trained().path("data/good")).expect("images") {
        let known = known.expect("an entry");
        let copy = format!("held/copy-{}", known.file_name().to_string_lossy());
        fs::copy(known.path(), scene.path(&copy)).expect("a copy");
    }
    scene
        .run(&["calibrate", "m.bgad", "--good", "held", "--max-false-alarms", "50%"])
        .exits(2)
        .says(&["copy-", "was trained on this image"]);
}

#[test]
fn thresholds_by_hand_and_what_is_asked_wrongly() {
    let scene = scene("thresholds_by_hand", 6);
    scene.run(&["calibrate", "m.bgad", "--ok", "2", "--ng", "1"]).exits(2).says(&["OK not above NG"]);
    scene.run(&["calibrate", "m.bgad", "--good", "held"]).exits(2).says(&["--max-false-alarms"]);
    scene.run(&["calibrate", "m.bgad", "--good", "none", "--max-false-alarms", "5%"]).exits(2);
    fs::copy(scene.path("held/00.png"), scene.path("broken/same.png")).expect("a copy");
    let twice = ["calibrate", "m.bgad", "--good", "held", "--bad", "broken", "--max-false-alarms", "50%"];
    scene.run(&twice).exits(2).says(&["are the same picture"]);
    fs::write(scene.path("held/bad.png"), b"no picture").expect("a file");
    let ran =
        scene.run(&["calibrate", "m.bgad", "--ok", "1", "--ng", "1.5", "-o", "hand.bgad", "--good", "held"]);
    ran.exits(2).says(&["skipped: ", "bad.png", "1 file was skipped"]);
    let ran = scene.run(&["inspect", "hand.bgad", "held/00.png"]);
    assert!(ran.stdout.contains("00.png"), "{}", ran.stdout);
}

#[test]
fn what_training_held_out_calibrates() {
    let scene = Scene::with_data("what_training_held_out");
    let ran =
        scene.run(&[&["train", "data", "-o", "m.bgad", "--hold-out", "25%"][..], &SMALL].concat()).exits(0);
    assert!(
        ran.stdout.contains("8 good images held out to calibrate with"),
        "a quarter of the 32 to train on: {}",
        ran.stdout
    );
    assert!(ran.stdout.contains("from 24 good images"), "{}", ran.stdout);
    assert!(ran.stdout.contains("bgad calibrate m.bgad --max-false-alarms"), "{}", ran.stdout);
    let ran = scene.run(&["calibrate", "m.bgad", "--max-false-alarms", "40%"]).exits(0);
    assert!(ran.stdout.contains("of 8 above"), "{}", ran.stdout);

    scene
        .run(
            &["train", "data", "-o", "all.bgad", "--anomalies", "0"]
                .into_iter()
                .chain(SMALL)
                .collect::<Vec<_>>(),
        )
        .exits(0);
    let refused = scene.run(&["calibrate", "all.bgad", "--max-false-alarms", "40%"]);
    refused.exits(2).says(&["all.bgad", "--hold-out"]);

    // Two models on what neither knows: the calibration images are left out too.
    let ran = scene
        .run(&["compare", "m.bgad", "all.bgad", "data", "--split", "m.split.json", "--json", "c.json"])
        .exits(0);
    assert!(ran.stdout.contains("difference") && ran.stdout.contains("95 % confidence"), "{}", ran.stdout);
    let found: serde_json::Value =
        serde_json::from_slice(&fs::read(scene.path("c.json")).expect("a file")).expect("JSON");
    assert_eq!(found["images"], 12, "8 good and 4 defective: {found}");
    assert!(found["difference"]["at_least"].as_f64() <= found["difference"]["at_most"].as_f64(), "{found}");
    let same = scene.run(&["compare", "m.bgad", "m.bgad", "data", "--split", "m.split.json"]).exits(0);
    assert!(
        same.stdout.contains("0 of 12 images changed") && same.stdout.contains("chance"),
        "{}",
        same.stdout
    );
}
