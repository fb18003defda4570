//! What the machine's lock guards: the machine, and what of the engine changes with it.

use std::task::Waker;

use plimsoll_core::{AttemptId, Effect, Instant, Phase, Reason, Remains, Start, Wake};

use super::completions::Completions;
use super::grace::Graces;
use super::idle_waiters::IdleWaiters;
use super::schedules::Schedules;
use super::stop_waiters::StopWaiters;
use super::types::{Machine, Types};
use super::wake::Wakes;
use crate::meter::Publishing;
use crate::probes::{NotLive, NotReady, Probes};
use crate::work::AnyWork;

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
    pub(super) schedules: Schedules<W>,
    /// An effect with a callback that was taken out of the machine: it comes next.
    pub(super) callback: Option<Effect<Types<W>>>,
    /// Whether a sweep was asked for and is not done.
    pub(super) sweeping: bool,
    pub(super) publishing: Publishing,
    /// What was left at the end, once that has come.
    pub(crate) ended: Option<Remains>,
    /// The machine is being ended on a thread that takes all effects: the workers take none any more.
    pub(super) ending: bool,
    /// Waits for the end.
    pub(crate) shutdown: Option<Waker>,
    /// How many submissions may go by the time that the machine was told last.
    pub(super) credit: u32,
    /// How often the timekeeper has looked at the timers.
    pub(super) rounds: u64,
    probes: Probes,
}

/// The futures to wake after a hold.
#[derive(Clone, Copy, Debug, Default)]
#[must_use]
pub(super) struct Wakeups {
    /// How many idle workers, if there are as many.
    pub(super) workers: u32,
    pub(super) timekeeper: bool,
}

impl<W: AnyWork> State<W> {
    /// Beside a machine that nothing has happened to.
    pub(super) fn new(
        machine: Machine<W>,
        graces: Graces,
        places: u32,
        idle_waiters: IdleWaiters,
        publishing: Publishing,
    ) -> Self {
        let (slots, schedules) = (machine.limits().task_slots(), machine.limits().schedules);
        Self {
            machine,
            placement: vec![0; slots as usize].into_boxed_slice(),
            slot_bits: u64::from(u32::MAX.checked_shr(slots.saturating_sub(1).leading_zeros()).unwrap_or(0)),
            armed: Instant::MAX,
            graces,
            stop_waiters: StopWaiters::new(places),
            idle_waiters,
            has_idle_waiter: false,
            completions: Completions::new(),
            schedules: Schedules::new(schedules),
            callback: None,
            sweeping: false,
            publishing,
            ended: None,
            ending: false,
            shutdown: None,
            credit: 0,
            rounds: 0,
            probes: Probes::default(),
        }
    }

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
            .saturating_add(u32::from(self.publishing.is_due()))
            .saturating_add(u32::from(self.has_idle_waiter_to_wake()));
        self.machine.pending_effects().saturating_add(aside)
    }

    /// The demand at the beginning of a hold, for [`wakeups`](Self::wakeups): as good as endless while no worker is idle, for
    /// then nobody is woken for more.
    #[inline(always)]
    pub(super) fn demand_before(&self, wakes: &Wakes) -> u32 {
        if wakes.workers.has_idle() { self.demand() } else { u32::MAX }
    }

    /// The futures to wake for what has become ready in a hold.
    #[inline]
    pub(super) fn wakeups(&self, before: u32, after: u32) -> Wakeups {
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
    pub(super) fn is_armed_too_late(&mut self) -> bool {
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
        let timer = self.machine.next_timer().map_or(Instant::MAX, |(at, _)| at);
        timer.min(self.graces.next()).min(self.publishing.next())
    }

    /// See [`Access::is_live`](crate::Access::is_live).
    pub(crate) fn check_live(&mut self, now: Instant) -> Result<(), NotLive> {
        let looks = (self.rounds, self.next_deadline());
        self.probes.check_live(&self.machine, looks, now)
    }

    /// See [`Access::is_ready`](crate::Access::is_ready).
    pub(crate) fn check_ready(&mut self, now: Instant) -> Result<(), NotReady> {
        self.probes.check_ready(&self.machine, now)
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

    /// Whether somebody has waited for this moment, at which every task is settled and no callback is being called. Those that
    /// are yet to be called are effects, which come first.
    #[inline]
    pub(super) fn has_idle_waiter_to_wake(&self) -> bool {
        self.has_idle_waiter && self.machine.is_idle() && self.has_called_back()
    }

    /// Whether no worker is calling foreign code. At the end nobody waits for that.
    #[cold]
    fn has_called_back(&self) -> bool {
        self.ending || self.idle_waiters.has_called_back()
    }

    /// Whether there is such a moment now.
    pub(super) fn is_idle(&self) -> bool {
        let has_effect = self.callback.is_some() || self.machine.pending_effects() > 0;
        self.machine.is_idle() && (self.ending || !has_effect) && self.has_called_back()
    }

    /// Takes the waker of one waiter for this moment.
    #[cold]
    pub(super) fn take_idle_waiter(&mut self) -> Option<Waker> {
        let waker = self.idle_waiters.take();
        self.has_idle_waiter = !self.idle_waiters.is_empty();
        waker
    }
}
