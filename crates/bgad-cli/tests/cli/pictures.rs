//! Which files are judged: by content, in all commands, and nothing left out in silence.

use std::fs;
use std::process::Command;

use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, ImageFormat};

use crate::scene::{Scene, trained};

/// A picture in the encoding that cameras and tools give it.
fn encoded(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).expect("encoded");
    bytes.into_inner()
}

#[test]
fn a_picture_is_judged_whatever_its_name() {
    let scene = Scene::new("a_picture_whatever_its_name");
    scene.picture("plain.png", 2000, Some((20, 20)));
    let picture = image::open(scene.path("plain.png")).expect("a picture");
    let files = [
        ("a.jfif", ImageFormat::Jpeg),
        ("a.jpe", ImageFormat::Jpeg),
        ("a.dib", ImageFormat::Bmp),
        ("a.webp", ImageFormat::WebP),
        ("a.ppm", ImageFormat::Pnm),
        ("a.png.bak", ImageFormat::Png),
        ("IMG_0001", ImageFormat::Jpeg),
        ("a.txt", ImageFormat::Tiff),
    ];
    for (name, format) in files {
        fs::write(scene.make_way(&format!("in/{name}")), encoded(&picture, format)).expect("a file");
    }
    let model = trained().path("m.bgad");
    let model = model.to_str().expect("UTF-8");
    let ran = scene.run(&["inspect", model, "in", "--format", "jsonl"]).exits(1);
    assert_eq!(ran.stdout.lines().count(), files.len(), "{}", ran.stdout);
    assert!(ran.stdout.lines().all(|line| line.contains("\"verdict\":\"NG\"")), "{}", ran.stdout);

    // What is no text and cannot be judged is named, and the exit code says that not all was done.
    fs::write(scene.path("in/b.jp2"), b"\0\0\0\x0cjP  \r\n\x87\n").expect("a file");
    scene.run(&["inspect", model, "in"]).exits(2).says(&["in/b.jp2", "a JPEG 2000 file", "1 skipped"]);
    fs::remove_file(scene.path("in/b.jp2")).expect("a file");
    fs::write(scene.path("in/notes.md"), "about these parts").expect("a file");
    scene.run(&["inspect", model, "in"]).exits(1).says(&["1 file is no picture of a part", "in/notes.md"]);
    if cfg!(unix) {
        // A reader of the pipe would wait for ever.
        assert!(Command::new("mkfifo").arg(scene.path("in/pipe")).status().expect("mkfifo").success());
        scene
            .run(&["inspect", model, "in"])
            .exits(2)
            .says(&["in/pipe: cannot be read", "found a named pipe"]);
    }
}

#[test]
fn a_jpeg_is_judged_if_its_data_are_whole() {
    let scene = Scene::new("a_jpeg_if_its_data_are_whole");
    scene.picture("plain.png", 2000, None);
    let picture = image::open(scene.path("plain.png")).expect("a picture").to_rgb8();
    // Large enough that a tenth of its data is more than a few blocks.
    let picture = image::imageops::resize(&picture, 400, 300, image::imageops::FilterType::Nearest);
    let mut whole = Vec::new();
    JpegEncoder::new_with_quality(&mut whole, 90).encode_image(&picture).expect("a JPEG");
    let data = whole.windows(2).position(|pair| pair == [0xff, 0xda]).expect("a scan") + 14;
    let (tenth, end) = ((whole.len() - data) / 10, whole.len() - 2);
    let cut = &whole[..data + 6 * tenth];
    let mut zeros = whole.clone();
    zeros[data + 4 * tenth..data + 5 * tenth].fill(0);
    let files = [
        ("no_marker.jpg", whole[..end].to_vec(), true),
        ("trailer.jpg", [&whole[..end], &[0; 40], b"CAMTRAILER"].concat(), true),
        ("cut.jpg", [cut, &[0xff, 0xd9]].concat(), false),
        ("hole.jpg", [&whole[..data + 4 * tenth], &whole[data + 5 * tenth..]].concat(), false),
        ("zeros.jpg", zeros, false),
    ];
    let model = trained().path("m.bgad");
    let model = model.to_str().expect("UTF-8");
    for (name, bytes, judged) in files {
        fs::write(scene.path(name), bytes).expect("a file");
        let ran = scene.run(&["inspect", model, name]);
        match judged {
            true => assert!(matches!(ran.code, Some(0 | 1)), "{name}: {ran:?}"),
            false => drop(ran.exits(2).says(&[name, "expected a"])),
        }
    }
}

#[test]
fn train_names_masks_without_a_position_and_all_that_is_not_used() {
    let scene = Scene::with_data("train_names_masks");
    let black = image::GrayImage::new(64, 64);
    black.save(scene.path("data/masks/spot/000_mask.png")).expect("a mask");
    image::GrayImage::from_pixel(64, 64, image::Luma([255]))
        .save(scene.path("data/masks/stain/001_mask.png"))
        .expect("a mask");
    scene.picture("data/validation/1.png", 3000, None);
    let ran = scene.train(&["--anomalies", "8"]).exits(2);
    let ran =
        ran.says(&["000_mask.png: empty", "001_mask.png: covers 100 %", "of 8 known defects 6 have a mask"]);
    ran.says(&["data/validation: 1 picture, not used", "to learn from", "2 files were skipped"]);
    let scene = Scene::with_data("train_names_all_duplicates");
    for name in ["000", "002"] {
        let (from, to) =
            (scene.path(&format!("data/bad/spot/{name}.png")), format!("data/bad/stain/copy{name}.png"));
        fs::copy(from, scene.make_way(&to)).expect("a copy");
    }
    let split = r#"{"train": ["good/000.png", "good/001.png"], "test_good": ["good/002.png"],
        "anomalies": ["bad/spot/000.png", "bad/spot/002.png"], "test_bad": ["bad/stain/copy000.png", "bad/stain/copy002.png"]}"#;
    fs::write(scene.path("s.json"), split).expect("a split file");
    let ran = scene.train(&["--split", "s.json"]).exits(2);
    ran.says(&["found 2 with the same content", "copy000.png", "copy002.png"]);
}
