//! The conformance kit for a [`Source`].
//!
//! [`check`] takes an [`Engine`] and first tries its source call by call, against what [`Source`] asks for. Then it has
//! workers do jobs from it, and lets bad things happen: workers are killed and drained, connections cut, the engine taken
//! away. In the end every job has to be done or dead as it should, and twice only where a verdict was not confirmed.
//!
//! The [`fake`](crate::conformance::fake) engine on a simulated clock:
//!
//! ```
//! use plimsoll::conformance::fake::Fake;
//! use plimsoll::conformance::source::{Effort, check};
//! use plimsoll::runtime::sim::Sim;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let sim = Sim::new(7);
//! let report = sim.block_on(check(&Fake::new(&sim), Effort::new(200)))?;
//! assert!(report.findings.is_empty(), "{report}");
//! # Ok(())
//! # }
//! ```

mod laws;
mod storm;
mod watched;

use std::fmt;
use std::future::Future;
use std::time::Duration;

use crate::runtime::Runtime;
use crate::source::Source;

/// An engine under test, and what the kit has to do to it. The jobs are numbers.
///
/// What is an error here is none of the source: it ends the check with a finding.
pub trait Engine: Send + Sync {
    /// The source under test.
    type Source: Source<Job = u64>;
    /// Where processors and pullers run.
    type Runtime: Runtime;

    /// A further runtime handle of that kind.
    fn runtime(&self) -> Self::Runtime;

    /// Waits so long, by the clock that the engine goes by.
    fn sleep(&self, time: Duration) -> impl Future<Output = ()> + Send;

    /// Connects a worker. What [`exclusive`](Self::exclusive) engines have given to an earlier one is delivered again.
    fn connect(&self) -> impl Future<Output = Result<Self::Source, String>> + Send;

    /// Whether there can be only one worker at a time. Default: no.
    fn exclusive(&self) -> bool {
        false
    }

    /// Puts jobs in, durably when it returns.
    fn enqueue(&self, jobs: &[u64]) -> impl Future<Output = Result<(), String>> + Send;

    /// The jobs that are dead letters, as often as they are.
    fn dead(&self) -> impl Future<Output = Result<Vec<u64>, String>> + Send;

    /// How many jobs are neither done nor dead.
    fn left(&self) -> impl Future<Output = Result<u64, String>> + Send;

    /// Whether [`left`](Self::left) is right after the engine was away as well. Default: yes. Otherwise jobs that are said to be left
    /// then, although all are done or dead, are no finding.
    fn counts_after_crashes(&self) -> bool {
        true
    }

    /// Takes the engine away, or brings it back. `Ok(false)`, the default: that can't be done here.
    fn set_away(&self, away: bool) -> impl Future<Output = Result<bool, String>> + Send {
        let _ = away;
        async { Ok(false) }
    }

    /// Cuts the connections that are open. `Ok(false)`, the default: there are none to cut.
    fn cut(&self) -> impl Future<Output = Result<bool, String>> + Send {
        async { Ok(false) }
    }
}

/// How much is tried.
///
/// ```
/// use plimsoll::conformance::source::Effort;
///
/// let effort = Effort::new(10_000).seed(3).events(60);
/// assert_eq!((effort.jobs, effort.events), (10_000, 60));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
#[non_exhaustive]
pub struct Effort {
    /// How many jobs are put in for the workers.
    pub jobs: u64,
    /// How many bad things happen meanwhile. Default: 20.
    pub events: u32,
    /// For how long workers go on between two of them, at most. Default: 50 ms.
    pub calm: Duration,
    /// For how long the engine stays away. Default: 500 ms.
    pub away: Duration,
    /// What is drawn at random follows from it. Default 1.
    pub seed: u64,
    /// After how long the jobs have to be done. Default: 120 s.
    pub limit: Duration,
}

impl Effort {
    /// So many jobs, and the defaults.
    pub const fn new(jobs: u64) -> Self {
        let (calm, away) = (Duration::from_millis(50), Duration::from_millis(500));
        Self { jobs, events: 20, calm, away, seed: 1, limit: Duration::from_secs(120) }
    }

    /// Sets [`events`](Self::events).
    pub const fn events(self, events: u32) -> Self {
        Self { events, ..self }
    }

    /// Sets [`calm`](Self::calm).
    pub const fn calm(self, calm: Duration) -> Self {
        Self { calm, ..self }
    }

    /// Sets [`away`](Self::away).
    pub const fn away(self, away: Duration) -> Self {
        Self { away, ..self }
    }

    /// Sets [`seed`](Self::seed).
    pub const fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// Sets [`limit`](Self::limit).
    pub const fn limit(self, limit: Duration) -> Self {
        Self { limit, ..self }
    }
}

/// What a check has found, and what it has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// What is wrong, in words. Empty for a source that conforms.
    pub findings: Vec<String>,
    /// Jobs that were put in for the workers, and how many of them were done.
    pub jobs: u64,
    /// Jobs that were done.
    pub done: u64,
    /// Dead letters.
    pub dead: u64,
    /// How often a job was done again.
    pub duplicates: u64,
    /// How many verdicts were not confirmed when something bad happened: there may be as many duplicates.
    pub unconfirmed: u64,
    /// Deliveries in all, and those among them that were not the first of their job.
    pub pulled: u64,
    /// Deliveries that were not the first of their job.
    pub redelivered: u64,
    /// Verdicts that were stale.
    pub stale: u64,
    /// Errors of the engine.
    pub errors: u64,
    /// Workers killed.
    pub kills: u32,
    /// Workers drained.
    pub drains: u32,
    /// Times the engine was away.
    pub aways: u32,
    /// Times connections were cut.
    pub cuts: u32,
}

impl fmt::Display for Report {
    /// Counts in one line, and a line for each finding.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} jobs: {} done, {} dead, {} done again ({} unconfirmed at the time); {} deliveries, {} of them again; \
             {} stale, {} engine errors; {} kills, {} drains, {} times away, {} cuts; {} findings",
            self.jobs,
            self.done,
            self.dead,
            self.duplicates,
            self.unconfirmed,
            self.pulled,
            self.redelivered,
            self.stale,
            self.errors,
            self.kills,
            self.drains,
            self.aways,
            self.cuts,
            self.findings.len()
        )?;
        self.findings.iter().try_for_each(|finding| write!(f, "\n- {finding}"))
    }
}

/// Tries an engine, first call by call and then in a storm. It has to be empty before, and is empty afterwards but for its
/// dead letters, if it conforms.
pub async fn check<E: Engine>(engine: &E, effort: Effort) -> Report {
    let mut report = Report::default();
    if let Err(trouble) = laws::check(engine, &mut report).await {
        report.findings.push(format!("the engine could not be tried call by call: {trouble}"));
    }
    if report.findings.is_empty() {
        if let Err(trouble) = storm::check(engine, effort, &mut report).await {
            report.findings.push(format!("the storm could not go on: {trouble}"));
        }
    }
    report
}
