//! The places that a worker has in hand, from the moment when it takes them to the moment when it gives them back.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::time::Duration;

use plimsoll_core::Instant;

use super::base::{BoxCell, Engine};
use super::machine::{State, StopWakers};
use super::place::{Contents, Making};
use super::signals::Order;
use super::wake::Entered;
use crate::handler::Handler;

/// Time-outs have this resolution: within it, it does not matter when a handler was called.
const TICK: Duration = Duration::from_millis(1);

/// The places in hand, by what is to be done with them.
pub(super) struct Hand<J, O, E, M: Copy, H, F> {
    /// To be polled, in this order.
    ready: VecDeque<Held<BoxCell<J, O, E, M, H, F>>>,
    /// Polled, and to be given back: their attempts go on.
    polled: Vec<Held<BoxCell<J, O, E, M, H, F>>>,
    /// To be reported: their attempts have ended.
    ended: Vec<Held<BoxCell<J, O, E, M, H, F>>>,
    /// Without an attempt: for new ones, or to be given back.
    empty: Vec<Held<BoxCell<J, O, E, M, H, F>>>,
    /// How many of those polled woke themselves.
    woken: u32,
    /// How many of those polled stood here at the last reading of the clock.
    read: usize,
    /// Whether one that was polled since then counts from its call, and that was later than the last reading.
    is_unread: bool,
    /// Whether one of those polled was called noticeably later than it was taken.
    has_late: bool,
    /// What reports left behind, to be dropped without a lock.
    leftovers: Vec<Contents<J, O, E, H>>,
}

/// A place in hand.
struct Held<C> {
    place: u32,
    /// Whether its attempt was polled and woke itself.
    woken: bool,
    /// Whether its attempt was called since the last reading of the clock, and counts from that.
    unread: bool,
    cell: C,
}

impl<J, O, E, M: Copy, H, F> Hand<J, O, E, M, H, F> {
    pub(super) fn new(most: u32) -> Self {
        // New attempts are taken before those that were polled are given back.
        let list = || Vec::with_capacity(2 * most as usize);
        Self {
            ready: VecDeque::with_capacity(2 * most as usize),
            polled: list(),
            ended: list(),
            empty: list(),
            woken: 0,
            read: 0,
            is_unread: false,
            has_late: false,
            leftovers: Vec::with_capacity(2 * most as usize),
        }
    }

    /// The bytes that [`new`](Self::new) asks of the allocator.
    pub(super) const fn bytes(most: u32) -> usize {
        let each = 4 * size_of::<Held<BoxCell<J, O, E, M, H, F>>>() + size_of::<Contents<J, O, E, H>>();
        (2 * most as usize).saturating_mul(each)
    }

    /// How many places are to be polled.
    #[inline]
    pub(super) fn count_ready(&self) -> usize {
        self.ready.len()
    }

    /// Whether a place in hand is neither to be polled nor to be reported.
    #[inline]
    pub(super) const fn has_to_give_back(&self) -> bool {
        !self.polled.is_empty() || !self.empty.is_empty()
    }

    /// How many places will be ready when they are given back.
    #[inline]
    pub(super) const fn count_woken(&self) -> u32 {
        self.woken
    }

    /// Whether the machine has to hear of something.
    #[inline]
    pub(super) const fn has_news(&self) -> bool {
        !self.ended.is_empty() || self.has_late
    }

    /// Whether reports left something behind.
    pub(super) const fn has_leftovers(&self) -> bool {
        !self.leftovers.is_empty()
    }

    /// Whether the clock has to be read before anything but the next poll.
    #[inline]
    pub(super) const fn is_unread(&self) -> bool {
        self.is_unread
    }

    /// Reports the attempts that have ended. The wakers of their stop waiters are added to `wakers`.
    #[inline]
    pub(super) fn report(
        &mut self,
        engine: &Engine<J, O, E, M, H, F>,
        state: &mut State<J, O, E, M>,
        now: Instant,
        wakers: &mut Vec<StopWakers>,
    ) {
        if std::mem::take(&mut self.has_late) {
            for held in &mut self.polled {
                held.cell.as_mut().report_began(&mut state.machine, now);
            }
        }
        for mut held in self.ended.drain(..) {
            engine.shared.signals.over(held.place);
            state.graces.remove(held.place);
            let waiting = state.stop_waiters.take(held.place);
            if !waiting.is_empty() {
                wakers.push(waiting);
            }
            if held.cell.as_mut().report(&mut state.machine, now) {
                self.leftovers.push(held.cell.as_mut().contents());
            }
            self.empty.push(held);
        }
    }

    /// Takes up to `most` new attempts, first into places in hand. Whether it took any.
    #[inline]
    pub(super) fn take_new(
        &mut self,
        engine: &Engine<J, O, E, M, H, F>,
        state: &mut State<J, O, E, M>,
        most: u32,
        now: Instant,
    ) -> bool {
        let most = most.min(state.machine.startable()) as usize;
        if self.empty.len() < most {
            self.take_free(engine, most);
        }
        let before = self.ready.len();
        for _ in 0..most {
            let Some(mut held) = self.empty.pop() else { break };
            let Some(start) = state.start(now, held.place) else {
                self.empty.push(held);
                break;
            };
            engine.shared.signals.start(held.place, start.attempt);
            held.cell.as_mut().accept(start, now);
            self.ready.push_back(held);
        }
        self.ready.len() > before
    }

    /// Takes free places in hand, until it has `most` places without an attempt.
    fn take_free(&mut self, engine: &Engine<J, O, E, M, H, F>, most: usize) {
        let wakes = &engine.shared.wakes;
        let mut shelf = engine.places.lock();
        let mut line = wakes.lock();
        for _ in self.empty.len()..most {
            let Some((place, cell)) = shelf.take_free() else { break };
            line.hold(place);
            self.empty.push(Held { place, woken: false, unread: false, cell });
        }
        wakes.unlock(line);
    }

    /// Gives back what is not to be polled, and takes ready places until `most` are to be polled, in one hold of each lock.
    /// With `may_sleep`, under the machine's lock, that worker is noted as idle if it has nothing to poll then: whether that
    /// is so.
    #[inline]
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
        for held in self.polled.drain(..) {
            shelf.put(held.place, held.cell);
            line.give_back(held.place, held.woken);
        }
        for held in self.empty.drain(..) {
            shelf.put_free(held.place, held.cell);
            line.free(held.place);
        }
        (self.woken, self.read, self.is_unread) = (0, 0, false);
        for _ in self.ready.len()..most as usize {
            let Some(place) = line.take_ready() else { break };
            let Some(cell) = shelf.take(place) else { continue };
            self.ready.push_back(Held { place, woken: false, unread: false, cell });
        }
        let sleeper = may_sleep.filter(|_| self.ready.is_empty());
        if let Some(worker) = sleeper {
            wakes.workers.enter_idle(worker);
        }
        wakes.unlock(line);
        sleeper.is_some()
    }

    /// Gives back all but what is to be reported. What was not polled is the first of the line again, in its order.
    pub(super) fn put_down(&mut self, engine: &Engine<J, O, E, M, H, F>) {
        if self.ready.is_empty() && !self.has_to_give_back() {
            return;
        }
        let wakes = &engine.shared.wakes;
        let mut shelf = engine.places.lock();
        if !shelf.is_closed() {
            let mut line = wakes.lock();
            while let Some(held) = self.ready.pop_back() {
                shelf.put(held.place, held.cell);
                line.give_back_first(held.place);
            }
            wakes.unlock(line);
        }
        drop(shelf);
        self.exchange(engine, 0, None);
    }

    /// Drops what reports left behind, each value on its own.
    pub(super) fn drop_leftovers(&mut self, engine: &Engine<J, O, E, M, H, F>) {
        for contents in self.leftovers.drain(..) {
            engine.shared.discard_contents(contents);
        }
    }

    /// Drops everything: the engine was closed.
    pub(super) fn dispose(&mut self, engine: &Engine<J, O, E, M, H, F>) {
        self.drop_leftovers(engine);
        let polled = self.polled.drain(..).chain(self.ended.drain(..)).chain(self.empty.drain(..));
        for held in self.ready.drain(..).chain(polled) {
            engine.dispose(held.cell);
        }
        self.has_late = false;
    }

    /// Lets the first attempt make progress, or drops it if it was asked to stop. The clock was read at `now`, right before
    /// this if `is_exact`. Whether the attempt goes on.
    #[inline]
    pub(super) fn poll<A>(
        &mut self,
        engine: &Engine<J, O, E, M, H, F>,
        entered: &Entered,
        now: Instant,
        is_exact: bool,
    ) -> bool
    where
        E: fmt::Debug,
        H: Handler<J, M, A, Future = F>,
        F: Future<Output = Result<O, E>>,
    {
        let shared = &engine.shared;
        let Some(mut held) = self.ready.pop_front() else { return false };
        let cell = &mut held.cell;
        let first = !cell.is_begun();
        if first {
            // The call may come much later than the attempt was taken.
            self.has_late |= note_if_late(cell, now);
        }
        let making = Making { signals: &shared.signals, place: held.place, clone: engine.manner.clone };
        entered.begin_poll(held.place);
        let panic = match shared.signals.order(held.place) {
            Order::Run => cell.as_mut().run(&making),
            Order::WindDown if !first => cell.as_mut().run(&making),
            Order::WindDown | Order::Drop => cell.as_mut().stop(),
        };
        held.woken = entered.end_poll();
        let goes_on = !cell.has_ended();
        if goes_on {
            held.unread = first && !is_exact && cell.since() != Instant::MAX;
            self.is_unread |= held.unread;
            self.woken = self.woken.saturating_add(u32::from(held.woken));
            self.polled.push(held);
        } else {
            self.ended.push(held);
        }
        if let Some(panic) = panic {
            shared.discard(panic);
        }
        goes_on
    }

    /// The clock was read. Attempts that were called for the first time since the last reading count from now, if that is
    /// noticeably later.
    #[inline]
    pub(super) fn note_reading(&mut self, now: Instant) {
        if std::mem::take(&mut self.is_unread) {
            for held in self.polled.iter_mut().skip(self.read).filter(|held| held.unread) {
                self.has_late |= note_if_late(&mut held.cell, now);
            }
        }
        self.read = self.polled.len();
    }
}

/// Has the attempt count from `now`, if that is noticeably later than it does: whether that is so.
#[inline]
fn note_if_late<J, O, E, M: Copy, H, F>(cell: &mut BoxCell<J, O, E, M, H, F>, now: Instant) -> bool {
    let is_late = now.saturating_since(cell.since()) > TICK;
    if is_late {
        cell.as_mut().note_began(now);
    }
    is_late
}
