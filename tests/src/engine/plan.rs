//! What a task is submitted for: its terms, what its handler does, and how its values behave.

use std::fmt;
use std::time::Duration;

use plimsoll::{Lane, Options, Priority, Rate, Retry, Timeouts, Unique};

use super::choice::{ms, pick, span};

/// Bytes that choose all there is to know about a task. The last one chooses terms that need a part of the processor which
/// is not always there; 0 chooses none.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Order(pub [u8; 12]);

/// Which parts a processor has, beyond those that every one has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// Tasks may have keys that no two have at the same time.
    pub has_keys: bool,
    /// Attempts are monitored.
    pub has_monitor: bool,
}

/// The keys of lanes.
pub(super) const KEYS: std::ops::Range<u64> = 1..6;

/// How many keys tasks may have that no two have at the same time.
pub(super) const UNIQUE_KEYS: u64 = 3;

/// The lane with this key.
pub(super) fn lane(key: u64) -> Lane {
    let lane = Lane::new(key).weight(key as u16).concurrency(concurrency_of(key));
    if key == 4 { lane.rate(Rate::new(300, Duration::from_secs(1)).burst(2)) } else { lane }
}

/// How many attempts of the lane with this key may run.
pub(super) fn concurrency_of(key: u64) -> u32 {
    (key % 3) as u32 + 1
}

/// Where a task's outcome goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as the calls that they make")]
pub enum Way {
    Handle,
    Callback,
    Nowhere,
    Retain,
    Queue,
    /// A schedule has made it: nobody is told but by events.
    Schedule,
}

/// How a value behaves when it is dropped, cloned or printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// As values should.
    Calm,
    /// Panics.
    Panics,
    /// Does something to the processor that it was in.
    Acts(Deed),
}

/// What a handler does before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Move {
    Nothing,
    /// Wakes itself so often.
    Yields(u8),
    /// Sleeps by its context.
    Sleeps(Duration),
    SleepsTwice(Duration, Duration),
    /// Sleeps by a timer of the runtime.
    Naps(Duration),
    /// Waits until somebody opens a gate.
    WaitsAtGate(u8),
    AwaitsCancellation,
    LeavesContext,
    LeavesWaker,
    SpawnsChild,
    Acts(Deed),
}

/// How an attempt ends, if nobody stops it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum End {
    Returns,
    Fails,
    FailsUntil(u32),
    /// Snoozes so often, for so long, and then returns.
    Snoozes(u32, Duration),
    Panics,
    PanicsUntil(u32),
    PanicsWhenCalled,
    Never,
}

/// What any user code may do: a handler, a callback, a waker, a drop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Deed {
    Nothing,
    OpenGate(u8),
    Submit,
    Cancel(u8),
    TakeResult(u8),
    Pause,
    Resume,
    SetConcurrency(u8),
    Audit,
    WakeStale,
    DropOwner,
    KillRuntime,
}

impl Deed {
    /// What this byte chooses; the end of everything is rare.
    #[must_use]
    pub const fn from_byte(byte: u8) -> Self {
        match byte {
            0..30 => Self::Nothing,
            30..80 => Self::OpenGate(byte % 3),
            80..115 => Self::Submit,
            115..155 => Self::Cancel(byte % 8),
            155..170 => Self::TakeResult(byte % 8),
            170..180 => Self::Pause,
            180..200 => Self::Resume,
            200..212 => Self::SetConcurrency(byte % 4),
            212..232 => Self::Audit,
            232..247 => Self::WakeStale,
            247..252 => Self::DropOwner,
            252..=255 => Self::KillRuntime,
        }
    }
}

impl Order {
    /// A task that does nothing special, for those that submit from within.
    pub const PLAIN: Self = Self([2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);

    pub(super) fn way(self) -> Way {
        pick(self.0[0] & 3, &[Way::Handle, Way::Callback, Way::Nowhere, Way::Retain])
    }

    fn priority(self) -> Priority {
        Priority::new(self.0[0] >> 2 & 7)
    }

    pub(super) fn tries(self) -> u32 {
        u32::from(self.0[0] >> 5 & 3) + 1
    }

    pub(super) fn retries_panics(self) -> bool {
        self.0[0] & 128 != 0
    }

    pub(super) fn delay(self) -> Duration {
        limit(self.0[1] & 15).unwrap_or_default()
    }

    pub(super) fn timeouts(self) -> Timeouts {
        Timeouts {
            schedule_to_start: limit(self.0[1] >> 4),
            start_to_close: limit(self.0[2] & 15),
            schedule_to_close: limit(self.0[2] >> 4),
            heartbeat: self.monitored().0,
        }
    }

    /// Its lane, where there are lanes. What a lane is like depends on its key alone.
    fn lane(self) -> Option<Lane> {
        let key = (self.0[4] ^ self.0[8]) % 6;
        (key > 0).then(|| lane(key.into()))
    }

    pub(super) fn options<M>(self, meta: M, has_lanes: bool) -> Options<M> {
        let base = pick(self.0[8], &[ms(2), Duration::ZERO, ms(10), ms(1_000)]);
        let retry = Retry::NONE.attempts(self.tries()).base(base).on_panic(self.retries_panics());
        let options = Options::new(meta).priority(self.priority()).delay(self.delay());
        let options = options.timeouts(self.timeouts()).retry(retry);
        let options = Options { unique: self.unique(), slow_after: self.slow_after(), ..options };
        match self.lane().filter(|_| has_lanes) {
            Some(lane) => options.lane(lane),
            None => options,
        }
    }

    /// The same, but for terms that need a part that is not there.
    pub(super) const fn under(mut self, parts: Parts) -> Self {
        if !parts.has_keys {
            self.0[11] &= !7;
        }
        if !parts.has_monitor {
            self.0[11] &= 31;
        }
        self
    }

    /// The same without a key.
    pub(super) const fn without_key(self) -> Self {
        self.under(Parts { has_keys: false, has_monitor: true })
    }

    /// Its key that no two tasks have at the same time, of three.
    pub(super) fn unique(self) -> Option<Unique> {
        let unique = Unique::new(u64::from(self.0[11] >> 3 & 3) % UNIQUE_KEYS);
        match self.0[11] & 7 {
            0..=3 => None,
            4 => Some(unique),
            5 => Some(unique.window(span(self.0[8]))),
            6 => Some(unique.replace()),
            _ => Some(unique.replace().longest(span(self.0[8]))),
        }
    }

    pub(super) fn key(self) -> Option<u64> {
        self.unique().map(|unique| unique.key())
    }

    /// Whether it takes the place of a task that waits with its key.
    pub(super) const fn replaces(self) -> bool {
        self.0[11] & 7 >= 6
    }

    /// For how long its key is remembered.
    pub(super) fn window(self) -> Duration {
        if self.0[11] & 7 == 5 { span(self.0[8]) } else { Duration::ZERO }
    }

    /// When a row of such tasks is ready at the latest.
    pub(super) fn longest(self) -> Duration {
        if self.0[11] & 7 == 7 { span(self.0[8]) } else { Duration::MAX }
    }

    /// Its heartbeat time-out and its soft limit.
    fn monitored(self) -> (Option<Duration>, Option<Duration>) {
        match self.0[11] >> 5 {
            0 | 1 => (None, None),
            2 => (Some(ms(1)), None),
            3 => (Some(ms(3)), None),
            4 => (None, Some(ms(1))),
            5 => (Some(ms(10)), Some(ms(3))),
            _ => (None, Some(Duration::from_micros(300))),
        }
    }

    pub(super) fn slow_after(self) -> Option<Duration> {
        self.monitored().1
    }

    /// Whether its handler tells that it is alive, and whether it tells how far it has got.
    pub(super) const fn beats(self) -> (bool, bool) {
        (self.0[11] >= 32, self.0[10] % 2 == 1)
    }

    pub(super) fn moves(self) -> [Move; 2] {
        [step(self.0[3], self.0[4]), step(self.0[5], self.0[6])]
    }

    pub(super) fn end(self) -> End {
        match self.0[7] {
            0..110 => End::Returns,
            110..140 => End::Fails,
            140..170 => End::FailsUntil(u32::from(self.0[7]) % 3 + 1),
            230..=255 => End::Snoozes(u32::from(self.0[7]) % 3 + 1, span(self.0[8])),
            170..190 => End::Panics,
            190..205 => End::PanicsUntil(u32::from(self.0[7]) % 3 + 1),
            205..215 => End::PanicsWhenCalled,
            215..230 => End::Never,
        }
    }

    fn mood(self, part: u32) -> Mood {
        match (self.0[9] >> (part * 2)) & 3 {
            1 if self.0[10] % 5 == 0 => Mood::Panics,
            2 => Mood::Acts(Deed::from_byte(self.0[10])),
            _ => Mood::Calm,
        }
    }

    pub(super) fn job_mood(self) -> Mood {
        self.mood(0)
    }

    pub(super) fn value_mood(self) -> Mood {
        self.mood(1)
    }

    /// How its callback behaves, and how its future does when it is dropped before it has ended.
    pub(super) fn callback_mood(self) -> Mood {
        self.mood(2)
    }

    pub(super) fn debug_panics(self) -> bool {
        self.mood(3) == Mood::Panics
    }

    pub(super) fn clone_panics(self) -> bool {
        self.mood(3) == Mood::Panics && self.0[10] & 16 != 0
    }
}

impl fmt::Debug for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Order")
            .field("way", &self.way())
            .field("tries", &(self.tries(), self.retries_panics()))
            .field("delay", &self.delay())
            .field("timeouts", &self.timeouts())
            .field("unique", &self.unique())
            .field("slow_after", &self.slow_after())
            .field("moves", &self.moves())
            .field("end", &self.end())
            .field("moods", &[self.job_mood(), self.value_mood(), self.callback_mood()])
            .field("panics", &(self.clone_panics(), self.debug_panics()))
            .finish()
    }
}

fn step(kind: u8, argument: u8) -> Move {
    match kind {
        0..60 => Move::Nothing,
        60..95 => Move::Yields(if argument < 8 { 200 } else { argument % 5 + 1 }),
        95..130 => Move::Sleeps(span(argument)),
        130..140 => Move::SleepsTwice(span(argument), span(argument >> 3)),
        140..155 => Move::Naps(span(argument)),
        155..180 => Move::WaitsAtGate(argument % 3),
        180..190 => Move::AwaitsCancellation,
        190..198 => Move::LeavesContext,
        198..208 => Move::LeavesWaker,
        208..216 => Move::SpawnsChild,
        216..=255 => Move::Acts(Deed::from_byte(argument)),
    }
}

/// A time-out or a delay, often none.
fn limit(choice: u8) -> Option<Duration> {
    let micros = [300, 1_000, 2_000, 3_000, 5_000, 10_000, 70_000];
    match choice {
        0..8 => None,
        15 => Some(Duration::MAX),
        _ => Some(Duration::from_micros(pick(choice - 8, &micros))),
    }
}
