//! The state of a simulation: its tasks, which of them are ready, and its timers.
//!
//! No code of a user runs under the lock: futures and wakers are taken out, and called, cloned or dropped without it.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Wake, Waker};
use std::time::Duration;

use fastrand::Rng;
use slab::Slab;

use super::Stuck;
use super::run::Run;
use crate::Instant;
use crate::panics::{Panic, catch, discard_panic};
use crate::runtime::Threads;

pub(super) type BoxFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The virtual clock, which is all that a reader of it keeps alive.
#[derive(Clone, Debug, Default)]
pub(super) struct Clock(Arc<AtomicU64>);

impl Clock {
    pub(super) fn now(&self) -> Instant {
        Instant::from_nanos(self.0.load(Ordering::SeqCst))
    }

    /// Moves on to this instant, never back.
    pub(super) fn set(&self, to: Instant) {
        self.0.fetch_max(to.as_nanos(), Ordering::SeqCst);
    }
}

/// Where the handles, wakers and timers of one simulation meet. The handles keep it alive, and nobody else.
pub(super) struct Hub {
    seed: u64,
    pub(super) clock: Clock,
    state: Mutex<State>,
    pub(super) this: Weak<Self>,
}

pub(super) struct State {
    pub(super) tasks: Slab<Task>,
    /// The tasks to be polled, each at most once.
    pub(super) ready: Vec<usize>,
    /// By time and number; a timer stands here while it is armed and has a waker.
    pub(super) timers: BTreeMap<(Instant, u64), Waker>,
    pub(super) rng: Rng,
    next_number: u64,
    pub(super) is_running: bool,
    is_killed: bool,
    threads: Threads,
    pub(super) poll_limit: u64,
    pub(super) time_limit: Duration,
}

pub(super) struct Task {
    /// Never used again, so that a waker that outlives its task wakes no other.
    number: u64,
    pub(super) body: Body,
    is_ready: bool,
    waker: Waker,
}

pub(super) enum Body {
    Spawned(BoxFuture),
    /// Its future is out, being polled.
    Polled,
    /// The future of `block_on`, which lives on the caller's stack.
    Main,
}

/// A task that is taken out to be polled.
pub(super) struct Turn {
    pub(super) key: usize,
    /// `None` for the future of `block_on`.
    pub(super) future: Option<BoxFuture>,
    pub(super) waker: Waker,
}

/// How many things there are.
pub(super) struct Counts {
    pub(super) spawned: usize,
    pub(super) ready: usize,
    pub(super) timers: usize,
}

struct TaskWaker {
    hub: Weak<Hub>,
    key: usize,
    number: u64,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if let Some(hub) = self.hub.upgrade() {
            hub.lock().wake(self.key, self.number);
        }
    }
}

impl State {
    pub(super) fn add(&mut self, hub: &Weak<Hub>, body: Body) -> usize {
        let number = self.number();
        let entry = self.tasks.vacant_entry();
        let key = entry.key();
        let waker = Waker::from(Arc::new(TaskWaker { hub: hub.clone(), key, number }));
        entry.insert(Task { number, body, is_ready: true, waker });
        self.ready.push(key);
        key
    }

    /// Takes a task out, wherever it stands.
    pub(super) fn remove(&mut self, key: usize) -> Option<Task> {
        let task = self.tasks.try_remove(key)?;
        if task.is_ready {
            self.ready.retain(|ready| *ready != key);
        }
        Some(task)
    }

    fn wake(&mut self, key: usize, number: u64) {
        let task = self.tasks.get_mut(key).filter(|task| task.number == number && !task.is_ready);
        if let Some(task) = task {
            task.is_ready = true;
            self.ready.push(key);
        }
    }

    /// Draws one of the tasks that are ready.
    pub(super) fn next_turn(&mut self) -> Option<Turn> {
        if self.ready.is_empty() {
            return None;
        }
        let key = self.ready.swap_remove(self.rng.usize(..self.ready.len()));
        let task = self.tasks.get_mut(key)?;
        task.is_ready = false;
        let future = match std::mem::replace(&mut task.body, Body::Polled) {
            Body::Spawned(future) => Some(future),
            other => {
                task.body = other;
                None
            }
        };
        Some(Turn { key, future, waker: task.waker.clone() })
    }

    fn number(&mut self) -> u64 {
        self.next_number = self.next_number.wrapping_add(1);
        self.next_number
    }
}

impl Hub {
    pub(super) fn new(seed: u64) -> Arc<Self> {
        let state = State {
            tasks: Slab::new(),
            ready: Vec::new(),
            timers: BTreeMap::new(),
            rng: Rng::with_seed(seed),
            next_number: 0,
            is_running: false,
            is_killed: false,
            threads: Threads::One,
            poll_limit: 1_000_000,
            time_limit: Duration::from_secs(400 * 24 * 60 * 60),
        };
        Arc::new_cyclic(|this| Self {
            seed,
            clock: Clock::default(),
            state: Mutex::new(state),
            this: this.clone(),
        })
    }

    pub(super) fn spawn(&self, future: BoxFuture) {
        let mut state = self.lock();
        if state.is_killed {
            // Not under the lock.
            drop(state);
            drop(future);
        } else {
            state.add(&self.this, Body::Spawned(future));
        }
    }

    /// Begins to run. Only one at a time may.
    pub(super) fn run(&self) -> Result<Run<'_>, Stuck> {
        let mut state = self.lock();
        if std::mem::replace(&mut state.is_running, true) {
            return Err(Stuck::Nested);
        }
        Ok(Run::new(self))
    }

    /// Drops all spawned futures; returns the first panic of these drops.
    pub(super) fn kill(&self) -> Option<Panic> {
        let mut state = self.lock();
        state.is_killed = true;
        let tasks = state.tasks.iter().filter(|(_, task)| !matches!(task.body, Body::Main));
        let mut keys: Vec<_> = tasks.map(|(key, task)| (key, task.number)).collect();
        state.rng.shuffle(&mut keys);
        drop(state);
        first_panic(keys, |(key, number)| {
            let mut state = self.lock();
            // A drop before this one may have done the same.
            let is_there = state.tasks.get(key).is_some_and(|task| task.number == number);
            let task = if is_there { state.remove(key) } else { None };
            drop(state);
            drop(task);
        })
    }

    /// As [`kill`](Self::kill), and drops the wakers that timers have left: nobody can run the simulation any more.
    pub(super) fn close(&self) -> Option<Panic> {
        let panic = self.kill();
        let timers = std::mem::take(&mut self.lock().timers);
        let second = first_panic(timers.into_values(), drop);
        first_of(panic, second)
    }

    /// Leaves a waker to be woken at this instant; hands out the one that was there before.
    pub(super) fn arm(&self, at: Instant, timer: u64, waker: Waker) -> Option<Waker> {
        self.lock().timers.insert((at, timer), waker)
    }

    /// Takes a waker back.
    pub(super) fn disarm(&self, at: Instant, timer: u64) -> Option<Waker> {
        self.lock().timers.remove(&(at, timer))
    }

    pub(super) fn now(&self) -> Instant {
        self.clock.now()
    }

    pub(super) fn clock(&self) -> Clock {
        self.clock.clone()
    }

    /// A number that no task and no timer has had.
    pub(super) fn number(&self) -> u64 {
        self.lock().number()
    }

    pub(super) const fn seed(&self) -> u64 {
        self.seed
    }

    pub(super) fn draw(&self) -> u64 {
        self.lock().rng.u64(..)
    }

    pub(super) fn threads(&self) -> Threads {
        self.lock().threads
    }

    pub(super) fn set_threads(&self, threads: Threads) {
        self.lock().threads = threads;
    }

    pub(super) fn set_poll_limit(&self, polls: u64) {
        self.lock().poll_limit = polls.max(1);
    }

    pub(super) fn set_time_limit(&self, limit: Duration) {
        self.lock().time_limit = limit;
    }

    /// When the next timer fires. One at the end of time never does.
    pub(super) fn next_timer(&self) -> Option<Instant> {
        self.lock().timers.keys().next().map(|(at, _)| *at).filter(|at| *at != Instant::MAX)
    }

    pub(super) fn counts(&self) -> Counts {
        let state = self.lock();
        let main = state.tasks.iter().filter(|(_, task)| matches!(task.body, Body::Main)).count();
        Counts {
            spawned: state.tasks.len().saturating_sub(main),
            ready: state.ready.len(),
            timers: state.timers.len(),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Does this with each of them, whatever panics; returns the first panic.
pub(super) fn first_panic<T>(all: impl IntoIterator<Item = T>, mut run: impl FnMut(T)) -> Option<Panic> {
    all.into_iter().fold(None, |first, one| first_of(first, catch(|| run(one)).err()))
}

fn first_of(first: Option<Panic>, second: Option<Panic>) -> Option<Panic> {
    match (first, second) {
        (Some(first), Some(second)) => {
            discard_panic(second);
            Some(first)
        }
        (first, second) => first.or(second),
    }
}
