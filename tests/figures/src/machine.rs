//! The machine under measurement, and one function an operation of it.
//!
//! The operations are never inlined into what drives them: so each is compiled once, knows nothing of its arguments,
//! and costs the same whoever else is measured.

use std::num::NonZeroU32;
use std::task::Waker;
use std::time::Duration;

use plimsoll_core::{
    Advanced, AttemptId, Census, Claim, Effect, EmitterId, Event, Guard, Instant, Limits, Message, Next,
    Offer, PermitId, Plan, Processor, Refused, ResultLimits, Route, Settlement, Start, SubscriberId, TaskId,
    Terms, Timeouts, Wake,
};

/// Jobs, outputs, errors and metadata of 8 bytes; callbacks and waiters of 16, as applications have them.
pub struct Eight;

impl Plan for Eight {
    type Job = u64;
    type Output = u64;
    type Error = u64;
    type Panic = u64;
    type Meta = u64;
    type Callback = Callback;
    type Waiter = Waker;
    type Listener = ();
    type Key = u64;
    type Value = u64;
}

pub type Machine = Processor<Eight>;
pub type Callback = Box<dyn FnOnce(u64) + Send>;

/// The time-out of tasks that are not meant to be timed out.
pub const LONG: Duration = Duration::from_secs(30);
pub const MILLISECOND: Duration = Duration::from_millis(1);

/// Limits for `tasks` that wait, `running` attempts and nothing else.
pub fn bare(tasks: u32, running: u32) -> Limits {
    let mut limits = Limits::default();
    limits.queue = tasks;
    limits.concurrency = running;
    limits.unclaimed = Some(0);
    limits.results = ResultLimits::default();
    limits.waiters = 0;
    limits.emitters = 0;
    limits.subscribers = 0;
    limits
}

pub fn machine(limits: Limits) -> Machine {
    Machine::new(limits, Instant::ZERO).expect("these limits are valid")
}

/// A callback that costs a call.
pub fn callback() -> Route<Callback> {
    Route::Callback(Box::new(|output| {
        std::hint::black_box(output);
    }))
}

/// An attempt may take so long.
pub const fn limited(limit: Duration) -> Terms {
    Terms::new().timeouts(Timeouts { start_to_close: Some(limit), ..Timeouts::NONE })
}

/// The terms of most tasks.
pub const TERMS: Terms = limited(LONG);

#[inline(never)]
pub fn submit(machine: &mut Machine, now: Instant, route: Route<Callback>, terms: &Terms) -> TaskId {
    match machine.submit(now, Offer::new(1, 7).route(route), terms) {
        Ok(task) => task,
        Err(Refused { reason, .. }) => panic!("refused: {reason}"),
    }
}

#[inline(never)]
pub fn start(machine: &mut Machine, now: Instant) -> Start<Eight> {
    machine.start_next(now).expect("a task can be started")
}

#[inline(never)]
pub fn complete(machine: &mut Machine, now: Instant, attempt: AttemptId) {
    machine.completed(now, attempt, 2).expect("the attempt runs");
}

#[inline(never)]
pub fn fail(machine: &mut Machine, now: Instant, attempt: AttemptId, job: Option<u64>) {
    drop(machine.failed(now, attempt, 3, job, None, &Message::default()).expect("the attempt runs"));
}

#[inline(never)]
pub fn stopped(machine: &mut Machine, now: Instant, attempt: AttemptId) {
    let _ = machine.stopped(now, attempt, None).expect("the attempt was asked to stop");
}

#[inline(never)]
pub fn poll(machine: &mut Machine) -> Option<Effect<Eight>> {
    machine.poll_effect()
}

#[inline(never)]
pub fn heartbeat(machine: &mut Machine, now: Instant, attempt: AttemptId) {
    assert!(machine.heartbeat(now, attempt), "it runs");
}

#[inline(never)]
pub fn advance(machine: &mut Machine, now: Instant, budget: u32) -> Advanced {
    machine.advance(now, budget)
}

#[inline(never)]
pub fn cancel(machine: &mut Machine, now: Instant, task: TaskId) {
    let _ = machine.cancel(now, task).expect("the task is not settled");
}

#[inline(never)]
pub fn claim(machine: &mut Machine, now: Instant, task: TaskId) -> Claim<Eight> {
    machine.claim(now, task, Waker::noop().clone())
}

#[inline(never)]
pub fn take_result(machine: &mut Machine, now: Instant, task: TaskId) -> Settlement<Eight> {
    machine.take_result(now, task).expect("the result is there")
}

#[inline(never)]
pub fn panic(machine: &mut Machine, now: Instant, attempt: AttemptId) {
    let _ = machine.panicked(now, attempt, 4, None, &Message::default()).expect("the attempt runs");
}

#[inline(never)]
pub fn next_wake(machine: &mut Machine) -> Wake {
    machine.next_wake()
}

#[inline(never)]
pub fn next_event(machine: &mut Machine, subscriber: SubscriberId) -> Option<Next<Event<u64>>> {
    machine.next_event(subscriber)
}

#[inline(never)]
pub fn feed(machine: &mut Machine, now: Instant, emitter: EmitterId, route: Route<Callback>) {
    machine.feed(now, emitter, Offer::new(1, 7).route(route), &TERMS).expect("there is room");
}

#[inline(never)]
pub fn cached(machine: &mut Machine, now: Instant, key: u64) -> Option<u64> {
    let mut cache = machine.cache();
    let hash = cache.hasher().hash_of(&key);
    cache.get(now, hash, &key).copied()
}

#[inline(never)]
pub fn insert(machine: &mut Machine, now: Instant, key: u64) {
    let mut cache = machine.cache();
    let hash = cache.hasher().hash_of(&key);
    let _ = cache.insert(now, hash, key, key);
}

#[inline(never)]
pub fn uncache(machine: &mut Machine, key: u64) -> Option<(u64, u64)> {
    let mut cache = machine.cache();
    let hash = cache.hasher().hash_of(&key);
    cache.remove(hash, &key)
}

#[inline(never)]
pub fn sweep(machine: &mut Machine, now: Instant, budget: u32) -> usize {
    machine.sweep(now, budget).map(std::hint::black_box).count()
}

#[inline(never)]
pub fn census(machine: &mut Machine) -> Census {
    machine.census()
}

#[inline(never)]
pub fn subscribe(machine: &mut Machine) -> SubscriberId {
    machine.subscribe().expect("there is room")
}

#[inline(never)]
pub fn unsubscribe(machine: &mut Machine, subscriber: SubscriberId) {
    let _ = machine.unsubscribe(subscriber).expect("it has subscribed");
}

/// Publishes one event and does little else.
#[inline(never)]
pub fn publish(machine: &mut Machine, now: Instant, emitter: EmitterId) {
    assert!(machine.feed_error(now, emitter, Message::default()));
}

#[inline(never)]
pub fn attach(machine: &mut Machine, now: Instant) -> EmitterId {
    machine.attach(now, Guard::default()).expect("there is room")
}

#[inline(never)]
pub fn detach(machine: &mut Machine, now: Instant, emitter: EmitterId) {
    let _ = machine.detach(now, emitter).expect("it is attached");
}

#[inline(never)]
pub fn wait_for_room(machine: &mut Machine, now: Instant) -> PermitId {
    machine.wait_for_room(now, Waker::noop().clone(), NonZeroU32::MIN).expect("the line has room")
}

#[inline(never)]
pub fn leave(machine: &mut Machine, now: Instant, waiter: PermitId) {
    let _ = machine.leave(now, waiter).expect("it is in the line");
}
