//! Every command that the program proposes works as it stands.

use std::process::{Command, Stdio};

use crate::scene::{Ran, SMALL, Scene};

/// The commands under `next`.
fn proposed(ran: &Ran) -> Vec<String> {
    let lines = ran.stdout.lines().skip_while(|line| *line != "next").skip(1);
    let commands = lines.map_while(|line| line.strip_prefix("  ")).filter(|line| line.starts_with("bgad "));
    commands.map(|line| line.replace("IMAGE_OR_FOLDER", "data/bad")).collect()
}

/// Types each command, and those that these propose in turn. Returns all that were typed.
fn follow(scene: &Scene, ran: &Ran, typed: &mut Vec<String>) {
    for command in proposed(ran) {
        if typed.contains(&command) || typed.len() > 12 {
            continue;
        }
        let script = format!("bgad() {{ \"$BGAD\" \"$@\"; }}\n{command}");
        let mut shell = Command::new("sh");
        shell.args(["-c", &script]).current_dir(&scene.folder).stdin(Stdio::null());
        let ran = Ran::of(shell.env("BGAD", env!("CARGO_BIN_EXE_bgad")).output().expect("a shell"));
        // An inspection may find defects.
        let fine = ran.code == Some(0) || command.contains(" inspect ") && ran.code == Some(1);
        assert!(fine, "{command}\n{}{}", ran.stdout, ran.stderr);
        typed.push(command);
        follow(scene, &ran, typed);
    }
}

fn all(name: &str, more: &[&str]) -> Vec<String> {
    let scene = Scene::with_data(name);
    let ran = scene.run(&[&["train", "data", "-o", "m.bgad"][..], &SMALL, more].concat()).exits(0);
    let mut typed = Vec::new();
    follow(&scene, &ran, &mut typed);
    typed
}

#[test]
#[cfg(unix)]
fn proposed_commands_work() {
    let typed = all("proposed_commands", &["--hold-out", "25%"]);
    for start in
        ["bgad calibrate m.bgad --max-false-alarms 50%", "bgad evaluate m.bgad data", "bgad inspect m.bgad"]
    {
        assert!(typed.iter().any(|command| command.starts_with(start)), "no {start} in {typed:?}");
    }
    // With one image held out, no promise can be proven, and none is proposed.
    let typed = all("proposed_commands_few", &["--hold-out", "4%"]);
    assert!(!typed.iter().any(|command| command.contains("--max-false-alarms")), "{typed:?}");
}

#[test]
#[cfg(unix)]
fn proposed_commands_work_without_masks_in_a_hard_setting_and_for_odd_names() {
    let scene = Scene::with_data("proposed commands, it's odd");
    std::fs::remove_dir_all(scene.path("data/masks")).expect("masks");
    let words = ["train", "data", "-o", "my model.bgad", "--weak", "--anomalies", "2", "--hold-out", "25%"];
    let ran = scene.run(&[&words[..], &["--setting", "hard:spot"], &SMALL].concat()).exits(0);
    let mut typed = Vec::new();
    follow(&scene, &ran, &mut typed);
    assert!(typed.iter().any(|command| command.contains("--split 'my model.bgad'")), "{typed:?}");
}

#[test]
#[cfg(unix)]
fn a_copy_under_another_name_loses_nothing() {
    let scene = Scene::with_data("a_copy_under_another_name");
    scene.train(&["--hold-out", "25%"]).exits(0);
    std::fs::create_dir(scene.path("elsewhere")).expect("a folder");
    std::fs::rename(scene.path("m.bgad"), scene.path("elsewhere/copy.bgad")).expect("a model");
    std::fs::remove_file(scene.path("m.split.json")).expect("a split");
    let ran = scene
        .run(&["calibrate", "elsewhere/copy.bgad", "-o", "other.bgad", "--max-false-alarms", "40%"])
        .exits(0);
    let mut typed = Vec::new();
    follow(&scene, &ran, &mut typed);
    assert!(!typed.is_empty());
    scene.run(&["evaluate", "other.bgad", "data"]).exits(0);
    scene.run(&["evaluate", "other.bgad", "data", "--split", "other.bgad"]).exits(0);
    scene.picture("found/new.png", 4711, None);
    scene.run(&["learn", "other.bgad", "--good", "found/new.png", "--force"]).exits(0);
    // Moved data are found where they are said to be.
    std::fs::rename(scene.path("data"), scene.path("moved")).expect("a folder");
    let learn = ["learn", "other.bgad", "--good", "found/again.png", "--force"];
    scene.picture("found/again.png", 4712, None);
    scene.run(&learn).exits(2).says(&["is not there any more", "--data"]);
    scene.run(&[&learn[..], &["--data", "moved"]].concat()).exits(0);
    scene.run(&["calibrate", "other.bgad", "--max-false-alarms", "40%"]).exits(0);
}
