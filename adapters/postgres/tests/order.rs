//! The order of delivery, while a backlog is worked off.

#![allow(clippy::unwrap_used, clippy::panic, reason = "for tests")]

mod kit;
mod server;

use std::time::{Duration, Instant};

use kit::{again, jobs, pull, settle, start, texts};
use plimsoll::source::Verdict;
use plimsoll_postgres::Job;

#[tokio::test]
async fn what_is_handed_back_comes_again_at_the_end_of_a_backlog_at_the_latest() {
    let test = "what_is_handed_back_comes_again_at_the_end_of_a_backlog_at_the_latest";
    let Some((_server, queue)) = start(test).await else { return };
    let all: Vec<Job> = (1..=10).map(|job| Job::new(job.to_string())).collect();
    queue.enqueue_many(&all).await.unwrap();
    let source = texts(&queue);
    let first = pull(&source, 2).await;
    assert_eq!(jobs(&pull(&source, 2).await), ["3", "4"]);
    assert_eq!(settle(&source, first[0].receipt, again(Duration::ZERO, false)).await, 0);
    // The pulls go on from there, and then there is nothing but what was handed back.
    let rest = [pull(&source, 6).await, pull(&source, 6).await].map(|taken| taken.len());
    assert!(rest == [6, 1], "{rest:?}");
    assert_eq!(pull(&source, 6).await.len(), 0);
}

#[tokio::test]
async fn a_job_of_a_higher_priority_passes_a_backlog() {
    let Some((_server, queue)) = start("a_job_of_a_higher_priority_passes_a_backlog").await else { return };
    let all: Vec<Job> = (0..20_000).map(|job| Job::new(job.to_string())).collect();
    queue.enqueue_many(&all).await.unwrap();
    let source = texts(&queue);
    assert_eq!(jobs(&pull(&source, 1).await), ["0"]);
    queue.enqueue(&Job::new("first").priority(i16::MAX)).await.unwrap();
    queue.enqueue(&Job::new("last").priority(i16::MIN)).await.unwrap();
    let (started, mut pulls) = (Instant::now(), 0);
    loop {
        let taken = pull(&source, 1).await;
        assert_eq!(settle(&source, taken[0].receipt, Verdict::Done).await, 0);
        pulls += 1;
        if jobs(&taken) == ["first"] {
            break;
        }
        // In order until then.
        assert_eq!(jobs(&taken), [pulls.to_string()]);
        assert!(started.elapsed() < Duration::from_millis(1_500), "{pulls} pulls");
    }
    assert!(queue.stats().await.unwrap().ready > 1_000, "there is still a backlog");
}
