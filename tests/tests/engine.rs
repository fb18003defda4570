//! Scripts against a processor on a simulated runtime. See `plimsoll_tests::engine`.

use plimsoll_tests::engine::{Script, Summary, check};

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
    assert!(sum.tasks > 1_500 && sum.events > 2_500 && sum.shut_down > 30 && sum.nanos > 0, "{sum:?}");
}
