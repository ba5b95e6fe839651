#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| petrel_protocol::fuzzing::proxy_protocol(input));
