//! Draws the picture of the README: what the leaky original and plimsoll hold during a week under the same load.
//! `cargo run --release -p plimsoll-tests --example memory_week -- tests/memory_week.svg` writes it. See
//! `plimsoll_tests::memory_week`; a test holds the committed picture to what is measured.

use std::time::Instant;

use plimsoll_tests::alloc::Counting;
use plimsoll_tests::memory_week::week;

#[global_allocator]
static ALLOCATOR: Counting = Counting::new();

fn main() -> std::io::Result<()> {
    let file = std::env::args().nth(1).unwrap_or_else(|| "tests/memory_week.svg".into());
    let began = Instant::now();
    let (leaky, bounded, svg) = week();
    for day in 1..=7 {
        let kib = |hours: &[usize]| hours.get(day * 24 - 1).map_or(0, |bytes| bytes / 1_024);
        println!("day {day}: the leaky original {:>7} KiB, plimsoll {:>5} KiB", kib(&leaky), kib(&bounded));
    }
    std::fs::write(&file, svg)?;
    println!("{file}, in {:.1} s", began.elapsed().as_secs_f64());
    Ok(())
}
