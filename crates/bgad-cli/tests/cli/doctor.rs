//! `bgad doctor` on a sound data folder, and on the same folder with faults planted in it.

use std::fs;
use std::path::PathBuf;

use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, GrayImage, Luma, Rgb, RgbImage, imageops};
use serde_json::Value;

use crate::scene::{Ran, Scene};

const SIDE: u32 = 64;
const TRAIN: u32 = 30;
const TEST: u32 = 12;

/// A part of its own: a lit surface with a grain; a defect is a bright square with its corner at `(y, x)`.
fn part(seed: u32, defect: Option<(u32, u32)>) -> RgbImage {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(12_345);
    RgbImage::from_fn(SIDE, SIDE, |x, y| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let grain = (state >> 24) as u8 / 6;
        let value = 50 + (x * 100 / SIDE) as u8 + grain;
        match defect {
            Some((top, left)) if (top..top + 12).contains(&y) && (left..left + 12).contains(&x) => {
                Rgb([250, 235 - grain, 60])
            }
            _ => Rgb([value, value - 10, value - 20]),
        }
    })
}

fn mask((top, left): (u32, u32)) -> GrayImage {
    GrayImage::from_fn(SIDE, SIDE, |x, y| {
        Luma([255 * u8::from((top..top + 12).contains(&y) && (left..left + 12).contains(&x))])
    })
}

/// Where the defect of the i-th image is.
fn corner(i: u32) -> (u32, u32) {
    (8 + 3 * i, 36 - 2 * i)
}

fn sound(name: &str) -> Scene {
    let scene = Scene::new(name);
    let save = |below: String, image: DynamicImage| image.save(scene.make_way(&below)).expect("a picture");
    (0..TRAIN).for_each(|i| save(format!("data/train/good/{i:03}.png"), part(i, None).into()));
    (0..TEST).for_each(|i| save(format!("data/test/good/{i:03}.png"), part(100 + i, None).into()));
    for i in 0..12 {
        let kind = ["spot", "stain"][i as usize % 2];
        save(format!("data/test/{kind}/{i:03}.png"), part(200 + i, Some(corner(i))).into());
        save(format!("data/ground_truth/{kind}/{i:03}_mask.png"), mask(corner(i)).into());
    }
    scene
}

fn findings(ran: &Ran) -> Vec<Value> {
    let checkup: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    checkup["findings"].as_array().expect("a list").clone()
}

fn jpeg(image: &RgbImage, quality: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, quality).encode_image(image).expect("a JPEG");
    bytes
}

/// A JPEG with the EXIF orientation "rotate by 90 degrees".
fn turned(image: &RgbImage) -> Vec<u8> {
    let mut exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0".to_vec();
    exif.extend([0x12, 0x01, 3, 0, 1, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0]);
    let plain = jpeg(image, 90);
    let length = (exif.len() as u16 + 2).to_be_bytes();
    [&plain[..2], &[0xff, 0xe1], &length, &exif, &plain[2..]].concat()
}

#[test]
fn a_sound_folder_is_found_sound() {
    let scene = sound("doctor_sound");
    let ran = scene.run(&["doctor", "data", "--json", "--input", "128"]).exits(0);
    let notes = findings(&ran);
    assert!(notes.iter().all(|finding| finding["check"] == "too-few"), "{notes:#?}");
    let ran = scene.run(&["doctor", "data", "--quick", "--input", "64"]).exits(0);
    assert!(
        ran.stdout
            .contains("42 good images (30 for training, 12 for testing), 12 defective images (12 with a")
            && ran.stdout.contains("0 errors, 0 warnings, 1 note\n")
            && ran.stdout.contains("\nnext\n  bgad train data -o part.bgad\n"),
        "{}",
        ran.stdout
    );
    assert!(ran.stdout.lines().all(|line| line.chars().count() <= 80), "{}", ran.stdout);
    scene.run(&["doctor", "nowhere"]).exits(2).says(&["nowhere"]);
}

/// Plants one fault after the other; each returns the file and check that a finding should name.
fn plant(scene: &Scene) -> Vec<(&'static str, &'static str)> {
    let mut planted = Vec::new();
    let mut file = |below: &'static str, check: &'static str| -> PathBuf {
        planted.push((below, check));
        scene.make_way(&format!("data/{below}"))
    };
    let png = |image: &RgbImage| {
        let mut bytes = std::io::Cursor::new(Vec::new());
        image.write_to(&mut bytes, image::ImageFormat::Png).expect("a PNG");
        bytes.into_inner()
    };
    let write = |path: PathBuf, bytes: &[u8]| fs::write(path, bytes).expect("a file");
    let save = |path: PathBuf, image: DynamicImage| image.save(path).expect("a picture");
    let fresh = |seed: u32| part(1000 + seed, None);

    // Files that cannot be read.
    let sound = png(&fresh(0));
    write(file("train/good/empty.png", "unreadable"), b"");
    write(file("train/good/text.png", "unreadable"), b"this is no image");
    write(file("train/good/cut.png", "unreadable"), &sound[..sound.len() / 2]);
    let photo = jpeg(&fresh(1), 90);
    write(file("test/good/cut.jpg", "unreadable"), &photo[..photo.len() / 2]);
    let mut damaged = sound.clone();
    damaged[sound.len() / 2] ^= 0x55;
    write(file("test/good/damaged.png", "unreadable"), &damaged);

    // Taken or saved otherwise than the rest.
    save(file("train/good/size.png", "size"), imageops::crop_imm(&fresh(2), 0, 0, 64, 40).to_image().into());
    save(file("train/good/deep.png", "depth"), DynamicImage::from(fresh(3)).to_rgb16().into());
    save(file("train/good/grey.png", "colour"), DynamicImage::from(fresh(4)).to_luma8().into());
    save(file("train/good/alpha.png", "alpha"), DynamicImage::from(fresh(5)).to_rgba8().into());
    write(file("train/good/turned.jpg", "exif-rotation"), &turned(&fresh(6)));
    let map = |image: RgbImage, value: fn(u8) -> u8| {
        RgbImage::from_fn(SIDE, SIDE, |x, y| Rgb(image.get_pixel(x, y).0.map(value)))
    };
    save(file("train/good/dark.png", "exposure"), map(fresh(7), |v| v / 4).into());
    save(file("test/good/bright.png", "exposure"), map(fresh(8), |v| v.saturating_add(90)).into());
    save(file("train/good/flat.png", "exposure"), map(fresh(9), |v| 95 + v / 20).into());
    save(file("train/good/blurred.png", "focus"), imageops::blur(&fresh(10), 1.5).into());
    save(file("train/good/defect.png", "looks-bad"), part(1011, Some((24, 24))).into());
    save(file("test/good/defect.png", "looks-bad"), part(1012, Some((40, 12))).into());

    // The same picture twice.
    let copy = |from: u32| part(from, None);
    save(file("train/good/copy.png", "duplicate"), copy(3).into());
    save(file("test/good/copy.png", "leak"), copy(5).into());
    save(file("test/spot/copy.png", "good-and-defective"), copy(7).into());
    save(scene.make_way("data/ground_truth/spot/copy_mask.png"), mask((5, 5)).into());
    write(file("train/good/resaved.jpg", "duplicate"), &jpeg(&copy(9), 95));
    write(file("test/good/resaved.jpg", "leak"), &jpeg(&copy(11), 95));
    save(file("test/good/lighter.png", "leak"), map(copy(13), |v| v + 6).into());

    // Masks.
    let defective = |stem: &'static str, seed: u32| {
        save(scene.make_way(&format!("data/test/stain/{stem}.png")), part(seed, Some((20, 20))).into());
        scene.make_way(&format!("data/ground_truth/stain/{stem}_mask.png"))
    };
    save(defective("empty", 2000), GrayImage::new(SIDE, SIDE).into());
    save(defective("soft", 2001), imageops::blur(&mask((20, 20)), 2.0).into());
    save(defective("small", 2002), GrayImage::new(SIDE / 2, SIDE / 2).into());
    save(defective("moved", 2003), mask((34, 32)).into());
    write(defective("broken", 2004), b"no mask");
    let inverted = GrayImage::from_fn(SIDE, SIDE, |x, y| Luma([255 - mask((20, 20)).get_pixel(x, y).0[0]]));
    save(defective("inverted", 2005), inverted.into());
    save(defective("twice", 2006), mask((20, 20)).into());
    defective("none", 2007);
    for (below, check) in [
        ("ground_truth/stain/empty_mask.png", "mask-empty"),
        ("ground_truth/stain/soft_mask.png", "mask-not-binary"),
        ("ground_truth/stain/small_mask.png", "mask-size"),
        ("ground_truth/stain/moved_mask.png", "mask-shifted"),
        ("ground_truth/stain/broken_mask.png", "mask-unreadable"),
        ("ground_truth/stain/inverted_mask.png", "mask-covers-all"),
        ("test/stain/none.png", "mask-missing"),
    ] {
        file(below, check);
    }

    // Names and places.
    save(file("ground_truth/stain/twice.png", "layout"), mask((20, 20)).into());
    save(file("ground_truth/stain/nobody_mask.png", "layout"), mask((20, 20)).into());
    save(file("test/spot/000_mask.png", "layout"), mask((20, 20)).into());
    write(file("train/good/photo.gif", "layout"), b"GIF89a");
    write(file("train/good/notes.txt", "layout"), b"remember the milk");
    save(file("test/astray.png", "layout"), fresh(20).into());
    fs::create_dir_all(file("test/scratch", "layout")).expect("an empty folder");
    planted
}

#[test]
fn every_planted_fault_is_found() {
    let scene = sound("doctor_planted");
    let planted = plant(&scene);
    assert!(planted.len() >= 35, "{} faults", planted.len());
    let ran = scene.run(&["doctor", "data", "--json", "--input", "128"]).exits(1);
    let found = findings(&ran);
    let missed: Vec<_> = planted
        .iter()
        .filter(|(file, check)| !found.iter().any(|f| f["file"] == *file && f["check"] == *check))
        .collect();
    assert!(missed.is_empty(), "missed {missed:#?} in {found:#?}");
    // No file is accused that nothing was planted in, or beside.
    let sound_names =
        |file: &str| file.split('/').next_back().is_some_and(|name| name.len() == "000.png".len());
    let accused: Vec<_> = found
        .iter()
        .filter(|f| f["severity"] != "note" && f["file"].as_str().is_some_and(sound_names))
        .filter(|f| !planted.iter().any(|(file, _)| f["file"] == *file))
        .collect();
    assert!(accused.is_empty(), "{accused:#?}");
    // The gravest come first, and each says what to do.
    let severities: Vec<&str> = found.iter().filter_map(|f| f["severity"].as_str()).collect();
    assert!(severities.is_sorted_by_key(|s| ["error", "warning", "note"].iter().position(|name| name == s)));
    assert!(found.iter().all(|f| f["fix"].as_str().is_some_and(|fix| !fix.is_empty())));

    let quick = findings(&scene.run(&["doctor", "data", "--json", "--quick", "--input", "64"]).exits(1));
    assert!(quick.iter().all(|f| f["check"] != "looks-bad" && f["check"] != "mask-shifted"));
}
