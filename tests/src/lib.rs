//! Tests that need more than one crate, and the parts they share. Nothing here is published.
//!
//! - [`before`] is the processor that plimsoll replaces, with each of its nine leaks behind a switch, and
//!   [`requirements`] is what both have to show. `tests/nine_leaks.rs` runs the one against the other.
//! - [`load`] drives the core for hours and days on a simulated clock; [`trace`] and [`replay`] read job logs and
//!   replay them, and [`waits`] is how long their tasks waited.
//! - [`tenants`] shares one machine among a thousand tenants, of which one floods it.
//! - [`fresh_keys`] gives one machine millions of keys, each of them once.
//! - [`memory_week`] measures a week of the original beside one of plimsoll, and draws it.
//! - [`alloc`] counts bytes and allocations, and [`public`] finds the public traces.
//! - [`engine`] drives the adapters from bytes on a simulated runtime, and checks everything that can be seen.

pub mod alloc;
pub mod before;
pub mod engine;
pub mod fresh_keys;
pub mod load;
pub mod memory_week;
pub mod public;
pub mod replay;
pub mod requirements;
pub mod tenants;
pub mod trace;
pub mod waits;

/// The examples of the READMEs, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
mod readme {
    #[doc = include_str!("../../adapters/README.md")]
    mod of_adapters {}
}
