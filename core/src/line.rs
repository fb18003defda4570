//! The line of those who wait for room, first come first served.

use crate::ids::WaiterId;
use crate::list::{Linked, Links, List};
use crate::slots::Slots;

struct Waiting<W> {
    stage: Stage,
    waiter: Option<W>,
    links: Links,
}

/// Where someone in the line stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    InLine,
    /// Was woken, and holds a permit.
    Granted,
}

impl<W> Linked for Waiting<W> {
    fn links(&mut self) -> &mut Links {
        &mut self.links
    }

    fn links_ref(&self) -> &Links {
        &self.links
    }
}

/// What someone in the line finds when asking again.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "the waiter that is not needed any more is handed back here"]
pub enum RoomStatus<W> {
    /// Room was granted: submit now. The waiter is handed back.
    Granted(W),
    /// It still waits, with the new waiter; the old one is handed back.
    Waiting(Option<W>),
    /// It is not in the line: it left, or the machine is draining. The waiter is handed back.
    Gone(W),
}

/// The line. Every call but the audit is O(1).
pub(crate) struct Line<W> {
    slots: Slots<WaiterId, Waiting<W>>,
    in_line: List,
    granted: List,
}

impl<W> Line<W> {
    pub(crate) fn new(capacity: u32, origin: u64) -> Self {
        Self {
            slots: Slots::new(capacity, 0).with_origin(origin),
            in_line: List::new(),
            granted: List::new(),
        }
    }

    /// The bytes that [`new`](Self::new) asks of the allocator.
    pub(crate) const fn bytes(capacity: u32) -> usize {
        Slots::<WaiterId, Waiting<W>>::bytes(capacity)
    }

    /// Joins at the end; when all places are taken the waiter is handed back.
    pub(crate) fn join(&mut self, waiter: W) -> Result<WaiterId, W> {
        let place = Waiting { stage: Stage::InLine, waiter: None, links: Links::default() };
        let Ok(id) = self.slots.insert(place) else { return Err(waiter) };
        if let Some(place) = self.slots.get_mut(id) {
            place.waiter = Some(waiter);
        }
        let index = self.slots.index_of(id);
        self.in_line.push_back(&mut self.slots, index);
        Ok(id)
    }

    /// Grants room to the first in line: the waiter to be woken.
    pub(crate) fn grant(&mut self) -> Option<W> {
        let index = self.in_line.pop_front(&mut self.slots)?;
        self.granted.push_back(&mut self.slots, index);
        let waiting = self.slots.at_mut(index)?;
        waiting.stage = Stage::Granted;
        waiting.waiter.take()
    }

    pub(crate) fn ask_again(&mut self, id: WaiterId, waiter: W) -> RoomStatus<W> {
        match self.slots.get_mut(id) {
            None => RoomStatus::Gone(waiter),
            Some(waiting) if waiting.stage == Stage::Granted => RoomStatus::Granted(waiter),
            Some(waiting) => RoomStatus::Waiting(waiting.waiter.replace(waiter)),
        }
    }

    /// Whether this one holds a permit.
    pub(crate) fn holds_permit(&self, id: WaiterId) -> bool {
        self.slots.get(id).is_some_and(|waiting| waiting.stage == Stage::Granted)
    }

    /// Takes one out, wherever it stands; its waiter too, if it was not woken.
    pub(crate) fn leave(&mut self, id: WaiterId) -> Option<Option<W>> {
        let stage = self.slots.get(id)?.stage;
        let index = self.slots.index_of(id);
        let list = match stage {
            Stage::InLine => &mut self.in_line,
            Stage::Granted => &mut self.granted,
        };
        list.remove(&mut self.slots, index);
        self.slots.remove(id).map(|waiting| waiting.waiter)
    }

    /// Takes any one out: called until `None`, it empties the line.
    pub(crate) fn leave_any(&mut self) -> Option<Option<W>> {
        let lists = [&self.in_line, &self.granted];
        let index = lists.into_iter().find_map(List::front)?;
        self.leave(self.slots.id_at(index)?)
    }

    /// Whether somebody waits.
    #[inline]
    pub(crate) const fn is_waiting(&self) -> bool {
        !self.in_line.is_empty()
    }

    /// The slot of the first of those who wait; [`NIL`](crate::list::NIL) without any.
    #[inline]
    pub(crate) const fn first(&self) -> u32 {
        self.in_line.head()
    }

    /// How many hold a permit.
    #[inline]
    pub(crate) const fn permits(&self) -> u32 {
        self.granted.len()
    }

    #[inline]
    pub(crate) fn len(&self) -> u32 {
        self.slots.len()
    }

    pub(crate) fn retired(&self) -> u32 {
        self.slots.retired()
    }

    /// How many there are, and how many of them hold a permit, counted by walking.
    pub(crate) fn audit(&self) -> (u32, u32) {
        self.slots.iter().fold((0, 0), |(all, permits), (_, waiting)| {
            (all + 1, permits + u32::from(waiting.stage != Stage::InLine))
        })
    }
}
