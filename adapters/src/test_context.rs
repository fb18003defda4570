//! A context without a processor, for tests of handlers.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use plimsoll_core::{
    AttemptId, Effect, Instant, Limits, Offer, Progress, SleepId, SleepRefusal, SleepStatus, Start, TaskId,
    Terms,
};

use crate::carried::Carried;
use crate::context::Context;
use crate::engine::attempt_host::{Again, AttemptHost};
use crate::engine::signals::Signals;
use crate::engine::types::{Machine, Types};
use crate::trace::Origin;

impl<M: Copy + Send + Default + 'static> Context<M> {
    /// A context for a test of a handler, of the first attempt and with default metadata: see
    /// [`for_test_of`](Self::for_test_of).
    ///
    /// ```
    /// use plimsoll::{Context, SleepRefusal};
    /// use std::time::Duration;
    ///
    /// async fn handler(job: u32, cx: Context) -> Result<u32, SleepRefusal> {
    ///     cx.sleep(Duration::from_secs(3_600)).await?;
    ///     Ok(job + cx.attempt())
    /// }
    ///
    /// assert_eq!(futures::executor::block_on(handler(1, Context::for_test())), Ok(2));
    /// ```
    #[must_use]
    pub fn for_test() -> Self {
        Self::for_test_of(M::default(), 1)
    }
}

impl<M: Copy + Send + 'static> Context<M> {
    /// A context for a test of a handler: of an attempt with this number, which runs and is never asked to stop. Its sleeps
    /// are over at once, by a clock that moves on with them and with nothing else; an attempt has as many at a time as by
    /// default. To see time-outs and cancels, run the handler in a processor on [`Sim`](crate::runtime::sim::Sim).
    #[must_use]
    pub fn for_test_of(meta: M, attempt: u32) -> Self {
        let (machine, start) = running(meta);
        let Start { task, attempt: id, .. } = start;
        let host: Arc<dyn AttemptHost + Send + Sync> = Arc::new(TestHost(Mutex::new(machine)));
        let signals = Signals::of_one(id, host);
        Self::new(Arc::new(signals), 0, task, id, attempt, None, meta)
    }
}

/// The work of the machine behind the context: nothing but the attempt.
type Tested<M> = fn((), Context<M>) -> Result<(), ()>;

/// A machine in which the only attempt runs.
#[allow(clippy::expect_used, reason = "the limits are right, and there is room for the only task")]
fn running<M: Copy>(meta: M) -> (Machine<Tested<M>>, Start<Types<Tested<M>>>) {
    let mut limits = Limits::default();
    (limits.queue, limits.concurrency, limits.delayed) = (0, 1, 0);
    (limits.waiters, limits.emitters, limits.subscribers, limits.events) = (0, 0, 0, 1);
    let mut machine = Machine::new(limits, Instant::ZERO).expect("a machine");
    machine
        .submit(
            Instant::ZERO,
            Offer::new(Carried::new((), Origin::inside(Instant::ZERO)), meta),
            &Terms::new(),
        )
        .expect("a task");
    let start = machine.start_next(Instant::ZERO).expect("an attempt");
    (machine, start)
}

/// What stands in for a processor.
struct TestHost<M: Copy>(Mutex<Machine<Tested<M>>>);

impl<M: Copy> TestHost<M> {
    fn lock(&self) -> MutexGuard<'_, Machine<Tested<M>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the time pass until then, and wakes whose sleeps are over.
    fn pass(&self, until: Instant) {
        loop {
            let mut machine = self.lock();
            let more = machine.advance(until, 64).more;
            let effect = machine.poll_effect();
            drop(machine);
            match effect {
                Some(Effect::Wake(waker)) => waker.wake(),
                Some(_) => {}
                None if more => {}
                None => return,
            }
        }
    }
}

impl<M: Copy + Send> AttemptHost for TestHost<M> {
    fn now(&self) -> Instant {
        self.lock().now()
    }

    fn sleep(&self, attempt: AttemptId, until: Instant, waker: Waker) -> Result<SleepId, SleepRefusal> {
        let mut machine = self.lock();
        let now = machine.now();
        let begun = machine.sleep(now, attempt, until, waker);
        drop(machine);
        // One until the end of time is never over.
        if begun.is_ok() && until != Instant::MAX {
            self.pass(until);
        }
        begun.map_err(|refused| refused.reason)
    }

    fn resleep(&self, id: SleepId, waker: Waker) -> Option<Result<(), SleepRefusal>> {
        let mut machine = self.lock();
        let now = machine.now();
        let status = machine.resleep(now, id, waker);
        drop(machine);
        match status {
            SleepStatus::Sleeping(_) => None,
            SleepStatus::Over(..) => Some(Ok(())),
            SleepStatus::Gone(_) => Some(Err(SleepRefusal::Over)),
        }
    }

    fn end_sleep(&self, id: SleepId) {
        let waker = self.lock().end_sleep(id);
        drop(waker);
    }

    /// Its lane, as far as a handler can tell, is held.
    fn hold_lane(&self, _: TaskId, _: Duration) -> bool {
        true
    }

    /// It always goes on, and nobody asks what it has decided.
    fn decide(&self, _: u32, _: AttemptId, _: Again) -> bool {
        true
    }

    /// It always goes on, and nobody looks at it.
    fn tell(&self, _: u32, _: AttemptId, _: Option<Progress>) -> bool {
        true
    }

    /// It always goes on.
    fn wait_for_stop(&self, _: u32, _: AttemptId, _: &mut Option<usize>, _: Waker) -> bool {
        true
    }

    fn leave_stop(&self, _: u32, _: AttemptId, _: usize) {}
}
