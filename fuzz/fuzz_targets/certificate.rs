#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| petrel_server::fuzzing::certificate(input));
