//! May a task be admitted? Counts the room, including the room that permits hold, and gives the reason for a refusal.

use super::gate::Gate;
use super::tally::Tally;
use crate::lifecycle::State;
use crate::line::Line;
use crate::{Account, Limits, Refusal, ReserveRefusal, Route, Terms};

/// Counts handles, waiters and permits; the [`Tally`] counts tasks. Whether the machine is open is checked by
/// its callers.
pub(super) struct Admission<W> {
    queue: u32,
    delayed: u32,
    submitted: u32,
    unclaimed: u32,
    attempts: u32,
    retains: bool,
    /// Tasks routed to a handle.
    handles: u32,
    /// Unsettled tasks that a source has delivered.
    delivered: u32,
    /// Task slots that are promised to deliveries, and are not taken.
    promised: u32,
    /// Permits, and the waiters for one.
    pub(super) line: Line<W>,
}

impl<W> Admission<W> {
    /// Nothing takes room yet. The account `waiters` counts permits, the account `permits` the places that they hold.
    pub(super) fn new(limits: &Limits, waiters: Account, permits: Account) -> Self {
        Self {
            queue: limits.queue,
            delayed: limits.delayed,
            submitted: limits.submitted(),
            unclaimed: limits.unclaimed_slots(),
            attempts: limits.attempts,
            retains: limits.results.entries > 0,
            handles: 0,
            delivered: 0,
            promised: limits.credit(),
            line: Line::new(limits.waiters, waiters, permits, limits.origin),
        }
    }

    /// How many tasks are routed to a handle.
    #[inline]
    pub(super) const fn handles(&self) -> u32 {
        self.handles
    }

    #[inline]
    pub(super) fn enter_handle(&mut self) {
        self.handles = self.handles.wrapping_add(1);
    }

    #[inline]
    pub(super) fn leave_handle(&mut self) {
        self.handles = self.handles.wrapping_sub(1);
    }

    /// A task that a source has delivered takes a slot.
    pub(super) fn enter_delivery(&mut self) {
        self.delivered = self.delivered.wrapping_add(1);
        self.promised = self.promised.saturating_sub(1);
    }

    /// A task that a source has delivered is settled.
    pub(super) fn settle_delivery(&mut self) {
        self.delivered = self.delivered.saturating_sub(1);
    }

    /// A task that a source has delivered has left its slot.
    pub(super) fn leave_delivery(&mut self) {
        self.promised = self.promised.wrapping_add(1);
    }

    /// Why a task with this route and these terms is refused even if there is room, while permits hold `held` places.
    #[inline]
    pub(super) fn refusal<C>(
        &self,
        route: &Route<C>,
        terms: &Terms,
        tally: &Tally,
        held: u32,
    ) -> Option<Refusal> {
        if terms.tries.total() > self.attempts {
            return Some(Refusal::Attempts);
        }
        match route {
            Route::Handle if self.unclaimed_room(held) == 0 => Some(Refusal::Unclaimed),
            Route::Retain if !self.retains => Some(Refusal::NotRetained),
            _ if terms.is_delayed() && !self.has_delayed_room(tally, held) => Some(Refusal::Delayed),
            _ => None,
        }
    }

    /// Why there is no room for one more task. A delayed task needs no room in the queue.
    #[inline]
    pub(super) fn room_refusal(
        &self,
        is_delayed: bool,
        tally: &Tally,
        gate: &Gate,
        free_slots: u32,
    ) -> Option<Refusal> {
        if !is_delayed && (self.line.is_waiting() || !self.has_queue_room(tally, gate)) {
            return Some(Refusal::Full);
        }
        (self.slot_room(free_slots) == 0).then_some(Refusal::Backlog)
    }

    /// Why room for `count` tasks cannot be set aside now.
    pub(super) fn reserve_refusal(
        &self,
        count: u32,
        tally: &Tally,
        gate: &Gate,
        free_slots: u32,
    ) -> Option<ReserveRefusal> {
        if self.line.is_waiting() || self.queue_room(tally, gate) < count {
            return Some(ReserveRefusal::Full);
        }
        if self.slot_room(free_slots) < count {
            return Some(ReserveRefusal::Backlog);
        }
        (self.unclaimed_room(self.line.held()) < count).then_some(ReserveRefusal::Unclaimed)
    }

    /// How many more tasks without a delay would be admitted now.
    #[inline]
    pub(super) fn free_room(&self, tally: &Tally, gate: &Gate, free_slots: u32) -> u32 {
        if self.line.is_waiting() {
            return 0;
        }
        self.queue_room(tally, gate).min(self.slot_room(free_slots))
    }

    /// Whether there is as much room as the first waiter in line asks for.
    #[inline]
    pub(super) fn can_call_first(&self, tally: &Tally, gate: &Gate, free_slots: u32) -> bool {
        let wanted = self.line.wanted();
        self.line.is_waiting()
            && self.queue_room(tally, gate) >= wanted
            && self.slot_room(free_slots) >= wanted
    }

    /// Calls the first waiter in line, and returns it. There must be room. The permit is granted, or denied if
    /// `unclaimed` has too little room, because waiting does not help against that.
    pub(super) fn call_first(&mut self) -> Option<W> {
        let is_denied = self.unclaimed_room(self.line.held()) < self.line.wanted();
        if is_denied { self.line.deny() } else { self.line.grant() }
    }

    /// How much of the queue's room is taken: by queued tasks, by places that permits hold, and by tasks that back off
    /// beyond what `delayed` allows.
    #[inline]
    pub(super) fn waiting_now(&self, tally: &Tally) -> u32 {
        // Each term is bounded by a limit, and the sum of the limits is far below 2^32.
        let surplus = tally.delayed().saturating_sub(self.delayed);
        tally.of(State::Queued).wrapping_add(surplus).wrapping_add(self.line.held())
    }

    /// How many more tasks the queue takes now. A task that can start at once needs no place in the queue.
    #[inline]
    fn queue_room(&self, tally: &Tally, gate: &Gate) -> u32 {
        self.queue.wrapping_add(gate.free(tally)).saturating_sub(self.waiting_now(tally))
    }

    /// Whether [`queue_room`](Self::queue_room) is not 0. Mostly there is room without asking the gate.
    #[inline]
    fn has_queue_room(&self, tally: &Tally, gate: &Gate) -> bool {
        self.waiting_now(tally) < self.queue || self.queue_room(tally, gate) > 0
    }

    /// Whether one more delayed task is admitted now, while permits hold `held` places. Tasks that fell due while the
    /// queue was full take room of delayed tasks, just as tasks that back off beyond `delayed` take room of the queue.
    /// So unsettled tasks, orphans and places of permits together never exceed [`Limits::unsettled`], and there is a
    /// slot for each. Those that a source has delivered have slots of their own.
    #[inline]
    fn has_delayed_room(&self, tally: &Tally, held: u32) -> bool {
        let all = tally.waiting().wrapping_add(tally.placed()).wrapping_add(held);
        tally.delayed() < self.delayed && all < self.submitted.wrapping_add(self.delivered)
    }

    /// Whether there would be room for one more task if one task fewer were queued.
    pub(super) fn has_room_after_one(&self, tally: &Tally, gate: &Gate, free_slots: u32) -> bool {
        let room = self.queue.wrapping_add(gate.free(tally));
        !self.line.is_waiting() && self.slot_room(free_slots) > 0 && self.waiting_now(tally) <= room
    }

    /// Whether a task slot is free that is not promised to a permit or a delivery.
    pub(super) fn has_slot(&self, free_slots: u32) -> bool {
        self.slot_room(free_slots) > 0
    }

    /// How many of the free task slots are not promised to permits or deliveries.
    #[inline]
    fn slot_room(&self, free_slots: u32) -> u32 {
        free_slots.saturating_sub(self.line.held().wrapping_add(self.promised))
    }

    /// How many more tasks may be routed to handles, while permits hold `held` places.
    #[inline]
    fn unclaimed_room(&self, held: u32) -> u32 {
        self.unclaimed.saturating_sub(self.handles.wrapping_add(held))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::{Instant, Ledger, Retry};
    use core::num::NonZeroU32;
    use core::time::Duration;

    struct Rig {
        admission: Admission<u32>,
        tally: Tally,
        gate: Gate,
    }

    /// More free slots than anything needs.
    const PLENTY: u32 = 100;

    impl Rig {
        fn new(change: impl FnOnce(&mut Limits)) -> Self {
            let mut limits = Limits::default();
            (limits.queue, limits.concurrency, limits.delayed, limits.unclaimed) = (3, 2, 1, Some(2));
            change(&mut limits);
            let Ledger { waiters, permits, .. } = Ledger::new(&limits);
            let admission = Admission::new(&limits, waiters, permits);
            Self { admission, tally: Tally::default(), gate: Gate::new(&limits, Instant::ZERO) }
        }

        fn room(&self) -> u32 {
            self.admission.free_room(&self.tally, &self.gate, PLENTY)
        }

        fn refusal(&self, route: &Route<()>, terms: &Terms) -> Option<Refusal> {
            self.admission.refusal(route, terms, &self.tally, self.admission.line.held())
        }

        fn room_refusal(&self, is_delayed: bool, free_slots: u32) -> Option<Refusal> {
            self.admission.room_refusal(is_delayed, &self.tally, &self.gate, free_slots)
        }
    }

    const ONE: NonZeroU32 = NonZeroU32::MIN;

    #[test]
    fn room_is_the_queue_and_the_free_places() {
        let mut rig = Rig::new(|_| ());
        assert_eq!(rig.room(), 5);
        rig.tally.enter(State::Running);
        rig.tally.enter(State::Queued);
        assert_eq!(rig.room(), 3);
        rig.gate.set_paused(true);
        assert_eq!((rig.room(), rig.room_refusal(false, PLENTY)), (2, None));
        rig.tally.enter(State::Queued);
        rig.tally.enter(State::Queued);
        assert_eq!((rig.room(), rig.room_refusal(false, PLENTY)), (0, Some(Refusal::Full)));
        assert_eq!(rig.room_refusal(true, PLENTY), None, "a delayed task needs no room in the queue");
    }

    #[test]
    fn tasks_that_back_off_beyond_delayed_take_room() {
        let mut rig = Rig::new(|_| ());
        rig.tally.enter(State::Delayed);
        assert_eq!(rig.room(), 5);
        rig.tally.enter(State::Backoff);
        assert_eq!(rig.room(), 4);
    }

    #[test]
    fn slots_are_promised_to_permits() {
        let mut rig = Rig::new(|_| ());
        rig.admission.line.reserve(ONE).unwrap();
        assert_eq!((rig.room(), rig.admission.handles()), (4, 0));
        assert_eq!(
            (rig.room_refusal(false, 2), rig.room_refusal(false, 1)),
            (None, Some(Refusal::Backlog)),
            "the last slot is promised"
        );
    }

    #[test]
    fn a_route_or_terms_can_be_refused_despite_room() {
        let mut rig = Rig::new(|limits| limits.attempts = 2);
        let (plain, greedy) = (Terms::new(), Terms::new().retry(Retry::times(2)));
        let later = plain.delay(Duration::from_millis(1));
        assert_eq!(rig.refusal(&Route::Nowhere, &greedy), Some(Refusal::Attempts));
        assert_eq!(rig.refusal(&Route::Retain, &plain), Some(Refusal::NotRetained));
        assert_eq!(rig.refusal(&Route::Nowhere, &later), None);
        rig.tally.enter(State::Backoff);
        assert_eq!(rig.refusal(&Route::Nowhere, &later), Some(Refusal::Delayed));
        rig.admission.enter_handle();
        assert_eq!(rig.refusal(&Route::Handle, &plain), None);
        rig.admission.line.reserve(ONE).unwrap();
        assert_eq!(rig.refusal(&Route::Handle, &plain), Some(Refusal::Unclaimed), "a permit holds one");
        rig.admission.leave_handle();
        assert_eq!(rig.refusal(&Route::Handle, &plain), None);
    }

    #[test]
    fn delayed_tasks_leave_the_others_their_slots() {
        let mut rig = Rig::new(|limits| (limits.queue, limits.concurrency, limits.delayed) = (1, 1, 2));
        let later = Terms::new().delay(Duration::from_millis(1));
        for state in [State::Queued, State::Queued, State::Running] {
            assert_eq!(rig.refusal(&Route::Nowhere, &later), None);
            rig.tally.enter(state);
        }
        assert_eq!(rig.refusal(&Route::Nowhere, &later), None);
        rig.tally.enter(State::Orphan);
        assert_eq!(rig.refusal(&Route::Nowhere, &later), Some(Refusal::Delayed));
    }

    #[test]
    fn a_waiter_comes_first_and_is_granted_or_denied() {
        let mut rig = Rig::new(|limits| limits.unclaimed = Some(1));
        rig.gate.set_paused(true);
        (0..3).for_each(|_| rig.tally.enter(State::Queued));
        rig.admission.line.join(7, ONE).unwrap();
        assert!(!rig.admission.can_call_first(&rig.tally, &rig.gate, PLENTY));
        rig.gate.set_paused(false);
        assert_eq!(
            (rig.room(), rig.room_refusal(false, PLENTY)),
            (0, Some(Refusal::Full)),
            "the waiter comes first"
        );
        assert!(!rig.admission.can_call_first(&rig.tally, &rig.gate, 0));
        assert!(rig.admission.can_call_first(&rig.tally, &rig.gate, PLENTY));
        assert_eq!((rig.admission.call_first(), rig.admission.line.held()), (Some(7), 1));
        rig.admission.line.join(8, ONE).unwrap();
        assert!(rig.admission.can_call_first(&rig.tally, &rig.gate, PLENTY));
        assert_eq!(
            (rig.admission.call_first(), rig.admission.line.held()),
            (Some(8), 1),
            "denied: there is no room for an outcome"
        );
    }

    #[test]
    fn a_reservation_is_refused_with_the_reason() {
        let mut rig = Rig::new(|_| ());
        let refusal =
            |rig: &Rig, count, slots| rig.admission.reserve_refusal(count, &rig.tally, &rig.gate, slots);
        assert_eq!(refusal(&rig, 2, PLENTY), None);
        assert_eq!(refusal(&rig, 6, PLENTY), Some(ReserveRefusal::Full));
        assert_eq!(refusal(&rig, 3, 2), Some(ReserveRefusal::Backlog));
        assert_eq!(refusal(&rig, 3, PLENTY), Some(ReserveRefusal::Unclaimed));
        rig.admission.line.join(7, ONE).unwrap();
        assert_eq!(refusal(&rig, 1, PLENTY), Some(ReserveRefusal::Full), "the waiter comes first");
    }
}
