//! A task that is about to be submitted.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use plimsoll_core::{Lane, Offer, Priority, Refused, Retry, Route, TaskId, Timeouts, Unique};

use crate::carried::only_job;
use crate::completions::CompletionQueue;
use crate::engine::machine::Shared;
use crate::engine::types::OfferOf;
use crate::handle::Handle;
use crate::options::Options;
use crate::permit::Permit;
use crate::recipient::{Callback, CallbackOf, Recipient};
use crate::settlement::Settlement;
use crate::sharing::{Erase, Kinds};
use crate::wait::SubmitWait;
use crate::work::AnyWork;

/// A job and its callback, which was not called, handed back.
pub type RefusedCall<W> = Refused<(<W as AnyWork>::Job, Callback<W>)>;

/// A task on its terms, to be submitted by the method that says where its result goes: [`submit`](Self::submit) or
/// [`submit_wait`](Self::submit_wait), [`submit_to`](Self::submit_to), [`call`](Self::call), [`post`](Self::post) or
/// [`retain`](Self::retain). Made by [`Access::task`](crate::Access::task).
#[must_use = "a task is submitted by the method that says where its result goes, `submit` for instance"]
pub struct TaskBuilder<'a, W: AnyWork> {
    room: Room<'a, W>,
    job: W::Job,
    options: Options<W::Meta>,
}

/// Where a task finds room.
enum Room<'a, W: AnyWork> {
    /// Wherever there is some.
    Any(&'a Arc<Shared<W>>),
    Reserved(&'a mut Permit<W>),
}

impl<W: AnyWork> Room<'_, W> {
    fn shared(&self) -> &Arc<Shared<W>> {
        match self {
            Self::Any(shared) => shared,
            Self::Reserved(permit) => permit.shared(),
        }
    }
}

impl<'a, W: AnyWork> TaskBuilder<'a, W> {
    pub(crate) const fn new(shared: &'a Arc<Shared<W>>, job: W::Job, meta: W::Meta) -> Self {
        Self { room: Room::Any(shared), job, options: Options::new(meta) }
    }

    pub(crate) const fn with_permit(permit: &'a mut Permit<W>, job: W::Job, meta: W::Meta) -> Self {
        Self { room: Room::Reserved(permit), job, options: Options::new(meta) }
    }

    /// Sets all terms, the metadata too. What was set before is replaced.
    pub const fn options(mut self, options: Options<W::Meta>) -> Self {
        self.options = options;
        self
    }

    /// Sets the metadata.
    pub const fn meta(mut self, meta: W::Meta) -> Self {
        self.options.meta = meta;
        self
    }

    /// See [`Options::priority`].
    ///
    /// ```
    /// # use plimsoll::{Priority, Processor, Thread, infallible};
    /// # use std::sync::mpsc;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (notes, order) = mpsc::channel();
    /// let builder = Processor::builder().concurrency(1);
    /// let processor = builder.spawn_on(Thread::start()?, infallible(move |n: u8| { let _ = notes.send(n); async {} }))?;
    /// processor.pause();
    /// processor.task(2).post()?;
    /// processor.task(1).priority(Priority::HIGHEST).post()?;
    /// processor.resume();
    /// assert_eq!((order.recv()?, order.recv()?), (1, 2));
    /// # Ok(())
    /// # }
    /// ```
    pub fn priority(mut self, priority: Priority) -> Self {
        self.options = self.options.priority(priority);
        self
    }

    /// See [`Options::delay`].
    ///
    /// ```
    /// # use plimsoll::{Processor, Thread, infallible};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let processor = Processor::builder().spawn_on(Thread::start()?, infallible(|n: u64| async move { n * 2 }))?;
    /// let handle = processor.task(21).delay(Duration::from_millis(5)).submit()?;
    /// assert_eq!((handle.wait()?, processor.census().delayed), (42, 0));
    /// # Ok(())
    /// # }
    /// ```
    pub fn delay(mut self, delay: Duration) -> Self {
        self.options = self.options.delay(delay);
        self
    }

    /// See [`Options::timeout`].
    ///
    /// ```
    /// # use plimsoll::{Processor, TaskError, Thread, infallible};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let processor = Processor::builder().spawn_on(Thread::start()?, infallible(|_: u8| std::future::pending::<()>()))?;
    /// let handle = processor.task(1).timeout(Duration::from_millis(5)).submit()?;
    /// assert_eq!(handle.wait(), Err(TaskError::TimedOut));
    /// # Ok(())
    /// # }
    /// ```
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.options = self.options.timeout(limit);
        self
    }

    /// See [`Options::timeouts`].
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.options = self.options.timeouts(timeouts);
        self
    }

    /// See [`Options::slow_after`].
    pub fn slow_after(mut self, limit: Duration) -> Self {
        self.options = self.options.slow_after(limit);
        self
    }

    /// See [`Options::retry`].
    ///
    /// ```
    /// # use plimsoll::{Context, Processor, Retry, Thread};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// // `Retry::NONE` in the builder: jobs are cloned, and only the tasks that ask for it are tried again.
    /// let processor = Processor::builder().retry(Retry::NONE).spawn_on(Thread::start()?, |_: u8, cx: Context| async move {
    ///     if cx.attempt() == 1 { Err(std::io::Error::other("busy")) } else { Ok(cx.attempt()) }
    /// })?;
    /// let handle = processor.task(1).retry(Retry::times(1).fixed(Duration::from_millis(1))).submit()?;
    /// assert_eq!(handle.wait()?, 2);
    /// assert!(processor.submit(1)?.wait().is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub fn retry(mut self, retry: Retry) -> Self {
        self.options = self.options.retry(retry);
        self
    }

    /// See [`Options::unique`].
    pub fn unique(mut self, unique: Unique) -> Self {
        self.options = self.options.unique(unique);
        self
    }

    /// See [`Options::lane`].
    pub fn lane(mut self, lane: Lane) -> Self {
        self.options = self.options.lane(lane);
        self
    }

    /// Submits it; the result goes to the handle. Never waits. O(1), no allocation.
    ///
    /// ```
    /// # use plimsoll::{Processor, Thread, infallible};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let processor = Processor::builder().spawn_on(Thread::start()?, infallible(|n: u64| async move { n * 2 }))?;
    /// let handle = processor.task(21).timeout(Duration::from_secs(5)).submit()?;
    /// assert_eq!(handle.wait()?, 42);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The job comes back with the reason: [`Full`](crate::Refusal::Full), for instance.
    pub fn submit(self) -> Result<Handle<W>, Refused<W::Job>> {
        let shared = self.room.shared().clone();
        let task = self.offer(Route::Handle).map_err(only_job)?;
        Ok(Handle::new(shared, task))
    }

    /// Submits it as soon as there is room, first come first served; the result goes to the handle. The job is in the future
    /// until then, and is dropped with it. Of a [`Permit`] no place is used.
    ///
    /// The future is ready with an error when the processor ends, when too many wait
    /// ([`Limits::waiters`](crate::Limits::waiters)), or when more results than
    /// [`Limits::unclaimed`](crate::Limits::unclaimed) are not taken: the waiter might be the one that has to take them.
    ///
    /// It waits for room in the queue, not in a lane: one that is full is [`LaneFull`](crate::Refusal::LaneFull) at once. To wait
    /// for each lane by itself, [process](crate::Access::process) a stream for each.
    ///
    /// ```
    /// # use plimsoll::{Processor, Thread, infallible};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let processor = Processor::builder().spawn_on(Thread::start()?, infallible(|n: u64| async move { n * 2 }))?;
    /// let handle = processor.task(21).delay(Duration::from_millis(1)).submit_wait();
    /// assert_eq!(futures::executor::block_on(handle)?.wait()?, 42);
    /// # Ok(())
    /// # }
    /// ```
    pub fn submit_wait(self) -> SubmitWait<W> {
        let Self { room, job, options } = self;
        let shared = room.shared().clone();
        let terms = shared.defaults.with(&options);
        SubmitWait::new(shared, job, options.meta, terms.map(Some))
    }

    /// Submits it and has `callback` called with the [`Settlement`], exactly once, however the task ends: by a worker, or by
    /// the thread that ends the processor. A panic in it is caught and counted. Allocates a box for the callback.
    ///
    /// A callback that takes long keeps its worker from other work, though it delays no deadline and, on a runtime with
    /// several threads, no other attempt.
    ///
    /// ```
    /// # use plimsoll::{Processor, Thread};
    /// # use std::sync::mpsc;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let processor = Processor::builder().spawn_on(Thread::start()?, |text: String| async move { text.parse::<u32>() })?;
    /// let (done, results) = mpsc::channel();
    /// processor.task("21".into()).call(move |settled| {
    ///     let _ = done.send((settled.result.ok(), settled.attempts));
    /// })?;
    /// assert_eq!(results.recv()?, (Some(21), 1));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The job and the callback, which is not called, come back with the reason.
    pub fn call<C>(self, callback: C) -> Result<TaskId, RefusedCall<W>>
    where
        C: FnOnce(Settlement<W>) + Erase<CallbackOf<W>>,
        W: 'static,
    {
        self.offer(Route::Callback(Recipient::Callback(callback.erase()))).map_err(|refused| {
            refused.map(|Offer { job, route, .. }| {
                let callback: Callback<W> = match route {
                    Route::Callback(Recipient::Callback(callback)) => callback,
                    // It was just made.
                    _ => W::Sharing::ignore(),
                };
                (job.into_job(), callback)
            })
        })
    }

    /// Submits it; the result goes to this completion queue.
    ///
    /// ```
    /// # use plimsoll::{Priority, Processor, Thread, infallible};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let processor = Processor::builder().spawn_on(Thread::start()?, infallible(|n: u64| async move { n * 2 }))?;
    /// let mut queue = processor.completion_queue(10)?;
    /// processor.task(21).priority(Priority::HIGHEST).submit_to(&mut queue)?;
    /// futures::executor::block_on(queue.ready(1));
    /// assert_eq!(queue.try_next().ok_or("it is ready")?.result?, 42);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The job comes back with the reason: [`Untaken`](crate::Refusal::Untaken) when the queue has as many tasks as it has
    /// room for.
    pub fn submit_to(self, queue: &mut CompletionQueue<W>) -> Result<TaskId, Refused<W::Job>> {
        let recipient = match queue.recipient() {
            Ok(recipient) => recipient,
            Err(reason) => return Err(Refused::new(reason, self.job)),
        };
        let task = self.offer(Route::Callback(recipient)).map_err(only_job)?;
        queue.note_admitted(1);
        Ok(task)
    }

    /// Submits it; the result is of no interest.
    ///
    /// ```
    /// # use plimsoll::{Processor, Thread, infallible};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let processor = Processor::builder().spawn_on(Thread::start()?, infallible(|n: u64| async move { n * 2 }))?;
    /// processor.task(21).post()?;
    /// futures::executor::block_on(processor.idle());
    /// assert_eq!(processor.totals().settled.completed, 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The job comes back with the reason.
    pub fn post(self) -> Result<TaskId, Refused<W::Job>> {
        self.offer(Route::Nowhere).map_err(only_job)
    }

    /// Submits it; the result is retained for [`Access::result`](crate::Access::result). Needs
    /// [`Builder::results`](crate::Builder::results).
    ///
    /// ```
    /// # use plimsoll::{Processor, Thread, infallible};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let builder = Processor::builder().results(100, None);
    /// let processor = builder.spawn_on(Thread::start()?, infallible(|n: u64| async move { n * 2 }))?;
    /// let task = processor.task(21).retain()?;
    /// futures::executor::block_on(processor.idle());
    /// assert_eq!(processor.result(task), Some(Ok(42)));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The job comes back with the reason.
    pub fn retain(self) -> Result<TaskId, Refused<W::Job>> {
        self.offer(Route::Retain).map_err(only_job)
    }

    fn offer(self, route: Route<Recipient<W>>) -> Result<TaskId, Refused<OfferOf<W>>> {
        let Self { room, job, options } = self;
        let offer = Offer::new(room.shared().carry(job), options.meta).route(route);
        let terms = match room.shared().defaults.with(&options) {
            Ok(terms) => terms,
            Err(reason) => return Err(Refused::new(reason, offer)),
        };
        match room {
            Room::Any(shared) => shared.submit(&terms, |machine, now| machine.submit(now, offer, &terms)),
            Room::Reserved(permit) => permit.offer(offer, &terms),
        }
    }
}

impl<W: AnyWork> fmt::Debug for TaskBuilder<'_, W> {
    /// Never contents.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskBuilder").finish_non_exhaustive()
    }
}
