#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| watchdog_fuzz::cert(data));
