//! Tests of the engine, most of them on every runtime there is.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod ending;
mod flow;
mod foreign;
mod handles;
mod kit;
mod outcomes;
mod owner;
mod panics;
mod races;
mod sleep;
mod turns;

/// What users hold can be sent and shared, whatever their jobs are, as long as those can be sent.
#[test]
fn what_users_hold_is_send_and_sync() {
    type Job = std::cell::Cell<u8>;
    fn check<T: Send + Sync>() {}
    check::<crate::Processor<fn(Job) -> Result<Job, Job>>>();
    check::<crate::Submitter<fn(Job) -> Result<Job, Job>>>();
    check::<crate::Handle<fn(Job) -> Result<Job, Job>>>();
    check::<crate::CancelOnDrop<fn(Job) -> Result<Job, Job>>>();
    check::<crate::Subscription<fn(Job) -> Result<Job, Job>>>();
    check::<crate::SourceHandle<fn(Job) -> Result<Job, Job>>>();
    check::<crate::SubmitWait<fn(u8) -> Result<Job, Job>>>();
    check::<crate::Idle<fn(Job) -> Result<Job, Job>>>();
    check::<crate::Context<u8>>();
    check::<crate::Cache<u8, u8>>();
    check::<crate::Events<Job>>();
}
