//! One source: its terms, its pull under way, its deliveries, and when it is to be looked at again.

use core::num::NonZeroU32;
use core::time::Duration;

use fastrand::Rng;

use super::SourceTerms;
use crate::Instant;
use crate::list::List;
use crate::time::{NEVER, after};

pub(super) struct Source<W> {
    pub(super) terms: SourceTerms,
    pub(super) waiter: Option<W>,
    /// Whether the waiter is to be woken.
    pub(super) wakes: bool,
    pub(super) pull: Option<Pull>,
    /// Its deliveries, of all stages.
    pub(super) deliveries: u32,
    /// Deliveries by stage, each list in the order in which they came to it. In `held`, those that the round of renewals has
    /// yet to reach come first.
    pub(super) held: List,
    pub(super) owed: List,
    pub(super) leaving: List,
    /// Errors of the engine in a row.
    pub(super) failures: u32,
    /// After an error: until when the engine is left alone.
    down_until: Option<Instant>,
    /// When the next round of renewals begins, and the number of the latest round.
    renew_at: Option<Instant>,
    pub(super) round: u32,
    pub(super) is_renewing: bool,
    /// Nothing is pulled from it any more.
    pub(super) is_finished: bool,
    /// Nobody serves it any more. It goes with its last delivery.
    pub(super) is_closed: bool,
}

/// A pull under way.
#[derive(Clone, Copy)]
pub(super) struct Pull {
    /// The places that are left of those that were asked for.
    pub(super) room: u32,
    pub(super) delivered: u32,
    pub(super) redelivered: u32,
}

/// A source in numbers. See [`Processor::source`](crate::Processor::source).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct SourceView {
    /// How many deliveries may be here at a time.
    pub credit: u32,
    /// Places of the pull under way that nothing has come for yet; `None` if no pull is under way.
    pub pulling: Option<u32>,
    /// Deliveries whose task is not settled.
    pub held: u32,
    /// Deliveries whose verdict waits for the host.
    pub owed: u32,
    /// Deliveries whose verdict the host has, and has not confirmed.
    pub leaving: u32,
    /// Deliveries that are confirmed, and whose place is free when their task leaves its slot: it waits for its effect, or
    /// its attempt still runs.
    pub resting: u32,
    /// Errors of the engine in a row.
    pub failures: u32,
    /// Whether the engine is left alone for a time, after an error.
    pub is_down: bool,
}

impl<W> Source<W> {
    pub(super) const fn new(terms: SourceTerms) -> Self {
        Self {
            terms,
            waiter: None,
            wakes: false,
            pull: None,
            deliveries: 0,
            held: List::new(),
            owed: List::new(),
            leaving: List::new(),
            failures: 0,
            down_until: None,
            renew_at: None,
            round: 0,
            is_renewing: false,
            is_finished: false,
            is_closed: false,
        }
    }

    pub(super) fn view(&self) -> SourceView {
        SourceView {
            credit: self.terms.credit,
            pulling: self.pull.map(|pull| pull.room),
            held: self.held.len(),
            owed: self.owed.len(),
            leaving: self.leaving.len(),
            resting: self.deliveries.saturating_sub(self.unconfirmed()),
            failures: self.failures,
            is_down: self.is_down(),
        }
    }

    /// Deliveries whose verdict is not confirmed.
    pub(super) const fn unconfirmed(&self) -> u32 {
        self.held.len().saturating_add(self.owed.len()).saturating_add(self.leaving.len())
    }

    /// The room for a pull that may begin now; `None` if none may.
    pub(super) fn room_to_pull(&self) -> Option<NonZeroU32> {
        let is_free = self.pull.is_none() && !self.is_down() && !self.is_finished;
        NonZeroU32::new(self.terms.credit.saturating_sub(self.deliveries)).filter(|_| is_free)
    }

    /// Whether its host has something to do now. `opens` says that pulls may begin.
    pub(super) fn has_work(&self, opens: bool) -> bool {
        self.is_renewing
            || (!self.owed.is_empty() && self.leaving.is_empty() && !self.is_down())
            || if opens && !self.is_finished { self.room_to_pull().is_some() } else { self.is_over() }
    }

    /// Whether it has nothing to wait for, once nothing is pulled any more.
    pub(super) const fn is_over(&self) -> bool {
        self.pull.is_none() && self.unconfirmed() == 0
    }

    pub(super) const fn is_down(&self) -> bool {
        self.down_until.is_some()
    }

    /// Its engine has failed: leaves it alone for the time that is returned.
    pub(super) fn fail(&mut self, now: Instant, rng: &mut Rng) -> Duration {
        self.failures = self.failures.saturating_add(1);
        let delay = self.terms.backoff.delay(self.failures, self.terms.jitter, rng);
        self.down_until = Some(now.saturating_add(delay));
        delay
    }

    /// A delivery was taken in: renewals begin, unless they have.
    pub(super) fn begin_renewals(&mut self, now: Instant) {
        if self.renew_at.is_none() {
            self.renew_at = self.next_round(now);
        }
    }

    fn next_round(&self, now: Instant) -> Option<Instant> {
        let at = after(now, self.terms.lease / 3);
        (self.terms.lease > 0 && at != NEVER).then_some(at)
    }

    /// When it is to be looked at again; `None` if nothing makes that necessary.
    pub(super) fn look_at(&self) -> Option<Instant> {
        match (self.down_until, self.renew_at) {
            (Some(up), Some(renew)) => Some(up.min(renew)),
            (up, renew) => up.or(renew),
        }
    }

    /// Its timer has fired.
    pub(super) fn look(&mut self, now: Instant) {
        if self.down_until.is_some_and(|until| until <= now) {
            self.down_until = None;
        }
        if self.renew_at.is_some_and(|at| at <= now) {
            let holds_any = !self.held.is_empty();
            self.renew_at = if holds_any { self.next_round(now) } else { None };
            self.is_renewing = holds_any;
            self.round = self.round.wrapping_add(1);
        }
    }
}
