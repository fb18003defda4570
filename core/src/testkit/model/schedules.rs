//! Schedules.

use alloc::vec::Vec;

use super::comparison::Comparison;
use super::{Model, Owner, size};
use crate::testkit::calls::schedules::{Answer, Call};
use crate::testkit::flaws::{Class, Flaw};
use crate::testkit::token::Kit;
use crate::{Due, Instant, Missed, Overlap, Phase, Processor, Schedule, ScheduleId, ScheduleRefusal};

/// All schedules, oldest first, and those that owe an effect, in the order in which they fell due.
#[derive(Debug, Default)]
pub(super) struct Calendar {
    all: Vec<Planned>,
    due: Vec<ScheduleId>,
}

#[derive(Debug)]
struct Planned {
    id: ScheduleId,
    /// In nanoseconds; zero without a period.
    every: u128,
    jitter: u64,
    schedule: Schedule,
    next: Option<Instant>,
    /// How many instants have passed without an effect since the last one.
    passed: u64,
    /// Whether its work is not over and has to be.
    works: bool,
}

impl Calendar {
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn is_any_due(&self) -> bool {
        !self.due.is_empty()
    }

    pub(super) fn fall_due(&mut self, id: ScheduleId) {
        self.due.push(id);
    }

    fn get(&mut self, id: ScheduleId) -> Option<&mut Planned> {
        self.all.iter_mut().find(|planned| planned.id == id)
    }
}

impl Planned {
    /// The instant so many periods after this one.
    fn later(&self, from: Instant, periods: u128) -> Option<Instant> {
        let nanos = u64::try_from(u128::from(from.as_nanos()) + periods * self.every).ok()?;
        (self.every > 0).then_some(Instant::from_nanos(nanos))
    }

    /// How many periods fit between two instants.
    fn periods(&self, from: Instant, to: Instant) -> u128 {
        u128::from(to.as_nanos() - from.as_nanos()).checked_div(self.every).unwrap_or(0)
    }
}

impl Call {
    pub(in crate::testkit) fn predict(&self, model: &mut Model, given: &Answer) -> Answer {
        match *self {
            Self::Schedule { schedule, .. } => model.schedule(schedule, given),
            Self::Done { id, .. } => Answer::Was(model.end_work(id)),
            Self::Reschedule { id, at, .. } => Answer::Was(model.move_schedule(id, at)),
            Self::Unschedule { id } => Answer::Was(model.unschedule(id)),
        }
    }
}

impl Model {
    fn schedule(&mut self, schedule: Schedule, given: &Answer) -> Answer {
        if self.phase != Phase::Open {
            return Answer::Schedule(Err(ScheduleRefusal::Closed));
        }
        if size(self.calendar.all.iter()) >= self.most(self.limits.schedules, Class::Schedules) {
            return Answer::Schedule(Err(ScheduleRefusal::Full));
        }
        let Answer::Schedule(Ok(id)) = *given else {
            self.complain("there is room for a schedule, and it was refused");
            return *given;
        };
        if self.calendar.get(id).is_some() {
            self.complain("a schedule's id was given out twice");
        }
        let every = schedule.every.as_nanos().min(u64::MAX.into());
        let most = if every == 0 { schedule.jitter } else { schedule.jitter.min(schedule.every) };
        let jitter = u64::try_from(most.as_nanos()).unwrap_or(u64::MAX);
        let mut planned = Planned { id, every, jitter, schedule, next: None, passed: 0, works: false };
        planned.next = match schedule.first_after {
            Some(delay) => self.now.checked_add(delay),
            None => planned.later(self.now, 1),
        };
        self.calendar.all.push(planned);
        self.arm_schedule(id);
        Answer::Schedule(Ok(id))
    }

    /// The timer comes after the next instant by the jitter.
    fn arm_schedule(&mut self, id: ScheduleId) {
        self.timers.disarm(Owner::Schedule(id));
        let Some((next, jitter)) =
            self.calendar.get(id).and_then(|planned| Some((planned.next?, planned.jitter)))
        else {
            return;
        };
        let late = if jitter > 0 { self.rng.u64(..jitter) } else { 0 };
        self.arm(Some(next.saturating_add(core::time::Duration::from_nanos(late))), Owner::Schedule(id));
    }

    pub(super) fn take_due(&mut self) -> Option<Due> {
        let (now, drifts) = (self.now, self.has(Flaw::LetsGridsDrift));
        if self.calendar.due.is_empty() {
            return None;
        }
        let schedule = self.calendar.due.remove(0);
        let overlaps = self.has(Flaw::OverlapsWork);
        let planned = self.calendar.get(schedule)?;
        let first = planned.next?;
        let (mut at, mut missed) = (first, 0);
        if planned.schedule.missed == Missed::Skip {
            let periods = planned.periods(first, now);
            at = planned.later(first, periods).unwrap_or(first);
            missed = u64::try_from(periods).unwrap_or(u64::MAX).saturating_add(planned.passed);
        }
        planned.passed = 0;
        planned.next = match planned.schedule.missed {
            Missed::Skip if !drifts => planned.later(at, 1),
            _ => planned.later(now, 1),
        };
        planned.works = planned.schedule.overlap == Overlap::Skip && !overlaps;
        if !planned.works {
            self.arm_schedule(schedule);
        }
        Some(Due { schedule, at, missed })
    }

    fn end_work(&mut self, id: ScheduleId) -> bool {
        let (now, forgets) = (self.now, self.has(Flaw::ForgetsMissed));
        let Some(planned) = self.calendar.get(id).filter(|planned| planned.works) else { return false };
        planned.works = false;
        match (planned.schedule.missed, planned.next) {
            (Missed::Delay, _) => planned.next = planned.later(now, 1),
            (_, Some(next)) if next <= now => {
                let behind = planned.periods(next, now) + 1;
                planned.next = planned.later(next, behind);
                if !forgets {
                    planned.passed = planned.passed.saturating_add(u64::try_from(behind).unwrap_or(u64::MAX));
                }
            }
            _ => {}
        }
        self.arm_schedule(id);
        true
    }

    fn move_schedule(&mut self, id: ScheduleId, at: Instant) -> bool {
        let Some(planned) = self.calendar.get(id) else { return false };
        planned.next = Some(at);
        planned.works = false;
        self.calendar.due.retain(|other| *other != id);
        self.arm_schedule(id);
        true
    }

    fn unschedule(&mut self, id: ScheduleId) -> bool {
        let existed = self.calendar.get(id).is_some();
        self.disarm(Owner::Schedule(id));
        self.calendar.all.retain(|planned| planned.id != id);
        self.calendar.due.retain(|other| *other != id);
        existed
    }

    /// The drain ends the oldest schedule.
    pub(super) fn end_oldest_schedule(&mut self) -> Option<ScheduleId> {
        let id = self.calendar.all.first()?.id;
        self.remains.schedules += 1;
        self.unschedule(id);
        Some(id)
    }

    pub(super) fn compare_schedules(&self, machine: &Processor<Kit>, found: &mut Comparison) {
        for planned in &self.calendar.all {
            let next = planned.next.filter(|_| !planned.works);
            found.of("next of a schedule", &next, &machine.next_of_schedule(planned.id));
            let stranger = ScheduleId::from_bits(super::getters::strange(planned.id.to_bits()));
            found.of("next of a stranger", &None, &stranger.and_then(|id| machine.next_of_schedule(id)));
        }
    }
}
