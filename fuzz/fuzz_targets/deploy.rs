#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| cotenant_tests::fuzzing::run("deploy", input));
