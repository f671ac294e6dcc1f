use super::*;
use crate::frame::Layout;
use crate::record::ModelId;
use crate::score::AnomalyMap;
use crate::verdict::{DefectRegion, defect_regions};

fn recipe(ok: f32, ng: f32) -> Recipe {
    Recipe {
        model: ModelId { name: "lid.bgad".to_owned(), sha256: "ab".repeat(32), format: 1 },
        thresholds: Thresholds { ok, ng },
        normal_scores: (0..=100).map(|i| 1.0 + i as f32 / 100.0).collect(),
    }
}

fn frame(height: usize, width: usize) -> Frame {
    let samples: Vec<u8> = (0..height * width).map(|i| (i * 37 % 101 + 80) as u8).collect();
    Frame::from_u8(&samples, Layout::packed(height, width, 1)).expect("a frame")
}

/// A map of 32 x 32 with a peak of this height on a square of this side, judged with these thresholds.
fn found(peak: f32, side: usize, recipe: &Recipe, size: (usize, usize)) -> Inspection {
    let mut map = AnomalyMap { nats: vec![0.5; 32 * 32], h: 32, w: 32 };
    for (y, x) in (0..side).flat_map(|y| (0..side).map(move |x| (y, x))) {
        map.nats[(9 + y) * 32 + 20 + x] = peak;
    }
    let regions = defect_regions(&map, recipe.thresholds.ok, size);
    Inspection {
        score: peak,
        parts: Vec::new(),
        whole_image: false,
        verdict: recipe.thresholds.verdict(peak),
        map,
        regions,
        appearance: crate::image::Appearance::default(),
        original: OriginalSize { height: size.0, width: size.1 },
    }
}

fn bare(style: Style) -> Look {
    Look { style, footer: false, ..Look::default() }
}

fn pixel(picture: &Picture, x: usize, y: usize) -> [u8; 3] {
    let at = 3 * (y * picture.width + x);
    picture.rgb[at..at + 3].try_into().expect("three values")
}

/// Whether red leads by far: a warm colour, which no grey image has.
fn is_warm(pixel: [u8; 3]) -> bool {
    i32::from(pixel[0]) - i32::from(pixel[2]) > 20
}

fn warm(picture: &Picture) -> usize {
    picture.rgb.as_chunks::<3>().0.iter().filter(|pixel| is_warm(**pixel)).count()
}

#[test]
fn a_picture_has_colour_exactly_if_the_map_flags_something() {
    // A lone pixel of the map too, in a picture that is far smaller than the map or far larger.
    for (height, width) in [(8, 8), (32, 32), (500, 700), (40, 3000)] {
        for side in [1, 4] {
            for peak in [2.99, 3.0, 3.01, 400.0, f32::NAN] {
                let recipe = recipe(3.0, 4.0);
                let inspection = found(peak, side, &recipe, (height, width));
                let picture = draw(&frame(height, width), &inspection, &recipe, &bare(Style::Overlay));
                let flagged = inspection.verdict != Verdict::Ok;
                assert_eq!(
                    warm(&picture.expect("a picture")) > 0,
                    flagged,
                    "{height}x{width}, {side} pixels of {peak}"
                );
            }
        }
    }
}

#[test]
fn calibration_moves_the_outline_and_not_the_colours() {
    let low = recipe(3.0, 4.0);
    let high = recipe(6.0, 9.0);
    let picture = |recipe: &Recipe| {
        let inspection = found(40.0, 8, recipe, (256, 256));
        draw(&frame(256, 256), &inspection, recipe, &bare(Style::Overlay)).expect("a picture")
    };
    let middle = (24 * 8, 13 * 8);
    assert_eq!(pixel(&picture(&low), middle.0, middle.1), pixel(&picture(&high), middle.0, middle.1));
    assert!(warm(&picture(&low)) > warm(&picture(&high)), "more of it is above a lower threshold");
}

#[test]
fn the_defect_stays_visible_beneath_the_fill() {
    let recipe = recipe(3.0, 4.0);
    let inspection = found(500.0, 16, &recipe, (256, 256));
    let picture = draw(&frame(256, 256), &inspection, &recipe, &bare(Style::Overlay)).expect("a picture");
    let row: Vec<i32> = (170..190).map(|x| pixel(&picture, x, 120)[1].into()).collect();
    let contrast = row.iter().max().expect("pixels") - row.iter().min().expect("pixels");
    assert!(contrast >= 30, "the texture beneath has a contrast of 100, here {contrast} are left");
}

#[test]
fn the_image_as_a_whole_gets_a_frame_of_the_verdict() {
    let recipe = recipe(3.0, 4.0);
    let mut inspection = found(1.0, 4, &recipe, (256, 256));
    let corner = |inspection: &Inspection| {
        let picture = draw(&frame(256, 256), inspection, &recipe, &bare(Style::Overlay));
        pixel(&picture.expect("a picture"), 255, 128)
    };
    assert!(!is_warm(corner(&inspection)));
    (inspection.score, inspection.verdict, inspection.whole_image) = (9.0, Verdict::Ng, true);
    assert_eq!(corner(&inspection), footer::verdict_colours(Verdict::Ng).0.map(|c| c as u8));
}

#[test]
fn footers_fit_beneath_every_shape() {
    let recipe = recipe(3.0, 4.0);
    let look =
        |style| Look { style, caption: Some("Part 0815, a rather long name ".repeat(9)), ..Look::default() };
    for (height, width) in [(1, 1), (9000, 1), (1, 9000), (2100, 2100), (64, 64)] {
        for style in [Style::Overlay, Style::SideBySide, Style::Heat] {
            let inspection = found(9.0, 4, &recipe, (height, width));
            let picture = draw(&frame(height, width), &inspection, &recipe, &look(style)).expect("a picture");
            assert_eq!(picture.rgb.len(), 3 * picture.width * picture.height);
            assert!(picture.width >= 440 && picture.width <= 2 * 2048 + 6, "{}", picture.width);
            assert!(picture.to_png().is_ok() && picture.to_jpeg(80).is_ok());
        }
    }
}

#[test]
fn dark_pictures_of_deep_cameras_are_shown_bright() {
    let samples: Vec<u16> = (0..64 * 64).map(|i| (i % 64 * 64) as u16).collect();
    let frame = Frame::from_u16(&samples, Layout::packed(64, 64, 1)).expect("a frame");
    let recipe = recipe(3.0, 4.0);
    let inspection = found(1.0, 4, &recipe, (64, 64));
    let picture = draw(&frame, &inspection, &recipe, &bare(Style::Overlay)).expect("a picture");
    let last = picture.width - 1;
    assert!(pixel(&picture, last, 5)[0] > 240, "{:?}", pixel(&picture, last, 5));
}

#[test]
fn masks_are_what_the_map_flags_at_the_size_of_the_image() {
    let recipe = recipe(3.0, 4.0);
    for size in [(8, 8), (32, 32), (100, 75)] {
        let inspection = found(9.0, 1, &recipe, size);
        let mask = image::load_from_memory(&mask(&inspection, recipe.thresholds).expect("a mask"));
        let mask = mask.expect("a PNG").into_luma8();
        assert_eq!((mask.height() as usize, mask.width() as usize), size);
        let lit = mask.enumerate_pixels().filter(|(_, _, pixel)| pixel.0[0] == 255);
        let DefectRegion { x, y, width, height, .. } = inspection.regions[0];
        let (mut count, mut inside) = (0, true);
        for (px, py, _) in lit {
            count += 1;
            inside &= (x..x + width).contains(&(px as usize)) && (y..y + height).contains(&(py as usize));
        }
        assert!(count == width * height && inside, "{count} pixels of {width}x{height}");
    }
    let calm = found(1.0, 1, &recipe, (32, 32));
    let mask = mask(&calm, recipe.thresholds).expect("a mask");
    assert!(image::load_from_memory(&mask).expect("a PNG").into_luma8().iter().all(|&value| value == 0));
}

#[test]
fn maps_are_written_exactly() {
    let map = AnomalyMap { nats: vec![0.5, -1.25, 7.0, 1e-9, f32::INFINITY, 3.0], h: 2, w: 3 };
    let bytes = map_tiff(&map).expect("a TIFF");
    let mut decoder = tiff::decoder::Decoder::new(std::io::Cursor::new(bytes)).expect("a TIFF");
    assert_eq!(decoder.dimensions().expect("a size"), (3, 2));
    match decoder.read_image().expect("values") {
        tiff::decoder::DecodingResult::F32(values) => assert_eq!(values, map.nats),
        other => panic!("{other:?}"),
    }
    let bytes = map_npy(&map);
    assert_eq!(&bytes[..8], b"\x93NUMPY\x01\x00");
    let values = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    assert_eq!(values % 64, 0);
    let header = std::str::from_utf8(&bytes[10..values]).expect("text");
    assert!(header.contains("'shape': (2, 3)") && header.ends_with('\n'), "{header:?}");
    let read: Vec<f32> = bytes[values..].as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect();
    assert_eq!(read, map.nats);
}

#[test]
fn a_legend_has_the_colours_of_the_scale() {
    let recipe = recipe(3.0, 4.0);
    let scale = ColourScale::of(&recipe.normal_scores);
    let picture = legend(scale, recipe.thresholds, 300, 10);
    assert!(is_warm(pixel(&picture, 150, 5)) && is_warm(pixel(&picture, 299, 5)));
    let mark = (scale.position(3.0) * 300.0) as usize;
    assert_eq!(pixel(&picture, mark, 5), [255; 3]);
}
