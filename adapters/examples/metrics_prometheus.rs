//! Metrics for Prometheus: load, waits, runs, outcomes and refusals, by the name of the processor. Install the recorder before you
//! build: a processor that is there already reports to nobody.

use std::error::Error;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
use plimsoll::{DURATION_BOUNDS, Processor, Thread};

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let histograms = Matcher::Suffix("_seconds".to_owned());
    let prometheus =
        PrometheusBuilder::new().set_buckets_for_metric(histograms, &DURATION_BOUNDS)?.install_recorder()?;

    let processor = Processor::builder()
        .name("parser")
        .metrics()
        .queue(10)
        .spawn_on(Thread::start()?, |text: String| async move { text.parse::<u64>() })?;
    for text in ["1", "2", "three"] {
        let result = processor.submit(text.to_owned())?.wait();
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
    Ok(())
}
