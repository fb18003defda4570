//! Outcomes that the host observes.

use super::*;

type Seen = Settlement<Numbers>;

/// A machine that observes, with one task of this route that has completed with 7.
fn completed(route: Route<u32>) -> (Machine, TaskId) {
    let results = ResultLimits::new(1, span(10));
    let mut machine = Machine::new(Limits { results, ..limits(4, 1) }, ms(0)).unwrap();
    machine.observe(true);
    let task = machine.submit(ms(0), offer(1).route(route), &terms()).unwrap();
    let start = machine.start_next(ms(0)).unwrap();
    machine.completed(ms(5), start.attempt, 7).unwrap();
    (machine, task)
}

fn observe(machine: &mut Machine) -> Seen {
    assert_eq!(machine.census(), machine.audit());
    match machine.poll_effect() {
        Some(Effect::Observe(settlement)) => settlement,
        other => panic!("nothing to observe: {other:?}"),
    }
}

fn end(machine: &mut Machine, mode: Drain) -> Remains {
    machine.drain(machine.now(), mode);
    loop {
        let _ = machine.advance(machine.now(), 64);
        while let Some(effect) = machine.poll_effect() {
            if let Effect::Drained = effect {
                return machine.remains().unwrap();
            }
        }
    }
}

#[test]
fn a_claimant_waits_for_the_observer() {
    let (mut machine, task) = completed(Route::Handle);
    assert!(machine.try_claim(task).is_none());
    assert!(matches!(machine.claim(ms(5), task, 70), Claim::Pending(None)));
    let seen = observe(&mut machine);
    assert_eq!(
        (seen.task, seen.outcome, seen.callback, seen.waiter),
        (task, Outcome::Completed(7), None, None)
    );
    assert!(matches!(machine.claim(ms(5), task, 71), Claim::Pending(Some(70))));
    assert_eq!((machine.census().observed, machine.census().unclaimed, machine.has_effect()), (1, 1, false));
    assert_eq!(machine.totals().settled.completed, 1);
    assert_eq!(machine.observed(ms(9), task, Outcome::Completed(8), None), Ok(()));
    assert!(matches!(machine.poll_effect(), Some(Effect::Wake(71))));
    let Claim::Ready(settlement, 72) = machine.claim(ms(9), task, 72) else { panic!("not ready") };
    assert_eq!(
        (settlement.outcome, settlement.times.ran()),
        (Outcome::Completed(8), Duration::from_millis(5))
    );
    assert!(machine.audit().is_empty());
}

#[test]
fn an_outcome_that_was_not_shown_is_handed_back() {
    let (mut machine, task) = completed(Route::Handle);
    assert!(machine.observed(ms(5), task, Outcome::Completed(7), None).is_err(), "not shown yet");
    let _ = observe(&mut machine);
    let wrong =
        [(Outcome::Failed(7), None), (Outcome::Cancelled(None), Some(1)), (Outcome::Completed(7), Some(1))];
    for (outcome, job) in wrong {
        assert_eq!(machine.observed(ms(5), task, outcome, job), Err((outcome, job)));
        assert_eq!(machine.census().observed, 1);
    }
    assert!(machine.observed(ms(5), task, Outcome::Completed(7), None).is_ok());
    assert!(machine.observed(ms(5), task, Outcome::Completed(7), None).is_err(), "given back before");
    assert!(machine.try_claim(task).is_some());
    assert!(machine.observed(ms(5), task, Outcome::Completed(7), None).is_err(), "stale");
    assert!(machine.audit().is_empty());
}

#[test]
fn a_job_is_shown_and_given_back_too() {
    let mut machine = machine(4, 1);
    machine.observe(true);
    let task = machine.submit(ms(0), for_handle(1), &terms()).unwrap();
    machine.cancel(ms(0), task).unwrap();
    let seen = observe(&mut machine);
    assert_eq!(
        (seen.outcome, seen.job, machine.ledger().jobs.live()),
        (Outcome::Cancelled(None), Some(1), 0)
    );
    assert!(machine.observed(ms(0), task, seen.outcome, seen.job).is_ok());
    assert_eq!(machine.ledger().jobs.live(), 1);
    assert_eq!(machine.try_claim(task).unwrap().job, Some(1));
}

#[test]
fn a_result_is_retained_from_when_it_is_given_back() {
    let (mut machine, task) = completed(Route::Retain);
    let seen = observe(&mut machine);
    assert!(machine.take_result(ms(5), task).is_none() && !machine.sweep_is_due(ms(90)));
    assert!(machine.observed(ms(20), task, seen.outcome, None).is_ok());
    assert_eq!((machine.census().results, machine.sweep_is_due(ms(29))), (1, false));
    assert!(machine.take_result(ms(29), task).is_some());
    let (mut machine, task) = completed(Route::Retain);
    let seen = observe(&mut machine);
    assert!(machine.observed(ms(20), task, seen.outcome, None).is_ok());
    assert!(machine.take_result(ms(30), task).is_none() && machine.sweep_is_due(ms(30)));
}

#[test]
fn a_released_handle_delays_nothing() {
    let (mut machine, task) = completed(Route::Handle);
    assert!(machine.release(ms(5), task).settlement.is_none());
    assert_eq!(settled(&mut machine).outcome, Outcome::Completed(7));
    assert!(machine.audit().is_empty());
    let (mut machine, task) = completed(Route::Handle);
    let _ = machine.claim(ms(5), task, 70);
    let seen = observe(&mut machine);
    assert_eq!(machine.release(ms(5), task).waiter, Some(70));
    assert!(machine.census().is_empty() && machine.audit().is_empty());
    assert_eq!(machine.observed(ms(5), task, seen.outcome, None), Err((Outcome::Completed(7), None)));
}

#[test]
fn an_orphan_is_observed_while_it_still_runs() {
    let mut machine = machine(4, 1);
    machine.observe(true);
    let task = machine.submit(ms(0), for_handle(1), &terms()).unwrap();
    let start = machine.start_next(ms(0)).unwrap();
    machine.cancel(ms(0), task).unwrap();
    assert_eq!(effects(&mut machine), ["Stop", "Observe"]);
    assert!(machine.observed(ms(0), task, Outcome::Cancelled(None), None).is_ok());
    assert!(machine.try_claim(task).is_some());
    assert_eq!((machine.census().orphans, machine.census().tasks), (1, 1));
    let _ = machine.stopped(ms(0), start.attempt, None).unwrap();
    assert!(machine.audit().is_empty());
}

#[test]
fn no_end_waits_for_the_observer() {
    for mode in [Drain::graceful(Duration::from_secs(9)), Drain::Cancel] {
        let (mut machine, task) = completed(Route::Handle);
        let seen = observe(&mut machine);
        assert!(matches!(machine.claim(ms(5), task, 70), Claim::Pending(None)));
        assert_eq!(end(&mut machine, mode).kept, 1);
        assert!(machine.observed(ms(5), task, seen.outcome, None).is_ok());
        assert_eq!(effects(&mut machine), ["Wake"]);
        assert!(machine.try_claim(task).is_some() && machine.audit().is_empty());
    }
    for route in [Route::Handle, Route::Retain] {
        let (mut machine, task) = completed(route);
        let seen = observe(&mut machine);
        let _ = machine.claim(ms(5), task, 70);
        assert_eq!(end(&mut machine, Drain::Abort).discarded, 1);
        assert!(machine.census().is_empty() && machine.audit().is_empty());
        assert!(machine.observed(ms(5), task, seen.outcome, None).is_err());
    }
}

#[test]
fn an_unobserved_outcome_that_an_abort_discards_leaves_as_settled() {
    let (mut machine, task) = completed(Route::Handle);
    assert!(matches!(machine.claim(ms(5), task, 70), Claim::Pending(None)));
    machine.drain(ms(5), Drain::Abort);
    let _ = machine.advance(ms(5), 9_999);
    assert!(matches!(machine.claim(ms(5), task, 71), Claim::Gone(71)));
    assert_eq!(effects(&mut machine), ["Wake", "Settle", "Drained"]);
    assert!(machine.audit().is_empty());
}
