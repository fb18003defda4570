//! A leak test: weeks of a service on a simulated clock, and what it keeps from week to week, by its name. In a test it is
//! `assert_flat(2, scenario)`.

use std::error::Error;
use std::time::Duration;

use plimsoll::conformance::flat::{Findings, Watch, check};
use plimsoll::runtime::sim::{Sim, Time};
use plimsoll::{Context, Processor, Submitter};

type Mails = fn(u64, Context) -> Result<u64, &'static str>;

/// Handlers wait by `Context::sleep`, and call a fake in place of a client: sockets and timers of tokio do not know the clock.
async fn send(mail: u64, cx: Context) -> Result<u64, &'static str> {
    cx.sleep(Duration::from_millis(200 + mail % 100)).await.map_err(|_| "stopped")?;
    if mail % 10 == 0 { Err("the other end is busy") } else { Ok(mail) }
}

/// A mail each hour. Whoever keeps the handles, and does not look at them, keeps the outcomes.
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

fn weeks(keeps: bool) -> Result<(), Findings> {
    let sim = Sim::new(1);
    let found = check(&sim, 2, |watch: &mut Watch| {
        let mails: Processor<Mails> = Processor::builder()
            .delayed(1_000)
            .spawn_on(watch.sim().clone(), send)
            .expect("the limits are valid");
        watch.processor("mails", &mails);
        watch.sim().spawn(load(mails.submitter(), watch.time(), keeps));
        mails
    });
    sim.kill();
    found
}

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    weeks(false)?;
    let findings = weeks(true).err().ok_or("each handle is kept")?.to_string();
    println!("{findings}");
    assert!(findings.contains("mails: unclaimed outcomes grew by 336"), "{findings}");
    Ok(())
}
