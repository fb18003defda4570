//! The conformance kit for executors: this crate's own bindings keep every promise, and bindings that break one are found out.

#![cfg(feature = "conformance")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod broken;
mod faults;
#[cfg(feature = "smol")]
mod on_smol;
#[cfg(feature = "tokio")]
mod on_tokio;
mod worst;

use plimsoll::Thread;
use plimsoll::conformance::executor::{Finding, Report, check};

/// Nothing is wrong, and all was tried but for what is about the end, where there is none.
fn assert_conforms(report: &Report, untried: usize) {
    println!("{report}");
    report.assert_ok();
    assert_eq!(report.untried().len(), untried, "{report}");
}

/// It ends when all that was spawned is done, so nobody can end it.
#[test]
fn a_plain_thread_conforms() {
    assert_conforms(&check(|| Thread::start().unwrap()), 2);
}

#[test]
fn reports_may_go_from_thread_to_thread() {
    fn pinned<T: Send + Sync + Unpin + std::fmt::Debug + Clone + 'static>() {}
    pinned::<Report>();
    pinned::<Finding>();
}
