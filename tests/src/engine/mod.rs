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
//! - no attempt at a task of a paused class starts;
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

mod answer;
mod book;
mod choice;
mod classes;
mod ending;
mod finish;
mod handler;
mod held;
mod keyed;
mod oracle;
mod part_action;
mod parts;
mod plan;
mod scheduled;
mod schedules;
mod script;
mod stage;
mod summary;
mod task;
mod together;
mod token;
mod world;

use std::fmt;

use world::World;

pub use part_action::PartAction;
pub use plan::{Order, Parts};
pub use script::{Action, Script, Setup, Step};
pub use summary::Summary;

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
