//! Fresh keys on one machine in virtual time, each of a lane with a rate and of a unique task:
//! `cargo run --release -p plimsoll-tests --example fresh_keys -- 10000000` runs so many, and says what they leave behind and
//! what they took. See `plimsoll_tests::fresh_keys`; a test holds 200,000 of them to their bounds.

use std::time::Instant;

use plimsoll_tests::alloc::Counting;
use plimsoll_tests::fresh_keys::{Outcome, run};

#[global_allocator]
static ALLOCATOR: Counting = Counting::new();

fn main() {
    let count = std::env::args().nth(1).and_then(|count| count.parse().ok()).unwrap_or(10_000_000);
    let began = Instant::now();
    let Outcome { census, lanes, keys, settled, duplicates, allocations } = run(count);
    println!("{count} fresh keys in {:.1} s:", began.elapsed().as_secs_f64());
    println!("  lanes: {} came, {} went, at most {} at a time", lanes.entered, lanes.left, lanes.highest);
    println!(
        "  keys with a task: {} came, {} went, at most {} at a time",
        keys.entered, keys.left, keys.highest
    );
    println!("  tasks: {} completed, {} ended otherwise, {duplicates} refused", settled[0], settled[1]);
    println!("  allocations: {allocations}");
    println!(
        "  left behind: {}",
        if census.is_empty() { "nothing".to_owned() } else { format!("{census:?}") }
    );
    if !census.is_empty() || allocations > 0 {
        std::process::exit(1);
    }
}
