//! A worker: one future of the runtime that runs whatever attempts are ready.
//!
//! It goes round in steps. In one hold of the machine's lock it reports what has ended and takes new attempts and effects;
//! under the locks of the places and of the line it gives back what waits for a wake and takes what is ready; then, without
//! a lock, it polls what it has *in hand*. New attempts and ready ones take turns, so neither starves the other.
//!
//! On a runtime with several threads it takes one attempt at a time, so that none waits behind a handler that blocks. On
//! one thread nobody else could run them, and it polls up to 64 in a step. How many is found out by trying: after some
//! polls that were quick it takes twice as many, after some that took longer than [`SLOW`] a single one.
//!
//! Effects, such as wakers, may be left to another worker that has let other tasks run and stands in line at the runtime:
//! any thread runs it soon, and it begins by looking for effects. A worker that performs them returns to its runtime before
//! it runs attempts, for what it has woken may have to run on this thread first.
//!
//! Between two of its polls by the runtime a worker has nothing in hand: what it has not polled by the end of its turn it
//! gives back. So the owner can drop every attempt that is not being polled, also on a runtime that has stopped.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use plimsoll_core::Drain;

use super::base::{Engine, MOST_IN_HAND, Shape};
use super::effects::Aftermath;
use super::hand::Hand;
use super::machine::Shared;
use super::place::Making;
use super::state::State;
use super::turn::Turn;
use super::workers::take_has_woken;
use crate::handler::Handler;
use crate::trace::Tracer;
use crate::work::AnyWork;

/// A step that took longer has handlers that compute.
const SLOW: Duration = Duration::from_micros(500);
/// How many polls go by one reading of the clock, as long as they are quick.
const POLLS_A_READING: u32 = 32;

/// Spawned once, and kept until the engine is closed. Between two polls it holds nothing of a user.
pub(super) struct Worker<W: AnyWork, H, F, A> {
    engine: Arc<Engine<W, H, F>>,
    index: u32,
    hand: Hand<W, H, F>,
    aftermath: Aftermath<W>,
    /// How many attempts the next step may take on one thread: doubled after a step that was quick.
    pace: u32,
    /// Whether it is the turn of a new attempt, where only one is taken at a time.
    takes_new: bool,
    /// Whether it has let other tasks run, and was not polled since.
    is_queued: bool,
    arguments: PhantomData<fn() -> A>,
}

/// How a worker goes on.
enum Next {
    /// With polling what it has in hand.
    Poll,
    /// With the next step.
    Step,
    /// After other tasks of the runtime.
    Yield,
    /// When it is woken.
    Sleep,
}

/// The other workers, at the beginning of a hold.
struct Others {
    /// Whether there may be any on other threads.
    exist: bool,
    /// Whether one is idle.
    are_idle: bool,
    /// Whether one is certain to take the effects soon, on whatever thread.
    take_effects: bool,
    /// How many attempts could be started, and how many things there were that this worker or an idle one has to do.
    startable: u32,
    demand: u32,
}

impl Others {
    #[inline]
    fn look<W: AnyWork, H, F>(engine: &Engine<W, H, F>, state: &State<W>) -> Self {
        let workers = &engine.shared.wakes.workers;
        let exist = engine.manner.shape.has_several_threads;
        let (are_idle, take_effects) = (exist && workers.has_idle(), exist && workers.has_queued());
        let (startable, demand) =
            if are_idle { (state.machine.startable(), state.demand_beside(take_effects)) } else { (0, 0) };
        Self { exist, are_idle, take_effects, startable, demand }
    }

    /// How many idle ones are needed for what the hold has made ready, and for what is given up.
    #[inline]
    fn count_needed<W: AnyWork>(&self, state: &State<W>, given_up: usize) -> u32 {
        if !self.are_idle {
            return 0;
        }
        let given_up = u32::try_from(given_up).unwrap_or(u32::MAX);
        state.demand_beside(self.take_effects).saturating_sub(self.demand).saturating_add(given_up)
    }
}

impl<W: AnyWork, H, F, A> Worker<W, H, F, A> {
    pub(super) fn new(engine: Arc<Engine<W, H, F>>, index: u32, places: u32) -> Self {
        let hand = Hand::new(engine.manner.shape, places);
        Self {
            engine,
            index,
            hand,
            aftermath: Aftermath::new(),
            pace: 1,
            takes_new: true,
            is_queued: false,
            arguments: PhantomData,
        }
    }

    /// The bytes that [`new`](Self::new) asks of the allocator.
    pub(super) const fn bytes(shape: Shape, places: u32) -> usize {
        Hand::<W, H, F>::bytes(shape, places).saturating_add(Aftermath::<W>::BYTES)
    }

    /// Reads the clock, and finds out how fast the attempts are.
    fn read_clock(&mut self, turn: &mut Turn) {
        let now = self.engine.shared.now();
        let passed = now.saturating_since(turn.last);
        if !turn.is_fresh {
            self.pace = if passed > SLOW { 1 } else { self.pace.saturating_mul(2).min(MOST_IN_HAND) };
        }
        turn.note_reading(now);
        self.hand.note_reading(now, passed);
    }

    /// How many attempts the next step may take.
    const fn batch(&self, shape: Shape) -> u32 {
        if shape.has_several_threads || shape.in_hand < self.pace { shape.in_hand } else { self.pace }
    }

    /// How many new attempts the next step may take, so that those that are ready have their share.
    fn share_of_new(&self, batch: u32) -> u32 {
        let in_hand = u32::try_from(self.hand.count_ready()).unwrap_or(u32::MAX);
        let ready = self.engine.count_ready().saturating_add(in_hand);
        if ready == 0 {
            return batch;
        }
        if batch > 1 {
            return batch.saturating_sub(ready.min(batch / 2));
        }
        u32::from(self.takes_new)
    }

    /// Reports what has ended, and takes new attempts and effects, in one hold of the machine's lock; performs the effects
    /// after that.
    fn sync_with_machine(&mut self, engine: &Engine<W, H, F>, turn: &mut Turn) -> Next {
        let shared = &*engine.shared;
        if turn.unread > 0 || turn.is_fresh {
            self.read_clock(turn);
        }
        let batch = self.batch(engine.manner.shape);
        let share = self.share_of_new(batch);

        let mut state = shared.lock();
        let others = Others::look(engine, &state);
        // Where there are other threads, what the reports lead to may come first.
        let restarted = if others.exist || turn.is_over { 0 } else { share };
        self.hand.report(engine, &mut state, restarted, turn.last, &mut self.aftermath.stop_wakers);
        let gives_way = self.take_effects(shared, &mut state, turn, &others);
        shared.note_effects_taken(state.count_effects());
        let is_called = self.hand.has_leftovers() || !self.aftermath.is_empty();
        if is_called {
            shared.wakes.workers.begin_duty(self.index);
        }
        // Where there are other threads these need not wait for what is called first.
        let takes_new = !(turn.is_over || gives_way || others.exist && is_called);
        if takes_new {
            let share = self.make_room(engine, &others, share);
            self.hand.take_new(engine, &mut state, share, turn.last);
            self.takes_new = !self.hand.has_new();
        }
        let demand = state.demand();
        let is_done = takes_new && !is_called && self.aftermath.stopping.is_empty();
        let may_sleep = is_done && demand == 0 && self.hand.count_ready() == 0;
        let sleeps = may_sleep && self.hand.exchange(engine, batch, Some(self.index));
        let given_up = if gives_way { self.hand.count_ready() } else { 0 };
        let needed = others.count_needed(&state, given_up);
        let wakeups = state.wakeups_of_worker(needed, sleeps, &shared.wakes);
        shared.release(state, demand);

        shared.wake(wakeups);
        shared.wakes.wake_all(self.aftermath.stopping.drain(..));
        if is_called {
            // Other threads must not wait for what foreign code has woken on this one.
            turn.is_over |= others.exist && self.aftermath.may_wake(shared.shows_settled());
            self.do_aftermath(engine);
            turn.note_calls(1);
        }
        match (sleeps, is_called && self.hand.count_ready() == 0) {
            (true, _) => Next::Sleep,
            (_, true) => Next::Step,
            _ => Next::Poll,
        }
    }

    /// Goes to sleep if there is nothing to do, for a worker whose turn is over: whether that is so.
    fn fall_asleep(&mut self, engine: &Engine<W, H, F>, batch: u32) -> bool {
        let shared = &*engine.shared;
        if shared.has_demand() || self.hand.count_ready() > 0 || engine.count_ready() > 0 {
            return false;
        }
        let mut state = shared.lock();
        let demand = state.demand();
        let sleeps = demand == 0 && self.hand.exchange(engine, batch, Some(self.index));
        let wakeups = state.wakeups_of_worker(0, sleeps, &shared.wakes);
        shared.release(state, demand);
        shared.wake(wakeups);
        sleeps
    }

    /// How many new attempts it may take beside what it has in hand. Where there are other threads no attempt that yields
    /// stays in hand behind a new one, which may block: idle workers take new ones, or others what is put down here.
    #[inline]
    fn make_room(&mut self, engine: &Engine<W, H, F>, others: &Others, share: u32) -> u32 {
        if !others.exist || share == 0 || self.hand.count_ready() == 0 {
            return share;
        }
        if others.are_idle {
            return 0;
        }
        self.hand.put_down(engine);
        share
    }

    /// Takes effects, unless another worker is certain to take them. Whether idle workers come first: these are woken before
    /// this one runs foreign code that may block its thread, and them with it.
    #[inline]
    fn take_effects(
        &mut self,
        shared: &Shared<W>,
        state: &mut State<W>,
        turn: &mut Turn,
        others: &Others,
    ) -> bool {
        let takes_effects = (turn.is_fresh || !others.take_effects) && state.count_effects() > 0;
        turn.is_fresh = false;
        let has_more = || state.machine.startable() > others.startable || self.hand.count_ready() > 0;
        let gives_way = takes_effects && others.are_idle && has_more();
        if takes_effects && !gives_way {
            state.take_effects(shared, &mut self.aftermath);
        }
        gives_way
    }

    /// Does what a hold has left to do that runs foreign code.
    fn do_aftermath(&mut self, engine: &Engine<W, H, F>) {
        let shared = &*engine.shared;
        if engine.manner.shape.has_several_threads {
            // Others may need the places, and foreign code may take long.
            self.hand.put_down(engine);
        }
        let duty = shared.wakes.workers.enter_duty(self.index);
        self.hand.drop_leftovers(engine);
        shared.perform(&mut self.aftermath);
        shared.end_duty(duty);
    }

    /// Leaves nothing in hand, before the runtime takes over.
    fn pause(&mut self, engine: &Engine<W, H, F>) {
        self.hand.put_down(engine);
        engine.shared.wakes.workers.set_holding(self.index, false);
    }
}

impl<W, H, F, A> Worker<W, H, F, A>
where
    W: AnyWork<Error: fmt::Debug>,
    H: Handler<W::Base, A, W::Sharing, Future = F>,
    F: Future<Output = Result<W::Output, W::Error>>,
{
    /// Goes round once.
    fn step(&mut self, engine: &Engine<W, H, F>, turn: &mut Turn) -> Next {
        let shared = &*engine.shared;
        let is_out_of_work = || self.hand.count_ready() == 0 && engine.count_ready() == 0;
        let may_take = || shared.has_demand() || is_out_of_work();
        if turn.is_fresh || self.hand.has_news() || (!turn.is_over && may_take()) {
            match self.sync_with_machine(engine, turn) {
                Next::Sleep => return Next::Sleep,
                Next::Step if !turn.is_over => return Next::Step,
                _ => {}
            }
        }
        let batch = self.batch(engine.manner.shape);
        if turn.is_over {
            return if self.fall_asleep(engine, batch) { Next::Sleep } else { Next::Yield };
        }
        let has_room = self.hand.count_ready() < batch as usize;
        if self.hand.has_to_give_back() || ((has_room || self.hand.has_woken()) && engine.count_ready() > 0) {
            self.hand.exchange(engine, batch, None);
        }
        if engine.manner.shape.has_several_threads && take_has_woken() {
            return Next::Yield;
        }
        if self.hand.count_ready() == 0 {
            // Others have in hand what there is, or give it back at this moment.
            return Next::Yield;
        }
        self.poll_hand(engine, turn, batch);
        Next::Step
    }

    /// Polls so many attempts that are in hand, until the turn is over.
    fn poll_hand(&mut self, engine: &Engine<W, H, F>, turn: &mut Turn, batch: u32) {
        let shared = &*engine.shared;
        shared.wakes.workers.set_holding(self.index, true);
        let mut left = batch.min(u32::try_from(self.hand.count_ready()).unwrap_or(u32::MAX));
        while left > 0 {
            if turn.unread >= self.pace.min(POLLS_A_READING) {
                self.read_clock(turn);
            }
            if turn.is_over || shared.is_closed() {
                break;
            }
            let unread = self.pace.min(POLLS_A_READING).saturating_sub(turn.unread);
            left = left.saturating_sub(self.poll_some(engine, turn, left.min(unread).min(turn.polls_left)));
            if self.has_unwanted(engine) {
                break;
            }
        }
        if self.hand.is_unread() {
            self.read_clock(turn);
        }
    }

    /// Whether a new attempt in hand may be one that was cancelled meanwhile, so that the machine is to be looked at before its
    /// handler is called. Where there are other threads that can't be known, and they take effects.
    #[inline]
    fn has_unwanted(&self, engine: &Engine<W, H, F>) -> bool {
        engine.shared.has_cancelled() && self.hand.has_new() && !engine.manner.shape.has_several_threads
    }

    /// Polls so many attempts by one reading of the clock, at least one. How many it was.
    #[inline]
    fn poll_some(&mut self, engine: &Engine<W, H, F>, turn: &mut Turn, most: u32) -> u32 {
        let shared = &*engine.shared;
        let making = Making {
            signals: &shared.signals,
            clone: engine.manner.clone,
            tracer: Tracer::new(&shared.name, turn.last),
        };
        let mut polled = 0;
        let mut is_exact = turn.unread == 0;
        loop {
            let (goes_on, panic) = self.hand.poll(&making, &turn.entered, turn.last, is_exact);
            if let Some(panic) = panic {
                shared.discard(panic);
            }
            polled += 1;
            is_exact = false;
            // A poll that was cut short by the runtime ends the turn, so that the next attempt has a budget of its own.
            turn.is_over = goes_on && !(engine.manner.may_go_on)();
            if turn.is_over || polled >= most || shared.is_closed() || self.has_unwanted(engine) {
                turn.note_calls(polled);
                return polled;
            }
        }
    }
}

impl<W, H, F, A> Future for Worker<W, H, F, A>
where
    W: AnyWork<Error: fmt::Debug>,
    H: Handler<W::Base, A, W::Sharing, Future = F>,
    F: Future<Output = Result<W::Output, W::Error>>,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<()> {
        let this = self.get_mut();
        let engine = this.engine.clone();
        let workers = &engine.shared.wakes.workers;
        workers.register(this.index, cx.waker());
        workers.leave_idle(this.index);
        if std::mem::take(&mut this.is_queued) {
            workers.leave_queue();
        }
        take_has_woken();
        let mut turn = Turn::new(engine.shared.wakes.enter());
        let is_over = loop {
            if engine.shared.is_closed() {
                break false;
            }
            match this.step(&engine, &mut turn) {
                Next::Poll | Next::Step => {}
                Next::Yield => break true,
                Next::Sleep => break false,
            }
        };
        this.pause(&engine);
        if engine.shared.is_closed() {
            this.hand.dispose(&engine);
            return Poll::Ready(());
        }
        if is_over {
            this.is_queued = true;
            workers.enter_queue();
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

// Nothing in it is pinned but what is boxed.
impl<W: AnyWork, H, F, A> Unpin for Worker<W, H, F, A> {}

/// A runtime that drops its last worker has ended: the machine ends with it, on this thread.
impl<W: AnyWork, H, F, A> Drop for Worker<W, H, F, A> {
    fn drop(&mut self) {
        self.hand.dispose(&self.engine);
        if self.engine.shared.wakes.workers.note_dropped() {
            self.engine.end(Drain::Cancel);
        }
    }
}
