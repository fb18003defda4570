//! Permits, and the line of waiters for one: first come, first served.

use core::fmt;
use core::num::NonZeroU32;

use crate::Account;
use crate::ids::PermitId;
use crate::list::{Links, List};
use crate::slots::Slots;

struct Permit<W> {
    stage: Stage,
    /// How many places the permit holds, or the waiter asks for.
    count: u32,
    waiter: Option<W>,
}

/// The stage of a request for a permit.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    InLine,
    /// It holds its places.
    Granted,
    /// It holds no places. Its waiter is woken, and learns of the denial by asking again.
    Denied,
}

/// The state of a waiter for room, from [`Processor::rewait`](crate::Processor::rewait).
#[derive(PartialEq, Eq)]
#[must_use = "the waiter that is not needed any more is handed back here"]
pub enum RoomStatus<W> {
    /// Room was granted: submit now. The given waiter is handed back.
    Granted(W),
    /// The wait goes on with the given waiter. The earlier one is handed back.
    Waiting(Option<W>),
    /// There was room when its turn came, but the limit `unclaimed` did not allow as many tasks for handles, and
    /// waiting does not help against that (see [`Refusal::Unclaimed`](crate::Refusal::Unclaimed)). It has left the
    /// line. The given waiter is handed back.
    Unclaimed(W),
    /// It is not in the line: it left, or the machine is draining. The given waiter is handed back.
    Gone(W),
}

impl<W> fmt::Debug for RoomStatus<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Granted(_) => "Granted",
            Self::Waiting(_) => "Waiting",
            Self::Unclaimed(_) => "Unclaimed",
            Self::Gone(_) => "Gone",
        })
    }
}

/// The line and the permits. Every call is O(1), except [`audit`](Self::audit).
pub(crate) struct Line<W> {
    slots: Slots<PermitId, Permit<W>>,
    links: Links,
    in_line: List,
    /// The granted and the denied ones.
    called: List,
    /// How many places the permits hold.
    held: u32,
    /// The account of those places.
    places: Account,
    /// The account of the slots.
    members: Account,
}

impl<W> Line<W> {
    /// A line of at most `capacity` members: waiters and permits. The account `members` counts them, the account
    /// `places` the places that permits hold.
    pub(crate) fn new(capacity: u32, members: Account, places: Account, origin: u64) -> Self {
        Self {
            slots: Slots::new(capacity).with_origin(origin),
            links: Links::new(capacity),
            in_line: List::new(),
            called: List::new(),
            held: 0,
            places,
            members,
        }
    }

    /// The bytes that [`new`](Self::new) asks of the allocator, exactly.
    pub(crate) const fn bytes(capacity: u32) -> usize {
        Slots::<PermitId, Permit<W>>::bytes(capacity).saturating_add(Links::bytes(capacity))
    }

    /// Grants a permit at once. `None` if no slot is free.
    pub(crate) fn reserve(&mut self, count: NonZeroU32) -> Option<PermitId> {
        let id = self.insert(Stage::Granted, count)?;
        let index = self.slots.index_of(id);
        self.called.push_back(&mut self.links, index);
        self.hold(count.get());
        Some(id)
    }

    /// Adds a waiter at the end of the line. Hands it back if no slot is free.
    pub(crate) fn join(&mut self, waiter: W, count: NonZeroU32) -> Result<PermitId, W> {
        let Some(id) = self.insert(Stage::InLine, count) else { return Err(waiter) };
        let index = self.slots.index_of(id);
        if let Some(permit) = self.slots.at_mut(index) {
            permit.waiter = Some(waiter);
        }
        self.in_line.push_back(&mut self.links, index);
        Ok(id)
    }

    fn insert(&mut self, stage: Stage, count: NonZeroU32) -> Option<PermitId> {
        let permit = Permit { stage, count: count.get(), waiter: None };
        let id = self.slots.insert(permit).ok()?;
        self.members.entered = self.members.entered.wrapping_add(1);
        self.members.note(self.slots.len());
        Some(id)
    }

    /// Counts granted places.
    fn hold(&mut self, count: u32) {
        self.held = self.held.wrapping_add(count);
        self.places.entered = self.places.entered.wrapping_add(u64::from(count));
        self.places.note(self.held);
    }

    /// How many places the first waiter in line asks for; 0 if the line is empty.
    pub(crate) fn wanted(&self) -> u32 {
        self.slots.at(self.in_line.head()).map_or(0, |permit| permit.count)
    }

    /// Grants the first in line its places, and returns the waiter to wake.
    pub(crate) fn grant(&mut self) -> Option<W> {
        self.hold(self.wanted());
        self.call_first(Stage::Granted)
    }

    /// Denies the first in line its places, and returns the waiter to wake.
    pub(crate) fn deny(&mut self) -> Option<W> {
        self.call_first(Stage::Denied)
    }

    fn call_first(&mut self, stage: Stage) -> Option<W> {
        let index = self.in_line.pop_front(&mut self.links)?;
        self.called.push_back(&mut self.links, index);
        let permit = self.slots.at_mut(index)?;
        permit.stage = stage;
        permit.waiter.take()
    }

    /// The state of a waiter. While it is in line, `waiter` replaces the earlier one. A denied one is removed.
    pub(crate) fn ask_again(&mut self, id: PermitId, waiter: W) -> RoomStatus<W> {
        match self.slots.get_mut(id) {
            None => RoomStatus::Gone(waiter),
            Some(Permit { stage: Stage::Granted, .. }) => RoomStatus::Granted(waiter),
            Some(Permit { stage: Stage::InLine, waiter: old, .. }) => {
                RoomStatus::Waiting(old.replace(waiter))
            }
            Some(Permit { stage: Stage::Denied, .. }) => {
                self.leave(id);
                RoomStatus::Unclaimed(waiter)
            }
        }
    }

    /// How many places this permit holds; 0 if there is no such permit.
    pub(crate) fn held_by(&self, id: PermitId) -> u32 {
        let permit = self.slots.get(id).filter(|permit| permit.stage == Stage::Granted);
        permit.map_or(0, |permit| permit.count)
    }

    /// Takes up to `count` places from a permit, and returns how many. A permit without places is removed.
    pub(crate) fn take(&mut self, id: PermitId, count: u32) -> u32 {
        let held = self.held_by(id);
        if held <= count {
            if held > 0 {
                self.leave(id);
            }
            return held;
        }
        if let Some(permit) = self.slots.get_mut(id) {
            permit.count = held.wrapping_sub(count);
            self.held = self.held.wrapping_sub(count);
        }
        count
    }

    /// Takes one place from a permit, which then has `rest` places. A permit without places is removed.
    #[inline]
    pub(crate) fn use_place(&mut self, id: PermitId, rest: u32) {
        let index = self.slots.index_of(id);
        match self.slots.at_mut(index) {
            Some(permit) if rest > 0 => {
                permit.count = rest;
                self.held = self.held.wrapping_sub(1);
            }
            _ => self.remove_permit(id),
        }
    }

    /// Removes a permit with all of its places.
    #[cold]
    fn remove_permit(&mut self, id: PermitId) {
        self.leave(id);
    }

    /// Removes a waiter or a permit with all of its places, and hands out its waiter if it was not woken.
    pub(crate) fn leave(&mut self, id: PermitId) -> Option<Option<W>> {
        let Permit { stage, count, .. } = *self.slots.get(id)?;
        let index = self.slots.index_of(id);
        match stage {
            Stage::InLine => self.in_line.remove(&mut self.links, index),
            Stage::Granted | Stage::Denied => self.called.remove(&mut self.links, index),
        }
        if stage == Stage::Granted {
            self.held = self.held.wrapping_sub(count);
        }
        self.slots.remove(id).map(|permit| permit.waiter)
    }

    /// Removes any one waiter or permit. Called until `None`, it empties the line.
    pub(crate) fn leave_any(&mut self) -> Option<Option<W>> {
        let lists = [&self.in_line, &self.called];
        let index = lists.into_iter().find_map(List::front)?;
        self.leave(self.slots.id_at(index)?)
    }

    /// Whether there is a waiter in line.
    #[inline]
    pub(crate) const fn is_waiting(&self) -> bool {
        !self.in_line.is_empty()
    }

    /// The slot of the first waiter in line; [`NIL`](crate::list::NIL) if there is none.
    #[inline]
    pub(crate) const fn first(&self) -> u32 {
        self.in_line.head()
    }

    /// How many places the permits hold.
    #[inline]
    pub(crate) const fn held(&self) -> u32 {
        self.held
    }

    /// How many waiters and permits there are.
    #[inline]
    pub(crate) const fn len(&self) -> u32 {
        self.slots.len()
    }

    pub(crate) const fn retired(&self) -> u32 {
        self.slots.retired()
    }

    /// The accounts of the members and of the places that permits hold.
    pub(crate) const fn accounts(&self) -> (Account, Account) {
        let members = self.members.with(self.members.entered, self.slots.len());
        (members, self.places.with(self.places.entered, self.held))
    }

    /// How many members there are, and how many places permits hold, counted by walking all slots. O(capacity).
    pub(crate) fn audit(&self) -> (u32, u32) {
        self.slots.iter().fold((0, 0), |(all, held), (_, permit)| {
            (all + 1, held + if permit.stage == Stage::Granted { permit.count } else { 0 })
        })
    }
}
