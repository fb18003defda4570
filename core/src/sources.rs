//! The attached sources. The slot of a source owns its three registrations.

use crate::effect::{Detached, Fed, Guard};
use crate::ids::SourceId;
use crate::list::ListWithLinks;
use crate::slots::Slots;

struct Source<L> {
    guard: Guard<L>,
    fed: Fed,
}

/// The sources, oldest first. Every call is O(1), except [`audit`](Self::audit).
pub(crate) struct Sources<L> {
    slots: Slots<SourceId, Source<L>>,
    order: ListWithLinks,
}

impl<L> Sources<L> {
    pub(crate) fn new(capacity: u32, origin: u64) -> Self {
        Self { slots: Slots::new(capacity).with_origin(origin), order: ListWithLinks::new(capacity) }
    }

    /// The bytes that [`new`](Self::new) asks of the allocator, exactly.
    pub(crate) const fn bytes(capacity: u32) -> usize {
        Slots::<SourceId, Source<L>>::bytes(capacity).saturating_add(ListWithLinks::bytes(capacity))
    }

    /// Attaches a source. Hands the guard back if no slot is free.
    pub(crate) fn attach(&mut self, guard: Guard<L>) -> Result<SourceId, Guard<L>> {
        let source = Source { guard, fed: Fed::default() };
        let id = self.slots.insert(source).map_err(|source| source.guard)?;
        let index = self.slots.index_of(id);
        self.order.push_back(index);
        Ok(id)
    }

    pub(crate) fn detach(&mut self, id: SourceId) -> Option<Detached<L>> {
        self.slots.get(id)?;
        let index = self.slots.index_of(id);
        self.order.remove(index);
        self.slots.remove(id).map(|Source { guard, fed }| Detached { source: id, guard, fed })
    }

    /// Detaches the oldest source.
    pub(crate) fn detach_oldest(&mut self) -> Option<Detached<L>> {
        let id = self.order.front().and_then(|index| self.slots.id_at(index))?;
        self.detach(id)
    }

    pub(crate) fn fed(&self, id: SourceId) -> Option<Fed> {
        self.slots.get(id).map(|source| source.fed)
    }

    pub(crate) fn fed_mut(&mut self, id: SourceId) -> Option<&mut Fed> {
        self.slots.get_mut(id).map(|source| &mut source.fed)
    }

    pub(crate) fn len(&self) -> u32 {
        self.slots.len()
    }

    pub(crate) fn retired(&self) -> u32 {
        self.slots.retired()
    }

    /// How many sources there are, counted by walking all slots. O(capacity).
    pub(crate) fn audit(&self) -> u32 {
        self.slots.iter().fold(0, |count, _| count + 1)
    }
}
