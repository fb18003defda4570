//! Keys that no two tasks have at the same time.

use super::*;

fn with_keys(remembered: u32) -> Machine {
    let mut limits = limits(9, 2);
    (limits.dedup, limits.delayed) = (Some(remembered), 9);
    Machine::new(limits, ms(0)).unwrap()
}

fn with_key(key: u64) -> Terms {
    terms().unique(Unique::new(key))
}

fn latest(key: u64, delay: u64) -> Terms {
    terms().unique(Unique::new(key).replace()).delay(Duration::from_millis(delay))
}

/// Starts the only task that can be started.
fn start(machine: &mut Machine, now: Instant) -> (AttemptId, u32) {
    let start = machine.start_next(now).unwrap();
    assert_eq!((machine.startable(), machine.census()), (0, machine.audit()));
    (start.attempt, start.job)
}

/// The jobs of the tasks that have settled without a result, the lowest first.
fn ended(machine: &mut Machine) -> Vec<u32> {
    let effects = core::iter::from_fn(|| machine.poll_effect());
    let mut jobs: Vec<u32> = effects
        .filter_map(|effect| if let Effect::Settle(settled) = effect { settled.job } else { None })
        .collect();
    jobs.sort_unstable();
    jobs
}

/// The jobs of the tasks that were superseded.
fn superseded(machine: &mut Machine) -> Vec<u32> {
    assert_eq!(machine.census(), machine.audit());
    let effects = core::iter::from_fn(|| machine.poll_effect());
    let jobs = effects.filter_map(|effect| match effect {
        Effect::Settle(Settlement { outcome: Outcome::Cancelled(Some(reason)), job, .. }) => {
            assert_eq!(reason, CancelReason::SUPERSEDED);
            job
        }
        _ => None,
    });
    jobs.collect()
}

#[test]
fn a_second_task_is_refused_while_the_first_is_there() {
    let mut machine = with_keys(0);
    let first = machine.submit(ms(0), offer(1), &with_key(7)).unwrap();
    let refused = machine.submit(ms(0), offer(2), &with_key(7)).unwrap_err();
    assert_eq!((refused.reason, refused.into_value().job), (Refusal::Duplicate, 2));
    machine.submit(ms(0), offer(3), &with_key(8)).unwrap();
    assert_eq!((machine.task_with_key(7), machine.census().unique_keys), (Some(first), 2));
    let attempt = machine.start_next(ms(0)).unwrap().attempt;
    assert_eq!(machine.refusal(&Route::Nowhere, &with_key(7)), Some(Refusal::Duplicate));
    machine.cancel(ms(0), first).unwrap();
    assert_eq!(
        machine.refusal(&Route::Nowhere, &with_key(7)),
        Some(Refusal::Duplicate),
        "its attempt runs on"
    );
    let _ = machine.stopped(ms(0), attempt, None).unwrap();
    assert_eq!((machine.task_with_key(7), machine.census()), (None, machine.audit()));
    machine.submit(ms(0), offer(2), &with_key(7)).unwrap();
}

#[test]
fn without_keys_they_are_refused() {
    let mut machine = machine(9, 2);
    assert_eq!(machine.submit(ms(0), offer(1), &with_key(7)).unwrap_err().reason, Refusal::NotDeduplicated);
    assert_eq!(machine.task_with_key(7), None);
}

#[test]
fn a_completed_key_is_remembered_for_its_window() {
    let mut machine = with_keys(2);
    let window = |key| terms().unique(Unique::new(key).window(Duration::from_millis(10)));
    let run = |machine: &mut Machine, now, key: u32, completes| {
        machine.submit(now, offer(key), &window(u64::from(key))).unwrap();
        let (attempt, _) = start(machine, now);
        if completes {
            machine.completed(now, attempt, 0).unwrap();
        } else {
            let _ = machine.failed(now, attempt, 0, None, None, &Message::EMPTY).unwrap();
        }
        let _ = settled(machine);
    };
    let is_taken =
        |machine: &Machine, key| machine.refusal(&Route::Nowhere, &with_key(key)) == Some(Refusal::Duplicate);
    run(&mut machine, ms(0), 1, true);
    run(&mut machine, ms(1), 2, false);
    assert!(is_taken(&machine, 1) && !is_taken(&machine, 2), "a failed task may come again");
    assert!(machine.census().is_empty(), "a memory is nothing that is held");
    let _ = machine.advance(ms(9), 9);
    assert!(is_taken(&machine, 1));
    let _ = machine.advance(ms(10), 9);
    assert!(!is_taken(&machine, 1));
    for key in 3..6 {
        run(&mut machine, ms(10), key, true);
    }
    assert_eq!([3, 4, 5].map(|key| is_taken(&machine, key)), [false, true, true], "the oldest is forgotten");
}

#[test]
fn the_latest_takes_the_place_of_the_one_that_waits() {
    let mut machine = with_keys(0);
    machine.pause(ms(0));
    for job in 0..3 {
        machine.submit(ms(0), offer(job), &latest(7, 0)).unwrap();
    }
    assert_eq!((superseded(&mut machine), machine.census().queued), ([0, 1].into(), 1));
    machine.resume(ms(0));
    assert_eq!(start(&mut machine, ms(0)).1, 2);
}

#[test]
fn the_latest_takes_the_place_of_one_in_its_lane_though_that_is_full() {
    for overflow in [Overflow::Refuse, Overflow::DropOldest, Overflow::DropLowest] {
        let mut limits = limits(9, 9);
        (limits.dedup, limits.overflow, limits.lanes) = (Some(0), overflow, LaneLimits::new(2).queue(2));
        let mut machine = Machine::new(limits, ms(0)).unwrap();
        let in_lane = |key| terms().lane(Lane::new(key).concurrency(1));
        for job in 0..2 {
            machine.submit(ms(0), offer(job), &in_lane(1)).unwrap();
            let _ = machine.start_next(ms(0));
        }
        let latest = |lane| in_lane(lane).unique(Unique::new(7).replace());
        machine.submit(ms(0), offer(2), &latest(1)).unwrap();
        machine.submit(ms(0), offer(3), &latest(1)).unwrap();
        assert_eq!((superseded(&mut machine), machine.lane(1).unwrap().queued), ([2].into(), 2));
        // One that waits elsewhere makes no room here.
        machine.submit(ms(0), offer(4), &latest(2)).unwrap();
        machine.submit(ms(0), offer(5), &in_lane(1)).unwrap();
        let goes = machine.submit(ms(0), offer(6), &latest(1)).is_ok();
        assert_eq!(goes, overflow == Overflow::DropOldest, "{overflow:?}");
        assert_eq!(
            ended(&mut machine),
            if goes { [1, 3, 4].to_vec() } else { [3].to_vec() },
            "the oldest is shed, and 4 superseded"
        );
        assert_eq!(machine.lane(1).unwrap().queued, 2);
    }
}

#[test]
fn the_latest_takes_the_place_of_one_behind_though_the_queue_is_full() {
    for overflow in [Overflow::Refuse, Overflow::DropOldest, Overflow::DropLowest] {
        let mut limits = limits(1, 1);
        (limits.dedup, limits.overflow, limits.delayed) = (Some(0), overflow, 4);
        let mut machine = Machine::new(limits, ms(0)).unwrap();
        machine.submit(ms(0), offer(0), &latest(7, 0)).unwrap();
        let (first, _) = start(&mut machine, ms(0));
        machine.submit(ms(0), offer(1), &latest(7, 0)).unwrap();
        machine.submit(ms(0), offer(2), &terms()).unwrap();
        machine.submit(ms(0), offer(3), &latest(7, 0).priority(Priority::HIGHEST)).unwrap();
        assert_eq!(superseded(&mut machine), [1], "nobody else gives way");
        machine.completed(ms(0), first, 0).unwrap();
        let _ = settled(&mut machine);
        assert_eq!((machine.census().queued, machine.census()), (2, machine.audit()));
    }
}

#[test]
fn debouncing_goes_on_while_as_many_are_delayed_as_may_be() {
    let mut limits = limits(9, 1);
    (limits.dedup, limits.delayed) = (Some(0), 2);
    let mut machine = Machine::new(limits, ms(0)).unwrap();
    machine.submit(ms(0), offer(0), &latest(7, 20)).unwrap();
    machine.submit(ms(0), offer(1), &latest(8, 20)).unwrap();
    assert_eq!(machine.submit(ms(0), offer(2), &latest(9, 20)).unwrap_err().reason, Refusal::Delayed);
    machine.submit(ms(0), offer(3), &latest(7, 20)).unwrap();
    assert_eq!((superseded(&mut machine), machine.census().delayed), ([0].into(), 2));
    let elsewhere = latest(8, 20).lane(Lane::new(1));
    assert_eq!(machine.submit(ms(0), offer(4), &elsewhere).unwrap_err().reason, Refusal::Delayed);
}

#[test]
fn the_latest_runs_once_more_after_what_runs() {
    let mut machine = with_keys(0);
    machine.submit(ms(0), offer(0), &latest(7, 0)).unwrap();
    let (attempt, _) = start(&mut machine, ms(0));
    for job in 1..4 {
        machine.submit(ms(0), offer(job), &latest(7, 0)).unwrap();
    }
    assert_eq!((superseded(&mut machine), machine.census().delayed), ([1, 2].into(), 1));
    assert!(machine.start_next(ms(0)).is_none(), "though a place is free");
    machine.completed(ms(5), attempt, 0).unwrap();
    assert_eq!(start(&mut machine, ms(5)).1, 3);
}

#[test]
fn a_task_with_a_later_one_is_not_tried_again() {
    let mut machine = with_keys(0);
    machine.submit(ms(0), offer(0), &latest(7, 0).retry(Retry::NONE.attempts(3))).unwrap();
    let (attempt, _) = start(&mut machine, ms(0));
    machine.submit(ms(0), offer(1), &latest(7, 20)).unwrap();
    let failed = machine.failed(ms(1), attempt, 9, Some(0), None, &Message::EMPTY).unwrap();
    assert_eq!(failed, Failure::Settled { job: Some(0) });
    assert!(machine.start_next(ms(1)).is_none());
    let _ = machine.advance(ms(20), 9);
    assert_eq!(start(&mut machine, ms(20)).1, 1, "its own delay counted all the while");
}

#[test]
fn debouncing_puts_nothing_off_for_ever() {
    let mut machine = with_keys(0);
    let longest = Unique::new(7).replace().longest(Duration::from_millis(50));
    let terms = terms().unique(longest).delay(Duration::from_millis(20));
    let mut started = Vec::new();
    for at in 0..120 {
        let _ = machine.advance(ms(at), 9);
        while machine.poll_effect().is_some() {}
        while let Some(start) = machine.start_next(ms(at)) {
            started.push((at, start.job));
            machine.completed(ms(at), start.attempt, 0).unwrap();
        }
        if at % 5 == 0 && at < 70 {
            machine.submit(ms(at), offer(at as u32), &terms).unwrap();
        }
    }
    assert_eq!(started, [(50, 45), (85, 65)]);
}

#[test]
fn a_task_stays_behind_another_to_the_end_of_time() {
    let mut limits = limits(9, 9);
    (limits.dedup, limits.delayed) = (Some(0), 9);
    let mut machine = Machine::new(limits, ms(0)).unwrap();
    let latest = terms().unique(Unique::new(7).replace());
    machine.submit(ms(0), offer(1), &latest).unwrap();
    let first = machine.start_next(ms(0)).unwrap();
    let soon = Timeouts { schedule_to_close: Some(Duration::from_millis(5)), ..Timeouts::NONE };
    machine.submit(ms(0), offer(2), &latest.timeouts(soon)).unwrap();
    while machine.advance(Instant::MAX, 1).more {
        assert_eq!(machine.startable(), 0);
    }
    assert_eq!(machine.totals().settled.timed_out, 1);
    machine.completed(Instant::MAX, first.attempt, 0).unwrap();
    assert_eq!((machine.census(), machine.census().timers), (machine.audit(), 0));
}

#[test]
fn a_full_queue_does_not_begin_a_row_anew() {
    let mut limits = limits(1, 1);
    (limits.dedup, limits.delayed) = (Some(0), 1);
    let mut machine = Machine::new(limits, ms(0)).unwrap();
    machine.submit(ms(0), offer(1), &terms()).unwrap();
    let _ = machine.start_next(ms(0)).unwrap();
    let row = |delay| {
        let longest = Unique::new(7).replace().longest(Duration::from_millis(50));
        terms().unique(longest).delay(Duration::from_millis(delay))
    };
    machine.submit(ms(0), offer(2), &row(0)).unwrap();
    machine.submit(ms(30), offer(3), &row(0)).unwrap();
    let last = machine.submit(ms(30), offer(4), &row(40)).unwrap();
    assert_eq!(superseded(&mut machine), [2, 3]);
    let until = ms(50);
    assert_eq!(machine.view(last).map(|view| view.stage), Some(Stage::Delayed { until }));
}

#[test]
fn the_end_takes_those_behind_with_it() {
    for mode in [Drain::Abort, Drain::Cancel, Drain::Graceful(Duration::from_millis(5))] {
        let mut machine = with_keys(5);
        machine.submit(ms(0), offer(0), &latest(7, 0)).unwrap();
        let _ = start(&mut machine, ms(0));
        machine.submit(ms(0), offer(1), &latest(7, 0)).unwrap();
        machine.drain(ms(0), mode);
        for at in 0..9 {
            while machine.advance(ms(at), 2).more {}
            while machine.poll_effect().is_some() {}
        }
        assert_eq!(machine.phase(), Phase::Drained, "{mode:?}");
        assert!(machine.census().is_empty() && machine.audit().is_empty());
    }
}
