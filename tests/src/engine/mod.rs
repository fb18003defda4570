//! Any bytes drive a processor on a simulated runtime, and everything that can be seen of it is checked after each step.
//!
//! A [`Script`] submits, cancels, claims, drops, pauses, subscribes, attaches, advances the clock and polls; its handlers
//! yield, sleep, fail, panic and wake each other; its callbacks, wakers and values panic and call back into the processor,
//! where the script says so. At any step the owner may be dropped or shut down, or the runtime be killed, also from
//! within. What is checked:
//!
//! - the ledger balances, and the census equals the audit;
//! - every outcome is possible after what was done to its task, and told exactly once: none times out early, what has
//!   returned in time completes, a cancelled task is not revived;
//! - no two attempts of a key overlap, a task is refused or superseded only by another one with its key, each cancel has
//!   its reason, and only an attempt that is silent is timed out for that;
//! - a schedule is due when it should be, and each job that it has made is settled once;
//! - when the runtime is idle nothing that could be done is left undone: no wake is lost, nothing is overdue, no place is
//!   free while a task waits;
//! - after the end nothing is left but what handles and subscriptions are owed, and nobody hangs.
//!
//! ```
//! use plimsoll_tests::engine::{Script, check};
//! let script = Script::from_bytes(b"any bytes will do, and the more there are the longer is the script");
//! check(&script).unwrap();
//! ```

mod book;
mod finish;
mod handler;
mod held;
mod keyed;
mod oracle;
mod parts;
mod plan;
mod scheduled;
mod script;
mod stage;
mod task;
mod together;
mod token;
mod world;

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{DefaultHasher, Hasher};

use oracle::KINDS;
use plimsoll::Instant;
use world::World;

pub use parts::PartAction;
pub use plan::{Order, Parts};
pub use script::{Action, Script, Setup, Step};

/// What a run came to, so that tests see that it came to something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Steps that were done.
    pub steps: u64,
    /// Tasks that were submitted.
    pub tasks: u64,
    /// Events that were seen.
    pub events: u64,
    /// Outcomes that were seen, by kind.
    pub settled: [u64; KINDS],
    /// How often a subscriber had missed events.
    pub lagged: u64,
    /// Whether a shutdown has ended.
    pub shut_down: u64,
    /// What keys, schedules, the monitor and the rest have come to, by name, and how often.
    pub reached: BTreeMap<&'static str, u64>,
    /// Virtual time that has passed, in nanoseconds.
    pub nanos: u64,
    /// A hash of these events and their times.
    pub trace: u64,
}

impl Summary {
    fn note(&mut self, now: Instant, event: &dyn fmt::Debug) {
        self.events += 1;
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(self.trace);
        hasher.write(format!("{now:?} {event:?}").as_bytes());
        self.trace = hasher.finish();
    }

    /// Adds another run to this one.
    pub fn add(&mut self, other: &Self) {
        self.steps += other.steps;
        self.tasks += other.tasks;
        self.events += other.events;
        self.settled.iter_mut().zip(other.settled).for_each(|(sum, more)| *sum += more);
        self.lagged += other.lagged;
        self.shut_down += other.shut_down;
        other.reached.iter().for_each(|(what, times)| *self.reached.entry(what).or_default() += times);
        self.nanos = self.nanos.saturating_add(other.nanos);
        self.trace ^= other.trace.rotate_left(self.steps as u32);
    }
}

/// What went wrong, and after how many steps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The step, counted from 0.
    pub step: usize,
    /// What was seen.
    pub what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "step {}: {}", self.step, self.what)
    }
}

impl std::error::Error for Fault {}

/// Runs a script, ends the processor in one of four ways, and checks everything after each step.
///
/// # Errors
/// The first thing that must not be.
pub fn check(script: &Script) -> Result<Summary, Fault> {
    let mut world = World::new(script.setup);
    let parts = script.setup.parts();
    let fault = |step| move |what| Fault { step, what };
    for (step, taken) in script.steps.iter().enumerate() {
        world.step(&taken.under(parts).action()).map_err(fault(step))?;
    }
    let end = script.steps.len();
    world.finish().map_err(fault(end))?;
    Ok(world.summary.clone())
}
