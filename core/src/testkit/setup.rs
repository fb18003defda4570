//! The limits and the first instant of a script.

use core::time::Duration;

use super::choices::{pick, rate};
use crate::{CacheLimits, Drain, Instant, LaneLimits, Limits, Overflow, Policy, ResultLimits, SourceLimits};

/// Bytes that choose the limits. Most limits are small, so that scripts reach them. Now and then the queue is long, or
/// there are so many sleeps that the machine has a wide timer wheel.
///
/// All are in use. A further part has to share one: zero must choose the limit with which the part does nothing, so that a script that was kept before
/// does what it did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Setup(pub [u8; Setup::BYTES]);

impl Setup {
    /// How many bytes choose the limits.
    pub const BYTES: usize = 32;

    /// With this many timers the wheel is wide.
    const MANY_TIMERS: u32 = 1 << 13;

    /// The limits that these bytes choose.
    #[must_use]
    pub fn limits(&self) -> Limits {
        let [queue, concurrency, orphans, unclaimed, results, ttl, waiters, emitters, rest @ ..] = self.0;
        let [subscribers, events, cache, cache_ttl, attempts, health, sweep, _, ..] = rest;
        let [.., cache_idle, cache_weight] = self.0;
        let ms = Duration::from_millis;
        let ttls = [None, Some(ms(5)), Some(ms(1_000)), Some(Duration::ZERO), Some(Duration::MAX)];
        let every = [None, Some(ms(1)), Some(ms(10)), Some(Duration::from_micros(2_500)), Some(ms(1_000))];
        let policy = match cache {
            0..64 => Policy::Fifo,
            64..128 => Policy::S3Fifo,
            128.. => Policy::Lru,
        };
        let has_lanes = self.0[16] >= 128 && !self.has_long_queue();
        let concurrency_limit = u32::from(concurrency % 4) + if has_lanes { 3 } else { 1 };
        let is_long = self.has_long_queue();
        let sleeps = pick(&[2, 1, 4, 0], concurrency >> 2);
        Limits {
            queue: match (is_long, has_lanes) {
                (true, _) => u32::from(queue) + 100,
                (false, true) => u32::from(queue % 13),
                (false, false) => u32::from(queue % 7),
            },
            delayed: pick(&[2, 1, 3, 0, 5], queue / 7) + if is_long { 100 } else { 0 },
            concurrency: concurrency_limit,
            sleeps: if self.has_wide_wheel() {
                Self::MANY_TIMERS / concurrency_limit + sleeps
            } else {
                sleeps
            },
            orphans: pick(&[u32::MAX, 1, 2], orphans),
            unclaimed: pick(&[Some(2), Some(1), Some(3), Some(5), Some(0), None], unclaimed),
            results: ResultLimits::new(pick(&[2, 1, 3, 0], results), pick(&ttls, ttl)),
            waiters: u32::from(waiters % 4),
            emitters: u32::from(emitters % 3).max(u32::from(is_long)),
            subscribers: u32::from(subscribers % 3),
            events: u32::from(events % 6) + 1,
            schedules: u32::from(self.0[24] % 4),
            sources: SourceLimits {
                sources: u32::from(self.0[19] % 3),
                credit: pick(&[None, Some(2), Some(5), Some(0)], self.0[19] / 3),
            },
            overflow: match self.0[18] {
                0..128 => Overflow::Refuse,
                128..192 => Overflow::DropOldest,
                192.. => Overflow::DropLowest,
            },
            rate: rate(self.0[17]),
            lanes: LaneLimits {
                lanes: if has_lanes { u32::from(self.0[16] % 3) + 1 } else { 0 },
                queue: pick(&[None, Some(0), Some(1), Some(4)], self.0[16] >> 2),
            },
            dedup: if self.0[27] < 128 { None } else { Some(u32::from(self.0[27] % 3)) },
            monitor: self.is_monitored(),
            cache: CacheLimits {
                entries: u32::from(cache % 4),
                weight: pick(&[None, Some(12), Some(20), Some(12), Some(5)], cache_weight),
                ttl: pick(&ttls, cache_ttl),
                time_to_idle: pick(&ttls, cache_idle),
                policy,
                seed: 7,
            },
            attempts: pick(&[4, u32::MAX, 4, 2], attempts),
            health_every: pick(&every, health),
            sweep_every: pick(&every, sweep),
            seed: u64::from(attempts),
            origin: match self.generation_bits() {
                u64::BITS => pick(&[0, 1, u64::MAX, 0x0123_4567_89AB_CDEF], emitters / 3),
                _ => 0,
            },
        }
    }

    /// Whether more than a hundred tasks can be queued. Then batches are long, too.
    pub(super) const fn has_long_queue(&self) -> bool {
        matches!(self.0[2], 244..)
    }

    /// The bytes that choose a schedule for the beginning, if there may be any.
    pub(super) const fn first_schedule(&self) -> Option<[u8; 2]> {
        if self.0[24] % 4 == 0 { None } else { Some([self.0[25], self.0[26]]) }
    }

    /// The bytes that choose a source for the beginning, if there may be any.
    pub(super) const fn first_source(&self) -> Option<[u8; 3]> {
        if self.0[19] % 3 == 0 { None } else { Some([self.0[23], self.0[29], 0]) }
    }

    /// Whether the lowest level of the machine's wheel is wider than the others.
    const fn has_wide_wheel(&self) -> bool {
        matches!(self.0[2], 240..=245)
    }

    /// How many bits the generations of task slots have. Now and then they are so few that slots are used up soon.
    #[must_use]
    pub const fn generation_bits(&self) -> u32 {
        match (self.0[6] >> 3 & 7, self.0[6] >> 6) {
            (7, 0) => 1,
            (7, 3) => 3,
            (7, _) => 2,
            _ => u64::BITS,
        }
    }

    const fn is_monitored(&self) -> bool {
        self.0[20] & 1 == 1
    }

    /// Chooses the heartbeat time-out and the soft limit of the task with this metadata. Without a monitor, only few tasks
    /// ask for one, in vain.
    pub(super) const fn monitor_terms(&self, meta: u32) -> u8 {
        match meta % 8 {
            7 => self.0[21],
            _ if !self.is_monitored() => 0,
            0 | 2 | 4 | 6 => self.0[21],
            _ => self.0[22],
        }
    }

    /// Chooses the key of the task with this metadata that no two tasks have at the same time. Where there are none, only
    /// few tasks ask for one, in vain.
    pub(super) const fn unique_terms(&self, meta: u32) -> u8 {
        let varied = self.0[28].wrapping_add((meta as u8).wrapping_mul(37));
        match meta % 16 {
            15 => self.0[28],
            0 | 3 | 6 | 9 | 12 => 0,
            _ if self.0[27] < 128 || self.has_long_queue() => 0,
            _ => varied,
        }
    }

    /// Whether outcomes are observed from the beginning.
    #[must_use]
    pub const fn observes(&self) -> bool {
        self.0[6] & 4 != 0
    }

    /// How the machine is ended after the last step.
    #[must_use]
    pub const fn end(&self) -> Drain {
        match self.0[15] % 3 {
            0 => Drain::Abort,
            1 => Drain::Cancel,
            _ => Drain::Graceful(Duration::from_millis(20)),
        }
    }

    /// When the run begins.
    #[must_use]
    pub fn start(&self) -> Instant {
        match self.0[15] {
            0..=127 => Instant::ZERO,
            128..=191 => Instant::from_nanos(1_234_567_890),
            192..=247 => Instant::from_millis((1 << 42) - 3),
            _ => Instant::from_nanos(u64::MAX - 10_000_000),
        }
    }
}
