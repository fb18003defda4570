//! The machine behind its lock: what the owner, its submitters, the workers and the timekeeper share.
//!
//! Everything that changes the machine goes through [`Shared::change`] or [`Shared::submit`], which find out in the same
//! hold what has become ready, and afterwards wake as many idle workers for it.

use std::any::Any;
use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Waker;

use plimsoll_core::{
    AttemptId, BuildError, CancelError, CancelReason, Cancelled, Conditions, Effect, Instant, Limits, Phase,
    Plan, Reason, Remains, Start, TaskId, Wake,
};

use super::completions::Completions;
use super::grace::Graces;
use super::hook::HookPlace;
use super::idle_waiters::IdleWaiters;
use super::lock::Locking;
use super::signals::Signals;
use super::stop_waiters::StopWaiters;
use super::timekeeper_signal::TimekeeperSignal;
use super::wake::Wakes;
use super::workers::Workers;
use crate::cache::CachePart;
use crate::options::Defaults;
use crate::panics::PanicMessage;
use crate::recipient::Recipient;
use crate::runtime::Clock;
use crate::sharing::Kinds;
use crate::work::AnyWork;

/// What the machine keeps for this crate.
pub(crate) struct Types<W>(PhantomData<fn() -> W>);

impl<W: AnyWork> Plan for Types<W> {
    type Job = W::Job;
    type Output = W::Output;
    type Error = W::Error;
    type Panic = PanicMessage;
    type Meta = W::Meta;
    type Callback = Recipient<W>;
    type Waiter = Waker;
    type Listener = Box<dyn Any + Send>;
    // The cache has a lock of its own, and so is not a part of this machine.
    type Key = ();
    type Value = ();
}

pub(crate) type Machine<W> = plimsoll_core::Processor<Types<W>>;

/// The runtime's timer, kept where the owner can drop it.
pub(crate) type BoxTimer<W> = Pin<Box<<<W as AnyWork>::Sharing as Kinds>::Timer>>;

/// What guards the machine.
type StateLock<W> = <<W as AnyWork>::Sharing as Kinds>::Lock<State<W>>;

/// The machine while it is held.
pub(crate) type Guard<'a, W> = <StateLock<W> as Locking<State<W>>>::Guard<'a>;

/// An engine as its owner sees it.
pub(crate) type EngineOwned<W> = Arc<<<W as AnyWork>::Sharing as Kinds>::Close>;

/// A processor as its attempts see it.
pub(crate) type Host<W> = <<W as AnyWork>::Sharing as Kinds>::Host;

/// Everything but the places: it knows neither the handler nor its future, so that submitters need not.
pub(crate) struct Shared<W: AnyWork> {
    state: StateLock<W>,
    clock: Clock,
    pub(crate) defaults: Defaults,
    /// What they come to.
    pub(crate) conditions: Conditions,
    pub(super) wakes: Arc<Wakes>,
    pub(super) signals: Arc<Signals<W::Sharing>>,
    pub(super) timekeeper: TimekeeperSignal,
    pub(super) timer: Mutex<Option<BoxTimer<W>>>,
    pub(crate) cache: Arc<dyn CachePart>,
    pub(super) hook: HookPlace<W>,
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

/// What the lock guards. Nothing in here runs code of a user.
pub(crate) struct State<W: AnyWork> {
    pub(crate) machine: Machine<W>,
    /// In which place the attempt of the task in each slot runs.
    placement: Box<[u32]>,
    /// The bits of an attempt's id that are its task's slot.
    slot_bits: u64,
    /// The timekeeper is certain to look at the timers at this instant at the latest.
    pub(super) armed: Instant,
    pub(super) graces: Graces,
    pub(super) stop_waiters: StopWaiters,
    pub(super) idle_waiters: IdleWaiters,
    /// Whether there is any: beside what each hold looks at, for the memory of a hold moves from thread to thread.
    pub(super) has_idle_waiter: bool,
    pub(super) completions: Completions<W>,
    /// An effect with a callback that was taken out of the machine: it comes next.
    pub(super) callback: Option<Effect<Types<W>>>,
    /// Whether a sweep was asked for and is not done.
    pub(super) sweeping: bool,
    /// What was left at the end, once that has come.
    pub(crate) ended: Option<Remains>,
    /// The machine is being ended on a thread that takes all effects: the workers take none any more.
    pub(super) ending: bool,
    /// Waits for the end.
    pub(crate) shutdown: Option<Waker>,
    /// How many submissions may go by the time that the machine was told last.
    credit: u32,
}

/// The most workers of an engine.
pub(crate) const MOST_WORKERS: u32 = Workers::MOST;

/// How many submissions in a row may go by one reading of the clock.
const SUBMISSIONS_A_READING: u32 = 64;

/// The futures to wake after a hold.
#[derive(Clone, Copy, Debug, Default)]
#[must_use]
pub(super) struct Wakeups {
    /// How many idle workers, if there are as many.
    pub(super) workers: u32,
    pub(super) timekeeper: bool,
}

impl<W: AnyWork> State<W> {
    /// How many things workers could do for the machine: attempts to start, effects to perform. O(1).
    #[inline]
    pub(super) fn demand(&self) -> u32 {
        self.machine.startable().saturating_add(self.count_effects())
    }

    /// That, without the effects if they are `covered`.
    #[inline]
    pub(super) fn demand_beside(&self, covered: bool) -> u32 {
        if covered { self.machine.startable() } else { self.demand() }
    }

    /// How many effects the workers could take, and at least one if there is any.
    #[inline]
    pub(super) fn count_effects(&self) -> u32 {
        if self.ending {
            return 0;
        }
        let aside = u32::from(self.callback.is_some())
            .saturating_add(u32::from(self.sweeping))
            .saturating_add(u32::from(self.has_idle_waiter_to_wake()));
        self.machine.pending_effects().saturating_add(aside)
    }

    /// The demand at the beginning of a hold, for [`wakeups`](Self::wakeups): as good as endless while no worker is idle, for
    /// then nobody is woken for more.
    #[inline(always)]
    fn demand_before(&self, wakes: &Wakes) -> u32 {
        if wakes.workers.has_idle() { self.demand() } else { u32::MAX }
    }

    /// The futures to wake for what has become ready in a hold.
    #[inline]
    fn wakeups(&self, before: u32, after: u32) -> Wakeups {
        Wakeups { workers: after.saturating_sub(before), timekeeper: self.has_end_to_reach() }
    }

    /// The futures to wake after the hold of a worker: so many other workers, and the timekeeper. With the last worker
    /// that goes to sleep a deadline that is not needed any more is taken back.
    #[inline]
    pub(super) fn wakeups_of_worker(&mut self, others: u32, sleeps: bool, wakes: &Wakes) -> Wakeups {
        let mut timekeeper = self.is_armed_too_late() || self.has_end_to_reach();
        if sleeps {
            // An idle worker does not tell the time to the machine: the next submission has to read it.
            self.credit = 0;
            timekeeper |= self.armed < self.next_deadline() && wakes.workers.are_all_idle();
        }
        Wakeups { workers: others, timekeeper }
    }

    /// Whether the timekeeper has to look at the timers earlier than it would: that is noted as done.
    #[inline]
    fn is_armed_too_late(&mut self) -> bool {
        let next = self.next_deadline();
        let is_too_late = next < self.armed && !self.ending;
        if is_too_late {
            self.armed = next;
        }
        is_too_late
    }

    /// When the timekeeper has to look at the timers next.
    #[inline]
    pub(super) fn next_deadline(&self) -> Instant {
        self.machine.next_timer().map_or(Instant::MAX, |(at, _)| at).min(self.graces.next())
    }

    /// Whether the end is under way and needs the machine to be advanced.
    #[inline]
    fn has_end_to_reach(&self) -> bool {
        self.machine.phase() == Phase::Draining && matches!(self.machine.next_wake(), Wake::Now(Reason::End))
    }

    /// The next attempt, which is to run in this place.
    // Through memory it would come in pieces that are waited for: a tenth of a short task.
    #[inline(always)]
    pub(super) fn start(&mut self, now: Instant, place: u32) -> Option<Start<Types<W>>> {
        let start = self.machine.start_next(now)?;
        let slot = self.slot(start.attempt);
        if let Some(placed) = self.placement.get_mut(slot) {
            *placed = place;
        }
        Some(start)
    }

    /// The place that the attempt was given. If it is over by now, that may be another's.
    pub(super) fn place_of(&self, attempt: AttemptId) -> Option<u32> {
        self.placement.get(self.slot(attempt)).copied()
    }

    fn slot(&self, attempt: AttemptId) -> usize {
        usize::try_from(attempt.to_bits() & self.slot_bits).unwrap_or(usize::MAX)
    }
}

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
    /// Whether each attempt has a copy of its job.
    pub(crate) has_copies: bool,
}

impl<W: AnyWork> Shared<W> {
    /// Allocates everything that is shared: see [`Footprint`](crate::Footprint).
    pub(super) fn new(
        parts: Parts<W>,
        host: fn(Weak<Self>) -> Weak<Host<W>>,
    ) -> Result<Arc<Self>, BuildError> {
        let Parts { limits, clock, defaults, cache, timer, workers, grace, has_copies } = parts;
        let machine = Machine::new(limits, clock())?;
        let (slots, places) = (limits.task_slots(), limits.concurrency);
        let wakes = Arc::new(Wakes::new(places, workers));
        let state = State {
            machine,
            placement: vec![0; slots as usize].into_boxed_slice(),
            slot_bits: u64::from(u32::MAX.checked_shr(slots.saturating_sub(1).leading_zeros()).unwrap_or(0)),
            armed: Instant::MAX,
            graces: Graces::new(if grace.is_zero() { 0 } else { places }, grace),
            stop_waiters: StopWaiters::new(places),
            idle_waiters: IdleWaiters::new(wakes.clone()),
            has_idle_waiter: false,
            completions: Completions::new(),
            callback: None,
            sweeping: false,
            ended: None,
            ending: false,
            shutdown: None,
            credit: 0,
        };
        Ok(Arc::new_cyclic(|shared: &Weak<Self>| Self {
            state: Locking::new(state),
            clock,
            conditions: defaults.conditions(),
            defaults,
            wakes,
            signals: Arc::new(Signals::new(places, has_copies, host(shared.clone()))),
            timekeeper: TimekeeperSignal::new(),
            timer: Mutex::new(Some(timer)),
            cache,
            hook: HookPlace::new(),
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

    /// Submits on these conditions under the lock, and wakes whom that concerns. Unless something counts from the time of the
    /// submission, that is the time which the machine was told last, if it was told lately; so most submissions read no
    /// clock.
    #[inline]
    pub(crate) fn submit<R>(
        &self,
        conditions: &Conditions,
        submit: impl FnOnce(&mut Machine<W>, Instant) -> R,
    ) -> R {
        let is_exact = conditions.count_from_submit();
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
    pub(crate) fn watch_timekeeper(&self, waker: &Waker) {
        self.timekeeper.register(waker);
        self.timekeeper.listen();
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
