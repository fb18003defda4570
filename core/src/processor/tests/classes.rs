//! Priority classes that are paused.

use super::*;

const URGENT: Priority = Priority::new(0);
const USUAL: Priority = Priority::new(4);
const LOW: Priority = Priority::new(7);

/// Machines without and with lanes, which behave in the same way if no task has a lane.
fn machines() -> [Machine; 2] {
    [0, 3]
        .map(|lanes| Machine::new(Limits { lanes: LaneLimits::new(lanes), ..limits(40, 20) }, ms(0)).unwrap())
}

/// Starts all that can be started, and returns the jobs.
fn start_all(machine: &mut Machine) -> Vec<u32> {
    let started = core::iter::from_fn(|| machine.start_next(ms(0)).map(|start| start.job)).collect();
    assert_eq!((machine.startable(), machine.census()), (0, machine.audit()));
    started
}

#[test]
fn a_paused_class_waits_and_others_start() {
    for mut machine in machines() {
        for (job, priority) in [(0, LOW), (1, USUAL), (2, URGENT), (3, USUAL)] {
            machine.submit(ms(0), offer(job), &terms().priority(priority)).unwrap();
        }
        assert!(machine.pause_class(ms(0), USUAL, 64));
        assert!(machine.pause_class(ms(0), USUAL, 64));
        assert_eq!((machine.startable(), machine.health(ms(0)).hold), (2, Hold::Classes));
        assert_eq!(start_all(&mut machine), [2, 0]);
        machine.submit(ms(0), offer(4), &terms().priority(USUAL)).unwrap();
        assert_eq!((machine.census().queued, machine.next_wake()), (3, Wake::Never));
        assert!(machine.resume_class(ms(0), USUAL, 64));
        assert_eq!((machine.startable(), machine.health(ms(0)).hold), (3, Hold::None));
        assert_eq!(start_all(&mut machine), [1, 3, 4]);
    }
}

#[test]
fn a_task_leaves_a_paused_class_with_its_priority() {
    for mut machine in machines() {
        assert!(machine.pause_class(ms(0), LOW, 64));
        let task = machine.submit(ms(0), offer(1), &terms().priority(LOW)).unwrap();
        assert_eq!(start_all(&mut machine), []);
        machine.set_priority(ms(0), task, USUAL).unwrap();
        assert_eq!(start_all(&mut machine), [1]);
    }
}

#[test]
fn no_paused_class_has_a_fair_turn() {
    for mut machine in machines() {
        machine.submit(ms(0), offer(99), &terms().priority(LOW)).unwrap();
        assert!(machine.pause_class(ms(0), LOW, 64));
        for job in 0..2 * Priority::FAIR_EVERY {
            machine.submit(ms(0), offer(job), &terms()).unwrap();
        }
        let expected: Vec<u32> = (0..2 * Priority::FAIR_EVERY).collect();
        assert_eq!(start_all(&mut machine), expected);
    }
}

#[test]
fn a_paused_class_times_out_is_cleared_and_gives_way() {
    let overflow = Overflow::DropOldest;
    let mut machine = Machine::new(Limits { overflow, ..limits(2, 1) }, ms(0)).unwrap();
    assert!(machine.pause_class(ms(0), LOW, 64));
    let low = terms().priority(LOW);
    let soon = Timeouts { schedule_to_start: Some(Duration::from_millis(5)), ..Timeouts::NONE };
    machine.submit(ms(0), offer(1), &low.timeouts(soon)).unwrap();
    let _ = machine.advance(ms(6), 64);
    assert_eq!(machine.totals().settled.expired, 1);
    for job in 2..6 {
        machine.submit(ms(6), offer(job), &low).unwrap();
    }
    assert_eq!(
        (machine.totals().settled.shed, machine.census().queued),
        (1, 3),
        "as many as without a pause"
    );
    assert_eq!(machine.clear(ms(6), Scope::All, 64), 3);
}

#[test]
fn a_lane_with_paused_tasks_only_is_passed_over() {
    let mut machine = Machine::new(Limits { lanes: LaneLimits::new(2), ..limits(9, 9) }, ms(0)).unwrap();
    for (job, key, priority) in [(0, 1, LOW), (1, 2, USUAL), (2, 1, LOW), (3, 1, USUAL), (4, 2, LOW)] {
        let one = Lane::new(key).concurrency(2);
        machine.submit(ms(0), offer(job), &terms().priority(priority).lane(one)).unwrap();
    }
    assert!(machine.pause_class(ms(0), LOW, 64));
    assert_eq!((machine.startable(), machine.census()), (2, machine.audit()));
    let mut started = start_all(&mut machine);
    started.sort_unstable();
    assert_eq!(started, [1, 3]);
    assert!(machine.resume_class(ms(0), LOW, 64));
    assert_eq!(machine.startable(), 2, "each lane has one place left");
    assert_eq!(start_all(&mut machine).len(), 2);
}

#[test]
fn a_pause_reaches_as_many_lanes_as_its_budget() {
    let mut machine = Machine::new(Limits { lanes: LaneLimits::new(9), ..limits(9, 9) }, ms(0)).unwrap();
    let submit = |machine: &mut Machine, key: u32| {
        machine.submit(ms(0), offer(key), &terms().priority(LOW).lane(Lane::new(key.into()))).unwrap();
    };
    (0..4).for_each(|key| submit(&mut machine, key));
    // The lane of tasks without a key is the first, and has none.
    assert!(!machine.pause_class(ms(0), LOW, 3));
    assert!(machine.is_class_paused(LOW) && machine.startable() == 2);
    submit(&mut machine, 4);
    assert_eq!(
        (machine.startable(), machine.census()),
        (2, machine.audit()),
        "a new lane has it from the beginning"
    );
    assert_eq!(start_all(&mut machine), [2, 3]);
    assert!(!machine.pause_class(ms(0), LOW, 0));
    assert!(machine.pause_class(ms(0), LOW, 64) && machine.startable() == 0);
    assert!(!machine.resume_class(ms(0), LOW, 2) && machine.startable() == 1);
    assert!(!machine.pause_class(ms(0), LOW, 1), "it begins again");
    assert!(machine.resume_class(ms(0), LOW, 64));
    assert_eq!(start_all(&mut machine), [0, 1, 4]);
}
