//! Drawn pictures; what the estimate does to photographs was looked at by eye.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;

/// A grey picture of `value(y, x)`.
fn drawn(height: usize, width: usize, mut value: impl FnMut(usize, usize) -> f32) -> InputImage {
    let mut rgb_hwc = Vec::with_capacity(height * width * 3);
    for i in 0..height * width {
        rgb_hwc.extend([value(i / width, i % width); 3]);
    }
    InputImage { height, width, rgb_hwc }
}

/// A disc of radius 30 around (60, 70).
fn in_disc(y: usize, x: usize) -> bool {
    (y as f32 - 60.0).powi(2) + (x as f32 - 70.0).powi(2) < 900.0
}

/// The share of pixels on which the estimate and the drawing agree.
fn agreement(found: &Foreground, inside: impl Fn(usize, usize) -> bool) -> f64 {
    let width = found.width;
    let agree = |(i, pixel): (usize, &u8)| (*pixel == 1) == inside(i / width, i % width);
    let agreeing = found.inside.iter().enumerate().filter(|pixel| agree(*pixel)).count();
    agreeing as f64 / found.inside.len() as f64
}

#[test]
fn a_part_is_found_whether_bright_or_dark() {
    for (part, background) in [(0.8, 0.2), (0.2, 0.8), (0.4, 0.5), (1.0, 0.0), (0.0, 1.0)] {
        let image = drawn(128, 160, |y, x| if in_disc(y, x) { part } else { background });
        let found = Foreground::estimate(&image);
        // Smoothing may move the outline by a pixel: 190 of 20480.
        assert!(agreement(&found, in_disc) > 0.99, "part {part} on {background}: {}", found.coverage());
    }
}

#[test]
fn noise_specks_and_holes_do_not_matter() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let image = drawn(128, 160, |y, x| {
        let speck = (10..14).contains(&y) && (10..14).contains(&x);
        let hole = (50..58).contains(&y) && (60..70).contains(&x);
        let part = (in_disc(y, x) && !hole) || speck;
        (if part { 0.7 } else { 0.3 }) + rng.random_range(-0.15..0.15)
    });
    let found = Foreground::estimate(&image);
    assert!(agreement(&found, in_disc) > 0.98, "{}", found.coverage());
    assert_eq!(found.inside[12 * 160 + 12], 0, "the speck is part of the part");
    assert_eq!(found.inside[54 * 160 + 65], 1, "the hole is not filled");
}

#[test]
fn a_soft_shadow_is_not_part_of_the_part() {
    let in_bar = |y: usize, x: usize| (40..80).contains(&y) && (20..140).contains(&x);
    let image = drawn(128, 160, |y, x| match y {
        _ if in_bar(y, x) => 0.2,
        80..120 if (20..140).contains(&x) => 0.4 + 0.4 * (y - 80) as f32 / 40.0,
        _ => 0.8,
    });
    assert!(agreement(&Foreground::estimate(&image), in_bar) > 0.98);
}

#[test]
fn a_faint_region_beside_the_part_is_not_part_of_it() {
    // As large as the part, but never clearly on its side of the threshold.
    let in_smudge = |y: usize, x: usize| (30..90).contains(&y) && (112..150).contains(&x);
    let image = drawn(128, 160, |y, x| match () {
        () if in_disc(y, x) => 0.9,
        () if in_smudge(y, x) => 0.2 + 0.36 * (y as f32 - 30.0) / 60.0,
        () => 0.2,
    });
    let found = Foreground::estimate(&image);
    assert!(agreement(&found, in_disc) > 0.98, "{}", found.coverage());
}

#[test]
fn pictures_without_a_part_count_as_everything() {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let mut other = ChaCha8Rng::seed_from_u64(6);
    let cases = [
        ("uniform noise", drawn(128, 128, |_, _| rng.random())),
        ("black and white noise", drawn(128, 128, |_, _| f32::from(u8::from(other.random::<bool>())))),
        ("constant", drawn(64, 64, |_, _| 0.5)),
        ("black", drawn(64, 64, |_, _| 0.0)),
        ("a ramp", drawn(64, 64, |_, x| x as f32 / 63.0)),
        ("two halves", drawn(64, 64, |_, x| if x < 32 { 0.2 } else { 0.8 })),
        ("stripes", drawn(64, 64, |y, _| if y / 4 % 2 == 0 { 0.2 } else { 0.8 })),
        ("a part too faint", drawn(128, 160, |y, x| if in_disc(y, x) { 0.52 } else { 0.5 })),
        ("a part too small", drawn(128, 160, |y, x| if y / 8 == 5 && x / 8 == 5 { 0.9 } else { 0.1 })),
        ("not numbers", drawn(16, 16, |_, _| f32::NAN)),
        ("one pixel", drawn(1, 1, |_, _| 0.3)),
        ("one row", drawn(1, 40, |_, x| if x == 20 { 1.0 } else { 0.0 })),
    ];
    for (name, image) in cases {
        let found = Foreground::estimate(&image);
        assert_eq!(found, Foreground::everything(image.height, image.width), "{name}: {}", found.coverage());
    }
}

#[test]
fn no_pixel_at_all_is_no_panic() {
    for (height, width) in [(0, 0), (0, 5), (5, 0)] {
        let image = InputImage { height, width, rgb_hwc: vec![] };
        assert!(Foreground::estimate(&image).inside.is_empty());
    }
}

#[test]
fn large_pictures_are_reduced_and_brought_back_to_size() {
    let inside = |y: usize, x: usize| (100..400).contains(&y) && (250..500).contains(&x);
    let found = Foreground::estimate(&drawn(517, 613, |y, x| if inside(y, x) { 0.9 } else { 0.2 }));
    assert_eq!((found.height, found.width, found.inside.len()), (517, 613, 517 * 613));
    // The outline is known to one block of 3 x 3.
    assert!(agreement(&found, inside) > 0.98);
}

#[test]
fn a_part_brought_along_is_taken_as_it_is() {
    let mask = Mask { height: 2, width: 3, defective: vec![0, 1, 1, 0, 0, 0] };
    let found = Foreground::from_mask(mask.clone());
    assert_eq!((found.height, found.width, &found.inside), (2, 3, &mask.defective));
    assert!((found.coverage() - 1.0 / 3.0).abs() < 1e-12);
    assert_eq!(Foreground::everything(4, 5).coverage(), 1.0);
}
