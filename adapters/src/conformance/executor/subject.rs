//! Executors of both kinds, as the laws see them.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use super::crew::{Crew, spawning};
use super::jobs::{Called, Failure, Job, Signature, attempt};
use super::tally::Tally;
use super::timer_scripts::{Bench, Script, run};
use super::verdict::Verdict;
use super::{Executor, LocalExecutor};
use crate::builder::{Builder, Cloning};
use crate::processor::Processor;
use crate::runtime::{Clock, LocalRuntime, Runtime, Threads};
use crate::schedules::ScheduleHandle;
use crate::sharing::{AnyThread, Local};
use crate::work::AnyWork;

/// An executor under test.
pub(super) trait Subject: 'static {
    /// The work of its processors.
    type Work: AnyWork<Job = Job, Output = u32, Error = Failure, Meta = ()> + 'static;

    fn can_end(&self) -> bool;

    fn block_on<F: Future>(&self, future: F) -> F::Output;

    /// A binding to it. To be called within [`block_on`](Self::block_on).
    fn bind(&self) -> impl Binding<Work = Self::Work>;

    /// Submits a job whose callback notes how it ended.
    fn call(processor: &Processor<Self::Work>, job: Job, called: &Called) -> Verdict;

    /// Submits a job again and again, and counts that.
    fn every(
        processor: &Processor<Self::Work>,
        period: Duration,
        due: &Tally,
    ) -> Result<ScheduleHandle<Self::Work>, String>;
}

/// A runtime of either kind.
pub(super) trait Binding {
    type Work: AnyWork;

    fn check(&self) -> Result<(), &'static str>;
    fn may_go_on(&self) -> fn() -> bool;
    /// On how many threads it says that it runs.
    fn threads(&self) -> Threads;
    /// Whether that is the thread of the caller.
    fn is_local(&self) -> bool;
    fn clock(&self) -> Clock;
    fn spawn(&self, crew: &Crew, future: impl Future<Output = ()> + Send + 'static);
    /// Spawns a future that does with a timer what the script says.
    fn spawn_script(&self, crew: &Crew, script: Script, bench: Bench);
    fn processor(self, builder: Builder<Cloning>) -> Result<Processor<Self::Work>, String>;
}

/// One that runs futures which are `Send`.
pub(super) struct OfThreads<E>(pub(super) E);

/// One that stays on one thread.
pub(super) struct OfOneThread<E>(pub(super) E);

/// What both kinds do in the same words, with traits of their own.
macro_rules! subject {
    ($subject:ident<$executor:ident>, $binding:ident<$runtime:ident>, $work:ty, $sharing:ty, $spawn_on:ident,
     $is_local:literal, |$bound:ident| $threads:expr) => {
        impl<E: $executor> Subject for $subject<E> {
            type Work = $work;

            fn can_end(&self) -> bool {
                self.0.can_end()
            }

            fn block_on<F: Future>(&self, future: F) -> F::Output {
                self.0.block_on(future)
            }

            fn bind(&self) -> impl Binding<Work = $work> {
                $binding(self.0.runtime())
            }

            fn call(processor: &Processor<$work>, job: Job, called: &Called) -> Verdict {
                let called = called.clone();
                let call = processor.task(job).call(move |settled| called.add(settled.kind()));
                call.map(drop).map_err(|refused| refused.reason.to_string())
            }

            fn every(
                processor: &Processor<$work>,
                period: Duration,
                due: &Tally,
            ) -> Result<ScheduleHandle<$work>, String> {
                let due = due.clone();
                let make = move |_| {
                    due.add();
                    Job::Value(0)
                };
                processor.every(period, make).map_err(|refused| refused.to_string())
            }
        }

        struct $binding<R>(R);

        impl<R: $runtime> Binding for $binding<R> {
            type Work = $work;

            fn check(&self) -> Result<(), &'static str> {
                self.0.check()
            }

            fn may_go_on(&self) -> fn() -> bool {
                R::may_go_on
            }

            fn threads(&self) -> Threads {
                let $bound = &self.0;
                $threads
            }

            fn is_local(&self) -> bool {
                $is_local
            }

            fn clock(&self) -> Clock {
                Arc::new(self.0.clock())
            }

            fn spawn(&self, crew: &Crew, future: impl Future<Output = ()> + Send + 'static) {
                let member = crew.join(future);
                spawning(|| self.0.spawn(member));
            }

            fn spawn_script(&self, crew: &Crew, script: Script, bench: Bench) {
                let member = crew.join(run(script, Box::pin(self.0.timer()), bench));
                spawning(|| self.0.spawn(member));
            }

            fn processor(self, builder: Builder<Cloning>) -> Result<Processor<$work>, String> {
                builder.$spawn_on(self.0, attempt::<$sharing>).map_err(|error| error.to_string())
            }
        }
    };
}

subject! {
    OfThreads<Executor>, ThreadsBinding<Runtime>, Signature, AnyThread, spawn_on, false,
    |runtime| runtime.threads()
}

subject! {
    OfOneThread<LocalExecutor>, LocalBinding<LocalRuntime>, Local<Signature>, Local, spawn_local_on, true,
    |_runtime| Threads::One
}
