//! The calls of the machine, one by one. The reference model tests how they work together.

#![allow(clippy::unwrap_used, clippy::panic)]

mod admission;
mod attempts;
mod classes;
mod dedup;
mod ending;
mod lanes;
mod monitor;
mod observe;
mod overflow;
mod permits;
mod schedules;
mod sleep;
mod sources;
mod timeouts;
mod tries;

use core::time::Duration;
use std::vec::Vec;

use crate::*;

struct Numbers;

impl Plan for Numbers {
    type Job = u32;
    type Output = u32;
    type Error = u32;
    type Panic = u32;
    type Meta = u8;
    type Callback = u32;
    type Waiter = u32;
    type Listener = u32;
    type Key = u32;
    type Value = u32;
}

type Machine = Processor<Numbers>;

const fn ms(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

const fn span(millis: u64) -> Option<Duration> {
    Some(Duration::from_millis(millis))
}

fn offer(job: u32) -> Offer<Numbers> {
    Offer::new(job, 0)
}

fn for_handle(job: u32) -> Offer<Numbers> {
    offer(job).route(Route::Handle)
}

fn terms() -> Terms {
    Terms::new()
}

fn limits(queue: u32, concurrency: u32) -> Limits {
    let mut limits = Limits::default();
    (limits.queue, limits.concurrency) = (queue, concurrency);
    limits
}

fn machine(queue: u32, concurrency: u32) -> Machine {
    Machine::new(limits(queue, concurrency), Instant::ZERO).unwrap()
}

/// All effects that are pending, each printed, after a check that the running counts are right.
fn effects(machine: &mut Machine) -> Vec<std::string::String> {
    assert_eq!(machine.census(), machine.audit());
    let effects = core::iter::from_fn(|| machine.poll_effect());
    effects.map(|effect| std::format!("{effect:?}").split([' ', '(']).next().unwrap().into()).collect()
}

fn settled(machine: &mut Machine) -> Settlement<Numbers> {
    match machine.poll_effect() {
        Some(Effect::Settle(settlement)) => settlement,
        other => panic!("not a settlement: {other:?}"),
    }
}

#[test]
fn ids_mean_nothing_to_a_machine_of_another_origin() {
    let [mut one, mut other] = [1, 2].map(|origin| {
        let limits = Limits { origin, ..limits(4, 1) };
        Machine::new(limits, ms(0)).unwrap()
    });
    let mut ids = Vec::new();
    for machine in [&mut one, &mut other] {
        let task = machine.submit(ms(0), for_handle(0), &terms()).unwrap();
        let attempt = machine.start_next(ms(0)).unwrap().attempt;
        let sleep = machine.sleep(ms(0), attempt, ms(9), 70).unwrap();
        let emitter = machine.attach(ms(0), Guard { task: 1, batch: 2, error: 3 }).unwrap();
        let subscriber = machine.subscribe().unwrap();
        for _ in 0..4 {
            machine.submit(ms(0), offer(0), &terms()).unwrap();
        }
        let waiter = machine.wait_for_room(ms(0), 71, core::num::NonZeroU32::MIN).unwrap();
        ids.push((task, attempt, sleep, emitter, subscriber, waiter));
    }
    let (task, attempt, sleep, emitter, subscriber, waiter) = ids[0];
    let before = other.census();
    assert_eq!(other.cancel(ms(0), task), Err(CancelError::NotFound));
    assert!(matches!(other.claim(ms(0), task, 7), Claim::Gone(7)));
    assert_eq!(other.completed(ms(0), attempt, 7), Err(Late { settled: None, value: 7 }));
    assert!(!other.began(ms(0), attempt, ms(0)));
    assert_eq!((other.end_sleep(sleep), other.leave(ms(0), waiter)), (None, None));
    assert!(other.detach(ms(0), emitter).is_none() && other.next_event(subscriber).is_none());
    assert_eq!(other.census(), before);
    assert!(one.end_sleep(sleep).is_some() && one.leave(ms(0), waiter).is_some());
    assert!(one.detach(ms(0), emitter).is_some() && one.next_event(subscriber).is_some());
    assert!(one.completed(ms(0), attempt, 7).is_ok() && one.try_claim(task).is_some());
}

/// Jobs that do not fit into any memory.
struct Huge;

impl Plan for Huge {
    type Job = [u64; 1 << (usize::BITS / 2 + 5)];
    type Output = ();
    type Error = ();
    type Panic = ();
    type Meta = ();
    type Callback = ();
    type Waiter = ();
    type Listener = ();
    type Key = ();
    type Value = ();
}

#[test]
fn limits_that_cannot_be_allocated_are_an_error() {
    for queue in [1_000, 1 << 26] {
        let limits = limits(queue, 1);
        let bytes = limits.footprint::<Huge>().total();
        let refused = Processor::<Huge>::new(limits, ms(0)).err().unwrap();
        assert_eq!(refused, BuildError::Memory { bytes });
        assert!(std::format!("{refused}").contains("lower them"));
    }
    let refused = Machine::new(limits(1, 0), ms(0)).err().unwrap();
    assert!(matches!(refused, BuildError::Limits(InvalidLimits { field: "concurrency", .. })));
}

#[test]
fn a_task_completes() {
    let mut machine = machine(4, 1);
    let task = machine.submit(ms(1), offer(7).route(Route::Callback(70)), &terms()).unwrap();
    assert_eq!(machine.next_wake(), Wake::Now(Reason::Start));
    let start = machine.start_next(ms(2)).unwrap();
    assert_eq!((start.task, start.job, start.number, start.deadline), (task, 7, 1, None));
    machine.completed(ms(3), start.attempt, 49).unwrap();
    assert_eq!(machine.next_wake(), Wake::Now(Reason::Effect));
    let settlement = settled(&mut machine);
    assert_eq!((settlement.outcome, settlement.callback), (Outcome::Completed(49), Some(70)));
    assert!(machine.census().is_empty() && machine.audit().is_empty());
    assert_eq!(machine.completed(ms(4), start.attempt, 50), Err(Late { settled: None, value: 50 }));
    assert_eq!(machine.next_wake(), Wake::Never);
}

#[test]
fn an_overdue_task_expires_even_without_advance() {
    let mut machine = machine(100, 1);
    let timeouts = Timeouts { schedule_to_start: span(10), ..Timeouts::NONE };
    for job in 0..100 {
        machine.submit(ms(0), offer(job), &terms().timeouts(timeouts)).unwrap();
    }
    assert!(machine.start_next(ms(11)).is_none(), "a call passes over a bounded number");
    assert_eq!(machine.totals().settled.expired, 64);
    assert!(machine.start_next(ms(11)).is_none());
    assert_eq!(machine.totals().settled.expired, 100);
    assert_eq!(settled(&mut machine).job, Some(0));
}

#[test]
fn an_outcome_waits_for_its_handle() {
    let mut machine = machine(4, 2);
    let task = machine.submit(ms(0), for_handle(1), &terms()).unwrap();
    assert_eq!(machine.waiter(task), None);
    assert!(matches!(machine.claim(ms(0), task, 10), Claim::Pending(None)));
    assert_eq!(machine.waiter(task), Some(&10));
    assert!(matches!(machine.claim(ms(0), task, 11), Claim::Pending(Some(10))));
    assert_eq!(machine.waiter(task), Some(&11));
    let start = machine.start_next(ms(0)).unwrap();
    machine.completed(ms(1), start.attempt, 5).unwrap();
    assert_eq!(effects(&mut machine), ["Wake"]);
    assert_eq!((machine.waiter(task), machine.census().unclaimed), (None, 1));
    let Claim::Ready(settlement, 12) = machine.claim(ms(2), task, 12) else { panic!() };
    assert_eq!(settlement.outcome, Outcome::Completed(5));
    assert!(matches!(machine.claim(ms(2), task, 13), Claim::Gone(13)));
    assert!(machine.audit().is_empty());
}

#[test]
fn a_claim_before_the_wake_hands_the_stored_waiter_out() {
    let mut machine = machine(4, 2);
    let task = machine.submit(ms(0), for_handle(1), &terms()).unwrap();
    let _ = machine.claim(ms(0), task, 10);
    machine.cancel(ms(0), task).unwrap();
    let Claim::Ready(settlement, 11) = machine.claim(ms(0), task, 11) else { panic!() };
    assert_eq!((settlement.waiter, settlement.job), (Some(10), Some(1)));
    assert_eq!(effects(&mut machine), Vec::<&str>::new());
}

#[test]
fn results_are_bounded_in_number_and_age() {
    let mut limits = limits(8, 8);
    limits.results = ResultLimits::new(2, span(100));
    let mut machine = Machine::new(limits, ms(0)).unwrap();
    let ids: Vec<TaskId> = (0..3)
        .map(|job| {
            let id = machine.submit(ms(0), offer(job).route(Route::Retain), &terms()).unwrap();
            let start = machine.start_next(ms(0)).unwrap();
            machine.completed(ms(u64::from(job)), start.attempt, job).unwrap();
            id
        })
        .collect();
    assert_eq!(effects(&mut machine), ["Discard"], "the oldest made room");
    assert!(machine.take_result(ms(3), ids[0]).is_none());
    assert_eq!(machine.take_result(ms(3), ids[1]).unwrap().outcome, Outcome::Completed(1));
    assert!(machine.take_result(ms(3), ids[1]).is_none(), "a result is taken once");
    assert!(machine.take_result(ms(102), ids[2]).is_none(), "it is too old");
    assert_eq!(machine.sweep(ms(102), 0).count(), 0);
    assert_eq!(machine.sweep(ms(102), 8).count(), 1);
    assert!(machine.audit().is_empty());
}

#[test]
fn the_orphan_limit_stops_starting() {
    let mut limits = limits(8, 4);
    limits.orphans = 1;
    let mut machine = Machine::new(limits, ms(0)).unwrap();
    let task = machine.submit(ms(0), offer(0), &terms()).unwrap();
    machine.submit(ms(0), offer(1), &terms()).unwrap();
    let start = machine.start_next(ms(0)).unwrap();
    machine.cancel(ms(0), task).unwrap();
    assert_eq!((machine.startable(), machine.health(ms(0)).hold), (0, Hold::Orphans));
    let _ = machine.stopped(ms(0), start.attempt, None).unwrap();
    assert_eq!((machine.startable(), machine.health(ms(0)).hold), (1, Hold::None));
}

#[test]
fn health_says_what_holds_the_machine_back() {
    let mut machine = machine(4, 1);
    let task = machine.submit(ms(0), offer(1), &terms()).unwrap();
    let _ = machine.start_next(ms(0)).unwrap();
    machine.cancel(ms(0), task).unwrap();
    assert_eq!(machine.health(ms(0)).hold, Hold::Orphans, "one has the only place");
    machine.set_concurrency(ms(0), 0);
    assert_eq!(machine.health(ms(0)).hold, Hold::Concurrency);
    machine.pause(ms(0));
    assert_eq!(machine.health(ms(0)).hold, Hold::Paused);
}

#[test]
fn a_batch_goes_on_after_a_task_that_is_refused_for_its_terms() {
    let mut machine = machine(1, 1);
    let emitter = machine.attach(ms(0), Guard { task: 1, batch: 2, error: 3 }).unwrap();
    let greedy = terms().retry(Retry::NONE.attempts(99));
    let of = |job| (offer(job), if job == 0 { greedy } else { terms() });
    let mut batch = [0, 1, 2, 3, 4].map(|job| Some(of(job)));
    let answer = machine.feed_batch(ms(0), emitter, &mut batch);
    assert_eq!((answer.admitted, answer.refused), (2, Some(FeedRefusal::Task(Refusal::Attempts))));
    assert_eq!(batch.map(|left| left.map(|(offer, _)| offer.job)), [Some(0), None, None, Some(3), Some(4)]);
    let fed = machine.emitter_fed(emitter).unwrap();
    assert_eq!((fed.admitted, fed.refused), (2, 3));
    assert_eq!(machine.totals().refused, 3);
}

#[test]
fn missed_intervals_are_coalesced() {
    let mut limits = limits(1, 1);
    limits.health_every = span(10);
    let mut machine = Machine::new(limits, ms(0)).unwrap();
    let subscriber = machine.subscribe().unwrap();
    let _ = machine.advance(ms(35), 100);
    assert_eq!(machine.next_event(subscriber), Some(Next::Event(Event::Health)));
    assert_eq!(machine.last_health().unwrap().missed, 2);
    assert_eq!(machine.next_event(subscriber), Some(Next::Empty));
    assert_eq!(machine.next_wake(), Wake::At(ms(40), Reason::Timer));
}

#[test]
fn the_last_health_report_is_kept() {
    let mut limits = limits(1, 1);
    limits.health_every = span(10);
    let mut machine = Machine::new(limits, ms(0)).unwrap();
    machine.submit(ms(0), offer(1), &terms()).unwrap();
    assert_eq!(machine.last_health(), None);
    let _ = machine.advance(ms(10), 100);
    let report = machine.last_health().unwrap();
    assert_eq!((report.queued, report.settled.total()), (1, 0));
    machine.drain(ms(11), Drain::Abort);
    let _ = machine.advance(ms(30), 100);
    assert_eq!((machine.last_health(), machine.health(ms(30)).queued), (Some(report), 0));
}

#[test]
fn no_time_overflows() {
    let mut machine = machine(8, 2);
    let timeouts = Timeouts {
        schedule_to_start: Some(Duration::MAX),
        start_to_close: Some(Duration::MAX),
        schedule_to_close: Some(Duration::MAX),
        ..Timeouts::NONE
    };
    let slow = terms().delay(Duration::MAX).timeouts(timeouts);
    machine.submit(ms(0), offer(1), &slow).unwrap();
    machine.submit(ms(0), offer(2), &terms().timeouts(timeouts)).unwrap();
    let start = machine.start_next(Instant::MAX).unwrap();
    let _ = machine.advance(Instant::MAX, 100);
    machine.completed(ms(0), start.attempt, 0).unwrap();
    assert_eq!((machine.census().delayed, machine.totals().settled.completed), (1, 1));
    machine.drain(Instant::MAX, Drain::graceful(Duration::MAX));
    machine.drain(Instant::MAX, Drain::Abort);
    let _ = machine.advance(Instant::MAX, 1_000_000);
    while machine.poll_effect().is_some() {}
    assert!(machine.audit().is_empty());
}
