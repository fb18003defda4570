//! How many bytes a machine asks for, in all and a thing.

use std::process::ExitCode;

use plimsoll_core::{CacheLimits, Footprint, Limits, ResultLimits};

use crate::machine::{Eight, Machine};

/// How many more of a thing are asked for, to see what one takes.
const MORE: u32 = 1 << 16;

/// Prints the table.
pub fn run() -> ExitCode {
    let machine = Limits::default().footprint::<Eight>();
    println!(
        "a machine with default limits (queue 1,024, concurrency 64, delayed 256; job, output, error, metadata of 8 bytes)"
    );
    let Footprint { tasks, timers, waiters, emitters, subscribers, cache, .. } = machine;
    for (part, bytes) in [
        ("task slots", tasks),
        ("timers", timers),
        ("line of waiters", waiters),
        ("emitters", emitters),
        ("subscribers and events", subscribers),
        ("cache", cache),
        ("the machine itself", size_of::<Machine>()),
        ("all told", machine.total() + size_of::<Machine>()),
    ] {
        println!("{part:36}{bytes:>10}");
    }
    println!("one more, bytes");
    each("place in the queue: task slot", |limits| limits.queue += MORE, |all| all.tasks);
    each("place in the queue: timer", |limits| limits.queue += MORE, |all| all.timers);
    each("place for a delayed task", |limits| limits.delayed += MORE, Footprint::total);
    let unclaimed = |limits: &mut Limits| limits.unclaimed = Some(limits.unclaimed_slots() + MORE);
    each("place for an outcome unclaimed", unclaimed, Footprint::total);
    each("retained result", |limits| limits.results = ResultLimits::new(MORE, None), Footprint::total);
    each("waiter", |limits| limits.waiters += MORE, Footprint::total);
    each("emitter", |limits| limits.emitters += MORE, Footprint::total);
    each("subscriber", |limits| limits.subscribers += MORE, Footprint::total);
    each("event", |limits| limits.events += MORE, Footprint::total);
    let cached = |limits: &mut Limits| limits.cache = CacheLimits { entries: MORE, ..limits.cache };
    each("cache entry (key, value of 8 bytes)", cached, Footprint::total);
    ExitCode::SUCCESS
}

fn each(name: &str, add: fn(&mut Limits), part: fn(&Footprint) -> usize) {
    let mut few = Limits::default();
    few.unclaimed = Some(few.unclaimed_slots());
    let mut many = few;
    add(&mut many);
    let more = part(&many.footprint::<Eight>()) - part(&few.footprint::<Eight>());
    println!("{name:36}{:>10.1}", more as f64 / f64::from(MORE));
}
