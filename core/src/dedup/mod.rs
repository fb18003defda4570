//! Keys that no two tasks have at the same time.
//!
//! A key has at most one task that waits and one whose attempt runs. If both are there, the one that waits is *behind* the
//! other: it is delayed until that one is over. A key whose task has completed is remembered for the window that this task
//! asked for. It is looked at when the key comes again, and forgotten when its place is needed, so it needs no timer.

mod unique;

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use slab::Slab;

use crate::index::Index;
use crate::list::{Links, List, NIL};
use crate::time::after;
use crate::{Account, Instant, Limits};

pub use unique::Unique;

/// A task with a key.
#[derive(Clone, Copy, Debug)]
struct Member {
    /// Its slot; [`NIL`] if there is no such task.
    slot: u32,
    /// When it is ready, whether or not it is behind another one.
    ready_at: Instant,
    /// When the first of the row of tasks came of which it is the last.
    first_at: Instant,
    /// In nanoseconds.
    window: u64,
}

impl Member {
    const NONE: Self = Self { slot: NIL, ready_at: Instant::ZERO, first_at: Instant::ZERO, window: 0 };

    const fn is_there(&self) -> bool {
        self.slot != NIL
    }
}

#[derive(Debug)]
struct Entry {
    key: u64,
    waiting: Member,
    /// The task whose attempt runs.
    running: Member,
    /// Without a task: until when the key is remembered.
    until: Instant,
}

impl Entry {
    const fn is_live(&self) -> bool {
        self.waiting.is_there() || self.running.is_there()
    }
}

/// What stands in the way of a task with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Nothing.
    Free,
    /// Another task, or the memory of one: it is refused.
    Taken,
    /// It takes the place of the task in this slot, which waits.
    Replaces(u32),
}

/// All keys. Every call is expected O(1), with the longest step of an [`Index`].
#[derive(Debug)]
pub(crate) struct Dedup {
    entries: Slab<Entry>,
    by_key: Index,
    /// The number of the entry of the task in each slot; [`NIL`] if it has no key.
    of: Vec<u32>,
    /// Keys without a task, the oldest first.
    remembered: List,
    links: Links,
    most_remembered: u32,
    account: Account,
}

/// How many keys there can be: of tasks, and remembered ones.
const fn most(limits: &Limits) -> Option<u32> {
    match limits.dedup {
        Some(remembered) => Some(limits.unsettled().saturating_add(remembered)),
        None => None,
    }
}

impl Dedup {
    /// No keys; `None` if the limits allow none. `account` counts keys with a task. Allocates [`Dedup::bytes`], O(task
    /// slots and remembered keys).
    pub(crate) fn new(limits: &Limits, account: Account) -> Option<Box<Self>> {
        let most = most(limits)?;
        Some(Box::new(Self {
            entries: Slab::with_capacity(most as usize),
            by_key: Index::new(most),
            of: vec![NIL; limits.task_slots() as usize],
            remembered: List::new(),
            links: Links::new(most),
            most_remembered: limits.dedup.unwrap_or(0),
            account,
        }))
    }

    /// The bytes that [`new`](Self::new) asks of the allocator.
    pub(crate) fn bytes(limits: &Limits) -> usize {
        let Some(most) = most(limits) else { return 0 };
        let entries = (most as usize).saturating_mul(size_of::<Result<Entry, usize>>());
        let of = (limits.task_slots() as usize).saturating_mul(size_of::<u32>());
        let parts = [entries, of, Index::bytes(most), Links::bytes(most)];
        parts.into_iter().fold(size_of::<Self>(), usize::saturating_add)
    }

    /// How many keys have a task.
    pub(crate) fn len(&self) -> u32 {
        self.account.live()
    }

    pub(crate) const fn account(&self) -> Account {
        self.account
    }

    /// The slot of the task with this key: the one that waits, or else the one that runs.
    pub(crate) fn task(&self, key: u64) -> Option<u32> {
        let entry = self.entries.get(self.find(key)? as usize)?;
        [entry.waiting, entry.running].into_iter().find(Member::is_there).map(|member| member.slot)
    }

    /// What stands in the way of a task with this key.
    pub(crate) fn standing(&self, unique: &Unique, now: Instant) -> Standing {
        let entry = self.find(unique.key).and_then(|number| self.entries.get(number as usize));
        match entry {
            Some(entry) if unique.replaces && entry.waiting.is_there() => {
                Standing::Replaces(entry.waiting.slot)
            }
            Some(entry) if !unique.replaces && (entry.is_live() || entry.until > now) => Standing::Taken,
            _ => Standing::Free,
        }
    }

    /// When the row of tasks began of which the last one waits with this key.
    pub(crate) fn first_at(&self, key: u64) -> Option<Instant> {
        let entry = self.entries.get(self.find(key)? as usize)?;
        entry.waiting.is_there().then_some(entry.waiting.first_at)
    }

    /// The task in slot `index` is admitted with this key, in a row that began at `first_at`, and would be ready at
    /// `ready_at`. No other task waits with the key. Returns when it is ready, and whether it is behind another one.
    pub(crate) fn admit(
        &mut self,
        index: u32,
        unique: &Unique,
        first_at: Instant,
        ready_at: Instant,
    ) -> (Instant, bool) {
        let number = self.find_or_create(unique.key);
        if let Some(of) = self.of.get_mut(index as usize) {
            *of = number;
        }
        let Some(entry) = self.entries.get_mut(number as usize) else { return (ready_at, false) };
        if !entry.is_live() {
            self.account.enter();
        }
        let ready_at = ready_at.min(after(first_at, unique.longest));
        let window = if unique.replaces { 0 } else { unique.window };
        entry.waiting = Member { slot: index, ready_at, first_at, window };
        (ready_at, entry.running.is_there())
    }

    /// An attempt at the task in slot `index` starts.
    pub(crate) fn start(&mut self, index: u32) {
        if let Some(entry) = self.entry_of(index) {
            entry.running = core::mem::replace(&mut entry.waiting, Member::NONE);
        }
    }

    /// The attempt at the task in slot `index` is over, and the task waits again.
    pub(crate) fn stop(&mut self, index: u32) {
        if let Some(entry) = self.entry_of(index) {
            entry.waiting = core::mem::replace(&mut entry.running, Member::NONE);
        }
    }

    /// Whether a later task waits behind the one in slot `index`, whose attempt runs.
    pub(crate) fn has_later(&self, index: u32) -> bool {
        self.entry(index).is_some_and(|entry| entry.running.slot == index && entry.waiting.is_there())
    }

    /// Whether the task in slot `index` waits behind one whose attempt runs.
    pub(crate) fn is_behind(&self, index: u32) -> bool {
        self.entry(index).is_some_and(|entry| entry.waiting.slot == index && entry.running.is_there())
    }

    /// The task in slot `index` is settled, and its attempt is over. `completed_at` is the instant, if it has completed and
    /// is to be remembered. Returns the slot of the task that was behind it, and when that is ready.
    pub(crate) fn end(&mut self, index: u32, completed_at: Option<Instant>) -> Option<(u32, Instant)> {
        let number = core::mem::replace(self.of.get_mut(index as usize)?, NIL);
        let entry = self.entries.get_mut(number as usize)?;
        if entry.waiting.slot == index {
            entry.waiting = Member::NONE;
        }
        let ended = if entry.running.slot == index {
            core::mem::replace(&mut entry.running, Member::NONE)
        } else {
            Member::NONE
        };
        if entry.is_live() {
            let is_next = ended.is_there() && entry.waiting.is_there();
            return is_next.then_some((entry.waiting.slot, entry.waiting.ready_at));
        }
        entry.until = completed_at.map_or(Instant::ZERO, |at| after(at, ended.window));
        let is_remembered = completed_at.is_some() && ended.window > 0;
        self.account.leave();
        self.remember_or_forget(number, is_remembered);
        None
    }

    /// Remembers a key without a task, in place of the oldest if there are too many; or forgets it.
    fn remember_or_forget(&mut self, number: u32, is_remembered: bool) {
        if !is_remembered || self.most_remembered == 0 {
            return self.forget(number);
        }
        if self.remembered.len() >= self.most_remembered {
            if let Some(oldest) = self.remembered.pop_front(&mut self.links) {
                self.forget(oldest);
            }
        }
        self.remembered.push_back(&mut self.links, number);
    }

    fn forget(&mut self, number: u32) {
        if let Some(entry) = self.entries.try_remove(number as usize) {
            self.by_key.unlink(number, entry.key);
        }
    }

    /// The entry of the task in slot `index`, if it has a key.
    fn entry(&self, index: u32) -> Option<&Entry> {
        self.entries.get(*self.of.get(index as usize)? as usize)
    }

    fn entry_of(&mut self, index: u32) -> Option<&mut Entry> {
        let number = *self.of.get(index as usize)?;
        self.entries.get_mut(number as usize)
    }

    fn find(&self, key: u64) -> Option<u32> {
        self.by_key
            .find(key, |number| self.entries.get(number as usize).is_some_and(|entry| entry.key == key))
    }

    /// The number of the entry of this key. If it was remembered, it is not any more.
    fn find_or_create(&mut self, key: u64) -> u32 {
        if let Some(number) = self.find(key) {
            self.remembered.remove(&mut self.links, number);
            return number;
        }
        debug_assert!(
            self.entries.len() < self.entries.capacity(),
            "there is a place for the key of every task"
        );
        let entry = Entry { key, waiting: Member::NONE, running: Member::NONE, until: Instant::ZERO };
        let number = u32::try_from(self.entries.insert(entry)).unwrap_or(NIL);
        let entries = &self.entries;
        self.by_key.link(number, |number| entries.get(number as usize).map_or(0, |entry| entry.key));
        number
    }

    /// How many keys have a task, counted by walking all of them, while there are tasks in these slots. O(keys and tasks).
    pub(crate) fn audit(&self, slots: impl Iterator<Item = u32>) -> u32 {
        let members = slots.filter(|index| self.of.get(*index as usize).is_some_and(|of| *of != NIL)).count();
        let entries = || self.entries.iter().map(|(_, entry)| entry);
        let of_entries = entries().flat_map(|entry| [entry.waiting, entry.running]).filter(Member::is_there);
        debug_assert_eq!(of_entries.count(), members, "each task with a key is the one of its key");
        let live = entries().filter(|entry| entry.is_live()).count();
        debug_assert_eq!(live + self.remembered.iter(&self.links).count(), self.entries.len());
        u32::try_from(live).unwrap_or(u32::MAX)
    }
}
