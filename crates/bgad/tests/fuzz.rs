//! Whatever is in a file, reading it ends in a value or in an error, in bounded memory.
//!
//! Sound files of every kind are broken at random, from a seed: bits flipped, bytes replaced by extreme ones, cut, repeated,
//! spliced, and words of JSON and CSV put between. `BGAD_FUZZ_MINUTES` makes it run so long (`cargo xtask fuzz`); without
//! it is a short run, the same every time.

use std::fs;
use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use bgad::backbone::Backbone;
use bgad::dataset::{Dataset, Setting, Split, SplitOptions};
use bgad::image::{InputImage, InputSize, Mask, OriginalSize};
use bgad::model::Model;
use bgad::options::{Preset, Schedule, Settings, TrainOptions};
use bgad::train::{Material, Run, check_checkpoint, train};
use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use rand::{RngExt as _, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Inputs of the short run.
const SHORT: u64 = 4000;
/// Bytes of memory at most.
const MEMORY: u64 = 1 << 30;
/// A single input takes no longer.
const PATIENCE: Duration = Duration::from_secs(20);

type Read = Box<dyn Fn(&Path, &[u8])>;

/// A kind of file and how it is read; whether it can be read is of no interest here.
struct Target {
    name: &'static str,
    /// The file's name below the folder.
    file: &'static str,
    sound: Vec<Vec<u8>>,
    read: Read,
}

#[test]
fn broken_files_end_in_errors() {
    let folder = std::env::temp_dir().join(format!("bgad-fuzz-{}", std::process::id()));
    let targets = targets(&folder);
    for target in &targets {
        target.sound.iter().for_each(|sound| attempt(target, &folder, sound));
    }
    let minutes = std::env::var("BGAD_FUZZ_MINUTES").ok();
    let minutes = minutes.map(|text| text.parse::<f64>().expect("BGAD_FUZZ_MINUTES is a number"));
    let started = Instant::now();
    let mut inputs = 0;
    while minutes.map_or(inputs < SHORT, |minutes| started.elapsed().as_secs_f64() < 60.0 * minutes) {
        let target = &targets[inputs as usize % targets.len()];
        let mut rng = ChaCha8Rng::seed_from_u64(inputs);
        let sound = one(&target.sound, &mut rng);
        let broken = broken(sound, &mut rng);
        attempt(target, &folder, &broken);
        inputs += 1;
    }
    println!(
        "{inputs} inputs in {:.0} s, {} MB at most",
        started.elapsed().as_secs_f64(),
        peak() / 1_000_000
    );
    fs::remove_dir_all(&folder).expect("a folder");
}

fn one<'a, T>(of: &'a [T], rng: &mut ChaCha8Rng) -> &'a T {
    &of[rng.random_range(0..of.len() as u32) as usize]
}

/// Reads one input; if that panics, takes too long or too much memory, the input is kept and named.
fn attempt(target: &Target, folder: &Path, bytes: &[u8]) {
    let path = folder.join(target.file);
    fs::write(&path, bytes).expect("a file");
    let started = Instant::now();
    let read = catch_unwind(AssertUnwindSafe(|| (target.read)(&path, bytes)));
    let (secs, memory) = (started.elapsed(), peak());
    if read.is_err() || secs > PATIENCE || memory >= MEMORY {
        let kept = std::env::temp_dir().join(format!("bgad-fuzz-failed-{}", target.name));
        fs::write(&kept, bytes).expect("a file");
        let panicked = if read.is_err() { "panicked" } else { "no panic" };
        panic!("{}: {panicked}, {secs:?}, {} MB: {}", target.name, memory / 1_000_000, kept.display());
    }
}

/// Peak resident memory of this process, bytes; 0 where the system does not say.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kilobytes.map_or(0, |kilobytes| 1024 * kilobytes)
}

fn broken(sound: &[u8], rng: &mut ChaCha8Rng) -> Vec<u8> {
    const WORDS: [&[u8]; 10] = [
        b"-1",
        b"1e999",
        b"null",
        b"[]",
        b"{}",
        b"\"\"",
        b"99999999999999999999",
        b"../../",
        b"\xff\xfe",
        b",,\n",
    ];
    let mut bytes = sound.to_vec();
    for _ in 0..rng.random_range(1..=6u32) {
        if bytes.is_empty() {
            break;
        }
        let len = bytes.len() as u32;
        // Heads decide most, so they are hit more often.
        let reach = if rng.random_bool(0.5) { len.min(200) } else { len };
        let at = rng.random_range(0..reach) as usize;
        let end = (at + rng.random_range(1..64u32) as usize).min(bytes.len());
        match rng.random_range(0..8u32) {
            0 => bytes[at] ^= 1 << rng.random_range(0..8u32),
            1 => bytes[at] = *one(&[0, 1, 0x7f, 0x80, 0xff], rng),
            2 => bytes.truncate(at),
            3 => {
                let piece = bytes[at..end].to_vec();
                let to = rng.random_range(0..len) as usize;
                bytes.splice(to..to, piece);
            }
            4 => drop(bytes.drain(at..end)),
            5 => {
                let number = *one(&[0, 1, u32::MAX, i32::MAX as u32, 1 << 16, 70_000], rng);
                let number = if rng.random_bool(0.5) { number.to_be_bytes() } else { number.to_le_bytes() };
                let end = (at + 4).min(bytes.len());
                bytes[at..end].copy_from_slice(&number[..end - at]);
            }
            6 => drop(bytes.splice(at..at, one(&WORDS, rng).iter().copied())),
            // A digit in a text becomes a long number.
            _ => {
                if let Some(digit) = bytes[at..].iter().position(u8::is_ascii_digit) {
                    bytes.splice(at + digit..=at + digit, b"123456789".iter().copied());
                }
            }
        }
    }
    bytes
}

fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).expect("an image");
    bytes.into_inner()
}

fn targets(folder: &Path) -> Vec<Target> {
    let size = InputSize::square(32);
    let picture = |seed: u32| {
        RgbImage::from_fn(40, 30, |x, y| Rgb([x * 7 + seed, (y * 5) ^ x, x * y + 3 * seed].map(|v| v as u8)))
    };
    for (below, seeds) in [("data/good", 0..6), ("data/bad", 6..8), ("data/masks", 8..10)] {
        fs::create_dir_all(folder.join(below)).expect("a folder");
        for (i, seed) in seeds.enumerate() {
            picture(seed).save(folder.join(format!("{below}/{i}.png"))).expect("a picture");
        }
    }
    let data = folder.join("data");
    let setting = Setting::General;
    let choice = SplitOptions { anomalies: 1, setting, weak: false, limit_normal: None, seed: 0 };
    let split = Split::draw(&Dataset::open(&data).expect("a data folder"), &choice).expect("a split");
    split.write(&folder.join("split.json"), &data).expect("a split file");

    let any: DynamicImage = picture(1).into();
    let grey = DynamicImage::ImageLuma16(any.to_luma16());
    let images = [
        (&any, ImageFormat::Png),
        (&grey, ImageFormat::Png),
        (&any, ImageFormat::Jpeg),
        (&any, ImageFormat::Bmp),
        (&any, ImageFormat::Tiff),
        (&grey, ImageFormat::Tiff),
    ];
    let labelme = r#"{"imageWidth": 40, "imageHeight": 30, "shapes": [
        {"label": "a", "shape_type": "polygon", "points": [[1, 1], [20, 2], [10, 25]]},
        {"label": "b", "shape_type": "rectangle", "points": [[3, 4], [9, 9]]},
        {"label": "c", "shape_type": "circle", "points": [[20, 10], [24, 10]]}]}"#;
    let coco = r#"{"images": [{"id": 1, "file_name": "0.png", "width": 40, "height": 30}], "annotations": [
        {"image_id": 1, "segmentation": [[1, 1, 20, 2, 10, 25]]}, {"image_id": 1, "bbox": [1, 2, 3, 4]}]}"#;
    let manifest = "image_path,label,mask_path,split\ngood/0.png,good,,train\ngood/1.png,0,,test\n\
                    bad/0.png,spot,masks/0.png,test\n";
    let read_mask = move |path: &Path, _: &[u8]| {
        let original = OriginalSize { height: 30, width: 40 };
        drop(Mask::load(path, size, None));
        drop(Mask::load(path, size, Some((Path::new("0.png"), original))));
    };
    let target = |name, file, sound, read: Read| Target { name, file, sound, read };
    let sound_split = fs::read(folder.join("split.json")).expect("a split file");
    vec![
        target(
            "model",
            "m.bgad",
            vec![model(&split, folder)],
            Box::new(|_, b| drop(Model::from_bytes(b.to_vec()))),
        ),
        target(
            "checkpoint",
            "x.checkpoint",
            vec![fs::read(folder.join("m.checkpoint")).expect("a checkpoint")],
            Box::new(|path, _| drop(check_checkpoint(path))),
        ),
        target(
            "settings",
            "bgad.toml",
            vec![b"[train]\ninput = \"64\"\nlevels = [1, 2]\ntiles = true\nroi = \"r.png\"\n".to_vec()],
            Box::new(|_, bytes| {
                drop(Settings::parse(&String::from_utf8_lossy(bytes), Path::new("bgad.toml")))
            }),
        ),
        target(
            "image",
            "image",
            images.map(|(image, format)| encoded(image, format)).to_vec(),
            Box::new(move |_, bytes| {
                drop(InputImage::decode(bytes, InputSize { keep_aspect: true, ..size }))
            }),
        ),
        target("mask", "0_mask.png", vec![encoded(&any, ImageFormat::Png)], Box::new(read_mask)),
        target("annotation", "0.json", vec![labelme.into(), coco.into()], Box::new(read_mask)),
        target(
            "split",
            "split.json",
            vec![sound_split],
            Box::new(move |path, _| {
                drop(Split::read(path, &data));
                drop(Split::data_folder(path));
            }),
        ),
        target(
            "manifest",
            "data/list.csv",
            vec![manifest.into()],
            Box::new(|path, _| drop(Dataset::open(path))),
        ),
    ]
}

/// The bytes of a small trained model.
fn model(split: &Split, folder: &Path) -> Vec<u8> {
    let options = TrainOptions {
        input: InputSize::square(32),
        // A checkpoint is written after each meta-epoch but the last.
        schedule: Schedule { meta_epochs: 2, sub_epochs: 1 },
        blocks: 1,
        ..TrainOptions::preset(Preset::Fast)
    };
    let run = Run {
        split,
        backbone: &Backbone::embedded("tf_efficientnet_lite0").expect("a backbone"),
        material: &Material::default(),
        checkpoint: Some(&folder.join("m.checkpoint")),
        resume: false,
        cache_limit: u64::MAX,
        stop: &|| false,
    };
    let model = train(&run, &options.check().expect("options"), &mut |_| {}).expect("a model");
    model.save(&folder.join("m.bgad")).expect("a file");
    fs::read(folder.join("m.bgad")).expect("a file")
}
