//! Many tasks whose results go to one place, in the order in which they are settled.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use futures_core::Stream;
use plimsoll_core::{BuildError, Refusal};

use crate::access::Access;
use crate::batch::{Batch, Pulled, room_to_pull};
use crate::engine::completions::{QueueKey, list_of};
use crate::engine::machine::Shared;
use crate::recipient::{Inside, Recipient};
use crate::settlement::Settlement;
use crate::work::AnyWork;

/// Many tasks whose results go to one place: a [`Stream`] of [`Settlement`]s in the order in which the tasks are settled.
/// Made by [`Access::completion_queue`].
///
/// It has room for a number of tasks, from their submission until their results are taken here. Results that are there are
/// taken together, in one short hold of the machine's lock, and while there are any nobody is woken. Results in it are its own:
/// they survive the end of the processor, and do not count as [`unclaimed`](crate::Limits::unclaimed). Dropping it drops them;
/// the tasks go on.
///
/// ```
/// use futures::StreamExt;
/// use plimsoll::{Processor, Thread, infallible};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let processor = Processor::builder().spawn_on(Thread::start()?, infallible(|n: u64| async move { n * 2 }))?;
/// let mut queue = processor.completion_queue(10)?;
/// for n in 1..=10 {
///     queue.submit(n)?;
/// }
/// let mut sum = 0;
/// while let Some(settled) = futures::executor::block_on(queue.next()) {
///     sum += settled.result?;
/// }
/// assert_eq!(sum, 110);
/// # Ok(())
/// # }
/// ```
///
/// The consumer of a stream may be woken for every single result, when it is as fast as the tasks. One that has much to do
/// waits for many at a time: see [`ready`](Self::ready).
#[must_use = "dropping it gives the results of its tasks up"]
pub struct CompletionQueue<W: AnyWork> {
    shared: Arc<Shared<W>>,
    key: QueueKey,
    /// Taken out of the machine, all that there were at a time.
    taken: VecDeque<Settlement<W>>,
    capacity: u32,
    /// Tasks that were submitted and whose results were not handed out.
    tasks: u32,
    /// Empty between two calls: for jobs on the way to the machine.
    pulled: Pulled<W>,
}

/// Waits for results. Made by [`CompletionQueue::ready`].
#[must_use = "a future does nothing unless it is awaited"]
pub struct Ready<'a, W: AnyWork> {
    queue: &'a mut CompletionQueue<W>,
    wanted: usize,
}

impl<W: AnyWork> Access<W> {
    /// A queue for the results of so many tasks. Allocates room for all of them, twice, and for up to 64 jobs; nothing later.
    ///
    /// # Errors
    /// [`BuildError::Memory`].
    pub fn completion_queue(&self, capacity: u32) -> Result<CompletionQueue<W>, BuildError> {
        let (settled, taken, pulled) = (list_of(capacity)?, list_of(capacity)?, room_to_pull::<W>(capacity)?);
        let shared = self.shared.clone();
        let key = shared.open_queue(settled);
        Ok(CompletionQueue { shared, key, taken, capacity, tasks: 0, pulled })
    }
}

impl<W: AnyWork> CompletionQueue<W> {
    /// How many of its tasks are not settled, or their results not taken.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.tasks as usize
    }

    /// Whether all results of its tasks were taken.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.tasks == 0
    }

    /// How many tasks it has room for.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.capacity as usize
    }

    /// The result of the task that was settled first, if it is there already; never waits. Only when none is at hand it
    /// holds the machine's lock, for a moment, and takes all that are there.
    ///
    /// ```
    /// # use plimsoll::{Processor, Thread, infallible};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let processor = Processor::builder().spawn_on(Thread::start()?, infallible(|n: u64| async move { n * 2 }))?;
    /// let mut queue = processor.completion_queue(10)?;
    /// assert!(queue.try_next().is_none());
    /// queue.submit(21)?;
    /// futures::executor::block_on(queue.ready(1));
    /// assert_eq!(queue.try_next().map(|settled| settled.result), Some(Ok(42)));
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn try_next(&mut self) -> Option<Settlement<W>> {
        if self.taken.is_empty() {
            self.look(1, None);
        }
        let settled = self.taken.pop_front()?;
        self.tasks = self.tasks.saturating_sub(1);
        Some(settled)
    }

    /// Waits until `wanted` results are there, or those of all its tasks if these are fewer: then
    /// [`try_next`](Self::try_next) has them. Results that are there earlier wake nobody, so this is for a consumer that has
    /// much to do and can wait for the slowest of a few tasks; any other one takes the queue as a stream.
    ///
    /// Dropping the future loses nothing.
    ///
    /// ```
    /// # use plimsoll::{Options, Processor, Thread, infallible};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # futures::executor::block_on(async {
    /// let processor = Processor::builder().spawn_on(Thread::start()?, infallible(|n: u64| async move { n * 2 }))?;
    /// let mut queue = processor.completion_queue(1_000)?;
    /// let (mut jobs, mut sum) = (1..=10_000, 0);
    /// loop {
    ///     let _ = queue.submit_many(&mut jobs, &Options::default(), |_| ());
    ///     if queue.is_empty() {
    ///         break;
    ///     }
    ///     queue.ready(100).await;
    ///     while let Some(settled) = queue.try_next() {
    ///         sum += settled.result?;
    ///     }
    /// }
    /// assert_eq!(sum, 100_010_000);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub const fn ready(&mut self, wanted: usize) -> Ready<'_, W> {
        Ready { queue: self, wanted }
    }

    /// Ready when `wanted` results are there, or those of all tasks.
    fn poll_ready(&mut self, cx: &Context<'_>, wanted: usize) -> Poll<()> {
        let missing = wanted.min(self.len()).saturating_sub(self.taken.len());
        // The waker is cloned without the lock, for it is foreign code.
        if missing == 0 || self.look(missing, Some(cx.waker().clone())) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    /// Whether so many results are there beside those at hand, at least one: if none are at hand, all of them are then. If
    /// not, `waker` is left, to be woken when they are.
    fn look(&mut self, wanted: usize, waker: Option<Waker>) -> bool {
        if self.taken.is_empty() {
            // From its beginning again, so that the same memory is used as long as few results wait.
            self.taken.clear();
        }
        let (are_there, unused) = self.shared.take_results(self.key, &mut self.taken, wanted, waker);
        self.shared.discard(unused);
        are_there
    }

    /// For a task that is to be submitted: where its result goes, if there is room for it.
    pub(crate) const fn recipient(&self) -> Result<Recipient<W>, Refusal> {
        if self.tasks < self.capacity {
            Ok(Recipient::Inside(Inside::Queue(self.key)))
        } else {
            Err(Refusal::Untaken)
        }
    }

    pub(crate) const fn shared(&self) -> &Arc<Shared<W>> {
        &self.shared
    }

    pub(crate) const fn key(&self) -> QueueKey {
        self.key
    }

    /// For jobs that are to be submitted together, as many as there is room for.
    pub(crate) fn batch(&mut self) -> Batch<'_, W> {
        let most = self.capacity.saturating_sub(self.tasks);
        Batch::new(&self.shared, &mut self.pulled, most, &mut self.tasks)
    }

    /// Counts tasks that were admitted.
    pub(crate) const fn note_admitted(&mut self, tasks: u32) {
        self.tasks = self.tasks.saturating_add(tasks);
    }
}

// Nothing in it is pinned.
impl<W: AnyWork> Unpin for CompletionQueue<W> {}

impl<W: AnyWork> Stream for CompletionQueue<W> {
    type Item = Settlement<W>;

    /// Ends when all results were taken; it goes on when further tasks are submitted.
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Settlement<W>>> {
        if self.taken.is_empty() && self.poll_ready(cx, 1).is_pending() {
            return Poll::Pending;
        }
        let settled = self.taken.pop_front();
        self.tasks = self.tasks.saturating_sub(u32::from(settled.is_some()));
        Poll::Ready(settled)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.len(), Some(self.len()))
    }
}

impl<W: AnyWork> Future for Ready<'_, W> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let wanted = self.wanted;
        self.queue.poll_ready(cx, wanted)
    }
}

impl<W: AnyWork> Drop for CompletionQueue<W> {
    fn drop(&mut self) {
        let (settled, waker) = self.shared.close_queue(self.key, self.len().saturating_sub(self.taken.len()));
        self.shared.discard(waker);
        for settled in self.taken.drain(..).chain(settled) {
            self.shared.discard_settlement(settled);
        }
    }
}

impl<W: AnyWork> fmt::Debug for CompletionQueue<W> {
    /// Counts, never contents.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompletionQueue")
            .field("len", &self.len())
            .field("capacity", &self.capacity)
            .finish_non_exhaustive()
    }
}

impl<W: AnyWork> fmt::Debug for Ready<'_, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ready").field("queue", self.queue).field("wanted", &self.wanted).finish()
    }
}
