//! The three ways to end, and what each leaves.

use super::*;

/// Ends the machine at `now`: the effects until `Drained`, and the remains.
fn end(machine: &mut Machine, now: Instant) -> (Vec<std::string::String>, Remains) {
    let mut effects = Vec::new();
    for _ in 0..1_000 {
        assert_eq!(machine.census(), machine.audit());
        match machine.poll_effect() {
            Some(Effect::Drained) => {
                assert_eq!((machine.phase(), machine.next_wake()), (Phase::Drained, Wake::Never));
                return (effects, machine.remains().unwrap());
            }
            Some(effect) => effects.push(std::format!("{effect:?}").split([' ', '(']).next().unwrap().into()),
            None if machine.next_wake() == Wake::Now(Reason::End) => {
                assert!(machine.advance(now, 64).used > 0, "the end goes on");
            }
            None => panic!("the end waits: {machine:?}"),
        }
    }
    panic!("the end spins: {machine:?}");
}

#[test]
fn abort_needs_no_help() {
    let mut limits = limits(8, 2);
    limits.cache.entries = 1;
    let mut machine = Machine::new(limits, ms(0)).unwrap();
    let listeners = Guard { task: 1, batch: 2, error: 3 };
    machine.attach(ms(0), listeners).unwrap();
    let subscriber = machine.subscribe().unwrap();
    machine.wait_event(subscriber, 5).unwrap();
    let _ = machine.cache().insert(ms(0), 1, 1, 1);
    for job in 0..4 {
        machine.submit(ms(0), offer(job).route(Route::Callback(job)), &terms()).unwrap();
    }
    let handle = machine.submit(ms(0), for_handle(4), &terms()).unwrap();
    let _ = machine.claim(ms(0), handle, 6);
    let started = machine.start_next(ms(0)).unwrap();
    machine.drain(ms(1), Drain::Abort);
    assert_eq!(machine.submit(ms(1), offer(9), &terms()).unwrap_err().reason, Refusal::Closed);
    let (_, remains) = end(&mut machine, ms(1));
    assert_eq!((remains.abandoned, remains.cancelled, remains.discarded, remains.kept), (1, 5, 1, 0));
    assert_eq!((remains.subscribers, remains.cached, remains.detached), (1, 1, 1));
    assert!(machine.audit().is_empty());
    assert_eq!(machine.next_event(subscriber), None);
    assert_eq!(machine.stopped(ms(2), started.attempt, Some(1)), Err(Late { settled: None, value: Some(1) }));
    assert!(matches!(machine.claim(ms(2), handle, 7), Claim::Gone(7)));
    assert!(matches!(machine.cache().insert(ms(2), 1, 1, 1), Inserted::Refused(1, 1)));
}

#[test]
fn a_graceful_drain_ends_when_everything_is_settled_or_at_its_deadline() {
    for finishes in [true, false] {
        let mut machine = machine(8, 2);
        let task = machine.submit(ms(0), for_handle(0), &terms()).unwrap();
        let start = machine.start_next(ms(0)).unwrap();
        machine.drain(ms(0), Drain::graceful(Duration::from_millis(50)));
        assert_eq!(machine.next_wake(), Wake::At(ms(50), Reason::Timer));
        let now = if finishes { ms(10) } else { ms(50) };
        if finishes {
            machine.completed(now, start.attempt, 7).unwrap();
        } else {
            let _ = machine.advance(now, 1);
        }
        let (effects, remains) = end(&mut machine, now);
        assert_eq!(effects, if finishes { [].as_slice() } else { &["Stop", "Discard"] });
        let (kept, given_up) = (u32::from(finishes), u32::from(!finishes));
        assert_eq!((remains.kept, remains.cancelled), (kept, given_up));
        assert_eq!((remains.abandoned, remains.discarded), (given_up, given_up));
        let outcome = machine.try_claim(task).map(|settlement| settlement.outcome);
        assert_eq!(outcome, finishes.then_some(Outcome::Completed(7)));
        assert!(machine.audit().is_empty());
    }
}

#[test]
fn a_report_at_the_deadline_of_a_drain_is_in_time() {
    let mut machine = machine(8, 2);
    let task = machine.submit(ms(0), for_handle(0), &terms()).unwrap();
    let start = machine.start_next(ms(0)).unwrap();
    machine.drain(ms(0), Drain::graceful(Duration::from_millis(50)));
    machine.completed(ms(50), start.attempt, 7).unwrap();
    let _ = machine.advance(ms(50), 1);
    assert_eq!(end(&mut machine, ms(50)).1.kept, 1);
    assert_eq!(machine.try_claim(task).unwrap().outcome, Outcome::Completed(7));
}

#[test]
fn a_graceful_drain_waits_neither_for_handles_nor_for_orphans() {
    let mut machine = machine(8, 2);
    let claimed = machine.submit(ms(0), for_handle(0), &terms()).unwrap();
    assert!(matches!(machine.claim(ms(0), claimed, 70), Claim::Pending(None)));
    let orphaned = machine.submit(ms(0), for_handle(1), &terms()).unwrap();
    let (first, second) = (machine.start_next(ms(0)).unwrap(), machine.start_next(ms(0)).unwrap());
    machine.completed(ms(1), first.attempt, 7).unwrap();
    machine.cancel(ms(1), orphaned).unwrap();
    machine.drain(ms(1), Drain::graceful(Duration::from_secs(60)));
    let (effects, remains) = end(&mut machine, ms(1));
    assert_eq!(effects, ["Wake", "Stop"]);
    assert_eq!((remains.kept, remains.abandoned, remains.discarded, remains.cancelled), (2, 1, 0, 0));
    let census = machine.census();
    assert_eq!((census.tasks, census.handles, census.unclaimed, census.orphans), (2, 2, 2, 0));
    let late = machine.completed(ms(2), second.attempt, 8).unwrap_err();
    assert_eq!((late.settled, late.value), (Some(OutcomeKind::Cancelled), 8));
    machine.drain(ms(2), Drain::Abort);
    assert_eq!((machine.census(), machine.next_wake()), (census, Wake::Never), "it has ended");
    let Claim::Ready(settlement, 71) = machine.claim(ms(2), claimed, 71) else { panic!("not kept") };
    assert_eq!(settlement.outcome, Outcome::Completed(7));
    let released = machine.release(ms(2), orphaned);
    assert_eq!(released.settlement.unwrap().outcome, Outcome::Cancelled(None));
    assert!(matches!(machine.claim(ms(2), claimed, 72), Claim::Gone(72)));
    assert!(machine.audit().is_empty());
}

#[test]
fn cancelling_everything_keeps_outcomes_for_handles_and_no_results() {
    let mut limits = limits(8, 2);
    limits.results = ResultLimits::new(4, None);
    let mut machine = Machine::new(limits, ms(0)).unwrap();
    let done = machine.submit(ms(0), for_handle(0), &terms()).unwrap();
    let retained = machine.submit(ms(0), offer(1).route(Route::Retain), &terms()).unwrap();
    for _ in 0..2 {
        let start = machine.start_next(ms(0)).unwrap();
        machine.completed(ms(0), start.attempt, start.job).unwrap();
    }
    let queued = machine.submit(ms(0), for_handle(2), &terms()).unwrap();
    machine.submit(ms(0), offer(3).route(Route::Callback(30)), &terms()).unwrap();
    machine.drain(ms(1), Drain::Cancel);
    machine.drain(ms(1), Drain::graceful(Duration::from_secs(1)));
    let (effects, remains) = end(&mut machine, ms(1));
    assert_eq!(effects, ["Discard", "Settle"]);
    assert_eq!((remains.cancelled, remains.kept, remains.discarded), (2, 2, 1));
    assert!(machine.take_result(ms(1), retained).is_none());
    assert_eq!(machine.try_claim(done).unwrap().outcome, Outcome::Completed(0));
    let settlement = machine.try_claim(queued).unwrap();
    assert_eq!(
        (settlement.outcome, settlement.job),
        (Outcome::Cancelled(Some(CancelReason::ENDED)), Some(2))
    );
    assert!(machine.audit().is_empty());
}

#[test]
fn an_abort_discards_what_an_end_under_way_would_have_kept() {
    // The number of steps of the other end before the abort.
    for steps in 0..40 {
        let mut machine = machine(2, 2);
        let subscriber = machine.subscribe().unwrap();
        machine.wait_event(subscriber, 5).unwrap();
        for job in 0..3 {
            let task = machine.submit(ms(0), for_handle(job), &terms()).unwrap();
            let _ = machine.claim(ms(0), task, job);
        }
        let _ = machine.start_next(ms(0)).unwrap();
        machine.drain(ms(0), Drain::Cancel);
        for _ in 0..steps {
            if machine.next_wake() == Wake::Now(Reason::End) {
                let _ = machine.advance(ms(0), 40);
            } else if let Some(Effect::Drained) = machine.poll_effect() {
                assert_eq!(machine.remains().unwrap().kept, 3);
                return;
            }
        }
        machine.drain(ms(0), Drain::Abort);
        let (_, remains) = end(&mut machine, ms(0));
        assert_eq!((remains.cancelled, remains.abandoned, remains.discarded), (3, 1, 3));
        assert_eq!((remains.kept, remains.subscribers), (0, 1));
        assert!(machine.audit().is_empty());
    }
    panic!("the end took too many steps");
}

#[test]
fn an_attempt_asked_to_stop_may_be_reported_until_the_very_end() {
    for (reports, abandoned) in [(false, 2), (true, 1)] {
        let mut machine = machine(8, 2);
        for job in 0..2 {
            machine.submit(ms(0), offer(job), &terms()).unwrap();
        }
        let start = machine.start_next(ms(0)).unwrap();
        let _ = machine.start_next(ms(0)).unwrap();
        machine.drain(ms(0), Drain::Abort);
        let slots = machine.limits().task_slots();
        assert_eq!(machine.advance(ms(0), u32::MAX).used, slots, "effects are owed first");
        assert_eq!(effects(&mut machine), ["Stop", "Settle", "Stop", "Settle"]);
        assert_eq!((machine.next_wake(), machine.census().orphans), (Wake::Now(Reason::End), 2));
        if reports {
            let _ = machine.stopped(ms(0), start.attempt, None).unwrap();
        }
        assert!(machine.poll_effect().is_none() && machine.census().orphans == abandoned);
        assert_eq!(end(&mut machine, ms(0)).1.abandoned, abandoned);
        assert!(machine.audit().is_empty());
    }
}

#[test]
fn a_drained_machine_lets_its_subscribers_read_to_the_end() {
    let mut machine = machine(8, 2);
    let [asleep, behind, gone] = [(); 3].map(|()| machine.subscribe().unwrap());
    machine.wait_event(asleep, 5).unwrap();
    machine.submit(ms(0), offer(0), &terms()).unwrap();
    assert_eq!(effects(&mut machine), ["Wake"]);
    while machine.next_event(asleep) != Some(Next::Empty) {}
    machine.drain(ms(0), Drain::Cancel);
    while machine.phase() != Phase::Drained {
        let _ = machine.advance(ms(0), 1);
        match machine.poll_effect() {
            Some(Effect::Settle(_)) => {
                // It has read everything and waits: the end wakes it.
                while machine.next_event(asleep) != Some(Next::Empty) {}
                machine.wait_event(asleep, 6).unwrap();
            }
            Some(Effect::Wake(6)) => {
                assert_eq!(machine.wait_event(asleep, 7), Err(7), "nothing more will come");
                assert_eq!(machine.next_event(asleep), None);
            }
            _ => {}
        }
        assert_eq!(machine.remains().is_some(), machine.phase() == Phase::Drained);
    }
    let remains = machine.remains().unwrap();
    assert_eq!((remains.subscribers, remains.kept), (2, 0));
    assert_eq!((machine.census().subscribers, machine.subscribe()), (2, Err(SubscribeRefusal::Closed)));
    assert_eq!(machine.submit(ms(1), offer(9), &terms()).unwrap_err().reason, Refusal::Closed);
    assert_eq!(machine.unsubscribe(gone), Some(None));
    assert_eq!(machine.wait_event(behind, 8), Err(8), "it has something to read");
    assert!(!machine.has_effect(), "nobody looks for effects any more");
    let read: Vec<_> = core::iter::from_fn(|| machine.next_event(behind)).collect();
    let [.., Next::Event(Event::Draining), Next::Event(Event::Settled { kind, .. })] = read[..] else {
        panic!("{read:?}")
    };
    assert_eq!(kind, OutcomeKind::Cancelled);
    assert_eq!((machine.wait_event(behind, 9), machine.unsubscribe(behind)), (Err(9), None));
    assert_eq!(machine.next_wake(), Wake::Never);
    assert!(machine.audit().is_empty());
}
