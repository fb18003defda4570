//! A test of hosts: random scripts that find what a host of your own does wrong.
//!
//! A *host* is what stands around a [`Processor`]: it starts attempts, performs effects, keeps a timer and comes to
//! an end. [`check`](super::check) sees whether the machine does what it must. [`check_host`] sees whether the host
//! does: it runs a [`Script`] on it on a simulated clock, decides how handlers end, and compares what is seen of the
//! host with what the machine says. Implement [`Host`] for yours, which takes a dozen lines, and give it a few
//! thousand scripts:
//!
//! ```
//! # mod example {
//! use plimsoll_core::testkit::hosts::{Errand, Host, Job, Reply, Script, Stepped, check_host};
//! use plimsoll_core::{AttemptId, BuildError, Drain, Effect, Instant, Limits, Offer, Plan, Processor, Route};
//! use plimsoll_core::{TaskId, Terms, Wake};
//!
//! struct Jobs;
//! #[rustfmt::skip]
//! impl Plan for Jobs {
//!     type Job = Job;
//!     type Output = u32; type Error = u32; type Panic = u32;
//!     type Callback = Reply;
//!     type Meta = (); type Waiter = (); type Listener = (); type Key = (); type Value = ();
//! }
//!
//! struct Loop(Processor<Jobs>, Vec<(AttemptId, Job)>);
//!
//! impl Loop {
//!     fn new(limits: Limits, now: Instant) -> Result<Self, BuildError> {
//!         Ok(Self(Processor::new(limits, now)?, Vec::new()))
//!     }
//!
//!     fn report(&mut self, now: Instant, attempt: AttemptId, job: Job) {
//!         // A report that is late hands its value back: the task had ended, and nobody needs it.
//!         match job.step() {
//!             Stepped::Completed(value) => drop(self.0.completed(now, attempt, value)),
//!             Stepped::Failed(value) => drop(self.0.failed(now, attempt, value, Some(job), None, &"failed".into())),
//!             Stepped::Panicked(value) => drop(self.0.panicked(now, attempt, value, Some(job), &"panicked".into())),
//!             _ => self.1.push((attempt, job)),
//!         }
//!     }
//!
//!     fn perform(&mut self, now: Instant, effect: Effect<Jobs>) {
//!         match effect {
//!             Effect::Settle(settled) => settled.callback.iter().for_each(|reply| reply.send(&settled.outcome)),
//!             Effect::Stop(stop) => {
//!                 let Some(at) = self.1.iter().position(|(attempt, _)| *attempt == stop.attempt) else { return };
//!                 let (attempt, job) = self.1.swap_remove(at);
//!                 let _ = self.0.stopped(now, attempt, Some(job));
//!             }
//!             _ => {} // It has no handles, emitters, schedules, sources and cache.
//!         }
//!     }
//! }
//!
//! #[rustfmt::skip]
//! impl Host for Loop {
//!     type Plan = Jobs;
//!     fn machine(&self) -> &Processor<Jobs> { &self.0 }
//!     fn submit(&mut self, now: Instant, errand: Errand, terms: &Terms) -> Option<TaskId> {
//!         self.0.submit(now, Offer::new(errand.job, ()).route(Route::Callback(errand.reply)), terms).ok()
//!     }
//!     fn cancel(&mut self, now: Instant, task: TaskId) { let _ = self.0.cancel(now, task); }
//!     fn drain(&mut self, now: Instant, mode: Drain) { self.0.drain(now, mode) }
//!     fn wake(&self) -> Wake { self.0.next_wake() }
//!     fn turn(&mut self, now: Instant) {
//!         std::mem::take(&mut self.1).into_iter().for_each(|(attempt, job)| self.report(now, attempt, job));
//!         while self.0.advance(now, 64).more {}
//!         while let Some(start) = self.0.start_next(now) { self.1.push((start.attempt, start.job)) }
//!         while let Some(effect) = self.0.poll_effect() { self.perform(now, effect) }
//!     }
//! }
//!
//! # pub fn main() {
//! for seed in 0..100 {
//!     check_host(Loop::new, &Script::from_seed(seed)).unwrap_or_else(|finding| panic!("{finding}"));
//! }
//! # }
//! # }
//! # example::main();
//! ```
//!
//! # What a host has to do, in the order in which one writes it
//!
//! 1. **Types.** A [`Plan`] names the values that the machine keeps. [`Simple`](crate::Simple) does for many.
//! 2. **Commands** ([`Promise::Commands`]). Pass them on with the time. Drop, or hand back, what is refused, and do not
//!    call its callback.
//! 3. **Starts** ([`Promise::Starts`]). Call [`start_next`](Processor::start_next) until `None`. Run what it hands
//!    out, and nothing else. Keep each attempt by its [`AttemptId`](crate::AttemptId), never by its task: a task may
//!    have several, one after the other.
//! 4. **Reports** ([`Promise::Reports`]). Whatever way an attempt ends, report it, once: `completed`, `failed`,
//!    `panicked`, `stopped` or `snoozed`. Give the job back with a failure if there may be a further attempt. What
//!    the machine does not need comes back with the answer.
//! 5. **Time.** Reports first, then [`advance`](Processor::advance) until its `more` is false, then commands and
//!    starts: see the [clock rule](crate#the-clock-rule). Else what was done in time has timed out.
//! 6. **Effects.** Take them until `None`, after each of the calls above, and while the machine ends. `Settle` calls
//!    the callback ([`Promise::Callbacks`]). `Stop` makes an attempt stop, and it keeps its place until that is
//!    reported ([`Promise::Stops`]): drop it and report at once, or tell it, and report when it has stopped. The
//!    [table](crate#what-each-effect-asks-of-the-host) has the others.
//! 7. **A timer** ([`Promise::Wakes`], [`Promise::Rest`]). After every call, commands included, read
//!    [`next_wake`](Processor::next_wake) again: it may have become earlier. Have a turn then, and none while it says
//!    [`Wake::Never`].
//! 8. **The end** ([`Promise::End`]). Go on as before until [`Effect::Drained`](crate::Effect::Drained). Then drop
//!    attempts that are in hand still, unset the timer, and drop the machine.
//!
//! # What it asserts, and what it leaves to you
//!
//! In tests of your own assert the same after each turn, with your types and handlers: `census() == audit()`; as many
//! attempts in hand as `census().running + census().orphans`; `next_wake` not due; at the end `census().is_empty()`,
//! every callback called, and live bytes as before.
//!
//! A script submits tasks with priorities, delays, time-outs and retries, cancels them, lets handlers complete, fail,
//! panic and not listen, has timers fire late, and drains the host in every mode or drops it. It uses no handles,
//! permits, sleeps, emitters, schedules, sources and no cache: these are the host's to test. It does not ask whether
//! the host gives jobs back for further attempts: look at [`Summary::totals`]. Handlers leave no wakers, so a host
//! with futures polls all of them in each turn.

mod errand;
mod finding;
mod run;
mod script;
mod shrink;
mod task;
mod tracked;

pub use errand::{Errand, Job, Reply, Stepped};
pub use finding::{Finding, Promise};
pub use run::Summary;
pub use script::{End, Script, Step};
pub use task::{Ending, Task};

use crate::{BuildError, Drain, Instant, Limits, Plan, Processor, TaskId, Terms, Wake};
use run::Run;

/// A host of the core that is to be tested. Its handler is [`Job::step`], and its callbacks are [`Reply::send`].
pub trait Host {
    /// The types of its machine.
    type Plan: Plan;

    /// Whether it catches panics of handlers. Otherwise none panics.
    const PANICS: bool = true;

    /// Its machine, to be looked at.
    fn machine(&self) -> &Processor<Self::Plan>;

    /// Submits a task with this job and this callback. `None` if it is refused.
    fn submit(&mut self, now: Instant, errand: Errand, terms: &Terms) -> Option<TaskId>;

    /// Cancels a task, which may have ended.
    fn cancel(&mut self, now: Instant, task: TaskId);

    /// Begins the end.
    fn drain(&mut self, now: Instant, mode: Drain);

    /// When it wants its next turn: what its timer is set to, or [`Wake::Now`] if its loop goes on at once. A loop
    /// that runs anyway, such as that of a game, says what its machine says.
    fn wake(&self) -> Wake;

    /// One round of its loop. There is one when [`wake`](Self::wake) says so, when handlers have ended, and now and
    /// then without need.
    fn turn(&mut self, now: Instant);
}

/// Runs a script on a host. `make` builds one with these limits, at this instant; it is called again for each attempt
/// at a shorter script if a promise is broken.
///
/// # Errors
/// The first promise that is broken, with a script of which every step is needed, as far as 500 further runs have shown.
///
/// # Panics
/// If the host does: nothing is caught here, so print the seed of a script before it runs.
pub fn check_host<H: Host>(
    mut make: impl FnMut(Limits, Instant) -> Result<H, BuildError>,
    script: &Script,
) -> Result<Summary, Finding> {
    run_once(&mut make, script)
        .map_err(|finding| shrink::shrunk(finding, |script| run_once(&mut make, script).err()))
}

fn run_once<H: Host>(
    make: &mut impl FnMut(Limits, Instant) -> Result<H, BuildError>,
    script: &Script,
) -> Result<Summary, Finding> {
    let found = |broken: finding::Broken, step, at| Finding {
        promise: broken.promise,
        what: broken.what,
        step,
        at,
        script: script.clone(),
    };
    let mut run = Run::new(make, script).map_err(|broken| found(broken, 0, Instant::ZERO))?;
    if let Err(broken) = run.run(script) {
        return Err(found(broken, run.step, run.now));
    }
    let step = run.step;
    let (at, ended) = run.end(script);
    ended.map_err(|broken| found(broken, step, at))
}
