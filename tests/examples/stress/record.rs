//! What is known of one job, and which outcomes are possible for it.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use plimsoll::{CancelReason, Options, Overflow, TaskError, TaskResult, Timeouts, Unique};

use crate::names::{Action, Check, Seen};
use crate::values::Service;
use crate::world::{World, lock};

/// What has happened to a job.
pub mod flag {
    /// A handler has returned an output.
    pub const RETURNED: u32 = 1;
    /// A handler has returned an error.
    pub const FAILED: u32 = 1 << 1;
    /// A handler or a clone has panicked.
    pub const PANICKED: u32 = 1 << 2;
    /// It was cancelled, perhaps.
    pub const CANCELLED: u32 = 1 << 3;
    /// It was admitted.
    pub const ADMITTED: u32 = 1 << 4;
    /// Its handler may see the runtime being shut down under it, which is a panic on tokio.
    pub const USES_TIMER: u32 = 1 << 5;
    /// It has a callback.
    pub const HAS_CALLBACK: u32 = 1 << 6;
    /// It was refused.
    pub const REFUSED: u32 = 1 << 7;
    /// A schedule has made it.
    pub const SCHEDULED: u32 = 1 << 8;
    /// A handler was called for it.
    pub const STARTED: u32 = 1 << 9;
    /// The batch of its latest attempt has panicked.
    pub const BATCH_PANICKED: u32 = 1 << 10;
}

/// What is known of one job.
pub struct Record {
    pub number: u64,
    /// No later than the submission.
    made: Instant,
    timeouts: Timeouts,
    pub slow_after: Option<Duration>,
    unique: Option<Unique>,
    pub lane: Option<u64>,
    /// The last heartbeat that counted, in microseconds after it was made.
    beat_at: AtomicU64,
    flags: AtomicU32,
    /// How many outcomes its handle, its callback or its reader has had.
    outcomes: AtomicU32,
}

impl Record {
    pub fn new(number: u64, options: &Options<u64>, defaults: Timeouts) -> Self {
        Self {
            number,
            made: Instant::now(),
            timeouts: options.timeouts.unwrap_or(defaults),
            slow_after: options.slow_after,
            unique: options.unique,
            lane: options.lane.map(|lane| lane.key()),
            beat_at: AtomicU64::new(0),
            flags: AtomicU32::new(0),
            outcomes: AtomicU32::new(0),
        }
    }

    pub fn key(&self) -> Option<u64> {
        self.unique.map(|unique| unique.key())
    }

    /// Whether it takes the place of what waits with its key.
    pub fn replaces(&self) -> bool {
        self.unique.is_some_and(|unique| unique == unique.replace())
    }

    pub fn set(&self, flag: u32) {
        self.flags.fetch_or(flag, SeqCst);
    }

    pub fn unset(&self, flag: u32) {
        self.flags.fetch_and(!flag, SeqCst);
    }

    pub fn has(&self, flag: u32) -> bool {
        self.flags.load(SeqCst) & flag == flag
    }

    pub fn outcomes(&self) -> u32 {
        self.outcomes.load(SeqCst)
    }

    /// How long ago it was made.
    pub fn age(&self) -> Duration {
        self.made.elapsed()
    }

    /// An attempt has told at this age that it is alive.
    pub fn beat(&self, age: Duration) {
        self.beat_at.fetch_max(u64::try_from(age.as_micros()).unwrap_or(u64::MAX), SeqCst);
    }

    /// Whether it may have been silent for too long. Of the heartbeats within a millisecond the first counts.
    fn has_been_silent(&self) -> bool {
        let silence = self.age().saturating_sub(Duration::from_micros(self.beat_at.load(SeqCst)));
        self.timeouts.heartbeat.is_some_and(|limit| silence + Duration::from_millis(1) >= limit)
    }

    fn has_waited(&self, limits: &[Option<Duration>]) -> bool {
        let waited = self.made.elapsed();
        limits.iter().flatten().any(|limit| waited >= *limit)
    }
}

impl World {
    /// Notes the outcome of a job, and checks that it is the first one and possible.
    pub fn judge(&self, record: &Record, result: &TaskResult<Service>) {
        let Timeouts { schedule_to_start, start_to_close, schedule_to_close, .. } = record.timeouts;
        let (seen, possible) = match result {
            Ok(output) => {
                let is_own = output.number == record.number && record.has(flag::RETURNED);
                (Seen::Completed, is_own && !record.has(flag::BATCH_PANICKED))
            }
            Err(TaskError::Failed(failure)) => {
                (Seen::Failed, failure.number == record.number && record.has(flag::FAILED))
            }
            Err(TaskError::Panicked(_)) => {
                let by_runtime = self.is_runtime_killed() && record.has(flag::USES_TIMER);
                (Seen::Panicked, by_runtime || record.has(flag::PANICKED))
            }
            Err(TaskError::TimedOut) => {
                let is_late = record.has_waited(&[start_to_close, schedule_to_close]);
                (Seen::TimedOut, is_late || record.has_been_silent())
            }
            Err(TaskError::Expired) => (Seen::Expired, record.has_waited(&[schedule_to_start])),
            Err(TaskError::Cancelled(reason)) => (Seen::Cancelled, self.may_be_cancelled(record, *reason)),
            Err(TaskError::Shed) => (Seen::Shed, self.parts.overflow != Overflow::Refuse),
            // Nobody but a handle is told of anything else.
            Err(_) => (Seen::Ended, false),
        };
        seen.count();
        self.note_outcome(record, seen.name());
        if !possible {
            let flags = record.flags.load(SeqCst);
            let text =
                format!("job {} is {}, flags {flags:#b}, {:?}", record.number, seen.name(), record.timeouts);
            self.find(Check::Outcome, text);
        }
    }

    fn may_be_cancelled(&self, record: &Record, reason: Option<CancelReason>) -> bool {
        match reason {
            Some(CancelReason::SUPERSEDED) => {
                Action::Supersede.count();
                self.may_be_superseded(record)
            }
            Some(CancelReason::CLEARED) => {
                self.seen_cleared.fetch_add(1, SeqCst);
                self.clears.load(SeqCst) > 0
            }
            Some(_) => self.is_ending(),
            None => self.is_ending() || record.has(flag::CANCELLED),
        }
    }

    /// Whether there is another job that takes the place of this one.
    fn may_be_superseded(&self, record: &Record) -> bool {
        let takes =
            |other: &Record| other.number != record.number && other.replaces() && !other.has(flag::REFUSED);
        let has_key = |other: &Record| record.key().is_some() && other.key() == record.key();
        lock(&self.records).iter().any(|other| has_key(other) && takes(other))
    }

    /// Notes that a handle was told that there is no outcome for it.
    pub fn judge_ended(&self, record: &Record) {
        Seen::Ended.count();
        self.note_outcome(record, "ended");
        if !self.is_discarding() {
            let text = format!(
                "the handle of job {} has lost its outcome, flags {:#b}",
                record.number,
                record.flags.load(SeqCst)
            );
            self.find(Check::Ended, text);
        }
    }

    fn note_outcome(&self, record: &Record, what: &str) {
        if record.outcomes.fetch_add(1, SeqCst) > 0 {
            self.find(Check::Once, format!("job {} has a further outcome: {what}", record.number));
        }
    }
}
