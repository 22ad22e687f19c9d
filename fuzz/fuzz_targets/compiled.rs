#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| oracles::fuzz::check(&oracles::fuzz_host::TARGETS, "compiled", data));
