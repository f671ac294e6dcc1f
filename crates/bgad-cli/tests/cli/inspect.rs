//! What `bgad inspect` and `bgad info` hand out: records, pictures, maps, masks.

use std::fs;
use std::io::Write as _;
use std::process::Stdio;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::scene::{Ran, Scene, trained};

fn records(ran: &Ran) -> Vec<Value> {
    ran.stdout.lines().map(|line| serde_json::from_str(line).expect("a record")).collect()
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Runs the binary with something on stdin.
fn with_stdin(scene: &Scene, arguments: &[&str], stdin: &[u8]) -> Ran {
    let mut command = scene.command(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary");
    // A binary that refuses its arguments reads nothing.
    let _ = child.stdin.take().expect("a pipe").write_all(stdin);
    Ran::of(child.wait_with_output().expect("the binary"))
}

#[test]
fn records_say_which_model_judged_which_part_when() {
    let scene = trained();
    let arguments = ["inspect", "m.bgad", "data/bad/spot/000.png", "data/good/001.png", "--format", "jsonl"];
    let ran =
        scene.run(&[&arguments[..], &["--part-id", r"(\d+)\.png", "--pixel-size", "0.5"]].concat()).exits(1);
    let found = records(&ran);
    let hash = sha256(&fs::read(scene.path("m.bgad")).expect("a model"));
    for (record, part) in found.iter().zip(["000", "001"]) {
        assert_eq!((&record["part_id"], &record["model"]["sha256"]), (&part.into(), &hash.as_str().into()));
        assert_eq!(record["model"]["name"], "m.bgad");
        let created = record["created"].as_str().expect("a time");
        assert!(created.ends_with('Z') && created.len() == 24, "{created}");
        let [ok, ng] = ["ok", "ng"].map(|name| record["thresholds"][name].as_f64().expect("a threshold"));
        let score = record["score"].as_f64().expect("a score");
        let verdict = if score <= ok {
            "OK"
        } else if score <= ng {
            "REVIEW"
        } else {
            "NG"
        };
        assert_eq!(record["verdict"], verdict);
        assert!(record["rank"]["of"].as_u64() > Some(0), "{record}");
    }
    assert_ne!(found[0]["id"], found[1]["id"]);
    let region = &found[0]["regions"][0];
    assert_eq!(region["width_mm"].as_f64(), region["width"].as_f64().map(|width| width / 2.0));

    let unnamed = scene.run(&[&arguments[..], &["--part-id", "SN(\\d+)"]].concat()).exits(1);
    let unnamed = unnamed.says(&["2 images without a part id"]);
    assert!(records(&unnamed).iter().all(|record| record.get("part_id").is_none()));
    scene.run(&[&arguments[..], &["--part-id", "SN("]].concat()).exits(2).says(&["no regular expression"]);
}

#[test]
fn other_thresholds_are_tried_without_changing_the_model() {
    let scene = trained();
    let before = fs::read(scene.path("m.bgad")).expect("a model");
    let run =
        |more: &[&str]| scene.run(&[&["inspect", "m.bgad", "data/bad", "--format", "jsonl"], more].concat());
    let lax = run(&["--ok", "1e6"]).exits(0).says(&["trying OK up to 1000000", "the model has"]);
    assert!(records(&lax).iter().all(|r| r["verdict"] == "OK" && r["thresholds"]["ok"] == 1e6));
    let strict = run(&["--ok", "-100", "--ng", "-99"]).exits(1);
    assert!(records(&strict).iter().all(|r| r["verdict"] == "NG" && r["thresholds"]["ng"] == -99.0));
    run(&["--ok", "3", "--ng", "2"]).exits(2).says(&["--ng of at least 3, found 2"]);
    run(&["--threshold", "2"]).exits(2).says(&["--ok NATS and --ng NATS"]);
    assert!(before == fs::read(scene.path("m.bgad")).expect("a model"));
}

#[test]
fn images_and_paths_come_on_stdin() {
    let scene = trained();
    let named = scene.run(&["inspect", "m.bgad", "data/bad/spot/000.png", "--format", "jsonl"]);
    let bytes = fs::read(scene.path("data/bad/spot/000.png")).expect("a picture");
    let piped = with_stdin(scene, &["inspect", "m.bgad", "-", "--format", "jsonl"], &bytes);
    assert_eq!(records(&named)[0]["score"], records(&piped)[0]["score"]);
    assert_eq!(named.code, piped.code);
    let paths = b"data/good/001.png\ndata/bad/spot\n";
    let listed = with_stdin(scene, &["inspect", "m.bgad", "--from-stdin", "--format", "jsonl"], paths);
    assert_eq!(records(&listed).len(), 5, "{listed:?}");
    with_stdin(scene, &["inspect", "m.bgad", "-"], b"no picture").exits(2).says(&["stdin: "]);
    with_stdin(scene, &["inspect", "m.bgad", "--from-stdin"], b"").exits(2).says(&["no path on stdin"]);
    with_stdin(scene, &["inspect", "m.bgad", "-", "-"], &bytes).exits(2).says(&["- was named 2 times"]);
}

#[test]
fn maps_masks_and_pictures_say_what_the_verdict_says() {
    let scene = trained();
    let styles = ["--style", "overlay,side-by-side,heat,map,mask", "--map-format", "npy", "--out", "seen"];
    let arguments = ["inspect", "m.bgad", "data/bad", "data/good/001.png", "--format", "jsonl"];
    let ran = scene.run(&[&arguments[..], &styles].concat()).exits(1);
    for record in records(&ran) {
        let open = |key: &str| image::open(scene.path(record[key].as_str().expect(key))).expect(key);
        let mask = open("mask").into_luma8();
        assert_eq!((mask.width(), mask.height()), (64, 64));
        let map = fs::read(scene.path(record["map"].as_str().expect("a map"))).expect("a map");
        let values: Vec<f32> = map[128..].as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect();
        assert_eq!(values.len(), 64 * 64);
        let ok = record["thresholds"]["ok"].as_f64().expect("a threshold") as f32;
        let lit = mask.iter().filter(|value| **value == 255).count();
        assert_eq!(lit, values.iter().filter(|value| **value > ok).count(), "{record}");
        if record["verdict"] != "OK" {
            assert_eq!(lit == 0, record["whole_image"] == true, "{record}");
        }
        assert!(open("overlay").height() > 512, "a square and a footer");
    }
    let names = fs::read_dir(scene.path("seen")).expect("pictures").count();
    assert!(names > 0);
    scene.run(&["inspect", "m.bgad", "data/bad", "--style", "mask"]).exits(2).says(&["--out"]);
}

#[test]
fn the_table_shows_places_in_the_order_of_numbers() {
    let scene = Scene::new("order_of_numbers");
    for i in [1, 2, 10] {
        scene.picture(&format!("new/part {i}.png"), i, None);
    }
    let model = trained().path("m.bgad");
    let ran = scene.run(&["inspect", model.to_str().expect("UTF-8"), "new"]);
    let names: Vec<&str> = ran.stdout.lines().skip(1).filter_map(|line| line.split("new/").nth(1)).collect();
    assert_eq!(names, ["part 1.png", "part 2.png", "part 10.png"]);
    assert!(
        ran.stdout.lines().all(|line| line.len() <= 80) && !ran.stdout.contains('\x1b'),
        "{}",
        ran.stdout
    );
    ran.says(&["3 images: "]);
    let model = model.to_str().expect("UTF-8");
    scene.run(&["inspect", model, "new/part 1.png"]).says(&["1 image: "]);
}

#[test]
fn info_says_what_a_model_is() {
    let scene = trained();
    let ran = scene.run(&["info", "m.bgad"]).exits(0);
    let hash = sha256(&fs::read(scene.path("m.bgad")).expect("a model"));
    for text in [
        &hash,
        "from 32 good images and 4 known defects in 4 passes; 36 files remembered by content",
        "input 64x64",
        "none: the thresholds are the default",
        "split       32 good to train, 4 known defects",
        "schedule           4x1",
        // As it was typed, not what the nearest number of 32 bits is.
        "beta               0.05\n",
        // Said by the model itself: a copy of the file is no younger.
        "trained     2025-01-01T00:00:00",
    ] {
        assert!(ran.stdout.contains(text), "no `{text}` in:\n{}", ran.stdout);
    }
    let info = scene.run(&["info", "m.bgad", "--json"]).exits(0);
    let info: Value = serde_json::from_str(&info.stdout).expect("JSON");
    let sorted = |values: &Value| {
        let values: Vec<f64> =
            values.as_array().expect("quantiles").iter().filter_map(Value::as_f64).collect();
        values.len() == 5 && values.is_sorted() && values[0] < values[4]
    };
    assert!(sorted(&info["appearance"]["brightness"]) && sorted(&info["appearance"]["sharpness"]), "{info}");
    assert_eq!(info["test_vectors"].as_array().map(Vec::len), Some(2), "{info}");
    let lines = ran.stdout.lines().take_while(|line| !line.is_empty());
    let heads = lines.filter_map(|line| line.split(' ').next());
    // Small sets keep no image from the flows.
    let heads: Vec<&str> = heads.filter(|head| *head != "scales").collect();
    insta::assert_snapshot!("info_heads", heads.join("\n"));
    let json: Value =
        serde_json::from_str(&scene.run(&["info", "m.bgad", "--json"]).exits(0).stdout).expect("JSON");
    assert_eq!(json["sha256"], hash.as_str());
    assert_eq!(json["trained_on"]["images_sha256"].as_array().map(Vec::len), Some(36));
    assert_eq!(json["options"]["schedule"], "4x1");
    scene.run(&["info", "data/good/000.png"]).exits(2).says(&["data/good/000.png"]);
}

#[test]
fn completions_and_manuals_know_every_command() {
    let scene = Scene::new("completions_and_manuals");
    for shell in ["bash", "zsh", "fish", "powershell"] {
        let script = scene.run(&["completions", shell]).exits(0).stdout;
        assert!(script.contains("inspect") && script.contains("hold-out"), "{shell}");
    }
    scene.run(&["man", "--out", "man"]).exits(0);
    let page = fs::read_to_string(scene.path("man/bgad-inspect.1")).expect("a page");
    assert!(page.starts_with(".ie") || page.contains(".TH bgad-inspect 1"), "{page}");
    assert!(scene.run(&["man"]).exits(0).stdout.contains(".TH bgad 1"));
}
