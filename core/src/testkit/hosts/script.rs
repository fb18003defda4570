//! Scripts: what happens to a host, step by step, from any bytes.

use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use fastrand::Rng;

use super::super::choices::pick;
use super::task::{Ending, Task};
use crate::{Drain, Limits, Overflow};

/// What happens to a host: limits, steps and an end. Any bytes are a script. The first four choose the limits and the
/// end, each further four a step. Missing ones count as zero, and an incomplete last step is left out.
#[derive(Clone, PartialEq, Eq)]
#[must_use]
pub struct Script {
    setup: [u8; Self::SETUP],
    steps: Vec<[u8; Step::BYTES]>,
}

/// One step of a script. A task is chosen by its place among those that can be meant, so a step keeps its meaning when
/// others are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// Submits tasks, all on the same terms.
    Submit {
        /// Terms and handler of each.
        task: Task,
        /// How many.
        times: u8,
    },
    /// Cancels one of the tasks that are not settled.
    Cancel {
        /// Which.
        nth: u8,
    },
    /// The handler of an attempt comes to an end.
    End {
        /// Which of the attempts that run.
        nth: u8,
        /// How it ends.
        ending: Ending,
        /// Whether the host has a turn at once. Otherwise the next step comes first.
        noticed: bool,
    },
    /// Time passes. The host has a turn whenever it wanted one.
    Pass {
        /// How much time.
        by: Duration,
        /// How late each of those turns comes.
        late: Duration,
    },
    /// The host has a turn that it did not ask for.
    Turn,
}

/// How a host ends after the last step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum End {
    /// It is dropped.
    Drop,
    /// It is drained in this mode, and dropped when it has ended.
    Drain(Drain),
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Drop => f.write_str("the host is dropped"),
            Self::Drain(mode) => write!(f, "the host is drained: {mode:?}"),
        }
    }
}

impl Script {
    const SETUP: usize = 4;

    /// The script in these bytes.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let (setup, steps) = bytes.split_at(bytes.len().min(Self::SETUP));
        let mut first = [0; Self::SETUP];
        first.iter_mut().zip(setup).for_each(|(to, from)| *to = *from);
        let step = |chunk: &[u8]| chunk.try_into().unwrap_or_default();
        Self { setup: first, steps: steps.chunks_exact(Step::BYTES).map(step).collect() }
    }

    /// The script of 60 steps that is drawn from this seed.
    pub fn from_seed(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let mut draw = || core::array::from_fn(|_| rng.u8(..));
        Self { setup: draw(), steps: (0..60).map(|_| draw()).collect() }
    }

    /// The bytes of this script, for [`from_bytes`](Self::from_bytes).
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        self.setup.iter().chain(self.steps.iter().flatten()).copied().collect()
    }

    /// The steps, in order.
    pub fn steps(&self) -> impl Iterator<Item = Step> {
        self.steps.iter().map(|bytes| Step::from_bytes(*bytes))
    }

    /// The limits of the machine. Most are small, so that scripts reach them; in one script of ten more than a hundred
    /// tasks can wait, which is more than a step of a machine takes on.
    #[must_use]
    pub fn limits(&self) -> Limits {
        let [queue, delayed, concurrency, seed] = self.setup;
        let is_long = queue >= 230;
        Limits {
            queue: if is_long { 120 } else { u32::from(queue % 7) },
            delayed: if is_long { 120 } else { u32::from(delayed % 5) },
            concurrency: u32::from(concurrency % 4) + 1,
            overflow: pick(&[Overflow::Refuse, Overflow::Refuse, Overflow::DropOldest], delayed / 5),
            health_every: pick(&[None, None, Some(Duration::from_millis(10))], concurrency >> 2),
            seed: u64::from(seed),
            ..Limits::default()
        }
    }

    /// How the host ends.
    #[must_use]
    pub const fn end(&self) -> End {
        match self.setup[3] % 5 {
            0 => End::Drop,
            1 => End::Drain(Drain::Abort),
            2 => End::Drain(Drain::Cancel),
            3 => End::Drain(Drain::Graceful(Duration::from_millis(20))),
            _ => End::Drain(Drain::Graceful(Duration::from_secs(3_600))),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.steps.len()
    }

    /// This script without `count` steps from `start` on.
    pub(super) fn without(&self, start: usize, count: usize) -> Self {
        let is_kept = |at: usize| at < start || at >= start.saturating_add(count);
        let steps = self.steps.iter().enumerate().filter(|(at, _)| is_kept(*at));
        Self { setup: self.setup, steps: steps.map(|(_, step)| *step).collect() }
    }
}

/// Shows how to make this script again.
impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Script::from_bytes(&{:?})", self.bytes())
    }
}

#[cfg(feature = "arbitrary")]
impl<'a> arbitrary::Arbitrary<'a> for Script {
    fn arbitrary(bytes: &mut arbitrary::Unstructured<'a>) -> arbitrary::Result<Self> {
        let len = bytes.len();
        bytes.bytes(len).map(Self::from_bytes)
    }
}

impl Step {
    /// How many bytes choose a step.
    const BYTES: usize = 4;

    fn from_bytes([what, a, b, c]: [u8; Self::BYTES]) -> Self {
        let micros = Duration::from_micros;
        match what {
            0..96 => Self::Submit { task: Task::from_bytes([a, b, c]), times: 1 },
            96..104 => Self::Submit { task: Task::from_bytes([a, b, c]), times: 100 },
            104..128 => Self::Cancel { nth: a },
            128..192 => Self::End { nth: a, ending: Ending::from_byte(b), noticed: c & 1 == 1 },
            192..248 => Self::Pass {
                by: pick(&[300, 1_000, 2_000, 3_500, 5_000, 10_000, 70_000, 1_000_000].map(micros), a),
                late: pick(&[0, 0, 0, 1, 999, 4_000, 20_000].map(micros), b),
            },
            248.. => Self::Turn,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Submit { task, times: 1 } => write!(f, "submit {task}"),
            Self::Submit { task, times } => write!(f, "submit {times} times {task}"),
            Self::Cancel { nth } => write!(f, "cancel an unsettled task ({nth})"),
            Self::End { nth, ending, noticed } => {
                write!(f, "an attempt ({nth}) has {ending}{}", if *noticed { "" } else { ", unnoticed" })
            }
            Self::Pass { by, late } if late.is_zero() => write!(f, "{by:?} pass"),
            Self::Pass { by, late } => write!(f, "{by:?} pass, with timers {late:?} late"),
            Self::Turn => f.write_str("a turn"),
        }
    }
}
