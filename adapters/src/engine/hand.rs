//! The places that a worker has in hand, from the moment when it takes them to the moment when it gives them back.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::time::Duration;

use plimsoll_core::Instant;

use super::base::{BoxCell, Engine, MOST_IN_HAND, Shape};
use super::place::{Contents, Making};
use super::places::{Place, Shelf};
use super::signals::Order;
use super::state::State;
use super::stop_waiters::StopWakers;
use super::wake::{Entered, Line};
use crate::handler::Handler;
use crate::panics::Panic;
use crate::work::AnyWork;

/// Time-outs have this resolution: within it, it does not matter when a handler was called.
const TICK: Duration = Duration::from_millis(1);

type BoxPlace<W, H, F> = Place<BoxCell<W, H, F>>;

/// The places in hand, by what is to be done with them.
pub(super) struct Hand<W: AnyWork, H, F> {
    /// With a new attempt, to be polled first.
    new: VecDeque<BoxPlace<W, H, F>>,
    /// To be polled after them, in this order.
    ready: VecDeque<BoxPlace<W, H, F>>,
    /// How many of these, at the end, were polled and woke themselves.
    woken: usize,
    /// Polled, and to be given back: their attempts go on.
    polled: Vec<BoxPlace<W, H, F>>,
    /// To be reported: their attempts have ended.
    ended: Vec<BoxPlace<W, H, F>>,
    /// Without an attempt: for new ones, or to be given back.
    empty: Vec<BoxPlace<W, H, F>>,
    /// How many of `polled` stood there at the last reading of the clock, and how many of `woken` did not.
    read: usize,
    unread_woken: usize,
    /// Whether one that was polled since then counts from its call, and that was later than the last reading.
    is_unread: bool,
    /// Whether one was called noticeably later than it was taken.
    has_late: bool,
    /// What reports left behind, to be dropped without a lock.
    leftovers: Vec<Contents<W, H>>,
}

impl<W: AnyWork, H, F> Hand<W, H, F> {
    pub(super) fn new(shape: Shape, places: u32) -> Self {
        let (most, ready) = Self::capacities(shape, places);
        Self {
            new: VecDeque::with_capacity(most),
            ready: VecDeque::with_capacity(ready),
            woken: 0,
            polled: Vec::with_capacity(most),
            ended: Vec::with_capacity(most),
            empty: Vec::with_capacity(most),
            read: 0,
            unread_woken: 0,
            is_unread: false,
            has_late: false,
            leftovers: Vec::with_capacity(most),
        }
    }

    /// The room of each list, and that of the ready places: on one thread those are all in the hand of its worker.
    const fn capacities(shape: Shape, places: u32) -> (usize, usize) {
        // New attempts are taken before those that were polled are given back.
        let most = 2 * shape.in_hand as usize;
        (most, if shape.has_several_threads { most } else { places as usize })
    }

    /// The bytes that [`new`](Self::new) asks of the allocator.
    pub(super) const fn bytes(shape: Shape, places: u32) -> usize {
        let (most, ready) = Self::capacities(shape, places);
        most.saturating_mul(4)
            .saturating_add(ready)
            .saturating_mul(size_of::<BoxPlace<W, H, F>>())
            .saturating_add(most.saturating_mul(size_of::<Contents<W, H>>()))
    }

    /// How many places are to be polled.
    #[inline]
    pub(super) fn count_ready(&self) -> usize {
        self.new.len().saturating_add(self.ready.len())
    }

    /// Whether places in hand are neither to be polled nor to be reported.
    #[inline]
    pub(super) fn has_to_give_back(&self) -> bool {
        !self.polled.is_empty() || !self.empty.is_empty()
    }

    /// Whether a new attempt is in hand.
    #[inline]
    pub(super) fn has_new(&self) -> bool {
        !self.new.is_empty()
    }

    /// Whether attempts that woke themselves are in hand.
    #[inline]
    pub(super) const fn has_woken(&self) -> bool {
        self.woken > 0
    }

    /// Whether the machine has to hear of something.
    #[inline]
    pub(super) fn has_news(&self) -> bool {
        !self.ended.is_empty() || self.has_late
    }

    /// Whether reports left something behind.
    pub(super) fn has_leftovers(&self) -> bool {
        !self.leftovers.is_empty()
    }

    /// Whether the clock has to be read before anything but the next poll.
    #[inline]
    pub(super) const fn is_unread(&self) -> bool {
        self.is_unread
    }

    /// Reports the attempts that have ended, and takes up to `most` new ones into their places. The wakers of their stop
    /// waiters are added to `wakers`.
    #[inline]
    pub(super) fn report(
        &mut self,
        engine: &Engine<W, H, F>,
        state: &mut State<W>,
        most: u32,
        now: Instant,
        wakers: &mut Vec<StopWakers>,
    ) {
        if std::mem::take(&mut self.has_late) {
            for place in self.polled.iter_mut().chain(&mut self.ready) {
                place.cell.as_mut().report_began(&mut state.machine, now);
            }
        }
        let mut left = most;
        for mut place in self.ended.drain(..) {
            engine.shared.signals.over(place.index);
            state.graces.remove(place.index);
            let waiting = state.stop_waiters.take(place.index);
            if !waiting.is_empty() {
                wakers.push(waiting);
            }
            let again = engine.shared.signals.take_decision(place.index);
            if place.cell.as_mut().report(&mut state.machine, now, again) {
                self.leftovers.push(place.cell.as_mut().contents());
            }
            if left > 0 && start(engine, state, &mut place, now) {
                left -= 1;
                self.new.push_back(place);
            } else {
                self.empty.push(place);
            }
        }
    }

    /// Takes new attempts until there are `most` in hand, first into places in hand.
    #[inline]
    pub(super) fn take_new(
        &mut self,
        engine: &Engine<W, H, F>,
        state: &mut State<W>,
        most: u32,
        now: Instant,
    ) {
        let most = (most as usize).saturating_sub(self.new.len()).min(state.machine.startable() as usize);
        if self.empty.len() < most {
            self.take_free(engine, most);
        }
        for _ in 0..most {
            let Some(mut place) = self.empty.pop() else { return };
            if !start(engine, state, &mut place, now) {
                self.empty.push(place);
                return;
            }
            self.new.push_back(place);
        }
    }

    /// Takes free places in hand, until it has `most` places without an attempt.
    fn take_free(&mut self, engine: &Engine<W, H, F>, most: usize) {
        let mut shelf = engine.places.lock();
        let mut line = engine.shared.wakes.lock();
        for _ in self.empty.len()..most {
            let Some(place) = shelf.take_free() else { break };
            line.hold(place.index);
            self.empty.push(place);
        }
    }

    /// Gives back what is not to be polled, and takes ready places: on one thread all that there are, within bounds, on
    /// several until `most` are to be polled. With `may_sleep`, under the machine's lock, that worker is noted as idle if
    /// there is nothing to poll: whether that is so.
    #[inline]
    pub(super) fn exchange(&mut self, engine: &Engine<W, H, F>, most: u32, may_sleep: Option<u32>) -> bool {
        let wakes = &engine.shared.wakes;
        let mut shelf = engine.places.lock();
        if shelf.is_closed() {
            return false;
        }
        let mut sleeper = may_sleep;
        if self.has_to_give_back() || wakes.has_ready() || may_sleep.is_some() {
            let mut line = wakes.lock();
            self.give_back(&mut shelf, &mut line);
            for index in (0..MOST_IN_HAND).map_while(|_| line.take_ready()) {
                let Some(cell) = shelf.take(index) else { continue };
                shelf.ready.push_back(Place { index, cell });
            }
            sleeper = may_sleep.filter(|_| self.count_ready() == 0 && shelf.ready.is_empty());
            if let Some(worker) = sleeper {
                wakes.workers.enter_idle(worker);
            }
            wakes.unlock(line);
        }
        self.queue_woken(&mut shelf);
        if engine.manner.shape.has_several_threads {
            for _ in self.count_ready()..most as usize {
                let Some(place) = shelf.ready.pop_front() else { break };
                self.ready.push_back(place);
            }
        } else if self.ready.is_empty() {
            std::mem::swap(&mut self.ready, &mut shelf.ready);
        } else {
            self.ready.append(&mut shelf.ready);
        }
        engine.places.unlock(shelf);
        sleeper.is_some()
    }

    /// Gives back all but what is to be reported. What was not polled is the first of the queue, in its order.
    pub(super) fn put_down(&mut self, engine: &Engine<W, H, F>) {
        if self.count_ready() == 0 && !self.has_to_give_back() {
            return;
        }
        let mut shelf = engine.places.lock();
        if shelf.is_closed() {
            return;
        }
        self.queue_woken(&mut shelf);
        if shelf.ready.is_empty() && !engine.manner.shape.has_several_threads {
            std::mem::swap(&mut self.ready, &mut shelf.ready);
        }
        for list in [&mut self.ready, &mut self.new] {
            while let Some(place) = list.pop_back() {
                shelf.ready.push_front(place);
            }
        }
        if self.has_to_give_back() {
            let mut line = engine.shared.wakes.lock();
            self.give_back(&mut shelf, &mut line);
            engine.shared.wakes.unlock(line);
        }
        engine.places.unlock(shelf);
    }

    /// Queues the places whose attempts woke themselves behind the others.
    #[inline]
    fn queue_woken(&mut self, shelf: &mut Shelf<BoxCell<W, H, F>>) {
        if !shelf.ready.is_empty() {
            let unpolled = self.ready.len().saturating_sub(self.woken);
            shelf.ready.extend(self.ready.drain(unpolled..));
        }
        (self.woken, self.unread_woken) = (0, 0);
    }

    /// Gives back the places that are not to be polled.
    #[inline]
    fn give_back(&mut self, shelf: &mut Shelf<BoxCell<W, H, F>>, line: &mut Line) {
        for place in self.polled.drain(..) {
            line.give_back(place.index);
            shelf.put(place);
        }
        for place in self.empty.drain(..) {
            line.free(place.index);
            shelf.put_free(place);
        }
        (self.read, self.is_unread) = (0, false);
    }

    /// Drops what reports left behind, each value on its own.
    pub(super) fn drop_leftovers(&mut self, engine: &Engine<W, H, F>) {
        for contents in self.leftovers.drain(..) {
            engine.shared.discard_contents(contents);
        }
    }

    /// Drops everything: the engine was closed.
    pub(super) fn dispose(&mut self, engine: &Engine<W, H, F>) {
        self.drop_leftovers(engine);
        let ready = self.new.drain(..).chain(self.ready.drain(..));
        let others = self.polled.drain(..).chain(self.ended.drain(..)).chain(self.empty.drain(..));
        for place in ready.chain(others) {
            engine.dispose(place.cell);
        }
        self.has_late = false;
    }

    /// Lets the first attempt make progress, or drops it if it was asked to stop. The clock was read at `now`, right before
    /// this if `is_exact`. Whether the attempt goes on, and the panic that ended it.
    #[inline]
    pub(super) fn poll<A>(
        &mut self,
        making: &Making<'_, W>,
        entered: &Entered,
        now: Instant,
        is_exact: bool,
    ) -> (bool, Option<Panic>)
    where
        W: AnyWork<Error: fmt::Debug>,
        H: Handler<W::Base, A, W::Sharing, Future = F>,
        F: Future<Output = Result<W::Output, W::Error>>,
    {
        let Some(mut place) = self.new.pop_front().or_else(|| self.ready.pop_front()) else {
            return (false, None);
        };
        self.woken = self.woken.min(self.ready.len());
        let cell = &mut place.cell;
        let first = !cell.is_begun();
        if first {
            // The call may come much later than the attempt was taken.
            self.has_late |= note_if_late(cell, now);
        }
        entered.begin_poll(place.index);
        let panic = match making.signals.order(place.index) {
            Order::Run => cell.as_mut().run(making, place.index),
            Order::WindDown if !first => cell.as_mut().run(making, place.index),
            Order::WindDown | Order::Drop => cell.as_mut().stop(making, place.index),
        };
        let woken = entered.end_poll();
        let goes_on = !cell.has_ended();
        if goes_on {
            self.is_unread |= cell.as_mut().note_unread(first && !is_exact);
        }
        match (goes_on, woken) {
            (false, _) => self.ended.push(place),
            (_, false) => self.polled.push(place),
            _ => {
                self.ready.push_back(place);
                self.woken += 1;
                self.unread_woken += 1;
            }
        }
        (goes_on, panic)
    }

    /// The clock was read, so long after the last reading. Attempts that were called for the first time since then count
    /// from now, if that is noticeably later.
    #[inline]
    pub(super) fn note_reading(&mut self, now: Instant, passed: Duration) {
        if std::mem::take(&mut self.is_unread) && passed > TICK {
            let woken = self.ready.iter_mut().rev().take(self.unread_woken);
            for place in
                self.polled.iter_mut().skip(self.read).chain(woken).filter(|place| place.cell.is_unread())
            {
                self.has_late |= note_if_late(&mut place.cell, now);
            }
        }
        (self.read, self.unread_woken) = (self.polled.len(), 0);
    }
}

/// Starts the next attempt in this place: whether there was one.
#[inline]
fn start<W: AnyWork, H, F>(
    engine: &Engine<W, H, F>,
    state: &mut State<W>,
    place: &mut BoxPlace<W, H, F>,
    now: Instant,
) -> bool {
    let Some(start) = state.start(now, place.index) else { return false };
    engine.shared.signals.start(place.index, start.attempt);
    place.cell.as_mut().accept(start, now, state.machine.limits().monitor);
    true
}

/// Has the attempt count from `now`, if that is noticeably later than it does: whether that is so.
#[inline]
fn note_if_late<W: AnyWork, H, F>(cell: &mut BoxCell<W, H, F>, now: Instant) -> bool {
    let is_late = now.saturating_since(cell.since()) > TICK;
    if is_late {
        cell.as_mut().note_began(now);
    }
    is_late
}
