//! All deadlines of the machine, by owner.

use crate::time::NEVER;
use crate::timers::{Step, Timers};
use crate::{Account, Instant, Limits};

/// The owner of a deadline. Each owner has one timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// The task in this slot.
    Task(u32),
    /// The machine itself.
    Own(OwnTimer),
    /// The sleep in this slot.
    Sleep(u32),
    /// The lane with this number.
    Lane(u32),
    /// The schedule in this slot.
    Schedule(u32),
    /// The source in this slot.
    Source(u32),
}

/// A timer of the machine itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OwnTimer {
    Health,
    Sweep,
    /// The deadline of a graceful drain.
    Drain,
    /// The end of what shuts the gate for a time.
    Gate,
}

impl OwnTimer {
    const ALL: [Self; 4] = [Self::Health, Self::Sweep, Self::Drain, Self::Gate];

    /// Whether the timer repeats.
    pub(super) const fn is_interval(self) -> bool {
        matches!(self, Self::Health | Self::Sweep)
    }
}

/// How many timers belong to the machine itself.
const OWN: u32 = OwnTimer::ALL.len() as u32;

/// All timers. The wheel knows a timer by its number. The number of a task's timer is the task's slot. Then come the
/// machine's own timers, then those of sleeps, by slot, then those of lanes, then those of schedules and of sources, by slot.
/// [`Task::deadline_in`](crate::task::Task::deadline_in) computes the deadlines of tasks.
pub(crate) struct Deadlines {
    timers: Timers,
    first_own: u32,
    first_sleep: u32,
    first_lane: u32,
    first_schedule: u32,
    first_source: u32,
    /// The account of the tasks' timers.
    account: Account,
}

impl Deadlines {
    /// How many timers there are for these limits.
    pub(crate) const fn timers(limits: &Limits) -> u32 {
        Self::first_source(limits).saturating_add(limits.sources.sources)
    }

    const fn first_source(limits: &Limits) -> u32 {
        Self::first_schedule(limits).saturating_add(limits.schedules)
    }

    const fn first_schedule(limits: &Limits) -> u32 {
        Self::first_lane(limits).saturating_add(limits.lane_slots())
    }

    const fn first_lane(limits: &Limits) -> u32 {
        Self::first_sleep(limits).saturating_add(limits.sleep_slots())
    }

    const fn first_sleep(limits: &Limits) -> u32 {
        limits.task_slots().saturating_add(OWN)
    }

    /// No deadline is set. `account` counts the timers of tasks. Allocates like [`Timers::new`].
    pub(super) fn new(limits: &Limits, account: Account, now: Instant) -> Self {
        Self {
            timers: Timers::new(Self::timers(limits), now),
            first_own: limits.task_slots(),
            first_sleep: Self::first_sleep(limits),
            first_lane: Self::first_lane(limits),
            first_schedule: Self::first_schedule(limits),
            first_source: Self::first_source(limits),
            account,
        }
    }

    #[inline]
    const fn number(&self, owner: Owner) -> u32 {
        match owner {
            Owner::Task(slot) => slot,
            _ => self.other_number(owner),
        }
    }

    /// The number of the timer of an owner. Not inlined, because most owners are tasks.
    #[cold]
    const fn other_number(&self, owner: Owner) -> u32 {
        match owner {
            Owner::Task(slot) => slot,
            Owner::Own(timer) => self.first_own.saturating_add(timer as u32),
            Owner::Sleep(slot) => self.first_sleep.saturating_add(slot),
            Owner::Lane(number) => self.first_lane.saturating_add(number),
            Owner::Schedule(slot) => self.first_schedule.saturating_add(slot),
            Owner::Source(slot) => self.first_source.saturating_add(slot),
        }
    }

    #[inline]
    fn owner(&self, number: u32) -> Owner {
        if number < self.first_own {
            return Owner::Task(number);
        }
        match OwnTimer::ALL.get(number.saturating_sub(self.first_own) as usize) {
            Some(timer) => Owner::Own(*timer),
            None if number >= self.first_source => Owner::Source(number.saturating_sub(self.first_source)),
            None if number >= self.first_schedule => {
                Owner::Schedule(number.saturating_sub(self.first_schedule))
            }
            None if number >= self.first_lane => Owner::Lane(number.saturating_sub(self.first_lane)),
            None => Owner::Sleep(number.saturating_sub(self.first_sleep)),
        }
    }

    /// Sets the deadline of an owner that has none. [`NEVER`] sets none for a task.
    #[inline]
    pub(super) fn add(&mut self, owner: Owner, at: Instant) {
        if !is_none(owner, at) {
            self.set(owner, at);
        }
    }

    /// Sets or replaces the deadline of an owner. [`NEVER`] clears that of a task.
    #[inline]
    pub(super) fn set(&mut self, owner: Owner, at: Instant) {
        if is_none(owner, at) {
            return self.clear(owner);
        }
        if !self.timers.arm(self.number(owner), at) && matches!(owner, Owner::Task(_)) {
            self.account.enter();
        }
    }

    /// Clears the deadline of an owner, if it has one.
    #[inline]
    pub(super) fn clear(&mut self, owner: Owner) {
        if self.timers.disarm(self.number(owner)) && matches!(owner, Owner::Task(_)) {
            self.account.leave();
        }
    }

    /// Does one unit of work that is due at `now`. See [`Timers::step`].
    pub(super) fn step(&mut self, now: Instant) -> Step<Owner> {
        match self.timers.step(now) {
            Step::Fired(number) => {
                let owner = self.owner(number);
                if matches!(owner, Owner::Task(_)) {
                    self.account.leave();
                }
                Step::Fired(owner)
            }
            Step::Moved => Step::Moved,
            Step::Idle => Step::Idle,
        }
    }

    /// See [`Timers::next_wake`].
    #[inline]
    pub(super) fn next_wake(&self) -> Option<(Instant, bool)> {
        self.timers.next_wake()
    }

    #[inline]
    pub(super) fn is_armed(&self, owner: Owner) -> bool {
        self.timers.is_armed(self.number(owner))
    }

    /// How many deadlines are set.
    #[inline]
    pub(super) const fn len(&self) -> u32 {
        self.timers.len()
    }

    /// How many intervals of the machine are armed.
    pub(super) fn intervals(&self) -> u32 {
        let intervals = OwnTimer::ALL.into_iter().filter(|timer| timer.is_interval());
        intervals.map(|timer| u32::from(self.is_armed(Owner::Own(timer)))).sum()
    }

    /// The account of the tasks' timers.
    pub(super) const fn account(&self) -> Account {
        self.account
    }

    /// The owners that have a deadline, by walking all timers. O(timers).
    pub(super) fn iter(&self) -> impl Iterator<Item = Owner> {
        self.timers.iter().map(|number| self.owner(number))
    }
}

/// Whether `at` means that there is no deadline. Only for a task does [`NEVER`] mean that.
#[inline]
fn is_none(owner: Owner, at: Instant) -> bool {
    at == NEVER && matches!(owner, Owner::Task(_))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LaneLimits, SourceLimits};
    use alloc::vec::Vec;

    /// Deadlines for `tasks` task slots, `sleeps` sleep slots, two lanes, two schedules and two sources.
    fn deadlines(tasks: u32, sleeps: u32) -> Deadlines {
        let limits = Limits {
            queue: 0,
            concurrency: 1,
            delayed: 0,
            unclaimed: Some(tasks - 1),
            sleeps,
            lanes: LaneLimits::new(1),
            schedules: 2,
            sources: SourceLimits { sources: 2, credit: Some(0) },
            ..Limits::default()
        };
        assert_eq!((limits.task_slots(), limits.sleep_slots()), (tasks, sleeps));
        Deadlines::new(&limits, Account::with_bound(tasks), Instant::ZERO)
    }

    #[test]
    fn a_due_deadline_names_its_owner() {
        let mut deadlines = deadlines(2, 3);
        let own = OwnTimer::ALL.map(Owner::Own);
        let all: Vec<Owner> = [Owner::Task(0), Owner::Task(1)]
            .into_iter()
            .chain(own)
            .chain((0..3).map(Owner::Sleep))
            .chain((0..2).map(Owner::Lane))
            .chain((0..2).map(Owner::Schedule))
            .chain((0..2).map(Owner::Source))
            .collect();
        for (at, owner) in (1..).zip(&all) {
            deadlines.set(*owner, Instant::from_millis(at));
        }
        assert!(deadlines.iter().eq(all.iter().copied()), "each owner has a number");
        assert_eq!((deadlines.len(), deadlines.intervals(), deadlines.account().live()), (15, 2, 2));
        let mut due = Vec::new();
        loop {
            match deadlines.step(Instant::from_millis(20)) {
                Step::Fired(owner) => due.push(owner),
                Step::Moved => {}
                Step::Idle => break,
            }
        }
        assert_eq!((due, deadlines.account().live()), (all, 0));
    }

    #[test]
    fn a_deadline_is_cleared_once_and_never_means_none_for_a_task() {
        let mut deadlines = deadlines(1, 0);
        let task = Owner::Task(0);
        deadlines.clear(task);
        deadlines.set(task, Instant::MAX);
        deadlines.set(Owner::Own(OwnTimer::Drain), Instant::MAX);
        assert!(!deadlines.is_armed(task) && deadlines.is_armed(Owner::Own(OwnTimer::Drain)));
        deadlines.clear(Owner::Own(OwnTimer::Drain));
        deadlines.set(task, Instant::from_millis(1));
        deadlines.clear(task);
        deadlines.clear(task);
        let account = deadlines.account();
        assert_eq!((account.entered, account.left, deadlines.len()), (1, 1, 0));
    }
}
