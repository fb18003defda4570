//! The conformance kit for sources, on a queue in a file.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::time::Duration;

use futures::executor::block_on;
use plimsoll::Smol;
use plimsoll::conformance::source::{Effort, Engine, check};
use plimsoll_redb::{Job, Queue, QueueSource};

struct File(Queue);

impl Engine for File {
    type Source = QueueSource<u64>;
    type Runtime = Smol;

    fn runtime(&self) -> Smol {
        Smol::global()
    }

    async fn sleep(&self, time: Duration) {
        smol::Timer::after(time).await;
    }

    async fn connect(&self) -> Result<QueueSource<u64>, String> {
        Ok(self.0.source_with(|payload| number(&payload)))
    }

    async fn enqueue(&self, jobs: &[u64]) -> Result<(), String> {
        let jobs: Vec<_> = jobs.iter().map(|job| Job::new(job.to_le_bytes())).collect();
        self.0.enqueue_many(&jobs).await.map(drop).map_err(|error| error.to_string())
    }

    async fn dead(&self) -> Result<Vec<u64>, String> {
        let dead = self.0.dead(0, usize::MAX).await.map_err(|error| error.to_string())?;
        dead.iter().map(|dead| number(&dead.payload)).collect()
    }

    async fn left(&self) -> Result<u64, String> {
        self.0.stats().await.map(|stats| stats.jobs()).map_err(|error| error.to_string())
    }
}

fn number(payload: &[u8]) -> Result<u64, String> {
    payload.try_into().map(u64::from_le_bytes).map_err(|_| "no number".to_owned())
}

#[test]
fn a_queue_conforms() {
    let folder = tempfile::tempdir().unwrap();
    let queue = Queue::open(folder.path().join("q")).unwrap();
    let effort = Effort::new(2_000).events(20);
    let report = block_on(check(&File(queue), effort));
    println!("{report}");
    assert!(report.findings.is_empty(), "{report}");
    assert!(report.kills > 2 && report.drains > 0, "{report}");
}
