//! Handlers that take several jobs in one call.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use crate::context::Context;
use crate::handler::Handler;
use crate::work::AnyWork;

mod answer;
mod attempt;
mod collector;
mod round;

pub use answer::{Answer, Batch};
pub use attempt::BatchedAttempt;
use collector::Collector;

/// When a batch is full, and how long it waits for that. See [`batched`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(from = "crate::serialized::BatchingForm", into = "crate::serialized::BatchingForm")
)]
pub struct Batching {
    pub(crate) most: usize,
    pub(crate) within: Duration,
}

impl Batching {
    /// Batches of at most so many jobs (0 counts as 1), which are run with the jobs that are there: the attempt that
    /// began a batch gives way to the others that are ready, until no further one has joined meanwhile.
    ///
    /// A batch has one job of each running attempt, so it can only become full where the processor's concurrency is at least
    /// as high. Otherwise it is run when its time has come.
    #[must_use]
    pub const fn new(most: u32) -> Self {
        Self { most: if most == 0 { 1 } else { most as usize }, within: Duration::ZERO }
    }

    /// A batch that is not full is run this long after its first job came (default: zero, so with what is there). To within a
    /// millisecond, never earlier. It waits on the [sleeps](Context::sleep) of its attempts; where
    /// [`Limits::sleeps`](crate::Limits::sleeps) is 0, it is run at once.
    #[must_use]
    pub const fn within(self, time: Duration) -> Self {
        Self { within: time, ..self }
    }
}

/// A handler that takes several jobs in one call: for a bulk insert, a request for many keys, a model that is fed with many
/// rows. The function gets a [`Batch`] when that is [full](Batching::new), or [some time](Batching::within) after its first
/// job came, and answers each job by itself.
///
/// ```
/// use plimsoll::{Batch, Batching, Processor, Thread, batched};
/// use std::{sync::Arc, time::Duration};
///
/// /// Jobs, outputs, errors.
/// type Insert = fn(String) -> Result<u64, Arc<std::io::Error>>;
/// # async fn insert_many(rows: Vec<String>) -> Result<Vec<u64>, Arc<std::io::Error>> {
/// #     Ok(rows.iter().map(|row| row.len() as u64).collect())
/// # }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let batching = Batching::new(64).within(Duration::from_millis(5));
/// let inserts = Processor::builder().concurrency(256).spawn_on(
///     Thread::start()?,
///     batched(batching, |batch: Batch<Insert>| async move {
///         let (rows, answers): (Vec<_>, Vec<_>) = batch.unzip();
///         match insert_many(rows).await {
///             Ok(ids) => answers.into_iter().zip(ids).for_each(|(answer, id)| answer.give(Ok(id))),
///             Err(error) => answers.into_iter().for_each(|answer| answer.give(Err(error.clone()))),
///         }
///     }),
/// )?;
/// let handles = ["one", "three"].map(|row| inserts.submit(row.into()));
/// for (handle, length) in handles.into_iter().zip([3, 5]) {
///     assert_eq!(handle?.wait()?, length);
/// }
/// # Ok(())
/// # }
/// ```
///
/// # Each task is on its own
///
/// Every task keeps its own attempt, in a place of its own, with its time-outs, retries, lane and outcome. The
/// function's future is polled by one of them at a time, and by another when that one goes:
///
/// - An attempt that is timed out or cancelled before its batch is run takes its job out of the batch. With a
///   [grace period](crate::Builder::cancel_grace), which it has no use for, it keeps its place until that is over.
/// - When an attempt goes while its batch is run, the batch goes on for the others, and what it answers to that job is dropped. When
///   the last one is gone, the function's future is dropped.
/// - Answers are handed out when the function's future is ready, all at once. A job without one has
///   [panicked](crate::TaskError::Panicked), with a message that says so.
/// - If the function panics, every job of the batch that is still there has panicked with that message, answered or not.
/// - A task that is tried again joins a later batch. Its function sees by [`Answer::context`] which attempt it is.
///
/// # Cost
///
/// At any time there are at most as many batches as the processor's concurrency, each kept by an attempt that runs. A job whose
/// attempt goes while its batch is run stays with the function until that is over, so there can be more jobs in batches than
/// attempts: at most as many for each batch as it can have.
///
/// Besides what the function does, a batch allocates three shared blocks, a box for the function's future, and three
/// lists with an element for each job. Of its attempts one is woken when the function's future is; the others once,
/// when that is ready or they take over.
///
/// # Work of one thread
///
/// `Batch<Local<fn(Job) -> Result<Output, Error>>>` is for a processor of [`Local`](crate::Local) work, `Batch<Inserts>` for
/// [`Work`](crate::Work) that is a type of yours.
pub fn batched<W, C, F>(batching: Batching, function: C) -> BatchedHandler<W, C, F>
where
    W: AnyWork,
    C: Fn(Batch<W>) -> F,
    F: Future<Output = ()>,
{
    BatchedHandler { collector: Arc::new(Collector::new(batching, function)) }
}

/// Made by [`batched`].
pub struct BatchedHandler<W: AnyWork, C, F> {
    collector: Arc<Collector<W, C, F>>,
}

impl<W, C, F> Handler<W::Base, (Batch<W>,), W::Sharing> for BatchedHandler<W, C, F>
where
    W: AnyWork,
    C: Fn(Batch<W>) -> F,
    F: Future<Output = ()>,
{
    type Future = BatchedAttempt<W, C, F>;

    fn call(
        &self,
        job: W::Job,
        context: impl FnOnce() -> Context<W::Meta, W::Sharing>,
    ) -> BatchedAttempt<W, C, F> {
        BatchedAttempt::new(self.collector.clone(), job, context())
    }
}

impl<W: AnyWork, C, F> fmt::Debug for BatchedHandler<W, C, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchedHandler").field("batching", &self.collector.batching).finish_non_exhaustive()
    }
}
