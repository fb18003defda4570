//! A plan for the examples in the documentation.

use crate::Plan;

/// Jobs and outputs are texts, callbacks take how the task ended.
#[derive(Debug)]
pub struct Doc;

impl Plan for Doc {
    type Job = &'static str;
    type Output = usize;
    type Error = &'static str;
    type Panic = &'static str;
    type Meta = ();
    type Callback = fn(crate::OutcomeKind);
    type Waiter = core::task::Waker;
    type Listener = ();
    type Key = &'static str;
    type Value = u32;
}
