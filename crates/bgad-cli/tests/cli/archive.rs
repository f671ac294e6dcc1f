//! Archives: a list of images, one row for each, whatever happens in between.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::scene::{Scene, trained};

/// Rows of the list of [`archive`].
const ROWS: usize = 240;

/// A scene with a model and a list `list.csv` that repeats few images, two of which cannot be read.
fn archive(name: &str) -> Scene {
    let scene = Scene::new(name);
    fs::copy(trained().path("m.bgad"), scene.path("m.bgad")).expect("a model");
    for i in 0..10 {
        scene.picture(&format!("images/{i}.png"), i, (i % 3 == 0).then_some((i, 40)));
    }
    fs::write(scene.path("images/broken, \"quoted\".png"), "no image").expect("a file");
    let mut list = "note,path\n".to_owned();
    for row in 0..ROWS {
        let file = match row % 12 {
            10 => "\"images/broken, \"\"quoted\"\".png\"".to_owned(),
            11 => "images/none.png".to_owned(),
            i => format!("images/{i}.png"),
        };
        list.push_str(&format!("n{row},{file}\n"));
    }
    fs::write(scene.path("list.csv"), list).expect("a list");
    scene
}

const INSPECT: [&str; 4] = ["inspect", "m.bgad", "--manifest", "list.csv"];

fn read(scene: &Scene, name: &str) -> String {
    fs::read_to_string(scene.path(name)).expect(name)
}

#[test]
fn every_image_has_one_row_and_says_what_inspect_says() {
    let scene = archive("archive_rows");
    let ran = scene.run(&[&INSPECT[..], &["-o", "out.jsonl"]].concat()).exits(2);
    assert!(ran.stderr.contains(&format!("{ROWS} rows")), "{}", ran.stderr);
    assert_eq!(ran.stdout, "");
    let single = scene.run(&["inspect", "m.bgad", "images", "--format", "jsonl"]).exits(2).stdout;
    let singles: Vec<serde_json::Value> =
        single.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let text = read(&scene, "out.jsonl");
    let rows: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(rows.len(), ROWS);
    for (number, row) in rows.iter().enumerate() {
        assert_eq!(row["row"], number);
        if let Some(single) = singles.iter().find(|single| single["file"] == row["file"]) {
            assert_eq!(row["score"], single["score"]);
            assert_eq!(row["verdict"], single["verdict"]);
        }
        assert_eq!(row["error"].is_null(), number % 12 < 10, "{row}");
        assert_eq!(row["verdict"].is_null(), number % 12 >= 10, "an error is never OK: {row}");
    }
}

#[test]
fn shards_share_the_list() {
    let scene = archive("archive_shards");
    scene.run(&[&INSPECT[..], &["-o", "whole.csv"]].concat()).exits(2);
    let mut rows = Vec::new();
    for shard in ["1/3", "2/3", "3/3"] {
        let ran = scene.run(&[&INSPECT[..], &["-o", "part.csv", "--shard", shard]].concat());
        // The rows that cannot be judged are not in each shard.
        assert!(matches!(ran.code, Some(1 | 2)), "{ran:?}");
        rows.extend(read(&scene, "part.csv").lines().skip(1).map(str::to_owned));
        fs::remove_file(scene.path("part.csv")).expect("a part");
    }
    rows.sort_by_key(|row| row.split(',').next().expect("a number").parse::<usize>().expect("a number"));
    let whole = read(&scene, "whole.csv");
    assert_eq!(rows, whole.lines().skip(1).collect::<Vec<_>>());
}

#[test]
fn rows_are_there_exactly_once_after_any_number_of_kills() {
    let scene = archive("archive_kills");
    for name in ["whole", "killed"].map(|name| format!("{name}.csv")) {
        let words = [&INSPECT[..], &["--resume", "-o", &name]].concat();
        let mut kills = 0;
        while name == "killed.csv" && kills < 6 {
            let before = lines(&scene.path(&name));
            let mut command = scene.command(&words);
            let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the binary");
            let started = Instant::now();
            while lines(&scene.path(&name)) < before + 17 && child.try_wait().expect("a process").is_none() {
                assert!(started.elapsed() < Duration::from_secs(120), "it does not go on");
                sleep(Duration::from_millis(1));
            }
            child.kill().expect("a process");
            child.wait().expect("a dead process");
            kills += 1;
        }
        assert!(lines(&scene.path(&name)) < ROWS, "killed too late for this test to mean anything");
        scene.run(&words).exits(2);
        // Nothing is left to do, and nothing is done.
        scene.run(&words).exits(0).says(&[&format!("{ROWS} were there")]);
    }
    assert_eq!(read(&scene, "killed.csv"), read(&scene, "whole.csv"));
}

fn lines(path: &Path) -> usize {
    fs::read(path).map_or(0, |bytes| bytes.iter().filter(|&&byte| byte == b'\n').count())
}

#[test]
fn nothing_is_overwritten_and_nothing_continued_that_is_another_s() {
    let scene = archive("archive_refusals");
    let run = |more: &[&str]| scene.run(&[&INSPECT[..], more].concat());
    run(&["-o", "out.csv", "--shard", "1/40"]).exits(1);
    let before = read(&scene, "out.csv");
    run(&["-o", "out.csv", "--shard", "1/40"]).exits(2).says(&["there already"]);
    run(&["-o", "out.csv", "--shard", "2/40", "--resume"]).exits(2).says(&["another shard", "1/40"]);
    scene.run(&["calibrate", "m.bgad", "--ok", "1", "--ng", "2"]).exits(0);
    run(&["-o", "out.csv", "--shard", "1/40", "--resume"]).exits(2).says(&["another model"]);
    assert_eq!(read(&scene, "out.csv"), before);
    run(&["-o", "out.txt"]).exits(2).says(&[".csv or .jsonl"]);
    run(&["-o", "out2.csv", "--shard", "5/4"]).exits(2).says(&["i/n"]);
    run(&[]).exits(2).says(&["--output"]);
    fs::write(scene.path("list.csv"), "file\na.png\n").expect("a list");
    run(&["-o", "out2.csv"]).exits(2).says(&["`path`", "found the columns file"]);
    assert!(!scene.path("out2.csv").exists());
}
