#![no_main]

use bgad_fuzz::with_file;

libfuzzer_sys::fuzz_target!(|data: &[u8]| with_file("x.checkpoint", data, |path| drop(bgad::train::check_checkpoint(path))));
