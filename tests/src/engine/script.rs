//! Scripts: what users of a processor do to it, in small steps.
//!
//! Any bytes are a script. The first [`Setup::BYTES`] choose the limits, each following [`Step::BYTES`] are one step.
//! What a step refers to (a task, a handle) is chosen by position among what there is, the stale included.

use std::fmt;
use std::time::Duration;

use plimsoll::{CacheLimits, Drain, LaneLimits, Overflow, Rate};

use super::choice::{ms, pick, span};
use super::part_action::PartAction;
use super::plan::{Deed, Order, Parts};

/// Limits, and what is done under them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// Chooses the limits.
    pub setup: Setup,
    /// What is done, in order.
    pub steps: Vec<Step>,
}

impl Script {
    /// The same script of so many steps for the same seed.
    #[must_use]
    pub fn seeded(seed: u64, steps: usize) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let bytes: Vec<u8> = (0..Setup::BYTES + steps * Step::BYTES).map(|_| rng.u8(..)).collect();
        Self::from_bytes(&bytes)
    }

    /// The script that these bytes are; an incomplete last step is left out.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let (setup, steps) = bytes.split_at(bytes.len().min(Setup::BYTES));
        let mut first = [0; Setup::BYTES];
        first.iter_mut().zip(setup).for_each(|(to, from)| *to = *from);
        let step = |chunk: &[u8]| Step(chunk.try_into().unwrap_or_default());
        Self { setup: Setup(first), steps: steps.chunks_exact(Step::BYTES).map(step).collect() }
    }
}

/// Bytes that choose the limits, all of them small so that scripts reach them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Setup(pub [u8; Setup::BYTES]);

#[allow(missing_docs, reason = "named as the limits and settings that they choose")]
impl Setup {
    /// How many bytes choose the limits.
    pub const BYTES: usize = 22;

    fn byte(&self, at: usize) -> u8 {
        self.0.get(at).copied().unwrap_or(0)
    }

    fn pick<T: Copy>(&self, at: usize, table: &[T]) -> T {
        pick(self.byte(at), table)
    }

    pub fn seed(&self) -> u64 {
        u64::from(self.byte(0))
    }

    /// Which of four ways the processor is ended by, if the script has not done so.
    pub fn ending(&self) -> u8 {
        self.byte(1) >> 6
    }

    pub fn has_several_threads(&self) -> bool {
        self.byte(1) % 2 == 1
    }

    pub fn queue(&self) -> u32 {
        self.pick(2, &[4, 0, 1, 2, 8, 20])
    }

    pub fn concurrency(&self) -> u32 {
        self.pick(3, &[2, 1, 3, 8])
    }

    pub fn orphans(&self) -> u32 {
        self.pick(4, &[u32::MAX, u32::MAX, 1, 2])
    }

    pub fn unclaimed(&self) -> u32 {
        self.pick(5, &[30, 0, 1, 3])
    }

    pub fn results(&self) -> (u32, Option<Duration>) {
        (self.pick(6, &[2, 0, 5]), self.pick(7, &[None, Some(ms(5)), Some(ms(1_000))]))
    }

    pub fn waiters(&self) -> u32 {
        self.pick(8, &[3, 0, 1, 8])
    }

    pub fn sleeps(&self) -> u32 {
        self.pick(9, &[4, 0, 1, 2])
    }

    pub fn emitters(&self) -> u32 {
        self.pick(10, &[2, 0, 1, 3])
    }

    pub fn subscribers(&self) -> u32 {
        self.pick(11, &[2, 0, 1, 3])
    }

    /// How many events are kept. Enough of them, and somebody reads all.
    pub fn events(&self) -> u32 {
        if self.is_watched() { 4_096 } else { self.pick(12, &[4, 1, 2, 64]) }
    }

    /// Whether a subscriber reads every event and compares.
    pub fn is_watched(&self) -> bool {
        self.byte(13) % 4 != 3
    }

    pub fn grace(&self) -> Duration {
        self.pick(14, &[Duration::ZERO, Duration::ZERO, ms(3), ms(20), Duration::MAX])
    }

    pub fn health_every(&self) -> Option<Duration> {
        self.pick(15, &[None, Some(ms(1)), Some(ms(10)), Some(ms(1_000))])
    }

    pub fn sweep_every(&self) -> Option<Duration> {
        self.pick(16, &[None, Some(ms(1)), Some(ms(10)), Some(ms(1_000))])
    }

    pub fn lanes(&self) -> LaneLimits {
        let limits = LaneLimits::new(self.pick(18, &[0, 0, 1, 3, 0, 4]));
        self.pick(18, &[None, Some(0), Some(2)]).map_or(limits, |queue| limits.queue(queue))
    }

    pub fn rate(&self) -> Option<Rate> {
        let second = Duration::from_secs(1);
        self.pick(
            19,
            &[None, None, None, Some(Rate::new(700, second)), Some(Rate::new(100, second).burst(3))],
        )
    }

    pub fn overflow(&self) -> Overflow {
        self.pick(19, &[Overflow::Refuse, Overflow::DropOldest, Overflow::DropLowest])
    }

    /// How many keys are remembered, if there are keys.
    pub fn dedup(&self) -> Option<u32> {
        self.pick(20, &[None, None, Some(8), Some(0), Some(1), Some(8)])
    }

    pub fn parts(&self) -> Parts {
        Parts { has_keys: self.dedup().is_some(), has_monitor: self.byte(20) >> 4 > 7 }
    }

    pub fn schedules(&self) -> u32 {
        self.pick(21, &[0, 2, 1, 3])
    }

    pub fn cache(&self) -> CacheLimits {
        let (entries, ttl) =
            (self.pick(17, &[2, 0, 1, 4]), self.pick(17, &[None, None, Some(ms(5)), None, None]));
        CacheLimits { entries, ttl, ..CacheLimits::default() }
    }
}

/// Bytes that choose one thing that users do. `Debug` shows what that is.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Step(pub [u8; Step::BYTES]);

/// One thing that users do. Numbers choose by position from the newest.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "named as the calls that they make")]
pub enum Action {
    Submit(Order),
    SubmitWait(Order),
    /// Polls a handle, a wait for room or a subscription once, with a waker that does this.
    Poll {
        held: u8,
        waker: Deed,
    },
    /// Drops a handle, a wait for room, a subscription or an emitter.
    Drop {
        held: u8,
    },
    CancelOnDrop {
        held: u8,
    },
    CancelHeld {
        held: u8,
    },
    Detach {
        held: u8,
    },
    /// Waits for room for so many tasks.
    Reserve {
        places: u8,
    },
    /// With a place of the newest permit, or of a new one.
    SubmitReserved(Order),
    /// To the newest completion queue, or to a new one with this room.
    SubmitToQueue {
        order: Order,
        room: u8,
    },
    SubmitMany {
        order: Order,
        count: u8,
    },
    Stream {
        order: Order,
        count: u8,
        is_ordered: bool,
    },
    Subscribe,
    WaitUntilIdle,
    Attach {
        emitter: u8,
    },
    EmitTask {
        emitter: u8,
        order: Order,
    },
    EmitBatch {
        emitter: u8,
        order: Order,
        count: u8,
    },
    EmitError {
        emitter: u8,
    },
    CacheInsert {
        key: u8,
    },
    CacheGet {
        key: u8,
    },
    CacheRemove {
        key: u8,
    },
    /// What handlers, callbacks and drops do, too.
    Do(Deed),
    /// The runtime polls so many futures.
    Run {
        polls: u8,
    },
    /// The runtime polls futures until none is ready.
    Idle,
    /// The clock moves on.
    Advance(Duration),
    /// The clock moves on to the next timer.
    Jump,
    Shutdown(Drain),
    PollShutdown,
    ForgetContexts,
    /// What needs a part of the processor that is not always there.
    Part(PartAction),
}

impl Step {
    /// How many bytes are one step.
    pub const BYTES: usize = 13;

    /// From this value of the last byte on the step is one for the parts.
    const PART: u8 = 224;

    /// The same for a processor with these parts.
    pub(super) fn under(mut self, parts: Parts) -> Self {
        let [_, order @ ..] = self.0;
        if order[11] < Self::PART {
            let Order(order) = Order(order).under(parts);
            self.0[1..].copy_from_slice(&order);
        }
        self
    }

    /// What these bytes choose. What happens often in life is frequent.
    #[must_use]
    pub fn action(&self) -> Action {
        let [kind, rest @ ..] = self.0;
        let [a, b, c, ..] = rest;
        let order = Order(rest);
        if rest[11] >= Self::PART {
            return Action::Part(PartAction::from_bytes(kind, rest));
        }
        match kind {
            0..70 => Action::Submit(order),
            70..82 => Action::SubmitWait(order),
            82..108 => {
                Action::Poll { held: a, waker: if b < 16 { Deed::from_byte(c) } else { Deed::Nothing } }
            }
            108..116 => Action::Drop { held: a },
            116..119 => Action::CancelOnDrop { held: a },
            119..124 => Action::CancelHeld { held: a },
            124..128 => Action::Detach { held: a },
            128..132 => Action::Subscribe,
            132 => Action::WaitUntilIdle,
            133..139 => Action::Attach { emitter: a },
            139..146 => Action::EmitTask { emitter: a & 1, order },
            146..151 => Action::EmitBatch { emitter: a & 1, order, count: a >> 6 },
            151..153 => Action::EmitError { emitter: a & 1 },
            153..157 => Action::CacheInsert { key: a % 6 },
            157..160 => Action::CacheGet { key: a % 6 },
            160..162 => Action::CacheRemove { key: a % 6 },
            162..184 => Action::Do(Deed::from_byte(a)),
            184..202 => Action::Run { polls: a % 8 },
            202..218 => Action::Idle,
            218..232 => Action::Advance(span(a)),
            232..244 => Action::Jump,
            244..247 if b < 64 => {
                Action::Shutdown(if b < 12 { Drain::Abort } else { Drain::Graceful(span(a)) })
            }
            // Those for which the end is too frequent.
            244..247 => match b % 3 {
                0 => Action::SubmitReserved(order),
                1 => Action::SubmitToQueue { order, room: a % 4 },
                _ => Action::SubmitMany { order, count: a % 8 },
            },
            247..252 => Action::PollShutdown,
            252 => Action::ForgetContexts,
            253 => Action::Reserve { places: a % 4 },
            254 if b < 128 => Action::SubmitReserved(order),
            254 => Action::SubmitToQueue { order, room: a % 4 },
            255 => Action::Stream { order, count: a % 8, is_ordered: b < 128 },
        }
    }
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.action().fmt(f)
    }
}
