//! What is known of all tasks of a script, and of the end of its processor.

use plimsoll::{AttemptId, CancelReason, Instant, OutcomeKind, TaskId};

use super::answer::{Answer, ensure};
use super::ending::Ending;
use super::plan::{Order, Way};
use super::task::{Attempt, Closing, Entry, Keyed, Task};

/// All tasks of a run, in order of submission, and how it ends.
#[derive(Debug, Default)]
pub(super) struct Book {
    pub(super) tasks: Vec<Task>,
    pub(super) ending: Ending,
    /// As far as the processor knows.
    pub(super) has_several_threads: bool,
    /// Whether a full queue sheds tasks.
    pub(super) overflows: bool,
    /// How many tasks with keys were taken in.
    pub(super) entered: u64,
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
            keyed: Keyed::default(),
            cleared: None,
            clone_panicked: false,
            cancelled: None,
            fixed: None,
            settled: None,
            is_announced: false,
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

    /// A task that a schedule has made was taken in, when it was made.
    pub(super) fn come_from_schedule(&mut self, task: u32, id: TaskId) {
        let at = self.task(task).submitted;
        self.admit(task, Some(id), at);
        self.enter_key(task, None, false);
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
        self.ensure_alone(task)?;
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
        task.attempts.push(Attempt { id, number, called: now, beat_at: now, is_slow: false, end: None });
        ensure(number == next && number <= task.order.tries(), || format!("attempt {number} at {task:?}"))
    }

    /// An attempt ends.
    pub(super) fn close(&mut self, number: u32, attempt: AttemptId, how: Closing, now: Instant) {
        let has_come = self.ending.has_come(now);
        self.release_behind(number, now);
        let task = self.task(number);
        let limit = task.order.timeouts().start_to_close;
        let heartbeat = task.order.timeouts().heartbeat;
        let (tries, close_by) = (task.order.tries(), task.close_by());
        let Some(ended) = task.attempts.iter_mut().find(|one| one.id == attempt) else { return };
        let is_last = ended.number == tries;
        ended.end = Some((how, now));
        let by_silence = ended.silent_at(heartbeat);
        let by = limit
            .map_or(Instant::MAX, |limit| ended.called.saturating_add(limit))
            .min(close_by)
            .min(by_silence);
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
        let is_replaced = task.keyed.superseded.is_some() || task.cleared.is_some();
        ensure(!is_replaced || kind == OutcomeKind::Cancelled, || {
            format!("{kind}, but it was superseded or cleared: {task:?}")
        })?;
        if let Some((fixed, at)) = task.fixed {
            let by_end = kind == OutcomeKind::Cancelled && ending.cancels_from == Some(at);
            ensure(fixed == kind || by_end, || format!("{kind}, but it had {fixed} at {at:?}"))?;
        }
        let has_later = self.may_be_superseded(number);
        let task = self.task(number);
        ensure(task.may_be(kind, now, &ending, has_later), || {
            format!("it cannot be {kind} at {now:?}: {task:?}, {ending:?}")
        })
    }

    /// An event tells that a task is settled. None tells it again.
    pub(super) fn announce(&mut self, task: u32, kind: OutcomeKind, now: Instant) -> Answer {
        let was_announced = std::mem::replace(&mut self.task(task).is_announced, true);
        ensure(!was_announced, || "two events tell that it is settled".into())?;
        self.settle(task, kind, now)
    }

    /// The reason with which a task is cancelled.
    pub(super) fn check_reason(&self, number: u32, reason: Option<CancelReason>, now: Instant) -> Answer {
        let task = &self.tasks[number as usize];
        let is_right = match reason {
            Some(CancelReason::SUPERSEDED) => self.may_be_superseded(number),
            Some(CancelReason::CLEARED) => task.cleared.is_some(),
            Some(_) => self.ending.has_come(now),
            None => task.cancelled.is_some() || self.ending.has_come(now),
        };
        ensure(is_right, || format!("cancelled for {reason:?}: {task:?}"))
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

    /// How many tasks schedules have made of which it is not known whether they were taken in.
    pub(super) fn unknown_of_schedules(&self) -> u64 {
        let is_unknown = |task: &&Task| task.way == Way::Schedule && task.entry == Entry::Waiting;
        self.tasks.iter().filter(is_unknown).count() as u64
    }

    pub(super) fn admitted(&self) -> u64 {
        self.tasks.iter().filter(|task| task.entry == Entry::Admitted).count() as u64
    }
}
