//! A queue by hand, call by call; and what can go wrong with a server.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "for tests")]

mod kit;

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use kit::{Proxy, Server};
use plimsoll::Message;
use plimsoll::source::{Death, Delivery, Settling, Source, Verdict};
use plimsoll_nats::{Enqueued, Job, OpenError, Options, Queue, QueueError, QueueSource, Receipt};

type Text = Delivery<String, Receipt>;

fn options() -> Options {
    Options::new("mails").create(true).timeout(Duration::from_millis(700))
}

async fn pull(source: &QueueSource<String>, room: u32, wait: Duration) -> Vec<Text> {
    let mut into = Vec::new();
    source.pull(NonZeroU32::new(room).unwrap(), wait, &mut into).await.unwrap();
    into
}

async fn settle(source: &QueueSource<String>, receipt: &Receipt, verdict: Verdict) -> u32 {
    source.settle(&mut vec![Settling::new(receipt.clone(), verdict)]).await.unwrap()
}

const NOW: Duration = Duration::ZERO;
const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn jobs_come_in_order_and_an_identity_is_known() {
    let Some(server) = Server::start("jobs_come_in_order_and_an_identity_is_known") else { return };
    let queue = server.queue(options()).await;
    let put = async |text: &'static str| queue.enqueue(&Job::new(text).id(text).key(7)).await;
    assert_eq!((put("a").await, put("b").await), (Ok(Enqueued::New(1)), Ok(Enqueued::New(2))));
    assert_eq!(put("a").await, Ok(Enqueued::Known));
    let source = queue.source_with(String::from_utf8);
    let taken = pull(&source, 9, NOW).await;
    let jobs: Vec<_> =
        taken.iter().map(|one| (one.job.as_deref().unwrap(), one.deliveries, one.key)).collect();
    assert_eq!(jobs, [("a", 1, Some(7)), ("b", 1, Some(7))]);
    assert!(taken[0].id.is_some() && taken[0].id != taken[1].id);
    let stats = queue.stats().await.unwrap();
    assert_eq!((stats.jobs, stats.out), (2, 2));
    for one in &taken {
        assert_eq!(settle(&source, &one.receipt, Verdict::Done).await, 0);
    }
    assert_eq!(queue.stats().await.unwrap().jobs, 0);
    // A job that comes ends the wait of a pull.
    let started = Instant::now();
    let (taken, put) = tokio::join!(pull(&source, 9, SECOND * 9), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        queue.enqueue(&Job::new("c")).await
    });
    assert!(taken.len() == 1 && put.is_ok() && started.elapsed() < SECOND * 5);
}

#[tokio::test]
async fn dead_letters_are_kept_and_put_back_and_removed() {
    let Some(server) = Server::start("dead_letters_are_kept_and_put_back_and_removed") else { return };
    let queue = server.queue(options()).await;
    let source = queue.source_with(String::from_utf8);
    queue.enqueue(&Job::new("a").key(3)).await.unwrap();
    queue.enqueue(&Job::new([0xff])).await.unwrap();
    let taken = pull(&source, 9, NOW).await;
    assert_eq!(taken[1].job.as_ref().unwrap_err().as_str(), "invalid utf-8 sequence of 1 bytes from index 0");
    let dead = Verdict::Dead { why: Death::Failed, message: Message::of("no\nuse") };
    assert_eq!(settle(&source, &taken[0].receipt, dead).await, 0);
    assert_eq!(settle(&source, &taken[1].receipt, Verdict::Done).await, 0);
    let found = queue.dead(0, 9).await.unwrap();
    let one = &found[0];
    assert_eq!((found.len(), one.payload.as_slice(), one.why.as_str()), (1, &b"a"[..], "failed"));
    assert_eq!((one.message.as_str(), one.deliveries, one.key), ("no use", 1, Some(3)));
    assert!(queue.requeue(one.number).await.unwrap() && !queue.requeue(one.number).await.unwrap());
    let taken = pull(&source, 9, NOW).await;
    assert_eq!((taken.len(), taken[0].deliveries, taken[0].key), (1, 1, Some(3)));
    settle(&source, &taken[0].receipt, dead).await;
    assert_eq!((queue.purge_all().await.unwrap(), queue.stats().await.unwrap().dead), (1, 0));
    assert!(!queue.purge(99).await.unwrap());
}

#[tokio::test]
async fn a_job_that_may_not_be_delivered_again_is_a_dead_letter_in_time() {
    let Some(server) = Server::start("a_job_that_may_not_be_delivered_again_is_a_dead_letter_in_time") else {
        return;
    };
    // A consumer of somebody else's, with a bound of its own.
    let queue = server.queue(options()).await;
    let client = async_nats::connect(server.url()).await.unwrap();
    let stream = async_nats::jetstream::new(client).get_stream("mails").await.unwrap();
    stream.delete_consumer("workers").await.unwrap();
    let config = async_nats::jetstream::consumer::pull::Config {
        durable_name: Some("bounded".to_owned()),
        ack_policy: async_nats::jetstream::consumer::AckPolicy::Explicit,
        max_deliver: 2,
        ..Default::default()
    };
    stream.create_consumer(config).await.unwrap();
    drop(queue);
    let queue = server.queue(options().consumer("bounded")).await;
    let source = queue.source_with(String::from_utf8);
    queue.enqueue(&Job::new("a")).await.unwrap();
    let again = Verdict::Again { after: NOW, counted: true };
    for deliveries in 1..=2 {
        let taken = pull(&source, 1, SECOND).await;
        assert_eq!(taken[0].deliveries, deliveries);
        settle(&source, &taken[0].receipt, again).await;
    }
    assert_eq!((queue.dead(0, 9).await.unwrap().len(), queue.stats().await.unwrap().jobs), (1, 0));
}

#[tokio::test]
async fn what_can_not_be_opened_is_refused_with_the_reason() {
    let Some(mut server) = Server::with_password("what_can_not_be_opened_is_refused_with_the_reason") else {
        return;
    };
    let open = |url: String, options: Options| async move {
        Queue::connect(&url, options).await.map(drop).unwrap_err()
    };
    let wrong = server.url().replace("nats://", "nats://app:guess@");
    assert_eq!(open(wrong, options()).await, OpenError::Credentials);
    let right = server.url().replace("nats://", "nats://app:secret@");
    let missing = open(right.clone(), options().create(false)).await;
    assert_eq!(missing, OpenError::Missing("stream mails".to_owned()));
    Queue::connect(&right, options()).await.unwrap();
    let missing = open(right.clone(), options().create(false).consumer("others")).await;
    assert_eq!(missing, OpenError::Missing("consumer others".to_owned()));
    server.kill();
    assert!(matches!(open(right, options()).await, OpenError::Unreachable(_)));
}

#[tokio::test]
async fn a_connection_that_goes_silent_is_an_error_and_mends() {
    let Some(server) = Server::start("a_connection_that_goes_silent_is_an_error_and_mends") else { return };
    let proxy = Proxy::start(server.port).await;
    let near = server.queue(options()).await;
    let queue = Queue::connect(&proxy.url(), options()).await.unwrap();
    let source = queue.source_with(String::from_utf8);
    near.enqueue(&Job::new("a")).await.unwrap();
    let taken = pull(&source, 1, SECOND).await;
    proxy.set_silent(true);
    let started = Instant::now();
    let mut verdicts = vec![Settling::new(taken[0].receipt.clone(), Verdict::Done)];
    assert!(source.settle(&mut verdicts).await.is_err() && verdicts.len() == 1);
    let mut into = Vec::new();
    assert!(source.pull(NonZeroU32::MIN, Duration::from_millis(100), &mut into).await.is_err());
    assert!(source.extend(&[taken[0].receipt.clone()]).await.is_err());
    assert!(started.elapsed() < SECOND * 5, "{:?}", started.elapsed());
    proxy.set_silent(false);
    proxy.cut();
    let started = Instant::now();
    while source.settle(&mut verdicts).await.is_err() {
        assert!(started.elapsed() < SECOND * 20, "it does not mend");
    }
    assert_eq!(near.stats().await.unwrap().jobs, 0);
}

/// The pull is lost on its way, and what wakes its consumer is not.
#[tokio::test]
async fn a_pull_without_an_answer_takes_no_job() {
    let Some(server) = Server::start("a_pull_without_an_answer_takes_no_job") else { return };
    let proxy = Proxy::start(server.port).await;
    let queue = Queue::connect(&proxy.url(), options()).await.unwrap();
    let source = queue.source_with(String::from_utf8);
    let jobs = ["a", "b", "c"].map(Job::new);
    server.queue(options()).await.enqueue_many(&jobs).await.unwrap();
    proxy.set_silent(true);
    let mut into = Vec::new();
    let pulled = source.pull(NonZeroU32::MIN, NOW, &mut into);
    let (pulled, ()) = tokio::join!(pulled, async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        proxy.set_silent(false);
    });
    assert!(pulled.is_err() && into.is_empty(), "{pulled:?}");
    let taken = pull(&source, 9, NOW).await;
    let deliveries: Vec<_> = taken.iter().map(|one| one.deliveries).collect();
    assert_eq!(deliveries, [1, 1, 1]);
}

#[tokio::test]
async fn a_stale_verdict_is_counted_though_another_fails() {
    let Some(server) = Server::start("a_stale_verdict_is_counted_though_another_fails") else { return };
    let proxy = Proxy::start(server.port).await;
    let near = server.queue(options().lease(SECOND)).await;
    let queue = Queue::connect(&proxy.url(), options().lease(SECOND)).await.unwrap();
    let source = queue.source_with(String::from_utf8);
    near.enqueue(&Job::new("a")).await.unwrap();
    let first = pull(&source, 1, SECOND).await;
    let second = pull(&source, 1, SECOND * 9).await;
    let mut verdicts: Vec<_> =
        first.iter().chain(&second).map(|one| Settling::new(one.receipt.clone(), Verdict::Done)).collect();
    proxy.set_silent(true);
    assert!(source.settle(&mut verdicts).await.is_err());
    assert_eq!(verdicts.len(), 2, "the stale one was taken out, and not counted");
    proxy.set_silent(false);
    proxy.cut();
    let started = Instant::now();
    loop {
        match source.settle(&mut verdicts).await {
            // The lease of the other may be over by now.
            Ok(stale) => break assert!((1..=2).contains(&stale) && verdicts.is_empty()),
            Err(_) => assert!(started.elapsed() < SECOND * 20, "it does not mend"),
        }
    }
}

#[tokio::test]
async fn what_can_not_travel_is_refused() {
    let Some(server) = Server::start("what_can_not_travel_is_refused") else { return };
    let queue = server.queue(options()).await;
    for id in ["a\nb".to_owned(), "a\r\nNats-Rollup: all".to_owned(), "a".repeat(Job::LONGEST_ID + 1)] {
        assert_eq!(queue.enqueue(&Job::new("x").id(id)).await, Err(QueueError::Identity));
    }
    let longest = "\u{e9}".repeat(Job::LONGEST_ID / 2);
    assert_eq!(queue.enqueue(&Job::new("x").id(longest)).await, Ok(Enqueued::New(1)));
    let refused = queue.enqueue(&Job::new(vec![0; 2 << 20])).await;
    assert!(matches!(refused, Err(QueueError::TooLarge { bytes: 2_097_152, .. })), "{refused:?}");
    assert_eq!(queue.stats().await.unwrap().jobs, 1);
}

#[tokio::test]
async fn messages_of_strangers_are_jobs_whatever_they_have_in_them() {
    let Some(server) = Server::start("messages_of_strangers_are_jobs_whatever_they_have_in_them") else {
        return;
    };
    let queue = server.queue(options()).await;
    let stranger = async_nats::jetstream::new(async_nats::connect(server.url()).await.unwrap());
    let mut random = fastrand::Rng::with_seed(7);
    let text = |random: &mut fastrand::Rng| -> String {
        let any = random.usize(..40);
        std::iter::repeat_with(|| random.char(..)).filter(|c| !"\r\n".contains(*c)).take(any).collect()
    };
    const STRANGE: usize = 200;
    for n in 0..STRANGE {
        let subject = if n % 2 == 0 { "mails.jobs" } else { "mails-dead.jobs" };
        let mut headers = async_nats::HeaderMap::new();
        for name in ["Plimsoll-Key", "Plimsoll-Why", "Plimsoll-Message", "Plimsoll-Deliveries", "Other"] {
            for _ in 0..random.u8(..3) {
                let number = random.u128(..).to_string();
                headers.append(name, if random.bool() { text(&mut random) } else { number });
            }
        }
        let length = random.usize(..100);
        let payload: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(length).collect();
        stranger.publish_with_headers(subject, headers, payload.into()).await.unwrap().await.unwrap();
    }
    assert_eq!(queue.dead(0, STRANGE).await.unwrap().len(), STRANGE / 2);
    let source = queue.source_with(String::from_utf8);
    let mut taken = Vec::new();
    while taken.len() < STRANGE / 2 {
        taken.extend(pull(&source, 64, SECOND).await);
    }
    let judge = |one: &Text| match &one.job {
        Ok(_) => Verdict::Done,
        Err(why) => Verdict::Dead { why: Death::Undecodable, message: *why },
    };
    let mut verdicts: Vec<_> =
        taken.iter().map(|one| Settling::new(one.receipt.clone(), judge(one))).collect();
    let undecodable = taken.iter().filter(|one| one.job.is_err()).count();
    assert_eq!(source.settle(&mut verdicts).await, Ok(0));
    assert!(undecodable > 0 && queue.stats().await.unwrap().jobs == 0);
    assert_eq!(queue.dead(0, 2 * STRANGE).await.unwrap().len(), STRANGE / 2 + undecodable);
}

/// Only this crate leaves room for the reason; what a stranger publishes may take all that the server allows.
#[tokio::test]
async fn a_large_job_of_a_stranger_can_be_dead() {
    let Some(server) = Server::start("a_large_job_of_a_stranger_can_be_dead") else { return };
    let queue = server.queue(options()).await;
    let client = async_nats::connect(server.url()).await.unwrap();
    let most = client.server_info().max_payload;
    let payload = vec![b'x'; most - 50];
    let stranger = async_nats::jetstream::new(client);
    stranger.publish("mails.jobs", payload.clone().into()).await.unwrap().await.unwrap();
    let source = queue.source_with(String::from_utf8);
    let taken = pull(&source, 1, SECOND).await;
    let why = Verdict::Dead { why: Death::Failed, message: Message::of("no use") };
    assert_eq!(settle(&source, &taken[0].receipt, why).await, 0);
    let dead = &queue.dead(0, 9).await.unwrap()[0];
    assert_eq!((dead.cut, dead.payload.as_slice()), (Some(most - 50), &payload[..most - 1_024]));
    assert_eq!((dead.message.as_str(), queue.stats().await.unwrap().jobs), ("no use", 0));
    let error = queue.requeue(dead.number).await.unwrap_err();
    assert!(matches!(error, QueueError::TooLarge { bytes, .. } if bytes == most - 50), "{error}");
}

#[tokio::test]
async fn a_full_disk_is_an_error_and_loses_nothing() {
    let test = "a_full_disk_is_an_error_and_loses_nothing";
    let Some(mut server) = Server::on_a_small_disk(test, 24) else { return };
    let ballast = server.store().join("ballast");
    std::fs::write(&ballast, vec![0; 8 << 20]).unwrap();
    let queue = server.queue(options()).await;
    let mut put = 0;
    let error = loop {
        match queue.enqueue(&Job::new(vec![b'x'; 200_000])).await {
            Ok(_) => put += 1,
            Err(error) => break error,
        }
        assert!(put < 1_000, "the disk is never full");
    };
    println!("{put} jobs, then {error}");
    assert!(put > 5 && matches!(error, QueueError::Failed(_)), "{put}: {error}");
    // With room again it goes on, if need be after another start.
    std::fs::remove_file(&ballast).unwrap();
    server.kill();
    server.restart();
    let queue = server.queue(options()).await;
    let (source, mut done) = (queue.source(), 0);
    while queue.stats().await.unwrap().jobs > 0 {
        let mut into = Vec::new();
        source.pull(NonZeroU32::new(4).unwrap(), SECOND, &mut into).await.unwrap();
        for delivery in into {
            assert_eq!(delivery.job.unwrap().len(), 200_000);
            source.settle(&mut vec![Settling::new(delivery.receipt, Verdict::Done)]).await.unwrap();
            done += 1;
        }
    }
    // One that was not confirmed may be there even so.
    assert!(done == put || done == put + 1, "{put} were confirmed, {done} done");
    queue.enqueue(&Job::new("small")).await.unwrap();
}
