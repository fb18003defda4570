//! Trying a promise on a thread of its own, within a limit.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use super::report::{Finding, Report};
use super::subject::Subject;
use super::verdict::{Stage, Verdict};
use crate::panics::{catch, discard_panic, panic_text};

/// After this a trial hangs: longer than one that waits in vain.
const LIMIT: Duration = Duration::from_secs(12);

/// What an executor promises, and how that is tried.
pub(super) struct Law<S> {
    pub(super) part: Part,
    pub(super) promise: &'static str,
    pub(super) look_at: &'static str,
    /// Whether it is about the end of the executor.
    pub(super) ends: bool,
    /// Says what it has seen if the promise is broken.
    pub(super) run: Trial<S>,
}

/// Tries a promise on an executor that is its own.
pub(super) type Trial<S> = fn(S, &Stage) -> Verdict;

/// What a promise is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Binding,
    Clock,
    Spawning,
    Polling,
    Wakes,
    Turns,
    Timers,
    End,
    Processors,
}

impl Part {
    /// The parts that have to be in order before it makes sense to try this one: it would fail for their faults.
    const fn rests_on(self) -> &'static [Self] {
        use Part::{Binding, Clock, End, Polling, Spawning, Timers, Turns, Wakes};
        match self {
            Self::Binding => &[],
            Self::Clock | Self::Spawning => &[Binding],
            Self::Polling => &[Binding, Spawning],
            Self::Wakes => &[Binding, Spawning, Polling],
            Self::Turns => &[Binding, Spawning, Polling, Wakes],
            Self::Timers => &[Binding, Clock, Spawning, Polling, Wakes],
            Self::End => &[Binding, Clock, Spawning],
            Self::Processors => &[Binding, Clock, Spawning, Polling, Wakes, Turns, Timers, End],
        }
    }
}

pub(super) fn check<S: Subject>(make: impl Fn() -> S + Send + Sync + 'static, laws: Vec<Law<S>>) -> Report {
    let (start, mut report, make) = (Instant::now(), Report::default(), Arc::new(make));
    let mut broken = Vec::new();
    for law in laws {
        if law.part.rests_on().iter().any(|part| broken.contains(part)) {
            report.untried.push((law.promise, "what it rests on is broken"));
            continue;
        }
        match run(make.clone(), &law) {
            Outcome::Kept => report.kept.push(law.promise),
            Outcome::Untried(why) => report.untried.push((law.promise, why)),
            Outcome::Broken(seen) => {
                report.findings.push(Finding { promise: law.promise, seen, look_at: law.look_at });
                broken.push(law.part);
            }
        }
    }
    report.took = start.elapsed();
    report
}

enum Outcome {
    Kept,
    Broken(String),
    Untried(&'static str),
}

/// Tries a law on an executor that is made for it. The thread is left behind if that hangs.
fn run<S: Subject>(make: Arc<impl Fn() -> S + Send + Sync + 'static>, law: &Law<S>) -> Outcome {
    let (stage, (sender, outcome)) = (Stage::default(), channel());
    let (run, ends, doing) = (law.run, law.ends, stage.clone());
    let thread = thread::Builder::new().name("conformance".to_owned()).spawn(move || {
        let outcome = catch(|| {
            doing.set("the executor is made");
            let subject = make();
            if ends && !subject.can_end() {
                return Outcome::Untried("the executor can't be ended");
            }
            run(subject, &doing).map_or_else(Outcome::Broken, |()| Outcome::Kept)
        });
        let outcome = outcome.unwrap_or_else(|panic| {
            let seen = format!("a panic while {}: {}", doing.get(), panic_text(&panic));
            discard_panic(panic);
            Outcome::Broken(seen)
        });
        let _ = sender.send(outcome);
    });
    if let Err(error) = thread {
        return Outcome::Broken(format!("no thread could be started to try it on: {error}"));
    }
    match outcome.recv_timeout(LIMIT) {
        Ok(outcome) => outcome,
        Err(RecvTimeoutError::Timeout) => {
            Outcome::Broken(format!("it hung for {LIMIT:?} while {}", stage.get()))
        }
        Err(RecvTimeoutError::Disconnected) => {
            Outcome::Broken(format!("its thread went while {}", stage.get()))
        }
    }
}
