//! A week of a small service on a simulated runtime: with the same seed it is the same to the event.

use std::fmt::{self, Debug, Write as _};
use std::hash::{DefaultHasher, Hasher};
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use fastrand::Rng;
use futures::StreamExt as _;
use futures::future::join;
use plimsoll::runtime::Runtime as _;
use plimsoll::runtime::sim::{Sim, Time};
use plimsoll::{
    Cache, CacheLimits, Context, Drain, Events, Instant, Notice, Options, OutcomeKind, Phase, Priority,
    Processor, Report, Retry, Submitter, Subscription, Timeouts,
};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// How many clients there are, and how long each pauses between two requests, on average.
const CLIENTS: u32 = 24;
const PAUSE: Duration = Duration::from_secs(20);

#[test]
fn a_week_of_a_service_is_the_same_to_the_event_with_the_same_seed() {
    let began = std::time::Instant::now();
    let (week, again) = thread::scope(|scope| {
        let again = scope.spawn(|| service(1, DAY * 7));
        (service(1, DAY * 7), again.join().unwrap())
    });
    println!("{:?} for {} events\n{:#?}", began.elapsed(), week.events, week.report.totals);
    assert_eq!(week, again);
    check(&week, 7);
}

#[test]
fn another_seed_is_another_day() {
    let [one, two] = [1, 2].map(|seed| service(seed, DAY));
    assert_ne!(one.hash, two.hash);
    check(&one, 1);
    check(&two, 1);
}

/// It was a real load, and nothing is left of it.
fn check(story: &Story, days: u64) {
    let Report { totals, ledger, census, remains, .. } = story.report;
    assert!(census.is_empty(), "{census:?}");
    assert_eq!((remains.abandoned, remains.cancelled), (0, 0), "there was time for all to end");
    assert_eq!(totals.offered, totals.refused + totals.admitted);
    assert_eq!(totals.admitted, totals.settled.total());
    assert!(totals.admitted > 24 * 3_600 * days, "a task a second: {totals:?}");
    // Nothing is shed: a full queue refuses.
    for kind in OutcomeKind::ALL.into_iter().filter(|kind| *kind != OutcomeKind::Shed) {
        assert!(totals.settled.get(kind) > 50 * days, "{kind}: {totals:?}");
    }
    assert!(totals.refused > 10 * days && totals.retried > 1_000 * days, "{totals:?}");
    for account in
        [ledger.callbacks, ledger.cache, ledger.subscribers, ledger.results, ledger.sleeps, ledger.jobs]
    {
        assert!(account.entered > 20 * days && account.entered == account.left, "{ledger:#?}");
    }
    assert!(ledger.waiters.entered > 2 * days && ledger.waiters.live() == 0, "{ledger:#?}");
    assert_eq!(story.called, ledger.callbacks.entered, "each callback was called once");
    assert!(story.lagged > 0, "the slow subscriber was left behind");
    assert!(story.events > 3 * totals.admitted && story.health.abs_diff(24 * 60 * days) < 2);
}

/// All that happened, as one number and a few counts.
#[derive(Debug, PartialEq)]
struct Story {
    hash: u64,
    events: u64,
    health: u64,
    lagged: u64,
    called: u64,
    report: Report,
}

/// Where everybody writes down what happens.
#[derive(Clone)]
struct Diary {
    time: Time,
    pages: Arc<Mutex<Pages>>,
}

#[derive(Default)]
struct Pages {
    hasher: DefaultHasher,
    events: u64,
    health: u64,
    lagged: u64,
    called: u64,
}

impl fmt::Write for Pages {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.hasher.write(text.as_bytes());
        Ok(())
    }
}

impl Diary {
    fn note(&self, what: impl Debug) {
        let now = self.time.now();
        writeln!(self.pages.lock().unwrap(), "{now:?} {what:?}").unwrap();
    }

    fn count(&self, add: impl FnOnce(&mut Pages)) {
        add(&mut self.pages.lock().unwrap());
    }
}

/// What a request makes its handler do.
#[derive(Clone, Copy, Debug)]
enum Request {
    /// Looks a key up, and computes it for a while if it is not there.
    Lookup(u32),
    /// Does two things at a time.
    Both(Duration, Duration),
    /// Fails so many times.
    Flaky(u32),
    /// Never comes back.
    Stuck,
    /// Panics, the first time or always.
    Broken { always: bool },
}

impl Request {
    fn draw(rng: &mut Rng) -> Self {
        let mut millis = || Duration::from_millis(rng.u64(1..3_000));
        let (one, two) = (millis(), millis());
        match rng.u32(..100) {
            0..50 => Self::Lookup(rng.u32(..40) * rng.u32(..40)),
            50..75 => Self::Both(one, two),
            75..96 => Self::Flaky(rng.u32(..5)),
            96 | 97 => Self::Stuck,
            _ => Self::Broken { always: rng.bool() },
        }
    }
}

type Values = Cache<u32, u64>;
/// What the service does. The metadata of a request say who has sent it.
type Service = fn(Request, Context<u32>) -> Result<u64, &'static str>;

async fn handle(request: Request, cx: Context<u32>, values: Values) -> Result<u64, &'static str> {
    let sleep = |duration| cx.sleep(duration);
    let over = |_| "over";
    match request {
        Request::Lookup(key) => match values.get(&key) {
            Some(value) => Ok(*value),
            None => {
                sleep(SECOND + Duration::from_millis(u64::from(key))).await.map_err(over)?;
                values.insert(key, u64::from(key) << 8);
                Ok(u64::from(key))
            }
        },
        Request::Both(one, two) => {
            let (one, two) = join(sleep(one), sleep(two)).await;
            one.and(two).map_err(over)?;
            Ok(0)
        }
        Request::Flaky(times) => {
            sleep(Duration::from_millis(50)).await.map_err(over)?;
            if cx.attempt() > times { Ok(u64::from(times)) } else { Err("not yet") }
        }
        Request::Stuck => {
            sleep(HOUR).await.map_err(over)?;
            Ok(1)
        }
        Request::Broken { always } => {
            sleep(SECOND).await.map_err(over)?;
            if always || cx.attempt() == 1 {
                // A panic that nobody prints.
                resume_unwind(Box::new("broken"));
            }
            Ok(2)
        }
    }
}

/// Runs the service for so long, and shuts it down.
fn service(seed: u64, duration: Duration) -> Story {
    let sim = Sim::new(seed);
    let time = sim.time();
    let diary = Diary { time: time.clone(), pages: Arc::default() };
    let processor = build(&sim);
    let end = Instant::ZERO.saturating_add(duration);

    let office = |name: u32| {
        let (submitter, time, diary) = (processor.submitter(), time.clone(), diary.clone());
        Office { name, submitter, time, diary, rng: Rng::with_seed(sim.seed()), end }
    };
    sim.spawn(read(processor.subscribe().unwrap(), diary.clone()));
    for client in 0..CLIENTS {
        sim.spawn(office(client).request());
    }
    sim.spawn(office(100).operate());
    sim.spawn(office(101).feed());
    sim.spawn(office(102).read_slowly());
    sim.spawn(office(103).audit());

    sim.block_on(sim.sleep_until(end)).unwrap();
    let submitter = processor.submitter();
    let mut report = sim.block_on(processor.shutdown(Drain::graceful(HOUR))).unwrap();
    sim.run_until_idle().unwrap();
    diary.note(report);
    // Handles and subscriptions have taken what was kept for them.
    (report.census, report.ledger) = (submitter.census(), submitter.ledger());
    let pages = diary.pages.lock().unwrap();
    let Pages { events, health, lagged, called, .. } = *pages;
    Story { hash: pages.hasher.finish(), events, health, lagged, called, report }
}

fn build(sim: &Sim) -> Processor<Service> {
    let limits = CacheLimits { entries: 200, ttl: Some(SECOND * 900), ..CacheLimits::default() };
    let values = Values::new(limits).unwrap();
    Processor::builder()
        .queue(12)
        .concurrency(8)
        .subscribers(4)
        .events(256)
        .results(50, Some(HOUR))
        .health_every(SECOND * 60)
        .sweep_every(SECOND * 10)
        .timeouts(Timeouts {
            schedule_to_start: Some(SECOND * 5),
            start_to_close: Some(SECOND * 10),
            schedule_to_close: Some(SECOND * 120),
            ..Timeouts::NONE
        })
        .retry(Retry::NONE.attempts(4).base(SECOND).cap(SECOND * 20).on_panic(true))
        .cache(&values)
        .spawn_on(sim.clone(), move |request, cx| handle(request, cx, values.clone()))
        .unwrap()
}

/// Somebody who uses the service until the end.
struct Office {
    name: u32,
    submitter: Submitter<Service>,
    time: Time,
    diary: Diary,
    rng: Rng,
    end: Instant,
}

impl Office {
    fn is_open(&self) -> bool {
        self.time.now() < self.end
    }

    fn options(&mut self) -> Options<u32> {
        let delay = if self.rng.u8(..) < 10 { SECOND * self.rng.u32(1..30) } else { Duration::ZERO };
        Options::new(self.name).delay(delay).priority(Priority::new(self.rng.u8(..8)))
    }

    /// A client: one request after the other, by every route. Once a day all of them come at the same time.
    async fn request(mut self) {
        while self.is_open() {
            let gap = PAUSE.mul_f64(-(1.0 - self.rng.f64()).ln());
            let rush =
                Duration::from_secs(self.time.now().as_millis() / 1_000 % DAY.as_secs()) < SECOND * 300;
            self.time.sleep(if rush { gap / 20 } else { gap }).await;
            let (request, options) = (Request::draw(&mut self.rng), self.options());
            let task = || self.submitter.task(request).options(options);
            match self.rng.u32(..100) {
                0..35 => self.call(request, options),
                35..60 => self.note(task().post()),
                60..75 => match task().submit() {
                    Ok(handle) => self.note(handle.await),
                    Err(refused) => self.note(refused),
                },
                75..85 => match task().submit_wait().await {
                    Ok(handle) => self.note(handle.await),
                    Err(refused) => self.note(refused),
                },
                85..90 => {
                    let task = task().retain();
                    self.time.sleep(SECOND * 30).await;
                    self.note(task.map(|task| self.submitter.result(task)));
                }
                90..95 => {
                    let handle = task().submit().map(|handle| handle.cancel_on_drop());
                    self.time.sleep(SECOND).await;
                    self.note(handle.map(drop));
                }
                _ => {
                    let task = task().post();
                    self.time.sleep(SECOND).await;
                    self.note(task.map(|task| self.submitter.cancel(task)));
                }
            }
        }
    }

    fn note(&self, what: impl Debug) {
        self.diary.note((self.name, what));
    }

    fn call(&self, request: Request, options: Options<u32>) {
        let (diary, name) = (self.diary.clone(), self.name);
        let called = self.submitter.task(request).options(options).call(move |settled| {
            assert_eq!(settled.meta, name);
            diary.count(|pages| pages.called += 1);
            diary.note((name, &settled, &settled.result, settled.job));
        });
        self.note(called.map_err(|refused| refused.reason));
    }

    /// Pauses now and then, or lets fewer attempts run.
    async fn operate(self) {
        while self.is_open() {
            self.time.sleep(HOUR * 6).await;
            self.submitter.pause();
            self.time.sleep(SECOND * 30).await;
            self.submitter.resume();
            self.submitter.set_concurrency(3);
            self.time.sleep(SECOND * 600).await;
            self.submitter.set_concurrency(8);
        }
    }

    /// Attaches an emitter every hour, and lets it emit.
    async fn feed(mut self) {
        while self.is_open() {
            self.time.sleep(HOUR).await;
            let events = Events::new();
            let Ok(emitter) = self.submitter.attach(&events) else { continue };
            for _ in 0..20 {
                self.time.sleep(SECOND * 5).await;
                let request = Request::draw(&mut self.rng);
                self.note(events.emit_task(request).is_ok());
                let batch = (0..3).map(|_| Request::draw(&mut self.rng)).collect();
                self.note(events.emit_batch(batch).map_err(|rest| rest.len()));
            }
            events.emit_error("an emitter that fails");
            self.note(emitter.detach());
            assert_eq!(events.listener_counts(), [0, 0, 0]);
        }
    }

    /// Subscribes every hour, and reads too rarely.
    async fn read_slowly(self) {
        while self.is_open() {
            self.time.sleep(HOUR).await;
            let Ok(mut subscription) = self.submitter.subscribe() else { continue };
            for _ in 0..5 {
                self.time.sleep(SECOND * 60).await;
                while let Some(Some(notice)) = subscription.try_next() {
                    if let Notice::Lagged(missed) = notice {
                        self.diary.count(|pages| pages.lagged += missed);
                        self.note(missed);
                    }
                }
            }
        }
    }

    async fn audit(self) {
        while self.is_open() {
            assert_eq!(self.submitter.census(), self.submitter.audit());
            assert_eq!(self.submitter.phase(), Phase::Open);
            self.time.sleep(HOUR).await;
        }
    }
}

/// Reads all events until the processor ends.
async fn read(mut subscription: Subscription<Service>, diary: Diary) {
    while let Some(notice) = subscription.next().await {
        diary.note(notice);
        diary.count(|pages| {
            pages.events += 1;
            pages.health += u64::from(matches!(notice, Notice::Health(_)));
        });
    }
}
