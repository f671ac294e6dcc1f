#![no_main]

use bgad::image::{InputImage, InputSize};

libfuzzer_sys::fuzz_target!(|data: &[u8]| drop(InputImage::decode(data, InputSize::square(32))));
