#![no_main]

use std::path::Path;

use bgad::image::{InputSize, Mask, OriginalSize};
use bgad_fuzz::with_file;

/// The image that the labels are of.
const IMAGE: (&str, OriginalSize) = ("0.png", OriginalSize { height: 30, width: 40 });

libfuzzer_sys::fuzz_target!(|data: &[u8]| with_file("0.json", data, |path| {
    drop(Mask::load(path, InputSize::square(32), Some((Path::new(IMAGE.0), IMAGE.1))));
}));
