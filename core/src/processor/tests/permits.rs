//! Permits for room, and the line of waiters for one.

use super::*;
use core::num::NonZeroU32;

fn places(count: u32) -> NonZeroU32 {
    NonZeroU32::new(count).unwrap()
}

#[test]
fn room_is_granted_in_order() {
    let mut machine = machine(1, 1);
    for job in 0..2 {
        machine.submit(ms(0), offer(job), &terms()).unwrap();
    }
    let first = machine.wait_for_room(ms(0), 100, places(1)).unwrap();
    let second = machine.wait_for_room(ms(0), 200, places(1)).unwrap();
    let start = machine.start_next(ms(0)).unwrap();
    machine.completed(ms(0), start.attempt, 0).unwrap();
    assert_eq!(effects(&mut machine), ["Settle", "Wake"]);
    assert_eq!(
        machine.submit(ms(0), offer(9), &terms()).unwrap_err().reason,
        Refusal::Full,
        "nobody overtakes"
    );
    assert!(matches!(machine.rewait(first, 101), RoomStatus::Granted(101)));
    assert!(matches!(machine.rewait(second, 201), RoomStatus::Waiting(Some(200))));
    let early = machine.reserved(ms(0), second).submit(offer(9), &terms()).unwrap_err();
    assert_eq!(early.reason, PermitRefusal::NotGranted);
    assert_eq!(machine.leave(ms(0), first), Some(None));
    assert_eq!(effects(&mut machine), ["Wake"], "a permit that is given back goes to the next");
    machine.reserved(ms(0), second).submit(offer(9), &terms()).unwrap();
    assert_eq!((machine.census().waiters, machine.census().permits), (0, 0));
}

#[test]
fn room_for_many_is_granted_one_effect_at_a_time() {
    let mut limits = limits(0, 9);
    limits.orphans = 1;
    let mut machine = Machine::new(limits, ms(0)).unwrap();
    let task = machine.submit(ms(0), offer(0), &terms()).unwrap();
    let start = machine.start_next(ms(0)).unwrap();
    machine.cancel(ms(0), task).unwrap();
    assert_eq!(effects(&mut machine), ["Stop", "Settle"]);
    for waiter in 0..12 {
        machine.wait_for_room(ms(0), waiter, places(1)).unwrap();
    }
    let _ = machine.stopped(ms(0), start.attempt, None).unwrap();
    for granted in 0..9 {
        assert_eq!(machine.census().permits, granted);
        assert!(matches!(machine.poll_effect(), Some(Effect::Wake(waiter)) if waiter == granted));
    }
    assert!(!machine.has_effect() && machine.poll_effect().is_none());
}

#[test]
fn each_place_of_a_permit_is_one_task_and_the_last_one_ends_it() {
    let mut machine = machine(2, 1);
    let permit = machine.reserve(ms(0), places(3)).unwrap();
    assert_eq!((machine.free_room(), machine.census().permits), (0, 3));
    assert_eq!(machine.submit(ms(0), offer(9), &terms()).unwrap_err().reason, Refusal::Full);
    for held in [2, 1, 0] {
        machine.reserved(ms(0), permit).submit(for_handle(held), &terms()).unwrap();
        assert_eq!((machine.census().permits, machine.audit().permits), (held, held));
    }
    let over = machine.reserved(ms(0), permit).submit(for_handle(9), &terms()).unwrap_err();
    assert_eq!((over.reason, over.into_value().job), (PermitRefusal::NotGranted, 9));
    assert_eq!((machine.census().waiters, machine.totals().offered), (0, 4));
    let ledger = machine.ledger();
    assert_eq!((ledger.permits.entered, ledger.permits.left, ledger.permits.highest), (3, 3, 3));
    assert_eq!((ledger.permits.bound, ledger.waiters.entered, ledger.waiters.left), (3, 1, 1));
}

#[test]
fn many_tasks_are_submitted_with_one_look_at_their_permit() {
    let mut limits = limits(4, 1);
    limits.attempts = 1;
    let mut machine = Machine::new(limits, ms(0)).unwrap();
    let permit = machine.reserve(ms(0), places(3)).unwrap();
    let greedy = terms().retry(Retry::times(1));
    let mut reserved = machine.reserved(ms(3), permit);
    let task = reserved.submit(for_handle(1), &terms()).unwrap();
    let refused = reserved.submit(for_handle(2), &greedy).unwrap_err();
    assert_eq!((refused.reason, reserved.left()), (PermitRefusal::Task(Refusal::Attempts), 2));
    assert_eq!((machine.now(), machine.census().permits, machine.audit().permits), (ms(3), 2, 2));
    let mut reserved = machine.reserved(ms(3), permit);
    assert!((0..2).all(|job| reserved.submit(offer(job), &terms()).is_ok()));
    let over = reserved.submit(offer(9), &terms()).unwrap_err();
    assert_eq!((over.reason, over.into_value().job, reserved.left()), (PermitRefusal::NotGranted, 9, 0));
    assert_eq!((machine.census().permits, machine.census().waiters, machine.free_room()), (0, 0, 2));
    let other = machine.reserve(ms(3), places(1)).unwrap();
    assert_eq!(machine.reserved(ms(3), permit).left(), 0, "the slot is another's now");
    assert_eq!(machine.start_next(ms(3)).map(|start| start.task), Some(task));
    machine.drain(ms(3), Drain::Cancel);
    let mut reserved = machine.reserved(ms(3), other);
    let refused = reserved.submit(offer(4), &terms()).unwrap_err();
    assert_eq!(refused.reason, PermitRefusal::Task(Refusal::Closed));
}

#[test]
fn the_places_of_a_permit_count_as_unclaimed() {
    let mut limits = limits(4, 1);
    limits.unclaimed = Some(3);
    let mut machine = Machine::new(limits, ms(0)).unwrap();
    let permit = machine.reserve(ms(0), places(2)).unwrap();
    machine.submit(ms(0), for_handle(1), &terms()).unwrap();
    assert_eq!(machine.submit(ms(0), for_handle(2), &terms()).unwrap_err().reason, Refusal::Unclaimed);
    assert_eq!(machine.refusal(&Route::Handle, &terms()), Some(Refusal::Unclaimed));
    assert_eq!(machine.reserve(ms(0), places(1)), Err(ReserveRefusal::Unclaimed));
    machine.reserved(ms(0), permit).submit(for_handle(3), &terms()).unwrap();
    machine.reserved(ms(0), permit).submit(offer(4), &terms()).unwrap();
    machine.submit(ms(0), for_handle(5), &terms()).unwrap();
    assert_eq!(machine.census().handles, 3);
}

#[test]
fn a_refused_submission_leaves_the_permit_as_it_is() {
    let mut limits = limits(4, 1);
    (limits.delayed, limits.attempts) = (1, 2);
    let mut machine = Machine::new(limits, ms(0)).unwrap();
    let permit = machine.reserve(ms(0), places(2)).unwrap();
    let delayed = terms().delay(Duration::from_millis(5));
    machine.reserved(ms(0), permit).submit(offer(1), &delayed).unwrap();
    let greedy = terms().retry(Retry::times(2));
    for (route, terms, reason) in [
        (Route::Nowhere, delayed, Refusal::Delayed),
        (Route::Nowhere, greedy, Refusal::Attempts),
        (Route::Retain, terms(), Refusal::NotRetained),
    ] {
        let refused = machine.reserved(ms(0), permit).submit(offer(2).route(route), &terms).unwrap_err();
        assert_eq!((refused.reason, machine.census().permits), (PermitRefusal::Task(reason), 1));
    }
    machine.drain(ms(0), Drain::Cancel);
    let refused = machine.reserved(ms(0), permit).submit(offer(2), &terms()).unwrap_err();
    assert_eq!(refused.reason, PermitRefusal::Task(Refusal::Closed));
    assert_eq!((machine.totals().offered, machine.totals().refused), (5, 4));
}

#[test]
fn a_delayed_task_uses_a_place_though_everything_else_is_full() {
    let mut limits = limits(1, 1);
    limits.delayed = 1;
    let mut machine = Machine::new(limits, ms(0)).unwrap();
    let delayed = terms().delay(Duration::from_millis(5));
    machine.submit(ms(0), offer(0), &delayed).unwrap();
    let _ = machine.advance(ms(5), 10);
    // A task that fell due, and a place of a permit: one more delayed task takes the last room.
    let permit = machine.reserve(ms(5), places(1)).unwrap();
    machine.submit(ms(5), offer(1), &delayed).unwrap();
    assert_eq!(machine.submit(ms(5), offer(2), &delayed).unwrap_err().reason, Refusal::Delayed);
    let _ = machine.advance(ms(10), 10);
    assert_eq!(machine.submit(ms(10), offer(2), &delayed).unwrap_err().reason, Refusal::Delayed);
    machine.reserved(ms(10), permit).submit(offer(2), &delayed).unwrap();
    assert_eq!((machine.census().queued, machine.census().delayed), (2, 1));
}

#[test]
fn a_permit_is_refused_with_the_reason() {
    let mut small = limits(2, 1);
    small.waiters = 1;
    let mut machine = Machine::new(small, ms(0)).unwrap();
    assert_eq!(machine.reserve(ms(0), places(4)), Err(ReserveRefusal::TooMany));
    let many = machine.wait_for_room(ms(0), 70, places(4)).unwrap_err();
    assert_eq!((many.reason, many.into_value()), (WaitRefusal::TooMany, 70));
    let permit = machine.reserve(ms(0), places(1)).unwrap();
    assert_eq!(machine.reserve(ms(0), places(1)), Err(ReserveRefusal::Waiters));
    assert_eq!(machine.wait_for_room(ms(0), 70, places(1)).unwrap_err().reason, WaitRefusal::Waiters);
    assert_eq!(machine.reserve(ms(0), places(3)), Err(ReserveRefusal::Full));
    assert_eq!(machine.leave(ms(0), permit), Some(None));
    machine.drain(ms(0), Drain::Cancel);
    assert_eq!(machine.reserve(ms(0), places(1)), Err(ReserveRefusal::Closed));
    assert_eq!(machine.wait_for_room(ms(0), 70, places(1)).unwrap_err().reason, WaitRefusal::Closed);

    let none = Limits { unclaimed: Some(0), delayed: 0, ..limits(0, 1) };
    let mut machine = Machine::new(none, ms(0)).unwrap();
    assert_eq!(machine.reserve(ms(0), places(1)), Err(ReserveRefusal::TooMany), "it takes no handle");

    let tight = Limits { unclaimed: Some(1), delayed: 0, ..limits(0, 1) };
    let mut machine = Machine::new(tight, ms(0)).unwrap();
    for job in 0..2 {
        let task = machine.submit(ms(0), offer(job), &terms()).unwrap();
        let _ = machine.cancel(ms(0), task).unwrap();
    }
    assert_eq!(machine.reserve(ms(0), places(1)), Err(ReserveRefusal::Backlog));
    assert_eq!(effects(&mut machine), ["Settle", "Settle"]);
    assert!(machine.reserve(ms(0), places(1)).is_ok());
}

#[test]
fn places_that_are_given_back_go_to_the_next_in_line() {
    let mut machine = machine(2, 1);
    let permit = machine.reserve(ms(0), places(3)).unwrap();
    let waiting = machine.wait_for_room(ms(0), 70, places(2)).unwrap();
    let behind = machine.wait_for_room(ms(0), 71, places(1)).unwrap();
    assert_eq!((machine.give_back(ms(0), permit, 1), machine.give_back(ms(0), waiting, 1)), (1, 0));
    assert_eq!(effects(&mut machine), Vec::<&str>::new(), "one is not enough, and nobody overtakes");
    assert_eq!(machine.reserve(ms(0), places(1)), Err(ReserveRefusal::Full));
    assert_eq!(machine.give_back(ms(0), permit, 9), 2);
    assert_eq!(effects(&mut machine), ["Wake", "Wake"]);
    assert_eq!((machine.leave(ms(0), permit), machine.census().permits), (None, 3));
    assert_eq!(machine.rewait(waiting, 72), RoomStatus::Granted(72));
    assert_eq!(machine.rewait(behind, 73), RoomStatus::Granted(73));
    assert_eq!((machine.leave(ms(0), waiting), machine.free_room()), (Some(None), 2));
}

#[test]
fn a_waiter_for_room_is_denied_if_too_many_outcomes_are_unclaimed() {
    let mut limits = limits(1, 1);
    limits.unclaimed = Some(2);
    let mut machine = Machine::new(limits, ms(0)).unwrap();
    let tasks = [0, 1].map(|job| machine.submit(ms(0), for_handle(job), &terms()).unwrap());
    let [first, second] = [70, 71].map(|waiter| machine.wait_for_room(ms(0), waiter, places(1)).unwrap());
    let start = machine.start_next(ms(0)).unwrap();
    machine.completed(ms(0), start.attempt, 0).unwrap();
    assert_eq!(effects(&mut machine), ["Wake", "Wake"], "there is room, and nobody may have it");
    assert_eq!((machine.census().waiters, machine.census().permits), (2, 0));
    assert_eq!(
        machine.reserved(ms(0), first).submit(offer(2), &terms()).unwrap_err().reason,
        PermitRefusal::NotGranted
    );
    assert_eq!(machine.rewait(first, 72), RoomStatus::Unclaimed(72));
    assert_eq!(machine.rewait(first, 73), RoomStatus::Gone(73));
    assert_eq!(machine.leave(ms(0), second), Some(None), "one that does not ask can leave");
    let again = machine.wait_for_room(ms(0), 74, places(1)).unwrap();
    assert!(machine.try_claim(tasks[0]).is_some());
    assert_eq!(effects(&mut machine), ["Wake"]);
    assert_eq!(machine.rewait(again, 75), RoomStatus::Granted(75));
}

#[test]
fn a_drain_takes_permits_and_sends_those_in_line_away() {
    let mut limits = limits(1, 1);
    limits.unclaimed = Some(2);
    let mut machine = Machine::new(limits, ms(0)).unwrap();
    let held = machine.reserve(ms(0), places(2)).unwrap();
    machine.wait_for_room(ms(0), 70, places(1)).unwrap();
    machine.drain(ms(0), Drain::Cancel);
    let _ = machine.advance(ms(0), 100);
    assert!(matches!(machine.poll_effect(), Some(Effect::Wake(70))));
    assert!(matches!(machine.poll_effect(), Some(Effect::Drained)));
    let remains = machine.remains().unwrap();
    assert_eq!((remains.waiters, machine.leave(ms(0), held)), (2, None));
    assert!(machine.audit().is_empty() && machine.ledger().permits.live() == 0);
}
