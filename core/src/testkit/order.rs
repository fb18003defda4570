//! The terms of a task, as a script chooses them.

use core::time::Duration;

use super::choices::{key, pick, rate};
use super::setup::Setup;
use crate::{Jitter, Lane, Priority, Retry, Terms, Timeouts, Unique};

/// Bytes that choose the terms of a task. The fourth and the fifth choose its lane: zero chooses none, so that a script that
/// was kept before does what it did. The last two are not in the steps: [`Setup`] has
/// them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Order(pub [u8; 7]);

/// Where an order sends its outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Nowhere,
    Callback,
    Handle,
    Retain,
}

impl Order {
    /// The order in these bytes of a step.
    #[must_use]
    pub const fn new(a: u8, b: u8, c: u8, d: u8, e: u8) -> Self {
        Self([a, b, c, d, e, 0, 0])
    }

    /// The order of the task with this metadata in a script with this setup.
    pub(super) const fn under(self, setup: &Setup, meta: u32) -> Self {
        let Self([a, b, c, d, e, ..]) = self;
        Self([a, b, c, d, e, setup.monitor_terms(meta), setup.unique_terms(meta)])
    }

    /// The terms that these bytes choose.
    pub(super) fn terms(self) -> Terms {
        let terms = Terms::new()
            .priority(self.priority())
            .delay(self.delay())
            .timeouts(self.timeouts())
            .retry(self.retry());
        let terms = self.slow_after().map_or(terms, |limit| terms.slow_after(limit));
        let terms = self.lane().map_or(terms, |lane| terms.lane(lane));
        self.unique().map_or(terms, |unique| terms.unique(unique))
    }

    /// Its key that no two tasks have at the same time.
    pub(super) fn unique(self) -> Option<Unique> {
        let [.., choice] = self.0;
        if choice == 0 {
            return None;
        }
        let ms = Duration::from_millis;
        let unique = Unique::new(key(choice))
            .window(pick(&[Duration::ZERO, ms(5), ms(1_000), Duration::MAX], choice >> 4));
        let unique = if choice & 4 == 0 { unique } else { unique.replace() };
        Some(
            pick(&[None, Some(ms(3)), Some(ms(50)), Some(Duration::ZERO)], choice >> 6)
                .map_or(unique, |longest| unique.longest(longest)),
        )
    }

    /// This order, for a machine without lanes: most orders with one would be refused for nothing else.
    pub(super) const fn mostly_without_lane(self) -> Self {
        let [a, b, c, key_choice, how, ..] = self.0;
        Self([a, b, c, if key_choice < 248 { 0 } else { key_choice }, how, 0, 0])
    }

    /// Its lane. The keys begin at zero.
    pub(super) fn lane(self) -> Option<Lane> {
        let [_, _, _, key_choice, how, ..] = self.0;
        if key_choice < 64 {
            return None;
        }
        let concurrency = pick(&[u32::MAX, 3, 2, 1], how >> 2 & 3);
        let lane = Lane::new(key(key_choice)).weight(pick(&[1, 1, 2, 3], how & 3)).concurrency(concurrency);
        Some(match rate(how) {
            Some(rate) => lane.rate(rate),
            None => lane,
        })
    }

    pub(super) const fn priority(self) -> Priority {
        Priority::new(self.0[0] & 7)
    }

    pub(super) const fn way(self) -> Way {
        match self.0[0] >> 3 & 3 {
            0 => Way::Callback,
            1 => Way::Handle,
            2 => Way::Retain,
            _ => Way::Nowhere,
        }
    }

    /// The order of the task at this place of a batch, if each task has terms of its own.
    pub(super) const fn at(self, place: u8) -> Self {
        let Self([a, b, c, d, e, f, g]) = self;
        // An odd factor keeps zero zero, and all else something else.
        let odd = place.wrapping_mul(2).wrapping_add(1);
        Self([
            a.wrapping_add(place.wrapping_mul(37)),
            b.wrapping_add(place.wrapping_mul(16)),
            c ^ place.wrapping_mul(5),
            d.wrapping_mul(odd),
            e.wrapping_mul(odd),
            f,
            g,
        ])
    }

    /// The order in a batch. A batch returns no ids, so no handle could be claimed: such an outcome goes nowhere
    /// instead.
    pub(super) const fn in_batch(self) -> Self {
        match self.way() {
            Way::Handle => self.delivered(),
            _ => self,
        }
    }

    /// The order of a delivery, whose outcome goes nowhere.
    pub(super) const fn delivered(self) -> Self {
        let Self([a, b, c, d, e, f, g]) = self;
        Self([a | 3 << 3, b, c, d, e, f, g])
    }

    pub(super) fn retry(self) -> Retry {
        let tries = u32::from(self.0[0] >> 5 & 3);
        let (base, cap) = self.backoff();
        let (base, cap) = (Duration::from_millis(base), Duration::from_millis(cap));
        let retry = Retry::NONE.least(Duration::from_millis(self.least())).base(base).cap(cap);
        let on_timeout = (self.0[0] >> 1 ^ self.0[1] >> 4) & 1 == 1;
        let retry = retry.on_panic(self.0[0] & 128 != 0).on_timeout(on_timeout);
        let retry =
            if tries == 3 && self.0[1] & 1 == 1 { retry.unlimited() } else { retry.attempts(tries + 1) };
        retry.jitter(self.jitter())
    }

    fn jitter(self) -> Jitter {
        pick(&[Jitter::Full, Jitter::Full, Jitter::Equal, Jitter::None], (self.0[1] ^ self.0[2]) >> 6)
    }

    pub(super) fn shortest_backoff(self, failed: u32) -> Duration {
        let longest = self.longest_backoff(failed);
        let shortest = match self.jitter() {
            Jitter::Equal => longest / 2,
            Jitter::None => longest,
            _ => Duration::ZERO,
        };
        shortest.max(Duration::from_millis(self.least())).min(longest)
    }

    pub(super) fn longest_backoff(self, failed: u32) -> Duration {
        let (base, cap) = self.backoff();
        let doubled = u128::from(base) << failed.saturating_sub(1).min(60);
        let millis = doubled.max(self.least().into()).min(cap.into());
        Duration::from_nanos(u64::try_from(millis * 1_000_000).unwrap_or(u64::MAX))
    }

    /// The least delay, in milliseconds.
    fn least(self) -> u64 {
        pick(&[0, 2, 0, 50], (self.0[0] ^ self.0[2]) >> 2 & 3)
    }

    fn backoff(self) -> (u64, u64) {
        pick(&[(3, 10), (0, 10), (70, 1_000), (1_000_000, u64::MAX)], self.0[2] & 3)
    }

    pub(super) fn delay(self) -> Duration {
        span(self.0[1] & 15).unwrap_or_default()
    }

    pub(super) fn timeouts(self) -> Timeouts {
        // An attempt that times out at once and is tried again at once, without a bound, keeps its host busy for ever.
        Timeouts {
            schedule_to_start: span(self.0[1] >> 4),
            start_to_close: span(self.0[2] & 15),
            schedule_to_close: span(self.0[2] >> 4),
            heartbeat: span(self.0[5] & 15).filter(|limit| !limit.is_zero() || self.backoff().0 > 0),
        }
    }

    pub(super) fn slow_after(self) -> Option<Duration> {
        span(self.0[5] >> 4)
    }

    /// Whether its terms need a monitor. A time-out past the end of time is none.
    pub(super) fn needs_monitor(self) -> bool {
        let is_some = |limit: Option<Duration>| limit.is_some_and(|limit| limit < Duration::MAX);
        is_some(self.timeouts().heartbeat) || is_some(self.slow_after())
    }
}

/// A time-out or a delay, often none.
fn span(choice: u8) -> Option<Duration> {
    let micros = [300, 1_000, 2_000, 3_000, 5_000, 10_000, 70_000, 1_000_000];
    match choice {
        0..=5 => None,
        6 => Some(Duration::ZERO),
        15 => Some(Duration::MAX),
        _ => Some(Duration::from_micros(pick(&micros, choice - 7))),
    }
}
