//! What attempts see of the engine: whether they are to go on, and where they sleep.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::task::Waker;

use plimsoll_core::{AttemptId, Instant, SleepId, SleepRefusal};

/// The signals of all places. It owns no value of a user, so an attempt that outlives its processor keeps none alive.
pub(crate) struct Signals {
    /// The attempt that runs in each place and is to go on, or one of the two values below.
    orders: Box<[AtomicU64]>,
    /// What the attempt in each place has decided about a further one, as [`Again`] encodes it. Under the machine's lock.
    decisions: Box<[AtomicU64]>,
    /// How many places have one, so that the usual case looks at none.
    decided: AtomicU32,
    host: Weak<dyn AttemptHost>,
    /// The host, where nobody else keeps it.
    _kept: Option<Arc<dyn AttemptHost>>,
}

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

/// What an attempt that fails has decided about a further one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    /// As the task's terms have it.
    ByPolicy,
    /// After so many nanoseconds, if there may be one.
    After(u64),
    /// There is to be none.
    Never,
}

impl Again {
    const fn encode(self) -> u64 {
        match self {
            Self::ByPolicy => 0,
            Self::Never => u64::MAX,
            Self::After(nanos) if nanos < u64::MAX - 1 => nanos + 1,
            Self::After(_) => u64::MAX - 1,
        }
    }

    const fn decode(code: u64) -> Self {
        match code {
            0 => Self::ByPolicy,
            u64::MAX => Self::Never,
            nanos => Self::After(nanos - 1),
        }
    }
}

/// A processor as its attempts see it. They do not keep it alive.
pub(crate) trait AttemptHost: Send + Sync {
    /// The time on its clock.
    fn now(&self) -> Instant;

    /// Begins a sleep of an attempt.
    fn sleep(&self, attempt: AttemptId, until: Instant, waker: Waker) -> Result<SleepId, SleepRefusal>;

    /// Asks for the end of a sleep: `None` as long as it goes on, and then the waker was left there.
    fn resleep(&self, id: SleepId, waker: Waker) -> Option<Result<(), SleepRefusal>>;

    /// Ends a sleep early.
    fn end_sleep(&self, id: SleepId);

    /// Notes what an attempt has decided about a further one, unless it is over.
    fn decide(&self, place: u32, attempt: AttemptId, again: Again);

    /// Leaves a waker under `key` that is woken when the attempt is asked to stop or over, in place of the one of an
    /// earlier call. Whether the attempt goes on; if not, nothing was left.
    fn wait_for_stop(&self, place: u32, attempt: AttemptId, key: &mut Option<usize>, waker: Waker) -> bool;

    /// Takes back the waker that was left by [`wait_for_stop`](Self::wait_for_stop).
    fn leave_stop(&self, place: u32, attempt: AttemptId, key: usize);
}

impl Signals {
    pub(super) fn new(places: u32, host: Weak<dyn AttemptHost>) -> Self {
        let each = |value| (0..places).map(move |_| AtomicU64::new(value)).collect();
        let (orders, decisions) = (each(OVER), each(Again::ByPolicy.encode()));
        Self { orders, decisions, decided: AtomicU32::new(0), host, _kept: None }
    }

    /// Those of one place, in which this attempt runs, with a host of their own.
    pub(crate) fn of_one(attempt: AttemptId, host: Arc<dyn AttemptHost>) -> Self {
        let orders = Box::new([AtomicU64::new(attempt.to_bits())]);
        let (decisions, decided) = (Box::default(), AtomicU32::new(0));
        Self { orders, decisions, decided, host: Arc::downgrade(&host), _kept: Some(host) }
    }

    /// The bytes that [`new`](Self::new) asks of the allocator.
    pub(crate) const fn bytes(places: u32) -> usize {
        (places as usize).saturating_mul(2 * size_of::<AtomicU64>())
    }

    /// The processor, while it is there.
    pub(crate) fn host(&self) -> Option<Arc<dyn AttemptHost>> {
        self.host.upgrade()
    }

    /// Whether this attempt runs in this place and is to go on.
    pub(crate) fn is_running(&self, place: u32, attempt: AttemptId) -> bool {
        self.orders.get(place as usize).is_some_and(|order| order.load(Ordering::SeqCst) == attempt.to_bits())
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
        self.set(place, attempt.to_bits());
    }

    /// The attempt in this place, whichever it is, is over or to be dropped.
    #[inline]
    pub(super) fn over(&self, place: u32) {
        self.set(place, OVER);
    }

    /// Asks this attempt to stop, at once or with a grace period, unless it is over: whether that is so.
    pub(super) fn stop(&self, place: u32, attempt: AttemptId, grace: bool) -> bool {
        let runs = self.is_running(place, attempt);
        if runs {
            self.set(place, if grace { WINDING_DOWN } else { OVER });
        }
        runs
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
