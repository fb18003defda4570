//! Runs the models of the wake path, on the engine's own files:
//! `RUSTFLAGS='--cfg plimsoll_loom' cargo test -p plimsoll --test wake_models --target-dir target/loom`.
#![cfg(plimsoll_loom)]
#![allow(dead_code, unreachable_pub, missing_docs)]

#[path = "../src/engine"]
mod engine {
    #[path = "../../tests/wake_models/models.rs"]
    mod models;
    mod sync;
    mod wake;
    mod workers;
}
