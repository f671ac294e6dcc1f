//! JPEGs of our own making, whole and damaged in the ways of cameras, cards and networks.

use ::image::codecs::jpeg::JpegEncoder;
use ::image::{ExtendedColorType, ImageEncoder, RgbImage};

use super::*;

/// A picture with structure everywhere, so that no part of its data is like another.
fn whole(width: u32, height: u32) -> Vec<u8> {
    let noise = |x: u32, y: u32| (x.wrapping_mul(2_654_435_761) ^ y.wrapping_mul(40_503)).rotate_left(9) % 97;
    let picture = RgbImage::from_fn(width, height, |x, y| {
        ::image::Rgb([(x * 3 % 200) as u8, (60 + y % 120) as u8, (40 + noise(x, y)) as u8])
    });
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, 90)
        .write_image(&picture, width, height, ExtendedColorType::Rgb8)
        .expect("encoded");
    bytes
}

/// Where the data of the first scan begin.
fn data(bytes: &[u8]) -> usize {
    bytes.windows(2).position(|pair| pair == [0xff, 0xda]).expect("a scan") + 14
}

#[test]
fn whole_pictures_pass_with_and_without_their_end_marker() {
    for (width, height) in [(1, 1), (8, 8), (17, 9), (200, 133), (512, 256)] {
        let bytes = whole(width, height);
        let end = bytes.len() - 2;
        assert_eq!(check(&bytes), Ok(Whole { end, marked: true }), "{width}x{height}");
        assert_eq!(check(&bytes[..end]), Ok(Whole { end, marked: false }), "{width}x{height}");
        let trailer = [&bytes[..end], &[0; 40], b"CAMTRAILER"].concat();
        assert_eq!(check(&trailer), Ok(Whole { end, marked: false }));
        let junk = [bytes.as_slice(), &[0; 1000], &bytes].concat();
        assert_eq!(check(&junk), Ok(Whole { end, marked: true }));
        let between = [&bytes[..2], &[0, 0], &bytes[2..]].concat();
        assert!(check(&between).is_ok(), "bytes between the segments of the header");
    }
}

#[test]
fn data_that_are_cut_holed_or_overwritten_do_not_pass() {
    let bytes = whole(400, 300);
    let (start, end) = (data(&bytes), bytes.len() - 2);
    let at = |tenths: usize| start + (end - start) * tenths / 10;
    for tenths in 0..10 {
        let cut = &bytes[..at(tenths)];
        assert_eq!(check(&[cut, &[0xff, 0xd9]].concat()), Err(Flaw::Ends), "cut after {tenths} tenths");
        assert_eq!(check(cut), Err(Flaw::Ends), "cut after {tenths} tenths, without an end marker");
    }
    for tenths in 1..9 {
        let holed = [&bytes[..at(tenths)], &bytes[at(tenths + 1)..]].concat();
        assert!(check(&holed).is_err(), "a hole after {tenths} tenths");
        let mut zeros = bytes.clone();
        zeros[at(tenths)..at(tenths + 1)].fill(0);
        assert!(check(&zeros).is_err(), "zeros after {tenths} tenths");
    }
    // Of single flipped bits those are found that leave later blocks out of step: about a quarter.
    let found = (0..200).filter(|i| {
        let mut flipped = bytes.clone();
        flipped[start + (end - start) * i / 200] ^= 0x10;
        check(&flipped).is_err()
    });
    let found = found.count();
    assert!(found > 40, "{found} of 200");
}

/// Progressive data are rare in encoders: this one is 16 x 8, grey, with two bits of means and of one coefficient refined.
#[test]
fn progressive_scans_are_read_to_their_last_bit() {
    let bytes = progressive_picture(true);
    let end = bytes.len() - 2;
    assert_eq!(check(&bytes), Ok(Whole { end, marked: true }));
    assert_eq!(check(&bytes[..end]), Ok(Whole { end, marked: false }));
    // Without its last scan it is a picture, but not all of it was sent; nobody can tell that more was to come.
    let short = progressive_picture(false);
    assert!(check(&short).is_ok());
    assert_eq!(check(&short[..short.len() - 2]), Err(Flaw::Ends));
    assert!(check(&[&bytes[..end - 1], &[0xff, 0xd9]].concat()).is_err(), "a byte less");
    // Our decoder reads the same.
    assert!(crate::image::decode(&bytes).is_ok());
}

fn progressive_picture(last: bool) -> Vec<u8> {
    fn segment(marker: u8, data: &[u8]) -> Vec<u8> {
        [&[0xff, marker][..], &((data.len() + 2) as u16).to_be_bytes(), data].concat()
    }
    /// Bits to bytes, filled up with ones.
    fn packed(bits: &str) -> Vec<u8> {
        let filled = format!("{bits}{}", "1".repeat((8 - bits.len() % 8) % 8));
        filled.as_bytes().chunks(8).map(|byte| byte.iter().fold(0, |v, bit| v << 1 | (bit - b'0'))).collect()
    }
    let table = |kind: u8, values: &[u8]| {
        // All codes of two bits.
        let mut counts = [0u8; 16];
        counts[1] = values.len() as u8;
        segment(0xc4, &[&[kind], &counts[..], values].concat())
    };
    let scan = |first: u8, last: u8, bits: u8, data: &str| {
        [segment(0xda, &[1, 1, 0, first, last, bits]), packed(data)].concat()
    };
    let mut bytes = vec![0xff, 0xd8];
    bytes.extend(segment(0xdb, &[&[0][..], &[8; 64]].concat()));
    bytes.extend(segment(0xc2, &[8, 0, 8, 0, 16, 1, 1, 0x11, 0]));
    // Means: codes 00, 01, 10 for 0, 2 and 3 bits. Coefficients: 00 end of block, 01 one bit, 10 end of two blocks.
    bytes.extend(table(0x00, &[0, 2, 3]));
    bytes.extend(table(0x10, &[0x00, 0x01, 0x10]));
    // Means of both blocks but their last bit: 2 bits (11), then none.
    bytes.extend(scan(0, 0, 0x01, "011100"));
    // Their last bits.
    bytes.extend(scan(0, 0, 0x10, "10"));
    // Coefficients 1 to 63 but their last bit: one in the first block, then the end; none in the second.
    bytes.extend(scan(1, 63, 0x01, "0110000"));
    if last {
        // Their last bits: the end of both blocks at once, with the bit of the coefficient that is known.
        bytes.extend(scan(1, 63, 0x10, "1000"));
    }
    bytes.extend([0xff, 0xd9]);
    bytes
}
