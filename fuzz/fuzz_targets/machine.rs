//! Any bytes are a script; the machine and its reference model must agree about it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use plimsoll_core::testkit::{Script, check};

fuzz_target!(|script: Script| {
    if let Err(fault) = check(&script) {
        panic!("{fault}\n{script:#?}");
    }
});
