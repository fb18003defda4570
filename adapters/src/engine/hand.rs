//! The places that a worker has in hand, from the moment when it takes them to the moment when it gives them back.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use plimsoll_core::Instant;

use super::base::{BoxCell, Engine};
use super::machine::{State, StopWakers};
use super::place::{Contents, Making};
use super::signals::Order;
use crate::handler::Handler;

/// Time-outs have this resolution: within it, it does not matter when a handler was called.
const TICK: Duration = Duration::from_millis(1);

/// The places in hand, in the order in which they are polled.
pub(super) struct Hand<J, O, E, M: Copy, H, F> {
    held: Vec<Held<BoxCell<J, O, E, M, H, F>>>,
    /// How many of them have ended and are not reported.
    ended: u32,
    /// How many were polled and woke themselves.
    woken: u32,
    /// Whether one of them was called noticeably later than it was taken.
    has_late: bool,
    /// Those from this index on were polled since the last reading of the clock.
    unread_from: usize,
    /// What reports left behind, to be dropped without a lock.
    leftovers: Vec<Contents<J, O, E, H>>,
}

/// A place in hand.
struct Held<C> {
    place: u32,
    /// `None` once it has left the hand.
    cell: Option<C>,
    stage: Stage,
}

/// What is to be done with a place in hand.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// A new attempt, to be polled.
    New,
    /// An attempt that was ready, to be polled.
    Ready,
    /// It was polled, for the `first` time or not, and goes on; `woken` if it woke itself.
    Polled { first: bool, woken: bool },
    /// It has ended, and is to be reported.
    Ended,
    /// Nothing lives in it.
    Empty,
}

/// How the poll of one place came out.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Polled {
    /// The attempt has ended.
    Ended,
    /// It goes on.
    Pending,
    /// There was nothing to poll.
    Nothing,
}

impl<J, O, E, M: Copy, H, F> Hand<J, O, E, M, H, F> {
    pub(super) fn new(most: u32) -> Self {
        // New attempts are taken before those that were polled are given back.
        let held = Vec::with_capacity(2 * most as usize);
        let leftovers = Vec::with_capacity(most as usize);
        Self { held, ended: 0, woken: 0, has_late: false, unread_from: 0, leftovers }
    }

    /// The bytes that [`new`](Self::new) asks of the allocator.
    pub(super) const fn bytes(most: u32) -> usize {
        let each = 2 * size_of::<Held<BoxCell<J, O, E, M, H, F>>>() + size_of::<Contents<J, O, E, H>>();
        (most as usize).saturating_mul(each)
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether it holds nothing that is to be polled.
    pub(super) fn is_idle(&self) -> bool {
        !self.held.iter().any(|held| matches!(held.stage, Stage::New | Stage::Ready))
    }

    /// Whether the first place to be polled has a new attempt.
    #[inline]
    pub(super) fn begins_with_new(&self) -> bool {
        self.held.first().is_some_and(|held| held.stage == Stage::New)
    }

    /// Whether a place in hand is not to be polled.
    pub(super) fn has_to_give_back(&self) -> bool {
        !self.held.iter().all(|held| matches!(held.stage, Stage::New | Stage::Ready))
    }

    /// How many places will be ready when they are given back.
    #[inline]
    pub(super) const fn count_woken(&self) -> u32 {
        self.woken
    }

    /// Whether the machine has to hear of something.
    #[inline]
    pub(super) const fn has_news(&self) -> bool {
        self.ended > 0 || self.has_late
    }

    /// Reports the attempts that have ended. The wakers of their stop waiters are added to `wakers`.
    pub(super) fn report(
        &mut self,
        engine: &Engine<J, O, E, M, H, F>,
        state: &mut State<J, O, E, M>,
        now: Instant,
        wakers: &mut Vec<StopWakers>,
    ) {
        if !self.has_news() {
            return;
        }
        for held in &mut self.held {
            let Some(cell) = &mut held.cell else { continue };
            match held.stage {
                Stage::Ended => {
                    engine.shared.signals.over(held.place);
                    state.graces.remove(held.place);
                    let waiting = state.stop_waiters.take(held.place);
                    if !waiting.is_empty() {
                        wakers.push(waiting);
                    }
                    if cell.as_mut().report(&mut state.machine, now) {
                        self.leftovers.push(cell.as_mut().contents());
                    }
                    held.stage = Stage::Empty;
                }
                Stage::Polled { .. } if self.has_late => cell.as_mut().report_began(&mut state.machine, now),
                _ => {}
            }
        }
        (self.ended, self.has_late) = (0, false);
    }

    /// Takes up to `most` new attempts, first into places in hand in which nothing lives.
    pub(super) fn take_new(
        &mut self,
        engine: &Engine<J, O, E, M, H, F>,
        state: &mut State<J, O, E, M>,
        most: u32,
        now: Instant,
    ) {
        let mut left = most;
        for held in self.held.iter_mut().filter(|held| held.stage == Stage::Empty) {
            let Some(cell) = &mut held.cell else { continue };
            if left == 0 || !start(engine, state, held.place, cell, now) {
                return;
            }
            held.stage = Stage::New;
            left = left.saturating_sub(1);
        }
        if left > 0 && state.machine.startable() > 0 {
            self.take_new_into_free_places(engine, state, left, now);
        }
    }

    fn take_new_into_free_places(
        &mut self,
        engine: &Engine<J, O, E, M, H, F>,
        state: &mut State<J, O, E, M>,
        most: u32,
        now: Instant,
    ) {
        let wakes = &engine.shared.wakes;
        let mut shelf = engine.places.lock();
        let mut line = wakes.lock();
        for _ in 0..most {
            let Some((place, mut cell)) = shelf.take_free() else { break };
            if !start(engine, state, place, &mut cell, now) {
                shelf.put_free(place, cell);
                break;
            }
            line.hold(place);
            self.held.push(Held { place, cell: Some(cell), stage: Stage::New });
        }
        wakes.unlock(line);
    }

    /// Gives back what is not to be polled, and takes up to `most` places in hand that are ready, in one hold of each
    /// lock. With `may_sleep`, under the machine's lock, `worker` is noted as idle if it has nothing to poll then: whether
    /// that is so.
    pub(super) fn exchange(
        &mut self,
        engine: &Engine<J, O, E, M, H, F>,
        most: u32,
        may_sleep: Option<u32>,
    ) -> bool {
        let wakes = &engine.shared.wakes;
        let mut shelf = engine.places.lock();
        if shelf.is_closed() {
            return false;
        }
        let mut line = wakes.lock();
        for held in &mut self.held {
            let back = match held.stage {
                Stage::Polled { .. } | Stage::Empty => held.cell.take(),
                // These are polled next, or reported first.
                Stage::New | Stage::Ready | Stage::Ended => None,
            };
            match (back, held.stage) {
                (Some(cell), Stage::Polled { woken, .. }) => {
                    shelf.put(held.place, cell);
                    line.give_back(held.place, woken);
                }
                (Some(cell), _) => {
                    shelf.put_free(held.place, cell);
                    line.free(held.place);
                }
                (None, _) => {}
            }
        }
        self.forget_given_back();
        while (self.held.len() as u32) < most {
            let Some(place) = line.take_ready() else { break };
            let Some(cell) = shelf.take(place) else { continue };
            self.held.push(Held { place, cell: Some(cell), stage: Stage::Ready });
        }
        let sleeper = may_sleep.filter(|_| self.held.is_empty());
        if let Some(worker) = sleeper {
            wakes.workers.enter_idle(worker);
        }
        wakes.unlock(line);
        sleeper.is_some()
    }

    /// Gives back all but what is to be reported. What was not polled is the first of the line again, in its order.
    pub(super) fn put_down(&mut self, engine: &Engine<J, O, E, M, H, F>) {
        if self.held.is_empty() {
            return;
        }
        let wakes = &engine.shared.wakes;
        let mut shelf = engine.places.lock();
        if !shelf.is_closed() {
            let mut line = wakes.lock();
            let unpolled = self.held.iter_mut().rev();
            for held in unpolled.filter(|held| matches!(held.stage, Stage::New | Stage::Ready)) {
                if let Some(cell) = held.cell.take() {
                    shelf.put(held.place, cell);
                    line.give_back_first(held.place);
                }
            }
            wakes.unlock(line);
        }
        drop(shelf);
        self.exchange(engine, 0, None);
    }

    fn forget_given_back(&mut self) {
        self.held.retain(|held| held.cell.is_some());
        (self.woken, self.unread_from) = (0, 0);
    }

    /// Drops what reports left behind, each value on its own.
    pub(super) fn drop_leftovers(&mut self, engine: &Engine<J, O, E, M, H, F>) {
        for contents in self.leftovers.drain(..) {
            engine.shared.discard_contents(contents);
        }
    }

    /// Whether reports left something behind.
    pub(super) fn has_leftovers(&self) -> bool {
        !self.leftovers.is_empty()
    }

    /// Drops everything: the engine was closed.
    pub(super) fn dispose(&mut self, engine: &Engine<J, O, E, M, H, F>) {
        self.drop_leftovers(engine);
        for held in std::mem::take(&mut self.held) {
            if let Some(cell) = held.cell {
                engine.dispose(cell);
            }
        }
        (self.ended, self.has_late) = (0, false);
        self.forget_given_back();
    }

    /// Lets the attempt at this index make progress, or drops it if it was asked to stop.
    #[inline]
    pub(super) fn poll<A>(&mut self, engine: &Engine<J, O, E, M, H, F>, index: usize) -> Polled
    where
        E: fmt::Debug,
        H: Handler<J, M, A, Future = F>,
        F: Future<Output = Result<O, E>>,
    {
        let shared = &engine.shared;
        let Some(held) = self.held.get_mut(index) else { return Polled::Nothing };
        let Some(cell) = held.cell.as_mut().filter(|_| matches!(held.stage, Stage::New | Stage::Ready))
        else {
            return Polled::Nothing;
        };
        let first = !cell.is_begun();
        if first && held.stage == Stage::Ready && cell.since() != Instant::MAX {
            // It was taken in an earlier turn, and given back before it was begun.
            let now = shared.now();
            self.has_late |= note_if_late(cell, now);
        }
        let making = Making { signals: &shared.signals, place: held.place, clone: engine.manner.clone };
        let poll = shared.wakes.begin_poll(held.place);
        let panic = match shared.signals.order(held.place) {
            Order::Run => cell.as_mut().run(&making),
            Order::WindDown if !first => cell.as_mut().run(&making),
            Order::WindDown | Order::Drop => cell.as_mut().stop(),
        };
        let woken = poll.end();
        let has_ended = cell.has_ended();
        if has_ended {
            held.stage = Stage::Ended;
            self.ended = self.ended.saturating_add(1);
        } else {
            held.stage = Stage::Polled { first, woken };
            self.woken = self.woken.saturating_add(u32::from(woken));
        }
        if let Some(panic) = panic {
            shared.discard(panic);
        }
        if has_ended { Polled::Ended } else { Polled::Pending }
    }

    /// Whether an attempt that goes on was called for the first time since the last reading of the clock, and counts from
    /// that. The one that was polled first of all was called when it was taken.
    pub(super) fn counts_from_its_call(&self) -> bool {
        let mut unread = self.held.iter().skip(self.unread_from.max(1));
        unread.any(|held| {
            matches!(held.stage, Stage::Polled { first: true, .. })
                && held.cell.as_ref().is_some_and(|cell| cell.since() != Instant::MAX)
        })
    }

    /// The clock was read before the place at this index is polled. Attempts that were called for the first time since
    /// the last reading count from now, if that is noticeably later.
    pub(super) fn note_reading(&mut self, index: usize, now: Instant) {
        let from = self.unread_from.max(1);
        self.unread_from = index;
        for held in self.held.iter_mut().take(index).skip(from) {
            if let (Stage::Polled { first: true, .. }, Some(cell)) = (held.stage, &mut held.cell) {
                self.has_late |= note_if_late(cell, now);
            }
        }
    }
}

/// Starts the next attempt in this place: whether there was one.
#[inline]
fn start<J, O, E, M: Copy, H, F>(
    engine: &Engine<J, O, E, M, H, F>,
    state: &mut State<J, O, E, M>,
    place: u32,
    cell: &mut BoxCell<J, O, E, M, H, F>,
    now: Instant,
) -> bool {
    let Some(start) = state.start(now, place) else { return false };
    engine.shared.signals.start(place, start.attempt);
    cell.as_mut().accept(start, now);
    true
}

/// Has the attempt count from `now`, if that is noticeably later than it does: whether that is so.
fn note_if_late<J, O, E, M: Copy, H, F>(cell: &mut BoxCell<J, O, E, M, H, F>, now: Instant) -> bool {
    let is_late = now.saturating_since(cell.since()) > TICK;
    if is_late {
        cell.as_mut().note_began(now);
    }
    is_late
}
