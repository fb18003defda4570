//! The machine behind its lock: what the owner, its submitters, the workers and the timekeeper share.
//!
//! Everything that changes the machine goes through [`Shared::change`] or [`Shared::submit`], which find out in the same
//! hold what has become ready, and afterwards wake as many idle workers for it.

use std::borrow::Cow;
use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use plimsoll_core::{BuildError, CancelError, CancelReason, Cancelled, Instant, Limits, TaskId, Terms};

use super::grace::Graces;
use super::hook::HookPlace;
use super::idle_waiters::IdleWaiters;
use super::lock::Locking;
use super::signals::Signals;
use super::state::{State, Wakeups};
use super::timekeeper_signal::TimekeeperSignal;
use super::types::Machine;
use super::wake::Wakes;
use super::workers::Workers;
use crate::cache::CachePart;
use crate::carried::Carried;
use crate::meter::{Meter, Metering, Publishing};
use crate::options::Defaults;
use crate::runtime::Clock;
use crate::sharing::Kinds;
use crate::trace::{Captures, Origin};
use crate::work::AnyWork;

/// The runtime's timer, kept where the owner can drop it.
pub(crate) type BoxTimer<W> = Pin<Box<<<W as AnyWork>::Sharing as Kinds>::Timer>>;

/// What guards the machine.
type StateLock<W> = <<W as AnyWork>::Sharing as Kinds>::Lock<State<W>>;

/// The machine while it is held.
pub(crate) type Guard<'a, W> = <StateLock<W> as Locking<State<W>>>::Guard<'a>;

/// An engine as its owner sees it.
pub(crate) type DynEngine<W> = Arc<<<W as AnyWork>::Sharing as Kinds>::Close>;

/// A processor as its attempts see it.
pub(crate) type Host<W> = <<W as AnyWork>::Sharing as Kinds>::Host;

/// Everything but the places: it knows neither the handler nor its future, so that submitters need not.
pub(crate) struct Shared<W: AnyWork> {
    state: StateLock<W>,
    clock: Clock,
    pub(crate) defaults: Defaults,
    /// What they come to.
    pub(crate) terms: Terms,
    pub(super) wakes: Arc<Wakes>,
    pub(super) signals: Arc<Signals<W::Sharing>>,
    pub(super) timekeeper: TimekeeperSignal,
    pub(super) timer: Mutex<Option<BoxTimer<W>>>,
    pub(crate) cache: Arc<dyn CachePart>,
    pub(super) hook: HookPlace<W>,
    pub(crate) meter: Meter,
    /// What spans and metrics call the processor.
    pub(crate) name: Cow<'static, str>,
    captures: Captures,
    /// Whether the machine had something for a worker at the end of the last hold.
    has_demand: AtomicBool,
    closed: AtomicBool,
    /// Whether a running task was cancelled whose attempt was not told yet.
    has_cancelled: AtomicBool,
    /// Whether the machine has reached its end.
    pub(super) has_ended: AtomicBool,
    /// How many threads are [ending](super::ending) the machine, and how many of them are about to call foreign code.
    pub(super) enders: AtomicU32,
    pub(super) entering_enders: AtomicU32,
}

/// The most workers of an engine.
pub(crate) const MOST_WORKERS: u32 = Workers::MOST;

/// The most tasks, or lanes, that one hold of the lock goes through.
pub(crate) const MOST_A_HOLD: u32 = 64;

/// How many submissions in a row may go by one reading of the clock.
const SUBMISSIONS_A_READING: u32 = 64;

/// What an engine is made of, beside the handler.
pub(crate) struct Parts<W: AnyWork> {
    pub(crate) limits: Limits,
    pub(crate) clock: Clock,
    pub(crate) defaults: Defaults,
    pub(crate) cache: Arc<dyn CachePart>,
    pub(crate) timer: BoxTimer<W>,
    pub(crate) workers: u32,
    /// How long an attempt that was asked to stop may go on.
    pub(crate) grace: std::time::Duration,
    pub(crate) name: Cow<'static, str>,
    pub(crate) metering: Metering,
}

impl<W: AnyWork> Shared<W> {
    /// Allocates everything that is shared: see [`Footprint`](crate::Footprint). `has_copies`: each attempt has a copy
    /// of its job.
    pub(super) fn new(
        parts: Parts<W>,
        has_copies: bool,
        host: fn(Weak<Self>) -> Weak<Host<W>>,
    ) -> Result<Arc<Self>, BuildError> {
        let Parts { limits, clock, defaults, cache, timer, workers, grace, name, metering } = parts;
        let now = clock();
        let mut machine = Machine::new(limits, now)?;
        let meter = Meter::new(metering, &name);
        if meter.is_on() {
            machine.observe(true);
        }
        let places = limits.concurrency;
        let wakes = Arc::new(Wakes::new(places, workers));
        let graces = Graces::new(if grace.is_zero() { 0 } else { places }, grace);
        let publishing = Publishing::new(metering, &limits, now);
        let state = State::new(machine, graces, places, IdleWaiters::new(wakes.clone()), publishing);
        Ok(Arc::new_cyclic(|shared: &Weak<Self>| Self {
            state: Locking::new(state),
            clock,
            terms: defaults.terms(),
            defaults,
            wakes,
            signals: Arc::new(Signals::new(&limits, has_copies, host(shared.clone()))),
            timekeeper: TimekeeperSignal::new(),
            timer: Mutex::new(Some(timer)),
            cache,
            hook: HookPlace::new(),
            meter,
            name,
            captures: Captures::new(),
            has_demand: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            has_cancelled: AtomicBool::new(false),
            has_ended: AtomicBool::new(false),
            enders: AtomicU32::new(0),
            entering_enders: AtomicU32::new(0),
        }))
    }
}

impl<W: AnyWork> Shared<W> {
    pub(crate) fn now(&self) -> Instant {
        (self.clock)()
    }

    /// The machine and what goes with it. No foreign code may run, nor be dropped, while this is held; what changes it
    /// [releases](Self::release) it.
    #[inline]
    pub(crate) fn lock(&self) -> Guard<'_, W> {
        self.state.lock()
    }

    /// Ends a hold that has changed something, with this demand.
    #[inline]
    pub(super) fn release(&self, state: Guard<'_, W>, demand: u32) {
        self.has_demand.store(demand > 0, Ordering::Relaxed);
        drop(state);
    }

    /// Whether the machine has something for a worker, as of the last hold.
    #[inline]
    pub(super) fn has_demand(&self) -> bool {
        self.has_demand.load(Ordering::Relaxed)
    }

    /// Submits on these terms under the lock, and wakes whom that concerns. Unless something counts from the time of the
    /// submission, that is the time which the machine was told last, if it was told lately; so most submissions read no
    /// clock.
    #[inline]
    pub(crate) fn submit<R>(&self, terms: &Terms, submit: impl FnOnce(&mut Machine<W>, Instant) -> R) -> R {
        let is_exact = terms.count_from_submit();
        let (mut state, now) = if is_exact { self.lock_and_read_clock() } else { self.lock_to_submit() };
        let before = state.demand_before(&self.wakes);
        let result = submit(&mut state.machine, now);
        let after = state.demand();
        let mut wakeups = state.wakeups(before, after);
        wakeups.timekeeper |= is_exact && state.is_armed_too_late();
        self.release(state, after);
        self.wake(wakeups);
        result
    }

    #[inline]
    fn lock_to_submit(&self) -> (Guard<'_, W>, Instant) {
        let mut state = self.lock();
        let Some(credit) = state.credit.checked_sub(1) else {
            drop(state);
            return self.lock_and_read_clock();
        };
        state.credit = credit;
        let now = state.machine.now();
        (state, now)
    }

    #[cold]
    fn lock_and_read_clock(&self) -> (Guard<'_, W>, Instant) {
        let now = self.now();
        let mut state = self.lock();
        state.credit = SUBMISSIONS_A_READING;
        (state, now)
    }

    /// Changes something under the lock, and wakes whom that concerns. Whatever values come out are in the result, for
    /// the caller to drop.
    pub(super) fn change<R>(&self, change: impl FnOnce(&mut State<W>) -> R) -> R {
        let mut state = self.lock();
        let before = state.demand_before(&self.wakes);
        let result = change(&mut state);
        let after = state.demand();
        let mut wakeups = state.wakeups(before, after);
        wakeups.timekeeper |= state.is_armed_too_late();
        self.release(state, after);
        self.wake(wakeups);
        result
    }

    /// As [`change`](Self::change), of the machine alone.
    pub(crate) fn act<R>(&self, act: impl FnOnce(&mut Machine<W>) -> R) -> R {
        self.change(|state| act(&mut state.machine))
    }

    /// Cancels a task, for a reason or not, and then does this in the same hold.
    pub(crate) fn cancel<R>(
        &self,
        task: TaskId,
        reason: Option<CancelReason>,
        then: impl FnOnce(&mut Machine<W>, Instant) -> R,
    ) -> (Result<Cancelled, CancelError>, R) {
        let now = self.now();
        self.act(|machine| {
            let cancelled = match reason {
                Some(reason) => machine.cancel_because(now, task, reason),
                None => machine.cancel(now, task),
            };
            if cancelled == Ok(Cancelled::Stopping) {
                self.has_cancelled.store(true, Ordering::Relaxed);
            }
            (cancelled, then(machine, now))
        })
    }

    /// Puts a job together with where it comes from, without a lock.
    #[inline]
    pub(crate) fn carry(&self, job: W::Job) -> Carried<W::Job> {
        let origin = Origin::here(|| self.now());
        if origin.has_span() && !self.captures.are_observed() {
            self.observe_settled();
        }
        Carried::new(job, origin)
    }

    /// From now on each settled task comes out, so that no span stays with an outcome that nobody takes.
    #[cold]
    fn observe_settled(&self) {
        self.act(|machine| machine.observe(true));
        self.captures.note_observed();
    }

    /// Whether settled tasks are shown to anybody before their results are handed out.
    #[inline]
    pub(super) fn shows_settled(&self) -> bool {
        self.hook.is_set() || self.meter.is_on()
    }

    /// Whether an attempt in hand may belong to a task that was cancelled since the worker took effects last.
    #[inline]
    pub(super) fn has_cancelled(&self) -> bool {
        self.has_cancelled.load(Ordering::Relaxed)
    }

    /// Effects were taken, and these are left.
    #[inline]
    pub(super) fn note_effects_taken(&self, left: u32) {
        if left == 0 && self.has_cancelled() {
            self.has_cancelled.store(false, Ordering::Relaxed);
        }
    }

    /// Takes something out of the machine that is there, where that arms no timer: quicker than [`act`](Self::act).
    #[inline]
    pub(crate) fn take<R>(&self, take: impl FnOnce(&mut Machine<W>) -> R) -> R {
        let mut state = self.lock();
        let before = state.demand_before(&self.wakes);
        let result = take(&mut state.machine);
        let after = state.demand();
        let wakeups = state.wakeups(before, after);
        self.release(state, after);
        self.wake(wakeups);
        result
    }

    /// Reads something under the lock.
    pub(crate) fn read<R>(&self, read: impl FnOnce(&Machine<W>) -> R) -> R {
        read(&self.lock().machine)
    }

    #[inline]
    pub(super) fn wake(&self, wakeups: Wakeups) {
        if wakeups.workers > 0 {
            self.wake_workers(wakeups.workers);
        }
        if wakeups.timekeeper {
            self.timekeeper.notify();
        }
    }

    fn wake_workers(&self, count: u32) {
        for _ in 0..count {
            let Some(worker) = self.wakes.workers.take_idle() else { break };
            self.wakes.workers.wake(worker);
        }
    }

    #[inline]
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// From now on the workers and the timekeeper end at their next poll. Whether this was the first call.
    pub(super) fn close(&self) -> bool {
        !self.closed.swap(true, Ordering::SeqCst)
    }

    /// The runtime's timer, while nobody has taken it.
    pub(super) fn lock_timer(&self) -> MutexGuard<'_, Option<BoxTimer<W>>> {
        self.timer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has `waker` woken in place of the timekeeper.
    #[cfg(test)]
    pub(crate) fn watch_timekeeper(&self, waker: &std::task::Waker) {
        self.timekeeper.register(waker);
        self.timekeeper.listen();
    }

    /// Whether a worker has an attempt in hand, which it may be polling.
    #[cfg(test)]
    pub(crate) fn has_attempt_in_hand(&self) -> bool {
        self.wakes.workers.count_holding() > 0
    }

    /// How often the machine's lock was held.
    #[cfg(test)]
    pub(crate) fn holds(&self) -> u32 {
        self.state.holds()
    }
}

impl<W: AnyWork> fmt::Debug for Shared<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (census, phase) = self.read(|machine| (machine.census(), machine.phase()));
        f.debug_struct("Shared").field("phase", &phase).field("census", &census).finish_non_exhaustive()
    }
}
