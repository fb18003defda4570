//! What happens by itself.

use super::{Model, Owner, Stage, Task, Timer, tick};
use crate::testkit::Flaw;
use crate::testkit::answer::Answer;
use crate::{Instant, OutcomeKind, Reason, Wake};

impl Model {
    /// The timer that fires next.
    fn first_timer(&self) -> Option<Timer> {
        self.timers.iter().copied().min_by_key(|timer| (tick(timer.at), timer.armed))
    }

    /// When the next timer fires: its deadline rounded up to a millisecond.
    pub(super) fn next_firing(&self) -> Option<Instant> {
        self.first_timer().map(|timer| Instant::from_millis(tick(timer.at)))
    }

    fn timer_is_due(&self) -> bool {
        self.next_firing().is_some_and(|at| at <= self.now)
    }

    pub(super) fn is_due(&self) -> bool {
        self.timer_is_due() || self.end_goes_on()
    }

    /// One unit of the budget is a timer, a step of the end, or a move in the machine's wheel, which the model
    /// knows nothing about. So the budget is either ample, or the host says before the call whether the next
    /// unit is such a move.
    pub(super) fn advance(&mut self, budget: u32, moves: bool, given: &Answer) -> Answer {
        let Answer::Progress { used, more } = *given else {
            return Answer::Progress { used: 0, more: false };
        };
        let armed = self.armed_ever + self.timers.len() as u64;
        let mut did = u32::from(moves);
        while did < budget && self.timer_is_due() {
            self.fire_first();
            did += 1;
        }
        let mut steps = self.walk(budget - did.min(budget));
        steps += did;
        // Each timer moves at most once a level of the wheel.
        let moved = u64::from(used.saturating_sub(steps));
        let ample = budget >= super::super::AMPLE;
        let is_allowed = if ample { moved <= 7 * (armed + self.armed_ever) } else { moved == 0 };
        let used = if used >= steps && is_allowed { used } else { steps };
        Answer::Progress { used, more: self.is_due() || (!ample && more) }
    }

    fn fire_first(&mut self) {
        if let Some(timer) = self.first_timer() {
            self.timers.retain(|other| *other != timer);
            self.fire(timer);
            self.note_highest();
        }
    }

    fn fire(&mut self, timer: Timer) {
        match timer.owner {
            Owner::Task(meta) => self.fire_task(meta),
            Owner::Health => {
                let (next, missed) = self.next_interval(timer.at, self.limits.health_every);
                self.arm(next, Owner::Health);
                self.check_health(missed);
            }
            Owner::Sweep => {
                let (next, _) = self.next_interval(timer.at, self.limits.sweep_every);
                self.arm(next, Owner::Sweep);
                self.sweep_due = true;
            }
            Owner::Drain => self.end_now(!self.is_quiet()),
            Owner::Sleep(id) => self.sleeps.fall_due(id),
        }
    }

    fn fire_task(&mut self, meta: u32) {
        let now = self.now;
        let Some(task) = self.task(meta) else { return };
        match task.stage {
            Stage::Delayed { until } | Stage::Backoff { until } => {
                // At the last instant there is, all that lies beyond it has come, too.
                if until.unwrap_or(Instant::MAX) <= now {
                    self.queue(meta);
                } else {
                    self.settle(meta, OutcomeKind::TimedOut, None);
                }
            }
            Stage::Queued { .. } => {
                let kind = task.waits_until().map_or(OutcomeKind::Expired, |(_, kind)| kind);
                self.settle(meta, kind, None);
            }
            Stage::Running { since, .. } => match self.has_time_for_another(meta) {
                true => self.halt(meta, since),
                false => self.settle(meta, OutcomeKind::TimedOut, None),
            },
            Stage::Halting { .. } => self.settle(meta, OutcomeKind::TimedOut, None),
            Stage::Over => self.complain("a settled task has a timer"),
        }
    }

    /// The first of `due + every`, `due + 2 * every`, … that lies ahead, and how many lie behind.
    fn next_interval(&self, due: Instant, every: Option<core::time::Duration>) -> (Option<Instant>, u64) {
        let Some(every) = every.and_then(|every| u64::try_from(every.as_nanos()).ok()) else {
            return (None, 0);
        };
        let behind = self.now.as_nanos().saturating_sub(due.as_nanos()).checked_div(every).unwrap_or(0);
        let ahead = (behind + 1).checked_mul(every).map(core::time::Duration::from_nanos);
        (ahead.and_then(|ahead| due.checked_add(ahead)), behind)
    }

    /// What is wrong with this wake-up, if anything.
    pub(super) fn fault_in_wake(&self, wake: Wake) -> Option<&'static str> {
        let next = self.next_firing();
        if self.has_effect() {
            return (wake != Wake::Now(Reason::Effect))
                .then_some("an effect is pending, but the host is not called");
        }
        if self.startable() > 0 {
            return (wake != Wake::Now(Reason::Start))
                .then_some("a task can start, but the host is not called");
        }
        if self.end_goes_on() {
            return (wake != Wake::Now(Reason::End)).then_some("the end goes on, but the host is not called");
        }
        match (wake, next) {
            (Wake::Now(_), next) => match next {
                Some(next) if next <= self.now => None,
                _ => Some("the host is called for nothing"),
            },
            (Wake::At(at, _), Some(next)) => (at > next).then_some("the host is called too late"),
            (Wake::At(..), None) => Some("the host is called although nothing is armed"),
            (Wake::Never, Some(_)) => Some("the host is never called although a timer is armed"),
            (Wake::Never, None) => None,
        }
    }

    pub(super) fn startable(&self) -> u32 {
        self.count(Task::is_queued).min(self.free())
    }

    pub(super) fn is_late(&self, deadline: Instant) -> bool {
        if self.has(Flaw::ExpiresEarly) { self.now >= deadline } else { self.now > deadline }
    }
}
