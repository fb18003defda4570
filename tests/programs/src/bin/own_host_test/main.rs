//! A host of one's own for the core, and a random test that finds the faults that are planted in it.
//!
//! ```sh
//! cargo run --bin own_host_test -- 1000   # seeds
//! cargo test --bin own_host_test
//! ```
//!
//! A host has duties: to report before it lets time act, to stop what it is asked to stop, to set its timer again after
//! each call, to come to an end. The testkit of the core (feature `testkit`) finds those that it does not do:
//! [`check_host`] runs a random [`Script`] on it on a simulated clock, decides how attempts end, and compares what it sees
//! of the host with what the machine says. A finding has the shortest script that shows it. What a test of one's own has
//! to bring is [`Tested`]: the host with jobs and callbacks that are the script's.

mod host;

use plimsoll_core::testkit::hosts::{self, Errand, Job, Reply, Script, Stepped, check_host};
use plimsoll_core::{
    BuildError, Drain, Instant, Limits, Offer, Plan, Processor, Route, Settlement, Start, TaskId, Terms,
    Totals, Wake,
};

use host::{Fault, Host, Owner, Step};

fn main() -> anyhow::Result<()> {
    let seeds: u64 = std::env::args().nth(1).map_or(Ok(1_000), |seeds| seeds.parse())?;
    for seed in 0..seeds {
        episode(seed, None).map_err(|finding| anyhow::anyhow!("seed {seed}: {finding}"))?;
    }
    println!("{seeds} episodes, no complaints");
    for fault in Fault::ALL {
        match (0..seeds).find_map(|seed| Some((seed, episode(seed, Some(fault)).err()?))) {
            Some((seed, finding)) => println!("{fault:?}, found by seed {seed}: {finding}"),
            None => anyhow::bail!("{fault:?} was not found"),
        }
    }
    Ok(())
}

/// A host from its first turn to its end: what has come and gone, or what is wrong with it.
fn episode(seed: u64, fault: Option<Fault>) -> Result<Totals, hosts::Finding> {
    let make = |limits, now| Tested::new(limits, now, fault);
    check_host(make, &Script::from_seed(seed)).map(|summary| summary.totals)
}

/// The values that a script brings.
struct Errands;

impl Plan for Errands {
    type Job = Job;
    type Output = u32;
    type Error = u32;
    type Panic = u32;
    type Meta = ();
    type Callback = Reply;
    type Waiter = ();
    type Listener = ();
    type Key = ();
    type Value = ();
}

impl Owner<Self> for Errands {
    fn step(&mut self, attempt: &Start<Self>) -> Step<Self> {
        match attempt.job.step() {
            Stepped::Completed(output) => Step::Completed(output),
            Stepped::Failed(error) => Step::Failed(error),
            _ => Step::GoesOn,
        }
    }

    fn settled(&mut self, settlement: Settlement<Self>) {
        settlement.callback.iter().for_each(|reply| reply.send(&settlement.outcome));
    }
}

/// The host with these values.
struct Tested(Host<Errands>);

impl Tested {
    fn new(limits: Limits, now: Instant, fault: Option<Fault>) -> Result<Self, BuildError> {
        Ok(Self(Host::new(Processor::new(limits, now)?, fault)))
    }
}

impl hosts::Host for Tested {
    type Plan = Errands;

    /// This host lets panics pass.
    const PANICS: bool = false;

    fn machine(&self) -> &Processor<Errands> {
        self.0.machine()
    }

    fn submit(&mut self, now: Instant, errand: Errand, terms: &Terms) -> Option<TaskId> {
        let offer = Offer::new(errand.job, ()).route(Route::Callback(errand.reply));
        self.0.submit(now, offer, terms).ok()
    }

    fn cancel(&mut self, now: Instant, task: TaskId) {
        self.0.cancel(now, task);
    }

    fn drain(&mut self, now: Instant, mode: Drain) {
        self.0.drain(now, mode);
    }

    fn wake(&self) -> Wake {
        self.0.timer()
    }

    fn turn(&mut self, now: Instant) {
        self.0.turn(now, &mut Errands);
    }
}

#[cfg(test)]
mod tests {
    use plimsoll_core::ByOutcome;
    use plimsoll_core::testkit::hosts::Promise;

    use super::*;

    #[test]
    fn the_host_does_its_duties() {
        let mut seen = [0; 7];
        for seed in 0..2_000 {
            let totals = episode(seed, None).unwrap_or_else(|finding| panic!("seed {seed}: {finding}"));
            let ByOutcome { completed, failed, timed_out, cancelled, expired, .. } = totals.settled;
            let counts = [completed, failed, timed_out, cancelled, expired, totals.retried, totals.late];
            seen.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
        }
        assert!(seen.iter().all(|sum| *sum > 100), "what does not happen is not tested: {seen:?}");
    }

    #[test]
    fn every_planted_fault_is_found() {
        let promise = |fault| match fault {
            Fault::ReportsLast => Promise::Reports,
            Fault::StopsSilently => Promise::Stops,
            Fault::ForgetsTimer => Promise::Wakes,
            Fault::DropsTheEnd => Promise::Callbacks,
        };
        for fault in Fault::ALL {
            let found = (0..100).find_map(|seed| episode(seed, Some(fault)).err());
            assert_eq!(found.map(|finding| finding.promise), Some(promise(fault)), "{fault:?}");
        }
    }
}
