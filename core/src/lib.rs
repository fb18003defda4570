//! A task processor as a sans-IO state machine: bounded, deterministic, `no_std`.
//!
//! The machine reads no clock, spawns nothing, waits for nothing and calls no code of its host. The host tells it what
//! has happened and what time it is, and asks it what to do next. [`Limits`] fix what the machine can ever hold when it
//! is built. Every value that goes in comes out exactly once. The machine can prove both while it runs
//! ([`Processor::census`], [`Processor::audit`], [`Processor::ledger`]).
//!
//! # What it is for
//!
//! Take this crate to put a task processor into a loop of your own: an event loop, a game loop with a budget a frame, an RTOS, a
//! binding to another language, a simulator, a fuzzer. To run jobs on tokio, on smol or on an executor that implements a small
//! trait, take the crate `plimsoll`, which does all that is said here and has handlers, handles and callbacks. This crate is
//! not an executor: it says which attempt is to start, and never polls a future.
//!
//! The [guide](guide::driving) builds a host step by step. The feature `testkit` finds what a host does wrong,
//! by random scripts on a simulated clock.
//!
//! # Six words
//!
//! | word | meaning |
//! |---|---|
//! | *task* | a job that was admitted, with its [`Terms`]: priority, delay, time-outs, retries |
//! | *attempt* | one try at a task, from [`Processor::start_next`] to the host's report; an *orphan* once its task has settled without it |
//! | *settled* | the outcome of a task is fixed, which happens once |
//! | *permit* | room for tasks to come, which nobody else can take |
//! | *lane* | the tasks of one key, with a limit, a rate and a weight of their own |
//! | *effect* | something that the machine asks of its host |
//!
//! # What a host must not forget
//!
//! A machine never blocks, so a host that makes no progress has left something out:
//!
//! - **An attempt that is never reported** keeps its concurrency place for ever. Report each one, also one that was asked to stop:
//!   [`Processor::stopped`].
//! - **Effects that are not polled** keep the slots of settled tasks: submissions are refused with [`Refusal::Backlog`].
//! - **A permit that is kept** keeps room from all others; [`Processor::leave`] gives it back.
//! - **Outcomes that nobody claims** use up [`Limits::unclaimed`]; a handle that is dropped has to be [released](Processor::release).
//! - **A time that stands still** lets no deadline pass: call [`Processor::advance`] when [`Processor::next_wake`] says so.
//!
//! # The run loop
//!
//! ```
//! use plimsoll_core::{Effect, Instant, Limits, Offer, Plan, Processor, Route, Terms, Wake};
//! use core::time::Duration;
//!
//! struct Sums;
//! impl Plan for Sums {
//!     type Job = Vec<u32>;
//!     type Output = u32;
//!     type Error = ();
//!     type Panic = ();
//!     type Meta = ();
//!     type Callback = Box<dyn FnOnce(u32)>;
//!     type Waiter = ();
//!     type Listener = ();
//!     type Key = ();
//!     type Value = ();
//! }
//!
//! let mut now = Instant::ZERO; // your clock
//! let mut processor = Processor::<Sums>::new(Limits::default(), now)?;
//!
//! let terms = Terms::new().delay(Duration::from_millis(250)); // for any number of tasks
//! let callback = Route::Callback(Box::new(|sum| assert_eq!(sum, 6_u32)) as Box<dyn FnOnce(u32)>);
//! processor.submit(now, Offer::new(vec![1, 2, 3], ()).route(callback), &terms)?;
//!
//! loop {
//!     // 1. Reports first, of attempts that have ended since the last round. Here each ends as soon as it starts.
//!     // 2. Then the time.
//!     while processor.advance(now, 64).more {}
//!     // 3. Then commands, and starts.
//!     while let Some(start) = processor.start_next(now) {
//!         let sum = start.job.iter().sum();
//!         let _ = processor.completed(now, start.attempt, sum);
//!     }
//!     // 4. Then the effects: what the machine asks of the host.
//!     while let Some(effect) = processor.poll_effect() {
//!         if let Effect::Settle(settled) = effect {
//!             if let (Some(callback), plimsoll_core::Outcome::Completed(sum)) = (settled.callback, settled.outcome) {
//!                 callback(sum);
//!             }
//!         }
//!     }
//!     // 5. Wait until something happens.
//!     match processor.next_wake() {
//!         Wake::Now(_) => {}
//!         Wake::At(at, _) => now = at, // or sleep until then
//!         Wake::Never => break,
//!     }
//! }
//! assert!(processor.census().is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The life of a task
//!
//! Each state, what can happen to a task in it, and where that leads:
//!
//! ```text
//!  submit   ─┬─ with a delay ─────────────────► Delayed
//!            └─ without ──────────────────────► Queued
//!
//!  Delayed  ─┬─ Ready ────────────────────────► Queued
//!            └─ TimeOut, Cancel ──────────────► Settled
//!  Queued   ─┬─ Start ────────────────────────► Running
//!            └─ TimeOut, Cancel, Expire, Shed ► Settled
//!  Running  ─┬─ Complete, Fail, Panic ────────► Settled
//!            ├─ Retry ────────────────────────► Backoff
//!            ├─ Halt ─────────────────────────► Halting
//!            └─ TimeOut, Cancel ──────────────► Stopping
//!  Halting  ─┬─ Complete, Fail, Panic ────────► Settled
//!            ├─ Retry ────────────────────────► Backoff
//!            └─ TimeOut, Cancel ──────────────► Stopping
//!  Backoff  ─┬─ Ready ────────────────────────► Queued
//!            └─ TimeOut, Cancel ──────────────► Settled
//!
//!  Settled  ─── Release ──────────────────────► (free)
//!  Stopping ─┬─ Release ──────────────────────► Orphan
//!            └─ Stopped, Abandon ─────────────► Settled
//!  Orphan   ─── Stopped, Abandon ─────────────► (free)
//! ```
//!
//! A task is *settled* when its outcome is fixed, which happens exactly once. The outcome is *released* when it leaves
//! the machine: by an effect, to its handle, or as a retained result. Then the slot is freed, unless an attempt still
//! runs.
//!
//! A task that is timed out or cancelled while it runs settles at once. Its attempt is then an **orphan**, which keeps
//! its concurrency place until the host reports that it has *stopped*, or the end *abandons* it. The task is *Stopping*
//! until the outcome is released, and *Orphan* after that.
//!
//! An attempt can be *snoozed*: it came too early and does not count. The task backs off, as for a *Retry*, and is
//! tried again as if that attempt had never started ([`Processor::snoozed`]).
//!
//! A task that is to be tried again after a time-out ([`Retry::on_timeout`]) is not settled when its attempt misses its
//! start-to-close or its heartbeat deadline. The attempt is asked to *halt*. The task backs off when the attempt has
//! stopped, so two attempts at a task never run at the same time. Until then reports count, and a cancel or the
//! schedule-to-close time-out ends the task, as in *Running*.
//!
//! A host sees these states as the [`Stage`] of a [`TaskView`]. Some have other names there: *Backoff* is
//! [`Stage::BackingOff`], *Halting* is [`Stage::Stopping`], and *Stopping* and *Orphan* are both [`Stage::Orphaned`].
//!
//! # The clock rule
//!
//! - The host passes the time in, as [`Instant`]s since an origin of its choice. Time may stand still. An instant
//!   before the latest one counts as the latest one.
//! - Deadlines act in [`Processor::advance`] and in [`Processor::start_next`], which starts no overdue task, and
//!   nowhere else. A report counts whenever it comes, unless its task was timed out or cancelled before: then the value
//!   comes back as [`Late`].
//! - At one instant, give reports first, then call `advance`, then give commands and start attempts. So an attempt that
//!   ends at its deadline has ended in time, and so has one that ends later, while the host is too busy to call
//!   `advance`.
//! - The start-to-close time-out of an attempt counts from the `start_next` that hands it out, or from a later call of
//!   its handler that the host reports with [`Processor::began`]. So does its heartbeat time-out, and after that from each
//!   [`Processor::heartbeat`]. A heartbeat counts whenever it comes, unless the attempt was timed out before.
//! - Timers have a tick of one millisecond, to which deadlines are rounded up. A deadline on a whole millisecond fires
//!   exactly then; none fires early.
//! - [`Processor::next_wake`] is never later than the earliest deadline. It may be earlier, when far timers have to be
//!   re-sorted, or when a heartbeat has moved a deadline. Calling the method that its [`Reason`] names, at that instant, always makes progress, so no loop can
//!   spin.
//!
//! # What each effect asks of the host
//!
//! | effect | the host |
//! |---|---|
//! | [`Effect::Stop`] | makes the attempt stop, then reports [`Processor::stopped`], with the job if it has a copy |
//! | [`Effect::Observe`] | sees how a task ended, and gives the outcome back by [`Processor::observed`] |
//! | [`Effect::Settle`] | calls the callback with the outcome |
//! | [`Effect::Wake`] | wakes the waiter |
//! | [`Effect::Discard`] | drops an outcome that nobody took |
//! | [`Effect::Detach`] | drops an emitter's registrations |
//! | [`Effect::Due`] | does what the schedule is for, then calls [`Processor::schedule_done`] |
//! | [`Effect::Unschedule`] | forgets a schedule |
//! | [`Effect::Uncache`] | drops a cache entry |
//! | [`Effect::Sweep`] | calls [`Processor::sweep`] until nothing is left |
//! | [`Effect::Drained`] | may read [`Processor::remains`] and drop the machine, which holds only what its end kept |
//!
//! Attempts are not effects: the host pulls them with [`Processor::start_next`] when it has a place.
//!
//! The module `testkit::hosts` (feature `testkit`) lists all that a host has to do, and finds what yours does not do.
//!
//! # Room
//!
//! [`Processor::submit`] refuses a task for which there is no room. A host that would rather wait, or has to know
//! before it makes a job, gets a permit first: [`Processor::reserve`] grants one at once or not at all;
//! [`Processor::wait_for_room`] joins a line that is served in order of arrival. Each place of a permit takes room for
//! one task in the queue, one task slot, and one of [`Limits::unclaimed`], for as long as the permit holds it. So
//! [`Reserved::submit`] is never refused for lack of these.
//!
//! A host that would rather lose old work than new lets a full queue shed a task: [`Limits::overflow`].
//!
//! # Lanes, rates and holds
//!
//! Tasks with one key can share a [`Lane`]: a concurrency limit, a rate of starts and a weight, all part of their
//! [`Terms`]. While several lanes have something to start, a free place goes to the one that has the fewest for its
//! weight. So each has its share to within one task, however long its attempts take, and what one does not use is there
//! for the others. [`Limits::lanes`] bounds how many there are, and how many tasks of one may wait: a stuck lane delays
//! no other and does not fill the queue. A lane exists while it has a task or something shuts it, so keys leave nothing
//! behind.
//!
//! A [`Rate`], of a lane or of all starts ([`Limits::rate`]), and a hold ([`Processor::hold`],
//! [`Processor::hold_lane`]) shut for a time. A timer opens again what they shut, so nobody polls.
//!
//! # Sources
//!
//! Work that has to survive the process is kept by an engine outside, and comes from there as *deliveries*. For a
//! [source](Processor::open_source) the machine keeps what of that is state; its host moves the messages:
//!
//! - **Credit.** [`Processor::begin_pull`] says how much may be asked for, which is never more than there is a place for.
//!   Deliveries need no room in the queue. What is pulled and not confirmed keeps its place, so nothing grows while the
//!   engine is away.
//! - **Verdicts.** When the task of a delivery has settled, the engine is owed a [`Verdict`]: done, again, or dead. It is
//!   kept until the engine has confirmed it. The receipts of the engine stay with the host, by [`DeliveryId`].
//! - **Leases.** [`Processor::next_renewal`] names what is held, and nothing else, each third of the lease.
//! - **Errors** of the engine are counted, and leave it alone for a time that doubles; they end nothing.
//! - **The drain** pulls nothing more, hands back what has not begun, finishes the rest, and waits until all of it is
//!   confirmed.
//!
//! A crash between an outcome and its confirmation delivers again: at least once. Give each task the identity of its job
//! as its [`Unique`] key, with a window, and what has completed lately is not done again.
//!
//! # Monitored attempts
//!
//! With [`Limits::monitor`] the machine knows more of a running attempt than its start:
//!
//! - **Heartbeats.** An attempt that does not tell for as long as [`Timeouts::heartbeat`] that it is alive is treated as
//!   one that ran for too long: it settles as timed out, or is tried again ([`Retry::on_timeout`]).
//! - **Progress.** [`Processor::progress`] says how far the attempt has got, and is a heartbeat, too. The latest value is
//!   part of the [`TaskView`].
//! - **A watchdog.** What runs for longer than [`Terms::slow_after`] is reported once an attempt, by [`Event::Slow`], in
//!   [`Totals::slow`] and, for as long as it runs, in [`Health::slow`]. Nothing else changes for its task.
//!
//! A task has one timer for all of that. A heartbeat costs no more than a few stores.
//!
//! # What `Debug` shows
//!
//! Ids, kinds, counts and times; metadata, in events, views and the last error; the host's texts for the last error and
//! for a cancel. Never a job, a result, a callback, a waiter, or a key or value of the cache.
//!
//! # What may grow
//!
//! A type that may get another variant or field in a later version is `#[non_exhaustive]`: effects, events, outcomes,
//! reasons, reports. Exhaustive are the answers that say whether to keep waiting ([`Claim`], [`Next`], [`RoomStatus`],
//! [`SleepStatus`]) or when to come back ([`Wake`]), and [`Phase`]: a catch-all arm would have to guess there. A
//! literal of [`Timeouts`] or [`CacheLimits`] should end with `..Timeouts::NONE` or the like.
//!
//! # What calls cost
//!
//! Every call is O(1) and allocates nothing, with these exceptions:
//!
//! | call | cost |
//! |---|---|
//! | [`Processor::new`] | O(limits), and the only call that allocates |
//! | [`Processor::advance`], [`Processor::sweep`] | O(budget) |
//! | [`Processor::feed_batch`] | O(batch) |
//! | [`Processor::audit`] | O(limits) |
//! | [`Processor::inspect`] | O(slots) |
//! | submissions, starts and ends of tasks in lanes, and holds | O(log lanes); one new lane in very many O(lanes) |
//! | [`Processor::clear`], [`Processor::give_up`] | O(budget) |
//! | sleeps, and the end of an attempt with sleeps | O([`Limits::sleeps`]) |
//! | [`Processor::poll_effect`], during the end | O(permits and subscribers without a waiter) |
//! | calls of the cache | O(1) expected; one insert in very many O(entries) |
//!
//! # Memory
//!
//! [`Limits::footprint`] gives all of it beforehand. With jobs, outputs, errors, panics and metadata of 8 bytes each,
//! and callbacks and waiters of 16, a task slot takes 136 bytes (and 32 in the lists beside), a timer 16, a sleep 56, a
//! schedule 80 and an event 40, on 64-bit targets. There is a timer for each task slot, each sleep and each schedule,
//! and the timer wheel takes the room of 512 more, or of up to 3,840 more from 8,192 timers on.
//!
//! # Ids
//!
//! An id is one `u64` and names one thing for ever. The low bits, as many as the limit needs, are a slot; all other
//! bits are the slot's generation, which begins where [`Limits::origin`] says. A slot whose generations are used up is
//! retired and counted: generations never wrap. With up to 1,024 task slots a generation has 54 bits, which last 570
//! years at 1,000,000 tasks a second through one slot. With 1,000,000 slots it has 44 bits, which last 203 days; after
//! that one slot of the million is lost. An origin takes a sixteenth of that at most.
//!
//! Each attempt after a task's first one takes a generation, too. A task whose slot has none left (after four billion
//! attempts, or in a slot that is nearly used up) is not tried again, and settles as its last attempt ended.
//!
//! A processor does not take the ids of a processor with another origin for its own, except with a chance of one in 2⁴⁸
//! a try with the default limits.

#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

extern crate alloc;
#[cfg(any(feature = "std", test))]
extern crate std;

// What a host passes in.
#[cfg(feature = "std")]
mod clock;
mod limits;
mod message;
mod offer;
mod overflow;
mod plan;
mod rate;
mod retry;
mod simple;
mod terms;
mod time;

// What a host gets out.
mod census;
mod effect;
mod error;
mod event;
mod health;
mod ids;
mod last_error;
mod ledger;
mod outcome;

// The machine: `processor` has its calls, `lifecycle` the states of a task, and the others are the parts.
mod backoff;
mod cache;
mod dedup;
mod emitters;
mod index;
mod lanes;
mod lifecycle;
mod line;
mod list;
mod monitor;
mod processor;
mod queue;
mod refusals;
mod schedules;
mod sleeps;
mod slots;
mod sources;
mod subscribers;
mod task;
mod timers;

#[cfg(doc)]
pub mod guide;
#[cfg(feature = "serde")]
pub mod serialized;
#[cfg(feature = "testkit")]
pub mod testkit;

pub use cache::{Cache, CacheHasher, CacheLimits, CacheMut, CacheStats, Inserted, Policy};
pub use census::{Census, Remains, Totals};
#[cfg(feature = "std")]
pub use clock::Clock;
pub use dedup::Unique;
pub use effect::{Advanced, Detached, Effect, Fed, Guard, Reason, Start, Stop, Wake};
pub use error::{
    AttachRefusal, BuildError, CancelError, FeedRefusal, HoldRefusal, InvalidLimits, Late, OpenRefusal,
    PermitRefusal, PriorityRefusal, Refusal, Refused, ReserveRefusal, ScheduleRefusal, SleepRefusal,
    SubscribeRefusal, WaitRefusal,
};
pub use event::Event;
pub use health::{Health, Hold};
pub use ids::{
    AttemptId, DeliveryId, EmitterId, PermitId, ScheduleId, SleepId, SourceId, SubscriberId, TaskId,
};
pub use lanes::{Lane, LaneLimits, LaneView};
pub use last_error::{ErrorKind, LastError};
pub use ledger::{Account, Ledger};
pub use limits::{Footprint, Limits, ResultLimits};
pub use line::RoomStatus;
pub use message::Message;
pub use monitor::Progress;
pub use offer::{Offer, Route};
pub use outcome::{ByOutcome, CancelReason, Outcome, OutcomeKind, Settlement, Times};
pub use overflow::{Overflow, Scope};
pub use plan::Plan;
pub use processor::{
    Batch, Cancelled, Claim, Drain, Failure, Phase, Processor, Released, Reserved, Stage, Sweep, Swept,
    TaskView,
};
pub use rate::Rate;
pub use refusals::ByRefusal;
pub use retry::{Jitter, Retry};
pub use schedules::{Due, Missed, Overlap, Schedule};
pub use simple::Simple;
pub use sleeps::SleepStatus;
pub use sources::{Arrival, Death, Delivery, Operation, SourceLimits, SourceTerms, SourceView, Verdict};
pub use subscribers::Next;
pub use terms::{Priority, Terms, Timeouts};
pub use time::Instant;

/// The README's example, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
