//! Sleeps of running attempts.

use super::*;

/// A machine that allows two sleeps an attempt, and a running attempt.
fn running(concurrency: u32) -> (Machine, AttemptId) {
    let mut machine = Machine::new(Limits { sleeps: 2, ..limits(4, concurrency) }, ms(0)).unwrap();
    machine.submit(ms(0), offer(1), &terms().retry(Retry::NONE.attempts(2))).unwrap();
    let attempt = machine.start_next(ms(0)).unwrap().attempt;
    (machine, attempt)
}

/// The waiters that effects wake.
fn woken(machine: &mut Machine) -> Vec<u32> {
    assert_eq!(machine.census(), machine.audit());
    let effects = core::iter::from_fn(|| machine.poll_effect());
    effects.filter_map(|effect| if let Effect::Wake(waiter) = effect { Some(waiter) } else { None }).collect()
}

#[test]
fn a_sleep_wakes_its_waiter_when_the_time_has_come() {
    let (mut machine, attempt) = running(1);
    let sleep = machine.sleep(ms(0), attempt, ms(5), 70).unwrap();
    assert_eq!((machine.next_wake(), machine.census().sleeps), (Wake::At(ms(5), Reason::Timer), 1));
    assert_eq!(machine.resleep(ms(4), sleep, 71), SleepStatus::Sleeping(Some(70)));
    let _ = machine.advance(ms(5), 10);
    assert_eq!(woken(&mut machine), [71]);
    assert_eq!(machine.resleep(ms(5), sleep, 72), SleepStatus::Over(72, None));
    assert_eq!(machine.resleep(ms(5), sleep, 73), SleepStatus::Gone(73));
    assert_eq!((machine.census().sleeps, machine.census().timers), (0, 0));
}

#[test]
fn a_sleep_is_over_at_its_time_even_before_its_timer_fires() {
    let (mut machine, attempt) = running(1);
    let sleep = machine.sleep(ms(0), attempt, ms(5), 70).unwrap();
    assert_eq!(machine.resleep(ms(5), sleep, 71), SleepStatus::Over(71, Some(70)));
    let past = machine.sleep(ms(9), attempt, ms(9), 72).unwrap();
    assert_eq!(machine.next_wake(), Wake::Now(Reason::Effect));
    assert_eq!(machine.resleep(ms(9), past, 73), SleepStatus::Over(73, Some(72)));
    assert_eq!((woken(&mut machine), machine.census().timers), (Vec::new(), 0));
}

#[test]
fn one_sleep_too_many_is_refused_and_an_ended_one_makes_room() {
    let (mut machine, attempt) = running(1);
    let first = machine.sleep(ms(0), attempt, ms(5), 70).unwrap();
    let second = machine.sleep(ms(0), attempt, ms(6), 71).unwrap();
    let refused = machine.sleep(ms(0), attempt, ms(7), 72).unwrap_err();
    assert_eq!((refused.reason, refused.into_value()), (SleepRefusal::Full, 72));
    assert_eq!((machine.end_sleep(first), machine.end_sleep(first)), (Some(Some(70)), None));
    let third = machine.sleep(ms(0), attempt, ms(1), 73).unwrap();
    assert_eq!((machine.end_sleep(third), machine.end_sleep(second)), (Some(Some(73)), Some(Some(71))));
    assert_eq!((machine.census().timers, machine.audit().sleeps), (0, 0));
    let ledger = machine.ledger().sleeps;
    assert_eq!((ledger.entered, ledger.left, ledger.highest, ledger.bound), (3, 3, 2, 2));
}

#[test]
fn sleeps_end_with_their_attempt_in_every_way() {
    type End = fn(&mut Machine, AttemptId);
    let ends: [End; 6] = [
        |machine, attempt| machine.completed(ms(1), attempt, 2).unwrap(),
        |machine, attempt| drop(machine.failed(ms(1), attempt, 2, None, None, &Message::default()).unwrap()),
        |machine, attempt| {
            drop(machine.failed(ms(1), attempt, 2, Some(1), None, &Message::default()).unwrap())
        },
        |machine, attempt| drop(machine.panicked(ms(1), attempt, 2, None, &Message::default()).unwrap()),
        |machine, attempt| drop(machine.stopped(ms(1), attempt, None).unwrap()),
        |machine, _| {
            machine.drain(ms(1), Drain::Abort);
            let _ = machine.advance(ms(1), 100);
        },
    ];
    for end in ends {
        let (mut machine, attempt) = running(1);
        let due = machine.sleep(ms(0), attempt, ms(0), 70).unwrap();
        let asleep = machine.sleep(ms(0), attempt, ms(500), 71).unwrap();
        end(&mut machine, attempt);
        assert_eq!(machine.resleep(ms(1), due, 72), SleepStatus::Gone(72));
        assert_eq!((machine.end_sleep(asleep), machine.census().sleeps), (None, 2));
        let refused = machine.sleep(ms(1), attempt, ms(2), 73).unwrap_err();
        assert_eq!((refused.reason, refused.into_value()), (SleepRefusal::Over, 73));
        assert_eq!((woken(&mut machine), machine.audit().sleeps), ([70, 71].into(), 0));
    }
}

#[test]
fn an_attempt_that_is_asked_to_stop_sleeps_no_more() {
    let (mut machine, _) = running(2);
    let task = machine.submit(ms(0), offer(2), &terms()).unwrap();
    let attempt = machine.start_next(ms(0)).unwrap().attempt;
    let sleep = machine.sleep(ms(0), attempt, ms(500), 70).unwrap();
    machine.cancel(ms(1), task).unwrap();
    assert_eq!(machine.resleep(ms(1), sleep, 71), SleepStatus::Gone(71));
    assert_eq!(machine.sleep(ms(1), attempt, ms(2), 72).unwrap_err().reason, SleepRefusal::Over);
    assert_eq!((woken(&mut machine), machine.census().orphans), ([70].into(), 1));
}

#[test]
fn waiters_that_are_not_woken_keep_only_their_slots() {
    let (mut machine, mut attempt) = running(1);
    for round in 0..2 {
        machine.sleep(ms(round), attempt, ms(500), 70).unwrap();
        machine.completed(ms(round), attempt, 0).unwrap();
        machine.submit(ms(round), offer(1), &terms()).unwrap();
        attempt = machine.start_next(ms(round)).unwrap().attempt;
    }
    assert_eq!(machine.sleep(ms(2), attempt, ms(500), 71).unwrap_err().reason, SleepRefusal::Full);
    assert_eq!(woken(&mut machine), [70, 70]);
    assert!(machine.sleep(ms(2), attempt, ms(500), 71).is_ok());
}

#[test]
fn no_sleeps_are_legal() {
    let mut machine = Machine::new(Limits { sleeps: 0, ..limits(4, 1) }, ms(0)).unwrap();
    assert_eq!(machine.limits().footprint::<Numbers>().sleeps, 0);
    machine.submit(ms(0), offer(1), &terms()).unwrap();
    let attempt = machine.start_next(ms(0)).unwrap().attempt;
    assert_eq!(machine.sleep(ms(0), attempt, ms(5), 70).unwrap_err().reason, SleepRefusal::Full);
    let most = Limits { sleeps: 9, unclaimed: Some(0), ..limits(4, 1 << 27) }.check().unwrap_err();
    assert_eq!(most.field, "concurrency * sleeps");
}
