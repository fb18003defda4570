//! Sources: engines outside that keep work until it is done, so that it survives the process and spreads over machines.
//!
//! [`Source`] is what an engine has to offer. The puller keeps the rules between it and the machine: a place
//! before each pull, leases renewed for exactly what is held, verdicts that stay until they are confirmed, errors with a
//! backoff, and the order of a drain.
//!
//! `plimsoll-redb`, `plimsoll-nats` and `plimsoll-postgres` are such engines. The smallest one, in memory, is this:
//!
//! ```
//! use plimsoll::source::{Abilities, Delivery, Pull, Pulled, Settling, Source, SourceLimits, Verdict};
//! use plimsoll::{Processor, Thread, infallible};
//! use std::{collections::VecDeque, convert::Infallible, num::NonZeroU32, time::Duration};
//! use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
//!
//! #[derive(Clone)]
//! struct Jobs(Arc<Mutex<VecDeque<u32>>>);
//!
//! impl Jobs {
//!     fn lock(&self) -> MutexGuard<'_, VecDeque<u32>> {
//!         self.0.lock().unwrap_or_else(PoisonError::into_inner)
//!     }
//! }
//!
//! impl Source for Jobs {
//!     type Job = u32;
//!     type Receipt = u32; // here the job is its own receipt
//!     type Error = Infallible;
//!
//!     fn abilities(&self) -> Abilities {
//!         Abilities::new() // leases nothing, and can't delay
//!     }
//!
//!     async fn pull(&self, room: NonZeroU32, _wait: Duration, into: &mut Vec<Delivery<u32, u32>>) -> Result<Pulled, Infallible> {
//!         let mut jobs = self.lock();
//!         let count = jobs.len().min(room.get() as usize);
//!         into.extend(jobs.drain(..count).map(|job| Delivery::new(job, job, 1)));
//!         Ok(if count > 0 { Pulled::Some } else { Pulled::End }) // a queue would wait, and say `Nothing`
//!     }
//!
//!     async fn settle(&self, verdicts: &mut Vec<Settling<u32>>) -> Result<u32, Infallible> {
//!         for Settling { receipt, verdict, .. } in verdicts.drain(..) {
//!             if let Verdict::Again { .. } = verdict {
//!                 self.lock().push_back(receipt);
//!             }
//!         }
//!         Ok(0) // none was stale
//!     }
//!
//!     async fn extend(&self, _held: &[u32]) -> Result<(), Infallible> {
//!         Ok(())
//!     }
//!
//!     async fn close(&self) {}
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let jobs = Jobs(Arc::new(Mutex::new((0..100).collect())));
//! let builder = Processor::builder().concurrency(4).sources(SourceLimits::new(1).credit(8));
//! let processor = builder.spawn_on(Thread::start()?, infallible(|job: u32| async move { job }))?;
//! let (_handle, puller) = processor.source(jobs, Pull::new().credit(8))?; // at most eight of them are here
//! let unconfirmed = futures::executor::block_on(puller); // or spawn it
//! assert_eq!((unconfirmed, processor.totals().settled.completed), (0, 100));
//! # Ok(())
//! # }
//! ```

mod decoder;
mod handle;
mod options;
mod puller;
mod slot;

use std::fmt;
use std::future::Future;
use std::num::NonZeroU32;
use std::time::Duration;

use plimsoll_core::{DeliveryId, Message};

pub use decoder::Decoder;
pub use handle::{SourceHandle, SourceRefusal, SourceRefusalReason};
pub use options::Pull;

pub use plimsoll_core::{Death, Operation, SourceLimits, SourceView, Verdict};

/// An engine outside that keeps jobs until it is told that they are done: a queue on disk, a broker, a table of a database.
/// [`Access::source`](crate::Access::source) pulls from it. `conformance::source` (feature
/// `conformance`) tests an implementation.
///
/// All methods take `&self`, because verdicts are told and leases renewed while a pull waits. One of each is under way at a
/// time. The futures are polled by the puller only, wherever its future was spawned; where the engine needs a runtime of its
/// own, they have to be polled on that.
///
/// # What it has to keep
///
/// - A delivery that was pulled belongs to the puller until it is settled or its lease runs out. Then it is delivered again.
/// - A [`Receipt`](Self::Receipt) names one delivery, not one job: a receipt of an earlier delivery changes nothing, and
///   counts as stale.
/// - `settle` returns `Ok` when the verdicts are safe in the engine. What it can't confirm it leaves in the list.
/// - No method waits for much longer than it is asked to: an engine that does not answer is an error, after a time-out of the
///   implementation's own.
pub trait Source: Send + Sync + 'static {
    /// What is to be done.
    type Job: Send + 'static;
    /// Names one delivery to the engine.
    type Receipt: Clone + Send + Sync + 'static;
    /// What went wrong. Its text becomes the [last error](crate::Access::last_error).
    type Error: fmt::Display + Send;

    /// What the engine can do. Asked once, when the source is opened.
    fn abilities(&self) -> Abilities;

    /// Pulls up to `room` deliveries, and appends them. If there are none, it waits for up to `wait` for the first, and no
    /// longer: a drain waits for it. It returns as soon as it has some.
    ///
    /// # Errors
    /// The engine's. Deliveries that were appended before count all the same.
    fn pull(
        &self,
        room: NonZeroU32,
        wait: Duration,
        into: &mut Vec<Delivery<Self::Job, Self::Receipt>>,
    ) -> impl Future<Output = Result<Pulled, Self::Error>> + Send;

    /// Tells the engine verdicts, and takes those that it has confirmed out of the list. Returns how many of them were stale:
    /// of no effect, because the delivery had been given to somebody else.
    ///
    /// # Errors
    /// The engine's. What is left in the list comes again. An error has no count, so leave what is stale in the list with it.
    fn settle(
        &self,
        verdicts: &mut Vec<Settling<Self::Receipt>>,
    ) -> impl Future<Output = Result<u32, Self::Error>> + Send;

    /// Renews the leases of these deliveries, for the whole of [`Abilities::lease`] from now on. Those that are over already are
    /// none of its business: their verdict will be stale. Never called for an engine without leases.
    ///
    /// # Errors
    /// The engine's. The next third of the lease is the next try.
    fn extend(&self, held: &[Self::Receipt]) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// The last call: nothing is pulled any more, and what is not confirmed by now is given up. An engine that knows its pullers
    /// may deliver that again at once.
    fn close(&self) -> impl Future<Output = ()> + Send;
}

/// What an engine can do.
///
/// ```
/// use plimsoll::source::Abilities;
/// use std::time::Duration;
///
/// let abilities = Abilities::new().lease(Duration::from_secs(30)).delays(true);
/// assert!(!abilities.uncounted);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use]
#[non_exhaustive]
pub struct Abilities {
    /// For how long a delivery belongs to the puller that has it. Default `None`: until it is closed.
    pub lease: Option<Duration>,
    /// Whether it can deliver again after a delay. Otherwise a task that has to be tried again backs off here, in a place of the
    /// credit. Default: no.
    pub delays: bool,
    /// Whether it can take a delivery back without counting it. Otherwise what a drain hands back counts as delivered.
    /// Default: no.
    pub uncounted: bool,
    /// How many deliveries one pull may ask for at most. Default: any number.
    pub most: u32,
}

impl Abilities {
    /// None.
    pub const fn new() -> Self {
        Self { lease: None, delays: false, uncounted: false, most: u32::MAX }
    }

    /// Sets [`lease`](Self::lease).
    pub const fn lease(self, lease: Duration) -> Self {
        Self { lease: Some(lease), ..self }
    }

    /// Sets [`delays`](Self::delays).
    pub const fn delays(self, delays: bool) -> Self {
        Self { delays, ..self }
    }

    /// Sets [`uncounted`](Self::uncounted).
    pub const fn uncounted(self, uncounted: bool) -> Self {
        Self { uncounted, ..self }
    }

    /// Sets [`most`](Self::most); 0 counts as 1.
    pub const fn most(self, most: u32) -> Self {
        Self { most: if most == 0 { 1 } else { most }, ..self }
    }
}

impl Default for Abilities {
    fn default() -> Self {
        Self::new()
    }
}

/// A job that an engine delivers.
#[must_use]
#[non_exhaustive]
pub struct Delivery<J, R> {
    /// What is to be done; or why that can't be decoded: then the delivery is dead, and the others go on.
    pub job: Result<J, Message>,
    /// Names this delivery.
    pub receipt: R,
    /// How often it was delivered, this time included; by the engine's count.
    pub deliveries: u32,
    /// The identity of the job, the same each time it is delivered to this process, and of no other job of the processor: with the
    /// engine's name hashed into it, by [`lane_key`](crate::lane_key) for instance, since it is not kept. With
    /// [`Builder::dedup`](crate::Builder::dedup) a job that has completed lately is not done again. Default: none.
    pub id: Option<u64>,
    /// Jobs with the same key are in one lane, if the processor has [lanes](crate::Builder::lanes): one after the other, unless
    /// [`Pull::options`] says otherwise. It is the key of a [`Lane`](crate::Lane): tasks of yours with the same number share that lane.
    /// It is kept by the engine: never a [`lane_key`](crate::lane_key), which is another one in the next process; take a number of
    /// your own, such as the tenant's in your database. Default: none.
    pub key: Option<u64>,
}

impl<J, R> Delivery<J, R> {
    /// A job, delivered for the `deliveries`th time.
    pub const fn new(job: J, receipt: R, deliveries: u32) -> Self {
        Self { job: Ok(job), receipt, deliveries, id: None, key: None }
    }

    /// What can't be decoded, and why.
    pub const fn undecodable(why: Message, receipt: R, deliveries: u32) -> Self {
        Self { job: Err(why), receipt, deliveries, id: None, key: None }
    }

    /// Sets the [identity](Self::id) of the job.
    pub fn id(self, id: u64) -> Self {
        Self { id: Some(id), ..self }
    }

    /// Sets the [key](Self::key).
    pub fn key(self, key: u64) -> Self {
        Self { key: Some(key), ..self }
    }
}

impl<J, R> fmt::Debug for Delivery<J, R> {
    /// Shows counts, never contents.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("is_decoded", &self.job.is_ok())
            .field("deliveries", &self.deliveries)
            .finish_non_exhaustive()
    }
}

/// What a pull has brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Pulled {
    /// Some deliveries.
    Some,
    /// Nothing yet.
    Nothing,
    /// Nothing more will come: the source is over when all that it has delivered is confirmed.
    End,
}

/// A verdict on its way to the engine.
#[derive(Debug)]
#[must_use]
#[non_exhaustive]
pub struct Settling<R> {
    /// Of which delivery.
    pub receipt: R,
    /// What is to become of it.
    pub verdict: Verdict,
    /// `None` if the machine does not know of it.
    delivery: Option<DeliveryId>,
}

impl<R> Settling<R> {
    /// A verdict, for tests of a [`Source`].
    pub const fn new(receipt: R, verdict: Verdict) -> Self {
        Self { receipt, verdict, delivery: None }
    }
}
