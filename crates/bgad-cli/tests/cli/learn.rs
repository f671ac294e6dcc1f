//! What the line has found since goes into the model.

use std::fs;
use std::path::{Path, PathBuf};

use bgad::model::Model;
use image::{GrayImage, Luma};
use serde_json::Value;

use crate::scene::{SIDE, SMALL, Scene};
use crate::serve::Running;

/// A model of good images alone with some held out, and a dark scratch that it has never seen.
fn scene(name: &str, more: &[&str]) -> Scene {
    let scene = Scene::with_data(name);
    let train = ["train", "data", "-o", "m.bgad", "--anomalies", "0", "--hold-out", "25%"];
    scene.run(&[&train[..], more, &SMALL].concat()).exits(0);
    scene.picture("found/new.png", 4711, Some((30, 30)));
    let mask = GrayImage::from_fn(SIDE, SIDE, |x, y| {
        Luma([if (30..42).contains(&x) && (30..42).contains(&y) { 255 } else { 0 }])
    });
    mask.save(scene.path("found/where.png")).expect("a mask");
    scene
}

fn split(scene: &Scene, file: &str) -> Value {
    serde_json::from_slice(&fs::read(scene.path(file)).expect("a split")).expect("JSON")
}

#[test]
fn a_missed_defect_is_learned_remembered_and_kept_out_of_the_test() {
    let parts = ["--score-parts", "map,coarsest,companion,cells,whole"];
    let scene = scene("a_missed_defect_is_learned", &parts);
    scene.run(&["calibrate", "m.bgad", "--max-false-alarms", "40%"]).exits(0);
    let before = fs::read(scene.path("m.bgad")).expect("the model");
    let learn = ["learn", "m.bgad", "--defect", "found/new.png", "--mask", "found/where.png", "--force"];
    let ran = scene.run(&[&learn[..], &["-o", "new.bgad"]].concat()).exits(0);
    for line in ["image AUROC", "escapes, of 8 defective", "false alarms, of 16 good", "new.png"] {
        assert!(ran.stdout.contains(line), "{line}: {}", ran.stdout);
    }
    assert_eq!(fs::read(scene.path("m.bgad")).expect("the model"), before, "the old model stays");
    let has_companion = |file: &str| Model::open(&scene.path(file)).expect("a model").flows().count() == 4;
    assert!(has_companion("new.bgad") && !has_companion("m.bgad"), "it comes with the first defect");
    let new = split(&scene, "new.split.json");
    assert_eq!(new["anomalies"].as_array().map(Vec::len), Some(1), "{new}");
    assert_eq!(
        new["masks"].as_object().map(|masks| masks.len()),
        Some(1),
        "the mask is not beside it: {new}"
    );
    // The promise was made again: the model is calibrated, and `evaluate` leaves its images out.
    let ran = scene.run(&["evaluate", "new.bgad", "data"]).exits(0);
    assert!(ran.stderr.contains("calibrated with"), "{}", ran.stderr);

    // Once is enough, and the same images again give the same model.
    scene
        .run(&["learn", "new.bgad", "--good", "found/new.png"])
        .exits(2)
        .says(&["has learned from this image already"]);
    scene.run(&[&learn[..], &["-o", "again.bgad", "--threads", "1"]].concat()).exits(0);
    let [new, again] = ["new.bgad", "again.bgad"].map(|file| fs::read(scene.path(file)).expect("a model"));
    assert!(new == again, "threads do not change what is learned");

    // A test image that is learned from is tested on no more; the split file beside the model finds it.
    let tested = split(&scene, "new.split.json")["test_good"][0].as_str().expect("a path").to_owned();
    let good = format!("data/{tested}");
    scene.run(&["learn", "new.bgad", "--good", &good, "--force"]).exits(0);
    let last = split(&scene, "new.split.json");
    assert_eq!(last["test_good"].as_array().map(Vec::len), Some(7), "{last}");
    assert!(
        last["train"].as_array().is_some_and(|train| train.iter().any(|path| *path == *tested)),
        "{last}"
    );
}

#[test]
fn a_quick_lesson_leaves_the_flows_as_they_are() {
    let scene = scene("a_quick_lesson", &[]);
    let learn = ["learn", "m.bgad", "--defect", "found/new.png", "--mask", "found/where.png", "--quick"];
    scene.run(&[&learn[..], &["-o", "new.bgad", "--force"]].concat()).exits(0);
    let [known, new] = ["m.bgad", "new.bgad"].map(|file| Model::open(&scene.path(file)).expect("a model"));
    assert!(known.flows().zip(new.flows()).all(|(before, after)| before == after), "no pass was made");
    assert_eq!(known.header.training.passes, new.header.training.passes);
    // What the defect looks like is known now: its record has a part more.
    let head = |model: &str| {
        let ran = scene.run(&["inspect", model, "found/new.png", "--format", "jsonl"]);
        let record: Value = serde_json::from_str(ran.stdout.lines().next().expect("a record")).expect("JSON");
        record["score"]["parts"]["head"].as_f64().or(record["parts"]["head"].as_f64())
    };
    assert_eq!(head("m.bgad"), None);
    assert!(head("new.bgad").is_some_and(|nats| nats > 0.0));

    let without = ["train", "data", "-o", "plain.bgad", "--anomalies", "0", "--score-parts", "map"];
    scene.run(&[&without[..], &SMALL].concat()).exits(0);
    let learn = [&["learn", "plain.bgad"], &learn[2..]].concat();
    scene.run(&learn).exits(2).says(&["linear head", "found one without"]);
}

#[test]
fn what_cannot_be_learned_is_said_and_leaves_the_model() {
    let scene = scene("what_cannot_be_learned", &[]);
    let before = fs::read(scene.path("m.bgad")).expect("the model");
    scene.run(&["learn", "m.bgad"]).exits(2).says(&["nothing to learn"]);
    scene.run(&["learn", "m.bgad", "--defect", "found/new.png"]).exits(2).says(&["each --defect its --mask"]);
    let none = ["learn", "m.bgad", "--defect", "found/new.png", "--mask", "found/none.png"];
    scene.run(&none).exits(2).says(&["found/none.png"]);
    fs::write(scene.path("found/broken.png"), b"no picture").expect("a file");
    scene
        .run(&["learn", "m.bgad", "--good", "found/broken.png"])
        .exits(2)
        .says(&["broken.png: expected a PNG"]);
    assert_eq!(fs::read(scene.path("m.bgad")).expect("the model"), before);
    let twice = ["learn", "m.bgad", "--good", "found/new.png", "--good", "found/new.png"];
    scene.run(&twice).exits(2).says(&["give every image once"]);
    // A defect that is called good makes the model blind to its kind: more escape, and nothing is written.
    scene.run(&["calibrate", "m.bgad", "--ok", "200", "--ng", "210"]).exits(0);
    fs::rename(scene.path("data"), scene.path("moved")).expect("a folder");
    let good = ["learn", "m.bgad", "--good", "found/new.png"];
    scene.run(&good).exits(2).says(&["data", "--data"]);
    let ran = scene
        .run(&[&good[..], &["--data", "moved", "--learning-rate", "0.003", "--schedule", "6x2"]].concat());
    ran.exits(2).says(&["not written", "--force"]);
}

#[test]
fn what_operators_answered_is_learned() {
    let scene = scene("from_feedback", &[]);
    fs::create_dir(scene.path("frames")).expect("a folder");
    let watch = [
        "watch",
        "frames",
        "--model",
        "m.bgad",
        "--out",
        "line",
        "--settle",
        "0.1",
        "--keep-ok",
        "1",
        "--triggered",
    ];
    let running = Running::start(&scene, &watch);
    scene.picture("other.png", 4712, None);
    for (part, picture) in [("p1", "other.png"), ("p2", "found/new.png")] {
        std::thread::scope(|scope| {
            let asked = scope.spawn(|| running.post(&format!("/trigger?part_id={part}"), b""));
            std::thread::sleep(std::time::Duration::from_millis(300));
            fs::copy(scene.path(picture), scene.path("frames/.partly")).expect("a copy");
            fs::rename(scene.path("frames/.partly"), scene.path(&format!("frames/{part}.png")))
                .expect("its name");
            asked.join().expect("an answer").ok();
        });
    }
    let answer = |part: &str, answer: &str| {
        running.post("/feedback", format!(r#"{{"part_id":"{part}","answer":"{answer}"}}"#).as_bytes()).ok();
    };
    answer("p2", "defect");
    let learn = ["learn", "m.bgad", "--from-feedback", "line", "--force", "--quick", "-o", "new.bgad"];
    // Where the defect is nobody has said yet.
    scene.run(&learn).exits(2).says(&["_mask.png", "teaches anything"]);
    answer("p1", "good");
    answer("p3", "good");
    answer("p4", "unsure");
    let ran = scene.run(&learn).exits(0);
    ran.says(&[
        "\"p2\": a defect; draw where it is",
        "\"p3\": no picture",
        "\"p4\": the operator could not tell",
    ]);
    let learned = |file: &str| {
        let [good, defects] =
            ["train", "anomalies"].map(|of| split(&scene, file)[of].as_array().map_or(0, Vec::len));
        (good, defects)
    };
    let (good, defects) = learned("m.split.json");
    assert_eq!(learned("new.split.json"), (good + 1, defects));

    let kept = glob(&scene, "line/images", ".png");
    let of_defect =
        kept.iter().find(|path| fs::read(path).ok() == fs::read(scene.path("found/new.png")).ok());
    let of_defect = of_defect.expect("the picture was kept");
    fs::copy(scene.path("found/where.png"), of_defect.with_file_name(mask_name(of_defect))).expect("a mask");
    // With training: without a linear head a defect needs it.
    let learn = ["learn", "new.bgad", "--from-feedback", "line", "--force", "-o", "newer.bgad"];
    let ran = scene.run(&learn).exits(0);
    ran.says(&["has learned from this image already"]);
    assert_eq!(learned("newer.split.json"), (good + 1, defects + 1));
    scene
        .run(&["learn", "m.bgad", "--from-feedback", "nothing"])
        .exits(2)
        .says(&["feedback.jsonl", "cannot be read"]);
}

fn mask_name(picture: &Path) -> String {
    format!("{}_mask.png", picture.file_stem().expect("a name").to_string_lossy())
}

/// Files in the folders of a folder.
fn glob(scene: &Scene, folder: &str, ending: &str) -> Vec<PathBuf> {
    let entries = |folder: PathBuf| {
        fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path())
    };
    let files = entries(scene.path(folder)).flat_map(entries);
    files.filter(|path| path.to_string_lossy().ends_with(ending)).collect()
}
