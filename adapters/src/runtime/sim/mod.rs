//! A deterministic runtime on a virtual clock: weeks of your handlers in seconds, in a test.
//!
//! A simulation has one thread, which is the caller's, and a clock that stands still as long as anything can be done.
//! When nothing can, [`Sim::block_on`] moves the clock to the next timer. Which of the ready futures is polled next is
//! drawn from the seed, and so is the order in which timers of the same instant fire. The same seed gives the same run;
//! another seed gives another order of events, to be tried too.
//!
//! A week of a handler that fails now and then, with a job a minute:
//!
//! ```
//! use plimsoll::runtime::sim::Sim;
//! use plimsoll::{Context, Processor, Retry};
//! use std::time::Duration;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let sim = Sim::new(7);
//! let processor = Processor::builder()
//!     .timeout(Duration::from_secs(30))
//!     .retry(Retry::times(2).base(Duration::from_secs(5)))
//!     .spawn_on(sim.clone(), |minute: u32, cx: Context| async move {
//!         cx.sleep(Duration::from_secs(u64::from(minute % 40))).await.map_err(|_| "stopped")?;
//!         if minute % 7 < cx.attempt() { Ok(minute) } else { Err("not yet") }
//!     })?;
//!
//! let time = sim.time();
//! let completed = sim.block_on(async {
//!     let mut completed = 0;
//!     for minute in 0..7 * 24 * 60 {
//!         let handle = processor.submit(minute)?;
//!         time.sleep(Duration::from_secs(60)).await;
//!         completed += u32::from(handle.await.is_ok());
//!     }
//!     Ok::<_, Box<dyn std::error::Error>>(completed)
//! })??;
//! assert!(sim.now().as_millis() >= 7 * 24 * 3_600_000);
//! assert!((3_000..5_000).contains(&completed), "{completed}");
//! # Ok(())
//! # }
//! ```
//!
//! Handlers wait by [`Context::sleep`](crate::Context::sleep), and what else is simulated by [`Time::sleep`]. The timers and
//! sockets of tokio and smol do not know this clock, and those of tokio panic ("there is no reactor running"), which
//! settles the task as panicked: give a handler a fake in place of its client. The module `conformance::flat` (feature
//! `conformance`) has an example.
//!
//! What makes a run differ from the last one with the same seed is what comes from outside: real time, real threads,
//! addresses, and the order of a `std::collections::HashMap`. Keep them out of what you simulate.

mod hub;
mod run;
#[cfg(test)]
mod tests;
mod time;

use std::fmt;
use std::future::Future;
use std::panic::resume_unwind;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use crate::Instant;
use crate::runtime::{Runtime, Threads};
use hub::Hub;
pub use time::{SimTimer, Sleep, Time};

/// A simulation: an executor, a virtual clock that begins at [`Instant::ZERO`], and a source of random numbers.
///
/// Cloning gives a further handle of the same simulation. When the last handle is dropped, so is every spawned future, in
/// an order drawn from the seed; timers, wakers and [`Time`]s keep nothing alive. A spawned future that holds a handle
/// keeps itself alive: give it a [`Time`] instead, or call [`kill`](Self::kill).
///
/// What is spawned is polled only within [`block_on`](Self::block_on), [`run_until_idle`](Self::run_until_idle),
/// [`advance`](Self::advance) and [`step`](Self::step), by the calling thread, one call at a time. A panic of a spawned
/// future ends that future and goes on to the caller; afterwards the simulation can be used as before. (A handler's panic
/// is caught by its processor and does not come here.)
#[derive(Clone)]
pub struct Sim(Arc<Owner>);

/// All handles of one simulation.
struct Owner(Arc<Hub>);

impl Drop for Owner {
    fn drop(&mut self) {
        let panic = self.0.close();
        if let Some(panic) = panic.filter(|_| !thread::panicking()) {
            resume_unwind(panic);
        }
    }
}

/// Why a simulation did not get further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stuck {
    /// Nothing is ready and no timer is armed: nothing can ever happen any more, unless another thread wakes a future.
    Stalled {
        /// How many futures wait, the one of [`Sim::block_on`] included.
        waiting: usize,
        /// The time on the virtual clock.
        at: Instant,
    },
    /// There was always a future ready, and the clock could not move: see [`Sim::poll_limit`].
    Spinning {
        /// How many polls there were at this instant.
        polls: u64,
        /// The time on the virtual clock.
        at: Instant,
    },
    /// The future was not ready for as long as [`Sim::time_limit`] allows.
    TooLong {
        /// How many futures wait, the one of [`Sim::block_on`] included.
        waiting: usize,
        /// The time on the virtual clock.
        at: Instant,
    },
    /// The simulation is run already, by one of its own futures or by another thread.
    Nested,
}

impl fmt::Display for Stuck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stalled { waiting, at } => {
                write!(f, "stalled at {at:?}: {waiting} futures wait, and no timer is armed")
            }
            Self::Spinning { polls, at } => {
                write!(f, "spinning at {at:?}: after {polls} polls a future is still ready")
            }
            Self::TooLong { waiting, at } => {
                write!(f, "over the time limit at {at:?}: {waiting} futures wait, and timers are armed")
            }
            Self::Nested => f.write_str("the simulation is being run already"),
        }
    }
}

impl std::error::Error for Stuck {}

impl Sim {
    /// A simulation with this seed, which has nothing to do.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Owner(Hub::new(seed))))
    }

    /// Sets how many polls there may be at one instant of the virtual clock within one call before that call gives up
    /// with [`Stuck::Spinning`]; at least one. Default: 1,000,000.
    #[must_use]
    pub fn poll_limit(self, polls: u64) -> Self {
        self.hub().set_poll_limit(polls);
        self
    }

    /// Sets how far one call of [`block_on`](Self::block_on) may move the clock before it gives up with
    /// [`Stuck::TooLong`]: an interval that is never stopped would otherwise keep it going for centuries. Default: 400
    /// days.
    #[must_use]
    pub fn time_limit(self, limit: Duration) -> Self {
        self.hub().set_time_limit(limit);
        self
    }

    /// Makes [`Runtime::threads`] say [`Threads::Several`], so that a processor has as many workers as on a pool of
    /// threads. They still run one at a time, in an order drawn from the seed: more orders of events are reached.
    #[must_use]
    pub fn several_threads(self) -> Self {
        self.hub().set_threads(Threads::Several);
        self
    }

    /// Adds a future, which is polled when the simulation runs next. After [`kill`](Self::kill) it is dropped at once.
    pub fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        self.hub().spawn(Box::pin(future));
    }

    /// Runs the simulation until this future is ready. Whenever no future is, the clock moves to the next timer.
    ///
    /// # Errors
    /// [`Stuck`], when the future cannot become ready, or takes too long.
    ///
    /// # Panics
    /// With what this future or a spawned one panicked with.
    pub fn block_on<F: Future>(&self, future: F) -> Result<F::Output, Stuck> {
        let mut future = pin!(future);
        let mut output = None;
        let mut run = self.hub().run()?;
        let latest = self.now().saturating_add(run.time_limit());
        run.enlist();
        loop {
            let is_over = run.poll_ready(&mut |cx: &mut Context<'_>| {
                if let Poll::Ready(ready) = future.as_mut().poll(cx) {
                    output = Some(ready);
                }
                output.is_some()
            })?;
            match output.take().filter(|_| is_over) {
                Some(output) => return Ok(output),
                None if run.jump(latest) => {}
                None => return Err(run.stuck()),
            }
        }
    }

    /// Polls what is ready until nothing is. The clock does not move.
    ///
    /// # Errors
    /// [`Stuck::Spinning`] or [`Stuck::Nested`].
    ///
    /// # Panics
    /// With what a spawned future panicked with.
    pub fn run_until_idle(&self) -> Result<(), Stuck> {
        self.hub().run()?.poll_ready(&mut no_main).map(drop)
    }

    /// Moves the clock on by this much. All that falls due on the way is run at its time, in order, and so is what is
    /// ready before and after.
    ///
    /// # Errors
    /// [`Stuck::Spinning`] or [`Stuck::Nested`]; the clock has then not gone all the way.
    ///
    /// # Panics
    /// With what a spawned future panicked with.
    pub fn advance(&self, by: Duration) -> Result<(), Stuck> {
        let mut run = self.hub().run()?;
        let until = self.now().saturating_add(by);
        loop {
            run.poll_ready(&mut no_main)?;
            if !run.jump(until) {
                run.set_clock(until);
                return Ok(());
            }
        }
    }

    /// Polls one future that is ready, drawn from all that are. Whether there was one. The clock does not move.
    ///
    /// # Errors
    /// [`Stuck::Nested`].
    ///
    /// # Panics
    /// With what the future panicked with.
    pub fn step(&self) -> Result<bool, Stuck> {
        self.hub().run()?.poll_one(&mut no_main).map(|polled| polled.is_some())
    }

    /// Drops every spawned future, in an order drawn from the seed, and from now on everything that is spawned: the
    /// runtime stops. One that is being polled is dropped when its poll returns. The clock, timers and
    /// [`block_on`](Self::block_on) go on working.
    ///
    /// # Panics
    /// With what the drop of a future panicked with, after all are dropped.
    pub fn kill(&self) {
        if let Some(panic) = self.hub().kill() {
            resume_unwind(panic);
        }
    }

    /// The virtual time.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.hub().now()
    }

    /// The clock and its timers, for futures that are spawned: it does not keep the simulation alive.
    #[must_use]
    pub fn time(&self) -> Time {
        Time::of(self.hub())
    }

    /// Ready after this much virtual time, counted from this call.
    pub fn sleep(&self, duration: Duration) -> Sleep {
        self.time().sleep(duration)
    }

    /// Ready at this instant of the virtual clock; at once if that has passed.
    pub fn sleep_until(&self, until: Instant) -> Sleep {
        self.time().sleep_until(until)
    }

    /// When the next timer fires, if one is armed.
    #[must_use]
    pub fn next_timer(&self) -> Option<Instant> {
        self.hub().next_timer()
    }

    /// Whether no future is ready to be polled.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.hub().counts().ready == 0
    }

    /// How many spawned futures there are that have not come to their end.
    #[must_use]
    pub fn spawned(&self) -> usize {
        self.hub().counts().spawned
    }

    fn hub(&self) -> &Arc<Hub> {
        &self.0.0
    }
}

/// For runs without a future of the caller's.
fn no_main(_: &mut Context<'_>) -> bool {
    false
}

impl Runtime for Sim {
    type Timer = SimTimer;

    fn threads(&self) -> Threads {
        self.hub().threads()
    }

    fn clock(&self) -> impl Fn() -> Instant + Send + Sync + 'static {
        let clock = self.hub().clock();
        move || clock.now()
    }

    fn timer(&self) -> SimTimer {
        SimTimer::new(self.time())
    }

    fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        Self::spawn(self, future);
    }

    /// The next number that is drawn from the seed of the simulation.
    fn seed(&self) -> u64 {
        self.hub().draw()
    }
}

impl fmt::Debug for Sim {
    /// Counts, never contents.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = self.hub().counts();
        f.debug_struct("Sim")
            .field("seed", &self.hub().seed())
            .field("now", &self.now())
            .field("spawned", &counts.spawned)
            .field("ready", &counts.ready)
            .field("timers", &counts.timers)
            .finish()
    }
}
