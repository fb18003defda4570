//! The ten points of the contract of `plimsoll-core`, each as a test of its own name, and 10,000 random scripts
//! on the machine and its reference model in lock step. Point 5 (no allocation, the footprint to the byte) is in
//! `footprint.rs`, which needs an allocator of its own.

mod scenes;
mod short;
mod values;

use std::collections::{BTreeMap, BTreeSet};

use plimsoll_core::testkit::calls::attempts::{self, Stopped};
use plimsoll_core::testkit::calls::effects::{self, Done, Settled};
use plimsoll_core::testkit::calls::permits::{self, Room};
use plimsoll_core::testkit::calls::sleeps::{self, Slept};
use plimsoll_core::testkit::calls::{
    cache, emitters, gate, observer, sources, submissions, subscribers, tasks, time,
};
use plimsoll_core::testkit::{
    Answer, Call, Flaw, Host, Oracle, Script, Setup, Step, check, check_flawed, steps, trace,
};
use plimsoll_core::{Drain, OutcomeKind, Phase, Refusal, Verdict, Wake};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

use values::{Values, admissions, offered, settlements};

const STEPS: usize = 200;

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        max_shrink_iters: 50_000,
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        ..ProptestConfig::default()
    }
}

fn scripts(steps: usize) -> impl Strategy<Value = Script> {
    let setup = any::<[u8; Setup::BYTES]>().prop_map(Setup);
    let steps = vec(any::<[u8; Step::BYTES]>().prop_map(Step::from_bytes), steps);
    (setup, steps).prop_map(|(setup, steps)| Script { setup, steps })
}

/// Scripts for tests that want the same ones every time.
fn seeded(count: u64) -> impl Iterator<Item = Script> {
    (0..count).map(|seed| {
        let mut rng = fastrand::Rng::with_seed(seed);
        let bytes: Vec<u8> = (0..Setup::BYTES + STEPS * Step::BYTES).map(|_| rng.u8(..)).collect();
        Script::from_bytes(&bytes)
    })
}

proptest! {
    #![proptest_config(config(20_000))]

    #[test]
    fn machine_and_model_agree(script in scripts(STEPS)) {
        if let Err(fault) = check(&script) {
            return Err(TestCaseError::fail(fault.to_string()));
        }
    }
}

proptest! {
    #![proptest_config(config(500))]

    /// 1: same inputs in the same order give the same outputs, bit for bit.
    #[test]
    fn point_1_sans_io(script in scripts(STEPS)) {
        let first = trace(&script);
        prop_assert_eq!(&first, &trace(&script));
        // And without the model: the calls alone determine the answers.
        let mut host = Host::new(&script.setup).unwrap();
        for (call, answer) in first.unwrap() {
            prop_assert_eq!(host.call(&call), answer);
        }
    }

    /// 2: wherever a script is cut off, the machine is as good as ever, and can be ended.
    #[test]
    fn point_2_valid_after_every_call(script in scripts(40)) {
        for steps in 0..=script.steps.len() {
            let cut = Script { setup: script.setup, steps: script.steps[..steps].to_vec() };
            if let Err(fault) = check(&cut) {
                return Err(TestCaseError::fail(fault.to_string()));
            }
        }
    }

    /// 3: every value moved in comes out exactly once, and the counts say so.
    #[test]
    fn point_3_conservation(script in scripts(STEPS)) {
        let mut values = Values::default();
        for (call, answer) in trace(&script).unwrap() {
            values.note(&call, &answer);
        }
        prop_assert!(values.inside.is_empty(), "left inside: {:?}", values.inside);
        let summary = check(&script).unwrap();
        let totals = summary.totals;
        prop_assert_eq!(totals.offered, totals.refused + totals.admitted);
        prop_assert_eq!(totals.admitted, totals.settled.total());
    }

    /// 4: each admitted task is settled exactly once, and its callback goes with that.
    #[test]
    fn point_4_exactly_one_settlement(script in scripts(STEPS)) {
        let mut admitted: BTreeMap<u32, Option<u32>> = BTreeMap::new();
        let mut settled: BTreeMap<u32, Settled> = BTreeMap::new();
        let mut shown: BTreeMap<u32, Settled> = BTreeMap::new();
        for (call, answer) in trace(&script).unwrap() {
            admitted.extend(admissions(&call, &answer));
            if let Answer::Effects(effects::Answer::Effect(Some(Done::Observe(outcome)))) = answer {
                prop_assert!(!settled.contains_key(&outcome.meta), "shown too late: {:?}", outcome);
                prop_assert!(shown.insert(outcome.meta, outcome).is_none(), "shown twice: {:?}", outcome);
            }
            for outcome in settlements(&answer) {
                prop_assert!(settled.insert(outcome.meta, outcome).is_none(), "settled twice: {:?}", outcome);
            }
        }
        for (meta, outcome) in shown {
            let as_shown = settled.entry(meta).or_insert(outcome);
            prop_assert_eq!(Settled { waiter: None, ..*as_shown }, outcome);
        }
        prop_assert_eq!(admitted.len(), settled.len());
        for (meta, outcome) in settled {
            prop_assert_eq!(admitted.get(&meta), Some(&outcome.callback));
        }
    }

    /// Whoever observes all the time sees each task once, by one of two effects, and nobody has an outcome before.
    #[test]
    fn an_observer_sees_every_task_once_and_first(mut script in scripts(STEPS)) {
        script.setup.0[6] |= 4;
        let ends = steps::observer::Step::Observe { on: false }.into();
        script.steps.retain(|step| *step != ends);
        prop_assert!(script.setup.observes());
        let (mut admitted, mut seen) = (BTreeSet::new(), BTreeSet::new());
        for (call, answer) in trace(&script).unwrap() {
            admitted.extend(admissions(&call, &answer).into_iter().map(|(meta, _)| meta));
            if let Answer::Effects(effects::Answer::Effect(Some(
                Done::Observe(outcome) | Done::Settle(outcome),
            ))) = answer
            {
                prop_assert!(seen.insert(outcome.meta), "seen twice: {:?}", outcome);
            }
            for outcome in settlements(&answer) {
                prop_assert!(seen.contains(&outcome.meta), "not seen before: {:?}", outcome);
            }
        }
        prop_assert_eq!(admitted, seen);
    }

    /// 9: the running counts are what a walk over all slots finds, after every call.
    #[test]
    fn point_9_census_is_audit(script in scripts(STEPS)) {
        let mut host = Host::new(&script.setup).unwrap();
        for (call, _) in trace(&script).unwrap() {
            host.call(&call);
            prop_assert_eq!(host.machine().census(), host.machine().audit(), "after {:?}", call);
        }
    }

    /// 10: from any state the machine comes to its end without help, in a number of steps that the limits bound. What
    /// the end keeps for handles and subscribers goes with them, and then nothing is left.
    #[test]
    fn point_10_the_end_is_a_state(script in scripts(60), keeps in any::<bool>()) {
        let limits = script.setup.limits();
        let mut host = Host::new(&script.setup).unwrap();
        let (mut tasks, mut subscribers) = (Vec::new(), Vec::new());
        for (call, _) in trace(&script).unwrap() {
            if matches!(call, Call::Gate(gate::Call::Drain { .. })) {
                break;
            }
            let answer = host.call(&call);
            tasks.extend(offered(&answer).into_iter().flatten());
            if let Answer::Subscribers(subscribers::Answer::Subscriber(Ok(id))) = answer {
                subscribers.push(id);
            }
        }
        let now = host.machine().now();
        let mode = if keeps { Drain::Cancel } else { Drain::Abort };
        host.call(&gate::Call::Drain { now, mode }.into());
        let lanes = limits.lanes.lanes + 1;
        let most_units = 2 * limits.task_slots() + lanes + limits.credit() + 8 * host.machine().census().timers;
        let most_effects = 3 * limits.task_slots()
            + limits.waiters
            + limits.sleep_slots()
            + limits.emitters
            + limits.schedules
            + limits.sources.sources
            + 2 * limits.subscribers
            + limits.cache.entries
            + 1;
        let (mut units, mut effects) = (0, 0);
        while host.machine().phase() != Phase::Drained {
            prop_assert!(matches!(host.machine().next_wake(), Wake::Now(_)));
            if host.call(&effects::Call::Poll.into()) == effects::Answer::Effect(None).into() {
                let answer = host.call(&time::Call::Advance { now, budget: 1 }.into());
                let goes_on = matches!(answer, Answer::Time(time::Answer::Advanced { used: 1, .. }));
                prop_assert!(goes_on, "{:?}", answer);
                units += 1;
                prop_assert!(units <= most_units);
            } else {
                effects += 1;
                prop_assert!(effects <= most_effects);
            }
        }
        prop_assert!(keeps || host.machine().census().is_empty());
        prop_assert_eq!(host.machine().next_wake(), Wake::Never);
        for task in tasks {
            host.call(&tasks::Call::TryClaim { task }.into());
            // What the host has to observe, and does not give back, goes with its handle.
            host.call(&tasks::Call::Release { now, task }.into());
        }
        for id in subscribers {
            let (read, last) = (subscribers::Call::NextEvent { id }.into(), subscribers::Answer::Event(None));
            let reads = || host.call(&read) != last.into();
            prop_assert!(std::iter::repeat_with(reads).take_while(|&reads| reads).count() < 10);
        }
        prop_assert!(host.machine().census().is_empty(), "{:?}", host.machine().census());
        prop_assert_eq!(host.machine().census(), host.machine().audit());
        prop_assert_eq!(host.machine().next_wake(), Wake::Never);
        prop_assert_eq!((host.books().inside(), host.books().lost()), (0, 0));
    }
}

/// A model that is wrong is found out, so the comparison can fail.
#[test]
fn canary_every_flaw_is_found() {
    for flaw in Flaw::all() {
        let found = seeded(6_000).filter(|script| check_flawed(script, flaw).is_err()).take(20).count();
        assert_eq!(found, 20, "{flaw:?} was found by {found} of 6,000 scripts");
    }
}

/// Scripts that never get anywhere would prove nothing.
#[test]
fn scripts_reach_everything() {
    let (mut calls, mut answers) = (BTreeMap::new(), BTreeMap::new());
    // The part, and the call or the answer.
    let words = |text: String| text.split([' ', '{', '(', ')']).take(2).collect::<Vec<_>>().join(" ");
    let mut kinds: BTreeMap<OutcomeKind, u32> = BTreeMap::new();
    let (mut retried, mut orphaned, mut stops, mut remains) = (0, 0, 0, 0);
    let (mut waited, mut ran, mut tried_again) = (0, 0, 0);
    let (mut reserved, mut granted, mut denied, mut given_back) = (0, 0, 0, 0);
    let mut permits = BTreeSet::new();
    let (mut snoozed, mut cut_off, mut retired) = (0, 0, 0);
    let (mut shown, mut taken_back, mut unwanted) = (0, 0, 0);
    let (mut slow, mut unmonitored) = (0, 0);
    let (mut slept, mut slept_on, mut cut_short, mut kept, mut abandoned) = (0, 0, 0, 0, 0);
    let (mut too_heavy, mut no_room, mut room_made) = (0, 0, 0);
    let (mut due, mut missed, mut unscheduled) = (0, 0, 0);
    let (mut verdicts, mut renewed, mut redelivered, mut not_confirmed) = (BTreeMap::new(), 0, 0, 0);
    let (mut wide, mut mixed, mut long_queues, mut longest_batch) = (0, 0, 0, 0);
    for script in seeded(400) {
        wide += u32::from(script.setup.limits().timer_slots() >= 1 << 13);
        for (call, answer) in trace(&script).unwrap() {
            if let Call::Emitters(emitters::Call::FeedBatch { offers, .. }) = &call {
                longest_batch = longest_batch.max(offers.len());
                let mut orders = offers.iter().flatten().map(|offer| offer.order);
                let first = orders.next();
                mixed += u32::from(orders.any(|order| Some(order) != first));
            }
            *calls.entry(words(format!("{call:?}"))).or_insert(0) += 1;
            *answers.entry(words(format!("{answer:?}"))).or_insert(0) += 1;
            let unmonitored_task = submissions::Why::Submit(Refusal::NotMonitored);
            if let Answer::Submissions(submissions::Answer::Task(Err((why, _)))) = answer {
                unmonitored += u32::from(why == unmonitored_task);
            }
            for settled in settlements(&answer) {
                *kinds.entry(settled.kind).or_default() += 1;
                waited += u32::from(!settled.waited.is_zero());
                ran += u32::from(!settled.ran.is_zero());
            }
            match answer {
                Answer::Effects(effects::Answer::Effect(Some(Done::Stop(_)))) => stops += 1,
                Answer::Attempts(attempts::Answer::Stopped(Ok(Stopped::Retrying { .. }))) => tried_again += 1,
                Answer::Attempts(attempts::Answer::Snoozed(Ok(Stopped::Retrying { .. }))) => snoozed += 1,
                Answer::Attempts(attempts::Answer::Snoozed(Ok(Stopped::Settled { .. }))) => cut_off += 1,
                Answer::Effects(effects::Answer::Effect(Some(Done::Observe(_)))) => shown += 1,
                Answer::Effects(effects::Answer::Effect(Some(Done::Due(found)))) => {
                    due += 1;
                    missed += u32::from(found.missed > 0);
                }
                Answer::Effects(effects::Answer::Effect(Some(Done::Unschedule(_)))) => unscheduled += 1,
                Answer::Observer(observer::Answer::Observed(Ok(()))) => taken_back += 1,
                Answer::Observer(observer::Answer::Observed(Err(_))) => unwanted += 1,
                Answer::Permits(permits::Answer::Permit(Ok(_))) => reserved += 1,
                Answer::Permits(permits::Answer::Permit(Err(reason))) => {
                    permits.insert(reason.to_string());
                }
                Answer::Permits(permits::Answer::Room(Room::Granted(_))) => granted += 1,
                Answer::Permits(permits::Answer::Room(Room::Unclaimed(_))) => denied += 1,
                Answer::Permits(permits::Answer::GivenBack(places)) => given_back += places,
                Answer::Cache(cache::Answer::Inserted("TooHeavy", _)) => too_heavy += 1,
                Answer::Cache(cache::Answer::Inserted("NoRoom", _)) => no_room += 1,
                Answer::Cache(cache::Answer::Removed(Some(_))) => {
                    room_made += u32::from(matches!(call, Call::Cache(cache::Call::MakeRoom { .. })));
                }
                Answer::Sources(sources::Answer::Verdict(Some((_, verdict)))) => {
                    let kind = match verdict {
                        Verdict::Dead { why, .. } => why.to_string(),
                        Verdict::Again { counted, .. } => format!("again, counted: {counted}"),
                        verdict => format!("{verdict:?}"),
                    };
                    *verdicts.entry(kind).or_insert(0) += 1;
                }
                Answer::Sources(sources::Answer::Renewal(Some(_))) => renewed += 1,
                Answer::Sleeps(sleeps::Answer::Slept(Slept::Over(..))) => slept += 1,
                Answer::Sleeps(sleeps::Answer::Slept(Slept::Sleeping(_))) => slept_on += 1,
                Answer::Sleeps(sleeps::Answer::Slept(Slept::Gone(_))) => cut_short += 1,
                _ => {}
            }
        }
        let totals = check(&script).unwrap().totals;
        slow += totals.slow;
        redelivered += totals.redelivered;
        let mut oracle = Oracle::new(&script.setup, None).unwrap();
        oracle.run(&script).unwrap();
        let machine = oracle.host().machine();
        retired += machine.census().retired;
        let left = machine.remains().unwrap();
        remains += left.cancelled;
        kept += left.kept;
        not_confirmed += left.deliveries;
        abandoned += left.abandoned;
        long_queues += u32::from(machine.ledger().queued.highest > 64);
        retried += totals.retried;
        orphaned += totals.orphaned;
    }
    assert_eq!(calls.len(), 75, "{calls:?}");
    assert_eq!(answers.len(), 61, "{answers:?}");
    assert_eq!(kinds.len(), OutcomeKind::COUNT, "{kinds:?}");
    assert!(kinds.values().all(|&count| count > 50), "{kinds:?}");
    assert!(slept > 20 && slept_on > 20 && cut_short > 20, "{slept} {slept_on} {cut_short}");
    assert!(waited > 50 && ran > 50, "{waited} {ran}");
    assert!(reserved > 50 && granted > 50 && denied > 5, "{reserved} {granted} {denied}");
    assert!(given_back > 20 && permits.len() >= 5, "{given_back} {permits:?}");
    assert!(shown > 50 && taken_back > 50 && unwanted > 20, "{shown} {taken_back} {unwanted}");
    assert!(snoozed > 50 && cut_off > 5 && retired > 50, "{snoozed} {cut_off} {retired}");
    assert!(slow > 50 && unmonitored > 20, "{slow} {unmonitored}");
    assert!(tried_again > 5, "{tried_again}");
    assert!(too_heavy > 50 && no_room > 5 && room_made > 40, "{too_heavy} {no_room} {room_made}");
    assert!(due > 500 && missed > 50 && unscheduled > 50, "{due} {missed} {unscheduled}");
    assert!(verdicts.len() == 9 && verdicts["Done"] > 20, "{verdicts:?}");
    assert!(renewed > 5 && redelivered > 50 && not_confirmed > 20, "{renewed} {redelivered} {not_confirmed}");
    assert!(wide > 2 && long_queues > 2, "{wide} {long_queues}");
    assert!(mixed > 50 && longest_batch > 64, "{mixed} {longest_batch}");
    assert!(retried > 50 && orphaned > 50 && stops > 50 && remains > 50);
    assert!(kept > 50 && abandoned > 50, "{kept} {abandoned}");
}
