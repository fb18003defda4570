//! The conformance kit for sources, on a NATS server that is killed now and then, through a proxy that cuts connections.

#![allow(clippy::unwrap_used, clippy::panic, reason = "for tests")]

mod kit;

use std::time::Duration;

use kit::{Proxy, Server};
use plimsoll::Tokio;
use plimsoll::conformance::source::{Effort, Engine, check};
use plimsoll_nats::{Job, Options, Queue, QueueSource};
use tokio::sync::Mutex;

struct Nats {
    server: Mutex<Server>,
    proxy: Proxy,
    /// Past the proxy, for the kit's own part.
    queue: Queue,
}

fn options() -> Options {
    Options::new("kit").create(true).lease(Duration::from_secs(2)).timeout(Duration::from_millis(700))
}

fn text(error: impl ToString) -> String {
    error.to_string()
}

impl Engine for Nats {
    type Source = QueueSource<u64>;
    type Runtime = Tokio;

    fn runtime(&self) -> Tokio {
        Tokio::current()
    }

    async fn sleep(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    async fn connect(&self) -> Result<QueueSource<u64>, String> {
        let queue = Queue::connect(&self.proxy.url(), options()).await.map_err(text)?;
        Ok(queue.source_with(|payload| number(&payload)))
    }

    async fn enqueue(&self, jobs: &[u64]) -> Result<(), String> {
        // With an identity, so that a call that was not answered can be made again.
        for _ in 0..50 {
            let jobs: Vec<_> =
                jobs.iter().map(|job| Job::new(job.to_le_bytes()).id(format!("job {job}"))).collect();
            if self.queue.enqueue_many(&jobs).await.is_ok() {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Err("the jobs could not be put in".to_owned())
    }

    async fn dead(&self) -> Result<Vec<u64>, String> {
        let dead = self.queue.dead(0, usize::MAX).await.map_err(text)?;
        dead.iter().map(|dead| number(&dead.payload)).collect()
    }

    async fn left(&self) -> Result<u64, String> {
        for _ in 0..50 {
            if let Ok(stats) = self.queue.stats().await {
                return Ok(stats.jobs);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Err("the server does not say how many jobs are left".to_owned())
    }

    /// nats-server 2.9 may say that messages are pending that were acknowledged shortly before it was killed. It does not deliver
    /// them.
    fn counts_after_crashes(&self) -> bool {
        false
    }

    async fn set_away(&self, away: bool) -> Result<bool, String> {
        let mut server = self.server.lock().await;
        if away {
            server.kill()
        } else {
            server.restart()
        }
        Ok(true)
    }

    async fn cut(&self) -> Result<bool, String> {
        self.proxy.cut();
        Ok(true)
    }
}

fn number(payload: &[u8]) -> Result<u64, String> {
    payload.try_into().map(u64::from_le_bytes).map_err(|_| "no number".to_owned())
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_conforms() {
    let Some(server) = Server::start("a_queue_conforms") else { return };
    let proxy = Proxy::start(server.port).await;
    let queue = server.queue(options()).await;
    let nats = Nats { server: Mutex::new(server), proxy, queue };
    let effort = Effort::new(setting("PLIMSOLL_JOBS", 2_000))
        .events(20)
        .seed(setting("PLIMSOLL_SEED", 2))
        .away(Duration::from_millis(setting("PLIMSOLL_AWAY", 500)));
    let report = check(&nats, effort).await;
    println!("{report}");
    assert!(report.findings.is_empty(), "{report}");
    // What happens follows from the seed.
    let is_default = std::env::var_os("PLIMSOLL_SEED").is_none();
    assert!((report.kills > 2 && report.drains > 0 && report.aways > 0) || !is_default, "{report}");
}
