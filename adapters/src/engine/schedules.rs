//! Schedules: what the engine keeps for each of them, under the machine's lock.

use plimsoll_core::{Refusal, ScheduleId, Terms};
use slab::Slab;

use crate::sharing::Kinds;
use crate::when::{Calendar, Due, ScheduleStats};
use crate::work::AnyWork;

/// What makes the job for each time that a schedule is due.
pub(crate) type MakerOf<W> = <<W as AnyWork>::Sharing as Kinds>::JobMaker<<W as AnyWork>::Job>;

/// Names a schedule as long as there is the schedule, or one of its tasks that it waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ScheduleKey(u32);

/// What a schedule runs: in the table, or in the hands of the one worker that calls it.
pub(super) struct Runner<W: AnyWork> {
    pub(super) maker: Box<MakerOf<W>>,
    pub(super) calendar: Option<Box<dyn Calendar>>,
}

/// What is kept for a schedule.
pub(super) struct Entry<W: AnyWork> {
    /// `None`: the schedule has ended, and the task that it waited for is not settled.
    pub(super) id: Option<ScheduleId>,
    /// `None` while it is being called.
    runner: Option<Runner<W>>,
    has_calendar: bool,
    /// Whether work may overlap.
    pub(super) overlaps: bool,
    /// Whether a task of it is not settled and has to be.
    pub(super) works: bool,
    pub(super) meta: W::Meta,
    pub(super) terms: Result<Terms, Refusal>,
    pub(super) stats: ScheduleStats,
}

/// All schedules, and those that have ended while a task of theirs was not settled. Room is allocated by
/// [`insert`](Self::insert) alone.
pub(super) struct Schedules<W: AnyWork> {
    entries: Slab<Entry<W>>,
    /// The key of the schedule in each slot of the machine. It may have ended.
    by_slot: Vec<u32>,
    /// The bits of a schedule's id that are its slot.
    slot_bits: u64,
}

impl<W: AnyWork> Entry<W> {
    pub(super) const fn new(
        runner: Runner<W>,
        overlaps: bool,
        meta: W::Meta,
        terms: Result<Terms, Refusal>,
    ) -> Self {
        let has_calendar = runner.calendar.is_some();
        let stats = ScheduleStats::NONE;
        Self { id: None, runner: Some(runner), has_calendar, overlaps, works: false, meta, terms, stats }
    }
}

impl<W: AnyWork> Schedules<W> {
    /// For a machine with so many schedules at most.
    pub(super) const fn new(slots: u32) -> Self {
        let bits = u32::BITS - slots.saturating_sub(1).leading_zeros();
        Self { entries: Slab::new(), by_slot: Vec::new(), slot_bits: !(u64::MAX << bits) }
    }

    /// Adds what is kept for a schedule that has begun.
    pub(super) fn insert(&mut self, id: ScheduleId, entry: Entry<W>) {
        let key = self.entries.insert(Entry { id: Some(id), ..entry });
        let slot = self.slot(id);
        if slot >= self.by_slot.len() {
            self.by_slot.resize(slot.saturating_add(1), u32::MAX);
        }
        if let Some(by_slot) = self.by_slot.get_mut(slot) {
            *by_slot = u32::try_from(key).unwrap_or(u32::MAX);
        }
    }

    fn slot(&self, id: ScheduleId) -> usize {
        usize::try_from(id.to_bits() & self.slot_bits).unwrap_or(usize::MAX)
    }

    pub(super) fn key(&self, id: ScheduleId) -> Option<ScheduleKey> {
        let key = *self.by_slot.get(self.slot(id))?;
        self.entries.get(key as usize).filter(|entry| entry.id == Some(id))?;
        Some(ScheduleKey(key))
    }

    pub(super) fn get(&mut self, id: ScheduleId) -> Option<&mut Entry<W>> {
        let key = self.key(id)?;
        self.entries.get_mut(key.0 as usize)
    }

    pub(super) fn stats(&self, id: ScheduleId) -> Option<ScheduleStats> {
        self.entries.get(self.key(id)?.0 as usize).map(|entry| entry.stats)
    }

    /// Takes the runner of a schedule, to be given back. If another worker has it, this time is missed.
    pub(super) fn take_runner(&mut self, due: Due) -> Option<Runner<W>> {
        let entry = self.get(due.schedule)?;
        let runner = entry.runner.take();
        if runner.is_none() {
            entry.stats.note_missed(due.missed.saturating_add(1));
        }
        runner
    }

    /// Gives the runner back. It is handed back if the schedule has ended, to be dropped without the lock.
    pub(super) fn give_back(&mut self, id: ScheduleId, runner: Runner<W>) -> Option<Runner<W>> {
        match self.get(id) {
            Some(entry) => entry.runner.replace(runner),
            None => Some(runner),
        }
    }

    /// The task of a schedule is settled. The schedule, and its runner if it has a calendar.
    pub(super) fn end_work(
        &mut self,
        ScheduleKey(key): ScheduleKey,
    ) -> Option<(ScheduleId, Option<Runner<W>>)> {
        let entry = self.entries.get_mut(key as usize)?;
        entry.works = false;
        let Some(id) = entry.id else {
            self.entries.try_remove(key as usize);
            return None;
        };
        let runner = if entry.has_calendar { entry.runner.take() } else { None };
        Some((id, runner))
    }

    /// Forgets a schedule. What it has run is to be dropped without the lock.
    pub(super) fn remove(&mut self, id: ScheduleId) -> Option<Runner<W>> {
        let ScheduleKey(key) = self.key(id)?;
        let entry = self.entries.get_mut(key as usize)?;
        entry.id = None;
        let runner = entry.runner.take();
        if !entry.works {
            self.entries.try_remove(key as usize);
        }
        runner
    }

    /// How many there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}
