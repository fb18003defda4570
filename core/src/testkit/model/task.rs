//! A task of the model.

use alloc::vec::Vec;
use core::time::Duration;

use crate::testkit::calls::effects::Settled;
use crate::testkit::order::{Order, Way};
use crate::{AttemptId, CancelReason, DeliveryId, Instant, OutcomeKind, Priority, Progress, TaskId};

/// A task that has a slot.
#[derive(Debug)]
pub(super) struct Task {
    /// Its metadata, which is its name in the model.
    pub(super) meta: u32,
    /// Its id; `None` as long as no answer has named it.
    pub(super) id: Option<TaskId>,
    pub(super) slot: u32,
    pub(super) order: Order,
    pub(super) priority: Priority,
    /// When the row of tasks with its key began of which it is the last, when it is ready, whether it waits for another one
    /// to be over, and whether it has left its key.
    pub(super) row_began: Instant,
    pub(super) ready_at: Option<Instant>,
    pub(super) is_behind: bool,
    pub(super) has_left_key: bool,
    /// Of which delivery it is the task, if of any.
    pub(super) delivery: Option<DeliveryId>,
    /// Where its outcome goes: as ordered, until its handle is released.
    pub(super) way: Way,
    pub(super) callback: Option<u32>,
    pub(super) admitted_at: Instant,
    pub(super) close_by: Option<Instant>,
    pub(super) stage: Stage,
    pub(super) attempts: u32,
    /// How many attempts were started, including snoozed ones.
    pub(super) starts: u64,
    /// The latest attempt.
    pub(super) attempt: Option<AttemptId>,
    /// Whether the attempt takes a concurrency place: it runs, perhaps as an orphan.
    pub(super) placed: bool,
    pub(super) job: Option<u32>,
    /// The value of the outcome.
    pub(super) value: Option<u32>,
    /// The kind of its outcome, once it is settled.
    pub(super) kind: Option<OutcomeKind>,
    /// Why it was cancelled, if it was and a reason was given.
    pub(super) reason: Option<CancelReason>,
    pub(super) settled_at: Instant,
    /// How long it had waited when it was settled, and how long its attempt had run.
    pub(super) waited: Duration,
    pub(super) ran: Duration,
    /// Since when it is retained, if it is.
    pub(super) retained_at: Instant,
    /// Whether its outcome is to be observed first, and whether the host has it.
    pub(super) held: bool,
    pub(super) out: bool,
    /// Whether its outcome has left.
    pub(super) released: bool,
    /// The waiter of its handle.
    pub(super) waiter: Option<u32>,
    pub(super) stop: bool,
    /// What its latest attempt has told of itself.
    pub(super) told: Told,
    pub(super) parting: Vec<Parting>,
}

/// What a task's latest attempt has told of itself.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) beat_at: Option<Instant>,
    pub(super) progress: Option<Progress>,
    /// Whether it was reported as slow.
    pub(super) slow: bool,
}

/// The stage of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Delayed {
        until: Option<Instant>,
    },
    Backoff {
        until: Option<Instant>,
    },
    Queued {
        since: Instant,
        place: u64,
    },
    Running {
        since: Instant,
        deadline: Option<Instant>,
    },
    /// Its attempt missed a deadline and is asked to stop, before a further one.
    Halting {
        since: Instant,
        missed: Instant,
    },
    Over,
}

/// How an outcome leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parting {
    Observe,
    Settle,
    Wake,
    Discard,
}

impl Task {
    pub(super) fn is_waiting(&self) -> bool {
        matches!(self.stage, Stage::Delayed { .. } | Stage::Backoff { .. } | Stage::Queued { .. })
    }

    pub(super) fn is_running(&self) -> bool {
        matches!(self.stage, Stage::Running { .. } | Stage::Halting { .. })
    }

    pub(super) fn is_halting(&self) -> bool {
        matches!(self.stage, Stage::Halting { .. })
    }

    /// Its place among all tasks that were ever queued.
    pub(super) fn place(&self) -> Option<u64> {
        match self.stage {
            Stage::Queued { place, .. } => Some(place),
            _ => None,
        }
    }

    /// Its key that no two tasks have at the same time.
    pub(super) fn key(&self) -> Option<u64> {
        self.order.unique().map(|unique| unique.key())
    }

    /// The key of its lane.
    pub(super) fn lane_key(&self) -> Option<u64> {
        self.order.lane().map(|lane| lane.key())
    }

    /// Whether it counts in its lane: it is unsettled, or its attempt still runs.
    pub(super) fn is_in_lane(&self) -> bool {
        self.stage != Stage::Over || self.placed
    }

    pub(super) fn is_queued(&self) -> bool {
        matches!(self.stage, Stage::Queued { .. })
    }

    pub(super) fn is_orphan(&self) -> bool {
        self.stage == Stage::Over && self.placed
    }

    /// Whether it is settled and its outcome is still here.
    pub(super) fn is_kept(&self) -> bool {
        self.stage == Stage::Over && !self.released
    }

    pub(super) fn owes_to(&self, parting: Parting) -> bool {
        self.parting.contains(&parting)
    }

    pub(super) fn owes(&self) -> bool {
        self.stop || !self.parting.is_empty()
    }

    /// When a queued task is overdue, and the outcome that it gets then.
    pub(super) fn waits_until(&self) -> Option<(Instant, OutcomeKind)> {
        let Stage::Queued { since, .. } = self.stage else { return None };
        let start_by = self.order.timeouts().schedule_to_start.and_then(|d| after(since, d));
        let expires = start_by.map(|at| (at, OutcomeKind::Expired));
        let closes = self.close_by.map(|at| (at, OutcomeKind::TimedOut));
        // `min_by_key` takes the first of equals: schedule-to-start wins.
        expires.into_iter().chain(closes).min_by_key(|(at, _)| *at)
    }

    /// When an attempt that began at this instant times out.
    pub(super) fn closes(&self, since: Instant) -> Option<Instant> {
        let closes = self.order.timeouts().start_to_close.and_then(|d| after(since, d));
        earlier(closes, self.close_by)
    }

    /// When the heartbeat time-out of its attempt, which began at this instant, passes.
    pub(super) fn silent_at(&self, since: Instant) -> Option<Instant> {
        let limit = self.order.timeouts().heartbeat?;
        // In whole milliseconds.
        let limit = match u64::try_from(limit.as_nanos().div_ceil(1_000_000)) {
            Ok(millis) => Duration::from_millis(millis),
            Err(_) => Duration::MAX,
        };
        after(self.told.beat_at.map_or(since, |beat_at| beat_at.max(since)), limit)
    }

    /// When its running attempt is to be reported as slow.
    pub(super) fn slow_at(&self) -> Option<Instant> {
        let Stage::Running { since, .. } = self.stage else { return None };
        self.order.slow_after().filter(|_| !self.told.slow).and_then(|limit| after(since, limit))
    }

    /// When its running attempt times out.
    pub(super) fn deadline_of_attempt(&self) -> Option<Instant> {
        let Stage::Running { since, deadline } = self.stage else { return None };
        earlier(deadline, self.silent_at(since))
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        match self.stage {
            Stage::Delayed { until } | Stage::Backoff { until } => earlier(until, self.close_by),
            Stage::Queued { .. } => self.waits_until().map(|(at, _)| at),
            Stage::Running { .. } => earlier(self.deadline_of_attempt(), self.slow_at()),
            Stage::Halting { .. } => self.close_by,
            Stage::Over => None,
        }
    }
}

impl Task {
    /// Takes out the outcome and the job.
    pub(super) fn take_outcome(&mut self) -> Option<Settled> {
        Some(Settled {
            task: self.id?,
            meta: self.meta,
            attempts: self.attempts,
            waited: self.waited,
            ran: self.ran,
            kind: self.kind?,
            reason: self.reason,
            value: self.value.take(),
            job: self.job.take(),
            callback: None,
            waiter: None,
        })
    }
}

/// The instant `duration` later; `None` if there is none. The last instant counts as never, too.
pub(super) fn after(now: Instant, duration: Duration) -> Option<Instant> {
    now.checked_add(duration).filter(|at| *at < Instant::MAX)
}

pub(super) fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    a.into_iter().chain(b).min()
}
