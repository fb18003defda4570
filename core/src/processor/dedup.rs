//! Keys that no two tasks have at the same time: what they change in the flow of tasks. [`crate::dedup`] has the keys.

use super::Processor;
use super::deadlines::Owner;
use crate::dedup::Standing;
use crate::lifecycle::State;
use crate::time::NEVER;
use crate::{CancelReason, OutcomeKind, Plan, Refusal, TaskId, Terms};

impl<P: Plan> Processor<P> {
    /// The task with this [`Unique`](crate::Unique) key: the one that waits, or else the one that runs. `None` if there is
    /// none, even if the key is remembered.
    ///
    /// ```
    /// # use plimsoll_core::{Instant, Limits, Offer, Processor, Refusal, Simple, Terms, Unique};
    /// let mut limits = Limits::default();
    /// limits.dedup = Some(1_000);
    /// let mut processor = Processor::<Simple<&str, usize, &str>>::new(limits, Instant::ZERO)?;
    /// let terms = Terms::new().unique(Unique::new(7));
    /// let task = processor.submit(Instant::ZERO, Offer::new("order 7", ()), &terms)?;
    /// let refused = processor.submit(Instant::ZERO, Offer::new("order 7", ()), &terms).unwrap_err();
    /// assert_eq!((refused.reason, processor.task_with_key(7)), (Refusal::Duplicate, Some(task)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn task_with_key(&self, key: u64) -> Option<TaskId> {
        self.tasks.id_at(self.dedup.as_ref()?.task(key)?)
    }

    /// Why a task with these terms is refused for its key.
    pub(super) fn key_refusal(&self, terms: &Terms) -> Option<Refusal> {
        let unique = terms.unique.as_ref()?;
        match &self.dedup {
            Some(dedup) => {
                (dedup.standing(unique, self.now) == Standing::Taken).then_some(Refusal::Duplicate)
            }
            None => Some(Refusal::NotDeduplicated),
        }
    }

    /// The slot of the task that one with these terms replaces.
    pub(super) fn replaced_by(&self, terms: &Terms) -> Option<u32> {
        match self.dedup.as_ref()?.standing(terms.unique.as_ref()?, self.now) {
            Standing::Replaces(index) => Some(index),
            _ => None,
        }
    }

    /// The task in slot `index` is admitted in this state. It takes the place of the one that waits with its key. Returns
    /// its state, which is delayed if it is behind another one.
    pub(super) fn admit_with_key(&mut self, index: u32, terms: &Terms, state: State) -> State {
        let Some(unique) = &terms.unique else { return state };
        let first_at = self.dedup.as_ref().and_then(|dedup| dedup.first_at(unique.key)).unwrap_or(self.now);
        if let Some(older) = self.replaced_by(terms) {
            self.end_cancelled(older, Some(CancelReason::SUPERSEDED), false);
        }
        let (Some(dedup), Some(task)) = (&mut self.dedup, self.tasks.at_mut(index)) else { return state };
        let (ready_at, is_behind) = dedup.admit(index, unique, first_at, task.since);
        if is_behind {
            (task.since, task.state) = (NEVER, State::Delayed);
        } else if state == State::Delayed {
            task.since = ready_at;
        }
        task.state
    }

    /// The task in slot `index`, which may have a key, is settled, and its attempt is over. The task behind it goes on.
    pub(super) fn end_key(&mut self, index: u32) {
        let Some(task) = self.tasks.at(index) else { return };
        let completed_at = (task.kind == Some(OutcomeKind::Completed)).then_some(task.since);
        let Some((next, ready_at)) = self.dedup.as_mut().and_then(|dedup| dedup.end(index, completed_at))
        else {
            return;
        };
        self.deadlines.clear(Owner::Task(next));
        if ready_at <= self.now {
            self.ready(next);
        } else if let Some(task) = self.tasks.at_mut(next) {
            task.since = ready_at;
            let deadline = task.deadline_in(State::Delayed);
            self.deadlines.add(Owner::Task(next), deadline);
        }
    }

    /// Whether the task in slot `index` waits until another one with its key is over. Its `since` is [`NEVER`], and the clock may
    /// reach that first.
    pub(super) fn is_behind(&self, index: u32) -> bool {
        self.dedup.as_ref().is_some_and(|dedup| dedup.is_behind(index))
    }

    /// Whether a later task waits behind the one in slot `index`.
    pub(super) fn has_later(&self, index: u32) -> bool {
        self.dedup.as_ref().is_some_and(|dedup| dedup.has_later(index))
    }
}
