//! A small event emitter.

use std::fmt;
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use plimsoll_core::{FeedRefusal, Refused};

use crate::emitter::{BatchListener, Emitter, ErrorListener, TaskListener};
use crate::panics::{catch, first_panic};

/// An event emitter with three kinds of event: a `task`, a `batch` of them, and an `error`.
///
/// Cloning gives a further handle of the same emitter. Listeners are called in order of registration, without a lock,
/// so that they may register, remove and emit. What no listener takes goes back to the caller that emits.
///
/// ```
/// use plimsoll::{Context, Events, Processor, Thread};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let events = Events::new();
/// let processor = Processor::builder().spawn_on(Thread::start()?, |_: u32, _: Context| async { Ok::<_, ()>(()) })?;
/// processor.attach(&events)?;
/// assert_eq!(events.listener_counts(), [1, 1, 1]);
/// assert!(events.emit_task(7).is_ok());
/// drop(processor);
/// assert_eq!(events.listener_counts(), [0, 0, 0]);
/// assert!(events.emit_task(8).is_err());
/// # Ok(())
/// # }
/// ```
pub struct Events<J> {
    inner: Arc<Inner<J>>,
}

/// The listeners of one kind. Replaced as a whole, so that they can be called without the lock.
type Listeners<L> = Arc<[(u64, Arc<L>)]>;

struct Inner<J> {
    lists: Mutex<Lists<J>>,
}

struct Lists<J> {
    next_id: u64,
    task: Listeners<TaskListener<J>>,
    batch: Listeners<BatchListener<J>>,
    error: Listeners<ErrorListener>,
}

/// One listener of an [`Events`]: dropping it removes the listener. It does not keep the emitter alive.
#[must_use = "dropping a registration removes its listener"]
pub struct Registration {
    id: u64,
    emitter: Weak<dyn Remove>,
}

trait Remove: Send + Sync {
    fn remove(&self, id: u64);
}

impl<J> Events<J> {
    /// An emitter without listeners.
    #[must_use]
    pub fn new() -> Self {
        let lists = Lists { next_id: 0, task: Arc::default(), batch: Arc::default(), error: Arc::default() };
        Self { inner: Arc::new(Inner { lists: Mutex::new(lists) }) }
    }

    /// Offers a job to the listeners, one after the other, until one takes it.
    ///
    /// # Errors
    /// The job, with the reason of the last one who was asked; [`FeedRefusal::Detached`] when there is none.
    pub fn emit_task(&self, job: J) -> Result<(), Refused<J, FeedRefusal>> {
        let listeners = self.inner.lock().task.clone();
        let mut refused = Refused::new(FeedRefusal::Detached, job);
        for (_, listener) in listeners.iter() {
            match listener(refused.into_value()) {
                Ok(()) => return Ok(()),
                Err(back) => refused = back,
            }
        }
        Err(refused)
    }

    /// Offers a batch to the listeners, one after the other: each takes what fits, and the next is offered the rest.
    ///
    /// # Errors
    /// The jobs that nobody took, in order.
    pub fn emit_batch(&self, jobs: Vec<J>) -> Result<(), Vec<J>> {
        let listeners = self.inner.lock().batch.clone();
        let mut rest = jobs;
        for (_, listener) in listeners.iter() {
            match listener(rest) {
                Ok(()) => return Ok(()),
                Err(refused) => rest = refused.into_value(),
            }
        }
        if rest.is_empty() { Ok(()) } else { Err(rest) }
    }

    /// Tells all listeners of an error.
    ///
    /// # Panics
    /// As the first listener does that panics, after all have heard.
    pub fn emit_error(&self, message: &str) {
        let listeners = self.inner.lock().error.clone();
        let panics = listeners.iter().map(|(_, listener)| catch(|| listener(message)).err());
        if let Some(panic) = panics.fold(None, first_panic) {
            resume_unwind(panic);
        }
    }

    /// How many listeners there are for tasks, for batches and for errors.
    #[must_use]
    pub fn listener_counts(&self) -> [usize; 3] {
        let lists = self.inner.lock();
        [lists.task.len(), lists.batch.len(), lists.error.len()]
    }
}

impl<J: 'static> Events<J> {
    fn register<L>(&self, listener: L, list: impl Fn(&mut Lists<J>) -> &mut Listeners<L>) -> Registration {
        let listener = Arc::new(listener);
        let mut lists = self.inner.lock();
        let id = lists.next_id;
        lists.next_id = id.wrapping_add(1);
        let list = list(&mut lists);
        let longer = list.iter().cloned().chain([(id, listener)]).collect();
        let shorter = std::mem::replace(list, longer);
        drop(lists);
        // It has no listener that the new one has not, so nothing foreign is dropped; but let that not be under the lock.
        drop(shorter);
        let inner: Arc<dyn Remove> = self.inner.clone();
        Registration { id, emitter: Arc::downgrade(&inner) }
    }
}

impl<J> Inner<J> {
    fn lock(&self) -> MutexGuard<'_, Lists<J>> {
        self.lists.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes the listener with this id out of a list; hands out the old list, which holds it.
fn without<L>(list: &mut Listeners<L>, id: u64) -> Option<Listeners<L>> {
    list.iter().any(|(other, _)| *other == id).then(|| {
        let rest = list.iter().filter(|(other, _)| *other != id).cloned().collect();
        std::mem::replace(list, rest)
    })
}

impl<J> Remove for Inner<J> {
    fn remove(&self, id: u64) {
        let mut lists = self.lock();
        let removed =
            (without(&mut lists.task, id), without(&mut lists.batch, id), without(&mut lists.error, id));
        drop(lists);
        drop(removed);
    }
}

impl<J: 'static> Emitter<J> for Events<J> {
    type Listener = Registration;

    fn on_task(&self, listener: TaskListener<J>) -> Registration {
        self.register(listener, |lists| &mut lists.task)
    }

    fn on_batch(&self, listener: BatchListener<J>) -> Registration {
        self.register(listener, |lists| &mut lists.batch)
    }

    fn on_error(&self, listener: ErrorListener) -> Registration {
        self.register(listener, |lists| &mut lists.error)
    }
}

impl<J> Default for Events<J> {
    fn default() -> Self {
        Self::new()
    }
}

impl<J> Clone for Events<J> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone() }
    }
}

impl<J> fmt::Debug for Events<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").field("listeners", &self.listener_counts()).finish()
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        if let Some(emitter) = self.emitter.upgrade() {
            emitter.remove(self.id);
        }
    }
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registration").field("id", &self.id).finish_non_exhaustive()
    }
}
