//! Tasks that are admitted, and tasks that are refused.

use super::*;

#[test]
fn a_queue_of_zero_admits_tasks_that_can_start_at_once() {
    let mut machine = machine(0, 2);
    for job in 0..2 {
        machine.submit(ms(0), offer(job), &terms()).unwrap();
    }
    let refused = machine.submit(ms(0), offer(2), &terms()).unwrap_err();
    assert_eq!((refused.reason, refused.into_value().job), (Refusal::Full, 2));
    let start = machine.start_next(ms(0)).unwrap();
    assert_eq!(machine.submit(ms(0), offer(3), &terms()).unwrap_err().reason, Refusal::Full);
    machine.completed(ms(1), start.attempt, 0).unwrap();
    assert!(machine.submit(ms(1), offer(4), &terms()).is_ok());
}

#[test]
fn unclaimed_outcomes_count_against_admission() {
    let mut limits = limits(4, 1);
    limits.unclaimed = Some(1);
    let mut machine = Machine::new(limits, ms(0)).unwrap();
    let task = machine.submit(ms(0), for_handle(1), &terms()).unwrap();
    let refused = machine.submit(ms(0), for_handle(2), &terms()).unwrap_err();
    assert_eq!(refused.reason, Refusal::Unclaimed);
    let _ = machine.release(ms(0), task);
    assert!(machine.submit(ms(0), for_handle(2), &terms()).is_ok());
}

#[test]
fn delayed_tasks_do_not_shut_out_work_for_now() {
    let mut machine = machine(10, 1);
    let later = terms().delay(Duration::from_secs(3_600));
    for job in 0..14 {
        machine.submit(ms(0), offer(job), &later).unwrap();
    }
    assert_eq!((machine.free_room(), machine.health(ms(0)).saturation), (11, 0));
    for job in 0..11 {
        machine.submit(ms(0), offer(job), &terms()).unwrap();
    }
    assert_eq!(machine.submit(ms(0), offer(11), &terms()).unwrap_err().reason, Refusal::Full);
    assert!(machine.submit(ms(0), offer(12), &later).is_ok(), "and nor does work for now shut it out");
    assert_eq!(machine.health(ms(0)).saturation, 1_000);
}

#[test]
fn tasks_that_back_off_do_not_shut_out_work_for_now() {
    let mut machine = machine(10, 14);
    let retry = Retry::NONE.attempts(2).base(Duration::from_secs(60));
    for job in 0..14 {
        machine.submit(ms(0), offer(job), &terms().retry(retry)).unwrap();
    }
    while let Some(start) = machine.start_next(ms(0)) {
        let _ = machine.failed(ms(0), start.attempt, 9, Some(start.job), None, &"no".into()).unwrap();
    }
    assert_eq!((machine.census().backoff, machine.free_room()), (14, 24));
    let later = ms(100_000);
    let _ = machine.advance(later, 100);
    assert_eq!((machine.census().queued, machine.free_room()), (14, 10));
}

#[test]
fn delayed_tasks_have_a_bound_of_their_own() {
    let mut limits = limits(1, 1);
    limits.delayed = 2;
    let mut machine = Machine::new(limits, ms(0)).unwrap();
    let retry = Retry::NONE.attempts(2).base(Duration::from_secs(60));
    let delayed = terms().delay(Duration::from_millis(5));
    machine.submit(ms(0), offer(0), &delayed).unwrap();
    machine.submit(ms(0), offer(1), &delayed).unwrap();
    let full = machine.submit(ms(0), offer(2), &delayed).unwrap_err();
    assert_eq!(full.reason, Refusal::Delayed);
    assert_eq!(
        machine.refusal(&Route::Nowhere, &delayed),
        Some(Refusal::Delayed),
        "waiting for room does not help"
    );
    assert_eq!((machine.totals().offered, machine.totals().refused), (3, 1));
    for job in 3..5 {
        machine.submit(ms(0), offer(job), &terms().retry(retry)).unwrap();
    }
    // Both fall due while the queue is full: they wait in it, and take room of delayed tasks.
    let _ = machine.advance(ms(5), 10);
    assert_eq!((machine.census().queued, machine.free_room()), (4, 0));
    assert_eq!(machine.submit(ms(5), offer(5), &delayed).unwrap_err().reason, Refusal::Delayed);
    let start = machine.start_next(ms(5)).unwrap();
    assert_eq!(machine.submit(ms(5), offer(5), &delayed).unwrap_err().reason, Refusal::Delayed);
    machine.completed(ms(5), start.attempt, 0).unwrap();
    machine.submit(ms(5), offer(5), &delayed).unwrap();
    assert_eq!(machine.census().unsettled(), 4, "never more than queue, concurrency and delayed");
    let ledger = machine.ledger();
    assert_eq!((ledger.queued.highest, ledger.queued.bound, ledger.timers.bound), (4, 4, 4));
}

#[test]
fn more_backoffs_than_delayed_allows_take_room_of_the_queue() {
    let mut limits = limits(2, 2);
    limits.delayed = 1;
    let mut machine = Machine::new(limits, ms(0)).unwrap();
    let retry = Retry::NONE.attempts(2).base(Duration::from_secs(60));
    let mut room = Vec::new();
    for job in 0..3 {
        machine.submit(ms(0), offer(job), &terms().retry(retry)).unwrap();
        let start = machine.start_next(ms(0)).unwrap();
        let _ = machine.failed(ms(0), start.attempt, 9, Some(job), None, &"no".into()).unwrap();
        room.push(machine.free_room());
    }
    assert_eq!((room, machine.census().backoff), ([4, 3, 2].into(), 3));
    let delayed = terms().delay(Duration::from_millis(5));
    assert_eq!(machine.submit(ms(0), offer(9), &delayed).unwrap_err().reason, Refusal::Delayed);
    for job in 0..2 {
        machine.submit(ms(0), offer(job), &terms()).unwrap();
    }
    assert_eq!(machine.submit(ms(0), offer(9), &terms()).unwrap_err().reason, Refusal::Full);
}
