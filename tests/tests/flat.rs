//! The proof that a service keeps nothing: one that does not passes for weeks, and each leak is found by the name of its class.

use std::collections::HashMap;
use std::fmt::Debug;
use std::future::{pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use plimsoll::conformance::flat::{Finding, Findings, Watch, assert_flat, check};
use plimsoll::runtime::sim::{Sim, Stuck, Time};
use plimsoll::{
    Cache, CacheLimits, Context, EmitterHandle, Events, Instant, Processor, Retry, ScheduleHandle, Submitter,
    infallible,
};
use plimsoll_tests::alloc::{Counting, here};

#[global_allocator]
static ALLOCATOR: Counting = Counting::new();

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The live bytes of the calling thread, on which all of a simulation runs.
fn live_bytes() -> usize {
    usize::try_from(here().live).unwrap_or(0)
}

/// What the service does wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Leak {
    None,
    /// It keeps a handle each hour, and does not look at it.
    Handles,
    /// Each hour it submits a task for next year.
    DelayedTasks,
    /// Its tasks for next year have callbacks.
    Callbacks,
    /// It attaches an emitter each hour and does not detach it.
    Listeners,
    /// It attaches one each second, until there is no room.
    ListenersFast,
    /// It subscribes each hour.
    Subscribers,
    /// It makes a schedule each day and does not end it.
    Schedules,
    /// It keeps room reserved.
    Permits,
    /// It spawns a future each hour that never ends.
    Futures,
    /// It has a map beside the cache.
    Map,
    /// It notes each job.
    Vec,
    /// It has stopped working after a week.
    Sleeps,
}

type Service = fn(u64, Context) -> Result<u64, &'static str>;

/// Everything that a service has, and its leak.
struct Office {
    submitter: Submitter<Service>,
    time: Time,
    leak: Leak,
    seen: Arc<Mutex<Seen>>,
}

/// What the service keeps outside of its processor.
#[derive(Default)]
struct Seen {
    map: HashMap<u64, u64>,
    jobs: Vec<u64>,
}

async fn handle(job: u64, cx: Context, values: Cache<u64, u64>) -> Result<u64, &'static str> {
    if let Some(value) = values.get(&(job % 50)) {
        return Ok(*value);
    }
    cx.sleep(MINUTE).await.map_err(|_| "stopped")?;
    if job % 7 < u64::from(cx.attempt()) {
        values.insert(job % 50, job);
        return Ok(job);
    }
    Err("not yet")
}

fn scenario(watch: &mut Watch, leak: Leak) -> Processor<Service> {
    let limits = CacheLimits { entries: 40, ttl: Some(HOUR), ..CacheLimits::default() };
    let values = Cache::new(limits).unwrap();
    let processor = Processor::builder()
        .delayed(10_000)
        .results(20, None)
        .schedules(10_000)
        .emitters(if leak == Leak::ListenersFast { 8 } else { 1_000 })
        .subscribers(1_000)
        .sweep_every(HOUR)
        .timeout(HOUR)
        .retry(Retry::times(2).base(MINUTE))
        .cache(&values)
        .spawn_on(watch.sim().clone(), move |job, cx| handle(job, cx, values.clone()))
        .unwrap();
    watch.processor("orders", &processor);
    watch.bytes(live_bytes, 0);
    let seen = Arc::new(Mutex::new(Seen::default()));
    if leak == Leak::Map {
        let seen = seen.clone();
        watch.count("sessions", move || seen.lock().unwrap().map.len());
    }
    let office = || Office { submitter: processor.submitter(), time: watch.time(), leak, seen: seen.clone() };
    watch.sim().spawn(office().work());
    watch.sim().spawn(office().leak(watch.sim().clone()));
    processor
}

impl Office {
    /// A job every ten minutes by each way, and an emitter for an hour each day.
    async fn work(self) {
        for job in 0.. {
            if self.leak == Leak::Sleeps && self.time.now() > Instant::from_millis(8 * DAY.as_millis() as u64)
            {
                return;
            }
            self.do_job(job).await;
            self.time.sleep(MINUTE * 10).await;
            if job % 144 == 0 {
                let events = Events::new();
                // What leaks leaves no room, in the end.
                let emitter = self.submitter.attach(&events).ok();
                let _ = events.emit_task(job);
                let schedule = self.submitter.every(MINUTE, move |_| job).ok();
                let subscription = self.submitter.subscribe().ok();
                self.time.sleep(HOUR).await;
                drop((emitter.map(EmitterHandle::detach), schedule.map(ScheduleHandle::end), subscription));
            }
        }
    }

    async fn do_job(&self, job: u64) {
        let task = || self.submitter.task(job);
        task().post().unwrap();
        task().retain().unwrap();
        task().delay(MINUTE).call(|settled| drop(settled.result)).unwrap();
        let _ = task().submit().unwrap().await;
        let mut seen = self.seen.lock().unwrap();
        match self.leak {
            Leak::Map => _ = seen.map.insert(job, job),
            Leak::Vec => seen.jobs.push(job),
            _ => {}
        }
    }

    async fn leak(self, sim: Sim) {
        let (mut handles, mut emitters, mut subscriptions) = (Vec::new(), Vec::new(), Vec::new());
        let (mut permits, events) = (Vec::new(), Events::new());
        loop {
            self.time
                .sleep(match self.leak {
                    Leak::ListenersFast if emitters.len() < 8 => Duration::from_secs(1),
                    Leak::Schedules => DAY,
                    _ => HOUR,
                })
                .await;
            let task = || self.submitter.task(1);
            match self.leak {
                Leak::Handles => handles.extend(task().submit()),
                Leak::DelayedTasks => _ = task().delay(YEAR).post(),
                Leak::Callbacks => _ = task().delay(YEAR).call(drop),
                Leak::Listeners | Leak::ListenersFast => emitters.extend(self.submitter.attach(&events)),
                Leak::Subscribers => subscriptions.extend(self.submitter.subscribe()),
                Leak::Schedules => drop(self.submitter.every(YEAR, |_| 1)),
                Leak::Permits => permits.extend(self.submitter.try_reserve(1)),
                Leak::Futures => sim.spawn(pending()),
                _ => {}
            }
        }
    }
}

fn found(leak: Leak) -> Result<(), Findings> {
    let sim = Sim::new(7);
    let found = check(&sim, 2, |watch| scenario(watch, leak));
    sim.kill();
    found
}

#[test]
fn a_service_that_keeps_nothing_is_flat() {
    assert_eq!(found(Leak::None), Ok(()));
    assert_flat(2, |watch| scenario(watch, Leak::None));
}

#[test]
fn each_leak_is_found_by_the_name_of_its_class() {
    let leaks = [
        (Leak::Handles, "orders", "unclaimed outcomes"),
        (Leak::DelayedTasks, "orders", "jobs"),
        (Leak::Callbacks, "orders", "callbacks"),
        (Leak::Listeners, "orders", "listeners"),
        (Leak::Subscribers, "orders", "subscribers"),
        (Leak::Schedules, "orders", "schedules"),
        (Leak::Permits, "orders", "permits"),
        (Leak::Futures, "the simulation", "spawned futures"),
        (Leak::Map, "sessions", "items"),
        (Leak::Vec, "the process", "live bytes"),
    ];
    for (leak, name, class) in leaks {
        let findings = found(leak).unwrap_err();
        println!("{leak:?}: {findings}");
        let grew = findings.findings.iter().any(|finding| {
            matches!(finding, Finding::Grew { name: n, class: c, by, .. } if n == name && *c == class && *by > 0)
        });
        assert!(grew, "{leak:?}: {findings}");
    }
}

#[test]
fn a_leak_that_has_reached_its_limit_is_found_too() {
    let findings = found(Leak::ListenersFast).unwrap_err().findings;
    let full = Finding::Full { name: "orders".into(), class: "listeners", bound: 24 };
    assert!(findings.contains(&full), "{findings:?}");
}

#[test]
fn one_more_a_week_is_a_finding_and_bytes_may_be_given_slack() {
    let grows = check(&Sim::new(1), 2, |watch| {
        let time = watch.time();
        watch.count("weeks", move || (time.now().as_millis() / (7 * DAY.as_millis() as u64)) as usize);
    });
    let grew = Finding::Grew { name: "weeks".into(), class: "items", by: 1, least: vec![0, 1, 2] };
    assert_eq!(grows.unwrap_err().findings, [grew]);
    let notes = |slack| {
        check(&Sim::new(1), 2, |watch| {
            watch.bytes(live_bytes, slack);
            let time = watch.time();
            watch.sim().spawn(async move {
                let mut notes = Vec::new();
                loop {
                    notes.push(0_u64);
                    time.sleep(HOUR).await;
                }
            });
        })
    };
    assert!(notes(0).is_err_and(|found| found.to_string().contains("live bytes grew")));
    assert_eq!(notes(1 << 20), Ok(()));
}

#[test]
fn a_week_that_proves_nothing_is_a_finding() {
    let idle = Finding::Idle { name: "orders".into() };
    assert_eq!(found(Leak::Sleeps).unwrap_err().findings, [idle]);
    assert_eq!(check(&Sim::new(1), 2, |_| ()).unwrap_err().findings, [Finding::Nothing]);
    let sim = Sim::new(1).poll_limit(100);
    let stuck = check(&sim, 2, |watch| {
        watch.count("nothing", || 0);
        watch.sim().spawn(poll_fn(|cx| {
            cx.waker().wake_by_ref();
            Poll::Pending
        }));
    });
    let spinning = Stuck::Spinning { polls: 100, at: Instant::ZERO };
    assert_eq!(stuck.unwrap_err().findings, [Finding::Stuck(spinning)]);
}

/// What a task ends with.
type Ends = fn(u64) -> Result<u64, &'static str>;

/// A task an hour, which ends as this handler says, of a processor that is watched in this way.
fn hourly(handler: Ends, watch_it: fn(&mut Watch, &Processor<Ends>)) -> Result<(), Findings> {
    check(&Sim::new(1), 2, |watch| {
        let handler = move |job| async move { handler(job) };
        let processor = Processor::builder().spawn_on(watch.sim().clone(), handler).unwrap();
        watch_it(watch, &processor);
        let schedule = processor.every(HOUR, |_| 1);
        (processor, schedule)
    })
}

#[test]
fn what_is_kept_for_a_time_fills_in_the_week_to_warm_up() {
    let found = check(&Sim::new(1), 2, |watch| {
        let handler = infallible(|job: u64| async move { job });
        let processor = Processor::builder().spawn_on(watch.sim().clone(), handler).unwrap();
        watch.processor("reminders", &processor);
        let (time, submitter) = (watch.time(), processor.submitter());
        watch.sim().spawn(async move {
            while submitter.task(1).delay(DAY).post().is_ok() {
                time.sleep(HOUR).await;
            }
        });
        processor
    });
    assert_eq!(found, Ok(()));
}

#[test]
fn a_week_in_which_no_task_completes_is_a_finding() {
    let found = hourly(|_| panic!("there is no reactor running"), |watch, it| watch.processor("mail", it));
    let told = "the scenario is not flat:\n  mail: no task has completed in the last week: 168 panicked; \
                the last error: there is no reactor running";
    assert_eq!(found.unwrap_err().to_string(), told);
    let fails = |_| Err("as it should");
    let found = hourly(fails, |watch, it| watch.processor("mail", it)).unwrap_err();
    let [Finding::NoneCompleted { name, settled, last_error }] = &found.findings[..] else {
        panic!("{found}")
    };
    assert_eq!((name.as_str(), settled.failed, settled.total()), ("mail", 168, 168), "of one week");
    assert_eq!(last_error.as_deref(), Some("\"as it should\""));
    assert_eq!(hourly(fails, |watch, it| watch.failing_processor("mail", it)), Ok(()));
}

#[test]
fn a_failing_processor_has_to_do_something() {
    let found = check(&Sim::new(1), 2, |watch| {
        let handler = |job: u64| async move { Err::<u64, _>(job) };
        let processor = Processor::builder().spawn_on(watch.sim().clone(), handler).unwrap();
        watch.failing_processor("mail", &processor);
        processor
    });
    assert_eq!(found.unwrap_err().findings, [Finding::Idle { name: "mail".into() }]);
}

#[test]
fn the_assertion_tells_what_grew() {
    let panic = catch_unwind(AssertUnwindSafe(|| assert_flat(2, |watch| scenario(watch, Leak::Subscribers))));
    let words = panic.unwrap_err();
    let told = "the scenario is not flat:\n  orders: subscribers grew by 168; the least of each week: [0, 168, 336]\n";
    let words = words.downcast_ref::<String>().unwrap();
    assert!(words.starts_with(told), "{words}");
}

#[test]
fn auto_traits_are_pinned() {
    const fn value<T: Send + Sync + Unpin + Debug + Clone + PartialEq + 'static>() {}
    const fn error<T: Send + Sync + std::error::Error + 'static>() {}
    value::<Finding>();
    value::<Findings>();
    error::<Findings>();
}
