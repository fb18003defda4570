//! Metrics for Prometheus: load, waits, runs, outcomes and refusals, by the name of the processor. Install the recorder before you
//! build: a processor that is there already reports to nobody. A label of your own, here the kind of text, is a metric of your own:
//! the metadata of each task says it, and the hook on settled tasks counts it.

use std::error::Error;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
use plimsoll::{Context, DURATION_BOUNDS, Processor, Thread};

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let histograms = Matcher::Suffix("_seconds".to_owned());
    let prometheus =
        PrometheusBuilder::new().set_buckets_for_metric(histograms, &DURATION_BOUNDS)?.install_recorder()?;

    let processor =
        Processor::builder()
            .name("parser")
            .metrics()
            .queue(10)
            .spawn_on(Thread::start()?, |text: String, _: Context<&'static str>| async move {
                text.parse::<u64>()
            })?;
    processor.on_settled(|settled| {
        metrics::histogram!("parser_run_seconds", "kind" => settled.meta).record(settled.times.ran());
    });
    for (kind, text) in [("short", "1"), ("short", "2"), ("long", "three")] {
        let result = processor.task(text.to_owned()).meta(kind).submit()?.wait();
        println!("{text}: {result:?}");
    }

    // What `GET /metrics` answers. Between scrapes the processor publishes as often as `health_every` says.
    processor.publish_metrics();
    let text = prometheus.render();
    for line in text.lines().filter(|line| line.contains("_total{") && !line.ends_with(" 0")) {
        println!("{line}");
    }
    // Every few seconds, or the exporter keeps each value of a histogram; `PrometheusBuilder::install` does it by itself.
    prometheus.run_upkeep();
    let completed = r#"plimsoll_tasks_settled_total{processor="parser",outcome="completed"} 2"#;
    assert!(text.contains(completed) && text.contains(r#"outcome="failed"} 1"#), "{text}");
    assert!(text.contains(r#"parser_run_seconds_count{kind="short"} 2"#), "{text}");
    Ok(())
}
