//! Many jobs through a durable queue: plimsoll's beside those of `apalis`, engine by engine, with the same durability.
//!
//! Each contender is a process of its own, with a file or a server of its own, which puts all jobs in, does them, and proves
//! that each was done once. `tests/BENCHMARKS.md` says more.

mod by_apalis;
mod by_plimsoll;
mod measure;
#[path = "../../../adapters/nats/tests/kit/mod.rs"]
mod nats_server;
#[path = "../../../adapters/postgres/tests/server/mod.rs"]
mod postgres_server;
mod work;

use std::process::Command;

use anyhow::{Context as _, bail, ensure};
use tokio_postgres::NoTls;

/// The engine, whether it is plimsoll's queue, and what its name is.
const CONTENDERS: [(&str, &str); 6] = [
    ("file", "plimsoll-redb"),
    ("file", "apalis-sqlite"),
    ("nats", "plimsoll-nats"),
    ("nats", "apalis-nats"),
    ("postgres", "plimsoll-postgres"),
    ("postgres", "apalis-postgres"),
];

const USAGE: &str = "usage: plimsoll-engines [JOBS_IN_A_FILE JOBS_ON_A_SERVER [ROUNDS [PART_OF_A_NAME]]]";

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [one, name, jobs] = &arguments[..]
        && one == "--one"
    {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        return runtime.block_on(run(name, jobs.parse()?));
    }
    let number = |at: usize, otherwise: u64| {
        arguments.get(at).map_or(Ok(otherwise), |text| text.parse()).context(USAGE)
    };
    let (in_file, on_server, rounds) = (number(0, 5_000)?, number(1, 20_000)?, number(2, 1)?);
    let part = arguments.get(3).map_or("", String::as_str);
    for round in 1..=rounds {
        println!("# round {round} of {rounds}");
        for (engine, name) in CONTENDERS.iter().filter(|(_, name)| name.contains(part)) {
            let jobs = if *engine == "file" { in_file } else { on_server };
            let status =
                Command::new(std::env::current_exe()?).args(["--one", name, &jobs.to_string()]).status()?;
            ensure!(status.success(), "{name} has failed");
        }
    }
    Ok(())
}

/// One contender, with all its jobs.
async fn run(name: &str, jobs: u64) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let (kind, engine) = name.split_once('-').context(USAGE)?;
    let report = match engine {
        "redb" => by_plimsoll::redb(&folder.path().join("queue"), jobs).await?,
        "sqlite" => by_apalis::sqlite(&folder.path().join("queue"), jobs).await?,
        "nats" => {
            let Some(server) = nats_server::Server::start(name) else { return Ok(()) };
            match kind {
                "plimsoll" => by_plimsoll::nats(&server.url(), jobs).await?,
                _ => by_apalis::nats(&server.url(), jobs).await?,
            }
        }
        "postgres" => {
            let Some(server) = postgres_server::Server::start(name) else { return Ok(()) };
            println!("  {}", settings(&server.config()).await?);
            match kind {
                "plimsoll" => by_plimsoll::postgres(&server.config(), jobs).await?,
                _ => {
                    let url =
                        format!("postgres://{}@127.0.0.1:{}/postgres", postgres_server::OWNER, server.port());
                    by_apalis::postgres(&url, jobs).await?
                }
            }
        }
        _ => bail!(USAGE),
    };
    println!("{name}: {jobs} jobs: {report}");
    Ok(())
}

async fn settings(config: &str) -> anyhow::Result<String> {
    let (client, connection) = tokio_postgres::connect(config, NoTls).await?;
    tokio::spawn(connection);
    let mut settings = Vec::new();
    for name in ["server_version", "fsync", "synchronous_commit", "shared_buffers"] {
        let value: String = client.query_one("SELECT current_setting($1)", &[&name]).await?.try_get(0)?;
        settings.push(format!("{name} {value}"));
    }
    Ok(settings.join(", "))
}
