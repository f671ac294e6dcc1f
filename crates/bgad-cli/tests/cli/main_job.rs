//! What people come for.

use std::collections::BTreeMap;
use std::fs;

use bgad::dataset::content_hash;
use bgad::detector::Detector;
use bgad::model::Model;
use bgad::verdict::Verdict;
use serde_json::Value;

use crate::scene::{BAD, GOOD, SMALL, Scene, trained};

fn json_lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect()
}

#[test]
fn trains_evaluates_and_inspects() {
    let scene = Scene::with_data("trains_evaluates_and_inspects");
    let ran = scene.train(&["--verbose"]).exits(0);
    let ran =
        ran.says(&["training with 4 known defects instead of 10", "reading images 36/36", "pass 4/4", "b_n"]);
    assert!(ran.stdout.contains("learned     from 32 good images and 4 known defects"), "{}", ran.stdout);
    assert!(ran.stdout.contains("the end of OK is rough"), "{}", ran.stdout);
    assert_eq!(scene.names(), ["data", "m.bgad", "m.split.json"]);

    let ran = scene.run(&["evaluate", "m.bgad", "data", "--json", "e.json"]).exits(0);
    ran.says(&["36 images were left out: the model was trained on them"]);
    let figures = |name: &str| -> Value {
        let text = fs::read_to_string(scene.path(name)).expect("figures");
        let mut figures: Value = serde_json::from_str(&text).expect("JSON");
        let secs = figures["secs_per_image"].take();
        assert!(secs.as_f64().is_some_and(|secs| secs > 0.0), "{secs}");
        figures
    };
    let found = figures("e.json");
    assert_eq!(found["counts"]["good"], GOOD / 5);
    assert_eq!(found["counts"]["defective"], BAD - 4);
    for name in [
        "image_auroc",
        "pixel_auroc",
        "aupro",
        "aupro_05",
        "image_ap",
        "pixel_ap",
        "image_f1_max",
        "pixel_f1_max",
    ] {
        let share = found[name].as_f64().unwrap_or(-1.0);
        assert!((0.0..=1.0).contains(&share), "{name} is {}", found[name]);
    }
    assert!(found["image_auroc"].as_f64() > Some(0.9), "bright squares are easy to find: {found}");
    let types: BTreeMap<String, f64> = serde_json::from_value(found["by_type"].clone()).expect("types");
    assert!(types.keys().eq(["spot", "stain"]), "{types:?}");

    let ran =
        scene.run(&["evaluate", "m.bgad", "data", "--split", "m.split.json", "--json", "s.json"]).exits(0);
    assert!(ran.stdout.contains("AUPRO to FPR 0.30"), "{}", ran.stdout);
    assert_eq!(figures("s.json"), found, "the split names the same images");
    let ran = scene.run(&["evaluate", "m.bgad", "data", "--scoring", "authors"]).exits(0);
    assert!(ran.stdout.contains("AUROC"), "{}", ran.stdout);

    let ran = scene.run(&["inspect", "m.bgad", "data/bad", "--format", "jsonl"]).exits(1);
    let lines = json_lines(&ran.stdout);
    assert_eq!(lines.len(), BAD);
    assert!(
        lines.iter().any(|line| line["verdict"] != "OK" && line["regions"][0]["peak"].is_f64()),
        "{lines:?}"
    );
}

#[test]
fn same_seed_same_model_on_one_and_two_threads_and_from_a_file() {
    let scene = Scene::with_data("same_seed_same_model");
    let train = |output: &str, more: &[&str]| {
        let arguments =
            ["train", "data", "-o", output, "--input", "64", "--blocks", "2", "--schedule", "2x1"];
        scene.run(&[&arguments, more].concat()).exits(0);
        fs::read(scene.path(output)).expect("a model")
    };
    let one = train("one.bgad", &["--threads", "1"]);
    assert!(one == train("two.bgad", &["--threads", "2"]), "one and two threads");
    // Two images' features fit, the others go to the file.
    assert!(one == train("file.bgad", &["--cache-limit", "0.1MB"]), "features in memory and in a file");
    assert!(!scene.names().iter().any(|name| name.contains("features")), "{:?}", scene.names());
    assert!(one != train("other.bgad", &["--seed", "1"]), "another seed");
}

#[test]
fn results_come_in_order_whatever_the_threads() {
    let scene = trained();
    let inspect = |threads: &str| -> Vec<Value> {
        let ran = scene.run(&["inspect", "m.bgad", "data/good", "--format", "jsonl", "--threads", threads]);
        let mut lines = json_lines(&ran.stdout);
        // When and how fast is all that may differ.
        lines
            .iter_mut()
            .for_each(|line| ["secs", "created", "id"].iter().for_each(|key| line[key] = Value::Null));
        lines
    };
    let (one, two) = (inspect("1"), inspect("2"));
    assert_eq!(one, two);
    let files: Vec<&str> = one.iter().filter_map(|line| line["file"].as_str()).collect();
    assert_eq!(files.len(), GOOD);
    assert!(files.is_sorted());
}

#[test]
fn every_image_gets_an_overlay_of_its_own() {
    let scene = Scene::new("every_image_gets_an_overlay");
    let names = ["a/x.png", "b/x.png", "b/größe und maß.png", "x.jpg", "x.png"];
    names.iter().enumerate().for_each(|(i, name)| scene.picture(&format!("new/{name}"), 50 + i as u32, None));
    let model = trained().path("m.bgad");
    let model = model.to_str().expect("UTF-8");
    let ran = scene.run(&["inspect", model, "new", "--out", "maps", "--format", "csv"]);
    assert!(matches!(ran.code, Some(0 | 1)), "{ran:?}");
    assert_eq!(ran.stdout.lines().count(), 1 + names.len(), "{}", ran.stdout);
    for name in names {
        let overlay = scene.path(&format!("maps/{name}.overlay.png"));
        assert!(image::open(&overlay).is_ok_and(|image| image.width() >= 64), "{}", overlay.display());
    }
    // Overlays beside their images are no images to inspect.
    let again = scene.run(&["inspect", model, "new", "--out", "new", "--format", "csv"]);
    assert_eq!(again.stdout.lines().count(), 1 + names.len());
    let again = scene.run(&["inspect", model, "new", "--format", "csv"]);
    assert_eq!(again.stdout.lines().count(), 1 + names.len());
}

#[test]
fn regions_are_measured_and_small_ones_left_out() {
    let scene = trained();
    let inspect = |more: &[&str]| -> Vec<Value> {
        let arguments = ["inspect", "m.bgad", "data/bad", "--format", "jsonl"];
        json_lines(&scene.run(&[&arguments, more].concat()).exits(1).stdout)
    };
    let areas = |lines: &[Value], unit: &str| -> Vec<f64> {
        let regions = lines.iter().flat_map(|line| line["regions"].as_array().expect("regions"));
        regions.map(|region| region[unit].as_f64().expect("an area")).collect()
    };
    let (plain, measured) = (inspect(&[]), inspect(&["--pixel-size", "0.5"]));
    let pixels = areas(&plain, "area");
    assert!(!pixels.is_empty() && plain[0]["regions"][0]["area_mm2"].is_null());
    let quarter: Vec<f64> = pixels.iter().map(|area| area / 4.0).collect();
    assert_eq!(areas(&measured, "area_mm2"), quarter);
    let largest = pixels.iter().copied().fold(0.0, f64::max);
    let limit = (largest / 4.0).to_string();
    let left = inspect(&["--pixel-size", "0.5", "--min-area", &limit]);
    assert_eq!(areas(&left, "area"), pixels.iter().copied().filter(|a| *a == largest).collect::<Vec<_>>());
    let verdicts = |lines: &[Value]| lines.iter().map(|line| line["verdict"].clone()).collect::<Vec<_>>();
    assert_eq!(verdicts(&left), verdicts(&plain), "a small region is left out, not forgiven");
    scene.run(&["inspect", "m.bgad", "data/bad", "--pixel-size", "0"]).exits(2).says(&["above 0"]);
}

#[test]
fn a_hard_setting_is_not_tested_on_its_type() {
    let scene = Scene::with_data("a_hard_setting");
    scene.train(&["--setting", "hard:spot", "--anomalies", "2"]).exits(0);
    let split: Value =
        serde_json::from_slice(&fs::read(scene.path("m.split.json")).expect("a split")).expect("JSON");
    let paths = |list: &str| -> Vec<String> { serde_json::from_value(split[list].clone()).expect("paths") };
    assert_eq!(paths("anomalies").len(), 2);
    assert!(paths("anomalies").iter().all(|path| path.starts_with("bad/spot/")), "{split}");
    assert!(paths("test_bad").iter().all(|path| path.starts_with("bad/stain/")), "{split}");
    scene.train(&["--setting", "hard:scratch"]).exits(2).says(&["hard:scratch", "spot, stain"]);
}

#[test]
fn figures_that_cannot_be_computed_are_null() {
    let scene = Scene::new("figures_that_cannot_be_computed");
    (0..4).for_each(|i| scene.picture(&format!("data/good/{i}.png"), 500 + i, None));
    let model = trained().path("m.bgad");
    let model = model.to_str().expect("UTF-8");
    let ran = scene.run(&["evaluate", model, "data", "--json", "e.json"]).exits(0);
    let ran = ran.says(&["no defective image to test on"]);
    assert!(ran.stdout.contains(" -"), "{}", ran.stdout);
    let figures: Value =
        serde_json::from_slice(&fs::read(scene.path("e.json")).expect("figures")).expect("JSON");
    assert_eq!((&figures["image_auroc"], &figures["aupro"]), (&Value::Null, &Value::Null));
}

#[test]
fn a_reader_that_has_seen_enough_changes_no_verdict() {
    let mut command =
        trained().command(&["inspect", "m.bgad", "data", "--format", "jsonl", "--threads", "1"]);
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let mut child = command.spawn().expect("the binary");
    drop(child.stdout.take());
    crate::scene::Ran::of(child.wait_with_output().expect("the binary")).exits(1).says(&["56 images:"]);
}

#[test]
fn an_instruction_set_can_be_asked_for() {
    let run = |isa: &str| {
        let mut command = trained().command(&["inspect", "m.bgad", "data/good/000.png", "--format", "csv"]);
        crate::scene::Ran::of(command.env("BGAD_ISA", isa).output().expect("the binary"))
    };
    assert!(matches!(run("portable").code, Some(0 | 1)));
    run("sse9").exits(2).says(&["BGAD_ISA is sse9", "portable"]);
}

#[test]
fn levels_and_normalizer_are_the_users_choice() {
    let scene = Scene::with_data("levels_and_normalizer");
    scene.train(&["--levels", "2,3", "--normalizer", "2"]).exits(0);
    let model = Model::open(&scene.path("m.bgad")).expect("a model");
    let grids: Vec<_> = model.header.levels.iter().map(|level| (level.height, level.width)).collect();
    let all = Model::open(&trained().path("m.bgad")).expect("a model").header.levels;
    assert_eq!(grids, [(all[1].height, all[1].width), (all[2].height, all[2].width)]);
    for level in &model.header.levels {
        // The gap is a tenth of the normalizer.
        let nats = level.boundary_nats_per_channel;
        assert!((nats.normal - nats.anomalous - 0.2).abs() < 1e-4, "{nats:?}");
    }
    scene.run(&["inspect", "m.bgad", "data/good/000.png"]);
    scene.run(&["evaluate", "m.bgad", "data", "--json", "e.json"]).exits(0);
    let text = fs::read_to_string(scene.path("e.json")).expect("figures");
    let found: Value = serde_json::from_str(&text).expect("JSON");
    assert!(found["image_auroc"].as_f64() > Some(0.9), "{found}");

    let both =
        |option: &str, value: &str| scene.run(&["train", "data", "-o", "no.bgad", option, value]).exits(2);
    both("--levels", "0").says(&["expected levels from 1 (finest) to 3"]);
    both("--normalizer", "median").says(&["invalid value 'median' for '--normalizer <NUMBER>'"]);
    both("--normalizer", "0").says(&["normalizer is 0, must be a positive number"]);
}

#[test]
fn a_companion_is_the_flow_of_a_training_without_known_defects() {
    let scene = Scene::with_data("companion");
    let train = |model: &str, split: &[&str], parts: &str| {
        // So few images would be learned from at another rate without known defects.
        let recipe = ["--score-parts", parts, "--learning-rate", "3e-3"];
        scene.run(&[&["train", "data", "-o", model], split, &recipe, &SMALL].concat()).exits(0);
        Model::open(&scene.path(model)).expect("a model")
    };
    let (one, two) = ("map,coarsest", "map,coarsest,companion");
    let both = train("both.bgad", &[], two);
    let text = fs::read_to_string(scene.path("both.split.json")).expect("a split");
    let mut split: Value = serde_json::from_str(&text).expect("JSON");
    let known = train("known.bgad", &["--split", "both.split.json"], one);
    split["anomalies"] = Value::Array(Vec::new());
    fs::write(scene.path("none.json"), split.to_string()).expect("a split");
    let none = train("none.bgad", &["--split", "none.json"], two);

    let [of_both, of_known, of_none] = [&both, &known, &none].map(|model| model.flows().collect::<Vec<_>>());
    assert_eq!([of_both.len(), of_known.len(), of_none.len()], [4, 3, 3]);
    assert!(of_both[..3] == of_known[..], "the other flows do not know of it");
    assert!(of_both[3] == of_none[2], "it has learned what the coarsest flow learns without defects");
    assert!(of_both[3] != of_both[2]);
}

#[test]
fn the_score_is_over_as_many_pixels_as_asked() {
    let scene = Scene::with_data("score_pixels");
    scene.picture("new.png", 5000, Some((9, 30)));
    let mut scores = Vec::new();
    for (pixels, model) in [(1, "one.bgad"), (40, "forty.bgad")] {
        let asked = ["train", "data", "-o", model, "--score-pixels", &pixels.to_string()];
        scene.run(&[&asked[..], &["--score-parts", "map"], &SMALL].concat()).exits(0);
        let detector = Detector::open(&scene.path(model)).expect("a model");
        let found = detector.inspect_file(&scene.path("new.png")).expect("an image");
        scores.push(found);
    }
    let highest = |found: &bgad::Inspection| found.map.nats.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    for found in &scores {
        assert!((highest(found) - found.score).abs() < 1e-4, "the score is the highest value of the map");
    }
    // The pixels that the score is the mean of are cut to it.
    let ties =
        |found: &bgad::Inspection| found.map.nats.iter().filter(|v| **v >= highest(found) - 1e-4).count();
    assert!(ties(&scores[0]) < ties(&scores[1]), "{} and {}", ties(&scores[0]), ties(&scores[1]));
    let none = ["train", "data", "-o", "no.bgad", "--score-pixels", "0"];
    scene.run(&none).exits(2).says(&["score-pixels is 0, must be 1 to 65536"]);
}

#[test]
fn a_picture_that_is_off_as_a_whole_or_in_a_cell_is_flagged_as_such() {
    let scene = Scene::with_data("off_as_a_whole");
    scene.picture("good.png", 5000, None);
    scene.picture("marked.png", 5002, Some((10, 14)));
    scene.picture("dark.png", 5001, None);
    let mut dark = image::open(scene.path("dark.png")).expect("a picture").to_rgb8();
    dark.pixels_mut().for_each(|pixel| pixel.0 = pixel.0.map(|value| value / 2));
    dark.save(scene.path("dark.png")).expect("a picture");
    let inspected = |model: &str, picture: &str| -> Value {
        let ran = scene.run(&["inspect", model, picture, "--format", "jsonl"]);
        serde_json::from_str(ran.stdout.trim()).expect("a line")
    };
    let models =
        [("map", "map.bgad"), ("map,coarsest", "places.bgad"), ("map,coarsest,cells,whole", "all.bgad")];
    for (parts, model) in models {
        scene.run(&[&["train", "data", "-o", model, "--score-parts", parts][..], &SMALL].concat()).exits(0);
    }
    for picture in ["good.png", "dark.png", "marked.png"] {
        let (map, places, all) = (
            inspected("map.bgad", picture),
            inspected("places.bgad", picture),
            inspected("all.bgad", picture),
        );
        let names =
            |line: &Value| line["parts"].as_object().expect("parts").keys().cloned().collect::<Vec<_>>();
        assert!(names(&map).is_empty(), "{map}");
        assert_eq!(names(&places), ["coarsest"]);
        assert_eq!(names(&all), ["cells", "coarsest", "whole"]);
    }
    let of = |picture: &str| inspected("all.bgad", picture);
    let (good, dark, marked) = (of("good.png"), of("dark.png"), of("marked.png"));
    for (part, odd) in [("whole", &dark), ("cells", &dark), ("cells", &marked)] {
        let (odd, usual) = (odd["parts"][part].as_f64(), good["parts"][part].as_f64());
        assert!(odd > Some(0.1) && odd > usual, "{part}: {odd:?}, of the good one {usual:?}");
    }
    assert_ne!(dark["verdict"], "OK", "{dark}");
    // Flagged: at a place, or as a whole.
    let places = dark["regions"].as_array().expect("regions").len();
    assert!(places > 0 || dark["whole_image"] == true, "{dark}");

    // Nothing is said of cells and whole images where nothing can be known of them, or where they are not what is judged.
    scene.run(&[&["train", "data", "-o", "few.bgad", "--limit-normal", "9"][..], &SMALL].concat()).exits(0);
    let few = inspected("few.bgad", "good.png");
    assert!(few["parts"].get("whole").is_none() && few["parts"].get("cells").is_none(), "{few}");
    for parts in ["map,whole", "map,cells"] {
        for with in ["--tiles", "--foreground-score"] {
            let says = format!("score-parts is {parts}, must be map with tiles");
            scene
                .run(&["train", "data", "-o", "no.bgad", "--score-parts", parts, with])
                .exits(2)
                .says(&[&says]);
        }
    }
}

#[test]
fn where_few_are_known_by_heart_thresholds_are_for_images_that_are_not() {
    let scene = Scene::with_data("few_by_heart");
    let few = ["--limit-normal", "8", "--anomalies", "0", "--schedule", "5x8", "--score-parts", "map"];
    scene.run(&[&["train", "data", "-o", "m.bgad"], &SMALL[..4], &few].concat()).exits(0);
    let detector = Detector::open(&scene.path("m.bgad")).expect("the model");
    let inspected = |picture: &str, seed: u32, defect: Option<(u32, u32)>| {
        scene.picture(picture, seed, defect);
        detector.inspect_file(&scene.path(picture)).expect("an image")
    };
    // The eight themselves are known by heart: new ones score higher, and are OK.
    let mean = |scores: Vec<f32>| scores.iter().sum::<f32>() / scores.len() as f32;
    let of_new = (0..40).map(|i| inspected(&format!("new/{i:02}.png"), 5000 + i, None)).collect::<Vec<_>>();
    let known: Vec<f32> = (0..GOOD)
        .map(|i| scene.path(&format!("data/good/{i:03}.png")))
        .filter(|path| detector.header().trained_on(&content_hash(&fs::read(path).expect("a picture"))))
        .map(|path| detector.inspect_file(&path).expect("an image").score)
        .collect();
    assert_eq!(known.len(), 8);
    assert!(mean(of_new.iter().map(|found| found.score).collect()) > mean(known) + 1.0);
    let flagged = of_new.iter().filter(|found| found.verdict != Verdict::Ok).count();
    assert!(flagged <= 4, "{flagged} of 40 new good ones");
    assert_eq!(inspected("new/bad.png", 5099, Some((20, 30))).verdict, Verdict::Ng);
}
