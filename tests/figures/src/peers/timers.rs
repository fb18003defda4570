//! Timer stores side by side: arming and disarming among many, and firing a million.

use std::process::ExitCode;
use std::time::Duration;

use fastrand::Rng;
use plimsoll_core::Instant;

use crate::machine::{self, Machine, TERMS, bare, callback};
use crate::meter::{self, Figure, Meter, Region};

use super::stores::{DelayQueue, Heap, Store, Tree};

const SECOND: Duration = Duration::from_secs(1);
const FEW: u32 = 10_000;
const MANY: u32 = 1_000_000;
/// How many timers fire in one call, as a host that must not pause for long would have it.
const BUDGET: u32 = 1_024;

/// A store, its clock, and what is armed when.
struct World<S> {
    store: S,
    now: Instant,
    rng: Rng,
    /// Which timers are armed anew in a round, and for when.
    next: Vec<(u32, Instant)>,
}

impl<S: Store> World<S> {
    fn new(capacity: u32) -> Self {
        let now = Instant::ZERO;
        Self { store: S::new(capacity), now, rng: Rng::with_seed(9), next: Vec::new() }
    }

    fn draw(&mut self, index: u32, within: Duration) -> (u32, Instant) {
        let millis = self.rng.u64(1..=within.as_millis() as u64);
        (index, self.now.saturating_add(Duration::from_millis(millis)))
    }
}

/// A random one of few timers is disarmed and armed anew, for some time in the next minute, as by a task that ends and
/// another that starts.
fn rearm<S: Store>(meter: &mut Meter) {
    const MINUTE: Duration = Duration::from_secs(60);
    let mut world = World::<S>::new(FEW);
    for index in 0..FEW {
        let (_, at) = world.draw(index, MINUTE);
        world.store.arm(index, at);
    }
    let region = Region::new(S::NAME, FEW, |world: &mut World<S>, _| {
        for (index, at) in &world.next {
            world.store.disarm(*index);
            world.store.arm(*index, *at);
        }
    })
    .before(|world, count| {
        world.next = (0..count)
            .map(|_| {
                let index = world.rng.u32(..FEW);
                world.draw(index, MINUTE)
            })
            .collect();
    });
    meter.measure(&mut world, FEW, &region);
}

/// All of many timers fire, having been armed for random times of the last second.
fn fire<S: Store>(meter: &mut Meter) {
    let mut region = Region::new(S::NAME, MANY, |world: &mut World<S>, count| {
        let mut fired = 0;
        while fired < count {
            fired += world.store.fire(world.now, BUDGET);
        }
        assert_eq!(fired, count);
    })
    .before(|world, count| {
        for index in 0..count {
            let (_, at) = world.draw(index, SECOND);
            world.store.arm(index, at);
        }
        world.now = world.now.saturating_add(SECOND);
        world.store.pass(world.now);
    });
    region.rounds = 3;
    meter.measure(&mut World::<S>::new(MANY), MANY, &region);
}

/// The same by the whole machine: delayed tasks are put in the queue.
fn fire_by_machine(meter: &mut Meter, name: &'static str, delay: fn(&mut Rng) -> u64) {
    let machine = machine::machine(bare(MANY, BUDGET));
    let mut region =
        Region::new(
            name,
            MANY,
            |host: &mut Host, _| {
                while machine::advance(&mut host.machine, host.now, BUDGET).more {}
            },
        )
        .before(|host, count| {
            for _ in 0..count {
                let terms = TERMS.delay(Duration::from_millis((host.delay)(&mut host.rng)));
                machine::submit(&mut host.machine, host.now, callback(), &terms);
            }
            host.now = host.now.saturating_add(SECOND);
        })
        .after(|host, count| {
            assert_eq!(host.machine.census().queued, count);
            for _ in 0..count {
                let start = machine::start(&mut host.machine, host.now);
                machine::complete(&mut host.machine, host.now, start.attempt);
                let _ = machine::poll(&mut host.machine);
            }
        });
    region.rounds = 3;
    meter.measure(&mut Host { machine, now: Instant::ZERO, rng: Rng::with_seed(9), delay }, MANY, &region);
}

/// A machine, its clock, and how many milliseconds a task is delayed.
struct Host {
    machine: Machine,
    now: Instant,
    rng: Rng,
    delay: fn(&mut Rng) -> u64,
}

fn program(meter: &mut Meter) {
    rearm::<super::stores::Wheel>(meter);
    rearm::<Heap>(meter);
    rearm::<Tree>(meter);
    rearm::<DelayQueue>(meter);
    fire::<super::stores::Wheel>(meter);
    fire_by_machine(meter, "plimsoll's machine, delay to queue", |rng| rng.u64(1..=1_000));
    fire_by_machine(meter, "the same, all due at one instant", |_| 1_000);
    fire::<Heap>(meter);
    fire::<Tree>(meter);
    fire::<DelayQueue>(meter);
}

/// Prints the table.
pub fn run() -> ExitCode {
    let figures = meter::times(program);
    for (size, title) in [(FEW, "disarm and arm among 10,000"), (MANY, "fire 1,000,000")] {
        println!("{title:40}{:>10}", "ns");
        for Figure { name, nanos, .. } in figures.iter().filter(|figure| figure.size == size) {
            println!("{name:40}{nanos:10.1}");
        }
    }
    ExitCode::SUCCESS
}
