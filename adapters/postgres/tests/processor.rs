//! A queue with processors.

#![allow(clippy::unwrap_used, clippy::panic, reason = "for tests")]

mod kit;
mod server;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use kit::{start, texts};
use plimsoll::source::{Death, Pull, SourceLimits};
use plimsoll::{Context, Drain, Processor, Retry, Tokio};
use plimsoll_postgres::{Job, Options, Queue};

type Work = fn(String, Context) -> Result<(), String>;

/// A processor with a handler that does what the job says.
fn processor(seen: Arc<Mutex<Vec<String>>>) -> Processor<Work> {
    Processor::builder()
        .concurrency(4)
        .sources(SourceLimits::new(1).credit(16))
        .retry(Retry::times(1).fixed(Duration::from_millis(5)))
        .spawn_on(Tokio::current(), move |job: String, _: Context| {
            seen.lock().unwrap().push(job.clone());
            async move { if job.starts_with("fail") { Err(format!("{job} is no good")) } else { Ok(()) } }
        })
        .unwrap()
}

async fn wait_until_empty(queue: &Queue) {
    let started = Instant::now();
    while queue.stats().await.unwrap().jobs() > 0 {
        assert!(started.elapsed() < Duration::from_secs(30), "{:?}", queue.stats().await);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_processor_does_the_jobs_and_what_can_not_be_done_is_kept_aside() {
    let test = "a_processor_does_the_jobs_and_what_can_not_be_done_is_kept_aside";
    let Some((_server, queue)) = start(test).await else { return };
    let mut all: Vec<Job> = (0..100).map(|n| Job::new(format!("job {n}"))).collect();
    all.extend([Job::new("fail"), Job::new([0xff, 0xfe]), Job::new("panic")]);
    queue.enqueue_many(&all).await.unwrap();
    let seen = Arc::default();
    let processor = processor(Arc::clone(&seen));
    let source = queue.source_with(|payload| {
        let text = String::from_utf8(payload);
        assert!(!text.as_ref().is_ok_and(|text| text == "panic"), "on purpose");
        text
    });
    let (_, puller) = processor.source(source, Pull::new().credit(16)).unwrap();
    let puller = tokio::spawn(puller);
    wait_until_empty(&queue).await;
    let dead = queue.dead(0, 9).await.unwrap();
    let told: Vec<_> =
        dead.iter().map(|dead| (dead.why.unwrap(), dead.message.as_str(), dead.deliveries)).collect();
    let undecodable = "invalid utf-8 sequence of 1 bytes from index 0";
    let panicked = "the decoder has panicked";
    assert_eq!(
        told,
        [
            (Death::Failed, "\"fail is no good\"", 2),
            (Death::Undecodable, undecodable, 1),
            (Death::Undecodable, panicked, 1)
        ]
    );
    assert_eq!(seen.lock().unwrap().len(), 102, "each once, and the failing one twice");
    let report = processor.shutdown(Drain::graceful(Duration::from_secs(9))).await;
    assert_eq!((puller.await.unwrap(), report.remains.deliveries, report.totals.stale), (0, 0, 0));
}

#[tokio::test]
async fn a_job_that_ends_its_workers_is_found_out() {
    let Some((server, _)) = start("a_job_that_ends_its_workers_is_found_out").await else { return };
    let options = Options::new().lease(Duration::from_millis(50));
    let queue = Queue::connect(&server.config(), options).await.unwrap();
    queue.enqueue(&Job::new("poison")).await.unwrap();
    for deliveries in 1..4 {
        // It dies with the job.
        let taken = kit::pull(&texts(&queue), 1).await;
        assert_eq!(taken[0].deliveries, deliveries);
        tokio::time::sleep(Duration::from_millis(80)).await;
    }
    let seen = Arc::default();
    let processor = processor(Arc::clone(&seen));
    let (_, puller) = processor.source(texts(&queue), Pull::new().deliveries(3)).unwrap();
    tokio::spawn(puller);
    wait_until_empty(&queue).await;
    let dead = queue.dead(0, 9).await.unwrap();
    assert_eq!((dead[0].why, dead[0].deliveries, seen.lock().unwrap().len()), (Some(Death::TooOften), 4, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_workers_on_one_queue_do_each_job_once() {
    let Some((_server, queue)) = start("two_workers_on_one_queue_do_each_job_once").await else { return };
    let seen = Arc::default();
    let workers = [(); 2].map(|()| processor(Arc::clone(&seen)));
    let pullers =
        [0, 1].map(|at: usize| tokio::spawn(workers[at].source(texts(&queue), Pull::new()).unwrap().1));
    for round in 0..20 {
        let some: Vec<Job> = (0..25).map(|job| Job::new(format!("job {}", round * 25 + job))).collect();
        queue.enqueue_many(&some).await.unwrap();
    }
    wait_until_empty(&queue).await;
    let mut seen = seen.lock().unwrap().clone();
    let count = seen.len();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!((seen.len(), count), (500, 500));
    let each: Vec<u64> = workers.iter().map(|worker| worker.totals().confirmed).collect();
    assert!(each.iter().all(|confirmed| *confirmed > 0), "both had some: {each:?}");
    for worker in workers {
        let report = worker.shutdown(Drain::graceful(Duration::from_secs(9))).await;
        assert_eq!(report.totals.stale, 0);
    }
    for puller in pullers {
        assert_eq!(puller.await.unwrap(), 0);
    }
}
