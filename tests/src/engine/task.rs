//! What is known of one task, and which outcomes are possible after that.

use std::time::Duration;

use plimsoll::{AttemptId, Instant, OutcomeKind, TaskId};

use super::ending::Ending;
use super::plan::{End, Order, Way};

/// How an attempt came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Closing {
    Returned,
    Failed,
    /// It failed, and is not to count.
    Snoozed,
    Panicked,
    /// Its future was dropped before.
    Dropped,
}

#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) id: AttemptId,
    pub(super) number: u32,
    pub(super) called: Instant,
    /// When it has told that it is alive.
    pub(super) beat_at: Instant,
    pub(super) is_slow: bool,
    pub(super) end: Option<(Closing, Instant)>,
}

impl Attempt {
    pub(super) fn counts(&self) -> bool {
        !self.has_ended(Closing::Snoozed)
    }

    pub(super) fn has_ended(&self, how: Closing) -> bool {
        self.end.is_some_and(|(end, _)| end == how)
    }

    /// When it has been silent for too long. Of the heartbeats within a tick the first counts.
    pub(super) fn silent_at(&self, heartbeat: Option<Duration>) -> Instant {
        let tick = Instant::from_millis(self.beat_at.as_millis());
        heartbeat.map_or(Instant::MAX, |limit| tick.saturating_add(limit))
    }
}

/// Whether a task was taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    Refused,
    /// It waits for room.
    Waiting,
    Admitted,
}

/// What is known of a task with a key.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Keyed {
    /// Its number among the tasks with keys.
    pub(super) entered: u64,
    /// When the first of the row of tasks came of which it is the last.
    pub(super) row_began: Option<Instant>,
    /// Whether it waits for an attempt of another task with its key.
    pub(super) is_behind: bool,
    /// When it was behind another one no longer.
    pub(super) released: Option<Instant>,
    /// When a later task has taken its place.
    pub(super) superseded: Option<Instant>,
}

#[derive(Debug)]
pub(super) struct Task {
    pub(super) order: Order,
    pub(super) way: Way,
    pub(super) entry: Entry,
    pub(super) id: Option<TaskId>,
    pub(super) submitted: Instant,
    pub(super) attempts: Vec<Attempt>,
    pub(super) keyed: Keyed,
    /// It was queued when its part of the queue was cleared, at this instant.
    pub(super) cleared: Option<Instant>,
    pub(super) clone_panicked: bool,
    pub(super) cancelled: Option<Instant>,
    /// An attempt has ended in time, so that no other outcome is possible, unless it was cancelled at this instant.
    pub(super) fixed: Option<(OutcomeKind, Instant)>,
    pub(super) settled: Option<(OutcomeKind, Instant)>,
    /// Whether an event has told that it is settled.
    pub(super) is_announced: bool,
    /// Whether a callback, a handle or a result has told the outcome.
    pub(super) is_told: bool,
}

impl Task {
    /// When it times out whatever it does.
    pub(super) fn close_by(&self) -> Instant {
        self.by(self.order.timeouts().schedule_to_close)
    }

    pub(super) fn by(&self, limit: Option<Duration>) -> Instant {
        limit.map_or(Instant::MAX, |limit| self.submitted.saturating_add(limit))
    }

    /// How many attempts count, of those whose handlers were called.
    pub(super) fn tried(&self) -> u32 {
        self.attempts.iter().filter(|attempt| attempt.counts()).count() as u32
    }

    /// Whether it was snoozed for longer than there is time.
    fn snoozes_too_long(&self, now: Instant) -> bool {
        let End::Snoozes(_, delay) = self.order.end() else { return false };
        let ready_at = now.saturating_add(delay);
        self.has_ended(Closing::Snoozed) && (ready_at > self.close_by() || ready_at == Instant::MAX)
    }

    fn has_ended(&self, how: Closing) -> bool {
        self.attempts.iter().any(|attempt| attempt.has_ended(how))
    }

    pub(super) fn may_be(&self, kind: OutcomeKind, now: Instant, ending: &Ending, has_later: bool) -> bool {
        let timeouts = self.order.timeouts();
        // No try begins at the end of time, and these backoffs are shorter than a minute.
        let is_last_minute = now.saturating_add(Duration::from_secs(60)) == Instant::MAX;
        let no_more = self.tried() == self.order.tries()
            || has_later
            || is_last_minute
            || timeouts.schedule_to_close.is_some()
            || ending.has_come(now);
        match kind {
            OutcomeKind::Completed => self.has_ended(Closing::Returned),
            OutcomeKind::Failed => self.has_ended(Closing::Failed) && no_more,
            OutcomeKind::Panicked => {
                let panicked = self.has_ended(Closing::Panicked) || self.clone_panicked;
                panicked && (no_more || !self.order.retries_panics() || self.clone_panicked)
            }
            OutcomeKind::TimedOut => {
                let limit = timeouts.start_to_close;
                let late = |attempt: &Attempt| {
                    limit.is_some_and(|limit| attempt.called.saturating_add(limit) <= now)
                };
                let silent = |attempt: &Attempt| attempt.silent_at(timeouts.heartbeat) <= now;
                let is_late = self.attempts.iter().any(silent);
                is_late
                    || self.close_by() <= now
                    || self.attempts.iter().any(late)
                    || self.snoozes_too_long(now)
            }
            OutcomeKind::Cancelled => {
                let is_asked = self.cancelled.is_some() || self.cleared.is_some();
                is_asked || has_later || ending.has_come(now)
            }
            OutcomeKind::Expired => self.by(timeouts.schedule_to_start) <= now,
            OutcomeKind::Shed => self.attempts.iter().all(|attempt| attempt.end.is_some()),
            _ => false,
        }
    }

    /// Whether it was cancelled, but no outcome is known.
    pub(super) fn is_lost(&self) -> bool {
        let is_to_end = self.cancelled.or(self.cleared).or(self.keyed.superseded).is_some();
        is_to_end && self.settled.is_none()
    }

    pub(super) fn is_settled(&self) -> bool {
        self.settled.is_some()
    }

    pub(super) fn is_told(&self) -> bool {
        self.is_told
    }

    pub(super) fn settled_at(&self) -> Option<Instant> {
        self.settled.map(|(_, at)| at)
    }

    /// Whether its latest attempt has a future.
    pub(super) fn is_running(&self) -> bool {
        self.attempts.last().is_some_and(|last| last.end.is_none())
    }

    /// Whether this attempt is over.
    pub(super) fn is_over(&self, attempt: AttemptId) -> bool {
        self.attempts.iter().all(|one| one.id != attempt || one.end.is_some())
    }

    /// Whether it was taken in, and as far as is known has not been started nor settled.
    pub(super) fn is_to_start(&self) -> bool {
        self.entry == Entry::Admitted && self.attempts.is_empty() && !self.is_settled()
    }

    /// When its delay is over.
    pub(super) fn ready_at(&self) -> Instant {
        let ready_at = self.by(Some(self.order.delay()));
        let at_latest =
            self.keyed.row_began.map_or(Instant::MAX, |at| at.saturating_add(self.order.longest()));
        ready_at.min(at_latest).max(self.keyed.released.unwrap_or(self.submitted)).max(self.submitted)
    }

    /// Whether an attempt of another task with its key has to end before it is ready.
    pub(super) const fn is_behind(&self) -> bool {
        self.keyed.is_behind
    }

    /// Since when it should have been settled, if it should.
    pub(super) fn overdue_since(&self) -> Option<Instant> {
        let limit =
            self.order.timeouts().schedule_to_start.filter(|_| self.is_to_start() && !self.is_behind());
        let start_by = limit.map_or(Instant::MAX, |limit| self.ready_at().saturating_add(limit));
        let running = self.attempts.last().filter(|last| last.end.is_none());
        let limit = self.order.timeouts().start_to_close;
        let by =
            running.zip(limit).map_or(Instant::MAX, |(running, limit)| running.called.saturating_add(limit));
        let heartbeat = self.order.timeouts().heartbeat;
        let silent = running.zip(heartbeat).map(|(running, limit)| running.beat_at.saturating_add(limit));
        let by = by.min(silent.unwrap_or(Instant::MAX));
        Some(by.min(self.close_by()).min(start_by)).filter(|by| *by != Instant::MAX)
    }
}
