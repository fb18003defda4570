//! A host of one's own for the core, and a random test that finds the faults that are planted in it.
//!
//! ```sh
//! cargo run --bin own_host_test -- 1000   # seeds
//! cargo test --bin own_host_test
//! ```
//!
//! A host has duties: to report before it lets time act, to stop what it is asked to stop, to drop no value that it
//! has to hand on. The testkit of the core (feature `testkit`) helps to see whether it has done them: with a [`Kit`] every value is
//! a [`Token`] that is counted on its way in and out, and [`check`] says whether it is the machine beneath that is wrong.
//! The rest is asking the machine after each turn of the host: census, audit, totals, and whether anything is left to be done.

mod host;

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use plimsoll_core::testkit::{Books, Kit, Script, Token, check};
use plimsoll_core::{
    AttemptId, Drain, Instant, Limits, Offer, Outcome, OutcomeKind, Phase, Priority, Processor, Retry, Route,
    Settlement, Start, TaskId, Terms, Timeouts, Totals, Wake,
};

use host::{Fault, Host, Owner, Spare, Step};

fn main() -> anyhow::Result<()> {
    let seeds: u64 = std::env::args().nth(1).map_or(Ok(1_000), |seeds| seeds.parse())?;
    for seed in 0..seeds {
        episode(seed, None).map_err(|complaint| anyhow::anyhow!("seed {seed}: {complaint}"))?;
    }
    println!("{seeds} episodes, no complaints");
    for fault in Fault::ALL {
        match (0..seeds).find_map(|seed| Some((seed, episode(seed, Some(fault)).err()?))) {
            Some((seed, complaint)) => println!("{fault:?}, found by seed {seed}: {complaint}"),
            None => anyhow::bail!("{fault:?} was not found"),
        }
    }
    Ok(())
}

/// What surrounds a host in a test: it decides at random what happens, and keeps books.
#[derive(Default)]
struct World {
    rng: fastrand::Rng,
    books: Books,
    /// Tasks that are not settled, by the number that is job, metadata and callback of each.
    open: HashSet<u32>,
    cancelled: HashSet<TaskId>,
    /// Attempts that have come to their end, and whether they have completed, before the host has asked.
    done: HashMap<AttemptId, bool>,
    complaint: Option<String>,
}

impl World {
    fn complain(&mut self, is_wrong: bool, what: impl FnOnce() -> String) {
        if is_wrong && self.complaint.is_none() {
            self.complaint = Some(what());
        }
    }

    fn some_of(&mut self, millis: &[Option<u64>]) -> Option<Duration> {
        self.rng.choice(millis).copied().flatten().map(Duration::from_millis)
    }

    fn offer(&mut self, number: u32) -> Offer<Kit> {
        let callback = Route::Callback(self.books.token(number));
        Offer::new(self.books.token(number), number).route(callback)
    }

    fn terms(&mut self) -> Terms {
        let timeouts = Timeouts {
            schedule_to_start: self.some_of(&[None, None, Some(20)]),
            start_to_close: self.some_of(&[None, Some(1), Some(10)]),
            schedule_to_close: self.some_of(&[None, None, Some(50)]),
            ..Timeouts::NONE
        };
        Terms::new()
            .priority(Priority::new(self.rng.u8(..8)))
            .delay(self.some_of(&[None, None, Some(5), Some(100)]).unwrap_or_default())
            .timeouts(timeouts)
            .retry(Retry::times(self.rng.u32(..3)).base(Duration::from_millis(4)).on_timeout(self.rng.bool()))
    }
}

impl Owner<Kit> for World {
    fn step(&mut self, attempt: &Start<Kit>) -> Step<Kit> {
        match self.done.remove(&attempt.attempt) {
            Some(true) => Step::Completed(self.books.token(attempt.job.number())),
            Some(false) => Step::Failed(self.books.token(attempt.job.number())),
            None => Step::GoesOn,
        }
    }

    fn settled(&mut self, settlement: Settlement<Kit>) {
        let number = settlement.meta;
        let was_open = self.open.remove(&number);
        self.complain(!was_open, || format!("task {number} is settled twice"));
        let called = settlement.callback.map(Token::out);
        self.complain(called != Some(number), || format!("task {number} has called {called:?}"));
        if let Outcome::Completed(value) | Outcome::Failed(value) = settlement.outcome {
            let value = value.out();
            self.complain(value != number, || format!("task {number} has the value of {value}"));
        }
        settlement.job.map(Token::out);
    }

    fn spare(&mut self, value: Spare<Kit>) {
        let (Spare::Job(token) | Spare::Output(token) | Spare::Error(token)) = value;
        token.out();
    }

    /// A host that stops at once what it is asked to stop is late only for what was cancelled since its last turn.
    fn late(&mut self, task: TaskId, settled: Option<OutcomeKind>) {
        let is_cancelled = self.cancelled.contains(&task);
        self.complain(!is_cancelled, || {
            format!("a report was late for a task that was not cancelled: {settled:?}")
        });
    }
}

/// A host from its first turn to its end: what has come and gone, or what is wrong with it.
fn episode(seed: u64, fault: Option<Fault>) -> Result<Totals, String> {
    let mut rng = fastrand::Rng::with_seed(seed);
    machine_is_right(&mut rng)?;
    let mut limits = Limits::default();
    (limits.queue, limits.delayed, limits.concurrency) = (rng.u32(..6), rng.u32(..4), rng.u32(1..4));
    let mut now = Instant::ZERO;
    let machine = Processor::new(limits, now).map_err(|error| error.to_string())?;
    let mut host = Host { machine, in_hand: Vec::new(), fault };
    let mut world = World { rng, ..World::default() };
    let mut tasks = Vec::new();

    for number in 0..100 {
        match world.rng.u8(..10) {
            0..=5 => {
                let (offer, terms) = (world.offer(number), world.terms());
                match host.machine.submit(now, offer, &terms) {
                    Ok(task) => {
                        tasks.push(task);
                        world.open.insert(number);
                    }
                    Err(refused) => give_back(refused.into_value()),
                }
            }
            6 | 7 => {
                let task = world.rng.choice(&tasks).copied();
                if let Some(task) = task.filter(|task| host.machine.cancel(now, *task).is_ok()) {
                    world.cancelled.insert(task);
                }
            }
            8 => _ = host.machine.set_concurrency(now, world.rng.u32(..4)),
            _ => {}
        }
        now = now.saturating_add(Duration::from_millis(world.rng.u64(..8)));
        for start in &host.in_hand {
            if world.rng.bool() {
                world.done.insert(start.attempt, world.rng.bool());
            }
        }
        host.turn(now, &mut world);
        look_at(&host, now, &mut world);
        world.complaint.take().map_or(Ok(()), Err)?;
    }
    end(host, now, world)
}

/// Whether the machine does what its model says, in a script that is drawn as well.
fn machine_is_right(rng: &mut fastrand::Rng) -> Result<(), String> {
    let mut bytes = [0; 320];
    rng.fill(&mut bytes);
    check(&Script::from_bytes(&bytes)).map(drop).map_err(|fault| format!("this is not the host: {fault}"))
}

fn give_back(offer: Offer<Kit>) {
    offer.job.out();
    if let Route::Callback(callback) = offer.route {
        callback.out();
    }
}

/// What has to hold after each turn.
fn look_at(host: &Host<Kit>, now: Instant, world: &mut World) {
    let (machine, in_hand) = (&host.machine, host.in_hand.len());
    let (census, wake, lost, unasked) =
        (machine.census(), machine.next_wake(), world.books.lost(), world.done.len());
    world.complain(lost > 0, || format!("{lost} values were dropped"));
    world.complain(unasked > 0, || format!("{unasked} attempts were done in time and not reported"));
    world.complain(census != machine.audit(), || format!("the census is wrong: {census:?}"));
    let is_due = match wake {
        Wake::Now(_) => true,
        Wake::At(at, _) => at <= now,
        Wake::Never => false,
    };
    world.complain(is_due, || format!("something was left to be done: {wake:?}"));
    let attempts = census.running + census.orphans;
    world.complain(attempts as usize != in_hand, || {
        format!("{in_hand} attempts in hand, and {attempts} in the machine")
    });
    let open = world.open.len() as u64;
    world.complain(census.unsettled() != open, || {
        format!("{open} tasks are not settled, and {}", census.unsettled())
    });
}

/// Ends the machine in one of the three ways. Nothing may be left of it.
fn end(mut host: Host<Kit>, mut now: Instant, mut world: World) -> Result<Totals, String> {
    let graceful = Drain::graceful(Duration::from_millis(30));
    let mode = world.rng.choice([graceful, Drain::Cancel, Drain::Abort]).unwrap_or(graceful);
    host.machine.drain(now, mode);
    for _ in 0..100 {
        host.turn(now, &mut world);
        now = now.saturating_add(Duration::from_millis(1));
    }
    look_at(&host, now, &mut world);
    world.complain(host.machine.phase() != Phase::Drained, || "it has not ended".to_owned());
    world.complain(!host.machine.census().is_empty(), || format!("it holds {:?}", host.machine.census()));
    let inside = world.books.inside();
    world.complain(inside > 0, || format!("{inside} values have not come out"));
    world.complaint.map_or(Ok(host.machine.totals()), Err)
}

#[cfg(test)]
mod tests {
    use plimsoll_core::ByOutcome;

    use super::*;

    #[test]
    fn the_host_does_its_duties() {
        let mut seen = [0; 7];
        for seed in 0..500 {
            let totals = episode(seed, None).unwrap_or_else(|complaint| panic!("seed {seed}: {complaint}"));
            let ByOutcome { completed, failed, timed_out, cancelled, expired, .. } = totals.settled;
            let counts = [completed, failed, timed_out, cancelled, expired, totals.retried, totals.late];
            seen.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
        }
        assert!(seen.iter().all(|sum| *sum > 100), "what does not happen is not tested: {seen:?}");
    }

    #[test]
    fn every_planted_fault_is_found() {
        for fault in Fault::ALL {
            assert!((0..100).any(|seed| episode(seed, Some(fault)).is_err()), "{fault:?}");
        }
    }
}
