//! How attempts are woken: the line of ready places.
//!
//! ```text
//!              hold                give_back
//!   Free ────────────► InHand ───────────────────────────► Idle
//!     ▲                 │ │ ▲                               │
//!     │      free       │ │ │ take_ready                    │ wake
//!     └─────────────────┘ │ │                               ▼
//!                         │ └──────────────────────────── Queued
//!                    wake │         give_back              ▲
//!                         ▼                                │
//!                    WokenInHand ──────────────────────────┘
//! ```
//!
//! Every arrow is taken under the lock of the line, and queues the place in it where it leads to `Queued`: a place stands
//! there once at most, so the line never grows beyond the number of places. A place *in hand* is a worker's to poll, or
//! waits for that in a queue of the workers. An attempt that wakes itself while it is polled, the usual case, takes no
//! lock: that is noted for the thread, and its worker, on the same thread, looks there when the poll returns, and has it
//! polled again.
//!
//! A wake is a leaf: it takes no other lock, runs no foreign code but the waker of an idle worker, after the lock is
//! released, and owns no value of a user.

use std::collections::VecDeque;
use std::ptr;
use std::sync::Arc;
use std::task::{Wake, Waker};

use super::sync::atomic::{AtomicU32, Ordering};
#[allow(unused_imports, reason = "a trait is needed in the models only")]
use super::sync::*;
use super::workers::Workers;

thread_cells! {
    /// The line whose worker runs on this thread: its address, for comparison only, or 0.
    static LINE: usize = 0;
    /// The place of the attempt that this worker polls, or `NONE`.
    static POLLED: u32 = NONE;
    /// Whether that attempt was woken on this thread since its poll began.
    static WOKEN: bool = false;
}

/// In place of a place: there is none.
const NONE: u32 = u32::MAX;

/// Where a place stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stand {
    Free,
    Idle,
    Queued,
    InHand,
    WokenInHand,
}

/// The line of ready places, and the workers that may be woken for them.
pub(crate) struct Wakes {
    line: Lock<Line>,
    /// How many places are ready, for a look without the lock.
    ready: AtomicU32,
    pub(super) workers: Workers,
}

/// What the lock guards.
pub(super) struct Line {
    stands: Box<[Stand]>,
    /// The places that are `Queued`, in the order in which they became ready.
    ready: VecDeque<u32>,
}

impl Wakes {
    pub(super) fn new(places: u32, workers: u32) -> Self {
        let line = Line {
            stands: vec![Stand::Free; places as usize].into_boxed_slice(),
            ready: VecDeque::with_capacity(places as usize),
        };
        Self { line: Lock::new(line), ready: AtomicU32::new(0), workers: Workers::new(workers) }
    }

    /// The bytes that [`new`](Self::new) asks of the allocator.
    pub(crate) const fn bytes(places: u32, workers: u32) -> usize {
        let each = size_of::<Stand>() + size_of::<u32>();
        (places as usize).saturating_mul(each).saturating_add(Workers::bytes(workers))
    }

    /// The attempt in this place can make progress: has it polled, and wakes an idle worker for it if there is one.
    #[inline]
    pub(super) fn wake(&self, place: u32) {
        if POLLED.get() == place && LINE.get() == self.address() {
            WOKEN.set(true);
        } else {
            self.wake_from_afar(place);
        }
    }

    /// [`wake`](Self::wake), unless the attempt is being polled on this thread.
    pub(super) fn wake_from_afar(&self, place: u32) {
        let mut line = self.lock();
        let is_ready = line.wake(place);
        let worker = if is_ready { self.workers.take_idle() } else { None };
        self.unlock(line);
        if let Some(worker) = worker {
            self.workers.wake(worker);
        }
    }

    /// As [`wake`](Self::wake), for several places in one hold of the lock.
    #[inline]
    pub(super) fn wake_all(&self, places: impl ExactSizeIterator<Item = u32>) {
        if places.len() > 0 {
            self.wake_some(places);
        }
    }

    #[cold]
    fn wake_some(&self, places: impl ExactSizeIterator<Item = u32>) {
        let mut line = self.lock();
        let ready = places.filter(|&place| line.wake(place)).count();
        let idle = self.workers.has_idle();
        self.unlock(line);
        for _ in 0..if idle { ready } else { 0 } {
            let Some(worker) = self.workers.take_idle() else { break };
            self.workers.wake(worker);
        }
    }

    /// Whether a place is ready. Without the lock it may be out of date by the holds that are going on.
    #[inline]
    pub(super) fn has_ready(&self) -> bool {
        self.count_ready() != 0
    }

    /// How many places are ready, with the same reservation.
    #[inline]
    pub(super) fn count_ready(&self) -> u32 {
        self.ready.load(Ordering::Relaxed)
    }

    #[inline]
    pub(super) fn lock(&self) -> Guard<'_, Line> {
        self.line.lock()
    }

    /// Releases the lock after the line was changed.
    #[inline]
    pub(super) fn unlock(&self, line: Guard<'_, Line>) {
        self.ready.store(line.len(), Ordering::Relaxed);
        drop(line);
    }

    /// A worker begins to run on this thread.
    pub(super) fn enter(&self) -> Entered {
        Entered { outer: (LINE.replace(self.address()), POLLED.replace(NONE), WOKEN.replace(false)) }
    }

    fn address(&self) -> usize {
        ptr::from_ref(self).addr()
    }
}

/// A worker that runs on this thread, until this is dropped. A handler may run another executor, so that this is nested.
pub(super) struct Entered {
    outer: (usize, u32, bool),
}

impl Entered {
    /// Begins the poll of the attempt in `place`.
    #[inline]
    pub(super) fn begin_poll(&self, place: u32) {
        POLLED.set(place);
        WOKEN.set(false);
    }

    /// Ends the poll: whether the attempt was woken on this thread meanwhile.
    #[inline]
    pub(super) fn end_poll(&self) -> bool {
        POLLED.set(NONE);
        WOKEN.get()
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let (line, place, woken) = self.outer;
        LINE.set(line);
        POLLED.set(place);
        WOKEN.set(woken);
    }
}

impl Line {
    /// How many places are ready.
    #[inline]
    pub(super) fn len(&self) -> u32 {
        u32::try_from(self.ready.len()).unwrap_or(u32::MAX)
    }

    /// Notes a wake. Whether the place has become ready by it.
    fn wake(&mut self, place: u32) -> bool {
        let Some(stand) = self.stands.get_mut(place as usize) else { return false };
        match *stand {
            Stand::Idle => {
                *stand = Stand::Queued;
                self.ready.push_back(place);
                return true;
            }
            Stand::InHand => *stand = Stand::WokenInHand,
            // Queued or woken already; or the attempt is over.
            Stand::Queued | Stand::WokenInHand | Stand::Free => {}
        }
        false
    }

    /// Takes a free place in hand.
    #[inline]
    pub(super) fn hold(&mut self, place: u32) {
        self.stand(place, Stand::InHand);
    }

    /// Takes the place in hand that became ready first.
    #[inline]
    pub(super) fn take_ready(&mut self) -> Option<u32> {
        let place = self.ready.pop_front()?;
        self.stand(place, Stand::InHand);
        Some(place)
    }

    /// Gives back a place whose attempt goes on, and did not wake itself.
    #[inline]
    pub(super) fn give_back(&mut self, place: u32) {
        let Some(stand) = self.stands.get_mut(place as usize) else { return };
        if *stand == Stand::WokenInHand {
            *stand = Stand::Queued;
            self.ready.push_back(place);
        } else {
            *stand = Stand::Idle;
        }
    }

    /// Gives back a place whose attempt is over.
    #[inline]
    pub(super) fn free(&mut self, place: u32) {
        self.stand(place, Stand::Free);
    }

    #[inline]
    fn stand(&mut self, place: u32, to: Stand) {
        if let Some(stand) = self.stands.get_mut(place as usize) {
            *stand = to;
        }
    }
}

/// The waker of the attempts that live in one place, one after the other.
struct PlaceWaker {
    wakes: Arc<Wakes>,
    place: u32,
}

/// Makes the waker of a place, once.
pub(super) fn waker_of(wakes: &Arc<Wakes>, place: u32) -> Waker {
    Waker::from(Arc::new(PlaceWaker { wakes: wakes.clone(), place }))
}

/// The bytes that [`waker_of`] asks of the allocator, without the counts of its `Arc`.
pub(crate) const WAKER_BYTES: usize = size_of::<PlaceWaker>();

impl Wake for PlaceWaker {
    fn wake(self: Arc<Self>) {
        self.wakes.wake(self.place);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.wakes.wake(self.place);
    }
}

#[cfg(all(test, not(plimsoll_loom)))]
mod tests {
    use super::*;
    use crate::engine::lock::Locking;

    fn ready(wakes: &Wakes) -> Vec<u32> {
        let mut line = wakes.lock();
        let places = std::iter::from_fn(|| line.take_ready()).collect();
        wakes.unlock(line);
        places
    }

    fn give_back(wakes: &Wakes, place: u32) {
        let mut line = wakes.lock();
        line.give_back(place);
        wakes.unlock(line);
    }

    #[test]
    fn places_are_taken_in_the_order_of_their_wakes_and_once() {
        let wakes = Wakes::new(4, 1);
        (0..4).for_each(|place| give_back(&wakes, place));
        for place in [2, 0, 2, 3, 0] {
            wakes.wake(place);
        }
        assert!(wakes.has_ready());
        assert_eq!(ready(&wakes), [2, 0, 3]);
        assert!(!wakes.has_ready());
    }

    #[test]
    fn a_wake_in_hand_is_kept_until_the_place_is_given_back() {
        let wakes = Wakes::new(2, 1);
        wakes.lock().hold(1);
        wakes.wake(1);
        assert!(!wakes.has_ready());
        give_back(&wakes, 1);
        assert_eq!(ready(&wakes), [1]);
        give_back(&wakes, 1);
        assert!(!wakes.has_ready());
    }

    #[test]
    fn an_attempt_that_wakes_itself_takes_no_lock() {
        let wakes = Arc::new(Wakes::new(2, 1));
        let other = Arc::new(Wakes::new(2, 1));
        let waker = waker_of(&wakes, 1);
        let outer = wakes.enter();
        outer.begin_poll(1);
        let holds = wakes.line.holds();
        waker.wake_by_ref();
        assert_eq!(wakes.line.holds(), holds);
        let inner = other.enter();
        inner.begin_poll(1);
        waker.wake_by_ref();
        assert_eq!(wakes.line.holds(), holds + 1);
        assert!(!inner.end_poll());
        drop(inner);
        assert!(outer.end_poll());
        outer.begin_poll(1);
        assert!(!outer.end_poll());
        waker.wake_by_ref();
        assert_eq!(wakes.line.holds(), holds + 2, "no poll is going on");
    }

    #[test]
    fn a_wake_takes_one_idle_worker_and_a_late_one_none() {
        let wakes = Wakes::new(2, 2);
        wakes.workers.enter_idle(0);
        wakes.workers.enter_idle(1);
        wakes.wake(0);
        assert!(wakes.workers.are_all_idle(), "nothing lives in that place");
        give_back(&wakes, 0);
        wakes.wake(0);
        wakes.wake(0);
        assert_eq!((wakes.workers.take_idle(), wakes.workers.take_idle()), (Some(1), None));
    }
}
