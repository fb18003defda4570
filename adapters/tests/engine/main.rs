//! What a processor owes its users whatever runtime it runs on: nobody pays for a neighbour, nobody waits for a runtime
//! that is gone, and the end waits for what is unsettled and for nothing else. One module a subject, each test on every
//! runtime that it concerns: `cargo test -p plimsoll --features tokio --test engine starvation`, for instance.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg_attr(
    not(all(feature = "smol", feature = "tokio")),
    allow(
        dead_code,
        unused_imports,
        unused_macros,
        reason = "some tests are for runtimes that are turned off"
    )
)]

#[macro_use]
mod kit;

mod blocked_thread;
mod done_in_time;
mod end;
mod runtime_gone;
mod small;
mod starvation;
mod timers;
