//! What the tasks do: the job bodies of W1 to W7, and what has to come out of each.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use crate::host::Host;

/// One line of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Workload {
    /// Ready at the first poll.
    Ready,
    /// Wakes itself and yields three times.
    Yield,
    /// Sleeps 1 to 10 ms.
    Sleep,
    /// Never ends: each comes back timed out after 5 to 50 ms.
    TimeOut,
    /// One in ten fails, one in a thousand panics.
    Faults,
    /// `Ready` on two threads, from four submitters.
    Threads,
    /// `Yield` at a fixed rate for a long time.
    Soak,
    /// `Ready` at 200,000 a second, for the latency.
    Latency,
    /// `Ready` at 2,000,000 a second, for the latency.
    LatencyHigh,
}

use Workload::{Faults, Latency, LatencyHigh, Ready, Sleep, Soak, Threads, TimeOut, Yield};

impl Workload {
    pub const ALL: [Self; 9] = [Ready, Yield, Sleep, TimeOut, Faults, Threads, Soak, Latency, LatencyHigh];

    pub const fn name(self) -> &'static str {
        match self {
            Ready => "W1",
            Yield => "W2",
            Sleep => "W3",
            TimeOut => "W4",
            Faults => "W5",
            Threads => "W6",
            Soak => "W7",
            Latency => "W1@200k",
            LatencyHigh => "W1@2M",
        }
    }

    pub const fn about(self) -> &'static str {
        match self {
            Ready => "ready at first poll",
            Yield => "wakes itself and yields 3 times",
            Sleep => "sleeps 1 to 10 ms",
            TimeOut => "never ends, times out after 5 to 50 ms",
            Faults => "10 % errors, 0.1 % panics",
            Threads => "W1 on two threads, from four submitters",
            Soak => "W2 at 100,000 tasks/s",
            Latency => "W1 at 200,000 tasks/s",
            LatencyHigh => "W1 at 2,000,000 tasks/s",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|workload| workload.name().eq_ignore_ascii_case(name))
    }

    /// How many tasks a whole run has. Fast contenders repeat it until the run is long enough.
    pub const fn tasks(self) -> u64 {
        match self {
            Ready | Threads => 2_000_000,
            Yield | Faults => 500_000,
            Sleep | TimeOut => 200_000,
            Soak | Latency | LatencyHigh => 0,
        }
    }

    /// Tasks a second where the rate is fixed.
    pub const fn rate(self) -> Option<u64> {
        match self {
            Soak => Some(100_000),
            Latency => Some(200_000),
            LatencyHigh => Some(2_000_000),
            _ => None,
        }
    }

    pub const fn limits(self) -> Limits {
        let concurrency = match self {
            Sleep | TimeOut => 10_000,
            _ => 256,
        };
        let (threads, submitters) = if matches!(self, Threads) { (2, 4) } else { (1, 1) };
        Limits { queue: 10_000, concurrency, threads, submitters }
    }
}

/// What every contender has to keep to.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The most tasks that wait. The submitter of one more waits too.
    pub queue: usize,
    /// The most tasks that run, over all threads.
    pub concurrency: usize,
    pub threads: usize,
    pub submitters: usize,
}

impl Limits {
    /// The most handles that are outstanding, over all submitters: enough that the bound of the queue is felt.
    pub const fn window(self) -> usize {
        self.queue + self.concurrency + 256
    }
}

/// The time-out where it is not what is measured.
pub const LONG: Duration = Duration::from_secs(30);

/// How a task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Completed(u64),
    Failed(u64),
    TimedOut,
    Panicked,
}

impl From<Result<u64, u64>> for Outcome {
    fn from(result: Result<u64, u64>) -> Self {
        match result {
            Ok(output) => Self::Completed(output),
            Err(error) => Self::Failed(error),
        }
    }
}

/// A job: what is done for an id.
pub trait Body: Send + Sync + 'static {
    /// Whether tasks have time-outs of their own.
    const OWN_LIMIT: bool = false;

    fn run(id: u64) -> impl Future<Output = Result<u64, u64>> + Send + 'static;

    /// How long it may run, counted from its start.
    fn limit(_id: u64) -> Duration {
        LONG
    }

    /// What the handle must say.
    fn expected(id: u64) -> Outcome {
        Outcome::Completed(output(id))
    }

    /// How long it holds its place at least, for a check on the concurrency limit.
    fn holds(_id: u64) -> Duration {
        Duration::ZERO
    }
}

/// Every output differs, so that one that comes from the wrong handle is seen.
pub const fn output(id: u64) -> u64 {
    id.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5555
}

pub struct ReadyBody;

impl Body for ReadyBody {
    async fn run(id: u64) -> Result<u64, u64> {
        let _gauge = Gauge::enter();
        Ok(output(id))
    }
}

pub struct YieldBody;

impl Body for YieldBody {
    async fn run(id: u64) -> Result<u64, u64> {
        let _gauge = Gauge::enter();
        Yields(3).await;
        Ok(output(id))
    }
}

pub struct SleepBody<H>(PhantomData<H>);

/// 1 to 10 ms.
pub const fn nap(id: u64) -> Duration {
    Duration::from_millis(1 + id % 10)
}

impl<H: Host> Body for SleepBody<H> {
    async fn run(id: u64) -> Result<u64, u64> {
        let _gauge = Gauge::enter();
        H::sleep(nap(id)).await;
        Ok(output(id))
    }

    fn holds(id: u64) -> Duration {
        nap(id)
    }
}

pub struct TimeOutBody;

impl Body for TimeOutBody {
    const OWN_LIMIT: bool = true;

    async fn run(_id: u64) -> Result<u64, u64> {
        let _gauge = Gauge::enter();
        std::future::pending().await
    }

    fn limit(id: u64) -> Duration {
        Duration::from_millis(5 + (id * 7) % 46)
    }

    fn expected(_id: u64) -> Outcome {
        Outcome::TimedOut
    }

    fn holds(id: u64) -> Duration {
        Self::limit(id)
    }
}

/// What the jobs that panic say.
pub const PANIC: &str = "one in a thousand";

pub struct FaultsBody;

impl Body for FaultsBody {
    async fn run(id: u64) -> Result<u64, u64> {
        let _gauge = Gauge::enter();
        match Self::expected(id) {
            Outcome::Panicked => panic!("{PANIC}"),
            Outcome::Failed(error) => Err(error),
            _ => Ok(output(id)),
        }
    }

    fn expected(id: u64) -> Outcome {
        if id % 1_000 == 7 {
            Outcome::Panicked
        } else if id % 10 == 3 {
            Outcome::Failed(output(id) >> 1)
        } else {
            Outcome::Completed(output(id))
        }
    }
}

/// Pending this many times, waking itself each time.
pub struct Yields(pub u32);

impl Future for Yields {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match self.0.checked_sub(1) {
            Some(left) => {
                self.0 = left;
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            None => Poll::Ready(()),
        }
    }
}

/// Whether gauges count. Off while times are taken.
static GAUGING: AtomicBool = AtomicBool::new(false);
static STARTED: AtomicU64 = AtomicU64::new(0);
static RUNNING: AtomicU64 = AtomicU64::new(0);
static PEAK: AtomicU64 = AtomicU64::new(0);

/// Counts who runs at the same time.
pub struct Gauge(bool);

impl Gauge {
    pub fn enter() -> Self {
        let on = GAUGING.load(Relaxed);
        if on {
            STARTED.fetch_add(1, Relaxed);
            PEAK.fetch_max(RUNNING.fetch_add(1, Relaxed) + 1, Relaxed);
        }
        Self(on)
    }

    /// From now on it is counted, or no longer. To be called when nothing runs.
    pub fn switch(on: bool) {
        GAUGING.store(on, Relaxed);
    }

    /// Checks that the queue is bounded, when so many tasks were submitted since it was switched on.
    ///
    /// # Panics
    /// When more wait.
    pub fn check_waiting(limits: Limits, submitted: u64) {
        let most = (limits.queue + limits.concurrency + limits.submitters) as u64;
        let waiting = submitted.saturating_sub(STARTED.load(Relaxed));
        assert!(waiting <= most, "{waiting} tasks are in the queue, which is bounded");
    }

    /// Checks that no more ran at the same time than may.
    ///
    /// # Panics
    /// When more did.
    pub fn check_running(limits: Limits) {
        let peak = PEAK.load(Relaxed);
        assert!(peak <= limits.concurrency as u64, "{peak} tasks ran at the same time");
    }
}

impl Drop for Gauge {
    fn drop(&mut self) {
        if self.0 {
            RUNNING.fetch_sub(1, Relaxed);
        }
    }
}
