//! `bgad.toml` beside the data: what it says holds where nothing is typed, for every command that has such choices.

use std::fs;

use serde_json::Value;

use crate::scene::Scene;

/// What a model says about itself.
fn info(scene: &Scene, model: &str) -> Value {
    serde_json::from_str(&scene.run(&["info", model, "--json"]).exits(0).stdout).expect("JSON")
}

#[test]
fn what_is_typed_wins_and_the_rest_comes_from_the_file() {
    let scene = Scene::with_data("settings");
    let settings = "[train]\ninput = 64\nblocks = 2\nschedule = \"2x1\"\nhold_out = 0.3\nfocal = true\nseed = 5\n\
                    levels = [2, 3]\nstepping = \"same_positions\"\n\
                    [calibrate]\nmax_false_alarms = \"30%\"\nconfidence = 0.9\n\
                    [inspect]\npart_id = '^(\\d+)'\n[doctor]\nquick = true\n[learn]\nschedule = \"1x1\"\n";
    fs::write(scene.path("data/bgad.toml"), settings).expect("a file");
    let ran = scene.run(&["train", "data", "-o", "m.bgad", "--no-focal", "--seed", "7", "--anomalies", "4"]);
    let ran = ran.exits(0).says(&["note: choices from data/bgad.toml: ", "blocks = 2", "hold_out = 0.3"]);
    assert!(!ran.stderr.contains("focal = true") && !ran.stderr.contains("seed = 5"), "{}", ran.stderr);
    let options = &info(&scene, "m.bgad")["options"];
    assert_eq!(options["input"], "64x64");
    assert_eq!((options["blocks"].as_u64(), options["seed"].as_u64()), (Some(2), Some(7)));
    assert_eq!((options["focal"].as_bool(), &options["stepping"]), (Some(false), &"same_positions".into()));

    // Commands that are given a model find the file by the data folder that the model names.
    let ran = scene.run(&["calibrate", "m.bgad"]).exits(0);
    let ran = ran.says(&["data/bgad.toml: confidence = 0.9, max_false_alarms = 30%"]);
    assert!(ran.stdout.contains("at most 30 %") && ran.stdout.contains("90 % confidence"), "{}", ran.stdout);
    scene.run(&["calibrate", "m.bgad", "--ok", "1", "--ng", "2"]).exits(0);
    let ran = scene.run(&["inspect", "m.bgad", "data/good/003.png", "--format", "jsonl"]);
    assert!(ran.stdout.contains(r#""part_id":"003""#), "{}", ran.stdout);
    let ran = scene.run(&["inspect", "m.bgad", "data/good/003.png", "--format", "jsonl", "--no-settings"]);
    assert!(!ran.stdout.contains(r#""part_id":"003""#) && !ran.stderr.contains("bgad.toml"), "{ran:?}");
    scene.run(&["doctor", "data"]).exits(0).says(&["data/bgad.toml: quick = true"]);
}

#[test]
fn a_file_with_anything_that_nobody_reads_stops_the_command() {
    let scene = Scene::with_data("settings_refused");
    for (text, words) in [
        ("[train]\nblokcs = 2", &["data/bgad.toml: [train] blokcs: unknown", "blocks, perhaps"][..]),
        ("[train]\nbeta = \"much\"", &["data/bgad.toml", "--beta", "much"]),
        ("[train]\ntiles = true\nkeep_aspect = true", &["data/bgad.toml", "--tiles", "--keep-aspect"]),
        ("[train", &["data/bgad.toml: expected TOML"]),
    ] {
        fs::write(scene.path("data/bgad.toml"), text).expect("a file");
        scene.train(&[]).exits(2).says(words);
        assert!(!scene.path("m.bgad").exists(), "{text}");
    }
    // It is not among the files that are not used.
    fs::write(scene.path("data/bgad.toml"), "").expect("a file");
    let ran = scene.run(&["doctor", "data", "--quick"]).exits(0);
    assert!(ran.stdout.contains("0 files not used"), "{}", ran.stdout);
}
