//! Schedules, and the tasks that they make. These have no handle and no callback: the hook of the processor sees how they end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use fastrand::Rng;
use plimsoll::{
    Context, Due, Instant, Missed, Options, OutcomeKind, Overlap, Schedule, ScheduleHandle, ScheduleStats,
    Settlement,
};

use crate::dice::{chance, micros};
use crate::names::{Action, Check, is_skipped};
use crate::record::{Record, flag};
use crate::script::options;
use crate::tokens::{Kind, Token};
use crate::values::{Job, Service, planned_panic};
use crate::world::{World, lock};

/// Tells the metadata of a schedule's tasks from the numbers of jobs.
pub const SCHEDULED: u64 = 1 << 63;

/// A schedule that was begun, and how often its function was called.
pub struct Begun {
    pub handle: ScheduleHandle<Service>,
    calls: Arc<AtomicU64>,
}

impl Begun {
    /// Every call of the function has come to something.
    pub fn check(&self, world: &World) {
        let before = self.calls.load(SeqCst);
        let Some(stats) = self.handle.stats() else { return };
        let after = self.calls.load(SeqCst);
        let ScheduleStats { submitted, refused, panicked, .. } = stats;
        let told = submitted + refused + panicked;
        if told > after || told + 1 < before {
            world.find(Check::Schedules, format!("{before} to {after} calls, {stats:?}"));
        }
    }
}

/// The function of a schedule.
struct Maker {
    world: Arc<World>,
    dice: Rng,
    options: Options<u64>,
    schedule: Schedule,
    calls: Arc<AtomicU64>,
    last: Option<(Instant, Option<Arc<Record>>)>,
    #[expect(dead_code, reason = "counted")]
    token: Token,
}

impl Maker {
    fn make(&mut self, due: Due) -> Job {
        self.calls.fetch_add(1, SeqCst);
        let last = self.last.replace((due.at, None));
        if let Some((at, job)) = last {
            self.check(due, at, job.as_deref());
        }
        if self.world.mood.panics && chance(&mut self.dice, 8) && !is_skipped(Action::PanicInMaker.name()) {
            Action::PanicInMaker.count();
            planned_panic(self.dice.bool());
        }
        let (job, record) = self.world.job(&mut self.dice, 2, &self.options);
        record.set(flag::SCHEDULED);
        self.last = Some((due.at, Some(record)));
        job
    }

    /// It is due one instant after the other, and not as long as the task before is not settled, unless that is allowed.
    fn check(&self, due: Due, last: Instant, job: Option<&Record>) {
        if due.at <= last || due.at > self.world.submitter().now() {
            self.world.find(Check::Schedules, format!("due at {:?}, after {last:?}", due.at));
        }
        let runs = job.is_some_and(|job| job.has(flag::STARTED) && job.outcomes() == 0);
        if runs && !self.schedule.overlaps() {
            self.world.find(Check::Schedules, "due although the task before is not settled");
        }
    }
}

fn draw_schedule(dice: &mut Rng) -> Schedule {
    let every = Duration::from_millis(dice.u64(1..4));
    let schedule = if chance(dice, 30) { Schedule::fixed_delay(every) } else { Schedule::fixed_rate(every) };
    let schedule = if chance(dice, 50) { schedule.first_after(micros(dice, 2_000)) } else { schedule };
    let schedule = if chance(dice, 30) { schedule.jitter(micros(dice, 1_000)) } else { schedule };
    let schedule = if chance(dice, 30) { schedule.overlap(Overlap::Allow) } else { schedule };
    if chance(dice, 20) { schedule.missed(Missed::Delay) } else { schedule }
}

impl World {
    /// Begins a schedule, if there may be one more.
    pub fn schedule(self: &Arc<Self>, dice: &mut Rng) -> Option<Begun> {
        let schedule = draw_schedule(dice);
        let options = options(dice, SCHEDULED | self.next_number(), &self.parts);
        let calls = Arc::new(AtomicU64::new(0));
        let mut maker = Maker {
            world: self.clone(),
            dice: dice.fork(),
            options,
            schedule,
            calls: calls.clone(),
            last: None,
            token: self.tokens.token(Kind::Maker),
        };
        let handle = self.submitter().schedule(schedule, options, move |due| maker.make(due)).ok()?;
        Action::Schedule.count();
        Some(Begun { handle, calls })
    }

    /// An attempt begins. What a schedule has made is known by its task from now on.
    pub fn note_attempt(&self, record: &Arc<Record>, cx: &Context<u64>) {
        record.set(flag::STARTED);
        if record.has(flag::SCHEDULED) {
            lock(&self.of_schedules).insert(cx.task(), record.clone());
        }
        // A batch is called when its attempts have begun, perhaps with a begin that was put right since.
        if let Some(limit) = record.slow_after.filter(|_| self.parts.batching.is_none()) {
            self.note_soft_limit(limit, cx);
        }
    }

    /// The hook: a task is settled.
    pub fn see_settled(&self, settled: &Settlement<Service>) {
        self.hooked.fetch_add(1, SeqCst);
        if settled.meta & SCHEDULED == 0 {
            return;
        }
        let started = lock(&self.of_schedules).remove(&settled.task);
        let waiting = settled.job.as_ref().map(|job| job.record.clone());
        match waiting.or(started) {
            Some(record) => self.judge(&record, &settled.result),
            // It has panicked while it was cloned, or has left its batch before that was run.
            None if settled.attempts > 0 && settled.kind() != OutcomeKind::Completed => {}
            None => self.find(Check::Schedules, format!("nobody has made the job of {settled:?}")),
        }
        self.scheduled.fetch_add(1, SeqCst);
    }
}
