//! The bindings of tokio.

use plimsoll::conformance::executor::{Executor, LocalExecutor, check, check_local};
use plimsoll::{LocalRuntime, Runtime, Tokio, TokioLocal};
use tokio::runtime;
use tokio::task::LocalSet;

use super::assert_conforms;

fn current_thread() -> runtime::Runtime {
    runtime::Builder::new_current_thread().enable_time().build().unwrap()
}

struct Driven(runtime::Runtime);

impl Executor for Driven {
    fn runtime(&self) -> impl Runtime {
        Tokio::on(self.0.handle().clone())
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.0.block_on(future)
    }
}

#[test]
fn one_thread_conforms() {
    assert_conforms(&check(|| Driven(current_thread())), 0);
}

/// Its threads run without the one that waits.
struct Pool(runtime::Runtime);

impl Executor for Pool {
    fn runtime(&self) -> impl Runtime {
        Tokio::on(self.0.handle().clone())
    }
}

#[test]
fn two_threads_conform() {
    let make = || runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
    assert_conforms(&check(move || Driven(make())), 0);
    assert_conforms(&check(move || Pool(make())), 0);
}

struct Set(LocalSet, runtime::Runtime);

impl LocalExecutor for Set {
    fn runtime(&self) -> impl LocalRuntime {
        TokioLocal::current()
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.0.block_on(&self.1, future)
    }
}

#[test]
fn a_local_set_conforms() {
    assert_conforms(&check_local(|| Set(LocalSet::new(), current_thread())), 0);
}

struct OwnThread(runtime::LocalRuntime);

impl LocalExecutor for OwnThread {
    fn runtime(&self) -> impl LocalRuntime {
        TokioLocal::current()
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.0.block_on(future)
    }
}

#[test]
fn a_local_runtime_conforms() {
    let make =
        || runtime::Builder::new_current_thread().enable_time().build_local(Default::default()).unwrap();
    assert_conforms(&check_local(move || OwnThread(make())), 0);
}

/// What it lacks is the one finding, in its own words.
#[test]
fn a_runtime_without_timers_is_told_what_it_lacks() {
    let report = check(|| Driven(runtime::Builder::new_current_thread().build().unwrap()));
    let [finding] = report.findings() else { panic!("{report}") };
    assert_eq!(finding.promise, "the executor can run a processor");
    assert!(finding.seen.contains("enable_time"), "{finding}");
}
