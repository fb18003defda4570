//! The form of limits, options, reports and events in serde's data model: for config files, logs and dashboards.
//!
//! The page of the machine, [`machine::serialized`](crate::machine::serialized), has the rules: names, durations, what
//! is refused, and that the form is a part of the interface. This crate adds to its types:
//!
//! | type | form |
//! |---|---|
//! | [`Options`] | its fields; what is missing is as the builder was told, and missing metadata are their type's default |
//! | [`Pull`] | `credit`, `deliveries`, `wait`, `backoff`, `window`, `options`: each as in [`Pull::new`] when it is missing |
//! | [`Batching`] | `most`, `within` (zero) |
//! | [`Report`](crate::Report), [`Footprint`](crate::Footprint), [`Inspection`](crate::Inspection), [`ScheduleStats`](crate::ScheduleStats), [`Notice`](crate::Notice), [`NotLive`](crate::NotLive), [`NotReady`](crate::NotReady) | their fields and variants |
//!
//! A processor from a config file. The limits of a cache go to [`Cache::new`](crate::Cache::new): among the
//! [`limits`](crate::Builder::limits) of a builder they are refused.
//!
//! ```
//! use plimsoll::{Cache, CacheLimits, Limits, Processor, Retry, Thread, Timeouts, infallible};
//!
//! #[derive(Default, serde::Deserialize)]
//! #[serde(default, deny_unknown_fields)]
//! struct Settings {
//!     limits: Limits,
//!     cache: CacheLimits,
//!     timeouts: Timeouts,
//!     retry: Retry,
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let file = r#"{
//!     "limits": { "queue": 500, "concurrency": 8, "rate": { "starts": 100, "per": "1s" } },
//!     "cache": { "entries": 1000, "ttl": "1h" },
//!     "timeouts": { "start_to_close": "30s" },
//!     "retry": { "attempts": 4, "base": "250ms" }
//! }"#;
//! let Settings { limits, cache, timeouts, retry } = serde_json::from_str(file)?;
//!
//! let cache: Cache<String, usize> = Cache::new(cache)?;
//! let builder = Processor::builder().limits(limits); // first: it replaces all limits
//! let builder = builder.cache(&cache).timeouts(timeouts).retry(retry);
//! let processor = builder.spawn_on(Thread::start()?, infallible(|text: String| async move { text.len() }))?;
//!
//! assert_eq!(processor.submit("report".into())?.wait()?, 6);
//! let health = serde_json::to_value(processor.health())?;
//! assert_eq!((&health["phase"], &health["oldest_wait"]), (&"open".into(), &"0s".into()));
//! # Ok(())
//! # }
//! ```

use std::time::Duration;

use plimsoll_core::Retry;
pub use plimsoll_core::serialized::{duration, optional_duration};
use serde::{Deserialize, Serialize};

use crate::batched::Batching;
use crate::options::Options;
use crate::source::Pull;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "batching: `most`, and perhaps `within`")]
pub(crate) struct BatchingForm {
    most: u32,
    #[serde(default, with = "duration")]
    within: Duration,
}

impl From<BatchingForm> for Batching {
    fn from(form: BatchingForm) -> Self {
        Self::new(form.most).within(form.within)
    }
}

impl From<Batching> for BatchingForm {
    fn from(batching: Batching) -> Self {
        // It was a `u32` when it was set.
        Self { most: u32::try_from(batching.most).unwrap_or(u32::MAX), within: batching.within }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(
    default,
    deny_unknown_fields,
    bound(deserialize = "M: Default + Deserialize<'de>"),
    expecting = "a pull: `credit`, `deliveries`, `wait`, `backoff`, `window` or `options`"
)]
pub(crate) struct PullForm<M> {
    credit: Option<u32>,
    deliveries: u32,
    #[serde(with = "duration")]
    wait: Duration,
    backoff: Option<Retry>,
    #[serde(with = "duration")]
    window: Duration,
    options: Options<M>,
}

impl<M: Default> Default for PullForm<M> {
    fn default() -> Self {
        Pull::new().into()
    }
}

impl<M> From<PullForm<M>> for Pull<M> {
    fn from(form: PullForm<M>) -> Self {
        let PullForm { credit, deliveries, wait, backoff, window, options } = form;
        Self { credit, deliveries, backoff, window, options, wait: Duration::ZERO }.wait(wait)
    }
}

impl<M> From<Pull<M>> for PullForm<M> {
    fn from(pull: Pull<M>) -> Self {
        let Pull { credit, deliveries, wait, backoff, window, options } = pull;
        Self { credit, deliveries, wait, backoff, window, options }
    }
}
