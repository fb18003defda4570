//! The conformance kit on executors of all kinds: a table, with the findings below each line. `cargo run` prints it, and fails
//! if there are any; `cargo test` asserts what there is.

mod async_executors;
mod bevy;
mod bundled;
mod compio;
mod embassy;
mod futures_pools;
mod timer;

use std::process::ExitCode;

use plimsoll::conformance::executor::{Report, check, check_local};
use plimsoll::{Smol, Thread};

/// An executor by name, and how it is checked.
type Row = (&'static str, fn() -> Report);

const ROWS: [Row; 14] = [
    ("plimsoll::Thread", || check(|| Thread::start().expect("a thread"))),
    ("smol, global", || check(Smol::global)),
    ("smol::Executor", || check(bundled::OfSmol::default)),
    ("smol::LocalExecutor", || check_local(bundled::LocalOfSmol::default)),
    ("tokio, one thread", || check(bundled::OfTokio::one_thread)),
    ("tokio, two threads", || check(bundled::OfTokio::two_threads)),
    ("tokio::LocalSet", || check_local(bundled::LocalOfTokio::new)),
    ("async_executor::Executor", || check(async_executors::Shared::default)),
    ("async_executor::LocalExecutor", || check_local(async_executors::Local::default)),
    ("futures::ThreadPool, in turns", || check(futures_pools::InTurns::start)),
    ("futures::LocalPool", || check_local(futures_pools::Local::new)),
    ("compio", || check_local(compio::Compio::new)),
    ("embassy on std", || check(embassy::Embassy::global)),
    ("bevy_tasks::TaskPool", || check(bevy::Bevy::start)),
];

fn main() -> ExitCode {
    println!("{:30} {:>5} {:>7} {:>10} {:>8}", "executor", "kept", "broken", "not tried", "time");
    let mut all_conform = true;
    for (name, check) in ROWS {
        let report = check();
        let (kept, broken, untried) = (report.kept().len(), report.findings().len(), report.untried().len());
        println!("{name:30} {kept:5} {broken:7} {untried:10} {:7.2}s", report.took().as_secs_f64());
        report.findings().iter().for_each(|finding| println!("- {finding}"));
        all_conform &= report.findings().is_empty();
    }
    if all_conform { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_conform() {
        for (name, check) in ROWS {
            let report = check();
            assert!(report.findings().is_empty(), "{name}: {report}");
        }
    }

    #[test]
    fn the_thread_pool_as_it_is_lets_busy_futures_starve_others() {
        let report = check(futures_pools::Threads::start);
        let beside = |promise: &str| {
            promise.contains("beside some that wake themselves") || promise.contains("always ready")
        };
        assert!(report.findings().iter().all(|finding| beside(finding.promise)), "{report}");
        assert!(!report.findings().is_empty(), "the binding that takes turns is not needed any more");
    }
}
