//! What can be done with a processor, apart from ending it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use plimsoll_core::{CancelError, CancelReason, Cancelled, Priority, PriorityRefusal, Rate, Scope, TaskId};

use crate::engine::machine::{MOST_A_HOLD, Shared};
use crate::idle::Idle;
use crate::task_error::{TaskResult, result_of};
use crate::work::AnyWork;

/// Everything that can be done with a processor, apart from ending it: submit tasks, watch them, steer it. Both its owner, the
/// [`Processor`](crate::Processor), and each [`Submitter`](crate::Submitter) give access to it.
///
/// No method waits for anything but the machine's lock, and none runs callbacks, wakers or drops of others: the
/// processor's own workers do that. When several threads want that lock all the time, all but one leave it alone for a while,
/// and a thread that finds it held by one that was interrupted does so too: then a call takes as long as the operating system
/// lets a thread rest for 20 microseconds, some 100 to 200 in practice, or a few times that. One thread alone never rests.
pub struct Access<W: AnyWork> {
    pub(crate) shared: Arc<Shared<W>>,
}

impl<W: AnyWork> fmt::Debug for Access<W> {
    /// Counts, never contents.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access")
            .field("phase", &self.phase())
            .field("census", &self.census())
            .finish_non_exhaustive()
    }
}

impl<W: AnyWork> Access<W> {
    /// Takes the result of a task that was submitted with [`retain`](crate::TaskBuilder::retain). `None` when it is not settled
    /// yet, was taken before, is too old, or had to make room for newer ones. O(1).
    ///
    /// ```
    /// # use plimsoll::{Processor, Thread, infallible};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let processor = Processor::builder()
    ///     .results(100, Some(Duration::from_secs(600)))
    ///     .spawn_on(Thread::start()?, infallible(|n: u64| async move { n * 2 }))?;
    /// let task = processor.task(21).retain()?; // its id can be given to anybody
    /// futures::executor::block_on(processor.idle());
    /// assert_eq!(processor.result(task), Some(Ok(42)));
    /// assert_eq!(processor.result(task), None); // it was taken
    /// # Ok(())
    /// # }
    /// ```
    pub fn result(&self, task: TaskId) -> Option<TaskResult<W>> {
        let now = self.shared.now();
        let settlement = self.shared.act(|machine| machine.take_result(now, task))?;
        self.shared.discard(settlement.job);
        Some(result_of(settlement.outcome))
    }

    /// Cancels a task, whatever it is doing. If it runs, it is asked to stop.
    ///
    /// ```
    /// # use plimsoll::{Processor, TaskError, Thread, infallible};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let processor = Processor::builder().spawn_on(Thread::start()?, infallible(|_: u8| std::future::pending::<()>()))?;
    /// let handle = processor.submit(1)?;
    /// processor.cancel(handle.id())?;
    /// assert_eq!(handle.wait(), Err(TaskError::Cancelled(None)));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`CancelError`] when it is settled already, or gone.
    pub fn cancel(&self, task: TaskId) -> Result<Cancelled, CancelError> {
        self.shared.cancel(task, None, |_, _| ()).0
    }

    /// As [`cancel`](Self::cancel), for a reason: it comes out with the result, in
    /// [`TaskError::Cancelled`](crate::TaskError::Cancelled), wherever that goes.
    ///
    /// ```
    /// # use plimsoll::{CancelReason, Processor, TaskError, Thread, infallible};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// const SUPERSEDED: CancelReason = CancelReason::new(&"a newer upload came");
    ///
    /// let processor = Processor::builder().spawn_on(Thread::start()?, infallible(|_: u8| std::future::pending::<()>()))?;
    /// let handle = processor.submit(1)?;
    /// processor.cancel_because(handle.id(), SUPERSEDED)?;
    /// let error = handle.wait().unwrap_err();
    /// assert_eq!(error, TaskError::Cancelled(Some(SUPERSEDED)));
    /// assert_eq!(error.to_string(), "the task was cancelled: a newer upload came");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As there.
    pub fn cancel_because(&self, task: TaskId, reason: CancelReason) -> Result<Cancelled, CancelError> {
        self.shared.cancel(task, Some(reason), |_, _| ()).0
    }

    /// Starts no further attempts until [`resume`](Self::resume). What runs goes on, and time-outs count.
    ///
    /// ```
    /// # use plimsoll::{Processor, Thread, infallible};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let processor = Processor::builder().spawn_on(Thread::start()?, infallible(|n: u64| async move { n * 2 }))?;
    /// processor.pause();
    /// let handle = processor.submit(21)?; // taken in, and not started
    /// assert_eq!(processor.health().queued, 1);
    /// processor.resume();
    /// assert_eq!(handle.wait()?, 42);
    /// # Ok(())
    /// # }
    /// ```
    pub fn pause(&self) {
        let now = self.shared.now();
        self.shared.act(|machine| machine.pause(now));
    }

    /// Ends a [`pause`](Self::pause).
    pub fn resume(&self) {
        let now = self.shared.now();
        self.shared.act(|machine| machine.resume(now));
    }

    /// Whether it was paused.
    pub fn is_paused(&self) -> bool {
        self.shared.read(|machine| machine.is_paused())
    }

    /// Starts no attempts for so long. Running attempts and time-outs go on. A later call replaces this one; zero ends a
    /// hold.
    ///
    /// ```
    /// # use plimsoll::{Hold, Processor, Thread, infallible};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let processor = Processor::builder().spawn_on(Thread::start()?, infallible(|n: u64| async move { n * 2 }))?;
    /// processor.hold(Duration::from_millis(5)); // the database restarts
    /// assert_eq!(processor.health().hold, Hold::Held);
    /// assert_eq!(processor.submit(21)?.wait()?, 42); // once the hold is over
    /// # Ok(())
    /// # }
    /// ```
    pub fn hold(&self, time: Duration) {
        let now = self.shared.now();
        self.shared.act(|machine| machine.hold(now, now.saturating_add(time)));
    }

    /// Sets how many attempts may be started in a time, in place of what the [builder](crate::Builder::rate) was told. Starts
    /// that were counted before still count.
    ///
    /// ```
    /// # use plimsoll::{Processor, Rate, Thread, infallible};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let processor = Processor::builder().spawn_on(Thread::start()?, infallible(|n: u64| async move { n * 2 }))?;
    /// processor.set_rate(Some(Rate::new(1_000, Duration::from_secs(1))));
    /// assert_eq!(processor.submit(21)?.wait()?, 42);
    /// processor.set_rate(None);
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_rate(&self, rate: Option<Rate>) {
        let now = self.shared.now();
        self.shared.act(|machine| machine.set_rate(now, rate));
    }

    /// Starts no further attempts at tasks of this priority until [`resume_class`](Self::resume_class). Those that wait keep
    /// their place in the queue, and their time-outs count. They can fill the queue: where that matters, give them a
    /// [lane](crate::Lane), which is bounded, or let them give way ([`Overflow`](crate::Overflow)). O(1); with lanes O(lanes), 64
    /// in one hold of the lock, and a task of a lane that was not reached may still start while the call goes on.
    ///
    /// ```
    /// # use plimsoll::{Priority, Processor, Thread, infallible};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let processor = Processor::builder().spawn_on(Thread::start()?, infallible(|n: u8| async move { n }))?;
    /// processor.pause_class(Priority::LOWEST);
    /// let backfill = processor.task(1).priority(Priority::LOWEST).submit()?;
    /// assert_eq!(processor.submit(2)?.wait()?, 2);
    /// assert_eq!(processor.census().queued, 1);
    /// processor.resume_class(Priority::LOWEST);
    /// assert_eq!(backfill.wait()?, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn pause_class(&self, priority: Priority) {
        self.set_class_paused(priority, true);
    }

    /// Ends a [`pause_class`](Self::pause_class). Costs as much.
    pub fn resume_class(&self, priority: Priority) {
        self.set_class_paused(priority, false);
    }

    fn set_class_paused(&self, priority: Priority, pauses: bool) {
        let hold = |is_first: bool| {
            let now = self.shared.now();
            self.shared.act(|machine| match pauses {
                // Another call has turned it round since the first hold, and finishes that.
                _ if !is_first && machine.is_class_paused(priority) != pauses => true,
                true => machine.pause_class(now, priority, MOST_A_HOLD),
                false => machine.resume_class(now, priority, MOST_A_HOLD),
            })
        };
        let mut is_done = hold(true);
        while !is_done {
            is_done = hold(false);
        }
    }

    /// Whether [`pause_class`](Self::pause_class) was called last for this priority, not
    /// [`resume_class`](Self::resume_class).
    pub fn is_class_paused(&self, priority: Priority) -> bool {
        self.shared.read(|machine| machine.is_class_paused(priority))
    }

    /// Sets how many attempts may run at the same time, at most what the processor was built for; returns what is now
    /// set. Stops nobody.
    ///
    /// ```
    /// # use plimsoll::{Processor, Thread, infallible};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let builder = Processor::builder().concurrency(32);
    /// let processor = builder.spawn_on(Thread::start()?, infallible(|n: u64| async move { n * 2 }))?;
    /// assert_eq!(processor.set_concurrency(4), 4); // the other end is struggling
    /// assert_eq!(processor.set_concurrency(1_000), 32); // no more than it was built for
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_concurrency(&self, concurrency: u32) -> u32 {
        let now = self.shared.now();
        self.shared.act(|machine| machine.set_concurrency(now, concurrency))
    }

    /// The task with this [`Unique`](crate::Unique) key: the one that waits, or else the one that runs. A
    /// submitter that was refused as a [`Duplicate`](crate::Refusal::Duplicate) learns here which task does the work.
    ///
    /// ```
    /// # use plimsoll::{Processor, Refusal, Thread, Unique, infallible, lane_key};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let processor = Processor::builder().dedup(1_000).spawn_on(Thread::start()?, infallible(|_: u8| async {}))?;
    /// processor.pause();
    /// let order = Unique::new(lane_key("order 7"));
    /// let first = processor.task(1).unique(order).submit()?;
    /// let refused = processor.task(1).unique(order).submit().unwrap_err();
    /// assert_eq!((refused.reason, processor.task_with_key(order.key())), (Refusal::Duplicate, Some(first.id())));
    /// # Ok(())
    /// # }
    /// ```
    pub fn task_with_key(&self, key: u64) -> Option<TaskId> {
        self.shared.read(|machine| machine.task_with_key(key))
    }

    /// Cancels the queued tasks of this part of the queue, for the reason [`CancelReason::CLEARED`], and returns how many those
    /// were. Tasks that are delayed, back off or run stay. 64 in one hold of the lock.
    ///
    /// ```
    /// # use plimsoll::{CancelReason, Priority, Processor, Scope, TaskError, Thread, infallible};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let processor = Processor::builder().spawn_on(Thread::start()?, infallible(|_: u8| async {}))?;
    /// processor.pause();
    /// let backfill = processor.task(1).priority(Priority::LOWEST).submit()?;
    /// assert_eq!(processor.clear(Scope::Class(Priority::LOWEST)), 1);
    /// assert_eq!(backfill.wait(), Err(TaskError::Cancelled(Some(CancelReason::CLEARED))));
    /// # Ok(())
    /// # }
    /// ```
    pub fn clear(&self, scope: Scope) -> u64 {
        let mut sum = 0;
        loop {
            let now = self.shared.now();
            let cleared = self.shared.act(|machine| machine.clear(now, scope, MOST_A_HOLD));
            sum += u64::from(cleared);
            if cleared < MOST_A_HOLD {
                return sum;
            }
        }
    }

    /// Changes the priority of a task that waits: delayed, queued or backing off. A queued task goes to the end of its new
    /// class; its time-outs count on.
    ///
    /// ```
    /// # use plimsoll::{Priority, PriorityRefusal, Processor, Thread, infallible};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let processor = Processor::builder().spawn_on(Thread::start()?, infallible(|n: u8| async move { n }))?;
    /// processor.pause();
    /// let report = processor.task(1).priority(Priority::LOWEST).submit()?;
    /// processor.set_priority(report.id(), Priority::HIGHEST)?;
    /// processor.resume();
    /// let id = report.id();
    /// assert_eq!(report.wait()?, 1);
    /// assert_eq!(processor.set_priority(id, Priority::LOWEST), Err(PriorityRefusal::NotFound));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`PriorityRefusal`]; nothing has changed.
    pub fn set_priority(&self, task: TaskId, priority: Priority) -> Result<(), PriorityRefusal> {
        let now = self.shared.now();
        self.shared.act(|machine| machine.set_priority(now, task, priority))
    }

    /// Waits until every task is settled, none queued, running, delayed or backing off, and their callbacks have
    /// returned. One such moment is enough, although others may submit again before this is polled next. Attempts that
    /// do not stop when they were timed out or cancelled are not waited for; nor, when the processor ends, are
    /// callbacks. In a callback it must not be blocked on. Allocates room for its waker. What a source has not delivered yet is
    /// not seen: ask its engine for that.
    ///
    /// ```
    /// # use plimsoll::{Processor, Thread, infallible};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let processor = Processor::builder().spawn_on(Thread::start()?, infallible(|_: u64| async {}))?;
    /// for job in 0..10 {
    ///     processor.task(job).post()?;
    /// }
    /// futures::executor::block_on(processor.idle());
    /// assert_eq!(processor.totals().settled.completed, 10);
    /// # Ok(())
    /// # }
    /// ```
    pub fn idle(&self) -> Idle<W> {
        Idle::new(self.shared.clone())
    }

    /// Whether every task is settled now. O(1).
    pub fn is_idle(&self) -> bool {
        self.shared.read(|machine| machine.is_idle())
    }
}
