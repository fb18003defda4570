//! Metrics, by the feature `metrics`. Without it [`unmetered`](../unmetered.rs) is in the place of this file.
//!
//! Counters and gauges are published from one look at the machine: by a worker, by a call of
//! [`Access::publish_metrics`], and once more at the end. Histograms are recorded for each settled task. A recorder is
//! foreign code: none of that happens under a lock.

use std::time::Duration;

use plimsoll_core::{Instant, Limits};

use crate::access::Access;
use crate::builder::Builder;
use crate::engine::machine::Shared;
use crate::probes::health_period;
use crate::settlement::Settlement;
use crate::work::AnyWork;

mod handles;

use handles::{Handles, Seen};

/// The upper bounds, in seconds, of the buckets that suit the histograms of a processor's metrics: from a tenth of a
/// millisecond to ten seconds. See [`Builder::metrics`].
pub const DURATION_BOUNDS: [f64; 17] =
    [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

impl<R> Builder<R> {
    /// Has the processor report to the recorder of the [`metrics`](https://docs.rs/metrics) facade that is installed
    /// when it is built, under its [name](Self::name) as the label `processor`. So install the recorder first; a
    /// processor that is built before reports to nobody. Needs the feature `metrics`. Default: no.
    ///
    /// | metric | type | what it is |
    /// |---|---|---|
    /// | `plimsoll_queue_size`, `plimsoll_queue_capacity` | gauge | tasks in the queue, and [`Limits::queue`] |
    /// | `plimsoll_tasks_running`, `plimsoll_tasks_orphaned`, `plimsoll_tasks_delayed` | gauge | as in [`Health`](crate::Health) |
    /// | `plimsoll_concurrency_limit` | gauge | as [set last](crate::Access::set_concurrency) |
    /// | `plimsoll_oldest_wait_seconds` | gauge | [`Health::oldest_wait`](crate::Health::oldest_wait) |
    /// | `plimsoll_load_ratio` | gauge | [`Health::saturation`](crate::Health::saturation); 1 is the load line |
    /// | `plimsoll_tasks_submitted_total` | counter | tasks offered, refused ones included |
    /// | `plimsoll_tasks_rejected_total{reason}` | counter | tasks refused, by [`Refusal`](crate::Refusal) |
    /// | `plimsoll_tasks_settled_total{outcome}` | counter | tasks settled, by [`OutcomeKind`](crate::OutcomeKind) |
    /// | `plimsoll_task_retries_total` | counter | attempts that were followed by another one |
    /// | `plimsoll_late_panics_total` | counter | panics after the outcome was fixed |
    /// | `plimsoll_task_wait_seconds` | histogram | [`Times::waited`](crate::Times::waited) of each settled task |
    /// | `plimsoll_task_run_seconds{outcome}` | histogram | [`Times::ran`](crate::Times::ran), if an attempt ran then |
    /// | `plimsoll_source_pulled_total`, `…_redelivered_total`, `…_stale_total`, `…_dead_total`, `…_errors_total` | counter | as in [`Totals`](crate::Totals), of all [sources](crate::source) |
    /// | `plimsoll_source_unconfirmed` | gauge | deliveries whose verdict is not confirmed |
    ///
    /// A delivery that fails and that the engine delivers again counts as settled each time: alert on dead letters instead.
    ///
    /// Labels are lower case words with underscores: `timed_out`, `lane_full`. A refusal that never reaches the
    /// machine, such as a time-out of zero, is not counted.
    ///
    /// Counters and gauges are published as often as [`health_every`](Self::health_every) says (every ten seconds if
    /// that is not set), by a worker, all from one look at the machine; when the processor has ended; and by
    /// [`Access::publish_metrics`], so that a scraper gets what is true now. Histograms are recorded when a task is
    /// settled, before anybody else has its result. That costs what
    /// [`on_settled`](crate::Processor::on_settled) costs, and two calls of the recorder; no allocation, and no look-up
    /// of a metric. A panic of the recorder is caught and counted, but not while building.
    ///
    /// A further processor of the same name, built when the first has ended or beside it, adds to the same counters and
    /// histograms. Gauges are set by each of them in turn, so of processors that live at the same time give each a name
    /// of its own; those of one `ProcessorLayer` share that of its builder. But a recorder forgets no series: names
    /// without a bound, one for each of many processors that live for a short time, grow there without a bound.
    ///
    /// Buckets are the recorder's affair. [`DURATION_BOUNDS`](crate::DURATION_BOUNDS) are good ones:
    ///
    /// ```
    /// use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
    /// use plimsoll::{DURATION_BOUNDS, Processor, Thread, infallible};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let scrapes = ["plimsoll_task_wait_seconds", "plimsoll_task_run_seconds"]
    ///     .into_iter()
    ///     .try_fold(PrometheusBuilder::new(), |builder, name| {
    ///         builder.set_buckets_for_metric(Matcher::Full(name.into()), &DURATION_BOUNDS)
    ///     })?
    ///     .install_recorder()?;
    /// let processor =
    ///     Processor::builder().name("doubles").metrics().spawn_on(Thread::start()?, infallible(|n: u64| async move { n * 2 }))?;
    /// assert_eq!(processor.submit(21)?.wait()?, 42);
    ///
    /// // At each scrape:
    /// processor.publish_metrics();
    /// let text = scrapes.render();
    /// assert!(text.contains(r#"plimsoll_tasks_settled_total{processor="doubles",outcome="completed"} 1"#), "{text}");
    /// # Ok(())
    /// # }
    /// ```
    pub fn metrics(mut self) -> Self {
        self.metering = Metering { is_on: true };
        self
    }
}

impl<W: AnyWork> Access<W> {
    /// Publishes the counters and gauges now, if the processor was built with [`metrics`](Builder::metrics): call it
    /// before they are scraped. Calls the recorder on this thread. One short hold of the machine's lock. Needs the
    /// feature `metrics`.
    pub fn publish_metrics(&self) {
        self.shared.publish_metrics();
    }
}

impl<W: AnyWork> Shared<W> {
    /// See [`Access::publish_metrics`].
    pub(crate) fn publish_metrics(&self) {
        let Some(handles) = &self.meter.0 else { return };
        let now = self.now();
        let seen = self.read(|machine| Seen {
            health: machine.health(now),
            totals: machine.totals(),
            refusals: machine.refusals(),
            queue: machine.limits().queue,
            concurrency: machine.concurrency(),
        });
        self.guarded(|| handles.publish(&seen));
    }
}

/// What the builder was told about metrics.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Metering {
    is_on: bool,
}

impl Metering {
    pub(crate) const OFF: Self = Self { is_on: false };
}

/// The metrics of a processor, if it has any.
pub(crate) struct Meter(Option<Handles>);

impl Meter {
    /// Registers them with the recorder that is installed.
    pub(crate) fn new(metering: Metering, processor: &str) -> Self {
        Self(
            metering.is_on.then(|| metrics::with_recorder(|recorder| Handles::register(recorder, processor))),
        )
    }

    #[inline]
    pub(crate) const fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Records the times of a settled task.
    pub(crate) fn note_settled<W: AnyWork>(&self, settled: &Settlement<W>) {
        let Some(handles) = &self.0 else { return };
        // One that ended while it waited still has its job.
        let ran = settled.job.is_none().then(|| settled.times.ran());
        handles.record(settled.kind(), settled.times.waited(), ran);
    }
}

/// When the metrics are published next. Under the machine's lock.
pub(crate) struct Publishing {
    /// The end of time if there are none.
    next: Instant,
    every: Duration,
    is_due: bool,
}

impl Publishing {
    pub(crate) fn new(metering: Metering, limits: &Limits, now: Instant) -> Self {
        let every = health_period(limits);
        let next = if metering.is_on { now.saturating_add(every) } else { Instant::MAX };
        Self { next, every, is_due: false }
    }

    /// When the timekeeper has to [look](Self::look).
    #[inline]
    pub(crate) const fn next(&self) -> Instant {
        self.next
    }

    /// The timekeeper looks whether they are due. Times that were missed are skipped.
    pub(crate) fn look(&mut self, now: Instant) {
        if now >= self.next {
            self.next = now.saturating_add(self.every);
            self.is_due = true;
        }
    }

    /// Whether a worker has to publish them.
    #[inline]
    pub(crate) const fn is_due(&self) -> bool {
        self.is_due
    }

    /// As [`is_due`](Self::is_due), for a worker that does so.
    pub(crate) const fn take_due(&mut self) -> bool {
        std::mem::replace(&mut self.is_due, false)
    }
}
