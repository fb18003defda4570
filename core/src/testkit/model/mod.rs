//! The reference model: the answers that the machine must give, computed in the plainest way. It searches vectors from
//! end to end and has no slots, no linked lists and no running counts. It shares with the machine only its public
//! types, the look-up of [`Retry`] and the generator of its jitter.
//!
//! The machine chooses the ids. The model learns them from the answers, and checks that no id is given out twice.

mod accounts;
mod attempts;
mod cache;
mod classes;
mod comparison;
mod dedup;
mod deliveries;
mod effects;
mod emitters;
mod ending;
mod gate;
mod getters;
mod inlet;
mod inspect;
mod lanes;
mod monitor;
mod observer;
mod overflow;
mod permits;
mod schedules;
mod settle;
mod sleeps;
mod sources;
mod submissions;
mod subscribers;
mod task;
mod tasks;
mod time;
mod wheel;

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;

use fastrand::Rng;

use super::calls::{Answer, Call};
use super::flaws::{Class, Flaw};
use super::parts::for_each_part;
use super::setup::Setup;
use crate::{
    AttemptId, ByOutcome, Event, Health, Instant, LastError, Ledger, Limits, Phase, Remains, ScheduleId,
    SleepId, SourceId, TaskId, Totals,
};
use cache::CacheModel;
pub(super) use comparison::{Comparison, Difference};
use dedup::Remembered;
use emitters::EmitterModel;
pub(super) use getters::Probes;
use inlet::Inlet;
use lanes::{Lanes, Shutter};
use permits::Permit;
use schedules::Calendar;
use sleeps::Sleepers;
use subscribers::Ring;
use task::{Parting, Stage, Task, after};
use wheel::Timers;

/// Stands for the id of a task that no answer has named yet.
const STAND_IN: TaskId = match TaskId::from_bits(u64::MAX) {
    Some(id) => id,
    None => unreachable!(),
};

/// The state of the model.
#[derive(Debug)]
pub struct Model {
    flaw: Option<Flaw>,
    limits: Limits,
    now: Instant,
    phase: Phase,
    /// Whether the machine is ending.
    ending: bool,
    /// Whether the end keeps nothing for handles and subscribers.
    discards: bool,
    /// How many slots the two walks of the end have visited: to settle tasks, and to abandon attempts.
    walked: u32,
    walked_again: u32,
    paused: bool,
    paused_classes: BTreeSet<u8>,
    /// Whether the host observes outcomes.
    observes: bool,
    concurrency: u32,
    rng: Rng,
    /// All tasks that have a slot, in order of admission.
    tasks: Vec<Task>,
    /// Free slots, with the one freed last at the end, and the number of slots ever used.
    free_slots: Vec<u32>,
    fresh_slot: u32,
    /// How many generations a slot has, how many of each slot are used, and how many slots have none left.
    generations: u64,
    worn: BTreeMap<u32, u64>,
    retired: u32,
    /// Tasks that owe effects, by their metadata.
    outbox: VecDeque<u32>,
    /// Retained results, oldest first.
    kept: VecDeque<u32>,
    queued_ever: u64,
    picks: u64,
    timers: Timers,
    sweep_due: bool,
    /// Whether the health and the sweep interval exist, until the machine drains. If the end of time comes before the
    /// next turn of one, it exists without a timer.
    intervals: [bool; 2],
    gate: Shutter,
    lanes: Lanes,
    remembered: Remembered,
    calendar: Calendar,
    sleeps: Sleepers,
    inlet: Inlet,
    line: Vec<Permit>,
    emitters: Vec<EmitterModel>,
    ring: Ring,
    cache: CacheModel,
    /// The most at the same time, of each class of the ledger.
    highest: [u32; Ledger::CLASSES],
    totals: Totals,
    refusals: BTreeMap<&'static str, u64>,
    since_health: ByOutcome,
    last_health: Option<Health>,
    last_error: Option<LastError<u32>>,
    streak: u32,
    remains: Remains,
    /// All ids of tasks and of attempts ever seen.
    task_ids: BTreeSet<TaskId>,
    attempt_ids: BTreeSet<AttemptId>,
    /// A fault that was found outside the answers.
    pub(super) complaint: Option<&'static str>,
}

/// The owner of a timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    Task(u32),
    Health,
    Sweep,
    Drain,
    Gate,
    Sleep(SleepId),
    /// The lane with this key.
    Lane(u64),
    Schedule(ScheduleId),
    Source(SourceId),
}

/// Adds one to a count.
fn one(count: &mut u64) {
    *count = count.saturating_add(1);
}

fn size(items: impl Iterator) -> u32 {
    u32::try_from(items.count()).unwrap_or(u32::MAX)
}

impl Model {
    /// The model of a new machine.
    pub(super) fn new(setup: &Setup, flaw: Option<Flaw>) -> Self {
        let (limits, now) = (setup.limits(), setup.start());
        let mut model = Self {
            flaw,
            limits,
            now,
            phase: Phase::Open,
            ending: false,
            discards: false,
            walked: 0,
            walked_again: 0,
            paused: false,
            paused_classes: BTreeSet::new(),
            observes: false,
            concurrency: limits.concurrency,
            rng: Rng::with_seed(limits.seed),
            tasks: Vec::new(),
            free_slots: Vec::new(),
            fresh_slot: 0,
            generations: u64::MAX >> (u64::BITS - setup.generation_bits()),
            worn: BTreeMap::new(),
            retired: 0,
            outbox: VecDeque::new(),
            kept: VecDeque::new(),
            queued_ever: 0,
            picks: 0,
            timers: Timers::new(&limits, now, flaw),
            sweep_due: false,
            intervals: [limits.health_every, limits.sweep_every]
                .map(|every| every.is_some_and(|every| now.checked_add(every).is_some())),
            gate: Shutter::new(limits.rate, now),
            lanes: Lanes::default(),
            remembered: Remembered::new(),
            calendar: Calendar::default(),
            sleeps: Sleepers::default(),
            inlet: Inlet::default(),
            line: Vec::new(),
            emitters: Vec::new(),
            ring: Ring::default(),
            cache: CacheModel::default(),
            highest: [0; Ledger::CLASSES],
            totals: Totals::default(),
            refusals: BTreeMap::new(),
            since_health: ByOutcome::default(),
            last_health: None,
            last_error: None,
            streak: 0,
            remains: Remains::default(),
            task_ids: BTreeSet::new(),
            attempt_ids: BTreeSet::new(),
            complaint: None,
        };
        for (every, owner) in [(limits.health_every, Owner::Health), (limits.sweep_every, Owner::Sweep)] {
            model.arm(every.and_then(|every| now.checked_add(every)), owner);
        }
        model.add_common_lane();
        model.note_highest();
        model
    }

    /// The answer that the machine must give. Its own answer is used only for the ids that it chose.
    pub(super) fn answer(&mut self, call: &Call, given: &Answer) -> Answer {
        if let Some(now) = call.now() {
            self.now = self.now.max(now);
        }
        let answer = self.predict(call, given);
        self.note_highest();
        answer
    }

    fn has(&self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }

    /// How many things of a class with this limit there may be. Only slots of tasks are ever retired: other generations
    /// outlast every script.
    fn most(&self, limit: u32, class: Class) -> u32 {
        match self.flaw {
            Some(Flaw::RefusesTooSoon(flawed)) if flawed == class => limit.saturating_sub(1),
            Some(Flaw::RefusesTooLate(flawed)) if flawed == class => limit + 1,
            _ => limit,
        }
    }

    pub(super) fn complain(&mut self, complaint: &'static str) {
        self.complaint.get_or_insert(complaint);
    }

    /// The task with this metadata.
    fn at(&mut self, meta: u32) -> Option<&mut Task> {
        self.tasks.iter_mut().find(|task| task.meta == meta)
    }

    fn task(&self, meta: u32) -> Option<&Task> {
        self.tasks.iter().find(|task| task.meta == meta)
    }

    fn named(&self, id: TaskId) -> Option<&Task> {
        let halves = self.has(Flaw::ComparesHalvesOfIds);
        let is_it = |known: TaskId| known == id || (halves && known.to_bits() as u32 == id.to_bits() as u32);
        self.tasks.iter().find(|task| task.id.is_some_and(is_it))
    }

    /// The id of a task: the known one, or the one that this answer names.
    fn name(&mut self, meta: u32, given: Option<TaskId>) -> Option<TaskId> {
        let known = self.task(meta)?.id;
        if known.is_none() {
            if given.is_some_and(|id| !self.task_ids.insert(id)) {
                self.complain("a task's id was given out twice");
            }
            self.at(meta)?.id = given;
        }
        self.task(meta)?.id
    }

    fn publish(&mut self, event: impl FnOnce(&Self) -> Event<u32>) {
        if self.ring.is_heard() {
            one(&mut self.totals.events);
            let event = event(self);
            self.ring.publish(event, self.limits.events);
        }
    }

    fn arm(&mut self, at: Option<Instant>, owner: Owner) {
        if let Some(at) = at {
            self.timers.arm(at, owner);
        }
    }

    fn disarm(&mut self, owner: Owner) {
        if !self.has(Flaw::ForgetsTimers) {
            self.timers.disarm(owner);
        }
    }

    /// Sets the timer of a task for its present stage.
    fn rearm(&mut self, meta: u32) {
        self.timers.disarm(Owner::Task(meta));
        let deadline = self.task(meta).and_then(Task::next_deadline);
        self.arm(deadline, Owner::Task(meta));
    }

    fn count(&self, which: impl Fn(&Task) -> bool) -> u32 {
        size(self.tasks.iter().filter(|task| which(task)))
    }

    fn orphans(&self) -> u32 {
        if self.has(Flaw::ForgetsOrphans) { 0 } else { self.count(Task::is_orphan) }
    }

    /// Tasks that are delayed or back off.
    fn delayed(&self) -> u32 {
        self.count(|task| task.is_waiting() && !task.is_queued())
    }

    /// How much of the queue's room is taken.
    fn waiting_now(&self) -> u32 {
        let allowed = if self.has(Flaw::DelayedTakesRoom) { 0 } else { self.limits.delayed };
        self.count(Task::is_queued) + self.delayed().saturating_sub(allowed) + self.permits()
    }

    fn free(&self) -> u32 {
        if self.paused || self.ending || self.gate.is_shut || self.orphans() >= self.limits.orphans {
            return 0;
        }
        let takes_place =
            |task: &Task| task.is_running() && !(self.has(Flaw::HaltingTakesNoPlace) && task.is_halting());
        self.concurrency.saturating_sub(self.count(takes_place) + self.orphans())
    }

    fn queue_room(&self) -> u32 {
        let extra = u32::from(self.has(Flaw::OneTooMany));
        (self.limits.queue + self.free() + extra).saturating_sub(self.waiting_now())
    }

    fn slot_room(&self) -> u32 {
        let promised = self.limits.credit() - self.inlet.with_task();
        let used = size(self.tasks.iter()) + self.permits() + self.retired + promised;
        self.limits.task_slots().saturating_sub(used)
    }

    fn queue(&mut self, meta: u32) {
        self.queued_ever += 1;
        let (now, place) = (self.now, self.queued_ever);
        if let Some(task) = self.at(meta) {
            task.stage = Stage::Queued { since: now, place };
        }
        self.rearm(meta);
    }
}

/// Hands each call on to its part, for the answer.
macro_rules! predictions {
    ($($part:ident($file:ident): $bytes:pat,)*) => {
        impl Model {
            fn predict(&mut self, call: &Call, given: &Answer) -> Answer {
                match (call, given) {
                    $((Call::$part(call), Answer::$part(given)) => Answer::$part(call.predict(self, given)),)*
                    _ => {
                        self.complain("the answer is one of another part");
                        given.clone()
                    }
                }
            }
        }
    };
}

for_each_part!(predictions);
