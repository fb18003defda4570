//! The form that limits, terms, reports and events have in [`serde`]'s data model: for config files, logs, dashboards
//! and other processes. This page is its one description. The form is a part of this crate's interface: a change that
//! makes what an earlier version wrote unreadable is a breaking one.
//!
//! ```
//! # use core::time::Duration;
//! # use plimsoll_core::{CacheLimits, Limits, Policy, Rate};
//! let limits: Limits = toml::from_str(
//!     r#"
//!     queue = 10_000
//!     concurrency = 32
//!     health_every = "10s"
//!     rate = { starts = 500, per = "1s", burst = 10 }
//!
//!     [cache]
//!     entries = 1_000
//!     ttl = "1h30m"
//!     policy = "s3_fifo"
//!     "#,
//! )?;
//! assert_eq!(limits.rate, Some(Rate::new(500, Duration::from_secs(1)).burst(10)));
//! assert_eq!(limits.cache, CacheLimits::new(1_000).ttl(Duration::from_secs(5_400)).policy(Policy::S3Fifo));
//! assert_eq!(limits.delayed, Limits::default().delayed);
//! assert!(limits.check().is_ok());
//! # Ok::<(), toml::de::Error>(())
//! ```
//!
//! That is for a machine that is driven by hand, which has its cache within. In the crate `plimsoll`, `Builder::limits` takes
//! limits without a `[cache]`, whose own go to `Cache::new`; and it comes first, since it replaces all limits that were set
//! before it.
//!
//! # Names
//!
//! A struct has the names of its public fields. A variant is its name in snake case: a string where it has no fields,
//! else the one key of a map (`"cancel"`, `{"graceful": "10s"}`, `{"settled": {"task": 7, "meta": null, "kind":
//! "completed"}}`).
//!
//! # Values
//!
//! | value | form |
//! |---|---|
//! | [`Duration`] | text in human-readable formats such as JSON and TOML, otherwise serde's own form |
//! | [`Instant`](crate::Instant) | nanoseconds since the host's origin, as a number |
//! | an id | its [bits](crate::TaskId::to_bits), as a number |
//! | [`Priority`](crate::Priority) | the number of its class |
//! | [`Message`](crate::Message) | its text, followed by `…` if it was cut |
//! | [`ByRefusal`](crate::ByRefusal) | a map of the reasons that are not zero |
//! | what is `None` | null, which TOML leaves out |
//!
//! The text of a duration is a sum of whole numbers, each with its unit: `h`, `m`, `s`, `ms`, `us` or `ns`, such as
//! `10s`, `1h30m` or `1s500ms`. It is exact, fits into one environment variable, and means the same to `humantime`,
//! `jiff` and Go. Serde's own form, `{"secs": 10, "nanos": 0}`, asks for two keys where a person has one value in mind.
//! Spaces may stand between the parts. A bare number or a fraction is an error: its unit would be a guess, or the value
//! rounded.
//!
//! Numbers have up to 64 bits. Readers whose numbers are doubles, as in JavaScript, round ids and instants; TOML has no
//! integers above 2^63 - 1, which matters to [`seed`](crate::Limits::seed), [`origin`](crate::Limits::origin) and keys
//! that are hashes.
//!
//! # Configuration
//!
//! [`Limits`](crate::Limits) and all that they consist of, [`Terms`](crate::Terms), [`Timeouts`](crate::Timeouts),
//! [`Retry`](crate::Retry), [`Lane`](crate::Lane), [`Unique`](crate::Unique), [`Rate`](crate::Rate) and
//! [`Schedule`](crate::Schedule) refuse unknown fields, and missing ones have their defaults. Values are not
//! checked when they are read but where they always are: limits by [`Limits::check`](crate::Limits::check) and
//! [`Processor::new`](crate::Processor::new), whose errors name the field.
//!
//! Types without public fields have the parameters of their constructors, and what is read goes through these. A zero that
//! a constructor would take for one (`starts`, `burst`, `attempts`, `weight`, `concurrency`) is an error here: in a file it
//! is more likely to mean "none" or "no limit".
//!
//! | type | fields |
//! |---|---|
//! | `Rate` | `starts` (1), `per`, `burst` (1): written with one start |
//! | `Retry` | `attempts`, `base`, `cap`, `least`, `jitter`, `on_panic`, `on_timeout`: each as in [`Retry::NONE`](crate::Retry::NONE). [`Retry::UNLIMITED`](crate::Retry::UNLIMITED) attempts or more mean no bound. `attempts` counts the first one, too: `Retry::times(3)` is `attempts = 4` |
//! | `Lane` | `key`, `weight` (1), `concurrency` (no limit), `rate` (none) |
//! | `Unique` | `key`, `replace` (false), `window` (zero), `longest` (no bound) |
//! | `Schedule` | `every` (on request), `first_after` (a period), `jitter` (zero), `missed` (`skip`), `overlap` (`skip`) |
//! | `Terms` | `priority`, `delay`, `timeouts`, `slow_after`, `retry`, `lane`, `unique`: each as in [`Terms::new`](crate::Terms::new) |
//!
//! # Reports
//!
//! What comes out of a machine (census, ledger, totals, health, footprint, views, events) can be read back, too, with
//! one exception: [`LastError`](crate::LastError) and its `Message` are only written. A reader and a processor may be
//! of different versions: unknown fields are ignored, and each field that is added later has a default when it is
//! missing. A variant that the reader does not know is an error.
//!
//! Nothing of this has a job, an output or an error of the host. Of the host's own it has metadata, where its type can
//! be serialized, the texts of errors, and the keys of lanes and unique tasks.

use core::fmt;
use core::time::Duration;

use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

mod forms;
mod refusals;

pub(crate) use forms::{LaneForm, PriorityForm, RateForm, RetryForm, ScheduleForm, TermsForm, UniqueForm};

/// The form of a [`Duration`], for settings of a host beside the machine's own: `#[serde(with)]`.
///
/// ```
/// # use core::time::Duration;
/// use plimsoll_core::{Limits, serialized};
///
/// #[derive(serde::Deserialize)]
/// struct Settings {
///     #[serde(with = "serialized::duration")]
///     shutdown_within: Duration,
///     #[serde(default, with = "serialized::optional_duration")]
///     report_every: Option<Duration>,
///     limits: Limits,
/// }
///
/// let settings: Settings = serde_json::from_str(r#"{"shutdown_within": "30s", "limits": {"queue": 100}}"#)?;
/// assert_eq!(settings.shutdown_within, Duration::from_secs(30));
/// assert_eq!((settings.report_every, settings.limits.queue), (None, 100));
/// # Ok::<(), serde_json::Error>(())
/// ```
pub mod duration {
    use super::{Deserialize, Deserializer, Duration, DurationForm, Serialize, Serializer};

    /// Writes a duration.
    ///
    /// # Errors
    /// The serializer's own.
    pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        DurationForm(*duration).serialize(serializer)
    }

    /// Reads a duration.
    ///
    /// # Errors
    /// There is none, or it is longer than [`Duration::MAX`].
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        DurationForm::deserialize(deserializer).map(|form| form.0)
    }
}

/// As [`duration`], for an `Option`. With `#[serde(default)]` it may be missing.
pub mod optional_duration {
    use super::{Deserialize, Deserializer, Duration, DurationForm, Serialize, Serializer};

    /// Writes a duration, or none.
    ///
    /// # Errors
    /// The serializer's own.
    pub fn serialize<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        duration.map(DurationForm).serialize(serializer)
    }

    /// Reads a duration, or none.
    ///
    /// # Errors
    /// There is something else, or it is longer than [`Duration::MAX`].
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<DurationForm>::deserialize(deserializer)?.map(|form| form.0))
    }
}

struct DurationForm(Duration);

impl Serialize for DurationForm {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            self.0.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for DurationForm {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            deserializer.deserialize_str(TextVisitor)
        } else {
            Duration::deserialize(deserializer).map(Self)
        }
    }
}

struct TextVisitor;

impl Visitor<'_> for TextVisitor {
    type Value = DurationForm;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a duration in whole h, m, s, ms, us and ns, such as \"10s\" or \"1h30m\"")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<DurationForm, E> {
        parse(text).map(DurationForm).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }
}

impl fmt::Display for DurationForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (secs, nanos) = (self.0.as_secs(), u64::from(self.0.subsec_nanos()));
        if self.0.is_zero() {
            return f.write_str("0s");
        }
        let parts = [
            (secs / 3_600, "h"),
            (secs / 60 % 60, "m"),
            (secs % 60, "s"),
            (nanos / 1_000_000, "ms"),
            (nanos / 1_000 % 1_000, "us"),
            (nanos % 1_000, "ns"),
        ];
        parts
            .iter()
            .filter(|(number, _)| *number > 0)
            .try_for_each(|(number, unit)| write!(f, "{number}{unit}"))
    }
}

/// `None` if the text is no sum of numbers with their units, or longer than [`Duration::MAX`].
fn parse(text: &str) -> Option<Duration> {
    let (mut sum, mut rest) = (None, text);
    while !rest.is_empty() {
        let (number, unit_and_rest) = rest.split_at_checked(rest.find(|c: char| !c.is_ascii_digit())?)?;
        let next_number = unit_and_rest.find(|c: char| c.is_ascii_digit()).unwrap_or(unit_and_rest.len());
        let (unit, further) = unit_and_rest.split_at_checked(next_number)?;
        let part = of(number.parse().ok()?, unit.trim())?;
        sum = Some(sum.unwrap_or(Duration::ZERO).checked_add(part)?);
        rest = further;
    }
    sum
}

fn of(number: u64, unit: &str) -> Option<Duration> {
    Some(match unit {
        "h" => Duration::from_secs(number.checked_mul(3_600)?),
        "m" => Duration::from_secs(number.checked_mul(60)?),
        "s" => Duration::from_secs(number),
        "ms" => Duration::from_millis(number),
        "us" | "µs" => Duration::from_micros(number),
        "ns" => Duration::from_nanos(number),
        _ => return None,
    })
}
