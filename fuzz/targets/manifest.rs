#![no_main]

use bgad::dataset::Dataset;
use bgad_fuzz::with_file;

libfuzzer_sys::fuzz_target!(|data: &[u8]| with_file("list.csv", data, |path| drop(Dataset::open(path))));
