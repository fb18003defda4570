//! What the machine tells of one thing each, when it is asked for that.

use alloc::vec::Vec;
use core::time::Duration;

use super::observe::Difference;
use super::{Model, Task};
use crate::testkit::call::Offer;
use crate::testkit::order::Order;
use crate::testkit::{Kit, Token, host};
use crate::{Fed, Processor, Refusal, Route, SourceId, TaskId};

/// Terms that are refused for a reason of their own: a handle, retention, a delay, attempts without bound.
const ORDERS: [Order; 4] =
    [Order([1 << 3, 0, 0]), Order([2 << 3, 0, 0]), Order([3 << 3, 9, 0]), Order([3 << 3 | 3 << 5, 1, 0])];

impl Model {
    /// What differs between the machine and the model in what single things they tell.
    pub(in crate::testkit) fn difference_in_getters(&self, machine: &Processor<Kit>) -> Option<Difference> {
        let later = self.now.saturating_add(Duration::from_secs(3_600));
        let pending = u32::try_from(self.outbox.len()).unwrap_or(u32::MAX).max(1);
        let pending = if self.has_effect() { pending } else { 0 };
        [
            Difference::between("limits", &self.limits, machine.limits()),
            Difference::between("idle", &self.is_quiet(), &machine.is_idle()),
            Difference::between("health later", &self.health(later), &machine.health(later)),
            Difference::between("settled since health", &self.since_health, &machine.settled_since_health()),
            Difference::between("an effect", &self.has_effect(), &machine.has_effect()),
            Difference::between("effects", &pending, &machine.pending_effects()),
            Difference::between("sweep", &self.sweep_finds(self.now), &machine.sweep_is_due(self.now)),
            Difference::between("sweep later", &self.sweep_finds(later), &machine.sweep_is_due(later)),
            Difference::between("refusals of terms", &self.refusals(), &refusals(machine)),
            Difference::between("fed by sources", &self.fed_by_all(), &self.fed_by_all_in(machine)),
            Difference::between("waiters of handles", &self.waiters(), &self.waiters_in(machine)),
            Difference::between("strangers", &0, &self.strangers_in(machine)),
        ]
        .into_iter()
        .flatten()
        .next()
    }

    fn refusals(&self) -> [Option<Refusal>; 4] {
        ORDERS.map(|order| self.terms_refusal(Offer { job: 0, meta: 0, callback: None, order }))
    }

    fn fed_by_all(&self) -> Vec<Option<Fed>> {
        self.sources.iter().map(|source| Some(source.fed)).collect()
    }

    fn fed_by_all_in(&self, machine: &Processor<Kit>) -> Vec<Option<Fed>> {
        self.sources.iter().map(|source| machine.source_fed(source.id)).collect()
    }

    fn named_tasks(&self) -> impl Iterator<Item = (TaskId, &Task)> {
        self.tasks.iter().filter_map(|task| task.id.map(|id| (id, task)))
    }

    fn waiters(&self) -> Vec<Option<u32>> {
        self.named_tasks().map(|(_, task)| task.waiter).collect()
    }

    fn waiters_in(&self, machine: &Processor<Kit>) -> Vec<Option<u32>> {
        self.named_tasks().map(|(id, _)| machine.waiter(id).map(Token::number)).collect()
    }

    /// How many ids that differ from those of live tasks and sources in high bits of the generation only mean something to
    /// the machine.
    fn strangers_in(&self, machine: &Processor<Kit>) -> usize {
        let strange = |id: u64| id ^ 1 << (32 + id % 32);
        let tasks = self.named_tasks().filter_map(|(id, _)| TaskId::from_bits(strange(id.to_bits())));
        let known = tasks.filter(|&id| machine.view(id).is_some() || machine.waiter(id).is_some());
        let sources =
            self.sources.iter().filter_map(|source| SourceId::from_bits(strange(source.id.to_bits())));
        known.count() + sources.filter(|&id| machine.source_fed(id).is_some()).count()
    }
}

fn refusals(machine: &Processor<Kit>) -> [Option<Refusal>; 4] {
    let routes = [Route::Handle, Route::Retain, Route::Nowhere, Route::Nowhere];
    let mut terms = ORDERS.into_iter().zip(routes).map(|(order, route)| host::terms(0, route, order));
    ORDERS.map(|_| terms.next().and_then(|terms| machine.terms_refusal(&terms)))
}
