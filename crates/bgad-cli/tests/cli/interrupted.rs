//! Runs that do not end by themselves.

use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use bgad::model::{Model, ModelError};
use bgad::weights::Weights;

use crate::scene::{Ran, Scene};

/// With a second flow that must be remembered.
const PARTS: &str = "map,coarsest,companion,cells";

const TRAIN: [&str; 8] = ["train", "data", "-o", "m.bgad", "--input", "64", "--blocks", "2"];

fn start(scene: &Scene, more: &[&str]) -> Child {
    let mut command = scene.command(&[&TRAIN, more].concat());
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary")
}

#[track_caller]
fn wait_for(path: &Path) {
    let started = Instant::now();
    while !path.exists() {
        assert!(started.elapsed() < Duration::from_secs(120), "no {}", path.display());
        sleep(Duration::from_millis(1));
    }
}

/// Passes that a checkpoint has behind it.
fn passes(checkpoint: &Path) -> usize {
    let weights = Weights::open(checkpoint).expect("a whole file");
    let state = weights.metadata("bgad_checkpoint").expect("a checkpoint");
    let state: serde_json::Value = serde_json::from_str(state).expect("JSON");
    state["passes"].as_u64().expect("a number") as usize
}

/// An error and its causes.
fn chain(refused: Result<Model, ModelError>) -> String {
    let error = refused.expect_err("refused");
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

#[test]
fn resume_ends_in_the_same_model() {
    let scene = Scene::with_data("resume_ends_in_the_same_model");
    let asked = ["--schedule", "8x1", "--normalizer", "5", "--levels", "1,3", "--score-parts", PARTS];
    let mut child = start(&scene, &asked);
    let checkpoint = scene.path("m.bgad.checkpoint");
    wait_for(&checkpoint);
    // A checkpoint is no model, and says so.
    assert!(chain(Model::open(&checkpoint)).contains("this is a checkpoint"));
    while passes(&checkpoint) < 2 {
        sleep(Duration::from_millis(1));
    }
    child.kill().expect("a running process");
    child.wait_with_output().expect("a dead process");
    assert!(!scene.path("m.bgad").exists(), "killed too late for this test to mean anything");

    scene.run(&[&TRAIN[..], &asked[..2], &["--resume"]].concat()).exits(2).says(&[
        "other options (",
        " was ",
        "is kept",
    ]);
    scene.run(&[&TRAIN[..], &asked, &["--resume"]].concat()).exits(0).says(&["going on after pass"]);
    let resumed = fs::read(scene.path("m.bgad")).expect("a model");
    assert!(!scene.path("m.bgad.checkpoint").exists());
    scene.run(&[&TRAIN[..], &asked].concat()).exits(0);
    assert!(resumed == fs::read(scene.path("m.bgad")).expect("a model"));
    scene
        .run(&[&TRAIN[..], &["--resume"]].concat())
        .exits(2)
        .says(&["no checkpoint", "may have been finished"]);
}

#[test]
#[cfg(unix)]
fn ctrl_c_keeps_the_checkpoint_and_the_old_model() {
    let scene = Scene::with_data("ctrl_c");
    fs::write(scene.path("m.bgad"), "an old model").expect("a file");
    let child = start(&scene, &["--schedule", "5000x1", "--force"]);
    wait_for(&scene.path("m.bgad.checkpoint"));
    let pid = child.id().to_string();
    let killed = std::process::Command::new("kill").args(["-INT", &pid]).status().expect("kill");
    assert!(killed.success());
    let ran = Ran::of(child.wait_with_output().expect("the binary")).exits(2);
    ran.says(&["training was stopped", "m.bgad.checkpoint is kept", "--resume"]);
    assert_eq!(scene.names(), ["data", "m.bgad", "m.bgad.checkpoint"]);
    assert_eq!(fs::read(scene.path("m.bgad")).expect("a file"), b"an old model");
}

#[test]
#[cfg(unix)]
fn a_full_disk_leaves_the_old_model() {
    let scene = Scene::with_data("a_full_disk");
    fs::write(scene.path("m.bgad"), "an old model").expect("a file");
    // A limit on the size of files, whose signal is ignored, fails writes as a full disk does.
    let binary = env!("CARGO_BIN_EXE_bgad");
    let limited = |schedule: &str| {
        let mut command = std::process::Command::new("sh");
        let script = "trap '' XFSZ; ulimit -f 8; exec \"$0\" \"$@\"";
        command.args(["-c", script, binary]).args(TRAIN).args(["--force", "--schedule", schedule]);
        Ran::of(command.current_dir(&scene.folder).output().expect("a shell"))
    };
    limited("1x1").exits(2).says(&["cannot write the model file m.bgad: File too large"]);
    limited("2x1").exits(2).says(&["m.bgad.checkpoint", "File too large"]);
    assert_eq!(scene.names(), ["data", "m.bgad"]);
    assert_eq!(fs::read(scene.path("m.bgad")).expect("a file"), b"an old model");
}

/// Kills `words` at `times` moments of its run time, and looks after each kill.
fn kill_often(scene: &Scene, words: &[&str], times: u32, look: impl Fn(&Scene)) {
    let started = Instant::now();
    scene.run(words).exits(0);
    let whole = started.elapsed();
    for i in 0..times {
        let mut child =
            scene.command(words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the binary");
        // Most that is written is written at the end.
        let share = 1.0 - (f64::from(i) / f64::from(times)).powi(2);
        sleep(whole.mul_f64(share));
        child.kill().expect("kill");
        child.wait().expect("a dead process");
        look(scene);
    }
}

#[test]
fn a_hundred_kills_leave_every_file_whole() {
    let scene = Scene::with_data("a_hundred_kills");
    let train = [&TRAIN[..], &["--schedule", "4x1", "--hold-out", "50%"]].concat();
    let is_sound = |scene: &Scene| {
        let ran = scene.run(&["inspect", "m.bgad", "data/good/000.png"]);
        assert!(matches!(ran.code, Some(0 | 1)), "{ran:?}");
        if scene.path("m.bgad.checkpoint").exists() {
            assert!(passes(&scene.path("m.bgad.checkpoint")) > 0, "a checkpoint is a whole file too");
        }
    };
    kill_often(&scene, &train, 40, is_sound);
    scene.run(&train).exits(0);
    kill_often(&scene, &["calibrate", "m.bgad", "--max-false-alarms", "30%"], 20, is_sound);
    scene.picture("new.png", 5000, Some((9, 30)));
    let split = fs::read(scene.path("m.split.json")).expect("a split");
    let learn = ["learn", "m.bgad", "--good", "new.png", "-o", "learned.bgad", "--force"];
    kill_often(&scene, &learn, 20, |scene| {
        let listed = fs::read_to_string(scene.path("learned.split.json")).expect("a split");
        assert!(serde_json::from_str::<serde_json::Value>(&listed).is_ok(), "{listed}");
        assert!(Model::open(&scene.path("learned.bgad")).is_ok());
    });
    assert_eq!(fs::read(scene.path("m.split.json")).expect("a split"), split, "what was read is as it was");
    let report = ["evaluate", "m.bgad", "data", "--split", "m.split.json", "--report", "r.html"];
    kill_often(&scene, &report, 20, |scene| {
        let page = fs::read_to_string(scene.path("r.html")).expect("a report");
        assert!(page.starts_with("<!") && page.trim_end().ends_with("</html>"));
    });
    // And whatever was left lying about is in nobody's way.
    for words in [&train[..], &learn, &report] {
        scene.run(words).exits(0);
    }
}
