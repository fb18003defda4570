//! The test of hosts in the core's testkit: a host that is right passes, and each fault that is planted is found.

mod host;

use std::fmt::Debug;

use plimsoll_core::testkit::hosts::{
    Errand, Finding, Job, Promise, Reply, Script, Step, Summary, check_host,
};

use host::{Fault, Loop, Manner};

/// A run of the script that is drawn from this seed.
fn run(seed: u64, manner: Manner, fault: Option<Fault>) -> Result<Summary, Finding> {
    check_host(|limits, now| Loop::new(limits, now, manner, fault), &Script::from_seed(seed))
}

#[test]
fn a_host_that_is_right_passes_and_scripts_reach_everything() {
    let mut seen = [0; 13];
    for (seed, manner) in (0..3_000).flat_map(|seed| Manner::ALL.map(|manner| (seed, manner))) {
        let summary =
            run(seed, manner, None).unwrap_or_else(|finding| panic!("seed {seed}, {manner:?}:\n{finding}"));
        let (totals, settled) = (summary.totals, summary.totals.settled);
        let counts = [
            totals.refused,
            totals.retried,
            totals.orphaned,
            totals.late,
            settled.completed,
            settled.failed,
            settled.timed_out,
            settled.cancelled,
            settled.expired,
            settled.panicked,
            settled.shed,
            summary.turns,
            summary.needless,
        ];
        seen.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
    }
    assert!(seen.iter().all(|sum| *sum > 1_000), "what does not happen is not tested: {seen:?}");
}

/// Each fault, and the promise that it breaks.
const FAULTS: [(Fault, Promise); 28] = [
    (Fault::CallsRefused, Promise::Commands),
    (Fault::ForgetsCancel, Promise::Commands),
    (Fault::SetsTimerInTurns, Promise::Wakes),
    (Fault::SetsTimerLaterOnly, Promise::Wakes),
    (Fault::AdvancesOnce, Promise::Wakes),
    (Fault::TakesOneEffect, Promise::Wakes),
    (Fault::Spins, Promise::Rest),
    (Fault::Polls, Promise::Rest),
    (Fault::RunsAtOnce, Promise::Starts),
    (Fault::RunsCopies, Promise::Starts),
    (Fault::ReportsStopEarly, Promise::Starts),
    (Fault::Leaks, Promise::Starts),
    (Fault::ForgetsStop, Promise::Stops),
    (Fault::StopsSilently, Promise::Stops),
    (Fault::ReportsTwice, Promise::Reports),
    (Fault::ForgetsFailures, Promise::Reports),
    (Fault::ReportsFailureAsStop, Promise::Reports),
    (Fault::ReportsLast, Promise::Reports),
    (Fault::DropsAttempts, Promise::Reports),
    (Fault::EndsDeaf, Promise::Reports),
    (Fault::CallsTwice, Promise::Callbacks),
    (Fault::KeepsCallback, Promise::Callbacks),
    (Fault::LosesCancelled, Promise::Callbacks),
    (Fault::TellsTheWrongOutcome, Promise::Callbacks),
    (Fault::DropsEffects, Promise::Callbacks),
    (Fault::KeepsAttempts, Promise::End),
    (Fault::KeepsTimer, Promise::End),
    (Fault::ForgetsDrain, Promise::End),
];

#[test]
fn each_fault_is_found_by_the_promise_that_it_breaks() {
    for (fault, promise) in FAULTS {
        for manner in [Manner::Drops, Manner::Tells] {
            let found = first_finding(manner, fault);
            println!("{fault:?}\n{found}");
            assert_eq!(found.promise, promise, "{fault:?}");
        }
    }
}

#[test]
fn a_finding_is_found_again_by_its_script_and_by_no_shorter_one() {
    for (fault, promise) in FAULTS {
        let found = first_finding(Manner::Drops, fault);
        let run = |script: &Script| {
            check_host(|limits, now| Loop::new(limits, now, Manner::Drops, Some(fault)), script)
        };
        assert_eq!(Script::from_bytes(&found.script.bytes()), found.script);
        assert_eq!(run(&found.script), Err(found.clone()), "{fault:?}");
        let bytes = found.script.bytes();
        let (setup, steps) = bytes.split_at(4);
        for left_out in 0..steps.len() / 4 {
            let rest = steps.chunks(4).enumerate().filter(|(at, _)| *at != left_out);
            let bytes: Vec<u8> =
                setup.iter().copied().chain(rest.flat_map(|(_, step)| step.to_vec())).collect();
            let same = run(&Script::from_bytes(&bytes)).is_err_and(|other| other.promise == promise);
            assert!(!same, "{fault:?} needs no step {left_out}:\n{found}");
        }
    }
}

#[test]
fn a_finding_tells_the_promise_the_steps_and_how_to_see_it_again() {
    let found = first_finding(Manner::Drops, Fault::ForgetsStop);
    let words = [
        "broken: an attempt stops when the machine asks for that",
        "  at 0.001999000s: the attempt of task 0 is to stop, and it was neither told nor dropped",
        "  1. submit a task of class 1, schedule-to-start 20ms, start-to-close 1ms, up to 2 attempts with 4ms between, \
         also of time-outs, also of panics",
        "  2. 2ms pass, with timers 999µs late",
        "  again: check_host(…, &Script::from_bytes(&[214, 245, 150, 249, 53, 193, 75, 53, 198, 18, 60, 127]))",
    ];
    assert_eq!(found.to_string(), words.join("\n"));
}

/// What the first script with a finding finds.
fn first_finding(manner: Manner, fault: Fault) -> Finding {
    let found = (0..300).find_map(|seed| run(seed, manner, Some(fault)).err());
    found.unwrap_or_else(|| panic!("{fault:?} is not found"))
}

/// Hosts may move their jobs to other threads.
#[test]
fn auto_traits_are_pinned() {
    const fn plain<T: Send + Sync + Unpin + Debug + 'static>() {}
    plain::<Errand>();
    plain::<Job>();
    plain::<Reply>();
    plain::<Script>();
    plain::<Step>();
    plain::<Finding>();
    plain::<Summary>();
}
