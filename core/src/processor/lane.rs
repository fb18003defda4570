//! Lanes: what they change in the flow of tasks. [`crate::lanes`] has the lanes themselves.

use super::Processor;
use super::deadlines::Owner;
use crate::lanes::{LaneView, Timer};
use crate::{HoldRefusal, Instant, Plan, Priority, Terms};

impl<P: Plan> Processor<P> {
    /// Starts no attempts of the lane with this key before `until`: the other end has asked for a pause, such as by a
    /// `Retry-After`. A later call replaces the instant; one that is not in the future ends the hold, and
    /// [`Instant::MAX`] pauses the lane until then. A lane with nothing in it exists for as long as it is held.
    ///
    /// May change: [`startable`](Self::startable), [`next_wake`](Self::next_wake). O(log lanes).
    ///
    /// ```
    /// # use plimsoll_core::{Instant, Lane, LaneLimits, Limits, Offer, Processor, Simple, Terms, Wake, Reason};
    /// let mut limits = Limits::default();
    /// limits.lanes = LaneLimits::new(100);
    /// let mut processor = Processor::<Simple<&str, usize, &str>>::new(limits, Instant::ZERO)?;
    /// let (host, later) = (1, Instant::from_millis(5));
    /// processor.submit(Instant::ZERO, Offer::new("job", ()), &Terms::new().lane(Lane::new(host)))?;
    /// processor.hold_lane(Instant::ZERO, host, later)?;
    /// assert!(processor.start_next(Instant::ZERO).is_none());
    /// assert_eq!(processor.next_wake(), Wake::At(later, Reason::Timer));
    /// let _ = processor.advance(later, 64);
    /// assert!(processor.start_next(later).is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`HoldRefusal`]; nothing has changed.
    pub fn hold_lane(&mut self, now: Instant, key: u64, until: Instant) -> Result<(), HoldRefusal> {
        let now = self.observe_time(now);
        if self.ending.is_ending() {
            return Err(HoldRefusal::Closed);
        }
        let Some(lanes) = &mut self.lanes else { return Err(HoldRefusal::Lanes) };
        // A hold that ends at once, or of a lane in which nothing will ever be again, needs no lane.
        if lanes.view(key).is_none() && (until <= now || self.ending.phase() != super::Phase::Open) {
            return Ok(());
        }
        let timer = lanes.hold(key, until, now).ok_or(HoldRefusal::Lanes)?;
        self.set_lane_timer(Some(timer));
        Ok(())
    }

    /// The lane with this key; `None` if there is nothing in it and nothing shuts it.
    #[must_use]
    pub fn lane(&self, key: u64) -> Option<LaneView> {
        self.lanes.as_ref()?.view(key)
    }

    /// The slot of the task to start next, whether or not there are lanes; [`NIL`](crate::list::NIL) if there is none.
    #[cold]
    pub(super) fn next_of_lanes(&self) -> u32 {
        match &self.lanes {
            Some(lanes) => lanes.next(self.queue.arrivals()),
            None => self.queue.next(),
        }
    }

    /// The task in slot `index` is admitted to its lane.
    pub(super) fn join_lane(&mut self, index: u32, terms: &Terms) {
        let Some(lanes) = &mut self.lanes else { return };
        let timer = lanes.admit(index, terms.lane.as_ref(), self.now);
        self.set_lane_timer(timer);
    }

    /// The task in slot `index`, which is admitted without a delay, is queued in its lane.
    pub(super) fn queue_in_lane(&mut self, index: u32, priority: Priority) {
        if let Some(lanes) = &mut self.lanes {
            lanes.push(index, priority);
        }
    }

    /// The task in slot `index` enters the queue after a delay or a backoff.
    pub(super) fn enqueue(&mut self, index: u32, priority: Priority) {
        self.queue.push(index, priority);
        self.queue_in_lane(index, priority);
    }

    /// The task in slot `index` leaves the queue without a start.
    pub(super) fn dequeue(&mut self, index: u32, priority: Priority) {
        self.queue.remove(index, priority);
        if let Some(lanes) = &mut self.lanes {
            lanes.remove(index, priority);
        }
    }

    /// The task in slot `index`, the next to start, leaves the queue for a place. Its lane and the gate count the start.
    pub(super) fn count_start(&mut self, index: u32, priority: Priority, now: Instant) {
        match &mut self.lanes {
            Some(lanes) => {
                self.queue.remove(index, priority);
                let timer = lanes.start(index, priority, now);
                self.set_lane_timer(timer);
            }
            None => self.queue.start(priority),
        }
        if let Some(opens_at) = self.gate.start(now) {
            self.set_gate_timer(Some(opens_at));
        }
    }

    /// The attempt at the task in slot `index` is over, and the task goes on.
    pub(super) fn stop_in_lane(&mut self, index: u32) {
        if let Some(lanes) = &mut self.lanes {
            lanes.stop(index);
        }
    }

    /// The task in slot `index` is settled, and its attempt is over.
    pub(super) fn leave_lane(&mut self, index: u32) {
        let timer = self.lanes.as_mut().and_then(|lanes| lanes.leave(index));
        self.set_lane_timer(timer);
    }

    /// The timer of a lane has fired.
    #[cold]
    pub(super) fn fire_lane(&mut self, lane: u32) {
        let now = self.now;
        let timer = self.lanes.as_mut().and_then(|lanes| lanes.fire(lane, now));
        self.set_lane_timer(timer);
    }

    /// The end has come to the lane with this number.
    pub(super) fn end_lane(&mut self, number: u32) {
        let timer = self.lanes.as_mut().and_then(|lanes| lanes.end(number));
        self.set_lane_timer(timer);
    }

    fn set_lane_timer(&mut self, timer: Option<Timer>) {
        match timer {
            Some(Timer { lane, at: Some(at) }) => self.deadlines.set(Owner::Lane(lane), at),
            Some(Timer { lane, at: None }) => self.deadlines.clear(Owner::Lane(lane)),
            None => {}
        }
    }
}
