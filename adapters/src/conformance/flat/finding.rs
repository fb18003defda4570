//! What a check finds.

use std::fmt;

use plimsoll_core::{ByOutcome, OutcomeKind};

use crate::runtime::sim::Stuck;

/// Something that is kept, or that was in the way of the proof.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finding {
    /// There is more of a class than in a week before.
    Grew {
        /// What was watched: the name of a processor, for instance.
        name: String,
        /// The class, as in the [`Ledger`](crate::Ledger); `spawned futures`, `live bytes`, `unclaimed outcomes` or `items`.
        class: &'static str,
        /// By how much: what is the least of the last week, less the least of all that count before.
        by: u64,
        /// The least of each week, the one to warm up first.
        least: Vec<u64>,
    },
    /// A class was at its bound whenever it was looked at in the last week, and did not begin there: it has stopped
    /// growing because it can't grow.
    Full {
        /// What was watched.
        name: String,
        /// The class.
        class: &'static str,
        /// Its bound.
        bound: u64,
    },
    /// No task of a processor has settled in the last week, so the week proves nothing.
    Idle {
        /// The processor.
        name: String,
    },
    /// Tasks of a processor have settled in the last week, and none of them has completed, so the week proves nothing.
    /// Handlers that wait by tokio's timers panic on the simulated clock, for instance. Where tasks are meant to fail,
    /// take [`Watch::failing_processor`](super::Watch::failing_processor).
    NoneCompleted {
        /// The processor.
        name: String,
        /// How its tasks have ended in the last week.
        settled: ByOutcome,
        /// The text of its last error.
        last_error: Option<String>,
    },
    /// The scenario watches nothing.
    Nothing,
    /// The simulation did not get to the end.
    Stuck(Stuck),
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Grew { name, class, by, least } => {
                write!(f, "{name}: {class} grew by {by}; the least of each week: {least:?}")
            }
            Self::Full { name, class, bound } => {
                write!(f, "{name}: {class} never fell below the bound of {bound} in the last week")
            }
            Self::Idle { name } => write!(f, "{name}: no task has settled in the last week"),
            Self::NoneCompleted { name, settled, last_error } => {
                write!(f, "{name}: no task has completed in the last week: ")?;
                write_counts(f, settled)?;
                last_error.iter().try_for_each(|error| write!(f, "; the last error: {error}"))
            }
            Self::Nothing => f.write_str("the scenario watches nothing"),
            Self::Stuck(stuck) => write!(f, "the simulation did not get to the end: {stuck}"),
        }
    }
}

/// The counts that are not zero: `20 failed, 3 timed out`.
fn write_counts(f: &mut fmt::Formatter<'_>, counts: &ByOutcome) -> fmt::Result {
    let counts = OutcomeKind::ALL.iter().map(|kind| (counts.get(*kind), kind));
    counts.filter(|(count, _)| *count > 0).enumerate().try_for_each(|(i, (count, kind))| {
        let comma = if i > 0 { ", " } else { "" };
        write!(f, "{comma}{count} {kind}")
    })
}

/// All that a [`check`](super::check) has found. `Display` has a line for each.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Findings {
    /// The findings, those about processors in the order in which they are watched.
    pub findings: Vec<Finding>,
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the scenario is not flat:")?;
        self.findings.iter().try_for_each(|finding| write!(f, "\n  {finding}"))
    }
}

impl std::error::Error for Findings {}
