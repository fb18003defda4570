//! Points of the contract that are told best by hand.

use std::time::Duration;

use plimsoll_core::{
    AttemptId, CancelError, Claim, Drain, Effect, Instant, Limits, Message, Offer, Outcome, OutcomeKind,
    Phase, Plan, Processor, ResultLimits, Retry, Route, TaskId, Terms, Timeouts, Wake,
};

/// A plan of plain numbers, for scenes that are told by hand.
#[derive(Debug)]
struct Plain;

impl Plan for Plain {
    type Job = u32;
    type Output = u32;
    type Error = u32;
    type Panic = u32;
    type Meta = ();
    type Callback = u32;
    type Waiter = u32;
    type Listener = u32;
    type Key = u32;
    type Value = u32;
}

type Machine = Processor<Plain>;

const fn ms(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

fn limits(queue: u32, concurrency: u32) -> Limits {
    let mut limits = Limits::default();
    limits.queue = queue;
    limits.concurrency = concurrency;
    limits.unclaimed = Some(queue);
    limits.results = ResultLimits::new(queue, Some(Duration::from_millis(100)));
    limits
}

fn machine(queue: u32, concurrency: u32) -> Machine {
    Machine::new(limits(queue, concurrency), Instant::ZERO).unwrap()
}

const fn offer(job: u32) -> Offer<Plain> {
    Offer::new(job, ())
}

/// The attempt may take so many milliseconds.
fn limit(millis: u64) -> Terms {
    let start_to_close = Some(Duration::from_millis(millis));
    Terms::new().timeouts(Timeouts { start_to_close, ..Timeouts::NONE })
}

/// 6: an id that is over names nothing, however often its slot is used again.
#[test]
fn point_6_stale_ids() {
    let mut machine = machine(1, 1);
    let now = ms(1);
    let mut past: Vec<(TaskId, AttemptId)> = Vec::new();
    for round in 0..1_000 {
        let terms = Terms::new().retry(Retry::NONE.attempts(2).base(Duration::ZERO));
        let task = machine.submit(now, offer(round), &terms).unwrap();
        let first = machine.start_next(now).unwrap();
        // The second try of a task is not completed by the first.
        let _ = machine.failed(now, first.attempt, 1, Some(first.job), None, &Message::default()).unwrap();
        let _ = machine.advance(now, 10);
        let second = machine.start_next(now).unwrap();
        assert_eq!((second.task, second.number), (task, 2));
        assert_eq!(machine.completed(now, first.attempt, 7).unwrap_err().value, 7);
        for &(task, attempt) in past.iter().rev().take(50) {
            assert_eq!(machine.cancel(now, task), Err(CancelError::NotFound));
            assert!(matches!(machine.claim(now, task, 5), Claim::Gone(5)));
            assert!(machine.take_result(now, task).is_none());
            assert!(machine.release(now, task).settlement.is_none());
            let late = machine.completed(now, attempt, 9).unwrap_err();
            assert_eq!((late.settled, late.value), (None, 9));
            assert_eq!(machine.stopped(now, attempt, None).unwrap_err().settled, None);
        }
        machine.completed(now, second.attempt, round).unwrap();
        assert!(matches!(machine.poll_effect(), Some(Effect::Settle(settled)) if settled.task == task));
        past.extend([(task, first.attempt), (task, second.attempt)]);
    }
    let mut attempts: Vec<AttemptId> = past.iter().map(|&(_, attempt)| attempt).collect();
    attempts.sort();
    attempts.dedup();
    assert_eq!(attempts.len(), 2_000, "no attempt's id is given out twice");
}

/// 7: a report counts however late it comes, unless `advance` has timed its task out before.
#[test]
fn point_7_a_report_counts_unless_advance_was_there_first() {
    for advance_at in [None, Some(ms(6)), Some(Instant::from_nanos(5_999_999))] {
        for at in [ms(6), Instant::from_nanos(6_000_001), ms(3_600_000)] {
            let mut machine = machine(1, 1);
            machine.submit(ms(1), offer(0), &limit(5)).unwrap();
            let start = machine.start_next(ms(1)).unwrap();
            assert_eq!(start.deadline, Some(ms(6)));
            if let Some(at) = advance_at {
                let _ = machine.advance(at, 10);
            }
            let timed_out = advance_at == Some(ms(6));
            let report = machine.completed(at, start.attempt, 3);
            let stop = timed_out.then(|| machine.poll_effect());
            assert!(matches!(stop, None | Some(Some(Effect::Settle(_)))), "the report withdraws the `Stop`");
            match (timed_out, report) {
                (false, Ok(())) => {
                    let Some(Effect::Settle(settled)) = machine.poll_effect() else { panic!("not settled") };
                    assert_eq!(settled.outcome, Outcome::Completed(3));
                }
                (true, Err(late)) => {
                    assert_eq!((late.settled, late.value), (Some(OutcomeKind::TimedOut), 3));
                }
                (_, report) => panic!("timed out: {timed_out}, and the report: {report:?}"),
            }
            assert_eq!(machine.census().orphans, 0, "it has stopped");
        }
    }
}

/// 7: a stop that nobody asked for cancels, before its deadline and after it.
#[test]
fn point_7_a_stop_counts_whatever_the_deadline() {
    for at in [ms(2), ms(100)] {
        let mut machine = machine(1, 1);
        machine.submit(ms(1), offer(0), &limit(5)).unwrap();
        let start = machine.start_next(ms(1)).unwrap();
        let _ = machine.stopped(at, start.attempt, None).unwrap();
        let Some(Effect::Settle(settled)) = machine.poll_effect() else { panic!("not settled") };
        assert_eq!(settled.outcome, Outcome::Cancelled(None));
    }
}

/// 7: nothing that is overdue is ever started, whether or not `advance` was called.
#[test]
fn point_7_nothing_overdue_is_started() {
    let mut machine = machine(2, 1);
    for after in [0, 1] {
        let limit = |is_set: bool| is_set.then_some(Duration::from_millis(5));
        let overdue = Timeouts {
            schedule_to_close: limit(after == 0),
            schedule_to_start: limit(after == 1),
            ..Timeouts::NONE
        };
        machine.submit(ms(1), offer(after), &Terms::new().timeouts(overdue)).unwrap();
    }
    machine.submit(ms(1), offer(2), &Terms::new()).unwrap();
    let start = machine.start_next(Instant::from_nanos(6_000_001)).unwrap();
    assert_eq!(start.job, 2);
    let outcomes: Vec<_> = std::iter::from_fn(|| machine.poll_effect()).collect();
    let [Effect::Settle(first), Effect::Settle(second)] = &outcomes[..] else { panic!("{outcomes:?}") };
    assert_eq!((&first.outcome, &second.outcome), (&Outcome::TimedOut, &Outcome::Expired));
}

/// 7: a deadline on a tick fires exactly there, another one on the next tick; none fires early.
#[test]
fn point_7_a_tick_is_a_millisecond() {
    for (delay, fires) in [(2_000_000, 2), (1_999_999, 2), (2_000_001, 3), (1, 1)] {
        let mut machine = machine(1, 1);
        let terms = Terms::new().delay(Duration::from_nanos(delay));
        machine.submit(Instant::ZERO, offer(0), &terms).unwrap();
        assert!(matches!(machine.next_wake(), Wake::At(at, _) if at == ms(fires)));
        let _ = machine.advance(Instant::from_nanos(fires * 1_000_000 - 1), 10);
        assert_eq!(machine.startable(), 0);
        let _ = machine.advance(ms(fires), 10);
        assert_eq!(machine.startable(), 1);
    }
}

/// 7: a clock that goes backwards stands still, and no duration is too long.
#[test]
fn point_7_the_clock_never_goes_back_and_never_overflows() {
    let mut machine = machine(4, 2);
    let _ = machine.advance(ms(100), 10);
    let most = Some(Duration::MAX);
    let late =
        Timeouts { start_to_close: most, schedule_to_close: most, schedule_to_start: most, ..Timeouts::NONE };
    machine.submit(ms(50), offer(0), &Terms::new().timeouts(late)).unwrap();
    assert_eq!(machine.now(), ms(100));
    let start = machine.start_next(Instant::ZERO).unwrap();
    assert_eq!((machine.now(), start.deadline), (ms(100), None));
    machine.submit(ms(100), offer(1), &Terms::new().delay(Duration::MAX)).unwrap();
    assert_eq!(machine.next_wake(), Wake::Never);
    let _ = machine.advance(Instant::MAX, 100);
    assert!(machine.completed(Instant::MAX, start.attempt, 1).is_ok());
    machine.drain(Instant::MAX, Drain::graceful(Duration::MAX));
    assert_eq!(machine.phase(), Phase::Draining);
}

/// Calls `step` until it says that nothing is left: how many calls that took, and the most that one call did.
fn in_steps(mut step: impl FnMut() -> (u32, bool)) -> (u32, u32) {
    let (mut calls, mut most) = (0, 0);
    loop {
        let (did, more) = step();
        calls += 1;
        most = most.max(did);
        if !more {
            return (calls, most);
        }
    }
}

/// 8: however much is due at one instant, a call does no more than its budget allows.
#[test]
fn point_8_bounded_steps() {
    const TASKS: u32 = 50_000;
    const BUDGET: u32 = 100;
    let mut machine = machine(TASKS, 1);
    machine.pause(Instant::ZERO);
    let schedule_to_start = Some(Duration::from_millis(10));
    let terms = Terms::new().timeouts(Timeouts { schedule_to_start, ..Timeouts::NONE });
    for job in 0..TASKS {
        machine.submit(Instant::ZERO, offer(job).route(Route::Retain), &terms).unwrap();
    }
    let (calls, most) = in_steps(|| {
        let progress = machine.advance(ms(10), BUDGET);
        (progress.used, progress.more)
    });
    assert_eq!((calls, most), (TASKS / BUDGET, BUDGET));
    assert_eq!(machine.totals().settled.expired, u64::from(TASKS));
    assert_eq!(machine.census().results, TASKS);

    let (calls, most) = in_steps(|| {
        let mut sweep = machine.sweep(ms(110), BUDGET);
        let swept = sweep.by_ref().count() as u32;
        (swept, sweep.is_more())
    });
    assert_eq!((calls, most, machine.census().tasks), (TASKS / BUDGET, BUDGET, 0));

    for job in 0..TASKS {
        machine.submit(ms(110), offer(job), &Terms::new()).unwrap();
    }
    machine.drain(ms(110), Drain::Abort);
    let (calls, most) = in_steps(|| {
        let progress = machine.advance(ms(110), BUDGET);
        (progress.used, progress.more)
    });
    assert_eq!((calls, most), (machine.limits().task_slots().div_ceil(BUDGET), BUDGET));
    assert_eq!(machine.totals().settled.cancelled, u64::from(TASKS));
}
