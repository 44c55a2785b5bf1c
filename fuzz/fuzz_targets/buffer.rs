//! Two buffers against two vectors: the bytes of the input are operations. The model is the one of the ordinary tests.

#![no_main]

#[path = "../../io/tests/it/buffer/model.rs"]
mod model;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    model::run(data);
});
