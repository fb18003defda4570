//! Sources: credit, deliveries, verdicts, renewals, errors, the end.

use super::*;

const HANDED_BACK: Verdict = Verdict::Again { after: Duration::ZERO, counted: false };

struct Rig {
    machine: Machine,
    source: SourceId,
}

const fn dead(why: Death) -> Verdict {
    Verdict::Dead { why, message: Message::EMPTY }
}

impl Rig {
    /// A queue of two, one place, and a source with a credit of three.
    fn new(terms: impl FnOnce(SourceTerms) -> SourceTerms) -> Self {
        Self::with(terms, |_| ())
    }

    fn with(terms: impl FnOnce(SourceTerms) -> SourceTerms, change: impl FnOnce(&mut Limits)) -> Self {
        let mut limits = Limits { queue: 2, concurrency: 1, ..Limits::default() };
        limits.sources = SourceLimits { sources: 2, credit: Some(4) };
        change(&mut limits);
        let mut machine = Machine::new(limits, ms(0)).unwrap();
        let source = machine.open_source(ms(0), &terms(SourceTerms::new(3))).unwrap();
        Self { machine, source }
    }

    /// Pulls these jobs, each delivered so often.
    fn pull(&mut self, jobs: &[(u32, u32)], terms: &Terms) -> Vec<Option<DeliveryId>> {
        let now = self.machine.now();
        self.machine.begin_pull(now, self.source).unwrap();
        let deliver = |&(job, deliveries): &(u32, u32)| match self.machine.deliver(
            now,
            self.source,
            Delivery::new(job, 0, deliveries),
            terms,
        ) {
            Arrival::Admitted { delivery, .. } | Arrival::Judged { delivery, .. } => Some(delivery),
            Arrival::Refused(_) => None,
        };
        let taken = jobs.iter().map(deliver).collect();
        assert!(self.machine.end_pull(now, self.source));
        taken
    }

    fn one(&mut self, terms: &Terms) -> DeliveryId {
        self.pull(&[(1, 1)], terms)[0].unwrap()
    }

    fn start(&mut self) -> AttemptId {
        let now = self.machine.now();
        self.machine.start_next(now).unwrap().attempt
    }

    /// All verdicts that are owed. Each is confirmed.
    fn verdicts(&mut self) -> Vec<(DeliveryId, Verdict)> {
        let now = self.machine.now();
        let all = core::iter::from_fn(|| {
            let (delivery, verdict) = self.machine.next_verdict(now, self.source)?;
            assert!(self.machine.confirmed(now, delivery) && !self.machine.confirmed(now, delivery));
            Some((delivery, verdict))
        });
        let all = all.collect();
        assert_eq!(self.machine.census(), self.machine.audit());
        all
    }

    fn settle_effects(&mut self) {
        while self.machine.poll_effect().is_some() {}
    }

    fn room(&mut self) -> Option<u32> {
        let now = self.machine.now();
        let room = self.machine.begin_pull(now, self.source).map(|room| room.get());
        self.machine.end_pull(now, self.source);
        room
    }

    /// The machine drains, and takes this many units of its budget until it waits for something.
    fn drain(&mut self) -> u32 {
        let now = self.machine.now();
        self.machine.drain(now, Drain::graceful(Duration::from_secs(1)));
        self.settle_effects();
        self.machine.advance(now, 100).used
    }
}

#[test]
fn the_credit_bounds_what_is_pulled_and_not_confirmed() {
    let mut rig = Rig::new(|terms| terms);
    let first = rig.machine.begin_pull(ms(0), rig.source).unwrap();
    assert_eq!((first.get(), rig.machine.begin_pull(ms(0), rig.source)), (3, None), "one pull at a time");
    assert_eq!((rig.machine.census().pulling, rig.machine.health(ms(0)).unconfirmed), (3, 0));
    rig.machine.end_pull(ms(0), rig.source);
    let taken = rig.pull(&[(1, 1), (2, 1), (3, 1), (4, 1)], &terms());
    assert!(taken[2].is_some() && taken[3].is_none(), "no more than was asked for");
    assert_eq!((rig.room(), rig.machine.census().deliveries), (None, 3));
    // Its place is free when its verdict is confirmed and its slot is.
    let attempt = rig.start();
    rig.machine.completed(ms(0), attempt, 7).unwrap();
    assert_eq!((rig.verdicts(), rig.room()), (Vec::from([(taken[0].unwrap(), Verdict::Done)]), None));
    assert_eq!(rig.machine.source(rig.source).unwrap().resting, 1);
    rig.settle_effects();
    assert_eq!(rig.room(), Some(1));
    let totals = rig.machine.totals();
    assert_eq!((totals.pulled, totals.confirmed, rig.machine.census().deliveries), (3, 1, 2));
}

#[test]
fn deliveries_need_no_room_in_the_queue_and_take_none_while_they_are_awaited() {
    let mut rig = Rig::new(|terms| terms);
    rig.machine.begin_pull(ms(0), rig.source).unwrap();
    for job in 0..3 {
        rig.machine.submit(ms(0), offer(job), &terms()).unwrap();
    }
    assert!(rig.machine.submit(ms(0), offer(9), &terms()).is_err(), "the queue is full");
    for job in 10..13 {
        let arrival = rig.machine.deliver(ms(0), rig.source, Delivery::new(job, 0, 1), &terms());
        assert!(matches!(arrival, Arrival::Admitted { .. }));
    }
    assert_eq!((rig.machine.census().queued, rig.machine.census().tasks), (6, 6));
}

#[test]
fn the_engine_hears_how_a_task_has_ended() {
    let retry = || terms().retry(Retry::times(1).fixed(Duration::from_millis(5)));
    let text = Message::of("it broke");
    let outcomes: [(&str, Terms, u32, Verdict); 6] = [
        ("completed", terms(), 1, Verdict::Done),
        ("failed", retry(), 1, Verdict::Again { after: Duration::from_millis(5), counted: true }),
        // It was delivered before: that counts as an attempt.
        ("failed", retry(), 2, Verdict::Dead { why: Death::Failed, message: text }),
        ("failed for good", retry(), 1, Verdict::Dead { why: Death::Failed, message: text }),
        ("panicked", terms(), 1, Verdict::Dead { why: Death::Panicked, message: text }),
        ("cancelled", terms(), 1, dead(Death::Cancelled)),
    ];
    for (how, terms, deliveries, expected) in outcomes {
        let mut rig = Rig::new(|terms| terms.delays(true));
        let delivery = rig.pull(&[(1, deliveries)], &terms)[0].unwrap();
        let start = rig.machine.start_next(ms(0)).unwrap();
        assert_eq!(start.number, deliveries);
        let attempt = start.attempt;
        match how {
            "completed" => rig.machine.completed(ms(0), attempt, 7).unwrap(),
            "failed" => drop(rig.machine.failed(ms(0), attempt, 5, Some(1), None, &text).unwrap()),
            "failed for good" => drop(rig.machine.failed(ms(0), attempt, 5, None, None, &text).unwrap()),
            "panicked" => drop(rig.machine.panicked(ms(0), attempt, 5, Some(1), &text).unwrap()),
            _ => drop(rig.machine.cancel(ms(0), start.task).unwrap()),
        }
        assert_eq!(rig.verdicts(), [(delivery, expected)], "{how}, delivered {deliveries} times");
        assert_eq!(rig.machine.totals().dead, u64::from(matches!(expected, Verdict::Dead { .. })));
    }
}

#[test]
fn without_delays_in_the_engine_a_task_backs_off_here() {
    let mut rig = Rig::new(|terms| terms);
    let retry = terms().retry(Retry::times(1).fixed(Duration::from_millis(5)));
    rig.one(&retry);
    let attempt = rig.start();
    let failure = rig.machine.failed(ms(0), attempt, 5, Some(1), None, &Message::EMPTY).unwrap();
    assert_eq!(failure, Failure::Retrying { value: 5, delay: Duration::from_millis(5) });
    assert_eq!((rig.verdicts().len(), rig.machine.census().backoff), (0, 1));
}

#[test]
fn a_snooze_leaves_for_an_engine_that_need_not_count_it() {
    for uncounted in [true, false] {
        let mut rig = Rig::new(|terms| terms.delays(true).uncounted(uncounted));
        rig.one(&terms());
        let attempt = rig.start();
        let delay = Duration::from_secs(3);
        let _ = rig.machine.snoozed(ms(0), attempt, 1, delay).unwrap();
        let verdicts: Vec<_> = rig.verdicts().into_iter().map(|(_, verdict)| verdict).collect();
        let expected = [Verdict::Again { after: delay, counted: false }];
        assert_eq!(verdicts, if uncounted { &expected[..] } else { &[] });
        assert_eq!((rig.machine.totals().snoozed, rig.machine.census().backoff), (1, u32::from(!uncounted)));
    }
}

#[test]
fn time_outs() {
    let late = Timeouts { start_to_close: span(5), ..Timeouts::NONE };
    let waits = Timeouts { schedule_to_start: span(5), ..Timeouts::NONE };
    let closes = Timeouts { schedule_to_close: span(5), ..Timeouts::NONE };
    let retry = Retry::times(1).fixed(Duration::from_millis(9)).on_timeout(true);
    for (timeouts, starts, retry, expected) in [
        (late, true, Retry::NONE, dead(Death::TimedOut)),
        (late, true, Retry::times(1), dead(Death::TimedOut)),
        (closes, true, retry, Verdict::Again { after: Duration::from_millis(9), counted: true }),
        (waits, false, retry, HANDED_BACK),
        (closes, false, retry, HANDED_BACK),
    ] {
        let mut rig = Rig::new(|terms| terms.delays(true));
        let delivery = rig.one(&terms().timeouts(timeouts).retry(retry));
        if starts {
            rig.start();
        }
        let _ = rig.machine.advance(ms(5), 100);
        assert_eq!(rig.verdicts(), [(delivery, expected)], "{timeouts:?}");
    }
    // An attempt that is to be followed by another one stops first.
    let mut rig = Rig::new(|terms| terms.delays(true));
    let delivery = rig.one(&terms().timeouts(late).retry(retry));
    let attempt = rig.start();
    let _ = rig.machine.advance(ms(5), 100);
    assert_eq!((rig.verdicts(), rig.machine.census().running), (Vec::new(), 1));
    let _ = rig.machine.stopped(ms(6), attempt, Some(1)).unwrap();
    let again = Verdict::Again { after: Duration::from_millis(9), counted: true };
    assert_eq!(rig.verdicts(), [(delivery, again)]);
}

#[test]
fn what_can_not_be_a_task_has_its_verdict_at_once() {
    let with_keys = |limits: &mut Limits| limits.dedup = Some(4);
    let keyed = terms().unique(Unique::new(7).window(Duration::from_secs(9)));
    let mut rig = Rig::with(|terms| terms.deliveries(2), with_keys);
    let later = Verdict::Again { after: Duration::from_secs(1), counted: false };
    rig.one(&keyed);
    // The same job, while it is here, and once it is done.
    rig.one(&keyed);
    assert_eq!(rig.verdicts()[0].1, later);
    let attempt = rig.start();
    rig.machine.completed(ms(0), attempt, 1).unwrap();
    assert_eq!(rig.verdicts()[0].1, Verdict::Done);
    rig.one(&keyed);
    assert_eq!(rig.verdicts()[0].1, Verdict::Done);
    // Delivered too often; with nothing that could be decoded.
    rig.settle_effects();
    rig.pull(&[(1, 2), (2, 3)], &terms());
    assert_eq!(rig.verdicts()[0].1, dead(Death::TooOften));
    rig.machine.begin_pull(ms(0), rig.source).unwrap();
    let message = Message::of("no number");
    assert!(rig.machine.bury(ms(0), rig.source, 1, message).is_some());
    assert_eq!(rig.verdicts()[0].1, Verdict::Dead { why: Death::Undecodable, message });
    let totals = rig.machine.totals();
    assert_eq!((totals.pulled, totals.redelivered, totals.dead), (6, 2, 2));
}

#[test]
fn a_verdict_that_is_not_confirmed_keeps_its_place_and_comes_again() {
    let mut rig = Rig::new(|terms| terms);
    let delivery = rig.one(&terms());
    let attempt = rig.start();
    rig.machine.completed(ms(0), attempt, 7).unwrap();
    rig.settle_effects();
    assert_eq!(rig.machine.next_verdict(ms(0), rig.source), Some((delivery, Verdict::Done)));
    assert_eq!(rig.machine.next_verdict(ms(0), rig.source), None, "the host has it");
    assert!(rig.machine.unconfirmed(ms(0), delivery) && !rig.machine.unconfirmed(ms(0), delivery));
    let delay =
        rig.machine.source_failed(ms(0), rig.source, Operation::Settle, &Message::of("away")).unwrap();
    assert!(delay >= Duration::from_millis(50) && delay <= Duration::from_millis(100));
    let error = rig.machine.last_error().unwrap();
    assert_eq!(
        (error.kind, error.source, error.message.as_str()),
        (ErrorKind::Source, Some(rig.source), "away")
    );
    assert_eq!(rig.machine.next_verdict(ms(1), rig.source), None, "the engine is left alone");
    assert_eq!(
        (rig.machine.begin_pull(ms(1), rig.source), rig.machine.health(ms(1)).sources_down),
        (None, 1)
    );
    assert_eq!(rig.machine.wait_source(rig.source, 5), Ok(None));
    let _ = rig.machine.advance(ms(100), 100);
    assert!(matches!(rig.machine.poll_effect(), Some(Effect::Wake(5))));
    assert_eq!(rig.verdicts(), [(delivery, Verdict::Done)]);
    assert_eq!(rig.machine.source(rig.source).unwrap().failures, 0);
}

#[test]
fn errors_in_a_row_double_the_time_and_end_nothing() {
    let mut rig = Rig::new(|terms| terms);
    let fail = |rig: &mut Rig| {
        let now = rig.machine.now();
        rig.machine.begin_pull(now, rig.source).unwrap();
        let delay = rig.machine.source_failed(now, rig.source, Operation::Pull, &Message::EMPTY).unwrap();
        let _ = rig.machine.advance(now.saturating_add(Duration::from_secs(6)), 100);
        delay.as_millis()
    };
    let delays: Vec<u128> = (0..12).map(|_| fail(&mut rig)).collect();
    assert!((100..=200).contains(&delays[1]) && (200..=400).contains(&delays[2]), "{delays:?}");
    assert!((2_500..=5_000).contains(&delays[11]), "{delays:?}");
    assert!(rig.room().is_some() && rig.machine.source(rig.source).unwrap().failures == 0);
    assert_eq!((rig.machine.totals().source_errors, rig.machine.phase()), (12, Phase::Open));
    // A renewal that fails holds nothing back.
    let renewal = rig.machine.source_failed(ms(0), rig.source, Operation::Renew, &Message::EMPTY);
    assert!(renewal.is_none() && rig.room().is_some());
}

#[test]
fn each_third_of_the_lease_what_is_held_is_renewed_once() {
    let mut rig = Rig::new(|terms| terms.lease(Duration::from_millis(30)));
    assert_eq!(rig.machine.next_wake(), Wake::Never);
    let held = rig.pull(&[(1, 1), (2, 1), (3, 1)], &terms());
    let attempt = rig.start();
    assert_eq!(rig.machine.next_renewal(ms(0), rig.source), None);
    assert_eq!(rig.machine.next_timer(), Some((ms(10), Reason::Timer)));
    assert_eq!(rig.machine.wait_source(rig.source, 5), Ok(None));
    let _ = rig.machine.advance(ms(10), 100);
    assert!(matches!(rig.machine.poll_effect(), Some(Effect::Wake(5))));
    // One is settled meanwhile, and not renewed any more.
    rig.machine.completed(ms(10), attempt, 7).unwrap();
    let renewed = |rig: &mut Rig, now| -> Vec<_> {
        core::iter::from_fn(|| Some(rig.machine.next_renewal(now, rig.source))).take(3).collect()
    };
    assert_eq!(renewed(&mut rig, ms(10)), [held[1], held[2], None]);
    let _ = rig.machine.advance(ms(20), 100);
    assert_eq!(renewed(&mut rig, ms(20)), [held[1], held[2], None]);
    assert_eq!(renewed(&mut rig, ms(21)), [None; 3]);
    // Without anything that is held the timer stops.
    rig.machine.clear(ms(21), Scope::All, 9);
    let _ = rig.machine.advance(ms(30), 100);
    assert_eq!((renewed(&mut rig, ms(30))[0], rig.machine.next_timer()), (None, None));
}

#[test]
fn a_drain_hands_back_what_has_not_begun_and_waits_for_the_rest() {
    let mut rig = Rig::new(|terms| terms);
    let held = rig.pull(&[(1, 1), (2, 1)], &terms());
    let attempt = rig.start();
    assert!(rig.machine.begin_pull(ms(0), rig.source).is_some());
    assert_eq!(rig.machine.wait_source(rig.source, 5), Ok(None));
    rig.drain();
    assert_eq!(rig.verdicts(), [(held[1].unwrap(), HANDED_BACK)]);
    // What the pull under way brings goes back, too.
    let arrival = rig.machine.deliver(ms(0), rig.source, Delivery::new(3, 0, 1), &terms());
    assert!(matches!(arrival, Arrival::Judged { reason: Some(Refusal::Closed), .. }));
    rig.machine.end_pull(ms(0), rig.source);
    assert_eq!(rig.machine.begin_pull(ms(0), rig.source), None);
    assert_eq!(rig.verdicts()[0].1, HANDED_BACK);
    assert!(!rig.machine.is_source_over(rig.source));
    rig.machine.completed(ms(0), attempt, 7).unwrap();
    assert_eq!((rig.machine.advance(ms(0), 100).used, rig.machine.phase()), (0, Phase::Draining));
    assert_eq!(rig.verdicts(), [(held[0].unwrap(), Verdict::Done)]);
    assert!(rig.machine.is_source_over(rig.source));
    while rig.machine.phase() != Phase::Drained {
        let _ = rig.machine.advance(ms(0), 100);
        rig.settle_effects();
    }
    assert!(rig.machine.census().is_empty());
    let remains = rig.machine.remains().unwrap();
    assert_eq!((remains.sources, remains.deliveries, remains.cancelled), (1, 0, 0));
}

#[test]
fn the_end_gives_up_what_is_not_confirmed_and_counts_it() {
    let mut rig = Rig::new(|terms| terms.lease(Duration::from_millis(30)));
    rig.pull(&[(1, 1), (2, 1)], &terms());
    let attempt = rig.start();
    rig.machine.completed(ms(0), attempt, 7).unwrap();
    assert!(rig.machine.next_verdict(ms(0), rig.source).is_some());
    assert_eq!(rig.machine.wait_source(rig.source, 5), Err(5), "there is room for a pull");
    assert!(rig.machine.begin_pull(ms(0), rig.source).is_some());
    assert_eq!(rig.machine.wait_source(rig.source, 5), Ok(None));
    rig.machine.drain(ms(0), Drain::Abort);
    let mut woken = 0;
    while rig.machine.phase() != Phase::Drained {
        let _ = rig.machine.advance(ms(0), 100);
        while let Some(effect) = rig.machine.poll_effect() {
            woken += u32::from(matches!(effect, Effect::Wake(5)));
        }
    }
    assert!(rig.machine.census().is_empty() && woken == 1);
    let remains = rig.machine.remains().unwrap();
    assert_eq!((remains.sources, remains.deliveries), (1, 2));
    assert!(rig.machine.is_source_over(rig.source) && rig.machine.source(rig.source).is_none());
}

#[test]
fn a_closed_source_is_nobodys_and_goes_with_its_last_delivery() {
    let mut rig = Rig::new(|terms| terms);
    rig.pull(&[(1, 1), (2, 1)], &terms());
    let attempt = rig.start();
    rig.machine.completed(ms(0), attempt, 7).unwrap();
    assert_eq!(rig.machine.close_source(ms(0), rig.source), Some(None));
    assert_eq!(rig.machine.close_source(ms(0), rig.source), None);
    assert!(!rig.machine.give_up(rig.source, 1) && rig.machine.give_up(rig.source, 1));
    rig.settle_effects();
    assert_eq!((rig.machine.census().sources, rig.machine.census().deliveries), (1, 1));
    assert_eq!(rig.machine.open_source(ms(0), &SourceTerms::new(2)), Err(OpenRefusal::Credit));
    let attempt = rig.start();
    rig.machine.completed(ms(0), attempt, 7).unwrap();
    rig.settle_effects();
    assert!(rig.machine.census().is_empty());
    assert!(rig.machine.open_source(ms(0), &SourceTerms::new(4)).is_ok());
}

#[test]
fn a_source_that_is_stopped_is_over_when_all_is_confirmed() {
    let mut rig = Rig::new(|terms| terms);
    rig.one(&terms());
    assert!(rig.machine.stop_pulling(ms(0), rig.source) && !rig.machine.stop_pulling(ms(0), rig.source));
    assert_eq!((rig.room(), rig.machine.is_source_over(rig.source)), (None, false));
    assert_eq!(rig.machine.wait_source(rig.source, 5), Ok(None));
    let attempt = rig.start();
    rig.machine.completed(ms(0), attempt, 7).unwrap();
    rig.verdicts();
    assert!(rig.machine.is_source_over(rig.source) && rig.machine.phase() == Phase::Open);
    assert_eq!(rig.machine.wait_source(rig.source, 6), Err(6));
}

#[test]
fn sources_are_refused_with_the_reason() {
    let mut rig = Rig::new(|terms| terms);
    let open = |machine: &mut Machine, credit| machine.open_source(ms(0), &SourceTerms::new(credit));
    assert_eq!(open(&mut rig.machine, 2), Err(OpenRefusal::Credit));
    assert!(open(&mut rig.machine, 0).is_ok(), "0 counts as 1");
    assert_eq!(open(&mut rig.machine, 1), Err(OpenRefusal::Credit));
    let mut without = Machine::new(Limits::default(), ms(0)).unwrap();
    assert_eq!(open(&mut without, 1), Err(OpenRefusal::NoSources));
    let mut rig = Rig::with(|terms| terms, |limits| limits.sources.sources = 1);
    assert_eq!(open(&mut rig.machine, 1), Err(OpenRefusal::Full));
    rig.machine.drain(ms(0), Drain::Cancel);
    assert_eq!(open(&mut rig.machine, 1), Err(OpenRefusal::Closed));
    assert!(!rig.machine.stale(ms(0), SourceId::from_bits(9).unwrap(), 1));
    assert!(rig.machine.stale(ms(0), rig.source, 2) && rig.machine.totals().stale == 2);
}
