//! Lines of a buffer against lines of a vector: the bytes of the input are pieces of text, and what is done with them. The model is the one of the ordinary
//! tests.

#![no_main]

#[path = "../../io/tests/it/buffer/line_model.rs"]
mod line_model;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    line_model::run(data);
});
