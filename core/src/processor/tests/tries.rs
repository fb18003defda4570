//! Snoozed attempts, attempts without a bound, and slots without ids for further attempts.

use super::*;

fn message() -> Message {
    Message::default()
}

/// Starts the next attempt once it is time.
fn start(machine: &mut Machine, now: Instant) -> Start<Numbers> {
    let _ = machine.advance(now, 64);
    machine.start_next(now).unwrap()
}

#[test]
fn a_snoozed_attempt_does_not_count() {
    let mut machine = machine(4, 1);
    let subscriber = machine.subscribe().unwrap();
    let retry = Retry::times(1).base(Duration::from_millis(8)).jitter(Jitter::None);
    let task = machine.submit(ms(0), offer(1), &terms().retry(retry)).unwrap();
    let mut seen = Vec::new();
    for round in 0..5 {
        let start = start(&mut machine, ms(10 * round));
        assert_eq!((start.number, start.further), (1, 1));
        assert!(!seen.contains(&start.attempt));
        seen.push(start.attempt);
        let answer = machine.snoozed(ms(10 * round), start.attempt, start.job, Duration::from_millis(10));
        assert_eq!(answer, Ok(Failure::Retrying { value: (), delay: Duration::from_millis(10) }));
        assert_eq!(machine.snoozed(ms(10 * round), start.attempt, 5, Duration::ZERO).unwrap_err().value, 5);
        let view = machine.inspect(0..9).next().unwrap();
        assert_eq!((view.attempts, view.stage), (0, Stage::BackingOff { until: ms(10 * round + 10) }));
    }
    assert_eq!(machine.next_wake(), Wake::At(ms(50), Reason::Timer));
    let first = start(&mut machine, ms(50));
    let failed = machine.failed(ms(50), first.attempt, 9, Some(1), None, &message());
    assert_eq!(
        failed,
        Ok(Failure::Retrying { value: 9, delay: Duration::from_millis(8) }),
        "the first backoff"
    );
    let second = start(&mut machine, ms(58));
    assert_eq!((second.number, second.further), (2, 0));
    let _ = machine.failed(ms(58), second.attempt, 9, Some(1), None, &message()).unwrap();
    assert_eq!((settled(&mut machine).attempts, machine.totals().started), (2, 7));
    assert_eq!((machine.totals().snoozed, machine.totals().retried), (5, 1));
    let events = core::iter::from_fn(|| match machine.next_event(subscriber) {
        Some(Next::Event(event)) => Some(event),
        _ => None,
    });
    let snoozed = Event::Snoozed { task, meta: 0, attempts: 0, delay: Duration::from_millis(10) };
    assert_eq!(events.filter(|event| *event == snoozed).count(), 5);
}

#[test]
fn a_snooze_is_bounded_by_the_schedule_to_close_deadline() {
    let run = |delay| {
        let mut machine = machine(4, 1);
        let timeouts = Timeouts { schedule_to_close: span(10), ..Timeouts::NONE };
        machine.submit(ms(0), offer(1), &terms().timeouts(timeouts)).unwrap();
        let start = machine.start_next(ms(4)).unwrap();
        let answer = machine.snoozed(ms(4), start.attempt, start.job, delay).unwrap();
        (answer, machine)
    };
    assert!(matches!(run(Duration::from_millis(6)).0, Failure::Retrying { .. }));
    for delay in [Duration::from_millis(7), Duration::MAX] {
        let (answer, mut machine) = run(delay);
        assert_eq!(answer, Failure::Settled { job: Some(1) });
        assert_eq!(machine.last_error().unwrap().kind, ErrorKind::TimedOut);
        let settlement = settled(&mut machine);
        assert_eq!((settlement.outcome, settlement.attempts), (Outcome::TimedOut, 1));
        assert!(machine.audit().is_empty());
    }
}

#[test]
fn a_halting_attempt_may_be_snoozed() {
    let mut machine = machine(4, 1);
    let timeouts = Timeouts { start_to_close: span(10), ..Timeouts::NONE };
    let retry = Retry::times(1).on_timeout(true);
    machine.submit(ms(0), offer(1), &terms().timeouts(timeouts).retry(retry)).unwrap();
    let halting = machine.start_next(ms(0)).unwrap();
    let _ = machine.advance(ms(10), 9);
    assert_eq!(machine.census().pending, 1);
    assert!(machine.snoozed(ms(11), halting.attempt, 1, Duration::ZERO).is_ok());
    assert!(effects(&mut machine).is_empty(), "it need not be asked to stop any more");
    assert_eq!(start(&mut machine, ms(11)).number, 1);
}

#[test]
fn the_end_cancels_a_snoozed_task_and_an_orphan_cannot_be_snoozed() {
    let mut machine = machine(4, 2);
    machine.submit(ms(0), offer(1), &terms()).unwrap();
    let task = machine.submit(ms(0), offer(2), &terms()).unwrap();
    let [one, two] = [0; 2].map(|_| machine.start_next(ms(0)).unwrap());
    machine.cancel(ms(0), task).unwrap();
    let late = machine.snoozed(ms(0), two.attempt, 2, Duration::ZERO).unwrap_err();
    assert_eq!((late.settled, late.value, machine.census().orphans), (Some(OutcomeKind::Cancelled), 2, 0));
    machine.drain(ms(0), Drain::Cancel);
    let answer = machine.snoozed(ms(0), one.attempt, 1, Duration::ZERO);
    assert_eq!(answer, Ok(Failure::Settled { job: Some(1) }));
    assert_eq!(machine.totals().settled.cancelled, 2);
}

#[test]
fn unlimited_attempts_need_a_limit_without_a_bound() {
    let terms = terms().retry(Retry::NONE.unlimited().base(Duration::ZERO));
    for attempts in [16, Retry::UNLIMITED - 1] {
        let mut machine = Machine::new(Limits { attempts, ..limits(4, 1) }, ms(0)).unwrap();
        assert_eq!(machine.submit(ms(0), offer(1), &terms).unwrap_err().reason, Refusal::Attempts);
    }
    for attempts in [Retry::UNLIMITED, u32::MAX] {
        let mut machine = Machine::new(Limits { attempts, ..limits(4, 1) }, ms(0)).unwrap();
        machine.submit(ms(0), offer(1), &terms).unwrap();
        for number in 1..=1_000 {
            let start = start(&mut machine, ms(number));
            assert_eq!(u64::from(start.number), number);
            let _ = machine.failed(ms(number), start.attempt, 9, Some(1), None, &message()).unwrap();
        }
        assert_eq!((machine.census().backoff, machine.totals().retried), (1, 1_000));
    }
}

#[test]
fn the_number_of_attempts_stays_below_unlimited() {
    let mut machine = Machine::new(Limits { attempts: u32::MAX, ..limits(4, 1) }, ms(0)).unwrap();
    machine.submit(ms(0), offer(1), &terms().retry(Retry::NONE.unlimited().base(Duration::ZERO))).unwrap();
    machine.tasks.at_mut(0).unwrap().attempts = Retry::UNLIMITED - 3;
    for _ in 0..4 {
        let start = start(&mut machine, ms(0));
        assert!(start.further > 0 && start.number < Retry::UNLIMITED);
        let answer = machine.failed(ms(0), start.attempt, 9, Some(1), None, &message()).unwrap();
        assert!(matches!(answer, Failure::Retrying { .. }));
    }
}

/// A machine whose only slot has generations of two bits, 1 to 3, with a task that may be tried for ever.
fn worn() -> (Machine, TaskId) {
    let mut limits = Limits { attempts: u32::MAX, unclaimed: Some(0), delayed: 0, ..limits(0, 1) };
    limits.results = ResultLimits::default();
    let mut machine = Machine::with_generation_bits(limits, ms(0), 2).unwrap();
    let retry = Retry::NONE.unlimited().base(Duration::ZERO).on_timeout(true).on_panic(true);
    let timeouts = Timeouts { start_to_close: span(10), ..Timeouts::NONE };
    let task = machine.submit(ms(0), offer(1), &terms().retry(retry).timeouts(timeouts)).unwrap();
    (machine, task)
}

/// How the last attempt ends.
type End = fn(&mut Machine, AttemptId);

#[test]
fn a_task_whose_slot_has_no_ids_left_is_settled_as_it_ended() {
    let ends: [(End, OutcomeKind); 4] = [
        (|m, a| drop(m.failed(ms(9), a, 9, Some(1), None, &message()).unwrap()), OutcomeKind::Failed),
        (|m, a| drop(m.panicked(ms(9), a, 9, Some(1), &message()).unwrap()), OutcomeKind::Panicked),
        (|m, a| drop(m.snoozed(ms(9), a, 1, Duration::ZERO).unwrap()), OutcomeKind::Cancelled),
        (
            |m, a| {
                assert_eq!(m.advance(ms(20), 9).used, 1);
                let _ = m.stopped(ms(20), a, Some(1)).unwrap();
            },
            OutcomeKind::TimedOut,
        ),
    ];
    for (end, kind) in ends {
        let (mut machine, task) = worn();
        let mut ids = Vec::new();
        for _ in 0..2 {
            let start = start(&mut machine, ms(9));
            ids.push(start.attempt.to_bits());
            let answer = machine.snoozed(ms(9), start.attempt, 1, Duration::ZERO);
            assert!(matches!(answer, Ok(Failure::Retrying { .. })));
        }
        let last = start(&mut machine, ms(9));
        ids.push(last.attempt.to_bits());
        assert_eq!(ids, [1, 2, 3].map(|generation| task.to_bits() * generation));
        end(&mut machine, last.attempt);
        assert_eq!(settled(&mut machine).outcome.kind(), kind);
        assert_eq!((machine.census().retired, machine.census().tasks), (1, 0));
        assert_eq!(machine.submit(ms(9), offer(1), &terms()).unwrap_err().reason, Refusal::Backlog);
        assert_eq!(machine.completed(ms(9), last.attempt, 5).unwrap_err().value, 5);
    }
}
