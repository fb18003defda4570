//! Reports about attempts, and their consequences.

use super::*;

#[test]
fn a_timed_out_attempt_is_an_orphan_until_it_stops() {
    let mut machine = machine(4, 1);
    let timeouts = Timeouts { start_to_close: span(10), ..Timeouts::NONE };
    machine.submit(ms(0), offer(1), &terms().timeouts(timeouts)).unwrap();
    machine.submit(ms(0), offer(2), &terms()).unwrap();
    let start = machine.start_next(ms(0)).unwrap();
    assert_eq!(machine.next_wake(), Wake::At(ms(10), Reason::Timer));
    assert_eq!(machine.advance(ms(9), 9).used, 0);
    assert_eq!(machine.advance(ms(10), 9).used, 1);
    assert_eq!(effects(&mut machine), ["Stop", "Settle"]);
    assert_eq!((machine.census().orphans, machine.startable()), (1, 0));
    assert!(machine.start_next(ms(11)).is_none(), "an orphan keeps its concurrency place");
    assert_eq!(machine.last_error().unwrap().kind, ErrorKind::TimedOut);
    let _ = machine.stopped(ms(12), start.attempt, None).unwrap();
    assert_eq!(machine.start_next(ms(12)).unwrap().job, 2);
    assert_eq!(machine.census().tasks, 1);
}

#[test]
fn a_settlement_is_taken_by_its_callback() {
    let mut machine = machine(4, 4);
    let called = |callback| offer(1).route(Route::Callback(callback));
    for offer in [called(7), offer(1), called(8)] {
        machine.submit(ms(0), offer, &terms()).unwrap();
    }
    assert!(machine.next_callback().is_none() && machine.poll_settlement().is_none());
    while let Some(start) = machine.start_next(ms(0)) {
        machine.completed(ms(0), start.attempt, 2).unwrap();
    }
    for callback in [Some(7), None, Some(8)] {
        assert_eq!(machine.next_callback().copied(), callback);
        assert_eq!(machine.poll_settlement().unwrap().callback, callback);
    }
    // A settlement whose attempt still runs comes by `poll_effect` only.
    let task = machine.submit(ms(0), called(9), &terms()).unwrap();
    let start = machine.start_next(ms(0)).unwrap();
    machine.cancel(ms(0), task).unwrap();
    assert!(machine.next_callback().is_none() && machine.poll_settlement().is_none());
    assert!(matches!(machine.poll_effect(), Some(Effect::Stop(stop)) if stop.attempt == start.attempt));
    assert!(machine.next_callback().is_none() && machine.poll_settlement().is_none());
    assert_eq!(settled(&mut machine).callback, Some(9));
    assert!(!machine.has_effect());
}

#[test]
fn a_report_counts_unless_the_task_was_timed_out_before() {
    for (at, advances) in [(10, false), (99, false), (99, true)] {
        let mut machine = machine(4, 1);
        let timeouts = Timeouts { start_to_close: span(10), ..Timeouts::NONE };
        machine.submit(ms(0), offer(1), &terms().timeouts(timeouts)).unwrap();
        let start = machine.start_next(ms(0)).unwrap();
        if advances {
            let _ = machine.advance(ms(at), 10);
        }
        let late = Late { settled: Some(OutcomeKind::TimedOut), value: 5 };
        let report = machine.completed(ms(at), start.attempt, 5);
        assert_eq!(report, if advances { Err(late) } else { Ok(()) });
        let outcome = if advances { Outcome::TimedOut } else { Outcome::Completed(5) };
        assert_eq!(settled(&mut machine).outcome, outcome);
        assert!(machine.audit().is_empty());
    }
}

#[test]
fn the_time_of_an_attempt_counts_from_the_call_of_its_handler() {
    // When the handler was called, and when the attempt times out. It was handed out at 5 ms.
    for (at, now, deadline) in [(9, 9, 19), (9, 12, 19), (4, 9, 15), (99, 9, 19), (13, 13, 22)] {
        let mut machine = machine(4, 1);
        let timeouts = Timeouts { start_to_close: span(10), schedule_to_close: span(22), ..Timeouts::NONE };
        machine.submit(ms(0), offer(1), &terms().timeouts(timeouts)).unwrap();
        let start = machine.start_next(ms(5)).unwrap();
        assert_eq!((start.deadline, machine.census().timers), (Some(ms(15)), 1));
        assert!(machine.began(ms(now), start.attempt, ms(at)));
        assert_eq!(
            (machine.next_wake(), machine.census().timers),
            (Wake::At(ms(deadline), Reason::Timer), 1)
        );
        let _ = machine.advance(Instant::from_nanos(ms(deadline).as_nanos() - 1), 9);
        assert_eq!(machine.totals().settled.timed_out, 0);
        let _ = machine.advance(ms(deadline), 9);
        assert_eq!((machine.totals().settled.timed_out, machine.census().orphans), (1, 1));
        assert!(!machine.began(ms(deadline), start.attempt, ms(deadline)));
        assert_eq!((machine.census().orphans, machine.audit().timers), (1, 0), "it is an orphan still");
        let _ = machine.stopped(ms(deadline), start.attempt, None).unwrap();
        assert!(!machine.began(ms(deadline), start.attempt, ms(deadline)));
    }
}

#[test]
fn an_attempt_without_limit_begins_without_a_timer() {
    let mut machine = machine(4, 1);
    machine.submit(ms(0), offer(1), &terms()).unwrap();
    let start = machine.start_next(ms(0)).unwrap();
    assert!(machine.began(ms(3), start.attempt, ms(2)));
    assert_eq!((machine.next_wake(), machine.audit().timers), (Wake::Never, 0));
    let first = machine.completed(ms(3), start.attempt, 1);
    assert!(first.is_ok() && !machine.began(ms(3), start.attempt, ms(3)));
}

#[test]
fn a_failure_after_the_last_deadline_counts_and_is_not_tried_again() {
    let mut machine = machine(4, 1);
    let timeouts = Timeouts { schedule_to_close: span(10), ..Timeouts::NONE };
    let retry = Retry::NONE.attempts(2).base(Duration::ZERO);
    machine.submit(ms(0), offer(1), &terms().timeouts(timeouts).retry(retry)).unwrap();
    let start = machine.start_next(ms(0)).unwrap();
    let failure = machine.failed(ms(11), start.attempt, 9, Some(1), None, &"no".into()).unwrap();
    assert!(matches!(failure, Failure::Settled { job: Some(1) }));
    assert_eq!(settled(&mut machine).outcome, Outcome::Failed(9));
    assert!(machine.audit().is_empty());
}

#[test]
fn a_failed_attempt_is_tried_again_and_is_another_attempt() {
    let mut machine = machine(4, 1);
    let retry = Retry::NONE.attempts(2);
    machine.submit(ms(0), offer(1), &terms().retry(retry)).unwrap();
    let first = machine.start_next(ms(0)).unwrap();
    assert_eq!(first.further, 1);
    let failure = machine.failed(ms(0), first.attempt, 9, Some(1), None, &"no".into()).unwrap();
    let Failure::Retrying { value: 9, delay } = failure else { panic!("{failure:?}") };
    assert_eq!(machine.census().backoff, 1);
    let later = Instant::ZERO.saturating_add(delay + Duration::from_millis(1));
    let _ = machine.advance(later, 100);
    let second = machine.start_next(later).unwrap();
    assert_eq!((second.number, second.further), (2, 0));
    assert!(machine.completed(later, first.attempt, 1).is_err(), "the first try is over");
    let failure = machine.failed(later, second.attempt, 8, Some(1), None, &"no".into()).unwrap();
    assert!(matches!(failure, Failure::Settled { job: Some(1) }));
    assert_eq!(settled(&mut machine).outcome, Outcome::Failed(8));
    let error = machine.last_error().unwrap();
    assert_eq!((error.streak, error.attempt, error.message.as_str()), (2, 2, "no"));
}

#[test]
fn a_panic_is_handed_back_or_leaves_with_the_outcome() {
    let mut machine = machine(4, 1);
    let retry = Retry::times(2).fixed(Duration::from_millis(5)).on_panic(true);
    machine.submit(ms(0), offer(1), &terms().retry(retry)).unwrap();
    let first = machine.start_next(ms(0)).unwrap();
    let failure = machine.panicked(ms(1), first.attempt, 9, Some(1), &"no".into()).unwrap();
    assert_eq!(failure, Failure::Retrying { value: 9, delay: Duration::from_millis(5) });
    let _ = machine.advance(ms(6), 10);
    let second = machine.start_next(ms(6)).unwrap();
    let late = machine.panicked(ms(6), first.attempt, 8, Some(1), &"no".into()).unwrap_err();
    assert_eq!((late.settled, late.value), (None, (8, Some(1))));
    let failure = machine.panicked(ms(6), second.attempt, 7, None, &"no".into()).unwrap();
    assert_eq!(failure, Failure::Settled { job: None });
    assert_eq!(settled(&mut machine).outcome, Outcome::Panicked(7));
    assert!(machine.audit().is_empty());
}

#[test]
fn an_unrequested_stop_is_a_cancellation_whatever_the_deadline() {
    let mut machine = machine(4, 1);
    let timeouts = Timeouts { start_to_close: span(10), ..Timeouts::NONE };
    machine.submit(ms(0), offer(1), &terms().timeouts(timeouts)).unwrap();
    let start = machine.start_next(ms(0)).unwrap();
    let _ = machine.stopped(ms(20), start.attempt, None).unwrap();
    assert_eq!(settled(&mut machine).outcome, Outcome::Cancelled(None));
}

#[test]
fn a_settlement_tells_how_long_the_task_waited_and_ran() {
    let span = Duration::from_millis;
    // When the handler was called, if that is reported, and how long the task waited and ran. It was started at 5 ms.
    for (began, waited) in [(None, 5), (Some(7), 7), (Some(4), 5)] {
        let mut machine = machine(4, 1);
        machine.submit(ms(0), offer(1), &terms()).unwrap();
        let start = machine.start_next(ms(5)).unwrap();
        if let Some(at) = began {
            assert!(machine.began(ms(8), start.attempt, ms(at)));
        }
        machine.completed(ms(20), start.attempt, 2).unwrap();
        let settlement = settled(&mut machine);
        assert_eq!((settlement.times.waited(), settlement.times.ran()), (span(waited), span(20 - waited)));
    }
}

#[test]
fn time_before_the_last_attempt_counts_as_waiting() {
    let span = Duration::from_millis;
    for cancelled_in_backoff in [false, true] {
        let mut machine = machine(4, 1);
        let retry = Retry::times(1).fixed(span(10));
        let task = machine.submit(ms(0), offer(1), &terms().retry(retry)).unwrap();
        let start = machine.start_next(ms(1)).unwrap();
        let _ = machine.failed(ms(4), start.attempt, 9, Some(1), None, &"no".into()).unwrap();
        if cancelled_in_backoff {
            let _ = machine.cancel(ms(9), task).unwrap();
            let settlement = settled(&mut machine);
            assert_eq!((settlement.times.waited(), settlement.times.ran()), (span(9), span(0)), "none runs");
            continue;
        }
        let _ = machine.advance(ms(14), 10);
        let _ = machine.start_next(ms(16)).unwrap();
        let _ = machine.cancel(ms(19), task).unwrap();
        assert!(matches!(machine.poll_effect(), Some(Effect::Stop(_))));
        let settlement = settled(&mut machine);
        assert_eq!(
            (settlement.times.waited(), settlement.times.ran()),
            (span(16), span(3)),
            "it runs on, but not for the task"
        );
    }
}
