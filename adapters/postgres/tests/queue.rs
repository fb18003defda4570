//! A queue by hand, call by call.

#![allow(clippy::unwrap_used, clippy::panic, reason = "for tests")]

mod kit;
mod server;

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use kit::{again, connect, jobs, pull, settle, start, texts};
use plimsoll::Message;
use plimsoll::source::{Abilities, Death, Pulled, Settling, Source, Verdict};
use plimsoll_postgres::{Enqueued, Job, Options, Queue, QueueError};
use server::proxy::Proxy;
use server::{Server, config};
use tokio_postgres::NoTls;

#[tokio::test]
async fn jobs_come_by_priority_and_in_order_and_once() {
    let Some((_server, queue)) = start("jobs_come_by_priority_and_in_order_and_once").await else { return };
    let all: Vec<Job> =
        ["a", "b", "c"].map(Job::new).into_iter().chain([Job::new("first").priority(7)]).collect();
    let numbers = queue.enqueue_many(&all).await.unwrap();
    assert_eq!(numbers, [1, 2, 3, 4].map(Enqueued::New));
    let (one, other) = (texts(&queue), texts(&queue));
    let taken = pull(&one, 2).await;
    assert_eq!((jobs(&taken), jobs(&pull(&other, 9).await)), (vec!["first", "a"], vec!["b", "c"]));
    assert_eq!((pull(&one, 9).await.len(), queue.stats().await.unwrap().out), (0, 4));
    let receipt = taken[0].receipt;
    assert_eq!(settle(&one, receipt, Verdict::Done).await, 0);
    assert_eq!(settle(&one, receipt, Verdict::Done).await, 1, "it is over");
    assert_eq!(queue.stats().await.unwrap().jobs(), 3);
    assert_eq!(
        one.abilities(),
        Abilities::new().lease(Duration::from_secs(30)).delays(true).uncounted(true).most(1_024)
    );
}

#[tokio::test]
async fn a_job_has_its_key_and_an_identity() {
    let Some((_server, queue)) = start("a_job_has_its_key_and_an_identity").await else { return };
    queue.enqueue_many(&[Job::new("a").key(u64::MAX), Job::new("b").key(0), Job::new("")]).await.unwrap();
    let taken = pull(&texts(&queue), 9).await;
    let seen: Vec<_> = taken.iter().map(|one| (one.key, one.deliveries)).collect();
    assert_eq!(seen, [(Some(u64::MAX), 1), (Some(0), 1), (None, 1)]);
    let ids: std::collections::BTreeSet<_> = taken.iter().map(|one| one.id.unwrap()).collect();
    assert_eq!(ids.len(), 3);
    assert_eq!(jobs(&taken), ["a", "b", ""]);
}

#[tokio::test]
async fn again_and_dead_and_back() {
    let Some((_server, queue)) = start("again_and_dead_and_back").await else { return };
    let source = texts(&queue);
    queue.enqueue(&Job::new("a").priority(-3).key(9)).await.unwrap();
    for (verdict, deliveries) in [(again(Duration::ZERO, true), 1), (again(Duration::ZERO, false), 2)] {
        let taken = pull(&source, 1).await;
        assert_eq!(taken[0].deliveries, deliveries);
        assert_eq!(settle(&source, taken[0].receipt, verdict).await, 0);
    }
    let taken = pull(&source, 1).await;
    assert_eq!(taken[0].deliveries, 2, "the one before does not count");
    settle(&source, taken[0].receipt, again(Duration::from_millis(300), true)).await;
    assert_eq!((pull(&source, 1).await.len(), queue.stats().await.unwrap().delayed), (0, 1));
    let (started, mut into) = (Instant::now(), Vec::new());
    source.pull(NonZeroU32::MIN, Duration::from_secs(9), &mut into).await.unwrap();
    assert!(into.len() == 1 && started.elapsed() < Duration::from_millis(900), "not by polling each second");
    // PostgreSQL has no zero characters.
    let message = Message::of("no\0use");
    settle(&source, into[0].receipt, Verdict::Dead { why: Death::Failed, message }).await;
    let dead = queue.dead(0, 9).await.unwrap();
    assert_eq!(
        (dead[0].payload.as_slice(), dead[0].why, dead[0].message.as_str()),
        (&b"a"[..], Some(Death::Failed), "no\u{fffd}use")
    );
    assert_eq!((dead[0].deliveries, dead.len(), pull(&source, 9).await.len()), (3, 1, 0));
    assert!(dead[0].since.elapsed().unwrap() < Duration::from_secs(60));
    let number = dead[0].number;
    assert!(
        queue.dead(number + 1, 9).await.unwrap().is_empty()
            && queue.dead(u64::MAX, 9).await.unwrap().is_empty()
    );
    assert!(queue.requeue(number).await.unwrap() && !queue.requeue(number).await.unwrap());
    let taken = pull(&source, 1).await;
    assert_eq!((taken[0].deliveries, taken[0].key), (1, Some(9)));
    settle(&source, taken[0].receipt, Verdict::Dead { why: Death::Panicked, message }).await;
    assert!(queue.purge(number).await.unwrap() && !queue.purge(number).await.unwrap());
    let stats = queue.stats().await.unwrap();
    assert_eq!((stats.jobs(), stats.dead), (0, 0));
}

#[tokio::test]
async fn each_reason_and_each_verdict_of_a_batch_is_kept() {
    let Some((_server, queue)) = start("each_reason_and_each_verdict_of_a_batch_is_kept").await else {
        return;
    };
    let reasons = [
        Death::Failed,
        Death::Panicked,
        Death::TimedOut,
        Death::Cancelled,
        Death::TooOften,
        Death::Undecodable,
    ];
    let all: Vec<Job> = (0..8).map(|job| Job::new(job.to_string())).collect();
    queue.enqueue_many(&all).await.unwrap();
    let source = texts(&queue);
    let taken = pull(&source, 9).await;
    let dead = reasons.map(|why| Verdict::Dead { why, message: Message::of(&why) });
    let verdicts = dead.into_iter().chain([Verdict::Done, again(Duration::MAX, true)]);
    let mut verdicts: Vec<_> =
        taken.iter().zip(verdicts).map(|(one, verdict)| Settling::new(one.receipt, verdict)).collect();
    // A receipt twice: the second one is stale.
    verdicts.push(Settling::new(taken[6].receipt, Verdict::Done));
    assert_eq!((source.settle(&mut verdicts).await.unwrap(), verdicts.len()), (1, 0));
    let dead = queue.dead(0, 9).await.unwrap();
    let found: Vec<_> = dead.iter().map(|dead| (dead.why.unwrap(), dead.message.clone())).collect();
    assert_eq!(found, reasons.map(|why| (why, why.to_string())));
    let stats = queue.stats().await.unwrap();
    assert_eq!((stats.dead, stats.delayed, stats.jobs()), (6, 1, 1));
    assert_eq!((queue.purge_all().await.unwrap(), queue.stats().await.unwrap().dead), (6, 0));
}

#[tokio::test]
async fn an_identity_is_in_the_queue_once() {
    let Some((_server, queue)) = start("an_identity_is_in_the_queue_once").await else { return };
    let source = texts(&queue);
    let order = || Job::new("a").id("order 7");
    let put = queue.enqueue_many(&[order(), Job::new("b").id("order 8"), order()]).await.unwrap();
    assert!(matches!(put[..], [Enqueued::New(1), Enqueued::New(2), Enqueued::Known]), "{put:?}");
    assert_eq!(queue.enqueue(&order()).await.unwrap(), Enqueued::Known);
    let taken = pull(&source, 9).await;
    assert_eq!((jobs(&taken), queue.enqueue(&order()).await.unwrap()), (vec!["a", "b"], Enqueued::Known));
    let message = Message::default();
    settle(&source, taken[0].receipt, Verdict::Dead { why: Death::Failed, message }).await;
    // A dead letter is not in the queue. It can't come back while another one is.
    let Enqueued::New(_) = queue.enqueue(&order()).await.unwrap() else { panic!("it is new") };
    assert!(!queue.requeue(1).await.unwrap());
    let taken = pull(&source, 9).await;
    settle(&source, taken[0].receipt, Verdict::Done).await;
    assert!(queue.requeue(1).await.unwrap());
    // Another queue has identities of its own.
    let other = Queue::connect(&config(_server.port()), Options::new().queue("other")).await.unwrap();
    assert!(matches!(other.enqueue(&order()).await.unwrap(), Enqueued::New(_)));
    assert_eq!((other.stats().await.unwrap().jobs(), queue.stats().await.unwrap().jobs()), (1, 2));
}

#[tokio::test]
async fn a_job_is_put_in_with_the_transaction_of_the_caller() {
    let Some((server, queue)) = start("a_job_is_put_in_with_the_transaction_of_the_caller").await else {
        return;
    };
    let mut client = kit::client(&server).await;
    client.batch_execute("CREATE TABLE orders (number bigint)").await.unwrap();
    for (number, commits) in [(7_i64, false), (8, true)] {
        let transaction = client.transaction().await.unwrap();
        transaction.execute("INSERT INTO orders VALUES ($1)", &[&number]).await.unwrap();
        let job = Job::new(format!("order {number}")).id("order").key(5);
        let put = queue.enqueue_in(&transaction, &[job]).await.unwrap();
        assert!(matches!(put[..], [Enqueued::New(_)]));
        assert_eq!(queue.stats().await.unwrap().jobs(), 0, "not before the commit");
        if commits {
            transaction.commit().await.unwrap();
        } else {
            transaction.rollback().await.unwrap();
            assert_eq!(queue.stats().await.unwrap().jobs(), 0);
        }
    }
    let rows = client.query("SELECT number FROM orders", &[]).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.get(0)).collect::<Vec<i64>>(), [8]);
    assert_eq!(jobs(&pull(&texts(&queue), 9).await), ["order 8"]);
}

#[tokio::test]
async fn a_waiting_pull_hears_of_a_job_and_looks_without_having_heard() {
    let Some((server, queue)) = start("a_waiting_pull_hears_of_a_job_and_looks_without_having_heard").await
    else {
        return;
    };
    let connected = async |options: Options| Queue::connect(&server.config(), options).await.unwrap();
    let rarely = Options::new().poll(Duration::from_secs(60));
    let often = Options::new().poll(Duration::from_millis(200)).notify(false);
    for (options, notifies) in [(rarely, true), (often, false)] {
        let (pulled, put) = (connected(options.clone()).await, connected(options).await);
        let source = texts(&pulled);
        // Connected, and nothing there.
        assert!(pull(&source, 1).await.is_empty());
        let (started, mut into) = (Instant::now(), Vec::new());
        let putting = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            put.enqueue(&Job::new("now")).await.unwrap();
        };
        let (pulled, ()) =
            tokio::join!(source.pull(NonZeroU32::MIN, Duration::from_secs(30), &mut into), putting);
        assert_eq!((pulled.unwrap(), jobs(&into)), (Pulled::Some, vec!["now"]), "notifies: {notifies}");
        assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
        settle(&source, into[0].receipt, Verdict::Done).await;
    }
    // What is handed back is heard of, by other pullers and by the same one.
    queue.enqueue(&Job::new("back")).await.unwrap();
    let one = texts(&connected(Options::new().poll(Duration::from_secs(60))).await);
    // A delay is told to nobody else.
    let delay = Duration::from_millis(100);
    for (other, after) in [(&one, delay), (&texts(&queue), Duration::ZERO)] {
        let held = pull(&one, 1).await;
        let mut into = Vec::new();
        let started = Instant::now();
        let handing_back = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            settle(&one, held[0].receipt, again(after, false)).await;
        };
        tokio::join!(
            async { other.pull(NonZeroU32::MIN, Duration::from_secs(30), &mut into).await.unwrap() },
            handing_back
        );
        assert!(into.len() == 1 && started.elapsed() < Duration::from_millis(900), "{:?}", started.elapsed());
        settle(other, into[0].receipt, again(Duration::ZERO, false)).await;
    }
}

#[tokio::test]
async fn a_delayed_job_comes_when_its_time_has_come() {
    let Some((_server, queue)) = start("a_delayed_job_comes_when_its_time_has_come").await else { return };
    let source = texts(&queue);
    let started = Instant::now();
    queue.enqueue(&Job::new("later").delay(Duration::from_millis(300))).await.unwrap();
    let mut into = Vec::new();
    source.pull(NonZeroU32::MIN, Duration::from_secs(9), &mut into).await.unwrap();
    let took = started.elapsed();
    assert!(
        into.len() == 1 && took >= Duration::from_millis(300) && took < Duration::from_millis(900),
        "{took:?}"
    );
    // Nothing: it waits as long as it is told to, and no longer.
    let started = Instant::now();
    let pulled = source.pull(NonZeroU32::MIN, Duration::from_millis(200), &mut into).await.unwrap();
    let took = started.elapsed();
    assert_eq!(pulled, Pulled::Nothing);
    assert!(took >= Duration::from_millis(200) && took < Duration::from_millis(900), "{took:?}");
}

#[tokio::test]
async fn a_lease_runs_out_unless_it_is_renewed() {
    let Some((server, _queue)) = start("a_lease_runs_out_unless_it_is_renewed").await else { return };
    let options = Options::new().lease(Duration::from_millis(400));
    let queue = Queue::connect(&server.config(), options).await.unwrap();
    let (one, other) = (texts(&queue), texts(&queue));
    queue.enqueue(&Job::new("a")).await.unwrap();
    let first = pull(&one, 1).await;
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_millis(150)).await;
        one.extend(&[first[0].receipt]).await.unwrap();
        assert!(pull(&other, 1).await.is_empty(), "it is renewed");
    }
    // A lease that has run out, and a delivery that nobody else has: its verdict is the truth.
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(
        (
            queue.stats().await.unwrap().ready,
            settle(&one, first[0].receipt, again(Duration::ZERO, true)).await
        ),
        (1, 0)
    );
    let second = pull(&one, 1).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let third = pull(&other, 1).await;
    assert_eq!((second[0].deliveries, third[0].deliveries), (2, 3));
    // Nothing that the first one says has an effect now.
    let message = Message::default();
    for verdict in
        [Verdict::Done, again(Duration::ZERO, false), Verdict::Dead { why: Death::Failed, message }]
    {
        assert_eq!(settle(&one, second[0].receipt, verdict).await, 1);
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    one.extend(&[second[0].receipt]).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let stats = queue.stats().await.unwrap();
    assert_eq!((stats.ready, stats.dead), (1, 0), "a stale receipt renews nothing");
    assert_eq!(settle(&other, third[0].receipt, Verdict::Done).await, 0);
    assert_eq!(queue.stats().await.unwrap().jobs(), 0);
}

#[tokio::test]
async fn a_job_that_is_too_large_is_refused_and_one_that_the_server_refuses() {
    let Some((server, _queue)) =
        start("a_job_that_is_too_large_is_refused_and_one_that_the_server_refuses").await
    else {
        return;
    };
    let queue = Queue::connect(&server.config(), Options::new().payload(10)).await.unwrap();
    let error = queue.enqueue_many(&[Job::new("short"), Job::new("rather long")]).await.unwrap_err();
    assert_eq!(error, QueueError::TooLarge { bytes: 11, most: 10 });
    let error = queue.enqueue_many(&[Job::new("short"), Job::new("zero").id("\0")]).await.unwrap_err();
    assert!(matches!(error, QueueError::Server(_)), "{error:?}");
    assert_eq!(queue.stats().await.unwrap().jobs(), 0);
}

#[tokio::test]
async fn a_server_that_is_killed_or_silent_is_an_error_in_time_and_then_all_goes_on() {
    let Some(server) =
        Server::start("a_server_that_is_killed_or_silent_is_an_error_in_time_and_then_all_goes_on")
    else {
        return;
    };
    let proxy = Proxy::start(server.port());
    let time_out = Duration::from_millis(500);
    let queue = connect(&config(proxy.port()), Options::new().time_out(time_out)).await;
    let source = texts(&queue);
    queue.enqueue_many(&[Job::new("a"), Job::new("b")]).await.unwrap();
    let held = pull(&source, 1).await;
    // Silent: nothing is closed, and nothing comes.
    proxy.set_silent(true);
    let started = Instant::now();
    let mut into = Vec::new();
    let mut verdicts = vec![Settling::new(held[0].receipt, Verdict::Done)];
    let (receipts, job) = ([held[0].receipt], Job::new("c"));
    let (pulled, settled, extended, put) = tokio::join!(
        source.pull(NonZeroU32::MIN, Duration::from_secs(1), &mut into),
        source.settle(&mut verdicts),
        source.extend(&receipts),
        queue.enqueue(&job)
    );
    let errors = [pulled.map(drop), settled.map(drop), extended, put.map(drop)].map(Result::unwrap_err);
    assert!(errors.iter().all(|error| *error == QueueError::TimedOut(time_out)), "{errors:?}");
    assert!(started.elapsed() < time_out * 2, "{:?}", started.elapsed());
    assert_eq!(verdicts.len(), 1, "it is not confirmed");
    // New connections are silent, too.
    let error = queue.stats().await.unwrap_err();
    assert!(matches!(error, QueueError::TimedOut(_)), "{error:?}");
    proxy.set_silent(false);
    tokio::time::sleep(Duration::from_millis(100)).await;
    // What was on its way may have arrived after all.
    let stale = source.settle(&mut verdicts).await.unwrap();
    assert!(stale <= 1 && verdicts.is_empty());
    // Killed, and started again: what was committed is there.
    let before = queue.stats().await.unwrap();
    server.kill();
    let started = Instant::now();
    let error = source.pull(NonZeroU32::MIN, Duration::ZERO, &mut into).await.unwrap_err();
    assert!(matches!(error, QueueError::Lost(_)) && started.elapsed() < time_out * 2, "{error:?}");
    server.up().unwrap();
    let after = match queue.stats().await {
        Ok(after) => after,
        Err(_) => queue.stats().await.unwrap(),
    };
    assert_eq!(after.jobs(), before.jobs());
    // A connection that is lost while a pull waits is an error at once, or is made again; the next pull brings something.
    for found in pull(&source, 9).await {
        settle(&source, found.receipt, Verdict::Done).await;
    }
    let cutting = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(proxy.cut() > 0);
        tokio::time::sleep(Duration::from_millis(100)).await;
        match queue.enqueue(&Job::new("late")).await {
            Ok(_) => {}
            Err(_) => drop(queue.enqueue(&Job::new("late")).await.unwrap()),
        }
    };
    into.clear();
    let waiting = async {
        while into.is_empty() {
            drop(source.pull(NonZeroU32::MIN, Duration::from_secs(30), &mut into).await);
        }
    };
    tokio::time::timeout(Duration::from_secs(5), async { tokio::join!(cutting, waiting) }).await.unwrap();
    assert_eq!(jobs(&into), ["late"]);
}

#[tokio::test]
async fn debug_shows_no_secrets() {
    let Some((server, queue)) = start("debug_shows_no_secrets").await else { return };
    let client = kit::client(&server).await;
    client.batch_execute("ALTER ROLE owner PASSWORD 'secret'").await.unwrap();
    let config: tokio_postgres::Config = format!("{} password=secret", server.config()).parse().unwrap();
    let with_password = Queue::connect_tls(config, NoTls, Options::new()).await.unwrap();
    let shown = format!(
        "{queue:?} {with_password:?} {:?} {:?}",
        with_password.source(),
        Job::new("hidden").id("hidden")
    );
    assert!(!shown.contains("secret") && !shown.contains("hidden"), "{shown}");
}
