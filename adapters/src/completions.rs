//! Many tasks whose results go to one place, in the order in which they are settled.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use futures_core::Stream;
use plimsoll_core::{BuildError, Refusal};

use crate::access::Access;

use crate::engine::completions::Completions;
use crate::engine::machine::Shared;
use crate::offer::Offer;
use crate::settlement::Settlement;
use crate::work::AnyWork;

/// Many tasks whose results go to one place: a [`Stream`] of [`Settlement`]s in the order in which the tasks are settled.
/// Made by [`Access::completion_queue`].
///
/// It has room for a number of tasks, from their submission until their results are taken here. Those that are there are taken
/// together, without the machine's lock, and while there are any nobody is woken. Results in it are its own: they survive the
/// end of the processor, and do not count as [`unclaimed`](crate::Limits::unclaimed). Dropping it drops them; the tasks go on.
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
#[must_use = "dropping it gives the results of its tasks up"]
pub struct CompletionQueue<W: AnyWork> {
    shared: Arc<Shared<W>>,
    completions: Arc<Completions<W>>,
    /// Taken out of the former, all that there were at a time.
    taken: VecDeque<Settlement<W>>,
    capacity: u32,
    /// Tasks that were submitted and whose results were not handed out.
    tasks: u32,
    /// Empty between two calls: for jobs on the way to the machine.
    offers: Vec<Offer<W>>,
}

impl<W: AnyWork> Access<W> {
    /// A queue for the results of so many tasks. Allocates room for all of them, twice.
    ///
    /// # Errors
    /// [`BuildError::Memory`].
    pub fn completion_queue(&self, capacity: u32) -> Result<CompletionQueue<W>, BuildError> {
        let list = || {
            let mut list = VecDeque::new();
            let bytes = (capacity as usize).saturating_mul(size_of::<Settlement<W>>());
            list.try_reserve_exact(capacity as usize).map_err(|_| BuildError::Memory { bytes })?;
            Ok::<_, BuildError>(list)
        };
        Ok(CompletionQueue {
            shared: self.shared.clone(),
            completions: Arc::new(Completions::new(list()?)),
            taken: list()?,
            capacity,
            tasks: 0,
            offers: Vec::new(),
        })
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

    /// The result of the task that was settled first, if it is there already; never waits.
    pub fn try_next(&mut self) -> Option<Settlement<W>> {
        if self.taken.is_empty() && !self.completions.has_some() {
            return None;
        }
        self.take_first(None)
    }

    /// Takes the first result; if there is none, `waker` is left.
    fn take_first(&mut self, waker: Option<Waker>) -> Option<Settlement<W>> {
        let mut unused = waker;
        if self.taken.is_empty() {
            // From its beginning again, so that the same memory is used as long as few results wait.
            self.taken.clear();
            unused = self.completions.exchange(&mut self.taken, unused);
        }
        self.shared.discard(unused);
        let settled = self.taken.pop_front()?;
        self.tasks = self.tasks.saturating_sub(1);
        Some(settled)
    }

    /// For a task that is to be submitted: where its result goes, if there is room for it.
    pub(crate) fn recipient(&self) -> Result<Arc<Completions<W>>, Refusal> {
        if self.tasks < self.capacity { Ok(self.completions.clone()) } else { Err(Refusal::Untaken) }
    }

    pub(crate) const fn shared(&self) -> &Arc<Shared<W>> {
        &self.shared
    }

    pub(crate) const fn completions(&self) -> &Arc<Completions<W>> {
        &self.completions
    }

    pub(crate) const fn offers(&mut self) -> &mut Vec<Offer<W>> {
        &mut self.offers
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
        if let Some(settled) = self.try_next() {
            return Poll::Ready(Some(settled));
        }
        if self.is_empty() {
            return Poll::Ready(None);
        }
        // Cloned without the lock, for a waker is foreign code.
        let waker = cx.waker().clone();
        match self.take_first(Some(waker)) {
            Some(settled) => Poll::Ready(Some(settled)),
            None => Poll::Pending,
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.len(), Some(self.len()))
    }
}

impl<W: AnyWork> Drop for CompletionQueue<W> {
    fn drop(&mut self) {
        let (settled, waker) = self.completions.close();
        self.shared.discard(waker);
        for settled in settled.into_iter().chain(self.taken.drain(..)) {
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
