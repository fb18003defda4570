//! Twenty seconds of real time at 2,000 tasks a second, on smol and on tokio at once: after the warm-up the
//! process holds no more bytes than before, each time that the processors are at rest.

use std::future::pending;
use std::panic::resume_unwind;
use std::thread::sleep;
use std::time::{Duration, Instant};

use futures::executor::block_on;
use plimsoll::{
    Cache, CacheLimits, Context, Events, Handle, Limits, Processor, ResultLimits, Runtime, Smol, TaskError,
    TaskId, Tokio,
};
use plimsoll_tests::alloc::Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting::new();

const A_SECOND: u32 = 2_000;
const SECONDS: u32 = 20;
const WARM_UP: u32 = 5;
/// What the runtimes' own queues may take more or less of at rest. A byte a task would be seven times as much.
const SLACK: usize = 4_096;
/// Nothing depends on it: what is going to happen is seen at once.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn live_bytes_do_not_grow() {
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
    let mut loads = [Load::on(Smol::global()), Load::on(Tokio::on(tokio.handle().clone()))];
    let (start, mut settled_down) = (Instant::now(), 0);
    for second in 1..=SECONDS {
        for number in 0..A_SECOND {
            let due = Duration::from_secs(u64::from(second - 1)) + Duration::from_secs(1) * number / A_SECOND;
            if start.elapsed() < due {
                loads.iter_mut().for_each(Load::collect);
                sleep(due.saturating_sub(start.elapsed()).max(Duration::from_millis(1)));
            }
            loads.iter_mut().for_each(|load| load.submit(number));
        }
        loads.iter_mut().for_each(Load::rest);
        if second == WARM_UP {
            settled_down = ALLOCATOR.live();
        }
        let live = || ALLOCATOR.live();
        let allowed = if second <= WARM_UP { usize::MAX } else { settled_down + SLACK };
        wait_for(
            || live() <= allowed,
            || format!("second {second}: {} bytes, {settled_down} at first", live()),
        );
        println!("second {second:>2}: {:>9} bytes live", live());
    }
    println!("{} tasks a second on average", f64::from(A_SECOND * SECONDS) / start.elapsed().as_secs_f64());
    for load in loads {
        load.end();
    }
}

/// A processor with something of everything to do.
struct Load {
    processor: Processor<Service>,
    cache: Cache<u32, Vec<u8>>,
    handles: Vec<Handle<Service>>,
    retained: Vec<TaskId>,
    emitter: Events<Work>,
}

/// What the processor does.
type Service = fn(Work, Context) -> Result<u64, &'static str>;

/// What a job does.
#[derive(Clone, Copy)]
enum Work {
    Complete,
    Fail,
    Panic,
    Hang,
}

impl Load {
    fn on(runtime: impl Runtime) -> Self {
        let mut limits = Limits::default();
        limits.results = ResultLimits::new(16, Some(Duration::from_secs(1)));
        limits.health_every = Some(Duration::from_millis(100));
        limits.sweep_every = Some(Duration::from_millis(100));
        let ttl = Some(Duration::from_millis(500));
        let cache = Cache::new(CacheLimits { entries: 64, ttl, ..CacheLimits::default() }).unwrap();
        let processor = Processor::builder()
            .limits(limits)
            .timeout(Duration::from_millis(20))
            .cache(&cache)
            .spawn_on(runtime, |work: Work, _: Context| async move {
                match work {
                    Work::Complete => Ok(1),
                    Work::Fail => Err("failed"),
                    // Without the panic hook's message.
                    Work::Panic => resume_unwind(Box::new("thrown")),
                    Work::Hang => pending().await,
                }
            })
            .unwrap();
        let (handles, retained) = (Vec::with_capacity(1_000), Vec::with_capacity(1_000));
        Self { processor, cache, handles, retained, emitter: Events::default() }
    }

    /// One task, and now and then something else. What is refused is submitted again after a rest.
    fn submit(&mut self, number: u32) {
        let work = match number % 20 {
            3 => Work::Fail,
            7 => Work::Panic,
            11 | 12 => Work::Hang,
            _ => Work::Complete,
        };
        let task = self.processor.task(work);
        let admitted = match number % 5 {
            0 => task.call(|_| {}).is_ok(),
            1 => task.post().is_ok(),
            2 => {
                // Too late for some: those have settled.
                task.post().is_ok_and(|task| self.processor.cancel(task).map_or(true, |_| true))
            }
            3 => task.retain().map(|task| self.retained.push(task)).is_ok(),
            _ => self.processor.submit(work).map(|handle| self.handles.push(handle)).is_ok(),
        };
        if !admitted {
            self.rest();
            return self.submit(number);
        }
        if number % 100 == 0 {
            let _watching = self.processor.subscribe().unwrap();
            let emitter = self.processor.attach(&self.emitter).unwrap();
            // What a full queue refuses comes back, and is dropped.
            let _ = self.emitter.emit_task(Work::Complete);
            let _ = self.emitter.emit_batch(vec![Work::Complete, Work::Fail]);
            self.emitter.emit_error("failed");
            assert_eq!(emitter.detach().map(|fed| (fed.admitted + fed.refused, fed.errors)), Some((3, 1)));
            self.cache.insert(number, vec![0; number as usize / 100]);
        }
    }

    /// Takes the outcomes there are to be taken.
    fn collect(&mut self) {
        for handle in self.handles.drain(..) {
            assert!(!matches!(block_on(handle), Err(TaskError::Cancelled(_) | TaskError::Ended)));
        }
        self.retained.drain(..).for_each(|task| _ = self.processor.result(task));
    }

    /// Waits until there is nothing to do any more.
    fn rest(&mut self) {
        self.collect();
        let unsettled = || {
            let census = self.processor.census();
            census.unsettled()
                + u64::from(census.orphans + census.pending + census.callbacks + census.handles)
        };
        wait_for(|| unsettled() == 0, || format!("not at rest: {:?}", self.processor.census()));
    }

    fn end(self) {
        let Self { processor, cache, emitter, .. } = self;
        let totals = processor.totals();
        println!("{totals:?}");
        assert!(totals.admitted >= u64::from(A_SECOND * SECONDS));
        let submitter = processor.submitter();
        drop(processor);
        assert!(submitter.census().is_empty(), "{:?}", submitter.census());
        assert!(cache.is_empty(), "{cache:?}");
        assert_eq!(emitter.listener_counts(), [0; 3]);
    }
}

fn wait_for(holds: impl Fn() -> bool, otherwise: impl Fn() -> String) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "{}", otherwise());
        sleep(Duration::from_millis(1));
    }
}
