//! Limits from a config file: what is missing has its default, and what is misspelt or out of range is an error that names it.

use std::error::Error;
use std::time::Duration;

use plimsoll::{Limits, Processor, Retry, Thread, Timeouts, infallible, serialized};
use serde::Deserialize;

const FILE: &str = r#"
    shutdown_within = "20s"

    [limits]
    queue = 500
    concurrency = 8
    rate = { starts = 100, per = "1s", burst = 10 }

    [timeouts]
    start_to_close = "30s"

    [retry]
    attempts = 4 # `Retry::times(3)`: the first one counts
    base = "250ms"
    on_timeout = true
"#;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    #[serde(with = "serialized::duration")]
    shutdown_within: Duration,
    #[serde(default)]
    limits: Limits,
    #[serde(default)]
    timeouts: Timeouts,
    retry: Retry,
}

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let Settings { shutdown_within, limits, timeouts, retry } = toml::from_str(FILE)?;
    let processor = Processor::builder()
        .limits(limits) // first: it replaces all limits
        .timeouts(timeouts)
        .retry(retry)
        .spawn_on(Thread::start()?, infallible(|text: String| async move { text.len() }))?;
    assert_eq!(processor.submit("from a file".to_owned())?.wait()?, 11);
    assert_eq!((processor.limits().queue, shutdown_within), (500, Duration::from_secs(20)));

    for wrong in ["rate = 100", "queues = 500", "health_every = 10"] {
        let error = toml::from_str::<Limits>(wrong).err().ok_or("it is wrong")?;
        println!("{error}");
    }
    let unfit = toml::from_str::<Limits>("concurrency = 0")?.check();
    println!("{unfit:?}");
    assert!(unfit.is_err());
    Ok(())
}
