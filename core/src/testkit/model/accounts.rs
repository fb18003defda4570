//! How many there are of each class of the ledger, and the most that there ever were at the same time.

use super::comparison::Comparison;
use super::{Model, Owner, size};
use crate::testkit::Flaw;
use crate::{Account, Ledger, Totals};

/// How many classes the ledger has.
pub(super) const CLASSES: usize = 16;

/// A class by its number in the arrays here.
const NAMES: [&str; CLASSES] = [
    "health intervals",
    "sweep intervals",
    "listeners",
    "callbacks",
    "cache",
    "subscribers",
    "jobs",
    "task timers",
    "tasks",
    "queued",
    "running",
    "results",
    "waiters",
    "permits",
    "sleeps",
    "observed",
];

fn accounts(ledger: &Ledger) -> [Account; CLASSES] {
    [
        ledger.health_intervals,
        ledger.sweep_intervals,
        ledger.listeners,
        ledger.callbacks,
        ledger.cache,
        ledger.subscribers,
        ledger.jobs,
        ledger.timers,
        ledger.tasks,
        ledger.queued,
        ledger.running,
        ledger.results,
        ledger.waiters,
        ledger.permits,
        ledger.sleeps,
        ledger.observed,
    ]
}

impl Model {
    fn live(&self) -> [u32; CLASSES] {
        let [health, sweep] = self.intervals.map(u32::from);
        let [mut callbacks, mut jobs, mut queued, mut placed, mut observed] = [0; 5];
        for task in &self.tasks {
            callbacks += u32::from(task.callback.is_some());
            jobs += u32::from(task.job.is_some());
            queued += u32::from(task.is_queued());
            placed += u32::from(task.placed);
            observed += u32::from(task.out);
        }
        [
            health,
            sweep,
            size(self.sources.iter()) * 3,
            callbacks,
            size(0..self.cache.len()),
            size(0..self.ring.len()),
            jobs,
            size(self.timers.iter().filter(|timer| matches!(timer.owner, Owner::Task(_)))),
            size(self.tasks.iter()),
            queued,
            placed,
            size(self.kept.iter()),
            size(self.line.iter()),
            self.permits(),
            size(0..self.sleeps.len()),
            observed,
        ]
    }

    /// Notes how many there are now: after each call, and after each timer of a call that fires several. Nothing else in a
    /// call takes away what it has added before.
    pub(super) fn note_highest(&mut self) {
        let live = self.live();
        for (class, (highest, live)) in self.highest.iter_mut().zip(live).enumerate() {
            if self.flaw != Some(Flaw::ForgetsHighest(class)) {
                *highest = live.max(*highest);
            }
        }
    }

    pub(super) fn compare_ledgers(&self, ledger: &Ledger, totals: &Totals, found: &mut Comparison) {
        let expected = self.live().into_iter().zip(self.highest);
        for ((what, account), expected) in NAMES.into_iter().zip(accounts(ledger)).zip(expected) {
            found.of(what, &expected, &(account.live(), account.highest));
            found.of("ledger's bound", &true, &(account.highest <= account.bound));
        }
        found.of("tasks entered", &totals.admitted, &ledger.tasks.entered);
        found.of("attempts entered", &totals.started, &ledger.running.entered);
    }
}
