//! Guides: which call for which case, what holds in production, what goes wrong, how to move over, how to tune.
//!
//! These modules are text. They are in the documentation only, and all their code is compiled and run by its tests.

#[allow(unused_imports, reason = "what the texts link to")]
use crate::*;

#[doc = include_str!("../docs/choosing-a-shape.md")]
pub mod choosing_a_shape {}

#[doc = include_str!("../docs/production-boundaries.md")]
pub mod production_boundaries {}

#[doc = include_str!("../docs/common-mistakes.md")]
pub mod common_mistakes {}

#[doc = include_str!("../docs/moving-over.md")]
pub mod moving_over {}

#[doc = include_str!("../docs/tuning.md")]
pub mod tuning {}
