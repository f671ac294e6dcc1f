//! Each write, synchronisation and rename of a command is failed, one run for each; then the same command is typed again.
//!
//! After the fault every file is the old one or the new one, whole. After the retry all is as if nothing had failed. The
//! faults are injected into the shipped binary by strace; where there is none, the test says so and passes, unless
//! `BGAD_STRACE_REQUIRED` is set.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use bgad::model::Model;

use crate::scene::{EPOCH, Ran, Scene};

/// System calls that change files, as they are named on this machine.
const CALLS: &str = "/^(write|fsync|fdatasync|rename.*|openat|fchmod|ftruncate|mkdir.*)$";

const SMALL: [&str; 6] = ["--input", "64", "--blocks", "1", "--schedule", "1x1"];

/// One place where a command can fail: the call, which of its calls on the main thread, and the error.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Fault {
    call: String,
    when: usize,
    error: &'static str,
}

fn is_strace_there() -> bool {
    let probe =
        Command::new("strace").args(["-qq", "-o", "/dev/null", "true"]).stderr(Stdio::null()).status();
    let there = probe.is_ok_and(|status| status.success());
    assert!(
        there || std::env::var_os("BGAD_STRACE_REQUIRED").is_none(),
        "strace is required and cannot trace"
    );
    there
}

/// Runs the binary under strace with more of its options.
fn traced(scene: &Scene, strace: &[&str], words: &[&str]) -> Ran {
    let mut command = Command::new("strace");
    command.args(["-qq", "-o", "trace.log"]).args(strace).arg(env!("CARGO_BIN_EXE_bgad")).args(words);
    command
        .current_dir(&scene.folder)
        .stdin(Stdio::null())
        .env_remove("BGAD_ISA")
        .env("SOURCE_DATE_EPOCH", EPOCH);
    Ran::of(command.output().expect("strace"))
}

/// The calls of an undisturbed run that change files.
fn faults(scene: &Scene, words: &[&str]) -> Vec<Fault> {
    traced(scene, &["-e", &format!("trace={CALLS}")], words);
    let log = fs::read_to_string(scene.path("trace.log")).expect("a log");
    fs::remove_file(scene.path("trace.log")).expect("a log");
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut faults = Vec::new();
    for line in log.lines() {
        let Some((call, rest)) = line.split_once('(') else { continue };
        let when = counts.entry(call.to_owned()).or_default();
        *when += 1;
        let is_change = match call {
            // Text on stdout and stderr has tests of its own.
            "write" => !rest.starts_with("1,") && !rest.starts_with("2,") && !rest.starts_with("1<"),
            "openat" => rest.contains("O_CREAT") || rest.contains("O_TMPFILE"),
            // A folder that is there already.
            name if name.starts_with("mkdir") => !rest.contains("EEXIST"),
            _ => true,
        };
        if is_change {
            let error = if matches!(call, "write" | "openat" | "ftruncate") { "ENOSPC" } else { "EIO" };
            faults.push(Fault { call: call.to_owned(), when: *when, error });
        }
    }
    assert!(!faults.is_empty(), "{words:?} writes nothing:\n{log}");
    faults
}

/// All files below the scene's folder, but for the data, which commands only read.
fn files(scene: &Scene) -> BTreeMap<String, Vec<u8>> {
    fn collect(root: &Path, folder: &Path, found: &mut BTreeMap<String, Vec<u8>>) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = path.strip_prefix(root).expect("below").to_string_lossy().into_owned();
            if path.is_dir() && name != "data" {
                collect(root, &path, found);
            } else if path.is_file() {
                found.insert(name, fs::read(&path).expect("a file"));
            }
        }
    }
    let mut found = BTreeMap::new();
    collect(&scene.folder, &scene.folder, &mut found);
    found.remove("trace.log");
    found
}

/// Puts the folder back into a state.
fn reset(scene: &Scene, state: &BTreeMap<String, Vec<u8>>) {
    for name in files(scene).keys().filter(|name| !state.contains_key(*name)) {
        fs::remove_file(scene.path(name)).expect("a file");
    }
    // Folders that were made since, too: they are what the next run has to make.
    for entry in fs::read_dir(scene.path(".")).expect("a folder").flatten() {
        let name = format!("{}/", entry.file_name().to_string_lossy());
        if entry.path().is_dir() && name != "data/" && !state.keys().any(|file| file.starts_with(&name)) {
            fs::remove_dir_all(entry.path()).expect("a folder");
        }
    }
    for (name, bytes) in state {
        fs::write(scene.make_way(name), bytes).expect("a file");
    }
}

/// Times are no part of a result.
fn without_times(name: &str, bytes: &[u8]) -> Vec<u8> {
    if name.ends_with(".bgad") || name.ends_with(".previous") {
        return bytes.to_vec();
    }
    let text = String::from_utf8_lossy(bytes);
    // Every number of seconds differs between two runs; tables and pages repeat them.
    let kept = text.lines().filter(|line| !line.contains("secs"));
    let kept: Vec<&str> = kept.filter(|line| !name.starts_with("b/table") || line.is_empty()).collect();
    kept.join("\n").into_bytes()
}

/// Fails `words` everywhere and repeats it. Returns how many faults there were.
fn fail_everywhere(scene: &Scene, words: &[&str], code: i32) -> usize {
    let before = files(scene);
    let faults = faults(scene, words);
    let after = files(scene);
    reset(scene, &before);
    for fault in &faults {
        let inject = format!("inject={}:error={}:when={}", fault.call, fault.error, fault.when);
        let ran = traced(scene, &["-e", &format!("trace={CALLS}"), "-e", &inject], words);
        let at = format!("{words:?} with {fault:?}: {}", ran.stderr);
        // Some calls may fail and nothing is missing: a folder that is there already, a folder that cannot be synchronised. Then all is done.
        let is_done = ran.code == Some(code);
        assert!(is_done || ran.code == Some(2), "{at}: {:?}", ran.code);
        if is_done {
            let there = files(scene);
            assert!(after.keys().all(|name| there.contains_key(name)), "{at}: says that it is done");
        }
        assert!(is_done || ran.stderr.contains("bgad: "), "{at}");
        let log = fs::read_to_string(scene.path("trace.log")).expect("a log");
        assert!(log.contains("(INJECTED)"), "{at}: nothing was injected");
        for (name, bytes) in files(scene) {
            assert!(!name.ends_with(".new"), "{at}: left {name}");
            let is_known = [&before, &after].into_iter().any(|state| {
                state
                    .get(&name)
                    .is_some_and(|known| without_times(&name, known) == without_times(&name, &bytes))
            });
            // Of a replaced model, the previous generation may be there already.
            let is_generation =
                name.ends_with(".previous") || name.ends_with(".undone") || name.ends_with(".checkpoint");
            assert!(is_known || is_generation, "{at}: {name} is neither old nor new");
            if name.ends_with(".bgad") || name.ends_with(".bgad.previous") {
                assert!(Model::open(&scene.path(&name)).is_ok(), "{at}: {name} is broken");
            }
        }
        let retried = scene.run(words);
        assert_eq!(retried.code, Some(code), "{at}\nretried: {}", retried.stderr);
        let end = files(scene);
        assert_eq!(end.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>(), "{at}");
        for (name, bytes) in &end {
            let same = without_times(name, bytes) == without_times(name, &after[name]);
            assert!(same, "{at}: after the retry {name} differs");
        }
        reset(scene, &before);
    }
    faults.len()
}

/// Eight good and four defective pictures, and a model with images held out.
fn scene(name: &str) -> Scene {
    let whole = Scene::with_data(&format!("{name}_data"));
    let scene = Scene::new(name);
    for kind in ["good", "bad/spot", "bad/stain", "masks/spot", "masks/stain"] {
        let mut names: Vec<_> = fs::read_dir(whole.path(&format!("data/{kind}")))
            .expect("pictures")
            .map(|entry| entry.expect("an entry").file_name())
            .collect();
        names.sort();
        for file in names.into_iter().take(if kind == "good" { 12 } else { 2 }) {
            let file = format!("data/{kind}/{}", file.to_string_lossy());
            fs::copy(whole.path(&file), scene.make_way(&file)).expect("a copy");
        }
    }
    let train = ["train", "data", "-o", "m.bgad", "--hold-out", "50%", "--anomalies", "1"];
    scene.run(&[&train[..], &SMALL].concat()).exits(0);
    scene.picture("new.png", 5000, None);
    scene
}

#[test]
fn every_write_may_fail_and_the_retry_ends_whole() {
    if !is_strace_there() {
        eprintln!("not run: there is no strace that may trace here");
        return;
    }
    let scene = scene("every_write_may_fail");
    let train = ["train", "data", "-o", "m.bgad", "--anomalies", "1", "--seed", "1"];
    let commands: [(&str, Vec<&str>); 8] = [
        ("train", [&train[..], &["--hold-out", "50%"], &SMALL].concat()),
        ("calibrate", vec!["calibrate", "m.bgad", "--ok", "1", "--ng", "2"]),
        ("learn", vec!["learn", "m.bgad", "--good", "new.png", "--force", "--schedule", "1x1"]),
        (
            "learn to another file",
            vec!["learn", "m.bgad", "--good", "new.png", "--force", "--schedule", "1x1", "-o", "l.bgad"],
        ),
        ("evaluate", vec!["evaluate", "m.bgad", "data", "--json", "e.json", "--report", "r.html"]),
        ("compare", vec!["compare", "m.bgad", "m.bgad", "data", "--json", "c.json"]),
        ("augment", vec!["augment", "data", "--out", "a", "-n", "2", "--input", "64"]),
        (
            "benchmark",
            [
                &["benchmark", "data", "--out", "b", "--methods", "bgad", "--anomalies", "0", "--seeds", "1"]
                    [..],
                &SMALL,
            ]
            .concat(),
        ),
    ];
    let mut points = 0;
    for (name, words) in commands {
        let failed = fail_everywhere(&scene, &words, 0);
        eprintln!("{name}: {failed} faults, as many retries that ended whole");
        points += failed;
    }
    assert!(points > 60, "only {points} faults");
}
