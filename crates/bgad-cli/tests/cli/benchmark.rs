//! `bgad benchmark`: the grid, its files, and going on where it stopped.

use std::fs;

use crate::scene::Scene;

const GRID: [&str; 15] = [
    "benchmark",
    "data",
    "--out",
    "results",
    "--anomalies",
    "0,2",
    "--seeds",
    "2",
    "--input",
    "64",
    "--blocks",
    "2",
    "--schedule",
    "2x1",
    "--no-cutpaste",
];

#[test]
fn a_grid_is_tabulated_and_goes_on_where_it_stopped() {
    let scene = Scene::with_data("benchmark");
    let first = scene.run(&GRID).exits(0);
    // A baseline and two numbers of defects, for two seeds.
    assert_eq!(first.stderr.matches("image AUROC").count(), 6, "{}", first.stderr);
    let line = |text: &str, start: &str| text.lines().find(|l| l.starts_with(start)).map(str::to_owned);
    let row = line(&first.stdout, "| data | general | bgad | 2 | 2 |").expect("a row");
    assert!(row.contains('±'), "{row}");
    let read = |name: &str| fs::read_to_string(scene.folder.join("results").join(name)).expect(name);
    assert_eq!(line(&read("table.md"), "| data | general | bgad | 2 | 2 |"), Some(row));
    assert_eq!(read("table.csv").lines().count(), 1 + 6);
    assert!(read("table.html").contains("<svg"));

    // Without known defects both methods are the same flow on the same images.
    let cell = |name: &str| -> serde_json::Value {
        serde_json::from_str(&read(&format!("cells/{name}.json"))).expect("a cell")
    };
    let (baseline, none) = (cell("data-nfad-general-0-0"), cell("data-bgad-general-0-0"));
    assert_eq!(baseline["figures"], none["figures"]);
    assert_eq!(cell("data-bgad-general-2-0")["by_type"].as_array().map(Vec::len), Some(2));

    // Only the cell that is not whole is done again, and comes out the same.
    let broken = scene.folder.join("results/cells/data-bgad-general-2-1.json");
    let before = cell("data-bgad-general-2-1");
    fs::write(&broken, b"{\"key\": ").expect("a broken cell");
    let second = scene.run(&GRID).exits(0);
    assert_eq!(second.stderr.matches("there already").count(), 5, "{}", second.stderr);
    assert_eq!(cell("data-bgad-general-2-1")["figures"], before["figures"]);
    assert_eq!(second.stdout, first.stdout);
}

#[test]
fn other_options_are_other_cells() {
    let scene = Scene::with_data("benchmark-options");
    let grid = |blocks| {
        let words = ["benchmark", "data", "--out", "results", "--methods", "bgad", "--settings", "hard"];
        let more =
            ["--anomalies", "1", "--seeds", "1", "--input", "64", "--schedule", "1x1", "--blocks", blocks];
        scene.run(&[&words[..], &more].concat()).exits(0)
    };
    let first = grid("1");
    assert!(first.stdout.contains("| data | hard | bgad | 1 | 1 |"), "{}", first.stdout);
    assert_eq!(first.stderr.matches("hard:").count(), 2, "each type once: {}", first.stderr);
    assert!(!grid("2").stderr.contains("there already"));
}

#[test]
fn what_cannot_work_is_said_before_anything_is_trained() {
    let scene = Scene::with_data("benchmark-bad");
    let run =
        |more: &[&str]| scene.run(&[&["benchmark", "data", "--out", "results"], more].concat()).exits(2);
    run(&["--anomalies", "100"]).says(&["data, setting general", "100"]);
    run(&["data"]).says(&["two folders of the name data"]);
    run(&["--beta", "2"]).says(&["beta is 2"]);
    run(&["--methods", "other"]).says(&["nfad", "bgad"]);
    assert!(!scene.folder.join("results/cells").join("data-nfad-general-0-0.json").exists());
}

#[test]
fn the_baseline_sees_no_anomaly_that_is_made() {
    let scene = Scene::with_data("benchmark-pseudo");
    let words =
        ["benchmark", "data", "--out", "results", "--anomalies", "0", "--seeds", "1", "--input", "64"];
    scene.run(&[&words[..], &["--schedule", "2x1", "--blocks", "1", "--pseudo", "nsa"]].concat()).exits(0);
    let cell = |method: &str| -> serde_json::Value {
        let path = scene.folder.join(format!("results/cells/data-{method}-general-0-0.json"));
        serde_json::from_str(&fs::read_to_string(path).expect("a cell")).expect("JSON")
    };
    let (baseline, taught) = (cell("nfad"), cell("bgad"));
    assert_eq!(
        (&baseline["options"]["pseudo"], &taught["options"]["pseudo"]),
        (&"none".into(), &"nsa".into())
    );
    assert_ne!(baseline["figures"], taught["figures"]);
}
