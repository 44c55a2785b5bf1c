//! Rate limits that somebody has made up: the bytes of the input are the limits, and operations on streams that obey them. The model is the one of the ordinary
//! tests.

#![no_main]

#[path = "../../io/tests/it/limit/model.rs"]
mod model;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    model::run(data);
});
