//! A service from its start to its end, whatever feeds it.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use futures::executor::block_on;
use futures::future::{Either, select};
use plimsoll::source::SourceLimits;
use plimsoll::{Access, Cache, CacheLimits, Drain, Processor, Remains, Retry, Runtime, Timer};
use plimsoll_core::{CacheStats, Census, Ledger, Totals};
use plimsoll_tests::replay::Answer;

use super::pace::Pace;
use super::traffic::Traffic;
use super::work::{LimitKeeper, Service, World, quiet_panics};
use crate::arrivals::Arrival;
use crate::dashboard::{self, Dashboard, Figures};
use crate::memory::{self, Metered};
use crate::options::Options;
use crate::report::{Claim, FromQueue, Log, Memory, Report};
use crate::signals;

/// What a service is started for.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// How long it takes in simulated time, if that is known.
    pub span: Option<Duration>,
    pub speed: f64,
    /// How often a failing task is tried.
    pub attempts: u32,
    /// How many deliveries of a durable queue may be here, if there is one.
    pub source: Option<u32>,
}

/// How long a graceful end may take.
const GRACE: Duration = Duration::from_secs(10);
/// What happens from time to time happens at least and at most this often.
const TURN: [Duration; 2] = [Duration::from_micros(500), Duration::from_millis(50)];
/// No interval is shorter: an hour may be over in a second.
const INTERVAL: Duration = Duration::from_millis(20);
/// What a runtime may keep for itself at the end. Nobody promises that.
const RUNTIME: u64 = 64 * 1_024;
/// Jobs of a queue that are known to be done, and are not done again if they are delivered again.
const REMEMBERED: u32 = 4_096;

/// A service that runs.
pub struct Running<R> {
    pub service: Processor<Service>,
    pub world: Arc<World<R>>,
    pub pace: Pace,
    traffic: Traffic<R>,
    dashboard: Dashboard,
    span: Option<Duration>,
    /// What a durable queue shows on the live line.
    pub left: Option<u64>,
    pub is_down: bool,
    /// Live bytes before the start, and what the processor was promised and seen to take.
    before: u64,
    promised: u64,
    built: u64,
}

impl<R: Runtime + Clone + Send + Sync + 'static> Running<R> {
    pub fn start(options: &Options, runtime: R, setting: Setting) -> Result<Self, String> {
        quiet_panics();
        warm_up(&runtime);
        let pace = Pace::start(setting.speed);
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
            .retry(Retry::NONE.attempts(setting.attempts).base(pace.real(Duration::from_secs(1))));
        let (builder, keeper) = match setting.source {
            Some(credit) => {
                (builder.sources(SourceLimits::new(1).credit(credit)).dedup(REMEMBERED), LimitKeeper::Handler)
            }
            None => (builder, LimitKeeper::Processor),
        };
        let world = Arc::new(World::new(runtime, cache));
        let handler = {
            let world = world.clone();
            move |job, context| {
                let world = world.clone();
                async move { world.handle(job, context, keeper).await }
            }
        };
        let promised = builder.footprint(&metered, &handler).total() as u64;
        let unbuilt = memory::own_bytes() + metered.taken();
        let service = builder.spawn_on(metered.clone(), handler).map_err(|error| options.blame(&error))?;
        let built = cache_bytes + memory::own_bytes() - metered.taken() - unbuilt;
        let _ = world.submitter.set(service.submitter());
        let traffic = Traffic::new(&service, world.clone())?;
        Ok(Self {
            service,
            world,
            pace: Pace::start(setting.speed),
            traffic,
            dashboard: Dashboard::new(),
            span: setting.span,
            left: None,
            is_down: false,
            before,
            promised,
            built: built as u64,
        })
    }

    /// Sends what arrives.
    pub fn send(&mut self, arrival: Arrival) {
        let work = self.pace.real_work(arrival.work);
        self.traffic.send(&self.service, Arrival { work, ..arrival });
    }

    /// Does what is done from time to time, and then waits for about as long.
    pub fn turn(&mut self, wait: Duration) {
        self.traffic.turn(&self.service);
        let Self { service, world, pace, span, left, is_down, dashboard, .. } = self;
        dashboard.tick(|| Figures {
            left: *left,
            is_down: *is_down,
            ..figures(service, world, *pace, *span)
        });
        sleep(wait.clamp(TURN[0], TURN[1]));
    }

    pub fn is_busy(&self) -> bool {
        let census = self.service.census();
        census.unsettled() > 0 || census.orphans > 0
    }

    /// Ends it: gracefully, or at once if somebody presses Ctrl-C (again).
    pub fn end(mut self) -> Ended {
        let simulated = self.pace.now();
        let mut claims = self.traffic.leave();
        let cache = self.world.cache.stats();
        let submitter = self.service.submitter();
        let began = Instant::now();
        let remains = end(self.service, &mut self.dashboard);
        let is_cut = remains.is_none() || signals::interrupts() > 1 || began.elapsed() >= GRACE;
        claims.extend(self.traffic.claims());
        // Its subscriptions keep what they have not read.
        drop(self.traffic);
        let waits = self.world.waits.sums();
        let waits = (self.pace.simulated(waits.0), self.pace.simulated(waits.1));
        Ended {
            totals: submitter.totals(),
            ledger: submitter.ledger(),
            census: submitter.census(),
            dashboard: self.dashboard,
            is_cut,
            simulated,
            claims,
            cache,
            remains,
            waits,
            before: self.before,
            promised: self.promised,
            built: self.built,
        }
    }
}

/// A service that has ended.
pub struct Ended {
    /// Whether it had no time to end gracefully.
    pub is_cut: bool,
    totals: Totals,
    ledger: Ledger,
    census: Census,
    dashboard: Dashboard,
    simulated: Duration,
    claims: Vec<Claim>,
    cache: CacheStats,
    remains: Option<Remains>,
    /// How long started tasks waited, all together and one at most, simulated.
    waits: (Duration, Duration),
    before: u64,
    promised: u64,
    built: u64,
}

impl Ended {
    /// The report. Everything that the service used has to be gone.
    pub fn report(mut self, title: String, log: Log, source: Option<FromQueue>) -> Report {
        let Self { totals, ledger, .. } = self;
        let left = settled_bytes(self.before);
        self.claims.push(Claim { holds: left <= RUNTIME, text: format!("{left} bytes are left") });
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Report {
            title,
            answer: Answer {
                max_queue: ledger.queued.highest.into(),
                max_running: ledger.running.highest.into(),
                total_wait_ms: millis(self.waits.0),
                max_wait_ms: millis(self.waits.1),
                makespan_ms: millis(self.simulated),
                ..Answer::of(&totals)
            },
            log,
            source,
            totals,
            ledger,
            census: self.census,
            remains: self.remains,
            cache: self.cache,
            memory: Memory { promised: self.promised, built: self.built, left },
            simulated: self.simulated,
            wall: self.dashboard.finish(),
            claims: self.claims,
        }
    }
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

fn figures<R: Runtime + Send + Sync + 'static>(
    service: &Access<Service>,
    world: &World<R>,
    pace: Pace,
    span: Option<Duration>,
) -> Figures {
    let (census, cache, now) = (service.census(), world.cache.stats(), pace.now());
    Figures {
        progress: span.map(|span| now.as_secs_f64() / span.as_secs_f64().max(1e-9)),
        time: now,
        count: service.totals().offered,
        processor: Some(dashboard::Processor::of(
            &census,
            &cache,
            world.waits.percentiles().map(|wait| pace.simulated(wait)),
        )),
        ..Figures::default()
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
