//! Many threads and large pictures in little memory.

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::scene::{EPOCH, Ran, Scene};

/// Side of the pictures: 8000 x 8000 x RGB of 16 bit is 384 MB decoded.
const SIDE: u32 = 8000;
/// Threads, and pictures: all of them decoded at once would be 6 GB.
const THREADS: usize = 16;
/// What the process may map, KiB: 4.5 GB, of which threads and allocator map some without using it.
const LIMIT: usize = 4_500_000;

/// A picture of one colour.
fn write(path: &Path) {
    let file = BufWriter::new(File::create(path).expect("a file"));
    let encoder = image::codecs::png::PngEncoder::new_with_quality(
        file,
        image::codecs::png::CompressionType::Fast,
        image::codecs::png::FilterType::NoFilter,
    );
    let pixels = [60u8, 10, 60, 20, 60, 30].repeat(SIDE as usize * SIDE as usize);
    image::ImageEncoder::write_image(encoder, &pixels, SIDE, SIDE, image::ExtendedColorType::Rgb16)
        .expect("a picture");
}

#[test]
fn threads_wait_for_room_for_large_pictures() {
    let data = Scene::with_data("large_pictures_data");
    let scene = Scene::new("large_pictures");
    let model = scene.path("m.bgad").to_string_lossy().into_owned();
    let train = ["train", "data", "-o", &model, "--input", "64", "--blocks", "1", "--schedule", "1x1"];
    data.run(&train).exits(0);
    write(&scene.make_way("in/00.png"));
    for i in 1..THREADS {
        fs::copy(scene.path("in/00.png"), scene.path(&format!("in/{i:02}.png"))).expect("a copy");
    }
    for more in ["", "--out maps"] {
        let script = format!(
            "ulimit -v {LIMIT}; exec \"$BGAD\" inspect m.bgad in --threads {THREADS} --format jsonl {more}"
        );
        let mut shell = Command::new("sh");
        shell
            .args(["-c", &script])
            .current_dir(&scene.folder)
            .stdin(Stdio::null())
            .env("SOURCE_DATE_EPOCH", EPOCH);
        let ran = Ran::of(shell.env("BGAD", env!("CARGO_BIN_EXE_bgad")).output().expect("a shell"));
        let ran = ran.exits(1);
        assert_eq!(
            ran.stdout.lines().filter(|line| line.contains("\"verdict\":")).count(),
            THREADS,
            "{}",
            ran.stderr
        );
    }
    let pictures = fs::read_dir(scene.path("maps")).expect("pictures").count();
    assert_eq!(pictures, THREADS);
    fs::remove_dir_all(&scene.folder).expect("a folder");
}
