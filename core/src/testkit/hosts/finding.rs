//! What is wrong with a host, in words, and the shortest script that shows it.

use alloc::string::String;
use core::fmt;

use super::script::Script;
use crate::Instant;

/// What a host promises. A [`Finding`] names the promise that is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Promise {
    /// It takes tasks in, and passes refusals and cancels on.
    Commands,
    /// It wants a turn no later than the machine needs one: after each call it looks at `next_wake` again.
    Wakes,
    /// It wants no turns in which nothing happens.
    Rest,
    /// It runs what the machine has started, and nothing else: no more attempts than the limit allows.
    Starts,
    /// It stops an attempt, or tells it to stop, when the machine asks for that, and reports that it has stopped.
    Stops,
    /// It reports how an attempt has ended, once, and before it lets time act.
    Reports,
    /// It calls the callback of each task, once, with the outcome of the task.
    Callbacks,
    /// It comes to its end, and keeps nothing.
    End,
}

impl Promise {
    const fn words(self) -> &'static str {
        match self {
            Self::Commands => "tasks are taken in, refused and cancelled as the machine says",
            Self::Wakes => "a turn comes no later than the machine needs one",
            Self::Rest => "no turn is wanted in which nothing happens",
            Self::Starts => "only what the machine has started runs",
            Self::Stops => "an attempt stops when the machine asks for that",
            Self::Reports => "the end of an attempt is reported, once, and before time acts",
            Self::Callbacks => "each callback is called once, with the outcome of its task",
            Self::End => "the end comes, and nothing is kept",
        }
    }
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

/// A promise that a host has broken. `Display` tells it with the steps that led there, of which
/// the last one showed it, and with the bytes of the script.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// Which promise.
    pub promise: Promise,
    /// What was seen.
    pub what: String,
    /// The step, from 0. After the last one come the steps of the end.
    pub step: usize,
    /// The time.
    pub at: Instant,
    /// The script. Without any of its steps this promise is not broken, as far as 500 runs have shown.
    pub script: Script,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "broken: {}", self.promise)?;
        writeln!(f, "  at {:?}: {}", self.at, self.what)?;
        for (at, step) in self.script.steps().enumerate().take(self.step.saturating_add(1)) {
            writeln!(f, "  {}. {step}", at + 1)?;
        }
        if self.step >= self.script.len() {
            writeln!(f, "  then {}", self.script.end())?;
        }
        write!(f, "  again: check_host(…, &{:?})", self.script)
    }
}

impl core::error::Error for Finding {}

/// A finding before its script is known.
#[derive(Debug)]
pub(super) struct Broken {
    pub(super) promise: Promise,
    pub(super) what: String,
}

/// Returns [`Broken`], with a text.
macro_rules! broken {
    ($promise:ident, $($text:tt)+) => {
        return Err(Broken { promise: Promise::$promise, what: alloc::format!($($text)+) })
    };
}

/// Returns [`Broken`], with a text, if the condition holds.
macro_rules! broken_if {
    ($is_broken:expr, $promise:ident, $($text:tt)+) => {
        if $is_broken {
            broken!($promise, $($text)+);
        }
    };
}

pub(super) use {broken, broken_if};
