//! One run of one contender in a process of its own: what it costs.

use std::alloc::{GlobalAlloc, Layout, System};
use std::fs;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};

use crate::batches::Batches;
use crate::contenders::{BatchContender, Contender};
use crate::drive::{Drive, Submitter};
use crate::host::Host;
use crate::latency::Pacing;
use crate::work::{Body, Gauge, Limits, Workload};

/// What a child process is asked to do.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    pub workload: Workload,
    /// How many tasks are one pass; how many seconds, where the rate is fixed.
    pub size: u64,
    /// Passes are made until they took so long together.
    pub at_least: Duration,
    /// Nothing but the passes: no warm-up, no counting. For instruction counts.
    pub bare: bool,
}

/// What a child process has found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    pub tasks: u64,
    pub wall_ns: u64,
    pub cpu_ns: u64,
    /// How many tasks the allocations were counted over.
    pub counted: u64,
    pub allocations: u64,
    pub bytes: u64,
    pub peak_kib: u64,
    /// Resident memory in KiB at a sixth of the soak, and at its end.
    pub resident: [u64; 2],
    /// p50, p99, p99.9 and the longest, in nanoseconds.
    pub latency: [u64; 4],
}

impl Sample {
    /// One line, which [`parse`](Self::parse) reads back.
    pub fn line(&self) -> String {
        let numbers: Vec<String> = self.numbers().iter().map(u64::to_string).collect();
        format!("sample {}", numbers.join(" "))
    }

    fn numbers(&self) -> [u64; 13] {
        let ([r0, r1], [l0, l1, l2, l3]) = (self.resident, self.latency);
        let Self { tasks, wall_ns, cpu_ns, counted, allocations, bytes, peak_kib, .. } = *self;
        [tasks, wall_ns, cpu_ns, counted, allocations, bytes, peak_kib, r0, r1, l0, l1, l2, l3]
    }

    pub fn parse(line: &str) -> Option<Self> {
        let numbers = line.strip_prefix("sample ")?.split(' ').map(|n| n.parse().ok());
        let numbers: Vec<u64> = numbers.collect::<Option<_>>()?;
        let [tasks, wall_ns, cpu_ns, counted, allocations, bytes, peak_kib, r0, r1, l0, l1, l2, l3] =
            numbers.try_into().ok()?;
        let (resident, latency) = ([r0, r1], [l0, l1, l2, l3]);
        Some(Self { tasks, wall_ns, cpu_ns, counted, allocations, bytes, peak_kib, resident, latency })
    }
}

/// Runs a contender on a runtime.
pub fn run<H: Host, C: Contender<H>, B: Body>(order: Order) -> Sample {
    H::run(order.workload.limits().threads, handles::<H, C, B>(order))
}

/// Runs a contender by its batches, where the rate is not fixed.
pub fn run_batches<H: Host, C: BatchContender<H>, B: Body>(order: Order) -> Sample {
    H::run(order.workload.limits().threads, batches::<H, C, B>(order))
}

async fn handles<H: Host, C: Contender<H>, B: Body>(order: Order) -> Sample {
    let limits = order.workload.limits();
    let peer = C::start::<B>(limits).await;
    let mut submitters = copies(limits, || Submitter::new(peer.clone(), limits));
    let mut sample = match (order.workload.rate(), submitters.pop()) {
        (Some(rate), Some(submitter)) => {
            let pacing = Pacing { rate, seconds: order.size };
            match order.workload {
                Workload::Soak => pacing.soak::<H, _, B>(submitter).await,
                _ => pacing.latency::<_, B>(submitter).await,
            }
        }
        (_, last) => {
            submitters.extend(last);
            passes::<H, _, B>(limits, order, submitters).await
        }
    };
    sample.peak_kib = peak_kib();
    sample
}

async fn batches<H: Host, C: BatchContender<H>, B: Body>(order: Order) -> Sample {
    let limits = order.workload.limits();
    let peer = C::start::<B>(limits).await;
    let submitters = copies(limits, || Batches::new(peer.clone(), limits));
    let mut sample = passes::<H, _, B>(limits, order, submitters).await;
    sample.peak_kib = peak_kib();
    sample
}

fn copies<D: Drive>(limits: Limits, copy: impl Fn() -> D) -> Vec<D> {
    (0..limits.submitters).map(|_| copy()).collect()
}

/// Warms up, takes the time of passes, then counts allocations and checks the limits in one more.
async fn passes<H: Host, D: Drive, B: Body>(limits: Limits, order: Order, mut submitters: Vec<D>) -> Sample {
    let mut sample = Sample::default();
    let extra = (2 * limits.window()) as u64;
    if !order.bare {
        submitters = pass::<H, D>(submitters, extra, false).await;
        check::<D, B>(&mut submitters, extra);
    }
    loop {
        let (wall, cpu) = (Instant::now(), cpu_ns());
        submitters = pass::<H, D>(submitters, order.size, false).await;
        sample.cpu_ns += cpu_ns() - cpu;
        sample.wall_ns += wall.elapsed().as_nanos() as u64;
        sample.tasks += order.size;
        check::<D, B>(&mut submitters, order.size);
        if sample.wall_ns >= order.at_least.as_nanos() as u64 {
            break;
        }
    }
    check_duration::<B>(limits, order.size, &sample);
    if !order.bare {
        Gauge::switch(true);
        submitters = pass::<H, D>(submitters, extra, true).await;
        Gauge::switch(false);
        sample.counted = extra;
        (sample.allocations, sample.bytes) = Counting::take();
        check::<D, B>(&mut submitters, extra);
    }
    sample
}

/// Has so many tasks done, shared out evenly between the submitters.
async fn pass<H: Host, D: Drive>(mut submitters: Vec<D>, tasks: u64, watched: bool) -> Vec<D> {
    Counting::switch(watched);
    if let [only] = submitters.as_mut_slice() {
        if watched { only.run_watched(0..tasks).await } else { only.run(0..tasks).await }
    } else {
        let count = submitters.len() as u64;
        let spawned: Vec<_> = (0..)
            .zip(submitters)
            .map(|(index, mut submitter)| {
                H::spawn(async move {
                    let ids = share(tasks, count, index);
                    if watched {
                        submitter.run_watched(ids).await
                    } else {
                        submitter.run(ids).await
                    }
                    submitter
                })
            })
            .collect();
        submitters = Vec::with_capacity(spawned.len());
        for submitter in spawned {
            submitters.push(submitter.await);
        }
    }
    Counting::switch(false);
    submitters
}

fn check<D: Drive, B: Body>(submitters: &mut [D], tasks: u64) {
    let count = submitters.len() as u64;
    for (index, submitter) in (0..).zip(submitters) {
        submitter.check::<B>(share(tasks, count, index));
    }
}

fn share(tasks: u64, count: u64, index: u64) -> Range<u64> {
    tasks * index / count..tasks * (index + 1) / count
}

/// Tasks that hold their places for a while can't all be done earlier than the places allow.
fn check_duration<B: Body>(limits: Limits, tasks: u64, sample: &Sample) {
    let held: Duration = (0..tasks).map(B::holds).sum();
    let passes = sample.tasks / tasks.max(1);
    let least = held.as_nanos() as u64 / limits.concurrency as u64 * passes;
    assert!(
        sample.wall_ns >= least,
        "{} ns is too fast: sleeps and time-outs take {least} ns",
        sample.wall_ns
    );
}

/// The time that all threads of this process have computed.
pub fn cpu_ns() -> u64 {
    let time = clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).expect("a clock that Linux has");
    time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64
}

fn peak_kib() -> u64 {
    field(&fs::read_to_string("/proc/self/status").unwrap_or_default(), "VmHWM:")
}

/// The resident memory now, exact to the page (`statm` is not).
pub fn resident_kib() -> u64 {
    field(&fs::read_to_string("/proc/self/smaps_rollup").unwrap_or_default(), "Rss:")
}

fn field(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse().unwrap_or_default()
}

/// The system's allocator, counting what is asked of it while it is switched on.
pub struct Counting;

static COUNTING: AtomicBool = AtomicBool::new(false);
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);

impl Counting {
    fn switch(on: bool) {
        COUNTING.store(on, Relaxed);
    }

    fn take() -> (u64, u64) {
        (ALLOCATIONS.swap(0, Relaxed), BYTES.swap(0, Relaxed))
    }

    fn count(size: usize) {
        if COUNTING.load(Relaxed) {
            ALLOCATIONS.fetch_add(1, Relaxed);
            BYTES.fetch_add(size as u64, Relaxed);
        }
    }
}

// SAFETY: everything is left to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::count(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        Self::count(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        Self::count(size);
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
}
