//! Lanes: the tasks of one key share the concurrency with those of the others.
//!
//! A lane exists while it has a task, from the task's admission until its attempt is over, and while its rate or a hold
//! shuts it. Tasks without a key share the *common* lane, which always exists and has neither limit nor rate.
//!
//! **Which lane is next.** A free place goes to the lane that has the fewest concurrency places for its weight. So at any
//! moment places are shared by weight among the lanes that have something to start, to within one task, however long
//! their attempts run, and whatever nobody else can use goes to those that can. Counting *starts* instead, as deficit
//! round robin does (Shreedhar and Varghese, SIGCOMM 1995), would leave nearly all places to the lane with the longest
//! attempts. Places are counted in whole rounds, `running / weight`. Between lanes in the same round *stride scheduling*
//! decides (Waldspurger and Weihl, MIT/LCS/TM-528, 1995): a start moves the lane's *pass* on by a stride, which is the
//! smaller the larger its weight is, and the lowest pass is next. So the starts are shared by weight, too, if there are
//! fewer places than lanes. A lane that was away gets no credit for it: it goes on from the pass that was served last.
//! Of lanes with equal passes the one is next that was served longest ago.

mod entry;
mod lane;
mod turns;

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use slab::Slab;

use crate::index::Index;
use crate::list::{Links, NIL};
use crate::queue::{Arrivals, Classes, EVERY_CLASS};
use crate::{Account, Instant, Limits, Priority, Refusal};

use entry::Entry;
pub use lane::{Lane, LaneLimits, LaneView};
use turns::Turns;

/// The number of the lane of all tasks without a key.
const COMMON: u32 = 0;

/// In `of`: the task has a concurrency place. No number of a lane is so large.
const PLACED: u32 = 1 << 31;

/// The timer of a lane that is to be set, or cleared if there is no instant.
pub(crate) struct Timer {
    pub(crate) lane: u32,
    pub(crate) at: Option<Instant>,
}

/// All lanes. Calls are O(1), except that those that change what a lane can start are O(log lanes); a look-up by key is
/// expected O(1), with the longest step of an [`Index`].
#[derive(Debug)]
pub(crate) struct Lanes {
    lanes: Slab<Entry>,
    by_key: Index,
    /// How many lanes there may be, the common one included.
    most: u32,
    /// How many tasks of one lane may wait.
    most_queued: u32,
    /// The number of the lane of the task in each slot, with `PLACED` if the task has a place; [`NIL`] if it is in none.
    of: Vec<u32>,
    /// The links of the lanes' lists.
    links: Links,
    turns: Turns,
    /// The classes that are not paused. The lanes with numbers from `unreached` on may have those of before.
    open: u8,
    unreached: u32,
    /// One more than the highest number that a lane has had.
    used: u32,
    /// How many attempts could start now, as far as their lanes are concerned.
    startable: u32,
    /// The pass that was served last.
    pass: u128,
    /// How many attempts were started.
    served: u64,
    account: Account,
    is_ending: bool,
}

impl Lanes {
    /// No lanes but the common one; `None` if the limits allow no others. `account` counts lanes. Allocates
    /// [`Lanes::bytes`], O(lanes and task slots).
    pub(crate) fn new(limits: &Limits, account: Account, now: Instant) -> Option<Box<Self>> {
        let (most, slots) = (limits.lane_slots(), limits.task_slots());
        if most == 0 {
            return None;
        }
        let mut lanes = Slab::with_capacity(most as usize);
        lanes.insert(Entry::new(Lane::new(0), EVERY_CLASS, 0, now));
        Some(Box::new(Self {
            lanes,
            by_key: Index::new(most),
            most,
            most_queued: limits.lane_queue(),
            of: vec![NIL; slots as usize],
            links: Links::new(slots),
            turns: Turns::new(most),
            open: EVERY_CLASS,
            unreached: u32::MAX,
            used: 1,
            startable: 0,
            pass: 0,
            served: 0,
            account,
            is_ending: false,
        }))
    }

    /// The bytes that [`new`](Self::new) asks of the allocator.
    pub(crate) fn bytes(limits: &Limits) -> usize {
        let (most, slots) = (limits.lane_slots(), limits.task_slots());
        if most == 0 {
            return 0;
        }
        // An entry of a `Slab` is the value, or the index of the next vacant entry.
        let lanes = (most as usize).saturating_mul(size_of::<Result<Entry, usize>>());
        let of = (slots as usize).saturating_mul(size_of::<u32>());
        let parts = [lanes, of, Index::bytes(most), Links::bytes(slots), Turns::bytes(most)];
        parts.into_iter().fold(size_of::<Self>(), usize::saturating_add)
    }

    /// How many lanes there are, without the common one.
    pub(crate) fn len(&self) -> u32 {
        self.account.live()
    }

    pub(crate) const fn account(&self) -> Account {
        self.account
    }

    /// How many attempts could start now, as far as their lanes are concerned. A lane with a rate counts as if the rate
    /// allowed all of its tasks, or none.
    #[inline]
    pub(crate) const fn startable(&self) -> u32 {
        self.startable
    }

    /// Why a task of this lane is refused, while the machine has `free` places.
    pub(crate) fn refusal(&self, lane: &Lane, is_delayed: bool, free: u32) -> Option<Refusal> {
        let Some(entry) = self.find(lane.key).and_then(|number| self.lanes.get(number as usize)) else {
            return (self.lanes.len() >= self.most as usize).then_some(Refusal::Lanes);
        };
        (!is_delayed && entry.queued >= self.room_of(entry, lane, free)).then_some(Refusal::LaneFull)
    }

    /// Whether the lane would have room for one more task if one task fewer were queued in it.
    pub(crate) fn has_room_after_one(&self, lane: &Lane, free: u32) -> bool {
        let entry = self.find(lane.key).and_then(|number| self.lanes.get(number as usize));
        entry.is_some_and(|entry| entry.queued <= self.room_of(entry, lane, free))
    }

    /// How many tasks may wait in a lane that is treated like this, while the machine has `free` places.
    fn room_of(&self, entry: &Entry, lane: &Lane, free: u32) -> u32 {
        self.most_queued.saturating_add(entry.free(lane.concurrency.get()).min(free))
    }

    /// The task in slot `index` is admitted to this lane, or to the common one. The lane is treated as this says from
    /// now on. Returns the lane's timer if that changes it.
    pub(crate) fn admit(&mut self, index: u32, lane: Option<&Lane>, now: Instant) -> Option<Timer> {
        let number = match lane {
            Some(lane) => self.find_or_create(lane, now),
            None => Some(COMMON),
        };
        let (Some(number), Some(of)) = (number, self.of.get_mut(index as usize)) else {
            debug_assert!(false, "a task is admitted only if there can be a lane for it");
            return None;
        };
        *of = number;
        self.change(number, |entry| entry.tasks = entry.tasks.wrapping_add(1));
        let entry = self.lanes.get_mut(number as usize)?;
        match lane {
            Some(lane) if entry.lane != *lane => {
                entry.lane = *lane;
                self.shut_or_open(number, now)
            }
            _ => None,
        }
    }

    /// The task in slot `index` enters the queue of its lane.
    pub(crate) fn push(&mut self, index: u32, priority: Priority) {
        let number = self.number_of(index);
        let Some(entry) = self.lanes.get_mut(number as usize) else { return };
        entry.waiting.push(&mut self.links, index, priority);
        self.change(number, |entry| entry.queued = entry.queued.wrapping_add(1));
    }

    /// The task in slot `index` leaves the queue of its lane without a start.
    pub(crate) fn remove(&mut self, index: u32, priority: Priority) {
        let number = self.number_of(index);
        let Some(entry) = self.lanes.get_mut(number as usize) else { return };
        entry.waiting.remove(&mut self.links, index, priority);
        self.change(number, |entry| entry.queued = entry.queued.saturating_sub(1));
    }

    /// The slot of the task to start next; [`NIL`] if no lane has one that it may start.
    pub(crate) fn next(&self, arrivals: &Arrivals) -> u32 {
        let entry = self.turns.first().and_then(|number| self.lanes.get(number as usize));
        entry.map_or(NIL, |entry| entry.waiting.next(entry.open, arrivals))
    }

    /// The task in slot `index`, which [`next`](Self::next) named, is started: it takes a place of its lane. Returns the
    /// lane's timer if this start shuts it.
    pub(crate) fn start(&mut self, index: u32, priority: Priority, now: Instant) -> Option<Timer> {
        let number = self.number_of(index);
        let entry = self.lanes.get_mut(number as usize)?;
        entry.waiting.start(&mut self.links, priority);
        self.served = self.served.wrapping_add(1);
        self.pass = entry.serve(self.pass, self.served, now);
        if let Some(of) = self.of.get_mut(index as usize) {
            *of |= PLACED;
        }
        self.change(number, |entry| {
            entry.queued = entry.queued.saturating_sub(1);
            entry.running = entry.running.wrapping_add(1);
        });
        self.shut_or_open(number, now)
    }

    /// The attempt at the task in slot `index` is over: its place is free.
    pub(crate) fn stop(&mut self, index: u32) {
        let number = self.number_of(index);
        let Some(of) = self.of.get_mut(index as usize) else { return };
        if *of != NIL && *of & PLACED != 0 {
            *of = number;
            self.change(number, |entry| entry.running = entry.running.saturating_sub(1));
        }
    }

    /// The task in slot `index` is settled, and its attempt is over. Returns its lane's timer, to be cleared, if the
    /// lane goes and had one.
    pub(crate) fn leave(&mut self, index: u32) -> Option<Timer> {
        self.stop(index);
        let number = core::mem::replace(self.of.get_mut(index as usize)?, NIL);
        self.change(number, |entry| entry.tasks = entry.tasks.saturating_sub(1));
        self.remove_if_unused(number)
    }

    /// Shuts the lane with this key until an instant, or opens it if that is not in the future. Returns its timer, or
    /// `None` if there are too many lanes.
    pub(crate) fn hold(&mut self, key: u64, until: Instant, now: Instant) -> Option<Timer> {
        let number = self.find_or_create(&Lane::new(key), now)?;
        self.lanes.get_mut(number as usize)?.shutter.hold_until(until);
        let timer = self.shut_or_open(number, now);
        self.remove_if_unused(number);
        timer.or(Some(Timer { lane: number, at: None }))
    }

    /// The timer of a lane has fired. The lane goes if nothing of its own is there. Returns its timer if the lane stays
    /// shut, because its terms have changed.
    pub(crate) fn fire(&mut self, number: u32, now: Instant) -> Option<Timer> {
        let timer = self.shut_or_open(number, now).filter(|timer| timer.at.is_some());
        self.remove_if_unused(number);
        timer
    }

    /// Shuts or opens a lane as its rate and its hold say. Returns its timer, to be set if the lane is shut, or cleared
    /// if it was.
    fn shut_or_open(&mut self, number: u32, now: Instant) -> Option<Timer> {
        let entry = self.lanes.get(number as usize)?;
        let (was_shut, opens_at) = (entry.is_shut, entry.opens_at());
        let is_shut = opens_at > now;
        self.change(number, |entry| entry.is_shut = is_shut);
        let timer = Timer { lane: number, at: is_shut.then_some(opens_at) };
        (is_shut || was_shut).then_some(timer)
    }

    /// Pauses all classes but these in up to `budget` lanes. Returns whether that was done in all of them; if not, the next
    /// call goes on. O(budget × log lanes).
    pub(crate) fn set_open(&mut self, open: u8, budget: u32) -> bool {
        if self.open != open {
            (self.open, self.unreached) = (open, 0);
        }
        let end = self.unreached.saturating_add(budget).min(self.used);
        for number in self.unreached..end {
            self.change(number, |entry| entry.open = open);
        }
        let is_done = end == self.used;
        self.unreached = if is_done { u32::MAX } else { end };
        is_done
    }

    /// Ends the lane with this number if it has no task. From the first call on, a lane goes with its last task. The
    /// host of this part calls it with all numbers below [`capacity`](Self::capacity).
    pub(crate) fn end(&mut self, number: u32) -> Option<Timer> {
        self.is_ending = true;
        self.remove_if_unused(number)
    }

    /// One more than the highest number of a lane.
    pub(crate) const fn capacity(&self) -> u32 {
        self.most
    }

    /// The queued tasks of the lane with this key.
    pub(crate) fn waiting(&self, key: u64) -> Option<&Classes> {
        self.lanes.get(self.find(key)? as usize).map(|entry| &entry.waiting)
    }

    /// What is in the lane with this key.
    pub(crate) fn view(&self, key: u64) -> Option<LaneView> {
        let entry = self.lanes.get(self.find(key)? as usize)?;
        Some(LaneView {
            lane: entry.lane,
            queued: entry.queued,
            running: entry.running,
            tasks: entry.tasks,
            shut_until: entry.is_shut.then(|| entry.opens_at()),
        })
    }

    /// The key of the lane of the task in slot `index`.
    pub(crate) fn key_of(&self, index: u32) -> Option<u64> {
        let number = self.number_of(index);
        self.lanes.get(number as usize).filter(|_| number != COMMON).map(|entry| entry.lane.key)
    }

    /// Changes a lane, and with it what it can start and its turn.
    fn change(&mut self, number: u32, change: impl FnOnce(&mut Entry)) {
        let Some(entry) = self.lanes.get_mut(number as usize) else { return };
        change(entry);
        let startable = entry.count_startable();
        self.startable = self.startable.wrapping_sub(entry.startable).wrapping_add(startable);
        entry.startable = startable;
        if startable > 0 {
            let turn = entry.turn(number);
            self.turns.set(turn);
        } else {
            self.turns.remove(number);
        }
    }

    /// The number of the lane of the task in slot `index`; one that no lane has if it is in none.
    fn number_of(&self, index: u32) -> u32 {
        self.of.get(index as usize).map_or(NIL, |of| of & !PLACED)
    }

    fn find(&self, key: u64) -> Option<u32> {
        let has_key =
            |number: u32| self.lanes.get(number as usize).is_some_and(|entry| entry.lane.key == key);
        self.by_key.find(key, has_key)
    }

    /// The number of the lane with this key, which is made if it does not exist. `None` if there are too many.
    fn find_or_create(&mut self, lane: &Lane, now: Instant) -> Option<u32> {
        if let Some(number) = self.find(lane.key) {
            return Some(number);
        }
        if self.lanes.len() >= self.most as usize {
            return None;
        }
        let entry = Entry::new(*lane, self.open, self.pass, now);
        let number = u32::try_from(self.lanes.insert(entry)).ok()?;
        self.used = self.used.max(number.saturating_add(1));
        let lanes = &self.lanes;
        self.by_key.link(number, |number| lanes.get(number as usize).map_or(0, |entry| entry.lane.key));
        self.account.enter();
        Some(number)
    }

    /// Removes a lane that has no task and that nothing shuts, or that has no task while the machine is ending. Returns
    /// its timer, to be cleared, if it had one.
    fn remove_if_unused(&mut self, number: u32) -> Option<Timer> {
        let entry = self.lanes.get(number as usize).filter(|_| number != COMMON)?;
        let is_shut = entry.is_shut;
        if entry.tasks > 0 || (is_shut && !self.is_ending) {
            return None;
        }
        self.by_key.unlink(number, entry.lane.key);
        self.lanes.try_remove(number as usize);
        self.account.leave();
        is_shut.then_some(Timer { lane: number, at: None })
    }

    /// How many lanes there are, counted by walking all of them, while there are tasks in these slots. O(lanes and
    /// tasks).
    pub(crate) fn audit(&self, slots: impl Iterator<Item = u32>) -> u32 {
        let members = slots.filter(|index| self.of.get(*index as usize).is_some_and(|of| *of != NIL)).count();
        let entries = || self.lanes.iter().map(|(_, entry)| entry);
        let sum = |count: fn(&Entry) -> u32| entries().map(count).sum::<u32>();
        debug_assert_eq!(sum(|entry| entry.tasks) as usize, members, "each task in a lane is counted there");
        debug_assert_eq!(sum(|entry| entry.startable), self.startable, "what can be started is counted");
        let with_turn = entries().filter(|entry| entry.startable > 0).count();
        debug_assert_eq!(
            self.turns.audit(),
            (with_turn, true),
            "the lanes with something to start have turns"
        );
        let of_keys = || entries().skip(1);
        debug_assert!(of_keys().all(|entry| entry.tasks > 0 || entry.is_shut), "an unused lane goes");
        of_keys().fold(0, |count, _| count + 1)
    }
}
