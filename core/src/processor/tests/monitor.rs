//! Heartbeats, progress and the watchdog.

use super::*;

/// A machine with a monitor and two places.
fn monitored() -> Machine {
    Machine::new(Limits { monitor: true, ..limits(8, 2) }, ms(0)).unwrap()
}

fn heartbeat(millis: u64) -> Timeouts {
    Timeouts { heartbeat: span(millis), ..Timeouts::NONE }
}

/// A running attempt on these terms.
fn running(terms: Terms) -> (Machine, TaskId, AttemptId) {
    let mut machine = monitored();
    let task = machine.submit(ms(0), for_handle(1), &terms).unwrap();
    let attempt = machine.start_next(ms(0)).unwrap().attempt;
    (machine, task, attempt)
}

/// Calls `advance` with the time, and checks the counts.
fn advance(machine: &mut Machine, now: Instant) {
    let _ = machine.advance(now, 100);
    assert_eq!(machine.census(), machine.audit());
}

fn stage(machine: &Machine, task: TaskId) -> Stage {
    machine.view(task).unwrap().stage
}

fn timed_out(machine: &Machine) -> u64 {
    machine.totals().settled.timed_out
}

/// The events of one subscriber that are about slow attempts.
fn slow_events(machine: &mut Machine, subscriber: SubscriberId) -> Vec<(TaskId, AttemptId, u8)> {
    let mut found = Vec::new();
    while let Some(Next::Event(event)) = machine.next_event(subscriber) {
        if let Event::Slow { task, attempt, meta } = event {
            found.push((task, attempt, meta));
        }
    }
    found
}

#[test]
fn a_silent_attempt_times_out_at_its_heartbeat_deadline() {
    let (mut machine, task, attempt) = running(terms().timeouts(heartbeat(10)));
    assert_eq!(machine.next_wake(), Wake::At(ms(10), Reason::Timer));
    advance(&mut machine, Instant::from_nanos(9_999_999));
    assert_eq!(stage(&machine, task), Stage::Running { since: ms(0) });
    advance(&mut machine, ms(10));
    assert_eq!(stage(&machine, task), Stage::Orphaned { since: ms(10), outcome: OutcomeKind::TimedOut });
    assert!(!machine.heartbeat(ms(10), attempt), "too late");
    assert_eq!(machine.last_error().unwrap().kind, ErrorKind::TimedOut);
}

#[test]
fn a_heartbeat_counts_from_its_instant_and_leaves_the_timer_alone() {
    let (mut machine, task, attempt) = running(terms().timeouts(heartbeat(10)));
    assert!(machine.heartbeat(ms(9), attempt));
    assert_eq!(machine.next_wake(), Wake::At(ms(10), Reason::Timer), "which is early now");
    advance(&mut machine, ms(10));
    assert_eq!(machine.next_wake(), Wake::At(ms(19), Reason::Timer));
    assert!(machine.heartbeat(ms(18), attempt) && machine.heartbeat(ms(18), attempt));
    advance(&mut machine, ms(27));
    assert_eq!(stage(&machine, task), Stage::Running { since: ms(0) });
    advance(&mut machine, ms(28));
    assert_eq!(timed_out(&machine), 1);
}

#[test]
fn a_heartbeat_that_comes_before_a_late_advance_counts() {
    let (mut machine, task, attempt) = running(terms().timeouts(heartbeat(10)));
    assert!(machine.heartbeat(ms(50), attempt), "deadlines act in `advance` and nowhere else");
    advance(&mut machine, ms(55));
    assert_eq!(stage(&machine, task), Stage::Running { since: ms(0) });
    machine.completed(ms(99), attempt, 7).unwrap();
    assert_eq!(machine.census().timers, 0, "its timer goes with it");
}

#[test]
fn a_silent_attempt_is_halted_and_its_task_is_tried_again() {
    let retry = Retry::times(1).fixed(Duration::from_millis(5)).on_timeout(true);
    let (mut machine, task, first) = running(terms().timeouts(heartbeat(10)).retry(retry));
    assert!(machine.heartbeat(ms(4), first));
    advance(&mut machine, ms(14));
    assert_eq!(stage(&machine, task), Stage::Stopping { since: ms(14) });
    assert!(!machine.heartbeat(ms(15), first), "it was asked to stop");
    advance(&mut machine, ms(100));
    assert_eq!(effects(&mut machine), ["Stop"]);
    let _ = machine.stopped(ms(100), first, Some(1)).unwrap();
    advance(&mut machine, ms(105));
    let second = machine.start_next(ms(105)).unwrap().attempt;
    assert_eq!(machine.next_wake(), Wake::At(ms(115), Reason::Timer), "counted afresh");
    assert!(!machine.heartbeat(ms(106), first) && machine.heartbeat(ms(106), second));
    advance(&mut machine, ms(116));
    assert_eq!(timed_out(&machine), 1, "no further attempt is allowed");
}

#[test]
fn the_earliest_time_out_of_a_running_task_acts() {
    let all = Timeouts { start_to_close: span(30), schedule_to_close: span(40), ..heartbeat(20) };
    for (beats, acts_at) in [(&[] as &[u64], 20), (&[5], 25), (&[15], 30), (&[10, 15, 25], 30)] {
        let (mut machine, _, attempt) = running(terms().timeouts(all));
        for at in beats {
            assert!(machine.heartbeat(ms(*at), attempt));
        }
        advance(&mut machine, ms(acts_at - 1));
        assert_eq!(timed_out(&machine), 0, "{beats:?}");
        advance(&mut machine, ms(acts_at));
        assert_eq!(timed_out(&machine), 1, "{beats:?}");
    }
}

#[test]
fn heartbeats_count_from_the_call_of_the_handler() {
    let both = Timeouts { start_to_close: span(100), ..heartbeat(10) };
    for timeouts in [heartbeat(10), both] {
        let (mut machine, _, attempt) =
            running(terms().timeouts(timeouts).slow_after(Duration::from_millis(9)));
        assert!(machine.began(ms(7), attempt, ms(7)));
        advance(&mut machine, ms(15));
        assert_eq!((timed_out(&machine), machine.totals().slow), (0, 0));
        advance(&mut machine, ms(16));
        assert_eq!((timed_out(&machine), machine.totals().slow), (0, 1));
        advance(&mut machine, ms(17));
        assert_eq!(timed_out(&machine), 1);
    }
}

#[test]
fn a_heartbeat_time_out_is_rounded_up_to_a_tick() {
    let micros = |micros| Timeouts { heartbeat: Some(Duration::from_micros(micros)), ..Timeouts::NONE };
    for (limit, acts_at) in [(1, 2), (1_000, 2), (1_001, 3)] {
        let (mut machine, _, attempt) = running(terms().timeouts(micros(limit)));
        assert!(machine.heartbeat(Instant::from_nanos(500_000), attempt));
        advance(&mut machine, Instant::from_nanos(acts_at * 1_000_000 - 1));
        assert_eq!(timed_out(&machine), 0, "{limit}");
        advance(&mut machine, ms(acts_at));
        assert_eq!(timed_out(&machine), 1, "{limit}");
    }
}

#[test]
fn no_heartbeat_overflows() {
    let endless = Timeouts { heartbeat: Some(Duration::MAX), ..Timeouts::NONE };
    for timeouts in [endless, heartbeat(10)] {
        let (mut machine, task, attempt) = running(terms().timeouts(timeouts).slow_after(Duration::MAX));
        assert!(machine.heartbeat(Instant::from_nanos(u64::MAX - 1), attempt));
        advance(&mut machine, Instant::MAX);
        assert_eq!(stage(&machine, task), Stage::Running { since: ms(0) }, "its deadline is past the range");
        assert_eq!(machine.next_wake(), Wake::Never);
    }
}

#[test]
fn a_slow_attempt_is_reported_once() {
    let terms = terms().slow_after(Duration::from_millis(10));
    let (mut machine, task, attempt) = running(terms);
    let subscriber = machine.subscribe().unwrap();
    assert_eq!(machine.next_wake(), Wake::At(ms(10), Reason::Timer));
    advance(&mut machine, ms(10));
    assert_eq!(slow_events(&mut machine, subscriber), [(task, attempt, 0)]);
    assert_eq!((machine.totals().slow, machine.census().slow, machine.health(ms(10)).slow), (1, 1, 1));
    assert_eq!(machine.next_wake(), Wake::Never, "nothing else is due");
    advance(&mut machine, ms(1_000));
    machine.completed(ms(1_000), attempt, 1).unwrap();
    assert_eq!(slow_events(&mut machine, subscriber), []);
    assert_eq!((machine.totals().slow, machine.census().slow), (1, 0), "it runs no more");
}

#[test]
fn each_attempt_is_reported_and_a_quick_one_is_not() {
    let retry = Retry::times(2).fixed(Duration::ZERO);
    let (mut machine, _, first) = running(terms().slow_after(Duration::from_millis(10)).retry(retry));
    let again = |machine: &mut Machine, now, attempt| {
        let _ = machine.failed(now, attempt, 0, Some(1), None, &Message::EMPTY).unwrap();
        assert_eq!(machine.census().slow, 0);
        advance(machine, now);
        machine.start_next(now).unwrap().attempt
    };
    advance(&mut machine, ms(10));
    let second = again(&mut machine, ms(10), first);
    advance(&mut machine, ms(19));
    let third = again(&mut machine, ms(19), second);
    advance(&mut machine, ms(28));
    assert_eq!(machine.totals().slow, 1);
    advance(&mut machine, ms(29));
    assert_eq!((machine.totals().slow, machine.census().slow), (2, 1));
    machine.completed(ms(29), third, 1).unwrap();
}

#[test]
fn a_slow_orphan_counts_until_it_stops() {
    let (mut machine, task, attempt) = running(terms().slow_after(Duration::from_millis(10)));
    advance(&mut machine, ms(10));
    machine.cancel(ms(11), task).unwrap();
    assert_eq!((machine.census(), machine.census().slow), (machine.audit(), 1));
    let _ = machine.stopped(ms(12), attempt, None).unwrap();
    assert_eq!((machine.census(), machine.census().slow), (machine.audit(), 0));
}

#[test]
fn an_attempt_that_has_hung_counts_once() {
    let timeouts = Timeouts { start_to_close: span(20), ..Timeouts::NONE };
    let retry = Retry::times(1).fixed(Duration::ZERO).on_timeout(true);
    let soft = terms().slow_after(Duration::from_millis(10));
    for (terms, orphans) in [(soft.timeouts(timeouts), 1), (soft.timeouts(timeouts).retry(retry), 0)] {
        let (mut machine, task, attempt) = running(terms);
        advance(&mut machine, ms(9));
        assert_eq!(machine.hung(), 0);
        advance(&mut machine, ms(10));
        assert_eq!((machine.hung(), machine.census().orphans), (1, 0), "it is slow");
        advance(&mut machine, ms(20));
        assert_eq!((machine.hung(), machine.census().orphans), (1, orphans), "and is to stop");
        let _ = machine.cancel(ms(21), task);
        advance(&mut machine, ms(21));
        assert_eq!((machine.hung(), machine.census().slow), (1, 1), "asked once more");
        let _ = machine.stopped(ms(22), attempt, Some(1));
        advance(&mut machine, ms(22));
        assert_eq!((machine.hung(), machine.census().slow), (0, 0));
    }
}

#[test]
fn what_falls_due_first_acts_first_however_late_the_time_comes() {
    let limit = Duration::from_millis(10);
    for (hard, slow) in [(9, 0), (10, 0), (11, 1)] {
        for timeouts in [heartbeat(hard), Timeouts { start_to_close: span(hard), ..Timeouts::NONE }] {
            let (mut machine, ..) = running(terms().timeouts(timeouts).slow_after(limit));
            advance(&mut machine, ms(1_000));
            assert_eq!((machine.totals().slow, timed_out(&machine)), (slow, 1), "{timeouts:?}");
        }
    }
}

#[test]
fn the_latest_progress_is_seen_until_the_next_attempt() {
    let (mut machine, task, first) = running(terms().retry(Retry::times(1).fixed(Duration::ZERO)));
    let progress = |machine: &Machine| machine.view(task).unwrap().progress;
    assert_eq!(progress(&machine), None);
    assert!(machine.progress(ms(1), first, Progress::of(1, 9)));
    assert!(machine.progress(ms(2), first, Progress::new(5)));
    assert!(machine.heartbeat(ms(3), first), "which tells nothing of the progress");
    assert_eq!(progress(&machine), Some(Progress::new(5)), "the latest");
    let _ = machine.failed(ms(4), first, 0, Some(1), None, &Message::EMPTY).unwrap();
    assert_eq!(progress(&machine), Some(Progress::new(5)), "how far it got");
    advance(&mut machine, ms(5));
    let second = machine.start_next(ms(5)).unwrap().attempt;
    assert_eq!(progress(&machine), None);
    assert!(!machine.progress(ms(6), first, Progress::new(8)), "the attempt is over");
    assert!(machine.progress(ms(6), second, Progress::new(2)));
    machine.completed(ms(7), second, 1).unwrap();
    assert_eq!(progress(&machine), Some(Progress::new(2)));
    assert_eq!(
        machine.inspect(0..99).map(|view| view.progress).collect::<Vec<_>>(),
        [Some(Progress::new(2))]
    );
    assert!(machine.try_claim(task).is_some());
    let fresh = machine.submit(ms(8), offer(2), &terms()).unwrap();
    assert_eq!(machine.view(fresh).unwrap().progress, None, "the slot had another task before");
}

#[test]
fn progress_is_a_heartbeat() {
    let (mut machine, task, attempt) = running(terms().timeouts(heartbeat(10)));
    assert!(machine.progress(ms(9), attempt, Progress::new(1)));
    advance(&mut machine, ms(18));
    assert_eq!(stage(&machine, task), Stage::Running { since: ms(0) });
    advance(&mut machine, ms(19));
    assert_eq!(timed_out(&machine), 1);
}

#[test]
fn without_a_monitor_its_terms_are_refused_and_nothing_is_kept() {
    let mut machine = machine(4, 2);
    for greedy in [terms().timeouts(heartbeat(10)), terms().slow_after(Duration::from_millis(1))] {
        assert_eq!(machine.submit(ms(0), offer(1), &greedy).unwrap_err().reason, Refusal::NotMonitored);
    }
    let emitter = machine.attach(ms(0), Guard { task: 1, batch: 2, error: 3 }).unwrap();
    let mut batch = [Some((offer(1), terms().timeouts(heartbeat(10)))), Some((offer(2), terms()))];
    assert_eq!(machine.feed_batch(ms(0), emitter, &mut batch).admitted, 1, "others are not held up");
    let task = machine.submit(ms(0), for_handle(1), &terms().timeouts(Timeouts::NONE)).unwrap();
    let attempts = [(); 2].map(|()| machine.start_next(ms(0)).unwrap());
    let start = attempts.iter().find(|start| start.task == task).unwrap();
    assert!(machine.heartbeat(ms(1), start.attempt), "it runs");
    assert!(!machine.progress(ms(1), start.attempt, Progress::new(1)), "it is not kept");
    assert_eq!(machine.view(task).unwrap().progress, None);
}

#[test]
fn the_end_leaves_nothing_slow() {
    let (mut machine, ..) = running(terms().timeouts(heartbeat(50)).slow_after(Duration::from_millis(10)));
    advance(&mut machine, ms(10));
    assert_eq!(machine.census().slow, 1);
    machine.drain(ms(10), Drain::Abort);
    while machine.phase() != Phase::Drained {
        advance(&mut machine, ms(10));
        while machine.poll_effect().is_some() {}
    }
    assert!(machine.census().is_empty() && machine.audit().is_empty());
}
