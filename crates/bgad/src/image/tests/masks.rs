//! Masks: what marks, where, and of which image.

use super::*;

#[test]
fn masks_of_any_type_mark_what_is_above_zero() {
    let folder = Folder::new();
    let images: Vec<(&str, DynamicImage)> = vec![
        ("255", ImageBuffer::from_fn(4, 1, |x, _| Luma([255 * u8::from(x == 2)])).into()),
        ("1", ImageBuffer::from_fn(4, 1, |x, _| Luma([u8::from(x == 2)])).into()),
        ("one channel", ImageBuffer::from_fn(4, 1, |x, _| Rgb([0, 0, u8::from(x == 2)])).into()),
        ("alpha is no defect", ImageBuffer::from_fn(4, 1, |x, _| Rgba([u8::from(x == 2), 0, 0, 255])).into()),
        ("LA", ImageBuffer::from_fn(4, 1, |x, _| ::image::LumaA([u8::from(x == 2), 255])).into()),
        ("16 bit", ImageBuffer::from_fn(4, 1, |x, _| Luma([u16::from(x == 2)])).into()),
        ("RGB16", ImageBuffer::from_fn(4, 1, |x, _| Rgb([u16::from(x == 2), 0, 0])).into()),
        ("RGBA16", ImageBuffer::from_fn(4, 1, |x, _| Rgba([0, 0, u16::from(x == 2), 7])).into()),
    ];
    for (name, image) in images {
        let path = folder.write("mask.png", &png(image));
        let mask = Mask::load(&path, size(1, 4), None).unwrap();
        assert_eq!(mask.defective, [0, 0, 1, 0], "{name}");
        assert!(!mask.is_clean());
    }
    assert!(Mask::clean(size(3, 2)).is_clean());
}

#[test]
fn masks_are_sampled_at_pixel_centres() {
    // Pillow, NEAREST: 5 -> 3 takes columns 0, 2, 4; 3 -> 5 takes 0, 0, 1, 2, 2; 4 -> 2 takes 1, 3.
    let table: [(u32, usize, &[usize]); 5] =
        [(5, 3, &[0, 2, 4]), (3, 5, &[0, 0, 1, 2, 2]), (4, 2, &[1, 3]), (1, 3, &[0, 0, 0]), (7, 1, &[3])];
    for (from, to, columns) in table {
        for column in 0..from {
            let image = DynamicImage::from(GrayImage::from_fn(from, 1, |x, _| Luma([u8::from(x == column)])));
            let expected: Vec<u8> = columns.iter().map(|&c| u8::from(c == column as usize)).collect();
            assert_eq!(Mask::from_decoded(&image, size(1, to)).defective, expected, "{from} -> {to}");
        }
    }
}

#[test]
fn a_mask_of_another_size_names_both_files_and_sizes() {
    let folder = Folder::new();
    let path = folder.write("007_mask.png", &png(GrayImage::new(10, 8)));
    let image = Path::new("bad/007.png");
    let right = OriginalSize { height: 8, width: 10 };
    assert!(Mask::load(&path, size(4, 4), Some((image, right))).is_ok());

    let wrong = OriginalSize { height: 10, width: 8 };
    let error = Mask::load(&path, size(4, 4), Some((image, wrong))).unwrap_err().to_string();
    for part in ["007_mask.png", "bad/007.png", "8x10", "10x8"] {
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn a_broken_mask_is_named() {
    let folder = Folder::new();
    let path = folder.write("000_mask.png", b"none");
    let error = Mask::load(&path, size(4, 4), None).unwrap_err();
    assert!(error.to_string().contains("000_mask.png"), "{error}");
}

#[test]
fn masks_of_jpegs_and_of_transparent_layers() {
    let folder = Folder::new();
    let square = |x: u32, y: u32| (11..21).contains(&x) && (11..21).contains(&y);
    let grey = GrayImage::from_fn(32, 32, |x, y| Luma([255 * u8::from(square(x, y))]));
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, 60).encode_image(&grey).unwrap();
    let above_zero = decode(&jpeg).unwrap().to_luma8().pixels().filter(|pixel| pixel.0[0] > 0).count();
    assert!(above_zero > 150, "the edges of this JPEG ring: {above_zero}");
    let mask = Mask::load(&folder.write("a.jpg", &jpeg), size(32, 32), None).unwrap();
    let marked = mask.defective.iter().filter(|pixel| **pixel > 0).count();
    assert!((90..=110).contains(&marked), "{marked}");

    let layer = |colour: u8| {
        let alpha = |x, y| 255 * u8::from(square(x, y));
        ::image::RgbaImage::from_fn(32, 32, |x, y| Rgba([colour, colour, colour, alpha(x, y)]))
    };
    let want = Mask::from_decoded(&grey.into(), size(32, 32));
    for (name, bytes) in [("b.png", png(layer(0))), ("c.png", png(layer(255)))] {
        let mask = Mask::load(&folder.write(name, &bytes), size(32, 32), None).unwrap();
        assert_eq!(mask, want, "{name}");
    }
}

#[test]
fn a_mask_drawn_before_exif_turned_its_image_says_so() {
    let folder = Folder::new();
    let exif = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0".to_vec();
    let mut bytes = Vec::new();
    let mut encoder = JpegEncoder::new_with_quality(&mut bytes, 95);
    encoder.set_exif_metadata(exif).unwrap();
    encoder.write_image(&gradient(32, 16), 32, 16, ExtendedColorType::Rgb8).unwrap();
    let image = folder.write("a.jpg", &bytes);
    let original = super::size_of(&image).unwrap();
    assert_eq!(original, OriginalSize { height: 32, width: 16 });
    let mask = folder.write("a.png", &png(GrayImage::new(32, 16)));
    let error = Mask::load(&mask, size(4, 4), Some((&image, original))).unwrap_err().to_string();
    assert!(error.contains("EXIF rotation") && error.contains("turn the mask as the image"), "{error}");
}
