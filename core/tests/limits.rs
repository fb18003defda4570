//! Every bound of [`Limits::check`] at its edge, from both sides.

use std::time::Duration;

use plimsoll_core::{CacheLimits, InvalidLimits, Limits, ResultLimits, SourceLimits};

const MOST: u32 = Limits::MOST;
const SUM: &str = "queue + concurrency + delayed + sources.credit + unclaimed + results.entries";
const AT_LEAST_1: &str = "at least 1";
const AT_MOST_2_28: &str = "at most 2^28";

/// The least legal limits, with none that follows from others.
fn least() -> Limits {
    let mut limits = Limits::default();
    (limits.queue, limits.delayed, limits.concurrency, limits.orphans) = (0, 0, 1, 1);
    (limits.unclaimed, limits.results, limits.cache) =
        (Some(0), ResultLimits::default(), CacheLimits::default());
    (limits.sleeps, limits.waiters, limits.emitters, limits.subscribers, limits.events) = (0, 0, 0, 0, 0);
    limits.attempts = 1;
    limits
}

/// A setting, the last legal value, the first illegal one, and the field that the refusal names.
struct Bound {
    set: fn(&mut Limits, u32),
    taken: u32,
    refused: u32,
    field: &'static str,
    bound: &'static str,
    /// The value in the refusal.
    value: u64,
}

const fn least_of(set: fn(&mut Limits, u32), field: &'static str) -> Bound {
    Bound { set, taken: 1, refused: 0, field, bound: AT_LEAST_1, value: 0 }
}

const fn most_of(set: fn(&mut Limits, u32), field: &'static str) -> Bound {
    Bound { set, taken: MOST, refused: MOST + 1, field, bound: AT_MOST_2_28, value: MOST as u64 + 1 }
}

/// A field of the sum, which has one place of `concurrency` already.
const fn in_sum(set: fn(&mut Limits, u32)) -> Bound {
    Bound { set, taken: MOST - 1, refused: MOST, field: SUM, bound: AT_MOST_2_28, value: MOST as u64 + 1 }
}

const BOUNDS: [Bound; 24] = [
    least_of(|limits, value| limits.concurrency = value, "concurrency"),
    least_of(|limits, value| limits.orphans = value, "orphans"),
    least_of(|limits, value| limits.attempts = value, "attempts"),
    Bound {
        set: |limits, value| (limits.subscribers, limits.events) = (1, value),
        bound: "at least 1 when there may be subscribers",
        ..least_of(|_, _| {}, "events")
    },
    in_sum(|limits, value| limits.queue = value),
    in_sum(|limits, value| limits.delayed = value),
    in_sum(|limits, value| {
        limits.sources = SourceLimits::new(1);
        limits.sources.credit = Some(value);
    }),
    in_sum(|limits, value| limits.unclaimed = Some(value)),
    in_sum(|limits, value| limits.results.entries = value),
    in_sum(|limits, value| {
        (limits.queue, limits.delayed) = (value / 4, value / 4);
        (limits.unclaimed, limits.results.entries) = (Some(value / 4), value - value / 4 * 3);
    }),
    Bound {
        set: |limits, value| limits.concurrency = value,
        taken: MOST,
        refused: MOST + 1,
        ..in_sum(|_, _| {})
    },
    // Unless it is set, `unclaimed` follows from the others, which then count twice.
    Bound {
        set: |limits, value| (limits.unclaimed, limits.queue) = (None, value),
        taken: MOST / 2 - 1,
        refused: MOST / 2,
        value: MOST as u64 + 2,
        ..in_sum(|_, _| {})
    },
    Bound {
        set: |limits, value| limits.sleeps = value,
        taken: Limits::MOST_SLEEPS,
        refused: Limits::MOST_SLEEPS + 1,
        field: "concurrency * sleeps",
        bound: "at most 2^30",
        value: Limits::MOST_SLEEPS as u64 + 1,
    },
    Bound {
        set: |limits, value| (limits.concurrency, limits.sleeps) = (1 << 20, value),
        taken: 1 << 10,
        refused: (1 << 10) + 1,
        field: "concurrency * sleeps",
        bound: "at most 2^30",
        value: Limits::MOST_SLEEPS as u64 + (1 << 20),
    },
    most_of(|limits, value| limits.waiters = value, "waiters"),
    most_of(|limits, value| limits.emitters = value, "emitters"),
    most_of(|limits, value| (limits.events, limits.subscribers) = (1, value), "subscribers"),
    most_of(|limits, value| limits.events = value, "events"),
    most_of(|limits, value| limits.schedules = value, "schedules"),
    Bound {
        set: |limits, value| limits.sources = SourceLimits::new(value),
        taken: SourceLimits::MOST,
        refused: SourceLimits::MOST + 1,
        field: "sources.sources",
        bound: "at most 64",
        value: SourceLimits::MOST as u64 + 1,
    },
    most_of(|limits, value| limits.cache.entries = value, "cache.entries"),
    // Sums that would overflow are refused.
    Bound {
        refused: u32::MAX,
        value: u32::MAX as u64,
        ..most_of(|limits, value| limits.waiters = value, "waiters")
    },
    Bound { refused: u32::MAX, value: u32::MAX as u64 + 1, ..in_sum(|limits, value| limits.queue = value) },
    Bound {
        set: |limits, value| (limits.concurrency, limits.sleeps) = (MOST, value),
        taken: 4,
        refused: u32::MAX,
        field: "concurrency * sleeps",
        bound: "at most 2^30",
        value: MOST as u64 * u32::MAX as u64,
    },
];

fn check(set: impl FnOnce(&mut Limits)) -> Result<(), InvalidLimits> {
    let mut limits = least();
    set(&mut limits);
    limits.check()
}

#[test]
fn every_bound_holds_at_its_edge() {
    for (row, Bound { set, taken, refused, field, bound, value }) in BOUNDS.into_iter().enumerate() {
        assert_eq!(check(|limits| set(limits, taken)), Ok(()), "row {row}");
        let expected = InvalidLimits::new(field, bound, value);
        assert_eq!(check(|limits| set(limits, refused)), Err(expected), "row {row}");
    }
}

#[test]
fn limits_without_a_bound_take_any_value() {
    assert_eq!(Limits::default().check(), Ok(()));
    assert_eq!(least().check(), Ok(()));
    for value in [1, u32::MAX] {
        assert_eq!(check(|limits| (limits.orphans, limits.attempts) = (value, value)), Ok(()));
    }
    assert_eq!(
        check(|limits| (limits.seed, limits.origin, limits.cache.seed) = (u64::MAX, u64::MAX, 1)),
        Ok(())
    );
    for ttl in [None, Some(Duration::ZERO), Some(Duration::MAX)] {
        assert_eq!(check(|limits| (limits.results.ttl, limits.cache.ttl) = (ttl, ttl)), Ok(()));
    }
}

#[test]
fn intervals_are_no_shorter_than_a_tick() {
    type Set = fn(&mut Limits, Option<Duration>);
    let set: [(Set, &str); 2] = [
        (|limits, every| limits.health_every = every, "health_every"),
        (|limits, every| limits.sweep_every = every, "sweep_every"),
    ];
    for (set, field) in set {
        for every in [None, Some(Duration::from_millis(1)), Some(Duration::MAX)] {
            assert_eq!(check(|limits| set(limits, every)), Ok(()));
        }
        for nanos in [0, 999_999] {
            let refused = check(|limits| set(limits, Some(Duration::from_nanos(nanos))));
            assert_eq!(refused, Err(InvalidLimits::new(field, "at least 1 ms", nanos)));
        }
    }
}
