//! Commands in any order, with what people do to files between them: no order loses a model or calls a damaged one sound.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use bgad::model::Model;

use crate::scene::{Ran, Scene};

/// What models are called here.
const NAMES: [&str; 3] = ["a.bgad", "b.bgad", "c d.bgad"];
/// Commands and deeds of one sequence.
const STEPS: usize = 25;
/// Sequences that are run however fast they are.
const AT_LEAST: u64 = 4;

/// A defect that the model may not have learned.
const LESSON: [&str; 4] = ["--defect", "data/bad/spot/000.png", "--mask", "data/masks/spot/000_mask.png"];

/// Numbers that a seed decides.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % end as u64) as usize
    }

    fn name(&mut self) -> &'static str {
        NAMES[self.below(NAMES.len())]
    }
}

/// The files of models and what is in them; `None` for what is no file.
fn models(scene: &Scene) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let entries =
        fs::read_dir(&scene.folder).expect("the folder").map(|entry| entry.expect("an entry").path());
    let of_models = entries.filter(|path| path.to_string_lossy().contains(".bgad"));
    of_models.map(|path| (path.clone(), fs::read(&path).ok())).collect()
}

fn is_sound(content: Option<&Option<Vec<u8>>>) -> bool {
    content.and_then(Option::as_ref).is_some_and(|bytes| Model::from_bytes(bytes.clone()).is_ok())
}

/// What people do: copy, link, cut, remove, protect, release, and put something else in the place.
fn deed(scene: &Scene, chance: &mut Chance) -> String {
    let (from, to) = (chance.name(), chance.name());
    let [source, target] = [from, to].map(|name| scene.path(name));
    let set_readonly = |readonly: bool| {
        if let Ok(metadata) = fs::metadata(&source) {
            let mut permissions = metadata.permissions();
            permissions.set_readonly(readonly);
            fs::set_permissions(&source, permissions).expect("its mode");
        }
    };
    // A link to a folder is no folder.
    let is_folder = fs::symlink_metadata(&target).is_ok_and(|found| found.is_dir());
    let clear = || match is_folder {
        true => fs::remove_dir(&target).expect("an empty folder"),
        false => drop(fs::remove_file(&target)),
    };
    match chance.below(8) {
        0 | 1 if source.is_file() && source != target => {
            let bytes = fs::read(&source).expect("a file");
            clear();
            fs::write(&target, bytes).expect("a copy");
            format!("copy {from} to {to}")
        }
        2 if source != target => {
            clear();
            std::os::unix::fs::symlink(from, &target).expect("a link");
            format!("link {to} to {from}")
        }
        3 => {
            if let Ok(bytes) = fs::read(&source) {
                let _ = fs::remove_file(&source);
                fs::write(&source, &bytes[..bytes.len() * chance.below(100) / 100]).expect("a part");
            }
            format!("cut {from}")
        }
        4 => {
            clear();
            format!("remove {to}")
        }
        5 => {
            clear();
            fs::create_dir(&target).expect("a folder");
            format!("a folder {to}")
        }
        number => {
            set_readonly(number == 6);
            format!("{} {from}", if number == 6 { "protect" } else { "release" })
        }
    }
}

/// A command, the model that it reads and the file that it writes, if any.
fn command(chance: &mut Chance) -> (Vec<String>, Vec<&'static str>, Option<&'static str>) {
    let (model, other) = (chance.name(), chance.name());
    let ok = chance.below(5).to_string();
    let ng = (5 + chance.below(5)).to_string();
    let (words, reads, writes): (Vec<&str>, Vec<&'static str>, Option<&'static str>) = match chance.below(9) {
        0 => (vec!["inspect", model, "data/bad"], vec![model], None),
        1 => (vec!["info", model, "--json"], vec![model], None),
        2 => (vec!["calibrate", model, "--ok", &ok, "--ng", &ng], vec![model], Some(model)),
        3 => (vec!["calibrate", model, "--ok", &ok, "--ng", &ng, "-o", other], vec![model], Some(other)),
        4 | 5 => (vec!["restore", model], vec![], None),
        6 => (vec!["evaluate", model, "data", "--json", "e.json"], vec![model], None),
        7 => (vec!["compare", model, other, "data"], vec![model, other], None),
        _ => ([&["learn", model, "--quick"][..], &LESSON].concat(), vec![model], Some(model)),
    };
    (words.into_iter().map(str::to_owned).collect(), reads, writes)
}

/// Runs a command and checks what holds of every one.
fn run(scene: &Scene, chance: &mut Chance, before: &[String]) -> String {
    let (words, reads, writes) = command(chance);
    let there = models(scene);
    let Ran { code, stderr, .. } = scene.run(&words.iter().map(String::as_str).collect::<Vec<_>>());
    let now = models(scene);
    let told = format!("{words:?} gave {code:?} after {before:#?}\n{stderr}");
    let code = code.filter(|code| (0..=2).contains(code)).unwrap_or_else(|| panic!("{told}"));
    for (path, content) in &there {
        let lost = is_sound(Some(content)) && !is_sound(now.get(path)) && words[0] != "restore";
        assert!(!lost, "{} was sound and is not: {told}", path.display());
        assert!(
            code != 2 || words[0] == "restore" || now.get(path) == Some(content),
            "{path:?} changed: {told}"
        );
    }
    if code < 2 {
        for name in reads {
            assert!(is_sound(there.get(&scene.path(name))), "{name} was no sound model: {told}");
        }
        if let Some(name) = writes {
            assert!(is_sound(now.get(&scene.path(name))), "{name} is no sound model: {told}");
        }
    }
    let unfinished = now.keys().find(|path| path.to_string_lossy().ends_with(".new"));
    assert!(unfinished.is_none(), "{unfinished:?} is left: {told}");
    format!("{} -> {code}", words.join(" "))
}

#[test]
fn no_order_of_commands_loses_a_model_or_trusts_a_damaged_one() {
    let made = Scene::with_data("sequences_made");
    let train = ["train", "data", "-o", "m.bgad", "--input", "64", "--blocks", "2", "--schedule", "2x1"];
    made.run(&[&train[..], &["--anomalies", "2"]].concat()).exits(0);
    let minutes = std::env::var("BGAD_FUZZ_MINUTES").ok().and_then(|text| text.parse::<f64>().ok());
    let (begun, limit) = (Instant::now(), Duration::from_secs_f64(60.0 * minutes.unwrap_or(0.0)));
    let mut seed = 0;
    while seed < AT_LEAST || begun.elapsed() < limit {
        let scene = Scene::with_data("sequences");
        for name in NAMES {
            fs::copy(made.path("m.bgad"), scene.path(name)).expect("a model");
        }
        let (mut chance, mut told) = (Chance(seed), vec![format!("seed {seed}")]);
        for _ in 0..STEPS {
            let said = match chance.below(3) {
                0 => deed(&scene, &mut chance),
                _ => run(&scene, &mut chance, &told),
            };
            told.push(said);
        }
        seed += 1;
    }
    println!("{seed} sequences of {STEPS} commands and deeds");
}
