//! Tasks that leave the queue before their turn: to make room, because it is cleared, or to change their class.

use super::Processor;
use crate::lifecycle::{Input, State};
use crate::queue::Classes;
use crate::{
    CancelReason, Instant, Overflow, Plan, Priority, PriorityRefusal, Refusal, Scope, TaskId, Terms,
};

impl<P: Plan> Processor<P> {
    /// Settles up to `budget` queued tasks of this part of the queue as cancelled, for the reason
    /// [`CancelReason::CLEARED`], the longest waiting first. Returns how many: fewer than `budget` if none is left. Tasks
    /// that are delayed, back off or run stay. O(budget × priority classes).
    ///
    /// May change: effects (settlements), events, room.
    ///
    /// ```
    /// # use plimsoll_core::{Instant, Limits, Offer, Priority, Processor, Scope, Simple, Terms};
    /// let mut processor = Processor::<Simple<&str, usize, &str>>::new(Limits::default(), Instant::ZERO)?;
    /// let low = Terms::new().priority(Priority::LOWEST);
    /// processor.submit(Instant::ZERO, Offer::new("a backfill", ()), &low)?;
    /// processor.submit(Instant::ZERO, Offer::new("an order", ()), &Terms::new())?;
    /// assert_eq!(processor.clear(Instant::ZERO, Scope::Class(Priority::LOWEST), 64), 1);
    /// assert_eq!(processor.census().queued, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn clear(&mut self, now: Instant, scope: Scope, budget: u32) -> u32 {
        self.observe_time(now);
        for cleared in 0..budget {
            let Some(index) = self.first_in(scope) else { return cleared };
            self.end_cancelled(index, Some(CancelReason::CLEARED), false);
        }
        budget
    }

    /// Changes the priority of a task that waits: delayed, queued or backing off. A queued task goes to the end of its new
    /// class; its time-outs count on.
    ///
    /// May change: the order of the queue. With lanes O(log lanes).
    ///
    /// # Errors
    /// [`PriorityRefusal`]; nothing has changed.
    pub fn set_priority(
        &mut self,
        now: Instant,
        task: TaskId,
        priority: Priority,
    ) -> Result<(), PriorityRefusal> {
        self.observe_time(now);
        let index = self.tasks.index_of(task);
        let waiting = self.tasks.get_mut(task).ok_or(PriorityRefusal::NotFound)?;
        match waiting.state {
            State::Queued if waiting.priority != priority => {
                let old = core::mem::replace(&mut waiting.priority, priority);
                self.dequeue(index, old);
                self.enqueue(index, priority);
            }
            State::Queued => {}
            State::Delayed | State::Backoff => waiting.priority = priority,
            _ => return Err(PriorityRefusal::NotWaiting),
        }
        Ok(())
    }

    /// Makes room for a task with these terms, which would be refused for this reason, and for which a permit holds a place
    /// or not: sheds another task, unless it takes the place of one. Returns the reason if it is refused still.
    #[cold]
    pub(super) fn make_room(&mut self, reason: Refusal, terms: &Terms, has_place: bool) -> Option<Refusal> {
        if self.replaced_by(terms).is_some_and(|older| self.leaves_place(older, reason, terms, has_place)) {
            // The older task goes when this one is admitted, which takes over the beginning of its row.
            return None;
        }
        // What a source has delivered would come back at once.
        let victim = self.victim(reason, terms).filter(|victim| !self.is_delivered(*victim));
        let Some(victim) = victim else { return Some(reason) };
        if !self.has_room_after_one(reason, terms, has_place) {
            return Some(reason);
        }
        self.settle_out_of_line(victim, Input::Shed, None, false);
        None
    }

    /// Whether a task with these terms, which would be refused for this reason, can take the place of the one in slot `index`,
    /// which has its key.
    fn leaves_place(&self, index: u32, reason: Refusal, terms: &Terms, has_place: bool) -> bool {
        let Some(state) = self.tasks.at(index).map(|older| older.state) else { return false };
        // One that a source has delivered has a slot of its own to leave, and takes no room of delayed tasks.
        let is_submitted = !self.is_delivered(index);
        let has_slot = || is_submitted && (has_place || self.admission.has_slot(self.tasks.free()));
        match reason {
            // Both wait behind a third task, and take no room in the queue.
            Refusal::Full | Refusal::LaneFull if self.is_behind(index) => has_slot(),
            Refusal::Full => state == State::Queued && self.has_room_after_one(reason, terms, has_place),
            Refusal::LaneFull => {
                let lane = self.lanes.as_ref().and_then(|lanes| lanes.key_of(index));
                state == State::Queued
                    && lane == terms.lane.map(|lane| lane.key)
                    && self.has_room_after_one(reason, terms, has_place)
            }
            // What else can refuse it was not asked yet.
            Refusal::Delayed => {
                let is_delayed = matches!(state, State::Delayed | State::Backoff);
                is_delayed && has_slot() && self.refusal_of_extras(terms).is_none()
            }
            _ => false,
        }
    }

    /// Whether a task with these terms, which would be refused for this reason, would have room if one task fewer were queued.
    fn has_room_after_one(&self, reason: Refusal, terms: &Terms, has_place: bool) -> bool {
        let free = self.gate.free(&self.tally);
        let fits_in_lane = match (reason, &terms.lane, &self.lanes) {
            (Refusal::LaneFull, Some(lane), Some(lanes)) => lanes.has_room_after_one(lane, free),
            _ => true,
        };
        let fits = || self.admission.has_room_after_one(&self.tally, &self.gate, self.tasks.free());
        fits_in_lane && (has_place || fits())
    }

    /// The task that gives way to one with these terms, which would be refused for this reason.
    fn victim(&self, reason: Refusal, terms: &Terms) -> Option<u32> {
        let waiting = match reason {
            Refusal::Full => self.queue.classes(),
            Refusal::LaneFull => self.waiting_in(terms.lane?.key)?,
            _ => return None,
        };
        match self.limits.overflow {
            Overflow::Refuse => None,
            Overflow::DropOldest => waiting.longest_waiting(self.queue.arrivals()),
            Overflow::DropLowest => {
                let (last, lowest) = waiting.last_of_lowest()?;
                (lowest < terms.priority).then_some(last)
            }
        }
    }

    /// The queued task in this part of the queue that has waited longest.
    fn first_in(&self, scope: Scope) -> Option<u32> {
        match scope {
            Scope::All => self.queue.longest_waiting(),
            Scope::Class(priority) => self.queue.classes().first_of(priority),
            Scope::Lane(key) => self.waiting_in(key)?.longest_waiting(self.queue.arrivals()),
        }
    }

    fn waiting_in(&self, key: u64) -> Option<&Classes> {
        self.lanes.as_ref()?.waiting(key)
    }
}
