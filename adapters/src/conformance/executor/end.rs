//! What the end of an executor promises. The processors learn of it by this.

use std::future::{pending, poll_fn};
use std::sync::mpsc::channel;
use std::task::Poll;
use std::time::Duration;

use super::crew::Crew;
use super::spawning::{StopOnDrop, spin_until};
use super::subject::{Binding, Subject};
use super::tally::nap;
use super::timer_scripts::{Bench, Script};
use super::verdict::{Stage, Verdict, ensure};
use super::wakes::wake_all;

/// Futures that wait, that are busy, that have timers, and that were never polled. Their wakers, and a clock, outlive the
/// executor.
pub(super) fn drops_what_was_spawned<S: Subject>(subject: S, stage: &Stage) -> Verdict {
    let (crew, stop, (sender, wakers)) = (Crew::default(), StopOnDrop::default(), channel());
    let clock = subject.block_on(async {
        stage.set("futures are spawned that never end");
        let binding = subject.bind();
        let bench = Bench::new(binding.clock(), stage);
        for _ in 0..4 {
            let sender = sender.clone();
            binding.spawn(
                &crew,
                poll_fn(move |cx| {
                    let _ = sender.send(cx.waker().clone());
                    Poll::Pending
                }),
            );
            binding.spawn(&crew, pending());
        }
        binding.spawn(&crew, spin_until(stop.0.clone()));
        binding.spawn_script(&crew, Script::Hold { is_set: true }, bench.clone());
        binding.spawn_script(&crew, Script::Hold { is_set: false }, bench.clone());
        nap(Duration::from_millis(10)).await;
        (0..4).for_each(|_| binding.spawn(&crew, pending()));
        bench.clock
    });
    let before = clock();
    stage.set("the executor is dropped");
    drop(subject);
    stage.set("futures are waited for that have to be dropped with the executor");
    let dropped = crew.all_are_dropped();
    drop(stop);
    dropped?;
    wake_all(wakers.try_iter().collect())?;
    crew.all_are_dropped()?;
    stage.set("the clock is read after the end of the executor");
    let now = clock();
    ensure(now >= before, || format!("after the end the clock read {now:?}, and {before:?} before"))
}
