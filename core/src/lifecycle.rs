//! The life of a task: its states and the one table of transitions between them.
//!
//! ```text
//!            ┌──────────┐ Ready   ┌────────┐  Start   ┌─────────┐  Halt   ┌─────────┐
//! submit ──► │ Delayed  ├───────► │ Queued ├────────► │ Running ├───────► │ Halting │
//!   │        └──┬───────┘    ┌──► └──┬─────┘          └┬─┬─┬────┘         └────┬────┘
//!   └─ no delay ┼────────────┼───────▲                 │ │ │ ◄── as Running ───┘
//!               │            │ Ready │    Retry        │ │ │ TimeOut, Cancel
//!               │      ┌─────┴───┐   │  ┌──────────────┘ │ └────────────────┐
//!               │      │ Backoff │ ◄─┼──┘                │ Complete, Fail,  ▼
//!               │      └────┬────┘   │                   │ Panic      ┌──────────┐ Release ┌────────┐
//!       TimeOut,│   TimeOut,│        │ TimeOut, Cancel,  │            │ Stopping ├───────► │ Orphan │
//!        Cancel │    Cancel │        │ Expire            ▼            └────┬─────┘         └───┬────┘
//!               └───────────┴────────┴──────────► ┌─────────┐   Stopped,   │        Stopped,   │
//!                                                 │ Settled │ ◄─ Abandon ──┘        Abandon    ▼
//!                                                 └────┬────┘                                (free)
//!                                                      └── Release ──► (free)
//! ```
//!
//! *Retry* is the way into a backoff, after an attempt that was snoozed too.
//!
//! *Halting* means that the attempt has missed its start-to-close deadline and is asked to stop, for a further one: the
//! task is not settled, and backs off only when the attempt has stopped. A report still counts, and a deadline or a cancel
//! still ends the task, just as while it is *Running*.
//!
//! *Settled* means that the outcome is fixed; the slot lives on until the outcome is **released**: taken
//! by `poll_effect`, by its handle or by `take_result`, or discarded. A task whose attempt runs on
//! although it is settled is *Stopping* while its outcome is held and *Orphan* after that; both keep a
//! concurrency place until the host reports that the attempt has stopped, or the end abandons it.

/// Where a task stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum State {
    Delayed,
    Queued,
    Running,
    Halting,
    Backoff,
    Stopping,
    Orphan,
    Settled,
}

/// What happens to a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    Ready,
    Start,
    Halt,
    Complete,
    Fail,
    Retry,
    Panic,
    TimeOut,
    Cancel,
    Expire,
    Stopped,
    Release,
    Abandon,
}

impl Input {
    /// Whether it can happen to a task that waits, too.
    pub(crate) const fn can_end_a_wait(self) -> bool {
        matches!(self, Self::TimeOut | Self::Cancel | Self::Expire)
    }
}

/// Where a transition leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    To(State),
    Free,
}

impl State {
    pub(crate) const COUNT: usize = 8;

    /// The transition table. `None`: this cannot happen in this state, and nothing changes.
    #[inline]
    pub(crate) const fn on(self, input: Input) -> Option<Next> {
        use State::{Backoff, Delayed, Halting, Orphan, Queued, Running, Settled, Stopping};
        let next = match (self, input) {
            (Delayed | Backoff, Input::Ready) => Queued,
            (Queued, Input::Start) => Running,
            (Delayed | Queued | Backoff, Input::TimeOut | Input::Cancel) => Settled,
            (Queued, Input::Expire) => Settled,
            (Running, Input::Halt) => Halting,
            (Running | Halting, Input::Complete | Input::Fail | Input::Panic) => Settled,
            (Running | Halting, Input::Retry) => Backoff,
            (Running | Halting, Input::TimeOut | Input::Cancel) => Stopping,
            (Stopping, Input::Release) => Orphan,
            (Stopping, Input::Stopped | Input::Abandon) => Settled,
            (Orphan, Input::Stopped | Input::Abandon) => return Some(Next::Free),
            (Settled, Input::Release) => return Some(Next::Free),
            _ => return None,
        };
        Some(Next::To(next))
    }

    /// Whether the task's outcome is not fixed yet.
    #[inline]
    pub(crate) const fn is_unsettled(self) -> bool {
        matches!(self, Self::Delayed | Self::Queued | Self::Backoff) || self.runs()
    }

    /// Whether the task is not settled, and an attempt at it runs.
    #[inline]
    pub(crate) const fn runs(self) -> bool {
        matches!(self, Self::Running | Self::Halting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{format, string::String};

    const STATES: [State; State::COUNT] = [
        State::Delayed,
        State::Queued,
        State::Running,
        State::Halting,
        State::Backoff,
        State::Stopping,
        State::Orphan,
        State::Settled,
    ];

    const INPUTS: [Input; 13] = [
        Input::Ready,
        Input::Start,
        Input::Halt,
        Input::Complete,
        Input::Fail,
        Input::Retry,
        Input::Panic,
        Input::TimeOut,
        Input::Cancel,
        Input::Expire,
        Input::Stopped,
        Input::Release,
        Input::Abandon,
    ];

    #[test]
    fn every_state_and_input() {
        let mut table = String::new();
        for state in STATES {
            for input in INPUTS {
                let next = match state.on(input) {
                    Some(Next::To(next)) => format!("{next:?}"),
                    Some(Next::Free) => String::from("(free)"),
                    None => continue,
                };
                table.push_str(&format!("{state:?} {input:?} {next}\n"));
            }
        }
        let snapshot = "\
Delayed Ready Queued
Delayed TimeOut Settled
Delayed Cancel Settled
Queued Start Running
Queued TimeOut Settled
Queued Cancel Settled
Queued Expire Settled
Running Halt Halting
Running Complete Settled
Running Fail Settled
Running Retry Backoff
Running Panic Settled
Running TimeOut Stopping
Running Cancel Stopping
Halting Complete Settled
Halting Fail Settled
Halting Retry Backoff
Halting Panic Settled
Halting TimeOut Stopping
Halting Cancel Stopping
Backoff Ready Queued
Backoff TimeOut Settled
Backoff Cancel Settled
Stopping Stopped Settled
Stopping Release Orphan
Stopping Abandon Settled
Orphan Stopped (free)
Orphan Abandon (free)
Settled Release (free)
";
        assert_eq!(table, snapshot);
    }

    #[test]
    fn no_unsettled_task_is_freed_and_no_settled_one_comes_back() {
        for state in STATES {
            for input in INPUTS {
                match state.on(input) {
                    Some(Next::Free) => assert!(!state.is_unsettled()),
                    Some(Next::To(next)) => assert!(state.is_unsettled() || !next.is_unsettled()),
                    None => {}
                }
            }
        }
    }
}
