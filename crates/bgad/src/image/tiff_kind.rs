//! What kind of TIFF a file is, in words: its tags say what the decoder's error does not.
//!
//! The decoder reads no tag of a file that it does not support, so the first directory is read here: numbers only.

use std::io::{Read, Seek};

use tiff::decoder::Decoder;
use tiff::tags::Tag;

use super::tiff_directory::Directory;

/// Tags that tell.
const BITS: u16 = 258;
const COMPRESSION: u16 = 259;
const COLOURS: u16 = 262;
const SAMPLES: u16 = 277;
const EXTRA: u16 = 338;
const FORMAT: u16 = 339;

/// Bits, samples, colours and compression of the first page; `None` if its tags cannot be read.
pub(super) fn in_words(bytes: &[u8]) -> Option<String> {
    let tags = Directory::first(bytes)?;
    let bits = tags.number(BITS).unwrap_or(1);
    let samples = tags.number(SAMPLES).unwrap_or(1);
    let sort = match tags.number(FORMAT).unwrap_or(1) {
        1 => "",
        2 => "signed ",
        3 => "floating-point ",
        5 | 6 => "complex ",
        _ => "untyped ",
    };
    let channels = if samples == 1 { "1 channel".to_owned() } else { format!("{samples} channels") };
    Some(format!(
        "a TIFF with {channels} of {sort}{bits}-bit samples, {}, {}",
        colours_in_words(tags.number(COLOURS).unwrap_or(1)),
        compression_in_words(tags.number(COMPRESSION).unwrap_or(1))
    ))
}

/// Whether it has one channel of 32-bit floats, as maps of results have: such a file is no picture of a part.
pub(super) fn is_map(file: impl Read + Seek) -> bool {
    let Ok(mut decoder) = Decoder::new(file) else { return false };
    let mut number = |tag| decoder.find_tag_unsigned_vec::<u16>(tag).ok().flatten();
    let kind = [Tag::BitsPerSample, Tag::SampleFormat].map(&mut number);
    matches!(&kind, [Some(bits), Some(sort)] if *bits == [32] && *sort == [3])
}

/// Whether it has channels beside its colours and their transparency: a decoder would leave them out.
pub(super) fn has_channels_that_are_not_read(bytes: &[u8]) -> bool {
    let Some(tags) = Directory::first(bytes) else { return false };
    let colours = match tags.number(COLOURS) {
        Some(2 | 6) => 3,
        Some(5) => 4,
        _ => 1,
    };
    let extra = tags.number(SAMPLES).unwrap_or(1).saturating_sub(colours);
    // One that is transparency: said to be so, or not said to be anything else.
    let transparent = u64::from(matches!(tags.number(EXTRA), None | Some(1 | 2)));
    extra > transparent
}

fn colours_in_words(interpretation: u64) -> String {
    let name = match interpretation {
        0 | 1 => "grey",
        2 => "RGB",
        3 => "with a palette",
        4 => "a transparency mask",
        5 => "CMYK",
        6 => "YCbCr",
        8..=10 => "CIELAB",
        32803 => "a colour filter array",
        other => return format!("colours of kind {other}"),
    };
    name.to_owned()
}

fn compression_in_words(compression: u64) -> String {
    let name = match compression {
        1 => return "without compression".to_owned(),
        2..=4 => "fax",
        5 => "LZW",
        6 | 7 | 34892 => "JPEG",
        8 | 32946 => "Deflate",
        32773 => "PackBits",
        34712 | 33003 | 33005 => "JPEG 2000",
        34887 => "LERC",
        34925 => "LZMA",
        50000 => "ZSTD",
        50001 => "WebP",
        50002 | 52546 => "JPEG XL",
        other => return format!("compression of kind {other}"),
    };
    format!("{name} compression")
}
