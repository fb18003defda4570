//! What a host remembers of the answers.

use alloc::vec::Vec;

use crate::testkit::calls::effects::{Done, Settled};
use crate::testkit::calls::gate::Started;
use crate::testkit::calls::sources::Arrived;
use crate::testkit::calls::{
    Answer, classes, effects, emitters, gate, permits, schedules, sleeps, sources, submissions, subscribers,
};
use crate::{
    AttemptId, DeliveryId, EmitterId, PermitId, ScheduleId, SleepId, SourceId, SubscriberId, TaskId,
};

/// What a host remembers of the answers: ids, what it runs, and what it has in hand.
#[derive(Debug, Default)]
pub(in crate::testkit) struct Memory {
    pub(in crate::testkit) ids: Ids,
    /// Attempts that the host runs, each with its job.
    pub(super) running: Vec<(AttemptId, u32)>,
    /// Attempts that were asked to stop.
    pub(super) stopping: Vec<AttemptId>,
    /// Outcomes that the host is observing.
    pub(super) shown: Vec<Settled>,
    /// Whether a pause of a class, or its end, has not reached all lanes.
    pub(super) pause_goes_on: bool,
}

/// The kinds of ids, a line each.
macro_rules! ids {
    ($($kind:ident: $id:ident,)*) => {
        /// All ids that the machine has given out, stale ones included.
        #[derive(Debug)]
        pub(in crate::testkit) struct Ids {
            $(pub(in crate::testkit) $kind: Known<$id>,)*
        }

        impl Default for Ids {
            fn default() -> Self {
                Self { $($kind: Known { all: Vec::new(), bits: $id::to_bits, forge: $id::from_bits },)* }
            }
        }
    };
}

ids! {
    tasks: TaskId,
    attempts: AttemptId,
    permits: PermitId,
    sleeps: SleepId,
    schedules: ScheduleId,
    sources: SourceId,
    deliveries: DeliveryId,
    emitters: EmitterId,
    subscribers: SubscriberId,
}

/// The ids of one kind, in the order in which they were given out.
#[derive(Debug)]
pub(in crate::testkit) struct Known<T> {
    pub(super) all: Vec<T>,
    bits: fn(T) -> u64,
    forge: fn(u64) -> Option<T>,
}

impl<T: Copy + PartialEq> Known<T> {
    fn add(&mut self, id: T) {
        self.all.push(id);
    }

    /// Adds an id that may be known.
    fn add_once(&mut self, id: T) {
        if !self.all.contains(&id) {
            self.add(id);
        }
    }

    /// Adds the id that a call has given out, unless it was refused.
    fn learn<E>(&mut self, given: &Result<T, E>) {
        self.all.extend(given.as_ref().ok().copied());
    }

    /// The id that a number chooses: one of the newest, or one that was never given out.
    pub(in crate::testkit) fn chosen(&self, choice: u8) -> Option<T> {
        self.chosen_of(12, choice)
    }

    /// The id that a number chooses: one of this many newest, or one that was never given out. That one may differ from
    /// a real id only in a high bit of its generation.
    pub(in crate::testkit) fn chosen_of(&self, newest: usize, choice: u8) -> Option<T> {
        if choice > 252 {
            return (self.forge)(u64::from(choice) << (choice % 5 * 12));
        }
        let back = usize::from(choice).checked_rem(self.all.len().min(newest))?;
        let id = self.all.iter().rev().nth(back).copied()?;
        let bits = (self.bits)(id);
        if choice > 240 { (self.forge)(bits ^ 1 << (32 + (bits ^ u64::from(choice)) % 32)) } else { Some(id) }
    }
}

impl Ids {
    fn learn_of_source(&mut self, answer: &sources::Answer) {
        match *answer {
            sources::Answer::Source(opened) => self.sources.learn(&opened),
            sources::Answer::Arrived(Arrived::Admitted { delivery, task }) => {
                self.deliveries.add(delivery);
                self.tasks.add(task);
            }
            sources::Answer::Arrived(Arrived::Judged { delivery, .. })
            | sources::Answer::Buried(Some(delivery)) => self.deliveries.add(delivery),
            _ => {}
        }
    }
}

impl Memory {
    /// Notes what a host has to remember of an answer.
    pub(super) fn learn(&mut self, answer: &Answer) {
        let ids = &mut self.ids;
        match answer {
            Answer::Submissions(submissions::Answer::Task(offered))
            | Answer::Permits(permits::Answer::Task(offered))
            | Answer::Emitters(emitters::Answer::Task(offered)) => ids.tasks.learn(offered),
            Answer::Permits(permits::Answer::Permit(reserved)) => ids.permits.learn(reserved),
            Answer::Permits(permits::Answer::Waiter(in_line)) => ids.permits.learn(in_line),
            Answer::Sleeps(sleeps::Answer::Sleep(begun)) => ids.sleeps.learn(begun),
            Answer::Schedules(schedules::Answer::Schedule(begun)) => ids.schedules.learn(begun),
            Answer::Emitters(emitters::Answer::Emitter(attached)) => ids.emitters.learn(attached),
            Answer::Sources(answer) => ids.learn_of_source(answer),
            Answer::Subscribers(subscribers::Answer::Subscriber(subscribed)) => {
                ids.subscribers.learn(subscribed);
            }
            &Answer::Gate(gate::Answer::Started(Some(Started { task, attempt, job, .. }))) => {
                ids.tasks.add_once(task);
                ids.attempts.add(attempt);
                self.running.push((attempt, job));
            }
            Answer::Classes(answer) => self.pause_goes_on = *answer == classes::Answer::GoesOn,
            Answer::Effects(effects::Answer::Effect(Some(Done::Stop(stop)))) => {
                self.stopping.push(stop.attempt);
            }
            &Answer::Effects(effects::Answer::Effect(Some(Done::Observe(settled)))) => {
                ids.tasks.add_once(settled.task);
                self.shown.push(settled);
            }
            _ => {}
        }
    }

    /// An attempt: mostly one that runs, else any that ever did.
    pub(in crate::testkit) fn attempt(&self, choice: u8) -> Option<AttemptId> {
        let at = usize::from(choice).checked_rem(self.running.len()).filter(|_| choice < 220);
        match at.and_then(|at| self.running.get(at)) {
            Some(&(attempt, _)) => Some(attempt),
            None => self.ids.attempts.chosen(choice),
        }
    }

    /// The number that chooses the newest attempt that runs.
    pub(in crate::testkit) fn newest(&self) -> u8 {
        u8::try_from(self.running.len().saturating_sub(1)).unwrap_or(0)
    }

    /// Takes the attempt with this place among those that run, and its job, to be reported.
    pub(super) fn take_running(&mut self, choice: u8) -> Option<(AttemptId, u32)> {
        let at = usize::from(choice).checked_rem(self.running.len())?;
        let (attempt, job) = self.running.remove(at);
        self.forget_stop(attempt);
        Some((attempt, job))
    }

    /// Takes the newest attempt that runs, to be reported.
    pub(super) fn take_newest(&mut self) -> Option<AttemptId> {
        let (attempt, _) = self.running.pop()?;
        self.forget_stop(attempt);
        Some(attempt)
    }

    /// Takes the newest attempt that is to stop, with its job unless it was reported.
    pub(super) fn take_stopping(&mut self) -> Option<(AttemptId, Option<u32>)> {
        let attempt = self.stopping.pop()?;
        let at = self.running.iter().position(|(other, _)| *other == attempt);
        Some((attempt, at.map(|at| self.running.remove(at).1)))
    }

    fn forget_stop(&mut self, attempt: AttemptId) {
        self.stopping.retain(|other| *other != attempt);
    }
}
