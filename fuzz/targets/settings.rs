#![no_main]

use std::path::Path;

use bgad::options::Settings;

libfuzzer_sys::fuzz_target!(|data: &str| drop(Settings::parse(data, Path::new("bgad.toml"))));
