//! A worker: one future of the runtime that runs the attempts of a few places.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use plimsoll_core::Start;

use crate::context::Context;
use crate::engine::Engine;
use crate::shared::{Layout, Types};
use crate::signal::WorkerSignal;

/// How many polls of attempts a worker makes before it lets other tasks of the runtime run.
const POLLS_A_TURN: u32 = 128;
/// How many tasks one place may take in a row while others of the worker may be ready.
const TASKS_A_VISIT: u32 = 16;

/// Spawned once and kept until the owner closes the engine. It holds nothing of a user: attempts live in the engine's
/// places.
pub(crate) struct Worker<J, O, E, M: Copy, H, F, T> {
    engine: Arc<Engine<J, O, E, M, H, F, T>>,
    signal: Arc<WorkerSignal>,
    index: u32,
    first_place: u32,
    /// A bit for each place without an attempt.
    free: u64,
}

impl<J, O, E, M: Copy, H, F, T> Worker<J, O, E, M, H, F, T> {
    /// The worker with this index; `None` when there are not so many.
    pub(crate) fn new(engine: Arc<Engine<J, O, E, M, H, F, T>>, layout: Layout, index: u32) -> Option<Self> {
        let places = layout.places_of(index);
        let count = places.end.saturating_sub(places.start);
        let signal = engine.shared.workers.get(index as usize)?.clone();
        let free = u64::MAX.checked_shr(u64::BITS.saturating_sub(count)).unwrap_or(0);
        Some(Self { engine, signal, index, first_place: places.start, free })
    }
}

impl<J, O, E, M, H, F, T> Worker<J, O, E, M, H, F, T>
where
    J: Send + 'static,
    O: Send + 'static,
    E: fmt::Debug + Send + 'static,
    M: Copy + Send + 'static,
    H: Fn(J, Context<M>) -> F + Send + Sync + 'static,
    F: Future<Output = Result<O, E>> + Send + 'static,
{
    /// Polls what is ready and takes work for what is free, until there is neither or the turn is over. Whether there
    /// may be more.
    fn turn(&mut self) -> bool {
        if self.signal.is_idle() {
            self.engine.shared.lock().rise(self.index, &self.signal);
        }
        let mut polls = POLLS_A_TURN;
        loop {
            self.poll_ready(&mut polls);
            while polls > 0 && self.free != 0 && !self.signal.is_idle() {
                let place = self.free.trailing_zeros();
                match self.take_work(place) {
                    Some(start) => self.visit(place, Some(start), &mut polls),
                    None => break,
                }
            }
            if polls == 0 {
                return true;
            }
            self.signal.signal.listen();
            let more = self.signal.has_ready() || (self.free != 0 && !self.signal.is_idle());
            if !more || self.engine.shared.is_closed() {
                return false;
            }
            self.signal.signal.run_on();
        }
    }

    fn poll_ready(&mut self, polls: &mut u32) {
        // A late wake-up may have set the bit of a place that is free again.
        let mut ready = self.signal.take_ready() & !self.free;
        while ready != 0 {
            if *polls == 0 {
                self.signal.add_ready(ready);
                return;
            }
            let place = ready.trailing_zeros();
            ready &= !bit(place);
            self.visit(place, None, polls);
        }
    }

    fn visit(&mut self, place: u32, start: Option<Start<Types<J, O, E, M>>>, polls: &mut u32) {
        let busy = self.engine.visit(self.first_place.saturating_add(place), start, TASKS_A_VISIT, polls);
        self.free = if busy { self.free & !bit(place) } else { self.free | bit(place) };
    }

    /// Takes the next attempt for one of the worker's places; if there is none, the worker is noted as idle in the same
    /// hold of the lock, so that no work is missed.
    fn take_work(&self, place: u32) -> Option<Start<Types<J, O, E, M>>> {
        let shared = &self.engine.shared;
        let place = self.first_place.saturating_add(place);
        let signal = shared.places.get(place as usize)?;
        let now = shared.now();
        let mut state = shared.lock();
        let start = state.start(now, place, signal);
        if start.is_none() {
            state.rest(self.index, &self.signal);
        }
        // After that, for if there is something after all this worker may be the one to take it.
        let nudge = state.nudge(&shared.workers);
        drop(state);
        shared.wake(nudge);
        start
    }
}

impl<J, O, E, M, H, F, T> Future for Worker<J, O, E, M, H, F, T>
where
    J: Send + 'static,
    O: Send + 'static,
    E: fmt::Debug + Send + 'static,
    M: Copy + Send + 'static,
    H: Fn(J, Context<M>) -> F + Send + Sync + 'static,
    F: Future<Output = Result<O, E>> + Send + 'static,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<()> {
        let this = self.get_mut();
        let shared = this.engine.shared.clone();
        let _turn = shared.turn();
        let signal = this.signal.clone();
        signal.signal.register(cx.waker());
        signal.signal.run_on();
        if !this.engine.shared.is_closed() && this.turn() {
            cx.waker().wake_by_ref();
        }
        if this.engine.shared.is_closed() {
            drop(signal.signal.take());
            return Poll::Ready(());
        }
        Poll::Pending
    }
}

const fn bit(place: u32) -> u64 {
    match 1u64.checked_shl(place) {
        Some(bit) => bit,
        None => 0,
    }
}
