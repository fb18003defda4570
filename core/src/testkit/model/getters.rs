//! The getters of single values.

use core::time::Duration;

use super::comparison::Comparison;
use super::{Model, Task};
use crate::testkit::calls::submissions::Offer;
use crate::testkit::order::Order;
use crate::testkit::token::{Kit, Token};
use crate::{EmitterId, Processor, Refusal, Route, TaskId, Terms};

/// Routes and terms, each refused for a reason of its own.
#[derive(Debug)]
pub(in crate::testkit) struct Probes([(Order, Route<Token>, Terms); 4]);

impl Probes {
    /// They ask for a handle, for retention, for a delay, and for attempts without bound.
    pub(in crate::testkit) fn new() -> Self {
        let orders = [[1 << 3, 0], [2 << 3, 0], [3 << 3, 9], [3 << 3 | 3 << 5, 1]];
        let orders = orders.map(|[a, b]| Order::new(a, b, 0, 0, 0));
        let [handle, retention, delay, attempts] = orders;
        Self([
            (handle, Route::Handle, handle.terms()),
            (retention, Route::Retain, retention.terms()),
            (delay, Route::Nowhere, delay.terms()),
            (attempts, Route::Nowhere, attempts.terms()),
        ])
    }
}

impl Model {
    /// Compares the getters of single values.
    pub(in crate::testkit) fn compare_getters(
        &self,
        machine: &Processor<Kit>,
        probes: &Probes,
        found: &mut Comparison,
    ) {
        let later = self.now.saturating_add(Duration::from_secs(3_600));
        let pending = u32::try_from(self.outbox.len()).unwrap_or(u32::MAX).max(1);
        let has_effect = self.has_effect();
        found.of("limits", &self.limits, machine.limits());
        found.of("idle", &self.is_quiet(), &machine.is_idle());
        found.of("health later", &self.health(later), &machine.health(later));
        found.of("settled since health", &self.since_health, &machine.settled_since_health());
        for reason in Refusal::ALL {
            let count = self.refusals.get(reason.name()).copied().unwrap_or(0);
            found.of(reason.name(), &count, &machine.refusals().get(reason));
        }
        found.of("refusals", &self.totals.refused, &machine.refusals().total());
        found.of("hung", &self.hung(), &machine.hung());
        found.of("an effect", &has_effect, &machine.has_effect());
        found.of("effects", &if has_effect { pending } else { 0 }, &machine.pending_effects());
        found.of("sweep", &self.sweep_finds(self.now), &machine.sweep_is_due(self.now));
        found.of("sweep later", &self.sweep_finds(later), &machine.sweep_is_due(later));
        for (order, route, terms) in &probes.0 {
            let offer = Offer { job: 0, meta: 0, callback: None, order: *order };
            found.of("refusal beside room", &self.terms_refusal(offer), &machine.refusal(route, terms));
        }
        self.compare_lanes(machine, found);
        self.compare_keys(machine, found);
        self.compare_schedules(machine, found);
        self.compare_sources(machine, found);
        for emitter in &self.emitters {
            found.of("fed by an emitter", &Some(emitter.fed), &machine.emitter_fed(emitter.id));
            let stranger = EmitterId::from_bits(strange(emitter.id.to_bits()));
            found.of("fed by a stranger", &None, &stranger.and_then(|id| machine.emitter_fed(id)));
        }
        for task in &self.tasks {
            Self::compare_by_id(task, machine, found);
        }
    }

    fn compare_by_id(task: &Task, machine: &Processor<Kit>, found: &mut Comparison) {
        let Some(id) = task.id else { return };
        found.of("waiter of a handle", &task.waiter, &machine.waiter(id).map(Token::number));
        let Some(stranger) = TaskId::from_bits(strange(id.to_bits())) else { return };
        found.of("view of a stranger", &None, &machine.view(stranger));
        found.of("waiter of a stranger", &None, &machine.waiter(stranger).map(Token::number));
    }
}

/// An id that differs from this one in a high bit of its generation only.
pub(super) const fn strange(id: u64) -> u64 {
    id ^ 1 << (32 + id % 32)
}
