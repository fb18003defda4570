//! The sleeps of running attempts. A sleep is a wait that ends at an instant, or with its attempt.

use core::fmt;

use crate::Instant;
use crate::ids::SleepId;
use crate::list::{ListWithLinks, NIL};
use crate::slots::Slots;

struct Sleep<W> {
    until: Instant,
    waiter: Option<W>,
    stage: Stage,
    /// The slot of the attempt's task.
    task: u32,
    /// The slot of the attempt's next sleep; [`NIL`] if there is none.
    next: u32,
}

/// The stage of a sleep. In [`Stage::Over`] and [`Stage::Gone`] its waiter, if it still has one, is to be woken.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Its timer is armed.
    Sleeping,
    /// Its time has come.
    Over,
    /// Its attempt is over. The slot is kept only until the waiter is woken.
    Gone,
}

/// The state of a sleep, from [`Processor::resleep`](crate::Processor::resleep).
#[derive(PartialEq, Eq)]
#[must_use = "waiters that are not needed any more are handed back here"]
pub enum SleepStatus<W> {
    /// Its time has come, and the sleep has ended. The given waiter is handed back, and the earlier one if it was not
    /// woken yet.
    Over(W, Option<W>),
    /// The sleep goes on with the given waiter. The earlier one is handed back.
    Sleeping(Option<W>),
    /// There is no such sleep: its attempt is over, or it was ended. The given waiter is handed back.
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

/// A sleep that was removed. It has yet to leave the list of its attempt, and its timer has to be disarmed.
pub(crate) struct Ended<W> {
    /// The slot of the sleep.
    pub(crate) index: u32,
    /// The slot of the attempt's task.
    pub(crate) task: u32,
    /// The slot of the attempt's next sleep.
    pub(crate) next: u32,
    pub(crate) waiter: Option<W>,
}

/// All sleeps. Each attempt has a list of its own, oldest first; the task keeps the head of that list. A call is O(1)
/// unless its documentation says otherwise.
pub(crate) struct Sleeps<W> {
    slots: Slots<SleepId, Sleep<W>>,
    /// The sleeps whose waiters are to be woken.
    to_wake: ListWithLinks,
}

impl<W> Sleeps<W> {
    pub(crate) fn new(capacity: u32, origin: u64) -> Self {
        Self { slots: Slots::new(capacity).with_origin(origin), to_wake: ListWithLinks::new(capacity) }
    }

    /// The bytes that [`new`](Self::new) asks of the allocator, exactly.
    pub(crate) const fn bytes(capacity: u32) -> usize {
        Slots::<SleepId, Sleep<W>>::bytes(capacity).saturating_add(ListWithLinks::bytes(capacity))
    }

    /// Begins a sleep for the attempt of the task in slot `task`, whose first sleep is in slot `head`. Returns the id
    /// and the slot of the sleep. Hands the waiter back if the attempt already has `most` sleeps, or no slot is free.
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

    /// The time of the sleep in slot `index` has come: its waiter is to be woken. Returns the slot of the attempt's
    /// task.
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

    /// Replaces the waiter of a sleep, and hands back the earlier one.
    ///
    /// # Errors
    /// The given waiter, if there is no such sleep, or its time has come.
    pub(crate) fn wait_on(&mut self, id: SleepId, now: Instant, waiter: W) -> Result<Option<W>, W> {
        match self.slots.get_mut(id) {
            Some(sleep) if sleep.stage == Stage::Sleeping && sleep.until > now => {
                Ok(sleep.waiter.replace(waiter))
            }
            _ => Err(waiter),
        }
    }

    /// Removes a sleep, whether or not its time has come. It has yet to leave the list of its attempt.
    pub(crate) fn end(&mut self, id: SleepId) -> Option<Ended<W>> {
        if self.slots.get(id)?.stage == Stage::Gone {
            return None;
        }
        let index = self.slots.index_of(id);
        self.to_wake.remove(index);
        let Sleep { waiter, task, next, .. } = self.slots.take(index, 0)?;
        Some(Ended { index, task, next, waiter })
    }

    /// Removes a sleep that has ended, and was in slot `index`, from the list of its attempt. O(sleeps of the attempt).
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

    /// Ends the sleep in slot `index` because its attempt is over. Returns the slot of the attempt's next sleep, and
    /// whether this one is removed: a sleep with a waiter keeps its slot until the waiter is woken.
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

    /// Takes the next waiter to wake, and says whether its sleep is removed with it.
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

    /// Whether [`pop_wake`](Self::pop_wake) has a waiter.
    #[inline]
    pub(crate) const fn has_wake(&self) -> bool {
        !self.to_wake.is_empty()
    }

    /// The slot of the next sleep to wake; [`NIL`] if there is none.
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

    /// How many sleeps there are, counted by walking all slots. O(capacity).
    pub(crate) fn audit(&self) -> u32 {
        let listed =
            self.slots.iter().filter(|(_, sleep)| sleep.stage != Stage::Sleeping && sleep.waiter.is_some());
        debug_assert_eq!(
            listed.count(),
            self.to_wake.iter().count(),
            "exactly the sleeps with a waiter to wake are in the list"
        );
        self.slots.iter().fold(0, |count, _| count + 1)
    }
}
