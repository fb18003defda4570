//! Schedules.

use super::*;

const fn span_of(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Lets time act, and returns what is due then, as pairs of the instant and the number of those that were missed.
fn due(machine: &mut Machine, now: Instant) -> Vec<(Instant, u64)> {
    let _ = machine.advance(now, 1_000);
    let due = core::iter::from_fn(|| match machine.poll_effect()? {
        Effect::Due(due) => Some((due.at, due.missed)),
        other => panic!("not due: {other:?}"),
    });
    let due = due.collect();
    assert_eq!(machine.census(), machine.audit());
    due
}

fn begin(schedule: Schedule) -> (Machine, ScheduleId) {
    let mut machine = machine(4, 1);
    let id = machine.schedule(ms(0), &schedule).unwrap();
    (machine, id)
}

#[test]
fn a_fixed_rate_keeps_to_its_grid_and_counts_what_is_missed() {
    let (mut machine, id) = begin(Schedule::fixed_rate(span_of(10)).overlap(Overlap::Allow));
    assert_eq!(machine.next_wake(), Wake::At(ms(10), Reason::Timer));
    assert_eq!(due(&mut machine, ms(9)), []);
    assert_eq!(due(&mut machine, ms(13)), [(ms(10), 0)]);
    assert_eq!(due(&mut machine, ms(20)), [(ms(20), 0)]);
    // A host that is late gets one effect, and the count.
    assert_eq!(due(&mut machine, ms(57)), [(ms(50), 2)]);
    assert_eq!(machine.next_of_schedule(id), Some(ms(60)));
    assert!(!machine.schedule_done(ms(57), id), "it was not waited for");
    let account = machine.ledger().schedules;
    assert_eq!((account.entered, account.live(), account.bound), (1, 1, 8));
}

#[test]
fn an_effect_that_is_not_taken_is_one_effect() {
    let (mut machine, _) = begin(Schedule::fixed_rate(span_of(10)).overlap(Overlap::Allow));
    let _ = machine.advance(ms(10), 100);
    let _ = machine.advance(ms(95), 100);
    assert_eq!(machine.next_wake(), Wake::Now(Reason::Effect));
    assert_eq!(machine.pending_effects(), 1);
    assert_eq!(machine.census().timers, 0, "it waits for the host");
    assert_eq!(due(&mut machine, ms(95)), [(ms(90), 8)]);
}

#[test]
fn work_that_may_not_overlap_skips_the_instants_that_pass_meanwhile() {
    let (mut machine, id) = begin(Schedule::fixed_rate(span_of(10)));
    assert_eq!(due(&mut machine, ms(10)), [(ms(10), 0)]);
    assert_eq!((machine.next_wake(), machine.next_of_schedule(id)), (Wake::Never, None));
    assert!(machine.schedule_done(ms(40), id));
    assert!(!machine.schedule_done(ms(40), id), "it is over once");
    // The one at 40 has come by then, too.
    assert_eq!(due(&mut machine, ms(49)), []);
    assert_eq!(due(&mut machine, ms(50)), [(ms(50), 3)]);
    assert!(machine.schedule_done(ms(51), id));
    assert_eq!(due(&mut machine, ms(60)), [(ms(60), 0)]);
}

#[test]
fn a_fixed_delay_counts_from_the_end_of_the_work() {
    let (mut machine, id) = begin(Schedule::fixed_delay(span_of(10)).first_after(Duration::ZERO));
    assert_eq!(due(&mut machine, ms(3)), [(ms(0), 0)]);
    assert!(machine.schedule_done(ms(47), id));
    assert_eq!(machine.next_wake(), Wake::At(ms(57), Reason::Timer));
    assert_eq!(due(&mut machine, ms(60)), [(ms(57), 0)]);
}

#[test]
fn a_delayed_rate_counts_from_the_effect() {
    let schedule = Schedule::fixed_rate(span_of(10)).missed(Missed::Delay).overlap(Overlap::Allow);
    let (mut machine, _) = begin(schedule);
    assert_eq!(due(&mut machine, ms(34)), [(ms(10), 0)]);
    assert_eq!(due(&mut machine, ms(43)), []);
    assert_eq!(due(&mut machine, ms(44)), [(ms(44), 0)]);
}

#[test]
fn jitter_comes_after_the_instant_and_does_not_add_up() {
    let schedule = Schedule::fixed_rate(span_of(1_000)).overlap(Overlap::Allow).jitter(span_of(400));
    let (mut machine, _) = begin(schedule);
    let mut late = Vec::new();
    for nth in 1..=200 {
        let Wake::At(mut at, _) = machine.next_wake() else { panic!("it has a timer") };
        let mut found = due(&mut machine, at);
        while found.is_empty() {
            let Wake::At(next, _) = machine.next_wake() else { panic!("it has a timer") };
            at = next;
            found = due(&mut machine, at);
        }
        assert_eq!(found, [(ms(1_000 * nth), 0)], "the grid stays");
        late.push(at.saturating_since(ms(1_000 * nth)));
    }
    assert!(late.iter().all(|late| *late <= span_of(400)), "{late:?}");
    let (shortest, longest) = (late.iter().min().unwrap(), late.iter().max().unwrap());
    assert!(*shortest < span_of(40) && *longest > span_of(360), "{shortest:?} to {longest:?}");
}

#[test]
fn a_schedule_on_request_is_due_when_the_host_says() {
    let (mut machine, id) = begin(Schedule::on_request());
    assert_eq!((machine.next_wake(), machine.census().schedules), (Wake::Never, 1));
    assert!(machine.reschedule(ms(0), id, ms(70)));
    assert!(machine.reschedule(ms(0), id, ms(20)), "the last one counts");
    assert_eq!(due(&mut machine, ms(80)), [(ms(20), 0)]);
    assert!(machine.schedule_done(ms(80), id));
    assert_eq!(machine.next_wake(), Wake::Never, "and nothing follows by itself");
    // An instant that has passed is due at once; moved again before it is taken, it is not.
    assert!(machine.reschedule(ms(90), id, ms(85)));
    let _ = machine.advance(ms(90), 10);
    assert!(machine.has_effect() && machine.reschedule(ms(90), id, ms(95)) && !machine.has_effect());
    assert_eq!(due(&mut machine, ms(95)), [(ms(95), 0)]);
}

#[test]
fn a_schedule_is_ended_by_its_id_in_every_stage() {
    for stage in 0..3 {
        let (mut machine, id) = begin(Schedule::fixed_rate(span_of(10)));
        if stage > 0 {
            let _ = machine.advance(ms(10), 10);
        }
        if stage > 1 {
            assert_eq!(due(&mut machine, ms(10)), [(ms(10), 0)]);
        }
        assert!(machine.unschedule(id) && !machine.unschedule(id));
        assert!(!machine.reschedule(ms(10), id, ms(20)) && !machine.schedule_done(ms(10), id));
        assert_eq!((machine.next_wake(), machine.next_of_schedule(id)), (Wake::Never, None));
        assert!(machine.census().is_empty() && machine.audit().is_empty());
        let next = machine.schedule(ms(10), &Schedule::on_request()).unwrap();
        assert!(next != id && !machine.unschedule(id), "a stale id is never taken for a live one");
    }
}

#[test]
fn there_are_as_many_schedules_as_the_limit_and_none_while_the_machine_drains() {
    let mut machine = Machine::new(Limits { schedules: 2, ..limits(4, 1) }, ms(0)).unwrap();
    let every = Schedule::fixed_rate(span_of(10));
    let ids = [0, 1].map(|_| machine.schedule(ms(0), &every).unwrap());
    assert_eq!(machine.schedule(ms(0), &every), Err(ScheduleRefusal::Full));
    let _ = machine.advance(ms(10), 10);
    machine.submit(ms(10), offer(1), &terms()).unwrap();
    machine.drain(ms(10), Drain::graceful(span_of(100)));
    assert_eq!(machine.schedule(ms(10), &every), Err(ScheduleRefusal::Closed));
    let ended = core::iter::from_fn(|| match machine.poll_effect()? {
        Effect::Unschedule(id) => Some(id),
        other => panic!("nothing is due any more: {other:?}"),
    });
    assert_eq!(ended.collect::<Vec<_>>(), ids);
    assert_eq!((machine.census().schedules, machine.census().timers), (0, 1), "but that of the drain");
    machine.drain(ms(10), Drain::Abort);
    while machine.advance(ms(10), 100).more || machine.poll_effect().is_some() {}
    assert_eq!(machine.remains().unwrap().schedules, 2);
    assert!(machine.census().is_empty());
}

#[test]
fn past_the_end_of_time_nothing_is_due() {
    let mut machine = machine(4, 1);
    let last = Instant::from_nanos(u64::MAX - 5_000_000);
    let id = machine.schedule(last, &Schedule::fixed_rate(span_of(10)).overlap(Overlap::Allow)).unwrap();
    assert_eq!((machine.next_wake(), machine.next_of_schedule(id)), (Wake::Never, None));
    assert!(machine.reschedule(last, id, Instant::MAX));
    assert_eq!(due(&mut machine, Instant::MAX), [(Instant::MAX, 0)]);
    assert_eq!(machine.next_wake(), Wake::Never);
    assert_eq!(machine.census().schedules, 1);
}

#[test]
fn a_period_below_a_tick_counts_as_one() {
    let (mut machine, _) = begin(Schedule::fixed_rate(Duration::ZERO).overlap(Overlap::Allow));
    assert_eq!(due(&mut machine, ms(5)), [(ms(5), 4)]);
    assert_eq!(machine.next_wake(), Wake::At(ms(6), Reason::Timer));
}
