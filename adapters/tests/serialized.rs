//! The form of options and reports in serde's data model, which is a part of the interface.
#![cfg(feature = "serde")]
#![allow(clippy::expect_used)]

use std::error::Error;
use std::fmt::Debug;
use std::time::Duration;

use plimsoll::runtime::sim::Sim;
use plimsoll::source::Pull;
use plimsoll::{
    Batching, Context, Drain, Event, Inspection, Lane, Notice, Options, Priority, Processor, Report, Retry,
    ScheduleStats, Timeouts, Unique,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

type Checked = Result<(), Box<dyn Error>>;

/// The JSON of a value, which comes back from it as it was.
fn json<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) -> Result<String, Box<dyn Error>> {
    let text = serde_json::to_string(value)?;
    assert_eq!(&serde_json::from_str::<T>(&text)?, value);
    Ok(text)
}

#[test]
fn options() -> Checked {
    let second = Duration::from_secs(1);
    let timeouts = Timeouts { schedule_to_close: Some(second), ..Timeouts::NONE };
    let full = Options::new(7_u8)
        .priority(Priority::HIGHEST)
        .delay(second)
        .timeouts(timeouts)
        .timeout(second)
        .slow_after(second)
        .retry(Retry::times(1).fixed(second))
        .lane(Lane::new(8))
        .unique(Unique::new(9));
    let expected = concat!(
        r#"{"meta":7,"priority":0,"delay":"1s","timeouts":{"schedule_to_start":null,"start_to_close":null,"#,
        r#""schedule_to_close":"1s","heartbeat":null},"timeout":"1s","slow_after":"1s","retry":{"attempts":2,"#,
        r#""base":"1s","cap":"1s","least":"0s","jitter":"none","on_panic":false,"on_timeout":false},"#,
        r#""lane":{"key":8,"weight":1,"concurrency":null,"rate":null},"#,
        r#""unique":{"key":9,"replace":false,"window":"0s","longest":null}}"#,
    );
    assert_eq!(json(&full)?, expected);
    assert_eq!(serde_json::from_str::<Options>("{}")?, Options::default());
    assert_eq!(json(&Batching::new(10).within(second))?, r#"{"most":10,"within":"1s"}"#);
    assert_eq!(serde_json::from_str::<Batching>(r#"{"most":10}"#)?, Batching::new(10));
    Ok(())
}

#[test]
fn the_terms_of_a_source() -> Checked {
    let backoff = Retry::NONE.base(Duration::from_secs(2));
    let pull = Pull::new().credit(1).deliveries(2).wait(Duration::from_secs(3)).backoff(backoff);
    json(&pull.window(Duration::from_secs(4)).options(Options::new(5)))?;
    assert_eq!(serde_json::from_str::<Pull>("{}")?, Pull::new());
    let clamped = serde_json::from_str::<Pull>(r#"{"wait":"24h"}"#)?;
    assert_eq!(clamped, Pull::new().wait(Duration::from_secs(60)));
    Ok(())
}

#[test]
fn an_unknown_field_is_refused() {
    fn refuses<T: DeserializeOwned + Debug>(text: &str) {
        let error = serde_json::from_str::<T>(text).expect_err(text).to_string();
        assert!(error.starts_with("unknown field `tyop`"), "{error}");
    }
    refuses::<Options>(r#"{"tyop":1}"#);
    refuses::<Pull>(r#"{"tyop":1}"#);
    refuses::<Pull>(r#"{"options":{"tyop":1}}"#);
    refuses::<Batching>(r#"{"most":1,"tyop":1}"#);
}

#[test]
fn what_a_processor_shows() -> Checked {
    let sim = Sim::new(1);
    let builder = Processor::builder().queue(4).concurrency(1);
    let nap = |time: Duration, cx: Context<u8>| async move { cx.sleep(time).await };
    let processor = builder.spawn_on(sim.clone(), nap)?;
    let mut events = processor.subscribe()?;
    processor.task(Duration::from_secs(1)).meta(3).post()?;
    let inspection: Inspection<u8> = processor.inspect(0, 8);
    assert!(json(&inspection)?.ends_with(r#""stage":{"queued":{"since":0}}}],"next":null}"#));
    let admitted = json(&events.try_next().flatten().ok_or("it was admitted")?)?;
    assert!(admitted.starts_with(r#"{"event":{"admitted":{"task":"#), "{admitted}");
    assert_eq!(json(&Notice::<u8>::Lagged(5))?, r#"{"lagged":5}"#);
    assert_eq!(json(&Notice::Event(Event::<u8>::Draining))?, r#"{"event":"draining"}"#);
    let health = json(&Notice::<u8>::Health(processor.health()))?;
    assert!(health.starts_with(r#"{"health":{"phase":"open","#), "{health}");
    let stats = r#"{"submitted":0,"refused":0,"last_refusal":null,"panicked":0,"missed":0}"#;
    assert_eq!(json(&ScheduleStats::default())?, stats);
    let report: Report = sim.block_on(processor.shutdown(Drain::graceful(Duration::from_secs(9))))?;
    let text = json(&report)?;
    assert!(text.starts_with(r#"{"remains":{"abandoned":0,"#), "{text}");
    assert!(text.contains(r#"},"census":{"delayed":0,"#), "{text}");
    assert!(serde_json::from_str::<Report>("{}")? == Report::default());
    Ok(())
}
