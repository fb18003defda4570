//! Building a machine.

use alloc::vec::Vec;
use core::hint::black_box;

use fastrand::Rng;

use super::Processor;
use super::admission::Admission;
use super::deadlines::Deadlines;
use super::ending::Ending;
use super::gate::Gate;
use super::tally::Tally;
use crate::cache::Cache;
use crate::dedup::Dedup;
use crate::emitters::Emitters;
use crate::lanes::Lanes;
use crate::list::ListWithLinks;
use crate::monitor::Monitor;
use crate::queue::Queue;
use crate::schedules::Schedules;
use crate::sleeps::Sleeps;
use crate::slots::Slots;
use crate::sources::Sources;
use crate::subscribers::Subscribers;
use crate::{BuildError, ByOutcome, ByRefusal, Instant, Ledger, Limits, Plan, Remains, Totals};

impl<P: Plan> Processor<P> {
    /// Builds a machine for these limits. This is the only call that allocates: exactly [`Limits::footprint`]. First it
    /// asks for all of that in one piece and frees it, so limits that are too large for the memory are an error instead
    /// of aborting the process. (An operating system that overcommits memory can still kill the process later.)
    /// O(limits).
    ///
    /// ```
    /// # use plimsoll_core::{Instant, Limits, Processor, Simple};
    /// let mut limits = Limits::default();
    /// (limits.queue, limits.concurrency) = (1_000, 8);
    /// let processor = Processor::<Simple<&str, usize, &str>>::new(limits, Instant::ZERO)?;
    /// assert!(processor.census().is_empty());
    /// limits.concurrency = 0;
    /// assert!(Processor::<Simple<&str, usize, &str>>::new(limits, Instant::ZERO).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`BuildError`]: the first limit that is out of range, or too little memory.
    pub fn new(limits: Limits, now: Instant) -> Result<Self, BuildError> {
        Self::with_generation_bits(limits, now, u64::BITS)
    }

    /// Like [`Processor::new`], but the generations of task slots have at most `bits` bits.
    pub(crate) fn with_generation_bits(limits: Limits, now: Instant, bits: u32) -> Result<Self, BuildError> {
        limits.check()?;
        try_reserve(limits.footprint::<P>().total())?;
        let ledger = Ledger::new(&limits);
        let mut machine = Self {
            now,
            ending: Ending::default(),
            observes: false,
            gate: Gate::new(&limits, now),
            admission: Admission::new(&limits, ledger.waiters, ledger.permits),
            rng: Rng::with_seed(limits.seed),
            tasks: Slots::with_generation_bits(limits.task_slots(), bits).with_origin(limits.origin),
            tally: Tally::default(),
            queue: Queue::new(limits.task_slots()),
            dedup: Dedup::new(&limits, ledger.unique_keys),
            lanes: Lanes::new(&limits, ledger.lanes, now),
            monitor: Monitor::new(&limits),
            outbox: ListWithLinks::new(limits.task_slots()),
            results: ListWithLinks::new(limits.task_slots()),
            deadlines: Deadlines::new(&limits, ledger.timers, now),
            health: None,
            sweep: None,
            sweep_due: false,
            sleeps: Sleeps::new(limits.sleep_slots(), limits.origin),
            schedules: Schedules::new(limits.schedules, limits.origin),
            sources: Sources::new(&limits, (ledger.sources, ledger.deliveries)),
            emitters: Emitters::new(limits.emitters, limits.origin),
            subscribers: Subscribers::new(limits.subscribers, limits.events, limits.origin),
            cache: Cache::new(limits.cache),
            totals: Totals::default(),
            refusals: ByRefusal::default(),
            settled_since_health: ByOutcome::default(),
            last_health: None,
            ledger,
            last_error: None,
            streak: 0,
            remains: Remains::default(),
            limits,
        };
        machine.arm_intervals();
        Ok(machine)
    }
}

/// Asks the allocator for this much memory, and frees it.
fn try_reserve(bytes: usize) -> Result<(), BuildError> {
    let mut trial = Vec::<u8>::new();
    trial.try_reserve_exact(bytes).map_err(|_| BuildError::Memory { bytes })?;
    // Without this the compiler may drop the allocation, because the memory is not used.
    black_box(&mut trial);
    Ok(())
}
