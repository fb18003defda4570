//! All scripts of a few steps: no chance is involved.

use plimsoll_core::testkit::steps::{attempts, effects, gate, permits, sources, submissions, tasks, time};
use plimsoll_core::testkit::{Order, Script, Setup, Step, check};

/// All that five steps out of twelve can do to machines of these limits.
fn check_all(steps: [Step; 12], setups: &[[u8; Setup::BYTES]]) {
    for &setup in setups {
        let mut script = Script { setup: Setup(setup), steps: vec![steps[0]; 5] };
        for number in 0..steps.len().pow(5) {
            let mut rest = number;
            for step in &mut script.steps {
                *step = steps[rest % steps.len()];
                rest /= steps.len();
            }
            if let Err(fault) = check(&script) {
                panic!("{fault}\n{script:?}");
            }
        }
    }
}

/// These bytes, and nothing of what is chosen after them.
const fn setup(first: [u8; 10]) -> [u8; Setup::BYTES] {
    let mut bytes = [0; Setup::BYTES];
    let mut at = 0;
    while at < first.len() {
        bytes[at] = first[at];
        at += 1;
    }
    bytes
}

/// A queue of one; the same, and two outcomes that are not taken; no queue, and no second orphan; room for everything.
const TIGHT: [u8; Setup::BYTES] = setup([1, 0, 0, 1, 1, 0, 1, 1, 0, 0]);
const PAIR: [u8; Setup::BYTES] = setup([1, 0, 0, 0, 1, 0, 2, 1, 0, 0]);
const NONE: [u8; Setup::BYTES] = setup([0, 0, 1, 1, 1, 0, 1, 1, 0, 0]);
const ROOMY: [u8; Setup::BYTES] = setup([6, 1, 0, 3, 2, 0, 3, 2, 1, 2]);

/// Tried twice, 2 ms for each attempt; for a handle, after 1 ms; retained, at most 3 ms in the queue.
const CALLBACK: Order = Order::new(0x24, 0, 9, 0, 0);
/// As the first one, also after a time-out; the same, within 3 ms in all.
const TIMED: Order = Order::new(0x22, 0, 9, 0, 0);
const TIMED_IN_ALL: Order = Order::new(0x2a, 0, 0xa9, 0, 0);
const HANDLE: Order = Order::new(0x0c, 8, 0, 0, 0);
const RETAINED: Order = Order::new(0x10, 0xa0, 0, 0, 0);

#[test]
fn all_short_lives() {
    let steps = [
        submissions::Step::Submit(CALLBACK).into(),
        submissions::Step::Submit(HANDLE).into(),
        submissions::Step::Submit(RETAINED).into(),
        gate::Step::Start { count: 1 }.into(),
        attempts::Step::Complete { attempt: 0 }.into(),
        attempts::Step::Fail { attempt: 0, with_job: true }.into(),
        tasks::Step::Cancel { task: 0, with_reason: true }.into(),
        tasks::Step::Claim { task: 0 }.into(),
        time::Step::Advance { jump: 4, budget: 0 }.into(),
        effects::Step::Poll { count: 1 }.into(),
        permits::Step::WaitForRoom { count: 1 }.into(),
        gate::Step::Abort.into(),
    ];
    check_all(steps, &[TIGHT, NONE, ROOMY]);
}

#[test]
fn all_short_permits() {
    let steps = [
        submissions::Step::Submit(CALLBACK).into(),
        submissions::Step::Submit(HANDLE).into(),
        gate::Step::Start { count: 1 }.into(),
        attempts::Step::Complete { attempt: 0 }.into(),
        tasks::Step::TryClaim { task: 0 }.into(),
        permits::Step::Reserve { count: 2 }.into(),
        permits::Step::WaitForRoom { count: 2 }.into(),
        permits::Step::WaitForRoom { count: 1 }.into(),
        permits::Step::SubmitReserved { permit: 0, order: HANDLE }.into(),
        permits::Step::Rewait { permit: 0 }.into(),
        permits::Step::Leave { permit: 0 }.into(),
        effects::Step::Poll { count: 1 }.into(),
    ];
    check_all(steps, &[TIGHT, PAIR, ROOMY]);
}

#[test]
fn all_short_time_outs() {
    let steps = [
        submissions::Step::Submit(TIMED).into(),
        submissions::Step::Submit(TIMED_IN_ALL).into(),
        gate::Step::Start { count: 1 }.into(),
        time::Step::Advance { jump: 6, budget: 0 }.into(),
        time::Step::Advance { jump: 4, budget: 145 }.into(),
        effects::Step::Poll { count: 1 }.into(),
        attempts::Step::Stopped { attempt: 0, with_job: true }.into(),
        attempts::Step::Stopped { attempt: 0, with_job: false }.into(),
        attempts::Step::Complete { attempt: 0 }.into(),
        attempts::Step::Fail { attempt: 0, with_job: true }.into(),
        tasks::Step::Cancel { task: 0, with_reason: true }.into(),
        gate::Step::CancelAll.into(),
    ];
    check_all(steps, &[TIGHT, ROOMY]);
}

#[test]
fn all_short_ends() {
    let steps = [
        submissions::Step::Submit(CALLBACK).into(),
        submissions::Step::Submit(HANDLE).into(),
        gate::Step::Start { count: 1 }.into(),
        attempts::Step::Stopped { attempt: 0, with_job: false }.into(),
        tasks::Step::Release { task: 0 }.into(),
        gate::Step::CancelAll.into(),
        time::Step::Advance { jump: 4, budget: 0 }.into(),
        time::Step::Advance { jump: 0, budget: 145 }.into(),
        effects::Step::Poll { count: 1 }.into(),
        gate::Step::DrainGracefully { within: 7 }.into(),
        gate::Step::DrainGracefully { within: 4 }.into(),
        gate::Step::Abort.into(),
    ];
    check_all(steps, &[TIGHT, ROOMY]);
}

/// One place of the credit, in an engine that can delay.
#[test]
fn all_short_deliveries() {
    let order = CALLBACK;
    let steps = [
        sources::Step::Pull { source: 0, times: 1, order }.into(),
        sources::Step::BeginPull { source: 0 }.into(),
        sources::Step::Deliver { source: 0, order: TIMED }.into(),
        sources::Step::Settle { source: 0, times: 0, how: 0 }.into(),
        sources::Step::Settle { source: 0, times: 0, how: 1 }.into(),
        sources::Step::Wait { source: 0 }.into(),
        sources::Step::Close { source: 0, budget: 0 }.into(),
        gate::Step::Start { count: 1 }.into(),
        attempts::Step::Fail { attempt: 0, with_job: true }.into(),
        attempts::Step::Complete { attempt: 0 }.into(),
        time::Step::Advance { jump: 4, budget: 0 }.into(),
        gate::Step::DrainGracefully { within: 4 }.into(),
    ];
    let with_source = |mut bytes: [u8; Setup::BYTES], terms| {
        (bytes[19], bytes[23]) = (1, terms);
        bytes
    };
    check_all(steps, &[with_source(TIGHT, 17), with_source(ROOMY, 1), with_source(NONE, 34)]);
}
