//! Where images are looked at: regions of interest, ignored regions, and images that keep their proportions.

use std::fs;
use std::ops::Range;

use bgad::detector::Detector;
use bgad::image::{OriginalSize, Window};
use image::{GrayImage, Luma, Rgb, RgbImage};
use serde_json::Value;

use crate::scene::{GOOD, Ran, SIDE, SMALL, Scene};

/// The first line of `inspect --format jsonl`.
fn judged(ran: &Ran) -> Value {
    serde_json::from_str(ran.stdout.lines().next().expect("a line")).expect("JSON")
}

fn trained(scene: &Scene, model: &str, more: &[&str]) {
    let train = [&["train", "data", "-o", model, "--anomalies", "0"][..], &SMALL, more].concat();
    scene.run(&train).exits(0);
}

#[test]
fn what_is_not_looked_at_is_neither_learned_nor_judged() {
    let scene = Scene::with_data("what_is_not_looked_at");
    // The left half in one way and in the other; a defect on the right is none then.
    let half = GrayImage::from_fn(SIDE, SIDE, |x, _| Luma([if x < SIDE / 2 { 255 } else { 0 }]));
    half.save(scene.path("left.png")).expect("a mask");
    let right = r#"{"imageWidth": 64, "imageHeight": 64, "shapes": [
        {"label": "conveyor", "shape_type": "rectangle", "points": [[32, 0], [64, 64]]}]}"#;
    fs::write(scene.path("right.json"), right).expect("a file");
    scene.picture("on_the_left.png", 77, Some((20, 8)));
    scene.picture("on_the_right.png", 77, Some((20, 46)));
    trained(&scene, "all.bgad", &[]);
    trained(&scene, "roi.bgad", &["--roi", "left.png"]);
    trained(&scene, "ignore.bgad", &["--ignore", "right.json"]);
    let score = |model: &str, image: &str| {
        let line = judged(&scene.run(&["inspect", model, image, "--format", "jsonl"]));
        line["score"].as_f64().expect("a score")
    };
    assert_ne!(
        score("all.bgad", "on_the_left.png"),
        score("roi.bgad", "on_the_left.png"),
        "learned elsewhere"
    );
    for model in ["roi.bgad", "ignore.bgad"] {
        let (left, right) = (score(model, "on_the_left.png"), score(model, "on_the_right.png"));
        assert!(left > right + 1.0, "{model}: {left} on the left, {right} on the right");
        let ran = scene.run(&["inspect", model, "on_the_left.png", "--format", "jsonl"]).exits(1);
        for region in judged(&ran)["regions"].as_array().expect("regions") {
            assert!(region["x"].as_u64() < Some(32), "{region}");
        }
    }
    let everything = GrayImage::from_pixel(SIDE, SIDE, Luma([255]));
    everything.save(scene.path("everything.png")).expect("a mask");
    let refused = ["train", "data", "-o", "no.bgad", "--ignore", "everything.png"];
    scene.run(&refused).exits(2).says(&["everything.png", "nothing to look at"]);
}

#[test]
fn images_that_keep_their_proportions_are_judged_in_their_own_pixels() {
    let scene = Scene::new("keep_their_proportions");
    let picture = |below: &str, seed: u32, defect: Option<(u32, u32)>| {
        scene.picture(below, seed, defect);
        let path = scene.path(below);
        let image = image::open(&path).expect("a picture").to_rgb8();
        // Twice as wide as high: its upper rows go on beside it, where no defect is.
        let wide = RgbImage::from_fn(2 * SIDE, SIDE, |x, y| {
            *image.get_pixel(x % SIDE, if x < SIDE { y } else { y % 24 })
        });
        wide.save(&path).expect("a picture");
    };
    for i in 0..24 {
        picture(&format!("data/good/{i:02}.png"), i, None);
    }
    for i in 0..4 {
        picture(&format!("data/bad/{i}.png"), 500 + i, Some((30, 10)));
        let mask = GrayImage::from_fn(2 * SIDE, SIDE, |x, y| {
            Luma([if (30..42).contains(&y) && (10..22).contains(&x) { 255 } else { 0 }])
        });
        mask.save(scene.make_way(&format!("data/masks/{i}_mask.png"))).expect("a mask");
    }
    let train = [
        &["train", "data", "-o", "m.bgad", "--keep-aspect", "--anomalies", "2"][..],
        &SMALL[2..],
        &["--input", "128"],
    ]
    .concat();
    scene.run(&train).exits(0);
    let ran = scene.run(&["evaluate", "m.bgad", "data", "--json", "e.json"]).exits(0);
    let found: Value =
        serde_json::from_slice(&fs::read(scene.path("e.json")).expect("a file")).expect("JSON");
    assert!(found["pixel_auroc"].as_f64() > Some(0.8), "masks lie where defects are: {}", ran.stdout);
    let ran =
        scene.run(&["inspect", "m.bgad", "data/bad/3.png", "--format", "jsonl", "--out", "maps"]).exits(1);
    let line = judged(&ran);
    assert_eq!((line["width"].as_u64(), line["height"].as_u64()), (Some(128), Some(64)));
    let region = &line["regions"][0];
    let centre =
        [region["centroid_x"].as_f64(), region["centroid_y"].as_f64()].map(|at| at.expect("a number"));
    assert!((centre[0].min(128.0 - centre[0]) - 16.0).abs() < 8.0, "{region}");
    assert!((centre[1] - 36.0).abs() < 8.0, "{region}");
    let overlay = image::open(line["overlay"].as_str().map(|path| scene.path(path)).expect("a path"));
    let overlay = overlay.expect("an overlay");
    assert!(overlay.width() == 512 && overlay.height() > 256, "the image's proportions, and a footer");
}

/// A woven picture of any size with a bright square at `(y, x)`.
fn large(scene: &Scene, below: &str, (height, width): (u32, u32), seed: u32, defect: Option<(u32, u32)>) {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    let image = RgbImage::from_fn(width, height, |x, y| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let noise = (state >> 28) as u8;
        let weave = if (x / 4 + y / 4) % 2 == 0 { 90 } else { 110 };
        match defect {
            Some((top, left)) if (top..top + 12).contains(&y) && (left..left + 12).contains(&x) => {
                Rgb([230; 3])
            }
            _ => Rgb([weave + noise, weave + noise, weave]),
        }
    });
    image.save(scene.make_way(below)).expect("a picture");
}

#[test]
fn large_images_are_judged_in_tiles_wherever_the_tiles_lie() {
    let scene = Scene::new("large_images_in_tiles");
    for i in 0..6 {
        large(&scene, &format!("data/good/{i}.png"), (150, 200), i, None);
    }
    for (i, at) in [(40, 50), (110, 160), (20, 120)].into_iter().enumerate() {
        large(&scene, &format!("data/bad/{i}.png"), (150, 200), 70 + i as u32, Some(at));
        let mask = GrayImage::from_fn(200, 150, |x, y| {
            Luma([if (at.0..at.0 + 12).contains(&y) && (at.1..at.1 + 12).contains(&x) { 255 } else { 0 }])
        });
        mask.save(scene.make_way(&format!("data/masks/{i}_mask.png"))).expect("a mask");
    }
    let train = ["train", "data", "-o", "m.bgad", "--tiles", "--anomalies", "1", "--input", "96"];
    let ran = scene.run(&[&train[..], &SMALL[2..]].concat()).exits(0);
    assert!(
        ran.stdout.contains("from 5 good images and 1 known defects"),
        "images, not tiles: {}",
        ran.stdout
    );
    scene.run(&["evaluate", "m.bgad", "data", "--json", "e.json"]).exits(0);
    let found: Value =
        serde_json::from_slice(&fs::read(scene.path("e.json")).expect("a file")).expect("JSON");
    assert!(
        found["image_auroc"].as_f64() > Some(0.99) && found["pixel_auroc"].as_f64() > Some(0.9),
        "{found}"
    );
    scene.run(&["evaluate", "m.bgad", "data", "--scoring", "authors"]).exits(2).says(&["tiles"]);

    // An image of another size, larger and smaller than a tile.
    large(&scene, "larger.png", (260, 310), 99, Some((200, 77)));
    let line = judged(
        &scene.run(&["inspect", "m.bgad", "larger.png", "--format", "jsonl", "--out", "maps"]).exits(1),
    );
    let region = &line["regions"][0];
    let [x, y] = ["centroid_x", "centroid_y"].map(|name| region[name].as_f64().expect("a number"));
    assert!((x - 83.0).abs() < 10.0 && (y - 206.0).abs() < 10.0, "{region}");
    large(&scene, "smaller.png", (60, 130), 98, None);
    scene.run(&["inspect", "m.bgad", "smaller.png"]);

    // The same picture with its first rows and columns gone has other tiles, and the same map where both see enough.
    let detector = Detector::open(&scene.path("m.bgad")).expect("the model");
    let (image, original) = detector.load(&scene.path("larger.png")).expect("an image");
    let whole = detector.score(&image, original).map;
    let (top, left) = (16, 32);
    let part = image.cropped(Window { top, left, height: 260 - top, width: 310 - left });
    let part = detector.score(&part, OriginalSize { height: 260 - top, width: 310 - left }).map;
    let (mut apart, mut spread, mut n) = (0.0, 0.0, 0.0);
    for y in 48..260 - top - 48 {
        for x in 48..310 - left - 48 {
            let (a, b) = (whole.nats[(y + top) * whole.w + x + left], part.nats[y * part.w + x]);
            apart += f64::from((a - b).abs());
            spread += f64::from(a.abs());
            n += 1.0;
        }
    }
    assert!(apart / n < 0.15 * (spread / n), "{} nats apart, {} large", apart / n, spread / n);
}

#[test]
fn tiles_look_only_at_the_region_of_interest() {
    let scene = Scene::new("tiles_with_roi");
    for i in 0..6 {
        large(&scene, &format!("data/good/{i}.png"), (150, 200), i, None);
    }
    // Drawn at half the size, for images of any: the right half.
    let right = GrayImage::from_fn(100, 75, |x, _| Luma([if x >= 50 { 255 } else { 0 }]));
    right.save(scene.path("right.png")).expect("a mask");
    let train = ["train", "data", "-o", "m.bgad", "--tiles", "--roi", "right.png", "--anomalies", "0"];
    scene.run(&[&train[..], &["--input", "64"], &SMALL[2..]].concat()).exits(0);
    let detector = Detector::open(&scene.path("m.bgad")).expect("the model");
    let most = |picture: &str, columns: Range<usize>| {
        let (image, original) = detector.load(&scene.path(picture)).expect("an image");
        let map = detector.score(&image, original).map;
        let rows = map.nats.chunks(map.w).flat_map(|row| &row[columns.clone()]);
        rows.copied().fold(f32::NEG_INFINITY, f32::max)
    };
    // Another size than the mask's and the training images': the parts stay the same.
    large(&scene, "left.png", (260, 310), 99, Some((200, 77)));
    large(&scene, "right_bad.png", (260, 310), 99, Some((200, 230)));
    assert!(most("left.png", 0..155) <= 0.0, "what lies outside is called normal");
    let (calm, seen) = (most("left.png", 155..310), most("right_bad.png", 155..310));
    assert!(seen > calm + 1.0, "{seen} nats where the defect is, {calm} without it");
}

#[test]
fn good_images_are_measured_as_they_are_judged_wherever_is_looked() {
    let scene = Scene::with_data("measured_as_judged");
    let half = GrayImage::from_fn(SIDE, SIDE, |x, _| Luma([if x < SIDE / 2 { 255 } else { 0 }]));
    half.save(scene.path("left.png")).expect("a mask");
    let areas: [&[&str]; 3] =
        [&[], &["--roi", "left.png"], &["--foreground", "left.png", "--foreground-score"]];
    for area in areas {
        trained(&scene, "m.bgad", &[area, &["--score-parts", "map,coarsest"]].concat());
        let detector = Detector::open(&scene.path("m.bgad")).expect("the model");
        let known = &detector.header().training;
        // So few images leave none to be kept: mirrored or moved ones stand in for each.
        assert_eq!((known.kept_images, known.normal_scores.len()), (0, known.normal_images), "{area:?}");
        let judged = |picture: usize| {
            let path = scene.path(&format!("data/good/{picture:03}.png"));
            detector.inspect_file(&path).expect("an image").score
        };
        let mut scores: Vec<f32> = (0..GOOD).map(judged).collect();
        scores.sort_by(f32::total_cmp);
        let (middle, highest) = (known.normal_scores.len() / 2, known.normal_scores.last().copied());
        assert!(scores[scores.len() / 2] <= known.normal_scores[middle] + 1.0, "{area:?}: {scores:?}");
        assert!((known.normal_scores[middle] - std::f32::consts::LN_2).abs() < 0.5, "{area:?}: {highest:?}");
    }
}
