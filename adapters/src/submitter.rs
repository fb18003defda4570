//! What can be done with a processor, apart from ending it.

use std::fmt;
use std::sync::Arc;

use plimsoll_core::{
    CancelError, Cancelled, Census, Health, LastError, Ledger, Limits, Outcome, Phase, Refused, Route,
    Settlement, SubscribeRefusal, TaskId, Totals,
};

use crate::engine::machine::Shared;
use crate::handle::Handle;
use crate::idle::Idle;
use crate::options::{Callback, Options};
use crate::subscription::Subscription;

/// Submits tasks to a processor, watches and steers it. Cheap to clone; it does not keep the processor alive, so the
/// processor's own jobs may hold one. After the end it is still there, and refuses everything.
///
/// No method waits for anything but the machine's lock, and none runs callbacks, wakers or drops of others: the
/// processor's own workers do that. When several threads want that lock all the time, all but one leave it alone for a while,
/// and a thread that finds it held by one that was interrupted does so too: then a call takes as long as the operating system
/// lets a thread rest for 20 microseconds, some 100 to 200 in practice, or a few times that. One thread alone never rests.
pub struct Submitter<J, O, E, M: Copy = ()> {
    pub(crate) shared: Arc<Shared<J, O, E, M>>,
}

impl<J, O, E, M: Copy> Clone for Submitter<J, O, E, M> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

impl<J, O, E, M: Copy> fmt::Debug for Submitter<J, O, E, M> {
    /// Counts, never contents.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Submitter")
            .field("phase", &self.phase())
            .field("census", &self.census())
            .finish_non_exhaustive()
    }
}

impl<J, O, E, M: Copy> Submitter<J, O, E, M> {
    /// Submits a job on the default terms; the outcome goes to the handle. Never waits. O(1), no allocation.
    ///
    /// # Errors
    /// The job comes back with the reason: [`Full`](crate::Refusal::Full), for instance.
    pub fn submit(&self, job: J) -> Result<Handle<J, O, E, M>, Refused<J>>
    where
        M: Default,
    {
        self.submit_with(job, Options::default())
    }

    /// As [`submit`](Self::submit), on these terms.
    ///
    /// # Errors
    /// The job comes back with the reason.
    pub fn submit_with(&self, job: J, options: Options<M>) -> Result<Handle<J, O, E, M>, Refused<J>> {
        let task = self.offer(job, options, Route::Handle).map_err(only_job)?;
        Ok(Handle::new(self.shared.clone(), task))
    }

    /// Submits a job and has `callback` called with its outcome, exactly once, whatever that is: by a worker, or by the
    /// thread that ends the processor. A panic in it is caught and counted. Allocates a box for the callback.
    ///
    /// A callback that takes long keeps its worker from other work, though it delays no deadline and, on a runtime with
    /// several threads, no other attempt. Leave long work to a task.
    ///
    /// # Errors
    /// The job and the callback, which is not called, come back with the reason.
    pub fn call(
        &self,
        job: J,
        options: Options<M>,
        callback: impl FnOnce(Outcome<O, E>) + Send + 'static,
    ) -> Result<TaskId, Refused<(J, Callback<O, E>)>>
    where
        O: 'static,
        E: 'static,
    {
        self.offer(job, options, Route::Callback(Box::new(callback))).map_err(|refused| {
            let (reason, (job, route)) = refused.into_parts();
            let callback: Callback<O, E> = match route {
                Route::Callback(callback) => callback,
                // It was just made.
                _ => Box::new(drop),
            };
            Refused::new(reason, (job, callback))
        })
    }

    /// Submits a job whose outcome is of no interest.
    ///
    /// # Errors
    /// The job comes back with the reason.
    pub fn post(&self, job: J, options: Options<M>) -> Result<TaskId, Refused<J>> {
        self.offer(job, options, Route::Nowhere).map_err(only_job)
    }

    /// Submits a job whose outcome is retained for [`result`](Self::result). Needs
    /// [`Builder::results`](crate::Builder::results).
    ///
    /// # Errors
    /// The job comes back with the reason.
    pub fn retain(&self, job: J, options: Options<M>) -> Result<TaskId, Refused<J>> {
        self.offer(job, options, Route::Retain).map_err(only_job)
    }

    /// Takes the outcome of a task that was submitted with [`retain`](Self::retain). `None` when it is not settled
    /// yet, was taken before, is too old, or had to make room for newer ones.
    pub fn result(&self, task: TaskId) -> Option<Outcome<O, E>> {
        let now = self.shared.now();
        let Settlement { outcome, job, .. } = self.shared.act(|machine| machine.take_result(now, task))?;
        self.shared.discard(job);
        Some(outcome)
    }

    /// Cancels a task, whatever it is doing. If it runs, it is asked to stop.
    ///
    /// # Errors
    /// [`CancelError`] when it is settled already, or gone.
    pub fn cancel(&self, task: TaskId) -> Result<Cancelled, CancelError> {
        let now = self.shared.now();
        self.shared.act(|machine| machine.cancel(now, task))
    }

    /// Starts no further attempts until [`resume`](Self::resume). What runs goes on, and time-outs count.
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

    /// Sets how many attempts may run at the same time, at most what the processor was built for; returns what is now
    /// set. Stops nobody.
    pub fn set_concurrency(&self, concurrency: u32) -> u32 {
        let now = self.shared.now();
        self.shared.act(|machine| machine.set_concurrency(now, concurrency))
    }

    /// Waits until every task is settled: none is queued, running, delayed or backing off. One such moment is enough,
    /// although others may submit again before this is polled next. Callbacks have been taken up by then, but may not have
    /// returned; attempts that do not stop when they were timed out or cancelled are not waited for. Allocates room for its
    /// waker.
    ///
    /// ```
    /// # use plimsoll::{Options, Processor, Thread};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let processor = Processor::builder().spawn_on(Thread::start()?, |_: u64| async { Ok::<_, ()>(()) })?;
    /// for job in 0..10 {
    ///     processor.post(job, Options::default())?;
    /// }
    /// futures::executor::block_on(processor.idle());
    /// assert_eq!(processor.totals().settled.completed, 10);
    /// # Ok(())
    /// # }
    /// ```
    pub fn idle(&self) -> Idle<J, O, E, M> {
        Idle::new(self.shared.clone())
    }

    /// Whether every task is settled now. O(1).
    pub fn is_idle(&self) -> bool {
        self.shared.read(|machine| machine.is_idle())
    }

    /// Subscribes to the events from now on.
    ///
    /// # Errors
    /// Too many subscribers, or the processor has ended.
    pub fn subscribe(&self) -> Result<Subscription<J, O, E, M>, SubscribeRefusal> {
        let id = self.shared.act(|machine| machine.subscribe())?;
        Ok(Subscription::new(self.shared.clone(), id))
    }

    /// The last thing that went wrong, in a fixed number of bytes.
    pub fn last_error(&self) -> Option<LastError<M>> {
        self.shared.read(|machine| machine.last_error())
    }

    /// The state of the processor in numbers.
    pub fn health(&self) -> Health {
        let now = self.shared.now();
        self.shared.read(|machine| machine.health(now))
    }

    /// Open, draining or drained.
    pub fn phase(&self) -> Phase {
        self.shared.read(|machine| machine.phase())
    }

    /// What the processor holds now, its cache included. O(1).
    pub fn census(&self) -> Census {
        let mut census = self.shared.read(|machine| machine.census());
        census.cached = self.shared.cache.count(false).held;
        census
    }

    /// As [`census`](Self::census), recounted by walking everything under the lock: O(limits). They are equal, or the
    /// processor is broken.
    pub fn audit(&self) -> Census {
        let mut census = self.shared.read(|machine| machine.audit());
        census.cached = self.shared.cache.count(true).held;
        census
    }

    /// What has come and gone so far.
    pub fn totals(&self) -> Totals {
        self.shared.read(|machine| machine.totals())
    }

    /// The movements of every class of things that could leak.
    pub fn ledger(&self) -> Ledger {
        let mut ledger = self.shared.read(|machine| machine.ledger());
        ledger.cache = self.shared.cache.count(false).account;
        ledger
    }

    /// The limits that it was built for. Those of the cache are its own: see [`Cache`](crate::Cache).
    pub fn limits(&self) -> Limits {
        self.shared.read(|machine| *machine.limits())
    }

    /// How many attempts may run at the same time, as last set.
    pub fn concurrency(&self) -> u32 {
        self.shared.read(|machine| machine.concurrency())
    }

    /// How many more tasks would be taken in now.
    pub fn free_room(&self) -> u32 {
        self.shared.read(|machine| machine.free_room())
    }

    /// The time on the processor's clock.
    pub fn now(&self) -> crate::Instant {
        self.shared.now()
    }

    fn offer(
        &self,
        job: J,
        options: Options<M>,
        route: Route<Callback<O, E>>,
    ) -> Result<TaskId, Refused<(J, Route<Callback<O, E>>)>> {
        let shared = &self.shared;
        let conditions = match shared.defaults.with(&options) {
            Ok(conditions) => conditions,
            Err(reason) => return Err(Refused::new(reason, (job, route))),
        };
        shared
            .submit(&conditions, |machine, now| machine.submit_on(now, job, options.meta, route, &conditions))
    }
}

/// Leaves the route behind: it has no callback.
fn only_job<J, C>(refused: Refused<(J, C)>) -> Refused<J> {
    refused.map(|(job, _)| job)
}
