//! What lanes, the rate, keys and the monitor have to hear of each task. A machine with none of them does not call these:
//! [`Gate::is_followed`](super::gate::Gate::is_followed).

use super::Processor;
use crate::lifecycle::State;
use crate::{Instant, Plan, Priority, Terms};

impl<P: Plan> Processor<P> {
    /// The task in slot `index` is admitted in this state. Returns its state: a task is delayed that another one with its
    /// key keeps waiting.
    #[cold]
    pub(super) fn follow_admission(&mut self, index: u32, terms: &Terms, state: State) -> State {
        // The lane first, so that it stays if the only task in it is replaced.
        self.join_lane(index, terms);
        let state = self.admit_with_key(index, terms, state);
        if state == State::Queued {
            self.queue_in_lane(index, terms.priority);
        }
        if let Some(monitor) = &mut self.monitor {
            monitor.admit(index, terms);
        }
        state
    }

    /// The task in slot `index`, the next to start, leaves the queue for a place. Returns what its timer is to be set
    /// to, if `deadline` is the earliest deadline of its attempt by the task's own count.
    #[cold]
    pub(super) fn follow_start(
        &mut self,
        index: u32,
        priority: Priority,
        now: Instant,
        deadline: Instant,
    ) -> Instant {
        self.count_start(index, priority, now);
        if let Some(dedup) = &mut self.dedup {
            dedup.start(index);
        }
        if let Some(monitor) = &mut self.monitor {
            monitor.start(index);
        }
        self.first_of_attempt(index, deadline)
    }

    /// The attempt at the task in slot `index` is asked to stop.
    #[cold]
    pub(super) fn follow_request_to_stop(&mut self, index: u32) {
        if let Some(monitor) = &mut self.monitor {
            monitor.ask_to_stop(index);
        }
    }

    /// The attempt at the task in slot `index` is over, and the task goes on.
    #[cold]
    pub(super) fn follow_stop(&mut self, index: u32) {
        self.stop_in_lane(index);
        if let Some(dedup) = &mut self.dedup {
            dedup.stop(index);
        }
        if let Some(monitor) = &mut self.monitor {
            monitor.stop(index);
        }
    }

    /// The task in slot `index` is settled, and its attempt is over.
    #[cold]
    #[inline(never)]
    pub(super) fn follow_end(&mut self, index: u32) {
        self.leave_lane(index);
        self.end_key(index);
        if let Some(monitor) = &mut self.monitor {
            monitor.stop(index);
        }
    }
}
