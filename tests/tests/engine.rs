//! Scripts against a processor on a simulated runtime. See `plimsoll_tests::engine`.

use plimsoll_tests::engine::{Script, Setup, Step, Summary, check};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

#[test]
fn scripts_break_no_promise_and_are_the_same_each_time() {
    let mut sum = Summary::default();
    for seed in 0..300 {
        let script = Script::seeded(seed, 60);
        let summary = check(&script).unwrap_or_else(|fault| panic!("seed {seed}: {fault}\n{script:#?}"));
        assert_eq!(check(&script).ok(), Some(summary.clone()), "seed {seed}");
        sum.add(&summary);
    }
    assert!(sum.settled.iter().all(|seen| *seen > 10), "every kind of outcome is seen: {sum:?}");
    for what in REACHED {
        assert!(sum.reached.get(what).is_some_and(|seen| *seen > 5), "{what}: {:?}", sum.reached);
    }
    assert!(sum.tasks > 1_500 && sum.events > 2_500 && sum.shut_down > 30 && sum.nanos > 0, "{sum:?}");
}

/// What keys, schedules, the monitor and the rest come to in some of these scripts.
const REACHED: [&str; 19] = [
    "a class is paused",
    "a class is resumed",
    "a paused class has tasks",
    "behind",
    "cleared",
    "due",
    "duplicate",
    "end of a schedule",
    "heartbeat",
    "hold",
    "hold of a lane",
    "late heartbeat",
    "panic in a schedule",
    "refused job of a schedule",
    "schedule",
    "set priority",
    "silent for too long",
    "slow",
    "superseded",
];

/// Of any length up to this, so that a failing one shrinks to the steps that it takes.
fn scripts(most_steps: usize) -> impl Strategy<Value = Script> {
    let setup = any::<[u8; Setup::BYTES]>().prop_map(Setup);
    let steps = vec(any::<[u8; Step::BYTES]>().prop_map(Step), 0..=most_steps);
    (setup, steps).prop_map(|(setup, steps)| Script { setup, steps })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 4_000,
        max_shrink_iters: 50_000,
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_script_breaks_no_promise(script in scripts(80)) {
        if let Err(fault) = check(&script) {
            return Err(TestCaseError::fail(fault.to_string()));
        }
    }
}
