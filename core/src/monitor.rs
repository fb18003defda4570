//! The monitor of running attempts: their last heartbeats, their soft limits, and the progress that they report.
//!
//! It has an entry for each task slot, and is there only if [`Limits::monitor`] asks for it. The deadlines that it adds
//! share the one timer of a task.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use crate::time::{NEVER, after};
use crate::{Instant, Limits, Terms};

/// How far an attempt has got, as it reported last: so much is done, of so much in all if that is known. The unit is
/// the host's own: rows, bytes, thousandths.
///
/// ```
/// use plimsoll_core::Progress;
/// let known = Progress::of(30, 120);
/// assert_eq!((known.done, known.total), (30, Some(120)));
/// assert_eq!(Progress::new(7).total, None);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Progress {
    /// How much is done.
    pub done: u64,
    /// How much there is in all, if that is known.
    pub total: Option<u64>,
}

impl Progress {
    /// So much is done, and it is not known of how much.
    #[must_use]
    pub const fn new(done: u64) -> Self {
        Self { done, total: None }
    }

    /// So much is done of so much in all. Nothing checks that `done` is not above `total`.
    #[must_use]
    pub const fn of(done: u64, total: u64) -> Self {
        Self { done, total: Some(total) }
    }
}

/// What is known of the task in a slot, and of its latest attempt.
#[derive(Clone, Copy)]
struct Entry {
    /// From the terms of the task, in nanoseconds, as there.
    heartbeat: u64,
    slow_after: u64,
    /// The last heartbeat of the latest attempt; the origin if there was none.
    beat_at: Instant,
    progress: Option<Progress>,
    pace: Pace,
}

/// Whether the attempt runs and was reported as slow.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pace {
    Usual,
    Slow,
    /// It was, and it was asked to stop.
    SlowToStop,
}

impl Entry {
    /// The entry of a task without an attempt.
    const fn new(terms: &Terms) -> Self {
        let Terms { heartbeat, slow_after, .. } = *terms;
        Self { heartbeat, slow_after, beat_at: Instant::ZERO, progress: None, pace: Pace::Usual }
    }
}

/// All entries, by task slot. Calls are O(1).
pub(crate) struct Monitor {
    entries: Vec<Entry>,
    /// How many attempts run and were reported as slow.
    slow: u32,
    /// How many of these were asked to stop.
    slow_to_stop: u32,
}

impl Monitor {
    /// Nothing is known yet; `None` if the limits ask for no monitor. Allocates [`Monitor::bytes`], O(task slots).
    pub(crate) fn new(limits: &Limits) -> Option<Box<Self>> {
        let entry = Entry::new(&Terms::new());
        let slots = limits.task_slots() as usize;
        limits.monitor.then(|| Box::new(Self { entries: vec![entry; slots], slow: 0, slow_to_stop: 0 }))
    }

    /// The bytes that [`new`](Self::new) asks of the allocator.
    pub(crate) const fn bytes(limits: &Limits) -> usize {
        if limits.monitor {
            let entries = (limits.task_slots() as usize).saturating_mul(size_of::<Entry>());
            entries.saturating_add(size_of::<Self>())
        } else {
            0
        }
    }

    /// A task with these terms is admitted to slot `index`.
    pub(crate) fn admit(&mut self, index: u32, terms: &Terms) {
        if let Some(entry) = self.entries.get_mut(index as usize) {
            *entry = Entry::new(terms);
        }
    }

    /// An attempt at the task in slot `index` starts. It has reported no progress yet.
    pub(crate) fn start(&mut self, index: u32) {
        if let Some(entry) = self.entries.get_mut(index as usize) {
            *entry = Entry { beat_at: Instant::ZERO, progress: None, pace: Pace::Usual, ..*entry };
        }
    }

    /// The attempt at the task in slot `index`, if there is one, is over.
    pub(crate) fn stop(&mut self, index: u32) {
        let Some(entry) = self.entries.get_mut(index as usize) else { return };
        let pace = core::mem::replace(&mut entry.pace, Pace::Usual);
        self.slow = self.slow.saturating_sub(u32::from(pace != Pace::Usual));
        self.slow_to_stop = self.slow_to_stop.saturating_sub(u32::from(pace == Pace::SlowToStop));
    }

    /// The attempt at the task in slot `index` is asked to stop. It may have been asked before.
    pub(crate) fn ask_to_stop(&mut self, index: u32) {
        let slow = self.entries.get_mut(index as usize).filter(|entry| entry.pace == Pace::Slow);
        if let Some(entry) = slow {
            entry.pace = Pace::SlowToStop;
            self.slow_to_stop = self.slow_to_stop.saturating_add(1);
        }
    }

    /// The running attempt at the task in slot `index` shows that it is alive, and perhaps how far it has got.
    pub(crate) fn beat(&mut self, index: u32, now: Instant, progress: Option<Progress>) {
        if let Some(entry) = self.entries.get_mut(index as usize) {
            entry.beat_at = now;
            entry.progress = progress.or(entry.progress);
        }
    }

    /// The running attempt at the task in slot `index` is reported as slow.
    pub(crate) fn note_slow(&mut self, index: u32) {
        if let Some(entry) = self.entries.get_mut(index as usize).filter(|entry| entry.pace == Pace::Usual) {
            entry.pace = Pace::Slow;
            self.slow = self.slow.saturating_add(1);
        }
    }

    /// When the heartbeat time-out of the attempt at the task in slot `index`, which began at `began`, passes.
    pub(crate) fn silent_at(&self, index: u32, began: Instant) -> Instant {
        self.entries
            .get(index as usize)
            .map_or(NEVER, |entry| after(entry.beat_at.max(began), entry.heartbeat))
    }

    /// When the attempt at the task in slot `index`, which began at `began`, is to be reported as slow; [`NEVER`] if it
    /// was.
    pub(crate) fn slow_at(&self, index: u32, began: Instant) -> Instant {
        let entry = self.entries.get(index as usize).filter(|entry| entry.pace == Pace::Usual);
        entry.map_or(NEVER, |entry| after(began, entry.slow_after))
    }

    /// How far the latest attempt at the task in slot `index` has got, if it has told.
    pub(crate) fn progress(&self, index: u32) -> Option<Progress> {
        self.entries.get(index as usize)?.progress
    }

    /// How many attempts run and were reported as slow.
    pub(crate) const fn slow(&self) -> u32 {
        self.slow
    }

    /// How many attempts run that were reported as slow and were not asked to stop.
    pub(crate) const fn slow_and_going(&self) -> u32 {
        self.slow.saturating_sub(self.slow_to_stop)
    }

    /// As [`slow`](Self::slow), counted by walking over the slots with an attempt that runs, which are all that may be
    /// slow; of each, whether it was asked to stop. O(slots).
    pub(crate) fn audit(&self, placed: impl Iterator<Item = (u32, bool)>) -> u32 {
        let pace = |index: u32| self.entries.get(index as usize).map_or(Pace::Usual, |entry| entry.pace);
        let slow = placed.map(|(index, is_to_stop)| (pace(index), is_to_stop));
        let (mut found, mut to_stop) = (0, 0);
        for (pace, is_to_stop) in slow.filter(|(pace, _)| *pace != Pace::Usual) {
            debug_assert_eq!(pace == Pace::SlowToStop, is_to_stop, "it is told when it is asked to stop");
            found += 1;
            to_stop += u32::from(is_to_stop);
        }
        let all = self.entries.iter().filter(|entry| entry.pace != Pace::Usual).count();
        debug_assert_eq!(found as usize, all, "only an attempt that runs is slow");
        debug_assert_eq!(to_stop, self.slow_to_stop, "those that were asked to stop are counted");
        found
    }
}
