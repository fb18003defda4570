//! In real time, faster than the world: the adapters on a runtime, with everything that a service uses.

mod traffic;
mod work;

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use futures::executor::block_on;
use futures::future::{Either, select};
use plimsoll::{Access, Cache, CacheLimits, Drain, Processor, Remains, Retry, Runtime, Timer};
use plimsoll_tests::replay::Answer;

use crate::arrivals::{Arrival, Work};
use crate::dashboard::{Dashboard, Figures};
use crate::memory::{self, Metered};
use crate::options::Options;
use crate::report::{Claim, Memory, Report};
use crate::signals;
use traffic::Traffic;
use work::{Service, World, quiet_panics};

/// What is to be run.
pub struct Scene<A> {
    pub title: String,
    pub arrivals: A,
    /// How long it takes in simulated time, more or less.
    pub span: Duration,
    pub speed: f64,
    /// How often a failing task is tried.
    pub attempts: u32,
    /// Jobs of a log that never ran.
    pub skipped: u64,
}

/// How long a graceful end may take.
const GRACE: Duration = Duration::from_secs(10);
/// What happens from time to time happens at least and at most this often.
const TURN: [Duration; 2] = [Duration::from_micros(500), Duration::from_millis(50)];
/// No interval is shorter: an hour may be over in a second.
const INTERVAL: Duration = Duration::from_millis(20);
/// What a runtime may keep for itself at the end. Nobody promises that.
const RUNTIME: u64 = 64 * 1_024;

/// Runs a scene on a runtime, to its end or until Ctrl-C.
pub fn run<R: Runtime + Clone + Send + Sync + 'static>(
    options: &Options,
    runtime: R,
    mut scene: Scene<impl Iterator<Item = Arrival>>,
) -> Result<Report, String> {
    quiet_panics();
    warm_up(&runtime);
    let pace = Pace { speed: scene.speed, began: Instant::now() };
    let every = |seconds| pace.real(Duration::from_secs(seconds)).max(INTERVAL);
    let (before, metered) = (memory::live_bytes(), Metered::new(runtime.clone()));
    let (without_cache, limits) = (memory::own_bytes(), CacheLimits::default());
    let cache = Cache::new(CacheLimits { entries: 1_024, ttl: Some(every(600)), ..limits });
    let cache = cache.map_err(|error| error.to_string())?;
    let cache_bytes = memory::own_bytes() - without_cache;
    let builder = Processor::builder()
        .queue(options.queue())
        .concurrency(options.workers())
        .unclaimed(256)
        .waiters(16)
        .emitters(1)
        .subscribers(4)
        .events(1_024)
        .results(256, Some(every(60)))
        .health_every(every(10))
        .sweep_every(every(60))
        .seed(options.seed)
        .cache(&cache)
        .retry(Retry::NONE.attempts(scene.attempts).base(pace.real(Duration::from_secs(1))));
    let world = Arc::new(World::new(runtime, cache));
    let handler = {
        let world = world.clone();
        move |job, context| {
            let world = world.clone();
            async move { world.handle(job, context).await }
        }
    };
    let promised = builder.footprint(&metered, &handler).total() as u64;
    let unbuilt = memory::own_bytes() + metered.taken();
    let service = builder.spawn_on(metered.clone(), handler).map_err(|error| error.to_string())?;
    let built = cache_bytes + memory::own_bytes() - metered.taken() - unbuilt;
    let _ = world.submitter.set(service.submitter());

    let mut traffic = Traffic::new(&service, world.clone())?;
    let mut dashboard = Dashboard::new();
    let pace = Pace { began: Instant::now(), ..pace };
    let mut turn = |traffic: &mut Traffic<R>, wait: Duration| {
        traffic.turn(&service);
        dashboard.tick(|| figures(&service, &world, pace, scene.span));
        sleep(wait.clamp(TURN[0], TURN[1]));
    };
    let mut next = scene.arrivals.next();
    while let Some(arrival) = next.filter(|_| signals::interrupts() == 0) {
        let wait = pace.real(arrival.at).saturating_sub(pace.began.elapsed());
        if wait.is_zero() {
            traffic.send(&service, pace.real_time(arrival));
            next = scene.arrivals.next();
        } else {
            turn(&mut traffic, wait);
        }
    }
    while signals::interrupts() == 0 && is_busy(&service) {
        turn(&mut traffic, Duration::ZERO);
    }

    let simulated = pace.simulated(pace.began.elapsed());
    let mut claims = traffic.leave();
    let cache = world.cache.stats();
    let submitter = service.submitter();
    let remains = end(service, &mut dashboard);
    claims.extend(traffic.claims());
    // Its subscriptions keep what they have not read.
    drop(traffic);
    let (totals, ledger, census) = (submitter.totals(), submitter.ledger(), submitter.census());
    let (total_wait, max_wait) = world.waits.sums();
    drop((world, submitter, metered));
    let left = settled_bytes(before);
    claims.push(Claim { holds: left <= RUNTIME, text: format!("{left} bytes are left") });
    let millis = |real| u64::try_from(pace.simulated(real).as_millis()).unwrap_or(u64::MAX);
    Ok(Report {
        title: scene.title,
        answer: Answer {
            arrivals: totals.offered,
            started: totals.started,
            refused: totals.refused,
            completed: totals.settled.completed,
            failed: totals.settled.failed,
            cancelled: totals.settled.cancelled,
            timed_out: totals.settled.timed_out,
            max_queue: ledger.queued.highest.into(),
            max_running: ledger.running.highest.into(),
            total_wait_ms: millis(total_wait),
            max_wait_ms: millis(max_wait),
            makespan_ms: u64::try_from(simulated.as_millis()).unwrap_or(u64::MAX),
        },
        skipped: scene.skipped,
        totals,
        ledger,
        census,
        remains,
        cache,
        memory: Memory { promised, built: built as u64, left },
        simulated,
        wall: dashboard.finish(),
        claims,
    })
}

/// Ends the processor: gracefully, or at once if somebody presses Ctrl-C (again). An end that is cut short
/// doesn't tell what remained.
fn end(service: Processor<Service>, dashboard: &mut Dashboard) -> Option<Remains> {
    let interrupts = signals::interrupts();
    if interrupts > 0 {
        dashboard.say("interrupted: draining, once more to abort");
    }
    if interrupts > 1 {
        return Some(block_on(service.shutdown(Drain::Abort)).remains);
    }
    let shutdown = service.shutdown(Drain::graceful(GRACE));
    let interrupted = Box::pin(signals::interrupted(interrupts + 1));
    match block_on(select(shutdown, interrupted)) {
        Either::Left((report, _)) => Some(report.remains),
        // Dropping what was being shut down aborts it.
        Either::Right(((), shutdown)) => {
            dashboard.say("interrupted: aborting");
            drop(shutdown);
            None
        }
    }
}

fn is_busy(service: &Access<Service>) -> bool {
    let census = service.census();
    census.unsettled() > 0 || census.orphans > 0
}

fn figures<R: Runtime + Send + Sync + 'static>(
    service: &Access<Service>,
    world: &World<R>,
    pace: Pace,
    span: Duration,
) -> Figures {
    let (census, cache) = (service.census(), world.cache.stats());
    let simulated = pace.simulated(pace.began.elapsed());
    Figures {
        progress: simulated.as_secs_f64() / span.as_secs_f64().max(1e-9),
        simulated,
        offered: service.totals().offered,
        queued: census.queued,
        running: census.running,
        orphans: census.orphans,
        hits: cache.hits,
        misses: cache.misses,
        waits: world.waits.percentiles().map(|wait| pace.simulated(wait)),
    }
}

/// How simulated time passes.
#[derive(Clone, Copy)]
struct Pace {
    speed: f64,
    began: Instant,
}

impl Pace {
    fn real(self, simulated: Duration) -> Duration {
        Duration::try_from_secs_f64(simulated.as_secs_f64() / self.speed).unwrap_or(Duration::MAX)
    }

    fn simulated(self, real: Duration) -> Duration {
        Duration::try_from_secs_f64(real.as_secs_f64() * self.speed).unwrap_or(Duration::MAX)
    }

    fn real_time(self, arrival: Arrival) -> Arrival {
        let Work { duration, limit, .. } = arrival.work;
        let (duration, limit) = (self.real(duration), limit.map(|limit| self.real(limit)));
        Arrival { work: Work { duration, limit, ..arrival.work }, ..arrival }
    }
}

/// Lets the runtime start its threads and take the memory that it keeps, so that it is not counted.
fn warm_up(runtime: &impl Runtime) {
    let (sender, receiver) = std::sync::mpsc::channel();
    let (clock, timer) = (runtime.clock(), runtime.timer());
    runtime.spawn(async move {
        let mut timer = pin!(timer);
        timer.as_mut().reset(clock().saturating_add(TURN[0]));
        poll_fn(|context| timer.as_mut().poll(context)).await;
        let _ = sender.send(());
    });
    let _ = receiver.recv_timeout(Duration::from_secs(1));
}

/// How many bytes are live that were not `before`, once the runtime has had the time to see that its tasks
/// are over: when the number does not change any more.
fn settled_bytes(before: u64) -> u64 {
    let mut live = memory::live_bytes();
    for _ in 0..100 {
        sleep(Duration::from_millis(10));
        let now = memory::live_bytes();
        if now == live {
            break;
        }
        live = now;
    }
    live.saturating_sub(before)
}
