//! Tests of what others bring to a processor (feature `conformance`): [`source`] for engines, [`flat`] for whole
//! services.
//!
//! A finding is a sentence about what went wrong, not a panic, so a report can be read, printed and asserted on.

pub mod fake;
pub mod flat;
pub mod source;
