//! A thousand tenants on one machine in virtual time, and one that floods it:
//! `cargo run --release -p plimsoll-tests --example tenants -- 60` runs each scene for so many seconds of virtual time. See
//! `plimsoll_tests::tenants`, whose tests hold the figures to their bounds.

use std::time::Duration;

use plimsoll_core::Rate;
use plimsoll_tests::tenants::{Outcome, Treatment, run};

fn main() {
    let seconds = std::env::args().nth(1).and_then(|seconds| seconds.parse().ok()).unwrap_or(60);
    let time = Duration::from_secs(seconds);
    let lanes = Treatment { has_lanes: true, concurrency: None, rate: None, weight: 1 };
    let rate = Rate::new(200, Duration::from_secs(1)).burst(20);
    println!(
        "1,000 tenants by Zipf's law on 64 places, nine tenths of what these can do, for {seconds} s of virtual time;"
    );
    println!("the flooding tenant offers ten times what they can do.\n");
    println!(
        "{:<33} {:>8} | {:>7} {:>9} {:>9} {:>10} {:>10} | {:>7} {:>9} {:>9}",
        "each tenant has",
        "flood",
        "places",
        "completed",
        "refused",
        "p99 of 10",
        "p99 of 990",
        "places",
        "completed",
        "refused"
    );
    for (name, treatment) in [
        ("nothing of its own", Treatment { has_lanes: false, ..lanes }),
        ("a lane", lanes),
        ("a lane, of weight 4 but the flood", Treatment { weight: 4, ..lanes }),
        ("a lane of 2", Treatment { concurrency: Some(2), ..lanes }),
        ("a lane with 200 starts a second", Treatment { rate: Some(rate), ..lanes }),
    ] {
        for has_flood in [false, true] {
            print(name, has_flood, &run(treatment, has_flood, time));
        }
    }
}

fn print(name: &str, has_flood: bool, outcome: &Outcome) {
    let Outcome { places, completed, refused, waits: [largest, others] } = outcome;
    let millis = |wait: &Duration| format!("{:.2} ms", wait.as_secs_f64() * 1_000.0);
    println!(
        "{name:<33} {:>8} | {:>7.2} {:>9} {:>9} {:>9} {:>9} | {:>7.2} {:>9} {:>9}",
        if has_flood { "with" } else { "without" },
        places[0],
        completed[0],
        refused[0],
        millis(largest),
        millis(others),
        places[1],
        completed[1],
        refused[1],
    );
}
