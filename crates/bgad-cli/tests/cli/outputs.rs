//! What is written stays whole, where it belongs and what it was; what is printed changes nothing.

use std::fs::{self, File};
use std::path::Path;
use std::process::Stdio;

use crate::scene::{BAD, Ran, SMALL, Scene, trained};

/// The table of docs/robustness.md: each command and its cells.
pub(crate) fn documented() -> Vec<(String, Vec<String>)> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/robustness.md");
    let page = fs::read_to_string(page).expect("the page");
    let rows = page.lines().filter_map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let command = cells.first()?.strip_prefix("`bgad ")?.strip_suffix('`')?;
        Some((command.to_owned(), cells[1..].iter().map(|cell| (*cell).to_owned()).collect()))
    });
    rows.collect()
}

/// A command of the table as words, and what it must have written.
pub(crate) fn words_and_products(command: &str) -> (Vec<&'static str>, Vec<&'static str>) {
    let train: &[&str] = &["train", "data", "-o", "new.bgad", "--anomalies", "2"];
    let small = &SMALL[..4];
    let (words, products): (Vec<&[&str]>, &[&str]) = match command {
        "train" => (vec![train, small, &["--schedule", "1x1"]], &["new.bgad", "new.split.json"]),
        "evaluate" => (
            vec![&["evaluate", "m.bgad", "data", "--json", "f.json", "--report", "r.html"]],
            &["f.json", "r.html"],
        ),
        "inspect" => (vec![&["inspect", "m.bgad", "data/bad", "--out", "maps"]], &["maps"]),
        "calibrate" => {
            (vec![&["calibrate", "m.bgad", "-o", "c.bgad", "--ok", "1", "--ng", "2"]], &["c.bgad"])
        }
        "compare" => (vec![&["compare", "m.bgad", "m.bgad", "data", "--json", "c.json"]], &["c.json"]),
        "learn" => (
            vec![&["learn", "m.bgad", "--good", "new.png", "-o", "l.bgad", "--force", "--schedule", "1x1"]],
            &["l.bgad", "l.split.json"],
        ),
        "doctor" => (vec![&["doctor", "data", "--quick"]], &[]),
        "benchmark" => (
            vec![
                &["benchmark", "data", "--out", "b", "--methods", "bgad", "--anomalies", "0", "--seeds", "1"],
                small,
                &["--schedule", "1x1"],
            ],
            &["b/table.md", "b/table.csv", "b/table.json", "b/table.html"],
        ),
        "augment" => (
            vec![&["augment", "data", "--out", "a", "-n", "2", "--input", "64"]],
            &["a/sheet.png", "a/list.csv"],
        ),
        "foreground" => {
            (vec![&["foreground", "data", "--out", "fg", "-n", "2", "--input", "64"]], &["fg/sheet.png"])
        }
        "export" => (vec![&["export", "m.bgad", "-o", "m.onnx"]], &["m.onnx"]),
        "verify-export" => (vec![&["verify-export", "m.onnx"]], &[]),
        "completions bash" => (vec![&["completions", "bash"]], &[]),
        "man" => (vec![&["man"]], &[]),
        "info" => (vec![&["info", "m.bgad"]], &[]),
        "restore" => (vec![&["restore", "m.bgad"]], &["m.bgad.previous"]),
        "help train" => (vec![&["help", "train"]], &[]),
        other => panic!("docs/robustness.md has a command that this test does not know: {other}"),
    };
    (words.concat(), products.to_vec())
}

/// A folder with data, a model of it that has a previous generation, and a new picture.
pub(crate) fn scene(name: &str) -> Scene {
    let scene = Scene::new(name);
    copy_folder(&trained().path("data"), &scene.path("data"));
    fs::copy(trained().path("m.bgad"), scene.path("m.bgad")).expect("a model");
    scene.run(&["calibrate", "m.bgad", "--ok", "1", "--ng", "2"]).exits(0);
    scene.picture("new.png", 5000, None);
    if name.contains("verify-export") {
        scene.run(&["export", "m.bgad", "-o", "m.onnx"]).exits(0);
    }
    scene
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).expect("a copy");
        }
    }
}

#[test]
#[cfg(unix)]
fn what_becomes_of_stdout_changes_neither_work_nor_verdict() {
    let documented = documented();
    assert_eq!(documented.len(), 17, "every command is in the table: {documented:?}");
    for (command, cells) in documented {
        let (words, products) = words_and_products(&command);
        let codes = cells.iter().map(|cell| cell.parse::<i32>().expect("an exit code"));
        for (sink, code) in ["gone", "full"].into_iter().zip(codes) {
            let scene = scene(&format!("stdout_{}_{sink}", command.replace(' ', "_")));
            let mut run = scene.command(&words);
            run.stderr(Stdio::piped());
            match sink {
                "full" => run.stdout(File::options().write(true).open("/dev/full").expect("a full disk")),
                _ => run.stdout(Stdio::piped()),
            };
            let mut child = run.spawn().expect("the binary");
            drop(child.stdout.take());
            let ran = Ran::of(child.wait_with_output().expect("the binary"));
            assert_eq!(ran.code, Some(code), "{command}, {sink}: {}", ran.stderr);
            assert_eq!(
                ran.stderr.contains("cannot write to stdout"),
                code == 2,
                "{command}, {sink}: {}",
                ran.stderr
            );
            for product in &products {
                assert!(scene.path(product).exists(), "{command}, {sink}: no {product}");
            }
            if command == "inspect" {
                let overlays = ["spot", "stain"]
                    .map(|kind| fs::read_dir(scene.path("maps").join(kind)).expect("maps").count());
                assert_eq!(overlays.iter().sum::<usize>(), BAD, "{sink}");
            }
        }
    }
}

#[test]
#[cfg(unix)]
fn pipes_links_and_modes_stay_what_they_are() {
    use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _, symlink};

    let scene = scene("pipes_links_and_modes");
    // stdout by name: the figures come out of it, and it is what it was.
    let ran = scene.run(&["evaluate", "m.bgad", "data", "--json", "/dev/stdout"]).exits(0);
    assert!(ran.stdout.starts_with('{') && ran.stdout.contains("would be stopped"), "{}", ran.stdout);
    let file = File::create(scene.path("out.txt")).expect("a file");
    let mut command = scene.command(&["evaluate", "m.bgad", "data", "--json", "/dev/stdout"]);
    assert!(command.stdout(file).stderr(Stdio::null()).status().expect("the binary").success());
    let text = fs::read_to_string(scene.path("out.txt")).expect("text");
    assert!(text.starts_with('{') && text.contains("would be stopped"), "{text}");

    let pipe = scene.path("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo").success());
    let reader = std::thread::spawn({
        let pipe = pipe.clone();
        move || fs::read_to_string(pipe).expect("text")
    });
    scene.run(&["compare", "m.bgad", "m.bgad", "data", "--json", "pipe"]).exits(0);
    assert!(reader.join().expect("a reader").contains("\"images\""));
    assert!(fs::metadata(&pipe).expect("a pipe").file_type().is_fifo());

    // A link to the model in use.
    fs::create_dir(scene.path("models")).expect("a folder");
    fs::copy(scene.path("m.bgad"), scene.path("models/v1.bgad")).expect("a model");
    fs::set_permissions(scene.path("models/v1.bgad"), fs::Permissions::from_mode(0o660)).expect("a mode");
    symlink("models/v1.bgad", scene.path("current.bgad")).expect("a link");
    let before = fs::read(scene.path("models/v1.bgad")).expect("a model");
    scene.run(&["calibrate", "current.bgad", "--ok", "3", "--ng", "4"]).exits(0);
    assert!(fs::symlink_metadata(scene.path("current.bgad")).expect("a link").is_symlink());
    let after = fs::read(scene.path("models/v1.bgad")).expect("a model");
    assert!(after != before, "the version in use has the new thresholds");
    assert_eq!(
        fs::metadata(scene.path("models/v1.bgad")).expect("a model").permissions().mode() & 0o777,
        0o660
    );
    assert!(fs::read(scene.path("models/v1.bgad.previous")).expect("a model") == before);
    scene.run(&["restore", "current.bgad"]).exits(0);
    assert!(fs::read(scene.path("models/v1.bgad")).expect("a model") == before);

    // What is write-protected is refused by name, before the work.
    fs::set_permissions(scene.path("m.bgad"), fs::Permissions::from_mode(0o444)).expect("a mode");
    let protected = fs::read(scene.path("m.bgad")).expect("a model");
    let says = ["m.bgad", "write-protected"];
    scene.run(&["calibrate", "m.bgad", "--ok", "3", "--ng", "4"]).exits(2).says(&says);
    scene.run(&["train", "data", "-o", "m.bgad", "--force"]).exits(2).says(&says);
    scene.run(&["evaluate", "m.bgad", "data", "--json", "m.bgad"]).exits(2).says(&["it is a model"]);
    assert!(fs::read(scene.path("m.bgad")).expect("a model") == protected);
}

#[test]
fn models_replace_models_only_and_the_last_one_comes_back() {
    let scene = Scene::with_data("models_replace_models_only");
    fs::write(scene.path("m.bgad"), "a photo of the family").expect("a file");
    scene.train(&["--anomalies", "0"]).exits(2).says(&["m.bgad", "not a bgad model", "--force"]);
    assert_eq!(fs::read(scene.path("m.bgad")).expect("a file"), b"a photo of the family");
    scene.train(&["--anomalies", "0", "--force"]).exits(0);
    assert_eq!(fs::read(scene.path("m.bgad.previous")).expect("a file"), b"a photo of the family");
    let first = fs::read(scene.path("m.bgad")).expect("a model");
    scene.train(&["--anomalies", "0", "--seed", "1"]).exits(0);
    assert!(fs::read(scene.path("m.bgad.previous")).expect("a model") == first);
    scene.run(&["restore", "m.bgad"]).exits(0).says(&["m.bgad.previous"]);
    assert!(fs::read(scene.path("m.bgad")).expect("a model") == first);
    scene.run(&["restore", "none.bgad"]).exits(2).says(&["none.bgad", "no previous generation"]);
    let calibrate = ["calibrate", "m.bgad", "--ok", "1", "--ng", "2", "-o", "data/good/000.png"];
    scene.run(&calibrate).exits(2).says(&["000.png", "not a bgad model"]);
}

#[test]
fn a_lesson_learned_twice_is_learned_once() {
    let scene = Scene::with_data("a_lesson_learned_twice");
    scene.train(&["--hold-out", "25%"]).exits(0);
    scene.picture("new.png", 5000, None);
    let learn = ["learn", "m.bgad", "--good", "new.png", "--force", "--schedule", "1x1"];
    scene.run(&learn).exits(0);
    let files = || ["m.bgad", "m.split.json"].map(|file| fs::read(scene.path(file)).expect("a file"));
    let once = files();
    // The split file is a convenience: without it, and with one of another time, nothing changes.
    fs::write(scene.path("m.split.json"), "{}").expect("a file");
    scene.run(&learn).exits(0).says(&["has learned all of it already"]);
    assert!(files() == once, "the split file is whole again");
    fs::remove_file(scene.path("m.split.json")).expect("a file");
    scene.picture("newer.png", 5001, None);
    let both =
        ["learn", "m.bgad", "--good", "new.png", "--good", "newer.png", "--force", "--schedule", "1x1"];
    scene.run(&both).exits(0).says(&["new.png: the model has learned from this image already"]);
    let split: serde_json::Value = serde_json::from_slice(&files()[1]).expect("JSON");
    assert_eq!(split["train"].as_array().map(Vec::len), Some(24 + 2), "{split}");
}

#[test]
fn a_lesson_is_checked_before_it_is_trained() {
    let scene = Scene::with_data("a_lesson_is_checked");
    scene.train(&["--hold-out", "25%"]).exits(0);
    scene.run(&["calibrate", "m.bgad", "--max-false-alarms", "32%"]).exits(0);
    scene.picture("new.png", 4711, Some((30, 30)));
    let mask = |name: &str, width: u32, height: u32, from: u32| {
        let picture = image::GrayImage::from_fn(width, height, |x, y| {
            image::Luma([if (from..42).contains(&x) && (from..42).contains(&y) { 255 } else { 0 }])
        });
        picture.save(scene.path(name)).expect("a mask");
    };
    mask("black.png", 64, 64, 42);
    mask("small.png", 48, 48, 30);
    mask("most.png", 64, 64, 10);
    let mut inverted = image::open(scene.path("most.png")).expect("a mask").into_luma8();
    inverted.pixels_mut().for_each(|pixel| pixel.0[0] = 255 - pixel.0[0]);
    inverted.save(scene.path("most.png")).expect("a mask");
    let before = fs::read(scene.path("m.bgad")).expect("a model");
    for (mask, says) in [
        ("black.png", "empty: no pixel is marked"),
        ("small.png", "expected a mask of 64x64"),
        ("most.png", "black and white seem to be exchanged"),
    ] {
        let ran = scene.run(&["learn", "m.bgad", "--defect", "new.png", "--mask", mask]).exits(2);
        let ran = ran.says(&[mask, says]);
        assert!(!ran.stderr.contains("pass 1/"), "before the work: {}", ran.stderr);
    }
    // Seven images held out cannot prove what eight could.
    let split: serde_json::Value =
        serde_json::from_slice(&fs::read(scene.path("m.split.json")).expect("a split")).expect("JSON");
    let held_out = format!("data/{}", split["hold_out"][0].as_str().expect("a path"));
    let ran = scene.run(&["learn", "m.bgad", "--good", &held_out]).exits(2);
    let ran = ran.says(&["the promise of the thresholds", "7 good images cannot prove that: it takes 8"]);
    assert!(!ran.stderr.contains("pass 1/"), "{}", ran.stderr);
    assert!(fs::read(scene.path("m.bgad")).expect("a model") == before);
}
