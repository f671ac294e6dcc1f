//! Scenes, and what most tests do in them.

mod base;

use std::fs;
use std::sync::OnceLock;

pub(crate) use base::{BAD, GOOD, Ran, SIDE, Scene};

/// Options under which training takes about a second.
pub(crate) const SMALL: [&str; 6] = ["--input", "64", "--blocks", "2", "--schedule", "4x1"];

impl Scene {
    /// Runs `bgad train data -o m.bgad` with the options of [`SMALL`] and more.
    #[track_caller]
    pub(crate) fn train(&self, more: &[&str]) -> Ran {
        self.run(&[&["train", "data", "-o", "m.bgad"], &SMALL[..], more].concat())
    }

    /// The names in the folder, sorted, hidden ones too.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.folder).expect("this test's folder");
        let name = |entry: std::io::Result<fs::DirEntry>| {
            entry.expect("an entry").file_name().to_string_lossy().into_owned()
        };
        let mut names: Vec<String> = entries.map(name).collect();
        names.sort();
        names
    }
}

impl Ran {
    /// Checks that stderr has each of these texts.
    #[track_caller]
    pub(crate) fn says(self, texts: &[&str]) -> Ran {
        for text in texts {
            assert!(self.stderr.contains(text), "no `{text}` in:\n{}", self.stderr);
        }
        self
    }
}

/// A scene with data and a model `m.bgad` trained on it once for all tests that only read it.
pub(crate) fn trained() -> &'static Scene {
    static TRAINED: OnceLock<Scene> = OnceLock::new();
    TRAINED.get_or_init(|| {
        let scene = Scene::with_data("trained");
        scene.train(&[]).exits(0);
        scene
    })
}
