//! What a job is to do, drawn from a seed.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use plimsoll::{Options, Priority, Retry, Timeouts};

use crate::dice::{chance, micros};
use crate::lender::Loan;
use crate::names::{Action, is_skipped};
use crate::parts::Parts;

/// What the jobs of an episode may do.
#[derive(Clone, Copy, Debug)]
pub struct Mood {
    /// Every handler comes to an end by itself.
    pub finite: bool,
    /// Values may panic when they are dropped, shown or cloned.
    pub panics: bool,
    /// How much happens at most in one handler.
    pub steps: usize,
    /// The time-outs of a job that has none of its own.
    pub timeouts: Timeouts,
}

/// What the handler of a job does, attempt for attempt.
#[derive(Debug)]
pub struct Script {
    pub steps: Vec<Step>,
    /// How its attempts end; the last one holds for all further ones.
    pub finishes: Vec<Finish>,
    pub clone_panics: bool,
    pub output_panics: bool,
    pub future_panics: bool,
    pub debug_panics: bool,
    /// What panics carry may panic too.
    pub payload_panics: bool,
    /// Seed of what is drawn while it runs.
    pub seed: u64,
    /// How many submissions led to it, one inside the other.
    pub depth: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    Return,
    Fail,
    Panic,
    PanicInCall,
}

#[derive(Clone, Copy, Debug)]
pub enum Step {
    Yield(u32),
    RuntimeSleep(Duration),
    ContextSleep(Duration),
    /// Polls a sleep once and drops it.
    ContextSleepDropped(Duration),
    Lend(Loan),
    Block(Duration),
    Submit,
    /// Submits and waits for the outcome.
    AwaitInside,
    CancelSelf,
    AwaitCancelled,
    ChildTask,
    ChildThread,
    KeepContext,
    Heartbeat,
    Progress,
    HoldLane(Duration),
}

fn allowed(dice: &mut Rng, percent: u32, action: Action) -> bool {
    chance(dice, percent) && !is_skipped(action.name())
}

impl Script {
    pub fn draw(dice: &mut Rng, mood: &Mood, depth: u32) -> Arc<Self> {
        let steps = if chance(dice, 20) { 0 } else { dice.usize(0..=mood.steps) };
        let steps = (0..steps).map(|_| Step::draw(dice, mood, depth)).collect();
        let finishes = (0..dice.usize(1..=3)).map(|_| Finish::draw(dice)).collect();
        let drops = mood.panics && !is_skipped(Action::PanicInDrop.name());
        Arc::new(Self {
            steps,
            finishes,
            clone_panics: mood.panics && allowed(dice, 2, Action::PanicInClone),
            output_panics: drops && chance(dice, 4),
            future_panics: drops && chance(dice, 4),
            debug_panics: mood.panics && allowed(dice, 8, Action::PanicInDebug),
            payload_panics: drops && chance(dice, 10),
            seed: dice.u64(..),
            depth,
        })
    }

    /// How this attempt ends, counted from 1.
    pub fn finish(&self, attempt: u32) -> Finish {
        let index = (attempt.saturating_sub(1) as usize).min(self.finishes.len() - 1);
        self.finishes[index]
    }
}

impl Finish {
    fn draw(dice: &mut Rng) -> Self {
        let (finish, action) = match dice.u32(0..20) {
            0..=2 => (Self::Fail, Action::Fail),
            3 => (Self::Panic, Action::Panic),
            4 => (Self::PanicInCall, Action::PanicInCall),
            _ => (Self::Return, Action::Return),
        };
        if is_skipped(action.name()) { Self::Return } else { finish }
    }

    pub const fn action(self) -> Action {
        match self {
            Self::Return => Action::Return,
            Self::Fail => Action::Fail,
            Self::Panic => Action::Panic,
            Self::PanicInCall => Action::PanicInCall,
        }
    }
}

impl Step {
    fn draw(dice: &mut Rng, mood: &Mood, depth: u32) -> Self {
        let step = match dice.u32(0..100) {
            0..14 => Self::Yield(dice.u32(1..6)),
            14..18 => Self::Heartbeat,
            18..21 => Self::Progress,
            21 => Self::HoldLane(micros(dice, 1_000)),
            22..30 => Self::RuntimeSleep(micros(dice, 2_000)),
            30..40 => Self::ContextSleep(micros(dice, 3_000)),
            40..43 => Self::ContextSleepDropped(micros(dice, 3_000)),
            43..68 => Self::Lend(Loan::draw(dice, mood)),
            68..73 => Self::Block(micros(dice, 1_500)),
            73..83 if depth < 2 => Self::Submit,
            83..86 if depth < 2 && !mood.finite => Self::AwaitInside,
            86..89 => Self::CancelSelf,
            89..91 if !mood.finite => Self::AwaitCancelled,
            91..95 => Self::ChildTask,
            95..97 => Self::ChildThread,
            97..99 => Self::KeepContext,
            _ => Self::Yield(1),
        };
        if is_skipped(step.action().name()) { Self::Yield(1) } else { step }
    }

    pub const fn action(self) -> Action {
        match self {
            Self::Yield(_) => Action::Yield,
            Self::RuntimeSleep(_) => Action::RuntimeSleep,
            Self::ContextSleep(_) => Action::ContextSleep,
            Self::ContextSleepDropped(_) => Action::ContextSleepDropped,
            Self::Lend(Loan { ready: None, .. }) => Action::LoseWaker,
            Self::Lend(Loan { hold: true, .. } | Loan { keep: Some(_), .. }) => Action::WakeAfterEnd,
            Self::Lend(Loan { times: 2.., .. }) => Action::WakeOften,
            Self::Lend(_) => Action::LendWaker,
            Self::Block(_) => Action::Block,
            Self::Submit => Action::SubmitInside,
            Self::AwaitInside => Action::AwaitInside,
            Self::CancelSelf => Action::CancelSelf,
            Self::AwaitCancelled => Action::AwaitCancelled,
            Self::ChildTask => Action::ChildTask,
            Self::ChildThread => Action::ChildThread,
            Self::KeepContext => Action::KeepContext,
            Self::Heartbeat => Action::Heartbeat,
            Self::Progress => Action::Progress,
            Self::HoldLane(_) => Action::HoldLane,
        }
    }
}

impl Loan {
    fn draw(dice: &mut Rng, mood: &Mood) -> Self {
        let most = if chance(dice, 50) { 50 } else { 2_000 };
        let ready = Some(micros(dice, most));
        let plain = Self { ready, times: 1, keep: None, hold: false };
        match dice.u32(0..10) {
            0..2 => Self { times: dice.u32(2..6), ..plain },
            2..4 => Self { keep: Some(micros(dice, 8_000)), ..plain },
            4 => Self { hold: true, ..plain },
            5 if !mood.finite => Self { ready: None, hold: chance(dice, 50), ..plain },
            _ => plain,
        }
    }
}

/// The terms of a job.
pub fn options(dice: &mut Rng, number: u64, parts: &Parts) -> Options<u64> {
    let mut options = Options::new(number);
    if chance(dice, 15) {
        options = options.delay(micros(dice, 4_000));
    }
    if chance(dice, 20) {
        options = options.priority(Priority::new(dice.u8(0..8)));
    }
    if chance(dice, 25) {
        let mut limit =
            |percent| chance(dice, percent).then(|| Duration::from_micros(500) + micros(dice, 8_000));
        let (schedule_to_start, start_to_close, schedule_to_close) = (limit(40), limit(60), limit(40));
        options = options.timeouts(Timeouts {
            schedule_to_start,
            start_to_close,
            schedule_to_close,
            ..Timeouts::NONE
        });
    }
    if chance(dice, 25) {
        options = options.retry(draw_retry(dice));
    }
    parts.add_terms(dice, options)
}

pub fn draw_retry(dice: &mut Rng) -> Retry {
    let retry = Retry::NONE.attempts(dice.u32(1..4)).base(micros(dice, 2_000)).cap(Duration::from_millis(3));
    retry.on_panic(chance(dice, 50))
}
