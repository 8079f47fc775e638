//! Any bytes, as values of many types: `cargo +nightly fuzz run decode` in `tests/fuzz`.
#![no_main]

#[path = "../target.rs"]
mod target;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| target::decode_as_everything(bytes));
