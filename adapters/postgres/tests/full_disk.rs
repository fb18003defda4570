//! A disk without room.

#![allow(clippy::unwrap_used, clippy::panic, reason = "for tests")]

mod kit;
mod server;

use kit::{connect, pull, settle, texts};
use plimsoll::source::Verdict;
use plimsoll_postgres::{Job, Options};
use server::Server;

/// Random, so that PostgreSQL does not compress it.
fn large() -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(1);
    std::iter::repeat_with(|| random.alphanumeric() as u8).take(1 << 20).collect()
}

#[tokio::test]
async fn a_full_disk_is_an_error_and_loses_nothing() {
    let Some(server) = Server::on_a_small_disk("a_full_disk_is_an_error_and_loses_nothing", 96) else {
        return;
    };
    let ballast = server.folder().join("ballast");
    std::fs::write(&ballast, vec![0; 16 << 20]).unwrap();
    let queue = connect(&server.config(), Options::new()).await;
    let mut put = 0;
    let error = loop {
        match queue.enqueue(&Job::new(large())).await {
            Ok(_) => put += 1,
            Err(error) => break error,
        }
        assert!(put < 1_000, "the disk is never full");
    };
    println!("{put} jobs, then {error}");
    assert!(put > 2, "{put}: {error}");
    // With room again it goes on, after another start if the log of the server was what did not fit.
    server.kill();
    std::fs::remove_file(&ballast).unwrap();
    server.up().unwrap();
    let (source, mut done) = (texts(&queue), 0);
    while queue.stats().await.unwrap().jobs() > 0 {
        for delivery in pull(&source, 4).await {
            assert_eq!(delivery.job.unwrap().len(), 1 << 20);
            settle(&source, delivery.receipt, Verdict::Done).await;
            done += 1;
        }
    }
    // One that was not confirmed may be there even so.
    assert!(done == put || done == put + 1, "{put} were confirmed, {done} done");
    queue.enqueue(&Job::new("small")).await.unwrap();
}
