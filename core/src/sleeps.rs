//! The sleeps of running attempts: waits that end at an instant, or with their attempt.

use core::fmt;

use crate::Instant;
use crate::ids::SleepId;
use crate::list::{Fifo, NIL};
use crate::slots::Slots;

struct Sleep<W> {
    until: Instant,
    waiter: Option<W>,
    stage: Stage,
    /// The slot of the attempt's task.
    task: u32,
    /// The next sleep of the same attempt.
    next: u32,
}

/// Where a sleep stands. From [`Stage::Over`] on a waiter that is still here is to be woken.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Its timer is armed.
    Sleeping,
    /// Its time has come.
    Over,
    /// Its attempt is over: it is here only until its waiter is woken.
    Gone,
}

/// What a sleeper finds when asking again.
#[derive(PartialEq, Eq)]
#[must_use = "waiters that are not needed any more are handed back here"]
pub enum SleepStatus<W> {
    /// The time has come, and the sleep is over and done with. The waiter is handed back, and the one that was
    /// left before, if it was not woken yet.
    Over(W, Option<W>),
    /// It still sleeps, with the new waiter; the old one is handed back.
    Sleeping(Option<W>),
    /// There is no such sleep: its attempt is over, or it was ended. The waiter is handed back.
    Gone(W),
}

impl<W> fmt::Debug for SleepStatus<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Over(..) => "Over",
            Self::Sleeping(_) => "Sleeping",
            Self::Gone(_) => "Gone",
        })
    }
}

/// A sleep that is no more, to be told to its attempt and to the timers.
pub(crate) struct Ended<W> {
    /// The slot it had.
    pub(crate) index: u32,
    /// The slot of the attempt's task.
    pub(crate) task: u32,
    /// The sleep of that attempt that came after it.
    pub(crate) next: u32,
    pub(crate) waiter: Option<W>,
}

/// All sleeps. Each attempt has a list of its own, oldest first, whose head is kept with its task. Every call
/// is O(1), or O(sleeps of one attempt) where it says so.
pub(crate) struct Sleeps<W> {
    slots: Slots<SleepId, Sleep<W>>,
    /// Those whose waiters are to be woken.
    to_wake: Fifo,
}

impl<W> Sleeps<W> {
    pub(crate) fn new(capacity: u32, origin: u64) -> Self {
        Self { slots: Slots::new(capacity).with_origin(origin), to_wake: Fifo::new(capacity) }
    }

    /// The bytes that [`new`](Self::new) asks of the allocator.
    pub(crate) const fn bytes(capacity: u32) -> usize {
        Slots::<SleepId, Sleep<W>>::bytes(capacity).saturating_add(Fifo::bytes(capacity))
    }

    /// Begins a sleep of the attempt of the task in slot `task`, whose first sleep is in slot `head`: its id and
    /// slot. Hands the waiter back when the attempt has `most` sleeps already, or when no slot is free.
    /// O(`most`).
    pub(crate) fn begin(
        &mut self,
        task: u32,
        head: &mut u32,
        most: u32,
        until: Instant,
        waiter: W,
    ) -> Result<(SleepId, u32), W> {
        let mut last = NIL;
        let mut count = 0;
        let mut at = *head;
        while let Some(sleep) = self.slots.at(at) {
            (last, at, count) = (at, sleep.next, count + 1);
        }
        if count >= most || self.slots.free() == 0 {
            return Err(waiter);
        }
        let new = Sleep { until, waiter: None, stage: Stage::Sleeping, task, next: NIL };
        let Ok(id) = self.slots.insert(new) else { return Err(waiter) };
        let index = self.slots.index_of(id);
        if let Some(sleep) = self.slots.at_mut(index) {
            sleep.waiter = Some(waiter);
        }
        match self.slots.at_mut(last) {
            Some(last) => last.next = index,
            None => *head = index,
        }
        Ok((id, index))
    }

    /// Lets the time of the sleep in slot `index` come: its waiter is to be woken. The slot of the attempt's task.
    pub(crate) fn fall_due(&mut self, index: u32) -> u32 {
        let Some(sleep) = self.slots.at_mut(index) else {
            debug_assert!(false, "a timer ends with its sleep");
            return NIL;
        };
        sleep.stage = Stage::Over;
        let task = sleep.task;
        if sleep.waiter.is_some() {
            self.to_wake.push_back(index);
        }
        task
    }

    /// Leaves a new waiter with a sleep. `None` when there is no such sleep, or its time has come: then the
    /// waiter is handed back.
    pub(crate) fn wait_on(&mut self, id: SleepId, now: Instant, waiter: W) -> Result<Option<W>, W> {
        match self.slots.get_mut(id) {
            Some(sleep) if sleep.stage == Stage::Sleeping && sleep.until > now => {
                Ok(sleep.waiter.replace(waiter))
            }
            _ => Err(waiter),
        }
    }

    /// Takes a sleep out, whether its time has come or not. It has yet to leave the list of its attempt.
    pub(crate) fn end(&mut self, id: SleepId) -> Option<Ended<W>> {
        if self.slots.get(id)?.stage == Stage::Gone {
            return None;
        }
        let index = self.slots.index_of(id);
        self.to_wake.remove(index);
        let Sleep { waiter, task, next, .. } = self.slots.take(index, 0)?;
        Some(Ended { index, task, next, waiter })
    }

    /// Takes the sleep in slot `index`, which is no more, out of its attempt's list. O(its sleeps).
    pub(crate) fn unlink(&mut self, head: &mut u32, index: u32, next: u32) {
        if *head == index {
            *head = next;
            return;
        }
        let mut at = *head;
        while let Some(sleep) = self.slots.at_mut(at) {
            if sleep.next == index {
                sleep.next = next;
                return;
            }
            at = sleep.next;
        }
    }

    /// Ends the sleep in slot `index` because its attempt is over: the slot of the attempt's next one. It is
    /// here until its waiter is woken, or gone at once if it has none; the answer tells which.
    pub(crate) fn abandon(&mut self, index: u32) -> Option<(u32, bool)> {
        let sleep = self.slots.at_mut(index)?;
        let (was, next) = (sleep.stage, sleep.next);
        sleep.stage = Stage::Gone;
        if sleep.waiter.is_none() {
            self.slots.take(index, 0);
            return Some((next, true));
        }
        if was == Stage::Sleeping {
            self.to_wake.push_back(index);
        }
        Some((next, false))
    }

    /// Takes out the next waiter to wake, and whether its sleep is gone with it.
    pub(crate) fn pop_wake(&mut self) -> Option<(W, bool)> {
        let index = self.to_wake.pop_front()?;
        let sleep = self.slots.at_mut(index)?;
        let waiter = sleep.waiter.take()?;
        let is_gone = sleep.stage == Stage::Gone;
        if is_gone {
            self.slots.take(index, 0);
        }
        Some((waiter, is_gone))
    }

    /// Whether [`pop_wake`](Self::pop_wake) has something.
    #[inline]
    pub(crate) const fn has_wake(&self) -> bool {
        !self.to_wake.is_empty()
    }

    /// The slot of the sleep that [`pop_wake`](Self::pop_wake) is about; [`NIL`] without any.
    #[inline]
    pub(crate) const fn first_wake(&self) -> u32 {
        self.to_wake.head()
    }

    pub(crate) const fn len(&self) -> u32 {
        self.slots.len()
    }

    pub(crate) const fn retired(&self) -> u32 {
        self.slots.retired()
    }

    /// How many sleeps there are, counted by walking all slots.
    pub(crate) fn audit(&self) -> u32 {
        let listed =
            self.slots.iter().filter(|(_, sleep)| sleep.stage != Stage::Sleeping && sleep.waiter.is_some());
        debug_assert_eq!(
            listed.count(),
            self.to_wake.iter().count(),
            "who is to be woken is listed, and nobody else"
        );
        self.slots.iter().fold(0, |count, _| count + 1)
    }
}
