//! The conformance kit for sources, on a server that is killed with SIGKILL, and behind a proxy that cuts connections.
//!
//! `PLIMSOLL_AWAY=10000 PLIMSOLL_JOBS=5000 cargo test --test conformance -- --nocapture` keeps the server away for 10 s.

#![allow(clippy::unwrap_used, clippy::panic, reason = "for tests")]

mod server;

use std::sync::Arc;
use std::time::Duration;

use plimsoll::Tokio;
use plimsoll::conformance::source::{Effort, Engine, check};
use plimsoll_postgres::{Job, Options, Queue, QueueSource};
use server::Server;
use server::proxy::Proxy;

struct Postgres {
    server: Arc<Server>,
    proxy: Proxy,
    /// Through the proxy, for workers.
    queue: Queue,
    /// Not through it, for the test.
    direct: Queue,
}

impl Postgres {
    async fn start(server: Server) -> Self {
        let proxy = Proxy::start(server.port());
        let options = Options::new().lease(Duration::from_millis(1_500)).time_out(Duration::from_secs(2));
        let direct = Queue::connect(&server.config(), options.clone().migrate(true)).await.unwrap();
        let queue = Queue::connect(&server::config(proxy.port()), options).await.unwrap();
        Self { server: Arc::new(server), proxy, queue, direct }
    }
}

impl Engine for Postgres {
    type Source = QueueSource<u64>;
    type Runtime = Tokio;

    fn runtime(&self) -> Tokio {
        Tokio::current()
    }

    async fn sleep(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    async fn connect(&self) -> Result<QueueSource<u64>, String> {
        Ok(self.queue.source_with(|payload| number(&payload)))
    }

    async fn enqueue(&self, jobs: &[u64]) -> Result<(), String> {
        let jobs: Vec<Job> = jobs.iter().map(|job| Job::new(job.to_le_bytes())).collect();
        self.direct.enqueue_many(&jobs).await.map(drop).map_err(|error| error.to_string())
    }

    async fn dead(&self) -> Result<Vec<u64>, String> {
        let dead = self.direct.dead(0, usize::MAX).await.map_err(|error| error.to_string())?;
        dead.iter().map(|dead| number(&dead.payload)).collect()
    }

    async fn left(&self) -> Result<u64, String> {
        self.direct.stats().await.map(|stats| stats.jobs()).map_err(|error| error.to_string())
    }

    async fn set_away(&self, away: bool) -> Result<bool, String> {
        let server = self.server.clone();
        let changed = tokio::task::spawn_blocking(move || {
            if away {
                server.kill();
                return Ok(());
            }
            server.up()
        });
        changed.await.map_err(|error| error.to_string())??;
        Ok(true)
    }

    async fn cut(&self) -> Result<bool, String> {
        Ok(self.proxy.cut() > 0)
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
    let engine = Postgres::start(server).await;
    let effort = Effort::new(setting("PLIMSOLL_JOBS", 2_000))
        .events(20)
        .seed(setting("PLIMSOLL_SEED", 1))
        .away(Duration::from_millis(setting("PLIMSOLL_AWAY", 2_000)))
        .calm(Duration::from_millis(100));
    let report = check(&engine, effort).await;
    println!("{report}");
    assert!(report.findings.is_empty(), "{report}");
    // What happens follows from the seed.
    let is_default = std::env::var_os("PLIMSOLL_SEED").is_none();
    let all_happened = report.kills > 2 && report.drains > 0 && report.aways > 0 && report.cuts > 0;
    assert!(all_happened || !is_default, "{report}");
}
