//! A leak test: weeks of a service on a simulated clock, and what it keeps from week to week, by its name.

use std::error::Error;
use std::time::Duration;

use plimsoll::conformance::flat::{Watch, assert_flat, check};
use plimsoll::runtime::sim::{Sim, Time};
use plimsoll::{BuildError, Context, Processor, Submitter};

type Mails = fn(u64, Context) -> Result<u64, &'static str>;

/// Handlers wait by `Context::sleep`, and call a fake in place of a client: sockets and timers of tokio do not know the clock.
async fn send(mail: u64, cx: Context) -> Result<u64, &'static str> {
    cx.sleep(Duration::from_millis(200 + mail % 100)).await.map_err(|_| "stopped")?;
    if mail % 10 == 0 { Err("the other end is busy") } else { Ok(mail) }
}

/// A mail each hour. A caller that keeps the handles, and does not look at them, keeps the outcomes.
async fn load(mails: Submitter<Mails>, time: Time, keeps: bool) {
    let mut kept = Vec::new();
    for mail in 0.. {
        match mails.submit(mail) {
            Ok(handle) if keeps => kept.push(handle),
            Ok(handle) => drop(handle.await),
            Err(refused) => println!("{refused}"),
        }
        time.sleep(Duration::from_secs(3_600)).await;
    }
}

/// What it returns lives to the end. If nothing is built, nothing is watched, which is a finding.
fn scenario(watch: &mut Watch, keeps: bool) -> Result<Processor<Mails>, BuildError> {
    let mails: Processor<Mails> = Processor::builder().delayed(1_000).spawn_on(watch.sim().clone(), send)?;
    watch.processor("mails", &mails);
    watch.sim().spawn(load(mails.submitter(), watch.time(), keeps));
    Ok(mails)
}

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    assert_flat(2, |watch| scenario(watch, false));

    let sim = Sim::new(1);
    let found = check(&sim, 2, |watch| scenario(watch, true)); // the findings as a value
    sim.kill(); // what the scenario has spawned
    let findings = found.err().ok_or("each handle is kept")?.to_string();
    println!("{findings}");
    assert!(findings.contains("mails: unclaimed outcomes grew by 168"), "{findings}");
    Ok(())
}
