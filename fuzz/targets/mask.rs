#![no_main]

use bgad::image::{InputSize, Mask};
use bgad_fuzz::with_file;

libfuzzer_sys::fuzz_target!(|data: &[u8]| with_file("mask.png", data, |path| drop(Mask::load(path, InputSize::square(32), None))));
