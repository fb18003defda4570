//! Random scripts against a processor on a simulated runtime: `cargo run --release -p plimsoll-tests --example scripts -- 1000`
//! runs that many, from seed 0 on, and ends with the first finding. See `plimsoll_tests::engine`.
//!
//! The first 300 are a test, and the fuzz target `engine` goes on from the scripts in `fuzz/corpus/engine`.

use std::process::ExitCode;

use plimsoll_tests::engine::{Script, Summary, check};

/// How many steps a script has.
const STEPS: usize = 60;

fn main() -> ExitCode {
    let scripts = std::env::args().nth(1).and_then(|scripts| scripts.parse().ok()).unwrap_or(1_000);
    let mut sum = Summary::default();
    for seed in 0..scripts {
        let script = Script::seeded(seed, STEPS);
        match check(&script) {
            Ok(summary) => sum.add(&summary),
            Err(fault) => {
                eprintln!("seed {seed}: {fault}\n{script:#?}");
                return ExitCode::FAILURE;
            }
        }
    }
    println!("{scripts} scripts without a finding\n{sum:#?}");
    ExitCode::SUCCESS
}
