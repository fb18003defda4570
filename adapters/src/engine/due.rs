//! Schedules, from the outside of the lock: what a worker does when one is due, or its task is settled.

use plimsoll_core::{Instant, Offer, Phase, Refused, Route, ScheduleId, ScheduleRefusal};

use super::machine::Shared;
use super::schedules::{Entry, MakerOf, Runner, ScheduleKey};
use super::state::State;
use crate::carried::{Carried, only_job};
use crate::options::Options;
use crate::panics::{catch, discard_panic};
use crate::recipient::{Inside, Recipient};
use crate::trace::Origin;
use crate::when::{Due, ScheduleStats, When};
use crate::work::AnyWork;

/// How a schedule goes on after it was due.
enum Made<J> {
    /// With this job.
    Job(J),
    /// Its function has panicked.
    Panic,
    /// The time has not come, by the calendar's own clock.
    TooEarly,
}

impl<W: AnyWork> Shared<W> {
    /// Begins a schedule.
    pub(crate) fn schedule(
        &self,
        when: When,
        options: &Options<W::Meta>,
        maker: Box<MakerOf<W>>,
    ) -> Result<ScheduleId, ScheduleRefusal> {
        let When { schedule, mut calendar } = when;
        let now = self.now();
        let first = calendar.as_mut().and_then(|calendar| calendar.next(now, false));
        let entry = Entry::new(
            Runner { maker, calendar },
            schedule.overlaps(),
            options.meta,
            self.defaults.with(options),
        );
        let begun = self.change(|state| match state.machine.schedule(now, &schedule) {
            Ok(id) => {
                if let Some(at) = first {
                    state.machine.reschedule(now, id, at);
                }
                state.schedules.insert(id, entry);
                Ok(id)
            }
            Err(reason) => Err((reason, entry)),
        });
        begun.map_err(|(reason, entry)| {
            self.discard(entry);
            reason
        })
    }

    /// Ends a schedule. Whether it existed.
    pub(crate) fn unschedule(&self, id: ScheduleId) -> bool {
        let (existed, runner) =
            self.change(|state| (state.machine.unschedule(id), state.schedules.remove(id)));
        self.discard_runner(runner);
        existed
    }

    /// What has become of the times of a schedule.
    pub(crate) fn schedule_stats(&self, id: ScheduleId) -> Option<ScheduleStats> {
        self.lock().schedules.stats(id)
    }

    /// The machine has ended a schedule.
    pub(super) fn forget_schedule(&self, id: ScheduleId) {
        let runner = self.lock().schedules.remove(id);
        self.discard_runner(runner);
    }

    /// A schedule is due: calls its function and submits the job.
    pub(super) fn run_due(&self, due: plimsoll_core::Due) {
        let mut due = Due::of(due);
        let runner = {
            let mut state = self.lock();
            if state.machine.phase() == Phase::Open { state.schedules.take_runner(due) } else { None }
        };
        let Some(mut runner) = runner else { return };
        let made = self.make(&mut due, &mut runner);
        let now = self.now();
        let next = runner.calendar.as_mut().and_then(|calendar| calendar.next(now, false));
        let (left, rest) = self.change(|state| {
            let rest = state.go_on(&due, made, now, next);
            (state.schedules.give_back(due.schedule, runner), rest)
        });
        self.discard_runner(left);
        self.discard(rest);
    }

    /// The job for this time.
    fn make(&self, due: &mut Due, runner: &mut Runner<W>) -> Made<W::Job> {
        if let Some(calendar) = &mut runner.calendar {
            let Some(occurrence) = calendar.fall_due() else { return Made::TooEarly };
            due.time = Some(occurrence.time);
            due.missed = occurrence.missed;
        }
        match catch(|| (runner.maker)(*due)) {
            Ok(job) => Made::Job(job),
            Err(panic) => {
                discard_panic(panic);
                self.note_panics(1);
                Made::Panic
            }
        }
    }

    /// The task of a schedule is settled.
    pub(super) fn end_work(&self, key: ScheduleKey) {
        let now = self.now();
        let ended = self.change(|state| {
            let (id, runner) = state.schedules.end_work(key)?;
            if runner.is_none() {
                state.machine.schedule_done(now, id);
            }
            runner.map(|runner| (id, runner))
        });
        let Some((id, mut runner)) = ended else { return };
        let next = runner.calendar.as_mut().and_then(|calendar| calendar.next(now, true));
        let left = self.change(|state| {
            if let Some(at) = next {
                state.machine.reschedule(now, id, at);
            }
            state.schedules.give_back(id, runner)
        });
        self.discard_runner(left);
    }

    fn discard_runner(&self, runner: Option<Runner<W>>) {
        if let Some(Runner { maker, calendar }) = runner {
            self.discard(maker);
            self.discard(calendar);
        }
    }

    /// How many schedules there are, those that have ended and have a task that is not settled included.
    #[cfg(test)]
    pub(crate) fn count_schedules(&self) -> usize {
        self.lock().schedules.len()
    }
}

impl<W: AnyWork> State<W> {
    /// Submits what was made for a schedule, and lets the schedule go on: now, or when that task is settled. The job comes
    /// back if it is refused.
    fn go_on(
        &mut self,
        due: &Due,
        made: Made<W::Job>,
        now: Instant,
        next: Option<Instant>,
    ) -> Option<W::Job> {
        let id = due.schedule;
        let (Some(key), Some(entry)) = (self.schedules.key(id), self.schedules.get(id)) else {
            // It was ended meanwhile.
            return made.job();
        };
        entry.stats.note_missed(due.missed);
        let mut refused = None;
        match made {
            Made::TooEarly => {}
            Made::Panic => entry.stats.panicked = entry.stats.panicked.saturating_add(1),
            Made::Job(job) => {
                let route = match entry.overlaps {
                    true => Route::Nowhere,
                    false => Route::Callback(Recipient::Inside(Inside::Schedule(key))),
                };
                let offer = Offer::new(Carried::new(job, Origin::inside(now)), entry.meta).route(route);
                let submitted = match entry.terms {
                    Ok(terms) => self.machine.submit(now, offer, &terms),
                    Err(reason) => Err(Refused::new(reason, offer)),
                };
                match submitted {
                    Ok(_) => {
                        entry.stats.submitted = entry.stats.submitted.saturating_add(1);
                        entry.works = !entry.overlaps;
                    }
                    Err(back) => {
                        entry.stats.refused = entry.stats.refused.saturating_add(1);
                        entry.stats.last_refusal = Some(back.reason);
                        // Its origin is no span.
                        refused = Some(only_job(back).into_value());
                    }
                }
            }
        }
        if entry.works {
            return refused;
        }
        match next {
            Some(at) => self.machine.reschedule(now, id, at),
            None => self.machine.schedule_done(now, id),
        };
        refused
    }
}

impl<J> Made<J> {
    fn job(self) -> Option<J> {
        match self {
            Self::Job(job) => Some(job),
            Self::Panic | Self::TooEarly => None,
        }
    }
}
