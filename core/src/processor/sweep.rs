//! Sweeping: results and cache entries past their time to live are freed in explicit steps.

use core::fmt;

use super::Processor;
use crate::{Instant, Plan, Settlement};

/// A value past its time to live.
#[must_use = "what was swept is handed out here"]
#[non_exhaustive]
pub enum Swept<P: Plan> {
    /// A retained result.
    Result(Settlement<P>),
    /// A cache entry.
    Cached(P::Key, P::Value),
}

impl<P: Plan> fmt::Debug for Swept<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Result(settlement) => f.debug_tuple("Result").field(settlement).finish(),
            Self::Cached(..) => f.write_str("Cached"),
        }
    }
}

/// The iterator of [`Processor::sweep`]. Taking an item frees its place.
#[must_use = "nothing is swept but what is taken from it"]
pub struct Sweep<'a, P: Plan> {
    machine: &'a mut Processor<P>,
    now: Instant,
    budget: u32,
}

impl<P: Plan> Sweep<'_, P> {
    /// Whether a value past its time to live is left.
    #[must_use]
    pub fn is_more(&self) -> bool {
        self.machine.sweep_is_due(self.now)
    }
}

impl<P: Plan> Iterator for Sweep<'_, P> {
    type Item = Swept<P>;

    fn next(&mut self) -> Option<Swept<P>> {
        self.budget = self.budget.checked_sub(1)?;
        self.machine.sweep_one(self.now)
    }
}

impl<P: Plan> fmt::Debug for Sweep<'_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sweep").field("budget", &self.budget).finish_non_exhaustive()
    }
}

impl<P: Plan> Processor<P> {
    /// Frees values past their time to live, at most `budget` of them: retained results first, then cache entries. The
    /// iterator hands them out, each in O(1).
    ///
    /// May change: retained results, the cache; slots are freed, and with them room.
    ///
    /// ```
    /// # use plimsoll_core::{Instant, Limits, Processor, Simple};
    /// let mut processor = Processor::<Simple<&str, usize, &str>>::new(Limits::default(), Instant::ZERO)?;
    /// let mut sweep = processor.sweep(Instant::from_millis(60_000), 64);
    /// sweep.by_ref().for_each(drop);
    /// assert!(!sweep.is_more());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn sweep(&mut self, now: Instant, budget: u32) -> Sweep<'_, P> {
        let now = self.observe_time(now);
        Sweep { machine: self, now, budget }
    }

    /// Whether [`sweep`](Self::sweep) would hand out a value.
    #[must_use]
    pub fn sweep_is_due(&self, now: Instant) -> bool {
        self.expired_result(now.max(self.now)).is_some() || self.cache.sweep_due(now.max(self.now))
    }

    fn sweep_one(&mut self, now: Instant) -> Option<Swept<P>> {
        if let Some(index) = self.expired_result(now) {
            self.unretain(index);
            return self.release_outcome(index).map(Swept::Result);
        }
        self.cache.sweep(now).map(|(key, value)| Swept::Cached(key, value))
    }

    /// The oldest retained result, if it is past its time to live.
    fn expired_result(&self, now: Instant) -> Option<u32> {
        let index = self.results.front()?;
        let task = self.tasks.at(index)?;
        self.has_expired(task, now).then_some(index)
    }
}
