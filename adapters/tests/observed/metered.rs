//! Metrics: they equal what the machine has counted, each processor has its own, and no recorder is called under a
//! lock.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use plimsoll::runtime::sim::Sim;
use plimsoll::{
    Access, AnyWork, Context, DURATION_BOUNDS, Drain, OutcomeKind, Processor, Refusal, Retry, SleepRefusal,
    Submitter,
};

use crate::ms;

type Work = fn(u64, Context) -> Result<u64, String>;

/// What Prometheus would scrape, by name and labels.
struct Scraped(BTreeMap<String, f64>);

impl Scraped {
    fn of(handle: &PrometheusHandle) -> Self {
        let text = handle.render();
        let lines =
            text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.rsplit_once(' '));
        Self(lines.map(|(name, value)| (name.to_owned(), value.parse().unwrap())).collect())
    }

    /// The value of a metric of this processor, perhaps with a further label.
    fn get(&self, name: &str, processor: &str, label: Option<(&str, &str)>) -> f64 {
        let further =
            label.map_or(String::new(), |(label, value)| format!(",{label}=\"{}\"", value.replace(' ', "_")));
        let name = format!("plimsoll_{name}{{processor=\"{processor}\"{further}}}");
        *self.0.get(&name).unwrap_or_else(|| panic!("{name} of {:?}", self.0.keys()))
    }
}

fn prometheus() -> (impl Recorder, PrometheusHandle) {
    let builder = PrometheusBuilder::new();
    let builder =
        builder.set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &DURATION_BOUNDS).unwrap();
    let recorder = builder.build_recorder();
    let handle = recorder.handle();
    (recorder, handle)
}

/// Sleeps for as many milliseconds as its number, and fails when that is odd; a multiple of 100 panics.
fn processor(sim: &Sim, name: &'static str) -> Processor<Work> {
    Processor::builder()
        .name(name)
        .metrics()
        .queue(10)
        .concurrency(2)
        .timeout(ms(1_000))
        .retry(Retry::times(1).fixed(ms(5)))
        .results(10, None)
        .health_every(ms(60_000))
        .spawn_on(sim.clone(), |n: u64, cx: Context| async move {
            cx.sleep(ms(n)).await.map_err(|refusal| refusal.to_string())?;
            assert!(n % 100 != 0, "it panics");
            if n % 2 == 0 { Ok(n) } else { Err("odd".into()) }
        })
        .unwrap()
}

/// Tasks that end in every way but by shedding, and some that are refused.
fn work(sim: &Sim, processor: &Processor<Work>, rounds: u64) {
    for round in 0..rounds {
        let handles: Vec<_> =
            [2, 3, 8, 100, 2_000].map(|n| processor.submit(n + 2 * (round % 2)).unwrap()).into();
        processor.task(2).retain().unwrap();
        processor.task(4).post().unwrap();
        assert!(processor.task(6).call(|_| ()).is_ok());
        let cancelled = processor.submit(2).unwrap();
        cancelled.cancel().unwrap();
        let timeouts = plimsoll::Timeouts { schedule_to_start: Some(ms(1)), ..plimsoll::Timeouts::NONE };
        let expired = processor.task(2).timeouts(timeouts).submit().unwrap();
        while processor.task(4).post().is_ok() {}
        assert_eq!(
            processor.task(4).delay(ms(1)).retry(Retry::times(99)).post().unwrap_err().reason,
            Refusal::Attempts
        );
        for handle in handles.into_iter().chain([cancelled, expired]) {
            let _ = sim.block_on(handle).unwrap();
        }
        sim.block_on(processor.idle()).unwrap();
    }
}

/// Asserts that all is as the machine has counted it.
fn assert_equal<W: AnyWork>(access: &Access<W>, scraped: &Scraped) {
    let (health, totals) = (access.health(), access.totals());
    let get = |name: &str| scraped.get(name, access.name(), None);
    for (name, value) in [
        ("queue_size", health.queued.into()),
        ("queue_capacity", access.limits().queue.into()),
        ("tasks_running", health.running.into()),
        ("tasks_orphaned", health.orphans.into()),
        ("tasks_delayed", health.delayed.into()),
        ("concurrency_limit", access.concurrency().into()),
        ("oldest_wait_seconds", health.oldest_wait.as_secs_f64()),
        ("load_ratio", f64::from(health.saturation) / 1_000.0),
        ("tasks_submitted_total", totals.offered as f64),
        ("task_retries_total", totals.retried as f64),
        ("late_panics_total", totals.late_panics as f64),
        ("source_pulled_total", 0.0),
        ("source_unconfirmed", 0.0),
        ("task_wait_seconds_count", totals.settled.total() as f64),
    ] {
        assert_eq!(get(name), value, "{name}");
    }
    let by_outcome = |name: &str| {
        OutcomeKind::ALL.map(|kind| scraped.get(name, access.name(), Some(("outcome", kind.name()))))
    };
    assert_eq!(
        by_outcome("tasks_settled_total"),
        OutcomeKind::ALL.map(|kind| totals.settled.get(kind) as f64)
    );
    let by_reason =
        |reason: Refusal| scraped.get("tasks_rejected_total", access.name(), Some(("reason", reason.name())));
    let rejected: f64 = Refusal::ALL.map(by_reason).iter().sum();
    assert_eq!(rejected, totals.refused as f64);
    let unsettled = access.census().unsettled() as f64;
    let settled: f64 = by_outcome("tasks_settled_total").iter().sum();
    assert_eq!(get("tasks_submitted_total"), rejected + settled + unsettled);
}

#[test]
fn what_is_scraped_is_what_was_counted_for_each_processor() {
    let (recorder, handle) = prometheus();
    let sim = Sim::new(1);
    let [first, second] =
        metrics::with_local_recorder(&recorder, || ["first", "second"].map(|name| processor(&sim, name)));
    work(&sim, &first, 3);
    work(&sim, &second, 2);
    first.pause();
    for _ in 0..4 {
        first.task(2).post().unwrap();
    }
    sim.advance(ms(250)).unwrap();
    first.publish_metrics();
    second.publish_metrics();
    let scraped = Scraped::of(&handle);
    assert_equal(&first, &scraped);
    assert_equal(&second, &scraped);
    let get = |name: &str, label| scraped.get(name, "first", Some(label));
    assert_eq!(scraped.get("queue_size", "first", None), 4.0);
    assert!(scraped.get("oldest_wait_seconds", "first", None) >= 0.25);
    assert_eq!(get("tasks_rejected_total", ("reason", "full")), 3.0);
    assert_eq!(get("tasks_rejected_total", ("reason", "attempts")), 3.0);
    for kind in OutcomeKind::ALL {
        let (count, is_shed) =
            (get("tasks_settled_total", ("outcome", kind.name())), kind == OutcomeKind::Shed);
        assert_eq!(count == 0.0, is_shed, "{kind}");
        let runs = get("task_run_seconds_count", ("outcome", kind.name()));
        let waited_only = matches!(kind, OutcomeKind::Cancelled | OutcomeKind::Expired);
        assert_eq!(runs, if waited_only { 0.0 } else { count }, "{kind}");
    }
    // One of each round runs into its time-out of a second.
    assert_eq!(get("task_run_seconds_sum", ("outcome", "timed_out")), 3.0);
    let below = |bound| {
        format!(
            "plimsoll_task_run_seconds_bucket{{processor=\"first\",outcome=\"timed_out\",le=\"{bound}\"}}"
        )
    };
    assert_eq!((scraped.0[&below("0.75")], scraped.0[&below("1")]), (0.0, 3.0));
}

#[test]
fn they_are_published_with_the_health_interval_and_at_the_end() {
    let (recorder, handle) = prometheus();
    let (sim, usual) = (Sim::new(2), Sim::new(3));
    let build = || (processor(&sim, "minutely"), builder_without_interval(&usual));
    let (minutely, usually) = metrics::with_local_recorder(&recorder, build);
    let submitted = |name: &str| Scraped::of(&handle).get("tasks_submitted_total", name, None);
    work(&sim, &minutely, 1);
    sim.advance(ms(50_000)).unwrap();
    assert_eq!(submitted("minutely"), 0.0);
    sim.advance(ms(10_000)).unwrap();
    assert_equal(&minutely, &Scraped::of(&handle));
    usually.task(1).post().unwrap();
    usual.advance(ms(9_999)).unwrap();
    assert_eq!(submitted("usually"), 0.0);
    usual.advance(ms(1)).unwrap();
    assert_eq!(submitted("usually"), 1.0);

    let submitter = minutely.submitter();
    for _ in 0..5 {
        minutely.task(500).post().unwrap();
    }
    let report = sim.block_on(minutely.shutdown(Drain::graceful(ms(10_000)))).unwrap();
    assert_eq!(
        report.totals.settled.completed + report.totals.settled.panicked,
        report.ledger.tasks.entered - 4
    );
    let scraped = Scraped::of(&handle);
    assert_equal(&submitter, &scraped);
    drop(usually);
    assert_eq!(Scraped::of(&handle).get("tasks_running", "usually", None), 0.0);
}

#[test]
fn a_further_processor_of_the_same_name_goes_on_with_its_counters() {
    let (recorder, handle) = prometheus();
    let sim = Sim::new(6);
    let mut before = [0.0; 2];
    for rounds in [2, 1] {
        let processor = metrics::with_local_recorder(&recorder, || processor(&sim, "again"));
        work(&sim, &processor, rounds);
        processor.publish_metrics();
        processor.publish_metrics();
        let (scraped, totals) = (Scraped::of(&handle), processor.totals());
        let after =
            ["tasks_submitted_total", "task_retries_total"].map(|name| scraped.get(name, "again", None));
        assert_eq!(after, [before[0] + totals.offered as f64, before[1] + totals.retried as f64]);
        before = after;
    }
}

fn builder_without_interval(sim: &Sim) -> Processor<fn(u64) -> Result<(), SleepRefusal>> {
    Processor::builder()
        .name("usually".to_owned())
        .metrics()
        .spawn_on(sim.clone(), |_: u64| async { Ok(()) })
        .unwrap()
}

/// Calls its function whenever it is called.
#[derive(Clone)]
struct Nosy(Arc<dyn Fn() + Send + Sync>);

impl CounterFn for Nosy {
    fn increment(&self, _: u64) {
        (self.0)();
    }

    fn absolute(&self, _: u64) {
        (self.0)();
    }
}

impl GaugeFn for Nosy {
    fn increment(&self, _: f64) {
        (self.0)();
    }

    fn decrement(&self, _: f64) {
        (self.0)();
    }

    fn set(&self, _: f64) {
        (self.0)();
    }
}

impl HistogramFn for Nosy {
    fn record(&self, _: f64) {
        (self.0)();
    }
}

impl Recorder for Nosy {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(Arc::new(self.clone()))
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(Arc::new(self.clone()))
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(Arc::new(self.clone()))
    }
}

#[test]
fn a_recorder_may_look_at_the_processor() {
    let looks: Arc<Mutex<(u64, Option<Submitter<Work>>)>> = Arc::default();
    let looked = looks.clone();
    let nosy = Nosy(Arc::new(move || {
        let (count, submitter) = &mut *looked.lock().unwrap();
        *count += 1;
        // Under a lock of the processor's this would wait for ever.
        let _ = submitter.as_ref().map(|submitter| submitter.audit());
    }));
    let sim = Sim::new(4);
    let processor = metrics::with_local_recorder(&nosy, || processor(&sim, "looked at"));
    looks.lock().unwrap().1 = Some(processor.submitter());
    work(&sim, &processor, 2);
    let mut queue = processor.completion_queue(1).unwrap();
    queue.submit(2).unwrap();
    sim.block_on(processor.idle()).unwrap();
    processor.publish_metrics();
    drop((queue, processor));
    assert!(looks.lock().unwrap().0 > 60);
}

#[test]
fn a_recorder_that_panics_harms_no_task() {
    let panics = Nosy(Arc::new(|| panic!("in the recorder")));
    let sim = Sim::new(5);
    let processor = metrics::with_local_recorder(&panics, || processor(&sim, "unlucky"));
    let handle = processor.submit(2).unwrap();
    assert_eq!(sim.block_on(handle).unwrap(), Ok(2));
    processor.publish_metrics();
    assert_eq!(processor.totals().late_panics, 2);
}
