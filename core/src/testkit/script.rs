//! Scripts: the actions of a host, in small steps with small numbers as arguments.
//!
//! Any bytes are a script. The first [`Setup::BYTES`] choose the limits; each following [`Step::BYTES`] are one step.
//! Ids are chosen by position among all ids so far, stale ones included, so that random scripts make sense.

use alloc::vec::Vec;
use core::time::Duration;

use super::Order;
use crate::{CacheLimits, Drain, Instant, LaneLimits, Limits, Policy, ResultLimits};

/// Limits, and the steps of a host under them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// The limits and the first instant.
    pub setup: Setup,
    /// The steps, in order.
    pub steps: Vec<Step>,
}

impl Script {
    /// The script in these bytes. An incomplete last step is left out.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let (setup, steps) = bytes.split_at(bytes.len().min(Setup::BYTES));
        let mut first = [0; Setup::BYTES];
        first.iter_mut().zip(setup).for_each(|(to, from)| *to = *from);
        let step = |chunk: &[u8]| Step::from_bytes(chunk.try_into().unwrap_or_default());
        Self { setup: Setup(first), steps: steps.chunks_exact(Step::BYTES).map(step).collect() }
    }
}

#[cfg(feature = "arbitrary")]
impl<'a> arbitrary::Arbitrary<'a> for Script {
    fn arbitrary(bytes: &mut arbitrary::Unstructured<'a>) -> arbitrary::Result<Self> {
        let len = bytes.len();
        bytes.bytes(len).map(Self::from_bytes)
    }
}

/// Bytes that choose the limits. Most limits are small, so that scripts reach them. Now and then the queue is long, or
/// there are so many sleeps that the machine has a wide timer wheel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Setup(pub [u8; Setup::BYTES]);

impl Setup {
    /// How many bytes choose the limits.
    pub const BYTES: usize = 16;

    /// With this many timers the wheel is wide.
    const MANY_TIMERS: u32 = 1 << 13;

    /// The limits that these bytes choose.
    #[must_use]
    pub fn limits(&self) -> Limits {
        let [queue, concurrency, orphans, unclaimed, results, ttl, waiters, sources, rest @ ..] = self.0;
        let [subscribers, events, cache, cache_ttl, attempts, health, sweep, _] = rest;
        let ms = Duration::from_millis;
        let ttls = [None, Some(ms(5)), Some(ms(1_000)), Some(Duration::ZERO), Some(Duration::MAX)];
        let every = [None, Some(ms(1)), Some(ms(10)), Some(Duration::from_micros(2_500)), Some(ms(1_000))];
        let policy = match cache {
            0..64 => Policy::Fifo,
            64..128 => Policy::S3Fifo,
            128.. => Policy::Lru,
        };
        let concurrency_limit = u32::from(concurrency % 4) + 1;
        let is_long = self.has_long_queue();
        let sleeps = pick(&[2, 1, 4, 0], concurrency >> 2);
        Limits {
            queue: if is_long { u32::from(queue) + 100 } else { u32::from(queue % 7) },
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
            sources: u32::from(sources % 3).max(u32::from(is_long)),
            subscribers: u32::from(subscribers % 3),
            events: u32::from(events % 6) + 1,
            rate: None,
            lanes: LaneLimits::default(),
            cache: CacheLimits {
                entries: u32::from(cache % 4),
                ttl: pick(&ttls, cache_ttl),
                policy,
                seed: 7,
            },
            attempts: pick(&[4, u32::MAX, 4, 2], attempts),
            health_every: pick(&every, health),
            sweep_every: pick(&every, sweep),
            seed: u64::from(attempts),
            origin: match self.generation_bits() {
                u64::BITS => pick(&[0, 1, u64::MAX, 0x0123_4567_89AB_CDEF], sources / 3),
                _ => 0,
            },
        }
    }

    /// Whether more than a hundred tasks can be queued. Then batches are long, too.
    pub(super) const fn has_long_queue(&self) -> bool {
        matches!(self.0[2], 244..)
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

    /// Whether outcomes are observed from the beginning.
    #[must_use]
    pub const fn observes(&self) -> bool {
        self.0[6] & 4 != 0
    }

    /// How the machine is ended after the last step.
    #[must_use]
    pub const fn end(&self) -> Drain {
        match self.0[Self::BYTES - 1] % 3 {
            0 => Drain::Abort,
            1 => Drain::Cancel,
            _ => Drain::Graceful(Duration::from_millis(20)),
        }
    }

    /// When the run begins.
    #[must_use]
    pub fn start(&self) -> Instant {
        let [.., last] = self.0;
        match last {
            0..=127 => Instant::ZERO,
            128..=191 => Instant::from_nanos(1_234_567_890),
            192..=247 => Instant::from_millis((1 << 42) - 3),
            _ => Instant::from_nanos(u64::MAX - 10_000_000),
        }
    }
}

/// One action of a host. Numbers choose ids by position from the newest, and times and counts from short tables. A
/// number above 240 chooses an id that was never given out, mostly one that differs from a real id in a high bit only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as the calls that they make")]
pub enum Step {
    Submit(Order),
    TrySubmit(Order),
    SubmitReserved {
        permit: u8,
        order: Order,
    },
    Reserve {
        count: u8,
    },
    WaitForRoom {
        count: u8,
    },
    Rewait {
        permit: u8,
    },
    GiveBack {
        permit: u8,
        count: u8,
    },
    Leave {
        permit: u8,
    },
    Cancel {
        task: u8,
        with_reason: bool,
    },
    Claim {
        task: u8,
    },
    TryClaim {
        task: u8,
    },
    Release {
        task: u8,
    },
    TakeResult {
        task: u8,
    },
    /// An attempt sleeps, and may ask for the status of the sleep at once.
    Sleep {
        attempt: u8,
        until: u8,
        asks: bool,
    },
    Resleep {
        sleep: u8,
    },
    EndSleep {
        sleep: u8,
    },
    Attach,
    Detach {
        source: u8,
    },
    Feed {
        source: u8,
        order: Order,
    },
    FeedBatch {
        source: u8,
        order: Order,
        count: u8,
        /// Whether each task has terms of its own.
        is_mixed: bool,
    },
    FeedError {
        source: u8,
    },
    Subscribe,
    Unsubscribe {
        subscriber: u8,
    },
    NextEvent {
        subscriber: u8,
        count: u8,
    },
    WaitEvent {
        subscriber: u8,
    },
    /// Whether outcomes are observed from now on.
    Observe {
        on: bool,
    },
    /// An observed outcome is given back, or one that only looks like it.
    Observed {
        shown: u8,
        how: u8,
    },
    Pause,
    Resume,
    SetConcurrency {
        to: u8,
    },
    DrainGracefully {
        within: u8,
    },
    CancelAll,
    Abort,
    Start {
        count: u8,
    },
    /// The clock moves on, and the handler of an attempt is called.
    Began {
        attempt: u8,
        jump: u8,
        at: u8,
    },
    Complete {
        attempt: u8,
    },
    Fail {
        attempt: u8,
        with_job: bool,
    },
    Panic {
        attempt: u8,
        with_job: bool,
    },
    Stopped {
        attempt: u8,
        with_job: bool,
    },
    /// An attempt is snoozed.
    Snooze {
        attempt: u8,
        delay: u8,
    },
    LatePanic,
    /// The clock moves on, and the machine is not told.
    Wait {
        jump: u8,
    },
    /// The next call passes in a time that lies this far back.
    Regress {
        jump: u8,
    },
    /// The clock moves on, and `advance` is called with a budget.
    Advance {
        jump: u8,
        budget: u8,
    },
    /// The clock moves on to `next_wake`, then `advance` is called.
    Reach,
    Poll {
        count: u8,
    },
    Sweep {
        budget: u8,
    },
    CacheInsert {
        key: u8,
    },
    CacheGet {
        key: u8,
    },
    CachePeek {
        key: u8,
    },
    CacheRemove {
        key: u8,
    },
    CachePop,
    /// All actions of a good host at one instant: advance, poll and start until nothing is left.
    Settle,
}

impl Step {
    /// How many bytes are one step.
    pub const BYTES: usize = 5;

    /// The step in these bytes. Actions that are frequent in life are frequent here.
    #[must_use]
    pub const fn from_bytes([kind, a, b, c, d]: [u8; Self::BYTES]) -> Self {
        let order = Order([a, b, c]);
        match kind {
            0..=31 if d >= 192 => Self::TrySubmit(order),
            0..=31 => Self::Submit(order),
            32..=39 => Self::Sleep { attempt: a, until: b, asks: c < 128 },
            40..=45 => Self::SubmitReserved { permit: d, order },
            46..=51 if b >= 160 => Self::Reserve { count: a % 3 + 1 },
            46..=51 => Self::WaitForRoom { count: a % 3 + 1 },
            52..=54 | 107 | 108 => Self::Resleep { sleep: a },
            55..=57 => Self::Rewait { permit: a },
            58..=60 if b >= 160 => Self::GiveBack { permit: a, count: c % 4 },
            58..=60 => Self::Leave { permit: a },
            61..=68 => Self::Cancel { task: a, with_reason: b >= 128 },
            69..=74 => Self::Claim { task: a },
            75 | 76 => Self::TryClaim { task: a },
            77..=82 => Self::Release { task: a },
            83..=86 => Self::TakeResult { task: a },
            87..=89 => Self::Attach,
            90 => Self::Detach { source: a },
            91..=94 => Self::Feed { source: d, order },
            95..=97 => Self::FeedBatch { source: d & 7, order, count: batch(d >> 3), is_mixed: kind == 97 },
            98 => Self::FeedError { source: a },
            99..=101 => Self::Subscribe,
            102 => Self::Unsubscribe { subscriber: a },
            103..=106 => Self::NextEvent { subscriber: a, count: b % 8 },
            109..=112 => Self::WaitEvent { subscriber: a },
            113 | 114 => Self::Pause,
            115..=117 => Self::Resume,
            118..=120 => Self::SetConcurrency { to: a % 6 },
            121 if a < 32 => Self::DrainGracefully { within: b },
            122 if a < 16 => Self::Abort,
            122 if a < 48 => Self::CancelAll,
            121..=142 => Self::Start { count: a % 4 },
            149..=151 => Self::Snooze { attempt: a, delay: b },
            143..=148 => Self::Began { attempt: a, jump: b % 200, at: c },
            152..=166 => Self::Complete { attempt: a },
            167..=176 => Self::Fail { attempt: a, with_job: b < 192 },
            177..=181 => Self::Panic { attempt: a, with_job: b < 192 },
            182..=186 => Self::Stopped { attempt: a, with_job: b < 192 },
            187 => Self::LatePanic,
            193 => Self::Observe { on: a < 192 },
            188..=192 => Self::Wait { jump: a },
            194..=196 => Self::Regress { jump: a },
            197..=212 => Self::Advance { jump: a, budget: b },
            213..=219 => Self::Reach,
            228..=230 => Self::Observed { shown: a, how: b },
            220..=227 => Self::Poll { count: a % 8 },
            231 | 232 => Self::Sweep { budget: a % 4 },
            233..=239 => Self::CacheInsert { key: a % 6 },
            240..=243 => Self::CacheGet { key: a % 6 },
            244 => Self::CachePeek { key: a % 6 },
            245 => Self::CacheRemove { key: a % 6 },
            246 => Self::CachePop,
            247..=253 => Self::Settle,
            254 | 255 => Self::EndSleep { sleep: a },
        }
    }
}

/// How many tasks a batch has beside the first: mostly few, now and then more than a host submits under one lock.
const fn batch(choice: u8) -> u8 {
    match choice {
        0..=23 => choice % 4,
        24..=29 => choice % 8 + 4,
        _ => 40 + choice,
    }
}

/// How far the clock jumps: mostly little, now and then centuries.
pub(super) fn jump(choice: u8) -> Duration {
    let nanos = [0, 1, 300_000, 999_999, 1_000_000, 1_500_000, 2_000_000, 3_000_000, 5_000_000, 10_000_000];
    match choice {
        0..=199 => Duration::from_nanos(pick(&nanos, choice)),
        200..=229 => Duration::from_millis(pick(&[63, 64, 65, 70, 100, 1_000, 4_096], choice)),
        230..=243 => Duration::from_secs(pick(&[10, 60, 3_600, 86_400, 262_144], choice)),
        244..=251 => Duration::from_secs(pick(&[30 * 86_400, 365 * 86_400], choice)),
        252..=254 => Duration::from_secs(200 * 365 * 86_400),
        255 => Duration::MAX,
    }
}

pub(super) fn pick<T: Copy + Default>(table: &[T], choice: u8) -> T {
    let at = usize::from(choice).checked_rem(table.len()).unwrap_or(0);
    table.get(at).copied().unwrap_or_default()
}
