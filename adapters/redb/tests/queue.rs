//! A queue by hand, call by call; and with a processor.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::Write;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::executor::block_on;
use plimsoll::source::{Death, Delivery, Pull, Settling, Source, SourceLimits, Verdict};
use plimsoll::{Context, Drain, Message, Processor, Retry, Smol};
use plimsoll_redb::{Enqueued, Job, OpenError, Options, Queue, QueueError, QueueSource, Receipt};

type Text = Delivery<String, Receipt>;

fn texts(queue: &Queue) -> QueueSource<String> {
    queue.source_with(String::from_utf8)
}

/// Pulls what there is, without waiting.
fn pull(source: &QueueSource<String>, room: u32) -> Vec<Text> {
    let mut into = Vec::new();
    block_on(source.pull(NonZeroU32::new(room).unwrap(), Duration::ZERO, &mut into)).unwrap();
    into
}

fn jobs(deliveries: &[Text]) -> Vec<&str> {
    deliveries.iter().map(|delivery| delivery.job.as_ref().unwrap().as_str()).collect()
}

fn settle(source: &QueueSource<String>, receipt: Receipt, verdict: Verdict) -> u32 {
    block_on(source.settle(&mut vec![Settling::new(receipt, verdict)])).unwrap()
}

const fn again(after: Duration, counted: bool) -> Verdict {
    Verdict::Again { after, counted }
}

#[test]
fn jobs_come_by_priority_and_in_order_and_once() {
    let folder = tempfile::tempdir().unwrap();
    let queue = Queue::open(folder.path().join("q")).unwrap();
    let all = ["a", "b", "c"].map(Job::new).into_iter().chain([Job::new("first").priority(7)]);
    let numbers = block_on(queue.enqueue_many(&all.collect::<Vec<_>>())).unwrap();
    assert_eq!(numbers, [0, 1, 2, 3].map(Enqueued::New));
    let (one, other) = (texts(&queue), texts(&queue));
    let taken = pull(&one, 2);
    assert_eq!((jobs(&taken), jobs(&pull(&other, 9))), (vec!["first", "a"], vec!["b", "c"]));
    assert_eq!((pull(&one, 9).len(), block_on(queue.stats()).unwrap().out), (0, 4));
    // Another source can't settle it.
    let receipt = taken[0].receipt;
    assert_eq!((settle(&other, receipt, Verdict::Done), settle(&one, receipt, Verdict::Done)), (1, 0));
    assert_eq!(settle(&one, receipt, Verdict::Done), 1, "it is over");
    drop(other);
    assert_eq!(jobs(&pull(&one, 9)), ["b", "c"], "what the other one had");
    assert_eq!(block_on(queue.stats()).unwrap().jobs(), 3);
}

#[test]
fn what_was_put_in_outlives_the_queue_and_deliveries_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("q");
    for round in 1..4 {
        let queue = Queue::open(&path).unwrap();
        if round == 1 {
            block_on(queue.enqueue(&Job::new("a").key(5))).unwrap();
        }
        let source = texts(&queue);
        let taken = pull(&source, 9);
        assert_eq!((jobs(&taken), taken[0].deliveries, taken[0].key), (vec!["a"], round, Some(5)));
    }
}

#[test]
fn again_and_dead_and_back() {
    let folder = tempfile::tempdir().unwrap();
    let queue = Queue::open(folder.path().join("q")).unwrap();
    let source = texts(&queue);
    block_on(queue.enqueue(&Job::new("a"))).unwrap();
    for (verdict, deliveries) in [(again(Duration::ZERO, true), 1), (again(Duration::ZERO, false), 2)] {
        let taken = pull(&source, 1);
        assert_eq!(taken[0].deliveries, deliveries);
        assert_eq!(settle(&source, taken[0].receipt, verdict), 0);
    }
    let taken = pull(&source, 1);
    assert_eq!(taken[0].deliveries, 2, "the one before does not count");
    settle(&source, taken[0].receipt, again(Duration::from_millis(50), true));
    assert_eq!((pull(&source, 1).len(), block_on(queue.stats()).unwrap().delayed), (0, 1));
    let (started, mut into) = (Instant::now(), Vec::new());
    block_on(source.pull(NonZeroU32::MIN, Duration::from_secs(9), &mut into)).unwrap();
    assert!(into.len() == 1 && started.elapsed() < Duration::from_secs(5));
    let message = Message::of("no use");
    settle(&source, into[0].receipt, Verdict::Dead { why: Death::Failed, message });
    let dead = block_on(queue.dead(0, 9)).unwrap();
    assert_eq!(
        (dead[0].payload.as_slice(), dead[0].why, dead[0].message.as_str()),
        (&b"a"[..], Some(Death::Failed), "no use")
    );
    assert_eq!((dead[0].deliveries, dead.len(), pull(&source, 9).len()), (3, 1, 0));
    assert!(
        block_on(queue.requeue(dead[0].number)).unwrap() && !block_on(queue.requeue(dead[0].number)).unwrap()
    );
    let taken = pull(&source, 1);
    assert_eq!(taken[0].deliveries, 1);
    settle(&source, taken[0].receipt, Verdict::Dead { why: Death::Panicked, message });
    assert!(
        block_on(queue.purge(dead[0].number)).unwrap() && !block_on(queue.purge(dead[0].number)).unwrap()
    );
    let stats = block_on(queue.stats()).unwrap();
    assert_eq!((stats.jobs(), stats.dead), (0, 0));
}

#[test]
fn an_identity_is_known_as_long_as_it_should_be() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options::new().remember(Duration::from_millis(100));
    let queue = options.open(folder.path().join("q")).unwrap();
    let source = texts(&queue);
    let put = || block_on(queue.enqueue(&Job::new("a").id("order 7"))).unwrap();
    assert_eq!((put(), put()), (Enqueued::New(0), Enqueued::Known(0)));
    let taken = pull(&source, 1);
    assert_eq!(put(), Enqueued::Known(0));
    settle(&source, taken[0].receipt, Verdict::Done);
    assert_eq!((put(), block_on(queue.stats()).unwrap().remembered), (Enqueued::Done, 1));
    std::thread::sleep(Duration::from_millis(150));
    assert_eq!((put(), block_on(queue.stats()).unwrap().remembered), (Enqueued::New(1), 0));
    // A dead letter keeps it.
    let taken = pull(&source, 1);
    settle(&source, taken[0].receipt, Verdict::Dead { why: Death::Failed, message: Message::default() });
    assert_eq!(put(), Enqueued::Known(1));
    assert_eq!(block_on(queue.purge_all()).unwrap(), 1);
    assert_eq!(put(), Enqueued::New(2));
}

#[test]
fn a_delayed_job_comes_when_its_time_has_come() {
    let folder = tempfile::tempdir().unwrap();
    let queue = Queue::open(folder.path().join("q")).unwrap();
    let source = texts(&queue);
    let started = Instant::now();
    block_on(queue.enqueue(&Job::new("later").delay(Duration::from_millis(80)))).unwrap();
    let mut into = Vec::new();
    block_on(source.pull(NonZeroU32::MIN, Duration::from_secs(9), &mut into)).unwrap();
    assert!(into.len() == 1 && started.elapsed() >= Duration::from_millis(79));
    // A pull that waits is answered by a job that comes, too.
    let other = queue.clone();
    let thread = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(30));
        block_on(other.enqueue(&Job::new("now"))).unwrap();
    });
    let mut into = Vec::new();
    block_on(source.pull(NonZeroU32::MIN, Duration::from_secs(9), &mut into)).unwrap();
    assert_eq!(jobs(&into), ["now"]);
    thread.join().unwrap();
}

#[test]
fn what_can_not_be_opened_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let queue = Queue::open(path("q")).unwrap();
    assert!(matches!(Queue::open(path("q")).unwrap_err(), OpenError::InUse));
    let jobs: Vec<_> = (0..200).map(|n| Job::new(format!("job {n}").repeat(50))).collect();
    block_on(queue.enqueue_many(&jobs)).unwrap();
    drop(queue);
    // A foreign file, one that was cut, and one that was damaged.
    std::fs::write(path("foreign"), "a text, and no queue\n".repeat(1_000)).unwrap();
    let whole = std::fs::read(path("q")).unwrap();
    std::fs::write(path("cut"), &whole[..whole.len() / 3]).unwrap();
    let mut damaged = whole.clone();
    for byte in &mut damaged[whole.len() / 4..whole.len() / 2] {
        *byte ^= 0x5a;
    }
    std::fs::write(path("damaged"), &damaged).unwrap();
    for name in ["foreign", "cut", "damaged"] {
        let before = std::fs::read(path(name)).unwrap();
        let error = std::panic::catch_unwind(|| Queue::open(path(name)).unwrap_err());
        let error = error.unwrap_or_else(|_| panic!("{name}: opening it panicked"));
        assert!(matches!(error, OpenError::Damaged(_) | OpenError::Io(_)), "{name}: {error}");
        if name == "foreign" {
            assert_eq!(std::fs::read(path(name)).unwrap(), before);
        }
    }
    assert!(matches!(Queue::open(folder.path()).unwrap_err(), OpenError::Io(_)), "a folder");
    assert!(matches!(Queue::open(path("none").join("q")).unwrap_err(), OpenError::Io(_)));
    assert_eq!(block_on(Queue::open(path("q")).unwrap().stats()).unwrap().ready, 200);
}

#[test]
fn another_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("q");
    drop(Queue::open(&path).unwrap());
    let database = redb::Database::open(&path).unwrap();
    let transaction = database.begin_write().unwrap();
    let meta: redb::TableDefinition<'_, &str, u64> = redb::TableDefinition::new("meta");
    transaction.open_table(meta).unwrap().insert("version", 9).unwrap();
    transaction.commit().unwrap();
    drop(database);
    assert!(matches!(Queue::open(&path).unwrap_err(), OpenError::Version { found: 9, expected: 1 }));
}

#[test]
fn a_job_that_is_too_large_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let queue = Options::new().payload(10).open(folder.path().join("q")).unwrap();
    let error = block_on(queue.enqueue_many(&[Job::new("short"), Job::new("rather long")])).unwrap_err();
    assert_eq!(error, QueueError::TooLarge { bytes: 11, most: 10 });
    assert_eq!(block_on(queue.stats()).unwrap().jobs(), 0);
}

type Work = fn(String, Context) -> Result<(), String>;

/// A processor with a handler that does what the job says.
fn processor(seen: Arc<Mutex<Vec<String>>>) -> Processor<Work> {
    Processor::builder()
        .concurrency(4)
        .sources(SourceLimits::new(1).credit(16))
        .retry(Retry::times(1).fixed(Duration::from_millis(5)))
        .spawn_on(Smol::global(), move |job: String, _: Context| {
            seen.lock().unwrap().push(job.clone());
            async move { if job.starts_with("fail") { Err(format!("{job} is no good")) } else { Ok(()) } }
        })
        .unwrap()
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < Duration::from_secs(30), "{what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_processor_does_the_jobs_and_what_can_not_be_done_is_kept_aside() {
    let folder = tempfile::tempdir().unwrap();
    let queue = Queue::open(folder.path().join("q")).unwrap();
    let mut all: Vec<Job> = (0..100).map(|n| Job::new(format!("job {n}"))).collect();
    all.extend([Job::new("fail"), Job::new([0xff, 0xfe])]);
    block_on(queue.enqueue_many(&all)).unwrap();
    let seen = Arc::default();
    let processor = processor(Arc::clone(&seen));
    let (_, puller) = processor.source(texts(&queue), Pull::new().credit(16)).unwrap();
    let puller = smol::spawn(puller);
    wait_until("all is done", || block_on(queue.stats()).unwrap().jobs() == 0);
    let dead = block_on(queue.dead(0, 9)).unwrap();
    let told: Vec<_> =
        dead.iter().map(|dead| (dead.why.unwrap(), dead.message.as_str(), dead.deliveries)).collect();
    let undecodable = "invalid utf-8 sequence of 1 bytes from index 0";
    assert_eq!(told, [(Death::Failed, "\"fail is no good\"", 2), (Death::Undecodable, undecodable, 1)]);
    assert_eq!(seen.lock().unwrap().len(), 102, "each once, and the failing one twice");
    let report = block_on(processor.shutdown(Drain::graceful(Duration::from_secs(9))));
    assert_eq!((block_on(puller), report.remains.deliveries, report.totals.stale), (0, 0, 0));
}

#[test]
fn two_workers_on_one_queue_do_each_job_once() {
    let folder = tempfile::tempdir().unwrap();
    let queue = Queue::open(folder.path().join("q")).unwrap();
    let (seen, count) = (Arc::default(), AtomicU32::new(0));
    let workers = [(); 2].map(|()| processor(Arc::clone(&seen)));
    let pullers: Vec<_> =
        workers.iter().map(|worker| worker.source(texts(&queue), Pull::new()).unwrap().1).collect();
    let pullers: Vec<_> = pullers.into_iter().map(smol::spawn).collect();
    for _ in 0..20 {
        let some: Vec<_> =
            (0..25).map(|_| Job::new(format!("job {}", count.fetch_add(1, Ordering::Relaxed)))).collect();
        block_on(queue.enqueue_many(&some)).unwrap();
    }
    wait_until("all is done", || block_on(queue.stats()).unwrap().jobs() == 0);
    let mut seen = seen.lock().unwrap().clone();
    seen.sort_unstable();
    seen.dedup();
    let each: u64 = workers.iter().map(|worker| worker.totals().confirmed).sum();
    assert_eq!((seen.len(), each), (500, 500));
    assert!(workers.iter().all(|worker| worker.totals().confirmed > 0), "both had some");
    for worker in workers {
        block_on(worker.shutdown(Drain::graceful(Duration::from_secs(9))));
    }
    pullers.into_iter().for_each(|puller| assert_eq!(block_on(puller), 0));
}

/// A file system of a few megabytes, if there can be one here.
struct Small<'a>(&'a Path);

impl<'a> Small<'a> {
    fn mount(folder: &'a Path) -> Option<Self> {
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=6m", "plimsoll"])
            .arg(folder)
            .stderr(std::process::Stdio::null())
            .status();
        mounted.is_ok_and(|status| status.success()).then_some(Self(folder))
    }
}

impl Drop for Small<'_> {
    fn drop(&mut self) {
        drop(std::process::Command::new("umount").arg("-l").arg(self.0).status());
    }
}

#[test]
fn a_full_disk_is_an_error_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let Some(small) = Small::mount(folder.path()) else {
        // Past the capture of the test's output.
        let what = "a_full_disk_is_an_error_and_loses_nothing, for no file system can be mounted here";
        writeln!(std::io::stderr(), "SKIPPED: {what}").unwrap();
        return;
    };
    let queue = Queue::open(small.0.join("q")).unwrap();
    let mut put = 0;
    let error = loop {
        match block_on(queue.enqueue(&Job::new(vec![b'x'; 100_000]))) {
            Ok(_) => put += 1,
            Err(error) => break error,
        }
        assert!(put < 1_000, "the disk is never full");
    };
    assert!(matches!(error, QueueError::Storage(_)), "{error}");
    assert!(put > 5, "{put}");
    // What was confirmed is there, can be done, and then there is room again.
    std::fs::write(small.0.join("ballast"), []).unwrap();
    let source = texts(&queue);
    let mut done = 0;
    wait_until("what is there can be pulled and done", || {
        let mut into = Vec::new();
        if block_on(source.pull(NonZeroU32::new(2).unwrap(), Duration::ZERO, &mut into)).is_err() {
            return false;
        }
        for delivery in into {
            let mut verdicts = vec![Settling::new(delivery.receipt, Verdict::Done)];
            done += u32::from(block_on(source.settle(&mut verdicts)).is_ok());
        }
        done >= put
    });
    assert_eq!(block_on(queue.stats()).unwrap().jobs(), 0);
    block_on(queue.enqueue(&Job::new("small"))).unwrap();
}

/// Bytes that no program has written, anywhere in the file: each call answers, with an error where it can't do better.
#[test]
fn a_call_on_a_damaged_file_answers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("q");
    let queue = Queue::open(&path).unwrap();
    block_on(queue.enqueue_many(&(0..300).map(|n| Job::new(format!("job {n}"))).collect::<Vec<_>>()))
        .unwrap();
    let source = texts(&queue);
    for one in pull(&source, 100) {
        let why = Verdict::Dead { why: Death::Failed, message: Message::of("no use") };
        settle(&source, one.receipt, why);
    }
    drop((source, queue));
    let whole = std::fs::read(&path).unwrap();
    let mut random = fastrand::Rng::with_seed(3);
    let (mut refused, mut opened) = (0, 0);
    for round in 0..150 {
        let mut bytes = whole.clone();
        for _ in 0..random.u32(1..20) {
            let at = random.usize(..bytes.len());
            let longest = if random.bool() { 1 } else { 64 };
            for byte in bytes.iter_mut().skip(at).take(random.usize(1..=longest)) {
                *byte = random.u8(..);
            }
        }
        std::fs::write(&path, &bytes).unwrap();
        let answered = std::panic::catch_unwind(|| {
            let Ok(queue) = Queue::open(&path) else { return false };
            let source = texts(&queue);
            let mut into = Vec::new();
            drop(block_on(queue.stats()));
            drop(block_on(source.pull(NonZeroU32::new(50).unwrap(), Duration::ZERO, &mut into)));
            let mut verdicts =
                into.into_iter().map(|one| Settling::new(one.receipt, Verdict::Done)).collect();
            drop(block_on(source.settle(&mut verdicts)));
            drop(block_on(queue.dead(0, 50)));
            drop(block_on(queue.enqueue(&Job::new("another"))));
            true
        });
        match answered {
            Ok(true) => opened += 1,
            Ok(false) => refused += 1,
            Err(_) => panic!("round {round} panicked"),
        }
    }
    assert!(opened > 0 && refused > 0, "{opened} opened, {refused} refused");
}
