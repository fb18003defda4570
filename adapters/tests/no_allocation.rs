//! In steady state a task costs no allocation, and a processor asks for exactly the bytes it said it would. Counted by
//! an allocator for the whole process, so all of it is one test: the test harness allocates for each further one.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicIsize, AtomicUsize, Ordering::SeqCst};
use std::task::{self, Poll};
use std::time::Duration;

use futures::StreamExt;
use futures::executor::block_on;
use plimsoll::{
    Access, AnyWork, Cache, CacheLimits, CompletionQueue, Context, Drain, Events, Handle, Instant, Local,
    LocalRuntime, Options, Processor, Progress, Retry, Runtime, Sharing, TaskError, Timeouts, Timer,
};

struct Counting;

/// How often the allocator was asked for bytes.
static ASKED: AtomicUsize = AtomicUsize::new(0);
static LIVE: AtomicIsize = AtomicIsize::new(0);
/// Of those asked, how many were of the size of a block of smol's queue.
static BLOCKS: AtomicUsize = AtomicUsize::new(0);

std::thread_local! {
    /// As `LIVE`, of what this thread asked for and gave back: threads of earlier parts may end at any time.
    static OWN: Cell<isize> = const { Cell::new(0) };
}

fn count(size: usize) {
    ASKED.fetch_add(1, SeqCst);
    if matches!(size, SMOL_BLOCK | SMOL_LEAF) {
        BLOCKS.fetch_add(1, SeqCst);
    }
    add(size as isize);
}

fn add(size: isize) {
    LIVE.fetch_add(size, SeqCst);
    OWN.set(OWN.get() + size);
}

// SAFETY: every call is passed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        add(-(layout.size() as isize));
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size);
        add(-(layout.size() as isize));
        // SAFETY: the caller's promise.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn memory() {
    // The harness's own thread begins to wait, and allocates for that.
    std::thread::sleep(Duration::from_millis(50));
    a_task_on_a_thread_allocates_nothing();
    a_schedule_that_is_due_allocates_nothing();
    #[cfg(feature = "tokio")]
    a_task_on_tokio_allocates_nothing();
    #[cfg(feature = "smol")]
    a_task_on_smol_allocates_nothing_but_blocks_of_its_queue();
    #[cfg(feature = "tokio")]
    a_task_that_stays_on_its_thread_allocates_nothing();
    the_footprint_is_exact();
    a_default_processor_is_small();
    a_thousand_processors_leave_nothing();
    #[cfg(feature = "metrics")]
    a_task_that_is_measured_allocates_nothing();
    #[cfg(feature = "tracing")]
    a_task_that_is_traced_allocates_nothing();
}

/// A block of 31 slots of `concurrent-queue`, in which smol's executor keeps what is to run, and a link.
const SMOL_BLOCK: usize = 31 * 16 + 8;
/// A leaf of the tree in which `async-io` keeps timers: of 11 with their wakers. The first one takes it, the last one gives it
/// back, so that a processor which comes to rest and is woken makes it take another.
const SMOL_LEAF: usize = 11 * (24 + 16) + 16;

type Numbers = fn(u64, Context) -> Result<u64, u64>;

/// Either kind of it.
trait AnyNumbers: AnyWork<Job = u64, Output = u64, Error = u64, Meta = ()> {}

impl<W: AnyWork<Job = u64, Output = u64, Error = u64, Meta = ()>> AnyNumbers for W {}

async fn number<S: Sharing>(n: u64, cx: Context<(), S>) -> Result<u64, u64> {
    // Kept in a processor with a monitor.
    let (_, _) = (cx.heartbeat(), cx.progress(Progress::new(n)));
    let mut yields = n % 3;
    std::future::poll_fn(move |cx| {
        if yields == 0 {
            return Poll::Ready(());
        }
        yields -= 1;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
    if n % 10 == 7 { Err(n) } else { Ok(n) }
}

fn builder() -> plimsoll::Builder<plimsoll::Cloning> {
    Processor::builder()
        .queue(100)
        .concurrency(20)
        .timeouts(Timeouts { start_to_close: Some(Duration::from_secs(60)), ..Timeouts::NONE })
        .retry(Retry::NONE)
}

fn numbers(runtime: impl Runtime) -> Processor<Numbers> {
    builder().spawn_on(runtime, number).unwrap()
}

/// How many tasks a round of work has at most.
#[cfg(feature = "smol")]
const TASKS_A_ROUND: usize = 100;

/// What is used again in every round of work.
struct Desk<'a, W: AnyNumbers> {
    submitter: &'a Access<W>,
    handles: Vec<Handle<W>>,
    queue: CompletionQueue<W>,
}

impl<'a, W: AnyNumbers> Desk<'a, W> {
    fn new(submitter: &'a Access<W>) -> Self {
        let queue = submitter.completion_queue(50).unwrap();
        Self { submitter, handles: Vec::with_capacity(50), queue }
    }

    /// Submits and awaits: one after the other, 50 at a time, waiting for room, by permits, and in batches.
    async fn work(&mut self, rounds: u64) {
        let Self { submitter, handles, queue } = self;
        for round in 0..rounds {
            let result = submitter.submit(round).unwrap().await;
            assert_eq!(result, if round % 10 == 7 { Err(TaskError::Failed(round)) } else { Ok(round) });
            for n in 0..50 {
                handles.push(submitter.submit_wait(n).await.unwrap());
            }
            for handle in handles.drain(..) {
                assert!(matches!(handle.await, Ok(_) | Err(TaskError::Failed(_))));
            }
            submitter.task(round).post().unwrap();
            drop(submitter.submit(round).unwrap());
            let mut permit = submitter.reserve_many(2).await.unwrap();
            let handle = permit.submit(1).unwrap();
            permit.task(2).submit_to(queue).unwrap();
            assert_eq!(handle.await, Ok(1));
            let submitted = queue.submit_many(&mut (0..40), &Options::default(), |_| ());
            assert_eq!(submitted.tasks, 40);
            while let Some(settled) = queue.next().await {
                assert!(matches!(settled.result, Ok(_) | Err(TaskError::Failed(_))));
            }
        }
    }
}

/// How many allocations `rounds` of work take once warm, and how many of them are smol's own.
/// The least of three times: a thread that was not needed so far may start in between, and allocates for that.
async fn allocations<W: AnyNumbers>(submitter: &Access<W>, rounds: u64) -> (usize, usize) {
    let (mut desk, mut least) = (Desk::new(submitter), (usize::MAX, 0));
    for _ in 0..3 {
        desk.work(20).await;
        let before = (ASKED.load(SeqCst), BLOCKS.load(SeqCst));
        desk.work(rounds).await;
        let all = ASKED.load(SeqCst) - before.0;
        let blocks = BLOCKS.load(SeqCst) - before.1;
        least = std::cmp::min_by_key(least, (all, blocks), |(all, blocks)| all - blocks);
    }
    least
}

fn a_task_on_a_thread_allocates_nothing() {
    let processor = numbers(plimsoll::Thread::start().unwrap());
    assert_eq!(block_on(allocations(&processor, 200)).0, 0);
}

fn a_schedule_that_is_due_allocates_nothing() {
    let processor = numbers(plimsoll::Thread::start().unwrap());
    let handle = processor.every(Duration::from_millis(1), |due| due.missed).unwrap();
    let submitted = |count| {
        while handle.stats().unwrap().submitted < count {
            std::thread::sleep(Duration::from_millis(1));
        }
    };
    submitted(20);
    let before = ASKED.load(SeqCst);
    submitted(120);
    assert_eq!(ASKED.load(SeqCst), before);
}

#[cfg(feature = "tokio")]
fn a_task_on_tokio_allocates_nothing() {
    for mut builder in
        [tokio::runtime::Builder::new_current_thread(), tokio::runtime::Builder::new_multi_thread()]
    {
        let runtime = builder.worker_threads(2).enable_time().build().unwrap();
        let processor = numbers(plimsoll::Tokio::on(runtime.handle().clone()));
        assert_eq!(runtime.block_on(allocations(&processor, 200)).0, 0);
    }
}

#[cfg(feature = "smol")]
fn a_task_on_smol_allocates_nothing_but_blocks_of_its_queue() {
    let executor = std::sync::Arc::new(smol::Executor::new());
    let processor = numbers(plimsoll::Smol::on(executor.clone()));
    // The thread of the timers is started by their first use, and allocates.
    smol::block_on(smol::Timer::after(Duration::from_millis(20)));
    let (all, blocks) = smol::block_on(executor.run(allocations(&processor, 200)));
    // One of 31 wake-ups makes the executor's queue take a new block and give an old one back. At most twice a round
    // everything comes to rest.
    assert_eq!(all, blocks);
    assert!(blocks <= 200 * (TASKS_A_ROUND / 31 + 2), "{blocks}");
}

#[cfg(feature = "tokio")]
fn a_task_that_stays_on_its_thread_allocates_nothing() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let all = tokio::task::LocalSet::new().block_on(&runtime, async {
        let builder = builder().heartbeat(Duration::from_secs(60)).slow_after(Duration::from_secs(60));
        let processor = builder.spawn_local_on(plimsoll::TokioLocal::current(), number).unwrap();
        allocations(&*processor, 200).await.0
    });
    assert_eq!(all, 0);
}

/// With a recorder that does nothing.
#[cfg(feature = "metrics")]
fn a_task_that_is_measured_allocates_nothing() {
    let processor = builder().metrics().spawn_on(plimsoll::Thread::start().unwrap(), number).unwrap();
    assert_eq!(block_on(allocations(&processor, 200)).0, 0);
}

/// With a subscriber that keeps nothing, from within a span of it. For good: what comes after this is traced too.
#[cfg(feature = "tracing")]
fn a_task_that_is_traced_allocates_nothing() {
    tracing::subscriber::set_global_default(silent::Silent::default()).unwrap();
    let span = tracing::info_span!("submitter");
    let processor = numbers(plimsoll::Thread::start().unwrap());
    assert_eq!(span.in_scope(|| block_on(allocations(&processor, 200))).0, 0);
    assert!(silent::spans() > 1_000);
}

#[cfg(feature = "tracing")]
mod silent {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Metadata, Subscriber};
    use tracing_core::span::Current;

    /// Has every call in the same span.
    #[derive(Default)]
    pub(super) struct Silent(OnceLock<&'static Metadata<'static>>);

    static SPANS: AtomicU32 = AtomicU32::new(0);

    pub(super) fn spans() -> u32 {
        SPANS.load(SeqCst)
    }

    impl Subscriber for Silent {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }

        fn new_span(&self, attributes: &Attributes<'_>) -> Id {
            SPANS.fetch_add(1, SeqCst);
            self.0.get_or_init(|| attributes.metadata());
            Id::from_u64(1)
        }

        fn record(&self, _: &Id, _: &Record<'_>) {}

        fn record_follows_from(&self, _: &Id, _: &Id) {}

        fn event(&self, _: &Event<'_>) {}

        fn enter(&self, _: &Id) {}

        fn exit(&self, _: &Id) {}

        fn current_span(&self) -> Current {
            self.0.get().map_or_else(Current::none, |metadata| Current::new(Id::from_u64(1), metadata))
        }
    }
}

/// A runtime that allocates nothing, and drops what it is to run.
struct Never;

struct NeverTimer([u64; 3]);

impl Runtime for Never {
    type Timer = NeverTimer;

    fn clock(&self) -> impl Fn() -> Instant + Send + Sync + 'static {
        let start = Instant::ZERO;
        move || start
    }

    fn timer(&self) -> NeverTimer {
        NeverTimer([0; 3])
    }

    fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        std::mem::forget(future);
    }
}

impl LocalRuntime for Never {
    type Timer = NeverTimer;

    fn clock(&self) -> impl Fn() -> Instant + Send + Sync + 'static {
        Runtime::clock(self)
    }

    fn timer(&self) -> NeverTimer {
        NeverTimer([0; 3])
    }

    fn spawn(&self, future: impl Future<Output = ()> + 'static) {
        std::mem::forget(future);
    }
}

impl Timer for NeverTimer {
    fn reset(mut self: Pin<&mut Self>, at: Instant) {
        self.0 = [at.as_nanos(); 3];
    }

    fn poll(self: Pin<&mut Self>, _: &mut task::Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}

fn the_footprint_is_exact() {
    for (queue, concurrency, per_worker, grace, cached) in
        [(1_024, 64, 16, 0, 0), (1, 1, 1, 0, 1), (0, 100, 7, 1, 100), (10, 65, 64, 1, 1_000)]
    {
        for is_local in [false, true] {
            let before = OWN.get();
            let mut cache = CacheLimits::new(cached);
            cache.weight = (cached > 1).then_some(1_000);
            cache.time_to_idle = (cached > 100).then_some(Duration::from_secs(1));
            let captured = [7u64; 5];
            let builder = Processor::builder()
                .queue(queue)
                .concurrency(concurrency)
                .prefetch(per_worker)
                .monitor(queue == 0)
                .cancel_grace(Duration::from_millis(grace));
            let builder = if cached > 0 {
                builder.cache(&Cache::<String, String>::new(cache).unwrap())
            } else {
                builder
            };
            let promised = if is_local {
                let handler = move |job: String, _: Context<u32, Local>| odd(job, captured);
                let footprint = builder.local_footprint(&Never, &handler);
                let processor = builder.spawn_local_on(Never, handler).unwrap();
                (footprint, Box::new(processor) as Box<dyn std::any::Any>)
            } else {
                let handler = move |job: String, _: Context<u32>| odd(job, captured);
                let footprint = builder.footprint(&Never, &handler);
                let processor = builder.spawn_on(Never, handler).unwrap();
                (footprint, Box::new(processor) as Box<dyn std::any::Any>)
            };
            let (footprint, processor) = promised;
            // The box of the processor itself.
            let asked = (OWN.get() - before) as usize - size_of_val(&*processor);
            if cfg!(target_arch = "x86_64") {
                assert_eq!(asked, footprint.total(), "{footprint:?}");
            } else {
                assert!(asked <= footprint.total(), "{footprint:?}");
            }
        }
    }
}

async fn odd(job: String, kept: [u64; 5]) -> Result<[u64; 5], String> {
    futures::pending!();
    if kept.len() < job.len() { Err(job) } else { Ok(kept) }
}

fn a_default_processor_is_small() {
    let builder = Processor::builder();
    let handler = number::<plimsoll::AnyThread>;
    let footprint = builder.footprint(&plimsoll::Thread::start().unwrap(), &handler);
    // A span's handle with each task.
    let most = if cfg!(feature = "tracing") { 768 } else { 576 };
    assert!(footprint.total() < most * 1_024, "{footprint:?}");
}

fn a_thousand_processors_leave_nothing() {
    let thread = plimsoll::Thread::start().unwrap();
    let events = Events::new();
    let cycle = |n: u64| {
        let cache = Cache::<u64, String>::new(CacheLimits { entries: 4, ..CacheLimits::default() }).unwrap();
        let processor = Processor::builder()
            .queue(10)
            .concurrency(4)
            .health_every(Duration::from_millis(1))
            .sweep_every(Duration::from_millis(1))
            .cache(&cache)
            .spawn_on(thread.clone(), |n: u64, _: Context| async move {
                if n % 2 == 0 {
                    std::future::pending::<()>().await
                }
                Ok::<u64, ()>(n)
            })
            .unwrap();
        processor.attach(&events).unwrap();
        cache.insert(n, "cached".to_owned());
        let subscription = processor.subscribe().unwrap();
        let handles = [processor.submit(n).unwrap(), processor.submit(n + 1).unwrap()];
        let text = format!("captured {n}");
        assert!(processor.task(n).call(move |_| drop(text)).is_ok());
        events.emit_task(n).unwrap();
        if n % 3 == 0 {
            let report = block_on(processor.shutdown(Drain::graceful(Duration::from_millis(1))));
            assert!(report.census.is_empty());
        } else {
            drop(processor);
        }
        drop((subscription, handles));
        assert_eq!(events.listener_counts(), [0, 0, 0]);
    };
    let settled = || {
        // The thread drops the last workers at its own pace.
        std::thread::sleep(Duration::from_millis(20));
        LIVE.load(SeqCst)
    };
    (0..50).for_each(cycle);
    // Buffers of the thread and of the harness come and go by a few bytes; what leaks grows each time.
    let grows = || {
        let before = settled();
        (0..1_000).for_each(cycle);
        settled() > before
    };
    assert!((0..3).any(|_| !grows()), "live bytes grow with every thousand processors");
}
