//! Tasks that are tried again after a time-out.

use super::*;

/// Up to three attempts of 10 ms, 5 ms apart, and a schedule-to-close time-out.
fn tried_again(schedule_to_close: Option<u64>) -> Terms {
    let schedule_to_close = schedule_to_close.map(Duration::from_millis);
    let timeouts = Timeouts { start_to_close: span(10), schedule_to_close, ..Timeouts::NONE };
    let retry = Retry::times(2).fixed(Duration::from_millis(5)).on_timeout(true);
    terms().timeouts(timeouts).retry(retry)
}

/// A machine that runs an attempt at the first of two tasks, which has missed its deadline.
fn halting(tried: Terms) -> (Machine, Start<Numbers>) {
    let mut machine = machine(4, 1);
    machine.submit(ms(0), offer(1).route(Route::Callback(70)), &tried).unwrap();
    machine.submit(ms(0), offer(2), &terms()).unwrap();
    let start = machine.start_next(ms(0)).unwrap();
    let _ = machine.advance(ms(10), 10);
    (machine, start)
}

#[test]
fn the_next_attempt_comes_when_the_old_one_has_stopped() {
    let (mut machine, first) = halting(tried_again(None));
    let subscriber = machine.subscribe().unwrap();
    assert_eq!(machine.last_error().unwrap().kind, ErrorKind::TimedOut);
    assert!(machine.start_next(ms(10)).is_none(), "it keeps its place");
    let views: Vec<Stage> = machine.inspect(0..9).map(|view| view.stage).collect();
    assert_eq!(views[0], Stage::Stopping { since: ms(10) });
    let census = machine.census();
    assert_eq!((census.running, census.orphans, census.timers, census.unsettled()), (1, 0, 0, 2));
    let Some(Effect::Stop(stop)) = machine.poll_effect() else { panic!("it is to stop") };
    assert_eq!((stop.attempt, stop.why), (first.attempt, OutcomeKind::TimedOut));
    assert!(!machine.began(ms(11), first.attempt, ms(11)));
    assert_eq!(machine.sleep(ms(11), first.attempt, ms(20), 80).unwrap_err().reason, SleepRefusal::Over);

    let answer = machine.stopped(ms(12), first.attempt, Some(1)).unwrap();
    assert_eq!(answer, Failure::Retrying { value: (), delay: Duration::from_millis(5) });
    let retrying =
        Event::Retrying { task: first.task, meta: 0, attempts: 1, delay: Duration::from_millis(5) };
    assert_eq!(machine.next_event(subscriber), Some(Next::Event(retrying)));
    assert_eq!((machine.totals().retried, machine.totals().orphaned), (1, 0));
    assert_eq!(machine.start_next(ms(12)).unwrap().job, 2);
    machine.set_concurrency(ms(12), 1);
    let late = machine.stopped(ms(12), first.attempt, Some(1)).unwrap_err();
    assert_eq!(late.value, Some(1), "it has stopped before");
    assert_eq!(machine.census(), machine.audit());
}

#[test]
fn without_a_job_or_a_further_attempt_the_task_times_out() {
    let (mut machine, start) = halting(tried_again(None));
    assert_eq!(machine.stopped(ms(12), start.attempt, None), Ok(Failure::Settled { job: None }));
    let settlement = settled(&mut machine);
    assert_eq!((settlement.outcome, settlement.callback), (Outcome::TimedOut, Some(70)));
    assert_eq!(
        (settlement.times.waited(), settlement.times.ran()),
        (Duration::ZERO, Duration::from_millis(12))
    );
    assert_eq!((machine.last_error().unwrap().streak, machine.census().orphans), (1, 0), "it is one error");

    let once = tried_again(None).retry(Retry::NONE.on_timeout(true));
    let (mut machine, _) = halting(once);
    assert_eq!(effects(&mut machine), ["Stop", "Settle"], "no further try is left");
}

#[test]
fn a_further_attempt_has_to_be_ready_in_time() {
    // The schedule-to-close time-out, and whether the task is tried again after its attempt times out at 10 ms.
    for (in_all, is_tried_again) in [(10, false), (14, false), (15, true), (100, true)] {
        let (mut machine, start) = halting(tried_again(Some(in_all)));
        assert_eq!(machine.totals().settled.timed_out, u64::from(!is_tried_again), "{in_all}");
        if is_tried_again {
            // By then there is no time left for a further attempt, which could start at 15 ms.
            let answer = machine.stopped(ms(11), start.attempt, Some(1)).unwrap();
            assert_eq!(answer == Failure::Settled { job: Some(1) }, in_all == 15);
        }
    }
}

#[test]
fn the_deadline_of_the_task_is_kept_while_its_attempt_is_being_stopped() {
    for has_asked in [false, true] {
        let (mut machine, start) = halting(tried_again(Some(20)));
        assert_eq!(machine.census().timers, 1);
        if has_asked {
            assert!(matches!(machine.poll_effect(), Some(Effect::Stop(_))));
        }
        let _ = machine.advance(ms(20), 10);
        let expected: &[&str] = if has_asked { &["Settle"] } else { &["Stop", "Settle"] };
        assert_eq!(effects(&mut machine), expected, "it is asked to stop once");
        assert_eq!((machine.totals().settled.timed_out, machine.census().orphans), (1, 1));
        assert_eq!(machine.stopped(ms(21), start.attempt, Some(1)), Ok(Failure::Settled { job: Some(1) }));
        assert_eq!(machine.start_next(ms(21)).unwrap().job, 2);
    }
}

#[test]
fn a_report_of_a_halting_attempt_counts() {
    let (mut machine, start) = halting(tried_again(None));
    machine.completed(ms(12), start.attempt, 5).unwrap();
    let settlement = settled(&mut machine);
    assert_eq!(
        (settlement.outcome, settlement.times.ran()),
        (Outcome::Completed(5), Duration::from_millis(12))
    );
    assert_eq!(effects(&mut machine), Vec::<&str>::new(), "it need not be asked to stop");

    let (mut machine, start) = halting(tried_again(None));
    assert!(matches!(machine.poll_effect(), Some(Effect::Stop(_))));
    let failure = machine.failed(ms(12), start.attempt, 9, Some(1), None, &"no".into()).unwrap();
    assert_eq!(failure, Failure::Retrying { value: 9, delay: Duration::from_millis(5) });

    let (mut machine, start) = halting(tried_again(None));
    let failure = machine.panicked(ms(12), start.attempt, 9, Some(1), &"no".into()).unwrap();
    assert_eq!(failure, Failure::Settled { job: Some(1) }, "panics are not tried again");
    assert_eq!(settled(&mut machine).outcome, Outcome::Panicked(9));
    assert!(machine.start_next(ms(12)).is_some() && machine.census().tasks == 1);
}

#[test]
fn a_task_whose_attempt_is_being_stopped_can_be_cancelled_and_ended() {
    let (mut machine, start) = halting(tried_again(None));
    assert_eq!(machine.cancel(ms(11), start.task), Ok(Cancelled::Stopping));
    let Some(Effect::Stop(stop)) = machine.poll_effect() else { panic!("it is to stop") };
    assert_eq!(stop.why, OutcomeKind::Cancelled);
    assert_eq!(settled(&mut machine).outcome, Outcome::Cancelled(None));
    assert_eq!(machine.census().orphans, 1);

    let (mut machine, start) = halting(tried_again(None));
    machine.drain(ms(11), Drain::Cancel);
    let answer = machine.stopped(ms(11), start.attempt, Some(1)).unwrap();
    assert_eq!(answer, Failure::Settled { job: Some(1) }, "nothing is tried again any more");
    assert_eq!(settled(&mut machine).outcome, Outcome::TimedOut);

    let (mut machine, _) = halting(tried_again(None));
    machine.drain(ms(11), Drain::Abort);
    let _ = machine.advance(ms(11), 10_000);
    assert_eq!(effects(&mut machine), ["Stop", "Settle", "Settle"]);
    let _ = machine.advance(ms(11), 10_000);
    assert!(matches!(machine.poll_effect(), Some(Effect::Drained)));
    let remains = machine.remains().unwrap();
    assert_eq!((remains.cancelled, remains.abandoned), (2, 1));
    assert!(machine.audit().is_empty());
}

#[test]
fn a_graceful_drain_waits_for_the_attempt_and_the_next_one() {
    let (mut machine, start) = halting(tried_again(None));
    machine.drain(ms(11), Drain::graceful(Duration::from_secs(1)));
    let _ = machine.stopped(ms(12), start.attempt, Some(1)).unwrap();
    let second = machine.start_next(ms(12)).unwrap();
    machine.completed(ms(13), second.attempt, 0).unwrap();
    let _ = machine.advance(ms(17), 10);
    let third = machine.start_next(ms(17)).unwrap();
    assert_eq!((third.task, third.number), (start.task, 2));
    machine.completed(ms(18), third.attempt, 0).unwrap();
    let _ = machine.advance(ms(18), 10_000);
    assert!(effects(&mut machine).contains(&"Drained".into()));
}
