//! Lanes, fair shares, rates and holds.

use super::*;

fn with_lanes(queue: u32, concurrency: u32, lanes: LaneLimits) -> Machine {
    Machine::new(Limits { lanes, ..limits(queue, concurrency) }, ms(0)).unwrap()
}

const fn lane(key: u32) -> Lane {
    Lane::new(key as u64)
}

/// Submits a task to this lane, whose job is the key.
fn submit(machine: &mut Machine, now: Instant, lane: Lane) -> Result<TaskId, Refused<Offer<Numbers>>> {
    machine.submit(now, offer(lane.key() as u32), &terms().lane(lane))
}

/// Starts all that can be started, and returns the attempts with their jobs.
fn start_all(machine: &mut Machine, now: Instant) -> Vec<(AttemptId, u32)> {
    let started = core::iter::from_fn(|| machine.start_next(now).map(|start| (start.attempt, start.job)));
    let started = started.collect();
    assert_eq!((machine.startable(), machine.census()), (0, machine.audit()));
    started
}

fn jobs(started: &[(AttemptId, u32)]) -> Vec<u32> {
    started.iter().map(|(_, job)| *job).collect()
}

fn complete(machine: &mut Machine, now: Instant, attempt: AttemptId) {
    machine.completed(now, attempt, 0).unwrap();
    let _ = settled(machine);
}

/// How many of these are of each of the lanes 1 to `N`.
fn shares<const N: usize>(started: &[(AttemptId, u32)]) -> [usize; N] {
    core::array::from_fn(|lane| started.iter().filter(|(_, job)| *job as usize == lane + 1).count())
}

#[test]
fn a_lane_runs_as_many_attempts_as_its_limit_and_in_order() {
    let mut machine = with_lanes(9, 9, LaneLimits::new(2));
    let two = terms().lane(lane(7).concurrency(2));
    for job in 0..4 {
        machine.submit(ms(0), offer(job), &two).unwrap();
    }
    machine.submit(ms(0), offer(9), &terms()).unwrap();
    let started = start_all(&mut machine, ms(0));
    assert_eq!(jobs(&started), [9, 0, 1], "a stuck lane delays no other");
    let view = machine.lane(7).unwrap();
    assert_eq!((view.queued, view.running, view.tasks, view.shut_until), (2, 2, 4, None));
    complete(&mut machine, ms(0), started[2].0);
    assert_eq!(jobs(&start_all(&mut machine, ms(0))), [2], "first in, first out");
}

#[test]
fn an_orphan_keeps_the_place_of_its_lane() {
    let mut machine = with_lanes(9, 9, LaneLimits::new(2));
    let one = terms().lane(lane(7).concurrency(1));
    let ids = [0, 1].map(|job| machine.submit(ms(0), offer(job), &one).unwrap());
    let attempt = start_all(&mut machine, ms(0))[0].0;
    machine.cancel(ms(0), ids[0]).unwrap();
    while machine.poll_effect().is_some() {}
    assert_eq!(jobs(&start_all(&mut machine, ms(0))), []);
    let _ = machine.stopped(ms(0), attempt, None).unwrap();
    assert_eq!(jobs(&start_all(&mut machine, ms(0))), [1]);
}

#[test]
fn a_lane_exists_while_something_of_it_is_there() {
    let mut machine = with_lanes(9, 2, LaneLimits::new(1));
    let terms = terms().delay(Duration::from_millis(5)).retry(Retry::NONE.attempts(2));
    machine.submit(ms(0), offer(1), &terms.lane(lane(1))).unwrap();
    let refused = machine.submit(ms(0), offer(2), &terms.lane(lane(2))).unwrap_err();
    assert_eq!((refused.reason, refused.into_value().job), (Refusal::Lanes, 2));
    let _ = machine.advance(ms(5), 9);
    let attempt = start_all(&mut machine, ms(5))[0].0;
    let delay = Some(Duration::from_millis(5));
    let _ = machine.failed(ms(5), attempt, 0, Some(1), delay, &Message::EMPTY).unwrap();
    assert_eq!((machine.census(), machine.census().lanes), (machine.audit(), 1), "it backs off");
    let _ = machine.advance(ms(10), 9);
    let attempt = start_all(&mut machine, ms(10))[0].0;
    complete(&mut machine, ms(10), attempt);
    assert_eq!((machine.census().lanes, machine.lane(1)), (0, None));
    machine.submit(ms(10), offer(2), &terms.lane(lane(2))).unwrap();
    let lanes = machine.ledger().lanes;
    assert_eq!((lanes.entered, lanes.left, lanes.highest, lanes.bound), (2, 1, 1, 1));
}

#[test]
fn fresh_keys_leave_nothing_behind() {
    let mut machine = with_lanes(2, 1, LaneLimits::new(2));
    let rate = Rate::new(1_000, Duration::from_secs(1));
    for key in 0..20_000 {
        let now = ms(u64::from(key));
        let _ = machine.advance(now, 9);
        submit(&mut machine, now, lane(key).rate(rate)).unwrap();
        let attempt = machine.start_next(now).unwrap().attempt;
        complete(&mut machine, now, attempt);
    }
    assert_eq!(machine.census().lanes, 1, "its rate shuts the last one for a millisecond");
    let _ = machine.advance(ms(20_000), 9);
    assert!(machine.census().is_empty());
}

#[test]
fn a_full_lane_refuses_and_leaves_room_for_the_others() {
    let mut machine = with_lanes(4, 3, LaneLimits::new(2));
    let one = lane(1).concurrency(1);
    for _ in 0..3 {
        submit(&mut machine, ms(0), one).unwrap();
    }
    assert_eq!(machine.refusal(&Route::Nowhere, &terms().lane(one)), Some(Refusal::LaneFull));
    assert_eq!(submit(&mut machine, ms(0), one).unwrap_err().reason, Refusal::LaneFull);
    machine.submit(ms(0), offer(1), &terms().lane(one).delay(Duration::from_millis(1))).unwrap();
    for _ in 0..3 {
        submit(&mut machine, ms(0), lane(2)).unwrap();
    }
    assert_eq!(jobs(&start_all(&mut machine, ms(0))), [1, 2, 2]);
    let none = LaneLimits { lanes: 2, queue: Some(0) };
    let mut machine = with_lanes(4, 3, none);
    submit(&mut machine, ms(0), one).unwrap();
    assert_eq!(submit(&mut machine, ms(0), one).unwrap_err().reason, Refusal::LaneFull);
}

#[test]
fn without_lanes_a_key_is_refused() {
    let mut machine = machine(4, 3);
    assert_eq!(submit(&mut machine, ms(0), lane(1)).unwrap_err().reason, Refusal::Lanes);
    assert_eq!(machine.hold_lane(ms(0), 1, ms(9)), Err(HoldRefusal::Lanes));
}

#[test]
fn places_are_shared_by_weight() {
    let mut machine = with_lanes(100, 12, LaneLimits::new(3));
    let lanes = [1, 2, 3].map(|key| lane(key).weight(key as u16));
    // One lane has all until others come.
    for _ in 0..30 {
        submit(&mut machine, ms(0), lanes[0]).unwrap();
    }
    let alone = start_all(&mut machine, ms(0));
    assert_eq!(shares(&alone), [12, 0, 0]);
    for _ in 0..30 {
        submit(&mut machine, ms(0), lanes[1]).unwrap();
        submit(&mut machine, ms(0), lanes[2]).unwrap();
    }
    // As its attempts end the others get their shares, and it keeps its own.
    let mut running = alone;
    for _ in 0..30 {
        let (attempt, _) = running.remove(0);
        complete(&mut machine, ms(0), attempt);
        running.append(&mut start_all(&mut machine, ms(0)));
        assert_eq!(running.len(), 12);
    }
    assert_eq!(shares(&running), [2, 4, 6]);
}

/// The reason for counting places and not starts.
#[test]
fn a_lane_with_long_attempts_gets_no_more_than_its_share() {
    let mut machine = with_lanes(100, 4, LaneLimits::new(2));
    let mut long = Vec::new();
    for round in 0..200 {
        for key in [1, 2] {
            while submit(&mut machine, ms(0), lane(key)).is_ok() {}
        }
        for (attempt, key) in start_all(&mut machine, ms(0)) {
            if key == 1 { long.push((round, attempt)) } else { complete(&mut machine, ms(0), attempt) }
        }
        assert_eq!(long.len(), 2, "round {round}");
        if long[0].0 + 50 <= round {
            complete(&mut machine, ms(0), long.remove(0).1);
        }
        assert_eq!(machine.lane(1).unwrap().running as usize, long.len());
        let started = machine.totals().started;
        assert!(
            round < 10 || started > round * 2,
            "the other lane goes on: {started} starts in {round} rounds"
        );
    }
}

#[test]
fn a_single_place_is_shared_by_weight_over_time() {
    let mut machine = with_lanes(300, 1, LaneLimits::new(3));
    for _ in 0..50 {
        for (key, weight) in [(1, 1), (2, 2), (3, 5)] {
            submit(&mut machine, ms(0), lane(key).weight(weight)).unwrap();
        }
    }
    let mut started = Vec::new();
    for count in 1..=80_usize {
        started.append(&mut start_all(&mut machine, ms(0)));
        complete(&mut machine, ms(0), started[count - 1].0);
        for (share, weight) in shares::<3>(&started).into_iter().zip([1, 2, 5]) {
            let (have, ideal) = (share as f64, count as f64 * f64::from(weight) / 8.0);
            assert!((have - ideal).abs() <= 1.5, "{have} of {ideal} after {count} starts");
        }
    }
    assert_eq!(shares(&started), [10, 20, 50]);
}

#[test]
fn a_lane_that_was_away_has_no_credit() {
    let mut machine = with_lanes(100, 1, LaneLimits::new(2));
    let mut started = Vec::new();
    for round in 0..60 {
        submit(&mut machine, ms(0), lane(1)).unwrap();
        if round >= 30 {
            submit(&mut machine, ms(0), lane(2)).unwrap();
            submit(&mut machine, ms(0), lane(2)).unwrap();
        }
        started.append(&mut start_all(&mut machine, ms(0)));
        complete(&mut machine, ms(0), started[round].0);
    }
    assert_eq!(shares(&started), [45, 15], "half of the starts since it came");
}

#[test]
fn a_lane_is_served_by_priority_and_starves_no_task_of_its_own() {
    let mut machine = with_lanes(100, 1, LaneLimits::new(2));
    let terms = |priority| terms().lane(lane(1)).priority(priority);
    machine.submit(ms(0), offer(0), &terms(Priority::LOWEST)).unwrap();
    let order: Vec<u32> = (1..=10)
        .map(|job| {
            machine.submit(ms(0), offer(job), &terms(Priority::HIGHEST)).unwrap();
            let (attempt, job) = start_all(&mut machine, ms(0))[0];
            complete(&mut machine, ms(0), attempt);
            job
        })
        .collect();
    assert_eq!(order, [1, 2, 3, 4, 5, 6, 7, 0, 8, 9]);
}

#[test]
fn a_rate_of_a_lane_shuts_it_alone() {
    let mut machine = with_lanes(100, 9, LaneLimits::new(2));
    let limited = lane(1).rate(Rate::new(100, Duration::from_secs(1)).burst(2));
    for _ in 0..4 {
        submit(&mut machine, ms(0), limited).unwrap();
        submit(&mut machine, ms(0), lane(2)).unwrap();
    }
    let started = start_all(&mut machine, ms(0));
    assert_eq!(shares(&started), [2, 4]);
    assert_eq!(machine.next_wake(), Wake::At(ms(10), Reason::Timer));
    assert_eq!(machine.lane(1).unwrap().shut_until, Some(ms(10)));
    for at in [10, 20] {
        assert_eq!(machine.start_next(ms(at - 1)).map(|start| start.job), None);
        let _ = machine.advance(ms(at), 9);
        assert_eq!(jobs(&start_all(&mut machine, ms(at))), [1]);
    }
    // New terms count at once.
    submit(&mut machine, ms(21), lane(1)).unwrap();
    assert_eq!((machine.census().timers, jobs(&start_all(&mut machine, ms(21))).len()), (0, 1));
}

#[test]
fn the_rate_of_the_machine_and_a_hold() {
    let mut machine = machine(9, 9);
    machine.set_rate(ms(0), Some(Rate::new(100, Duration::from_secs(1))));
    for job in 0..4 {
        machine.submit(ms(0), offer(job), &terms()).unwrap();
    }
    assert_eq!(jobs(&start_all(&mut machine, ms(0))), [0]);
    assert_eq!(machine.health(ms(0)).hold, Hold::Rate);
    assert_eq!((machine.next_wake(), machine.free_room()), (Wake::At(ms(10), Reason::Timer), 6));
    machine.hold(ms(1), ms(30));
    let _ = machine.advance(ms(29), 9);
    assert_eq!(
        (jobs(&start_all(&mut machine, ms(29))), machine.health(ms(29)).hold),
        (Vec::new(), Hold::Held)
    );
    let _ = machine.advance(ms(30), 9);
    assert_eq!(jobs(&start_all(&mut machine, ms(30))), [1]);
    machine.set_rate(ms(31), None);
    assert_eq!((machine.census().timers, jobs(&start_all(&mut machine, ms(31)))), (0, [2, 3].into()));
}

#[test]
fn a_held_lane_exists_as_long_as_the_hold() {
    let mut machine = with_lanes(9, 9, LaneLimits::new(1));
    machine.hold_lane(ms(0), 1, ms(5)).unwrap();
    machine.hold_lane(ms(0), 1, ms(9)).unwrap();
    assert_eq!(machine.hold_lane(ms(0), 2, ms(5)), Err(HoldRefusal::Lanes));
    assert_eq!(machine.hold_lane(ms(0), 2, ms(0)), Ok(()), "nothing to hold");
    assert_eq!((machine.census().lanes, machine.census()), (1, machine.audit()));
    let _ = machine.advance(ms(8), 9);
    assert_eq!(machine.lane(1).map(|lane| lane.shut_until), Some(Some(ms(9))));
    machine.hold_lane(ms(8), 1, ms(8)).unwrap();
    assert!(machine.lane(1).is_none() && machine.census().is_empty());
}

#[test]
fn the_end_takes_lanes_and_holds_with_it() {
    for mode in [Drain::Abort, Drain::Cancel, Drain::Graceful(Duration::from_millis(5))] {
        let mut machine = with_lanes(9, 1, LaneLimits::new(3));
        machine.set_rate(ms(0), Some(Rate::new(1, Duration::from_secs(60))));
        machine.hold_lane(ms(0), 1, ms(90_000)).unwrap();
        machine.hold_lane(ms(0), 2, ms(90_000)).unwrap();
        for key in [2, 3, 3] {
            submit(&mut machine, ms(0), lane(key)).unwrap();
        }
        assert_eq!(jobs(&start_all(&mut machine, ms(0))), [3]);
        machine.drain(ms(0), mode);
        for at in 0..9 {
            while machine.advance(ms(at), 2).more {}
            while machine.poll_effect().is_some() {}
        }
        let _ = machine.advance(ms(9), 9);
        while machine.poll_effect().is_some() {}
        assert_eq!(machine.phase(), Phase::Drained, "{mode:?}");
        assert!(machine.census().is_empty() && machine.audit().is_empty());
        assert_eq!(machine.hold_lane(ms(9), 1, ms(99)), Err(HoldRefusal::Closed));
    }
}
