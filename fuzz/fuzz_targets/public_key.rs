#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| petrel_protocol::fuzzing::public_key(input));
