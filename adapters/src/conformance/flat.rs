//! A proof that a service of yours keeps nothing: weeks of it on a simulated clock, and at the end of each no more than
//! at the end of the one before.
//!
//! Everything in a processor is bounded, so a leak in it looks like a limit that is reached after days: handles that
//! nobody claims, emitters that are attached each hour, schedules that nobody ends. What is around it, such as a map
//! of sessions, is not even bounded. [`assert_flat`] runs a *scenario*, which sets up your processors and spawns what
//! loads them, and looks at it some hundred times a week: at every class of the [`Ledger`], at the spawned futures,
//! and, if you bring a counter, at the live bytes. The least that is seen in a week may not be more than in a week
//! before.
//!
//! ```
//! use plimsoll::conformance::flat::assert_flat;
//! use plimsoll::{Context, Processor};
//! use std::time::Duration;
//!
//! assert_flat(2, |watch| {
//!     let (sim, time) = (watch.sim().clone(), watch.time());
//!     let handler = |minutes: u64, cx: Context| async move { cx.sleep(Duration::from_secs(60 * minutes)).await };
//!     let orders = Processor::builder().spawn_on(sim.clone(), handler).expect("the limits are valid");
//!     watch.processor("orders", &orders);
//!     let submitter = orders.submitter();
//!     sim.spawn(async move {
//!         loop {
//!             let _ = submitter.task(20).post();
//!             time.sleep(Duration::from_secs(3_600)).await;
//!         }
//!     });
//!     orders // What the scenario returns lives to the end.
//! });
//! ```
//!
//! # What makes a good scenario
//!
//! - **Nothing waits outside the simulation.** Handlers wait by [`Context::sleep`](crate::Context::sleep) and call
//!   [fakes](self#a-fake-in-place-of-a-client): the timers and sockets of tokio and smol do not know the simulated
//!   clock, and those of tokio panic. A processor that does not complete a single task in the last week is a
//!   [finding](Finding::NoneCompleted), because such a week proves nothing.
//! - The **load** is the same each week, and rests now and then, if only for a moment each hour: what is seen while
//!   nothing goes on is what is kept. A load that never rests has to be the same to the task.
//! - **What is there for good** is there when the scenario returns, or some minutes later: emitters, subscribers,
//!   schedules, futures.
//! - A class that is at its bound whenever it is looked at is a finding, too, unless it began there: a leak that has
//!   reached its limit does not grow any more.
//! - **What is kept for a time**, such as delayed tasks or a map whose entries live for a day, fills within the week to warm
//!   up, which is not compared.
//! - **The cache and retained results** make room at their bounds, so they are not counted. Their bytes are: let them
//!   fill within the week to warm up, too.
//! - What comes from outside, such as the order of a `std::collections::HashMap`, makes runs differ: see
//!   [`sim`](crate::runtime::sim).
//!
//! # A fake in place of a client
//!
//! The processor is made for any client, by a trait of yours. The service has one on sockets. The scenario has one that
//! answers after a while on the simulated clock:
//!
//! ```
//! use plimsoll::conformance::flat::assert_flat;
//! use plimsoll::runtime::{Runtime, sim::Time};
//! use plimsoll::{BuildError, Processor, Retry};
//! use std::future::Future;
//! use std::time::Duration;
//!
//! trait Client: Clone + Send + Sync + 'static {
//!     fn send(&self, mail: u64) -> impl Future<Output = Result<(), &'static str>> + Send;
//! }
//!
//! type Mails = Processor<fn(u64) -> Result<(), &'static str>>;
//!
//! fn mails(runtime: impl Runtime, client: impl Client) -> Result<Mails, BuildError> {
//!     let builder = Processor::builder().concurrency(8).retry(Retry::times(2));
//!     builder.spawn_on(runtime, move |mail| {
//!         let client = client.clone();
//!         async move { client.send(mail).await }
//!     })
//! }
//!
//! #[derive(Clone)]
//! struct FakeClient(Time);
//!
//! impl Client for FakeClient {
//!     async fn send(&self, mail: u64) -> Result<(), &'static str> {
//!         self.0.sleep(Duration::from_millis(200 + mail % 100)).await;
//!         if mail % 10 == 0 { Err("the other end is busy") } else { Ok(()) }
//!     }
//! }
//!
//! assert_flat(2, |watch| {
//!     let mails = mails(watch.sim().clone(), FakeClient(watch.time())).expect("the limits are valid");
//!     watch.processor("mails", &mails);
//!     let mut number = 0;
//!     let schedule = mails.every(Duration::from_secs(600), move |_due| {
//!         number += 1;
//!         number
//!     });
//!     (schedule, mails)
//! });
//! ```
//!
//! # Live bytes
//!
//! This crate has no `unsafe` code and so no allocator. Bring one to the test. These lines count the bytes of the
//! process, which are exact in a test binary with one test; count in a `thread_local` if there are several: a
//! simulation runs on one thread.
//!
//! ```
//! use std::alloc::{GlobalAlloc, Layout, System};
//! use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
//!
//! static LIVE: AtomicUsize = AtomicUsize::new(0);
//!
//! struct Counting;
//!
//! unsafe impl GlobalAlloc for Counting {
//!     unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
//!         LIVE.fetch_add(layout.size(), Relaxed);
//!         unsafe { System.alloc(layout) }
//!     }
//!     unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
//!         LIVE.fetch_sub(layout.size(), Relaxed);
//!         unsafe { System.dealloc(block, layout) }
//!     }
//! }
//!
//! #[global_allocator]
//! static ALLOCATOR: Counting = Counting;
//!
//! # use plimsoll::conformance::flat::check;
//! # use plimsoll::runtime::sim::Sim;
//! # let found = check(&Sim::new(1), 2, |watch| {
//! watch.bytes(|| LIVE.load(Relaxed), 0); // in the scenario
//! # });
//! # assert!(found.is_ok());
//! ```

mod finding;

use std::fmt;
use std::time::Duration;

use plimsoll_core::ByOutcome;

use crate::runtime::sim::{Sim, Stuck, Time};
use crate::work::AnyWork;
use crate::{Access, Census, Ledger, Submitter};

pub use finding::{Finding, Findings};

const WEEK: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Looks fall into twelve places of an hour, the same ones each week, and not upon whole minutes, when much happens.
const FIRST_LOOK: Duration = Duration::from_secs(137);
const EVERY: Duration = Duration::from_secs(35 * 60);

/// Runs a scenario for a week to warm up and then for so many weeks, at least two, and asserts that it keeps nothing:
/// see the [module](self). A week with a thousand tasks takes a tenth of a second or so.
///
/// # Panics
/// With all findings of [`check`], if there are any, and with what the scenario or a future panics with.
#[track_caller]
#[allow(clippy::panic, reason = "it is an assertion")]
pub fn assert_flat<T>(weeks: u32, scenario: impl FnOnce(&mut Watch) -> T) {
    let sim = Sim::new(1);
    let found = check(&sim, weeks, scenario);
    // Spawned futures may keep the simulation alive.
    sim.kill();
    if let Err(findings) = found {
        panic!("{findings}");
    }
}

/// As [`assert_flat`], on a simulation of yours, with the findings as a value. The simulation goes on from where it
/// stands; what the scenario has spawned stays in it.
///
/// # Errors
/// What is kept or was in the way, if there is any.
///
/// # Panics
/// With what the scenario or a future panics with.
pub fn check<T>(sim: &Sim, weeks: u32, scenario: impl FnOnce(&mut Watch) -> T) -> Result<(), Findings> {
    let mut watch = Watch { sim: sim.clone(), watched: Vec::new(), bytes: None };
    let kept = scenario(&mut watch);
    let mut proof = Proof { rows: Vec::new(), findings: Vec::new() };
    if let Err(stuck) = proof.run(&watch, weeks.max(2)) {
        proof.findings.push(Finding::Stuck(stuck));
    }
    drop(kept);
    if proof.findings.is_empty() { Ok(()) } else { Err(Findings { findings: proof.findings }) }
}

/// What a scenario has: the simulation that it runs on, and the list of what is watched.
pub struct Watch {
    sim: Sim,
    watched: Vec<Watched>,
    /// Reads the live bytes, which may grow by so many.
    bytes: Option<(fn() -> usize, usize)>,
}

/// A processor, or something else of the user's, with its name.
struct Watched {
    name: String,
    look: Box<dyn Fn(&mut Look<'_>)>,
    /// `None` if it is no processor.
    progress: Option<Progress>,
}

/// What a processor has done so far.
struct Progress {
    settled: Box<dyn Fn() -> ByOutcome>,
    /// The text of its last error.
    last_error: Box<dyn Fn() -> Option<String>>,
    /// Whether it is a finding if no task completes.
    has_to_complete: bool,
}

/// Where the counts of one look go: name, class, and the count with its bound.
type Look<'a> = dyn FnMut(&'static str, u64, Option<u64>) + 'a;

impl Watch {
    /// The simulation.
    #[must_use]
    pub const fn sim(&self) -> &Sim {
        &self.sim
    }

    /// Its clock, which spawned futures may hold.
    #[must_use]
    pub fn time(&self) -> Time {
        self.sim.time()
    }

    /// Watches a processor under this name: all that its ledger counts, and the outcomes that nobody has claimed. Keeps
    /// nothing of it alive.
    ///
    /// Some of its tasks have to complete each week, or that is [a finding](Finding::NoneCompleted).
    pub fn processor<W: AnyWork + 'static>(&mut self, name: impl Into<String>, processor: &Access<W>) {
        self.watch(name.into(), processor, true);
    }

    /// As [`processor`](Self::processor), for one whose tasks are meant to fail, to time out or to be cancelled, all of
    /// them: they have to settle each week, and none has to complete.
    pub fn failing_processor<W: AnyWork + 'static>(
        &mut self,
        name: impl Into<String>,
        processor: &Access<W>,
    ) {
        self.watch(name.into(), processor, false);
    }

    fn watch<W: AnyWork + 'static>(&mut self, name: String, processor: &Access<W>, has_to_complete: bool) {
        let submitter = || Submitter::new(processor);
        let (seen, totals, errors) = (submitter(), submitter(), submitter());
        self.watched.push(Watched {
            name,
            look: Box::new(move |look| look_at(&seen.ledger(), &seen.census(), look)),
            progress: Some(Progress {
                settled: Box::new(move || totals.totals().settled),
                last_error: Box::new(move || Some(errors.last_error()?.message.to_string())),
                has_to_complete,
            }),
        });
    }

    /// Watches something else that is to stay as many as it was: entries of a map, open files.
    pub fn count(&mut self, name: impl Into<String>, count: impl Fn() -> usize + 'static) {
        self.watched.push(Watched {
            name: name.into(),
            look: Box::new(move |look| look("items", count() as u64, None)),
            progress: None,
        });
    }

    /// Watches the live bytes that this function reads from an allocator that counts: see the [module](self). They
    /// may grow by `slack`: by nothing if the values in caches, queues and maps are all of one size, else by what
    /// these may differ in. Bytes of the simulation count as well, and go with what has needed them.
    pub fn bytes(&mut self, live: fn() -> usize, slack: usize) {
        self.bytes = Some((live, slack));
    }

    /// Shows everything that is watched, as it is now, always in the same order.
    fn each(&self, mut see: impl FnMut(&str, &'static str, u64, Option<u64>)) {
        for Watched { name, look, .. } in &self.watched {
            look(&mut |class, now, bound| see(name, class, now, bound));
        }
        see("the simulation", "spawned futures", self.sim.spawned() as u64, None);
        if let Some((live, _)) = self.bytes {
            see("the process", BYTES, live() as u64, None);
        }
    }

    fn processors(&self) -> impl Iterator<Item = (&str, &Progress)> {
        let watched = self.watched.iter();
        watched.filter_map(|watched| Some((watched.name.as_str(), watched.progress.as_ref()?)))
    }

    fn settled(&self) -> Vec<ByOutcome> {
        self.processors().map(|(_, progress)| (progress.settled)()).collect()
    }
}

impl Progress {
    /// What is wrong with all that has settled since there was so much.
    fn finding(&self, name: &str, before: &ByOutcome) -> Option<Finding> {
        let settled = (self.settled)().since(before);
        if settled.total() == 0 {
            Some(Finding::Idle { name: name.to_owned() })
        } else if self.has_to_complete && settled.completed == 0 {
            let last_error = (self.last_error)();
            Some(Finding::NoneCompleted { name: name.to_owned(), settled, last_error })
        } else {
            None
        }
    }
}

const BYTES: &str = "live bytes";

/// All classes but the cache and the retained results, which make room for new ones at their bounds, and so keep as
/// much as they may by design.
fn look_at(ledger: &Ledger, census: &Census, look: &mut Look<'_>) {
    for (class, account) in ledger.classes() {
        let (live, bound) = (u64::from(account.live()), u64::from(account.bound));
        match class {
            "cache" | "results" => {}
            // A result has the slot of its task.
            "tasks" => look(class, live.saturating_sub(ledger.results.live().into()), Some(bound)),
            _ => look(class, live, Some(bound)),
        }
    }
    look("unclaimed outcomes", census.unclaimed.into(), None);
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.watched.iter().map(|watched| watched.name.as_str()).collect();
        f.debug_struct("Watch").field("watched", &names).field("bytes", &self.bytes.is_some()).finish()
    }
}

/// One class of one thing that is watched.
struct Row {
    name: String,
    class: &'static str,
    bound: Option<u64>,
    /// How many there were when the scenario and what it has spawned had begun.
    first: u64,
    /// The least of each week. Its memory is there from the beginning, so that it is no part of what grows.
    least: Vec<u64>,
}

impl Row {
    fn new(name: &str, class: &'static str, first: u64, bound: Option<u64>, weeks: u32) -> Self {
        let least = vec![u64::MAX; weeks as usize + 1];
        Self { name: name.to_owned(), class, bound, first, least }
    }

    fn finding(&self, slack: u64) -> Option<Finding> {
        let slack = if self.class == BYTES { slack } else { 0 };
        // Caches fill in the week to warm up, and so do delays and what else is kept for a time.
        let [before @ .., last] = self.least.get(1..)? else { return None };
        let (name, class, before) = (self.name.clone(), self.class, before.iter().min()?);
        if last.saturating_sub(*before) > slack {
            return Some(Finding::Grew { name, class, by: last - before, least: self.least.clone() });
        }
        let bound = self.bound.filter(|bound| *bound > 0 && bound == last && self.first < *bound)?;
        Some(Finding::Full { name, class, bound })
    }
}

struct Proof {
    rows: Vec<Row>,
    findings: Vec<Finding>,
}

impl Proof {
    /// Lets a week pass to warm up and then so many weeks, looks, and compares.
    fn run(&mut self, watch: &Watch, weeks: u32) -> Result<(), Stuck> {
        if watch.watched.is_empty() && watch.bytes.is_none() {
            self.findings.push(Finding::Nothing);
            return Ok(());
        }
        watch.sim.run_until_idle()?;
        watch.each(|name, class, now, bound| self.rows.push(Row::new(name, class, now, bound, weeks)));
        let mut settled = Vec::new();
        for week in 0..=weeks as usize {
            settled = watch.settled();
            self.week(watch, week)?;
        }
        let processors = watch.processors().zip(&settled);
        self.findings
            .extend(processors.filter_map(|((name, progress), before)| progress.finding(name, before)));
        let slack = watch.bytes.map_or(0, |(_, slack)| slack as u64);
        self.findings.extend(self.rows.iter().filter_map(|row| row.finding(slack)));
        Ok(())
    }

    fn week(&mut self, watch: &Watch, week: usize) -> Result<(), Stuck> {
        let end = watch.sim.now().saturating_add(WEEK);
        watch.sim.advance(FIRST_LOOK)?;
        while watch.sim.now() < end {
            let mut rows = self.rows.iter_mut();
            watch.each(|_, _, now, _| {
                if let Some(least) = rows.next().and_then(|row| row.least.get_mut(week)) {
                    *least = now.min(*least);
                }
            });
            let left = end.saturating_since(watch.sim.now());
            watch.sim.advance(left.min(EVERY))?;
        }
        Ok(())
    }
}
