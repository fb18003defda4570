//! The attached emitters. The slot of an emitter owns its three registrations.

use crate::effect::{Detached, Fed, Guard};
use crate::ids::EmitterId;
use crate::list::ListWithLinks;
use crate::slots::Slots;

struct Emitter<L> {
    guard: Guard<L>,
    fed: Fed,
}

/// The emitters, oldest first. Every call is O(1), except [`audit`](Self::audit).
pub(crate) struct Emitters<L> {
    slots: Slots<EmitterId, Emitter<L>>,
    order: ListWithLinks,
}

impl<L> Emitters<L> {
    pub(crate) fn new(capacity: u32, origin: u64) -> Self {
        Self { slots: Slots::new(capacity).with_origin(origin), order: ListWithLinks::new(capacity) }
    }

    /// The bytes that [`new`](Self::new) asks of the allocator, exactly.
    pub(crate) const fn bytes(capacity: u32) -> usize {
        Slots::<EmitterId, Emitter<L>>::bytes(capacity).saturating_add(ListWithLinks::bytes(capacity))
    }

    /// Attaches an emitter. Hands the guard back if no slot is free.
    pub(crate) fn attach(&mut self, guard: Guard<L>) -> Result<EmitterId, Guard<L>> {
        let emitter = Emitter { guard, fed: Fed::default() };
        let id = self.slots.insert(emitter).map_err(|emitter| emitter.guard)?;
        let index = self.slots.index_of(id);
        self.order.push_back(index);
        Ok(id)
    }

    pub(crate) fn detach(&mut self, id: EmitterId) -> Option<Detached<L>> {
        self.slots.get(id)?;
        let index = self.slots.index_of(id);
        self.order.remove(index);
        self.slots.remove(id).map(|Emitter { guard, fed }| Detached { emitter: id, guard, fed })
    }

    /// Detaches the oldest emitter.
    pub(crate) fn detach_oldest(&mut self) -> Option<Detached<L>> {
        let id = self.order.front().and_then(|index| self.slots.id_at(index))?;
        self.detach(id)
    }

    pub(crate) fn fed(&self, id: EmitterId) -> Option<Fed> {
        self.slots.get(id).map(|emitter| emitter.fed)
    }

    pub(crate) fn fed_mut(&mut self, id: EmitterId) -> Option<&mut Fed> {
        self.slots.get_mut(id).map(|emitter| &mut emitter.fed)
    }

    pub(crate) fn len(&self) -> u32 {
        self.slots.len()
    }

    pub(crate) fn retired(&self) -> u32 {
        self.slots.retired()
    }

    /// How many emitters there are, counted by walking all slots. O(capacity).
    pub(crate) fn audit(&self) -> u32 {
        self.slots.iter().fold(0, |count, _| count + 1)
    }
}
