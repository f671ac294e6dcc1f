#![no_main]

use bgad::model::Model;

libfuzzer_sys::fuzz_target!(|data: &[u8]| drop(Model::from_bytes(data.to_vec())));
