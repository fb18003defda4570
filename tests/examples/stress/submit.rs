//! Every way to submit a job, with the counts that have to balance.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use fastrand::Rng;
use plimsoll::{Handle, Options, Refusal, Refused, Settlement, TaskError, TaskId, TaskResult};

use crate::dice::chance;
use crate::names::{Action, Check, is_skipped};
use crate::parts::Parts;
use crate::record::{Record, flag};
use crate::script::{Script, options};
use crate::tokens::{Kind, Token};
use crate::values::{Fuse, Job, Service, planned_panic, quietly};
use crate::world::{Inside, World, lock};

/// A handle with what is known of its job.
pub struct Held {
    pub record: Arc<Record>,
    pub handle: Handle<Service>,
}

impl World {
    /// A job, `depth` submissions away from a submitter, and its terms.
    pub fn order(&self, dice: &mut Rng, depth: u32) -> (Job, Options<u64>, Arc<Record>) {
        self.order_with(dice, depth, &self.parts)
    }

    /// As [`order`](Self::order), on terms that need no more than these parts.
    pub fn order_with(&self, dice: &mut Rng, depth: u32, parts: &Parts) -> (Job, Options<u64>, Arc<Record>) {
        let mut options = options(dice, 0, parts);
        let (job, record) = self.job(dice, depth, &options);
        options.meta = record.number;
        (job, options, record)
    }

    /// A job that is to be submitted on these terms.
    pub fn job(&self, dice: &mut Rng, depth: u32, options: &Options<u64>) -> (Job, Arc<Record>) {
        let record = Arc::new(Record::new(self.next_number(), options, self.mood.timeouts));
        if record.key().is_some() {
            Action::Unique.count();
        }
        if record.lane.is_some() {
            Action::UseLane.count();
        }
        lock(&self.records).push(record.clone());
        let armed = self.mood.panics && chance(dice, 4) && !is_skipped(Action::PanicInDrop.name());
        let job = Job {
            record: record.clone(),
            script: Script::draw(dice, &self.mood, depth),
            token: self.tokens.token(Kind::Job),
            fuse: Fuse(armed),
        };
        (job, record)
    }

    pub fn note_admitted(&self, record: &Record) {
        self.admitted.fetch_add(1, SeqCst);
        record.set(flag::ADMITTED);
    }

    pub fn note_refused(&self, record: &Record, refused: Refused<Job>) {
        Action::Refused.count();
        let (reason, job) = refused.into_parts();
        if job.record.number != record.number {
            self.find(Check::Outcome, format!("job {} is refused, and another comes back", record.number));
        }
        if reason == Refusal::Closed && !self.is_ending() {
            self.find(Check::Outcome, "a submission is refused as closed before the end");
        }
        record.set(flag::REFUSED);
        self.check_refusal(record, reason);
        quietly(|| drop(job));
    }

    /// Whether the terms of a job can be refused for this reason.
    fn check_refusal(&self, record: &Record, reason: Refusal) {
        let is_possible = match reason {
            Refusal::NotDeduplicated | Refusal::NotMonitored => false,
            Refusal::Duplicate => {
                Action::Duplicate.count();
                let is_other = |other: &&Arc<Record>| other.number != record.number;
                let has_key = |other: &Arc<Record>| other.key() == record.key();
                record.key().is_some()
                    && !record.replaces()
                    && lock(&self.records).iter().filter(is_other).any(has_key)
            }
            Refusal::LaneFull | Refusal::Lanes => record.lane.is_some(),
            _ => true,
        };
        if !is_possible {
            self.find(Check::Outcome, format!("job {} is refused: {reason:?}", record.number));
        }
    }

    pub fn submit_handle(&self, dice: &mut Rng, depth: u32) -> Option<Held> {
        Action::SubmitHandle.count();
        let (job, options, record) = self.order(dice, depth);
        let submitted = self.submitter().task(job).options(options).submit();
        self.hold(record, submitted)
    }

    pub async fn submit_wait(&self, dice: &mut Rng, depth: u32) -> Option<Held> {
        let (job, options, record) = self.order(dice, depth);
        let submitted = self.submitter().task(job).options(options).submit_wait().await;
        self.hold(record, submitted)
    }

    fn hold(&self, record: Arc<Record>, submitted: Result<Handle<Service>, Refused<Job>>) -> Option<Held> {
        match submitted {
            Ok(handle) => {
                self.note_admitted(&record);
                Some(Held { record, handle })
            }
            Err(refused) => {
                self.note_refused(&record, refused);
                None
            }
        }
    }

    /// Takes what a handle came to.
    pub fn conclude(&self, record: &Record, result: TaskResult<Service>) {
        match result {
            Err(TaskError::Ended) => self.judge_ended(record),
            result => self.take(record, result),
        }
    }

    /// Takes an outcome.
    pub fn take(&self, record: &Record, result: TaskResult<Service>) {
        self.judge(record, &result);
        quietly(|| drop(result));
    }

    pub fn submit_detached(&self, dice: &mut Rng, depth: u32) -> Option<(TaskId, Arc<Record>)> {
        Action::SubmitDetached.count();
        let (job, options, record) = self.order(dice, depth);
        let submitted = self.submitter().task(job).options(options).post();
        self.note(record, submitted)
    }

    pub fn submit_retained(&self, dice: &mut Rng, depth: u32) -> Option<(TaskId, Arc<Record>)> {
        Action::SubmitRetained.count();
        let (job, options, record) = self.order(dice, depth);
        let submitted = self.submitter().task(job).options(options).retain();
        let noted = self.note(record, submitted)?;
        lock(&self.retained).push(noted.clone());
        Some(noted)
    }

    pub fn submit_callback(self: &Arc<Self>, dice: &mut Rng, depth: u32) -> Option<(TaskId, Arc<Record>)> {
        Action::SubmitCallback.count();
        let (job, options, record) = self.order(dice, depth);
        record.set(flag::HAS_CALLBACK);
        let call = Call::draw(self.clone(), record.clone(), dice, depth);
        let submitted = self.submitter().task(job).options(options).call(move |settled| call.run(settled));
        let submitted = submitted.map_err(|refused| {
            let (reason, (job, callback)) = refused.into_parts();
            quietly(|| drop(callback));
            Refused::new(reason, job)
        });
        self.note(record, submitted)
    }

    fn note(
        &self,
        record: Arc<Record>,
        submitted: Result<TaskId, Refused<Job>>,
    ) -> Option<(TaskId, Arc<Record>)> {
        match submitted {
            Ok(task) => {
                self.note_admitted(&record);
                Some((task, record))
            }
            Err(refused) => {
                self.note_refused(&record, refused);
                None
            }
        }
    }

    /// Submits a job by any route that needs no waiting.
    pub fn submit_any(self: &Arc<Self>, dice: &mut Rng, depth: u32) -> Option<Held> {
        match dice.u32(0..6) {
            0..2 => self.submit_handle(dice, depth),
            2..4 => {
                self.submit_callback(dice, depth);
                None
            }
            4 => {
                self.submit_detached(dice, depth);
                None
            }
            _ => {
                self.submit_retained(dice, depth);
                None
            }
        }
    }
}

/// A callback.
struct Call {
    world: Arc<World>,
    record: Arc<Record>,
    #[expect(dead_code, reason = "counted")]
    token: Token,
    submits: bool,
    panics: bool,
    block: Duration,
    seed: u64,
    depth: u32,
    #[expect(dead_code, reason = "dropped")]
    fuse: Fuse,
}

impl Call {
    fn draw(world: Arc<World>, record: Arc<Record>, dice: &mut Rng, depth: u32) -> Self {
        let panics = world.mood.panics && chance(dice, 8) && !is_skipped(Action::PanicInCallback.name());
        let fuse = world.mood.panics && chance(dice, 4) && !is_skipped(Action::PanicInDrop.name());
        let block = if chance(dice, 5) { dice.u64(0..1_000) } else { 0 };
        Self {
            token: world.tokens.token(Kind::Callback),
            submits: depth < 2 && chance(dice, 10),
            panics,
            block: Duration::from_micros(block),
            seed: dice.u64(..),
            depth,
            fuse: Fuse(fuse),
            world,
            record,
        }
    }

    fn run(self, settled: Settlement<Service>) {
        let running = Running::new(&self.world);
        let number = self.record.number;
        if settled.meta != number || settled.job.as_ref().is_some_and(|job| job.record.number != number) {
            self.world.find(Check::Callback, format!("the callback of job {number} gets {settled:?}"));
        }
        self.world.judge(&self.record, &settled.result);
        if !self.block.is_zero() {
            std::thread::sleep(self.block);
        }
        if self.submits {
            Action::SubmitInside.count();
            let mut dice = Rng::with_seed(self.seed);
            drop(self.world.submit_any(&mut dice, self.depth + 1));
        }
        self.world.end_if_wanted(Inside::Callback);
        drop(running);
        if self.panics {
            Action::PanicInCallback.count();
            planned_panic(false);
        }
    }
}

/// A callback runs.
struct Running<'a>(&'a World);

impl<'a> Running<'a> {
    fn new(world: &'a World) -> Self {
        world.callbacks_running.fetch_add(1, SeqCst);
        Self(world)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.callbacks_running.fetch_sub(1, SeqCst);
    }
}
