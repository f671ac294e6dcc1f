//! A folder of its own for each test, small pictures, and the binary.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use image::{GrayImage, Luma, RgbImage};

/// Side of the pictures, pixels.
pub(crate) const SIDE: u32 = 64;

/// Good and defective pictures of [`Scene::with_data`].
pub(crate) const GOOD: usize = 40;
pub(crate) const BAD: usize = 8;

/// When models are trained in these tests, seconds since 1970.
pub(crate) const EPOCH: &str = "1735689600";

/// An empty folder, named after its test.
pub(crate) struct Scene {
    pub(crate) folder: PathBuf,
}

/// What a run of the binary left.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Scene {
    pub(crate) fn new(name: &str) -> Scene {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        if folder.exists() {
            fs::remove_dir_all(&folder).expect("an old folder of this test");
        }
        fs::create_dir_all(&folder).expect("a folder for this test");
        Scene { folder }
    }

    /// With 40 good pictures and 8 defective ones of two types, with masks, in `data`.
    pub(crate) fn with_data(name: &str) -> Scene {
        let scene = Scene::new(name);
        for i in 0..GOOD {
            scene.picture(&format!("data/good/{i:03}.png"), i as u32, None);
        }
        for i in 0..BAD {
            let (kind, y, x) = (["spot", "stain"][i % 2], 8 + 5 * i as u32, 40 - 4 * i as u32);
            scene.picture(&format!("data/bad/{kind}/{i:03}.png"), 1000 + i as u32, Some((y, x)));
            let mask = GrayImage::from_fn(SIDE, SIDE, |px, py| {
                Luma([if (y..y + 12).contains(&py) && (x..x + 12).contains(&px) { 255 } else { 0 }])
            });
            let path = scene.make_way(&format!("data/masks/{kind}/{i:03}_mask.png"));
            mask.save(path).expect("a mask");
        }
        scene
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.folder.join(below)
    }

    /// A path in a folder that exists.
    pub(crate) fn make_way(&self, below: &str) -> PathBuf {
        let path = self.path(below);
        fs::create_dir_all(path.parent().expect("a file in a folder")).expect("a folder");
        path
    }

    /// A picture of a woven texture; a defect is a bright square with its corner at `(y, x)`.
    pub(crate) fn picture(&self, below: &str, seed: u32, defect: Option<(u32, u32)>) {
        let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
        let image = RgbImage::from_fn(SIDE, SIDE, |x, y| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let noise = (state >> 28) as u8;
            let weave = if (x / 4 + y / 4) % 2 == 0 { 90 } else { 110 };
            match defect {
                Some((top, left)) if (top..top + 12).contains(&y) && (left..left + 12).contains(&x) => {
                    image::Rgb([250, 240 - noise, 60])
                }
                _ => image::Rgb([weave + noise, weave + noise, weave - noise]),
            }
        });
        image.save(self.make_way(below)).expect("a picture");
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bgad"));
        command.current_dir(&self.folder).args(arguments).stdin(Stdio::null()).env_remove("BGAD_ISA");
        // Files are compared bit for bit, and a model says when it was trained.
        command.env("SOURCE_DATE_EPOCH", EPOCH);
        command
    }

    /// Runs the binary in this folder.
    #[track_caller]
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.command(arguments).output().expect("the binary"))
    }
}

impl Ran {
    #[track_caller]
    pub(crate) fn of(output: Output) -> Ran {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
        let ran =
            Ran { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) };
        assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
        ran
    }

    /// Checks the exit code.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Ran {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }
}
