//! What a builder is told about metrics.

use super::Builder;
use crate::meter::Metering;

impl<R> Builder<R> {
    /// Has the processor report to the recorder of the [`metrics`](https://docs.rs/metrics) facade that is installed
    /// when it is built, under its [name](Self::name) as the label `processor`. So install the recorder first; a
    /// processor that is built before reports to nobody. Needs the feature `metrics`. Default: no.
    ///
    /// | metric | type | what it is |
    /// |---|---|---|
    /// | `plimsoll_queue_size`, `plimsoll_queue_capacity` | gauge | tasks in the queue, and [`Limits::queue`](crate::Limits::queue) |
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
    /// For a label of your own, such as a kind that the metadata tells, count in [`on_settled`](crate::Processor::on_settled):
    /// the example `metrics_prometheus` does.
    ///
    /// Counters and gauges are published as often as [`health_every`](Self::health_every) says (every ten seconds if
    /// that is not set), by a worker, all from one look at the machine; when the processor has ended; and by
    /// [`Access::publish_metrics`](crate::Access::publish_metrics), so that a scraper gets what is true now. Histograms are recorded when a task is
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
        self.metering = Metering::ON;
        self
    }
}
