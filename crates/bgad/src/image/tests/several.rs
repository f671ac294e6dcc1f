//! Files of several pictures, and kinds of files that are not read.

use super::*;

#[test]
fn a_file_of_several_pictures_is_refused() {
    // Two pages of one pixel, by hand: the first directory points to the second.
    let page = tiff(1, 1, 8, 1, false, &[], &[7]);
    let tags = u16::from_le_bytes([page[8], page[9]]);
    let link = 8 + 2 + 12 * usize::from(tags);
    let second = |kind: u16| {
        let mut file = page.clone();
        file.extend([0; 2]);
        let at = file.len() as u32;
        file[link..link + 4].copy_from_slice(&at.to_le_bytes());
        // The same picture again, with the kind of page in front.
        file.extend((tags + 1).to_le_bytes());
        for value in [254u16, 3, 1, 0, kind, 0] {
            file.extend(value.to_le_bytes());
        }
        file.extend(&page[10..link]);
        file.extend([0; 4]);
        file
    };
    let found = problem(&second(0));
    assert!(matches!(&found, ImageProblem::Pages { found } if found == "2 pages"), "{found:?}");
    assert!(InputImage::decode(&second(1), size(1, 1)).is_ok(), "a smaller copy is no second picture");

    let mut animated = b"\x89PNG\r\n\x1a\n".to_vec();
    chunk(&mut animated, b"IHDR", &[0, 0, 0, 1, 0, 0, 0, 1, 8, 0, 0, 0, 0]);
    chunk(&mut animated, b"acTL", &[0, 0, 0, 2, 0, 0, 0, 0]);
    assert!(matches!(problem(&animated), ImageProblem::Pages { .. }));
    let mut webp = b"RIFF\x20\0\0\0WEBPVP8X\x0a\0\0\0\x02".to_vec();
    webp.extend([0; 20]);
    assert!(matches!(problem(&webp), ImageProblem::Pages { .. }));
}

/// A TIFF with a page of `side` pixels of kind `first`, and one of twice the side and of kind `below` in a directory below it.
fn tiff_with_a_page_below(side: u16, first: u16, below: u16) -> Vec<u8> {
    let directory = |side: u16, kind: u16, pixels: u32, more: &[[u16; 6]]| -> Vec<u8> {
        let entry = |tag: u16, value: u32| [tag, 4, 1, 0, value as u16, (value >> 16) as u16];
        let bytes = u32::from(side) * u32::from(side);
        let mut entries = vec![entry(254, kind.into()), entry(256, side.into()), entry(257, side.into())];
        entries.extend([entry(258, 8), entry(259, 1), entry(262, 1), entry(273, pixels), entry(277, 1)]);
        entries.extend([entry(278, side.into()), entry(279, bytes)]);
        entries.extend(more);
        let mut file = (entries.len() as u16).to_le_bytes().to_vec();
        file.extend(entries.concat().iter().flat_map(|value| value.to_le_bytes()));
        file.extend([0; 4]);
        file
    };
    // The header, the pixels of both, the directory below, the first directory.
    let pixels = usize::from(side) * usize::from(side) * 5;
    let lower = directory(2 * side, below, 8, &[]);
    let at = (8 + pixels) as u32;
    let upper = directory(side, first, 8, &[[330, 4, 1, 0, at as u16, (at >> 16) as u16]]);
    let start = at + lower.len() as u32;
    [b"II*\0", &start.to_le_bytes()[..], &vec![90; pixels], &lower, &upper].concat()
}

#[test]
fn pages_below_a_page_count_unless_they_are_copies() {
    let found = problem(&tiff_with_a_page_below(4, 1, 0));
    assert!(
        matches!(&found, ImageProblem::Pages { found } if found == "2 pages, the first a thumbnail"),
        "{found:?}"
    );
    let found = problem(&tiff_with_a_page_below(4, 0, 0));
    assert!(matches!(&found, ImageProblem::Pages { found } if found == "2 pages"), "{found:?}");
    let pyramid = tiff_with_a_page_below(4, 0, 1);
    assert!(InputImage::decode(&pyramid, size(4, 4)).is_ok(), "smaller copies of microscopes");
}

#[test]
fn channels_that_are_not_read_are_refused() {
    use tiff::encoder::{TiffEncoder, colortype::RGB8};
    use tiff::tags::ExtraSamples;
    let with = |extra: &[ExtraSamples]| {
        let mut bytes = Cursor::new(Vec::new());
        let mut file = TiffEncoder::new(&mut bytes).expect("a TIFF");
        let mut image = file.new_image::<RGB8>(2, 2).expect("an image");
        image.extra_samples(extra).expect("extra samples");
        image.write_data(&vec![9; 4 * (3 + extra.len())]).expect("pixels");
        bytes.into_inner()
    };
    assert!(InputImage::decode(&with(&[]), size(2, 2)).is_ok());
    assert!(InputImage::decode(&with(&[ExtraSamples::UnassociatedAlpha]), size(2, 2)).is_ok());
    for extra in
        [&[ExtraSamples::Unspecified][..], &[ExtraSamples::UnassociatedAlpha, ExtraSamples::Unspecified]]
    {
        let found = problem(&with(extra));
        let channels = format!("{} channels", 3 + extra.len());
        assert!(
            matches!(&found, ImageProblem::Unsupported { found } if found.contains(&channels)),
            "{found:?}"
        );
    }
}

#[test]
fn pictures_one_behind_the_other_are_refused() {
    let jpeg = |side: u32| {
        let mut bytes = Vec::new();
        JpegEncoder::new(&mut bytes).encode_image(&gradient(side, side)).unwrap();
        bytes
    };
    let whole = jpeg(40);
    for between in [&b""[..], b"\0\0\0\0", b"\xff\xff"] {
        let found = problem(&[&whole[..], between, &jpeg(40)].concat());
        assert!(matches!(found, ImageProblem::Pages { .. }), "{between:?}: {found:?}");
    }
    // Of any format, behind any other.
    let formats = [ImageFormat::Png, ImageFormat::Bmp, ImageFormat::WebP, ImageFormat::Pnm];
    for (first, second) in formats.iter().flat_map(|first| formats.map(|second| (*first, second))) {
        let whole = encode(gradient(40, 30), first);
        let found = problem(&[&whole[..], b"\0\0", &encode(gradient(40, 30), second)].concat());
        assert!(matches!(found, ImageProblem::Pages { .. }), "{first:?}, {second:?}: {found:?}");
        let preview = [&whole[..], b"\0", &encode(gradient(8, 6), ImageFormat::Png)].concat();
        assert!(InputImage::decode(&preview, size(40, 40)).is_ok(), "{first:?}");
    }
    // A preview or a camera's trailer behind the picture is no second one.
    for behind in [&jpeg(16)[..], b"\0\0\0", b"CAMTRAILER"] {
        assert!(InputImage::decode(&[&whole[..], behind].concat(), size(40, 40)).is_ok());
    }
    let grey = b"P5\n# made here\n2 1 255\n\x00\xff";
    for second in [&grey[..], b"\nP6 1 1 255\n\0\0\0"] {
        let found = problem(&[&grey[..], second].concat());
        assert!(matches!(found, ImageProblem::Pages { .. }), "{found:?}");
    }
    let numbers = b"P2\n# Plant 3\n2 1 255\n0 255\n";
    assert!(InputImage::decode(numbers, size(1, 2)).is_ok());
    assert!(matches!(problem(&numbers.repeat(2)), ImageProblem::Pages { .. }));
    for behind in [&b"\n"[..], b"made by a camera"] {
        assert!(InputImage::decode(&[&grey[..], behind].concat(), size(1, 2)).is_ok());
    }
}

#[test]
fn kinds_that_are_not_read_are_named_in_words() {
    let mut jpeg = Vec::new();
    JpegEncoder::new(&mut jpeg).encode_image(&gradient(16, 16)).unwrap();
    let frame = jpeg.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    let with = |at: usize, byte: u8| {
        let mut bytes = jpeg.clone();
        bytes[frame + at] = byte;
        problem(&bytes).to_string()
    };
    assert!(with(4, 12).ends_with("found: a JPEG of 12-bit samples"), "{}", with(4, 12));
    for (marker, kind) in
        [(0xc3, "a lossless JPEG"), (0xc6, "a hierarchical JPEG"), (0xc9, "a JPEG with arithmetic coding")]
    {
        assert!(with(1, marker).ends_with(kind), "{}", with(1, marker));
    }
    let grey = |bits: u16, float: bool| tiff(1, 1, bits, 1, float, &[], &[0; 8]);
    let mut zstd = grey(8, false);
    let compression = zstd.windows(2).position(|tag| tag == 259u16.to_le_bytes()).unwrap();
    zstd[compression + 8..compression + 10].copy_from_slice(&50000u16.to_le_bytes());
    for (bytes, kind) in [
        (grey(32, true), "a TIFF with 1 channel of floating-point 32-bit samples, grey, without compression"),
        (grey(32, false), "a TIFF with 1 channel of 32-bit samples, grey, without compression"),
        (grey(12, false), "a TIFF with 1 channel of 12-bit samples, grey, without compression"),
        (zstd, "a TIFF with 1 channel of 8-bit samples, grey, ZSTD compression"),
    ] {
        let found = problem(&bytes).to_string();
        assert!(found.ends_with(kind), "{found}");
    }
}

#[test]
fn a_second_tiff_behind_the_first_is_seen() {
    use tiff::encoder::{TiffEncoder, TiffKindBig, colortype::Gray8};
    let mut big = Cursor::new(Vec::new());
    let mut file = TiffEncoder::<_, TiffKindBig>::new_generic(&mut big).expect("a TIFF");
    file.write_image::<Gray8>(2, 2, &[1, 2, 3, 4]).expect("a page");
    for page in [tiff(2, 2, 8, 1, false, &[], &[1, 2, 3, 4]), big.into_inner()] {
        assert!(InputImage::decode(&page, size(2, 2)).is_ok());
        let found = problem(&[&page[..], &page].concat());
        assert!(matches!(&found, ImageProblem::Pages { found } if found.contains("behind")), "{found:?}");
        // A smaller one may be a preview, and noise is no picture.
        for harmless in [&tiff(1, 1, 8, 1, false, &[], &[1])[..], b"noise"] {
            assert!(InputImage::decode(&[&page[..], harmless].concat(), size(2, 2)).is_ok());
        }
    }
}

#[test]
fn a_stack_with_one_page_is_told_by_its_description() {
    use tiff::encoder::{TiffEncoder, colortype::Gray8};
    let described = |text: &str| {
        let mut bytes = Cursor::new(Vec::new());
        let mut file = TiffEncoder::new(&mut bytes).expect("a TIFF");
        let mut page = file.new_image::<Gray8>(2, 2).expect("a page");
        page.encoder().write_tag(tiff::tags::Tag::ImageDescription, text).expect("a tag");
        page.write_data(&[1, 2, 3, 4]).expect("its pixels");
        bytes.into_inner()
    };
    let found = problem(&described("ImageJ=1.54f\nimages=12\nslices=12\n"));
    assert!(matches!(&found, ImageProblem::Pages { found } if found == "a stack of 12 images"), "{found:?}");
    for one in ["ImageJ=1.54f\nimages=1\n", "ImageJ=1.54f\nmin=0\n", "images=12\n"] {
        assert!(InputImage::decode(&described(one), size(2, 2)).is_ok(), "{one}");
    }
}
