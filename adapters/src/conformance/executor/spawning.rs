//! What spawning promises.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use super::crew::Crew;
use super::subject::{Binding, Subject};
use super::tally::{Tally, yield_now};
use super::verdict::{Stage, Verdict, ensure};
use crate::runtime::Threads;

/// How many futures are spawned at a time.
const MANY: usize = 64;

pub(super) fn can_run<S: Subject>(subject: S, stage: &Stage) -> Verdict {
    stage.set("the binding is asked whether it can run a processor");
    subject.block_on(async { subject.bind().check() }).map_err(|lacks| format!("it says: {lacks}"))
}

/// Each is done when it is polled first: nothing rests on wakers.
pub(super) fn runs_futures<S: Subject>(subject: S, stage: &Stage) -> Verdict {
    let crew = Crew::default();
    subject.block_on(async {
        stage.set("futures are spawned");
        let binding = subject.bind();
        (0..MANY).for_each(|_| binding.spawn(&crew, async {}));
        stage.set("futures are waited for that were spawned");
        crew.all_end().await
    })
}

/// It is dropped as soon as they are spawned.
pub(super) fn goes_on_without_the_binding<S: Subject>(subject: S, stage: &Stage) -> Verdict {
    let crew = Crew::default();
    subject.block_on(async {
        stage.set("futures are spawned by a binding that is dropped then");
        let binding = subject.bind();
        for _ in 0..MANY {
            binding.spawn(&crew, async {
                for round in 0..3 {
                    yield_now(round == 1).await;
                }
            });
        }
        drop(binding);
        crew.all_end().await
    })
}

/// Otherwise a processor would run user code on the stack of its builder.
pub(super) fn polls_on_the_executor<S: Subject>(subject: S, stage: &Stage) -> Verdict {
    let (crew, outside) = (Crew::default(), Arc::new(AtomicUsize::new(0)));
    subject.block_on(async {
        stage.set("futures are spawned");
        let (binding, spawner) = (subject.bind(), thread::current().id());
        let is_local = binding.is_local();
        for _ in 0..8 {
            let outside = outside.clone();
            binding.spawn(&crew, async move {
                outside.fetch_add(usize::from(is_local && thread::current().id() != spawner), SeqCst);
            });
        }
        crew.all_end().await
    })?;
    let within = crew.polled_by_spawn();
    ensure(within == 0, || format!("{within} polls by the caller of `spawn`, within the call"))?;
    let outside = outside.load(SeqCst);
    ensure(outside == 0, || format!("{outside} futures that are not `Send` were polled on another thread"))
}

pub(super) fn threads_are_as_said<S: Subject>(subject: S, stage: &Stage) -> Verdict {
    let (crew, inside, most) =
        (Crew::default(), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    subject.block_on(async {
        stage.set("futures count how many are polled at the same time");
        let binding = subject.bind();
        if binding.threads() == Threads::Several {
            return Ok(());
        }
        for _ in 0..4 {
            let (inside, most) = (inside.clone(), most.clone());
            binding.spawn(&crew, async move {
                for _ in 0..20 {
                    most.fetch_max(inside.fetch_add(1, SeqCst) + 1, SeqCst);
                    thread::sleep(Duration::from_micros(200));
                    inside.fetch_sub(1, SeqCst);
                    yield_now(false).await;
                }
            });
        }
        crew.all_end().await
    })?;
    let most = most.load(SeqCst);
    ensure(most <= 1, || format!("it says `Threads::One`, and polled {most} futures at the same time"))
}

/// A worker that is told otherwise right away returns to the executor after each poll.
pub(super) fn a_turn_begins_with_a_budget<S: Subject>(subject: S, stage: &Stage) -> Verdict {
    let (crew, refused) = (Crew::default(), Arc::new(AtomicUsize::new(0)));
    subject.block_on(async {
        stage.set("futures ask whether they may go on");
        let binding = subject.bind();
        let may_go_on = binding.may_go_on();
        let seen = refused.clone();
        binding.spawn(&crew, async move {
            for _ in 0..20 {
                yield_now(false).await;
                seen.fetch_add(usize::from(!may_go_on()), SeqCst);
            }
        });
        crew.all_end().await
    })?;
    let refused = refused.load(SeqCst);
    ensure(refused == 0, || {
        format!("in {refused} of 20 turns it said at the beginning that a task may not go on")
    })
}

/// Four wake themselves all the time and two wake each other, while one is woken by nobody but the trial.
pub(super) fn nobody_is_starved<S: Subject>(subject: S, stage: &Stage) -> Verdict {
    const ROUNDS: usize = 50;
    let (crew, stop) = (Crew::default(), StopOnDrop::default());
    let steps: [Tally; 4] = Default::default();
    subject.block_on(async {
        stage.set("futures go on beside some that wake themselves all the time");
        let binding = subject.bind();
        for (n, steps) in steps.iter().enumerate() {
            binding.spawn(&crew, step_until(stop.0.clone(), steps.clone(), n % 2 == 0));
        }
        let pair = [Tally::default(), Tally::default()];
        binding.spawn(&crew, play_until(stop.0.clone(), pair[0].clone(), pair[1].clone()));
        binding.spawn(&crew, play_until(stop.0.clone(), pair[1].clone(), pair[0].clone()));
        let (woken, rounds) = (Tally::default(), Tally::default());
        let (waits, counted) = (woken.clone(), rounds.clone());
        binding.spawn(&crew, async move {
            for round in 1..=ROUNDS {
                waits.reach(round).await;
                counted.add();
            }
        });
        for round in 1..=ROUNDS {
            woken.add();
            if !rounds.reaches(round).await {
                return Err(format!("one that was woken was not polled beside them, in round {round}"));
            }
        }
        for (n, steps) in steps.iter().enumerate() {
            ensure(steps.reaches(ROUNDS).await, || {
                format!(
                    "of those that wake themselves number {n} had {} turns, and not {ROUNDS}",
                    steps.count()
                )
            })?;
        }
        stop.0.store(true, SeqCst);
        crew.all_end().await
    })
}

/// Wakes itself until it is stopped, and counts that.
async fn step_until(stopped: Arc<AtomicBool>, steps: Tally, by_value: bool) {
    while !stopped.load(SeqCst) {
        yield_now(by_value).await;
        steps.add();
    }
}

/// Wakes its partner, and is woken by it, in turn until they are stopped.
async fn play_until(stopped: Arc<AtomicBool>, mine: Tally, partner: Tally) {
    for round in 1.. {
        mine.add();
        if stopped.load(SeqCst) {
            // The partner may have begun the next round before it was stopped, and waits for this.
            return mine.add();
        }
        partner.reach(round).await;
    }
}

/// Ends the futures that go on for ever, however a trial ends.
#[derive(Default)]
pub(super) struct StopOnDrop(pub(super) Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

/// Wakes itself until it is stopped.
pub(super) async fn spin_until(stopped: Arc<AtomicBool>) {
    step_until(stopped, Tally::default(), false).await;
}
