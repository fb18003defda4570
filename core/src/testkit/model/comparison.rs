//! The first difference between the machine and the model.

use alloc::format;
use alloc::string::String;
use core::fmt::Debug;

/// A difference between the machine and the model.
#[derive(Debug)]
pub(in crate::testkit) struct Difference {
    pub(in crate::testkit) what: &'static str,
    pub(in crate::testkit) model: String,
    pub(in crate::testkit) machine: String,
}

/// Compares value after value, and keeps the first difference.
#[derive(Debug, Default)]
pub(in crate::testkit) struct Comparison {
    pub(in crate::testkit) difference: Option<Difference>,
}

impl Comparison {
    #[inline]
    pub(super) fn of<T: PartialEq + Debug>(&mut self, what: &'static str, model: &T, machine: &T) {
        if model != machine && self.difference.is_none() {
            self.difference =
                Some(Difference { what, model: format!("{model:?}"), machine: format!("{machine:?}") });
        }
    }
}
