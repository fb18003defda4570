//! The tally: how many tasks are in each state.

use crate::Plan;
use crate::lifecycle::{Input, Next, State};
use crate::task::Task;

/// Counts tasks by state. [`step`](Self::step) is the only place where a task's state changes.
#[derive(Default)]
pub(super) struct Tally {
    states: [u32; State::COUNT],
    /// Settled tasks whose outcome waits for its handle.
    pub(super) unclaimed: u32,
    /// Settled tasks whose outcome is retained once the host has observed it.
    pub(super) unretained: u32,
}

impl Tally {
    /// Takes a task one transition further. `None`, and nothing has changed, if the transition does not exist.
    #[inline]
    pub(super) fn step<P: Plan>(&mut self, task: &mut Task<P>, input: Input) -> Option<Next> {
        let from = task.state;
        let next = from.on(input)?;
        self.leave(from);
        if let Next::To(to) = next {
            task.state = to;
            self.enter(to);
        }
        Some(next)
    }

    /// Counts a new task in its first state.
    #[inline]
    pub(super) fn enter(&mut self, state: State) {
        if let Some(count) = self.states.get_mut(state as usize) {
            *count = count.wrapping_add(1);
        }
    }

    #[inline]
    fn leave(&mut self, state: State) {
        debug_assert!(self.of(state) > 0, "no task leaves an empty state");
        if let Some(count) = self.states.get_mut(state as usize) {
            *count = count.wrapping_sub(1);
        }
    }

    #[inline]
    pub(super) fn of(&self, state: State) -> u32 {
        self.states.get(state as usize).copied().unwrap_or(0)
    }

    /// Tasks that wait for a start delay or a backoff to pass.
    #[inline]
    pub(super) fn delayed(&self) -> u32 {
        self.of(State::Delayed).wrapping_add(self.of(State::Backoff))
    }

    /// Tasks that wait: delayed, backing off or queued.
    #[inline]
    pub(super) fn waiting(&self) -> u32 {
        self.delayed().wrapping_add(self.of(State::Queued))
    }

    /// Tasks that are not settled and have an attempt that runs, or halts.
    #[inline]
    pub(super) fn running(&self) -> u32 {
        self.of(State::Running).wrapping_add(self.of(State::Halting))
    }

    /// Tasks that are admitted and not settled.
    #[inline]
    pub(super) fn unsettled(&self) -> u32 {
        self.waiting().wrapping_add(self.running())
    }

    /// Settled tasks whose attempt still runs.
    #[inline]
    pub(super) fn orphans(&self) -> u32 {
        self.of(State::Stopping).wrapping_add(self.of(State::Orphan))
    }

    /// Attempts that were asked to stop and still run, whether their task is settled or not.
    pub(super) fn asked_to_stop(&self) -> u32 {
        self.of(State::Halting).wrapping_add(self.orphans())
    }

    /// Attempts that take a concurrency place.
    #[inline]
    pub(super) fn placed(&self) -> u32 {
        self.running().wrapping_add(self.orphans())
    }
}
