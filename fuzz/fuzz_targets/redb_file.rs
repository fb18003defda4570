//! A queue's file with any bytes changed: each call on it answers, with an error where it can't do better.
#![no_main]

use std::fs;
use std::num::NonZeroU32;
use std::sync::LazyLock;
use std::time::Duration;

use futures::executor::block_on;
use libfuzzer_sys::fuzz_target;
use plimsoll::Message;
use plimsoll::source::{Death, Settling, Source, Verdict};
use plimsoll_redb::{Job, Queue};
use tempfile::TempDir;

/// A file with jobs, a delayed one, identities and a dead letter.
static WHOLE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let folder = folder();
    let path = folder.path().join("whole");
    let queue = Queue::open(&path).expect("a queue");
    let jobs: Vec<_> =
        (0..30_u8).map(|n| Job::new([n; 9]).id([n]).delay(Duration::from_secs(u64::from(n / 29)))).collect();
    block_on(queue.enqueue_many(&jobs)).expect("jobs are put in");
    let (source, mut into) = (queue.source(), Vec::new());
    block_on(source.pull(NonZeroU32::MIN, Duration::ZERO, &mut into)).expect("a job is pulled");
    let verdict = Verdict::Dead { why: Death::Failed, message: Message::of("no use") };
    let mut verdicts = into.into_iter().map(|one| Settling::new(one.receipt, verdict)).collect();
    block_on(source.settle(&mut verdicts)).expect("it is dead");
    drop((source, queue));
    fs::read(path).expect("the file")
});

/// One for each file: what is static is never dropped, and would be left behind.
fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

fuzz_target!(|changes: Vec<(u32, u8)>| {
    let mut bytes = WHOLE.clone();
    for (at, byte) in changes {
        let at = at as usize % bytes.len();
        bytes[at] = byte;
    }
    let folder = folder();
    let path = folder.path().join("changed");
    fs::write(&path, &bytes).expect("the file is written");
    let Ok(queue) = Queue::open(&path) else { return };
    let (source, mut into) = (queue.source(), Vec::new());
    drop(block_on(queue.stats()));
    drop(block_on(source.pull(NonZeroU32::MAX, Duration::ZERO, &mut into)));
    let mut verdicts = into.into_iter().map(|one| Settling::new(one.receipt, Verdict::Done)).collect();
    drop(block_on(source.settle(&mut verdicts)));
    drop(block_on(queue.dead(0, 50)));
    drop(block_on(queue.enqueue(&Job::new("another"))));
});
