//! Sources: what the puller moves between an engine and the machine. The engine is a fake one, on a simulated clock.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::conformance::fake::{Away, Fake, FakeReceipt, FakeSource, Fault};
use crate::conformance::source::{Effort, check};
use crate::runtime::sim::{Sim, Time};
use crate::source::{
    Abilities, Delivery, Pull, Pulled, Settling, Source, SourceHandle, SourceLimits, SourceRefusalReason,
};
use crate::{
    Builder, Cloning, Context, Drain, ErrorKind, Event, LaneLimits, Notice, Processor, Retry, infallible,
};

type Work = fn(u64, Context) -> Result<u64, String>;

const SECOND: Duration = Duration::from_secs(1);

/// A processor of two places and an engine, in a simulation.
struct Rig {
    sim: Sim,
    fake: Fake,
    processor: Processor<Work>,
    source: SourceHandle<Work>,
    started: Arc<AtomicU32>,
    /// What the puller has returned, and one more; zero before.
    ended: Arc<AtomicU32>,
}

fn builder() -> Builder<Cloning> {
    let retry = Retry::times(2).fixed(Duration::from_millis(100));
    Processor::builder().queue(4).concurrency(2).sources(SourceLimits::new(1).credit(4)).retry(retry)
}

impl Rig {
    /// Even jobs complete after 10 ms, odd ones fail.
    fn new(jobs: std::ops::Range<u64>) -> Self {
        Self::with(builder(), Pull::new().credit(4), jobs)
    }

    fn with(builder: Builder<Cloning>, pull: Pull, jobs: std::ops::Range<u64>) -> Self {
        Self::seeded(3, builder, pull, jobs)
    }

    fn seeded(seed: u64, builder: Builder<Cloning>, pull: Pull, jobs: std::ops::Range<u64>) -> Self {
        let sim = Sim::new(seed);
        let (fake, started) = (Fake::new(&sim), Arc::new(AtomicU32::new(0)));
        fake.put(jobs);
        let counted = started.clone();
        let handler = move |job: u64, cx: Context| {
            let started = counted.clone();
            async move {
                started.fetch_add(1, Ordering::Relaxed);
                cx.sleep(Duration::from_millis(10)).await.map_err(|_| "stopped".to_owned())?;
                if job % 2 == 0 { Ok(job) } else { Err(format!("{job} is odd")) }
            }
        };
        let processor = builder.spawn_on(sim.clone(), handler).unwrap();
        let (source, puller) = processor.source(fake.source(), pull).unwrap();
        let ended = Arc::new(AtomicU32::new(0));
        let end = ended.clone();
        sim.spawn(async move { end.store(puller.await + 1, Ordering::Relaxed) });
        Self { sim, fake, processor, source, started, ended }
    }

    fn started(&self) -> u32 {
        self.started.load(Ordering::Relaxed)
    }

    fn ended(&self) -> Option<u32> {
        self.ended.load(Ordering::Relaxed).checked_sub(1)
    }
}

#[test]
fn jobs_are_done_and_told_and_nothing_is_left() {
    let rig = Rig::new(0..20);
    rig.sim.advance(SECOND * 5).unwrap();
    assert_eq!((rig.fake.left(), rig.fake.dead()), (0, Vec::from([1, 3, 5, 7, 9, 11, 13, 15, 17, 19])));
    let totals = rig.processor.totals();
    // Each odd one was delivered three times.
    assert_eq!((totals.pulled, totals.redelivered, totals.confirmed, totals.dead), (40, 20, 40, 10));
    assert_eq!((rig.started(), totals.retried, totals.settled.failed), (40, 20, 30));
    let view = rig.source.view().unwrap();
    assert_eq!((view.held, view.owed, view.leaving, view.resting), (0, 0, 0, 0));
    let report = rig.sim.block_on(rig.processor.shutdown(Drain::graceful(SECOND * 5))).unwrap();
    let ended = rig.ended.load(Ordering::Relaxed);
    assert_eq!((report.remains.sources, report.remains.deliveries, ended), (0, 0, 1));
    assert!(report.census.is_empty());
}

#[test]
fn a_verdict_does_not_wait_for_a_pull() {
    for seed in 0..50 {
        let rig = Rig::seeded(seed, builder(), Pull::new().credit(4).wait(SECOND * 60), 0..0);
        rig.sim.advance(SECOND).unwrap();
        for job in 0..6 {
            // Each comes while a pull has begun anew, and ends while it waits.
            rig.fake.put([job * 2]);
            rig.sim.advance(Duration::from_millis(40)).unwrap();
            assert_eq!(rig.fake.left(), 0, "seed {seed}, job {job}");
        }
    }
}

#[test]
fn no_more_is_held_than_the_credit_and_it_takes_no_room_from_others() {
    let rig = Rig::new(0..100);
    rig.processor.pause();
    rig.sim.advance(SECOND).unwrap();
    assert_eq!((rig.processor.census().queued, rig.source.view().unwrap().held), (4, 4));
    assert_eq!(rig.processor.health().unconfirmed, 4);
    // The leases are renewed while the tasks wait.
    rig.sim.advance(SECOND * 20).unwrap();
    assert_eq!((rig.processor.totals().pulled, rig.started()), (4, 0));
    rig.processor.resume();
    rig.sim.advance(SECOND * 20).unwrap();
    assert_eq!((rig.fake.left(), rig.fake.dead().len(), rig.processor.totals().stale), (0, 50, 0));
}

#[test]
fn while_the_engine_is_away_nothing_grows_and_nothing_is_lost() {
    let rig = Rig::new(0..40);
    let mut events = rig.processor.subscribe().unwrap();
    rig.sim.advance(Duration::from_millis(15)).unwrap();
    rig.fake.set_away(true);
    rig.sim.advance(SECOND).unwrap();
    let (view, health) = (rig.source.view().unwrap(), rig.processor.health());
    assert_eq!((view.held + view.owed + view.leaving, view.failures > 0), (4, true), "{view:?}");
    assert_eq!((health.unconfirmed, health.sources_down), (4, 1));
    let error = rig.processor.last_error().unwrap();
    assert_eq!((error.kind, error.source), (ErrorKind::Source, Some(rig.source.id())));
    assert_eq!(error.message.as_str(), "the engine does not answer");
    let failed = |notice: &Notice| matches!(notice, Notice::Event(Event::SourceFailed { .. }));
    assert!(std::iter::from_fn(|| events.try_next().flatten()).any(|notice| failed(&notice)));
    rig.fake.set_away(false);
    rig.sim.advance(SECOND * 30).unwrap();
    assert_eq!((rig.fake.left(), rig.fake.dead().len()), (0, 20));
    assert_eq!(rig.processor.health().sources_down, 0);
}

#[test]
fn a_drain_hands_back_what_has_not_begun_and_finishes_the_rest() {
    let rig = Rig::new(0..40);
    rig.sim.advance(Duration::from_millis(5)).unwrap();
    assert_eq!((rig.started(), rig.source.view().unwrap().held), (2, 4));
    let report = rig.sim.block_on(rig.processor.shutdown(Drain::graceful(SECOND * 5))).unwrap();
    let totals = report.totals;
    assert_eq!((totals.settled.completed, totals.settled.failed, totals.settled.cancelled), (1, 1, 2));
    assert_eq!((report.remains.deliveries, rig.ended.load(Ordering::Relaxed)), (0, 1));
    // What was handed back is not counted: it can be pulled at once, for the first time.
    assert_eq!((rig.fake.left(), totals.confirmed), (39, 4));
}

#[test]
fn a_source_that_is_stopped_finishes_and_lets_the_processor_go_on() {
    let rig = Rig::new(0..40);
    rig.sim.advance(Duration::from_millis(5)).unwrap();
    assert!(rig.source.stop() && !rig.source.stop());
    rig.sim.advance(SECOND * 5).unwrap();
    assert_eq!((rig.ended(), rig.source.view()), (Some(0), None));
    assert_eq!((rig.processor.totals().confirmed, rig.processor.census().is_empty()), (4, true));
    let handle = rig.processor.submit(2).unwrap();
    assert_eq!(rig.sim.block_on(handle).unwrap(), Ok(2));
}

#[test]
fn an_abort_gives_up_and_the_engine_delivers_again() {
    let Rig { sim, fake, processor, source, ended, .. } = Rig::new(0..4);
    sim.advance(Duration::from_millis(5)).unwrap();
    drop(processor);
    sim.advance(SECOND * 2).unwrap();
    assert_eq!(
        (fake.left(), source.view(), ended.load(Ordering::Relaxed)),
        (4, None, 5),
        "four were not confirmed"
    );
}

#[test]
fn a_puller_that_is_dropped_closes_the_source() {
    let sim = Sim::new(3);
    let fake = Fake::new(&sim);
    let processor =
        builder().spawn_on(sim.clone(), |job: u64, _: Context| async move { Ok::<_, String>(job) }).unwrap();
    let (source, puller) = processor.source(fake.source(), Pull::new()).unwrap();
    assert!(source.view().is_some());
    drop(puller);
    assert!(source.view().is_none() && processor.census().is_empty());
}

#[test]
fn what_can_not_be_opened_is_handed_back_with_the_reason() {
    let rig = Rig::new(0..0);
    let refused = rig.processor.source(rig.fake.source(), Pull::new()).err().unwrap();
    assert_eq!(
        refused.reason.to_string(),
        "too little credit is left: ask for less, or build with a larger `sources.credit`"
    );
    let without =
        Processor::builder().spawn_on(rig.sim.clone(), infallible(|job: u64| async move { job })).unwrap();
    let refused = without.source(refused.engine, Pull::new()).err().unwrap();
    assert_eq!(refused.reason.to_string(), "no sources are allowed: build with the limit `sources`");
    let options = crate::Options::default().timeout(Duration::ZERO);
    let refused = rig.processor.source(refused.engine, Pull::new().options(options)).err().unwrap();
    assert!(matches!(refused.reason, SourceRefusalReason::Terms(crate::Refusal::ZeroTimeout)));
}

#[test]
fn what_comes_again_is_known_and_keys_keep_their_order() {
    // The engine is away when they complete, and for longer than their lease: they come again, and are not done again.
    let rig = Rig::with(builder().dedup(10), Pull::new().credit(4), 0..1);
    rig.sim.advance(Duration::from_millis(5)).unwrap();
    rig.fake.set_away(true);
    rig.sim.advance(SECOND * 3).unwrap();
    // Somebody else has it meanwhile, and gives it up.
    let (other, mut taken) = (rig.fake.source(), Vec::new());
    rig.fake.set_away(false);
    rig.sim.block_on(other.pull(NonZeroU32::MIN, Duration::ZERO, &mut taken)).unwrap().unwrap();
    rig.sim.advance(SECOND * 10).unwrap();
    let totals = rig.processor.totals();
    assert_eq!((taken.len(), totals.stale, totals.pulled, rig.started()), (1, 1, 2, 1));
    assert_eq!(rig.fake.left(), 0);

    // With lanes, jobs with the same key follow one another, and a key that is stuck leaves the places to others.
    let rig = Rig::with(builder().lanes(LaneLimits::new(4)), Pull::new().credit(4), 0..0);
    rig.fake.put([0, 4, 8, 2]);
    rig.sim.advance(Duration::from_millis(5)).unwrap();
    let lane = rig.processor.lane(0).unwrap();
    assert_eq!((rig.started(), lane.running, lane.queued), (2, 1, 2));
}

#[test]
fn keys_have_the_lanes_that_the_pull_says() {
    let options = crate::Options::default().lane(crate::Lane::new(77).concurrency(2).weight(3));
    let builder =
        builder().queue(8).lanes(LaneLimits::new(4)).concurrency(8).sources(SourceLimits::new(1).credit(8));
    let rig = Rig::with(builder, Pull::new().credit(8).options(options), 0..0);
    rig.fake.put([0, 4, 8, 12, 2]);
    rig.sim.advance(Duration::from_millis(5)).unwrap();
    let lane = rig.processor.lane(0).unwrap();
    assert_eq!(
        (rig.started(), lane.running, lane.queued, lane.lane),
        (3, 2, 2, options.lane.unwrap().with_key(0))
    );
    assert!(rig.processor.lane(77).is_none());
    // A lane where there may be none is refused when the source is opened.
    let rig = Rig::new(0..0);
    let refused = rig.processor.source(rig.fake.source(), Pull::new().options(options)).err().unwrap();
    assert!(matches!(refused.reason, SourceRefusalReason::Terms(crate::Refusal::Lanes)), "{refused}");
}

/// A source that notes the rooms that it was asked to fill, and whether it was closed.
struct Recorder {
    source: FakeSource,
    /// How long it takes to settle, beside what the engine does.
    slow: Option<(Time, Duration)>,
    rooms: Arc<Mutex<Vec<u32>>>,
    closed: Arc<AtomicU32>,
}

impl Source for Recorder {
    type Job = u64;
    type Receipt = FakeReceipt;
    type Error = Away;

    fn abilities(&self) -> Abilities {
        self.source.abilities().most(3)
    }

    async fn pull(
        &self,
        room: NonZeroU32,
        wait: Duration,
        into: &mut Vec<Delivery<u64, FakeReceipt>>,
    ) -> Result<Pulled, Away> {
        self.rooms.lock().unwrap().push(room.get());
        self.source.pull(room, wait, into).await
    }

    async fn settle(&self, verdicts: &mut Vec<Settling<FakeReceipt>>) -> Result<u32, Away> {
        if let Some((time, slow)) = &self.slow {
            time.sleep(*slow).await;
        }
        self.source.settle(verdicts).await
    }

    async fn extend(&self, held: &[FakeReceipt]) -> Result<(), Away> {
        self.source.extend(held).await
    }

    async fn close(&self) {
        self.closed.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_pull_asks_for_what_the_engine_can_give_and_the_last_call_closes_it() {
    let sim = Sim::new(3);
    let fake = Fake::new(&sim);
    fake.put(0..40);
    let processor =
        builder().spawn_on(sim.clone(), |job: u64, _: Context| async move { Ok::<_, String>(job) }).unwrap();
    let (rooms, closed) = (Arc::new(Mutex::default()), Arc::new(AtomicU32::new(0)));
    let recorder =
        Recorder { source: fake.source(), slow: None, rooms: rooms.clone(), closed: closed.clone() };
    let (_, puller) = processor.source(recorder, Pull::new().credit(4)).unwrap();
    sim.spawn(async move { assert_eq!(puller.await, 0) });
    sim.advance(SECOND * 5).unwrap();
    assert_eq!((fake.left(), rooms.lock().unwrap().iter().max()), (0, Some(&3)));
    assert_eq!(closed.load(Ordering::Relaxed), 0);
    sim.block_on(processor.shutdown(Drain::graceful(SECOND * 5))).unwrap();
    sim.advance(SECOND).unwrap();
    assert_eq!(closed.load(Ordering::Relaxed), 1);
}

#[test]
fn what_comes_while_the_machine_ends_and_verdicts_are_on_their_way_waits_for_those() {
    let sim = Sim::new(3);
    let fake = Fake::new(&sim);
    fake.put(0..2);
    let handler = |job: u64, _: Context| async move { Ok::<_, String>(job) };
    let processor = builder().spawn_on(sim.clone(), handler).unwrap();
    let slow = Some((sim.time(), SECOND));
    let recorder = Recorder { source: fake.source(), slow, rooms: Arc::default(), closed: Arc::default() };
    let (_, puller) = processor.source(recorder, Pull::new().credit(4)).unwrap();
    let ended = Arc::new(AtomicU32::new(0));
    let end = ended.clone();
    sim.spawn(async move { end.store(puller.await + 1, Ordering::Relaxed) });
    sim.advance(Duration::from_millis(50)).unwrap();
    let report = sim.block_on(processor.shutdown(Drain::Cancel)).unwrap();
    assert_eq!(report.remains.deliveries, 2);
    fake.put(2..4);
    sim.advance(SECOND * 4).unwrap();
    // The two verdicts had been sent, and what came too late is back.
    assert_eq!((ended.load(Ordering::Relaxed), fake.left()), (1, 2));
}

#[test]
fn what_comes_beyond_the_room_goes_back_at_once() {
    let sim = Sim::new(3);
    let fake = Fake::broken(&sim, Fault::GivesTooMuch);
    fake.put(0..12);
    let processor =
        builder().spawn_on(sim.clone(), |job: u64, _: Context| async move { Ok::<_, String>(job) }).unwrap();
    let (_, puller) = processor.source(fake.source(), Pull::new().credit(4)).unwrap();
    sim.spawn(async move { assert_eq!(puller.await, 0) });
    // Long before the lease of anything has run out.
    sim.advance(SECOND).unwrap();
    assert_eq!((fake.left(), processor.totals().pulled, processor.totals().redelivered), (0, 12, 0));
}

#[test]
fn the_kit_finds_nothing_in_an_engine_that_conforms() {
    for seed in 0..6 {
        let sim = Sim::new(seed);
        let report = sim.block_on(check(&Fake::new(&sim), Effort::new(600).seed(seed))).unwrap();
        assert!(report.findings.is_empty(), "seed {seed}: {report}");
        assert!(report.kills > 2 && report.drains > 0 && report.jobs == 600, "{report}");
    }
}

#[test]
fn the_kit_finds_each_broken_promise() {
    for (fault, word) in [
        (Fault::GivesTooMuch, "with room for"),
        (Fault::ForgetsVerdicts, "left"),
        (Fault::AcceptsStaleReceipts, "was not stale"),
    ] {
        let sim = Sim::new(1);
        let report = sim.block_on(check(&Fake::broken(&sim, fault), Effort::new(200))).unwrap();
        let is_named = report.findings.iter().any(|finding| finding.contains(word));
        assert!(is_named, "{fault:?}: {report}");
    }
}
