//! Running a simulation: polls at one instant, and the jump of the clock to the next.

use std::panic::resume_unwind;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::Stuck;
use super::hub::{Body, BoxFuture, Hub, Turn, first_panic};
use crate::Instant;
use crate::panics::{catch, discard_panic};

/// What polls the future of [`Sim::block_on`](super::Sim::block_on): whether it is over.
pub(super) type Main<'a> = dyn FnMut(&mut Context<'_>) -> bool + 'a;

/// The simulation is being run, until this is dropped.
pub(super) struct Run<'a> {
    hub: &'a Hub,
    /// The task of the future of `block_on`.
    main: Option<usize>,
    /// How many polls there were since the clock moved.
    polls: u64,
}

impl<'a> Run<'a> {
    pub(super) const fn new(hub: &'a Hub) -> Self {
        Self { hub, main: None, polls: 0 }
    }

    /// Adds the future of `block_on`, which is ready.
    pub(super) fn enlist(&mut self) {
        self.main = Some(self.hub.lock().add(&self.hub.this, Body::Main));
    }

    /// Polls tasks until none is ready, or until `main` is over. Whether that is so.
    pub(super) fn poll_ready(&mut self, main: &mut Main<'_>) -> Result<bool, Stuck> {
        while let Some(is_over) = self.poll_one(main)? {
            if is_over {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Polls a task, if one is ready: whether it was `main`, and that is over.
    pub(super) fn poll_one(&mut self, main: &mut Main<'_>) -> Result<Option<bool>, Stuck> {
        let mut state = self.hub.lock();
        if self.polls >= state.poll_limit && !state.ready.is_empty() {
            return Err(Stuck::Spinning { polls: self.polls, at: self.hub.now() });
        }
        let Some(turn) = state.next_turn() else { return Ok(None) };
        drop(state);
        self.polls = self.polls.saturating_add(1);
        Ok(Some(self.poll(turn, main)))
    }

    fn poll(&self, turn: Turn, main: &mut Main<'_>) -> bool {
        let Turn { key, future, waker } = turn;
        let mut cx = Context::from_waker(&waker);
        let Some(mut future) = future else { return main(&mut cx) };
        match catch(|| future.as_mut().poll(&mut cx)) {
            Ok(Poll::Pending) => {
                let left = self.put_back(key, future);
                drop(left);
            }
            Ok(Poll::Ready(())) => {
                let task = self.hub.lock().remove(key);
                drop(task);
                drop(future);
            }
            Err(panic) => {
                let task = self.hub.lock().remove(key);
                drop(task);
                if let Err(second) = catch(|| drop(future)) {
                    discard_panic(second);
                }
                resume_unwind(panic);
            }
        }
        false
    }

    /// Puts a future back where it was; hands it out again if it was killed meanwhile.
    fn put_back(&self, key: usize, future: BoxFuture) -> Option<BoxFuture> {
        let mut state = self.hub.lock();
        // While a future is out nothing is added after a `kill`: who has this key is still the same.
        let Some(task) = state.tasks.get_mut(key) else { return Some(future) };
        task.body = Body::Spawned(future);
        None
    }

    /// Moves the clock to the next timer, but not beyond `latest`, and fires all timers of that instant. Whether there
    /// was one.
    pub(super) fn jump(&mut self, latest: Instant) -> bool {
        let Some(at) = self.hub.next_timer().filter(|at| *at <= latest) else { return false };
        self.set_clock(at);
        let mut state = self.hub.lock();
        let mut due = Vec::new();
        while let Some(timer) = state.timers.first_entry().filter(|timer| timer.key().0 <= at) {
            due.push(timer.remove());
        }
        state.rng.shuffle(&mut due);
        drop(state);
        if let Some(panic) = first_panic(due, Waker::wake) {
            resume_unwind(panic);
        }
        true
    }

    pub(super) fn set_clock(&mut self, to: Instant) {
        self.hub.clock.set(to);
        self.polls = 0;
    }

    pub(super) fn time_limit(&self) -> Duration {
        self.hub.lock().time_limit
    }

    /// What it is that keeps it from going on, when nothing is ready.
    pub(super) fn stuck(&self) -> Stuck {
        let (waiting, at) = (self.hub.lock().tasks.len(), self.hub.now());
        match self.hub.next_timer() {
            Some(_) => Stuck::TooLong { waiting, at },
            None => Stuck::Stalled { waiting, at },
        }
    }
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        let mut state = self.hub.lock();
        state.is_running = false;
        let main = self.main.and_then(|main| state.remove(main));
        drop(state);
        drop(main);
    }
}
