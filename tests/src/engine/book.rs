//! What is known of every task, and which outcomes are possible after that.

use std::time::Duration;

use plimsoll::{AttemptId, Instant, OutcomeKind, TaskId};

use super::plan::{End, Order, Way};

/// Whether outcomes that are fixed reach their handles after the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Discards {
    #[default]
    No,
    Maybe,
    Yes,
}

/// How far the processor is from its end, as far as a script can know.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ending {
    /// It takes nothing in any more.
    pub(super) is_closing: bool,
    /// What is unsettled may be cancelled from this instant on.
    pub(super) cancels_from: Option<Instant>,
    pub(super) discards: Discards,
    /// The runtime is gone.
    pub(super) is_killed: bool,
    /// The owner is gone: dropped, or shut down.
    pub(super) is_orphaned: bool,
}

impl Ending {
    /// It is aborted now, or was before.
    pub(super) fn cancel(&mut self, now: Instant) {
        self.is_closing = true;
        self.cancels_from = Some(self.cancels_from.map_or(now, |from| from.min(now)));
    }

    /// Whether what was unsettled may be cancelled by the end.
    pub(super) fn has_come(&self, now: Instant) -> bool {
        self.cancels_from.is_some_and(|from| from <= now)
    }
}

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
    id: AttemptId,
    number: u32,
    called: Instant,
    end: Option<Closing>,
}

impl Attempt {
    fn counts(&self) -> bool {
        self.end != Some(Closing::Snoozed)
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

#[derive(Debug)]
pub(super) struct Task {
    pub(super) order: Order,
    pub(super) way: Way,
    pub(super) entry: Entry,
    pub(super) id: Option<TaskId>,
    submitted: Instant,
    attempts: Vec<Attempt>,
    clone_panicked: bool,
    cancelled: Option<Instant>,
    /// An attempt has ended in time, so that no other outcome is possible, unless it was cancelled at this instant.
    fixed: Option<(OutcomeKind, Instant)>,
    settled: Option<(OutcomeKind, Instant)>,
    /// Whether a callback, a handle or a result has told the outcome.
    is_told: bool,
}

/// All tasks of a run, in order of submission, and how it ends.
#[derive(Debug, Default)]
pub(super) struct Book {
    pub(super) tasks: Vec<Task>,
    pub(super) ending: Ending,
    /// As far as the processor knows.
    pub(super) has_several_threads: bool,
    /// Whether a full queue sheds tasks.
    pub(super) overflows: bool,
}

type Answer = Result<(), String>;

fn ensure(holds: bool, what: impl FnOnce() -> String) -> Answer {
    if holds { Ok(()) } else { Err(what()) }
}

impl Book {
    pub(super) fn open(&mut self, order: Order, way: Way, now: Instant) -> u32 {
        let task = Task {
            order,
            way,
            entry: Entry::Waiting,
            id: None,
            submitted: now,
            attempts: Vec::new(),
            clone_panicked: false,
            cancelled: None,
            fixed: None,
            settled: None,
            is_told: false,
        };
        self.tasks.push(task);
        self.tasks.len() as u32 - 1
    }

    pub(super) fn admit(&mut self, task: u32, id: Option<TaskId>, now: Instant) {
        let task = self.task(task);
        task.submitted = now;
        task.entry = Entry::Admitted;
        task.id = id;
    }

    /// How many tasks were taken in for a completion queue, and have not told their outcome.
    pub(super) fn untold_in_queues(&self) -> u32 {
        let is_in_queue =
            |task: &&Task| task.way == Way::Queue && task.entry == Entry::Admitted && !task.is_told();
        self.tasks.iter().filter(is_in_queue).count() as u32
    }

    pub(super) fn refuse(&mut self, task: u32) {
        self.task(task).entry = Entry::Refused;
    }

    pub(super) fn task(&mut self, task: u32) -> &mut Task {
        &mut self.tasks[task as usize]
    }

    pub(super) fn note_clone_panic(&mut self, task: u32) {
        self.task(task).clone_panicked = true;
    }

    /// A handler is called for an attempt at a task.
    pub(super) fn call(&mut self, task: u32, id: AttemptId, number: u32, now: Instant) -> Answer {
        // One that a worker had taken before may be called while another worker is to tell it of its end.
        let overlap = self.has_several_threads.then_some(now);
        let task = self.task(task);
        let running = task.attempts.last().is_some_and(|last| last.end.is_none());
        ensure(!running, || "two attempts at a task at a time".into())?;
        ensure(task.entry != Entry::Refused, || "a refused task is started".into())?;
        let is_over = task.settled.is_some_and(|(_, at)| Some(at) != overlap);
        ensure(!is_over, || "a settled task is started".into())?;
        let close_by = task.close_by();
        ensure(now <= close_by, || format!("started at {now:?}, which is overdue since {close_by:?}"))?;
        ensure(task.attempts.iter().all(|one| one.id != id), || format!("attempt {id:?} is called twice"))?;
        let next = task.attempts.last().map_or(1, |last| last.number + u32::from(last.counts()));
        task.attempts.push(Attempt { id, number, called: now, end: None });
        ensure(number == next && number <= task.order.tries(), || format!("attempt {number} at {task:?}"))
    }

    /// An attempt ends.
    pub(super) fn close(&mut self, number: u32, attempt: AttemptId, how: Closing, now: Instant) {
        let has_come = self.ending.has_come(now);
        let task = self.task(number);
        let limit = task.order.timeouts().start_to_close;
        let (tries, close_by) = (task.order.tries(), task.close_by());
        let Some(ended) = task.attempts.iter_mut().find(|one| one.id == attempt) else { return };
        let is_last = ended.number == tries;
        ended.end = Some(how);
        let by = limit.map_or(Instant::MAX, |limit| ended.called.saturating_add(limit)).min(close_by);
        let counts = now < by && task.cancelled.is_none() && !has_come && task.settled.is_none();
        let kind = match how {
            Closing::Returned => OutcomeKind::Completed,
            Closing::Failed if is_last => OutcomeKind::Failed,
            Closing::Panicked if is_last || !task.order.retries_panics() => OutcomeKind::Panicked,
            _ => return,
        };
        if counts {
            task.fixed = Some((kind, now));
        }
    }

    /// Somebody has cancelled a task, and was told that this was in time.
    pub(super) fn cancel(&mut self, task: u32, now: Instant) -> Answer {
        let task = self.task(task);
        if let Some((kind, at)) = task.fixed {
            ensure(now == at, || format!("cancelled at {now:?}, but it was {kind} at {at:?}"))?;
            task.fixed = None;
        }
        ensure(task.settled.is_none(), || format!("cancelled, but it was {:?}", task.settled))?;
        task.cancelled.get_or_insert(now);
        Ok(())
    }

    /// A handle that cancels is dropped, and nobody tells whether that was in time.
    pub(super) fn cancel_if_in_time(&mut self, task: u32, now: Instant) {
        let task = self.task(task);
        let is_in_time = task.settled.is_none() && task.fixed.is_none_or(|(_, at)| at == now);
        if is_in_time {
            task.fixed = None;
            task.cancelled.get_or_insert(now);
        }
    }

    /// The outcome of a task is known, by an event or by whoever got it.
    pub(super) fn settle(&mut self, number: u32, kind: OutcomeKind, now: Instant) -> Answer {
        let (ending, overflows) = (self.ending, self.overflows);
        ensure(overflows || kind != OutcomeKind::Shed, || "shed, where a full queue refuses".into())?;
        let task = self.task(number);
        ensure(task.entry != Entry::Refused, || "a refused task is settled".into())?;
        if let Some((earlier, _)) = task.settled {
            return ensure(earlier == kind, || format!("first {earlier}, then {kind}"));
        }
        task.settled = Some((kind, now));
        if let Some((fixed, at)) = task.fixed {
            let by_end = kind == OutcomeKind::Cancelled && ending.cancels_from == Some(at);
            ensure(fixed == kind || by_end, || format!("{kind}, but it had {fixed} at {at:?}"))?;
        }
        ensure(task.may_be(kind, now, &ending), || {
            format!("it cannot be {kind} at {now:?}: {task:?}, {ending:?}")
        })
    }

    /// A callback, a handle or a result tells the outcome, which nobody else does.
    pub(super) fn tell(&mut self, task: u32, kind: OutcomeKind, now: Instant) -> Answer {
        self.settle(task, kind, now)?;
        let told = std::mem::replace(&mut self.task(task).is_told, true);
        ensure(!told, || "the outcome is told twice".into())
    }

    /// Somebody is told how many attempts at a task were started. Not for each of them a handler was called.
    pub(super) fn has_started(&self, task: u32, attempts: u32) -> Answer {
        let task = &self.tasks[task as usize];
        let is_right = (task.tried()..=task.order.tries()).contains(&attempts);
        ensure(is_right, || format!("{attempts} attempts are told of at {task:?}"))
    }

    /// Whether the attempts at a task are in vain, though they may not have been told yet.
    pub(super) fn is_unwanted(&self, task: u32, now: Instant) -> bool {
        let task = &self.tasks[task as usize];
        let is_overdue = task.overdue_since().is_some_and(|by| by <= now);
        is_overdue || task.cancelled.is_some() || task.settled.is_some() || self.ending.has_come(now)
    }

    /// How many attempts at a task were snoozed.
    pub(super) fn snoozes(&self, task: u32) -> u32 {
        let task = &self.tasks[task as usize];
        task.attempts.iter().filter(|attempt| !attempt.counts()).count() as u32
    }

    pub(super) fn admitted(&self) -> u64 {
        self.tasks.iter().filter(|task| task.entry == Entry::Admitted).count() as u64
    }
}

impl Task {
    /// When it times out whatever it does.
    fn close_by(&self) -> Instant {
        self.by(self.order.timeouts().schedule_to_close)
    }

    fn by(&self, limit: Option<Duration>) -> Instant {
        limit.map_or(Instant::MAX, |limit| self.submitted.saturating_add(limit))
    }

    /// How many attempts count, of those whose handlers were called.
    fn tried(&self) -> u32 {
        self.attempts.iter().filter(|attempt| attempt.counts()).count() as u32
    }

    /// Whether it was snoozed for longer than there is time.
    fn snoozes_too_long(&self, now: Instant) -> bool {
        let End::Snoozes(_, delay) = self.order.end() else { return false };
        let ready_at = now.saturating_add(delay);
        self.has_ended(Closing::Snoozed) && (ready_at > self.close_by() || ready_at == Instant::MAX)
    }

    fn has_ended(&self, how: Closing) -> bool {
        self.attempts.iter().any(|attempt| attempt.end == Some(how))
    }

    fn may_be(&self, kind: OutcomeKind, now: Instant, ending: &Ending) -> bool {
        let timeouts = self.order.timeouts();
        // No try begins at the end of time, and these backoffs are shorter than a minute.
        let is_last_minute = now.saturating_add(Duration::from_secs(60)) == Instant::MAX;
        let no_more = self.tried() == self.order.tries()
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
                self.close_by() <= now || self.attempts.iter().any(late) || self.snoozes_too_long(now)
            }
            OutcomeKind::Cancelled => self.cancelled.is_some() || ending.has_come(now),
            OutcomeKind::Expired => self.by(timeouts.schedule_to_start) <= now,
            OutcomeKind::Shed => self.attempts.iter().all(|attempt| attempt.end.is_some()),
            _ => false,
        }
    }

    /// Whether it was cancelled, but no outcome is known.
    pub(super) fn is_lost(&self) -> bool {
        self.cancelled.is_some() && self.settled.is_none()
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
        self.by(Some(self.order.delay()))
    }

    /// Since when it should have been settled, if it should.
    pub(super) fn overdue_since(&self) -> Option<Instant> {
        let limit = self.order.timeouts().schedule_to_start.filter(|_| self.is_to_start());
        let start_by = limit.map_or(Instant::MAX, |limit| self.ready_at().saturating_add(limit));
        let running = self.attempts.last().filter(|last| last.end.is_none());
        let limit = self.order.timeouts().start_to_close;
        let by =
            running.zip(limit).map_or(Instant::MAX, |(running, limit)| running.called.saturating_add(limit));
        Some(by.min(self.close_by()).min(start_by)).filter(|by| *by != Instant::MAX)
    }
}
