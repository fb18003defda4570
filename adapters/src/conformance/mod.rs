//! Tests of what others bring to a processor (feature `conformance`): [`executor`] for bindings of executors, [`source`] for
//! engines, [`flat`] for whole services.
//!
//! A finding is a sentence about what went wrong, not a panic, so a report can be read, printed and asserted on.

pub mod executor;
pub mod fake;
pub mod flat;
pub mod source;
