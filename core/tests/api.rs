//! Properties that users of the core rely on without a call: auto traits, sizes, and the output of `Debug`.

use std::error::Error;
use std::fmt::Debug;
use std::marker::PhantomData;

use plimsoll_core::*;

struct Secret(#[expect(dead_code, reason = "only its Debug matters")] u64);

impl Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CONTENTS")
    }
}

/// A plan whose values are all of one type.
struct Of<T, K>(PhantomData<(T, K)>);

impl<T, K> Plan for Of<T, K> {
    type Job = T;
    type Output = T;
    type Error = T;
    type Panic = T;
    type Meta = u8;
    type Callback = T;
    type Waiter = T;
    type Listener = T;
    type Key = K;
    type Value = T;
}

type Secrets = Of<Secret, u8>;

const fn plain<T: Send + Sync + Unpin + 'static>() {}
const fn value<T: Send + Sync + Unpin + Debug + Clone + Copy + PartialEq + 'static>() {}
const fn error<T: Send + Sync + Error + 'static>() {}

#[test]
fn auto_traits_are_pinned() {
    plain::<Processor<Secrets>>();
    plain::<Cache<u8, Secret>>();
    plain::<Effect<Secrets>>();
    plain::<Start<Secrets>>();
    plain::<Settlement<Secrets>>();
    plain::<Claim<Secrets>>();
    plain::<Released<Secrets>>();
    plain::<Failure<Secret, Secret>>();
    plain::<Swept<Secrets>>();
    plain::<Offer<Secrets>>();
    plain::<Detached<Secret>>();
    plain::<Guard<Secret>>();
    plain::<RoomStatus<Secret>>();
    plain::<Arrival<Secrets>>();
    plain::<Delivery<Secrets>>();
    value::<TaskId>();
    value::<AttemptId>();
    value::<EmitterId>();
    value::<SubscriberId>();
    value::<PermitId>();
    value::<SleepId>();
    value::<ScheduleId>();
    value::<SourceId>();
    value::<DeliveryId>();
    value::<SourceLimits>();
    value::<SourceTerms>();
    value::<SourceView>();
    value::<Verdict>();
    value::<Death>();
    value::<Operation>();
    value::<Schedule>();
    value::<Missed>();
    value::<Overlap>();
    value::<Due>();
    value::<Instant>();
    value::<Limits>();
    value::<Footprint>();
    value::<Census>();
    value::<Totals>();
    value::<ByRefusal>();
    value::<Ledger>();
    value::<Remains>();
    value::<Health>();
    value::<Event<u8>>();
    value::<LastError<u8>>();
    value::<Message>();
    value::<Retry>();
    value::<Timeouts>();
    value::<Terms>();
    value::<Priority>();
    value::<Wake>();
    value::<Advanced>();
    value::<Progress>();
    value::<TaskView<u8>>();
    value::<Stop>();
    value::<Phase>();
    value::<Drain>();
    error::<BuildError>();
    error::<InvalidLimits>();
    error::<Refused<(), Refusal>>();
    error::<Refused<(), FeedRefusal>>();
    error::<Refused<(), PermitRefusal>>();
    error::<Refused<(), WaitRefusal>>();
    error::<ReserveRefusal>();
    error::<Refused<(), SleepRefusal>>();
    error::<Refused<(), AttachRefusal>>();
    error::<SubscribeRefusal>();
    error::<ScheduleRefusal>();
    error::<OpenRefusal>();
    error::<CancelError>();
    error::<Late<()>>();
}

#[test]
fn debug_shows_counts_and_never_contents() -> Result<(), Box<dyn Error>> {
    let mut limits = Limits::default();
    limits.cache.entries = 1;
    let mut machine = Processor::<Secrets>::new(limits, Instant::ZERO)?;
    let offer = |job| Offer::<Secrets>::new(Secret(job), 0).route(Route::Callback(Secret(1)));
    let terms = Terms::new();
    let refused = {
        machine.pause(Instant::ZERO);
        for _ in 0..machine.limits().queue {
            machine.submit(Instant::ZERO, offer(2), &terms)?;
        }
        machine.submit(Instant::ZERO, offer(3), &terms).err().ok_or("it should be full")?
    };
    machine.resume(Instant::ZERO);
    let start = machine.start_next(Instant::ZERO).ok_or("nothing to start")?;
    let inserted = machine.cache().insert(Instant::ZERO, 0, 1, Secret(4));
    assert!(matches!(inserted, Inserted::New));
    let mut shown = format!("{machine:?} {start:?} {refused:?} {:?} {terms:?}", offer(3));
    shown += &format!("{:?}", machine.cache());
    let Ok(()) = machine.completed(Instant::ZERO, start.attempt, Secret(5)) else {
        return Err("late".into());
    };
    let late = machine.completed(Instant::ZERO, start.attempt, Secret(6));
    shown += &format!("{:?} {late:?}", machine.poll_effect());
    assert!(!shown.contains("CONTENTS"), "{shown}");
    assert!(shown.contains("queued: 1023"), "{shown}");
    Ok(())
}

/// These types have no `Debug`. So an impl that does not require it cannot show their values.
struct Opaque;

type Opaques = Of<Opaque, Opaque>;

const fn shown<T: Debug>() {}

#[test]
fn debug_shows_no_value_of_the_host() {
    shown::<Processor<Opaques>>();
    shown::<Offer<Opaques>>();
    shown::<Route<Opaque>>();
    shown::<Refused<Opaque>>();
    shown::<Reserved<'_, Opaques>>();
    shown::<Guard<Opaque>>();
    shown::<Start<Opaques>>();
    shown::<Late<Opaque>>();
    shown::<Failure<Opaque, Opaque>>();
    shown::<Effect<Opaques>>();
    shown::<Settlement<Opaques>>();
    shown::<Outcome<Opaque, Opaque, Opaque>>();
    shown::<Detached<Opaque>>();
    shown::<Claim<Opaques>>();
    shown::<Released<Opaques>>();
    shown::<RoomStatus<Opaque>>();
    shown::<SleepStatus<Opaque>>();
    shown::<Arrival<Opaques>>();
    shown::<Delivery<Opaques>>();
    shown::<Sweep<'_, Opaques>>();
    shown::<Swept<Opaques>>();
    shown::<Cache<Opaque, Opaque>>();
    shown::<CacheMut<'_, Opaque, Opaque>>();
    shown::<Inserted<Opaque, Opaque>>();
    shown::<Simple<Opaque, Opaque, Opaque>>();
    let outcomes: [Outcome<Opaque, Opaque, Opaque>; 3] =
        [Outcome::Failed(Opaque), Outcome::Cancelled(None), Outcome::Cancelled(Some(CancelReason::ENDED))];
    assert_eq!(format!("{outcomes:?}"), r#"[Failed, Cancelled, Cancelled("the processor was ended")]"#);
}

#[test]
fn the_last_error_has_a_fixed_size() {
    assert!(size_of::<LastError<u64>>() <= 256);
    assert!(!std::mem::needs_drop::<LastError<u64>>() && !std::mem::needs_drop::<Event<u64>>());
}

/// The ring consists of events, so a rare event may not be larger than those of tasks.
#[cfg(target_pointer_width = "64")]
#[test]
fn an_event_takes_forty_bytes() {
    assert_eq!(size_of::<Event<u64>>(), 40);
}

/// Effects are moved for every task, so a rare effect may not be larger than the frequent one.
#[test]
fn an_effect_is_a_settlement_and_a_tag() {
    let of_a_settlement = size_of::<Settlement<Simple<u64, u64>>>() + align_of::<u64>();
    assert_eq!(size_of::<Effect<Simple<u64, u64>>>(), of_a_settlement);
}
