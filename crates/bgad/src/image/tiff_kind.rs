//! What kind of TIFF a file is, in words: its tags say what the decoder's error does not.
//!
//! The decoder reads no tag of a file that it does not support, so the first directory is read here: numbers only.

use std::io::{Read, Seek};

use tiff::decoder::Decoder;
use tiff::tags::Tag;

/// Tags that tell.
const BITS: u16 = 258;
const COMPRESSION: u16 = 259;
const COLOURS: u16 = 262;
const SAMPLES: u16 = 277;
const EXTRA: u16 = 338;
const FORMAT: u16 = 339;

/// Bits, samples, colours and compression of the first page; `None` if its tags cannot be read.
pub(super) fn in_words(bytes: &[u8]) -> Option<String> {
    let tags = Tags::of(bytes)?;
    let bits = tags.first(BITS).unwrap_or(1);
    let samples = tags.first(SAMPLES).unwrap_or(1);
    let sort = match tags.first(FORMAT).unwrap_or(1) {
        1 => "",
        2 => "signed ",
        3 => "floating-point ",
        5 | 6 => "complex ",
        _ => "untyped ",
    };
    let channels = if samples == 1 { "1 channel".to_owned() } else { format!("{samples} channels") };
    Some(format!(
        "a TIFF with {channels} of {sort}{bits}-bit samples, {}, {}",
        colours_in_words(tags.first(COLOURS).unwrap_or(1)),
        compression_in_words(tags.first(COMPRESSION).unwrap_or(1))
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
    let Some(tags) = Tags::of(bytes) else { return false };
    let colours = match tags.first(COLOURS) {
        Some(2 | 6) => 3,
        Some(5) => 4,
        _ => 1,
    };
    let extra = tags.first(SAMPLES).unwrap_or(1).saturating_sub(colours);
    // One that is transparency: said to be so, or not said to be anything else.
    let transparent = u64::from(matches!(tags.first(EXTRA), None | Some(1 | 2)));
    extra > transparent
}

/// The first directory of a file.
struct Tags<'a> {
    bytes: &'a [u8],
    little: bool,
    big: bool,
    /// Where its entries begin, and how many there are.
    entries: (usize, usize),
}

impl Tags<'_> {
    fn of(bytes: &[u8]) -> Option<Tags<'_>> {
        let little = bytes.first_chunk::<2>()? == b"II";
        let mut tags = Tags { bytes, little, big: false, entries: (0, 0) };
        tags.big = tags.number(2, 2)? == 43;
        let directory = if tags.big { tags.number(8, 8)? } else { tags.number(4, 4)? };
        let directory = usize::try_from(directory).ok()?;
        let width = if tags.big { 8 } else { 2 };
        let count = usize::try_from(tags.number(directory, width)?).ok()?;
        tags.entries = (directory + width, count.min(usize::from(u16::MAX)));
        Some(tags)
    }

    /// An unsigned number of so many bytes.
    fn number(&self, at: usize, width: usize) -> Option<u64> {
        let bytes = self.bytes.get(at..at.checked_add(width)?)?;
        let join = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
        Some(match self.little {
            true => bytes.iter().rev().fold(0, join),
            false => bytes.iter().fold(0, join),
        })
    }

    /// The first value of a tag.
    fn first(&self, tag: u16) -> Option<u64> {
        let (start, count) = self.entries;
        let (size, inline) = if self.big { (20, 12) } else { (12, 8) };
        let entry = (0..count)
            .map_while(|i| start.checked_add(i * size))
            .take_while(|at| *at < self.bytes.len())
            .find(|at| self.number(*at, 2) == Some(u64::from(tag)))?;
        let width = match self.number(entry + 2, 2)? {
            1 => 1,
            3 => 2,
            4 => 4,
            16 => 8,
            _ => return None,
        };
        let (values, room) = match self.big {
            true => (self.number(entry + 4, 8)?, 8),
            false => (self.number(entry + 4, 4)?, 4),
        };
        // What does not fit into the entry lies elsewhere.
        let at = match values.checked_mul(width as u64)? <= room {
            true => entry + inline,
            false => usize::try_from(self.number(entry + inline, room as usize)?).ok()?,
        };
        self.number(at, width)
    }
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
