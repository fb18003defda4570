//! Shed tasks, clears, and changes of priority.

use super::*;

fn with_overflow(queue: u32, concurrency: u32, overflow: Overflow) -> Machine {
    Machine::new(Limits { overflow, ..limits(queue, concurrency) }, ms(0)).unwrap()
}

/// The jobs of the tasks that have settled as shed.
fn shed(machine: &mut Machine) -> Vec<u32> {
    assert_eq!(machine.census(), machine.audit());
    let effects = core::iter::from_fn(|| machine.poll_effect());
    effects
        .map(|effect| match effect {
            Effect::Settle(Settlement { outcome: Outcome::Shed, job: Some(job), .. }) => job,
            other => panic!("not shed: {other:?}"),
        })
        .collect()
}

/// The jobs that are queued, in the order in which they are started one by one.
fn queued(machine: &mut Machine) -> Vec<u32> {
    let start = || {
        let start = machine.start_next(ms(0))?;
        machine.completed(ms(0), start.attempt, 0).unwrap();
        Some(start.job)
    };
    core::iter::from_fn(start).collect()
}

#[test]
fn the_oldest_gives_way() {
    let mut machine = with_overflow(2, 1, Overflow::DropOldest);
    for job in 0..5 {
        machine.submit(ms(0), offer(job), &terms()).unwrap();
    }
    assert_eq!(shed(&mut machine), [0, 1]);
    assert_eq!(queued(&mut machine), [2, 3, 4]);
    let totals = machine.totals();
    assert_eq!((totals.admitted, totals.settled.shed, totals.refused), (5, 2, 0));
}

#[test]
fn the_lowest_gives_way_to_a_higher_one_only() {
    let mut machine = with_overflow(3, 1, Overflow::DropLowest);
    let at = |class| terms().priority(Priority::new(class));
    for (job, class) in [(0, 4), (1, 6), (2, 6), (3, 2)] {
        machine.submit(ms(0), offer(job), &at(class)).unwrap();
    }
    assert_eq!(machine.submit(ms(0), offer(4), &at(6)).unwrap_err().reason, Refusal::Full);
    machine.submit(ms(0), offer(5), &at(5)).unwrap();
    machine.try_submit(ms(0), offer(6), &at(0)).unwrap();
    assert_eq!(shed(&mut machine), [2, 1]);
    assert_eq!(machine.submit(ms(0), offer(7), &at(5)).unwrap_err().reason, Refusal::Full);
    assert_eq!(queued(&mut machine), [6, 3, 0, 5]);
}

#[test]
fn nothing_gives_way_in_vain() {
    for overflow in [Overflow::Refuse, Overflow::DropOldest] {
        let mut limits = Limits { overflow, unclaimed: Some(0), ..limits(2, 1) };
        limits.delayed = 0;
        let mut machine = Machine::new(limits, ms(0)).unwrap();
        for job in 0..3 {
            machine.submit(ms(0), offer(job), &terms()).unwrap();
        }
        // No slot is free, and one that is shed keeps its own until its settlement is taken.
        let refused = machine.submit(ms(0), offer(3), &terms()).unwrap_err();
        assert_eq!(refused.reason, Refusal::Full);
        assert_eq!(machine.submit(ms(0), for_handle(3), &terms()).unwrap_err().reason, Refusal::Unclaimed);
        assert_eq!((machine.census().queued, machine.totals().settled.total()), (3, 0));
    }
    let mut machine = with_overflow(2, 1, Overflow::DropOldest);
    let one = core::num::NonZeroU32::MIN;
    for job in 0..3 {
        machine.submit(ms(0), offer(job), &terms()).unwrap();
    }
    machine.wait_for_room(ms(0), 70, one).unwrap();
    assert_eq!(machine.submit(ms(0), offer(3), &terms()).unwrap_err().reason, Refusal::Full);
}

#[test]
fn a_full_lane_sheds_its_own() {
    let lanes = LaneLimits::new(2).queue(1);
    let limits = Limits { overflow: Overflow::DropOldest, lanes, ..limits(9, 1) };
    let mut machine = Machine::new(limits, ms(0)).unwrap();
    let [one, other] = [1, 2].map(|key| terms().lane(Lane::new(key).concurrency(1)));
    machine.submit(ms(0), offer(0), &other).unwrap();
    for job in 1..5 {
        machine.submit(ms(0), offer(job), &one).unwrap();
    }
    assert_eq!(shed(&mut machine), [1, 2]);
    // A place of a permit is no reason to shed for the queue, but the lane is full all the same.
    let permit = machine.reserve(ms(0), core::num::NonZeroU32::MIN).unwrap();
    machine.reserved(ms(0), permit).submit(offer(5), &one).unwrap();
    assert_eq!(shed(&mut machine), [3]);
}

#[test]
fn a_part_of_the_queue_is_cleared() {
    let mut machine = Machine::new(Limits { lanes: LaneLimits::new(3), ..limits(9, 1) }, ms(0)).unwrap();
    let low = terms().priority(Priority::LOWEST);
    for (job, terms) in [
        (0, terms()),
        (1, low),
        (2, low.lane(Lane::new(7))),
        (3, terms().lane(Lane::new(7))),
        (4, terms().lane(Lane::new(8))),
        (5, terms().delay(Duration::from_millis(1))),
    ] {
        machine.submit(ms(0), offer(job), &terms).unwrap();
    }
    let jobs = |machine: &mut Machine| {
        let effects = core::iter::from_fn(|| machine.poll_effect());
        effects
            .map(|effect| match effect {
                Effect::Settle(Settlement { outcome, job: Some(job), .. }) => {
                    assert_eq!(outcome, Outcome::Cancelled(Some(CancelReason::CLEARED)));
                    job
                }
                other => panic!("{other:?}"),
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(
        (machine.clear(ms(0), Scope::Class(Priority::LOWEST), 1), jobs(&mut machine)),
        (1, [1].into())
    );
    assert_eq!((machine.clear(ms(0), Scope::Lane(7), 9), jobs(&mut machine)), (2, [2, 3].into()));
    assert_eq!(machine.clear(ms(0), Scope::Lane(7), 9), 0);
    assert_eq!((machine.clear(ms(0), Scope::All, 9), jobs(&mut machine)), (2, [0, 4].into()));
    assert_eq!((machine.census().delayed, machine.census()), (1, machine.audit()));
}

#[test]
fn a_waiting_task_changes_its_class() {
    let mut machine = machine(9, 1);
    let ids = [0, 1, 2].map(|job| machine.submit(ms(0), offer(job), &terms()).unwrap());
    let later = terms().delay(Duration::from_millis(1));
    let delayed = machine.submit(ms(0), for_handle(3), &later).unwrap();
    machine.set_priority(ms(0), ids[0], Priority::LOWEST).unwrap();
    machine.set_priority(ms(0), ids[2], Priority::HIGHEST).unwrap();
    machine.set_priority(ms(0), ids[1], Priority::NORMAL).unwrap();
    machine.set_priority(ms(0), delayed, Priority::new(3)).unwrap();
    let _ = machine.advance(ms(1), 9);
    assert_eq!(machine.census(), machine.audit());
    assert_eq!(queued(&mut machine), [2, 3, 1, 0]);
    assert_eq!(machine.set_priority(ms(1), delayed, Priority::LOWEST), Err(PriorityRefusal::NotWaiting));
    assert!(machine.try_claim(delayed).is_some());
    assert_eq!(machine.set_priority(ms(1), delayed, Priority::LOWEST), Err(PriorityRefusal::NotFound));
}
