//! Spans: each attempt has one, with its number, its time in the queue and its outcome. What a handler logs is in it.

use std::error::Error;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use plimsoll::runtime::sim::Sim;
use plimsoll::{Context, Processor, Retry};
use tracing_subscriber::fmt::format::FmtSpan;

/// What is logged, to be looked at below.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let log = Log::default();
    let writer = log.clone();
    // A line for each span that ends. In a service: `.init()`, for all threads.
    let subscriber = tracing_subscriber::fmt().without_time().with_span_events(FmtSpan::CLOSE);
    let subscriber = subscriber.with_writer(move || writer.clone()).finish();
    let _on_this_thread = tracing::subscriber::set_default(subscriber);

    let sim = Sim::new(1);
    let processor = Processor::builder().name("mails").retry(Retry::times(2)).spawn_on(
        sim.clone(),
        |to: &'static str, cx: Context| async move {
            let _ = cx.sleep(Duration::from_millis(20)).await;
            if cx.attempt() < 2 {
                return Err(io::Error::other("the server is busy"));
            }
            tracing::info!(to, "sent");
            Ok(())
        },
    )?;
    // The attempts' spans follow from this one: tracers such as OpenTelemetry's link them.
    let handle = tracing::info_span!("request").in_scope(|| processor.submit("ann@example.org"))?;
    sim.block_on(handle)??;

    let text = String::from_utf8(log.0.lock().unwrap_or_else(PoisonError::into_inner).clone())?;
    println!("{text}");
    assert!(text.contains("task.attempt=1") && text.contains(r#"task.outcome="failed""#), "{text}");
    assert!(text.contains("task.attempt=2") && text.contains(r#"task.outcome="completed""#), "{text}");
    Ok(())
}
