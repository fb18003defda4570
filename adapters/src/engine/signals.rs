//! What attempts see of the engine: whether they are to go on, and where they sleep.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use plimsoll_core::{AttemptId, Instant, Limits, OutcomeKind};

use super::attempt_host::Again;
use crate::sharing::{AnyThread, Kinds};
use crate::trace::StopReasons;

/// The signals of all places. It owns no value of a user, so an attempt that outlives its processor keeps none alive.
pub(crate) struct Signals<S: Kinds = AnyThread> {
    /// The attempt that runs in each place and is to go on, or one of the two values below.
    orders: Box<[AtomicU64]>,
    /// What the attempt in each place has decided about a further one, as [`Again`] encodes it. Under the machine's lock.
    decisions: Box<[AtomicU64]>,
    reasons: StopReasons,
    /// How many places have one, so that the usual case looks at none.
    decided: AtomicU32,
    /// The tick of the last heartbeat in each place that the machine was told. Empty without a monitor.
    heartbeats: Box<[AtomicU64]>,
    host: Weak<S::Host>,
    /// Whether attempts can be snoozed: each has a copy of its job.
    has_copies: bool,
    /// The host, where nobody else keeps it.
    _kept: Option<Arc<S::Host>>,
}

/// A tick of the machine's timers, in nanoseconds.
const TICK: u64 = 1_000_000;

/// In place of an attempt: there is none, or it is to be dropped. An [`AttemptId`] is never zero.
const OVER: u64 = 0;
/// In place of an attempt: it was asked to stop, and is in its grace period. No slot has all bits of its generation set.
const WINDING_DOWN: u64 = u64::MAX;

/// What a worker is to do with the attempt in a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Run,
    /// Poll it, but begin none.
    WindDown,
    Drop,
}

impl<S: Kinds> Signals<S> {
    pub(super) fn new(limits: &Limits, has_copies: bool, host: Weak<S::Host>) -> Self {
        let each = |count, value| (0..count).map(move |_| AtomicU64::new(value)).collect();
        let places = limits.concurrency;
        Self {
            orders: each(places, OVER),
            decisions: each(places, Again::ByPolicy.encode()),
            reasons: StopReasons::new(places),
            decided: AtomicU32::new(0),
            heartbeats: each(if limits.monitor { places } else { 0 }, 0),
            host,
            has_copies,
            _kept: None,
        }
    }

    /// Those of one place, in which this attempt runs, with a host of their own.
    pub(crate) fn of_one(attempt: AttemptId, host: Arc<S::Host>) -> Self {
        let orders = Box::new([AtomicU64::new(attempt.to_bits())]);
        let (decisions, decided, heartbeats) = (Box::default(), AtomicU32::new(0), Box::default());
        let (weak, has_copies) = (Arc::downgrade(&host), true);
        let reasons = StopReasons::new(1);
        Self { orders, decisions, reasons, decided, heartbeats, host: weak, has_copies, _kept: Some(host) }
    }

    /// The bytes that [`new`](Self::new) asks of the allocator.
    pub(crate) const fn bytes(limits: &Limits) -> usize {
        let lists = if limits.monitor { 3 } else { 2 };
        (limits.concurrency as usize)
            .saturating_mul(lists * size_of::<AtomicU64>())
            .saturating_add(StopReasons::bytes(limits.concurrency))
    }

    /// The processor, while it is there.
    pub(crate) fn host(&self) -> Option<Arc<S::Host>> {
        self.host.upgrade()
    }

    /// Whether attempts can be snoozed.
    pub(crate) const fn has_copies(&self) -> bool {
        self.has_copies
    }

    /// Whether this attempt runs in this place and is to go on.
    pub(crate) fn is_running(&self, place: u32, attempt: AttemptId) -> bool {
        self.orders.get(place as usize).is_some_and(|order| order.load(Ordering::SeqCst) == attempt.to_bits())
    }

    /// Notes a heartbeat of the attempt in this place. Whether the machine is to be told: not without a monitor, nor a second
    /// time within a tick, for that moves no deadline ([`Timeouts::heartbeat`](plimsoll_core::Timeouts::heartbeat) is a
    /// number of whole ticks).
    pub(super) fn note_heartbeat(&self, place: u32, now: Instant) -> bool {
        let tick = now.as_nanos().div_ceil(TICK);
        let last = self.heartbeats.get(place as usize);
        last.is_some_and(|last| {
            last.load(Ordering::Relaxed) != tick && last.swap(tick, Ordering::Relaxed) != tick
        })
    }

    /// What to do with the attempt in this place.
    #[inline]
    pub(super) fn order(&self, place: u32) -> Order {
        match self.orders.get(place as usize).map(|order| order.load(Ordering::Acquire)) {
            Some(OVER) | None => Order::Drop,
            Some(WINDING_DOWN) => Order::WindDown,
            Some(_) => Order::Run,
        }
    }

    /// An attempt was given this place. Under the machine's lock, as all that follow.
    #[inline]
    pub(super) fn start(&self, place: u32, attempt: AttemptId) {
        self.reasons.note(place, OutcomeKind::Cancelled);
        self.set(place, attempt.to_bits());
    }

    /// The attempt in this place, whichever it is, is over or to be dropped.
    #[inline]
    pub(super) fn over(&self, place: u32) {
        self.set(place, OVER);
    }

    /// Asks this attempt to stop, at once or with a grace period, unless it is over: whether that is so.
    pub(super) fn stop(&self, place: u32, attempt: AttemptId, grace: bool, why: OutcomeKind) -> bool {
        let runs = self.is_running(place, attempt);
        if runs {
            self.reasons.note(place, why);
            self.set(place, if grace { WINDING_DOWN } else { OVER });
        }
        runs
    }

    /// Why the attempt in this place was asked to stop, if it was.
    pub(super) fn stop_reason(&self, place: u32) -> OutcomeKind {
        self.reasons.get(place)
    }

    /// Whether the attempt in this place is to be snoozed if it fails.
    pub(super) fn is_snoozed(&self, place: u32) -> bool {
        let code = self.decisions.get(place as usize).map_or(0, |code| code.load(Ordering::Relaxed));
        matches!(Again::decode(code), Again::Snoozed(_))
    }

    /// Notes what the attempt in this place has decided.
    pub(super) fn decide(&self, place: u32, again: Again) {
        let Some(decision) = self.decisions.get(place as usize) else { return };
        if decision.swap(again.encode(), Ordering::Relaxed) == Again::ByPolicy.encode() {
            self.decided.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What the attempt in this place, which is over, has decided; that is forgotten.
    #[inline]
    pub(super) fn take_decision(&self, place: u32) -> Again {
        if self.decided.load(Ordering::Relaxed) == 0 {
            Again::ByPolicy
        } else {
            self.take_any_decision(place)
        }
    }

    #[cold]
    fn take_any_decision(&self, place: u32) -> Again {
        let decision = self.decisions.get(place as usize);
        let code = decision.map_or(0, |decision| decision.swap(Again::ByPolicy.encode(), Ordering::Relaxed));
        let again = Again::decode(code);
        if again != Again::ByPolicy {
            self.decided.fetch_sub(1, Ordering::Relaxed);
        }
        again
    }

    /// All attempts are over.
    pub(super) fn close(&self) {
        for order in &self.orders {
            order.store(OVER, Ordering::SeqCst);
        }
    }

    #[inline]
    fn set(&self, place: u32, to: u64) {
        if let Some(order) = self.orders.get(place as usize) {
            order.store(to, Ordering::Release);
        }
    }
}
