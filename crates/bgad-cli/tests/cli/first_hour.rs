//! docs/first-hour.md: the first hour with bgad, typed as it stands there.
//!
//! Nothing but what the program itself proposed is typed after the first command, and what it says is what the page shows, but
//! for the figures.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::scene::{Ran, Scene};

/// A command of the page and what it says there.
struct Step {
    command: String,
    shown: Vec<String>,
}

/// The commands of the page with what follows each, up to the next one or the end of its block.
fn steps() -> Vec<Step> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/first-hour.md");
    let page = fs::read_to_string(page).expect("the page");
    let mut steps: Vec<Step> = Vec::new();
    let mut is_inside = false;
    for line in page.lines() {
        match (line.strip_prefix("```"), line.strip_prefix("$ ")) {
            (Some(language), _) => is_inside = language == "console",
            (None, Some(command)) if is_inside => {
                steps.push(Step { command: command.to_owned(), shown: Vec::new() });
            }
            _ if is_inside => steps.last_mut().expect("a command").shown.push(line.to_owned()),
            _ => {}
        }
    }
    steps
}

/// A line without its figures, dates and widths: these are those of a machine and an hour.
fn without_figures(line: &str) -> String {
    let mut text = String::new();
    for character in line.chars() {
        let character = if character.is_ascii_digit() { '#' } else { character };
        let is_number = |c: char| c == '#' || c == '.';
        // 3.400, 12.5 and 7 look the same, and so do columns of any width.
        if (is_number(character) && text.ends_with('#')) || (character == ' ' && text.ends_with(' ')) {
            continue;
        }
        if character == '#' && text.ends_with(" -") {
            text.pop();
        }
        text.push(character);
    }
    text.replace("hour", "time").trim_end().to_owned()
}

/// How far something is, and how long it took: that depends on the machine too.
fn is_duration(line: &str) -> bool {
    let progress = [
        "time ",
        "bgad: training, pass",
        "bgad: reading images",
        "bgad: scoring images",
        "bgad: takes about",
    ];
    progress.iter().any(|start| line.starts_with(start)) || line.ends_with(" per image")
}

/// The folder of the page: good parts, and defective ones with a LabelMe file beside each.
fn parts() -> Scene {
    let scene = Scene::new("first_hour");
    for i in 0..90 {
        scene.picture(&format!("parts/good/{i:03}.png"), i, None);
    }
    for i in 0..8 {
        let (y, x) = (8 + 5 * i, 40 - 4 * i);
        scene.picture(&format!("parts/bad/{i:03}.png"), 1000 + i, Some((y, x)));
        let label = serde_json::json!({
            "version": "5.5.0", "imagePath": format!("{i:03}.png"), "imageHeight": 64, "imageWidth": 64,
            "shapes": [{ "label": "scratch", "shape_type": "polygon",
                "points": [[x, y], [x + 12, y], [x + 12, y + 12], [x, y + 12]] }],
        });
        fs::write(scene.path(&format!("parts/bad/{i:03}.json")), label.to_string()).expect("a label file");
    }
    let quick = "# Small pictures, a small model: this page is also a test.\n[train]\ninput = 64\nblocks = 2\n\
                 schedule = \"4x1\"\n";
    fs::write(scene.path("parts/bgad.toml"), quick).expect("settings");
    scene.picture("new/0815.png", 2000, None);
    scene.picture("new/0816.png", 2001, Some((20, 30)));
    scene
}

/// Stdout and stderr, as a terminal shows them but in this order.
fn said(ran: &Ran) -> Vec<String> {
    let lines = ran.stderr.lines().chain(ran.stdout.lines());
    lines.filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[test]
fn the_first_hour_goes_as_its_page_says() {
    let scene = parts();
    let mut proposed = vec!["bgad doctor parts".to_owned()];
    let steps = steps();
    for Step { command, shown } in &steps {
        assert!(proposed.contains(command), "{command} was not proposed; there were {proposed:?}");
        let script = format!("bgad() {{ \"$BGAD\" \"$@\"; }}\n{command}");
        let mut shell = Command::new("sh");
        shell.args(["-c", &script]).current_dir(&scene.folder).stdin(Stdio::null());
        let ran = Ran::of(shell.env("BGAD", env!("CARGO_BIN_EXE_bgad")).output().expect("a shell"));
        let found_defects = command.contains(" inspect ") || command.contains(" doctor ");
        assert!(ran.code == Some(0) || found_defects && ran.code == Some(1), "{command}\n{}", ran.stderr);
        let lines = said(&ran);
        let strip = |lines: &[String]| -> Vec<String> {
            let kept = lines.iter().filter(|line| !line.is_empty() && !is_duration(line));
            kept.map(|line| without_figures(line)).collect()
        };
        assert_eq!(strip(&lines), strip(shown), "{command} says:\n{}", lines.join("\n"));
        let next = ran.stdout.lines().skip_while(|line| *line != "next").skip(1);
        let next = next.filter_map(|line| line.strip_prefix("  bgad "));
        proposed.extend(next.map(|line| format!("bgad {}", line.replace("IMAGE_OR_FOLDER", "new"))));
    }
    let last = steps.last().expect("steps");
    assert!(last.command.contains("inspect"), "{}", last.command);
    let calibrated = scene.run(&["info", "part.bgad"]).exits(0).stdout;
    assert!(calibrated.contains("promise     at most"), "{calibrated}");
}
