//! The forms of types that keep their fields to themselves: the parameters of their constructors.

use core::num::{NonZeroU8, NonZeroU16, NonZeroU32};
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::time::NEVER;
use crate::{Jitter, Lane, Missed, Overlap, Priority, Rate, Retry, Schedule, Terms, Timeouts, Unique};

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct PriorityForm(u8);

impl From<PriorityForm> for Priority {
    fn from(form: PriorityForm) -> Self {
        Self::new(form.0)
    }
}

impl From<Priority> for PriorityForm {
    fn from(priority: Priority) -> Self {
        Self(priority.class())
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a rate: `per`, and perhaps `starts` and `burst`")]
pub(crate) struct RateForm {
    #[serde(default = "one")]
    starts: NonZeroU32,
    #[serde(with = "super::duration")]
    per: Duration,
    #[serde(default = "one")]
    burst: NonZeroU32,
}

impl From<RateForm> for Rate {
    fn from(form: RateForm) -> Self {
        Self::new(form.starts.get(), form.per).burst(form.burst.get())
    }
}

impl From<Rate> for RateForm {
    fn from(rate: Rate) -> Self {
        Self { starts: one(), per: Duration::from_nanos(rate.interval), burst: at_least_one(rate.burst) }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(
    default,
    deny_unknown_fields,
    expecting = "retries: `attempts`, `base`, `cap`, `least`, `jitter`, `on_panic` or `on_timeout`"
)]
pub(crate) struct RetryForm {
    attempts: NonZeroU32,
    #[serde(with = "super::duration")]
    base: Duration,
    #[serde(with = "super::duration")]
    cap: Duration,
    #[serde(with = "super::duration")]
    least: Duration,
    jitter: Jitter,
    on_panic: bool,
    on_timeout: bool,
}

impl Default for RetryForm {
    fn default() -> Self {
        Retry::NONE.into()
    }
}

impl From<RetryForm> for Retry {
    fn from(form: RetryForm) -> Self {
        Self::NONE
            .attempts(form.attempts.get())
            .base(form.base)
            .cap(form.cap)
            .least(form.least)
            .jitter(form.jitter)
            .on_panic(form.on_panic)
            .on_timeout(form.on_timeout)
    }
}

impl From<Retry> for RetryForm {
    fn from(retry: Retry) -> Self {
        let [base, cap, least] = retry.backoff.bounds().map(Duration::from_nanos);
        Self {
            attempts: at_least_one(retry.total()),
            base,
            cap,
            least,
            jitter: retry.tries.jitter(),
            on_panic: retry.retries_panics(),
            on_timeout: retry.retries_timeouts(),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a lane: `key`, and perhaps `weight`, `concurrency` and `rate`")]
pub(crate) struct LaneForm {
    key: u64,
    #[serde(default = "one")]
    weight: NonZeroU16,
    concurrency: Option<NonZeroU32>,
    rate: Option<Rate>,
}

impl From<LaneForm> for Lane {
    fn from(form: LaneForm) -> Self {
        let lane = Self::new(form.key).weight(form.weight.get());
        let lane = form.concurrency.map_or(lane, |most| lane.concurrency(most.get()));
        form.rate.map_or(lane, |rate| lane.rate(rate))
    }
}

impl From<Lane> for LaneForm {
    fn from(lane: Lane) -> Self {
        let concurrency = Some(lane.concurrency).filter(|most| *most != NonZeroU32::MAX);
        Self { key: lane.key, weight: lane.weight, concurrency, rate: lane.rate }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an identity: `key`, and perhaps `replace`, `window` and `longest`")]
pub(crate) struct UniqueForm {
    key: u64,
    #[serde(default)]
    replace: bool,
    #[serde(default, with = "super::duration")]
    window: Duration,
    #[serde(default, with = "super::optional_duration")]
    longest: Option<Duration>,
}

impl From<UniqueForm> for Unique {
    fn from(form: UniqueForm) -> Self {
        let unique = Self::new(form.key).window(form.window);
        let unique = if form.replace { unique.replace() } else { unique };
        form.longest.map_or(unique, |longest| unique.longest(longest))
    }
}

impl From<Unique> for UniqueForm {
    fn from(unique: Unique) -> Self {
        Self {
            key: unique.key,
            replace: unique.replaces,
            window: Duration::from_nanos(unique.window),
            longest: unless_never(unique.longest),
        }
    }
}

#[derive(Default, Serialize, Deserialize)]
#[serde(
    default,
    deny_unknown_fields,
    expecting = "a schedule: `every`, `first_after`, `jitter`, `missed` or `overlap`"
)]
pub(crate) struct ScheduleForm {
    #[serde(with = "super::optional_duration")]
    every: Option<Duration>,
    #[serde(with = "super::optional_duration")]
    first_after: Option<Duration>,
    #[serde(with = "super::duration")]
    jitter: Duration,
    missed: Missed,
    overlap: Overlap,
}

impl From<ScheduleForm> for Schedule {
    fn from(form: ScheduleForm) -> Self {
        let schedule = form.every.map_or(Self::on_request(), Self::fixed_rate);
        let schedule = form.first_after.map_or(schedule, |delay| schedule.first_after(delay));
        schedule.jitter(form.jitter).missed(form.missed).overlap(form.overlap)
    }
}

impl From<Schedule> for ScheduleForm {
    fn from(schedule: Schedule) -> Self {
        let Schedule { every, first_after, jitter, missed, overlap } = schedule;
        Self { every: Some(every).filter(|every| !every.is_zero()), first_after, jitter, missed, overlap }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(
    default,
    deny_unknown_fields,
    expecting = "terms: `priority`, `delay`, `timeouts`, `slow_after`, `retry`, `lane` or `unique`"
)]
pub(crate) struct TermsForm {
    priority: Priority,
    #[serde(with = "super::duration")]
    delay: Duration,
    timeouts: Timeouts,
    #[serde(with = "super::optional_duration")]
    slow_after: Option<Duration>,
    retry: Retry,
    lane: Option<Lane>,
    unique: Option<Unique>,
}

impl Default for TermsForm {
    fn default() -> Self {
        Terms::new().into()
    }
}

impl From<TermsForm> for Terms {
    fn from(form: TermsForm) -> Self {
        let terms =
            Self::new().priority(form.priority).delay(form.delay).timeouts(form.timeouts).retry(form.retry);
        let terms = form.slow_after.map_or(terms, |limit| terms.slow_after(limit));
        let terms = form.lane.map_or(terms, |lane| terms.lane(lane));
        form.unique.map_or(terms, |unique| terms.unique(unique))
    }
}

impl From<Terms> for TermsForm {
    fn from(terms: Terms) -> Self {
        Self {
            priority: terms.priority,
            delay: Duration::from_nanos(terms.delay),
            timeouts: Timeouts {
                schedule_to_start: unless_never(terms.schedule_to_start),
                start_to_close: unless_never(terms.start_to_close),
                schedule_to_close: unless_never(terms.schedule_to_close),
                heartbeat: unless_never(terms.heartbeat),
            },
            slow_after: unless_never(terms.slow_after),
            retry: Retry { backoff: terms.backoff, tries: terms.tries },
            lane: terms.lane,
            unique: terms.unique,
        }
    }
}

fn unless_never(nanos: u64) -> Option<Duration> {
    (nanos != NEVER.as_nanos()).then(|| Duration::from_nanos(nanos))
}

fn one<T: From<NonZeroU8>>() -> T {
    T::from(NonZeroU8::MIN)
}

fn at_least_one(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN)
}
