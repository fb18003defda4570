//! A task that is about to be submitted.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use plimsoll_core::{Lane, Offer, Plan, Priority, Refused, Retry, Route, TaskId, Timeouts, Unique};

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
    pub fn priority(mut self, priority: Priority) -> Self {
        self.options = self.options.priority(priority);
        self
    }

    /// See [`Options::delay`].
    pub fn delay(mut self, delay: Duration) -> Self {
        self.options = self.options.delay(delay);
        self
    }

    /// See [`Options::timeout`].
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
                (job, callback)
            })
        })
    }

    /// Submits it; the result goes to this completion queue.
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
    /// # Errors
    /// The job comes back with the reason.
    pub fn post(self) -> Result<TaskId, Refused<W::Job>> {
        self.offer(Route::Nowhere).map_err(only_job)
    }

    /// Submits it; the result is retained for [`Access::result`](crate::Access::result). Needs
    /// [`Builder::results`](crate::Builder::results).
    ///
    /// # Errors
    /// The job comes back with the reason.
    pub fn retain(self) -> Result<TaskId, Refused<W::Job>> {
        self.offer(Route::Retain).map_err(only_job)
    }

    fn offer(self, route: Route<Recipient<W>>) -> Result<TaskId, Refused<OfferOf<W>>> {
        let Self { room, job, options } = self;
        let offer = Offer::new(job, options.meta).route(route);
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

/// Leaves the route behind: it has no callback.
pub(crate) fn only_job<P: Plan>(refused: Refused<Offer<P>>) -> Refused<P::Job> {
    refused.map(|offer| offer.job)
}

impl<W: AnyWork> fmt::Debug for TaskBuilder<'_, W> {
    /// Never contents.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskBuilder").finish_non_exhaustive()
    }
}
