//! What a processor shows of itself to those that watch it: probes, metrics and spans.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

#[cfg(feature = "metrics")]
mod metered;
#[cfg(feature = "tracing")]
mod panicking;
mod probes;
#[cfg(feature = "tracing")]
mod spans;
#[cfg(feature = "tracing")]
mod traced;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
