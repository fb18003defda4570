//! All scripts of a few steps: no chance is involved.

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

/// A queue of one; the same, and two outcomes that are not taken; no queue, and no second orphan; room for everything.
const TIGHT: [u8; Setup::BYTES] = [1, 0, 0, 1, 1, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0];
const PAIR: [u8; Setup::BYTES] = [1, 0, 0, 0, 1, 0, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0];
const NONE: [u8; Setup::BYTES] = [0, 0, 1, 1, 1, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0];
const ROOMY: [u8; Setup::BYTES] = [6, 1, 0, 3, 2, 0, 3, 2, 1, 2, 0, 0, 0, 0, 0, 0];

/// Tried twice, 2 ms for each attempt; for a handle, after 1 ms; retained, at most 3 ms in the queue.
const CALLBACK: Order = Order([0x24, 0, 9]);
/// As the first one, also after a time-out; the same, within 3 ms in all.
const TIMED: Order = Order([0x22, 0, 9]);
const TIMED_IN_ALL: Order = Order([0x2a, 0, 0xa9]);
const HANDLE: Order = Order([0x0c, 8, 0]);
const RETAINED: Order = Order([0x10, 0xa0, 0]);

#[test]
fn all_short_lives() {
    let steps = [
        Step::Submit(CALLBACK),
        Step::Submit(HANDLE),
        Step::Submit(RETAINED),
        Step::Start { count: 1 },
        Step::Complete { attempt: 0 },
        Step::Fail { attempt: 0, with_job: true },
        Step::Cancel { task: 0, with_reason: true },
        Step::Claim { task: 0 },
        Step::Advance { jump: 4, budget: 0 },
        Step::Poll { count: 1 },
        Step::WaitForRoom { count: 1 },
        Step::Abort,
    ];
    check_all(steps, &[TIGHT, NONE, ROOMY]);
}

#[test]
fn all_short_permits() {
    let steps = [
        Step::Submit(CALLBACK),
        Step::Submit(HANDLE),
        Step::Start { count: 1 },
        Step::Complete { attempt: 0 },
        Step::TryClaim { task: 0 },
        Step::Reserve { count: 2 },
        Step::WaitForRoom { count: 2 },
        Step::WaitForRoom { count: 1 },
        Step::SubmitReserved { permit: 0, order: HANDLE },
        Step::Rewait { permit: 0 },
        Step::Leave { permit: 0 },
        Step::Poll { count: 1 },
    ];
    check_all(steps, &[TIGHT, PAIR, ROOMY]);
}

#[test]
fn all_short_time_outs() {
    let steps = [
        Step::Submit(TIMED),
        Step::Submit(TIMED_IN_ALL),
        Step::Start { count: 1 },
        Step::Advance { jump: 6, budget: 0 },
        Step::Advance { jump: 4, budget: 145 },
        Step::Poll { count: 1 },
        Step::Stopped { attempt: 0, with_job: true },
        Step::Stopped { attempt: 0, with_job: false },
        Step::Complete { attempt: 0 },
        Step::Fail { attempt: 0, with_job: true },
        Step::Cancel { task: 0, with_reason: true },
        Step::CancelAll,
    ];
    check_all(steps, &[TIGHT, ROOMY]);
}

#[test]
fn all_short_ends() {
    let steps = [
        Step::Submit(CALLBACK),
        Step::Submit(HANDLE),
        Step::Start { count: 1 },
        Step::Stopped { attempt: 0, with_job: false },
        Step::Release { task: 0 },
        Step::CancelAll,
        Step::Advance { jump: 4, budget: 0 },
        Step::Advance { jump: 0, budget: 145 },
        Step::Poll { count: 1 },
        Step::DrainGracefully { within: 7 },
        Step::DrainGracefully { within: 4 },
        Step::Abort,
    ];
    check_all(steps, &[TIGHT, ROOMY]);
}
