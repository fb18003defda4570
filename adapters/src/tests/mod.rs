//! Tests of the engine, most of them on every runtime there is.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod ending;
mod flow;
mod foreign;
mod kit;
mod outcomes;
mod owner;
