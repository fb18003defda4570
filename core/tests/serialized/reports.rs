//! What comes out of a machine.

use super::*;

use serde_test::{Token, assert_tokens};

type Machine = Processor<Simple<u8, u8, u8>>;

/// A machine in which one task backs off after a failure, one runs, and one is queued.
fn machine() -> Result<Machine, Box<dyn Error>> {
    let mut limits = Limits::default();
    (limits.queue, limits.concurrency, limits.monitor) = (8, 2, true);
    let mut machine = Machine::new(limits, Instant::ZERO)?;
    let retry = Terms::new().retry(Retry::times(2).fixed(Duration::from_millis(1_500)));
    machine.submit(Instant::from_millis(1), Offer::new(1, ()), &retry)?;
    for job in [2, 3] {
        machine.submit(Instant::from_millis(1), Offer::new(job, ()), &Terms::new())?;
    }
    let first = machine.start_next(Instant::from_millis(2)).ok_or("it can start")?;
    let why = Message::from("no route to host");
    let failed = machine.failed(Instant::from_millis(3), first.attempt, 9, Some(1), None, &why);
    assert!(matches!(failed, Ok(Failure::Retrying { .. })));
    let second = machine.start_next(Instant::from_millis(4)).ok_or("it can start")?;
    assert!(machine.progress(Instant::from_millis(5), second.attempt, Progress::of(3, 4)));
    Ok(machine)
}

/// The JSON of a value, which comes back from it as it was.
fn json<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) -> Result<String, Box<dyn Error>> {
    let text = serde_json::to_string(value)?;
    assert_eq!(&serde_json::from_str::<T>(&text)?, value);
    Ok(text)
}

#[test]
fn refusals_by_reason() -> Checked {
    let mut machine = machine()?;
    assert_eq!(json(&machine.refusals())?, "{}");
    machine.drain(Instant::from_millis(6), Drain::Graceful(Duration::MAX));
    assert!(machine.submit(Instant::from_millis(7), Offer::new(4, ()), &Terms::new()).is_err());
    assert_eq!(json(&machine.refusals())?, r#"{"closed":1}"#);
    let closed = Token::UnitVariant { name: "Refusal", variant: "closed" };
    // With its length, which binary formats write first.
    assert_tokens(&machine.refusals(), &[Token::Map { len: Some(1) }, closed, Token::U64(1), Token::MapEnd]);
    Ok(())
}

#[test]
fn a_census_and_its_totals() -> Checked {
    let machine = machine()?;
    let census = concat!(
        r#"{"delayed":0,"queued":1,"backoff":1,"running":1,"orphans":0,"slow":0,"pending":0,"unclaimed":0,"#,
        r#""results":0,"handles":0,"tasks":3,"callbacks":0,"timers":1,"intervals":0,"sleeps":0,"emitters":0,"#,
        r#""sources":0,"deliveries":0,"pulling":0,"subscribers":0,"waiters":0,"permits":0,"schedules":0,"#,
        r#""lanes":0,"unique_keys":0,"observed":0,"cached":0,"retired":0}"#,
    );
    assert_eq!(json(&machine.census())?, census);
    let totals = concat!(
        r#"{"offered":3,"refused":0,"admitted":3,"settled":{"completed":0,"failed":0,"timed_out":0,"#,
        r#""cancelled":0,"expired":0,"panicked":0,"shed":0},"started":2,"retried":1,"snoozed":0,"#,
        r#""orphaned":0,"slow":0,"late":0,"late_panics":0,"emitter_errors":0,"pulled":0,"redelivered":0,"#,
        r#""confirmed":0,"stale":0,"dead":0,"source_errors":0,"events":0}"#,
    );
    assert_eq!(json(&machine.totals())?, totals);
    Ok(())
}

#[test]
fn health() -> Checked {
    let health = concat!(
        r#"{"phase":"open","hold":"none","queued":1,"running":1,"delayed":1,"orphans":0,"free_room":8,"#,
        r#""permits":0,"unconfirmed":0,"sources_down":0,"slow":0,"settled":{"completed":0,"failed":0,"#,
        r#""timed_out":0,"cancelled":0,"expired":0,"panicked":0,"shed":0},"oldest_wait":"249ms","#,
        r#""last_error_age":"247ms","saturation":200,"retired":0,"missed":0}"#,
    );
    assert_eq!(json(&machine()?.health(Instant::from_millis(250)))?, health);
    Ok(())
}

#[test]
fn views_of_tasks() -> Checked {
    let [backs_off, runs, queued] = [
        r#"{"task":1024,"meta":null,"priority":4,"lane":null,"attempts":1,"progress":null,"stage":{"backing_off":{"until":1503000000}}}"#,
        r#"{"task":1025,"meta":null,"priority":4,"lane":null,"attempts":1,"progress":{"done":3,"total":4},"stage":{"running":{"since":4000000}}}"#,
        r#"{"task":1026,"meta":null,"priority":4,"lane":null,"attempts":0,"progress":null,"stage":{"queued":{"since":1000000}}}"#,
    ];
    let views = machine()?.inspect(0..8).map(|view| json(&view)).collect::<Result<Vec<_>, _>>()?;
    assert_eq!(views, [backs_off, runs, queued]);
    Ok(())
}

#[test]
fn the_last_error() -> Checked {
    let error = concat!(
        r#"{"kind":"failed","task":1024,"emitter":null,"source":null,"attempt":1,"meta":null,"#,
        r#""message":"no route to host","pending":3,"running":0,"at":3000000,"streak":1}"#,
    );
    assert_eq!(serde_json::to_string(&machine()?.last_error())?, error);
    let cut = Message::from("x".repeat(Message::BYTES + 1).as_str());
    assert_eq!(serde_json::to_value(cut)?, format!("{}…", "x".repeat(Message::BYTES)));
    Ok(())
}

#[test]
fn ledger_footprint_and_the_like() -> Checked {
    let machine = machine()?;
    let ledger = json(&machine.ledger())?;
    assert!(ledger.contains(r#","jobs":{"entered":4,"left":2,"highest":3,"bound":532},"#), "{ledger}");
    let footprint = json(&machine.limits().footprint::<Simple<u8, u8, u8>>())?;
    assert!(footprint.starts_with(r#"{"tasks":"#), "{footprint}");
    let stats = r#"{"hits":0,"misses":0,"inserted":0,"replaced":0,"evicted":0,"expired":0,"removed":0,"highest":0,"highest_weight":0}"#;
    assert_eq!(json(&CacheStats::default())?, stats);
    assert_eq!(json(&Fed::default())?, r#"{"admitted":0,"refused":0,"errors":0}"#);
    let times = Times::new(Instant::ZERO, Instant::from_nanos(1), Instant::MAX);
    assert_eq!(json(&times)?, r#"{"admitted":0,"began":1,"settled":18446744073709551615}"#);
    let remains = json(&Remains::default())?;
    assert!(remains.starts_with(r#"{"abandoned":0,"cancelled":0,"discarded":0,"kept":0,"#), "{remains}");
    Ok(())
}

#[test]
fn events() -> Checked {
    let task = TaskId::from_bits(7).ok_or("an id")?;
    let attempt = AttemptId::from_bits(8).ok_or("an id")?;
    let (source, delivery) = (SourceId::from_bits(9), DeliveryId::from_bits(10));
    let (source, delivery) = (source.ok_or("an id")?, delivery.ok_or("an id")?);
    let delay = Duration::from_millis(100);
    for (event, expected) in [
        (Event::Admitted { task, meta: 1 }, r#"{"admitted":{"task":7,"meta":1}}"#),
        (
            Event::Refused { meta: 2, reason: Refusal::LaneFull },
            r#"{"refused":{"meta":2,"reason":"lane_full"}}"#,
        ),
        (Event::Started { task, attempt, meta: 3 }, r#"{"started":{"task":7,"attempt":8,"meta":3}}"#),
        (
            Event::Retrying { task, meta: 4, attempts: 1, delay },
            r#"{"retrying":{"task":7,"meta":4,"attempts":1,"delay":"100ms"}}"#,
        ),
        (
            Event::Snoozed { task, meta: 5, attempts: 1, delay },
            r#"{"snoozed":{"task":7,"meta":5,"attempts":1,"delay":"100ms"}}"#,
        ),
        (
            Event::Settled { task, meta: 6, kind: OutcomeKind::TimedOut },
            r#"{"settled":{"task":7,"meta":6,"kind":"timed_out"}}"#,
        ),
        (
            Event::Dead { source, delivery, why: Death::TooOften },
            r#"{"dead":{"source":9,"delivery":10,"why":"too_often"}}"#,
        ),
        (
            Event::SourceFailed { source, operation: Operation::Renew },
            r#"{"source_failed":{"source":9,"operation":"renew"}}"#,
        ),
        (Event::Health, r#""health""#),
    ] {
        assert_eq!(json(&event)?, expected);
    }
    Ok(())
}

#[test]
fn words_of_commands_and_answers() -> Checked {
    assert_eq!(
        json(&[Drain::graceful(Duration::from_secs(10)), Drain::Cancel])?,
        r#"[{"graceful":"10s"},"cancel"]"#
    );
    assert_eq!(
        json(&[Scope::All, Scope::Lane(7), Scope::Class(Priority::LOWEST)])?,
        r#"["all",{"lane":7},{"class":7}]"#
    );
    assert_eq!(
        json(&[FeedRefusal::Detached, FeedRefusal::Task(Refusal::Full)])?,
        r#"["detached",{"task":"full"}]"#
    );
    Ok(())
}

#[test]
fn a_reader_may_be_older_or_younger() -> Checked {
    let younger = r#"{"completed":1,"transcended":2}"#;
    let read: ByOutcome = serde_json::from_str(younger)?;
    assert_eq!((read.completed, read.total()), (1, 1));
    assert!(serde_json::from_str::<TaskId>("0").is_err(), "no id is zero");
    assert!(serde_json::from_str::<OutcomeKind>(r#""transcended""#).is_err());
    Ok(())
}
