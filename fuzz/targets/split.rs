#![no_main]

use std::path::Path;

use bgad::dataset::Split;
use bgad_fuzz::with_file;

libfuzzer_sys::fuzz_target!(|data: &[u8]| with_file("split.json", data, |path| drop(Split::read(path, Path::new(".")))));
