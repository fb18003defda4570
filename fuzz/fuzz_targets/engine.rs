//! Any bytes are a script of what users do to a processor on a simulated runtime; nothing that is seen may be wrong.
#![no_main]

use libfuzzer_sys::fuzz_target;
use plimsoll_tests::engine::{Script, check};

fuzz_target!(|bytes: &[u8]| {
    let script = Script::from_bytes(bytes);
    if let Err(fault) = check(&script) {
        panic!("{fault}\n{script:#?}");
    }
});
