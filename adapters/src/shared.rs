//! What the owner, its submitters, the workers and the driver share: the machine behind its lock.

use std::any::Any;
use std::fmt;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::task::Waker;

use plimsoll_core::{
    Conditions, Instant, InvalidLimits, Limits, Phase, Plan, Priority, Reason, Remains, Retry, Route, Start,
    Terms, Timeouts, Wake,
};

use crate::cache::CachePart;
use crate::grace::Graces;
use crate::idle::Idle;
use crate::lock::{Guard, MachineLock};
use crate::options::Options;
use crate::signal::{Signal, Waiter, WorkerSignal};
use crate::submitter::Callback;

/// What the machine keeps for this crate.
pub(crate) struct Types<J, O, E, M>(PhantomData<fn() -> (J, O, E, M)>);

impl<J, O, E, M: Copy> Plan for Types<J, O, E, M> {
    type Job = J;
    type Output = O;
    type Error = E;
    type Meta = M;
    type Callback = Callback<O, E>;
    type Waiter = Waiter;
    type Listener = Box<dyn Any + Send>;
    // The cache has a lock of its own, and so is not a part of this machine.
    type Key = ();
    type Value = ();
}

pub(crate) type Machine<J, O, E, M> = plimsoll_core::Processor<Types<J, O, E, M>>;

/// Reads the runtime's clock. Foreign code: not to be called under a lock.
pub(crate) type Clock = Arc<dyn Fn() -> Instant + Send + Sync>;

/// What a task gets when its [`Options`] say nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Defaults {
    pub(crate) timeouts: Timeouts,
    pub(crate) priority: Priority,
    pub(crate) retry: Retry,
}

impl Defaults {
    pub(crate) fn terms<J, O, E, M: Copy>(
        &self,
        options: Options<M>,
        route: Route<Callback<O, E>>,
    ) -> Terms<Types<J, O, E, M>> {
        let mut terms = Terms::new(options.meta);
        terms.route = route;
        terms.priority = options.priority.unwrap_or(self.priority);
        terms.delay = options.delay;
        terms.timeouts = options.timeouts.unwrap_or(self.timeouts);
        terms.retry = options.retry.unwrap_or(self.retry);
        terms
    }

    /// The conditions that these options come to.
    pub(crate) fn with<M>(&self, options: &Options<M>) -> Conditions {
        Conditions::new(
            options.priority.unwrap_or(self.priority),
            options.delay,
            options.timeouts.as_ref().unwrap_or(&self.timeouts),
            options.retry.as_ref().unwrap_or(&self.retry),
        )
    }
}

/// Everything but the places: it knows neither the handler nor its future, so that submitters need not.
pub(crate) struct Shared<J, O, E, M: Copy> {
    state: MachineLock<State<J, O, E, M>>,
    clock: Clock,
    pub(crate) defaults: Defaults,
    /// What they come to.
    pub(crate) conditions: Conditions,
    pub(crate) workers: Box<[Arc<WorkerSignal>]>,
    layout: Layout,
    pub(crate) driver: Signal,
    pub(crate) cache: Arc<dyn CachePart>,
    closed: AtomicBool,
    /// How many workers and drivers are being polled.
    turns: AtomicUsize,
    /// Whether the machine has ended and somebody may wait for the last turn to be over.
    drained: AtomicBool,
}

/// A worker or the driver is being polled. See [`Shared::turn`].
pub(crate) struct Turn<'a, J, O, E, M: Copy>(&'a Shared<J, O, E, M>);

/// What the lock guards. Nothing in here runs code of a user.
pub(crate) struct State<J, O, E, M: Copy> {
    pub(crate) machine: Machine<J, O, E, M>,
    /// In which place the attempt of the task in each slot runs.
    placement: Box<[u32]>,
    /// The bits of an attempt's id that are its task's slot.
    slot_bits: u64,
    /// The workers that have a free place, found no work, and sleep.
    idle: Idle,
    /// The driver is certain to look at the timers at this instant at the latest.
    pub(crate) armed: Instant,
    pub(crate) graces: Graces,
    /// Whether a sweep was asked for and is not done.
    pub(crate) sweeping: bool,
    /// What was left at the end, once that has come.
    pub(crate) ended: Option<Remains>,
    /// The owner ends the machine: from now on nobody else takes effects.
    pub(crate) owned: bool,
    /// The runtime has dropped the driver: nothing goes on by itself any more.
    pub(crate) stranded: bool,
    /// Who waits for the end.
    pub(crate) shutdown: Option<Waker>,
    /// How many submissions may go by the time that the machine was told last.
    credit: u32,
}

/// How many submissions in a row may go by one reading of the clock.
const SUBMISSIONS_A_READING: u32 = 64;

/// Who has to be woken after a lock hold.
#[derive(Debug, Default)]
#[must_use]
pub(crate) struct Nudge {
    /// The driver's timer has to be set to an earlier instant.
    pub(crate) timer: bool,
    /// The driver has something to do now.
    pub(crate) driver: bool,
    pub(crate) worker: Option<u32>,
}

impl<J, O, E, M: Copy> State<J, O, E, M> {
    /// Finds out who has to be woken for what has changed. One worker is enough: it wakes the next one if there is
    /// more to start. O(1).
    pub(crate) fn nudge(&mut self, workers: &[Arc<WorkerSignal>]) -> Nudge {
        let timer = self.machine.next_timer().map(|(at, _)| at).filter(|at| *at < self.armed);
        if let Some(at) = timer {
            self.armed = at;
        }
        Nudge { timer: timer.is_some() && !self.owned, ..self.nudge_for_work(workers) }
    }

    /// As [`nudge`](Self::nudge), when no timer was armed.
    pub(crate) fn nudge_for_work(&mut self, workers: &[Arc<WorkerSignal>]) -> Nudge {
        let starts = !self.idle.is_empty() && self.machine.startable() > 0;
        let worker = if starts { self.idle.pop() } else { None };
        if let Some(signal) = worker.and_then(|worker| workers.get(worker as usize)) {
            signal.set_idle(false);
        }
        Nudge { timer: false, driver: self.has_duty(), worker }
    }

    /// Whether the driver has something to do now, timers apart.
    #[inline(always)]
    pub(crate) fn has_duty(&self) -> bool {
        !self.owned && (self.machine.has_effect() || self.is_ending())
    }

    /// Whether there is an effect that others than the owner may take.
    pub(crate) fn has_effect(&self) -> bool {
        !self.owned && self.machine.has_effect()
    }

    /// Whether the machine is being aborted and needs to be advanced for that.
    #[inline]
    fn is_ending(&self) -> bool {
        self.machine.phase() == Phase::Draining && self.has_end_to_reach()
    }

    #[cold]
    fn has_end_to_reach(&self) -> bool {
        matches!(self.machine.next_wake(), Wake::Now(Reason::End))
    }

    /// How many attempts a worker may start now so that those who sleep have their share.
    pub(crate) fn share(&self) -> u32 {
        self.machine.startable().div_ceil(self.idle.len().saturating_add(1))
    }

    /// The next attempt, which is to run in this place.
    #[inline(always)]
    pub(crate) fn start(&mut self, now: Instant, place: u32) -> Option<Start<Types<J, O, E, M>>> {
        let start = self.machine.start_next(now)?;
        let slot = self.slot(start.attempt.to_bits());
        if let Some(placed) = self.placement.get_mut(slot) {
            *placed = place;
        }
        Some(start)
    }

    /// The place that the attempt was given. If it is over by now, that may be another's.
    pub(crate) fn place_of(&self, attempt: u64) -> Option<u32> {
        self.placement.get(self.slot(attempt)).copied()
    }

    fn slot(&self, attempt: u64) -> usize {
        usize::try_from(attempt & self.slot_bits).unwrap_or(usize::MAX)
    }

    /// The worker has a free place and found nothing for it: it is woken when there is something.
    pub(crate) fn rest(&mut self, worker: u32, signal: &WorkerSignal) {
        if !signal.is_idle() {
            signal.set_idle(true);
            self.idle.push(worker);
        }
        // Who sleeps does not tell the time.
        self.credit = 0;
    }

    /// The worker has other things to do: what comes in the meantime is for one that sleeps.
    pub(crate) fn rise(&mut self, worker: u32, signal: &WorkerSignal) {
        if signal.is_idle() {
            signal.set_idle(false);
            self.idle.remove(worker);
        }
    }
}

impl<J, O, E, M> Shared<J, O, E, M>
where
    J: Send + 'static,
    O: Send + 'static,
    E: Send + 'static,
    M: Copy + Send + 'static,
{
    /// Allocates everything that is shared: see [`Footprint`](crate::Footprint).
    pub(crate) fn new(
        limits: Limits,
        clock: Clock,
        defaults: Defaults,
        cache: Arc<dyn CachePart>,
        layout: Layout,
        graces: bool,
    ) -> Result<Arc<Self>, InvalidLimits> {
        let machine = Machine::new(limits, clock())?;
        let slots = limits.task_slots();
        let state = State {
            machine,
            placement: vec![0; slots as usize].into_boxed_slice(),
            slot_bits: u64::from(u32::MAX.checked_shr(slots.saturating_sub(1).leading_zeros()).unwrap_or(0)),
            idle: Idle::new(layout.workers()),
            armed: Instant::MAX,
            graces: Graces::new(if graces { layout.places } else { 0 }),
            sweeping: false,
            ended: None,
            owned: false,
            stranded: false,
            shutdown: None,
            credit: 0,
        };
        Ok(Arc::new_cyclic(|shared: &Weak<Self>| {
            let worker = |worker| Arc::new(WorkerSignal::new(layout.places_of(worker), shared.clone()));
            Self {
                state: MachineLock::new(state),
                clock,
                conditions: defaults.with(&Options::new(())),
                defaults,
                workers: (0..layout.workers()).map(worker).collect(),
                layout,
                driver: Signal::default(),
                cache,
                closed: AtomicBool::new(false),
                turns: AtomicUsize::new(0),
                drained: AtomicBool::new(false),
            }
        }))
    }
}

impl<J, O, E, M: Copy> Shared<J, O, E, M> {
    pub(crate) fn now(&self) -> Instant {
        (self.clock)()
    }

    /// The machine and what goes with it. No foreign code may run, nor be dropped, while this is held.
    #[inline]
    pub(crate) fn lock(&self) -> Guard<'_, State<J, O, E, M>> {
        self.state.lock()
    }

    /// Submits on these conditions under the lock, and wakes whom that concerns. Unless something counts from the time of the
    /// submission, that is the time which the machine was told last, if it was told lately; so most submissions read no
    /// clock.
    #[inline(always)]
    pub(crate) fn submit<R>(
        &self,
        conditions: &Conditions,
        submit: impl FnOnce(&mut Machine<J, O, E, M>, Instant) -> R,
    ) -> R {
        let is_exact = conditions.count_from_submit();
        let (mut state, now) = if is_exact { self.lock_and_read_clock() } else { self.lock_to_submit() };
        let result = submit(&mut state.machine, now);
        let nudge = if is_exact { state.nudge(&self.workers) } else { state.nudge_for_work(&self.workers) };
        drop(state);
        self.wake(nudge);
        result
    }

    #[inline(always)]
    fn lock_to_submit(&self) -> (Guard<'_, State<J, O, E, M>>, Instant) {
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
    fn lock_and_read_clock(&self) -> (Guard<'_, State<J, O, E, M>>, Instant) {
        let now = self.now();
        let mut state = self.lock();
        state.credit = SUBMISSIONS_A_READING;
        (state, now)
    }

    /// Changes something under the lock, and wakes whom that concerns. Whatever values come out are in the result, for
    /// the caller to drop.
    pub(crate) fn act<R>(&self, act: impl FnOnce(&mut Machine<J, O, E, M>) -> R) -> R {
        let mut state = self.lock();
        let result = act(&mut state.machine);
        let nudge = state.nudge(&self.workers);
        drop(state);
        self.wake(nudge);
        result
    }

    /// Reads something under the lock.
    pub(crate) fn read<R>(&self, read: impl FnOnce(&Machine<J, O, E, M>) -> R) -> R {
        read(&self.lock().machine)
    }

    pub(crate) fn wake(&self, nudge: Nudge) {
        if let Some(worker) = nudge.worker.and_then(|worker| self.workers.get(worker as usize)) {
            worker.signal.notify();
        }
        if nudge.timer || nudge.driver {
            self.driver.notify();
        }
    }

    /// The worker that a place belongs to, and which of its places it is.
    pub(crate) fn place(&self, place: u32) -> Option<(&WorkerSignal, u32)> {
        let (worker, place) = self.layout.find(place);
        Some((self.workers.get(worker as usize)?, place))
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// A worker or the driver is being polled until the answer is dropped.
    pub(crate) fn turn(&self) -> Turn<'_, J, O, E, M> {
        self.turns.fetch_add(1, Ordering::SeqCst);
        Turn(self)
    }

    /// Whether somebody is in a turn: then effects that were taken may not be performed yet.
    pub(crate) fn has_turns(&self) -> bool {
        self.turns.load(Ordering::SeqCst) > 0
    }

    /// The machine has ended: whoever waits for that is woken, now and after each turn that is still going on.
    pub(crate) fn note_drained(&self) {
        self.drained.store(true, Ordering::SeqCst);
        let waker = self.lock().shutdown.take();
        if let Some(waker) = waker {
            self.guarded(|| waker.wake());
        }
    }

    /// The workers and the driver end at their next poll. Their wakers go too, as they may keep the runtime's tasks.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        for signal in self.workers.iter().map(|worker| &worker.signal).chain([&self.driver]) {
            if let Some(waker) = signal.take() {
                self.guarded(|| waker.wake());
            }
        }
    }
}

impl<J, O, E, M: Copy> Drop for Turn<'_, J, O, E, M> {
    fn drop(&mut self) {
        self.0.turns.fetch_sub(1, Ordering::SeqCst);
        if self.0.drained.load(Ordering::SeqCst) {
            self.0.note_drained();
        }
    }
}

impl<J, O, E, M: Copy> fmt::Debug for Shared<J, O, E, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (census, phase) = self.read(|machine| (machine.census(), machine.phase()));
        f.debug_struct("Shared").field("phase", &phase).field("census", &census).finish_non_exhaustive()
    }
}

/// How the places are shared out among workers: each has as many as the setting says, the last one what is left.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    pub(crate) places: u32,
    pub(crate) per_worker: u32,
}

impl Layout {
    pub(crate) fn new(places: u32, per_worker: u32) -> Self {
        Self { places, per_worker: per_worker.clamp(1, u64::BITS) }
    }

    pub(crate) const fn workers(self) -> u32 {
        self.places.div_ceil(self.per_worker)
    }

    /// The worker of a place, and which of its places it is.
    pub(crate) const fn find(self, place: u32) -> (u32, u32) {
        match (place.checked_div(self.per_worker), place.checked_rem(self.per_worker)) {
            (Some(worker), Some(place)) => (worker, place),
            _ => (0, 0),
        }
    }

    pub(crate) fn places_of(self, worker: u32) -> std::ops::Range<u32> {
        let first = worker.saturating_mul(self.per_worker);
        first..first.saturating_add(self.per_worker).min(self.places)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_has_one_worker() {
        for (places, per_worker, workers) in [(1, 16, 1), (16, 16, 1), (17, 16, 2), (64, 1, 64), (130, 99, 3)]
        {
            let layout = Layout::new(places, per_worker);
            assert_eq!(layout.workers(), workers);
            let all: Vec<u32> = (0..workers).flat_map(|worker| layout.places_of(worker)).collect();
            assert_eq!(all, (0..places).collect::<Vec<_>>());
            assert!((0..workers).all(|worker| (1..=64).contains(&layout.places_of(worker).len())));
            let found = (0..places).map(|place| layout.find(place));
            let found = found.map(|(worker, place)| layout.places_of(worker).nth(place as usize));
            assert_eq!(found.collect::<Option<Vec<_>>>(), Some(all));
        }
    }
}
