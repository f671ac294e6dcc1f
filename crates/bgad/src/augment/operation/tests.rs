//! Laws of the operations: what undoes what, what may touch what.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::*;

/// A picture in which every pixel differs, and a mask with a blob and a single pixel.
fn sample(height: usize, width: usize) -> (InputImage, Mask) {
    let n = height * width;
    let rgb_hwc = (0..n * 3).map(|i| (i * 7919 % (n * 3)) as f32 / (n * 3) as f32).collect();
    let blob = |y: usize, x: usize| y >= height / 3 && y < height / 2 && x >= width / 4 && x < width / 2;
    let defective = (0..n).map(|i| u8::from(blob(i / width, i % width) || i == 2 * width / 3)).collect();
    (InputImage { height, width, rgb_hwc }, Mask { height, width, defective })
}

fn area(mask: &Mask) -> usize {
    mask.defective.iter().filter(|&&pixel| pixel == 1).count()
}

fn applied(operations: &[Operation], (image, mask): &(InputImage, Mask)) -> (InputImage, Mask) {
    operations.iter().fold((image.clone(), mask.clone()), |(image, mask), op| op.apply(&image, &mask))
}

const RIGID: [Operation; 6] = [
    Operation::Rotate90 { turns: 1 },
    Operation::Rotate90 { turns: 2 },
    Operation::Rotate90 { turns: 3 },
    Operation::FlipHorizontal,
    Operation::FlipVertical,
    Operation::Transpose,
];

/// Every family, several times, in every order that the seeds give.
fn many() -> Vec<Operation> {
    (0..40)
        .flat_map(|seed| Operation::draw_distinct(&mut ChaCha8Rng::seed_from_u64(seed), Operation::FAMILIES))
        .collect()
}

#[test]
fn what_is_done_twice_or_four_times_is_undone() {
    use Operation::*;
    for (height, width) in [(12, 12), (13, 13), (1, 1)] {
        let start = sample(height, width);
        for twice in [FlipHorizontal, FlipVertical, Transpose, Rotate90 { turns: 2 }] {
            assert_eq!(applied(&[twice; 2], &start), start, "{twice:?}");
        }
        assert_eq!(applied(&[Rotate90 { turns: 1 }; 4], &start), start);
        assert_eq!(applied(&[Rotate90 { turns: 1 }, Rotate90 { turns: 3 }], &start), start);
        // A quarter turn against the clock is a transposition and then top for bottom.
        assert_eq!(applied(&[Transpose, FlipVertical], &start), applied(&[Rotate90 { turns: 1 }], &start));
    }
    let oblong = sample(9, 20);
    for twice in [FlipHorizontal, FlipVertical, Rotate90 { turns: 2 }] {
        assert_eq!(applied(&[twice; 2], &oblong), oblong, "{twice:?}");
    }
}

#[test]
fn rigid_operations_keep_the_area_of_the_mask_and_every_value() {
    let start = sample(12, 12);
    let sorted = |image: &InputImage| {
        let mut values = image.rgb_hwc.clone();
        values.sort_by(f32::total_cmp);
        values
    };
    for operation in RIGID {
        let (image, mask) = applied(&[operation], &start);
        assert_eq!(area(&mask), area(&start.1), "{operation:?}");
        assert_eq!(sorted(&image), sorted(&start.0), "{operation:?}");
    }
}

#[test]
fn a_quarter_turn_goes_against_the_clock_by_hand() {
    let image = |values: [f32; 4]| InputImage {
        height: 2,
        width: 2,
        rgb_hwc: values.iter().flat_map(|value| [*value; 3]).collect(),
    };
    let mask = |defective: [u8; 4]| Mask { height: 2, width: 2, defective: defective.to_vec() };
    let found = Operation::Rotate90 { turns: 1 }.apply(&image([0.1, 0.2, 0.3, 0.4]), &mask([0, 1, 0, 0]));
    assert_eq!(found, (image([0.2, 0.4, 0.1, 0.3]), mask([1, 0, 0, 0])));
    // The free rotation turns the same way.
    let start = sample(15, 15);
    let turn = Operation::ShiftScaleRotate { shift_y: 0.0, shift_x: 0.0, scale: 1.0, degrees: 90.0 };
    let (turned, expected) = (applied(&[turn], &start), applied(&[Operation::Rotate90 { turns: 1 }], &start));
    assert_eq!(turned.1, expected.1);
    // Ninety degrees in f32 are off by 4e-8 radians, so by 1e-6 of a pixel, times the step between neighbours.
    assert!(turned.0.rgb_hwc.iter().zip(&expected.0.rgb_hwc).all(|(a, b)| (a - b).abs() < 1e-5));
}

#[test]
fn an_oblong_canvas_keeps_its_size_and_its_middle() {
    for (height, width) in [(8, 20), (21, 6), (7, 10), (1, 9)] {
        let mut start = sample(height, width);
        start.1.defective.fill(0);
        start.1.defective[height / 2 * width + width / 2] = 1;
        for operation in RIGID {
            let (image, mask) = applied(&[operation], &start);
            assert_eq!((image.height, image.width, mask.height, mask.width), (height, width, height, width));
            assert_eq!(image.rgb_hwc.len(), start.0.rgb_hwc.len());
            let place = mask.defective.iter().position(|&pixel| pixel == 1);
            let place = place.unwrap_or_else(|| panic!("{operation:?} lost the middle of {height}x{width}"));
            // The pixel under the mask is the one that was marked.
            let marked = (height / 2 * width + width / 2) * 3;
            assert_eq!(image.rgb_hwc[place * 3..][..3], start.0.rgb_hwc[marked..][..3], "{operation:?}");
        }
    }
}

#[test]
fn shift_scale_rotate_by_nothing_is_nothing_and_by_pixels_is_exact() {
    let start = sample(10, 16);
    let of = |shift_y, shift_x, scale| Operation::ShiftScaleRotate { shift_y, shift_x, scale, degrees: 0.0 };
    assert_eq!(applied(&[of(0.0, 0.0, 1.0)], &start), start);

    let (image, mask) = applied(&[of(0.1, 0.125, 1.0)], &start); // 1 down, 2 right
    for y in 1..10 {
        for x in 2..16 {
            let (to, from) = (y * 16 + x, (y - 1) * 16 + x - 2);
            assert_eq!(mask.defective[to], start.1.defective[from]);
            assert_eq!(image.rgb_hwc[to * 3..][..3], start.0.rgb_hwc[from * 3..][..3]);
        }
    }
    assert!((0..16).all(|x| mask.defective[x] == 0), "the mask was reflected");

    let square = sample(48, 48);
    let doubled = applied(&[of(0.0, 0.0, 2.0)], &square).1;
    let blob = 48usize.pow(2) / 24; // the blob of `sample`, wholly within the middle half
    assert!(area(&doubled).abs_diff(4 * blob) <= 40, "{} from {blob}", area(&doubled)); // half an outline
}

#[test]
fn distortions_of_no_strength_are_nothing() {
    use Operation::*;
    for (height, width) in [(12, 19), (1, 7), (5, 1)] {
        let start = sample(height, width);
        for none in [
            OpticalDistortion { k: 0.0 },
            GridDistortion { rows: [0.0; 5], columns: [0.0; 5] },
            ElasticDistortion { amplitude: 0.0, cell: 0.2, seed: 3 },
        ] {
            assert_eq!(applied(&[none], &start), start, "{none:?}");
        }
    }
}

#[test]
fn distortions_move_the_mask_with_its_pixels() {
    use Operation::*;
    // The defect is the only thing that is white, so wherever the mask went, white must have gone.
    let side = 96;
    let blob = |i: usize| (55..72).contains(&(i / side)) && (20..50).contains(&(i % side));
    let mask =
        Mask { height: side, width: side, defective: (0..side * side).map(|i| u8::from(blob(i))).collect() };
    let rgb_hwc = (0..side * side).flat_map(|i| [f32::from(u8::from(blob(i))); 3]).collect();
    let start = (InputImage { height: side, width: side, rgb_hwc }, mask);
    for operation in [
        OpticalDistortion { k: 0.5 },
        OpticalDistortion { k: -0.5 },
        GridDistortion { rows: [0.3, -0.3, 0.2, 0.0, -0.1], columns: [-0.3, 0.1, 0.3, -0.2, 0.3] },
        ElasticDistortion { amplitude: 0.04, cell: 0.2, seed: 5 },
        ShiftScaleRotate { shift_y: 0.05, shift_x: -0.05, scale: 1.1, degrees: 30.0 },
    ] {
        let (image, mask) = applied(&[operation], &start);
        assert!(mask != start.1, "{operation:?}");
        for (rgb, defective) in image.rgb_hwc.as_chunks::<3>().0.iter().zip(&mask.defective) {
            // Bilinear against nearest: they part at one half.
            assert!(if *defective == 1 { rgb[0] >= 0.25 } else { rgb[0] <= 0.75 }, "{operation:?} {rgb:?}");
        }
    }
}

#[test]
fn values_and_masks_stay_in_range_and_grey_stays_grey() {
    let start = sample(24, 24);
    let mut grey = start.clone();
    grey.0.rgb_hwc.as_chunks_mut::<3>().0.iter_mut().for_each(|rgb| *rgb = [rgb[0]; 3]);
    for operation in many() {
        let (image, mask) = applied(&[operation], &start);
        assert!(image.rgb_hwc.iter().all(|value| (0.0..=1.0).contains(value)), "{operation:?}");
        assert!(mask.defective.iter().all(|&pixel| pixel <= 1), "{operation:?}");
        let (image, _) = applied(&[operation], &grey);
        let is_grey = |[r, g, b]: &[f32; 3]| r == g && g == b;
        assert!(image.rgb_hwc.as_chunks::<3>().0.iter().all(is_grey), "{operation:?}");
    }
}

#[test]
fn colour_noise_and_blur_change_the_image_and_never_the_mask() {
    use Operation::*;
    let start = sample(16, 16);
    for operation in many() {
        let moves = matches!(
            operation,
            Rotate90 { .. }
                | FlipHorizontal
                | FlipVertical
                | Transpose
                | ShiftScaleRotate { .. }
                | OpticalDistortion { .. }
                | GridDistortion { .. }
                | ElasticDistortion { .. }
        );
        if !moves {
            let (image, mask) = applied(&[operation], &start);
            assert_eq!(mask, start.1, "{operation:?}");
            assert_ne!(image, start.0, "{operation:?}");
        }
    }
}

#[test]
fn noise_has_the_strength_it_says() {
    let image = InputImage { height: 100, width: 100, rgb_hwc: vec![0.5; 30_000] };
    let noisy = applied(
        &[Operation::GaussianNoise { std: 0.02, seed: 1 }],
        &(image.clone(), Mask::clean(image.size())),
    )
    .0;
    let n = 10_000.0;
    let differences: Vec<f64> = noisy.rgb_hwc.iter().step_by(3).map(|x| f64::from(*x) - 0.5).collect();
    let mean = differences.iter().sum::<f64>() / n;
    let std = (differences.iter().map(|d| d * d).sum::<f64>() / n).sqrt();
    // Five standard errors: 0.02 / 100 of the mean, 0.02 / 141 of the deviation.
    assert!(mean.abs() < 1e-3 && (std - 0.02).abs() < 7.1e-4, "{mean} {std}");
}

#[test]
fn drawn_operations_are_of_distinct_kinds_and_follow_the_seed() {
    let kinds = |operations: &[Operation]| -> Vec<_> {
        use Operation::*;
        let kind = |operation: &Operation| match operation {
            Rotate90 { .. } => 0,
            FlipHorizontal | FlipVertical => 1,
            Transpose => 2,
            OpticalDistortion { .. } => 3,
            GaussianNoise { .. } => 4,
            MotionBlur { .. } | MedianBlur { .. } | BoxBlur { .. } => 5,
            ShiftScaleRotate { .. } => 6,
            GridDistortion { .. } | ElasticDistortion { .. } => 7,
            Clahe { .. } | Sharpen { .. } | Emboss { .. } | BrightnessContrast { .. } => 8,
            HueSaturationValue { .. } => 9,
        };
        operations.iter().map(kind).collect()
    };
    let mut seen = std::collections::HashSet::new();
    let mut variants = std::collections::HashSet::new();
    for seed in 0..200 {
        let drawn = Operation::draw_distinct(&mut ChaCha8Rng::seed_from_u64(seed), 3);
        assert_eq!(drawn, Operation::draw_distinct(&mut ChaCha8Rng::seed_from_u64(seed), 3));
        let kinds = kinds(&drawn);
        assert!(kinds[0] != kinds[1] && kinds[0] != kinds[2] && kinds[1] != kinds[2], "{drawn:?}");
        seen.extend(kinds);
        variants.extend(drawn.iter().map(std::mem::discriminant));
    }
    assert_eq!(variants.len(), 17, "a variant is never drawn");
    assert_eq!(seen.len(), Operation::FAMILIES, "a kind is never drawn");
    assert!(Operation::draw_distinct(&mut ChaCha8Rng::seed_from_u64(0), 0).is_empty());
}

#[test]
#[should_panic(expected = "at most 10 distinct operations, got 11")]
fn more_operations_than_kinds_are_refused() {
    Operation::draw_distinct(&mut ChaCha8Rng::seed_from_u64(0), Operation::FAMILIES + 1);
}

#[test]
#[should_panic(expected = "image and mask must have one size")]
fn a_mask_of_another_size_is_refused() {
    let (image, _) = sample(4, 4);
    Operation::FlipVertical.apply(&image, &sample(4, 5).1);
}
