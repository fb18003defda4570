//! Sources, and what they have delivered: how much may be pulled, what is held, and which verdicts the engine has yet to
//! hear. The machine has no receipts: the host keeps those, by the ids of the deliveries.
//!
//! A delivery takes a place of its source's credit from the pull on. Its place is free again when its verdict is
//! confirmed and its task has left its slot, whichever comes last:
//!
//! ```text
//!  pull ─► Held ─── its task settles ─► Owed ─── the host takes the verdict ─► Leaving ─── confirmed ─► (free)
//!                                        ▲                                        │
//!                                        └────────────── not confirmed ───────────┘
//! ```

mod life;
mod source;
mod terms;

use core::num::NonZeroU32;
use core::time::Duration;

use fastrand::Rng;

use crate::ids::{DeliveryId, SourceId};
use crate::list::{Links, ListWithLinks};
use crate::slots::Slots;
use crate::{Account, Instant, Limits};

pub use source::SourceView;
use source::{Pull, Source};
pub use terms::{Arrival, Death, Delivery, Operation, SourceLimits, SourceTerms, Verdict};

struct Entry {
    /// The slot of its source.
    source: u32,
    stage: Stage,
    /// The slot of its task, as long as that has one.
    task: Option<u32>,
    /// The round of renewals in which it was looked at last, or in which it came.
    round: u32,
    /// Held: the verdict of an attempt that is to be followed by another delivery. Later: the verdict.
    verdict: Option<Verdict>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Its task is not settled.
    Held,
    /// Its verdict waits for the host.
    Owed,
    /// The host has the verdict.
    Leaving,
    /// The engine has confirmed the verdict, or nobody will ask for it. Its task has yet to leave its slot.
    Confirmed,
}

/// All sources and deliveries. Calls are O(1), unless they say otherwise.
pub(crate) struct Sources<W> {
    sources: Slots<SourceId, Source<W>>,
    deliveries: Slots<DeliveryId, Entry>,
    /// Each delivery that is not confirmed is in one list of its source.
    links: Links,
    /// Sources whose waiter is to be woken.
    to_wake: ListWithLinks,
    /// The credit that no source has.
    free_credit: u32,
    /// Deliveries whose verdict is not confirmed.
    unconfirmed: u32,
    /// Pulls under way, and the places that they have for deliveries that are still to come.
    pulls: u32,
    pulling: u32,
    /// The accounts of sources and of deliveries.
    accounts: (Account, Account),
}

impl<W> Sources<W> {
    /// No sources. The accounts count sources and deliveries.
    pub(crate) fn new(limits: &Limits, accounts: (Account, Account)) -> Self {
        let (sources, credit) = (limits.sources.sources, limits.credit());
        Self {
            sources: Slots::new(sources).with_origin(limits.origin),
            deliveries: Slots::new(credit).with_origin(limits.origin),
            links: Links::new(credit),
            to_wake: ListWithLinks::new(sources),
            free_credit: credit,
            unconfirmed: 0,
            pulls: 0,
            pulling: 0,
            accounts,
        }
    }

    /// The bytes that [`new`](Self::new) asks of the allocator, exactly.
    pub(crate) const fn bytes(limits: &Limits) -> usize {
        let (sources, credit) = (limits.sources.sources, limits.credit());
        Slots::<SourceId, Source<W>>::bytes(sources)
            .saturating_add(Slots::<DeliveryId, Entry>::bytes(credit))
            .saturating_add(Links::bytes(credit))
            .saturating_add(ListWithLinks::bytes(sources))
    }

    /// Opens a source. `None` if no slot is free; an error if there is less credit than it asks for.
    pub(crate) fn open(&mut self, terms: &SourceTerms) -> Result<Option<SourceId>, ()> {
        let left = self.free_credit.checked_sub(terms.credit).ok_or(())?;
        let Ok(id) = self.sources.insert(Source::new(*terms)) else { return Ok(None) };
        self.free_credit = left;
        self.accounts.0.enter();
        Ok(Some(id))
    }

    /// The source with this id, unless it is closed.
    fn get(&self, id: SourceId) -> Option<&Source<W>> {
        self.sources.get(id).filter(|source| !source.is_closed)
    }

    fn get_mut(&mut self, id: SourceId) -> Option<&mut Source<W>> {
        self.sources.get_mut(id).filter(|source| !source.is_closed)
    }

    pub(crate) fn terms(&self, id: SourceId) -> Option<SourceTerms> {
        self.get(id).map(|source| source.terms)
    }

    pub(crate) fn view(&self, id: SourceId) -> Option<SourceView> {
        self.get(id).map(Source::view)
    }

    pub(crate) fn index_of(&self, id: SourceId) -> u32 {
        self.sources.index_of(id)
    }

    /// Begins a pull, with room for as many deliveries as are returned.
    pub(crate) fn begin_pull(&mut self, id: SourceId) -> Option<NonZeroU32> {
        let source = self.get_mut(id)?;
        let room = source.room_to_pull()?;
        source.pull = Some(Pull { room: room.get(), delivered: 0, redelivered: 0 });
        self.pulling = self.pulling.saturating_add(room.get());
        self.pulls = self.pulls.saturating_add(1);
        Some(room)
    }

    /// Lets no further pull begin. Whether there is such a source, and that is new.
    pub(crate) fn finish_pulling(&mut self, id: SourceId) -> bool {
        let index = self.sources.index_of(id);
        let Some(source) = self.get_mut(id).filter(|source| !source.is_finished) else { return false };
        source.is_finished = true;
        self.wake(index);
        true
    }

    /// Whether nothing is to be done for a source any more, if `opens` says whether pulls may begin at all.
    pub(crate) fn is_over(&self, id: SourceId, opens: bool) -> bool {
        self.get(id).is_none_or(|source| (source.is_finished || !opens) && source.is_over())
    }

    /// Ends a pull. Returns how much it has delivered, and how much of that not for the first time.
    pub(crate) fn end_pull(&mut self, id: SourceId) -> Option<(u32, u32)> {
        let index = self.sources.index_of(id);
        let Pull { room, delivered, redelivered } = self.get_mut(id)?.pull.take()?;
        self.pulling = self.pulling.saturating_sub(room);
        self.pulls = self.pulls.saturating_sub(1);
        self.wake(index);
        Some((delivered, redelivered))
    }

    /// The next delivery to be renewed in this round.
    pub(crate) fn next_renewal(&mut self, id: SourceId) -> Option<DeliveryId> {
        let source = self.sources.get_mut(id).filter(|source| !source.is_closed && source.is_renewing)?;
        let next = source.held.front().and_then(|index| self.deliveries.entry(index));
        match next.filter(|(_, entry)| entry.round != source.round) {
            Some((delivery, entry)) => {
                entry.round = source.round;
                source.held.move_to_back(&mut self.links, self.deliveries.index_of(delivery));
                Some(delivery)
            }
            None => {
                source.is_renewing = false;
                None
            }
        }
    }

    /// The engine of a source has failed. Returns for how long it is left alone.
    pub(crate) fn fail(&mut self, id: SourceId, now: Instant, rng: &mut Rng) -> Option<Duration> {
        self.get_mut(id).map(|source| source.fail(now, rng))
    }

    /// Notes that the engine of a source has done what it was asked for.
    pub(crate) fn worked(&mut self, id: SourceId) {
        if let Some(source) = self.get_mut(id) {
            source.failures = 0;
        }
    }

    /// When the source in slot `index` is to be looked at.
    pub(crate) fn look_at(&self, index: u32) -> Option<Instant> {
        self.sources.at(index).filter(|source| !source.is_closed)?.look_at()
    }

    /// The timer of the source in slot `index` has fired.
    pub(crate) fn look(&mut self, index: u32, now: Instant) {
        if let Some(source) = self.sources.at_mut(index) {
            source.look(now);
        }
        self.wake(index);
    }

    /// Keeps `waiter` until there is something to do for a source, and hands back the waiter that it replaces.
    pub(crate) fn wait(&mut self, id: SourceId, waiter: W, opens: bool) -> Result<Option<W>, W> {
        match self.get_mut(id) {
            Some(source) if !source.has_work(opens) => Ok(source.waiter.replace(waiter)),
            _ => Err(waiter),
        }
    }

    /// The waiter of the source in slot `index`, if there is one, is to be woken.
    fn wake(&mut self, index: u32) {
        if let Some(source) = self.sources.at_mut(index).filter(|source| source.waiter.is_some()) {
            if !source.wakes {
                source.wakes = true;
                self.to_wake.push_back(index);
            }
        }
    }

    /// Wakes all waiters, because nothing is to be pulled any more. O(sources).
    pub(crate) fn wake_all(&mut self) {
        (0..self.sources.capacity()).for_each(|index| self.wake(index));
    }

    /// Takes the waiter of the source in slot `index`, if it has one.
    fn take_waiter(&mut self, index: u32) -> Option<W> {
        self.to_wake.remove(index);
        let source = self.sources.at_mut(index)?;
        source.wakes = false;
        source.waiter.take()
    }

    /// Takes the waiter of the next source to wake.
    pub(crate) fn pop_wake(&mut self) -> Option<W> {
        let index = self.to_wake.front()?;
        self.take_waiter(index)
    }

    /// The slot of the next source to wake; [`NIL`](crate::list::NIL) if there is none.
    #[inline]
    pub(crate) const fn first_wake(&self) -> u32 {
        self.to_wake.head()
    }

    /// Closes a source: its pull is over, and its waiter is handed out. `None` if there is no such source, or it is closed.
    pub(crate) fn close(&mut self, id: SourceId) -> Option<Option<W>> {
        let index = self.sources.index_of(id);
        self.end_pull(id);
        self.get_mut(id)?.is_closed = true;
        let waiter = self.take_waiter(index);
        self.free_if_closed(index);
        Some(waiter)
    }

    /// Gives up the next verdict of a closed source. Returns whether there was one.
    pub(crate) fn give_up(&mut self, id: SourceId) -> bool {
        let Some(source) = self.sources.get_mut(id).filter(|source| source.is_closed) else { return false };
        let owed = source.owed.pop_front(&mut self.links);
        let next = owed.or_else(|| source.leaving.pop_front(&mut self.links));
        next.inspect(|index| self.finish(*index)).is_some()
    }

    /// Gives up the delivery in slot `index`, because the machine ends. Returns whether its verdict was not confirmed.
    pub(crate) fn end_delivery(&mut self, index: u32) -> bool {
        let Some(entry) = self.deliveries.at(index) else { return false };
        let Some(source) = self.sources.at_mut(entry.source) else { return false };
        match entry.stage {
            Stage::Held => source.held.remove(&mut self.links, index),
            Stage::Owed => source.owed.remove(&mut self.links, index),
            Stage::Leaving => source.leaving.remove(&mut self.links, index),
            Stage::Confirmed => return false,
        }
        self.finish(index);
        true
    }

    /// Removes a source, because the machine ends. It has no deliveries any more. Returns its waiter, if it has one; `None`
    /// if there is no source. O(sources).
    pub(crate) fn end_any(&mut self) -> Option<(SourceId, Option<W>)> {
        let (index, _) = self.sources.iter().next()?;
        let id = self.sources.id_at(index)?;
        self.end_pull(id);
        let waiter = self.take_waiter(index);
        self.remove(index);
        Some((id, waiter))
    }

    /// Removes the source in slot `index`.
    fn remove(&mut self, index: u32) {
        let Some(source) = self.sources.take(index, 0) else { return };
        self.free_credit = self.free_credit.saturating_add(source.terms.credit);
        self.accounts.0.leave();
    }

    /// The accounts of sources and of deliveries.
    pub(crate) const fn accounts(&self) -> (Account, Account) {
        self.accounts
    }

    /// Whether nothing is pulled and all verdicts are confirmed.
    pub(crate) const fn is_settled(&self) -> bool {
        self.unconfirmed == 0 && self.pulls == 0
    }

    pub(crate) const fn len(&self) -> u32 {
        self.sources.len()
    }

    /// How many deliveries take a place of the credit.
    pub(crate) const fn deliveries(&self) -> u32 {
        self.deliveries.len()
    }

    /// How many slots there are for deliveries.
    pub(crate) const fn capacity(&self) -> u32 {
        self.deliveries.capacity()
    }

    /// How many verdicts are not confirmed.
    pub(crate) const fn unconfirmed(&self) -> u32 {
        self.unconfirmed
    }

    /// How many places pulls under way have, for deliveries that are still to come.
    pub(crate) const fn pulling(&self) -> u32 {
        self.pulling
    }

    /// How many engines are left alone for a time, after an error. O(sources).
    pub(crate) fn down(&self) -> u32 {
        self.sources.iter().fold(0, |count, (_, source)| count + u32::from(source.is_down()))
    }

    pub(crate) const fn retired(&self) -> u32 {
        self.sources.retired().saturating_add(self.deliveries.retired())
    }

    /// How many sources and deliveries there are, and how many places pulls have, counted by walking all slots.
    /// O(capacity).
    pub(crate) fn audit(&self) -> (u32, u32, u32) {
        let (mut sources, mut pulling) = (0, 0);
        for (index, source) in self.sources.iter() {
            sources += 1;
            pulling += source.pull.map_or(0, |pull| pull.room);
            for (stage, list) in
                [(Stage::Held, &source.held), (Stage::Owed, &source.owed), (Stage::Leaving, &source.leaving)]
            {
                let is_here = |at| {
                    self.deliveries.at(at).is_some_and(|entry| entry.source == index && entry.stage == stage)
                };
                debug_assert!(list.iter(&self.links).all(is_here), "a delivery is in the list of its stage");
            }
        }
        let unconfirmed = self.deliveries.iter().filter(|(_, entry)| entry.stage != Stage::Confirmed).count();
        debug_assert_eq!(
            unconfirmed, self.unconfirmed as usize,
            "verdicts that are not confirmed are counted"
        );
        (sources, self.deliveries.iter().fold(0, |count, _| count + 1), pulling)
    }
}
