//! The guide: how to drive the machine by hand.
//!
//! It is text, in the documentation only, and all its code is compiled and run by its tests.

#[allow(unused_imports, reason = "what the text links to")]
use crate::*;

#[doc = include_str!("../docs/driving.md")]
pub mod driving {}
