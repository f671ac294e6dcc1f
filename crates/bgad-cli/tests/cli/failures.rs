//! No command answers 0 unless the whole of what was asked was done: the table of docs/robustness.md, row by row.

use std::fs;
use std::path::Path;

use crate::outputs::{documented, scene, words_and_products};
use crate::scene::Scene;

/// What can be wrong with what a command works on, in the order of the columns, which come after those about stdout.
const FAILURES: [(&str, usize); 3] = [("missing", 2), ("damaged", 3), ("unwritable", 4)];

/// The words with another input in place of the first one.
fn without_input(words: &[&'static str]) -> Vec<&'static str> {
    let mut words = words.to_vec();
    let input = words.iter().position(|word| matches!(*word, "data" | "data/bad" | "m.bgad" | "m.onnx"));
    words[input.expect("an input")] = "nowhere";
    words
}

/// Cuts the model, or pictures, as the command has them.
fn damage(scene: &Scene, words: &[&str]) {
    let cut = |path: &Path| {
        let bytes = fs::read(path).expect("a file");
        fs::write(path, &bytes[..bytes.len() * 2 / 3]).expect("a file");
    };
    match words {
        ["restore", ..] => cut(&scene.path("m.bgad.previous")),
        ["verify-export", ..] => cut(&scene.path("m.onnx")),
        words if words.contains(&"m.bgad") => cut(&scene.path("m.bgad")),
        _ => {
            for entry in fs::read_dir(scene.path("data/good")).expect("pictures").take(36) {
                cut(&entry.expect("an entry").path());
            }
        }
    }
}

/// Puts something in the way of what the command writes: a write-protected file, or a file where a folder should be.
fn protect(scene: &Scene, product: &str) {
    let (path, is_folder) = match product.split_once('/') {
        Some((folder, _)) => (scene.path(folder), true),
        None => (scene.path(product), !product.contains('.')),
    };
    if !path.exists() {
        match product.ends_with(".bgad") {
            true => drop(fs::copy(scene.path("m.bgad"), &path).expect("a model")),
            false => fs::write(&path, "as it was").expect("a file"),
        }
    }
    if !is_folder {
        let mut permissions = fs::metadata(&path).expect("a file").permissions();
        permissions.set_readonly(true);
        fs::set_permissions(&path, permissions).expect("write-protected");
    }
}

#[test]
#[cfg(unix)]
fn no_command_says_that_it_is_done_when_it_is_not() {
    let mut tried = 0;
    for (command, cells) in documented() {
        let (words, products) = words_and_products(&command);
        for (failure, column) in FAILURES {
            let Ok(code) = cells[column].parse::<i32>() else {
                assert_eq!(cells[column], "-", "{command}");
                continue;
            };
            let scene = scene(&format!("{failure}_{}", command.replace(' ', "_")));
            let mut words = words.clone();
            match failure {
                "missing" => words = without_input(&words),
                "damaged" => damage(&scene, &words),
                _ => protect(&scene, if command == "restore" { "m.bgad" } else { products[0] }),
            }
            let model = fs::read(scene.path("m.bgad")).expect("a model");
            let ran = scene.run(&words);
            assert_eq!(ran.code, Some(code), "{command}, {failure}:\n{}\n{}", ran.stdout, ran.stderr);
            assert!(code == 1 || ran.stderr.contains("bgad: "), "{command}, {failure}: no word of it");
            if command != "restore" || failure == "unwritable" {
                assert!(fs::read(scene.path("m.bgad")).expect("a model") == model, "{command}, {failure}");
            }
            if failure == "unwritable" && products[0] != "m.bgad.previous" {
                let there = scene.path(products[0].split('/').next().expect("a name"));
                let was =
                    if there.extension().is_some_and(|e| e == "bgad") { &model[..] } else { b"as it was" };
                assert!(fs::read(there).expect("a file") == was, "{command}: replaced what is protected");
            }
            tried += 1;
        }
    }
    assert!(tried > 30, "only {tried}");
}

#[test]
fn every_command_has_its_row() {
    // Those that run until they are stopped, and the demonstration, have tests of their own.
    const OTHERS: [&str; 4] = ["demo", "serve", "studio", "watch"];
    let scene = Scene::new("every_command_has_its_row");
    let help = scene.run(&["--help"]).exits(0).stdout;
    let commands = help.lines().skip_while(|line| !line.starts_with("Commands:")).skip(1);
    let commands = commands.take_while(|line| !line.is_empty());
    // What goes on below a command is indented further.
    let commands = commands.filter(|line| !line.starts_with("    "));
    let commands: Vec<&str> = commands.filter_map(|line| line.split_whitespace().next()).collect();
    assert!(commands.contains(&"train"), "{commands:?}");
    let rows = documented();
    for command in commands.iter().filter(|command| !OTHERS.contains(command)) {
        let has_row = |(row, _): &(String, _)| row.split(' ').next() == Some(command);
        assert!(rows.iter().any(has_row), "docs/robustness.md has no row for `bgad {command}`");
    }
}
