//! Bounded debug output, panics in listeners, tasks for later, seeds, limits beyond the memory, ids of others.

use std::fmt;
use std::future::pending;
use std::hash::{Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::executor::block_on;
use plimsoll::{
    Cache, CacheLimits, CancelError, Context, Emitter, Event, Events, Notice, Options, Processor, Retry,
    TaskError,
};

use crate::kit::{self, Counter, Host, eventually, hanging, instant, ms};

on_every_runtime! {
    the_debug_output_of_an_error_is_cut_while_it_is_written
    a_panic_in_the_options_of_a_batch_loses_nothing
    a_panic_in_the_options_of_a_task_loses_nothing
    tasks_for_later_leave_room_for_tasks_for_now
    tasks_in_backoff_leave_room_for_tasks_for_now
    each_processor_draws_its_own_jitter
    each_cache_hashes_in_its_own_way
    an_id_of_another_processor_is_nobodys
    a_handler_may_take_the_job_alone
    delayed_tasks_have_a_limit_of_their_own
}

/// Longer than any test.
const LATER: Duration = Duration::from_secs(3600 * 24 * 365);

/// An error with a million elements, which counts those that are shown.
struct Million(Counter);

struct Element<'a>(&'a Counter);

impl fmt::Debug for Element<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.add();
        f.write_str("element")
    }
}

impl fmt::Debug for Million {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries((0..1_000_000).map(|_| Element(&self.0))).finish()
    }
}

fn the_debug_output_of_an_error_is_cut_while_it_is_written(host: impl Host) {
    let handler = |shown: Counter, _: Context| async move { Err::<(), _>(Million(shown)) };
    let processor = Processor::builder().spawn_on(host.runtime(), handler).unwrap();
    let shown = Counter::default();
    assert!(matches!(block_on(processor.submit(shown.clone()).unwrap()), Err(TaskError::Failed(_))));
    let message = processor.last_error().unwrap().message;
    assert!(message.is_cut() && message.as_str().starts_with("[element, element"), "{message:?}");
    assert!(shown.get() < 1_000, "{} elements were shown for a message of 96 bytes", shown.get());
}

/// A job that counts its drop.
struct Dropped(u32, Counter);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.1.add();
    }
}

/// Every job of a batch whose options panic once is run, handed back, or counted as refused; then all goes on as before.
fn assert_options_that_panic_lose_nothing(
    host: &impl Host,
    emit: impl Fn(&Events<Dropped>, &Counter) -> u64,
    of: u64,
) {
    let handler = |job: Dropped, _: Context| async move {
        drop(job);
        Ok::<(), String>(())
    };
    let processor = Processor::builder().spawn_on(host.runtime(), handler).unwrap();
    let emitter = Events::new();
    let options = |job: &Dropped| if job.0 == 5 { panic!("on purpose") } else { Options::default() };
    let attached = processor.attach_with(&emitter, options).unwrap();
    let dropped = Counter::default();
    let returned = emit(&emitter, &dropped);
    let totals = processor.totals();
    // What is handed back may be counted as refused, too.
    let accounted = totals.admitted + totals.refused.max(returned);
    assert_eq!(accounted, of, "of {of} jobs: {returned} came back, and {totals:?}");
    assert_eq!(totals.offered, totals.admitted + totals.refused);
    eventually("each job is dropped", || dropped.get() as u64 == of);

    let later = Counter::default();
    assert!(emitter.emit_batch((10..20).map(|n| Dropped(n, later.clone())).collect()).is_ok());
    eventually("a later batch is run", || processor.totals().settled.completed == totals.admitted + 10);
    assert!(
        attached.fed().is_some() && emitter.listener_counts() == [1, 1, 1],
        "the emitter is still attached"
    );
    eventually("nothing is held", || processor.census().tasks == 0);
    assert_eq!((dropped.get() as u64, later.get()), (of, 10));
}

fn a_panic_in_the_options_of_a_batch_loses_nothing(host: impl Host) {
    let emit = |emitter: &Events<Dropped>, dropped: &Counter| {
        let jobs = (0..10).map(|n| Dropped(n, dropped.clone())).collect();
        match catch_unwind(AssertUnwindSafe(|| emitter.emit_batch(jobs))) {
            Ok(Err(rest)) => rest.len() as u64,
            Ok(Ok(())) | Err(_) => 0,
        }
    };
    assert_options_that_panic_lose_nothing(&host, emit, 10);
}

fn a_panic_in_the_options_of_a_task_loses_nothing(host: impl Host) {
    let emit = |emitter: &Events<Dropped>, dropped: &Counter| {
        let job = Dropped(5, dropped.clone());
        let emitted = catch_unwind(AssertUnwindSafe(|| emitter.emit_task(job)));
        u64::from(matches!(emitted, Ok(Err(_))))
    };
    assert_options_that_panic_lose_nothing(&host, emit, 1);
}

#[test]
fn an_error_listener_that_panics_keeps_nobody_from_hearing() {
    let emitter = Events::<u32>::new();
    let heard = [Counter::default(), Counter::default()];
    let listen = |n: usize| {
        let heard = heard[n].clone();
        emitter.on_error(Box::new(move |_| heard.add()))
    };
    let before = listen(0);
    let panicking = emitter.on_error(Box::new(|_| panic!("on purpose")));
    let after = listen(1);
    for n in 1..=2 {
        // Whether the panic comes out is left open.
        let _ = catch_unwind(AssertUnwindSafe(|| emitter.emit_error("trouble")));
        assert_eq!(
            heard.each_ref().map(Counter::get),
            [n, n],
            "listeners before and after the one that panics"
        );
    }
    drop((before, panicking, after));
}

fn tasks_for_later_leave_room_for_tasks_for_now(host: impl Host) {
    let builder = kit::delayed(Processor::builder().queue(10).concurrency(4), 14);
    let processor = kit::build(builder, &host);
    for n in 1..=14 {
        let delayed = processor.task(instant(0)).options(Options::default().delay(LATER)).post();
        assert!(delayed.is_ok(), "delayed task {n}: {delayed:?}");
    }
    for n in 1..=14 {
        let now = processor.task(hanging(())).post();
        assert!(now.is_ok(), "task {n} of 14 of an idle processor with 14 delayed ones: {now:?}");
    }
    assert!(processor.task(instant(0)).post().is_err(), "four run and ten wait");
}

fn tasks_in_backoff_leave_room_for_tasks_for_now(host: impl Host) {
    let retry = Retry::NONE.attempts(2).base(LATER).cap(LATER);
    let builder = kit::delayed(Processor::builder().queue(10).concurrency(4).retry(retry), 14);
    let handler =
        |fails: bool, _: Context| async move { if fails { Err::<(), _>(()) } else { pending().await } };
    let processor = builder.spawn_on(host.runtime(), handler).unwrap();
    for _ in 0..14 {
        processor.task(true).post().unwrap();
    }
    eventually("14 are in backoff", || processor.census().backoff == 14);
    for n in 1..=14 {
        let now = processor.task(false).post();
        assert!(now.is_ok(), "task {n} of 14 of an idle processor with 14 in backoff: {now:?}");
    }
}

/// The delays of five retries on a processor that was told no seed.
fn delays(host: &impl Host) -> Vec<Duration> {
    let retry = Retry::NONE.attempts(6).base(ms(10)).cap(ms(10));
    let handler = |_: (), _: Context| async { Err::<(), _>(()) };
    let processor = Processor::builder().retry(retry).spawn_on(host.runtime(), handler).unwrap();
    let mut events = processor.subscribe().unwrap();
    assert_eq!(block_on(processor.submit(()).unwrap()), Err(TaskError::Failed(())));
    let mut delays = Vec::new();
    while let Some(Some(notice)) = events.try_next() {
        if let Notice::Event(Event::Retrying { delay, .. }) = notice {
            delays.push(delay);
        }
    }
    assert_eq!(delays.len(), 5);
    delays
}

fn each_processor_draws_its_own_jitter(host: impl Host) {
    assert_ne!(delays(&host), delays(&host), "two processors that were told no seed draw the same delays");
}

/// A key that notes what it is hashed to.
#[derive(Clone, Default)]
struct Key(Arc<Mutex<Option<u64>>>);

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(42);
        *self.0.lock().unwrap() = Some(state.finish());
    }
}

impl PartialEq for Key {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Key {}

fn hash(host: &impl Host) -> u64 {
    let cache = Cache::<Key, u32>::new(CacheLimits { entries: 10, ..CacheLimits::default() }).unwrap();
    let handler = |_: (), _: Context| async { Ok::<_, String>(()) };
    let builder = Processor::builder().cache(&cache);
    let _processor = builder.spawn_on(host.runtime(), handler).unwrap();
    let key = Key::default();
    assert!(cache.insert(key.clone(), 1) && cache.get(&key).is_some());
    let hash = *key.0.lock().unwrap();
    hash.unwrap()
}

fn each_cache_hashes_in_its_own_way(host: impl Host) {
    assert_ne!(hash(&host), hash(&host), "strangers can choose keys that collide");
}

fn an_id_of_another_processor_is_nobodys(host: impl Host) {
    let build = || kit::build(Processor::builder().concurrency(2).results(4, None), &host);
    let (mine, other) = (build(), build());
    let ids: Vec<_> = (0..4).map(|_| other.task(hanging(())).post().unwrap()).collect();
    for _ in 0..4 {
        mine.task(hanging(())).post().unwrap();
    }
    for id in &ids {
        assert_eq!(mine.cancel(*id), Err(CancelError::NotFound), "an id of another processor");
    }
    assert_eq!(mine.totals().settled.total(), 0);
    assert!(ids.iter().all(|id| other.cancel(*id).is_ok()));
    // A retained result is taken by its own id only.
    let (mine, other) = (build(), build());
    let id = other.task(instant(1)).retain().unwrap();
    mine.task(instant(2)).retain().unwrap();
    eventually("both are done", || mine.census().results + other.census().results == 2);
    assert_eq!(mine.result(id), None, "an id of another processor");
    assert_eq!(other.result(id), Some(Ok(1)));
}

/// Limits for which there is no memory are an error. Each is tried in a process of its own, for it must not abort that.
mod limits_beyond_the_memory {
    use super::*;
    use std::process::Command;

    const VARIANT: &str = "PLIMSOLL_TEST_LIMITS";
    const MIB: usize = 1 << 20;

    type Large = [u8; MIB];

    /// Runs `refuses_in_a_child` in a process that may have a gigabyte of addresses.
    fn assert_refused(variant: &str) {
        let this = std::env::current_exe().unwrap();
        let test = "small::limits_beyond_the_memory::refuses_in_a_child";
        let mut child = if cfg!(target_os = "linux") {
            let mut shell = Command::new("sh");
            shell.args(["-c", "ulimit -v 1000000; exec \"$@\"", "sh"]).arg(this);
            shell
        } else {
            Command::new(this)
        };
        let output = child.args([test, "--exact"]).env(VARIANT, variant).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{variant}: the process ended with {}: {text}", output.status);
        assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"), "it was run");
    }

    /// Does nothing unless it is told what to refuse.
    #[test]
    fn refuses_in_a_child() {
        let Ok(variant) = std::env::var(VARIANT) else { return };
        // Jobs of a megabyte want a stack for them.
        let thread = std::thread::Builder::new().stack_size(64 * MIB);
        let is_refused = thread.spawn(move || is_refused(&variant)).unwrap().join().unwrap();
        assert!(is_refused, "limits beyond the memory were accepted");
    }

    fn is_refused(variant: &str) -> bool {
        let builder = Processor::builder().queue(8).concurrency(1).unclaimed(8);
        let thread = plimsoll::Thread::start().unwrap();
        let small = |_: u64, _: Context| async { Ok::<_, String>(()) };
        let large = |_: Box<Large>, _: Context| async {
            let held = [0; MIB];
            kit::yield_now().await;
            Ok::<u8, String>(held[0])
        };
        match variant {
            "queue" => builder.queue(1 << 27).spawn_on(thread, small).is_err(),
            "unclaimed" => builder.unclaimed(1 << 27).spawn_on(thread, small).is_err(),
            "results" => builder.results(1 << 27, None).spawn_on(thread, small).is_err(),
            "sleeps" => builder.sleeps(1 << 28).spawn_on(thread, small).is_err(),
            "waiters" => builder.waiters(1 << 28).spawn_on(thread, small).is_err(),
            "events" => builder.events(1 << 28).spawn_on(thread, small).is_err(),
            "places" => builder.concurrency(1 << 16).spawn_on(thread, large).is_err(),
            "cache" => {
                let limits = CacheLimits { entries: 1 << 28, ..CacheLimits::default() };
                Cache::<u64, u64>::new(limits).is_err()
            }
            // More than there are addresses, and more than can be counted in bytes.
            "addresses" => {
                let handler = |_: Large, _: Context| async { Ok::<_, String>(()) };
                builder.queue(1 << 27).spawn_on(thread, handler).is_err()
            }
            unknown => panic!("no such variant: {unknown}"),
        }
    }

    macro_rules! refused {
        ($($variant:ident)*) => {$(
            #[test]
            fn $variant() {
                kit::within(kit::WATCHDOG, || assert_refused(stringify!($variant)));
            }
        )*};
    }
    refused! { queue unclaimed results sleeps waiters events places cache addresses }
}

fn a_handler_may_take_the_job_alone(host: impl Host) {
    let processor = Processor::builder()
        .spawn_on(host.runtime(), |n: u32| async move { Ok::<_, String>(n + 1) })
        .unwrap();
    assert_eq!(block_on(processor.submit(1).unwrap()), Ok(2));
}

fn delayed_tasks_have_a_limit_of_their_own(host: impl Host) {
    let processor = kit::build(Processor::builder().queue(1).concurrency(1).delayed(3), &host);
    let delayed = || processor.task(instant(0)).options(Options::default().delay(LATER)).post();
    let admitted = (0..5).filter(|_| delayed().is_ok()).count();
    assert_eq!(admitted, 3);
    assert!((0..2).all(|_| processor.task(hanging(())).post().is_ok()));
    assert!(processor.task(instant(0)).post().is_err() && delayed().is_err());
}
