//! What a worker does in a turn.
//!
//! It works in *rounds*. In one hold of the machine's lock it reports all attempts that have ended and takes new ones
//! for its free places; then, without that lock, it polls the new ones and those whose wakers were called, each once.
//! So lock and clock cost little a task. What it has in hand lies in its desk, where the owner can take it away.
//!
//! How many new attempts a round takes is found out by trying. A round that was quick lets the next one take twice as
//! many; after one that took longer than [`SLOW`] it is a single one, so that handlers which compute for long are
//! spread over the workers. Each takes only its share of what there is when other workers sleep.

use std::fmt;
use std::future::Future;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use crate::Instant;
use crate::context::Context;
use crate::current::Current;
use crate::engine::{EFFECTS_A_TURN, Engine, Place};
use crate::lent::{Lent, Shelf};
use crate::shared::{Layout, Shared, State};
use crate::signal::{self, WorkerSignal, bit};

/// How many polls of attempts a worker makes before it lets other tasks of the runtime run.
const POLLS_A_TURN: u32 = 128;
/// A round that took longer has handlers that compute.
const SLOW: Duration = Duration::from_micros(500);
/// An end is reported at once, before the round is over, when the attempt's deadline is nearer than this: the time that
/// its neighbours take is not to make it late. Only one that computes for as long in one poll can.
const NEAR: Duration = Duration::from_millis(100);

/// So many places have room in the caches. With more, each is mostly cold when its turn comes.
const MANY: u32 = 2_048;

/// What stands in the places of a worker, and how fast it goes.
pub(crate) struct Sets {
    first_place: u32,
    /// How many attempts the next round may take.
    batch: u32,
    /// The places without an attempt. Each place of the worker is in one of these sets, a bit each.
    free: u64,
    /// Those with an attempt that has not been polled yet.
    new: u64,
    /// Those with an attempt that has been polled and goes on.
    begun: u64,
    /// Those with an attempt that has ended and is not reported.
    ended: u64,
    /// Of those begun, which are to be polled.
    ready: u64,
    /// When the last round of this turn began.
    round: Option<Instant>,
    /// Whether there are more than [`MANY`] places.
    is_large: bool,
}

impl Sets {
    /// Those of the worker with this index, all places free.
    pub(crate) fn new(layout: Layout, worker: u32) -> Self {
        let places = layout.places_of(worker);
        let count = places.end.saturating_sub(places.start);
        Self {
            first_place: places.start,
            batch: 1,
            free: u64::MAX.checked_shr(u64::BITS.saturating_sub(count)).unwrap_or(0),
            new: 0,
            begun: 0,
            ended: 0,
            ready: 0,
            round: None,
            is_large: layout.places > MANY,
        }
    }
}

/// The rounds of one turn.
pub(crate) struct Rounds<'a, J, O, E, M: Copy, H, F, T> {
    engine: &'a Engine<J, O, E, M, H, F, T>,
    desk: &'a Lent<Place<J, O, E, M, H, F>>,
    signal: &'a Arc<WorkerSignal>,
    current: &'a Current<'a>,
    index: u32,
    sets: &'a mut Sets,
}

impl<'a, J, O, E, M: Copy, H, F, T> Rounds<'a, J, O, E, M, H, F, T> {
    /// Those of the worker with this index; `None` when there are not so many.
    pub(crate) fn new(
        engine: &'a Engine<J, O, E, M, H, F, T>,
        signal: &'a Arc<WorkerSignal>,
        current: &'a Current<'a>,
        index: u32,
        sets: &'a mut Sets,
    ) -> Option<Self> {
        let desk = engine.desks.get(index as usize)?;
        Some(Self { engine, desk, signal, current, index, sets })
    }

    fn shared(&self) -> &'a Shared<J, O, E, M> {
        &self.engine.shared
    }
}

impl<J, O, E, M, H, F, T> Rounds<'_, J, O, E, M, H, F, T>
where
    E: fmt::Debug,
    M: Copy,
    H: Fn(J, Context<M>) -> F,
    F: Future<Output = Result<O, E>>,
{
    /// Polls what is ready and takes work for what is free, until there is neither or the turn is over. Whether there
    /// may be more.
    pub(crate) fn run(mut self) -> bool {
        let shared = self.shared();
        if self.signal.is_idle() {
            shared.lock().rise(self.index, self.signal);
        }
        let mut polls = POLLS_A_TURN;
        self.collect_ready();
        // The time matters to a place only if it has neighbours.
        self.sets.round = ((self.sets.new | self.sets.ready).count_ones() > 1).then(|| shared.now());
        while !shared.is_closed() {
            polls = self.poll_places(polls);
            if self.sets.ended != 0 || self.wants_work() {
                self.trade();
            }
            if polls == 0 {
                return true;
            }
            if self.sets.new == 0 {
                self.signal.signal.listen();
                if !self.has_more() {
                    return false;
                }
                self.signal.signal.run_on();
            }
            self.collect_ready();
            if self.sets.ready != 0 && self.signal.is_idle() {
                shared.lock().rise(self.index, self.signal);
            }
        }
        false
    }

    fn collect_ready(&mut self) {
        // A late wake-up may have set the bit of a place that is free again.
        self.sets.ready =
            (self.sets.ready | self.current.take_woken() | self.signal.take_ready()) & self.sets.begun;
    }

    /// Whether it has to ask the machine for work: afterwards it has some, or is noted as idle.
    fn wants_work(&self) -> bool {
        self.sets.new == 0 && self.sets.free != 0 && !self.signal.is_idle()
    }

    fn has_more(&self) -> bool {
        self.sets.ready != 0 || self.current.has_woken() || self.signal.has_ready() || self.wants_work()
    }

    /// Polls each place that is new or ready once, until one has ended whose deadline is near, or it were too many. How
    /// many more polls there may be.
    #[inline(never)]
    fn poll_places(&mut self, most: u32) -> u32 {
        let mut polls = most;
        if self.sets.is_large && self.sets.ready.count_ones() > 1 {
            warm(self.desk, self.sets.ready);
        }
        let near = self.sets.round.map(|round| round.saturating_add(NEAR));
        let all = self.sets.new | self.sets.ready;
        let (mut todo, mut ended, mut is_urgent) = (all, 0, false);
        let mut back = None;
        while todo != 0 && polls > 0 && !is_urgent {
            let place = todo.trailing_zeros();
            let Some(mut cell) = self.desk.exchange(&mut back, place) else { break };
            todo &= todo.wrapping_sub(1);
            polls = polls.wrapping_sub(1);
            let wanted = self.poll_place(place, &mut cell);
            if cell.has_ended() {
                ended |= bit(place);
                self.signal.over(place);
                self.shared().wake_waiters(self.signal, bit(place));
                is_urgent = wanted && near.is_none_or(|near| cell.deadline() < near);
            }
            back = Some((place, cell));
        }
        if let Some((place, cell)) = back {
            if let Err(cell) = self.desk.put_back(place, cell) {
                self.engine.dispose(cell);
            }
        }
        let polled = all & !todo;
        self.sets.new &= !polled;
        self.sets.ready &= !polled;
        self.sets.begun = (self.sets.begun | polled) & !ended;
        self.sets.ended |= ended;
        if ended != 0 {
            // Those who came to wait while it ended.
            signal::settle();
            self.shared().wake_waiters(self.signal, ended);
        }
        polls
    }

    /// Lets the attempt in a place make progress, or stops it if that was asked for. Whether it was still wanted.
    #[inline(always)]
    fn poll_place(&mut self, place: u32, cell: &mut Place<J, O, E, M, H, F>) -> bool {
        let wanted = self.signal.is_wanted(place);
        let panic = if wanted || self.has_grace(self.sets.first_place.saturating_add(place), cell) {
            cell.as_mut().run(self.signal, place, self.engine.clone)
        } else {
            cell.as_mut().stop()
        };
        if let Some(panic) = panic {
            self.shared().discard(panic);
        }
        wanted
    }

    /// Whether an attempt that was asked to stop may go on for a while. Its time begins here, at the first poll after.
    fn has_grace(&self, place: u32, cell: &mut Place<J, O, E, M, H, F>) -> bool {
        let grace = self.engine.grace;
        let shared = self.shared();
        if grace.is_zero() || !cell.is_begun() || shared.is_closed() {
            return false;
        }
        let now = shared.now();
        if let Some(until) = cell.stop_by() {
            return now < until;
        }
        let until = now.saturating_add(grace);
        cell.as_mut().grant_grace(until);
        let mut state = shared.lock();
        state.graces.push(place, until);
        let earlier = until < state.armed;
        drop(state);
        if earlier {
            shared.driver.notify();
        }
        true
    }

    /// Reports what has ended and takes new attempts for what is free, in one hold of the lock; then does what the
    /// machine asks for.
    // Not in line, as the polls are not: each has the registers for itself.
    #[inline(never)]
    fn trade(&mut self) {
        let shared = self.shared();
        let now = shared.now();
        self.set_pace(now);

        let mut state = shared.lock();
        let mut places = self.desk.lock();
        let left = self.report(&mut state, &mut places, now);
        let duty = shared.poll_duty(&mut state);
        self.take_work(&mut state, &mut places, now);
        drop(places);
        let mut nudge = state.nudge(&shared.workers);
        let more = state.has_effect();
        // What is left of the effects is done here, not by the driver; but nobody else sets the timer.
        nudge.driver &= !more;
        drop(state);

        shared.wake(nudge);
        if let Some(duty) = duty {
            shared.perform(duty);
        }
        self.clear_out(left);
        if more {
            shared.perform_pending(EFFECTS_A_TURN);
            // What was taken may have been the last that the machine waited for.
            shared.act(|_| ());
        }
    }

    /// Finds out how many attempts the next round may take.
    fn set_pace(&mut self, now: Instant) {
        if let Some(last) = self.sets.round.replace(now) {
            let slow = now.saturating_since(last) > SLOW;
            self.sets.batch = if slow { 1 } else { self.sets.batch.saturating_mul(2).min(u64::BITS) };
        }
    }

    /// Reports every attempt that has ended. Returns the places that have something left to drop; the others are free.
    fn report(
        &mut self,
        state: &mut State<J, O, E, M>,
        places: &mut Shelf<Place<J, O, E, M, H, F>>,
        now: Instant,
    ) -> u64 {
        let mut left = 0;
        while self.sets.ended != 0 {
            let place = self.sets.ended.trailing_zeros();
            self.sets.ended &= !bit(place);
            let Some(cell) = places.get(place) else { continue };
            if cell.stop_by().is_some() {
                state.graces.remove(self.sets.first_place.saturating_add(place));
            }
            if cell.as_mut().report(&mut state.machine, now) {
                left |= bit(place);
            } else {
                self.sets.free |= bit(place);
            }
        }
        left
    }

    /// Takes attempts for the free places. If there are none, the worker is noted as idle in the same hold of the lock,
    /// so that no work is missed.
    fn take_work(
        &mut self,
        state: &mut State<J, O, E, M>,
        places: &mut Shelf<Place<J, O, E, M, H, F>>,
        now: Instant,
    ) {
        if self.sets.free == 0 || self.sets.new != 0 {
            return;
        }
        for _ in 0..self.sets.batch.min(state.share()) {
            let place = self.sets.free.trailing_zeros();
            let at = self.sets.first_place.saturating_add(place);
            let Some(cell) = places.get(place) else { break };
            let Some(start) = state.start(now, at) else { break };
            self.signal.start(place, start.attempt.to_bits());
            cell.as_mut().accept(start);
            self.sets.free &= !bit(place);
            self.sets.new |= bit(place);
        }
        if self.sets.new == 0 {
            state.rest(self.index, self.signal);
        } else {
            state.rise(self.index, self.signal);
        }
    }

    /// Drops what the machine did not take; then the places are free.
    fn clear_out(&mut self, mut left: u64) {
        while left != 0 {
            let place = left.trailing_zeros();
            left &= !bit(place);
            self.sets.free |= bit(place);
            let contents = self.desk.lock().get(place).map(|cell| cell.as_mut().contents());
            if let Some(contents) = contents {
                self.shared().discard_contents(contents);
            }
        }
    }
}

/// Touches these places, so that the memory of all is on its way at once: between the polls of two there is a lock, over
/// which a CPU does not look ahead.
fn warm<J, O, E, M: Copy, H, F>(desk: &Lent<Place<J, O, E, M, H, F>>, mut places: u64) {
    let mut shelf = desk.lock();
    while places != 0 {
        let place = places.trailing_zeros();
        places &= !bit(place);
        black_box(shelf.get(place).map(|cell| cell.has_ended() | cell.is_begun()));
    }
}
