//! Models of the wake path: loom runs them through the interleavings of their threads, up to so many preemptions, and
//! through every value that a load may see.
//!
//! A worker is modelled with the order of its steps: in one hold of the locks it gives back what it has polled, takes what
//! is ready or new, and enters the set of idle workers if there is nothing; then it polls without a lock. A lost wake-up
//! leaves a worker asleep for ever, which loom reports as a deadlock.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use loom::future::block_on;
use loom::model::Builder;
use loom::thread;

use super::sync::Lock;
use super::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use super::wake::Wakes;

/// Runs a model with at most so many preemptions of a thread that could go on: more find hardly more, and take for ever.
fn model(preemptions: usize, run: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(run);
}

/// What stands for the machine.
struct Machine {
    /// Tasks that can be started.
    startable: u32,
    /// Places without an attempt.
    free: Vec<u32>,
    /// Places whose attempts woke themselves.
    ready: VecDeque<u32>,
    /// Tasks that are not done, submitted or not: with the last one the engine closes.
    left: u32,
}

/// What stands for an attempt and the signal of its place.
struct Place {
    /// What its attempt waits for.
    resource: AtomicBool,
    /// The attempt that is to go on: another number, and it has to stop.
    order: AtomicU32,
    /// Which attempt lives here, and how often it was polled. Changed by the worker that has it in hand.
    polled: AtomicBool,
    attempt: AtomicU32,
    /// The last attempt that has ended here because it was asked to stop.
    stopped: AtomicU32,
    /// How often its attempt wakes itself.
    yields: AtomicU32,
}

struct Engine {
    machine: Lock<Machine>,
    wakes: Wakes,
    places: Vec<Place>,
    closed: AtomicBool,
}

impl Engine {
    fn new(workers: u32, places: u32, tasks: u32) -> Arc<Self> {
        let place = |_| Place {
            resource: AtomicBool::new(false),
            order: AtomicU32::new(0),
            polled: AtomicBool::new(false),
            attempt: AtomicU32::new(0),
            stopped: AtomicU32::new(0),
            yields: AtomicU32::new(0),
        };
        Arc::new(Self {
            machine: Lock::new(Machine {
                startable: 0,
                free: (0..places).rev().collect(),
                ready: VecDeque::new(),
                left: tasks,
            }),
            wakes: Wakes::new(places, workers),
            places: (0..places).map(place).collect(),
            closed: AtomicBool::new(false),
        })
    }

    /// As above, with an attempt that runs in each place and is idle: its task is started already.
    fn with_idle_attempts(workers: u32, places: u32) -> Arc<Self> {
        let engine = Self::new(workers, places, places);
        engine.machine.lock().free.clear();
        for (place, one) in (0..places).zip(&engine.places) {
            one.attempt.store(1, Ordering::Relaxed);
            one.order.store(1, Ordering::Relaxed);
            let mut line = engine.wakes.lock();
            line.hold(place);
            line.give_back(place);
            engine.wakes.unlock(line);
        }
        engine
    }

    fn worker(self: &Arc<Self>, index: u32) -> Worker {
        Worker { engine: self.clone(), index, polled: None }
    }

    fn submit(&self) {
        let mut machine = self.machine.lock();
        machine.startable += 1;
        let has_idle = self.wakes.workers.has_idle();
        drop(machine);
        if has_idle {
            self.wake_a_worker();
        }
    }

    fn wake_a_worker(&self) {
        if let Some(worker) = self.wakes.workers.take_idle() {
            self.wakes.workers.wake(worker);
        }
    }

    /// What the attempt in the place waits for has come: its waker is woken.
    fn provide(&self, place: u32) {
        self.places[place as usize].resource.store(true, Ordering::Relaxed);
        self.wakes.wake(place);
    }

    /// Asks the attempt to stop, if it still runs in the place.
    fn stop(&self, place: u32, attempt: u32) {
        let machine = self.machine.lock();
        let order = &self.places[place as usize].order;
        let runs = order.load(Ordering::SeqCst) == attempt;
        if runs {
            order.store(u32::MAX, Ordering::Release);
        }
        drop(machine);
        if runs {
            self.wakes.wake_all([place].into_iter());
        }
    }

    fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.wakes.workers.take_wakers().for_each(std::task::Waker::wake);
    }
}

/// A worker that takes one attempt at a time.
struct Worker {
    engine: Arc<Engine>,
    index: u32,
    /// What it has polled and not given back: the place, whether its attempt has ended, whether that woke itself.
    polled: Option<(u32, bool, bool)>,
}

impl Worker {
    /// Gives back, reports, and takes what is next, in one hold. Whether the engine is to close, and the place to poll.
    fn exchange(&mut self) -> (bool, Option<u32>) {
        let Engine { machine, wakes, places, .. } = &*self.engine;
        let mut machine = machine.lock();
        let mut line = wakes.lock();
        match self.polled.take() {
            Some((place, true, _)) => {
                places[place as usize].order.store(0, Ordering::Release);
                line.free(place);
                machine.free.push(place);
                machine.left -= 1;
            }
            Some((place, false, true)) => machine.ready.push_back(place),
            Some((place, false, false)) => line.give_back(place),
            None => {}
        }
        machine.ready.extend(line.take_ready());
        let mut next = machine.ready.pop_front();
        if next.is_none() && machine.startable > 0 {
            next = machine.free.pop();
            if let Some(place) = next {
                machine.startable -= 1;
                line.hold(place);
                let one = &places[place as usize];
                let attempt = one.attempt.load(Ordering::Relaxed) + 1;
                one.attempt.store(attempt, Ordering::Relaxed);
                one.order.store(attempt, Ordering::Release);
            }
        }
        if next.is_none() {
            wakes.workers.enter_idle(self.index);
        }
        let is_done = machine.left == 0;
        wakes.unlock(line);
        (is_done, next)
    }

    fn poll_place(&mut self, place: u32) {
        let (one, wakes) = (&self.engine.places[place as usize], &self.engine.wakes);
        assert!(!one.polled.swap(true, Ordering::Relaxed), "a place is polled twice at a time");
        let entered = wakes.enter();
        entered.begin_poll(place);
        let is_wanted = one.order.load(Ordering::Acquire) == one.attempt.load(Ordering::Relaxed);
        if !is_wanted {
            one.stopped.store(one.attempt.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        let yields = one.yields.load(Ordering::Relaxed);
        let ended = if is_wanted && yields > 0 {
            one.yields.store(yields - 1, Ordering::Relaxed);
            wakes.wake(place);
            false
        } else {
            !is_wanted || one.resource.load(Ordering::Relaxed)
        };
        let woken = entered.end_poll();
        one.polled.store(false, Ordering::Relaxed);
        self.polled = Some((place, ended, woken));
    }
}

impl Future for Worker {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let engine = self.engine.clone();
        engine.wakes.workers.register(self.index, cx.waker());
        engine.wakes.workers.leave_idle(self.index);
        loop {
            if engine.closed.load(Ordering::SeqCst) {
                return Poll::Ready(());
            }
            match self.exchange() {
                (true, _) => engine.close(),
                (false, Some(place)) => self.poll_place(place),
                (false, None) => return Poll::Pending,
            }
        }
    }
}

/// Two events take two idle workers, and so two threads.
#[test]
fn two_events_do_not_take_one_worker() {
    model(4, || {
        let wakes = Arc::new(Wakes::new(1, 2));
        wakes.workers.enter_idle(0);
        wakes.workers.enter_idle(1);
        let other = wakes.clone();
        let other = thread::spawn(move || other.workers.take_idle());
        let one = wakes.workers.take_idle();
        let two = other.join().unwrap();
        assert!(one.is_some() && two.is_some() && one != two);
        assert!(!wakes.workers.has_idle());
    });
}

/// (a) The attempt is woken while its worker polls it, gives it back, or looks for more.
#[test]
fn a_wake_meets_a_give_back() {
    model(4, || {
        let engine = Engine::new(1, 1, 1);
        engine.submit();
        let woken = engine.clone();
        let waker = thread::spawn(move || woken.provide(0));
        block_on(engine.worker(0));
        waker.join().unwrap();
        assert!(!engine.wakes.has_ready());
    });
}

/// (a) The attempt wakes itself, without the lock, while it is woken by another thread: it is in the line once.
#[test]
fn a_wake_meets_one_by_the_attempt_itself() {
    model(4, || {
        let engine = Engine::new(1, 1, 1);
        engine.places[0].yields.store(1, Ordering::Relaxed);
        engine.submit();
        let woken = engine.clone();
        let waker = thread::spawn(move || woken.provide(0));
        block_on(engine.worker(0));
        waker.join().unwrap();
        assert!(!engine.wakes.has_ready());
    });
}

/// (a) Two wakes, two workers and one place: it is polled by one of them at a time, and not lost between them.
#[test]
fn a_place_is_in_one_hand_at_a_time() {
    model(2, || {
        let engine = Engine::with_idle_attempts(2, 1);
        engine.places[0].yields.store(1, Ordering::Relaxed);
        let worker = engine.worker(1);
        let second = thread::spawn(move || block_on(worker));
        let woken = engine.clone();
        let waker = thread::spawn(move || {
            woken.wakes.wake(0);
            woken.provide(0);
        });
        block_on(engine.worker(0));
        second.join().unwrap();
        waker.join().unwrap();
    });
}

/// (b) A worker goes idle while an attempt of its is woken.
#[test]
fn a_wake_meets_a_worker_that_goes_idle() {
    model(4, || {
        let engine = Engine::with_idle_attempts(1, 1);
        let woken = engine.clone();
        let waker = thread::spawn(move || woken.provide(0));
        block_on(engine.worker(0));
        waker.join().unwrap();
    });
}

/// (b) A worker goes idle while a task is submitted.
#[test]
fn a_submission_meets_a_worker_that_goes_idle() {
    model(4, || {
        let engine = Engine::new(1, 1, 2);
        engine.places[0].resource.store(true, Ordering::Relaxed);
        let submits = engine.clone();
        let submitter = thread::spawn(move || {
            submits.submit();
            submits.submit();
        });
        block_on(engine.worker(0));
        submitter.join().unwrap();
    });
}

/// (b) A wake takes the idle worker that a submission would have taken: that worker sees to both.
#[test]
fn a_wake_and_a_submission_meet_one_idle_worker() {
    model(3, || {
        let engine = Engine::with_idle_attempts(1, 1);
        {
            let mut machine = engine.machine.lock();
            machine.left = 2;
        }
        let (woken, submits) = (engine.clone(), engine.clone());
        let waker = thread::spawn(move || woken.provide(0));
        let submitter = thread::spawn(move || submits.submit());
        block_on(engine.worker(0));
        waker.join().unwrap();
        submitter.join().unwrap();
    });
}

/// (c) An attempt that waits for ever is asked to stop, wherever it is.
#[test]
fn a_stop_reaches_its_attempt() {
    model(4, || {
        let engine = Engine::new(1, 1, 1);
        engine.submit();
        let stops = engine.clone();
        let stopper = thread::spawn(move || {
            // As the machine does: what it has not started it does not stop.
            while stops.places[0].order.load(Ordering::SeqCst) == 0 {
                thread::yield_now();
            }
            stops.stop(0, 1);
        });
        block_on(engine.worker(0));
        stopper.join().unwrap();
        assert_eq!(engine.places[0].stopped.load(Ordering::Relaxed), 1);
    });
}

/// (c) An attempt ends while it is asked to stop: the next one in its place is not hit.
#[test]
fn a_stop_spares_the_next_attempt() {
    model(3, || {
        let engine = Engine::with_idle_attempts(1, 1);
        engine.machine.lock().left = 2;
        engine.places[0].resource.store(true, Ordering::Relaxed);
        engine.submit();
        let stops = engine.clone();
        let stopper = thread::spawn(move || stops.stop(0, 1));
        let woken = engine.clone();
        let waker = thread::spawn(move || woken.provide(0));
        block_on(engine.worker(0));
        stopper.join().unwrap();
        waker.join().unwrap();
        assert_eq!(engine.places[0].attempt.load(Ordering::Relaxed), 2);
        assert_ne!(engine.places[0].stopped.load(Ordering::Relaxed), 2);
    });
}

/// (d) Two workers, two attempts, two wakers.
#[test]
fn two_wakers_meet_two_workers() {
    model(1, || {
        let engine = Engine::with_idle_attempts(2, 2);
        let worker = engine.worker(1);
        let second = thread::spawn(move || block_on(worker));
        let wakers = [0, 1].map(|place| {
            let woken = engine.clone();
            thread::spawn(move || woken.provide(place))
        });
        block_on(engine.worker(0));
        second.join().unwrap();
        for waker in wakers {
            waker.join().unwrap();
        }
        assert!(!engine.wakes.has_ready());
    });
}

/// (e) The owner closes the engine while an attempt is woken: the worker ends.
#[test]
fn a_close_meets_a_wake() {
    model(3, || {
        let engine = Engine::with_idle_attempts(1, 1);
        let (woken, owned) = (engine.clone(), engine.clone());
        let waker = thread::spawn(move || woken.wakes.wake(0));
        let owner = thread::spawn(move || owned.close());
        block_on(engine.worker(0));
        waker.join().unwrap();
        owner.join().unwrap();
    });
}

/// (e) The last attempt ends, and its worker closes the engine, while another worker goes idle.
#[test]
fn a_close_meets_a_worker_that_goes_idle() {
    model(3, || {
        let engine = Engine::with_idle_attempts(2, 1);
        engine.provide(0);
        let worker = engine.worker(1);
        let second = thread::spawn(move || block_on(worker));
        block_on(engine.worker(0));
        second.join().unwrap();
    });
}
