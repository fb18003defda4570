//! The life of a task: its states, and the one table of transitions between them, [`State::on`]. The [crate's
//! docs](crate) draw the table; a test compares the two.

/// The state of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum State {
    /// Waits for its start delay to pass.
    Delayed,
    Queued,
    Running,
    /// Not settled: its attempt missed its start-to-close deadline and is asked to stop, before a further attempt.
    Halting,
    /// Waits for its backoff to pass, before the next attempt.
    Backoff,
    /// Settled, its outcome not released, and its attempt still runs.
    Stopping,
    /// Settled, its outcome released, and its attempt still runs.
    Orphan,
    /// Settled, its outcome not released, and no attempt runs.
    Settled,
}

/// What happens to a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// Its delay or its backoff is over.
    Ready,
    Start,
    /// Its attempt is asked to stop, before a further attempt.
    Halt,
    Complete,
    Fail,
    /// It backs off, after a failed attempt or a snoozed one.
    Retry,
    Panic,
    TimeOut,
    Cancel,
    /// It waited in the queue beyond its schedule-to-start time-out.
    Expire,
    /// It made room for another task in the queue.
    Shed,
    /// The attempt of the settled task has stopped.
    Stopped,
    /// The outcome leaves the machine: by an effect, to its handle, or as a retained result.
    Release,
    /// The end gives up the attempt of the settled task.
    Abandon,
}

impl Input {
    /// Whether it can also happen to a waiting task.
    pub(crate) const fn can_end_a_wait(self) -> bool {
        matches!(self, Self::TimeOut | Self::Cancel | Self::Expire | Self::Shed)
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

    /// The transition table. `None`: the input cannot happen in this state, and nothing changes.
    #[inline]
    pub(crate) const fn on(self, input: Input) -> Option<Next> {
        use State::{Backoff, Delayed, Halting, Orphan, Queued, Running, Settled, Stopping};
        let next = match (self, input) {
            (Delayed | Backoff, Input::Ready) => Queued,
            (Queued, Input::Start) => Running,
            (Delayed | Queued | Backoff, Input::TimeOut | Input::Cancel) => Settled,
            (Queued, Input::Expire | Input::Shed) => Settled,
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

    /// Whether an attempt at the task has a concurrency place.
    pub(crate) const fn has_place(self) -> bool {
        self.runs() || matches!(self, Self::Stopping | Self::Orphan)
    }

    /// Whether the task is not settled and an attempt at it runs.
    #[inline]
    pub(crate) const fn runs(self) -> bool {
        matches!(self, Self::Running | Self::Halting)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;
    use alloc::format;
    use alloc::string::String;
    use alloc::vec::Vec;

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

    const INPUTS: [Input; 14] = [
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
        Input::Shed,
        Input::Stopped,
        Input::Release,
        Input::Abandon,
    ];

    /// A further state or input does not compile here, until it is in the lists above.
    #[test]
    fn every_state_and_input_is_listed() {
        let state = |state| match state {
            State::Delayed => 0,
            State::Queued => 1,
            State::Running => 2,
            State::Halting => 3,
            State::Backoff => 4,
            State::Stopping => 5,
            State::Orphan => 6,
            State::Settled => 7,
        };
        let input = |input| match input {
            Input::Ready => 0,
            Input::Start => 1,
            Input::Halt => 2,
            Input::Complete => 3,
            Input::Fail => 4,
            Input::Retry => 5,
            Input::Panic => 6,
            Input::TimeOut => 7,
            Input::Cancel => 8,
            Input::Expire => 9,
            Input::Shed => 10,
            Input::Stopped => 11,
            Input::Release => 12,
            Input::Abandon => 13,
        };
        assert!(STATES.map(state).into_iter().eq(0..State::COUNT));
        assert!(INPUTS.map(input).into_iter().eq(0..INPUTS.len()));
    }

    /// The transitions that the crate's documentation draws: `state input next`.
    fn drawn() -> BTreeSet<String> {
        let section = include_str!("lib.rs").split("//! # The life of a task\n").nth(1).unwrap();
        let drawing = section.split("```").nth(1).unwrap();
        let (mut transitions, mut state) = (BTreeSet::new(), "");
        for line in drawing.lines() {
            let Some((way, next)) = line.trim_start_matches("//!").split_once('►') else { continue };
            let words = way.split(['─', '┬', '├', '└']).map(str::trim).filter(|words| !words.is_empty());
            let inputs = match *words.collect::<Vec<_>>() {
                [from, inputs] => {
                    state = from;
                    inputs
                }
                [inputs] => inputs,
                _ => panic!("neither `state ─ inputs ─► state` nor `─ inputs ─► state`: {line}"),
            };
            for input in inputs.split(", ") {
                let is_new = transitions.insert(format!("{state} {input} {}", next.trim()));
                assert!(is_new, "drawn twice: {line}");
            }
        }
        transitions
    }

    #[test]
    fn the_drawing_is_the_table() {
        let mut table: BTreeSet<String> =
            ["submit with a delay Delayed", "submit without Queued"].map(String::from).into();
        for state in STATES {
            for input in INPUTS {
                match state.on(input) {
                    Some(Next::To(next)) => table.insert(format!("{state:?} {input:?} {next:?}")),
                    Some(Next::Free) => table.insert(format!("{state:?} {input:?} (free)")),
                    None => continue,
                };
            }
        }
        assert_eq!(drawn(), table);
    }

    #[test]
    fn no_unsettled_task_is_freed_and_no_settled_task_becomes_unsettled() {
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
