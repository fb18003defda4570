//! Room that is set aside for tasks to come.

use std::fmt;
use std::future::Future;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use plimsoll_core::{
    Instant, Offer, PermitId, PermitRefusal, Phase, Refusal, Refused, ReserveRefusal, RoomStatus, Route,
    TaskId, Terms, WaitRefusal,
};

use crate::access::Access;
use crate::carried::Carried;
use crate::engine::machine::Shared;
use crate::engine::types::{Machine, OfferOf};
use crate::recipient::Recipient;
use crate::work::AnyWork;

/// Room for one task, or for several, that nobody else can take. Made by [`Access::reserve`], [`Access::reserve_many`] and
/// [`Access::try_reserve`].
///
/// A task that is submitted with it is refused by nothing but the end of the processor, and by what its own terms ask for
/// beside room: more attempts than allowed, a time-out of zero, room for delayed tasks, a lane, a key that no other task has, a
/// monitor. What is refused leaves its place here.
///
/// A place that is held is a place that others do not have: of the queue, and of [`unclaimed`](crate::Limits::unclaimed).
/// [`Health::permits`](crate::Health::permits) counts them. So submit soon. Dropping it gives all its places back to the next
/// in line.
///
/// ```
/// # use plimsoll::{Processor, Thread, infallible};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # futures::executor::block_on(async {
/// let processor = Processor::builder().spawn_on(Thread::start()?, infallible(|n: u64| async move { n * 2 }))?;
/// let mut permit = processor.reserve_many(2).await?;
/// let first = permit.submit(1)?;
/// permit.task(2).post()?;
/// assert_eq!((first.await?, permit.places()), (2, 0));
/// # Ok(())
/// # })
/// # }
/// ```
#[must_use = "dropping a permit gives its room back"]
pub struct Permit<W: AnyWork> {
    shared: Arc<Shared<W>>,
    /// `None` once it has no places.
    held: Option<(PermitId, NonZeroU32)>,
}

/// Waits for a [`Permit`], first come first served. Dropping it at any time gives its place in the line, or the room it was
/// granted, to the next one. After it was ready it must not be polled again.
#[must_use = "a future does nothing unless it is awaited"]
pub struct Reserve<W: AnyWork> {
    shared: Arc<Shared<W>>,
    places: u32,
    /// In the line, or with a permit that was not looked at.
    waiting: Option<PermitId>,
}

impl<W: AnyWork> Access<W> {
    /// Waits for room for one task.
    ///
    /// The future is ready with an error when the processor ends, when too many wait or hold permits
    /// ([`Limits::waiters`](crate::Limits::waiters)), or when more results than
    /// [`Limits::unclaimed`](crate::Limits::unclaimed) are not taken: the waiter might be the one that has to take them.
    ///
    /// ```
    /// # use plimsoll::{Processor, Thread, infallible};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let processor = Processor::builder().spawn_on(Thread::start()?, infallible(|n: u64| async move { n * 2 }))?;
    /// let handle = futures::executor::block_on(async {
    ///     let mut permit = processor.reserve().await?; // before the job is made
    ///     Ok::<_, Box<dyn std::error::Error>>(permit.submit(21)?)
    /// })?;
    /// assert_eq!(handle.wait()?, 42);
    /// # Ok(())
    /// # }
    /// ```
    pub fn reserve(&self) -> Reserve<W> {
        self.reserve_many(1)
    }

    /// As [`reserve`](Self::reserve), for so many tasks at a time. A waiter for many places is not overtaken by one for few.
    pub fn reserve_many(&self, places: u32) -> Reserve<W> {
        Reserve::new(self.shared.clone(), places)
    }

    /// Room for so many tasks if there is that now; never waits. O(1). Zero is always had, and holds nothing.
    ///
    /// ```
    /// # use plimsoll::{Processor, ReserveRefusal, Thread, infallible};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let builder = Processor::builder().queue(3).concurrency(1);
    /// let processor = builder.spawn_on(Thread::start()?, infallible(|_: u64| async {}))?;
    /// let three = processor.try_reserve(3)?;
    /// assert_eq!(processor.try_reserve(2).unwrap_err(), ReserveRefusal::Full);
    /// drop(three); // gives its room back
    /// assert_eq!(processor.try_reserve(2)?.places(), 2);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ReserveRefusal`]: [`Full`](ReserveRefusal::Full), for instance.
    pub fn try_reserve(&self, places: u32) -> Result<Permit<W>, ReserveRefusal> {
        Permit::take(&self.shared, places)
    }
}

impl<W: AnyWork> Permit<W> {
    const fn empty(shared: Arc<Shared<W>>) -> Self {
        Self { shared, held: None }
    }

    const fn new(shared: Arc<Shared<W>>, id: PermitId, count: NonZeroU32) -> Self {
        Self { shared, held: Some((id, count)) }
    }

    /// See [`Access::try_reserve`].
    pub(crate) fn take(shared: &Arc<Shared<W>>, places: u32) -> Result<Self, ReserveRefusal> {
        let Some(count) = NonZeroU32::new(places) else { return Ok(Self::empty(shared.clone())) };
        let now = shared.now();
        let id = shared.act(|machine| machine.reserve(now, count))?;
        Ok(Self::new(shared.clone(), id, count))
    }

    /// For up to so many tasks, as many as there is room for but at least one, which may be refused.
    pub(crate) fn take_some(shared: &Arc<Shared<W>>, most: NonZeroU32) -> Result<Self, ReserveRefusal> {
        // No deadline depends on it: the time that the machine was told last will do.
        let (id, count) = shared.act(|machine| {
            let (now, room) = (machine.now(), machine.free_room());
            let count = NonZeroU32::new(room).map_or(NonZeroU32::MIN, |room| room.min(most));
            let reserved = machine.reserve(now, count).map(|id| (id, count));
            match reserved {
                // Handles may not have as much room.
                Err(ReserveRefusal::Unclaimed) => {
                    machine.reserve(now, NonZeroU32::MIN).map(|id| (id, NonZeroU32::MIN))
                }
                reserved => reserved,
            }
        })?;
        Ok(Self::new(shared.clone(), id, count))
    }

    /// How many of its places were not used. The end of the processor takes them without a word: then each submission says so.
    #[must_use]
    pub fn places(&self) -> u32 {
        self.held.map_or(0, |(_, count)| count.get())
    }

    pub(crate) const fn shared(&self) -> &Arc<Shared<W>> {
        &self.shared
    }

    /// Submits with one of its places.
    pub(crate) fn offer(&mut self, offer: OfferOf<W>, terms: &Terms) -> Result<TaskId, Refused<OfferOf<W>>> {
        let Some((id, count)) = self.held else { return Err(Refused::new(Refusal::UsedUp, offer)) };
        let submitted =
            self.shared.submit(terms, |machine, now| machine.reserved(now, id).submit(offer, terms));
        if submitted.is_ok() {
            self.held = NonZeroU32::new(count.get().saturating_sub(1)).map(|rest| (id, rest));
        }
        submitted.map_err(|refused| refused.because(task_refusal))
    }

    /// Submits with one of its places each, all on the same terms and in one hold of the lock. Jobs that are refused are
    /// added to `refused`: the last reason.
    #[inline]
    pub(crate) fn offer_many(
        &mut self,
        jobs: impl Iterator<Item = (Carried<W::Job>, W::Meta)>,
        route: impl Fn() -> Route<Recipient<W>>,
        terms: &Terms,
        refused: &mut Vec<Carried<W::Job>>,
    ) -> Option<Refusal> {
        let (id, count) = self.held?;
        let (now, mut used, mut reason) = (self.shared.now(), 0, None);
        self.shared.act(|machine| {
            let mut places = machine.reserved(now, id);
            for (job, meta) in jobs {
                match places.submit(Offer::new(job, meta).route(route()), terms) {
                    Ok(_) => used += 1,
                    Err(back) => {
                        reason = Some(task_refusal(back.reason));
                        refused.push(back.into_value().job);
                    }
                }
            }
        });
        self.held = NonZeroU32::new(count.get().saturating_sub(used)).map(|rest| (id, rest));
        reason
    }
}

/// Why a task was refused that had a place.
const fn task_refusal(reason: PermitRefusal) -> Refusal {
    match reason {
        PermitRefusal::Task(reason) => reason,
        // The machine is draining, which takes all permits.
        _ => Refusal::Closed,
    }
}

/// Why a job is refused for which no place could be had.
pub(crate) const fn refusal_of(reason: ReserveRefusal) -> Refusal {
    match reason {
        ReserveRefusal::Closed => Refusal::Closed,
        ReserveRefusal::Unclaimed => Refusal::Unclaimed,
        ReserveRefusal::Backlog => Refusal::Backlog,
        _ => Refusal::Full,
    }
}

impl<W: AnyWork> Drop for Permit<W> {
    fn drop(&mut self) {
        if let Some((id, _)) = self.held {
            leave(&self.shared, id);
        }
    }
}

/// Gives a permit back, or leaves the line.
#[cold]
fn leave<W: AnyWork>(shared: &Shared<W>, id: PermitId) {
    let now = shared.now();
    let waker = shared.act(|machine| machine.leave(now, id));
    shared.discard(waker);
}

/// What a look at the machine came to.
enum Look {
    Granted(PermitId),
    Waiting(PermitId),
    Refused(ReserveRefusal),
}

impl<W: AnyWork> Reserve<W> {
    pub(crate) const fn new(shared: Arc<Shared<W>>, places: u32) -> Self {
        Self { shared, places, waiting: None }
    }

    /// Leaves the waker where it is if it is not needed.
    fn look(&self, count: NonZeroU32, waker: &mut Option<Waker>) -> Look {
        let now = self.shared.now();
        self.shared.act(|machine| match self.waiting {
            None => arrive(machine, now, count, waker),
            Some(id) => come_back(machine, id, waker),
        })
    }
}

/// Takes the room that there is, or joins the line.
fn arrive<W: AnyWork>(
    machine: &mut Machine<W>,
    now: Instant,
    count: NonZeroU32,
    waker: &mut Option<Waker>,
) -> Look {
    match machine.reserve(now, count) {
        Ok(id) => return Look::Granted(id),
        Err(ReserveRefusal::Full | ReserveRefusal::Backlog) => {}
        Err(reason) => return Look::Refused(reason),
    }
    let Some(new) = waker.take() else { return Look::Refused(ReserveRefusal::Full) };
    match machine.wait_for_room(now, new, count) {
        Ok(id) => Look::Waiting(id),
        Err(refused) => {
            let (reason, unused) = refused.into_parts();
            *waker = Some(unused);
            Look::Refused(match reason {
                WaitRefusal::Closed => ReserveRefusal::Closed,
                WaitRefusal::TooMany => ReserveRefusal::TooMany,
                _ => ReserveRefusal::Waiters,
            })
        }
    }
}

/// Asks how it stands in the line.
fn come_back<W: AnyWork>(machine: &mut Machine<W>, id: PermitId, waker: &mut Option<Waker>) -> Look {
    let Some(new) = waker.take() else { return Look::Waiting(id) };
    let (look, unused) = match machine.rewait(id, new) {
        // Who was granted room, or denied, before the end and looks after it is told of the end: nothing helps against that.
        RoomStatus::Granted(unused) | RoomStatus::Unclaimed(unused) if machine.phase() != Phase::Open => {
            // A permit holds no waker.
            let _ = machine.leave(machine.now(), id);
            (Look::Refused(ReserveRefusal::Closed), Some(unused))
        }
        RoomStatus::Granted(unused) => (Look::Granted(id), Some(unused)),
        RoomStatus::Waiting(replaced) => (Look::Waiting(id), replaced),
        RoomStatus::Unclaimed(unused) => (Look::Refused(ReserveRefusal::Unclaimed), Some(unused)),
        RoomStatus::Gone(unused) => (Look::Refused(ReserveRefusal::Closed), Some(unused)),
    };
    *waker = unused;
    look
}

impl<W: AnyWork> Future for Reserve<W> {
    type Output = Result<Permit<W>, ReserveRefusal>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let Some(count) = NonZeroU32::new(this.places) else {
            return Poll::Ready(Ok(Permit::empty(this.shared.clone())));
        };
        // Cloned and dropped without the lock, for a waker is foreign code.
        let mut waker = Some(cx.waker().clone());
        let look = this.look(count, &mut waker);
        // First, for the drop of a waker may panic.
        this.waiting = if let Look::Waiting(id) = look { Some(id) } else { None };
        let answer = match look {
            Look::Granted(id) => Poll::Ready(Ok(Permit::new(this.shared.clone(), id, count))),
            Look::Refused(reason) => Poll::Ready(Err(reason)),
            Look::Waiting(_) => Poll::Pending,
        };
        this.shared.discard(waker);
        answer
    }
}

impl<W: AnyWork> Drop for Reserve<W> {
    fn drop(&mut self) {
        if let Some(id) = self.waiting {
            leave(&self.shared, id);
        }
    }
}

impl<W: AnyWork> fmt::Debug for Permit<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("places", &self.places()).finish_non_exhaustive()
    }
}

impl<W: AnyWork> fmt::Debug for Reserve<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reserve")
            .field("places", &self.places)
            .field("in_line", &self.waiting.is_some())
            .finish_non_exhaustive()
    }
}
