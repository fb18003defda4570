//! The classes of the ledger: how many are live, and the most at the same time.

use super::comparison::Comparison;
use super::{Model, Owner, size};
use crate::testkit::flaws::Flaw;
use crate::{Ledger, Totals};

impl Model {
    /// How many are live of each class, with the names of the ledger.
    fn live(&self) -> [(&'static str, u32); Ledger::CLASSES] {
        let [health, sweep] = self.intervals.map(u32::from);
        let [mut callbacks, mut jobs, mut queued, mut placed, mut observed] = [0; 5];
        for task in &self.tasks {
            callbacks += u32::from(task.callback.is_some());
            jobs += u32::from(task.job.is_some());
            queued += u32::from(task.is_queued());
            placed += u32::from(task.placed);
            observed += u32::from(task.out);
        }
        let timers = self.timers.iter().filter(|timer| matches!(timer.owner, Owner::Task(_)));
        [
            ("health intervals", health),
            ("sweep intervals", sweep),
            ("listeners", size(self.emitters.iter()) * 3),
            ("callbacks", callbacks),
            ("cache", size(0..self.cache.len())),
            ("subscribers", size(0..self.ring.len())),
            ("jobs", jobs),
            ("task timers", size(timers)),
            ("tasks", size(self.tasks.iter())),
            ("queued", queued),
            ("running", placed),
            ("results", size(self.kept.iter())),
            ("waiters", size(self.line.iter())),
            ("permits", self.permits()),
            ("sleeps", size(0..self.sleeps.len())),
            ("sources", self.inlet.len()),
            ("deliveries", self.inlet.deliveries()),
            ("schedules", size(0..self.calendar.len())),
            ("lanes", self.keyed_lanes()),
            ("unique keys", self.live_keys()),
            ("observed", observed),
        ]
    }

    /// Notes how many are live now: after each call, after each timer of a call that fires
    /// several, and after each task that a batch adds, for which it may shed another one. No other call
    /// removes something that it added itself.
    pub(super) fn note_highest(&mut self) {
        let live = self.live();
        for (class, (highest, (_, live))) in self.highest.iter_mut().zip(live).enumerate() {
            if self.flaw != Some(Flaw::ForgetsHighest(class)) {
                *highest = live.max(*highest);
            }
        }
    }

    pub(super) fn compare_ledgers(&self, ledger: &Ledger, totals: &Totals, found: &mut Comparison) {
        let expected = self.live().into_iter().zip(self.highest);
        for (((what, live), highest), (name, account)) in expected.zip(ledger.classes()) {
            found.of("ledger's class", &what, &name);
            found.of(what, &(live, highest), &(account.live(), account.highest));
            found.of("ledger's bound", &true, &(account.highest <= account.bound));
        }
        found.of("tasks entered", &totals.admitted, &ledger.tasks.entered);
        found.of("attempts entered", &totals.started, &ledger.running.entered);
    }
}
