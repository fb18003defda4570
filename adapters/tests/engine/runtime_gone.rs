//! Nobody waits for a runtime that is gone: when it drops what was spawned on it before the owner ends the processor,
//! the processor ends there and then.

use std::time::Duration;

use futures::StreamExt;
use futures::executor::block_on;
use plimsoll::{CancelReason, Drain, Hold, Options, Phase, Processor, Refusal, TaskError};

use crate::kit::{
    self, Awaited, Counter, Gate, Host, PATIENCE, Work, WorkHandle, WorkResult, eventually, hanging, happens,
    instant, job, ms,
};

on_runtimes_that_stop! {
    everything_resolves
    a_graceful_shutdown_resolves
    a_processor_that_is_built_too_late_is_drained
}

/// An hour: nothing here waits for it.
const LATER: Duration = Duration::from_secs(3600);

/// What is expected and was not seen, so that one test tells all.
#[derive(Default)]
struct Findings(Vec<String>);

impl Findings {
    fn expect(&mut self, what: &str, is: bool) {
        if !is {
            self.0.push(what.to_owned());
        }
    }

    /// What a future comes to. Once something is amiss there is little use in waiting for more.
    fn wait<T: Send + 'static>(&self, awaited: &Awaited<T>) -> Option<T> {
        awaited.get_within(if self.0.is_empty() { PATIENCE } else { ms(200) })
    }

    fn assert_none(self) {
        assert!(self.0.is_empty(), "not so when the runtime is gone: {:#?}", self.0);
    }
}

/// A processor with at least one of everything that can wait for it.
struct Scene {
    processor: Work,
    futures: std::sync::Arc<()>,
    /// Handles of tasks that run, are queued and are delayed, some polled before.
    handles: Vec<(&'static str, WorkHandle)>,
    awaited: Vec<(&'static str, Awaited<WorkResult>)>,
    done: WorkHandle,
    /// How many callbacks there are, and how many were called with `Cancelled`.
    callbacks: (usize, Counter),
    called: Counter,
    waiting: Awaited<Option<Refusal>>,
    events: Awaited<usize>,
}

impl Scene {
    /// What runs hangs on a runtime that `runs`; on one that doesn't, nothing is started and nothing done.
    fn set(processor: Work, done: WorkHandle, runs: bool) -> Self {
        let futures = std::sync::Arc::new(());
        let (cancelled, called) = (Counter::default(), Counter::default());
        let events = processor.subscribe().unwrap();
        let (mut handles, mut awaited, mut callbacks) = (Vec::new(), Vec::new(), 0);
        let delayed = Options::default().delay(LATER);
        for (what, options) in
            [("running", Options::default()), ("queued", Options::default()), ("delayed", delayed)]
        {
            let hanging = || hanging(futures.clone());
            handles.push((what, processor.task(hanging()).options(options).submit().unwrap()));
            awaited.push((what, Awaited::new(processor.task(hanging()).options(options).submit().unwrap())));
            let (called, cancelled) = (called.clone(), cancelled.clone());
            let callback = move |settled: kit::WorkSettlement| {
                called.add();
                if settled.result == Err(TaskError::Cancelled(Some(CancelReason::ENDED))) {
                    cancelled.add();
                }
            };
            assert!(processor.task(hanging()).options(options).call(callback).is_ok());
            callbacks += 1;
            if what == "running" && runs {
                eventually("three run", || processor.census().running == 3);
            }
        }
        while processor.task(hanging(())).post().is_ok() {}
        let submitter = processor.submitter();
        let waiting =
            Awaited::new(async move { submitter.submit_wait(instant(0)).await.err().map(|e| e.reason) });
        eventually("one waits for room", || processor.census().waiters == 1);
        let events = Awaited::new(events.count());
        let callbacks = (callbacks, cancelled);
        Self { processor, futures, handles, awaited, done, callbacks, called, waiting, events }
    }

    fn assert_all_resolve(self, done: WorkResult) {
        let mut findings = Findings::default();
        for (what, awaited) in self.awaited {
            let outcome = findings.wait(&awaited);
            findings.expect(
                &format!("the awaited handle of a {what} task is cancelled, not {outcome:?}"),
                outcome == Some(Err(TaskError::Cancelled(Some(CancelReason::ENDED)))),
            );
        }
        for (what, handle) in self.handles {
            let outcome = findings.wait(&Awaited::new(handle));
            findings.expect(
                &format!("the handle of a {what} task is cancelled, not {outcome:?}"),
                outcome == Some(Err(TaskError::Cancelled(Some(CancelReason::ENDED)))),
            );
        }
        let outcome = findings.wait(&Awaited::new(self.done));
        let is_delivered = outcome == Some(done);
        findings.expect(&format!("what was fixed before is delivered, not {outcome:?}"), is_delivered);
        let (callbacks, cancelled) = self.callbacks;
        findings.expect(
            &format!("{callbacks} callbacks were called, not {}", self.called.get()),
            (cancelled.get(), self.called.get()) == (callbacks, callbacks),
        );
        let refused = findings.wait(&self.waiting);
        findings.expect(
            &format!("the one who waits for room is sent away, not {refused:?}"),
            refused == Some(Some(Refusal::Closed)),
        );
        let events = findings.wait(&self.events);
        findings.expect("the stream of events ends", events.is_some());

        let processor = &self.processor;
        let refused = processor.submit(instant(0)).map_err(|refused| refused.reason);
        findings.expect(
            &format!("a submission is refused as closed, not {refused:?}"),
            matches!(refused, Err(Refusal::Closed)),
        );
        drop(refused);
        let (phase, health) = (processor.phase(), processor.health());
        findings.expect(&format!("the phase is drained, not {phase:?}"), phase == Phase::Drained);
        findings.expect(
            &format!("health tells, and not {:?} and {:?}", health.phase, health.hold),
            (health.phase, health.hold) == (Phase::Drained, Hold::Ending),
        );
        findings.expect("nobody can subscribe", processor.subscribe().is_err());
        let census = processor.census();
        findings.expect(&format!("nothing is held: {census:?}"), census.is_empty());
        let totals = processor.totals();
        findings.expect(&format!("all is settled: {totals:?}"), totals.admitted == totals.settled.total());
        // The owner may still end it, which has nothing left to do.
        let report = findings.wait(&Awaited::new(self.processor.shutdown(Drain::graceful(LATER))));
        let is_empty = report.as_ref().is_some_and(|report| report.census.is_empty());
        findings.expect("a shutdown afterwards is ready", is_empty);
        let futures = self.futures;
        findings
            .expect("futures and jobs are dropped", happens(|| std::sync::Arc::strong_count(&futures) == 1));
        // No second time.
        findings.expect("callbacks are called once", self.called.get() <= callbacks);
        findings.assert_none();
    }
}

fn three_at_a_time(host: &impl Host) -> Work {
    kit::build(kit::delayed(Processor::builder().queue(20).concurrency(3), 20), host)
}

/// With a task that is done and whose outcome nobody has taken.
fn running_scene(host: &impl Host) -> Scene {
    let processor = three_at_a_time(host);
    let done = processor.submit(instant(7)).unwrap();
    eventually("one is done", || processor.totals().settled.completed == 1);
    Scene::set(processor, done, true)
}

fn everything_resolves(host: impl Host) {
    let scene = running_scene(&host);
    host.stop();
    scene.assert_all_resolve(Ok(7));
}

fn a_graceful_shutdown_resolves(host: impl Host) {
    let processor = three_at_a_time(&host);
    let called = Counter::default();
    let handles: Vec<_> = (0..6).map(|_| processor.submit(hanging(())).unwrap()).collect();
    let callback = called.clone();
    let posted = processor.task(hanging(())).call(move |_| callback.add());
    assert!(posted.is_ok());
    eventually("three run", || processor.census().running == 3);
    let shutdown = Awaited::new(processor.shutdown(Drain::graceful(LATER)));
    std::thread::sleep(ms(20));
    host.stop();
    let mut findings = Findings::default();
    let report = shutdown.get();
    findings.expect(
        &format!(
            "the report tells of the end: {:?}",
            report.map(|report| (report.remains.cancelled, report.census))
        ),
        report.is_some_and(|report| report.remains.cancelled == 7),
    );
    findings.expect("the callback was called", called.get() == 1);
    for handle in handles {
        // By the owner's end or by the runtime's, which come at the same time.
        let outcome = Awaited::new(handle).get();
        findings.expect(&format!("a handle resolves, not {outcome:?}"), outcome.is_some());
    }
    findings.assert_none();
}

fn a_processor_that_is_built_too_late_is_drained(host: impl Host) {
    let runtime = host.runtime();
    host.stop();
    // An executor of smol lives as long as this does: it is dropped with it.
    let built = Processor::builder().spawn_on(runtime, |job: kit::Job, _: plimsoll::Context| job);
    let Ok(processor) = built else { return };
    let phase = processor.phase();
    assert_eq!(phase, Phase::Drained);
    assert_eq!(processor.submit(instant(0)).unwrap_err().reason, Refusal::Closed);
}

#[cfg(feature = "tokio")]
mod tokio {
    use super::*;
    use crate::kit::{TokioOne, TokioThreads, WATCHDOG, within};

    #[test]
    fn everything_resolves_in_the_background_of_one_thread() {
        within(WATCHDOG, || {
            let host = TokioOne::start();
            let scene = running_scene(&host);
            host.stop_in_background();
            scene.assert_all_resolve(Ok(7));
        });
    }

    #[test]
    fn everything_resolves_in_the_background_of_two_threads() {
        within(WATCHDOG, || {
            let host = TokioThreads::<2>::start();
            let scene = running_scene(&host);
            host.stop_in_background();
            scene.assert_all_resolve(Ok(7));
        });
    }

    /// One handler blocks its thread over the end of the runtime: all the others are told meanwhile.
    #[test]
    fn nobody_waits_for_a_handler_that_blocks() {
        within(WATCHDOG, || {
            let host = TokioThreads::<2>::start();
            let processor = three_at_a_time(&host);
            let (gate, begun) = (Gate::default(), Counter::default());
            let (blocked, begins) = (gate.clone(), begun.clone());
            let blocker = processor.submit(job(async move {
                begins.add();
                blocked.pass();
                Ok(0)
            }));
            let blocker = Awaited::new(blocker.unwrap());
            eventually("the blocker blocks", || begun.get() == 1);
            let others: Vec<_> =
                (0..6).map(|_| processor.submit(hanging(())).unwrap()).map(Awaited::new).collect();
            eventually("two more run", || processor.census().running == 3);
            host.stop_in_background();
            let outcomes: Vec<_> = others.iter().map(Awaited::get).collect();
            let phase = processor.phase();
            gate.open();
            assert!(
                outcomes
                    .iter()
                    .all(|outcome| *outcome == Some(Err(TaskError::Cancelled(Some(CancelReason::ENDED))))),
                "{outcomes:?}"
            );
            assert!(blocker.get().is_some(), "the blocker's handle hangs");
            assert_ne!(phase, Phase::Open);
        });
    }
}

#[cfg(feature = "smol")]
mod smol {
    use super::*;
    use crate::kit::{SmolThreads, WATCHDOG, within};

    /// An executor that nobody runs: nothing is started, and nothing is done before.
    #[test]
    fn everything_resolves_with_an_executor_that_is_dropped_unrun() {
        within(WATCHDOG, || {
            let host = SmolThreads::<0>::start();
            let processor = three_at_a_time(&host);
            let done = processor.submit(hanging(())).unwrap();
            let scene = Scene::set(processor, done, false);
            host.stop();
            scene.assert_all_resolve(Err(TaskError::Cancelled(Some(CancelReason::ENDED))));
        });
    }

    /// It has run, is run no more, takes in a few more tasks, and is dropped.
    #[test]
    fn everything_resolves_with_an_executor_that_is_run_no_more() {
        within(WATCHDOG, || {
            let mut host = SmolThreads::<2>::start();
            let processor = three_at_a_time(&host);
            let done = processor.submit(instant(7)).unwrap();
            eventually("one is done", || processor.totals().settled.completed == 1);
            host.halt();
            let scene = Scene::set(processor, done, false);
            host.stop();
            scene.assert_all_resolve(Ok(7));
        });
    }

    /// Its outcome is taken although the executor is not run; only what needs it waits.
    #[test]
    fn what_was_done_is_there_while_the_executor_stands_still() {
        within(WATCHDOG, || {
            let mut host = SmolThreads::<1>::start();
            let processor = three_at_a_time(&host);
            let done = processor.submit(instant(7)).unwrap();
            eventually("one is done", || processor.totals().settled.completed == 1);
            host.halt();
            assert_eq!(block_on(done), Ok(7));
        });
    }
}
