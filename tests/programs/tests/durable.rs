//! Two workers and a producer, each a process of its own, share a queue on a server.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;

/// A child that is killed when this is dropped.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn durable(order: &str, source: &str, more: &[&str]) -> anyhow::Result<Killed> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_durable"));
    let child = command.args([order, "--source", source]).args(more).stdout(Stdio::piped()).spawn()?;
    Ok(Killed(child))
}

/// What it has said by its end.
fn said(mut program: Killed) -> anyhow::Result<String> {
    let mut said = String::new();
    program.0.stdout.take().context("no output")?.read_to_string(&mut said)?;
    anyhow::ensure!(program.0.wait()?.success(), "{said}");
    Ok(said)
}

/// The first number of what a worker says: the jobs that it has done.
fn done(said: &str) -> anyhow::Result<u64> {
    Ok(said.split(' ').next().unwrap_or_default().parse()?)
}

fn share(source: &str) -> anyhow::Result<()> {
    let workers = [durable("work", source, &[])?, durable("work", source, &[])?];
    assert_eq!(said(durable("put", source, &["2000"])?)?, "2000 jobs put in\n");
    // The third one ends when the queue is empty, and the others when they are told to.
    let third = said(durable("work", source, &["--until-empty"])?)?;
    let mut told = vec![third];
    for worker in workers {
        Command::new("kill").arg(worker.0.id().to_string()).status()?;
        told.push(said(worker)?);
    }
    let done = told.iter().map(|said| done(said)).collect::<anyhow::Result<Vec<u64>>>()?;
    assert!(
        done.iter().sum::<u64>() == 1_980 && done.iter().filter(|done| **done > 0).count() > 1,
        "{told:?}"
    );
    assert!(told.iter().all(|said| said.ends_with(" 0 not confirmed\n")), "{told:?}");
    assert_eq!(said(durable("dead", source, &[])?)?.lines().count(), 20);
    Ok(())
}

fn skip(test: &str, server: &str) {
    // Past the capture of the test's output.
    let _ = writeln!(std::io::stderr(), "SKIPPED: {test}, for there is no {server} here");
}

#[test]
fn workers_share_a_nats_server() -> anyhow::Result<()> {
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let folder = std::env::temp_dir().join(format!("plimsoll-durable-{}", std::process::id()));
    let mut server = Command::new("nats-server");
    server.args(["-js", "-a", "127.0.0.1", "-p", &port.to_string(), "-sd"]).arg(&folder);
    let Ok(server) = server.stderr(Stdio::null()).spawn() else {
        skip("workers_share_a_nats_server", "nats-server");
        return Ok(());
    };
    let _server = Killed(server);
    let started = Instant::now();
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        anyhow::ensure!(started.elapsed() < Duration::from_secs(20), "the server does not start");
        std::thread::sleep(Duration::from_millis(20));
    }
    let shared = share(&format!("nats://127.0.0.1:{port}"));
    let _ = std::fs::remove_dir_all(folder);
    shared
}

/// A program of PostgreSQL's, run by somebody who is not root.
fn postgres(program: &Path, folder: &Path) -> Command {
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    let mut command = if is_root { Command::new("setpriv") } else { Command::new(program) };
    if is_root {
        command.args(["--reuid", "postgres", "--regid", "postgres", "--clear-groups"]).arg(program);
    }
    command.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

#[test]
fn workers_share_a_postgresql_server() -> anyhow::Result<()> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let programs = versions.map(|version| version.path().join("bin")).find(|bin| bin.join("initdb").exists());
    let Some(programs) = programs else {
        skip("workers_share_a_postgresql_server", "PostgreSQL");
        return Ok(());
    };
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let folder = std::env::temp_dir().join(format!("plimsoll-durable-pg-{}", std::process::id()));
    std::fs::create_dir(&folder)?;
    let _ = Command::new("chown").arg("postgres").arg(&folder).stderr(Stdio::null()).status();
    let data = folder.join("data");
    let mut initdb = postgres(&programs.join("initdb"), &folder);
    let settings = ["--username", "owner", "--auth", "trust", "--encoding", "UTF8", "--no-sync", "--pgdata"];
    anyhow::ensure!(initdb.args(settings).arg(&data).status()?.success(), "initdb");
    let mut server = postgres(&programs.join("postgres"), &folder);
    server.arg("-D").arg(&data).args(["-h", "127.0.0.1", "-k", "", "-p", &port.to_string()]);
    let _server = Killed(server.spawn()?);
    let source = format!("postgres://owner@127.0.0.1:{port}/postgres");
    let started = Instant::now();
    while said(durable("put", &source, &["0"])?).is_err() {
        anyhow::ensure!(started.elapsed() < Duration::from_secs(30), "the server does not start");
        std::thread::sleep(Duration::from_millis(100));
    }
    let shared = share(&source);
    let _ = std::fs::remove_dir_all(folder);
    shared
}
