//! The metrics one by one: their names, their handles, and where their values come from.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, Recorder, Unit};
use plimsoll_core::{ByRefusal, Health, Instant, OutcomeKind, Plan, Processor, Refusal, Totals};

/// One look at the machine.
pub(crate) struct Seen {
    health: Health,
    totals: Totals,
    refusals: ByRefusal,
    queue: u32,
    concurrency: u32,
}

impl Seen {
    pub(crate) fn of<P: Plan>(machine: &Processor<P>, now: Instant) -> Self {
        Self {
            health: machine.health(now),
            totals: machine.totals(),
            refusals: machine.refusals(),
            queue: machine.limits().queue,
            concurrency: machine.concurrency(),
        }
    }
}

/// A gauge or a counter: its name, its unit, what it is, and its value.
type Row<V> = (&'static str, Unit, &'static str, fn(&Seen) -> V);

#[rustfmt::skip]
const GAUGES: [Row<f64>; 9] = [
    ("plimsoll_queue_size", Unit::Count, "Tasks in the queue.", |seen| seen.health.queued.into()),
    ("plimsoll_queue_capacity", Unit::Count, "The limit of the queue.", |seen| seen.queue.into()),
    ("plimsoll_tasks_running", Unit::Count, "Attempts that run for tasks that are not settled.", |seen| seen.health.running.into()),
    ("plimsoll_tasks_orphaned", Unit::Count, "Attempts that still run although their task is settled.", |seen| seen.health.orphans.into()),
    ("plimsoll_tasks_delayed", Unit::Count, "Tasks kept back by a start delay or a backoff.", |seen| seen.health.delayed.into()),
    ("plimsoll_concurrency_limit", Unit::Count, "How many attempts may run at the same time.", |seen| seen.concurrency.into()),
    ("plimsoll_oldest_wait_seconds", Unit::Seconds, "The longest time that a queued task has been in the queue.", |seen| seen.health.oldest_wait.as_secs_f64()),
    ("plimsoll_load_ratio", Unit::Count, "The load, as a part of the load line.", |seen| f64::from(seen.health.saturation) / 1_000.0),
    ("plimsoll_source_unconfirmed", Unit::Count, "Deliveries of sources whose verdict is not confirmed.", |seen| seen.health.unconfirmed.into()),
];

#[rustfmt::skip]
const COUNTERS: [Row<u64>; 8] = [
    ("plimsoll_tasks_submitted_total", Unit::Count, "Tasks that were offered, refused ones included.", |seen| seen.totals.offered),
    ("plimsoll_task_retries_total", Unit::Count, "Attempts that were followed by another one.", |seen| seen.totals.retried),
    ("plimsoll_late_panics_total", Unit::Count, "Panics after the outcome of a task was fixed.", |seen| seen.totals.late_panics),
    ("plimsoll_source_pulled_total", Unit::Count, "Deliveries that came from sources.", |seen| seen.totals.pulled),
    ("plimsoll_source_redelivered_total", Unit::Count, "Deliveries that had been delivered before.", |seen| seen.totals.redelivered),
    ("plimsoll_source_stale_total", Unit::Count, "Verdicts of no effect, because the lease had run out.", |seen| seen.totals.stale),
    ("plimsoll_source_dead_total", Unit::Count, "Deliveries that became dead letters.", |seen| seen.totals.dead),
    ("plimsoll_source_errors_total", Unit::Count, "Errors of the engines of sources.", |seen| seen.totals.source_errors),
];

const REJECTED: (&str, &str) = ("plimsoll_tasks_rejected_total", "Tasks that were refused.");
const SETTLED: (&str, &str) = ("plimsoll_tasks_settled_total", "Tasks that were settled.");
const WAIT: (&str, &str) = (
    "plimsoll_task_wait_seconds",
    "From the admission of a task to the start of its last attempt, or to its end.",
);
const RUN: (&str, &str) = ("plimsoll_task_run_seconds", "How long the last attempt at a task ran.");

const METADATA: Metadata<'static> = Metadata::new("plimsoll", Level::INFO, Some("plimsoll"));

/// What the recorder has given for each metric of one processor.
pub(super) struct Handles {
    gauges: [Gauge; GAUGES.len()],
    counters: [Total; COUNTERS.len()],
    /// By the reason.
    rejected: [Total; Refusal::COUNT],
    /// By the kind of the outcome.
    settled: [Total; OutcomeKind::COUNT],
    run: [Histogram; OutcomeKind::COUNT],
    wait: Histogram,
}

impl Handles {
    /// Describes and registers them all.
    pub(super) fn register(recorder: &dyn Recorder, processor: &str) -> Self {
        for (name, unit, text, _) in GAUGES {
            recorder.describe_gauge(name.into(), Some(unit), text.into());
        }
        for (name, unit, text, _) in COUNTERS {
            recorder.describe_counter(name.into(), Some(unit), text.into());
        }
        for (name, text) in [REJECTED, SETTLED] {
            recorder.describe_counter(name.into(), Some(Unit::Count), text.into());
        }
        for (name, text) in [WAIT, RUN] {
            recorder.describe_histogram(name.into(), Some(Unit::Seconds), text.into());
        }
        let key = |name, label| key(name, processor, label);
        let counter = |name, label| Total::new(recorder.register_counter(&key(name, label), &METADATA));
        let histogram = |name, label| recorder.register_histogram(&key(name, label), &METADATA);
        Self {
            gauges: GAUGES.map(|(name, ..)| recorder.register_gauge(&key(name, None), &METADATA)),
            counters: COUNTERS.map(|(name, ..)| counter(name, None)),
            rejected: Refusal::ALL.map(|reason| counter(REJECTED.0, Some(("reason", reason.name())))),
            settled: OutcomeKind::ALL.map(|kind| counter(SETTLED.0, Some(("outcome", kind.name())))),
            run: OutcomeKind::ALL.map(|kind| histogram(RUN.0, Some(("outcome", kind.name())))),
            wait: histogram(WAIT.0, None),
        }
    }

    /// Sets gauges and counters to what was seen.
    pub(super) fn publish(&self, seen: &Seen) {
        for (gauge, (.., value)) in self.gauges.iter().zip(GAUGES) {
            gauge.set(value(seen));
        }
        for (counter, (.., value)) in self.counters.iter().zip(COUNTERS) {
            counter.publish(value(seen));
        }
        for (counter, reason) in self.rejected.iter().zip(Refusal::ALL) {
            counter.publish(seen.refusals.get(reason));
        }
        for (counter, kind) in self.settled.iter().zip(OutcomeKind::ALL) {
            counter.publish(seen.totals.settled.get(kind));
        }
    }

    /// Records how long a task has waited, and how long its last attempt ran, if one ran when it was settled.
    pub(super) fn record(&self, kind: OutcomeKind, waited: Duration, ran: Option<Duration>) {
        self.wait.record(waited);
        if let (Some(run), Some(ran)) = (self.run.get(kind as usize), ran) {
            run.record(ran);
        }
    }
}

/// A counter of the recorder, which an earlier processor of the same name may have counted on: so it is told by how much a
/// total has grown, not what it is.
struct Total {
    counter: Counter,
    /// The highest that was published.
    published: AtomicU64,
}

impl Total {
    const fn new(counter: Counter) -> Self {
        Self { counter, published: AtomicU64::new(0) }
    }

    /// Several threads may publish at a time, each what it has seen.
    fn publish(&self, total: u64) {
        let before = self.published.fetch_max(total, Ordering::Relaxed);
        self.counter.increment(total.saturating_sub(before));
    }
}

/// The key of a metric of this processor, perhaps with a further label.
fn key(name: &'static str, processor: &str, further: Option<(&'static str, &str)>) -> Key {
    let mut labels = vec![Label::new("processor", processor.to_owned())];
    labels.extend(further.map(|(label, value)| Label::new(label, value.replace(' ', "_"))));
    Key::from_parts(name, labels)
}
