#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| polygate_fuzz::proto::socket::check(data));
