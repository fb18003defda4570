//! Tests of the engine, most of them on every runtime there is.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod batched;
mod batched_foreign;
mod batched_threads;
mod completions;
#[cfg(feature = "cron")]
mod cron;
mod ending;
mod flow;
mod foreign;
mod handles;
mod kit;
mod lanes;
mod loads;
mod local;
mod monitor;
mod outcomes;
mod owner;
mod panics;
mod permits;
mod races;
mod runtimes;
mod schedules;
mod settled;
mod sleep;
mod sources;
mod streams;
mod timeouts;
mod turns;
mod weights;

/// What users hold can be sent and shared, whatever their jobs are, as long as those can be sent.
#[test]
fn what_users_hold_is_send_and_sync() {
    type Job = std::cell::Cell<u8>;
    type Work = fn(Job) -> Result<Job, Job>;
    fn check<T: Send + Sync>() {}
    check::<crate::Processor<Work>>();
    check::<crate::Submitter<Work>>();
    check::<crate::Access<Work>>();
    check::<crate::TaskBuilder<'_, fn(u8) -> Result<Job, Job>>>();
    check::<crate::Settlement<fn(u8) -> Result<u8, u8>>>();
    check::<crate::TaskError<u8>>();
    check::<crate::Handle<Work>>();
    check::<crate::CancelOnDrop<Work>>();
    check::<crate::Subscription<Work>>();
    check::<crate::EmitterHandle<Work>>();
    check::<crate::ScheduleHandle<Work>>();
    check::<crate::SubmitWait<fn(u8) -> Result<Job, Job>>>();
    check::<crate::Idle<Work>>();
    check::<crate::Context<u8>>();
    check::<crate::Cache<u8, u8>>();
    check::<crate::Events<Job>>();
    check::<crate::Batch<fn(u8) -> Result<Job, Job>>>();
    check::<crate::Answer<Work>>();
    check::<crate::NotLive>();
    check::<crate::NotReady>();
}
