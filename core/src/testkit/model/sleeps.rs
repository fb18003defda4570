//! The sleeps of attempts.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::{Model, Owner, Task, size};
use crate::testkit::calls::effects::Done;
use crate::testkit::calls::sleeps::{Answer, Call, Slept};
use crate::testkit::flaws::Class;
use crate::{AttemptId, Instant, SleepId, SleepRefusal};

/// All sleeps in the order in which they began, and the sleeps whose waiters are to be woken, in that order.
#[derive(Debug, Default)]
pub(super) struct Sleepers {
    all: Vec<Sleeper>,
    to_wake: VecDeque<SleepId>,
}

#[derive(Debug)]
struct Sleeper {
    id: SleepId,
    /// The task of its attempt; `None` once the attempt is over.
    meta: Option<u32>,
    until: Instant,
    waiter: Option<u32>,
}

impl Sleepers {
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn has_wake(&self) -> bool {
        !self.to_wake.is_empty()
    }

    fn get(&mut self, id: SleepId) -> Option<&mut Sleeper> {
        self.all.iter_mut().find(|sleeper| sleeper.id == id)
    }

    pub(super) fn fall_due(&mut self, id: SleepId) {
        if self.get(id).is_some_and(|sleeper| sleeper.waiter.is_some()) && !self.to_wake.contains(&id) {
            self.to_wake.push_back(id);
        }
    }

    pub(super) fn wake(&mut self) -> Option<Done> {
        let id = self.to_wake.pop_front()?;
        let sleeper = self.get(id)?;
        let waiter = sleeper.waiter.take();
        if sleeper.meta.is_none() {
            self.all.retain(|sleeper| sleeper.id != id);
        }
        waiter.map(Done::Wake)
    }
}

impl Call {
    pub(in crate::testkit) fn predict(&self, model: &mut Model, given: &Answer) -> Answer {
        match *self {
            Self::Sleep { attempt, until, waiter, .. } => model.sleep(attempt, until, waiter, given),
            Self::Resleep { id, waiter, .. } => model.resleep(id, waiter),
            Self::EndSleep { id } => Answer::Ended(model.end_sleep(id)),
        }
    }
}

impl Model {
    fn sleep(&mut self, attempt: AttemptId, until: Instant, waiter: u32, given: &Answer) -> Answer {
        let runs = |task: &&Task| task.attempt == Some(attempt) && task.is_running() && !task.is_halting();
        let Some(meta) = self.tasks.iter().find(runs).map(|task| task.meta) else {
            return Answer::Sleep(Err((SleepRefusal::Over, waiter)));
        };
        let own = size(self.sleeps.all.iter().filter(|sleeper| sleeper.meta == Some(meta)));
        let all = size(self.sleeps.all.iter());
        let each = self.most(self.limits.sleeps, Class::Sleeps);
        if own >= each || all >= self.limits.concurrency * each {
            return Answer::Sleep(Err((SleepRefusal::Full, waiter)));
        }
        let Answer::Sleep(Ok(id)) = *given else {
            self.complain("there is room for a sleep, and it was refused");
            return *given;
        };
        if self.sleeps.get(id).is_some() {
            self.complain("a sleep's id was given out twice");
        }
        self.sleeps.all.push(Sleeper { id, meta: Some(meta), until, waiter: Some(waiter) });
        if until > self.now {
            self.arm(Some(until), Owner::Sleep(id));
        } else {
            self.sleeps.fall_due(id);
        }
        Answer::Sleep(Ok(id))
    }

    fn resleep(&mut self, id: SleepId, waiter: u32) -> Answer {
        let now = self.now;
        let fell_due = !self.timers.has(Owner::Sleep(id));
        Answer::Slept(match self.sleeps.get(id).filter(|sleeper| sleeper.meta.is_some()) {
            None => Slept::Gone(waiter),
            Some(sleeper) if !fell_due && sleeper.until > now => {
                Slept::Sleeping(sleeper.waiter.replace(waiter))
            }
            Some(_) => Slept::Over(waiter, self.end_sleep(id).flatten()),
        })
    }

    fn end_sleep(&mut self, id: SleepId) -> Option<Option<u32>> {
        let at = self.sleeps.all.iter().position(|sleeper| sleeper.id == id && sleeper.meta.is_some())?;
        self.disarm(Owner::Sleep(id));
        self.sleeps.to_wake.retain(|&other| other != id);
        Some(self.sleeps.all.remove(at).waiter)
    }

    /// Ends the sleeps of this task's attempt, which is over; their waiters are woken.
    pub(super) fn end_sleeps(&mut self, meta: u32) {
        let own = self.sleeps.all.iter().filter(|sleeper| sleeper.meta == Some(meta));
        let own: Vec<SleepId> = own.map(|sleeper| sleeper.id).collect();
        for id in own {
            self.disarm(Owner::Sleep(id));
            self.sleeps.fall_due(id);
            if let Some(sleeper) = self.sleeps.get(id) {
                sleeper.meta = None;
            }
        }
        self.sleeps.all.retain(|sleeper| sleeper.meta.is_some() || sleeper.waiter.is_some());
    }
}
