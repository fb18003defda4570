//! What a clock promises.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::thread;
use std::time::{self, Duration};

use super::subject::{Binding, Subject};
use super::tally::nap;
use super::verdict::{Stage, Verdict, ensure};
use crate::Instant;
use crate::runtime::Clock;

/// For how long threads look whether a clock goes backwards.
const LOOK: Duration = Duration::from_millis(60);
/// How long it is looked how fast it goes, and what the operating system may add or take.
const MEASURED: Duration = Duration::from_millis(60);
const TOLERANCE: Duration = Duration::from_millis(20);

/// The executor goes on while threads read its clock.
pub(super) fn never_goes_backwards<S: Subject>(subject: S, stage: &Stage) -> Verdict {
    stage.set("several threads read the clock");
    let clock = subject.block_on(async { subject.bind().clock() });
    let latest = Mutex::new(Instant::ZERO);
    thread::scope(|scope| {
        let readers: Vec<_> = (0..3).map(|_| scope.spawn(|| read_forwards(&clock, &latest))).collect();
        readers.into_iter().try_for_each(|reader| {
            reader.join().unwrap_or_else(|_| Err("a thread that read the clock panicked".to_owned()))
        })
    })
}

/// Each reading must be no earlier than those that ended before it began, on whichever thread.
fn read_forwards(clock: &Clock, latest: &Mutex<Instant>) -> Verdict {
    let start = time::Instant::now();
    while start.elapsed() < LOOK {
        let before = *latest.lock().unwrap_or_else(PoisonError::into_inner);
        let now = clock();
        ensure(now >= before, || format!("the clock read {now:?} after it had read {before:?}"))?;
        let mut latest = latest.lock().unwrap_or_else(PoisonError::into_inner);
        *latest = (*latest).max(now);
    }
    Ok(())
}

pub(super) fn counts_real_time<S: Subject>(subject: S, stage: &Stage) -> Verdict {
    stage.set("the clock is read twice");
    // A thread may be off its core at any point. So real time is measured between the readings, the least that can have
    // passed from one to the other, and around them, the most.
    let (passed, least, most) = subject.block_on(async {
        let clock = subject.bind().clock();
        let (around, before, between) = (time::Instant::now(), clock(), time::Instant::now());
        nap(MEASURED).await;
        let (least, after, most) = (between.elapsed(), clock(), around.elapsed());
        (after.saturating_since(before), least, most)
    });
    let is_real = least / 2 <= passed + TOLERANCE && passed <= most * 2 + TOLERANCE;
    ensure(is_real, || format!("the clock went on by {passed:?} while {most:?} passed"))
}

/// A processor asks for a clock more than once, and its timer can go by one origin only.
pub(super) fn has_one_origin<S: Subject>(subject: S, stage: &Stage) -> Verdict {
    stage.set("two clocks of one runtime are compared");
    subject.block_on(async {
        let binding = subject.bind();
        let first = binding.clock();
        nap(TOLERANCE).await;
        let second = binding.clock();
        let (before, between, after) = (first(), second(), first());
        ensure(before <= between && between <= after, || {
            format!(
                "a second clock read {between:?} between readings {before:?} and {after:?} of the first one"
            )
        })
    })
}
