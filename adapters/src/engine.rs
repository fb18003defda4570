//! The places of a processor: where its attempts live, and how the owner takes them away.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::cell::{Cell, Contents};
use crate::lent::Lent;
use crate::shared::{Layout, Shared};
use crate::signal::{PlaceSignal, WorkerSignal};

/// The most effects that are performed in a row before others get their turn.
pub(crate) const EFFECTS_A_TURN: u32 = 64;

/// A place, in which the attempts of one worker live one after the other.
pub(crate) type Place<J, O, E, M, H, F> = Pin<Box<Cell<J, O, E, M, H, F>>>;

/// Everything that workers and the driver need. It is kept alive by them and by the owner, but the owner can empty it.
pub(crate) struct Engine<J, O, E, M: Copy, H, F, T> {
    pub(crate) shared: Arc<Shared<J, O, E, M>>,
    pub(crate) timer: Lent<Pin<Box<T>>>,
    /// The places of each worker.
    pub(crate) desks: Box<[Lent<Place<J, O, E, M, H, F>>]>,
    pub(crate) grace: Duration,
    pub(crate) clone: Option<fn(&J) -> J>,
}

/// An engine as its owner sees it.
pub(crate) trait Close: Send + Sync {
    /// Drops every future, the handler and the timer, except what is being polled right now: that goes when the poll
    /// returns. The workers and the driver end at their next poll.
    fn close(&self);
}

impl<J, O, E, M: Copy, H, F, T> Engine<J, O, E, M, H, F, T> {
    pub(crate) fn new(
        shared: Arc<Shared<J, O, E, M>>,
        layout: Layout,
        handler: H,
        timer: T,
        grace: Duration,
        clone: Option<fn(&J) -> J>,
    ) -> Self {
        let handler = Arc::new(handler);
        let desk = |(worker, signal): (u32, &Arc<WorkerSignal>)| {
            let places = 0..layout.places_of(worker).len() as u32;
            // Of this size from the start: bytes asked for are counted.
            let mut desk = Vec::with_capacity(places.len());
            let wakers = places.map(|place| PlaceSignal::waker(signal, place));
            desk.extend(wakers.map(|waker| Box::pin(Cell::new(handler.clone(), waker))));
            Lent::new(desk)
        };
        let desks = (0..).zip(&shared.workers).map(desk).collect();
        let timer = Lent::new(vec![Box::pin(timer)]);
        Self { shared, timer, desks, grace, clone }
    }

    /// Drops a place with all that is in it, each value on its own.
    pub(crate) fn dispose(&self, mut place: Place<J, O, E, M, H, F>) {
        if let Some(panic) = place.as_mut().clear() {
            self.shared.discard(panic);
            self.shared.note_panics(1);
        }
        self.shared.discard_contents(place.as_mut().dismantle());
    }
}

impl<J, O, E, M: Copy> Shared<J, O, E, M> {
    /// Drops what a place has left, each value on its own.
    pub(crate) fn discard_contents<H>(&self, contents: Contents<J, O, E, H>) {
        let Contents { job, copy, output, error, handler, has_panicked } = contents;
        if has_panicked {
            self.note_panics(1);
        }
        self.discard(job);
        self.discard(copy);
        self.discard(output);
        self.discard(error);
        self.discard(handler);
    }
}

impl<J, O, E, M, H, F, T> Close for Engine<J, O, E, M, H, F, T>
where
    J: Send,
    O: Send,
    E: fmt::Debug + Send,
    M: Copy + Send,
    H: Send + Sync,
    F: Send,
    T: Send,
{
    fn close(&self) {
        self.shared.close();
        for desk in &self.desks {
            while let Some(place) = desk.close() {
                self.dispose(place);
            }
        }
        for signal in &self.shared.workers {
            signal.close();
            self.shared.wake_waiters(signal, u64::MAX);
        }
        while let Some(timer) = self.timer.close() {
            self.shared.discard(timer);
        }
        let mut panics = 0;
        self.shared.cache.close(&mut panics);
        self.shared.note_panics(panics);
    }
}
