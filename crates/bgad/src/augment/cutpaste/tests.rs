//! Laws of pasting, on small drawn images.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::*;

const SIDE: usize = 32;

/// Hard-edged, without the recipe: what most laws are about.
fn cut_paste(
    source: &InputImage,
    mask: &Mask,
    image: &InputImage,
    foreground: &Foreground,
    rng: &mut ChaCha8Rng,
) -> Option<(InputImage, Mask)> {
    let made = super::cut_paste(source, mask, Host { image, foreground }, Blend::Hard, rng)?;
    Some((made.image, made.mask))
}

fn paste(
    source: &InputImage,
    mask: &Mask,
    image: &InputImage,
    foreground: &Foreground,
    rng: &mut ChaCha8Rng,
) -> Option<(InputImage, Mask)> {
    super::paste(source, mask, Host { image, foreground }, Blend::Hard, rng)
}

/// A picture in which every pixel of every `shift` differs from those of the others.
fn picture(height: usize, width: usize, shift: f32) -> InputImage {
    let n = height * width * 3;
    let rgb_hwc = (0..n).map(|i| 0.4 * (i * 7919 % n) as f32 / n as f32 + shift).collect();
    InputImage { height, width, rgb_hwc }
}

fn source() -> InputImage {
    picture(SIDE, SIDE, 0.5)
}

fn host() -> InputImage {
    picture(SIDE, SIDE, 0.01)
}

fn mask(height: usize, width: usize, defective: impl Fn(usize, usize) -> bool) -> Mask {
    let defective = (0..height * width).map(|i| u8::from(defective(i / width, i % width))).collect();
    Mask { height, width, defective }
}

/// A blob of 6 x 5 and another of 2 x 2.
fn blobs() -> Mask {
    mask(SIDE, SIDE, |y, x| ((5..11).contains(&y) && (7..12).contains(&x)) || (y / 2 == 10 && x / 2 == 10))
}

fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

fn area(mask: &Mask) -> usize {
    mask.defective.iter().filter(|&&pixel| pixel == 1).count()
}

/// Outside `pasted` the result is the host bit for bit; inside it is something else.
fn assert_only_the_mask_changed(result: &InputImage, pasted: &Mask, host: &InputImage) {
    assert_eq!(
        (result.height, result.width, pasted.height, pasted.width),
        (host.height, host.width, host.height, host.width)
    );
    assert_eq!(result.rgb_hwc.len(), host.rgb_hwc.len());
    for (i, &pixel) in pasted.defective.iter().enumerate() {
        let same = result.rgb_hwc[i * 3..][..3]
            .iter()
            .zip(&host.rgb_hwc[i * 3..][..3])
            .all(|(a, b)| a.to_bits() == b.to_bits());
        assert!(pixel <= 1);
        assert_eq!(same, pixel == 0, "pixel {i}");
    }
}

#[test]
fn the_result_differs_from_the_host_where_the_mask_says_and_nowhere_else() {
    for (height, width) in [(SIDE, SIDE), (20, 33), (40, 17)] {
        let (source, host) = (picture(height, width, 0.5), picture(height, width, 0.01));
        let middle = mask(height, width, |y, x| y.abs_diff(height / 2) < 4 && x.abs_diff(width / 2) < 3);
        let everything = Foreground::everything(height, width);
        let corner = Foreground::from_mask(mask(height, width, |y, x| y < height / 3 && x < width / 3));
        for seed in 0..60 {
            for foreground in [&everything, &corner] {
                let (result, pasted) =
                    cut_paste(&source, &middle, &host, foreground, &mut rng(seed)).expect("nothing pasted");
                assert!(!pasted.is_clean());
                assert_only_the_mask_changed(&result, &pasted, &host);
            }
        }
    }
}

#[test]
fn one_seed_gives_one_result_and_another_seed_another() {
    let draw =
        |seed| cut_paste(&source(), &blobs(), &host(), &Foreground::everything(SIDE, SIDE), &mut rng(seed));
    let results: Vec<_> = (0..10).map(draw).collect();
    for (seed, result) in results.iter().enumerate() {
        assert_eq!(*result, draw(seed as u64));
        assert!(results[..seed].iter().all(|earlier| earlier != result), "seed {seed} repeats another");
    }
}

#[test]
fn no_defect_or_no_part_is_nothing_to_paste() {
    let everything = Foreground::everything(SIDE, SIDE);
    let clean = Mask::clean(host().size());
    assert_eq!(cut_paste(&source(), &clean, &host(), &everything, &mut rng(0)), None);
    assert_eq!(paste(&source(), &clean, &host(), &everything, &mut rng(0)), None);
    let no_part = Foreground::from_mask(clean);
    assert_eq!(cut_paste(&source(), &blobs(), &host(), &no_part, &mut rng(0)), None);
}

#[test]
fn a_defect_of_one_pixel_is_pasted_or_reported_as_lost() {
    let everything = Foreground::everything(SIDE, SIDE);
    let one = mask(SIDE, SIDE, |y, x| (y, x) == (14, 17));
    let mut pasted_times = 0;
    for seed in 0..100 {
        if let Some((result, pasted)) = cut_paste(&source(), &one, &host(), &everything, &mut rng(seed)) {
            assert!((1..=4).contains(&area(&pasted)), "{}", area(&pasted));
            assert_only_the_mask_changed(&result, &pasted, &host());
            pasted_times += 1;
        }
    }
    assert!(pasted_times >= 80, "{pasted_times}");
}

#[test]
fn a_defect_as_large_as_the_image_works() {
    let all = mask(SIDE, SIDE, |_, _| true);
    let small_part = Foreground::from_mask(mask(SIDE, SIDE, |y, x| y < 4 && x < 4));
    for foreground in [Foreground::everything(SIDE, SIDE), small_part] {
        for seed in 0..40 {
            let (result, pasted) = cut_paste(&source(), &all, &host(), &foreground, &mut rng(seed)).unwrap();
            assert!(area(&pasted) > SIDE * SIDE / 2);
            assert_only_the_mask_changed(&result, &pasted, &host());
        }
    }
    let one = InputImage { height: 1, width: 1, rgb_hwc: vec![0.9; 3] };
    let dark = InputImage { height: 1, width: 1, rgb_hwc: vec![0.1; 3] };
    let full = mask(1, 1, |_, _| true);
    let found = paste(&one, &full, &dark, &Foreground::everything(1, 1), &mut rng(0));
    assert_eq!(found, Some((one, full)));
}

#[test]
fn two_thirds_on_the_part_stay_and_less_moves() {
    // A bar of 6 pixels; the part begins at column `from`.
    let bar = mask(SIDE, SIDE, |y, x| y == 8 && (10..16).contains(&x));
    let part_from =
        |from: usize| Foreground::from_mask(mask(SIDE, SIDE, |y, x| x >= from && (4..28).contains(&y)));
    let stays = |from| {
        (0..20)
            .all(|seed| paste(&source(), &bar, &host(), &part_from(from), &mut rng(seed)).unwrap().1 == bar)
    };
    assert!(stays(0));
    assert!(stays(12), "4 of 6 on the part");
    assert!(!stays(13), "3 of 6 on the part");
    assert!(!stays(20));
}

#[test]
fn moved_regions_keep_their_shape_and_pixels_and_land_on_the_part() {
    let part = mask(SIDE, SIDE, |y, x| (18..30).contains(&y) && (14..31).contains(&x));
    let foreground = Foreground::from_mask(part.clone());
    let source = source();
    let defect = mask(SIDE, SIDE, |y, x| (2..7).contains(&y) && (3..6).contains(&x) && (y, x) != (4, 4));
    let mut places = std::collections::HashSet::new();
    for seed in 0..50 {
        let (result, pasted) = paste(&source, &defect, &host(), &foreground, &mut rng(seed)).unwrap();
        assert_only_the_mask_changed(&result, &pasted, &host());
        assert_eq!(area(&pasted), area(&defect));
        // Eight tries for a region of 5 x 3 on a part of 12 x 17 nearly always find a place that holds all of it.
        let on_part =
            pasted.defective.iter().zip(&part.defective).filter(|(a, b)| **a == 1 && **b == 1).count();
        assert!(on_part * 3 >= area(&defect) * 2, "{on_part}");
        let first = |mask: &Mask| mask.defective.iter().position(|&pixel| pixel == 1).unwrap();
        let offset = first(&pasted) - first(&defect);
        for (i, _) in defect.defective.iter().enumerate().filter(|(_, pixel)| **pixel == 1) {
            assert_eq!(pasted.defective[i + offset], 1);
            assert_eq!(result.rgb_hwc[(i + offset) * 3..][..3], source.rgb_hwc[i * 3..][..3]);
        }
        places.insert(offset);
    }
    assert!(places.len() > 20, "only {} places in 50 draws", places.len());
}

#[test]
fn regions_move_apart() {
    let part = Foreground::from_mask(mask(SIDE, SIDE, |y, _| y >= 16));
    let two = mask(SIDE, SIDE, |y, x| y == 3 && (x == 4 || x == 9));
    let gaps: std::collections::HashSet<_> = (0..30)
        .map(|seed| {
            let (_, pasted) = paste(&source(), &two, &host(), &part, &mut rng(seed)).unwrap();
            assert!(pasted.defective[..16 * SIDE].iter().all(|&pixel| pixel == 0));
            let places: Vec<usize> = indices(&pasted.defective).collect();
            places.last().unwrap() - places[0]
        })
        .collect();
    assert!(gaps.len() > 10, "the two regions keep their distance");
}

#[test]
fn a_region_that_fits_nowhere_on_the_part_stays_within_the_picture() {
    let edge = Foreground::from_mask(mask(SIDE, SIDE, |y, x| y + 1 == SIDE && x + 1 == SIDE));
    let tall = mask(SIDE, SIDE, |y, x| y < 20 && (2..5).contains(&x));
    for seed in 0..10 {
        let (_, pasted) = paste(&source(), &tall, &host(), &edge, &mut rng(seed)).unwrap();
        assert_eq!(pasted, mask(SIDE, SIDE, |y, x| y >= 12 && x >= 29));
    }
}

#[test]
fn blended_pastes_change_nothing_outside_the_mask_either() {
    let part = Foreground::from_mask(mask(SIDE, SIDE, |y, x| y >= 14 && x >= 12));
    for foreground in [Foreground::everything(SIDE, SIDE), part] {
        for blend in Blend::ALL {
            for seed in 0..20 {
                let (image, host_foreground) = (host(), &foreground);
                let on = Host { image: &image, foreground: host_foreground };
                let made = super::cut_paste(&source(), &blobs(), on, blend, &mut rng(seed)).unwrap();
                let outside = (0..SIDE * SIDE).filter(|&i| made.mask.defective[i] == 0);
                for i in outside {
                    assert_eq!(made.image.rgb_hwc[i * 3..][..3], image.rgb_hwc[i * 3..][..3], "{blend} {i}");
                }
                // The same seed lands in the same place, whatever the blend.
                let hard = super::cut_paste(&source(), &blobs(), on, Blend::Hard, &mut rng(seed)).unwrap();
                assert_eq!((made.mask, &made.recipe), (hard.mask, &hard.recipe));
            }
        }
    }
}

#[test]
fn a_moved_defect_takes_its_surroundings_along_for_poisson() {
    // A dark spot on bright ground, moved onto dark ground: still darker than what is around it.
    let ground = |value: f32| InputImage { height: SIDE, width: SIDE, rgb_hwc: vec![value; SIDE * SIDE * 3] };
    let spot = mask(SIDE, SIDE, |y, x| (2..6).contains(&y) && (2..6).contains(&x));
    let mut source = ground(0.9);
    indices(&spot.defective).for_each(|i| source.rgb_hwc[i * 3..][..3].fill(0.7));
    let part = Foreground::from_mask(mask(SIDE, SIDE, |y, x| y >= 16 && x >= 16));
    let host = ground(0.5);
    let on = Host { image: &host, foreground: &part };
    let (result, pasted) = super::paste(&source, &spot, on, Blend::Poisson, &mut rng(1)).unwrap();
    for i in indices(&pasted.defective) {
        assert!((result.rgb_hwc[i * 3] - 0.3).abs() < 0.01, "{}", result.rgb_hwc[i * 3]);
    }
}

#[test]
fn a_defect_that_poisson_makes_vanish_keeps_its_edge() {
    // The mask ends inside the dark, so there is no edge left to tell it from the bright host.
    let ground = |value: f32| InputImage { height: SIDE, width: SIDE, rgb_hwc: vec![value; SIDE * SIDE * 3] };
    let (dark, host) = (ground(0.1), ground(0.8));
    let inner = mask(SIDE, SIDE, |y, x| (8..16).contains(&y) && (8..16).contains(&x));
    let everything = Foreground::everything(SIDE, SIDE);
    let on = Host { image: &host, foreground: &everything };
    let poisson = |source: &InputImage| {
        super::paste(source, &inner, on, Blend::Poisson, &mut rng(0)).expect("there is a defect").0
    };
    assert_eq!(poisson(&dark), super::paste(&dark, &inner, on, Blend::Hard, &mut rng(0)).unwrap().0);
    // One with its edge under the mask is blended: darker than the host by what it is darker than its surroundings.
    let mut spot = ground(0.4);
    let core = mask(SIDE, SIDE, |y, x| (9..15).contains(&y) && (9..15).contains(&x));
    indices(&core.defective).for_each(|i| spot.rgb_hwc[i * 3..][..3].fill(0.1));
    let found = poisson(&spot).rgb_hwc[(12 * SIDE + 12) * 3];
    assert!((found - 0.5).abs() < 0.01, "{found}");
}

#[test]
#[should_panic(expected = "source and host must have one size")]
fn a_host_of_another_size_is_refused() {
    let small = picture(8, 8, 0.0);
    cut_paste(&source(), &blobs(), &small, &Foreground::everything(8, 8), &mut rng(0));
}
