//! Schedules: what is due at given instants, again and again. The machine makes no jobs, so it only tells its host.
//!
//! A schedule is in one of three stages:
//!
//! ```text
//!            ┌───────────────── take, with Overlap::Allow ◄────────────────┐
//!            ▼                                                             │
//!  begin ─► Waiting ─── fire ─► Due ─── take, with Overlap::Skip ─► Working
//!            ▲                                                        │
//!            └──────────────────────── done ◄─────────────────────────┘
//! ```
//!
//! It has a timer only in `Waiting`, and is due at most once: however late the host is, nothing piles up. The instants that
//! pass meanwhile are counted.

mod grid;
mod schedule;

use fastrand::Rng;

use crate::Instant;
use crate::ids::ScheduleId;
use crate::list::ListWithLinks;
use crate::slots::Slots;
use crate::time::after;

pub(crate) use grid::Grid;
pub use schedule::{Due, Missed, Overlap, Schedule};

struct Entry {
    grid: Grid,
    /// The bound of the jitter, in nanoseconds.
    jitter: u64,
    /// The instants that have passed without an effect, since the last effect.
    passed: u64,
    missed: Missed,
    overlap: Overlap,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Its timer is armed, unless its next instant lies past the end of time or is not known yet.
    Waiting,
    /// It owes the host an effect.
    Due,
    /// The host has the effect, and has not said yet that the work is over.
    Working,
}

/// All schedules, oldest first. Calls are O(1).
pub(crate) struct Schedules {
    slots: Slots<ScheduleId, Entry>,
    order: ListWithLinks,
    /// Those that owe an effect, in the order in which they fell due.
    due: ListWithLinks,
}

impl Schedules {
    pub(crate) fn new(capacity: u32, origin: u64) -> Self {
        Self {
            slots: Slots::new(capacity).with_origin(origin),
            order: ListWithLinks::new(capacity),
            due: ListWithLinks::new(capacity),
        }
    }

    /// The bytes that [`new`](Self::new) asks of the allocator, exactly.
    pub(crate) const fn bytes(capacity: u32) -> usize {
        Slots::<ScheduleId, Entry>::bytes(capacity)
            .saturating_add(ListWithLinks::bytes(capacity).saturating_mul(2))
    }

    /// Begins a schedule, whose timer is to be armed. Returns its id and its slot; `None` if no slot is free.
    pub(crate) fn begin(&mut self, schedule: &Schedule, now: Instant) -> Option<(ScheduleId, u32)> {
        let mut grid = Grid::new(schedule.every, None);
        match schedule.first_after {
            Some(delay) => grid.move_to(now.checked_add(delay)),
            None => grid.move_behind(now),
        }
        let Schedule { missed, overlap, .. } = *schedule;
        let jitter = schedule.jitter_nanos();
        let entry = Entry { grid, jitter, passed: 0, missed, overlap, stage: Stage::Waiting };
        let id = self.slots.insert(entry).ok()?;
        let index = self.slots.index_of(id);
        self.order.push_back(index);
        Some((id, index))
    }

    /// The deadline of the timer of the schedule in slot `index`, with a jitter drawn anew; `None` if it needs no timer.
    pub(crate) fn draw_deadline(&self, index: u32, rng: &mut Rng) -> Option<Instant> {
        let entry = self.slots.at(index).filter(|entry| entry.stage == Stage::Waiting)?;
        let next = entry.grid.next()?;
        Some(if entry.jitter == 0 { next } else { after(next, rng.u64(..entry.jitter)) })
    }

    /// The timer of the schedule in slot `index` has fired: it owes an effect.
    pub(crate) fn fall_due(&mut self, index: u32) {
        let Some(entry) = self.slots.at_mut(index) else {
            debug_assert!(false, "a timer ends with its schedule");
            return;
        };
        entry.stage = Stage::Due;
        self.due.push_back(index);
    }

    /// Takes what is due next, and the slot of its schedule. Its timer may have to be armed.
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<(Due, u32)> {
        let index = self.due.pop_front()?;
        let (id, entry) = self.slots.entry(index)?;
        let (at, passed) = match entry.missed {
            // A timer can't fire before its instant.
            Missed::Skip => entry.grid.pass(now).unwrap_or((now, 0)),
            Missed::Delay => (entry.grid.next().unwrap_or(now), 0),
        };
        entry.stage = Stage::Working;
        let missed = core::mem::take(&mut entry.passed).saturating_add(passed);
        if entry.overlap == Overlap::Allow {
            entry.wait_for_next(now);
        }
        Some((Due { schedule: id, at, missed }, index))
    }

    /// The work of a schedule is over. Returns its slot, whose timer is to be armed; `None` if it was not waited for.
    pub(crate) fn end_work(&mut self, id: ScheduleId, now: Instant) -> Option<u32> {
        let entry = self.slots.get_mut(id).filter(|entry| entry.stage == Stage::Working)?;
        entry.wait_for_next(now);
        Some(self.slots.index_of(id))
    }

    /// Sets the next instant of a schedule, whatever its stage. Returns its slot, whose timer is to be armed.
    pub(crate) fn move_to(&mut self, id: ScheduleId, at: Instant) -> Option<u32> {
        let entry = self.slots.get_mut(id)?;
        entry.grid.move_to(Some(at));
        entry.stage = Stage::Waiting;
        let index = self.slots.index_of(id);
        self.due.remove(index);
        Some(index)
    }

    /// Removes a schedule. Returns its slot, whose timer is to be cleared.
    pub(crate) fn end(&mut self, id: ScheduleId) -> Option<u32> {
        self.slots.get(id)?;
        let index = self.slots.index_of(id);
        self.due.remove(index);
        self.order.remove(index);
        self.slots.take(index, 0);
        Some(index)
    }

    /// The oldest schedule.
    pub(crate) fn oldest(&self) -> Option<ScheduleId> {
        self.order.front().and_then(|index| self.slots.id_at(index))
    }

    /// The next instant of a schedule. `None` while its work is not over, if none will come, or if it does not exist.
    pub(crate) fn next(&self, id: ScheduleId) -> Option<Instant> {
        self.slots.get(id).filter(|entry| entry.stage != Stage::Working)?.grid.next()
    }

    /// The slot of the schedule that owes the next effect; [`NIL`](crate::list::NIL) if there is none.
    #[inline]
    pub(crate) const fn first_due(&self) -> u32 {
        self.due.head()
    }

    pub(crate) const fn len(&self) -> u32 {
        self.slots.len()
    }

    pub(crate) const fn retired(&self) -> u32 {
        self.slots.retired()
    }

    /// How many schedules there are, counted by walking all slots. O(capacity).
    pub(crate) fn audit(&self) -> u32 {
        let due = self.slots.iter().filter(|(_, entry)| entry.stage == Stage::Due).count();
        debug_assert_eq!(
            due,
            self.due.iter().count(),
            "exactly the schedules that owe an effect are in the list"
        );
        self.slots.iter().fold(0, |count, _| count + 1)
    }
}

impl Entry {
    /// The next instant is awaited: the first one after now.
    fn wait_for_next(&mut self, now: Instant) {
        self.stage = Stage::Waiting;
        match self.missed {
            Missed::Skip => {
                if let Some((_, before)) = self.grid.pass(now) {
                    self.passed = self.passed.saturating_add(before).saturating_add(1);
                }
            }
            Missed::Delay => self.grid.move_behind(now),
        }
    }
}
