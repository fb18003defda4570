//! What is known of one job, and which outcomes are possible for it.

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::{Duration, Instant};

use plimsoll::{TaskError, TaskResult, Timeouts};

use crate::names::{Check, Seen};
use crate::values::Service;
use crate::world::World;

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
}

/// What is known of one job.
pub struct Record {
    pub number: u64,
    /// No later than the submission.
    made: Instant,
    timeouts: Timeouts,
    flags: AtomicU32,
    /// How many outcomes its handle, its callback or its reader has had.
    outcomes: AtomicU32,
}

impl Record {
    pub fn new(number: u64, timeouts: Timeouts) -> Self {
        let made = Instant::now();
        Self { number, made, timeouts, flags: AtomicU32::new(0), outcomes: AtomicU32::new(0) }
    }

    pub fn set(&self, flag: u32) {
        self.flags.fetch_or(flag, SeqCst);
    }

    pub fn has(&self, flag: u32) -> bool {
        self.flags.load(SeqCst) & flag == flag
    }

    pub fn outcomes(&self) -> u32 {
        self.outcomes.load(SeqCst)
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
            Ok(output) => (Seen::Completed, output.number == record.number && record.has(flag::RETURNED)),
            Err(TaskError::Failed(failure)) => {
                (Seen::Failed, failure.number == record.number && record.has(flag::FAILED))
            }
            Err(TaskError::Panicked(_)) => {
                let by_runtime = self.is_runtime_killed() && record.has(flag::USES_TIMER);
                (Seen::Panicked, by_runtime || record.has(flag::PANICKED))
            }
            Err(TaskError::TimedOut) => {
                (Seen::TimedOut, record.has_waited(&[start_to_close, schedule_to_close]))
            }
            Err(TaskError::Expired) => (Seen::Expired, record.has_waited(&[schedule_to_start])),
            Err(TaskError::Cancelled(_)) => {
                (Seen::Cancelled, self.is_ending() || record.has(flag::CANCELLED))
            }
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
